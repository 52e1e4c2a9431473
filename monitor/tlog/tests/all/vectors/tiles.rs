//! Logs of static files: a small Rekor v2 log, and a certificate log at sixteen sizes.

use tlog::tile::{self, TileCoord};
use tlog::{Checkpoint, CompactRange, Hash, LogKey, leaf_hash, tree, verify_consistency};

use super::{fetch, text, vectors};

/// The verifier key of the log that tesseract's tests read.
pub(super) const TESSERACT: &str = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx";

#[test]
fn a_rekor_v2_log_is_read_from_its_tiles() {
    let Some(folder) = vectors("local-rekor-tiles") else { return };
    let key = LogKey::from_pem(&text(folder.join("log.pub")), Some("rekor.hp.test")).unwrap();
    let checkpoint = Checkpoint::open(&text(folder.join("checkpoint")), &key).unwrap();
    let size = checkpoint.size();
    assert_eq!((checkpoint.origin(), size), ("rekor.hp.test", 314));

    // Every leaf, through its bundle, under the signed root.
    let mut leaves = Vec::new();
    for index in 0..=1u64 {
        let (path, first) = tile::entries_for(size, index * 256);
        assert_eq!(first, 0);
        let entries = tile::parse_entries(&std::fs::read(folder.join(path)).unwrap()).unwrap();
        leaves.extend(entries.iter().map(|entry| leaf_hash(entry)));
    }
    let mut range = CompactRange::new();
    leaves.iter().for_each(|leaf| range.append(*leaf).unwrap());
    assert_eq!((range.size(), range.root()), (size, checkpoint.root()));

    // Every leaf, through the tiles alone.
    for (index, leaf) in (0..).zip(&leaves) {
        let tiles = fetch(&folder, tile::tiles_for_inclusion(index, size));
        let proof = tile::inclusion_proof(index, size, &tiles).unwrap();
        assert_eq!(proof.verify(leaf, &checkpoint.root()), Ok(()), "{index}");
    }
    for old in 1..size {
        let tiles = fetch(&folder, tile::tiles_for_consistency(old, size));
        let proof = tile::consistency_proof(old, size, &tiles).unwrap();
        let old_root = tree::root(&leaves[..old as usize]);
        assert_eq!(verify_consistency(old, &old_root, size, &checkpoint.root(), &proof), Ok(()), "{old}");
    }
    // What a writer would publish is what was published.
    for (coord, bytes) in tile::tiles_of(&leaves) {
        assert_eq!(std::fs::read(folder.join(coord.path())).unwrap(), bytes, "{coord:?}");
    }
}

#[test]
fn the_partial_tiles_of_earlier_sizes_serve_those_sizes() {
    let Some(folder) = vectors("local-rekor-tiles") else { return };
    let all =
        fetch(&folder, vec![TileCoord { level: 0, index: 0, width: 256 }, TileCoord { level: 0, index: 1, width: 58 }]);
    let leaves: Vec<Hash> = all.iter().flat_map(|(coord, bytes)| tile::tile_hashes(coord, bytes).unwrap()).collect();
    for width in [25, 44, 45, 46, 47, 58] {
        let size = 256 + width;
        let root = tree::root(&leaves[..size as usize]);
        for index in [0, 255, 256, size - 1] {
            let tiles = fetch(&folder, tile::tiles_for_inclusion(index, size));
            let proof = tile::inclusion_proof(index, size, &tiles).unwrap();
            assert_eq!(proof.verify(&leaves[index as usize], &root), Ok(()), "{index} of {size}");
        }
    }
}

#[test]
fn a_certificate_log_only_ever_grows() {
    let Some(folder) = vectors("tesseract-client-log") else { return };
    let key = LogKey::from_vkey(TESSERACT).unwrap();
    let head = |name: String| {
        let head = Checkpoint::open(&text(folder.join(name)), &key).unwrap();
        (head.size(), head.root())
    };
    let heads: Vec<(u64, Hash)> = (0..=15).map(|number| head(format!("checkpoint.{number}"))).collect();
    let mut pairs = 0;
    // A monitor's walk: from each head to the next, by the bundle that the new one has.
    let mut range = CompactRange::new();
    for (size, root) in &heads {
        if *size > 0 {
            let bundle = std::fs::read(folder.join(tile::entries_for(*size, size - 1).0)).unwrap();
            for entry in &tile::parse_entries(&bundle).unwrap()[range.size() as usize..] {
                range.append(leaf_hash(entry)).unwrap();
            }
        }
        assert_eq!((range.size(), range.root()), (*size, *root));
        for index in 0..*size {
            let tiles = fetch(&folder, tile::tiles_for_inclusion(index, *size));
            let proof = tile::inclusion_proof(index, *size, &tiles).unwrap();
            let leaf = fetch(&folder, vec![TileCoord { level: 0, index: 0, width: *size as u16 }]);
            let leaf = Hash::from_slice(&leaf.values().next().unwrap()[index as usize * 32..][..32]).unwrap();
            assert_eq!(proof.verify(&leaf, root), Ok(()), "{index} of {size}");
        }
        for (old_size, old_root) in heads.iter().filter(|(old, _)| old <= size) {
            let tiles = fetch(&folder, tile::tiles_for_consistency(*old_size, *size));
            let proof = tile::consistency_proof(*old_size, *size, &tiles).unwrap();
            assert_eq!(verify_consistency(*old_size, old_root, *size, root, &proof), Ok(()));
            pairs += 1;
        }
    }
    assert!(pairs >= 120, "{pairs}");
}
