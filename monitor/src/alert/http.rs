//! Posting JSON to a receiver that the configuration names.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use outbound::{Client, ClientConfig, Request};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{AlertsError, SinkError};

/// All the time for one alert.
const TIMEOUT: Duration = Duration::from_secs(10);

/// No receiver says more than that is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Where alerts are posted. The URL may hold a token: it is never printed.
pub(super) struct Receiver {
    client: Client,
    url: Url,
    host: String,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Receiver {
    /// A receiver; `path` is appended to the URL.
    pub(super) fn new(sink: &str, url: &SecretString, path: &str, ca_pem: Option<&[u8]>) -> Result<Self, AlertsError> {
        let bad = |why| AlertsError::Url { sink: sink.to_owned(), why };
        let mut url: Url = url.expose_secret().trim().parse().map_err(|_| bad("it is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("it is neither http nor https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it holds a user name or password"));
        }
        if !path.is_empty() {
            url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        }
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(bad("it names no host")),
        };
        let config = ClientConfig {
            extra_ca_files_pem: ca_pem.map(<[u8]>::to_vec).into_iter().collect(),
            timeout: TIMEOUT,
            ..ClientConfig::default()
        };
        let client = Client::new(config).map_err(|cause| AlertsError::Client { sink: sink.to_owned(), cause })?;
        Ok(Self { client, url, host })
    }

    /// Posts JSON; every answer but 2xx is a refusal.
    pub(super) async fn post(
        &self,
        body: impl Into<Bytes>,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<(), SinkError> {
        let mut request = Request::post(self.url.clone())
            .body("application/json", body)
            .trusted()
            .max_bytes(MAX_ANSWER_BYTES)
            .timeout(TIMEOUT);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = self.client.send(request).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        let retry_after = answer.retry_after(SystemTime::now());
        Err(SinkError::Refused { host: self.host.clone(), status: answer.status.as_u16(), retry_after })
    }
}
