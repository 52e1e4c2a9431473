//! `config check`: the file, all that it names, and what it means.

mod online;
mod store_check;

use monitor::watchlist::WatchMode;
use monitor::{Coverage, MonitorConfig};
use serde_json::json;
use watcher::WatcherConfig;

use super::{CLEAN, USAGE};
use crate::cli::CheckFlags;
use crate::config::{Config, Problems};
use crate::{rooms, run, say};

use online::Asked;

/// Checks a file and explains it; each mistake with its line and fix.
pub(crate) async fn check(flags: &CheckFlags) -> anyhow::Result<u8> {
    let file = &flags.config.config;
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(problems) => return Ok(refuse(&problems, &[], flags.json)),
    };
    if flags.file_only {
        if flags.json {
            say!("{}", json!({ "good": true, "looked_at": "the file alone" }));
        } else {
            say!("{} is well formed; what it names was not looked at", file.display());
        }
        return Ok(CLEAN);
    }
    // A file without a source or a rule is for a process that only watches logs.
    let signs = !config.file.source.is_empty() || !config.file.rule.is_empty();
    let watches = rooms::monitor::is_wanted(&config);
    // Every part is checked, so that one run shows every mistake.
    let intake = if signs || !watches { Some(rooms::intake(&config)) } else { None };
    let worker = if signs || !watches { Some(rooms::checked_worker(&config, run::now_ms())) } else { None };
    let monitor = if watches { Some(rooms::monitor::monitor(&config)) } else { None };
    let store = rooms::store_files(&config);
    let (intake, worker, monitor, warnings) = match (intake.transpose(), worker.transpose(), monitor.transpose(), store)
    {
        (Ok(intake), Ok(worker), Ok(monitor), Ok(warnings)) => (intake, worker, monitor, warnings),
        (intake, worker, monitor, store) => {
            let mut problems = config.problems();
            for list in [intake.err(), worker.err(), monitor.err(), store.err()].into_iter().flatten() {
                problems.merge(list);
            }
            return Ok(refuse(&problems, &config.warnings.lines(&config.path), flags.json));
        }
    };
    let warnings = [warnings, config.warnings.lines(&config.path)].concat();
    let (worker, notes) = worker.map_or((None, Vec::new()), |(worker, notes)| (Some(worker), notes));
    if !flags.json {
        say!("{} is good.", file.display());
        say!("store: {}", config.file.store.url.get_ref());
        if let (Some(intake), Some(worker)) = (&intake, &worker) {
            signing(&config, intake, worker)?;
        }
        match &monitor {
            Some(monitor) => watching(monitor),
            None => {
                say!("no log is watched: add a [[watch]], or an empty [monitor] to check the logs that are written to");
            }
        }
        for note in &notes {
            say!("note: {note}");
        }
        for warning in &warnings {
            say!("warning: {warning}");
        }
    }
    let asked = if flags.online { online::ask(&config, worker.as_ref(), run::now_ms()).await } else { Vec::new() };
    if flags.json {
        let online = flags.online.then(|| as_values(&asked));
        say!("{}", json!({ "good": true, "notes": notes, "warnings": warnings, "online": online }));
    } else {
        if !flags.online {
            say!(
                "services were not asked: --online asks the store, registries, logs and authorities, and tries each key"
            );
        }
        for Asked { what, outcome } in &asked {
            match outcome {
                Ok(word) => say!("ok      {what}: {word}"),
                Err(trouble) => {
                    say!("FAILED  {what}: {}", trouble.why);
                    say!("        fix: {}", trouble.fix);
                }
            }
        }
    }
    Ok(online::code(&asked))
}

/// Says every mistake, and what is allowed and should not be.
fn refuse(problems: &Problems, warnings: &[String], as_json: bool) -> u8 {
    if as_json {
        let list: Vec<_> = problems
            .list()
            .iter()
            .map(|problem| json!({ "line": problem.line, "what": problem.what, "fix": problem.fix }))
            .collect();
        say!("{}", json!({ "good": false, "problems": list, "warnings": warnings }));
    } else {
        say::complain(format_args!("{}", problems.to_string().trim_end()));
        for warning in warnings {
            say::complain(format_args!("warning: {warning}"));
        }
    }
    USAGE
}

fn as_values(asked: &[Asked]) -> Vec<serde_json::Value> {
    asked
        .iter()
        .map(|Asked { what, outcome }| match outcome {
            Ok(word) => json!({ "what": what, "ok": true, "says": word }),
            Err(trouble) => json!({ "what": what, "ok": false, "says": trouble.why, "fix": trouble.fix }),
        })
        .collect()
}

/// What is signed, and with what.
fn signing(config: &Config, intake: &WatcherConfig, worker: &WatcherConfig) -> anyhow::Result<()> {
    let listeners = rooms::listeners(config)?;
    for (name, source) in &intake.sources {
        say!("source {name}: POST http://{}/hooks/{name} may speak for {}", listeners.hooks, source.registry);
    }
    for (n, (rule, table)) in worker.rules.iter().zip(&config.file.rule).enumerate() {
        let table = table.get_ref();
        let list =
            |globs: &[toml::Spanned<String>]| globs.iter().map(|g| g.get_ref().clone()).collect::<Vec<_>>().join(", ");
        let formats: Vec<&str> = rule.formats.iter().map(|f| f.as_str()).collect();
        say!(
            "rule {}: {} tagged {} signed with {} as {} (trust zone {})",
            n + 1,
            list(table.repositories.get_ref()),
            list(table.tags.get_ref()),
            rule.sign_with.join(", "),
            formats.join(" and "),
            rule.trust_zone
        );
    }
    for (name, identity) in &worker.identities {
        let key = identity.key.public_key();
        let log = identity
            .services
            .log
            .as_ref()
            .map_or_else(|| "no log".to_owned(), |l| format!("{} (Rekor v{})", l.origin(), l.version()));
        say!(
            "identity {name}: {} {}, logged in {log}, {} timestamp authorit{}",
            key.algorithm(),
            key.fingerprint(),
            identity.services.timestamp_authorities.len(),
            if identity.services.timestamp_authorities.len() == 1 { "y" } else { "ies" }
        );
        if identity.services.log.as_ref().is_some_and(|l| l.origin() != "rekor.sigstore.dev") {
            say!(
                "  its log is private: verifiers need its trusted root with cosign 2.6.3 and later; `sealwatch kit` writes it"
            );
        }
    }
    Ok(())
}

/// Which logs are read, for what, and who is told.
fn watching(monitor: &MonitorConfig) {
    for log in &monitor.material.logs {
        say!(
            "log {}: {}, read at {}, {}{}",
            log.origin,
            log.kind.as_str(),
            log.read_url,
            match log.coverage {
                Coverage::Exhaustive => "every leaf",
                Coverage::OwnEntries => "heads and our own entries only",
            },
            if log.closed { ", closed" } else { "" }
        );
    }
    for log in &monitor.material.trust.unusable_logs {
        say!("log {}: NOT read: {}", log.base_url, log.reason);
    }
    for rule in &monitor.watches {
        let mode = match rule.mode {
            WatchMode::Alert => "a use that the ledger does not explain is a finding",
            WatchMode::Expect => "expected, no finding",
            WatchMode::Observe => "collected only",
        };
        say!("watch {:?}: {mode}", rule.name);
    }
    if monitor.watches.is_empty() {
        say!("watch: the keys of the ledger only");
    }
    for sink in &monitor.sinks {
        say!("alert {:?}: from {} up", sink.name, sink.min_severity.as_str());
    }
    if monitor.sinks.is_empty() {
        say!("alert: no sink is told; findings are in `sealwatch findings` and on /metrics");
    }
    say!("what was trusted is recorded in {}", monitor.trust_record.display());
}
