//! One HTTP exchange with a log, and what its status means, for both versions.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use outbound::{Client, Redirects, Request, Response};
use url::Url;

use super::LogError;
use crate::timestamp::excerpt;

/// An entry with its proof is a few KiB. As JSON a hostile answer takes fifty times its size in memory.
pub(super) const MAX_ENTRY_BYTES: usize = 1024 * 1024;
/// A full bundle of 256 entries is the largest thing that is read; it is not JSON.
pub(super) const MAX_TILE_BYTES: usize = 32 * 1024 * 1024;
/// Rekor v2 answers when the entry is in a checkpoint, which takes seconds; a loaded Rekor v1 takes tens of them.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A log's tiles often lie in a bucket behind another name.
const MAX_REDIRECTS: u8 = 3;

/// Rekor v2 (rekor-tiles 2.3.0) answers so to everybody who waits, when any one of its clients has hung up: for a
/// moment all share that one's error. It says nothing about our entry.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// One log as HTTP sees it.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) client: Client,
    pub(super) origin: String,
}

impl Exchange {
    pub(super) async fn post(&self, url: Url, body: Vec<u8>) -> Result<Response, LogError> {
        let request = Request::post(url).body("application/json", body);
        self.send(request.accept("application/json").max_bytes(MAX_ENTRY_BYTES)).await
    }

    pub(super) async fn get(&self, url: Url, max_bytes: usize) -> Result<Response, LogError> {
        let follow = Redirects::Follow { max: MAX_REDIRECTS };
        self.send(Request::get(url).follow(follow).max_bytes(max_bytes)).await
    }

    async fn send(&self, request: Request) -> Result<Response, LogError> {
        let request = request.timeout(TIMEOUT).trusted();
        self.client.send(request).await.map_err(|source| LogError::Unreachable { origin: self.origin.clone(), source })
    }

    /// What an answer means that is neither the entry nor "already there".
    pub(super) fn refusal(&self, response: &Response) -> LogError {
        let origin = self.origin.clone();
        let message = excerpt(&response.body);
        match response.status {
            StatusCode::METHOD_NOT_ALLOWED => LogError::Frozen { origin },
            status
                if (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
                    || status == StatusCode::TOO_MANY_REQUESTS
                    || status == StatusCode::REQUEST_TIMEOUT
                    || status == CLIENT_CLOSED_REQUEST =>
            {
                LogError::Unavailable {
                    origin,
                    status: status.as_u16(),
                    message,
                    retry_after: response.retry_after(SystemTime::now()),
                }
            }
            status => LogError::Refused { origin, status: status.as_u16(), message },
        }
    }

    pub(super) fn malformed(&self, reason: impl ToString) -> LogError {
        LogError::Malformed { origin: self.origin.clone(), reason: reason.to_string() }
    }
}

/// `base` with `path` appended to whatever path it has, and no query.
pub(super) fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url.set_query(None);
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_keeps_its_path_with_or_without_a_slash_at_its_end() {
        for (base, joined) in [
            ("https://log.example.com", "https://log.example.com/tile/0/000"),
            ("https://log.example.com/", "https://log.example.com/tile/0/000"),
            ("https://cdn.example.com/logs/a/?x=1", "https://cdn.example.com/logs/a/tile/0/000"),
        ] {
            assert_eq!(join(&Url::parse(base).unwrap(), "tile/0/000").as_str(), joined);
        }
    }
}
