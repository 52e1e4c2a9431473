//! Why a request got no answer.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::address::Refusal;

/// No answer: we could not ask, or would not take what came back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The answer is larger than the caller's cap.
    #[error("the answer of {host} (status {}) is larger than {limit} bytes", status.as_u16())]
    TooLarge {
        /// Who answered.
        host: String,
        /// What kind of answer it is: an error page can be too large as well.
        status: StatusCode,
        /// The cap of this request.
        limit: usize,
    },
    /// Not done within the time given, redirects and body included.
    #[error("{host} did not answer within {} ms", after.as_millis())]
    Timeout {
        /// Who was asked last.
        host: String,
        /// The time that was given.
        after: Duration,
    },
    /// No connection.
    #[error("could not connect to {host}: {cause}")]
    Connect {
        /// Who was asked.
        host: String,
        /// Why not.
        #[source]
        cause: Cause,
    },
    /// A connection, but no TLS over it.
    #[error("no trusted TLS connection to {host}: {cause}{hint}")]
    Tls {
        /// Who was asked.
        host: String,
        /// Why not.
        #[source]
        cause: Cause,
        /// What a person can do about it.
        hint: &'static str,
    },
    /// The connection broke before the answer was complete, or what came was not HTTP.
    #[error("the connection to {host} broke off: {cause}")]
    Broken {
        /// Who was asked.
        host: String,
        /// Why.
        #[source]
        cause: Cause,
    },
    /// A host that the configuration does not name, at an address where only configured hosts may be.
    #[error("refused to connect to {host}: {why}, and the configuration does not name this host")]
    ForbiddenTarget {
        /// The host.
        host: String,
        /// What speaks against it.
        why: Refusal,
    },
    /// A host that the configuration names, for which its proxy is not asked.
    #[error("the proxy is not asked for {host}: {why}")]
    NotProxied {
        /// The host.
        host: String,
        /// What speaks against it.
        why: Refusal,
    },
    /// From https back to http.
    #[error("refused to follow a redirect from https to plain http ({from} to {to})")]
    Downgrade {
        /// Who redirected.
        from: String,
        /// Where to.
        to: String,
    },
    /// A redirect that leads nowhere.
    #[error("{host} redirects to an address that cannot be used: {why}")]
    BadRedirect {
        /// Who redirected.
        host: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Redirects beyond the caller's limit.
    #[error("more than {max} redirects, the last from {host}")]
    TooManyRedirects {
        /// Who redirected last.
        host: String,
        /// The limit of this request.
        max: u8,
    },
    /// A URL that we do not request.
    #[error("cannot request a URL of {host}: {why}")]
    Url {
        /// The host part.
        host: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A CA file that holds no certificate.
    #[error("CA file {number} of the configuration holds no usable PEM certificate")]
    CaFile {
        /// Its position among those given, from 1.
        number: usize,
    },
    /// The client could not be made.
    #[error("could not set up the HTTP client: {0}")]
    Setup(#[source] Cause),
}

impl OutboundError {
    /// True where the same request may succeed later without anybody changing our configuration.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Connect { .. } | Self::Tls { .. } | Self::Broken { .. } => true,
            Self::TooLarge { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::ForbiddenTarget { .. }
            | Self::NotProxied { .. }
            | Self::Downgrade { .. }
            | Self::BadRedirect { .. }
            | Self::TooManyRedirects { .. }
            | Self::Url { .. }
            | Self::CaFile { .. }
            | Self::Setup(_) => false,
        }
    }
}

/// The transport's own error, shown by its innermost reason and never with the URL, whose query may be secret.
#[derive(Debug)]
pub struct Cause(reqwest::Error);

impl Cause {
    pub(crate) fn new(error: reqwest::Error) -> Self {
        Self(error.without_url())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut innermost: &dyn Error = &self.0;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        write!(f, "{innermost}")
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// What the guarded resolver answers when every address of a name is refused.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RefusedName(pub(crate) Refusal);

/// Sorts a transport error into ours.
pub(crate) fn classify(error: reqwest::Error, host: &str, after: Duration, bare: bool) -> OutboundError {
    let host = host.to_owned();
    if let Some(RefusedName(why)) = find(&error) {
        return OutboundError::ForbiddenTarget { host, why: *why };
    }
    if error.is_timeout() {
        return OutboundError::Timeout { host, after };
    }
    if find::<rustls::Error>(&error).is_some() {
        let hint = if bare {
            " (this machine has no CA certificates: install ca-certificates or set ca_file)"
        } else if matches!(find(&error), Some(rustls::Error::InvalidCertificate(_))) {
            " (for a private CA set ca_file)"
        } else {
            ""
        };
        return OutboundError::Tls { host, cause: Cause::new(error), hint };
    }
    if error.is_connect() {
        OutboundError::Connect { host, cause: Cause::new(error) }
    } else {
        OutboundError::Broken { host, cause: Cause::new(error) }
    }
}

/// Looks for an error type in the chain of sources, and inside `io::Error`, which hides its own payload.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        if let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(|e| e.get_ref())
            && let Some(found) = find::<E>(inner)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}
