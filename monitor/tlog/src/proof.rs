//! Inclusion proofs, of leaves and of whole subtrees, and consistency proofs, by RFC 9162 2.1.3.2 and 2.1.4.2.
//!
//! A proof has exactly the hashes that its sizes call for: one more or one less is refused, because a proof
//! that may carry surplus hashes "proves" more positions than one.

use crate::compact_range::CompactRange;
use crate::hash::{Hash, node_hash};
use crate::subtree;

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofError {
    /// The leaf is not within the tree.
    #[error("index {index} is not within a tree of {size} leaves")]
    IndexOutOfRange {
        /// The index that was claimed.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// More hashes than the sizes call for.
    #[error("the proof has surplus hashes")]
    SurplusHashes,
    /// Fewer hashes than the sizes call for.
    #[error("the proof lacks hashes")]
    MissingHashes,
    /// The older tree is the larger one.
    #[error("a tree of {old_size} leaves cannot be continued by one of {new_size}")]
    Shrunk {
        /// Size of the older tree.
        old_size: u64,
        /// Size of the newer tree.
        new_size: u64,
    },
    /// The proof leads to another root than the expected one (of the newer tree).
    #[error("the proof leads to root {computed}, not {expected}")]
    WrongRoot {
        /// The root that the proof leads to.
        computed: Hash,
        /// The root that it should lead to.
        expected: Hash,
    },
    /// A consistency proof leads to another root of the older tree.
    #[error("the proof leads to old root {computed}, not {expected}")]
    WrongOldRoot {
        /// The root that the proof leads to.
        computed: Hash,
        /// The root that it should lead to.
        expected: Hash,
    },
}

/// That a leaf is at `index` in the tree of `size` leaves with a given root.
///
/// One proof can fit several pairs of index and size: take `size` from the same checkpoint as the root, and
/// compare `index` with the entry's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InclusionProof {
    /// Position of the leaf, from zero.
    pub index: u64,
    /// Number of leaves of the tree.
    pub size: u64,
    /// Siblings on the way from the leaf to the root.
    pub hashes: Vec<Hash>,
}

impl InclusionProof {
    /// Whether the leaf hash is under the root.
    pub fn verify(&self, leaf: &Hash, root: &Hash) -> Result<(), ProofError> {
        same_root(self.root(leaf)?, *root)
    }

    /// The root that the proof leads to. Nothing is proved until this is a root that the log has signed.
    pub fn root(&self, leaf: &Hash) -> Result<Hash, ProofError> {
        Ok(self.walk(leaf)?.0)
    }

    /// Verifies the proof, then answers with the compact range of all leaves before this one.
    ///
    /// The left siblings of a leaf are exactly the perfect subtrees before it, so that a monitor can start to
    /// read anywhere under a signed root.
    pub fn range_before(&self, leaf: &Hash, root: &Hash) -> Result<CompactRange, ProofError> {
        let (computed, mut left) = self.walk(leaf)?;
        same_root(computed, *root)?;
        left.reverse();
        Ok(CompactRange::of_subtrees(self.index, left))
    }

    /// The root, and the siblings that were on the left, lowest first.
    fn walk(&self, leaf: &Hash) -> Result<(Hash, Vec<Hash>), ProofError> {
        if self.index >= self.size {
            return Err(ProofError::IndexOutOfRange { index: self.index, size: self.size });
        }
        walk(self.index, self.size - 1, leaf, &self.hashes)
    }
}

/// That a perfect subtree of `2^level` leaves has a given root in the tree of `size` leaves.
///
/// Two of them contradict each other when they lead to roots that one log has signed, and differ in `node` at the
/// same place: no tree is the continuation of the other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeProof {
    /// Height of the subtree; zero for a leaf.
    pub level: u32,
    /// Place in its level, from zero: its leaves are `index << level .. (index + 1) << level`.
    pub index: u64,
    /// Root of the subtree.
    pub node: Hash,
    /// Number of leaves of the tree.
    pub size: u64,
    /// Siblings on the way from the subtree to the root.
    pub path: Vec<Hash>,
}

impl NodeProof {
    /// The root that the proof leads to. Nothing is proved until this is a root that the log has signed.
    pub fn root(&self) -> Result<Hash, ProofError> {
        if !subtree::is_within(self.level, self.index, self.size) {
            return Err(ProofError::IndexOutOfRange { index: self.index, size: self.size });
        }
        Ok(walk(self.index, (self.size - 1) >> self.level, &self.node, &self.path)?.0)
    }
}

/// From a node, of which `last` is the last of its level, up to the root. Answers with the siblings on the left, too,
/// lowest first.
fn walk(mut node: u64, mut last: u64, hash: &Hash, path: &[Hash]) -> Result<(Hash, Vec<Hash>), ProofError> {
    let mut hash = *hash;
    let mut left = Vec::new();
    for sibling in path {
        if last == 0 {
            return Err(ProofError::SurplusHashes);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            left.push(*sibling);
            (node, last) = climb(node, last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok((hash, left)) } else { Err(ProofError::MissingHashes) }
}

/// That the tree of `new_size` leaves begins with the leaves of the tree of `old_size`.
///
/// Every tree continues the empty one, so with an `old_size` of zero nothing is proved about `new_root`.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    hashes: &[Hash],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::Shrunk { old_size, new_size });
    }
    if old_size == 0 || old_size == new_size {
        if !hashes.is_empty() {
            return Err(ProofError::SurplusHashes);
        }
        if old_size == 0 {
            same_old_root(Hash::empty_root(), *old_root)?;
        }
        return if old_size == new_size { same_root(*old_root, *new_root) } else { Ok(()) };
    }

    // SPEC: "If first is an exact power of 2, then prepend first_hash to the consistency_path array."
    let (first, rest) = if old_size.is_power_of_two() {
        (*old_root, hashes)
    } else {
        let (first, rest) = hashes.split_first().ok_or(ProofError::MissingHashes)?;
        (*first, rest)
    };
    // The lowest perfect subtree that ends at the old size: both trees have it.
    let shift = old_size.trailing_zeros();
    let mut node = (old_size - 1) >> shift;
    let mut last = (new_size - 1) >> shift;
    let (mut old, mut new) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::SurplusHashes);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            (node, last) = climb(node, last);
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::MissingHashes);
    }
    same_old_root(old, *old_root)?;
    same_root(new, *new_root)
}

/// Up to the level at which the node is a right child: below, it has no sibling.
fn climb(node: u64, last: u64) -> (u64, u64) {
    if node == 0 {
        // Only when last is 0 too, or the sibling would have been on the right.
        return (0, 0);
    }
    let levels = node.trailing_zeros();
    (node >> levels, last >> levels)
}

fn same_root(computed: Hash, expected: Hash) -> Result<(), ProofError> {
    if computed == expected { Ok(()) } else { Err(ProofError::WrongRoot { computed, expected }) }
}

fn same_old_root(computed: Hash, expected: Hash) -> Result<(), ProofError> {
    if computed == expected { Ok(()) } else { Err(ProofError::WrongOldRoot { computed, expected }) }
}

#[cfg(test)]
mod tests;
