//! Copies of the published vectors with something changed: each fails, whatever it was.

use std::collections::BTreeMap;

use tlog::tile::{self, TileCoord};
use tlog::{
    Checkpoint, CheckpointError, CompactRange, Hash, HeadFormat, InclusionProof, LogKey, WitnessPolicy, ct, leaf_hash,
    tree, verify_consistency,
};

use super::tiles::TESSERACT;
use super::{ARGON, azul, base64, fetch, text, vectors};
use crate::properties::{flip, mutations};

/// Every copy with one bit of one byte changed, with where.
fn each_byte_changed(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
    (0..bytes.len()).map(|at| {
        let mut copy = bytes.to_vec();
        copy[at] ^= 1;
        (at, copy)
    })
}

/// No byte of a note may be changed, up to the end of the log's own line, which comes first.
pub(super) fn no_changed_copy_opens(format: HeadFormat, note: &str, origin: &str, key: &LogKey) {
    assert!(Checkpoint::open_as(format, note.as_bytes(), origin, key).is_ok(), "{note}");
    let signatures = note.find("\n\n").map_or(0, |split| split + 2);
    let own_line = note[signatures..].find('\n').map_or(note.len(), |end| signatures + end + 1);
    for (at, copy) in each_byte_changed(note.as_bytes()).take(own_line) {
        let opened = Checkpoint::open_as(format, &copy, origin, key);
        assert!(opened.is_err(), "byte {at} of {note}");
    }
    // Cut anywhere, too.
    for length in 0..own_line {
        assert!(Checkpoint::open_as(format, &note.as_bytes()[..length], origin, key).is_err(), "{length} of {note}");
    }
    let elsewhere = Checkpoint::open_as(format, note.as_bytes(), "elsewhere.example", key);
    match format {
        // What it is named is nowhere in a tree head.
        HeadFormat::TreeHead => assert!(elsewhere.is_ok()),
        _ => assert!(matches!(elsewhere, Err(CheckpointError::WrongOrigin { .. } | CheckpointError::NoSignature))),
    }
}

/// Everything that may be wrong about an inclusion proof is refused.
pub(super) fn no_changed_copy_proves(proof: &InclusionProof, body: &[u8], root: &Hash) {
    let leaf = leaf_hash(body);
    assert_eq!(proof.verify(&leaf, root), Ok(()));
    for bit in [0, 77, 255] {
        for hashes in mutations(&proof.hashes, bit) {
            assert!(InclusionProof { hashes, ..proof.clone() }.verify(&leaf, root).is_err());
        }
        assert!(proof.verify(&leaf, &flip(*root, bit)).is_err());
    }
    for index in [proof.index.wrapping_sub(1), proof.index + 1, proof.size, u64::MAX] {
        assert!(InclusionProof { index, ..proof.clone() }.verify(&leaf, root).is_err(), "{index} of {}", proof.size);
    }
    for at in [0, body.len() / 2, body.len() - 1] {
        let mut changed = body.to_vec();
        changed[at] ^= 1;
        assert!(proof.verify(&leaf_hash(&changed), root).is_err());
    }
}

fn root_of_bundles(bundles: &[Vec<u8>]) -> Option<Hash> {
    let mut range = CompactRange::new();
    for bundle in bundles {
        let mut slices = Vec::new();
        tile::entry_slices(bundle, &mut slices).ok()?;
        slices.into_iter().try_for_each(|slice| range.append(leaf_hash(&bundle[slice])).ok())?;
    }
    Some(range.root())
}

#[test]
fn no_byte_of_the_rekor_v2_log_can_be_changed() {
    let Some(folder) = vectors("local-rekor-tiles") else { return };
    let key = LogKey::from_pem(&text(folder.join("log.pub")), None).unwrap();
    let note = text(folder.join("checkpoint"));
    no_changed_copy_opens(HeadFormat::Checkpoint, &note, "rekor.hp.test", &key);
    let checkpoint = Checkpoint::open_as(HeadFormat::Checkpoint, note.as_bytes(), "rekor.hp.test", &key).unwrap();
    let (size, root) = (checkpoint.size(), checkpoint.root());

    let bundles: Vec<Vec<u8>> =
        [0, 256].map(|index| std::fs::read(folder.join(tile::entries_for(size, index).0)).unwrap()).to_vec();
    assert_eq!(root_of_bundles(&bundles), Some(root));
    for (number, bundle) in bundles.iter().enumerate() {
        let changed = |copy: Vec<u8>| {
            let mut bundles = bundles.clone();
            bundles[number] = copy;
            root_of_bundles(&bundles)
        };
        let mut slices = Vec::new();
        tile::entry_slices(bundle, &mut slices).unwrap();
        for slice in &slices {
            // Both bytes of the length; the first, the middle and the last byte of the entry.
            let middle = (slice.start + slice.end) / 2;
            for at in [slice.start - 2, slice.start - 1, slice.start, middle, slice.end - 1] {
                let mut copy = bundle.clone();
                copy[at] ^= 1;
                assert_ne!(changed(copy), Some(root), "byte {at} of bundle {number}");
            }
        }
        // An entry left out, doubled, swapped with the next; a byte more, a byte less.
        let entries: Vec<&[u8]> = slices.iter().map(|slice| &bundle[slice.clone()]).collect();
        for at in [0, entries.len() / 2, entries.len() - 2] {
            let mut fewer = entries.clone();
            let entry = fewer.remove(at);
            assert_ne!(changed(tile::format_entries(&fewer).unwrap()), Some(root));
            fewer.insert(at + 1, entry);
            assert_ne!(changed(tile::format_entries(&fewer).unwrap()), Some(root));
            fewer[at] = entry;
            assert_ne!(changed(tile::format_entries(&fewer).unwrap()), Some(root));
        }
        assert_ne!(changed(bundle[..bundle.len() - 1].to_vec()), Some(root));
        assert_ne!(changed([bundle.as_slice(), &[0]].concat()), Some(root));
    }

    // Each hash of each tile: the proof of the leaf beside it, or of a leaf of the other bundle, fails.
    let tiles = fetch(&folder, tile::tile_coords(size));
    let leaves: Vec<Hash> =
        bundles.iter().flat_map(|bundle| tile::parse_entries(bundle).unwrap()).map(|entry| leaf_hash(&entry)).collect();
    for (coord, bytes) in &tiles {
        for number in 0..bytes.len() / 32 {
            let mut changed = tiles.clone();
            changed.get_mut(coord).unwrap()[number * 32 + number % 32] ^= 1;
            let index = if coord.level == 0 { (coord.index * 256 + number as u64) ^ 1 } else { size - 1 };
            let proof = tile::inclusion_proof(index, size, &changed).unwrap();
            assert!(proof.verify(&leaves[index as usize], &root).is_err(), "{number} of {coord:?}");
        }
    }
    for index in [0, 255, 256, size - 1] {
        let proof = tile::inclusion_proof(index, size, &tiles).unwrap();
        let entry = &tile::parse_entries(&bundles[(index / 256) as usize]).unwrap()[(index % 256) as usize];
        no_changed_copy_proves(&proof, entry, &root);
    }
}

#[test]
fn no_byte_of_a_cosignature_can_be_changed() {
    let Some(folder) = vectors("local-rekor-tiles") else { return };
    let policy_text = text(folder.join("witness.policy"));
    let policy = WitnessPolicy::parse(&policy_text).unwrap();
    let note = text(folder.join("checkpoint"));
    let quorum = policy.check(&note);
    assert!(quorum.satisfied);
    assert_eq!(quorum.cosigned, [("w1".to_owned(), 0x6b01_df6c)]);
    assert!(quorum.missing.is_empty() && quorum.invalid.is_empty());
    let log_line = note.find("— rekor").unwrap()..note.find("— witness").unwrap();
    for (at, copy) in each_byte_changed(note.as_bytes()) {
        // A witness signs the log's text, not the log's signature.
        let Ok(copy) = String::from_utf8(copy) else { continue };
        assert!(!policy.check(&copy).satisfied || log_line.contains(&at), "byte {at}");
    }
    for (at, copy) in each_byte_changed(policy_text.trim_end().as_bytes()) {
        let Ok(Ok(changed)) = String::from_utf8(copy).map(|copy| WitnessPolicy::parse(&copy)) else { continue };
        // Only the witness's address may be changed unnoticed.
        let address = policy_text.find("http").unwrap()..policy_text.find("\nquorum").unwrap();
        assert!(address.contains(&at), "byte {at}: {changed:?}");
    }
}

#[test]
fn no_byte_of_the_sixteen_heads_can_be_changed() {
    let Some(folder) = vectors("tesseract-client-log") else { return };
    let key = LogKey::from_vkey(TESSERACT).unwrap();
    let origin = key.name().unwrap();
    let mut heads = Vec::new();
    for number in 0..=15 {
        let note = text(folder.join(format!("checkpoint.{number}")));
        no_changed_copy_opens(HeadFormat::Checkpoint, &note, origin, &key);
        let head = Checkpoint::open(&note, &key).unwrap();
        heads.push((head.size(), head.root()));
    }
    let all = |size: u64| -> BTreeMap<TileCoord, Vec<u8>> { fetch(&folder, tile::tile_coords(size)) };
    for (size, root) in heads.iter().filter(|(size, _)| *size > 0) {
        let tiles = all(*size);
        let (path, _) = tile::entries_for(*size, 0);
        let entries = tile::parse_entries(&std::fs::read(folder.join(path)).unwrap()).unwrap();
        for (index, entry) in entries.iter().enumerate() {
            no_changed_copy_proves(&tile::inclusion_proof(index as u64, *size, &tiles).unwrap(), entry, root);
        }
        for (old_size, old_root) in heads.iter().filter(|(old, _)| 0 < *old && old < size) {
            let proof = tile::consistency_proof(*old_size, *size, &tiles).unwrap();
            let verify = |old_root: &Hash, root: &Hash, proof: &[Hash]| {
                verify_consistency(*old_size, old_root, *size, root, proof)
            };
            assert_eq!(verify(old_root, root, &proof), Ok(()));
            for mutant in mutations(&proof, 9) {
                assert!(verify(old_root, root, &mutant).is_err(), "{old_size} to {size}");
            }
            // Any other root of the log, in either place.
            for (_, other) in &heads {
                assert_eq!(verify(other, root, &proof).is_ok(), other == old_root);
                assert_eq!(verify(old_root, other, &proof).is_ok(), other == root);
            }
        }
    }
}

#[test]
fn no_part_of_the_certificate_logs_answers_can_be_changed() {
    let Some(folder) = vectors("azul-ct-http") else { return };
    let sth = std::fs::read(folder.join("get-sth")).unwrap();
    let key = LogKey::from_spki(&base64(&ARGON.into()), None).unwrap();
    no_changed_copy_opens(
        HeadFormat::TreeHead,
        std::str::from_utf8(&sth).unwrap(),
        "ct.googleapis.com/logs/argon2020",
        &key,
    );
    let head = Checkpoint::open_as(HeadFormat::TreeHead, &sth, "ct.googleapis.com/logs/argon2020", &key).unwrap();
    let (size, root) = (head.size(), head.root());

    let entries = azul(&folder, "get-entries-start-10000");
    let mut body = Vec::new();
    ct::parse_get_entries(&entries).unwrap()[0].decode_leaf(&mut body).unwrap();
    let (index, hashes) = ct::parse_proof_by_hash(&azul(&folder, "get-proof-by-hash")).unwrap();
    no_changed_copy_proves(&InclusionProof { index, size, hashes }, &body, &root);

    let hashes = ct::parse_consistency(&azul(&folder, "get-sth-consistency")).unwrap();
    let old_root = super::merkle::old_root(&hashes, &root);
    let verify = |old_root: &Hash, root: &Hash, hashes: &[Hash]| {
        verify_consistency(super::merkle::OLD_SIZE, old_root, size, root, hashes)
    };
    assert_eq!(verify(&old_root, &root, &hashes), Ok(()));
    for bit in (0..=255).step_by(15) {
        for mutant in mutations(&hashes, bit) {
            assert!(verify(&old_root, &root, &mutant).is_err());
        }
        assert!(verify(&flip(old_root, bit), &root, &hashes).is_err());
        assert!(verify(&old_root, &flip(root, bit), &hashes).is_err());
    }
    // Any hash replaced by any other of the same proof.
    for at in 0..hashes.len() {
        for other in hashes.iter().filter(|other| **other != hashes[at]) {
            let mut replaced = hashes.clone();
            replaced[at] = *other;
            assert!(verify(&old_root, &root, &replaced).is_err());
        }
    }
}

// The roots of earlier sizes are told apart from those that nobody signed.
#[test]
fn a_log_rewritten_at_any_leaf_is_no_continuation() {
    let Some(folder) = vectors("local-rekor-tiles") else { return };
    let tiles = fetch(&folder, tile::tile_coords(314).into_iter().filter(|coord| coord.level == 0).collect());
    let leaves: Vec<Hash> = tiles.iter().flat_map(|(coord, bytes)| tile::tile_hashes(coord, bytes).unwrap()).collect();
    let old = 281;
    let old_root = tree::root(&leaves[..old]);
    for changed in 0..leaves.len() {
        let mut rewritten = leaves.clone();
        rewritten[changed] = leaf_hash(b"rewritten");
        let proof = tree::consistency_proof(&rewritten, old as u64, 314).unwrap();
        let verdict = verify_consistency(old as u64, &old_root, 314, &tree::root(&rewritten), &proof);
        assert_eq!(verdict.is_ok(), changed >= old, "{changed}");
    }
}
