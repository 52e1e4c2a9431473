//! `explain`: why an image was signed or not, from the ledger's lines and the reasons that were recorded; and the
//! exact commands that accept it.

use bundle::{Digest, ImageLocator, ImageReference};
use serde_json::json;
use store::{JobRow, LedgerRow, Skip, Store};
use watcher::WatcherConfig;

use super::verify::{configured, resolve};
use super::{CLEAN, FAILED, kit};
use crate::config::Config;
use crate::ended::OrUsage as _;
use crate::{rooms, run, say};

/// What is known of one image.
struct Known {
    reference: ImageReference,
    job: Option<JobRow>,
    ledger: Vec<(LedgerRow, Vec<(String, u64)>)>,
    skips: Vec<Skip>,
    /// Why no rule would sign it, asked of the rules as they are now.
    rule: Result<usize, String>,
    /// The image was named by a tag, so the rule is known to match it.
    by_tag: bool,
}

/// Explains one image; fails where it is not signed.
pub(crate) async fn explain(config: &Config, image: &str, as_json: bool) -> anyhow::Result<u8> {
    let locator: ImageLocator = image.parse().or_usage(format!("{image:?} is not an image"))?;
    let room = rooms::worker(config, run::now_ms())?;
    let store = rooms::store_beside(config).await?;
    let digest = resolve(configured(&room, &locator)?, &locator).await?;
    let known = known(&room, store.as_ref(), &locator, digest).await?;
    if as_json {
        say!("{}", as_value(&known));
    } else {
        tell(&room, &known);
    }
    Ok(if known.ledger.iter().any(|(row, _)| row.attached_at.is_some()) { CLEAN } else { FAILED })
}

async fn known(
    room: &WatcherConfig,
    store: &dyn Store,
    locator: &ImageLocator,
    digest: Digest,
) -> anyhow::Result<Known> {
    let name = &locator.name;
    let reference = ImageReference { name: name.clone(), digest };
    let mut ledger = Vec::new();
    for row in store.ledger_for(&reference).await? {
        let entries = store.entries(row.id).await?.into_iter().map(|e| (e.log_origin, e.log_index)).collect();
        ledger.push((row, entries));
    }
    let skips = store.skips_for(&name.registry, &name.repository, 200).await?;
    let skips = skips
        .into_iter()
        .filter(|s| s.digest.is_none_or(|d| d == digest))
        .filter(|s| s.tag == locator.tag || s.digest.is_some())
        .take(10)
        .collect();
    let rule = match &locator.tag {
        Some(tag) => room
            .rules
            .iter()
            .position(|rule| rule.matches(name, tag))
            .map(|n| n + 1)
            .ok_or_else(|| format!("no rule matches {name}:{tag}")),
        None => room
            .rules
            .iter()
            .position(|rule| rule.matches_repository(name))
            .map(|n| n + 1)
            .ok_or_else(|| format!("no rule matches {name}")),
    };
    Ok(Known {
        by_tag: locator.tag.is_some(),
        job: store.job(&name.registry, &name.repository, &digest).await?,
        reference,
        ledger,
        skips,
        rule,
    })
}

fn tell(room: &WatcherConfig, known: &Known) {
    say!("{}", known.reference);
    match &known.rule {
        Ok(n) if known.by_tag => say!("rule {n} speaks about it"),
        Ok(n) => say!("rule {n} speaks about its repository"),
        Err(why) => say!("{why}: add a [[rule]] with this repository and tag"),
    }
    match &known.job {
        Some(job) => say!(
            "job: {}, first seen {}, {} attempt{}{}",
            job.state,
            time(job.first_seen_at),
            job.attempts,
            if job.attempts == 1 { "" } else { "s" },
            job_detail(job)
        ),
        None if !known.skips.is_empty() => say!("job: none; its pushes were skipped"),
        None => say!("job: none; no push of this digest was ever accepted (is the registry's webhook set?)"),
    }
    for skip in &known.skips {
        say!("skipped {} at {}: {}", skip.reason, time(skip.at), skip.detail);
    }
    for (row, entries) in &known.ledger {
        let logged =
            entries.iter().map(|(origin, index)| format!("{origin} index {index}")).collect::<Vec<_>>().join(", ");
        say!(
            "{} by {} ({}): {}",
            row.format,
            row.identity_name,
            row.identity,
            if entries.is_empty() { "not logged".to_owned() } else { logged }
        );
        say!(
            "  intended {}{}",
            time(row.intended_at),
            row.attached_at.map_or_else(
                || ", not attached yet".to_owned(),
                |at| format!(
                    ", attached {}{}",
                    time(at),
                    if row.adopted { " (adopted: made with this key elsewhere)" } else { "" }
                )
            )
        );
    }
    if known.ledger.iter().any(|(row, _)| row.attached_at.is_some()) {
        say!("\naccepted by (files from `sealwatch kit`):");
        for line in commands(room, known) {
            say!("{line}");
        }
    } else {
        say!("it is not signed by us");
    }
}

fn commands(room: &WatcherConfig, known: &Known) -> Vec<String> {
    let plain = room.registries.get(&known.reference.name.registry).is_some_and(|r| r.plain_http());
    let mut all = Vec::new();
    for (row, _) in known.ledger.iter().filter(|(row, _)| row.attached_at.is_some()) {
        let rule = known
            .rule
            .as_ref()
            .ok()
            .and_then(|n| room.rules.get(n - 1))
            .or_else(|| room.rules.iter().find(|r| r.sign_with.contains(&row.identity_name)));
        if let (Some(identity), Some(rule)) = (room.identities.get(&row.identity_name), rule) {
            all.extend(kit::lines(identity, rule, row.format, &known.reference.to_string(), plain));
        }
    }
    all
}

fn job_detail(job: &JobRow) -> String {
    let mut text = String::new();
    if let Some(reason) = &job.reason {
        text.push_str(&format!("; {reason}"));
    }
    if let Some(detail) = job.detail.as_ref().filter(|d| !d.is_empty()) {
        text.push_str(&format!(": {detail}"));
    }
    if let Some(error) = &job.last_error {
        text.push_str(&format!("; last error: {error}"));
    }
    text
}

fn as_value(known: &Known) -> serde_json::Value {
    json!({
        "image": known.reference.to_string(),
        "rule": known.rule.as_ref().ok(),
        "no_rule": known.rule.as_ref().err(),
        "job": known.job.as_ref().map(|job| json!({
            "state": job.state.to_string(), "attempts": job.attempts, "reason": job.reason, "detail": job.detail, "last_error": job.last_error,
            "first_seen_at": job.first_seen_at, "finished_at": job.finished_at,
        })),
        "skips": known.skips.iter().map(|s| json!({"reason": s.reason, "detail": s.detail, "at": s.at})).collect::<Vec<_>>(),
        "signatures": known.ledger.iter().map(|(row, entries)| json!({
            "format": row.format.as_str(), "identity": row.identity_name, "key": row.identity, "trust_zone": row.trust_zone,
            "log": row.log_origin, "entries": entries.iter().map(|(origin, index)| json!({"origin": origin, "index": index})).collect::<Vec<_>>(),
            "intended_at": row.intended_at, "attached_at": row.attached_at,
            "manifest": row.attached_manifest.map(|d| d.to_string()), "adopted": row.adopted,
        })).collect::<Vec<_>>(),
    })
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |t| t.to_string())
}
