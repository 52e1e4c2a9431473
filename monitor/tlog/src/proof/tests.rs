//! Proofs of small trees, and what is refused.

use super::*;
use crate::hash::leaf_hash;
use crate::tree;

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

#[test]
fn a_tree_of_one_leaf_needs_no_hashes() {
    let leaf = leaf_hash(b"only");
    let proof = InclusionProof { index: 0, size: 1, hashes: vec![] };
    assert_eq!(proof.verify(&leaf, &leaf), Ok(()));
    let surplus = InclusionProof { hashes: vec![leaf], ..proof };
    assert_eq!(surplus.root(&leaf), Err(ProofError::SurplusHashes));
}

#[test]
fn a_leaf_outside_the_tree_has_no_proof() {
    let leaf = leaf_hash(b"x");
    for (index, size) in [(0, 0), (1, 1), (8, 8), (u64::MAX, u64::MAX)] {
        let proof = InclusionProof { index, size, hashes: vec![] };
        assert_eq!(proof.verify(&leaf, &leaf), Err(ProofError::IndexOutOfRange { index, size }));
    }
}

#[test]
fn a_proof_with_one_hash_more_or_less_is_refused() {
    for size in 1..40 {
        let leaves = leaves(size);
        let root = tree::root(&leaves);
        for index in 0..size {
            let proof = tree::inclusion_proof(&leaves, index, size).unwrap();
            let leaf = &leaves[index as usize];
            assert_eq!(proof.verify(leaf, &root), Ok(()));
            let mut longer = proof.clone();
            longer.hashes.push(root);
            assert_eq!(longer.verify(leaf, &root), Err(ProofError::SurplusHashes));
            let mut shorter = proof;
            if shorter.hashes.pop().is_some() {
                assert_eq!(shorter.verify(leaf, &root), Err(ProofError::MissingHashes));
            }
        }
    }
}

#[test]
fn a_proof_leads_to_no_other_root() {
    let leaves = leaves(7);
    let proof = tree::inclusion_proof(&leaves, 3, 7).unwrap();
    let root = tree::root(&leaves);
    let other = tree::root(&leaves[..6]);
    assert_eq!(proof.verify(&leaves[3], &other), Err(ProofError::WrongRoot { computed: root, expected: other }));
    assert!(matches!(proof.verify(&leaves[2], &root), Err(ProofError::WrongRoot { .. })));
}

#[test]
fn the_last_leaf_of_the_largest_tree_can_be_proved() {
    // 63 right turns at sizes that overflow careless shifts.
    let leaf = leaf_hash(b"last");
    let size = u64::MAX;
    let count = (size - 1).count_ones() as usize;
    let proof = InclusionProof { index: size - 1, size, hashes: vec![leaf; count] };
    assert!(proof.root(&leaf).is_ok());
    let proof = InclusionProof { index: 0, size, hashes: vec![leaf; 64] };
    assert!(proof.root(&leaf).is_ok());
    let proof = InclusionProof { index: 0, size, hashes: vec![leaf; 65] };
    assert_eq!(proof.root(&leaf), Err(ProofError::SurplusHashes));
    assert!(verify_consistency(size - 1, &leaf, size, &leaf, &[leaf; 64]).is_err());
    assert!(verify_consistency(1 << 63, &leaf, size, &leaf, &[leaf]).is_err());
}

#[test]
fn the_range_before_a_leaf_goes_on_to_the_signed_root() {
    let leaves = leaves(70);
    let root = tree::root(&leaves);
    for index in 0..70 {
        let proof = tree::inclusion_proof(&leaves, index, 70).unwrap();
        let mut range = proof.range_before(&leaves[index as usize], &root).unwrap();
        assert_eq!(range.size(), index);
        assert_eq!(range.root(), tree::root(&leaves[..index as usize]));
        for leaf in &leaves[index as usize..] {
            range.append(*leaf).unwrap();
        }
        assert_eq!(range.root(), root);
        assert!(proof.range_before(&leaf_hash(b"other"), &root).is_err());
    }
}

#[test]
fn a_tree_is_consistent_with_itself_and_the_empty_tree_with_all() {
    let (a, b, empty) = (leaf_hash(b"a"), leaf_hash(b"b"), Hash::empty_root());
    assert_eq!(verify_consistency(5, &a, 5, &a, &[]), Ok(()));
    assert_eq!(verify_consistency(5, &a, 5, &b, &[]), Err(ProofError::WrongRoot { computed: a, expected: b }));
    assert_eq!(verify_consistency(5, &a, 5, &a, &[b]), Err(ProofError::SurplusHashes));
    assert_eq!(verify_consistency(0, &empty, 5, &a, &[]), Ok(()));
    assert_eq!(verify_consistency(0, &empty, 5, &a, &[b]), Err(ProofError::SurplusHashes));
    assert_eq!(verify_consistency(0, &empty, 0, &empty, &[]), Ok(()));
    assert!(matches!(verify_consistency(0, &a, 5, &b, &[]), Err(ProofError::WrongOldRoot { .. })));
    assert!(matches!(verify_consistency(0, &a, 0, &a, &[]), Err(ProofError::WrongOldRoot { .. })));
    assert_eq!(verify_consistency(6, &a, 5, &a, &[]), Err(ProofError::Shrunk { old_size: 6, new_size: 5 }));
}

#[test]
fn a_fork_is_not_a_continuation() {
    let old = leaves(5);
    let mut forked = leaves(9);
    forked[2] = leaf_hash(b"rewritten");
    let hashes = tree::consistency_proof(&forked, 5, 9).unwrap();
    assert!(matches!(
        verify_consistency(5, &tree::root(&old), 9, &tree::root(&forked), &hashes),
        Err(ProofError::WrongOldRoot { .. })
    ));
    let hashes = tree::consistency_proof(&leaves(9), 5, 9).unwrap();
    assert!(matches!(
        verify_consistency(5, &tree::root(&old), 9, &tree::root(&forked), &hashes),
        Err(ProofError::WrongRoot { .. })
    ));
}

#[test]
fn a_consistency_proof_with_one_hash_more_or_less_is_refused() {
    let all = leaves(33);
    for new_size in 2..=33usize {
        for old_size in 1..new_size {
            let (old, new) = (tree::root(&all[..old_size]), tree::root(&all[..new_size]));
            let verify = |hashes: &[Hash]| verify_consistency(old_size as u64, &old, new_size as u64, &new, hashes);
            let mut hashes = tree::consistency_proof(&all, old_size as u64, new_size as u64).unwrap();
            assert_eq!(verify(&hashes), Ok(()), "{old_size} {new_size}");
            hashes.push(new);
            assert_eq!(verify(&hashes), Err(ProofError::SurplusHashes));
            hashes.truncate(hashes.len() - 2);
            assert_eq!(verify(&hashes), Err(ProofError::MissingHashes));
        }
    }
}
