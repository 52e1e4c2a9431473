//! Merkle proofs: the transparency-dev vectors, and a real log of 961,984,011 leaves.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tlog::{Hash, InclusionProof, ProofError, leaf_hash, verify_consistency};

use super::{base64, hashes, json, number, vectors};

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

#[test]
fn a_leaf_of_a_large_certificate_log_is_proved() {
    let Some(folder) = vectors("azul-ct-http") else { return };
    let file = |prefix: &str| {
        let mut files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        json(files.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix)).unwrap())
    };
    let head: Value = json(folder.join("get-sth"));
    let root = hash(&head["sha256_root_hash"]).unwrap();
    let leaf = leaf_hash(&base64(&file("get-entries-start-10000")["entries"][0]["leaf_input"]));
    let answer = file("get-proof-by-hash");
    let size = number(&head["tree_size"]);
    let proof = InclusionProof { index: number(&answer["leaf_index"]), size, hashes: hashes(&answer["audit_path"]) };
    assert_eq!((proof.index, proof.size), (10_000, 961_984_011));
    assert_eq!(proof.verify(&leaf, &root), Ok(()));

    // The real consistency proof has as many hashes as its sizes call for: only the invented old root is wrong.
    let consistency = hashes(&file("get-sth-consistency")["consistency"]);
    let invented = leaf_hash(b"invented");
    let verify = |hashes: &[Hash]| verify_consistency(3_654_490, &invented, size, &root, hashes);
    let Err(ProofError::WrongOldRoot { computed: old_root, .. }) = verify(&consistency) else {
        panic!("another error")
    };
    assert_eq!(verify_consistency(3_654_490, &old_root, size, &root, &consistency), Ok(()));
    assert_eq!(verify(&consistency[1..]), Err(ProofError::MissingHashes));
    assert_eq!(STANDARD.encode(root.as_bytes()), "AWxD3p811N3m4WTinWRXPvBZHfT9IR9g/R4C7SKLPiU=");
}
