//! `logs`: what is followed, how far, and by whose word.

use std::sync::Arc;

use monitor::Monitor;
use monitor::watchlist::{MatcherInterval, intervals};
use store::{FollowedLog, Store};

use super::CLEAN;
use crate::cli::From;
use crate::config::Config;
use crate::ended::Ended;
use crate::{rooms, run, say};

/// Lists the logs that the configuration names and those that are followed.
pub(crate) async fn list(config: &Config, json: bool) -> anyhow::Result<u8> {
    let named = rooms::monitor::monitor(config)?;
    let store = rooms::store_beside(config).await?;
    let followed = store.followed_logs().await?;
    let known = store.matcher_coverage().await?;
    let matchers = |log: &FollowedLog| intervals(&named.watches, log, &known);
    if json {
        let logs: Vec<_> = followed.iter().map(|log| described(log, &matchers(log))).collect();
        let untrusted: Vec<_> = untrusted(&named, &followed);
        say!("{}", serde_json::json!({ "logs": logs, "not_trusted_yet": untrusted }));
        return Ok(CLEAN);
    }
    for log in &followed {
        let head = log.head.as_ref().map_or(0, |head| head.size);
        say!("{}", log.origin);
        say!("  kind        {}", log.kind);
        say!("  coverage    {}", coverage(log));
        say!("  head        {head}{}", if log.frozen_at.is_some() { " (frozen)" } else { "" });
        say!("  read        {}", log.read_size);
        say!("  verified    {}", log.verified_size);
        say!("  trusted     from {} on, because {}", log.first_size, log.because);
        for line in later(log, &matchers(log)) {
            say!("  {line}");
        }
    }
    for origin in untrusted(&named, &followed) {
        say!("{origin}");
        say!("  not followed yet: sealwatch logs trust {origin} --because \"…\"");
    }
    Ok(CLEAN)
}

/// Begins to follow logs.
pub(crate) async fn trust(config: &Config, origin: Option<&str>, because: &str, from: From) -> anyhow::Result<u8> {
    if because.trim().is_empty() {
        return Err(Ended::usage("--because is empty: say why, for whoever reads the record later"));
    }
    let store = rooms::store(config).await?;
    let origins = match origin {
        Some(origin) => vec![origin.to_owned()],
        None => untrusted(&rooms::monitor::monitor(config)?, &store.followed_logs().await?),
    };
    if origins.is_empty() {
        say!("every log that the configuration names is followed already");
        return Ok(CLEAN);
    }
    for log in begin(config, store, &origins, because, from).await? {
        say!("{} is followed from {} on", log.origin, log.first_size);
    }
    Ok(CLEAN)
}

/// Has a log read once more, from its first leaf on.
pub(crate) async fn rescan(config: &Config, origin: &str, because: &str) -> anyhow::Result<u8> {
    if because.trim().is_empty() {
        return Err(Ended::usage("--because is empty: say why, for whoever reads the record later"));
    }
    let store = rooms::store(config).await?;
    let monitor = Monitor::new(rooms::monitor::monitor(config)?, store, &prometheus::Registry::new())?;
    for log in monitor.trust(origin, monitor::From::Again, because, &run::who()).await? {
        say!("{} is read again from {} on, up to the head that is known", log.origin, log.first_size);
    }
    Ok(CLEAN)
}

/// Begins to follow these logs; answers with them as they are followed now.
pub(crate) async fn begin(
    config: &Config,
    store: Arc<dyn Store>,
    origins: &[String],
    because: &str,
    from: From,
) -> anyhow::Result<Vec<FollowedLog>> {
    let monitor = Monitor::new(rooms::monitor::monitor(config)?, store, &prometheus::Registry::new())?;
    let from = match from {
        From::Zero => monitor::From::Zero,
        From::Now => monitor::From::Now,
    };
    let mut followed = Vec::new();
    for origin in origins {
        followed.extend(monitor.trust(origin, from, because, &run::who()).await?);
    }
    Ok(followed)
}

/// The logs of the configuration that nobody has trusted yet.
fn untrusted(named: &monitor::MonitorConfig, followed: &[FollowedLog]) -> Vec<String> {
    named
        .material
        .logs
        .iter()
        .filter(|spec| !followed.iter().any(|log| log.key_id == spec.key.key_id()))
        .map(|spec| spec.origin.clone())
        .collect()
}

fn coverage(log: &FollowedLog) -> String {
    if log.coverage == monitor::Coverage::Exhaustive.as_str() {
        format!("exhaustive: every leaf from {} to {} was hashed into a signed root", log.first_size, log.verified_size)
    } else {
        "own entries only: heads are consistent, nobody else's leaves are read".to_owned()
    }
}

/// The watches that have not seen every leaf that is covered, and the way out.
fn later(log: &FollowedLog, matchers: &[MatcherInterval]) -> Vec<String> {
    if log.coverage != monitor::Coverage::Exhaustive.as_str() {
        return Vec::new();
    }
    let later = matchers.iter().filter(|it| it.covered_from > log.first_size);
    let mut lines: Vec<String> =
        later.map(|it| format!("watch       {}: from {} on", it.watch, it.covered_from)).collect();
    if !lines.is_empty() {
        let origin = &log.origin;
        lines.push(format!("            older leaves too: sealwatch logs rescan {origin:?} --because \"…\""));
    }
    lines
}

fn described(log: &FollowedLog, matchers: &[MatcherInterval]) -> serde_json::Value {
    serde_json::json!({
        "origin": log.origin,
        "kind": log.kind,
        "coverage": log.coverage,
        "covered_from": log.first_size,
        "covered_to": log.verified_size,
        "matchers": matchers,
        "head_size": log.head.as_ref().map(|head| head.size),
        "read_size": log.read_size,
        "verified_size": log.verified_size,
        "verified_at": log.verified_at,
        "frozen_at": log.frozen_at,
        "trusted_at": log.trusted_at,
        "because": log.because,
    })
}

/// Ends with the exact command where a log was never trusted: following begins by an explicit act.
pub(crate) async fn all_are_trusted(named: &monitor::MonitorConfig, store: &dyn Store) -> anyhow::Result<()> {
    let followed = store.followed_logs().await?;
    let new: Vec<String> = named
        .material
        .logs
        .iter()
        .filter(|spec| !followed.iter().any(|log| log.key_id == spec.key.key_id()))
        // A successor that verified trust material names starts by itself, where others are followed already.
        .filter(|spec| !spec.announced || followed.is_empty())
        .map(|spec| spec.origin.clone())
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    Err(Ended::usage(format!(
        "{} never trusted: {}\n  to follow from the first leaf: sealwatch logs trust --all --because \"first start\"\n  to follow from today's head:   sealwatch logs trust --all --because \"first start\" --from now",
        if new.len() == 1 { "this log was" } else { "these logs were" },
        new.join(", "),
    )))
}
