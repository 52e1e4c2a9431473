//! What the fuzz targets assert of any bytes. The crate's tests replay the corpus through these functions too.

use ed25519_dalek::{Signer as _, SigningKey};
use tlog::{
    Checkpoint, HeadFormat, LogKey, NoteSignature, SignedNote, WitnessKey, WitnessPolicy, checkpoint_text, cosign,
    format_note, tile,
};

mod structures;

pub use structures::{ct, proof, tree_head};

const NAME: &str = "log.example";
const WITNESS: &str = "witness.example/w1";
const WITNESS_SEED: [u8; 32] = [43; 32];
const FORMATS: [HeadFormat; 3] = [HeadFormat::Checkpoint, HeadFormat::StaticCt, HeadFormat::TreeHead];

/// A note that parses is written as it was read.
pub fn note(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(note) = SignedNote::parse(text) {
        assert_eq!(format_note(note.text(), note.signatures()), text);
    }
}

/// The bytes as a head that nobody signed, in each format, and as a text that the log did sign.
pub fn checkpoint(bytes: &[u8]) {
    let certificate_log = structures::certificate_log();
    for format in FORMATS {
        for key in [&signed("").1, &certificate_log.1] {
            if let Ok(opened) = Checkpoint::open_as(format, bytes, NAME, key) {
                assert_eq!((opened.note().as_bytes(), opened.origin()), (bytes, NAME));
            }
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (signed, key) = signed(text);
    if let Ok(opened) = Checkpoint::open(&signed, &key) {
        assert_eq!(opened.note(), signed);
        let head = checkpoint_text(opened.origin(), opened.size(), &opened.root());
        let extensions = opened.extension_lines().map(|line| format!("{line}\n"));
        assert_eq!(extensions.fold(head, |text, line| text + &line), text);
        let again = Checkpoint::open_as(HeadFormat::Checkpoint, signed.as_bytes(), NAME, &key);
        assert_eq!(again.is_ok(), opened.origin() == NAME);
        let _ = opened.is_frozen();
    }
    if let Ok(opened) = Checkpoint::open(text, &key) {
        assert_eq!(opened.note(), text);
    }
}

/// A bundle that parses is written as it was read; a tile is read or refused.
pub fn entries(bytes: &[u8]) {
    let mut slices = Vec::new();
    let read = tile::entry_slices(bytes, &mut slices);
    let entries = tile::parse_entries(bytes);
    assert_eq!(read.is_ok(), entries.is_ok());
    if let Ok(entries) = entries {
        assert!(entries.len() <= usize::from(tile::FULL_WIDTH));
        assert!(entries.iter().zip(&slices).all(|(entry, slice)| bytes.get(slice.clone()) == Some(entry.as_slice())));
        assert_eq!(tile::format_entries(&entries).as_deref(), Ok(bytes));
    }
    if let Some((width, tile)) = bytes.split_first_chunk() {
        let coord = tile::TileCoord { level: 0, index: 0, width: u16::from_be_bytes(*width) };
        if let Ok(hashes) = tile::tile_hashes(&coord, tile) {
            assert_eq!(hashes.len(), usize::from(coord.width));
        }
    }
}

/// The bytes as a policy, and as a note that a witness did or did not cosign.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let head = "log.example\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let cosigned = format_note(head, &[cosign(head, WITNESS, &WITNESS_SEED, 7)]);
    if let Ok(policy) = WitnessPolicy::parse(text) {
        for note in [cosigned.as_str(), text] {
            let quorum = policy.check(note);
            let counted = quorum.cosigned.len() + quorum.missing.len() + quorum.invalid.len();
            assert_eq!(counted, policy.witnesses().count());
        }
        // Whoever has cosigned is enough, or nobody is needed, or there are others.
        let alone = policy.check(&cosigned);
        assert!(!alone.satisfied || !alone.cosigned.is_empty() || policy.check("").satisfied);
    }
    let raw = SigningKey::from_bytes(&WITNESS_SEED).verifying_key().to_bytes();
    let witness = WitnessKey::from_raw(WITNESS, &raw).expect("a fixed key");
    if let Ok(note) = SignedNote::parse(text) {
        let _ = witness.verify(&note);
    }
    let time = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    if let Ok(note) = SignedNote::parse(&format_note(text, &[cosign(text, WITNESS, &WITNESS_SEED, time)])) {
        // A text that has a note within parses as a longer text, or as another.
        assert!(note.text() != text || witness.verify(&note) == Ok(Some(time)));
    }
    if let Ok(key) = WitnessKey::from_vkey(text) {
        assert_eq!(WitnessKey::from_vkey(&key.to_vkey()), Ok(key));
    }
    if let Ok(key) = LogKey::from_vkey(text) {
        assert!(text.starts_with(key.name().unwrap_or("no name")));
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
