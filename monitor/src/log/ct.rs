//! RFC 6962 logs: `get-sth`, `get-entries` and proofs by index.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use tlog::ct::{parse_consistency, parse_get_entries, parse_proof_by_hash};
use tlog::{Hash, HeadFormat, LogKey, leaf_hash};

use super::batch::{BatchBuilder, LeafBatch};
use super::cap::Cap;
use super::error::ReadError;
use super::exchange::{Answer, Exchange, Question};
use super::{Fresh, LeafFormat, LogReader};

/// Entries that are asked for at once, where the server gives so many.
const PAGE: u64 = 256;
/// Leaves and their chains, as base64 in JSON.
const MAX_ENTRIES_BYTES: usize = 32 << 20;
/// Leaves of one batch, however many answers it takes.
const MAX_BATCH_BYTES: usize = 64 << 20;
/// A tree head or a proof.
const MAX_SMALL_BYTES: usize = 64 * 1024;

/// An RFC 6962 log's read side.
#[derive(Debug)]
pub(super) struct Ct {
    exchange: Exchange,
    origin: String,
    key: LogKey,
    /// How many entries the server gives at once, as far as is known.
    page: AtomicU64,
}

impl Ct {
    pub(super) fn new(exchange: Exchange, origin: String, key: LogKey) -> Self {
        Self { exchange, origin, key, page: AtomicU64::new(PAGE) }
    }

    /// Appends some of the leaves from `start` on, before `end`: as many as the server likes, but one at least.
    async fn page(
        &self,
        start: u64,
        end: u64,
        fresh: Fresh,
        most: usize,
        batch: &mut BatchBuilder,
    ) -> Result<(), ReadError> {
        let what = format!("entries {start} to {end} of {}", self.origin);
        let (first, last) = (start.to_string(), end.saturating_sub(1).to_string());
        let query = [("start", first.as_str()), ("end", &last)];
        let cap = Cap::of_leaves(MAX_ENTRIES_BYTES, most);
        let body = self.ask(&what, "get-entries", &query, cap, fresh).await?;
        let entries = parse_get_entries(&body).map_err(|error| self.exchange.malformed(&what, error, body.clone()))?;
        let asked = end.saturating_sub(start);
        if entries.is_empty() {
            return Err(ReadError::Short { what, asked, got: 0 });
        }
        if entries.len() as u64 > asked {
            let detail = format!("{} entries instead of {asked}", entries.len());
            return Err(self.exchange.malformed(&what, detail, body.clone()));
        }
        for entry in entries {
            let written = batch.push_with(|bytes| entry.decode_leaf(bytes).ok().map(drop));
            written.ok_or_else(|| self.exchange.malformed(&what, "a leaf that is not base64", body.clone()))?;
        }
        batch.took(body.len(), &what, most.min(MAX_BATCH_BYTES))
    }

    async fn ask(
        &self,
        what: &str,
        call: &str,
        query: &[(&str, &str)],
        cap: impl Into<Cap>,
        fresh: Fresh,
    ) -> Result<Bytes, ReadError> {
        let path = format!("ct/v1/{call}");
        match self.exchange.ask(Question { query, ..Question::get(what, &path, cap, fresh) }).await? {
            Answer::Refused { status: StatusCode::NOT_FOUND, message } => {
                Err(ReadError::Missing { what: what.to_owned(), detail: message })
            }
            // What is beyond the tree of the server that was asked is a bad request.
            other => other.body_or_behind(what),
        }
    }
}

#[async_trait]
impl LogReader for Ct {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn key(&self) -> &LogKey {
        &self.key
    }

    fn head_format(&self) -> HeadFormat {
        HeadFormat::TreeHead
    }

    fn leaf_format(&self) -> LeafFormat {
        LeafFormat::Ct
    }

    async fn head(&self) -> Result<Vec<u8>, ReadError> {
        let what = "the tree head";
        let question = Question { newest: true, ..Question::get(what, "ct/v1/get-sth", MAX_SMALL_BYTES, Fresh::No) };
        self.exchange.ask(question).await?.body(what).map(Vec::from)
    }

    fn batch_end(&self, start: u64, size: u64) -> u64 {
        super::unit_end(start, size, self.page.load(Ordering::Relaxed))
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
            let asked = end.min(at.saturating_add(PAGE));
            let before = batch.len();
            if let Err(error) = self.page(at, asked, fresh, most, &mut batch).await {
                if matches!(error, ReadError::TooLarge { .. }) && at > start && most >= MAX_BATCH_BYTES {
                    // Of leaves that are so large whatever memory there is, fewer come at once from now on.
                    self.page.fetch_min(at - start, Ordering::Relaxed);
                }
                return Err(error);
            }
            let got = (batch.len() - before) as u64;
            // The first answer may be short because servers align their pages; a second one shows how long a page is.
            if at > start && got < asked - at {
                self.page.fetch_min(got.max(1), Ordering::Relaxed);
            }
            at = at.saturating_add(got);
        }
        Ok(batch.finish(start))
    }

    async fn consistency(&self, old: u64, new: u64, fresh: Fresh) -> Result<Vec<Hash>, ReadError> {
        if old == 0 || old == new {
            return Ok(Vec::new());
        }
        let what = format!("the consistency of {} from {old} to {new}", self.origin);
        let (first, second) = (old.to_string(), new.to_string());
        let query = [("first", first.as_str()), ("second", &second)];
        let body = self.ask(&what, "get-sth-consistency", &query, MAX_SMALL_BYTES, fresh).await?;
        parse_consistency(&body).map_err(|error| self.exchange.malformed(&what, error, body.clone()))
    }

    /// By the hash of the leaf that the log shows at that index: `get-entry-and-proof` is not offered everywhere.
    async fn inclusion(&self, index: u64, size: u64, fresh: Fresh) -> Result<Vec<Hash>, ReadError> {
        let entry = self.leaves(index, index.saturating_add(1), size, fresh).await?;
        let hash = entry.leaves().next().map(leaf_hash).unwrap_or_else(Hash::empty_root);
        let what = format!("the proof of entry {index} of {}", self.origin);
        let (hash, size) = (base64_of(&hash), size.to_string());
        let query = [("hash", hash.as_str()), ("tree_size", &size)];
        let body = self.ask(&what, "get-proof-by-hash", &query, MAX_SMALL_BYTES, fresh).await?;
        let parsed = parse_proof_by_hash(&body);
        let (found, hashes) = parsed.map_err(|error| self.exchange.malformed(&what, error, body.clone()))?;
        if found != index {
            // The same leaf is there twice; either proof is right, but only one is that of the index.
            return Err(self.exchange.malformed(&what, format!("a proof of entry {found}"), body));
        }
        Ok(hashes)
    }
}

fn base64_of(hash: &Hash) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(hash.as_bytes())
}
