//! Arbitrary bytes: no parser panics, and what is accepted reads back.

use proptest::prelude::*;
use tlog::ct::{CtEntry, CtLeaf};
use tlog::{Checkpoint, Hash, LogKey, NoteSignature, SignedNote, format_note, tile};

use crate::corpus::targets;

/// Text that is nearly a note, so that more than the first check is reached.
fn nearly_a_note() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("— ".to_owned()),
        Just("— log.example AAAAAAEC\n".to_owned()),
        Just("log.example\n".to_owned()),
        Just("log.example - 12\n".to_owned()),
        Just("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n".to_owned()),
        "[0-9]{1,21}\n",
        "\\PC{0,12}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Text that is nearly a policy, so that more than the first check is reached.
fn nearly_a_policy() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("w1"), Just("w2"), Just("g"), Just("none")];
    let line = prop_oneof![
        4 => name.clone().prop_map(|name| {
            format!("witness {name} witness.hp.test/w1+4c003885+BC31xIi/B+DZ5cmUWZ7pqK+4t6uFNpl3MiN+a1fyxhEC")
        }),
        2 => (name.clone(), "any|all|[0-3]", prop::collection::vec(name.clone(), 0..3))
            .prop_map(|(name, k, members)| format!("group {name} {k} {}", members.join(" "))),
        3 => name.prop_map(|name| format!("quorum {name}")),
        1 => "#\\PC{0,10}",
        1 => "[ \t]{0,3}",
    ];
    prop::collection::vec(line, 0..6).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_makes_the_note_parser_panic(text in nearly_a_note()) {
        targets::note(text.as_bytes());
    }

    #[test]
    fn no_text_makes_the_checkpoint_parser_panic(text in nearly_a_note()) {
        targets::checkpoint(text.as_bytes());
    }

    #[test]
    fn no_bytes_make_the_bundle_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        targets::entries(&bytes);
        targets::note(&bytes);
        targets::checkpoint(&bytes);
        targets::ct(&bytes);
        targets::proof(&bytes);
        targets::policy(&bytes);
    }

    #[test]
    fn no_text_makes_the_policy_parser_panic(text in nearly_a_policy()) {
        targets::policy(text.as_bytes());
    }

    #[test]
    fn no_small_numbers_make_a_proof_prove_too_much(
        numbers: [u8; 3], hashes in prop::collection::vec(any::<[u8; 32]>(), 0..10),
    ) {
        let numbers = numbers.iter().flat_map(|number| u64::from(*number).to_be_bytes());
        let bytes: Vec<u8> = numbers.chain(hashes.into_iter().flatten()).collect();
        targets::proof(&bytes);
    }

    #[test]
    fn what_is_written_as_a_certificate_logs_leaf_is_read_as_that_leaf(
        timestamp_ms: u64, der in prop::collection::vec(any::<u8>(), 1..300), issuer: Option<[u8; 32]>,
        extensions in prop::collection::vec(any::<u8>(), 0..20), cut in any::<prop::sample::Index>(),
    ) {
        let entry = issuer.map_or(CtEntry::X509(&der), |issuer_key_hash| CtEntry::Precert { issuer_key_hash, tbs: &der });
        let leaf = CtLeaf { timestamp_ms, entry, extensions: &extensions };
        let bytes = leaf.to_bytes().unwrap();
        prop_assert_eq!(CtLeaf::parse(&bytes), Ok(leaf));
        prop_assert!(CtLeaf::parse(&bytes[..cut.index(bytes.len())]).is_err());
        targets::ct(&bytes[2..]);
        targets::ct(&[&bytes[2..], &[0, 0]].concat());
    }

    #[test]
    fn a_tree_head_with_one_byte_changed_says_the_same_or_nothing(
        size: u64, time: u64, at: u64, change: u8, small: bool,
    ) {
        let size = if small { size % 3 } else { size };
        let bytes: Vec<u8> = [size, time, at].iter().flat_map(|number| number.to_be_bytes()).chain([change]).collect();
        targets::tree_head(&bytes);
    }

    #[test]
    fn no_bytes_make_the_key_parser_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..120), text in "\\PC*", prefix in 0usize..3,
    ) {
        let prefixes: [&[u8]; 3] = [
            b"",
            b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00",
            b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04",
        ];
        bytes.splice(0..0, prefixes[prefix].iter().copied());
        for length in [bytes.len(), 44, 91] {
            if let Ok(key) = LogKey::from_spki(&bytes[..length.min(bytes.len())], Some("log")) {
                let _ = key.verify(b"message", &bytes);
            }
        }
        let _ = LogKey::from_pem(&text, None);
        let _ = text.parse::<Hash>();
        let _ = Hash::from_slice(&bytes);
    }

    #[test]
    fn a_tile_of_any_bytes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..9000), width in 0u16..300) {
        let coord = tile::TileCoord { level: 0, index: 0, width };
        if let Ok(hashes) = tile::tile_hashes(&coord, &bytes) {
            prop_assert_eq!(hashes.len(), usize::from(width));
        }
    }

    #[test]
    fn what_is_written_as_a_note_is_read_as_that_note(
        lines in prop::collection::vec("[^\\pC\n][^\\pC\n]{0,20}", 1..5),
        signers in prop::collection::vec(("[a-z./0-9-]{1,20}", any::<[u8; 4]>(), prop::collection::vec(any::<u8>(), 1..80)), 1..5),
    ) {
        let text = lines.join("\n") + "\n";
        let signatures: Vec<NoteSignature> =
            signers.into_iter().map(|(name, key_hash, signature)| NoteSignature { name, key_hash, signature }).collect();
        let note = SignedNote::parse(&format_note(&text, &signatures)).unwrap();
        prop_assert_eq!(note.text(), text);
        prop_assert_eq!(note.signatures(), signatures);
    }

    #[test]
    fn a_checkpoint_with_one_bit_changed_is_not_opened(seed: [u8; 32], at in any::<prop::sample::Index>(), bit in 0u8..7) {
        let (note, key) = targets::signed(&tlog::checkpoint_text("log.example", 9, &Hash::new(seed)));
        let opened = Checkpoint::open(&note, &key).unwrap();
        let mut bytes = note.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(changed) = String::from_utf8(bytes) {
            let changed = Checkpoint::open(&changed, &key);
            prop_assert!(changed.is_err(), "{:?} for {:?}", changed, opened);
        }
    }
}
