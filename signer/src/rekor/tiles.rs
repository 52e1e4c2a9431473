//! Reading one entry back from a log's tiles, with a proof of our own making.

use std::collections::BTreeMap;
use std::time::Duration;

use bundle::log_entry::{EntryProof, LogEntry};
use http::StatusCode;
use tlog::tile::{self, TileCoord};
use tlog::{Checkpoint, LogKey};
use url::Url;

use super::exchange::{Exchange, MAX_TILE_BYTES, join};
use super::v2::{KIND, VERSION};
use super::{LogError, Untrusted};

/// How often to look for a checkpoint that covers an index which the log has named: for half a minute by default.
const CHECKPOINT_ATTEMPTS: u32 = 60;
const HASH_BYTES: usize = 32;
/// Logs serve their tiles at the root; Rekor v2's own server serves them below this as well.
const API_PREFIX: &str = "api/v2/";

/// The read side of one log, as far as a writer needs it.
pub(super) struct Tiles {
    exchange: Exchange,
    read_url: Url,
    key: LogKey,
    pause: Duration,
}

impl Tiles {
    pub(super) fn new(exchange: Exchange, read_url: Url, key: LogKey, pause: Duration) -> Self {
        Self { exchange, read_url, key, pause }
    }

    /// The entry at `index`, which must be `body` byte for byte, under the log's newest checkpoint.
    pub(super) async fn entry(&self, index: u64, body: &[u8]) -> Result<LogEntry, LogError> {
        let (note, checkpoint) = self.checkpoint_beyond(index).await?;
        let size = checkpoint.size();
        if self.leaf(index, size).await? != body {
            return Err(LogError::NotThere { origin: self.exchange.origin.clone(), index });
        }
        let mut tiles = BTreeMap::new();
        for coord in tile::tiles_for_inclusion(index, size) {
            let bytes = self.hashes(&coord).await?;
            tiles.insert(coord, bytes);
        }
        let proof = tile::inclusion_proof(index, size, &tiles).map_err(|error| self.untrusted(error.into()))?;
        Ok(LogEntry {
            log_index: index,
            log_id: self.key.key_id(),
            kind: KIND.to_owned(),
            version: VERSION.to_owned(),
            integrated_time: None,
            set: None,
            proof: Some(EntryProof {
                log_index: index,
                root: checkpoint.root(),
                size,
                hashes: proof.hashes,
                checkpoint: note,
            }),
            body: body.to_vec(),
        })
    }

    /// The log may know an entry before its checkpoint covers it, and a cache may show an old checkpoint.
    async fn checkpoint_beyond(&self, index: u64) -> Result<(String, Checkpoint), LogError> {
        for attempt in 0..CHECKPOINT_ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(self.pause).await;
            }
            let bytes = self
                .fetch("checkpoint")
                .await?
                .ok_or_else(|| self.exchange.malformed("no checkpoint at its read_url"))?;
            let note = String::from_utf8(bytes).map_err(|_| self.exchange.malformed("its checkpoint is not text"))?;
            let checkpoint = Checkpoint::open(&note, &self.key).map_err(|error| self.untrusted(error.into()))?;
            if checkpoint.size() > index {
                return Ok((note, checkpoint));
            }
        }
        Err(LogError::NotIntegrated { origin: self.exchange.origin.clone(), index })
    }

    async fn leaf(&self, index: u64, size: u64) -> Result<Vec<u8>, LogError> {
        let (path, position) = tile::entries_for(size, index);
        let bytes = self.partial_or_full(&path).await?;
        let entries = tile::parse_entries(&bytes).map_err(|error| self.untrusted(error.into()))?;
        entries.into_iter().nth(position).ok_or_else(|| self.exchange.malformed(format!("{path} has too few entries")))
    }

    async fn hashes(&self, coord: &TileCoord) -> Result<Vec<u8>, LogError> {
        let path = coord.path();
        let mut bytes = self.partial_or_full(&path).await?;
        let expected = usize::from(coord.width) * HASH_BYTES;
        if bytes.len() < expected {
            return Err(self.exchange.malformed(format!("{path} has too few hashes")));
        }
        bytes.truncate(expected);
        Ok(bytes)
    }

    /// A log may drop a partial tile once the full one exists, which then begins with the same hashes.
    async fn partial_or_full(&self, path: &str) -> Result<Vec<u8>, LogError> {
        if let Some(bytes) = self.fetch(path).await? {
            return Ok(bytes);
        }
        if let Some((full, _)) = path.split_once(".p/")
            && let Some(bytes) = self.fetch(full).await?
        {
            return Ok(bytes);
        }
        // The checkpoint says that it exists. A log publishes its tiles first, so this is a cache that lags.
        Err(LogError::Unavailable {
            origin: self.exchange.origin.clone(),
            status: 404,
            message: format!("{path}, which its checkpoint promises, is not found"),
            retry_after: None,
        })
    }

    async fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>, LogError> {
        for prefix in ["", API_PREFIX] {
            let url = join(&self.read_url, &format!("{prefix}{path}"));
            let response = self.exchange.get(url, MAX_TILE_BYTES).await?;
            match response.status {
                StatusCode::OK => return Ok(Some(response.body.to_vec())),
                StatusCode::NOT_FOUND => {}
                _ => return Err(self.exchange.refusal(&response)),
            }
        }
        Ok(None)
    }

    fn untrusted(&self, source: Untrusted) -> LogError {
        LogError::Untrusted { origin: self.exchange.origin.clone(), source }
    }
}
