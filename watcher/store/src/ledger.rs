//! The ledger: what we meant to sign, what was signed, what a log said of it and what was attached.
//!
//! One row per (registry, repository, digest, identity, format, attempt). It fills from left to right: the
//! **intent** is there before the log can hear of anything, then the **signature**, the log's
//! **entries**, the **material**, and that it is **attached**. Each fact is taken once: the second caller
//! is told what the first one stored, and goes on with that. Nothing here is ever deleted. A row that is
//! **abandoned** is never taken up again; the next attempt is a row of its own.

use async_trait::async_trait;
use bundle::{Digest, Format, ImageReference};

use crate::{JobClass, StoreError};

mod row;
pub(crate) mod sql;
mod stamp;

pub(crate) use row::LedgerKey;
pub use row::{Abandoned, LedgerRow, Stage};
pub(crate) use stamp::stamp_ledger;

/// What we are about to sign: stored before anything is signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Intent {
    /// The image.
    pub image: ImageReference,
    /// The identity's name in the configuration.
    pub identity_name: String,
    /// The identity: the key's fingerprint.
    pub identity: String,
    /// The public key.
    pub public_key_spki: Vec<u8>,
    /// How the signature is stored.
    pub format: Format,
    /// The log that it goes to.
    pub log_origin: String,
    /// The trust zone of the rule that asks for it.
    pub trust_zone: String,
    /// Who asked.
    pub class: JobClass,
    /// When, in unix milliseconds.
    pub at: i64,
}

/// A signature as the key gave it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordedSignature {
    /// The statement or simple-signing payload.
    pub payload: Vec<u8>,
    /// The digest that was signed.
    pub signed_digest: Vec<u8>,
    /// The signature; for ECDSA with low s.
    pub signature: Vec<u8>,
    /// When, in unix milliseconds.
    pub at: i64,
}

/// What a log answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordedEntry {
    /// The log.
    pub log_origin: String,
    /// The entry's index.
    pub log_index: u64,
    /// The hash of its leaf.
    pub leaf_hash: [u8; 32],
    /// The log's answer.
    pub entry_json: Vec<u8>,
    /// When, in unix milliseconds.
    pub at: i64,
}

/// What is attached to the image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Material {
    /// The bundle, or the legacy signature with its annotations, as JSON.
    pub artifact: Vec<u8>,
    /// The exact manifest that carries it, where it is ours alone.
    pub manifest: Option<Vec<u8>>,
    /// When, in unix milliseconds.
    pub at: i64,
}

/// Takes each fact about a signature once.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Records an intent, or answers with the row that is there: the newest attempt. Where that is abandoned, the next
    /// attempt begins. An identity that is recorded in another trust zone is refused.
    async fn intend(&self, intent: &Intent) -> Result<LedgerRow, StoreError>;

    /// One row.
    async fn ledger_row(&self, id: i64) -> Result<LedgerRow, StoreError>;

    /// Every row of an image.
    async fn ledger_for(&self, image: &ImageReference) -> Result<Vec<LedgerRow>, StoreError>;

    /// Counts that the key is about to be asked. Called before each use of a key for this row.
    async fn count_key_use(&self, id: i64) -> Result<(), StoreError>;

    /// Abandons a row whose signature no log was told of: it is never signed, logged or attached after this. `false`: it
    /// has a log entry, or is attached or abandoned already, and stays as it is.
    async fn abandon(&self, id: i64, because: &str, at: i64) -> Result<bool, StoreError>;

    /// Records the signature, unless one is recorded; answers with the row, and so with the
    /// signature to go on with.
    async fn record_signature(&self, id: i64, signature: &RecordedSignature) -> Result<LedgerRow, StoreError>;

    /// Records what a log answered. A log that forgets may be told twice, so there may be several;
    /// the same (row, log, index) is recorded once.
    async fn record_entry(&self, id: i64, entry: &RecordedEntry) -> Result<(), StoreError>;

    /// A row's log entries, the oldest first.
    async fn entries(&self, id: i64) -> Result<Vec<RecordedEntry>, StoreError>;

    /// Records what is to be attached, unless it is recorded; answers with the row, and so with the
    /// material to attach.
    async fn record_material(&self, id: i64, material: &Material) -> Result<LedgerRow, StoreError>;

    /// Records that it is attached. `adopted`: a signature of this identity was found in the
    /// registry, so the row may be without a signature of its own. Attached again (the registry lost
    /// it, or a manifest was merged), the row keeps its first time and takes the new manifest.
    async fn record_attached(
        &self,
        id: i64,
        manifest_digest: &Digest,
        adopted: bool,
        at: i64,
    ) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests;
