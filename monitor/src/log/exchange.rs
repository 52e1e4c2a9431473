//! One HTTP exchange with a log's server: paced, capped in bytes and time, and its status told apart from its content.

use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING};
use http::{HeaderValue, StatusCode};
use outbound::{Client, OutboundError, Request, Response, Room};
use url::Url;

use super::Fresh;
use super::cap::Cap;
use super::error::{ReadError, excerpt};
use super::pace::{Asking, Pace, Permit};

/// Time for a small answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Time for an answer that may be tens of megabytes.
const LONG_TIMEOUT: Duration = Duration::from_secs(90);
/// What is larger than this has the longer time.
const SMALL_BYTES: usize = 1 << 20;

/// One server, as a log's reader asks it.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// Connections that are used again.
    pub(super) client: Client,
    /// A new connection for each request.
    pub(super) fresh: Client,
    /// Where the log's API begins.
    pub(super) base: Url,
    /// How fast the host is asked.
    pub(super) pace: Arc<Pace>,
    /// Where leaves have room.
    pub(super) room: Room,
}

/// What came back and was neither "not now" nor a broken server.
#[derive(Debug)]
pub(super) enum Answer {
    /// 200, and its whole body, decoded.
    Body(Bytes),
    /// Any other status.
    Refused {
        /// The status.
        status: StatusCode,
        /// The start of the body, printable.
        message: String,
    },
}

/// One question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// What is asked for, for a person.
    pub(super) what: &'a str,
    /// Below the base.
    pub(super) path: &'a str,
    /// The query.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// A JSON body: then it is a POST.
    pub(super) json: Option<&'a str>,
    /// The most bytes that the answer can have, decoded.
    pub(super) cap: Cap,
    /// Past connections and caches or not.
    pub(super) fresh: Fresh,
    /// Only what is newest will do: an answer from a cache is to be confirmed first.
    pub(super) newest: bool,
}

impl<'a> Question<'a> {
    /// GET without a query.
    pub(super) fn get(what: &'a str, path: &'a str, cap: impl Into<Cap>, fresh: Fresh) -> Self {
        Self { what, path, query: &[], json: None, cap: cap.into(), fresh, newest: false }
    }
}

impl Answer {
    /// The body, where anything but 200 is an error of the server's.
    pub(super) fn body(self, what: &str) -> Result<Bytes, ReadError> {
        match self {
            Self::Body(body) => Ok(body),
            Self::Refused { status, message } => {
                Err(ReadError::Status { what: what.to_owned(), status: status.as_u16(), message })
            }
        }
    }

    /// The body, where 400 says that the replica which was asked does not know the size (yet).
    pub(super) fn body_or_behind(self, what: &str) -> Result<Bytes, ReadError> {
        match self {
            Self::Refused { status: StatusCode::BAD_REQUEST, message } => {
                Err(ReadError::Behind { what: what.to_owned(), detail: message })
            }
            other => other.body(what),
        }
    }
}

impl Exchange {
    /// Asks. 429, 5xx, and answers that are cut off, late or too large are errors.
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Answer, ReadError> {
        if question.fresh == Fresh::Yes {
            // Most shared caches heed no header of a client's, but do take another query for another page.
            match self.ask_once(question, Some(&marker())).await? {
                Answer::Refused { .. } => {}
                body => return Ok(body),
            }
        }
        self.ask_once(question, None).await
    }

    async fn ask_once(&self, question: Question<'_>, marker: Option<&str>) -> Result<Answer, ReadError> {
        let request = self.request(question, marker);
        let client = if question.fresh == Fresh::Yes { &self.fresh } else { &self.client };
        let asking = if question.cap.is_of_leaves() { Asking::Leaves } else { Asking::Small };
        let permit = self.pace.permit(asking).await?;
        match client.send(request).await {
            Ok(response) => self.sort(question, response, permit),
            Err(OutboundError::TooLarge { status, limit, .. }) if status == StatusCode::OK => {
                if question.cap.is_ours() {
                    permit.answered(0, false);
                } else {
                    permit.failed(None);
                }
                Err(ReadError::TooLarge { what: question.what.to_owned(), limit })
            }
            Err(error) => {
                permit.failed(None);
                Err(error.into())
            }
        }
    }

    fn request(&self, question: Question<'_>, marker: Option<&str>) -> Request {
        let mut url = join(&self.base, question.path);
        if !question.query.is_empty() || marker.is_some() {
            url.query_pairs_mut().extend_pairs(question.query).extend_pairs(marker.map(|marker| ("fresh", marker)));
        }
        let request = match question.json {
            Some(json) => Request::post(url).body("application/json", json.to_owned()).accept("application/json"),
            None => Request::get(url),
        };
        let request = if question.cap.is_of_leaves() { request.room(self.room.clone()) } else { request };
        let request = request
            .trusted()
            .max_bytes(question.cap.bytes())
            .timeout(if question.cap.most() > SMALL_BYTES { LONG_TIMEOUT } else { TIMEOUT })
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if question.fresh == Fresh::Yes || question.newest {
            return request.header(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        request
    }

    fn sort(&self, question: Question<'_>, response: Response, permit: Permit) -> Result<Answer, ReadError> {
        let status = response.status;
        let retry_after = response.retry_after(SystemTime::now());
        if status == StatusCode::TOO_MANY_REQUESTS {
            permit.rate_limited(retry_after);
            let retry_after = self.pace.reading().paused;
            return Err(ReadError::RateLimited { host: self.pace.host().to_owned(), retry_after });
        }
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            permit.failed(retry_after);
            let (what, message) = (question.what.to_owned(), excerpt(&response.body));
            return Err(ReadError::Status { what, status: status.as_u16(), message });
        }
        permit.answered(response.body.len(), response.crowded);
        if status != StatusCode::OK {
            return Ok(Answer::Refused { status, message: excerpt(&response.body) });
        }
        Ok(Answer::Body(self.decoded(question, response)?))
    }

    /// We ask for no encoding, yet storage that holds gzip serves it all the same.
    fn decoded(&self, question: Question<'_>, response: Response) -> Result<Bytes, ReadError> {
        let Some(encoding) = response.headers.get(CONTENT_ENCODING) else { return Ok(response.body) };
        match encoding.as_bytes() {
            b"identity" => Ok(response.body),
            b"gzip" | b"x-gzip" => match gunzip(&response.body, question.cap.bytes()) {
                Ok(plain) if plain.len() > question.cap.bytes() => {
                    if !question.cap.is_ours() {
                        self.pace.junk();
                    }
                    Err(ReadError::TooLarge { what: question.what.to_owned(), limit: question.cap.bytes() })
                }
                Ok(plain) => Ok(plain.into()),
                Err(error) => Err(self.malformed(question.what, format!("broken gzip: {error}"), response.body)),
            },
            _ => Err(self.malformed(question.what, "an encoding that nobody asked for", response.body)),
        }
    }

    /// An answer that is not what was asked for.
    pub(super) fn malformed(&self, what: &str, detail: impl ToString, served: Bytes) -> ReadError {
        self.pace.junk();
        // A copy: the bytes themselves have room that others wait for.
        let served = Bytes::copy_from_slice(&served);
        ReadError::Malformed { what: what.to_owned(), detail: detail.to_string(), served }
    }
}

/// What gzip holds, or one byte more of it than it may have.
pub(super) fn gunzip(bytes: &[u8], cap: usize) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let most = (cap as u64).saturating_add(1);
    flate2::read::GzDecoder::new(bytes).take(most).read_to_end(&mut plain)?;
    Ok(plain)
}

/// `base` with `path` appended to whatever path it has, and no query.
fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// A query that no cache has seen.
fn marker() -> String {
    let random = getrandom::u64().unwrap_or_default();
    format!("{random:016x}")
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
            assert_eq!(join(&Url::parse(base).expect("a URL"), "tile/0/000").as_str(), joined);
        }
    }
}
