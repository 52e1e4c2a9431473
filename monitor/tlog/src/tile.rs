//! Tiles and entry bundles (c2sp.org/tlog-tiles, height 8): a log as static files.
//!
//! Everything read from tiles is a claim until the proof made of it leads to a signed root.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::hash::Hash;
use crate::proof::{InclusionProof, NodeProof};
use crate::subtree::{self, Subtree};
use crate::tree;

/// Leaves of a full entry bundle, and hashes of a full tile.
pub const FULL_WIDTH: u16 = 256;
/// Levels of the tree that one level of tiles spans.
const HEIGHT: u32 = 8;
/// A full tile in bytes.
const FULL_BYTES: usize = FULL_WIDTH as usize * Hash::LEN;

/// Which tile: its level, its place in the level, and how many hashes of it are meant (1 to 256).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TileCoord {
    /// Level of the tile; the hashes at level `n` are each over 256^n leaves.
    pub level: u8,
    /// Place in the level, from zero.
    pub index: u64,
    /// Number of hashes: 256 for a full tile.
    pub width: u16,
}

/// Why a tile or an entry bundle was not accepted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TileError {
    /// A tile that the proof needs is not among those given.
    #[error("{0} is missing")]
    Missing(String),
    /// A tile has another length than its width calls for.
    #[error("{path} has {found} bytes")]
    WrongLength {
        /// Which tile.
        path: String,
        /// How many bytes there are.
        found: usize,
    },
    /// An entry bundle ends within an entry.
    #[error("the entry bundle ends within entry {0}")]
    TruncatedEntries(usize),
    /// An entry bundle has more than 256 entries.
    #[error("the entry bundle has more than 256 entries")]
    TooManyEntries,
    /// An entry is longer than a bundle can hold.
    #[error("entry {0} is longer than 65535 bytes")]
    EntryTooLong(usize),
    /// The leaf is not in the tree, or the trees are not one after the other.
    #[error("there is no proof of {from} in a tree of {size} leaves")]
    NoProof {
        /// The leaf's index, or the older size.
        from: u64,
        /// The size of the tree.
        size: u64,
    },
}

impl TileCoord {
    /// Path below the log's base address, like `tile/0/x001/234.p/5`.
    pub fn path(&self) -> String {
        format!("tile/{}/{}", self.level, place(self.index, self.width))
    }
}

/// Path of an entry bundle below the log's base address, like `tile/entries/000.p/3`.
pub fn entries_path(index: u64, width: u16) -> String {
    format!("tile/entries/{}", place(index, width))
}

/// Path of the entry bundle with a leaf in a tree of `size` leaves, and the leaf's position in it.
/// A leaf beyond the tree is looked for in the full bundle that it will be in.
pub fn entries_for(size: u64, leaf_index: u64) -> (String, usize) {
    let position = usize::from(leaf_index as u8);
    let index = leaf_index >> HEIGHT;
    let width = if leaf_index < size { width_at(size, index) } else { FULL_WIDTH };
    (entries_path(index, width), position)
}

/// Splits an entry bundle into its leaves. How many there should be is known to who asked for it.
pub fn parse_entries(bytes: &[u8]) -> Result<Vec<Vec<u8>>, TileError> {
    let mut ranges = Vec::new();
    entry_slices(bytes, &mut ranges)?;
    Ok(ranges.into_iter().filter_map(|range| bytes.get(range)).map(<[u8]>::to_vec).collect())
}

/// Where the leaves are in an entry bundle, appended to `out`: nothing is copied. On an error `out` may hold the
/// leaves before the fault.
pub fn entry_slices(bytes: &[u8], out: &mut Vec<Range<usize>>) -> Result<(), TileError> {
    let mut start = 0;
    let mut number = 0;
    while start < bytes.len() {
        if number == usize::from(FULL_WIDTH) {
            return Err(TileError::TooManyEntries);
        }
        let truncated = TileError::TruncatedEntries(number);
        let Some((length, rest)) = bytes.get(start..).and_then(<[u8]>::split_first_chunk) else {
            return Err(truncated);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length > rest.len() {
            return Err(truncated);
        }
        start += size_of::<u16>();
        out.push(start..start + length);
        start += length;
        number += 1;
    }
    Ok(())
}

/// Writes an entry bundle. For log writers.
pub fn format_entries<T: AsRef<[u8]>>(entries: &[T]) -> Result<Vec<u8>, TileError> {
    if entries.len() > usize::from(FULL_WIDTH) {
        return Err(TileError::TooManyEntries);
    }
    let mut bytes = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong(number))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The tiles that the inclusion proof of a leaf is made of. None when the leaf is not in the tree.
pub fn tiles_for_inclusion(index: u64, size: u64) -> Vec<TileCoord> {
    if index >= size {
        return Vec::new();
    }
    tiles_under(subtree::inclusion_ranges(index, size), size)
}

/// The inclusion proof of a leaf, from tiles (as `tiles_for_inclusion` names them).
pub fn inclusion_proof(
    index: u64,
    size: u64,
    tiles: &BTreeMap<TileCoord, Vec<u8>>,
) -> Result<InclusionProof, TileError> {
    if index >= size {
        return Err(TileError::NoProof { from: index, size });
    }
    let hashes = hashes_of(subtree::inclusion_ranges(index, size), size, tiles)?;
    Ok(InclusionProof { index, size, hashes })
}

/// The tiles that the consistency proof from `old_size` to `size` leaves is made of.
pub fn tiles_for_consistency(old_size: u64, size: u64) -> Vec<TileCoord> {
    if old_size == 0 || old_size >= size {
        return Vec::new();
    }
    tiles_under(subtree::consistency_ranges(old_size, size), size)
}

/// The consistency proof from `old_size` to `size` leaves, from tiles (as `tiles_for_consistency` names them).
pub fn consistency_proof(
    old_size: u64,
    size: u64,
    tiles: &BTreeMap<TileCoord, Vec<u8>>,
) -> Result<Vec<Hash>, TileError> {
    if old_size > size {
        return Err(TileError::NoProof { from: old_size, size });
    }
    if old_size == 0 || old_size == size {
        return Ok(Vec::new());
    }
    hashes_of(subtree::consistency_ranges(old_size, size), size, tiles)
}

/// The tiles that the proof of a perfect subtree is made of. None when the tree does not have it.
pub fn tiles_for_node(level: u32, index: u64, size: u64) -> Vec<TileCoord> {
    if !subtree::is_within(level, index, size) {
        return Vec::new();
    }
    let node = Subtree { level, index };
    let mut ranges = subtree::path_ranges(node, size);
    ranges.push(index << level..(index << level) + (1 << level));
    tiles_under(ranges, size)
}

/// The proof of a perfect subtree, from tiles (as `tiles_for_node` names them).
pub fn node_proof(
    level: u32,
    index: u64,
    size: u64,
    tiles: &BTreeMap<TileCoord, Vec<u8>>,
) -> Result<NodeProof, TileError> {
    if !subtree::is_within(level, index, size) {
        return Err(TileError::NoProof { from: index, size });
    }
    let subtree = Subtree { level, index };
    let path = hashes_of(subtree::path_ranges(subtree, size), size, tiles)?;
    Ok(NodeProof { level, index, node: node_root(subtree, size, tiles)?, size, path })
}

/// All tiles of a tree of `size` leaves: the full ones, and the partial one at the end of each level.
pub fn tile_coords(size: u64) -> Vec<TileCoord> {
    let mut coords = Vec::new();
    let mut level = 0;
    let mut hashes = size;
    while hashes > 0 {
        coords.extend((0..hashes >> HEIGHT).map(|index| TileCoord { level, index, width: FULL_WIDTH }));
        let partial = u16::from(hashes as u8);
        if partial > 0 {
            coords.push(TileCoord { level, index: hashes >> HEIGHT, width: partial });
        }
        hashes >>= HEIGHT;
        level += 1;
    }
    coords
}

/// The bytes of one tile, for log writers. Shorter than `width` hashes where the leaves do not suffice.
pub fn tile_bytes(level: u8, index: u64, width: u16, leaves: &[Hash]) -> Vec<u8> {
    let Some(span) = 1usize.checked_shl(u32::from(level) * HEIGHT) else { return Vec::new() };
    let start =
        usize::try_from(index).ok().and_then(|index| index.checked_mul(usize::from(FULL_WIDTH))?.checked_mul(span));
    let Some(below) = start.and_then(|start| leaves.get(start..)) else { return Vec::new() };
    below
        .chunks_exact(span)
        .take(usize::from(width))
        .filter_map(tree::range_root)
        .flat_map(|hash| *hash.as_bytes())
        .collect()
}

/// All tiles of the tree with these leaves, with their bytes. For log writers.
pub fn tiles_of(leaves: &[Hash]) -> BTreeMap<TileCoord, Vec<u8>> {
    let mut tiles = BTreeMap::new();
    let mut hashes = leaves.to_vec();
    let mut level = 0;
    while !hashes.is_empty() {
        for (index, chunk) in (0..).zip(hashes.chunks(usize::from(FULL_WIDTH))) {
            let coord = TileCoord { level, index, width: chunk.len() as u16 };
            tiles.insert(coord, chunk.iter().flat_map(|hash| *hash.as_bytes()).collect());
        }
        hashes = hashes.chunks_exact(usize::from(FULL_WIDTH)).filter_map(tree::range_root).collect();
        level += 1;
    }
    tiles
}

/// The hashes of a tile. A fuller tile than was asked for is cut: a log may drop partial tiles once it has the
/// full one.
pub fn tile_hashes(coord: &TileCoord, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
    let length = usize::from(coord.width) * Hash::LEN;
    let whole = bytes.len().is_multiple_of(Hash::LEN) && bytes.len() >= length && bytes.len() <= FULL_BYTES;
    if !whole {
        return Err(TileError::WrongLength { path: coord.path(), found: bytes.len() });
    }
    Ok(bytes.chunks_exact(Hash::LEN).filter_map(Hash::from_slice).take(usize::from(coord.width)).collect())
}

/// SPEC: "three-digit path elements, with all but the last prefixed by an x"; partial tiles end in `.p/<width>`.
pub(crate) fn place(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < FULL_WIDTH { format!("{path}.p/{width}") } else { path }
}

/// How many of the `hashes` of a level are in the tile at `index`.
fn width_at(hashes: u64, index: u64) -> u16 {
    if index < hashes >> HEIGHT { FULL_WIDTH } else { u16::from(hashes as u8) }
}

/// Where a perfect subtree's root is to be computed from: a tile, and which of its hashes.
fn tile_of(node: Subtree, size: u64) -> (TileCoord, Range<usize>) {
    let level = node.level / HEIGHT;
    let within = node.level % HEIGHT;
    let first = node.index << within;
    let index = first >> HEIGHT;
    let width = width_at(size >> (level * HEIGHT), index);
    let start = usize::from(first as u8);
    (TileCoord { level: level as u8, index, width }, start..start + (1 << within))
}

fn tiles_under(ranges: Vec<Range<u64>>, size: u64) -> Vec<TileCoord> {
    let nodes = ranges.into_iter().flat_map(subtree::subtrees);
    let coords: BTreeSet<TileCoord> = nodes.map(|node| tile_of(node, size).0).collect();
    coords.into_iter().collect()
}

fn hashes_of(ranges: Vec<Range<u64>>, size: u64, tiles: &BTreeMap<TileCoord, Vec<u8>>) -> Result<Vec<Hash>, TileError> {
    ranges
        .into_iter()
        .map(|range| {
            let nodes = subtree::subtrees(range).into_iter().map(|node| node_root(node, size, tiles));
            let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
            // A range of a proof is never empty.
            Ok(subtree::join(&nodes).unwrap_or_else(Hash::empty_root))
        })
        .collect()
}

fn node_root(node: Subtree, size: u64, tiles: &BTreeMap<TileCoord, Vec<u8>>) -> Result<Hash, TileError> {
    let (coord, place) = tile_of(node, size);
    let bytes = tiles.get(&coord).ok_or_else(|| TileError::Missing(coord.path()))?;
    let hashes = tile_hashes(&coord, bytes)?;
    hashes
        .get(place)
        .and_then(tree::range_root)
        .ok_or_else(|| TileError::WrongLength { path: coord.path(), found: bytes.len() })
}

#[cfg(test)]
mod tests;
