//! Compact ranges against whole trees.

use super::*;
use crate::hash::leaf_hash;
use crate::tree;

#[test]
fn a_range_has_the_root_of_the_whole_tree_at_every_size() {
    let mut range = CompactRange::new();
    let mut leaves = Vec::new();
    assert_eq!(range.root(), Hash::empty_root());
    for i in 0..300u64 {
        let leaf = leaf_hash(&i.to_be_bytes());
        leaves.push(leaf);
        range.append(leaf).unwrap();
        assert_eq!(range.root(), tree::root(&leaves));
        assert_eq!(range.size(), i + 1);
        let stored = CompactRange::from_parts(range.size(), range.hashes().to_vec());
        assert_eq!(stored.as_ref(), Ok(&range));
    }
}

#[test]
fn a_full_tile_counts_as_its_leaves() {
    let leaves: Vec<Hash> = (0..1000u64).map(|i| leaf_hash(&i.to_be_bytes())).collect();
    let mut range = CompactRange::new();
    for tile in leaves.chunks(256) {
        if tile.len() == 256 {
            range.append_subtree(8, tree::root(tile)).unwrap();
        } else {
            for leaf in tile {
                range.append(*leaf).unwrap();
            }
        }
    }
    assert_eq!((range.size(), range.root()), (1000, tree::root(&leaves)));
}

#[test]
fn what_does_not_fit_the_size_is_refused() {
    let hash = leaf_hash(b"x");
    assert_eq!(
        CompactRange::from_parts(5, vec![hash]),
        Err(CompactRangeError::WrongLength { size: 5, expected: 2, found: 1 })
    );
    assert!(CompactRange::from_parts(0, vec![hash]).is_err());
    let mut range = CompactRange::from_parts(5, vec![hash, hash]).unwrap();
    assert_eq!(range.append_subtree(1, hash), Err(CompactRangeError::Misaligned { level: 1, size: 5 }));
    assert_eq!(range.append_subtree(64, hash), Err(CompactRangeError::TooLarge));
    assert_eq!(range.size(), 5);
    let mut full = CompactRange::from_parts(u64::MAX, vec![hash; 64]).unwrap();
    assert_eq!(full.append(hash), Err(CompactRangeError::TooLarge));
    assert_eq!(full.hashes().len(), 64);
}
