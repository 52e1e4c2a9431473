//! Merkle proofs: the transparency-dev vectors, and a real log of 961,984,011 leaves.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tlog::{Checkpoint, Hash, HeadFormat, InclusionProof, LogKey, ProofError, ct, leaf_hash, verify_consistency};

use super::{ARGON, azul, base64, json, number, vectors};

fn cases(folder: &Path) -> Vec<(PathBuf, Value)> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            cases.extend(self::cases(&path));
        } else {
            cases.push((path.clone(), json(path)));
        }
    }
    cases
}

/// What is not 32 bytes long never becomes a `Hash`: refused before any verification.
fn hash(value: &Value) -> Option<Hash> {
    Hash::from_slice(&base64(value))
}

fn proof(value: &Value) -> Option<Vec<Hash>> {
    value.as_array().into_iter().flatten().map(hash).collect()
}

fn consistent(case: &Value) -> Option<Result<(), ProofError>> {
    Some(verify_consistency(
        number(&case["size1"]),
        &hash(&case["root1"])?,
        number(&case["size2"]),
        &hash(&case["root2"])?,
        &proof(&case["proof"])?,
    ))
}

fn included(case: &Value) -> Option<Result<(), ProofError>> {
    let (index, size) = (number(&case["leafIdx"]), number(&case["treeSize"]));
    let inclusion = InclusionProof { index, size, hashes: proof(&case["proof"])? };
    Some(inclusion.verify(&hash(&case["leafHash"])?, &hash(&case["root"])?))
}

#[test]
fn the_consistency_vectors_are_told_apart() {
    let Some(folder) = vectors("sigstore-rust/merkle-testdata/consistency") else { return };
    let cases = cases(&folder);
    assert!(cases.len() >= 90, "{}", cases.len());
    let (mut accepted, mut made_up) = (0, 0);
    for (path, case) in cases {
        let wanted = case["wantErr"] == false;
        let verdict = consistent(&case);
        if wanted && verdict.is_none() {
            // Good cases whose roots are no hashes: a tree compared with itself under a made-up root.
            assert_eq!((&case["size1"], &case["root1"]), (&case["size2"], &case["root2"]), "{path:?}");
            made_up += 1;
            continue;
        }
        assert_eq!(verdict.is_some_and(|verdict| verdict.is_ok()), wanted, "{path:?}");
        accepted += u32::from(wanted);
    }
    assert!(accepted >= 4 && made_up <= 3, "{accepted} {made_up}");
}

#[test]
fn the_inclusion_vectors_are_told_apart() {
    let Some(folder) = vectors("sigstore-rust/merkle-testdata/inclusion") else { return };
    let cases = cases(&folder);
    assert!(cases.len() >= 90, "{}", cases.len());
    let mut accepted = 0;
    for (path, case) in cases {
        let wanted = case["wantErr"] == false;
        assert_eq!(included(&case).is_some_and(|verdict| verdict.is_ok()), wanted, "{path:?}");
        accepted += u32::from(wanted);
    }
    assert!(accepted >= 6, "{accepted}");
}

/// The older of the two sizes between which azul keeps a proof.
pub(super) const OLD_SIZE: u64 = 3_654_490;

/// The root of the older size: it was not kept, but the proof leads to one and to no other.
pub(super) fn old_root(hashes: &[Hash], root: &Hash) -> Hash {
    let invented = leaf_hash(b"invented");
    match verify_consistency(OLD_SIZE, &invented, 961_984_011, root, hashes) {
        Err(ProofError::WrongOldRoot { computed, .. }) => computed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_leaf_of_a_large_certificate_log_is_proved() {
    let Some(folder) = vectors("azul-ct-http") else { return };
    let sth = std::fs::read(folder.join("get-sth")).unwrap();
    let key = LogKey::from_spki(&base64(&ARGON.into()), None).unwrap();
    let head = Checkpoint::open_as(HeadFormat::TreeHead, &sth, "ct.googleapis.com/logs/argon2020", &key).unwrap();
    assert_eq!((head.size(), head.timestamp_ms()), (961_984_011, Some(1_726_494_206_646)));
    assert_eq!(STANDARD.encode(head.root().as_bytes()), "AWxD3p811N3m4WTinWRXPvBZHfT9IR9g/R4C7SKLPiU=");

    let answer = azul(&folder, "get-entries-start-10000");
    let entries = ct::parse_get_entries(&answer).unwrap();
    let mut leaf = Vec::new();
    assert_eq!(entries[0].decode_leaf(&mut leaf), Ok(0..leaf.len()));
    let parsed = ct::CtLeaf::parse(&leaf).unwrap();
    assert!(matches!(parsed.entry, ct::CtEntry::X509(der) if der.starts_with(&[0x30, 0x82])));
    assert_eq!(parsed.timestamp_ms, 1_505_737_861_715);
    assert_eq!(parsed.to_bytes().as_ref(), Ok(&leaf));
    assert!(!entries[0].decode_extra_data().unwrap().is_empty());

    let (index, hashes) = ct::parse_proof_by_hash(&azul(&folder, "get-proof-by-hash")).unwrap();
    assert_eq!(index, 10_000);
    let proof = InclusionProof { index, size: head.size(), hashes };
    assert_eq!(proof.verify(&leaf_hash(&leaf), &head.root()), Ok(()));

    // The real consistency proof has as many hashes as its sizes call for: only the invented old root is wrong.
    let hashes = ct::parse_consistency(&azul(&folder, "get-sth-consistency")).unwrap();
    assert_eq!(hashes.len(), 30);
    let old_root = old_root(&hashes, &head.root());
    assert_eq!(STANDARD.encode(old_root.as_bytes()), "AuIZ5V6sDUj1vn3Y1K85oOaQ7y+FJJKtyRTl1edIKBQ=");
    let verify = |hashes: &[Hash]| verify_consistency(OLD_SIZE, &old_root, head.size(), &head.root(), hashes);
    assert_eq!(verify(&hashes), Ok(()));
    assert_eq!(verify(&hashes[1..]), Err(ProofError::MissingHashes));
}
