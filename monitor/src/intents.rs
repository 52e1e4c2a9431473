//! The ledger as the authority: it only grows, at its end. What the monitor saw of it is chained, so that a row that is
//! dated back, changed or gone shows.

mod chain;
pub(crate) mod keys;
mod look;
mod signatures;
#[cfg(test)]
mod tests;
mod unbroken;

pub use chain::{appended, row_hash, signature_hash};
pub use look::{Looked, Looks};

use store::{IntentSeen, LedgerRow};

use crate::reconcile::LedgerTiming;

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

/// Whether a row is another one than it was when it was seen, or bears another signature, and nobody has accepted that. A
/// signature that came since is another matter.
pub fn is_changed(row: &LedgerRow, seen: &IntentSeen) -> bool {
    let is_same =
        seen.row_hash == row_hash(row) && (seen.signature_hash.is_none() || seen.signature_hash == signature_hash(row));
    !seen.accepted && !is_same
}

/// Whether a row says that it was intended and signed before a leaf was seen.
pub fn is_before(row: &LedgerRow, leaf_seen_at: i64, tolerance_ms: i64) -> bool {
    let latest = leaf_seen_at.saturating_add(tolerance_ms);
    row.intended_at <= latest && row.signature.as_ref().is_none_or(|recorded| recorded.at <= latest)
}

/// Whether a row's signature was in the ledger before a leaf was in its log, by the monitor's own clock: the signer records
/// it before the log can hear of it, so that a look which begins after the leaf was there cannot miss it.
/// `missing_at`: when it was last looked for and was not there; 0: it was never missed.
pub fn was_signed(
    row: &LedgerRow,
    seen: Option<&IntentSeen>,
    missing_at: i64,
    leaf_seen_at: i64,
    timing: LedgerTiming,
) -> bool {
    let recorded = seen.and_then(|seen| seen.signature_hash);
    let is_that = recorded.is_some() && recorded == signature_hash(row);
    let missing_at = seen.and_then(|seen| seen.signature_seen_at).filter(|_| is_that).unwrap_or(missing_at);
    let backdated = match seen {
        Some(seen) if is_that => seen.signature_backdated,
        _ => chain::is_signed_back(row, missing_at, timing.tolerance_ms()),
    };
    !backdated && missing_at <= leaf_seen_at.saturating_add(timing.ordering_ms())
}

/// A time in words.
fn time(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(|_| format!("{unix_ms} ms"), |at| at.to_string())
}
