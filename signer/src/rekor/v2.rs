//! Rekor v2: a log of tiles that answers when the entry is under a checkpoint.

use bundle::entry::{EntryError, NewEntry};
use bundle::log_entry::LogEntry;
use http::{HeaderName, StatusCode};
use outbound::{Client, Response};
use serde::Deserialize;
use tlog::LogKey;
use url::Url;

use super::exchange::{Exchange, join};
use super::tiles::Tiles;
use super::{LogError, LogWriter, Untrusted, verify_proof};
use crate::retry::Retry;

/// The kind and version of the body that we predict.
pub(super) const KIND: &str = "hashedrekord";
pub(super) const VERSION: &str = "0.0.2";

/// The write side of one Rekor v2 log.
pub struct RekorV2 {
    exchange: Exchange,
    write_url: Url,
    read_url: Option<Url>,
    key: LogKey,
    retry: Retry,
}

impl RekorV2 {
    /// A log by its origin, its URLs and its public key, which must bear the origin as its name. Only that key's word
    /// is taken. Without `read_url` an entry that the log already has cannot be read back.
    pub fn new(client: Client, origin: &str, write_url: Url, read_url: Option<Url>, key: LogKey) -> Self {
        Self {
            exchange: Exchange { client, origin: origin.to_owned() },
            write_url,
            read_url,
            key,
            retry: Retry::default(),
        }
    }

    /// The same, with another patience.
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    async fn submit(&self, request: &[u8], body: &[u8], entry: &NewEntry) -> Result<LogEntry, LogError> {
        let url = join(&self.write_url, "api/v2/log/entries");
        let response = self.exchange.post(url, request.to_vec()).await?;
        let logged = match response.status {
            StatusCode::CREATED | StatusCode::OK => {
                LogEntry::from_rekor_v2(&response.body).map_err(|error| self.exchange.malformed(error))?
            }
            StatusCode::CONFLICT => {
                let index = existing_index(&response)
                    .ok_or_else(|| self.exchange.malformed("a conflict that names no index"))?;
                tracing::debug!(log.origin = %self.exchange.origin, entry.index = index, "the log has this entry already");
                self.read_back(index, body).await?
            }
            _ => return Err(self.exchange.refusal(&response)),
        };
        self.verify(&logged, body, entry)?;
        Ok(logged)
    }

    async fn read_back(&self, index: u64, body: &[u8]) -> Result<LogEntry, LogError> {
        let Some(read_url) = self.read_url.clone() else {
            return Err(LogError::ReadUrlMissing { origin: self.exchange.origin.clone(), index });
        };
        let pause = self.retry.first_delay;
        Tiles::new(self.exchange.clone(), read_url, self.key.clone(), pause).entry(index, body).await
    }

    /// Everything that the log said, wherever it said it.
    fn verify(&self, logged: &LogEntry, body: &[u8], entry: &NewEntry) -> Result<(), LogError> {
        let origin = || self.exchange.origin.clone();
        let matched = match entry.matches(&logged.body) {
            // The leaf is what others will read and what we look for later, so it must be the one that was predicted.
            Ok(()) if logged.body != body => Err(EntryError::NotCanonical),
            matched => matched,
        };
        matched.map_err(|source| LogError::NotOurs { origin: origin(), index: logged.log_index, source })?;
        self.believe(logged).map_err(|source| LogError::Untrusted { origin: origin(), source })
    }

    fn believe(&self, logged: &LogEntry) -> Result<(), Untrusted> {
        if logged.log_id != self.key.key_id() {
            return Err(Untrusted::LogId);
        }
        if logged.kind != KIND || logged.version != VERSION {
            return Err(Untrusted::Kind);
        }
        verify_proof(logged, &self.key)?;
        match &logged.proof {
            Some(proof) if proof.log_index == logged.log_index => Ok(()),
            _ => Err(Untrusted::Index),
        }
    }
}

#[async_trait::async_trait]
impl LogWriter for RekorV2 {
    fn origin(&self) -> &str {
        &self.exchange.origin
    }

    fn key(&self) -> &LogKey {
        &self.key
    }

    fn version(&self) -> u32 {
        2
    }

    async fn write(&self, entry: &NewEntry) -> Result<LogEntry, LogError> {
        let cannot = |source| LogError::Request { origin: self.exchange.origin.clone(), source };
        let request = entry.rekor_v2_request().map_err(cannot)?;
        let body = entry.rekor_v2_body().map_err(cannot)?;
        self.retry.run(|| self.submit(&request, &body, entry)).await
    }
}

#[derive(Deserialize)]
struct Conflict {
    message: String,
}

/// The index that a conflict names, in a header or at the end of its message.
fn existing_index(response: &Response) -> Option<u64> {
    let header = HeaderName::from_static("x-log-index");
    if let Some(index) = response.header(&header) {
        return index.trim().parse().ok();
    }
    let conflict: Conflict = serde_json::from_slice(&response.body).ok()?;
    let (_, index) = conflict.message.rsplit_once("with index ")?;
    index.trim().parse().ok()
}
