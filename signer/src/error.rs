//! Why a digest could not be signed, or its signature not be published.

use std::time::Duration;

use bundle::verify::VerifyError;

use crate::key::KeyError;
use crate::rekor::LogError;
use crate::supported::Unsupported;
use crate::timestamp::TimestampError;

/// Why `sign` gave no signature.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key could not, or would not, sign.
    #[error("could not sign: {0}")]
    Key(#[from] KeyError),
}

impl SignError {
    /// Whether the same call may succeed later, with nobody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Key(error) => error.is_transient(),
        }
    }
}

/// Why `publish`, or one of its halves, gave no material.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Nobody could verify this combination of key, format and log.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The log did not take the entry, or its answer is not to be believed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// No timestamp, or none that can be believed.
    #[error(transparent)]
    Timestamp(#[from] TimestampError),
    /// The signature's own bytes make no log entry.
    #[error("the signature cannot be made into a log entry: {0}")]
    Entry(#[source] bundle::entry::EntryError),
    /// The services name a log, and no entry of it was given.
    #[error("no log entry for a signature that log {origin} must carry: write it to the log first")]
    EntryMissing {
        /// The log that should carry it.
        origin: String,
    },
    /// The recorded log entry is about something else.
    #[error("the recorded log entry is not about this signature: {0}")]
    EntryMismatch(#[source] bundle::entry::EntryError),
    /// The material was built, and does not verify offline. It is not handed out.
    #[error(
        "the new {format} signature does not verify offline: {source}; check that the trusted root names the log and the timestamp authority that are written to"
    )]
    Unverified {
        /// The format that was built.
        format: bundle::Format,
        /// What failed.
        source: VerifyError,
    },
    /// The new bundle does not read back.
    #[error("the new bundle does not read back: {0}")]
    Bundle(#[from] bundle::sigstore_bundle::BundleError),
    /// The legacy signature cannot be built, or read from what the ledger kept.
    #[error("the legacy signature is not usable: {0}")]
    Legacy(#[from] bundle::legacy::LegacyError),
}

impl PublishError {
    /// Whether the same call may succeed later, with nobody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Log(error) => error.is_transient(),
            Self::Timestamp(error) => error.is_transient(),
            _ => false,
        }
    }

    /// How long the other side asked us to stay away.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Log(error) => error.retry_after(),
            Self::Timestamp(error) => error.retry_after(),
            _ => None,
        }
    }
}
