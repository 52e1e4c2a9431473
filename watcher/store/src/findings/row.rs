//! A finding as it is stored.

use super::{FindingKind, FindingState, Severity};
use crate::column::{converted, from_row, parsed};

/// A finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FindingRow {
    /// The finding's id.
    pub id: i64,
    /// What it is.
    pub kind: FindingKind,
    /// How bad it is.
    pub severity: Severity,
    /// The cause.
    pub fingerprint: String,
    /// The log that it is about.
    pub log_origin: Option<String>,
    /// One line.
    pub title: String,
    /// What was seen and what to do.
    pub detail: String,
    /// When it was first seen, in unix milliseconds.
    pub first_seen_at: i64,
    /// When it was last seen.
    pub last_seen_at: i64,
    /// How often it was seen.
    pub occurrences: u64,
    /// Where it stands.
    pub state: FindingState,
    /// Until when it is quiet; this and the next two are of the last acknowledgement, which may be over.
    pub acknowledged_until: Option<i64>,
    /// Why it was acknowledged.
    pub acknowledged_because: Option<String>,
    /// Who acknowledged it.
    pub acknowledged_by: Option<String>,
    /// How often it had been seen when it was acknowledged.
    pub acknowledged_occurrences: Option<u64>,
    /// When it was over.
    pub cleared_at: Option<i64>,
    /// How often the sinks were told.
    pub alerts: u32,
}

from_row!(FindingRow, |row| Ok(Self {
    id: row.try_get("id")?,
    kind: parsed("kind", row.try_get("kind")?)?,
    severity: parsed("severity", row.try_get("severity")?)?,
    fingerprint: row.try_get("fingerprint")?,
    log_origin: row.try_get("log_origin")?,
    title: row.try_get("title")?,
    detail: row.try_get("detail")?,
    first_seen_at: row.try_get("first_seen_at")?,
    last_seen_at: row.try_get("last_seen_at")?,
    occurrences: converted("occurrences", row.try_get::<i64, _>("occurrences")?)?,
    state: parsed("state", row.try_get("state")?)?,
    acknowledged_until: row.try_get("acknowledged_until")?,
    acknowledged_because: row.try_get("acknowledged_because")?,
    acknowledged_by: row.try_get("acknowledged_by")?,
    acknowledged_occurrences: occurrences_by_then(row.try_get("acknowledged_occurrences")?)?,
    cleared_at: row.try_get("cleared_at")?,
    alerts: converted("alerts", row.try_get::<i64, _>("alerts")?)?,
}));

fn occurrences_by_then(count: Option<i64>) -> sqlx::Result<Option<u64>> {
    count.map(|count| converted("acknowledged_occurrences", count)).transpose()
}

/// One occurrence of a finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EvidenceRow {
    /// Which time this was.
    pub occurrence: String,
    /// When it was seen, in unix milliseconds.
    pub at: i64,
    /// The bytes that prove it, where there are any.
    pub evidence: Option<Vec<u8>>,
}

from_row!(EvidenceRow, |row| Ok(Self {
    occurrence: row.try_get("occurrence")?,
    at: row.try_get("occurred_at")?,
    evidence: row.try_get("evidence")?,
}));

/// A finding as the transaction that raises it found it.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) id: i64,
    pub(crate) severity: Severity,
    pub(crate) state: FindingState,
    pub(crate) occurrences: u64,
    /// A person ended it, not time.
    pub(crate) closed: bool,
}

from_row!(Standing, |row| Ok(Self {
    id: row.try_get("id")?,
    severity: parsed("severity", row.try_get("severity")?)?,
    state: parsed("state", row.try_get("state")?)?,
    occurrences: converted("occurrences", row.try_get::<i64, _>("occurrences")?)?,
    closed: row.try_get::<i64, _>("closed")? != 0,
}));
