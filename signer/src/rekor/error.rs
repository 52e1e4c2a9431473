//! Why a log did not take an entry, or why its answer is not believed.

use std::time::Duration;

use bundle::entry::EntryError;
use outbound::OutboundError;

use crate::retry::Retryable;

/// Why there is no log entry.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No answer.
    #[error("log {origin} could not be asked: {source}")]
    Unreachable {
        /// The log.
        origin: String,
        /// What the client said.
        source: OutboundError,
    },
    /// An answer that says: not now.
    #[error("log {origin} is not available ({status}): {message}")]
    Unavailable {
        /// The log.
        origin: String,
        /// The HTTP status.
        status: u16,
        /// The start of the body.
        message: String,
        /// How long it asks us to stay away.
        retry_after: Option<Duration>,
    },
    /// An answer that says: never.
    #[error("log {origin} refused ({status}): {message}")]
    Refused {
        /// The log.
        origin: String,
        /// The HTTP status.
        status: u16,
        /// The start of the body.
        message: String,
    },
    /// It takes no new entries: its last one is written, or something that stands in front of it answers.
    #[error(
        "log {origin} takes no new entries (405): if it is frozen, name its successor in the signing config or by `[log.\"ORIGIN\"]`; if not, look at what stands in front of it"
    )]
    Frozen {
        /// The log.
        origin: String,
    },
    /// An answer that cannot be read.
    #[error("log {origin} gave an answer that cannot be read: {reason}")]
    Malformed {
        /// The log.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request cannot be built.
    #[error("the signature cannot be made into an entry for log {origin}: {source}")]
    Request {
        /// The log.
        origin: String,
        /// Why not.
        source: EntryError,
    },
    /// The answer is about something else than what was sent.
    #[error("log {origin} answered with an entry (index {index}) that is not the one that was sent: {source}")]
    NotOurs {
        /// The log.
        origin: String,
        /// Where it says that the entry is.
        index: u64,
        /// What differs.
        source: EntryError,
    },
    /// The log said that index N holds our entry, and it holds another.
    #[error("log {origin} says that it holds this entry at index {index}, where it holds another one")]
    NotThere {
        /// The log.
        origin: String,
        /// The index that it named.
        index: u64,
    },
    /// Signatures or proofs of the answer do not verify.
    #[error(
        "the answer of log {origin} is not to be believed: {source}; check the log's public key and origin in the configuration"
    )]
    Untrusted {
        /// The log.
        origin: String,
        /// What does not verify.
        source: Untrusted,
    },
    /// A Rekor v2 write server has no reads of its own.
    #[error(
        "log {origin} already holds this entry (index {index}), and reading it back needs the URL of its tiles: set `[log.\"{origin}\"] read_url`"
    )]
    ReadUrlMissing {
        /// The log.
        origin: String,
        /// Where it says that the entry is.
        index: u64,
    },
    /// Written, and no checkpoint covers it yet.
    #[error("log {origin} has taken the entry (index {index}) and shows no proof for it yet")]
    NotIntegrated {
        /// The log.
        origin: String,
        /// Where it says that the entry is.
        index: u64,
    },
}

/// What about an answer does not verify.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    /// Another log's id.
    #[error("it names another log's key")]
    LogId,
    /// The answer calls its body something else than it is.
    #[error("it names another kind of entry than its body is")]
    Kind,
    /// Rekor v1's signed entry timestamp is wrong.
    #[error(transparent)]
    Set(#[from] tlog::SetError),
    /// Rekor v1 must always give one.
    #[error("it has no signed entry timestamp")]
    SetMissing,
    /// Rekor v2 must always give one.
    #[error("it has no inclusion proof")]
    ProofMissing,
    /// The checkpoint does not open.
    #[error(transparent)]
    Checkpoint(#[from] tlog::CheckpointError),
    /// Proof and checkpoint name different trees.
    #[error("its inclusion proof is for another tree than its checkpoint")]
    OtherTree,
    /// The inclusion proof does not lead to the checkpoint's root.
    #[error(transparent)]
    Proof(#[from] tlog::ProofError),
    /// The entry's index and that of its proof differ.
    #[error("its index and the index of its inclusion proof differ")]
    Index,
    /// The log's tiles do not make a tree.
    #[error(transparent)]
    Tile(#[from] tlog::tile::TileError),
}

impl LogError {
    /// Whether the same call may succeed later, with nobody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => source.is_transient(),
            Self::Unavailable { .. } | Self::NotIntegrated { .. } => true,
            // What stands in front of a log answers in HTML when the log is down.
            Self::Malformed { .. } => true,
            Self::Refused { .. }
            | Self::Frozen { .. }
            | Self::Request { .. }
            | Self::NotOurs { .. }
            | Self::NotThere { .. }
            | Self::Untrusted { .. }
            | Self::ReadUrlMissing { .. } => false,
        }
    }

    /// How long the log asked us to stay away.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Retryable for LogError {
    fn is_transient(&self) -> bool {
        self.is_transient()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after()
    }
}
