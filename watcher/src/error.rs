//! Why a piece of work could not be done. It says that we could not look or act, never what we saw.

use std::time::Duration;

use bundle::Format;
use signer::{PublishError, SignError};
use store::StoreError;

use crate::endpoint::Endpoint;
use crate::intake::IntakeError;
use crate::registry::RegistryError;

/// Why an event or a job did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// The registry could not be asked, or did not do as told.
    #[error(transparent)]
    Registry(Box<RegistryError>),
    /// The store.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// The queue of events.
    #[error("the intake queue failed: {0}")]
    Intake(#[from] IntakeError),
    /// The key.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The log, the timestamp authority, or what they answered.
    #[error(transparent)]
    Publish(Box<PublishError>),
    /// A name that the configuration does not hold (any more).
    #[error("rule signs with identity {name:?}, which is not configured: add [identity.{name}] or change the rule")]
    UnknownIdentity {
        /// The name.
        name: String,
    },
    /// A job for a registry that the configuration does not hold (any more).
    #[error("registry {host} is not configured: add [registry.{host:?}]")]
    UnknownRegistry {
        /// The host.
        host: String,
    },
    /// The digest is in no manifest store of the registry (any more, or yet).
    #[error("the registry has no manifest {digest} in {name}")]
    ManifestMissing {
        /// `host/repository`.
        name: String,
        /// The digest.
        digest: String,
    },
    /// A tag that was announced, or pointed to the digest, is not in the registry (any more, or yet).
    #[error("the registry does not have the tag {name}:{tag}")]
    TagGone {
        /// `host/repository`.
        name: String,
        /// The tag.
        tag: String,
    },
    /// No tag that the rules allow points to the digest any more, since the work began.
    #[error("no tag that the rules allow points to {image} any more")]
    AuthorityLost {
        /// The image.
        image: String,
    },
    /// Not all tags of a repository were looked at, so that nothing can be said about a digest.
    #[error(
        "{name} has more than the {looked_at} tags that were looked at, and none of those points to {digest}: \
         push the image by a tag, or let the webhook name the tag"
    )]
    IncompleteLook {
        /// `host/repository`.
        name: String,
        /// The digest.
        digest: String,
        /// How many tags were looked at.
        looked_at: usize,
    },
    /// An endpoint is in trouble, and is left alone until one piece of work finds out that it is over.
    #[error("{endpoint} is in trouble and is not asked now")]
    EndpointShut {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// So much waits for an endpoint that this goes back to the queue.
    #[error("no place at {endpoint}: others wait for it")]
    NoPlace {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// What the ledger holds for a signature does not read back.
    #[error("ledger row {row} ({format}) does not read back: {what}")]
    Ledger {
        /// The row.
        row: i64,
        /// The format.
        format: Format,
        /// What is wrong.
        what: String,
    },
    /// The signature is on the image already, in a copy that lacks its proof, and the registry client adds none twice.
    #[error(
        "tag {tag} of {name} holds this signature without its log entry or timestamp, so that readers refuse it; it was \
         left as it is. Let the rule sign in another format, or look at what the tag holds, move that to another tag \
         so that nothing is lost, and run `sealwatch retry`"
    )]
    IncompleteCopy {
        /// `host/repository`.
        name: String,
        /// The tag.
        tag: String,
    },
    /// Somebody else is attaching something to the same digest.
    #[error("another process holds the lock of {key}")]
    Locked {
        /// `host/repository@digest`.
        key: String,
    },
    /// The lease went to another worker while we worked; it goes on from the ledger.
    #[error("the lease was lost to another worker")]
    LeaseLost,
    /// It took longer than it may.
    #[error("no answer in {seconds} s")]
    TimedOut {
        /// How long we waited.
        seconds: u64,
    },
}

impl From<RegistryError> for WorkError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl From<PublishError> for WorkError {
    fn from(error: PublishError) -> Self {
        Self::Publish(Box::new(error))
    }
}

impl WorkError {
    /// Whether the same may succeed later, with nobody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_transient(),
            Self::Sign(error) => error.is_transient(),
            Self::Publish(error) => error.is_transient(),
            Self::Store(error) => !matches!(error, StoreError::TwoTrustZones { .. }),
            Self::Intake(_) | Self::ManifestMissing { .. } | Self::Locked { .. } => true,
            Self::TagGone { .. } | Self::AuthorityLost { .. } | Self::IncompleteLook { .. } => true,
            Self::EndpointShut { .. } | Self::NoPlace { .. } => true,
            Self::LeaseLost | Self::TimedOut { .. } => true,
            Self::UnknownIdentity { .. }
            | Self::UnknownRegistry { .. }
            | Self::Ledger { .. }
            | Self::IncompleteCopy { .. } => false,
        }
    }

    /// How long the other side asked us to stay away.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Registry(error) => error.retry_after(),
            Self::Publish(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whose fault it was, for the counters.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Registry(_)
            | Self::ManifestMissing { .. }
            | Self::TagGone { .. }
            | Self::AuthorityLost { .. }
            | Self::IncompleteLook { .. }
            | Self::IncompleteCopy { .. } => "registry",
            Self::EndpointShut { .. } | Self::NoPlace { .. } => "endpoint",
            Self::Store(_) | Self::Intake(_) | Self::Ledger { .. } => "store",
            Self::Sign(_) => "key",
            Self::Publish(_) => "log",
            Self::UnknownIdentity { .. } | Self::UnknownRegistry { .. } => "configuration",
            Self::Locked { .. } | Self::LeaseLost => "contention",
            Self::TimedOut { .. } => "timeout",
        }
    }
}
