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

#[test]
fn a_range_is_stored_in_bytes_and_read_back() {
    let mut range = CompactRange::new();
    for i in 0..300u64 {
        let bytes = range.to_bytes();
        assert_eq!(bytes.len(), 8 + 32 * i.count_ones() as usize);
        assert_eq!(CompactRange::from_bytes(&bytes).as_ref(), Ok(&range));
        range.append(leaf_hash(&i.to_be_bytes())).unwrap();
    }
    let largest = CompactRange::from_parts(u64::MAX, vec![leaf_hash(b"x"); 64]).unwrap();
    assert_eq!(largest.to_bytes().len(), 2056);
    assert_eq!(CompactRange::from_bytes(&largest.to_bytes()), Ok(largest));
    let bytes = range.to_bytes();
    for length in 0..bytes.len() {
        assert!(CompactRange::from_bytes(&bytes[..length]).is_err(), "{length}");
    }
    assert_eq!(CompactRange::from_bytes(&[0; 7]), Err(CompactRangeError::Malformed(7)));
    assert_eq!(CompactRange::from_bytes(&[0; 9]), Err(CompactRangeError::Malformed(9)));
}

#[test]
fn the_nodes_of_a_range_are_the_roots_of_their_leaves() {
    let leaves: Vec<Hash> = (0..130u64).map(|i| leaf_hash(&i.to_be_bytes())).collect();
    let mut range = CompactRange::new();
    for size in 0..leaves.len() {
        let mut start = 0;
        for (level, index, hash) in range.node_ranges() {
            assert_eq!(index << level, start as u64);
            let end = start + (1 << level);
            assert_eq!(hash, tree::root(&leaves[start..end]), "{start}..{end}");
            start = end;
        }
        assert_eq!(start, size);
        range.append(leaves[size]).unwrap();
    }
    let largest = CompactRange::from_parts(u64::MAX, vec![leaf_hash(b"x"); 64]).unwrap();
    let last = largest.node_ranges().last().unwrap();
    assert_eq!((largest.node_ranges().count(), last.0, last.1), (64, 0, u64::MAX - 1));
}
