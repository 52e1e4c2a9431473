//! `watch draft`: what an observing watch saw, as rules for a person to approve. Nothing approves itself.

use super::CLEAN;
use crate::config::Config;
use crate::ended::Ended;
use crate::{rooms, say};

/// Prints `[[watch]] mode = "expect"` tables.
pub(crate) async fn draft(config: &Config, name: &str) -> anyhow::Result<u8> {
    let known: Vec<String> = rooms::monitor::monitor(config)?.watches.into_iter().map(|rule| rule.name).collect();
    if !known.iter().any(|rule| rule == name) {
        return Err(Ended::usage(format!("there is no [[watch]] {name:?}; there are: {}", known.join(", "))));
    }
    let observed = rooms::store_beside(config).await?.observed_identities(name).await?;
    if observed.is_empty() {
        return Err(Ended::no(format!("[[watch]] {name:?} has seen nothing yet; is its mode \"observe\"?")));
    }
    if observed.len() as u64 >= store::OBSERVED_PER_WATCH {
        say::complain(format_args!(
            "sealwatch: [[watch]] {name:?} has seen more than the {} identities that are kept: make it narrower",
            observed.len()
        ));
    }
    say::block(&monitor::observe::draft(&observed));
    Ok(CLEAN)
}
