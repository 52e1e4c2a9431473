//! Trees, and what they have no proof for.

use super::*;
use crate::hash::leaf_hash;

#[test]
fn the_root_splits_at_the_largest_power_of_two() {
    let [a, b, c] = [leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")];
    assert_eq!(root(&[]), Hash::empty_root());
    assert_eq!(root(&[a]), a);
    assert_eq!(root(&[a, b, c]), node_hash(&node_hash(&a, &b), &c));
}

#[test]
fn there_is_no_proof_beyond_the_leaves() {
    let leaves = [leaf_hash(b"a"), leaf_hash(b"b")];
    assert_eq!(inclusion_proof(&leaves, 2, 2), None);
    assert_eq!(inclusion_proof(&leaves, 0, 3), None);
    assert_eq!(inclusion_proof(&leaves, 0, 0), None);
    assert_eq!(inclusion_proof(&leaves, 0, 1).map(|proof| proof.hashes), Some(vec![]));
    assert_eq!(consistency_proof(&leaves, 2, 1), None);
    assert_eq!(consistency_proof(&leaves, 1, 3), None);
    assert_eq!(consistency_proof(&leaves, 0, 2), Some(vec![]));
    assert_eq!(consistency_proof(&leaves, 2, 2), Some(vec![]));
    assert_eq!(consistency_proof(&leaves, 1, 2), Some(vec![leaves[1]]));
}
