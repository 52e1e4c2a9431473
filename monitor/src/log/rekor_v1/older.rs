//! A leaf's inclusion proof in an older tree, from its proof in a newer one and the consistency of the two.
//!
//! Each hash of the wanted proof is over a range of leaves of the older tree. Most of these ranges are perfect subtrees
//! that are in the newer proof as well; what ends at the older tree's ragged edge is made of subtrees that the
//! consistency proof has.

use std::collections::HashMap;
use std::ops::Range;

use tlog::{Hash, node_hash};

/// The proof of the leaf at `index` in the tree of `old` leaves. `None` where the proofs have not the hashes that they
/// should. Nothing is verified: a wrong hash makes a proof that leads elsewhere.
pub(super) fn inclusion(index: u64, old: u64, new: u64, inclusion: &[Hash], consistency: &[Hash]) -> Option<Vec<Hash>> {
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

/// RFC 6962 2.1.1: the ranges of a leaf's path, lowest first.
fn inclusion_ranges(index: u64, size: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(start..middle);
            start = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// RFC 6962 2.1.2: the ranges of a consistency proof, lowest first, for `0 < old < size`.
fn consistency_ranges(old: u64, size: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    let (mut start, mut end) = (0, size);
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(start..middle);
            start = middle;
        }
    }
    if start != 0 {
        ranges.push(start..end);
    }
    ranges.reverse();
    ranges
}

/// The largest power of two below `length`, which is two or more.
fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tlog::{leaf_hash, tree};

    #[test]
    fn every_older_proof_follows_from_every_newer_one() {
        let leaves: Vec<Hash> = (0u64..24).map(|nth| leaf_hash(&nth.to_be_bytes())).collect();
        for new in 2..=24u64 {
            for old in 1..new {
                let consistency = tree::consistency_proof(&leaves, old, new).expect("in range");
                for index in 0..old {
                    let newer = tree::inclusion_proof(&leaves, index, new).expect("in range").hashes;
                    let wanted = tree::inclusion_proof(&leaves, index, old).expect("in range").hashes;
                    assert_eq!(inclusion(index, old, new, &newer, &consistency), Some(wanted), "{index} {old} {new}");
                }
            }
        }
    }

    #[test]
    fn proofs_of_another_length_are_refused() {
        let leaves: Vec<Hash> = (0u64..20).map(|nth| leaf_hash(&nth.to_be_bytes())).collect();
        let consistency = tree::consistency_proof(&leaves, 13, 20).expect("in range");
        let newer = tree::inclusion_proof(&leaves, 12, 20).expect("in range").hashes;
        assert!(inclusion(12, 13, 20, &newer, &consistency).is_some());
        assert_eq!(inclusion(12, 13, 20, &newer[1..], &consistency), None);
        assert_eq!(inclusion(12, 13, 20, &newer, &consistency[1..]), None);
        assert_eq!(inclusion(13, 13, 20, &newer, &consistency), None);
        assert_eq!(inclusion(12, 20, 20, &newer, &consistency), None);
        assert_eq!(inclusion(1 << 62, 1 << 63, u64::MAX, &[], &[]), None);
    }
}
