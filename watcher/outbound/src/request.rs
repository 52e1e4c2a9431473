//! One request, with the caps that it travels under.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::redirect::is_redirect;
use crate::room::Room;

/// The cap on an answer where the caller sets none.
const DEFAULT_MAX_RESPONSE_BYTES: usize = 1 << 20;

/// What to do with a 3xx answer. Any that is not followed is the caller's to read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Redirects {
    /// The 3xx is the answer.
    Never,
    /// GET and HEAD are followed; credentials stay with the scheme, host and port that they were meant for.
    Follow {
        /// At most so many hops.
        max: u8,
    },
    /// GET and HEAD are followed without credentials, even to the same host: a blob's storage takes a signed URL,
    /// and some storage refuses a request that authenticates twice.
    BlobsWithoutCredentials {
        /// At most so many hops.
        max: u8,
    },
    /// 307 and 308 are followed for every method, with the same method and body, to the scheme, host and port that
    /// redirect and to hosts that the configuration names. What is uploaded goes nowhere else, and credentials stay
    /// with the scheme, host and port that they were meant for.
    Upload {
        /// At most so many hops.
        max: u8,
    },
}

impl Redirects {
    pub(crate) fn max(self) -> u8 {
        match self {
            Self::Never => 0,
            Self::Follow { max } | Self::BlobsWithoutCredentials { max } | Self::Upload { max } => max,
        }
    }

    /// Whether a status means "ask there instead" for a request with this method.
    pub(crate) fn follows(self, method: &Method, status: StatusCode) -> bool {
        match self {
            Self::Never => false,
            Self::Follow { .. } | Self::BlobsWithoutCredentials { .. } => {
                (*method == Method::GET || *method == Method::HEAD) && is_redirect(status)
            }
            // With any other of the codes a client may change the method and drop the body.
            Self::Upload { .. } => matches!(status.as_u16(), 307 | 308),
        }
    }
}

/// One request. Made by [`Request::get`] and its sisters, refined by the builder methods.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, empty for none.
    pub body: Bytes,
    /// An answer larger than this is an error as soon as it shows.
    pub max_response_bytes: usize,
    /// The configuration names this URL's host: private addresses and plain http are allowed for it.
    pub trusted_target: bool,
    /// Further `host` or `host:port` that the configuration names, as targets of redirects.
    pub trusted_hosts: Vec<String>,
    /// What to do with a redirect.
    pub follow: Redirects,
    /// All the time there is, redirects and body included; the client's own limit where absent.
    pub timeout: Option<Duration>,
    /// Where the body of the answer has its room, from its first byte until it is dropped; as much as there is where
    /// absent.
    pub room: Option<Room>,
}

impl Request {
    /// A request without headers or body, to a host that is not trusted, following nothing.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            max_response_bytes: DEFAULT_MAX_RESPONSE_BYTES,
            trusted_target: false,
            trusted_hosts: Vec::new(),
            follow: Redirects::Never,
            timeout: None,
            room: None,
        }
    }

    /// GET.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// HEAD.
    pub fn head(url: Url) -> Self {
        Self::new(Method::HEAD, url)
    }

    /// POST.
    pub fn post(url: Url) -> Self {
        Self::new(Method::POST, url)
    }

    /// PUT.
    pub fn put(url: Url) -> Self {
        Self::new(Method::PUT, url)
    }

    /// Sets one header, replacing what was there.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets `Accept`.
    pub fn accept(self, value: &'static str) -> Self {
        self.header(ACCEPT, HeaderValue::from_static(value))
    }

    /// Sets the body and its type.
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header(CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// Sets a bearer token. One that no header can carry is left out, and the server says 401.
    pub fn bearer(self, token: &SecretString) -> Self {
        self.authorization(format!("Bearer {}", token.expose_secret()))
    }

    /// Sets a user name and password.
    pub fn basic(self, username: &str, password: &SecretString) -> Self {
        let pair = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
        self.authorization(format!("Basic {pair}"))
    }

    fn authorization(self, value: String) -> Self {
        match HeaderValue::try_from(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.header(AUTHORIZATION, value)
            }
            Err(_) => self,
        }
    }

    /// The configuration names this host: private addresses and plain http are allowed for it.
    pub fn trusted(mut self) -> Self {
        self.trusted_target = true;
        self
    }

    /// The configuration names these as well, `host` or `host:port`: a redirect may lead there.
    pub fn also_trusting(mut self, hosts: &[String]) -> Self {
        self.trusted_hosts.extend_from_slice(hosts);
        self
    }

    /// Caps the answer.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// Says what to do with redirects.
    pub fn follow(mut self, redirects: Redirects) -> Self {
        self.follow = redirects;
        self
    }

    /// Limits the time, redirects and body included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Has the body of the answer wait, unread, until there is room for it; over HTTP/2 it does not wait.
    pub fn room(mut self, room: Room) -> Self {
        self.room = Some(room);
        self
    }
}

/// Without headers, query and body, any of which may hold a secret.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .field("trusted_target", &self.trusted_target)
            .field("follow", &self.follow)
            .finish_non_exhaustive()
    }
}
