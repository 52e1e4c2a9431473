//! Properties of trees and proofs: against the naive tree, against rs_merkle, and under mutation.

use proptest::prelude::*;
use rs_merkle::{Hasher, MerkleTree};
use sha2::{Digest as _, Sha256};
use tlog::{CompactRange, Hash, InclusionProof, leaf_hash, node_hash, tree, verify_consistency};

use crate::naive;

/// RFC 6962 for rs_merkle: an unpaired node is passed up as it is.
#[derive(Clone)]
struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(leaf: &[u8]) -> [u8; 32] {
        Sha256::digest([&[0], leaf].concat()).into()
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        match right {
            Some(right) => Sha256::digest([&[1], left.as_slice(), right.as_slice()].concat()).into(),
            None => *left,
        }
    }
}

fn leaves() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..130)
}

/// Leaves, and a leaf among them.
fn leaves_and_index() -> impl Strategy<Value = (Vec<Vec<u8>>, usize)> {
    leaves().prop_flat_map(|leaves| {
        let count = leaves.len();
        (Just(leaves), 0..count)
    })
}

fn hashes(leaves: &[Vec<u8>]) -> Vec<Hash> {
    leaves.iter().map(|leaf| leaf_hash(leaf)).collect()
}

pub(crate) fn flip(hash: Hash, bit: u8) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[usize::from(bit / 8)] ^= 1 << (bit % 8);
    Hash::new(bytes)
}

/// All proofs that differ from this one by one hash dropped, doubled, changed or swapped.
pub(crate) fn mutations(hashes: &[Hash], bit: u8) -> Vec<Vec<Hash>> {
    let mut mutants = Vec::new();
    for at in 0..hashes.len() {
        let mut dropped = hashes.to_vec();
        dropped.remove(at);
        mutants.push(dropped);
        let mut doubled = hashes.to_vec();
        doubled.insert(at, hashes[at]);
        mutants.push(doubled);
        let mut flipped = hashes.to_vec();
        flipped[at] = flip(flipped[at], bit);
        mutants.push(flipped);
        if at > 0 && hashes[at] != hashes[at - 1] {
            let mut swapped = hashes.to_vec();
            swapped.swap(at, at - 1);
            mutants.push(swapped);
        }
    }
    for surplus in [leaf_hash(b"surplus"), Hash::empty_root()] {
        let mut longer = hashes.to_vec();
        longer.push(surplus);
        mutants.push(longer);
    }
    mutants
}

#[test]
fn every_small_tree_has_the_proofs_of_the_rfc() {
    let leaves: Vec<Vec<u8>> = (0..65u8).map(|i| vec![i]).collect();
    let hashes = hashes(&leaves);
    for size in 1..=leaves.len() {
        let prefix = &leaves[..size];
        let root = naive::root(prefix);
        assert_eq!(tree::root(&hashes[..size]), root);
        for index in 0..size {
            let proof = tree::inclusion_proof(&hashes, index as u64, size as u64).unwrap();
            assert_eq!(proof.hashes, naive::path(index, prefix), "{index} of {size}");
            assert_eq!(proof.verify(&hashes[index], &root), Ok(()));
        }
        for old in 1..size {
            let proof = tree::consistency_proof(&hashes, old as u64, size as u64).unwrap();
            assert_eq!(proof, naive::proof(old, prefix), "{old} to {size}");
            let old_root = naive::root(&leaves[..old]);
            assert_eq!(verify_consistency(old as u64, &old_root, size as u64, &root, &proof), Ok(()));
        }
    }
}

// One proof may fit several pairs of index and size, but never two indices of one tree.
#[test]
fn a_proof_proves_one_index_of_a_tree_and_no_other() {
    let leaves: Vec<Vec<u8>> = (0..40u8).map(|i| vec![i]).collect();
    let hashes = hashes(&leaves);
    for size in 1..=leaves.len() {
        let root = naive::root(&leaves[..size]);
        for (index, leaf) in hashes[..size].iter().enumerate() {
            let proof = naive::path(index, &leaves[..size]);
            for claimed in 0..size as u64 {
                let claim = InclusionProof { index: claimed, size: size as u64, hashes: proof.clone() };
                assert_eq!(claim.verify(leaf, &root).is_ok(), claimed == index as u64);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn trees_and_ranges_have_the_naive_root(leaves in leaves()) {
        let hashes = hashes(&leaves);
        let root = naive::root(&leaves);
        prop_assert_eq!(tree::root(&hashes), root);
        let mut range = CompactRange::new();
        for hash in &hashes {
            range.append(*hash).unwrap();
        }
        prop_assert_eq!(range.root(), root);
    }

    #[test]
    fn inclusion_proofs_are_those_of_rs_merkle((leaves, index) in leaves_and_index()) {
        let hashes = hashes(&leaves);
        let raw: Vec<[u8; 32]> = leaves.iter().map(|leaf| Rfc6962::hash(leaf)).collect();
        let oracle = MerkleTree::<Rfc6962>::from_leaves(&raw);
        let root = Hash::new(oracle.root().unwrap());
        prop_assert_eq!(tree::root(&hashes), root);
        let theirs: Vec<Hash> = oracle.proof(&[index]).proof_hashes().iter().copied().map(Hash::new).collect();
        let ours = tree::inclusion_proof(&hashes, index as u64, leaves.len() as u64).unwrap();
        prop_assert_eq!(&ours.hashes, &theirs);
        prop_assert_eq!(ours.verify(&hashes[index], &root), Ok(()));
    }

    #[test]
    fn a_mutated_inclusion_proof_is_refused((leaves, index) in leaves_and_index(), bit: u8) {
        let leaf = leaf_hash(&leaves[index]);
        let root = naive::root(&leaves);
        let (index, size) = (index as u64, leaves.len() as u64);
        let hashes = naive::path(index as usize, &leaves);
        let proof = InclusionProof { index, size, hashes: hashes.clone() };
        prop_assert_eq!(proof.verify(&leaf, &root), Ok(()));
        for mutant in mutations(&hashes, bit) {
            let mutant = InclusionProof { index, size, hashes: mutant };
            prop_assert!(mutant.verify(&leaf, &root).is_err(), "{:?}", mutant);
        }
        prop_assert!(proof.verify(&flip(leaf, bit), &root).is_err());
        prop_assert!(proof.verify(&leaf, &flip(root, bit)).is_err());
        // A node cannot pose as a leaf of a smaller tree.
        if let [sibling, rest @ ..] = hashes.as_slice() {
            let parent = if index % 2 == 0 { node_hash(&leaf, sibling) } else { node_hash(sibling, &leaf) };
            let posing = InclusionProof { index, size, hashes: rest.to_vec() };
            prop_assert!(posing.verify(&parent, &root).is_err());
        }
    }

    #[test]
    fn a_mutated_consistency_proof_is_refused((leaves, old) in leaves_and_index(), bit: u8) {
        prop_assume!(old > 0);
        let (old_root, new_root) = (naive::root(&leaves[..old]), naive::root(&leaves));
        let (old_size, new_size) = (old as u64, leaves.len() as u64);
        let hashes = naive::proof(old, &leaves);
        prop_assert_eq!(verify_consistency(old_size, &old_root, new_size, &new_root, &hashes), Ok(()));
        for mutant in mutations(&hashes, bit) {
            prop_assert!(verify_consistency(old_size, &old_root, new_size, &new_root, &mutant).is_err());
        }
        prop_assert!(verify_consistency(old_size, &flip(old_root, bit), new_size, &new_root, &hashes).is_err());
        prop_assert!(verify_consistency(old_size, &old_root, new_size, &flip(new_root, bit), &hashes).is_err());
        prop_assert!(verify_consistency(new_size, &new_root, old_size, &old_root, &hashes).is_err());
    }

    #[test]
    fn no_size_and_no_proof_makes_a_verifier_panic(
        index: u64, size: u64, other: u64, hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70),
    ) {
        let hashes: Vec<Hash> = hashes.into_iter().map(Hash::new).collect();
        let leaf = leaf_hash(b"");
        let _ = InclusionProof { index, size, hashes: hashes.clone() }.range_before(&leaf, &leaf);
        let _ = verify_consistency(other, &leaf, size, &leaf, &hashes);
        let _ = tlog::tile::tiles_for_inclusion(index, size);
        let _ = tlog::tile::tiles_for_consistency(other, size);
        let _ = tlog::tile::entries_for(size, index);
        let _ = CompactRange::from_parts(size, hashes);
    }

    #[test]
    fn segments_read_apart_meet_under_one_root((leaves, cut) in leaves_and_index()) {
        let hashes = hashes(&leaves);
        let root = naive::root(&leaves);
        let proof = tree::inclusion_proof(&hashes, cut as u64, leaves.len() as u64).unwrap();
        let mut range = proof.range_before(&hashes[cut], &root).unwrap();
        prop_assert_eq!(range.root(), naive::root(&leaves[..cut]));
        for hash in &hashes[cut..] {
            range.append(*hash).unwrap();
        }
        prop_assert_eq!(range.root(), root);
    }
}
