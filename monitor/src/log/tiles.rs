//! What Rekor v2 and static-ct logs have in common: a checkpoint, tiles of hashes, and bundles of 256 leaves, all at
//! paths that the tree's size names.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::try_join_all;
use tlog::tile::{self, FULL_WIDTH, TileCoord, TileError};
use tlog::{Hash, NodeProof};
use tokio::time::Instant;

use super::Fresh;
use super::bucket::Bucket;
use super::cap::Cap;
use super::error::ReadError;
use super::source::Source;

/// The longest note that `tlog` opens.
const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;
/// A full tile of hashes.
const MAX_TILE_BYTES: usize = FULL_WIDTH as usize * Hash::LEN;
/// Tiles that are kept: the right edge of the tree and the top of it are in most proofs. 512 KiB at most.
const KEPT_TILES: usize = 64;
/// Seconds of an hour.
const HOUR: f64 = 3600.0;

/// The tiles of one log.
#[derive(Debug)]
pub(super) struct Tiles {
    source: Source,
    kept: Mutex<VecDeque<(TileCoord, Bytes)>>,
    /// Bytes of partial bundles, which are read again when they have grown.
    partial: Mutex<Bucket>,
}

/// Leaves as a log bundles them, and how many of them were asked for by the path that answered.
#[derive(Debug)]
pub(super) struct Wide {
    pub(super) bytes: Bytes,
    pub(super) width: u16,
}

impl Tiles {
    pub(super) fn new(source: Source, partial_bytes_per_hour: u64) -> Self {
        let per_hour = partial_bytes_per_hour as f64;
        let partial = Bucket::new(per_hour / HOUR, per_hour, Instant::now());
        Self { source, kept: Mutex::default(), partial: Mutex::new(partial) }
    }

    /// Whether they are on a disk of ours.
    pub(super) fn is_local(&self) -> bool {
        matches!(self.source, Source::Directory(_))
    }

    /// The newest signed note.
    pub(super) async fn checkpoint(&self) -> Result<Bytes, ReadError> {
        self.source.newest("the checkpoint", "checkpoint", MAX_CHECKPOINT_BYTES).await
    }

    /// How far a tree of `size` leaves may be read with the bytes that are left for partial bundles.
    pub(super) fn readable_end(&self, size: u64) -> u64 {
        let whole = size - size % u64::from(FULL_WIDTH);
        let spent = whole < size && !self.partial().wait_for(1.0, Instant::now()).is_zero();
        if spent { whole } else { size }
    }

    /// The bundle at `index` of a tree of `size` leaves, with all its leaves in that tree or more. A second look is had
    /// whatever is left of the bytes for partial bundles.
    pub(super) async fn bundle(
        &self,
        index: u64,
        size: u64,
        path: impl Fn(u16) -> String,
        cap: Cap,
        fresh: Fresh,
    ) -> Result<Wide, ReadError> {
        let width = width_at(size, 0, index);
        if width < FULL_WIDTH {
            let wait = self.partial().wait_for(1.0, Instant::now());
            if !wait.is_zero() && fresh == Fresh::No {
                return Err(ReadError::PartialBudget { retry_after: wait });
            }
        }
        let wide = self.wide(0, index, width, path, cap, fresh).await?;
        if wide.width < FULL_WIDTH {
            self.partial().take(wide.bytes.len() as f64, Instant::now());
            self.source.count_partial(wide.bytes.len());
        }
        Ok(wide)
    }

    /// The hashes of the consistency proof between two sizes.
    pub(super) async fn consistency(&self, old: u64, new: u64, fresh: Fresh) -> Result<Vec<Hash>, ReadError> {
        let tiles = self.tiles(tile::tiles_for_consistency(old, new), fresh).await?;
        tile::consistency_proof(old, new, &tiles).map_err(|error| self.unusable(error))
    }

    /// The hashes of the inclusion proof of a leaf.
    pub(super) async fn inclusion(&self, index: u64, size: u64, fresh: Fresh) -> Result<Vec<Hash>, ReadError> {
        let tiles = self.tiles(tile::tiles_for_inclusion(index, size), fresh).await?;
        tile::inclusion_proof(index, size, &tiles).map(|proof| proof.hashes).map_err(|error| self.unusable(error))
    }

    /// A node with its path. Evidence is made of it, so nothing of it comes from a cache.
    pub(super) async fn node(&self, level: u32, index: u64, size: u64) -> Result<NodeProof, ReadError> {
        let tiles = self.tiles(tile::tiles_for_node(level, index, size), Fresh::Yes).await?;
        tile::node_proof(level, index, size, &tiles).map_err(|error| self.unusable(error))
    }

    /// An answer that is not what was asked for.
    pub(super) fn malformed(&self, what: &str, detail: impl ToString, served: Bytes) -> ReadError {
        self.source.malformed(what, detail, served)
    }

    async fn tiles(&self, coords: Vec<TileCoord>, fresh: Fresh) -> Result<BTreeMap<TileCoord, Vec<u8>>, ReadError> {
        let each = coords.into_iter().map(|coord| async move { Ok((coord, self.tile(coord, fresh).await?.to_vec())) });
        try_join_all(each).await.map(|tiles| tiles.into_iter().collect())
    }

    async fn tile(&self, coord: TileCoord, fresh: Fresh) -> Result<Bytes, ReadError> {
        if fresh == Fresh::No
            && let Some(known) = self.kept().iter().find(|(kept, _)| *kept == coord)
        {
            return Ok(known.1.clone());
        }
        let path = |width| TileCoord { width, ..coord }.path();
        let wide = self.wide(coord.level, coord.index, coord.width, path, MAX_TILE_BYTES.into(), fresh).await?;
        if wide.width < FULL_WIDTH {
            self.source.count_partial(wide.bytes.len());
        }
        if wide.bytes.len() != usize::from(wide.width) * Hash::LEN {
            let detail = format!("{} bytes instead of {} hashes", wide.bytes.len(), wide.width);
            return Err(self.malformed(&path(wide.width), detail, wide.bytes));
        }
        let mut kept = self.kept();
        kept.retain(|(known, _)| *known != coord);
        kept.truncate(KEPT_TILES - 1);
        kept.push_front((coord, wide.bytes.clone()));
        Ok(wide.bytes)
    }

    /// The tile of this width, or one that has outgrown it: a log drops partial tiles that it has a fuller one for.
    async fn wide(
        &self,
        level: u8,
        index: u64,
        width: u16,
        path: impl Fn(u16) -> String,
        cap: Cap,
        fresh: Fresh,
    ) -> Result<Wide, ReadError> {
        let at = async |width: u16| -> Result<Option<Wide>, ReadError> {
            let path = path(width);
            Ok(self.source.get(&path, &path, cap, fresh).await?.map(|bytes| Wide { bytes, width }))
        };
        if let Some(wide) = at(width).await? {
            return Ok(wide);
        }
        if width < FULL_WIDTH
            && let Some(wide) = at(FULL_WIDTH).await?
        {
            return Ok(wide);
        }
        // A server that answers "not found" to everything is out of order, and its newest checkpoint says where the
        // tile has got to meanwhile. That is a hint, and nothing depends on it but what is asked for next.
        let newest = size_of(&self.checkpoint().await?);
        let grown = width_at(newest, level, index);
        if grown > width
            && let Some(wide) = at(grown).await?
        {
            return Ok(wide);
        }
        Err(ReadError::Missing { what: path(width), detail: "404, to the fuller tile too".into() })
    }

    fn unusable(&self, error: TileError) -> ReadError {
        self.malformed("a proof from tiles", error, Bytes::new())
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(TileCoord, Bytes)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn partial(&self) -> MutexGuard<'_, Bucket> {
        self.partial.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many hashes the tile at this place has in a tree of `size` leaves.
pub(super) fn width_at(size: u64, level: u8, index: u64) -> u16 {
    let hashes = size.checked_shr(u32::from(level).saturating_mul(8)).unwrap_or(0);
    let before = index.checked_mul(u64::from(FULL_WIDTH));
    let left = before.map_or(0, |before| hashes.saturating_sub(before));
    left.min(u64::from(FULL_WIDTH)) as u16
}

/// The size that an unopened note names.
fn size_of(note: &[u8]) -> u64 {
    let line = note.split(|byte| *byte == b'\n').nth(1).and_then(|line| std::str::from_utf8(line).ok());
    line.and_then(|line| line.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_the_specification() {
        // The example of c2sp.org/tlog-tiles: a tree of 70,000 leaves.
        for (level, index, width) in [
            (0, 272, 256),
            (0, 273, 112),
            (0, 274, 0),
            (1, 0, 256),
            (1, 1, 17),
            (2, 0, 1),
            (3, 0, 0),
            (63, u64::MAX, 0),
        ] {
            assert_eq!(width_at(70_000, level, index), width, "{level}/{index}");
        }
    }

    #[test]
    fn the_size_of_an_unopened_note_is_its_second_line() {
        assert_eq!(size_of(b"log.test\n314\nroot\n"), 314);
        for junk in [b"".as_slice(), b"log.test", b"log.test\nmany\n", b"\xff\n\xff\n"] {
            assert_eq!(size_of(junk), 0);
        }
    }
}
