//! The ledger as the monitor reads it: by what a leaf shows (a signature, a digest), and from one end to the other. Nothing here writes.

use async_trait::async_trait;
use bundle::{Format, ImageReference};

use crate::{JobClass, LedgerRow, StoreError};

pub(crate) mod row;
pub(crate) mod sql;
mod stamp;

pub(crate) use stamp::stamp_ledger_view;

/// A public key of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LedgerKeyRow {
    /// The public key, SPKI in DER.
    pub spki: Vec<u8>,
    /// The identity: a key's fingerprint; of a keyless certificate its name in the configuration.
    pub identity: String,
    /// When it was first recorded, in unix milliseconds.
    pub first_at: i64,
}

/// Rows of the ledger, read one by one: one that somebody else wrote, and that is none, hides no other.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LedgerPage {
    /// Those that can be read, in the order of their ids.
    pub rows: Vec<LedgerRow>,
    /// Those that cannot: id, and why not.
    pub unreadable: Vec<(i64, String)>,
    /// The last id of both.
    pub last_id: Option<i64>,
}

impl LedgerPage {
    /// How many rows there were.
    pub fn len(&self) -> usize {
        self.rows.len().saturating_add(self.unreadable.len())
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a row of the ledger signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LedgerDigest {
    /// The row's id.
    pub id: i64,
    /// The digest that was signed.
    pub signed_digest: Vec<u8>,
    /// The SHA-256 of the payload.
    pub payload_sha256: [u8; 32],
}

/// Where a walk through the log entries stands. The default is the beginning.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EntryCursor {
    /// The ledger's row.
    pub signature_id: i64,
    /// The log.
    pub log_origin: String,
    /// The entry's index.
    pub log_index: u64,
}

/// A log entry of ours, with the basics of its row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LedgerEntryRow {
    /// The ledger's row.
    pub signature_id: i64,
    /// The log.
    pub log_origin: String,
    /// The entry's index.
    pub log_index: u64,
    /// The hash of its leaf.
    pub leaf_hash: [u8; 32],
    /// The log's answer.
    pub entry_json: Vec<u8>,
    /// When it was recorded, in unix milliseconds.
    pub recorded_at: i64,
    /// The image.
    pub image: ImageReference,
    /// The identity: the key's fingerprint.
    pub identity: String,
    /// How the signature is stored.
    pub format: Format,
    /// Who asked.
    pub class: JobClass,
}

impl LedgerEntryRow {
    /// Where a walk goes on after this entry.
    pub fn cursor(&self) -> EntryCursor {
        EntryCursor { signature_id: self.signature_id, log_origin: self.log_origin.clone(), log_index: self.log_index }
    }
}

/// Reads the ledger. Every [`LedgerRow`] from here is without its material, which is large and not asked about; its
/// `stage()` knows of none either.
///
/// Ids are given when a row is begun: on PostgreSQL a smaller one may become visible after a larger one, and a row is
/// signed after it was begun. Whoever walks by id asks again from some thousand rows before, now and then.
#[async_trait]
pub trait LedgerView: Send + Sync {
    /// The rows with any of these signatures (ECDSA with low s). Here and below a row that cannot be read is none.
    async fn ledger_by_signatures(&self, signatures: &[Vec<u8>]) -> Result<Vec<LedgerRow>, StoreError>;

    /// The rows that signed any of these digests.
    async fn ledger_by_digests(&self, signed_digests: &[Vec<u8>]) -> Result<Vec<LedgerRow>, StoreError>;

    /// What the rows after an id signed, in its order; rows that are not signed yet are left out.
    async fn ledger_digests(&self, after_id: i64, limit: u32) -> Result<Vec<LedgerDigest>, StoreError>;

    /// The rows after an id, in its order.
    async fn ledger_rows_after(&self, id: i64, limit: u32) -> Result<LedgerPage, StoreError>;

    /// The newest row's id, and when it was intended.
    async fn ledger_newest(&self) -> Result<Option<(i64, i64)>, StoreError>;

    /// The log entries after a cursor.
    async fn ledger_entries_after(&self, cursor: &EntryCursor, limit: u32) -> Result<Vec<LedgerEntryRow>, StoreError>;

    /// The log entries of one row with the logs that they are in, the oldest first.
    async fn ledger_entries(&self, signature_id: i64) -> Result<Vec<LedgerEntryRow>, StoreError>;
}

#[cfg(test)]
mod tests;
