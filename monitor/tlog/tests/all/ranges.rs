//! Properties of compact ranges, node proofs, segments and tiles, against the naive tree.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tlog::tile::{self, TileCoord};
use tlog::{CompactRange, Hash, InclusionProof, NodeProof, leaf_hash, leaf_hashes, subtree_root, tree};
use tlog::{node_hash, verify_consistency};

use crate::naive;
use crate::properties::{flip, mutations};

/// Short leaves, enough for tiles of two levels.
fn many_leaves() -> impl Strategy<Value = Vec<Vec<u8>>> {
    (1usize..700, any::<u64>())
        .prop_map(|(count, seed)| (0..count as u64).map(|n| (seed ^ n).to_be_bytes().to_vec()).collect())
}

fn hashes(leaves: &[Vec<u8>]) -> Vec<Hash> {
    let mut hashes = Vec::new();
    leaf_hashes(leaves.iter().map(Vec::as_slice), &mut hashes);
    hashes
}

fn only(tiles: &BTreeMap<TileCoord, Vec<u8>>, wanted: Vec<TileCoord>) -> BTreeMap<TileCoord, Vec<u8>> {
    wanted.into_iter().map(|coord| (coord, tiles[&coord].clone())).collect()
}

/// A perfect subtree within a tree of `size` leaves.
fn place(size: usize, level: u32, index: prop::sample::Index) -> (u32, usize) {
    let level = level % (size.ilog2() + 1);
    (level, index.index(size >> level))
}

#[test]
fn every_node_of_every_small_tree_is_proved_and_no_other_place_is() {
    let leaves: Vec<Vec<u8>> = (0..34u8).map(|i| vec![i]).collect();
    let hashes = hashes(&leaves);
    for size in 1..=leaves.len() {
        let root = naive::root(&leaves[..size]);
        let tiles = tile::tiles_of(&hashes[..size]);
        for level in 0..=size.ilog2() {
            for index in 0..size >> level {
                let proof = tile::node_proof(level, index as u64, size as u64, &tiles).unwrap();
                assert_eq!(proof.node, naive::root(&leaves[index << level..(index + 1) << level]));
                assert_eq!(proof.root(), Ok(root), "{level}/{index} of {size}");
                // The same hashes prove no other node of the level.
                for other in (0..size >> level).filter(|other| *other != index) {
                    let moved = NodeProof { index: other as u64, ..proof.clone() };
                    assert_ne!(moved.root(), Ok(root), "{level}/{index} of {size} at {other}");
                }
            }
            let beyond = (size >> level) as u64;
            assert!(tile::node_proof(level, beyond, size as u64, &tiles).is_err());
            assert!(tile::tiles_for_node(level, beyond, size as u64).is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_node_is_proved_from_the_tiles_that_are_named(
        leaves in many_leaves(), level in 0u32..10, index: prop::sample::Index, bit: u8,
    ) {
        let size = leaves.len();
        let (level, index) = place(size, level, index);
        let tiles = tile::tiles_of(&hashes(&leaves));
        let named = only(&tiles, tile::tiles_for_node(level, index as u64, size as u64));
        let proof = tile::node_proof(level, index as u64, size as u64, &named).unwrap();
        let root = naive::root(&leaves);
        prop_assert_eq!(proof.node, naive::root(&leaves[index << level..(index + 1) << level]));
        prop_assert_eq!(proof.root(), Ok(root));
        if level == 0 {
            prop_assert_eq!(&proof.path, &naive::path(index, &leaves));
        }
        for path in mutations(&proof.path, bit) {
            let mutant = NodeProof { path, ..proof.clone() };
            prop_assert_ne!(mutant.root(), Ok(root), "{:?}", mutant);
        }
        let flipped = NodeProof { node: flip(proof.node, bit), ..proof.clone() };
        prop_assert_ne!(flipped.root(), Ok(root));
        // Without one of the tiles there is no proof.
        for coord in named.keys() {
            let mut fewer = named.clone();
            fewer.remove(coord);
            prop_assert!(tile::node_proof(level, index as u64, size as u64, &fewer).is_err());
        }
    }

    // The evidence of a contradiction: what the old range says of a place, against what the new root does.
    #[test]
    fn an_old_range_contradicts_a_new_root_exactly_where_leaves_were_changed(
        leaves in many_leaves(), old: prop::sample::Index, changed: prop::sample::Index,
    ) {
        let old = old.index(leaves.len()) + 1;
        let changed = changed.index(old);
        let mut range = CompactRange::new();
        hashes(&leaves[..old]).into_iter().for_each(|leaf| range.append(leaf).unwrap());
        prop_assert_eq!(range.root(), naive::root(&leaves[..old]));

        let mut rewritten = leaves.clone();
        rewritten[changed] = b"rewritten".to_vec();
        for (now, honest) in [(&leaves, true), (&rewritten, false)] {
            let root = naive::root(now);
            let tiles = tile::tiles_of(&hashes(now));
            let mut contradictions = 0;
            for (level, index, node) in range.node_ranges() {
                let proof = tile::node_proof(level, index, now.len() as u64, &tiles).unwrap();
                prop_assert_eq!(proof.root(), Ok(root));
                contradictions += u32::from(proof.node != node);
            }
            prop_assert_eq!(contradictions, u32::from(!honest));
        }
    }

    // Segments in any cut and order: each begins with the range before its first leaf, which one proof gives, and
    // must end with the range before the next one's.
    #[test]
    fn a_log_cut_anywhere_into_segments_is_the_log(
        leaves in many_leaves(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        wrong: prop::sample::Index,
    ) {
        let size = leaves.len();
        let hashes = hashes(&leaves);
        let root = naive::root(&leaves);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(size)).collect();
        cuts.extend([0, size]);
        cuts.sort_unstable();
        cuts.dedup();
        let before = |cut: usize| {
            if cut == size {
                // The last leaf's proof gives the whole tree.
                let proof = tree::inclusion_proof(&hashes, size as u64 - 1, size as u64).unwrap();
                return CompactRange::from_inclusion(&proof, &hashes[size - 1], &root).unwrap();
            }
            let proof = tree::inclusion_proof(&hashes, cut as u64, size as u64).unwrap();
            let range = proof.range_before(&hashes[cut], &root).unwrap();
            if cut > 0 {
                let previous = tree::inclusion_proof(&hashes, cut as u64 - 1, size as u64).unwrap();
                assert_eq!(CompactRange::from_inclusion(&previous, &hashes[cut - 1], &root).as_ref(), Ok(&range));
            }
            range
        };
        let wrong = wrong.index(size);
        for pair in cuts.windows(2).rev() {
            let [start, end] = *pair else { continue };
            let expected = before(end);
            let read = |leaves: &[Hash]| {
                let mut range = before(start);
                leaves.iter().for_each(|leaf| range.append(*leaf).unwrap());
                range
            };
            let segment = &hashes[start..end];
            prop_assert_eq!(&read(segment), &expected);
            prop_assert_eq!(expected.root(), naive::root(&leaves[..end]));
            // One changed leaf, one left out and one too many show in its own segment.
            if (start..end).contains(&wrong) {
                let at = wrong - start;
                let mut changed = segment.to_vec();
                changed[at] = leaf_hash(b"another");
                prop_assert_ne!(read(&changed), expected.clone());
                changed.remove(at);
                prop_assert_ne!(read(&changed), expected.clone());
                let mut doubled = segment.to_vec();
                doubled.insert(at, segment[at]);
                prop_assert_ne!(read(&doubled), expected);
            }
        }
        prop_assert_eq!(before(size).root(), root);
    }

    #[test]
    fn a_range_begins_only_with_a_proof_that_holds(
        leaves in many_leaves(), index: prop::sample::Index, bit: u8,
    ) {
        let (index, size) = (index.index(leaves.len()), leaves.len() as u64);
        let hashes = hashes(&leaves);
        let root = naive::root(&leaves);
        let proof = tree::inclusion_proof(&hashes, index as u64, size).unwrap();
        let range = CompactRange::from_inclusion(&proof, &hashes[index], &root).unwrap();
        prop_assert_eq!((range.size(), range.root()), (index as u64 + 1, naive::root(&leaves[..=index])));
        prop_assert!(CompactRange::from_inclusion(&proof, &flip(hashes[index], bit), &root).is_err());
        prop_assert!(CompactRange::from_inclusion(&proof, &hashes[index], &flip(root, bit)).is_err());
        for hashes_of_mutant in mutations(&proof.hashes, bit) {
            let mutant = InclusionProof { hashes: hashes_of_mutant, ..proof.clone() };
            prop_assert!(CompactRange::from_inclusion(&mutant, &hashes[index], &root).is_err());
        }
    }

    #[test]
    fn consistency_by_tiles_is_consistency_by_hashes(
        leaves in many_leaves(), old: prop::sample::Index, at: prop::sample::Index, bit in 0u8..8,
    ) {
        let (old, size) = (old.index(leaves.len()), leaves.len() as u64);
        let (old_root, root) = (naive::root(&leaves[..old]), naive::root(&leaves));
        let hashes = hashes(&leaves);
        let tiles = only(&tile::tiles_of(&hashes), tile::tiles_for_consistency(old as u64, size));
        let by_tiles = tile::consistency_proof(old as u64, size, &tiles).unwrap();
        prop_assert_eq!(&by_tiles, &tree::consistency_proof(&hashes, old as u64, size).unwrap());
        if old > 0 {
            prop_assert_eq!(&by_tiles, &naive::proof(old, &leaves));
        }
        prop_assert_eq!(verify_consistency(old as u64, &old_root, size, &root, &by_tiles), Ok(()));
        // A bit changed in a tile: either the proof does not touch it, or it does not hold.
        for coord in tiles.keys() {
            let mut changed = tiles.clone();
            let bytes = changed.get_mut(coord).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let proof = tile::consistency_proof(old as u64, size, &changed).unwrap();
            let holds = verify_consistency(old as u64, &old_root, size, &root, &proof).is_ok();
            prop_assert_eq!(holds, proof == by_tiles);
        }
    }

    #[test]
    fn roots_in_place_and_hashes_in_bulk_are_the_naive_ones(leaves in many_leaves()) {
        let mut hashes = hashes(&leaves);
        prop_assert_eq!(&hashes, &leaves.iter().map(|leaf| naive::root(std::slice::from_ref(leaf))).collect::<Vec<_>>());
        let root = naive::root(&leaves);
        prop_assert_eq!(tree::root(&hashes), root);
        prop_assert_eq!(subtree_root(&mut hashes), root);
        prop_assert_eq!(subtree_root(&mut []), Hash::empty_root());
        prop_assert_eq!(node_hash(&leaf_hash(b"a"), &leaf_hash(b"b")), naive::root(&[b"a".to_vec(), b"b".to_vec()]));
    }

    // As a monitor reads: whole bundles as one node, the rest leaf by leaf, from wherever it stands.
    #[test]
    fn whole_bundles_may_be_appended_as_one_node(leaves in many_leaves(), start: prop::sample::Index) {
        let hashes = hashes(&leaves);
        let mut range = CompactRange::new();
        for leaf in &hashes[..start.index(leaves.len())] {
            range.append(*leaf).unwrap();
        }
        while let Some(rest) = hashes.get(range.size() as usize..).filter(|rest| !rest.is_empty()) {
            if range.size().is_multiple_of(256) && rest.len() >= 256 {
                range.append_subtree(8, subtree_root(&mut rest[..256].to_vec())).unwrap();
            } else {
                range.append(rest[0]).unwrap();
            }
        }
        prop_assert_eq!(range.root(), naive::root(&leaves));
        prop_assert_eq!(CompactRange::from_bytes(&range.to_bytes()), Ok(range));
    }

    #[test]
    fn no_place_and_no_size_makes_a_node_proof_panic(
        level: u32, small in 0u32..70, index: u64, size: u64, path in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        bytes in prop::collection::vec(any::<u8>(), 0..2100),
    ) {
        let path: Vec<Hash> = path.into_iter().map(Hash::new).collect();
        for level in [level, small] {
            let node = leaf_hash(b"");
            let _ = NodeProof { level, index, node, size, path: path.clone() }.root();
            let _ = NodeProof { level, index: 0, node, size, path: path.clone() }.root();
            for size in [size, u64::MAX, 0] {
                let tiles = tile::tiles_for_node(level, index, size);
                prop_assert!(tiles.len() <= 17);
                prop_assert!(tile::node_proof(level, index, size, &BTreeMap::new()).is_err());
            }
        }
        if let Ok(range) = CompactRange::from_bytes(&bytes) {
            prop_assert_eq!(range.to_bytes(), bytes);
            prop_assert_eq!(range.node_ranges().count(), range.hashes().len());
        }
    }
}
