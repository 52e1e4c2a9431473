//! Compact ranges: the perfect subtrees of the first `n` leaves, enough to go on reading and to compute roots.

use crate::hash::{Hash, node_hash};

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
