//! Heads in each format, opened with a pinned key and origin.

use p256::ecdsa::SigningKey as P256Signer;

use super::*;
use crate::key::digitally_signed_ecdsa;
use crate::tree_head::{SignedTreeHead, static_ct_key_hash, tree_head_message};

/// A certificate log with a P-256 key.
fn certificate_log() -> (P256Signer, LogKey) {
    let signer = P256Signer::from_slice(&[7; 32]).unwrap();
    let spki = signer.verifying_key().to_public_key_der().unwrap();
    let key = LogKey::from_spki(spki.as_bytes(), None).unwrap();
    (signer, key)
}

fn signed(signer: &P256Signer, time: i64, size: u64, root: &Hash) -> Vec<u8> {
    use p256::ecdsa::signature::Signer as _;
    let signature: p256::ecdsa::Signature = signer.sign(&tree_head_message(time, size, root));
    digitally_signed_ecdsa(signature.to_der().as_bytes()).unwrap()
}

fn static_line(signer: &P256Signer, key: &LogKey, name: &str, time: i64) -> NoteSignature {
    let signature = [&time.to_be_bytes(), signed(signer, time, 7, &leaf_hash(b"x")).as_slice()].concat();
    NoteSignature { name: name.into(), key_hash: static_ct_key_hash(name, key), signature }
}

fn open(format: HeadFormat, bytes: &str, origin: &str, key: &LogKey) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::open_as(format, bytes.as_bytes(), origin, key)
}

#[test]
fn a_rekor_head_must_bear_the_pinned_origin_to_the_letter() {
    let unnamed = log(1, None);
    let named = log(1, Some("log.example"));
    let text = text("log.example");
    let note = format_note(&text, &[named.line(&text, "log.example")]);
    // An Ed25519 key without a name has another hash; the origin gives it its name.
    for key in [&unnamed.key, &named.key] {
        let opened = open(HeadFormat::Checkpoint, &note, "log.example", key).unwrap();
        assert_eq!((opened.origin(), opened.size(), opened.note()), ("log.example", 7, note.as_str()));
        assert_eq!(opened.timestamp_ms(), None);
    }
    let (signer, key) = certificate_log();
    let shard = super::text("log.example - 12");
    let line = |text: &str, name: &str| {
        use p256::ecdsa::signature::Signer as _;
        let signature: p256::ecdsa::Signature = signer.sign(text.as_bytes());
        NoteSignature {
            name: name.into(),
            key_hash: key.note_hash(),
            signature: signature.to_der().as_bytes().to_vec(),
        }
    };
    let note = format_note(&shard, &[line(&shard, "log.example")]);
    assert_eq!(open(HeadFormat::Checkpoint, &note, "log.example - 12", &key).unwrap().origin(), "log.example - 12");
    for origin in ["log.example - 13", "log.example"] {
        let expected = CheckpointError::WrongOrigin { found: "log.example - 12".into(), expected: origin.into() };
        assert_eq!(open(HeadFormat::Checkpoint, &note, origin, &key), Err(expected));
    }
}

// An Ed25519 key's hash is over its name: what it signed as another log is still its word, and no missing signature.
#[test]
fn a_head_that_the_key_signed_as_another_log_has_the_wrong_origin() {
    let ours = log(1, Some("log.example"));
    let elsewhere = log(1, Some("other.example"));
    let text = text("other.example");
    let note = format_note(&text, &[elsewhere.line(&text, "other.example")]);
    assert_eq!(
        open(HeadFormat::Checkpoint, &note, "log.example", &ours.key),
        Err(CheckpointError::WrongOrigin { found: "other.example".into(), expected: "log.example".into() })
    );
    // But not what a stranger signed, nor what nobody did.
    let stranger = log(2, Some("other.example"));
    let note = format_note(&text, &[stranger.line(&text, "other.example")]);
    assert_eq!(open(HeadFormat::Checkpoint, &note, "log.example", &ours.key), Err(CheckpointError::NoSignature));
    let mut forged = stranger.line(&text, "other.example");
    forged.key_hash = elsewhere.key.note_hash();
    let note = format_note(&text, &[forged]);
    assert_eq!(
        open(HeadFormat::Checkpoint, &note, "log.example", &ours.key),
        Err(CheckpointError::BadSignature(SignatureError::Invalid))
    );
}

#[test]
fn what_is_malformed_is_told_from_what_is_wrongly_signed() {
    let ours = log(1, Some("log.example"));
    let of = |text: &str| {
        let note = format_note(text, &[ours.line(text, "log.example")]);
        open(HeadFormat::Checkpoint, &note, "log.example", &ours.key).unwrap_err()
    };
    assert!(of("log.example\n7\nno root\n").is_malformed());
    assert!(!of(&text("log.exampl3")).is_malformed());
    assert!(open(HeadFormat::Checkpoint, "", "log.example", &ours.key).unwrap_err().is_malformed());
    let utf8 = Checkpoint::open_as(HeadFormat::Checkpoint, b"\xff", "log.example", &ours.key);
    assert!(matches!(utf8, Err(CheckpointError::Text(_))));
    for error in [
        CheckpointError::NoSignature,
        CheckpointError::BadSignature(SignatureError::Malformed),
        CheckpointError::WrongOrigin { found: "a".into(), expected: "b".into() },
    ] {
        assert!(!error.is_malformed());
    }
}

#[test]
fn a_frozen_log_says_so_in_its_signed_text() {
    let log = log(1, Some("log.example"));
    let open = |line: &str| log.open(&format!("{}{line}", text("log.example")), "log.example").unwrap();
    assert!(open("Log frozen — Sat Nov 21 12:00:00 UTC 2026\n").is_frozen());
    assert!(open("other\nLog frozen — now\n").is_frozen());
    for line in ["", "log frozen — now\n", "Not: Log frozen — now\n", "Log frozen\n"] {
        assert!(!open(line).is_frozen(), "{line:?}");
    }
}

#[test]
fn a_static_ct_head_is_a_tree_head_on_a_note() {
    let (signer, key) = certificate_log();
    let name = "ct.example/2026";
    let text = text(name);
    let line = static_line(&signer, &key, name, 1_700_000_000_123);
    let note = format_note(&text, std::slice::from_ref(&line));
    let opened = open(HeadFormat::StaticCt, &note, name, &key).unwrap();
    assert_eq!((opened.origin(), opened.size(), opened.root()), (name, 7, leaf_hash(b"x")));
    assert_eq!(opened.timestamp_ms(), Some(1_700_000_000_123));
    assert_eq!(opened.note(), note);
    // In another format it has no signature, or is no JSON.
    assert_eq!(open(HeadFormat::Checkpoint, &note, name, &key), Err(CheckpointError::NoSignature));
    assert!(matches!(open(HeadFormat::TreeHead, &note, name, &key), Err(CheckpointError::TreeHead(_))));

    // The newest of several times, strangers left alone; but each line of ours must verify.
    let newer = static_line(&signer, &key, name, 1_700_000_000_999);
    let stranger = NoteSignature { name: "witness".into(), key_hash: [1; 4], signature: vec![0; 72] };
    let several = format_note(&text, &[line.clone(), stranger, newer, line.clone()]);
    assert_eq!(open(HeadFormat::StaticCt, &several, name, &key).unwrap().timestamp_ms(), Some(1_700_000_000_999));
    for at in 0..line.signature.len() {
        let mut changed = line.clone();
        changed.signature[at] ^= 1;
        let note = format_note(&text, &[line.clone(), changed]);
        let opened = open(HeadFormat::StaticCt, &note, name, &key);
        assert!(matches!(opened, Err(CheckpointError::BadSignature(_))), "{at}: {opened:?}");
    }
    for other in [checkpoint_text(name, 8, &leaf_hash(b"x")), checkpoint_text(name, 7, &leaf_hash(b"y"))] {
        assert_eq!(
            open(HeadFormat::StaticCt, &format_note(&other, std::slice::from_ref(&line)), name, &key),
            Err(CheckpointError::BadSignature(SignatureError::Invalid))
        );
    }
}

// The signature covers neither origin nor further lines.
#[test]
fn what_a_static_ct_signature_does_not_cover_is_not_believed() {
    let (signer, key) = certificate_log();
    let name = "ct.example/2026";
    let line = static_line(&signer, &key, name, 5);
    let extended = format_note(&format!("{}more\n", text(name)), std::slice::from_ref(&line));
    assert_eq!(open(HeadFormat::StaticCt, &extended, name, &key), Err(CheckpointError::UnsignedLines));
    let renamed = format_note(&text("ct.example/2027"), std::slice::from_ref(&line));
    let wrong = |found: &str| CheckpointError::WrongOrigin { found: found.into(), expected: name.into() };
    assert_eq!(open(HeadFormat::StaticCt, &renamed, name, &key), Err(wrong("ct.example/2027")));
    let elsewhere = static_line(&signer, &key, "ct.example/2027", 5);
    let note = format_note(&text("ct.example/2027"), std::slice::from_ref(&elsewhere));
    assert_eq!(open(HeadFormat::StaticCt, &note, name, &key), Err(wrong("ct.example/2027")));
    // Beside the right line it is somebody's whom we do not know.
    let note = format_note(&text(name), &[elsewhere, line]);
    assert!(open(HeadFormat::StaticCt, &note, name, &key).is_ok());
}

#[test]
fn a_tree_head_is_opened_from_its_json() {
    let (signer, key) = certificate_log();
    let root = leaf_hash(b"x");
    let head = SignedTreeHead { size: 7, timestamp_ms: 9_000, root, signature: signed(&signer, 9_000, 7, &root) };
    let json = head.to_json();
    let opened = open(HeadFormat::TreeHead, &json, "ct.example", &key).unwrap();
    assert_eq!((opened.origin(), opened.size(), opened.root()), ("ct.example", 7, root));
    assert_eq!((opened.timestamp_ms(), opened.note()), (Some(9_000), json.as_str()));
    assert_eq!(opened.extension_lines().count(), 0);
    assert!(!opened.is_frozen());
    for changed in [
        SignedTreeHead { size: 8, ..head.clone() },
        SignedTreeHead { timestamp_ms: 9_001, ..head.clone() },
        SignedTreeHead { root: leaf_hash(b"y"), ..head.clone() },
    ] {
        assert_eq!(
            open(HeadFormat::TreeHead, &changed.to_json(), "ct.example", &key),
            Err(CheckpointError::BadSignature(SignatureError::Invalid))
        );
    }
    for at in 0..head.signature.len() {
        let mut changed = head.clone();
        changed.signature[at] ^= 1;
        let opened = open(HeadFormat::TreeHead, &changed.to_json(), "ct.example", &key);
        assert!(matches!(opened, Err(CheckpointError::BadSignature(_))), "{at}: {opened:?}");
    }
}

#[test]
fn json_that_is_no_tree_head_is_malformed() {
    let (_, key) = certificate_log();
    let root = STANDARD.encode(leaf_hash(b"x").as_bytes());
    let sth = |size: &str, time: &str, root: &str, signature: &str| {
        format!(
            r#"{{"tree_size":{size},"timestamp":{time},"sha256_root_hash":"{root}","tree_head_signature":"{signature}"}}"#
        )
    };
    let long = format!("{}{}", sth("7", "1", &root, "AAAA"), " ".repeat(70_000));
    for (json, error) in [
        (String::new(), TreeHeadError::Json),
        ("{}".into(), TreeHeadError::Json),
        (sth("-1", "1", &root, "AAAA"), TreeHeadError::Json),
        (sth("7.0", "1", &root, "AAAA"), TreeHeadError::Json),
        (sth("7", "18446744073709551615", &root, "AAAA"), TreeHeadError::BadTimestamp),
        (sth("7", "1", "AAAA", "AAAA"), TreeHeadError::BadRoot),
        (sth("7", "1", &root, "*"), TreeHeadError::BadSignatureText),
        (sth("0", "1", &root, "AAAA"), TreeHeadError::BadEmptyRoot(leaf_hash(b"x"))),
        (long, TreeHeadError::TooLong),
        (sth("7", "1", &root, "AAAA").replace('}', r#","tree_size":8}"#), TreeHeadError::Json),
    ] {
        let error = CheckpointError::TreeHead(error);
        assert!(error.is_malformed());
        assert_eq!(open(HeadFormat::TreeHead, &json, "ct.example", &key), Err(error), "{json}");
    }
}
