//! Tiles: paths, bundles, and proofs made of tiles against proofs made of leaves.

use super::*;
use crate::hash::leaf_hash;

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

#[test]
fn paths_are_those_of_the_specification() {
    let path = |level, index, width| TileCoord { level, index, width }.path();
    assert_eq!(path(0, 1_234_067, 256), "tile/0/x001/x234/067");
    assert_eq!(path(0, 1234, 5), "tile/0/x001/234.p/5");
    assert_eq!(path(3, 0, 1), "tile/3/000.p/1");
    assert_eq!(path(0, 999, 256), "tile/0/999");
    assert_eq!(path(0, 1000, 256), "tile/0/x001/000");
    assert_eq!(entries_path(0, 3), "tile/entries/000.p/3");
    assert_eq!(entries_path(70_000, 256), "tile/entries/x070/000");
}

// The example of the specification: a tree of 70,000 leaves.
#[test]
fn a_tree_has_full_tiles_and_one_partial_tile_at_the_end_of_each_level() {
    let coords = tile_coords(70_000);
    let of = |level: u8| coords.iter().filter(move |coord| coord.level == level).collect::<Vec<_>>();
    assert_eq!(of(0).len(), 274);
    assert_eq!(of(0)[273].path(), "tile/0/273.p/112");
    assert_eq!(of(1).iter().map(|coord| coord.path()).collect::<Vec<_>>(), ["tile/1/000", "tile/1/001.p/17"]);
    assert_eq!(of(2).iter().map(|coord| coord.path()).collect::<Vec<_>>(), ["tile/2/000.p/1"]);
    assert_eq!(coords.len(), 277);
    assert!(tile_coords(0).is_empty());
    assert_eq!(tile_coords(256).len(), 2);
}

#[test]
fn a_leaf_is_found_in_its_bundle() {
    assert_eq!(entries_for(314, 0), ("tile/entries/000".into(), 0));
    assert_eq!(entries_for(314, 255), ("tile/entries/000".into(), 255));
    assert_eq!(entries_for(314, 256), ("tile/entries/001.p/58".into(), 0));
    assert_eq!(entries_for(314, 313), ("tile/entries/001.p/58".into(), 57));
    assert_eq!(entries_for(3, 2), ("tile/entries/000.p/3".into(), 2));
    assert_eq!(entries_for(0, 0), ("tile/entries/000".into(), 0));
    assert_eq!(entries_for(u64::MAX, u64::MAX).1, 255);
}

#[test]
fn a_bundle_reads_back_as_it_was_written() {
    let entries: Vec<Vec<u8>> = vec![b"one".to_vec(), vec![], vec![7; 65_535]];
    let bytes = format_entries(&entries).unwrap();
    assert_eq!(&bytes[..7], b"\0\x03one\0\0");
    assert_eq!(parse_entries(&bytes), Ok(entries));
    assert_eq!(parse_entries(b""), Ok(vec![]));
    assert_eq!(parse_entries(&bytes[..bytes.len() - 1]), Err(TileError::TruncatedEntries(2)));
    assert_eq!(parse_entries(b"\0"), Err(TileError::TruncatedEntries(0)));
    assert_eq!(parse_entries(b"\0\x01a\0\x02b"), Err(TileError::TruncatedEntries(1)));
}

#[test]
fn a_bundle_has_256_entries_at_most() {
    assert_eq!(parse_entries(&[0; 512]).unwrap().len(), 256);
    assert_eq!(parse_entries(&[0; 514]), Err(TileError::TooManyEntries));
    assert_eq!(format_entries(&vec![b""; 257]), Err(TileError::TooManyEntries));
    assert_eq!(format_entries(&[vec![0; 65_536]]), Err(TileError::EntryTooLong(0)));
}

#[test]
fn the_tiles_of_a_tree_are_those_that_its_size_names() {
    for size in [0, 1, 2, 255, 256, 257, 700, 66_000] {
        let leaves = leaves(size);
        let tiles = tiles_of(&leaves);
        let mut named = tile_coords(size);
        named.sort();
        assert_eq!(tiles.keys().copied().collect::<Vec<_>>(), named, "{size}");
        for (coord, bytes) in tiles {
            assert_eq!(bytes.len(), usize::from(coord.width) * 32);
            if coord.level > 0 || coord.index % 100 == 0 {
                assert_eq!(tile_bytes(coord.level, coord.index, coord.width, &leaves), bytes, "{coord:?}");
            }
        }
    }
}

#[test]
fn a_tile_beyond_the_tree_is_empty() {
    let leaves = leaves(300);
    assert_eq!(tile_bytes(0, 2, 256, &leaves), Vec::<u8>::new());
    assert_eq!(tile_bytes(1, 0, 256, &leaves).len(), 32);
    for level in 1..=u8::MAX {
        assert_eq!(tile_bytes(level, u64::MAX, 256, &leaves), Vec::<u8>::new());
    }
}

#[test]
fn proofs_made_of_tiles_are_those_made_of_leaves() {
    let all = leaves(66_000);
    for size in [1u64, 2, 3, 255, 256, 257, 511, 512, 513, 1000, 65_537, 66_000] {
        let leaves = &all[..size as usize];
        let root = tree::root(leaves);
        let tiles = tiles_of(leaves);
        let at = |wanted: Vec<TileCoord>| -> BTreeMap<_, _> {
            wanted.into_iter().map(|coord| (coord, tiles[&coord].clone())).collect()
        };
        for index in [0, size / 3, size.saturating_sub(2), size - 1] {
            let wanted = tiles_for_inclusion(index, size);
            assert!(wanted.len() <= 4, "{wanted:?}");
            let proof = inclusion_proof(index, size, &at(wanted)).unwrap();
            assert_eq!(proof.verify(&leaves[index as usize], &root), Ok(()), "{index} of {size}");
            assert_eq!(Some(proof), tree::inclusion_proof(leaves, index, size));
        }
        for old in [0, 1, size / 3, size - 1, size] {
            let proof = consistency_proof(old, size, &at(tiles_for_consistency(old, size))).unwrap();
            assert_eq!(Some(proof), tree::consistency_proof(leaves, old, size), "{old} to {size}");
        }
    }
}

#[test]
fn a_proof_says_which_tile_it_misses() {
    let leaves = leaves(300);
    let mut tiles = tiles_of(&leaves);
    assert_eq!(inclusion_proof(300, 300, &tiles), Err(TileError::NoProof { from: 300, size: 300 }));
    assert_eq!(consistency_proof(301, 300, &tiles), Err(TileError::NoProof { from: 301, size: 300 }));
    assert!(tiles_for_inclusion(300, 300).is_empty());
    let partial = TileCoord { level: 0, index: 1, width: 44 };
    let full = tiles.remove(&partial).unwrap();
    assert_eq!(inclusion_proof(299, 300, &tiles), Err(TileError::Missing("tile/0/001.p/44".into())));
    for wrong in [&full[..full.len() - 1], &full[32..], &[0; 8224]] {
        tiles.insert(partial, wrong.to_vec());
        assert_eq!(
            inclusion_proof(299, 300, &tiles),
            Err(TileError::WrongLength { path: "tile/0/001.p/44".into(), found: wrong.len() })
        );
    }
}

// A log may drop its partial tiles once it has the full one.
#[test]
fn a_fuller_tile_serves_for_a_partial_one() {
    let leaves = leaves(512);
    let mut tiles = tiles_of(&leaves[..300]);
    tiles.insert(TileCoord { level: 0, index: 1, width: 44 }, tile_bytes(0, 1, 256, &leaves));
    let proof = inclusion_proof(299, 300, &tiles).unwrap();
    assert_eq!(proof.verify(&leaves[299], &tree::root(&leaves[..300])), Ok(()));
}

#[test]
fn the_largest_sizes_name_tiles_without_overflow() {
    for (index, size) in [(0, u64::MAX), (u64::MAX - 1, u64::MAX), (1 << 63, u64::MAX), (1 << 62, 1 << 63)] {
        assert!(tiles_for_inclusion(index, size).len() <= 16);
        assert!(tiles_for_consistency(index, size).len() <= 16);
        assert!(matches!(inclusion_proof(index, size, &BTreeMap::new()), Err(TileError::Missing(_))));
    }
}
