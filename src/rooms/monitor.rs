//! What the room that reads logs needs: no key, and no registry credential.

mod sinks;
mod watches;

pub(crate) use sinks::{Told, told};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use monitor::config::{Limits, TrustMaterial};
use monitor::{MonitorConfig, Timing};
use toml::Spanned;

use crate::config::{Config, MonitorTable, Problems, read_secret};
use crate::run;
use crate::trust::material;

/// Whether the file asks for the monitor at all.
pub(crate) fn is_wanted(config: &Config) -> bool {
    config.file.monitor.is_some() || !config.file.watch.is_empty() || !config.file.alert.is_empty()
}

/// What the process that reads logs needs.
pub(crate) fn monitor(config: &Config) -> Result<MonitorConfig, Problems> {
    let mut problems = config.problems();
    let default = MonitorTable::default();
    let table = config.file.monitor.as_ref().map_or(&default, |t| t.get_ref());
    let timing = timing(table, &mut problems);
    let limits = limits(table, &mut problems);
    let heartbeat = read_secret(
        "[monitor]",
        ("heartbeat_url_file", "heartbeat_url_env"),
        table.heartbeat_url_file.as_ref(),
        table.heartbeat_url_env.as_ref(),
        &mut problems,
    );
    let watches = watches::watches(config, &mut problems);
    let sinks = sinks::sinks(config, &mut problems);
    let material = material::material(config, &mut problems);
    if material.as_ref().is_some_and(|m| m.logs.is_empty()) && problems.is_empty() {
        problems.note(
            0..0,
            "no log is named: there is nothing to watch",
            "add a [sigstore.NAME] with trusted_root, or [log.\"ORIGIN\"] with version, read_url and public_key_file",
        );
    }
    match material {
        Some(material) if problems.is_empty() => Ok(MonitorConfig {
            material,
            refresh: Some(refresh(config)),
            watches,
            sinks,
            heartbeat,
            timing,
            limits,
            trust_record: trust_record(config, table),
            holder: format!("{}:{}", run::host(), std::process::id()),
        }),
        _ => Err(problems),
    }
}

/// Reads the file and the trust material that it names again.
fn refresh(config: &Config) -> monitor::config::Refresh {
    let path = config.path.clone();
    Arc::new(move || -> Result<TrustMaterial, String> {
        let again = Config::load(&path).map_err(|problems| problems.to_string())?;
        let mut problems = again.problems();
        match material::material(&again, &mut problems) {
            Some(material) if problems.is_empty() => Ok(material),
            _ => Err(problems.to_string()),
        }
    })
}

/// Beside an SQLite database, else beside the configuration file.
fn trust_record(config: &Config, table: &MonitorTable) -> PathBuf {
    if let Some(path) = &table.trust_record {
        return path.get_ref().clone();
    }
    let beside = config
        .file
        .store
        .url
        .get_ref()
        .strip_prefix("sqlite:")
        .filter(|path| !path.starts_with(':'))
        .map(|path| path.split('?').next().unwrap_or(path).trim_start_matches("//").to_owned());
    beside.map_or_else(
        || config.path.with_file_name("sealwatch.trusted"),
        |database| PathBuf::from(format!("{database}.trusted")),
    )
}

fn timing(table: &MonitorTable, problems: &mut Problems) -> Timing {
    let mut timing = Timing::default();
    let keys: [(&str, &Option<Spanned<String>>, &mut Duration); 14] = [
        ("interval", &table.interval, &mut timing.interval),
        ("confirm_for", &table.confirm_for, &mut timing.confirm_for),
        ("rollback_after", &table.rollback_after, &mut timing.rollback_after),
        ("grace", &table.grace, &mut timing.grace),
        ("inclusion_deadline", &table.inclusion_deadline, &mut timing.inclusion_deadline),
        ("stale_after", &table.stale_after, &mut timing.stale_after),
        ("blind_after", &table.blind_after, &mut timing.blind_after),
        ("lag_after", &table.lag_after, &mut timing.lag_after),
        ("never_matched_after", &table.never_matched_after, &mut timing.never_matched_after),
        ("clock_skew", &table.clock_skew, &mut timing.clock_skew),
        ("refresh_every", &table.refresh_every, &mut timing.refresh_every),
        ("reproof_every", &table.reproof_every, &mut timing.reproof_every),
        ("sink_dead_after", &table.sink_dead_after, &mut timing.sink_dead_after),
        ("heartbeat_every", &table.heartbeat_every, &mut timing.heartbeat_every),
    ];
    for (key, value, into) in keys {
        if let Some(text) = value
            && let Some(duration) = duration(&format!("[monitor] {key}"), text, problems)
        {
            *into = duration;
        }
    }
    timing
}

/// A length of time as a person writes it: "10s", "15m", "1h 30m", "30d".
pub(crate) fn duration(label: &str, text: &Spanned<String>, problems: &mut Problems) -> Option<Duration> {
    let read = || -> Option<Duration> {
        let span: Span = text.get_ref().parse().ok()?;
        let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        Duration::try_from(duration).ok().filter(|d| !d.is_zero())
    };
    let duration = read();
    if duration.is_none() {
        problems.note(
            text.span(),
            format!("{label}: {:?} is not a length of time", text.get_ref()),
            "write it like \"10s\", \"15m\" or \"30d\"",
        );
    }
    duration
}

fn limits(table: &MonitorTable, problems: &mut Problems) -> Limits {
    let mut limits = Limits::default();
    if let Some(n) = &table.segment_leaves {
        if (256..=16_777_216).contains(n.get_ref()) {
            limits.segment_leaves = *n.get_ref();
        } else {
            problems.note(n.span(), "[monitor] segment_leaves is out of range", "choose 256 to 16777216");
        }
    }
    if let Some(n) = &table.in_flight {
        match usize::try_from(*n.get_ref()) {
            Ok(n) if (1..=256).contains(&n) => limits.in_flight = n,
            _ => problems.note(n.span(), "[monitor] in_flight is out of range", "choose 1 to 256"),
        }
    }
    if let Some(n) = &table.told_apart {
        match usize::try_from(*n.get_ref()) {
            Ok(n) if (1..=100_000).contains(&n) => limits.told_apart = n,
            _ => problems.note(n.span(), "[monitor] told_apart is out of range", "choose 1 to 100000"),
        }
    }
    limits
}

#[cfg(test)]
mod tests;
