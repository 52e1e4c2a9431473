//! RFC 3161: a third party's word for when a signature existed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bundle::timestamp;
use bundle::trust_root::TrustRoot;
use http::StatusCode;
use outbound::{Client, OutboundError, Request};
use url::Url;

use crate::retry::{Retry, Retryable};

/// Sigstore's own clients stop reading there.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(20);

/// One timestamp authority. Cheap to clone.
#[derive(Clone)]
pub struct TimestampAuthority {
    client: Client,
    url: Url,
    trust: Arc<TrustRoot>,
    retry: Retry,
}

impl std::fmt::Debug for TimestampAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TimestampAuthority").field(&place(&self.url)).finish()
    }
}

/// Why there is no timestamp.
#[derive(Debug, thiserror::Error)]
pub enum TimestampError {
    /// No answer.
    #[error("timestamp authority {authority} could not be asked: {source}")]
    Unreachable {
        /// Its URL.
        authority: String,
        /// What the client said.
        source: OutboundError,
    },
    /// An answer that is no timestamp.
    #[error("timestamp authority {authority} answered {status}: {message}")]
    Refused {
        /// Its URL.
        authority: String,
        /// The HTTP status.
        status: u16,
        /// The start of the body.
        message: String,
        /// How long it asks us to stay away.
        retry_after: Option<Duration>,
    },
    /// A timestamp that our trust root refuses.
    #[error(
        "the timestamp of {authority} is not to be believed: {source}; check that the trusted root names this authority's certificate chain"
    )]
    Untrusted {
        /// Its URL.
        authority: String,
        /// What is wrong with it.
        source: timestamp::TimestampError,
    },
}

impl TimestampError {
    /// Whether the same call may succeed later, with nobody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => source.is_transient(),
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::Untrusted { .. } => false,
        }
    }

    /// How long the authority asked us to stay away.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Retryable for TimestampError {
    fn is_transient(&self) -> bool {
        self.is_transient()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after()
    }
}

impl TimestampAuthority {
    /// An authority by its full URL, whose answers must verify with `trust`.
    pub fn new(client: Client, url: Url, trust: Arc<TrustRoot>) -> Self {
        Self { client, url, trust, retry: Retry::default() }
    }

    /// The same, with another patience.
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Where it is, as errors name it: without what a URL may hold of secrets.
    pub fn place(&self) -> String {
        place(&self.url)
    }

    /// Where it is.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// A timestamp over the signature's raw bytes: a DER `TimeStampResp` that has been verified.
    ///
    /// The request carries no nonce, like that of Sigstore's own clients: a replayed timestamp would have to be over
    /// the same signature, and then it is as good.
    pub async fn stamp(&self, signature: &[u8]) -> Result<Vec<u8>, TimestampError> {
        let query = timestamp::request(signature, None);
        let response = self.retry.run(|| self.ask(query.clone())).await?;
        timestamp::verify(&response, signature, &self.trust)
            .map_err(|source| TimestampError::Untrusted { authority: place(&self.url), source })?;
        Ok(response)
    }

    async fn ask(&self, query: Vec<u8>) -> Result<Vec<u8>, TimestampError> {
        let request = Request::post(self.url.clone())
            .body("application/timestamp-query", query)
            .accept("application/timestamp-reply")
            .max_bytes(MAX_RESPONSE_BYTES)
            .timeout(TIMEOUT)
            .trusted();
        let response = self
            .client
            .send(request)
            .await
            .map_err(|source| TimestampError::Unreachable { authority: place(&self.url), source })?;
        match response.status {
            StatusCode::OK | StatusCode::CREATED => Ok(response.body.to_vec()),
            status => Err(TimestampError::Refused {
                authority: place(&self.url),
                status: status.as_u16(),
                message: excerpt(&response.body),
                retry_after: response.retry_after(SystemTime::now()),
            }),
        }
    }
}

/// A URL as it may appear in a log line: without user, password and query.
pub(crate) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}{}", url.scheme(), url.path()),
        None => format!("{}://{host}{}", url.scheme(), url.path()),
    }
}

/// The start of an answer's body on one line, fit for an error message.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let text: String =
        String::from_utf8_lossy(body).chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    let text = text.trim();
    if text.is_empty() { "(no message)".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_messages_never_show_a_url_s_secrets() {
        let url = Url::parse("https://user:secret@tsa.example.com:8443/stamp?token=secret").unwrap();
        assert_eq!(place(&url), "https://tsa.example.com:8443/stamp");
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt(b"no\nsuch \x1b[31mthing\n"), "no such  [31mthing");
        assert_eq!(excerpt(b" \n"), "(no message)");
        assert_eq!(excerpt(&[b'x'; 5000]).len(), 200);
    }
}
