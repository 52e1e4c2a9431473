//! A tree whose leaf hashes are all at hand: what a log writer, or a test, proves from.

use std::ops::Range;

use crate::hash::{Hash, node_hash};
use crate::proof::InclusionProof;
use crate::subtree;

/// Root of the tree with these leaves.
pub fn root(leaves: &[Hash]) -> Hash {
    range_root(leaves).unwrap_or_else(Hash::empty_root)
}

/// Proof of the leaf at `index` in the tree of the first `size` leaves. `None` when there is no such leaf or tree.
pub fn inclusion_proof(leaves: &[Hash], index: u64, size: u64) -> Option<InclusionProof> {
    if index >= size || size > leaves.len() as u64 {
        return None;
    }
    let hashes = roots(leaves, subtree::inclusion_ranges(index, size))?;
    Some(InclusionProof { index, size, hashes })
}

/// Proof that the tree of the first `size` leaves continues that of the first `old_size`. `None` when there are
/// no such trees.
pub fn consistency_proof(leaves: &[Hash], old_size: u64, size: u64) -> Option<Vec<Hash>> {
    if old_size > size || size > leaves.len() as u64 {
        return None;
    }
    if old_size == 0 || old_size == size {
        return Some(Vec::new());
    }
    roots(leaves, subtree::consistency_ranges(old_size, size))
}

fn roots(leaves: &[Hash], ranges: Vec<Range<u64>>) -> Option<Vec<Hash>> {
    ranges
        .into_iter()
        .map(|range| {
            let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
            range_root(leaves.get(range)?)
        })
        .collect()
}

/// `None` for no leaves: only the whole tree can be empty, never a part of one.
pub(crate) fn range_root(leaves: &[Hash]) -> Option<Hash> {
    match leaves {
        [] => None,
        [leaf] => Some(*leaf),
        _ => {
            let (left, right) = leaves.split_at(1 << (leaves.len() - 1).ilog2());
            Some(node_hash(&range_root(left)?, &range_root(right)?))
        }
    }
}

#[cfg(test)]
mod tests;
