//! `monitor --once`: each log is read to the head that it shows now, and what was seen is told.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use monitor::follow::LogStatus;
use monitor::{LogReport, Monitor, MonitorError, OnceReport};

use super::{CLEAN, COULD_NOT_LOOK, FAILED, USAGE};
use crate::config::Config;
use crate::{rooms, say};

/// Exit codes: 0 all was looked at and nothing is open, 1 a finding, 2 usage, 3 we could not look.
pub(crate) async fn once(config: &Config, json: bool) -> anyhow::Result<u8> {
    let room = rooms::monitor::monitor(config)?;
    let store = rooms::store(config).await?;
    let monitor = Monitor::new(room.clone(), store.clone(), &prometheus::Registry::new())?;
    // A state that was lost is a finding, and said below; only a log that is new is usage.
    if monitor.check_state().await.is_ok() {
        super::logs::all_are_trusted(&room, store.as_ref()).await?;
    }
    let terminal = std::io::stderr().is_terminal();
    let progress = terminal.then(|| Arc::new(show) as monitor::Progress);
    let report = match monitor.once(progress).await {
        Ok(report) => report,
        Err(error) => {
            let code = match &error {
                MonitorError::StateLost { .. } => FAILED,
                MonitorError::Untrusted { .. } => USAGE,
                _ => COULD_NOT_LOOK,
            };
            say::complain(format_args!("sealwatch: {error}"));
            return Ok(code);
        }
    };
    if terminal {
        clear();
    }
    if json {
        say!("{}", serde_json::to_string(&report)?);
    } else {
        told(&report);
    }
    Ok(if report.has_findings() {
        FAILED
    } else if report.is_complete() {
        CLEAN
    } else {
        COULD_NOT_LOOK
    })
}

fn told(report: &OnceReport) {
    for log in &report.logs {
        say!("{}: {}", log.origin, covered(log));
        for later in log.matchers.iter().filter(|it| log.covered_to > 0 && it.covered_from > log.covered_from) {
            say!("  watch {}: from {} on", later.watch, later.covered_from);
        }
        if let Some(error) = &log.error {
            say!("  could not look: {error}");
        }
    }
    if let Some(error) = &report.ledger_error {
        say!("log and ledger could not be compared: {error}");
    }
    let compared = &report.compared;
    for (count, what) in [
        (compared.entries_waiting, "entries of ours are not under a head yet, within their deadline"),
        (compared.entries_unasked, "entries of ours could not be asked about"),
        (compared.entries_elsewhere, "entries of ours are in logs that were not read"),
        (compared.observations_unasked, "entries met in registries could not be asked about"),
    ] {
        if count > 0 {
            say!("{count} {what}");
        }
    }
    if report.suspects_waiting > 0 {
        say!("{} entries under our name still wait for the ledger", report.suspects_waiting);
    }
    for open in &report.open_findings {
        say!("{} {} open: {}", open.severity, open.kind, open.count);
    }
    if report.has_findings() {
        say!("`sealwatch findings` lists them");
    } else if report.is_complete() {
        say!("clean");
    }
}

fn covered(log: &LogReport) -> String {
    let head = log.head_size.map_or_else(|| "unknown".to_owned(), |size| size.to_string());
    if log.coverage == "exhaustive" {
        format!("every leaf from {} to {} verified, of {head}", log.covered_from, log.covered_to)
    } else {
        format!("heads are consistent up to {head}; own entries only, nobody else's leaves were read")
    }
}

/// The bar: how far each log is, on one line that is written again.
fn show(logs: &[LogStatus]) {
    let (mut read, mut verified, mut all) = (0_u64, 0_u64, 0_u64);
    for log in logs {
        let head = log.head.as_ref().map_or(0, tlog::Checkpoint::size);
        read += log.read_size.min(head);
        verified += log.verified_size.min(head);
        all += head;
    }
    const WIDTH: u64 = 30;
    let filled = verified.saturating_mul(WIDTH).checked_div(all).unwrap_or(0);
    let bar: String = (0..WIDTH).map(|n| if n < filled { '#' } else { '.' }).collect();
    // Nowhere is left to say that standard error is closed.
    let _ = write!(std::io::stderr(), "\r[{bar}] {verified} of {all} leaves verified, {read} read ");
}

fn clear() {
    // As above.
    let _ = write!(std::io::stderr(), "\r{:80}\r", "");
}
