//! A log that is read as tiles: its proofs come from tiles of hashes, its leaves from bundles of 256.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use tlog::tile::FULL_WIDTH;
use tlog::{Hash, HeadFormat, LogKey, NodeProof};

use super::batch::{BatchBuilder, LeafBatch};
use super::cap::Cap;
use super::error::ReadError;
use super::tiles::{Tiles, Wide};
use super::{Fresh, LeafFormat, LogReader};

/// A bundle, split.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) buffer: Bytes,
    /// Where each leaf is in it.
    pub(super) leaves: Vec<Range<usize>>,
    /// The most bytes that it took to get there.
    pub(super) cost: usize,
}

/// Why a bundle could not be split.
#[derive(Debug)]
pub(super) enum Unsplit {
    /// It comes to more than it may.
    TooLarge,
    /// What is wrong with it, in words.
    Wrong(String),
}

/// How a kind of log lays out its leaves.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) head_format: HeadFormat,
    pub(super) leaf_format: LeafFormat,
    /// Path of the bundle with this index and so many leaves.
    pub(super) path: fn(u64, u16) -> String,
    /// The most bytes that a bundle can have.
    pub(super) max_bytes: usize,
    /// All leaves of a bundle, which may be compressed and comes to so many bytes at most.
    pub(super) split: fn(&Bytes, usize) -> Result<Split, Unsplit>,
}

/// The read side of a log of tiles.
#[derive(Debug)]
pub(super) struct TileLog {
    pub(super) origin: String,
    pub(super) key: LogKey,
    pub(super) tiles: Tiles,
    pub(super) layout: Layout,
}

impl TileLog {
    /// The leaves `start..end`, all within one bundle, which has exactly as many leaves as its path says.
    async fn within_bundle(
        &self,
        start: u64,
        end: u64,
        size: u64,
        fresh: Fresh,
        most: usize,
    ) -> Result<LeafBatch, ReadError> {
        let cap = Cap::of_leaves(self.layout.max_bytes, most);
        let index = start / u64::from(FULL_WIDTH);
        let path = |width| (self.layout.path)(index, width);
        let Wide { bytes, width } = self.tiles.bundle(index, size, path, cap, fresh).await?;
        let malformed = |detail: String| self.tiles.malformed(&path(width), detail, bytes.clone());
        let Split { buffer, leaves, cost } = match (self.layout.split)(&bytes, cap.bytes()) {
            Ok(split) => split,
            Err(Unsplit::Wrong(detail)) => return Err(malformed(detail)),
            Err(Unsplit::TooLarge) if cap.is_ours() => {
                return Err(ReadError::TooLarge { what: path(width), limit: cap.bytes() });
            }
            Err(Unsplit::TooLarge) => {
                return Err(malformed(format!("more than {} bytes when it is decompressed", cap.bytes())));
            }
        };
        let (asked, got) = (usize::from(width), leaves.len());
        if got > asked {
            return Err(malformed(format!("{got} leaves in a bundle of {asked}")));
        }
        if got < asked {
            return Err(ReadError::Short { what: path(width), asked: asked as u64, got: got as u64 });
        }
        let first = (start % u64::from(FULL_WIDTH)) as usize;
        let wanted = leaves.get(first..first + (end - start) as usize).unwrap_or_default();
        let narrow = |range: &Range<usize>| Some(u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?);
        let ranges: Option<Vec<Range<u32>>> = wanted.iter().map(narrow).collect();
        let batch = ranges.and_then(|ranges| LeafBatch::new(start, buffer, ranges));
        let batch = batch.map(|batch| batch.costing(cost));
        batch.ok_or_else(|| malformed("a leaf beyond its end".to_owned()))
    }
}

#[async_trait]
impl LogReader for TileLog {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn key(&self) -> &LogKey {
        &self.key
    }

    fn head_format(&self) -> HeadFormat {
        self.layout.head_format
    }

    fn is_local(&self) -> bool {
        self.tiles.is_local()
    }

    fn leaf_format(&self) -> LeafFormat {
        self.layout.leaf_format
    }

    async fn head(&self) -> Result<Vec<u8>, ReadError> {
        self.tiles.checkpoint().await.map(Vec::from)
    }

    fn batch_end(&self, start: u64, size: u64) -> u64 {
        super::unit_end(start, size, u64::from(FULL_WIDTH))
    }

    fn readable_end(&self, size: u64) -> u64 {
        self.tiles.readable_end(size)
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
        let mut joined = BatchBuilder::default();
        let mut at = start;
        while at < end {
            let next = self.batch_end(at, end);
            let batch = self.within_bundle(at, next, size, fresh, most).await?;
            if (at, next) == (start, end) {
                return Ok(batch);
            }
            joined.append(&batch)?;
            at = next;
        }
        Ok(joined.finish(start))
    }

    async fn consistency(&self, old: u64, new: u64, fresh: Fresh) -> Result<Vec<Hash>, ReadError> {
        self.tiles.consistency(old, new, fresh).await
    }

    async fn inclusion(&self, index: u64, size: u64, fresh: Fresh) -> Result<Vec<Hash>, ReadError> {
        self.tiles.inclusion(index, size, fresh).await
    }

    async fn node(&self, level: u32, index: u64, size: u64) -> Result<Option<NodeProof>, ReadError> {
        self.tiles.node(level, index, size).await.map(Some)
    }
}
