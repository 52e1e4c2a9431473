//! What the fuzz targets assert of any bytes. The crate's tests replay the corpus through these functions too.

use ed25519_dalek::{Signer, SigningKey};
use tlog::{Checkpoint, LogKey, NoteSignature, SignedNote, checkpoint_text, format_note, tile};

const NAME: &str = "log.example";

/// A note that parses is written as it was read.
pub fn note(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(note) = SignedNote::parse(text) {
        assert_eq!(format_note(note.text(), note.signatures()), text);
    }
}

/// The bytes as a note that nobody signed, and as a text that the log did sign.
pub fn checkpoint(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (signed, key) = signed(text);
    if let Ok(opened) = Checkpoint::open(&signed, &key) {
        assert_eq!(opened.note(), signed);
        let head = checkpoint_text(opened.origin(), opened.size(), &opened.root());
        let extensions = opened.extension_lines().map(|line| format!("{line}\n"));
        assert_eq!(extensions.fold(head, |text, line| text + &line), text);
    }
    if let Ok(opened) = Checkpoint::open(text, &key) {
        assert_eq!(opened.note(), text);
    }
}

/// A bundle that parses is written as it was read.
pub fn entries(bytes: &[u8]) {
    if let Ok(entries) = tile::parse_entries(bytes) {
        assert!(entries.len() <= usize::from(tile::FULL_WIDTH));
        assert_eq!(tile::format_entries(&entries).as_deref(), Ok(bytes));
    }
}

/// The text signed by a log of a fixed key, and that key.
pub fn signed(text: &str) -> (String, LogKey) {
    let signer = SigningKey::from_bytes(&[42; 32]);
    let mut spki = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".to_vec();
    spki.extend_from_slice(signer.verifying_key().as_bytes());
    let key = LogKey::from_spki(&spki, Some(NAME)).expect("a fixed key");
    let signature = signer.sign(text.as_bytes()).to_vec();
    let line = NoteSignature { name: NAME.to_owned(), key_hash: key.note_hash(), signature };
    (format_note(text, &[line]), key)
}
