//! Rekor v1: a log that answers with a signed entry timestamp, at once.

use bundle::Format;
use bundle::entry::NewEntry;
use bundle::log_entry::LogEntry;
use http::StatusCode;
use http::header::LOCATION;
use outbound::{Client, Response};
use tlog::LogKey;
use url::Url;

use super::exchange::{Exchange, MAX_ENTRY_BYTES, join};
use super::{LogError, LogWriter, Untrusted, verify_proof};
use crate::retry::Retry;

/// How often to look for the first inclusion proof, half a second apart by default.
const PROOF_ATTEMPTS: u32 = 10;

/// The write side of one Rekor v1 log.
pub struct RekorV1 {
    exchange: Exchange,
    write_url: Url,
    key: LogKey,
    retry: Retry,
}

impl RekorV1 {
    /// A log by its name, its URL and its public key. Only that key's word is taken.
    pub fn new(client: Client, origin: &str, write_url: Url, key: LogKey) -> Self {
        Self { exchange: Exchange { client, origin: origin.to_owned() }, write_url, key, retry: Retry::default() }
    }

    /// The same, with another patience.
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    async fn submit(&self, body: &[u8], entry: &NewEntry) -> Result<LogEntry, LogError> {
        let url = join(&self.write_url, "api/v1/log/entries");
        let response = self.exchange.post(url, body.to_vec()).await?;
        let (uuid, logged) = match response.status {
            StatusCode::CREATED | StatusCode::OK => self.read(&response)?,
            StatusCode::CONFLICT => {
                let uuid = existing_uuid(&response)
                    .ok_or_else(|| self.exchange.malformed("a conflict that names no entry"))?;
                tracing::debug!(log.origin = %self.exchange.origin, uuid, "the log has this entry already");
                (uuid.clone(), self.fetch(&uuid).await?)
            }
            _ => return Err(self.exchange.refusal(&response)),
        };
        self.verify(&logged, entry)?;
        if logged.proof.is_some() || entry.format == Format::Legacy {
            return Ok(logged);
        }
        self.await_proof(&uuid, entry).await
    }

    /// Verifiers refuse a bundle without an inclusion proof. The entry is ours already, so only its proof is waited for.
    async fn await_proof(&self, uuid: &str, entry: &NewEntry) -> Result<LogEntry, LogError> {
        let mut index = 0;
        for attempt in 0..PROOF_ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(self.retry.first_delay).await;
            }
            let logged = self.fetch(uuid).await?;
            self.verify(&logged, entry)?;
            if logged.proof.is_some() {
                return Ok(logged);
            }
            index = logged.log_index;
        }
        Err(LogError::NotIntegrated { origin: self.exchange.origin.clone(), index })
    }

    async fn fetch(&self, uuid: &str) -> Result<LogEntry, LogError> {
        let url = join(&self.write_url, &format!("api/v1/log/entries/{uuid}"));
        let response = self.exchange.get(url, MAX_ENTRY_BYTES).await?;
        match response.status {
            StatusCode::OK => Ok(self.read(&response)?.1),
            // Written a moment ago and not yet shown by the replica that was asked.
            StatusCode::NOT_FOUND => Err(LogError::Unavailable {
                origin: self.exchange.origin.clone(),
                status: 404,
                message: format!("entry {uuid}, which the log says that it has, is not found"),
                retry_after: None,
            }),
            _ => Err(self.exchange.refusal(&response)),
        }
    }

    fn read(&self, response: &Response) -> Result<(String, LogEntry), LogError> {
        let (uuid, entry) = LogEntry::from_rekor_v1(&response.body).map_err(|error| self.exchange.malformed(error))?;
        // The uuid goes into a URL: nothing but hex may.
        if !is_uuid(&uuid) {
            return Err(self.exchange.malformed("an entry's uuid is not hex"));
        }
        Ok((uuid, entry))
    }

    /// Everything that the log said: that the entry is ours, its promise, and its proof where there is one.
    fn verify(&self, logged: &LogEntry, entry: &NewEntry) -> Result<(), LogError> {
        let origin = || self.exchange.origin.clone();
        entry.matches(&logged.body).map_err(|source| LogError::NotOurs {
            origin: origin(),
            index: logged.log_index,
            source,
        })?;
        self.believe(logged).map_err(|source| LogError::Untrusted { origin: origin(), source })
    }

    fn believe(&self, logged: &LogEntry) -> Result<(), Untrusted> {
        if logged.log_id != self.key.key_id() {
            return Err(Untrusted::LogId);
        }
        let (Some(set), Some(integrated_time)) = (&logged.set, logged.integrated_time) else {
            return Err(Untrusted::SetMissing);
        };
        tlog::verify_set(&self.key, &logged.body, integrated_time, &logged.log_id, logged.log_index, set)?;
        // `log_index` counts over all shards and the proof's within one, so the two are not compared.
        match &logged.proof {
            Some(_) => verify_proof(logged, &self.key),
            None => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl LogWriter for RekorV1 {
    fn origin(&self) -> &str {
        &self.exchange.origin
    }

    fn key(&self) -> &LogKey {
        &self.key
    }

    fn version(&self) -> u32 {
        1
    }

    async fn write(&self, entry: &NewEntry) -> Result<LogEntry, LogError> {
        let body = entry
            .rekor_v1_request()
            .map_err(|source| LogError::Request { origin: self.exchange.origin.clone(), source })?;
        self.retry.run(|| self.submit(&body, entry)).await
    }
}

/// The entry that a conflict names: by its `Location`, else in its message. Only the uuid is taken from either, never
/// a host or a path.
fn existing_uuid(response: &Response) -> Option<String> {
    let from_location = response
        .header(&LOCATION)
        .and_then(|location| location.rsplit('/').next())
        .filter(|uuid| is_uuid(uuid))
        .map(str::to_owned);
    from_location.or_else(|| {
        String::from_utf8_lossy(&response.body)
            .split(|c: char| !c.is_ascii_alphanumeric())
            .find(|word| is_uuid(word))
            .map(str::to_owned)
    })
}

/// A leaf hash, with the tree's id in front of it or without.
fn is_uuid(text: &str) -> bool {
    matches!(text.len(), 64 | 80) && text.bytes().all(|b| b.is_ascii_hexdigit())
}
