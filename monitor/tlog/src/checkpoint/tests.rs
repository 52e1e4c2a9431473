//! Checkpoints: opened by the right key for the right log, or not at all.

use ed25519_dalek::{Signer as _, SigningKey};
use spki::EncodePublicKey as _;

use super::*;
use crate::hash::leaf_hash;
use crate::note::{NoteSignature, format_note};

struct Log {
    signer: SigningKey,
    key: LogKey,
}

fn log(seed: u8, name: Option<&str>) -> Log {
    let signer = SigningKey::from_bytes(&[seed; 32]);
    let spki = signer.verifying_key().to_public_key_der().unwrap();
    Log { key: LogKey::from_spki(spki.as_bytes(), name).unwrap(), signer }
}

impl Log {
    fn line(&self, text: &str, name: &str) -> NoteSignature {
        let signature = self.signer.sign(text.as_bytes()).to_vec();
        NoteSignature { name: name.into(), key_hash: self.key.note_hash(), signature }
    }

    fn open(&self, text: &str, name: &str) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::open(&format_note(text, &[self.line(text, name)]), &self.key)
    }
}

fn text(origin: &str) -> String {
    checkpoint_text(origin, 7, &leaf_hash(b"x"))
}

#[test]
fn an_opened_note_says_what_the_log_signed() {
    let log = log(1, Some("log.example"));
    let text = format!("{}frozen\nfor good\n", text("log.example"));
    let note = format_note(&text, &[log.line(&text, "log.example")]);
    let checkpoint = Checkpoint::open(&note, &log.key).unwrap();
    assert_eq!(checkpoint.origin(), "log.example");
    assert_eq!(checkpoint.size(), 7);
    assert_eq!(checkpoint.root(), leaf_hash(b"x"));
    assert_eq!(checkpoint.note(), note);
    assert_eq!(checkpoint.extension_lines().collect::<Vec<_>>(), ["frozen", "for good"]);
    assert_eq!(Checkpoint::open(checkpoint.note(), &log.key), Ok(checkpoint));
}

#[test]
fn other_signatures_are_left_alone_in_any_order() {
    let log = log(1, Some("log.example"));
    let text = text("log.example");
    let ours = log.line(&text, "log.example");
    let witness = NoteSignature { name: "witness".into(), key_hash: [1; 4], signature: vec![0; 72] };
    // The same name with another key's hash: a key that we do not know.
    let successor = NoteSignature { name: "log.example".into(), key_hash: [2; 4], signature: vec![0; 70] };
    // Our key's hash under another name: a coincidence, or a trap.
    let stranger = NoteSignature { name: "stranger".into(), signature: vec![0; 64], ..ours.clone() };
    let note = format_note(&text, &[witness.clone(), successor, stranger.clone(), ours]);
    assert!(Checkpoint::open(&note, &log.key).is_ok());
    assert_eq!(
        Checkpoint::open(&format_note(&text, &[witness, stranger]), &log.key),
        Err(CheckpointError::NoSignature)
    );
}

#[test]
fn a_bad_signature_by_our_key_refuses_the_note_even_beside_a_good_one() {
    let log = log(1, Some("log.example"));
    let text = text("log.example");
    let good = log.line(&text, "log.example");
    let bad = log.line("another text", "log.example");
    for lines in [vec![bad.clone()], vec![good.clone(), bad.clone()], vec![bad, good]] {
        assert_eq!(
            Checkpoint::open(&format_note(&text, &lines), &log.key),
            Err(CheckpointError::BadSignature(SignatureError::Invalid))
        );
    }
}

#[test]
fn another_log_cannot_sign_for_ours() {
    let ours = log(1, Some("log.example"));
    let other = log(2, Some("log.example"));
    let text = text("log.example");
    let note = format_note(&text, &[other.line(&text, "log.example")]);
    assert_eq!(Checkpoint::open(&note, &ours.key), Err(CheckpointError::NoSignature));
    let mut posing = other.line(&text, "log.example");
    posing.key_hash = ours.key.note_hash();
    assert_eq!(
        Checkpoint::open(&format_note(&text, &[posing]), &ours.key),
        Err(CheckpointError::BadSignature(SignatureError::Invalid))
    );
}

#[test]
fn a_log_speaks_for_its_own_origin_and_its_shards_only() {
    let by_host = log(1, Some("log.example"));
    for origin in ["log.example", "log.example - 123"] {
        assert_eq!(by_host.open(&text(origin), "log.example").unwrap().origin(), origin);
    }
    for origin in
        ["log.example2", "other", "log.example -123", "log.example - ", "log.example - 12x", "log.example - 1 - 2"]
    {
        assert_eq!(
            by_host.open(&text(origin), "log.example"),
            Err(CheckpointError::WrongOrigin { found: origin.into(), expected: "log.example".into() })
        );
    }
    // One key signs for all shards: a key pinned to one of them accepts no other.
    let by_shard = log(1, Some("log.example - 123"));
    assert!(by_shard.open(&text("log.example - 123"), "log.example").is_ok());
    for origin in ["log.example - 124", "log.example"] {
        assert!(matches!(by_shard.open(&text(origin), "log.example"), Err(CheckpointError::WrongOrigin { .. })));
    }
    let unnamed = log(1, None);
    assert_eq!(unnamed.open(&text("any thing"), "any").unwrap().origin(), "any thing");
}

#[test]
fn a_signed_text_that_is_no_checkpoint_is_refused() {
    let log = log(1, None);
    let root = checkpoint_text("o", 7, &leaf_hash(b"x")).lines().nth(2).unwrap().to_owned();
    for (text, error) in [
        (format!("\n7\n{root}\n"), CheckpointError::NoOrigin),
        (format!("o\n{root}\n"), CheckpointError::BadSize),
        (format!("o\n07\n{root}\n"), CheckpointError::BadSize),
        (format!("o\n+7\n{root}\n"), CheckpointError::BadSize),
        (format!("o\n-7\n{root}\n"), CheckpointError::BadSize),
        (format!("o\n 7\n{root}\n"), CheckpointError::BadSize),
        (format!("o\n\n{root}\n"), CheckpointError::BadSize),
        (format!("o\n18446744073709551616\n{root}\n"), CheckpointError::BadSize),
        ("o\n7\n".to_owned(), CheckpointError::BadRoot),
        ("o\n7\nAAAA\n".to_owned(), CheckpointError::BadRoot),
        (format!("o\n7\n{}\n", root.trim_end_matches('=')), CheckpointError::BadRoot),
        (format!("o\n0\n{root}\n"), CheckpointError::BadEmptyRoot(leaf_hash(b"x"))),
        (format!("o\n7\n{root}\nx\n\ny\n"), CheckpointError::EmptyLine),
    ] {
        assert_eq!(log.open(&text, "o"), Err(error), "{text:?}");
    }
    assert!(log.open(&checkpoint_text("o", 0, &Hash::empty_root()), "o").is_ok());
    assert!(log.open(&format!("o\n18446744073709551615\n{root}\n"), "o").is_ok());
}

#[test]
fn what_is_no_note_is_no_checkpoint() {
    let log = log(1, None);
    assert_eq!(Checkpoint::open("", &log.key), Err(CheckpointError::Note(NoteError::NoText)));
}

mod formats;
