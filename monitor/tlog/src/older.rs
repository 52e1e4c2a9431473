//! A leaf's inclusion proof in an older tree, from its proof in a newer one and the consistency of the two.
//!
//! Each hash of the wanted proof is over a range of leaves of the older tree. Most of these ranges are perfect subtrees
//! that are in the newer proof as well; what ends at the older tree's ragged edge is made of subtrees that the
//! consistency proof has.

use std::collections::HashMap;
use std::ops::Range;

use crate::hash::{Hash, node_hash};
use crate::subtree::{consistency_ranges, inclusion_ranges, split};

/// The inclusion proof of the leaf at `index` in the tree of `old` leaves, from its proof in the tree of `new` leaves and
/// the consistency proof of the two: for a log that proves its newest tree only. `None` where the proofs have not the
/// hashes that they should. Nothing is verified: a wrong hash makes a proof that leads elsewhere.
pub fn older_inclusion_proof(
    index: u64,
    old: u64,
    new: u64,
    inclusion: &[Hash],
    consistency: &[Hash],
) -> Option<Vec<Hash>> {
    if index >= old || old >= new {
        return None;
    }
    let mut known = HashMap::new();
    for (ranges, hashes) in [(inclusion_ranges(index, new), inclusion), (consistency_ranges(old, new), consistency)] {
        if ranges.len() != hashes.len() {
            return None;
        }
        known.extend(ranges.into_iter().zip(hashes.iter().copied()));
    }
    inclusion_ranges(index, old).into_iter().map(|range| root(range, &known)).collect()
}

/// The root over a range: known as a whole, or made of its perfect subtrees from the right.
fn root(range: Range<u64>, known: &HashMap<Range<u64>, Hash>) -> Option<Hash> {
    if let Some(hash) = known.get(&range) {
        return Some(*hash);
    }
    let length = range.end - range.start;
    if length.is_power_of_two() {
        return None;
    }
    let middle = range.start + split(length);
    let left = known.get(&(range.start..middle))?;
    Some(node_hash(left, &root(middle..range.end, known)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{leaf_hash, tree};

    #[test]
    fn every_older_proof_follows_from_every_newer_one() {
        let leaves: Vec<Hash> = (0u64..24).map(|nth| leaf_hash(&nth.to_be_bytes())).collect();
        for new in 2..=24u64 {
            for old in 1..new {
                let consistency = tree::consistency_proof(&leaves, old, new).expect("in range");
                for index in 0..old {
                    let newer = tree::inclusion_proof(&leaves, index, new).expect("in range").hashes;
                    let wanted = tree::inclusion_proof(&leaves, index, old).expect("in range").hashes;
                    assert_eq!(
                        older_inclusion_proof(index, old, new, &newer, &consistency),
                        Some(wanted),
                        "{index} {old} {new}"
                    );
                }
            }
        }
    }

    #[test]
    fn proofs_of_another_length_are_refused() {
        let leaves: Vec<Hash> = (0u64..20).map(|nth| leaf_hash(&nth.to_be_bytes())).collect();
        let consistency = tree::consistency_proof(&leaves, 13, 20).expect("in range");
        let newer = tree::inclusion_proof(&leaves, 12, 20).expect("in range").hashes;
        assert!(older_inclusion_proof(12, 13, 20, &newer, &consistency).is_some());
        assert_eq!(older_inclusion_proof(12, 13, 20, &newer[1..], &consistency), None);
        assert_eq!(older_inclusion_proof(12, 13, 20, &newer, &consistency[1..]), None);
        assert_eq!(older_inclusion_proof(13, 13, 20, &newer, &consistency), None);
        assert_eq!(older_inclusion_proof(12, 20, 20, &newer, &consistency), None);
        assert_eq!(older_inclusion_proof(1 << 62, 1 << 63, u64::MAX, &[], &[]), None);
    }
}
