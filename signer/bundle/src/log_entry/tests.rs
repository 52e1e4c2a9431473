//! Tests of log entries.
use super::*;
use crate::digest::Digest;
use crate::fixture::{TestKey, TestLog, vector};
use proptest::prelude::*;

fn logged(mut log: TestLog) -> LogEntry {
    log.log(&TestKey::p256(1).sign_statement(&Digest::of(b"an image")), 1_700_000_000)
}

/// Rekor v1's answer about an entry.
fn rekor_v1_answer(entry: &LogEntry) -> Value {
    let proof = entry.proof.as_ref().unwrap();
    let hashes: Vec<String> = proof.hashes.iter().map(Hash::to_string).collect();
    serde_json::json!({"24296fb24b8ad77a": {
        "body": crate::protojson::encode(&entry.body),
        "integratedTime": entry.integrated_time,
        "logID": hex::encode(entry.log_id),
        "logIndex": entry.log_index,
        "verification": {
            "signedEntryTimestamp": crate::protojson::encode(entry.set.as_ref().unwrap()),
            "inclusionProof": {
                "checkpoint": proof.checkpoint,
                "hashes": hashes,
                "logIndex": proof.log_index,
                "rootHash": proof.root.to_string(),
                "treeSize": proof.size,
            },
        },
    }})
}

#[test]
fn an_entry_survives_the_ledger_and_a_bundle() {
    for entry in [logged(TestLog::v1(1)), logged(TestLog::v2(2))] {
        assert_eq!(LogEntry::from_json(&entry.to_json()).unwrap(), entry);
        assert_eq!(LogEntry::from_bundle_json(&entry.to_bundle_json()).unwrap(), entry);
        assert_eq!(entry.leaf_hash(), tlog::leaf_hash(&entry.body));
    }
}

#[test]
fn the_fields_stand_in_the_order_in_which_go_writes_them() {
    let json = String::from_utf8(logged(TestLog::v1(1)).to_json()).unwrap();
    let order = [
        "{\"logIndex\":\"1005\"",
        "\"logId\":{\"keyId\":",
        "\"kindVersion\":{\"kind\":\"dsse\",\"version\":\"0.0.1\"}",
        "\"integratedTime\":\"1700000000\"",
        "\"inclusionPromise\":{\"signedEntryTimestamp\":",
        "\"inclusionProof\":{\"logIndex\":\"5\",\"rootHash\":",
        "\"treeSize\":\"6\"",
        "\"hashes\":[",
        "\"checkpoint\":{\"envelope\":",
        "\"canonicalizedBody\":",
    ];
    let places: Vec<usize> = order.iter().map(|part| json.find(part).unwrap_or_else(|| panic!("{part}"))).collect();
    assert!(places.is_sorted(), "{json}");
    assert!(!String::from_utf8(logged(TestLog::v2(2)).to_json()).unwrap().contains("integratedTime"));
}

#[test]
fn a_rekor_v1_answer_is_read_with_its_uuid() {
    let entry = logged(TestLog::v1(1));
    let answer = rekor_v1_answer(&entry).to_string();
    let (uuid, read) = LogEntry::from_rekor_v1(answer.as_bytes()).unwrap();
    assert_eq!((uuid.as_str(), read), ("24296fb24b8ad77a", entry));
}

#[test]
fn a_rekor_v1_answer_with_none_or_two_entries_is_refused() {
    assert!(matches!(LogEntry::from_rekor_v1(b"{}"), Err(LogEntryError::NotOne(0))));
    let mut answer = rekor_v1_answer(&logged(TestLog::v1(1)));
    answer["another"] = answer["24296fb24b8ad77a"].clone();
    assert!(matches!(LogEntry::from_rekor_v1(answer.to_string().as_bytes()), Err(LogEntryError::NotOne(2))));
}

#[test]
fn a_real_v2_answer_is_read_and_hashes_into_its_checkpoint() {
    let Some(answer) = vector("public-checkpoints/rekor-v2-prod-tle-412114.json") else { return };
    let entry = LogEntry::from_rekor_v2(&answer).unwrap();
    assert!(entry.is_rekor_v2());
    assert_eq!((entry.set.as_ref(), entry.integrated_time), (None, None));
    let root = vector("sigstore-root-signing/targets/trusted_root.json").unwrap();
    let trust = crate::trust_root::TrustRoot::parse(&root).unwrap();
    crate::verify::verify_entry(&entry, &trust).unwrap();
}

#[test]
fn zero_fields_may_be_left_out_and_malformed_ones_may_not_be_there() {
    let entry = logged(TestLog::v2(2));
    let mut value = entry.to_bundle_json();
    value.as_object_mut().unwrap().remove("logIndex");
    value["inclusionProof"].as_object_mut().unwrap().remove("logIndex");
    value["inclusionProof"].as_object_mut().unwrap().remove("hashes");
    value["integratedTime"] = "0".into();
    value["inclusionPromise"] = Value::Null;
    let read = LogEntry::from_bundle_json(&value).unwrap();
    assert_eq!((read.log_index, read.integrated_time), (0, None));
    assert_eq!(read.proof.unwrap().hashes, []);

    for (field, bad) in [
        ("/logIndex", "-1"),
        ("/logIndex", "one"),
        ("/logId/keyId", "AAAA"),
        ("/inclusionProof/treeSize", "-1"),
        ("/inclusionProof/rootHash", "AAAA"),
        ("/inclusionProof/hashes/0", "AAAA"),
        ("/canonicalizedBody", "not base64"),
    ] {
        let mut value = entry.to_bundle_json();
        *value.pointer_mut(field).unwrap() = bad.into();
        assert!(LogEntry::from_bundle_json(&value).is_err(), "{field} = {bad}");
    }
}

#[test]
fn a_repeated_field_is_refused() {
    let json = String::from_utf8(logged(TestLog::v2(2)).to_json()).unwrap();
    let twice = json.replacen('{', "{\"logIndex\":\"1\",", 1);
    assert!(matches!(LogEntry::from_json(twice.as_bytes()), Err(LogEntryError::Ambiguous(_))));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = LogEntry::from_json(&bytes);
        let _ = LogEntry::from_rekor_v1(&bytes);
    }

    #[test]
    fn changed_answers_never_panic(v1: bool, at: prop::sample::Index, to: u8) {
        let mut json = if v1 {
            rekor_v1_answer(&logged(TestLog::v1(1))).to_string().into_bytes()
        } else {
            logged(TestLog::v2(2)).to_json()
        };
        let at = at.index(json.len());
        json[at] = to;
        let read = if v1 { LogEntry::from_rekor_v1(&json).map(|(_, entry)| entry) } else { LogEntry::from_json(&json) };
        if let Ok(entry) = read {
            prop_assert_eq!(LogEntry::from_json(&entry.to_json()).unwrap(), entry);
        }
    }
}
