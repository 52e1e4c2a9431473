//! Tests of trust roots.
use super::*;
use crate::fixture::{Authority, TestKey, TestLog, vector, vectors, vectors_ending};
use proptest::prelude::*;
use serde_json::Value;

/// 2023-07-12T15:56:36Z.
const AT: i64 = 1_689_177_396;

fn example() -> TrustRoot {
    let mut root = TrustRoot::empty();
    root.add_log("https://rekor.example.com", TestLog::v1(1).key(), ValidFor { start: Some(AT * 1000), end: None })
        .unwrap();
    root.add_log("https://log1.example.com", TestLog::v2(2).key(), ValidFor::default()).unwrap();
    let period = ValidFor { start: Some(0), end: Some(AT * 1000 + 999) };
    root.add_timestamp_authority("https://tsa.example.com/api/v1/timestamp", Authority::new(3).chain(), period)
        .unwrap();
    root
}

fn changed(change: impl Fn(&mut Value)) -> Result<TrustRoot, TrustRootError> {
    let mut value = serde_json::from_slice(&example().to_json()).unwrap();
    change(&mut value);
    TrustRoot::parse(&serde_json::to_vec(&value).unwrap())
}

#[test]
fn a_trust_root_survives_its_json() {
    let root = example();
    assert_eq!(TrustRoot::parse(&root.to_json()).unwrap(), root);
    assert_eq!(TrustRoot::parse(&TrustRoot::empty().to_json()).unwrap(), TrustRoot::empty());
}

#[test]
fn both_bounds_of_a_period_belong_to_it() {
    let period = ValidFor { start: Some(AT * 1000), end: Some(AT * 1000 + 1000) };
    let expected = [(AT - 1, false), (AT, true), (AT + 1, true), (AT + 2, false)];
    for (at, within) in expected {
        assert_eq!(period.contains(at), within, "{at}");
    }
    assert!(ValidFor::default().contains(i64::MIN) && ValidFor::default().contains(i64::MAX));
}

#[test]
fn a_log_is_found_by_its_id_and_among_several_by_its_time() {
    let mut root = example();
    let id = TestLog::v1(1).key().key_id();
    assert_eq!(root.log(&id).unwrap().base_url, "https://rekor.example.com");
    assert_eq!(root.log(&[0; 32]), None);

    let mut earlier = root.logs[0].clone();
    earlier.valid_for = ValidFor { start: None, end: Some(AT * 1000 - 1) };
    root.logs.insert(0, earlier);
    assert_eq!(root.log_at(&id, Some(AT)), Some(&root.logs[1]));
    assert_eq!(root.log_at(&id, Some(AT - 1)), Some(&root.logs[0]));
    assert_eq!(root.log_at(&id, None), Some(&root.logs[0]));
}

#[test]
fn only_an_ed25519_key_takes_the_urls_host_as_its_name() {
    let root = example();
    assert_eq!(root.logs[0].key.name(), None);
    assert_eq!(root.logs[1].key.name(), Some("log1.example.com"));
    let spki = TestKey::ed25519(2).spki();
    for (url, name) in [
        ("https://log.example.com", "log.example.com"),
        ("https://log.example.com/", "log.example.com"),
        ("http://127.0.0.1:3000/rekor", "127.0.0.1"),
        ("http://[::1]:3000", "::1"),
        ("https://user@log.example.com:443?x", "log.example.com"),
        ("log.example.com", "log.example.com"),
    ] {
        assert_eq!(file::named_key(url, &spki, None).unwrap().name(), Some(name), "{url}");
    }
    // A log whose name holds the port says so by its id.
    let id = LogKey::from_spki(&spki, Some("127.0.0.1:3000")).unwrap().key_id();
    let key = file::named_key("http://127.0.0.1:3000", &spki, Some(&id)).unwrap();
    assert_eq!(key.name(), Some("127.0.0.1:3000"));
    let key = file::named_key("http://127.0.0.1:3000", &spki, Some(&id[..4])).unwrap();
    assert_eq!(key.name(), Some("127.0.0.1:3000"));
}

#[test]
fn a_checkpoint_key_id_names_the_note_and_the_log_id_the_entries() {
    let id = crate::protojson::encode(&[7; 32]);
    let root = changed(|v| {
        let note = v["tlogs"][1]["logId"].clone();
        v["tlogs"][1]["checkpointKeyId"] = note;
        v["tlogs"][1]["logId"]["keyId"] = id.as_str().into();
    })
    .unwrap();
    assert_eq!(root.log(&[7; 32]).unwrap().key.name(), Some("log1.example.com"));
    assert_eq!(TrustRoot::parse(&root.to_json()).unwrap(), root);
}

#[test]
fn a_log_of_an_unknown_kind_does_not_take_the_others_with_it() {
    // The curve of Bitcoin: the last byte of P-384's object identifier, changed.
    let mut other_curve = TestKey::p384(9).spki();
    other_curve[19] = 10;
    let other_curve = crate::protojson::encode(&other_curve);
    let root = changed(|v| v["tlogs"][0]["publicKey"]["rawBytes"] = other_curve.as_str().into()).unwrap();
    assert_eq!(root.logs.len(), 1);
    assert_eq!(root.unusable_logs[0].base_url, "https://rekor.example.com");
    assert!(root.unusable_logs[0].reason.contains("ECDSA P-256"), "{}", root.unusable_logs[0].reason);
    assert_eq!(TrustRoot::parse(&root.to_json()).unwrap(), root);
    assert_eq!(changed(|v| v["tlogs"][0]["logId"]["keyId"] = "AAAA".into()).unwrap().unusable_logs.len(), 1);
    assert_eq!(changed(|v| v["tlogs"][0]["hashAlgorithm"] = "SHA2_512".into()).unwrap().unusable_logs.len(), 1);
}

#[test]
fn a_part_that_cannot_be_used_is_kept_with_the_reason_and_the_others_count() {
    type Change = fn(&mut Value);
    let log = "log \"https://rekor.example.com\" does not count: ";
    let stamps = "timestamp authority \"https://tsa.example.com/api/v1/timestamp\" does not count: ";
    let table: [(&str, Change, &str, &str); 7] = [
        (
            "a period",
            |v| v["tlogs"][0]["publicKey"]["validFor"]["start"] = "yesterday".into(),
            log,
            "has no valid validFor.start",
        ),
        ("base64", |v| v["tlogs"][0]["publicKey"]["rawBytes"] = "?".into(), log, "not standard base64"),
        ("no key", |v| v["tlogs"][0]["publicKey"] = Value::Null, log, "invalid type: null"),
        (
            "one certificate",
            |v| drop(v["timestampAuthorities"][0]["certChain"]["certificates"].as_array_mut().unwrap().pop()),
            stamps,
            "needs its certificate chain, from the signing certificate to the root",
        ),
        (
            "no chain",
            |v| drop(v["timestampAuthorities"][0].as_object_mut().unwrap().remove("certChain")),
            stamps,
            "missing field `certChain`",
        ),
        ("its period", |v| v["timestampAuthorities"][0]["validFor"]["end"] = 7.into(), stamps, "invalid type: integer"),
        ("no object", |v| v["timestampAuthorities"][0] = Value::Null, "timestamp authority \"\"", "does not count"),
    ];
    for (what, change, place, reason) in table {
        let root = changed(change).unwrap();
        let parts = root.unusable_parts();
        assert_eq!(parts.len(), 1, "{what}: {parts:?}");
        assert!(parts[0].starts_with(place) && parts[0].contains(reason), "{what}: {parts:?}");
        let (logs, authorities) = (root.logs.len(), root.timestamp_authorities.len());
        assert_eq!(logs + authorities, 2, "{what}");
        // The next reader may know what to do with it.
        assert_eq!(TrustRoot::parse(&root.to_json()).unwrap(), root, "{what}");
        let mut both = example();
        both.merge(root);
        assert_eq!((both.logs.len(), both.timestamp_authorities.len(), both.unusable_parts()), (2, 1, parts), "{what}");
    }
    assert_eq!(example().unusable_parts(), [] as [String; 0]);
}

#[test]
fn a_list_that_is_null_or_absent_is_empty_and_one_that_is_none_is_refused() {
    for name in ["tlogs", "certificateAuthorities", "ctlogs", "timestampAuthorities"] {
        for change in [|v: &mut Value| *v = Value::Null, |v: &mut Value| *v = serde_json::json!([])] {
            let root = changed(|v| change(&mut v[name])).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(root.unusable_parts(), [] as [String; 0], "{name}");
        }
        let absent = changed(|v| drop(v.as_object_mut().unwrap().remove(name))).unwrap();
        assert_eq!(absent, changed(|v| v[name] = Value::Null).unwrap());
        for bad in [serde_json::json!({}), serde_json::json!("x"), serde_json::json!(vec![0; 5000])] {
            let error = changed(|v| v[name] = bad.clone()).unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
    }
}

#[test]
fn what_is_no_trust_root_is_refused_and_says_where() {
    let error = changed(|v| v["mediaType"] = "bad".into()).unwrap_err().to_string();
    assert!(error.contains("\"bad\" is not a sigstore trusted root"), "{error}");
    assert!(changed(|v| drop(v.as_object_mut().unwrap().remove("mediaType"))).is_err());
    let json = String::from_utf8(example().to_json()).unwrap();
    let twice = json.replacen("\"tlogs\"", "\"tlogs\": [], \"tlogs\"", 1);
    assert!(matches!(TrustRoot::parse(twice.as_bytes()), Err(TrustRootError::Ambiguous(_))));
    assert!(changed(|v| v["mediaType"] = "application/vnd.dev.sigstore.trustedroot.v0.2+json".into()).is_ok());
    assert!(TrustRoot::empty().add_timestamp_authority("tsa", vec![vec![0x30]], ValidFor::default()).is_err());
}

#[test]
fn merging_adds_what_is_not_there() {
    let mut root = example();
    root.merge(example());
    assert_eq!(root, example());
    let mut other = TrustRoot::empty();
    other.add_log("https://other.example.com", TestLog::v1(7).key(), ValidFor::default()).unwrap();
    root.merge(other);
    assert_eq!(root.logs.len(), 3);
}

#[test]
fn the_public_root_is_read_whole() {
    let Some(json) = vector("sigstore-root-signing/targets/trusted_root.json") else { return };
    let root = TrustRoot::parse(&json).unwrap();
    let urls: Vec<_> = root.logs.iter().map(|log| log.base_url.as_str()).collect();
    assert_eq!(urls, ["https://rekor.sigstore.dev", "https://log2025-1.rekor.sigstore.dev"]);
    for log in &root.logs {
        assert_eq!(log.key.key_id(), log.log_id, "{}", log.base_url);
    }
    assert_eq!(root.logs[1].valid_for.start, moment("2025-09-23T00:00:00Z"));
    assert_eq!(root.timestamp_authorities[0].chain.len(), 2);
    assert_eq!((root.certificate_authorities.len(), root.certificate_logs.len()), (2, 2));
    assert_eq!(TrustRoot::parse(&root.to_json()).unwrap(), root);
}

#[test]
fn every_trust_root_of_other_projects_parses_and_survives_our_json() {
    let mut seen = 0;
    let mut files = vectors_ending("trusted_root.json");
    files.extend(vectors_ending("trustedroot.v1.json"));
    files.extend(vectors_ending("trustedroot.badtype.json"));
    files.extend(vectors_ending("rekor-tiles.json"));
    for (name, json) in files {
        let read = TrustRoot::parse(&json);
        if name.contains("badtype") {
            assert!(matches!(read, Err(TrustRootError::MediaType(_))), "{name}");
            continue;
        }
        let root = read.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(TrustRoot::parse(&root.to_json()).unwrap(), root, "{name}");
        seen += 1;
    }
    assert!(vectors().is_none() || seen > 30, "{seen}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = TrustRoot::parse(&bytes);
    }

    #[test]
    fn a_changed_root_never_panics(at: prop::sample::Index, to: u8) {
        let mut json = example().to_json();
        let at = at.index(json.len());
        json[at] = to;
        if let Ok(read) = TrustRoot::parse(&json) {
            let _ = TrustRoot::parse(&read.to_json());
        }
    }
}
