//! Logs appear, rotate and retire.

use std::sync::Arc;

use bundle::TrustRoot;
use tlog::LogKey;

use super::*;

/// One of two keys.
fn key(number: u8, origin: &str) -> LogKey {
    let spki = p256_spki(number);
    LogKey::from_spki(&spki, Some(origin)).expect("a key")
}

/// The SPKI of a usable public key: P-256's generator, or its double.
fn p256_spki(number: u8) -> Vec<u8> {
    let points = [
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
        "047cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc4766997807775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1",
    ];
    let mut spki = hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200").expect("hex");
    spki.extend(hex::decode(points[usize::from(number)]).expect("hex"));
    spki
}

fn spec(origin: &str, number: u8) -> LogSpec {
    LogSpec::new(origin, LogKind::RekorV2, "https://log.test".parse().expect("a url"), key(number, origin))
}

fn followed(spec: &LogSpec) -> FollowedLog {
    FollowedLog {
        origin: spec.origin.clone(),
        kind: spec.kind.as_str().into(),
        key_id: spec.key.key_id(),
        public_key: spec.key.spki().to_vec(),
        coverage: "exhaustive".into(),
        first_size: 0,
        trusted_at: 0,
        because: String::new(),
        head: None,
        verified_size: 0,
        verified_root: [0; 32],
        range: Vec::new(),
        verified_at: None,
        read_size: 0,
        frozen_at: None,
        holder: None,
        lease_expires_at: None,
    }
}

#[test]
fn a_new_log_is_followed_by_itself_only_as_an_announced_successor() {
    let old = spec("old.test", 0);
    let announced = LogSpec { announced: true, ..spec("new.test", 1) };
    let configured = spec("new.test", 1);
    let of_another_kind = LogSpec { kind: LogKind::Rfc6962, ..spec("ct.test", 1) };
    for (spec, known, expected) in [
        (&old, vec![followed(&old)], Naming::Known),
        (&announced, vec![], Naming::Untrusted),
        (&announced, vec![followed(&of_another_kind)], Naming::Untrusted),
        (&announced, vec![followed(&old)], Naming::Successor),
        (&configured, vec![followed(&old)], Naming::Untrusted),
        // A key is never changed by whoever writes the trust material.
        (&LogSpec { announced: true, ..spec("old.test", 1) }, vec![followed(&old)], Naming::OtherKey),
    ] {
        assert_eq!(naming(spec, &known), expected, "{}", spec.origin);
    }
}

#[test]
fn each_change_of_the_trust_material_is_one_sentence() {
    let material = |logs: Vec<LogSpec>| TrustMaterial { logs, trust: Arc::new(TrustRoot::empty()) };
    let before = material(vec![spec("a.test", 0), spec("b.test", 0), spec("c.test", 0)]);
    assert_eq!(changes(&before, &before), []);
    let closed = LogSpec { closed: true, ..spec("c.test", 0) };
    let after = material(vec![spec("a.test", 1), closed, spec("d.test", 0)]);
    let about: Vec<(String, bool)> = changes(&before, &after)
        .into_iter()
        .map(|(origin, words)| {
            let names = words.contains(&origin);
            (origin, names)
        })
        .collect();
    let expected = ["a.test", "c.test", "d.test", "b.test"].map(|origin| (origin.to_owned(), true));
    assert_eq!(about, expected);
}

#[test]
fn shards_are_told_from_servers() {
    assert!(is_shard_of("rekor.test - 123", None) && is_shard_of("rekor.test - 123", Some("rekor.test")));
    for other in ["rekor.test", "rekor.test - ", "rekor.test - x", "other.test - 123"] {
        assert!(!is_shard_of(other, Some("rekor.test")), "{other}");
    }
}
