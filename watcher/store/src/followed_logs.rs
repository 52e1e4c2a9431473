//! The logs that we follow: how each came to be trusted, who follows it now, how far it is verified, and the signed
//! notes that we saw. What was found in a segment is written with the position that it leads to, in one transaction,
//! and only by the holder of the log's lease.

use async_trait::async_trait;

use crate::{NewFinding, NewSuspect, ObservedIdentity, Sighting, Sink, StoreError};

mod row;
pub(crate) mod sql;
mod stamp;

pub(crate) use row::Standing;
pub use row::{FollowedLog, Head, LogTrust, NoteRow};
pub(crate) use stamp::stamp_followed_logs;

/// The act of trusting a log from a size on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewTrust {
    /// The log's origin.
    pub origin: String,
    /// How it is read.
    pub kind: String,
    /// The id of its key.
    pub key_id: [u8; 32],
    /// Its pinned key, SPKI in DER.
    pub public_key: Vec<u8>,
    /// How much of it is read.
    pub coverage: String,
    /// The size from which on it is covered.
    pub size: u64,
    /// The root at that size.
    pub root: [u8; 32],
    /// The compact range at that size.
    pub range: Vec<u8>,
    /// The note that was trusted; empty where the log is read from zero.
    pub note: Vec<u8>,
    /// The head that is known stays, so that what is read again must lead to it; not where the key is another one.
    pub keep_head: bool,
    /// Why.
    pub because: String,
    /// Who.
    pub by: String,
    /// When, in unix milliseconds.
    pub at: i64,
}

/// A log that one process follows. Every write of a position is fenced by it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogLease {
    /// The log's origin.
    pub origin: String,
    /// Who holds it.
    pub holder: String,
    pub(crate) lease: String,
}

/// A signed note as it came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoteSeen {
    /// The log that it names.
    pub origin: String,
    /// Who showed it: `log`, `witness NAME`, `ledger`, `registry`.
    pub source: String,
    /// The note, verbatim.
    pub note: Vec<u8>,
    /// The size that it signs.
    pub size: u64,
    /// The root that it signs.
    pub root: [u8; 32],
    /// When, in unix milliseconds.
    pub seen_at: i64,
}

/// A position whose root is signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifiedPosition {
    /// The size.
    pub size: u64,
    /// The root.
    pub root: [u8; 32],
    /// The compact range.
    pub range: Vec<u8>,
}

/// What a step along a log came to. All of it is written in one transaction, or nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Advance {
    /// A newer head that is consistent with what is verified; `None` keeps the one that is there.
    pub head: Option<Head>,
    /// A newer verified position; `None` keeps the one that is there.
    pub verified: Option<VerifiedPosition>,
    /// How far leaves were read; never written back.
    pub read_size: u64,
    /// Since when the log is known to be closed, in unix milliseconds. The first time stays; but a newer head brings its
    /// own, and with `None` the log has grown and is closed no more.
    pub frozen_at: Option<i64>,
    /// What was seen.
    pub findings: Vec<NewFinding>,
    /// What the ledger may still explain.
    pub suspects: Vec<NewSuspect>,
    /// What the matchers matched, the newest of each.
    pub sightings: Vec<Sighting>,
    /// What observing rules saw. `times` is added to what is there.
    pub observed: Vec<ObservedIdentity>,
    /// How many leaves were counted without a word, by reason.
    pub counted: Vec<(String, u64)>,
    /// Whom to tell of the findings.
    pub sinks: Vec<Sink>,
    /// When, in unix milliseconds.
    pub at: i64,
}

/// Remembers logs and their notes.
#[async_trait]
pub trait FollowedLogs: Send + Sync {
    /// Sets a log's position, or resets it, by an explicit act that is kept. Whoever follows the log loses its lease
    /// and starts from here.
    async fn trust_log(&self, trust: &NewTrust) -> Result<(), StoreError>;

    /// Sets a log's position where there is none: for trust that nobody has acted on. `false`: the log is known, and stays
    /// as it is.
    async fn trust_new_log(&self, trust: &NewTrust) -> Result<bool, StoreError>;

    /// Says how much of a log is read from now on. `false`: the lease was lost.
    async fn cover_log(&self, lease: &LogLease, coverage: &str) -> Result<bool, StoreError>;

    /// Every act of trust in a log, the oldest first.
    async fn log_trusts(&self, origin: &str) -> Result<Vec<LogTrust>, StoreError>;

    /// Every log, by origin.
    async fn followed_logs(&self) -> Result<Vec<FollowedLog>, StoreError>;

    /// One log.
    async fn followed_log(&self, origin: &str) -> Result<Option<FollowedLog>, StoreError>;

    /// Takes a log, unless somebody holds it. The lease runs on the database's clock.
    async fn lease_log(&self, origin: &str, holder: &str, lease_ms: i64) -> Result<Option<LogLease>, StoreError>;

    /// Prolongs the lease, which ends `lease_ms` from now, and notes how far leaves were read. `false`: it was lost.
    async fn renew_log(&self, lease: &LogLease, lease_ms: i64, read_size: u64) -> Result<bool, StoreError>;

    /// Gives a log back. Nothing happens if the lease was lost.
    async fn release_log(&self, lease: LogLease) -> Result<(), StoreError>;

    /// Keeps a note whose size and root are new for this log. `false`: they are known.
    async fn record_note(&self, note: &NoteSeen) -> Result<bool, StoreError>;

    /// The newest notes of a log, the newest first.
    async fn notes(&self, origin: &str, limit: u32) -> Result<Vec<NoteRow>, StoreError>;

    /// The notes of one size; two are a fork.
    async fn note_at(&self, origin: &str, size: u64) -> Result<Vec<NoteRow>, StoreError>;

    /// Writes a step, in one transaction. `false`, and nothing is written: the lease was lost, or head or verified
    /// position would go back or have another root at the size that is stored. Start over from [`Self::followed_log`].
    ///
    /// Written twice (the answer to the first got lost), a step that moves the verified position counts once.
    async fn advance(&self, lease: &LogLease, step: &Advance) -> Result<bool, StoreError>;

    /// How many leaves were counted without a word, by reason.
    async fn counted_leaves(&self) -> Result<Vec<(String, u64)>, StoreError>;
}

#[cfg(test)]
mod tests;
