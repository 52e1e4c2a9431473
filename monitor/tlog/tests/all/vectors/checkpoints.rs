//! Checkpoints that public logs have signed, and those that a verifier must tell apart.

use tlog::{Checkpoint, HeadFormat, LogKey};

use super::altered::no_changed_copy_opens;
use super::{base64, inclusion, json, number, text, trusted_logs, vectors};

#[test]
fn the_conformance_checkpoints_are_told_apart() {
    let Some(folder) = vectors("sigstore-conformance/bundle-verify") else { return };
    let mut seen = (0, 0);
    for case in std::fs::read_dir(&folder).unwrap() {
        let case = case.unwrap().path();
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let roots = case.join("trusted_root.json");
        if !name.starts_with("rekor2-checkpoint") && name != "checkpoint-bad-keyhint_fail" {
            continue;
        }
        let production = || vectors("sigstore-embedded-2026-10/sigstore.dev/trusted_root.json");
        let root = if roots.exists() { Some(roots) } else { production() };
        let Some(root) = root else { return };
        let bundle = json(case.join("bundle.sigstore.json"));
        let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
        let log_id = base64(&entry["logId"]["keyId"]);
        let logs = trusted_logs(&json(root));
        let (key, _) = logs.iter().find(|(_, id)| id.as_slice() == log_id).unwrap();
        let note = entry["inclusionProof"]["checkpoint"]["envelope"].as_str().unwrap();
        let opened = Checkpoint::open(note, key);
        if name.ends_with("_fail") {
            assert!(opened.is_err(), "{name}: {opened:?}");
            seen.1 += 1;
        } else {
            let (proof, root) = inclusion(entry);
            let opened = opened.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((opened.size(), opened.root()), (proof.size, root), "{name}");
            seen.0 += 1;
        }
    }
    assert_eq!(seen, (5, 4));
}

#[test]
fn a_trusted_root_lists_each_log_under_its_key_id() {
    let mut ids = 0;
    for instance in ["sigstore.dev", "sigstage.dev"] {
        let Some(path) = vectors(&format!("sigstore-embedded-2026-10/{instance}/trusted_root.json")) else { return };
        for (key, id) in trusted_logs(&json(path)) {
            assert_eq!(key.key_id(), id, "{key:?}");
            ids += 1;
        }
    }
    assert!(ids >= 5, "{ids}");
}

#[test]
fn the_public_checkpoints_open() {
    let Some(folder) = vectors("public-checkpoints") else { return };
    let Some(roots) = vectors("sigstore-embedded-2026-10/sigstore.dev/trusted_root.json") else { return };
    let logs = trusted_logs(&json(roots));
    let key = |ed25519: bool| &logs.iter().find(|(key, _)| key.name().is_some() == ed25519).unwrap().0;

    let v2 = Checkpoint::open(&text(folder.join("rekor-v2-prod-checkpoint-34356369.txt")), key(true)).unwrap();
    assert_eq!((v2.origin(), v2.size()), ("log2025-1.rekor.sigstore.dev", 34_356_369));

    let answer = json(folder.join("rekor-v1-prod-api-v1-log-266676745.json"));
    let note = answer["signedTreeHead"].as_str().unwrap();
    let origin = format!("rekor.sigstore.dev - {}", answer["treeID"].as_str().unwrap());
    for name in ["rekor.sigstore.dev", &origin] {
        let named = LogKey::from_spki(key(false).spki(), Some(name)).unwrap();
        let v1 = Checkpoint::open(note, &named).unwrap();
        assert_eq!((v1.origin(), v1.size()), (origin.as_str(), number(&answer["treeSize"])));
        assert_eq!(v1.root().to_string(), answer["rootHash"].as_str().unwrap());
    }
    let other = LogKey::from_spki(key(false).spki(), Some("rekor.sigstore.dev - 2605736670972794746")).unwrap();
    assert!(Checkpoint::open(note, &other).is_err());
    no_changed_copy_opens(HeadFormat::Checkpoint, note, &origin, key(false));
    no_changed_copy_opens(HeadFormat::Checkpoint, v2.note(), "log2025-1.rekor.sigstore.dev", key(true));
    assert!(Checkpoint::open(note, key(true)).is_err());
}

#[test]
fn the_witnesses_know_the_logs_by_the_same_key_hashes() {
    let Some(path) = vectors("transparency-dev-witness/logs.yaml") else { return };
    let mut seen = 0;
    for line in text(path).lines() {
        let Some(vkey) = line.trim().strip_prefix("PublicKey: ") else { continue };
        match LogKey::from_vkey(vkey) {
            Ok(key) => {
                assert!(vkey.starts_with(&format!("{}+{}+", key.name().unwrap(), hex::encode(key.note_hash()))));
                seen += 1;
            }
            // One ECDSA log of the list hashes its name as well: it is no Rekor.
            Err(error) => assert!(!vkey.contains("rekor"), "{vkey}: {error}"),
        }
    }
    assert!(seen >= 6, "{seen}");
}
