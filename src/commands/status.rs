//! `status`: what waits, what is done, what is parked.

use store::Counts;

use super::{CLEAN, FAILED};
use crate::config::Config;
use crate::{rooms, say};

/// Prints the counts; fails where something is parked, so that a script can ask.
pub(crate) async fn status(config: &Config, json: bool) -> anyhow::Result<u8> {
    let counts = rooms::store_beside(config).await?.counts().await?;
    if json {
        let map: serde_json::Map<String, serde_json::Value> =
            rows(&counts).into_iter().map(|(k, v)| (k.to_owned(), v.into())).collect();
        say!("{}", serde_json::Value::Object(map));
    } else {
        for (kind, value) in rows(&counts) {
            say!("{kind:24} {value}");
        }
    }
    let parked = rows(&counts).iter().any(|(kind, value)| kind.ends_with("parked") && *value > 0);
    if parked {
        if !json {
            say!("something is parked: `sealwatch explain IMAGE` says why, `sealwatch retry` sends it again");
        }
        return Ok(FAILED);
    }
    Ok(CLEAN)
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
        ("oldest_event_age_ms", counts.oldest_event_age_ms.unwrap_or(0)),
        ("oldest_job_age_ms", counts.oldest_job_age_ms.unwrap_or(0)),
    ]
}
