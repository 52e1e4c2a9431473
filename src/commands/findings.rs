//! `findings`: what the monitor saw, and taking note of it.

use jiff::Timestamp;
use monitor::{Monitor, MonitorError};
use store::{FindingFilter, FindingKind, FindingNote, FindingRow, FindingState, Severity};

use super::{CLEAN, COULD_NOT_LOOK, FAILED};
use crate::cli::FindingsFilter;
use crate::config::{Config, Problems};
use crate::ended::Ended;
use crate::rooms::monitor::{Told, told};
use crate::{rooms, run, say};

/// Lists findings, the newest first; fails where one is open, so that a script can ask.
pub(crate) async fn list(config: &Config, filter: &FindingsFilter, json: bool) -> anyhow::Result<u8> {
    let states = if filter.all {
        vec![FindingState::Open, FindingState::Acknowledged, FindingState::Cleared]
    } else {
        vec![FindingState::Open]
    };
    let kind = match &filter.kind {
        None => None,
        Some(word) => Some(word.parse::<FindingKind>().map_err(|_| {
            let all: Vec<&str> = FindingKind::ALL.iter().map(|kind| kind.as_str()).collect();
            Ended::usage(format!("--kind {word}: there is no such finding; use one of {}", all.join(", ")))
        })?),
    };
    let min_severity = match &filter.min_severity {
        None => None,
        Some(word) => Some(
            word.parse::<Severity>()
                .map_err(|_| Ended::usage(format!("--min-severity {word}: use info, warning or critical")))?,
        ),
    };
    let filter = FindingFilter { states, kind, min_severity, log_origin: filter.origin.clone(), limit: filter.limit };
    let rows = rooms::store_beside(config).await?.findings(&filter).await?;
    if json {
        let rows: Vec<_> = rows.iter().map(described).collect();
        say!("{}", serde_json::Value::Array(rows));
    } else if rows.is_empty() {
        say!("no findings");
    } else {
        for row in &rows {
            say!(
                "{:>5}  {:8}  {:18}  {}  {}{}",
                row.id,
                row.severity.as_str(),
                row.kind.as_str(),
                when(row.first_seen_at),
                row.title,
                match row.state {
                    FindingState::Open => "",
                    FindingState::Acknowledged => " (acknowledged)",
                    FindingState::Cleared => " (over)",
                }
            );
        }
    }
    let open = rows.iter().any(|row| row.state == FindingState::Open && row.severity > Severity::Info);
    Ok(if open { FAILED } else { CLEAN })
}

/// Shows one finding whole.
pub(crate) async fn show(config: &Config, id: i64, json: bool) -> anyhow::Result<u8> {
    let store = rooms::store_beside(config).await?;
    let row = store.finding(id).await?.ok_or_else(|| unknown(id))?;
    let evidence = store.evidence(id).await?.into_iter().filter(|piece| piece.evidence.is_some()).count();
    if json {
        say!("{}", described(&row));
        return Ok(CLEAN);
    }
    say!("{} {}", row.severity.as_str(), row.kind.as_str());
    say!("{}", row.title);
    say!("");
    say::block(&row.detail);
    say!("");
    if let Some(log) = &row.log_origin {
        say!("log          {log}");
    }
    say!("first seen   {}", when(row.first_seen_at));
    say!("last seen    {}", when(row.last_seen_at));
    say!("seen         {} time{}", row.occurrences, if row.occurrences == 1 { "" } else { "s" });
    say!("state        {}", row.state.as_str());
    if let (Some(until), Some(because)) = (row.acknowledged_until, &row.acknowledged_because) {
        say!("acknowledged until {} because {because}", when(until));
    }
    if let Some(before) = row.acknowledged_occurrences.filter(|before| *before < row.occurrences) {
        say!("since then   {} more", row.occurrences - before);
    }
    if let (FindingState::Cleared, Some(at)) = (row.state, row.cleared_at) {
        // A closed finding has the word of an acknowledgement, and no end of one.
        let word = row.acknowledged_because.as_ref().filter(|_| row.acknowledged_until.is_none());
        say!(
            "over         {}{}",
            when(at),
            word.map_or_else(String::new, |because| format!(", closed because {because}"))
        );
    }
    say!("runbook      {}", monitor::finding::runbook(row.kind));
    if evidence > 0 {
        say!("evidence     {evidence} file{}: sealwatch evidence export {id}", if evidence == 1 { "" } else { "s" });
    }
    Ok(CLEAN)
}

/// Takes note of a finding.
pub(crate) async fn acknowledge(config: &Config, id: i64, because: &str, for_: &str) -> anyhow::Result<u8> {
    if because.trim().is_empty() {
        return Err(Ended::usage("--because is empty: say why, for whoever reads it later"));
    }
    let mut problems = Problems::of(&config.path, "");
    let length = toml::Spanned::new(0..0, for_.to_owned());
    let Some(length) = rooms::monitor::duration("--for", &length, &mut problems) else {
        return Err(Ended::usage(format!("--for {for_}: write it like \"12h\" or \"7d\"")));
    };
    let now = run::now_ms();
    let until = now.saturating_add(i64::try_from(length.as_millis()).unwrap_or(i64::MAX));
    let store = rooms::store_beside(config).await?;
    store.finding(id).await?.ok_or_else(|| unknown(id))?;
    let by = run::who();
    let note = FindingNote { id, because, by: &by, at: now };
    if !store.acknowledge(&note, until, &told(config, Told::Keeping)).await? {
        return Err(over(id));
    }
    say!("finding {id} is acknowledged until {}", when(until));
    Ok(CLEAN)
}

/// Says that what a finding shows is ours.
pub(crate) async fn adopt(config: &Config, id: i64, because: &str) -> anyhow::Result<u8> {
    if because.trim().is_empty() {
        return Err(Ended::usage("--because is empty: say why, for whoever reads the record later"));
    }
    let store = rooms::store_beside(config).await?;
    let monitor = Monitor::new(rooms::monitor::monitor(config)?, store, &prometheus::Registry::new())?;
    let adopted = match monitor.adopt(id, because, &run::who()).await {
        Err(error @ MonitorError::NotAdopted { .. }) => return Err(Ended::usage(error.to_string())),
        other => other?,
    };
    if adopted.rows > 0 {
        say!("accepted: {} rows of the ledger that are gone or are other ones", adopted.rows);
    }
    say!("adopted: {} signatures, which page nobody from now on", adopted.signatures);
    for problem in &adopted.unread {
        say!("could not be read: {problem}");
    }
    if adopted.unread.is_empty() {
        say!("finding {id} is over");
        return Ok(CLEAN);
    }
    say!("finding {id} stays open: run this again when these logs can be read");
    Ok(COULD_NOT_LOOK)
}

/// Ends a finding that a person has dealt with.
pub(crate) async fn close(config: &Config, id: i64, because: &str) -> anyhow::Result<u8> {
    if because.trim().is_empty() {
        return Err(Ended::usage("--because is empty: say what came of it, for whoever reads it later"));
    }
    let store = rooms::store_beside(config).await?;
    let row = store.finding(id).await?.ok_or_else(|| unknown(id))?;
    if row.kind.ends_by_itself() {
        return Err(Ended::usage(format!(
            "finding {id} is {}, which lasts as long as it is so and ends by itself; quiet it with `sealwatch findings \
             ack {id} --because \"…\"`",
            row.kind
        )));
    }
    let by = run::who();
    let note = FindingNote { id, because, by: &by, at: run::now_ms() };
    if !store.close_finding(&note, &told(config, Told::All)).await? {
        return Err(over(id));
    }
    say!("finding {id} is closed");
    Ok(CLEAN)
}

/// A finding that is there, and has ended.
fn over(id: i64) -> anyhow::Error {
    Ended::usage(format!("finding {id} is over already; `sealwatch findings show {id}` says since when"))
}

/// A finding that is not there.
pub(super) fn unknown(id: i64) -> anyhow::Error {
    Ended::usage(format!("there is no finding {id}; `sealwatch findings --all` lists them"))
}

fn when(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |t| format!("{t:.0}"))
}

fn described(row: &FindingRow) -> serde_json::Value {
    serde_json::json!({
        "id": row.id,
        "kind": row.kind.as_str(),
        "severity": row.severity.as_str(),
        "fingerprint": row.fingerprint,
        "log": row.log_origin,
        "title": row.title,
        "detail": row.detail,
        "first_seen_at": row.first_seen_at,
        "last_seen_at": row.last_seen_at,
        "occurrences": row.occurrences,
        "state": row.state.as_str(),
        "acknowledged_until": row.acknowledged_until,
        "acknowledged_because": row.acknowledged_because,
        "acknowledged_by": row.acknowledged_by,
        "acknowledged_occurrences": row.acknowledged_occurrences,
        "cleared_at": row.cleared_at,
    })
}
