//! What the monitor saw. One finding per fingerprint, however often and from wherever it is seen: an occurrence is
//! counted once, its evidence kept, and people are told when it is new, worse, back, or ten times as frequent.

use async_trait::async_trait;

use crate::StoreError;

mod kind;
mod row;
pub(crate) mod sql;
mod stamp;

pub use kind::{FindingKind, FindingState, Severity};
pub(crate) use row::Standing;
pub use row::{EvidenceRow, FindingRow};
pub(crate) use stamp::stamp_findings;

/// How many occurrences of one finding are kept with their evidence, the first ones. Those beyond are counted; one of
/// these that is raised again cannot be recognised, and counts again.
pub(crate) const KEPT_OCCURRENCES: usize = 1_000;

/// How many bytes of evidence are kept of one finding. An occurrence beyond them is kept without its bytes.
pub(crate) const KEPT_BYTES: usize = 64 << 20;

/// Whether a count is worth another alert: 10, 100, 1,000 and so on; where each is an event of its own, 2 and 5, 20 and
/// 50 and so on as well.
pub(crate) fn is_milestone(kind: FindingKind, count: u64) -> bool {
    let Some(power) = count.checked_ilog10().and_then(|digits| 10u64.checked_pow(digits)) else { return false };
    let whole = count.is_multiple_of(power);
    match count / power {
        1 => whole && count >= 10,
        2 | 5 => whole && kind.each_is_news(),
        _ => false,
    }
}

/// Something seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewFinding {
    /// What it is.
    pub kind: FindingKind,
    /// How bad it is.
    pub severity: Severity,
    /// The cause: what has the same fingerprint is one finding.
    pub fingerprint: String,
    /// The log that it is about.
    pub log_origin: Option<String>,
    /// One line.
    pub title: String,
    /// What was seen and what to do.
    pub detail: String,
    /// Which time this is, unique within the finding: `origin/index`, or empty where there is only one.
    pub occurrence: String,
    /// The bytes that prove it.
    pub evidence: Option<Vec<u8>>,
    /// When it was seen, in unix milliseconds.
    pub at: i64,
}

/// Somebody to tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sink {
    /// Its name in the configuration.
    pub name: String,
    /// What it wants to hear of, at least.
    pub min_severity: Severity,
}

/// What a person has to say about a finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FindingNote<'a> {
    /// The finding's id.
    pub id: i64,
    /// Why.
    pub because: &'a str,
    /// Who.
    pub by: &'a str,
    /// When, in unix milliseconds.
    pub at: i64,
}

/// What became of something seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Raised {
    /// The finding's id.
    pub id: i64,
    /// Nothing with this fingerprint was seen before.
    pub new: bool,
    /// Whoever listens to this severity is told.
    pub alerted: bool,
}

/// Which findings to list. The default is the newest hundred.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FindingFilter {
    /// In one of these states; none named: in any.
    pub states: Vec<FindingState>,
    /// Of this kind.
    pub kind: Option<FindingKind>,
    /// At least so bad.
    pub min_severity: Option<Severity>,
    /// About this log.
    pub log_origin: Option<String>,
    /// The most rows.
    pub limit: u32,
}

impl Default for FindingFilter {
    fn default() -> Self {
        Self { states: Vec::new(), kind: None, min_severity: None, log_origin: None, limit: 100 }
    }
}

/// Takes, lists, acknowledges and clears findings. They are never deleted.
#[async_trait]
pub trait Findings: Send + Sync {
    /// Raises findings in one transaction; answers for each in the order given.
    ///
    /// The same fingerprint again: the same occurrence changes nothing but `last_seen_at`; another one is counted and
    /// its evidence kept. The sinks are told when a finding is new, its severity rises, it comes back after it was
    /// cleared, or its occurrences reach 10, 100, 1000 and so on (of kinds whose occurrences are events of their own 2, 5,
    /// 20, 50 and so on, too). An acknowledged one opens again when its severity rises, when it reaches the next of these
    /// numbers, and, of those kinds, with the next occurrence. One that a person has closed comes back with an occurrence
    /// that was not known. Title and detail stay those of the first time until one of these happens.
    async fn raise(&self, findings: &[NewFinding], sinks: &[Sink]) -> Result<Vec<Raised>, StoreError>;

    /// Ends a finding that has an end. Those of the sinks that were told of it are told that it is over. `false`: there
    /// is none that is not over.
    async fn clear_finding(&self, fingerprint: &str, at: i64, sinks: &[Sink]) -> Result<bool, StoreError>;

    /// Lists findings, the newest first.
    async fn findings(&self, filter: &FindingFilter) -> Result<Vec<FindingRow>, StoreError>;

    /// One finding.
    async fn finding(&self, id: i64) -> Result<Option<FindingRow>, StoreError>;

    /// What proves a finding, the oldest occurrence first.
    async fn evidence(&self, id: i64) -> Result<Vec<EvidenceRow>, StoreError>;

    /// Quiets a finding until a time in unix milliseconds, and notes how often it was seen by then. Those of the sinks
    /// that were told of it are told that it is over for now: give those that keep what they are told. `false`: there is
    /// none, or it is over.
    async fn acknowledge(&self, note: &FindingNote<'_>, until: i64, sinks: &[Sink]) -> Result<bool, StoreError>;

    /// Ends a finding by a person's word, which is kept in the place of an acknowledgement's. Those of the sinks that
    /// were told of it are told that it is over. `false`: there is none, or it is over.
    async fn close_finding(&self, note: &FindingNote<'_>, sinks: &[Sink]) -> Result<bool, StoreError>;

    /// Opens each finding again whose acknowledgement has ended, and tells the sinks; answers how many.
    async fn expire_acknowledgements(&self, now: i64, sinks: &[Sink]) -> Result<u64, StoreError>;

    /// How many findings are open, by kind and severity.
    async fn open_counts(&self) -> Result<Vec<(FindingKind, Severity, u64)>, StoreError>;
}

#[cfg(test)]
mod tests;
