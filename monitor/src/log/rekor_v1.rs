//! Rekor v1: a REST API over all shards of a server. Each shard is a tree of its own, and is read as one here.

mod entries;
mod shards;

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use tlog::{Hash, HeadFormat, LogKey};

use super::batch::{BatchBuilder, LeafBatch};
use super::cap::Cap;
use super::error::ReadError;
use super::exchange::{Exchange, Question};
use super::json::{AtMost, OneMember};
use super::{Fresh, LeafFormat, LogReader};

use entries::Unusable;
pub use shards::Shard;
pub(super) use shards::shards;
pub(crate) use shards::tree_id_of;

/// The server takes ten at once and answers them one after the other.
const AT_ONCE: u64 = 10;
/// Ten entries: each is up to some hundred KiB with its attestation.
const MAX_ENTRIES_BYTES: usize = 24 << 20;
/// A proof has 64 hashes at most.
const MAX_PROOF_BYTES: usize = 64 * 1024;

fn entries_cap(most: usize) -> Cap {
    Cap::of_leaves(MAX_ENTRIES_BYTES, most)
}

/// One shard's read side.
#[derive(Debug)]
pub(super) struct RekorV1 {
    pub(super) exchange: Exchange,
    pub(super) origin: String,
    pub(super) key: LogKey,
    pub(super) tree_id: u64,
    /// The shard as it was listed last.
    listed: Mutex<Option<Listed>>,
}

/// What the server's list said of a shard.
#[derive(Clone, Copy, Debug)]
struct Listed {
    /// The server's index of the shard's first leaf.
    first: u64,
    size: u64,
    active: bool,
}

#[derive(Deserialize)]
struct ProofAnswer {
    #[serde(default)]
    hashes: AtMost<String, 64>,
}

#[derive(Deserialize)]
struct EntryAnswer {
    verification: Option<Verification>,
}

#[derive(Deserialize)]
struct Verification {
    #[serde(rename = "inclusionProof")]
    inclusion_proof: Option<ServedProof>,
}

#[derive(Deserialize)]
struct ServedProof {
    #[serde(rename = "logIndex")]
    log_index: u64,
    #[serde(rename = "treeSize")]
    tree_size: u64,
    #[serde(default)]
    hashes: AtMost<String, 64>,
}

impl RekorV1 {
    pub(super) fn new(exchange: Exchange, origin: String, key: LogKey, tree_id: u64) -> Self {
        Self { exchange, origin, key, tree_id, listed: Mutex::new(None) }
    }

    /// This shard as the server lists it now.
    async fn shard(&self) -> Result<Shard, ReadError> {
        let all = shards(&self.exchange, "").await?;
        let found = all.into_iter().find(|shard| shard.tree_id == self.tree_id).ok_or_else(|| ReadError::Missing {
            what: self.origin.clone(),
            detail: "without that tree in its list of shards".into(),
        })?;
        let Shard { first_index: first, size, active, .. } = found;
        *self.listed() = Some(Listed { first, size, active });
        Ok(found)
    }

    async fn offset(&self) -> Result<u64, ReadError> {
        let known = *self.listed();
        match known {
            Some(listed) => Ok(listed.first),
            None => self.shard().await.map(|shard| shard.first_index),
        }
    }

    /// Appends the leaves `start..end`, ten at most.
    async fn retrieve(
        &self,
        start: u64,
        end: u64,
        fresh: Fresh,
        most: usize,
        batch: &mut BatchBuilder,
    ) -> Result<(), ReadError> {
        let what = format!("entries {start} to {end} of {}", self.origin);
        let offset = self.offset().await?;
        let first = offset.checked_add(start).ok_or(ReadError::OutOfRange { start, end, size: u64::MAX })?;
        let indexes: Vec<u64> = (first..).take(end.saturating_sub(start) as usize).collect();
        let json = serde_json::json!({ "logIndexes": indexes }).to_string();
        let question = Question {
            json: Some(&json),
            ..Question::get(&what, "api/v1/log/entries/retrieve", entries_cap(most), fresh)
        };
        let body = self.exchange.ask(question).await?.body_or_behind(&what)?;
        match entries::append(&body, self.tree_id, first, indexes.len(), batch) {
            Ok(()) => batch.took(body.len(), &what, most),
            // Whether it is gone or the replica does not have it yet cannot be told apart: both are left out.
            Err(Unusable::Absent(nth)) => Err(ReadError::Missing {
                what: format!("entry {} of {}", start.saturating_add(nth as u64), self.origin),
                detail: "without it".into(),
            }),
            Err(Unusable::Wrong(detail)) => Err(self.malformed(&what, detail, body)),
        }
    }

    async fn served_proof(&self, index: u64, fresh: Fresh) -> Result<ServedProof, ReadError> {
        let what = format!("the proof of entry {index} of {}", self.origin);
        let asked = self.offset().await?.saturating_add(index).to_string();
        let question = Question {
            query: &[("logIndex", &asked)],
            ..Question::get(&what, "api/v1/log/entries", MAX_ENTRIES_BYTES, fresh)
        };
        let body = match self.exchange.ask(question).await? {
            super::exchange::Answer::Refused { status, message } if status == http::StatusCode::NOT_FOUND => {
                return Err(ReadError::Missing { what, detail: message });
            }
            other => other.body_or_behind(&what)?,
        };
        let parsed: Result<OneMember<EntryAnswer>, _> = serde_json::from_slice(&body);
        let entry = parsed.map_err(|error| self.malformed(&what, error, body.clone()))?;
        if entries::tree_of(&entry.name) != Some(self.tree_id) {
            return Err(self.malformed(&what, "an entry of another shard", body));
        }
        // An entry that is not integrated yet has none.
        let proof = entry.value.verification.and_then(|verification| verification.inclusion_proof);
        let proof = proof.ok_or_else(|| ReadError::Behind { what: what.clone(), detail: "no proof yet".into() })?;
        if proof.log_index != index {
            return Err(self.malformed(&what, format!("a proof of entry {}", proof.log_index), body));
        }
        Ok(proof)
    }

    fn hashes(&self, what: &str, hashes: &[String], body: &Bytes) -> Result<Vec<Hash>, ReadError> {
        let parsed: Result<Vec<Hash>, _> = hashes.iter().map(|hash| hash.parse()).collect();
        parsed.map_err(|error| self.malformed(what, error, body.clone()))
    }

    /// An answer that is not what was asked for: what is known of the server's shards may be out of date too.
    fn malformed(&self, what: &str, detail: impl ToString, served: Bytes) -> ReadError {
        *self.listed() = None;
        self.exchange.malformed(what, detail, served)
    }

    fn listed(&self) -> MutexGuard<'_, Option<Listed>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl LogReader for RekorV1 {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn key(&self) -> &LogKey {
        &self.key
    }

    fn head_format(&self) -> HeadFormat {
        HeadFormat::Checkpoint
    }

    fn leaf_format(&self) -> LeafFormat {
        LeafFormat::Rekor
    }

    async fn head(&self) -> Result<Vec<u8>, ReadError> {
        self.shard().await.map(|shard| shard.head.into_bytes())
    }

    fn batch_end(&self, start: u64, size: u64) -> u64 {
        super::unit_end(start, size, AT_ONCE)
    }

    async fn leaves_within(
        &self,
        start: u64,
        end: u64,
        size: u64,
        fresh: Fresh,
        most: usize,
    ) -> Result<LeafBatch, ReadError> {
        super::check_range(start, end, size)?;
        let mut batch = BatchBuilder::default();
        let mut at = start;
        while at < end {
            let next = end.min(at.saturating_add(AT_ONCE));
            match self.retrieve(at, next, fresh, most, &mut batch).await {
                // Ten that are too much together may not be so alone.
                Err(ReadError::TooLarge { .. }) if next - at > 1 && !entries_cap(most).is_ours() => {
                    for one in at..next {
                        self.retrieve(one, one.saturating_add(1), fresh, most, &mut batch).await?;
                    }
                }
                other => other?,
            }
            at = next;
        }
        Ok(batch.finish(start))
    }

    async fn consistency(&self, old: u64, new: u64, fresh: Fresh) -> Result<Vec<Hash>, ReadError> {
        if old == 0 || old == new {
            return Ok(Vec::new());
        }
        let what = format!("the consistency of {} from {old} to {new}", self.origin);
        let (old, new, tree) = (old.to_string(), new.to_string(), self.tree_id.to_string());
        let query = [("firstSize", old.as_str()), ("lastSize", &new), ("treeID", &tree)];
        let question = Question { query: &query, ..Question::get(&what, "api/v1/log/proof", MAX_PROOF_BYTES, fresh) };
        let body = self.exchange.ask(question).await?.body_or_behind(&what)?;
        let parsed: Result<ProofAnswer, _> = serde_json::from_slice(&body);
        let answer = parsed.map_err(|error| self.malformed(&what, error, body.clone()))?;
        self.hashes(&what, &answer.hashes.0, &body)
    }

    /// The server proves an entry in its newest tree only. The proof in an older one follows from that and from the
    /// consistency of the two.
    async fn inclusion(&self, index: u64, size: u64, fresh: Fresh) -> Result<Vec<Hash>, ReadError> {
        super::check_range(index, index.saturating_add(1), size)?;
        let what = format!("the proof of entry {index} of {}", self.origin);
        let served = self.served_proof(index, fresh).await?;
        let hashes = self.hashes(&what, &served.hashes.0, &Bytes::new())?;
        if served.tree_size < size {
            let detail = format!("its tree has {} leaves", served.tree_size);
            return Err(ReadError::Behind { what, detail });
        }
        if served.tree_size == size {
            return Ok(hashes);
        }
        let consistency = self.consistency(size, served.tree_size, fresh).await?;
        tlog::older_inclusion_proof(index, size, served.tree_size, &hashes, &consistency)
            .ok_or_else(|| self.malformed(&what, "a proof that lacks hashes or has too many", Bytes::new()))
    }

    /// The list of shards says whose an index is. Behind the end of the active shard as it was listed last there may be
    /// another one by now; an inactive one is asked about once.
    async fn position_of(&self, index: u64) -> Result<Option<u64>, ReadError> {
        let known = *self.listed();
        if let Some(Listed { first, size, active }) = known {
            let position = index.checked_sub(first).filter(|position| *position < size);
            if position.is_some() || !active {
                return Ok(position);
            }
        }
        let shard = self.shard().await?;
        Ok(index.checked_sub(shard.first_index).filter(|position| shard.active || *position < shard.size))
    }

    async fn first_index(&self) -> Result<u64, ReadError> {
        self.offset().await
    }
}
