//! Entries in published bundles: inclusion under a signed checkpoint, and the signed entry timestamp.

use serde_json::Value;
use tlog::{Checkpoint, HeadFormat, LogKey, leaf_hash, verify_set};

use super::altered::{no_changed_copy_opens, no_changed_copy_proves};
use super::{base64, inclusion, json, number, text, trusted_logs, vectors};

/// Every object with an inclusion proof, wherever it is nested.
fn entries<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            if map.contains_key("inclusionProof") && map.contains_key("canonicalizedBody") {
                found.push(value);
            }
            map.values().for_each(|value| entries(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| entries(value, found)),
        _ => {}
    }
}

fn check(entry: &Value, row: &Row<'_>, keys: &[LogKey]) -> bool {
    let body = base64(&entry["canonicalizedBody"]);
    let (proof, root) = inclusion(entry);
    assert_eq!(proof.verify(&leaf_hash(&body), &root), Ok(()), "{}", row.file);
    let Some(note) = entry["inclusionProof"]["checkpoint"]["envelope"].as_str() else { return false };
    let log_id = base64(&entry["logId"]["keyId"]);
    let Some(key) = keys.iter().find(|key| key.key_id().as_slice() == log_id) else {
        assert_eq!(row.signature, "nokey", "{}", row.file);
        return false;
    };
    let opened = Checkpoint::open(note, key).unwrap_or_else(|error| panic!("{}: {error}", row.file));
    assert_eq!((opened.origin(), opened.size(), opened.root()), (row.origin, row.size, root), "{}", row.file);
    no_changed_copy_opens(HeadFormat::Checkpoint, note, row.origin, key);
    no_changed_copy_proves(&proof, &body, &root);
    if let Some(set) = entry["inclusionPromise"].get("signedEntryTimestamp") {
        let time = number(&entry["integratedTime"]) as i64;
        let (index, id, set) = (number(&entry["logIndex"]), key.key_id(), base64(set));
        assert_eq!(verify_set(key, &body, time, &id, index, &set), Ok(()), "{}", row.file);
        assert!(verify_set(key, &body, time + 1, &id, index, &set).is_err());
        assert!(verify_set(key, &body, time, &id, index + 1, &set).is_err());
        assert!(verify_set(key, &body[1..], time, &id, index, &set).is_err());
        let changed = (0..set.len()).map(|at| {
            let mut changed = set.clone();
            changed[at] ^= 1;
            changed
        });
        changed.for_each(|set| assert!(verify_set(key, &body, time, &id, index, &set).is_err()));
    }
    true
}

struct Row<'a> {
    origin: &'a str,
    size: u64,
    signature: &'a str,
    file: &'a str,
}

#[test]
fn every_pinned_checkpoint_opens_and_carries_its_entry() {
    let Some(root) = vectors("") else { return };
    let Some(table) = vectors("checkpoints.tsv") else { return };
    let keys: Vec<LogKey> = ["sigstore.dev", "sigstage.dev"]
        .into_iter()
        .flat_map(|instance| {
            trusted_logs(&json(root.join(format!("sigstore-embedded-2026-10/{instance}/trusted_root.json"))))
        })
        .map(|(key, _)| key)
        .collect();
    let (mut rows, mut opened, mut promises) = (0, 0, 0);
    for line in text(table).lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [origin, size, _root, index, _, signature, file] = columns[..] else { panic!("{line}") };
        let row = Row { origin, size: size.parse().unwrap(), signature, file };
        let bundle = json(root.join(file));
        let mut found = Vec::new();
        entries(&bundle, &mut found);
        let wanted = |entry: &&Value| {
            number(&entry["inclusionProof"]["treeSize"]) == row.size
                && number(&entry["logIndex"]) == number(&Value::from(index))
        };
        let entry = found.into_iter().find(wanted).unwrap_or_else(|| panic!("{line}"));
        let verified = check(entry, &row, &keys);
        rows += 1;
        opened += u32::from(verified);
        promises += u32::from(verified && !entry["inclusionPromise"].is_null());
    }
    assert_eq!(rows, 38);
    assert!(opened >= 34, "{opened}");
    assert!(promises >= 20, "{promises}");
}

#[test]
fn an_entry_of_the_public_v2_log_is_under_its_checkpoint() {
    let Some(path) = vectors("public-checkpoints/rekor-v2-prod-tle-412114.json") else { return };
    let Some(roots) = vectors("sigstore-embedded-2026-10/sigstore.dev/trusted_root.json") else { return };
    let entry = json(path);
    let (proof, root) = inclusion(&entry);
    let body = base64(&entry["canonicalizedBody"]);
    assert_eq!(proof.verify(&leaf_hash(&body), &root), Ok(()));
    let log_id = base64(&entry["logId"]["keyId"]);
    let logs = trusted_logs(&json(roots));
    let (key, _) = logs.iter().find(|(key, _)| key.key_id().as_slice() == log_id).unwrap();
    let note = entry["inclusionProof"]["checkpoint"]["envelope"].as_str().unwrap();
    let opened = Checkpoint::open(note, key).unwrap();
    assert_eq!((opened.size(), opened.root()), (proof.size, root));
}
