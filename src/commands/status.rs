//! `status`: what waits, what is parked, what is wrong, and how much there is of everything.

use serde_json::json;
use store::{Condition, Counts, JobState, ParkedBecause, ParkedFilter, Unfinished, WorkRow};

use super::{CLEAN, FAILED, at};
use crate::config::Config;
use crate::{rooms, run, say};

/// How many lines of each list are shown unless asked otherwise; the rest is counted.
pub(crate) const LINES: u32 = 20;
/// How many are read at most, so that the answer stays one that can be read.
const LINES_MAX: u32 = 10_000;
/// How long parked work that is looked at again waits for that.
const LOOKED_AT_AGAIN_MS: i64 = 3_600_000;

/// Prints counts and lists; fails where something is parked, so that a script can ask.
pub(crate) async fn status(config: &Config, limit: u32, as_json: bool) -> anyhow::Result<u8> {
    let limit = limit.min(LINES_MAX);
    let store = rooms::store_beside(config).await?;
    let counts = store.counts().await?;
    let all = ParkedFilter::default();
    let parked = store.unfinished(Unfinished::Parked, &all, limit).await?;
    let waiting = store.unfinished(Unfinished::Waiting, &all, limit).await?;
    let conditions = store.open_conditions(limit).await?;
    let parked_count = counts.events_parked + counts.jobs_parked;
    if as_json {
        let mut map: serde_json::Map<String, serde_json::Value> =
            rows(&counts).into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        map.insert("parked".to_owned(), parked.iter().map(described).collect());
        map.insert("waiting".to_owned(), waiting.iter().map(described).collect());
        map.insert("conditions".to_owned(), conditions.iter().map(condition_described).collect());
        say!("{}", serde_json::Value::Object(map));
    } else {
        for (key, value) in rows(&counts) {
            say!("{key:24} {value}");
        }
        let now = run::now_ms();
        list("parked", &parked, parked_count, now);
        let waiting_count = counts.events_waiting + counts.events_leased + counts.jobs_ready + counts.jobs_leased;
        list("waiting", &waiting, waiting_count, now);
        if !conditions.is_empty() {
            say!("");
            say!("wrong now:");
            for open in &conditions {
                let (cause, subject, count) = (open.cause, &open.subject, open.count);
                say!("  {cause} {subject}: since {}, seen {count} times, last: {}", at(open.since), open.sample);
            }
        }
        if parked_count > 0 {
            say!("");
            say!("`sealwatch explain IMAGE` says more, `sealwatch retry IMAGE` (or --all) sends it again");
        }
        if counts.dead_letters > 0 {
            say!("{}", letters(counts.dead_letters));
        }
    }
    Ok(if parked_count > 0 { FAILED } else { CLEAN })
}

/// What is said of dead letters, where there are any.
fn letters(count: u64) -> String {
    let bodies = if count == 1 { "webhook body was" } else { "webhook bodies were" };
    format!("{count} {bodies} not understood, or not wholly: see `sealwatch dead-letters list`")
}

fn list(title: &str, rows: &[WorkRow], count: u64, now: i64) {
    if rows.is_empty() {
        return;
    }
    say!("");
    say!("{title}:");
    for row in rows {
        say!("  {}", line(row, now));
    }
    let rest = count.saturating_sub(rows.len() as u64);
    if rest > 0 {
        say!("  and {rest} more (--limit N shows more)");
    }
}

/// One piece of work as a sentence: the image, since when, why, and what comes next.
pub(super) fn line(row: &WorkRow, now: i64) -> String {
    let mut text = format!("{} since {}", image(row), at(row.since));
    if let (JobState::Parked, Some(because)) = (row.state, row.because) {
        text.push_str(&format!(", parked {} as {because}", at(row.due_at)));
    }
    if let Some(endpoint) = &row.waits_for {
        text.push_str(&format!(", because {endpoint} does not answer as it should"));
    }
    let tries = if row.attempts == 1 { "try" } else { "tries" };
    text.push_str(&format!(", {} {tries}", row.attempts));
    if let Some(error) = row.last_error.as_ref().filter(|error| !error.is_empty()) {
        text.push_str(&format!(": {error}"));
    }
    text.push_str(&format!("; {}", next(row, now)));
    text
}

/// HOST/REPOSITORY[:TAG][@DIGEST], as it is stored.
fn image(row: &WorkRow) -> String {
    let tag = row.tag.as_ref().map_or_else(String::new, |tag| format!(":{tag}"));
    let digest = row.digest.as_ref().map_or_else(String::new, |digest| format!("@{digest}"));
    format!("{}/{}{tag}{digest}", row.registry, row.repository)
}

/// When it is tried again, and by whom.
pub(super) fn next(row: &WorkRow, now: i64) -> String {
    match row.state {
        JobState::Leased => "it is worked on now".to_owned(),
        JobState::Ready if row.due_at <= now => "it is its turn".to_owned(),
        JobState::Ready => format!("next try {}", at(row.due_at)),
        JobState::Parked => match row.because {
            Some(ParkedBecause::Unseen | ParkedBecause::Failed) => {
                format!("next try about {}", at(row.due_at.saturating_add(LOOKED_AT_AGAIN_MS)))
            }
            _ => "it waits for `sealwatch retry` or a new version".to_owned(),
        },
        JobState::Done | JobState::Skipped => "it is over".to_owned(),
    }
}

/// One piece of work as JSON; times in unix milliseconds.
pub(super) fn described(row: &WorkRow) -> serde_json::Value {
    let next = match (row.state, row.because) {
        (JobState::Ready, _) => Some(row.due_at),
        (JobState::Parked, Some(ParkedBecause::Unseen | ParkedBecause::Failed)) => {
            Some(row.due_at.saturating_add(LOOKED_AT_AGAIN_MS))
        }
        _ => None,
    };
    json!({
        "kind": row.kind.as_str(), "image": image(row), "registry": row.registry, "repository": row.repository,
        "tag": row.tag, "digest": row.digest, "state": row.state.as_str(), "since": row.since,
        "parked_at": (row.state == JobState::Parked).then_some(row.due_at), "because": row.because.map(|b| b.as_str()),
        "waits_for": row.waits_for, "attempts": row.attempts, "last_error": row.last_error, "next_try": next,
    })
}

fn condition_described(open: &Condition) -> serde_json::Value {
    json!({
        "cause": open.cause.as_str(), "subject": open.subject, "since": open.since, "seen_at": open.seen_at,
        "count": open.count, "sample": open.sample,
    })
}

fn rows(counts: &Counts) -> Vec<(&'static str, i64)> {
    let n = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    vec![
        ("events_waiting", n(counts.events_waiting)),
        ("events_leased", n(counts.events_leased)),
        ("events_parked", n(counts.events_parked)),
        ("jobs_ready", n(counts.jobs_ready)),
        ("jobs_leased", n(counts.jobs_leased)),
        ("jobs_done", n(counts.jobs_done)),
        ("jobs_skipped", n(counts.jobs_skipped)),
        ("jobs_parked", n(counts.jobs_parked)),
        ("dead_letters", n(counts.dead_letters)),
        ("signatures_intended", n(counts.ledger_intended)),
        ("signatures_made", n(counts.ledger_signed)),
        ("signatures_to_attach", n(counts.ledger_material)),
        ("signatures_attached", n(counts.ledger_attached)),
        ("signatures_abandoned", n(counts.ledger_abandoned)),
        ("oldest_event_age_ms", counts.oldest_event_age_ms.unwrap_or(0)),
        ("oldest_job_age_ms", counts.oldest_job_age_ms.unwrap_or(0)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::WorkKind;

    fn row() -> WorkRow {
        WorkRow {
            kind: WorkKind::Job,
            registry: "registry.example.com".to_owned(),
            repository: "team/app".to_owned(),
            tag: Some("v1".to_owned()),
            digest: None,
            state: JobState::Ready,
            because: None,
            waits_for: None,
            attempts: 1,
            last_error: Some("timed out".to_owned()),
            since: 0,
            due_at: 60_000,
        }
    }

    #[test]
    fn a_line_says_since_when_why_and_what_comes_next() {
        assert_eq!(
            line(&row(), 0),
            "registry.example.com/team/app:v1 since 1970-01-01T00:00:00Z, 1 try: timed out; next try 1970-01-01T00:01:00Z"
        );
        let waits = WorkRow { waits_for: Some("rekor.example.com".to_owned()), attempts: 0, ..row() };
        assert!(line(&waits, 60_001).contains("because rekor.example.com does not answer as it should, 0 tries"));
        assert!(line(&waits, 60_001).ends_with("; it is its turn"));
        let parked = |because| WorkRow { state: JobState::Parked, because, ..row() };
        assert!(line(&parked(Some(ParkedBecause::Unseen)), 0).contains("parked 1970-01-01T00:01:00Z as unseen"));
        assert!(line(&parked(Some(ParkedBecause::Failed)), 0).ends_with("next try about 1970-01-01T01:01:00Z"));
        for because in [Some(ParkedBecause::Poison), Some(ParkedBecause::Refused), None] {
            assert!(line(&parked(because), 0).contains("waits for `sealwatch retry`"));
        }
        assert_eq!(described(&parked(Some(ParkedBecause::Refused)))["next_try"], serde_json::Value::Null);
        assert_eq!(described(&row())["next_try"], 60_000);
    }
}
