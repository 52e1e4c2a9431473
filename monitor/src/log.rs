//! The port to a log's read side: its newest head, its leaves in order, and its proofs.
//!
//! A reader answers with exactly what was asked or with an error. Everything in its answers is a claim: heads are
//! opened with the pinned key, leaves are hashed into a signed root, proofs are verified by whoever asked.

mod batch;
mod bucket;
mod cap;
mod ct;
mod directory;
mod error;
mod exchange;
mod json;
mod pace;
mod readers;
pub mod rekor_v1;
mod rekor_v2;
mod source;
mod static_ct;
#[cfg(test)]
mod tests;
mod tile_log;
mod tiles;

pub use batch::LeafBatch;
pub use error::ReadError;
pub use pace::{Pace, PaceReading};
pub use readers::{ReaderError, Readers};

use async_trait::async_trait;

use tlog::{Checkpoint, CheckpointError, Hash, HeadFormat, LogKey, NodeProof};

/// What the leaves of a log are.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LeafFormat {
    /// Entry bodies of Rekor, JSON.
    Rekor,
    /// `MerkleTreeLeaf` structures of RFC 6962.
    Ct,
}

/// Whether an answer may come over a connection that is open already, and from a cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fresh {
    /// As it comes.
    No,
    /// Over a new connection, and past every cache that lets itself be passed: for a second look before a finding.
    Yes,
}

/// The read side of one log, or of one shard of a Rekor v1 server.
///
/// Indices are positions in the tree: a Rekor v1 shard starts at zero, whatever its server counts.
#[async_trait]
pub trait LogReader: Send + Sync {
    /// The origin line of its checkpoints.
    fn origin(&self) -> &str;

    /// Its pinned key.
    fn key(&self) -> &LogKey;

    /// How it presents its signed head.
    fn head_format(&self) -> HeadFormat;

    /// What its leaves are.
    fn leaf_format(&self) -> LeafFormat;

    /// Its newest signed head, as served.
    async fn head(&self) -> Result<Vec<u8>, ReadError>;

    /// Opens a head with the pinned key.
    fn open(&self, raw: &[u8]) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::open_as(self.head_format(), raw, self.origin(), self.key())
    }

    /// Whether it is on a disk of ours: then there is no delay to hide, and nothing is read ahead of its turn.
    fn is_local(&self) -> bool {
        false
    }

    /// Where the natural unit of reading that begins at `start` ends, in a tree of `size` leaves.
    fn batch_end(&self, start: u64, size: u64) -> u64;

    /// How far of a tree of `size` leaves it is worth to read now: less than `size` where only a part of a tile is left
    /// and the bytes for such parts are spent. The leaves beyond come later; that the tree continues the one up to here
    /// is proved by [`LogReader::consistency`].
    fn readable_end(&self, size: u64) -> u64 {
        size
    }

    /// The leaves `start..end` of a tree of `size` leaves: all of them, or an error.
    async fn leaves(&self, start: u64, end: u64, size: u64, fresh: Fresh) -> Result<LeafBatch, ReadError> {
        self.leaves_within(start, end, size, fresh, usize::MAX).await
    }

    /// The same, from answers of so many bytes at most, which come to no more together: beyond that it is
    /// [`ReadError::TooLarge`].
    async fn leaves_within(
        &self,
        start: u64,
        end: u64,
        size: u64,
        fresh: Fresh,
        most: usize,
    ) -> Result<LeafBatch, ReadError>;

    /// The hashes of a consistency proof.
    async fn consistency(&self, old: u64, new: u64, fresh: Fresh) -> Result<Vec<Hash>, ReadError>;

    /// The hashes of an inclusion proof for the leaf at `index` in the tree of `size` leaves.
    async fn inclusion(&self, index: u64, size: u64, fresh: Fresh) -> Result<Vec<Hash>, ReadError>;

    /// A node of the tree of `size` leaves with its path to the root. `None` where the API has no way to ask for one.
    async fn node(&self, level: u32, index: u64, size: u64) -> Result<Option<NodeProof>, ReadError> {
        let _ = (level, index, size);
        Ok(None)
    }

    /// The position in this tree that the log's API calls by this number. `None`: it is of another tree, a Rekor v1
    /// server's shard before or after this one.
    async fn position_of(&self, index: u64) -> Result<Option<u64>, ReadError> {
        Ok(Some(index))
    }

    /// What the log's API adds to a position in this tree: Rekor v1 counts on over all its shards, and it is that
    /// number which its entries and bundles carry as their log index.
    async fn first_index(&self) -> Result<u64, ReadError> {
        Ok(0)
    }
}

/// Where the unit of reading that `start` is in ends: at a multiple of `unit`, or with the tree.
fn unit_end(start: u64, size: u64, unit: u64) -> u64 {
    let unit = unit.max(1);
    (start - start % unit).saturating_add(unit).min(size)
}

fn check_range(start: u64, end: u64, size: u64) -> Result<(), ReadError> {
    if start <= end && end <= size { Ok(()) } else { Err(ReadError::OutOfRange { start, end, size }) }
}
