//! The ledger as the authority: it only grows, at its end. What the monitor saw of it is chained, so that a row that is
//! dated back, changed or gone shows.

mod chain;
pub(crate) mod keys;
mod look;
#[cfg(test)]
mod tests;

pub use chain::{appended, row_hash};
pub use look::{Looked, Looks};

use store::{IntentSeen, LedgerRow};

/// Whether a row was in the ledger when it says, as far as the monitor can tell. `looked_at`: when all of the ledger was
/// last looked at; `None`: never, so that nothing can be told.
pub fn was_there(row: &LedgerRow, seen: Option<&IntentSeen>, looked_at: Option<i64>, tolerance_ms: i64) -> bool {
    let not_before = |then: i64| row.intended_at.saturating_add(tolerance_ms) >= then;
    match seen {
        Some(seen) if seen.row_hash == row_hash(row) => !seen.backdated,
        // Another row stood under this id: after a restore ids are given again, to rows that are newer than those.
        Some(seen) => not_before(seen.seen_at),
        None => looked_at.is_none_or(not_before),
    }
}

/// Whether a row says that it was intended and signed before a leaf was seen.
pub fn is_before(row: &LedgerRow, leaf_seen_at: i64, tolerance_ms: i64) -> bool {
    let latest = leaf_seen_at.saturating_add(tolerance_ms);
    row.intended_at <= latest && row.signature.as_ref().is_none_or(|recorded| recorded.at <= latest)
}

/// A time in words.
fn time(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(|_| format!("{unix_ms} ms"), |at| at.to_string())
}
