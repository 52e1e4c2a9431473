//! Why a registry gave no usable answer. Each message names the registry, the repository where there is one, and
//! the fix where a person can make one; none ever holds a credential.

use std::time::Duration;

use bundle::Digest;
use bundle::oci::ManifestError;
use outbound::OutboundError;

use super::credentials::CredentialsError;
use super::look::Occupied;
use super::manifests::READING;

/// Why a registry gave no usable answer. `name` is `host/repository`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The host of the configuration makes no URL.
    #[error("registry {registry:?} is no host that can be asked")]
    Host {
        /// The host.
        registry: String,
    },
    /// No answer at all.
    #[error("could not ask {name}: {source}")]
    Outbound {
        /// Whom.
        name: String,
        /// Why not.
        #[source]
        source: Box<OutboundError>,
    },
    /// A redirect or an upload leads to where only configured hosts may be.
    #[error(
        "{name} sends us to {host}, which the configuration does not name ({source}); if that is where it keeps \
         its blobs, add it to blob_hosts of [registry.\"{registry}\"] (`verify`: --blob-host)"
    )]
    ForbiddenTarget {
        /// Whom we asked.
        name: String,
        /// The registry's key in the configuration.
        registry: String,
        /// Where it sends us.
        host: String,
        /// What speaks against it.
        #[source]
        source: Box<OutboundError>,
    },
    /// Credentials are wanted, and ours are missing or refused.
    #[error("{name} refuses our credentials for {access}: {why}; check auth of [registry.\"{registry}\"]")]
    Unauthorized {
        /// Who refused.
        name: String,
        /// The registry's key in the configuration.
        registry: String,
        /// `pull` or `pull,push`.
        access: &'static str,
        /// What happened.
        why: &'static str,
    },
    /// The credentials are good, and may not do this.
    #[error("{name} does not allow us to {doing} ({code}); grant pull and push on the repository to the account")]
    Denied {
        /// Who refused.
        name: String,
        /// What we were doing.
        doing: &'static str,
        /// The registry's own code.
        code: String,
    },
    /// A token realm that the configuration does not name: credentials do not go there.
    #[error(
        "registry {registry} sends us for a token to {realm}, {why}; if that is its token service, add it \
         to realm_hosts of [registry.\"{registry}\"] (`verify`: --realm-host)"
    )]
    ForbiddenRealm {
        /// The registry.
        registry: String,
        /// Host of the realm.
        realm: String,
        /// What speaks against it.
        why: String,
    },
    /// The credentials could not be found out.
    #[error("no credentials for registry {registry}: {source}")]
    Credentials {
        /// The registry.
        registry: String,
        /// Why not.
        #[source]
        source: Box<CredentialsError>,
    },
    /// Too many requests.
    #[error("{name} is asked too often (429)")]
    RateLimited {
        /// Who said so.
        name: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The registry, its storage or its token service is not well.
    #[error("{name} is not available: status {status} when asked to {doing}")]
    Unavailable {
        /// Who.
        name: String,
        /// What we were doing.
        doing: &'static str,
        /// The status.
        status: u16,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// What must be there is not.
    #[error("{name} has no {what}")]
    NotFound {
        /// Where.
        name: String,
        /// What.
        what: String,
    },
    /// Content that is not what its digest says.
    #[error("{name} answered {found} where {expected} was asked for; a cache or the storage is broken, or lying")]
    DigestMismatch {
        /// Who.
        name: String,
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// A tag that must be written again and may not be.
    #[error(
        "tag {tag} of {name} is immutable, and another signature must be added to it; exempt the tags sha256-* \
         from the immutability rule"
    )]
    ImmutableTag {
        /// Where.
        name: String,
        /// Which.
        tag: String,
    },
    /// A manifest that we do not touch.
    #[error("{what} in {name} is not usable: {source}")]
    Manifest {
        /// Where.
        name: String,
        /// Which.
        what: String,
        /// What is wrong with it.
        #[source]
        source: Box<ManifestError>,
    },
    /// Something else holds the tag that a signature needs.
    #[error(transparent)]
    Occupied(#[from] Occupied),
    /// More than we read; to stop early could mean to overlook our own signature.
    #[error("{name}: {what} has more than {limit} {noun}, so that not all of it is read")]
    TooMany {
        /// Where.
        name: String,
        /// Of what.
        what: String,
        /// The cap.
        limit: usize,
        /// Of what kind.
        noun: &'static str,
    },
    /// A status that this request does not allow for.
    #[error("{name} answered {status} when asked to {doing} ({code}){message}")]
    Refused {
        /// Who.
        name: String,
        /// What we were doing.
        doing: &'static str,
        /// The status.
        status: u16,
        /// The registry's own code.
        code: String,
        /// The registry's own words, after a colon, or nothing.
        message: String,
    },
    /// An answer that breaks the protocol.
    #[error("the answer of {name} when asked to {doing} is not usable: {why}")]
    Protocol {
        /// Who.
        name: String,
        /// What we were doing.
        doing: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Somebody else wrote the tag each time that we had written it.
    #[error("tag {tag} of {name} was overwritten by somebody else {rounds} times in a row")]
    Contended {
        /// Where.
        name: String,
        /// Which.
        tag: String,
        /// How often.
        rounds: u32,
    },
    /// The registry took our referrer and does not list it.
    #[error("{name} accepted the referrer {referrer} and does not list it yet")]
    NotListed {
        /// Where.
        name: String,
        /// What we pushed.
        referrer: Digest,
    },
}

impl RegistryError {
    pub(super) fn outbound(name: String, source: OutboundError) -> Self {
        Self::Outbound { name, source: Box::new(source) }
    }

    /// Whether the same may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Outbound { source, .. } => source.is_transient(),
            Self::Credentials { source, .. } => source.is_transient(),
            Self::Refused { status, .. } => matches!(status, 408 | 409 | 412 | 425),
            Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::NotFound { .. }
            | Self::DigestMismatch { .. }
            | Self::Protocol { .. }
            | Self::Contended { .. }
            | Self::NotListed { .. } => true,
            Self::Host { .. }
            | Self::ForbiddenTarget { .. }
            | Self::Unauthorized { .. }
            | Self::Denied { .. }
            | Self::ForbiddenRealm { .. }
            | Self::ImmutableTag { .. }
            | Self::Manifest { .. }
            | Self::Occupied(_)
            | Self::TooMany { .. } => false,
        }
    }

    /// How long the registry asks us to stay away.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the registry itself says that our account may not read a manifest, in an error body of its kind; a page of
    /// what stands before it has no code. Some registries say so of a tag that is absent.
    pub fn may_mean_absent(&self) -> bool {
        matches!(self, Self::Denied { doing, code, .. } if *doing == READING && !matches!(code.as_str(), "401" | "403" | "UNAUTHORIZED"))
    }

    /// Whether a refused push may be about the types in a manifest: registries say it in different codes.
    pub(super) fn is_about_media_types(&self) -> bool {
        let Self::Refused { status, code, message, .. } = self else { return false };
        let said = format!("{code} {message}").to_ascii_lowercase();
        let says = |word: &str| said.contains(word);
        *status == 415
            || (matches!(status, 400 | 404 | 405 | 406 | 422)
                && (["MANIFEST_INVALID", "UNSUPPORTED"].contains(&code.as_str())
                    || says("media type")
                    || says("mediatype")
                    || says("content type")
                    || says("content-type")))
    }

    /// Whether a redirect led to no answer, nor ever will: to where we do not go, or in circles.
    pub(super) fn is_redirect_to_nowhere(&self) -> bool {
        match self {
            Self::ForbiddenTarget { .. } => true,
            Self::Outbound { source, .. } => matches!(
                **source,
                OutboundError::Downgrade { .. }
                    | OutboundError::BadRedirect { .. }
                    | OutboundError::TooManyRedirects { .. }
            ),
            _ => false,
        }
    }

    /// Whether this says only that one object is junk, not that the registry could not be asked.
    pub(super) fn is_about_one_object(&self) -> bool {
        match self {
            Self::Manifest { .. } | Self::NotFound { .. } => true,
            // An error page that is too large says nothing about the object.
            Self::Outbound { source, .. } => {
                matches!(**source, OutboundError::TooLarge { status, .. } if status.is_success())
            }
            _ => false,
        }
    }
}
