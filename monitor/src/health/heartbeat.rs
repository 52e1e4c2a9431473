//! The heartbeat: a URL that is asked while everything is verified. Whoever is behind it alarms when that ends.

use std::time::Duration;

use outbound::{Client, ClientConfig, OutboundError, Request};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use url::Url;

/// All the time for one.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Nobody says more than that is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Asks the URL. It may hold a token: it is never printed.
pub(crate) struct Heartbeat {
    client: Client,
    url: Url,
    every: Duration,
    asked: Option<Instant>,
    failing: bool,
}

/// Why there can be no heartbeat.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeartbeatError {
    /// Not a URL.
    #[error("the heartbeat URL is not one of http or https")]
    Url,
    /// No HTTP client could be made.
    #[error("the heartbeat: {0}")]
    Client(#[from] OutboundError),
}

impl Heartbeat {
    pub(crate) fn new(url: &SecretString, every: Duration) -> Result<Self, HeartbeatError> {
        let url: Url = url.expose_secret().trim().parse().map_err(|_| HeartbeatError::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(HeartbeatError::Url);
        }
        let client = Client::new(ClientConfig { timeout: TIMEOUT, ..ClientConfig::default() })?;
        Ok(Self { client, url, every, asked: None, failing: false })
    }

    /// Asks, if it is time to. Whether it was answered well.
    pub(crate) async fn beat(&mut self) -> bool {
        if self.asked.is_some_and(|asked| asked.elapsed() < self.every) {
            return false;
        }
        self.asked = Some(Instant::now());
        let request = Request::get(self.url.clone()).trusted().max_bytes(MAX_ANSWER_BYTES).timeout(TIMEOUT);
        let problem = match self.client.send(request).await {
            Ok(answer) if answer.status.is_success() => None,
            Ok(answer) => Some(format!("status {}", answer.status.as_u16())),
            Err(error) => Some(error.to_string()),
        };
        match &problem {
            Some(problem) if !self.failing => tracing::warn!(%problem, "the heartbeat was not taken"),
            None if self.failing => tracing::info!("the heartbeat is taken again"),
            _ => {}
        }
        self.failing = problem.is_some();
        !self.failing
    }
}
