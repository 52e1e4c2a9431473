//! Compact ranges: the perfect subtrees of the first `n` leaves, enough to go on reading and to compute roots.

use crate::hash::{Hash, node_hash};
use crate::proof::{InclusionProof, ProofError};

/// The first `size` leaves of a log as the roots of their perfect subtrees, largest and leftmost first.
///
/// At most 64 hashes, whatever the log's size.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CompactRange {
    size: u64,
    hashes: Vec<Hash>,
}

/// The hashes or the place do not fit the size.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CompactRangeError {
    /// A stored range has another number of hashes than its size calls for.
    #[error("a compact range of {size} leaves has {expected} hashes, not {found}")]
    WrongLength {
        /// The claimed size.
        size: u64,
        /// How many hashes a range of that size has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Stored bytes are not a size and whole hashes.
    #[error("{0} bytes are not a size and whole hashes")]
    Malformed(usize),
    /// A subtree can only be appended where one of its size begins.
    #[error("a subtree of 2^{level} leaves does not begin at leaf {size}")]
    Misaligned {
        /// Height of the subtree.
        level: u32,
        /// The size of the range.
        size: u64,
    },
    /// The range would have more than 2^64 - 1 leaves.
    #[error("a log has no more than 2^64 - 1 leaves")]
    TooLarge,
}

impl CompactRange {
    /// The range without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// A range as it was stored.
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Result<Self, CompactRangeError> {
        let expected = size.count_ones() as usize;
        if hashes.len() != expected {
            return Err(CompactRangeError::WrongLength { size, expected, found: hashes.len() });
        }
        Ok(Self { size, hashes })
    }

    /// Verifies the proof of a leaf, then answers with the range that ends with it: `index + 1` leaves.
    ///
    /// From here a monitor can read on without the leaves before.
    pub fn from_inclusion(proof: &InclusionProof, leaf: &Hash, root: &Hash) -> Result<Self, ProofError> {
        let mut range = proof.range_before(leaf, root)?;
        // Cannot fail: the index is within a tree, so that there is room for its leaf.
        range.append(*leaf).map_err(|_| ProofError::IndexOutOfRange { index: proof.index, size: proof.size })?;
        Ok(range)
    }

    /// A range as [`CompactRange::to_bytes`] wrote it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CompactRangeError> {
        let malformed = CompactRangeError::Malformed(bytes.len());
        let (size, hashes) = bytes.split_first_chunk().ok_or(malformed)?;
        if !hashes.len().is_multiple_of(Hash::LEN) {
            return Err(malformed);
        }
        let hashes = hashes.chunks_exact(Hash::LEN).filter_map(Hash::from_slice).collect();
        Self::from_parts(u64::from_be_bytes(*size), hashes)
    }

    /// For the store: the size, big-endian in eight bytes, then the hashes. At most 2056 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        bytes.extend(self.hashes.iter().flat_map(|hash| *hash.as_bytes()));
        bytes
    }

    /// The caller has proved that there are as many hashes as the size has one-bits.
    pub(crate) fn of_subtrees(size: u64, hashes: Vec<Hash>) -> Self {
        debug_assert_eq!(hashes.len(), size.count_ones() as usize);
        Self { size, hashes }
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the perfect subtrees, largest first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The perfect subtrees as (level, index in the level, root), largest first.
    pub fn node_ranges(&self) -> impl Iterator<Item = (u32, u64, Hash)> + '_ {
        let mut start = 0;
        self.hashes.iter().map_while(move |hash| {
            let level = (self.size - start).checked_ilog2()?;
            let index = start >> level;
            start += 1 << level;
            Some((level, index, *hash))
        })
    }

    /// Appends one leaf.
    pub fn append(&mut self, leaf: Hash) -> Result<(), CompactRangeError> {
        self.append_subtree(0, leaf)
    }

    /// Appends a perfect subtree of `2^level` leaves by its root, as a full tile gives it.
    pub fn append_subtree(&mut self, level: u32, root: Hash) -> Result<(), CompactRangeError> {
        let width = 1u64.checked_shl(level).ok_or(CompactRangeError::TooLarge)?;
        if self.size & (width - 1) != 0 {
            return Err(CompactRangeError::Misaligned { level, size: self.size });
        }
        let grown = self.size.checked_add(width).ok_or(CompactRangeError::TooLarge)?;
        let mut hash = root;
        let mut subtrees = self.size >> level;
        while subtrees & 1 == 1 {
            if let Some(left) = self.hashes.pop() {
                hash = node_hash(&left, &hash);
            }
            subtrees >>= 1;
        }
        self.hashes.push(hash);
        self.size = grown;
        Ok(())
    }

    /// Root of the tree with exactly these leaves.
    pub fn root(&self) -> Hash {
        let mut hashes = self.hashes.iter().rev();
        match hashes.next() {
            None => Hash::empty_root(),
            Some(smallest) => hashes.fold(*smallest, |right, left| node_hash(left, &right)),
        }
    }
}

#[cfg(test)]
mod tests;
