//! Verification, offline: a bundle or a legacy signature, an expected digest and key, and whom we trust.
mod bundle;
mod legacy;
mod log;
mod material;

pub use bundle::verify_bundle;
pub use legacy::verify_legacy;
pub use log::verify_entry;

use crate::digest::Digest;
use crate::dsse::IN_TOTO_PAYLOAD_TYPE;
use crate::entry::EntryError;
use crate::legacy::LegacyError;
use crate::public_key::SignatureError;
use crate::simple_signing::SimpleSigningError;
use crate::statement::{SIGN_PREDICATE_TYPE, StatementError};
use crate::timestamp::TimestampError;
use tlog::{CheckpointError, ProofError, SetError};

/// What must be there besides a valid signature. What is there is checked in any case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Requirements {
    /// An entry in a log that the trust root names.
    pub log: bool,
    /// A timestamp by an authority that the trust root names.
    pub timestamp: bool,
}

impl Default for Requirements {
    fn default() -> Requirements {
        Requirements { log: true, timestamp: false }
    }
}

/// What was proved.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verified {
    /// The entries that count: log id and the index that the log gave.
    pub entries: Vec<([u8; 32], u64)>,
    /// When a Rekor v1 log took the signature, in unix seconds, by its signed entry timestamp.
    pub integrated_time: Option<i64>,
    /// When trusted authorities saw the signature, in unix seconds.
    pub timestamps: Vec<i64>,
}

/// Why a signature does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The bundle names another key, by its hint.
    #[error("signature is by another key: its hint is {found:?}, the expected key's is {expected:?}")]
    WrongKey {
        /// The bundle's hint.
        found: String,
        /// The key's.
        expected: String,
    },
    /// The bundle is keyless.
    #[error("signature is by a certificate's key, and a public key was expected")]
    Certificate,
    /// Wrong bytes, or another key.
    #[error("{0}")]
    Signature(#[from] SignatureError),
    /// Not one signature over an envelope.
    #[error("an image's bundle holds an envelope with exactly one signature: {0}")]
    Content(&'static str),
    /// The envelope is around something else.
    #[error("envelope's payload is of type {0:?} and not {IN_TOTO_PAYLOAD_TYPE:?}")]
    PayloadType(String),
    /// The statement cannot be read.
    #[error("{0}")]
    Statement(#[from] StatementError),
    /// The simple-signing payload cannot be read.
    #[error("{0}")]
    SimpleSigning(#[from] SimpleSigningError),
    /// The annotations of a legacy signature cannot be read.
    #[error("{0}")]
    Legacy(#[from] LegacyError),
    /// A statement of another kind by the same key is no signature.
    #[error("statement's predicate type is {0:?}, which is not a signature's ({SIGN_PREDICATE_TYPE:?})")]
    PredicateType(String),
    /// The signature is about something else.
    #[error("signature is about {}, not about {expected}", claimed(.found))]
    WrongDigest {
        /// What it is about.
        found: Vec<Digest>,
        /// What it should be about.
        expected: Digest,
    },
    /// More of something than a verifier should look at.
    #[error("{count} {what} are more than {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// The same entry or timestamp twice would count twice.
    #[error("the same {0} is there twice")]
    Duplicate(&'static str),
    /// The entry's log is not in the trust root.
    #[error("log {} is not in the trusted root", hex::encode(.0))]
    UnknownLog([u8; 32]),
    /// The entry says one kind and its body another.
    #[error("log entry is called {claimed:?} and its body is {body:?}")]
    KindVersion {
        /// As the entry says.
        claimed: String,
        /// As the body says.
        body: String,
    },
    /// The entry proves nothing, or not what an entry of its kind must prove.
    #[error("log entry has no {0}")]
    Missing(&'static str),
    /// The signed entry timestamp does not verify.
    #[error("log entry's signed entry timestamp: {0}")]
    Set(#[from] SetError),
    /// The proof does not lead from the leaf to the root.
    #[error("log entry's inclusion proof: {0}")]
    InclusionProof(#[from] ProofError),
    /// The checkpoint is not the log's.
    #[error("log entry's checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is of another tree than the proof.
    #[error("log entry's inclusion proof leads to another tree than its checkpoint signs")]
    TreeHead,
    /// On a log of one tree there is one index.
    #[error("log entry names index {claimed} and proves index {proved}")]
    Index {
        /// As the entry says.
        claimed: u64,
        /// As the proof says.
        proved: u64,
    },
    /// The entry is about something else than this signature.
    #[error("log entry is not about this signature: {0}")]
    Entry(#[from] EntryError),
    /// The log's key was not the log's at that time.
    #[error("log {base_url} is not trusted for the time {at}")]
    LogOutsideValidity {
        /// Which log.
        base_url: String,
        /// The time, in unix seconds.
        at: i64,
    },
    /// No timestamp counts.
    #[error("{0}")]
    Timestamp(#[from] TimestampError),
    /// A timestamp is required, and there is none.
    #[error("signature carries no timestamp")]
    NotTimestamped,
    /// An entry is required, and none is of a trusted log.
    #[error("signature is in no log that the trusted root names")]
    NotLogged,
}

fn claimed(digests: &[Digest]) -> String {
    match digests {
        [] => "nothing with a sha256 digest".to_owned(),
        [one] => one.to_string(),
        [one, rest @ ..] => format!("{one} and {} more", rest.len()),
    }
}

#[cfg(test)]
mod tests;
