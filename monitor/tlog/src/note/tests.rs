//! Notes: the grammar, line by line.

use super::*;

const LINE: &str = "— log.example AAAAAAEC\n";

fn parse(note: &str) -> Result<SignedNote, NoteError> {
    SignedNote::parse(note)
}

#[test]
fn a_note_is_text_an_empty_line_and_signatures() {
    let note = parse(&format!("first\nsecond\n\n{LINE}— other AAAAAP8=\n")).unwrap();
    assert_eq!(note.text(), "first\nsecond\n");
    let [first, second] = note.signatures() else { panic!("two signatures") };
    assert_eq!(
        (first.name.as_str(), first.key_hash, first.signature.as_slice()),
        ("log.example", [0; 4], [1, 2].as_slice())
    );
    assert_eq!((second.name.as_str(), second.signature.as_slice()), ("other", [0xff].as_slice()));
}

#[test]
fn the_last_empty_line_parts_text_and_signatures() {
    let note = parse(&format!("first\n\n{LINE}\n{LINE}")).unwrap();
    assert_eq!(note.text(), format!("first\n\n{LINE}"));
    assert_eq!(note.signatures().len(), 1);
}

#[test]
fn a_note_reads_back_as_it_was_written() {
    let signatures = vec![
        NoteSignature { name: "log.example".into(), key_hash: [1, 2, 3, 4], signature: vec![5; 64] },
        NoteSignature { name: "witness/ü".into(), key_hash: [0; 4], signature: vec![9; 72] },
    ];
    let text = "log.example\n7\nroot\n";
    let note = parse(&format_note(text, &signatures)).unwrap();
    assert_eq!((note.text(), note.signatures()), (text, signatures.as_slice()));
}

#[test]
fn a_note_without_its_parts_is_refused() {
    for (note, error) in [
        ("", NoteError::NoText),
        ("text\n", NoteError::NoText),
        ("\n\n— log.example AAAAAAEC\n", NoteError::NoText),
        ("text\n— log.example AAAAAAEC\n", NoteError::NoText),
        ("text\n\n", NoteError::Unsigned),
        ("text\n\n— log.example AAAAAAEC", NoteError::Truncated),
        ("text\r\n\n— log.example AAAAAAEC\n", NoteError::ControlCharacter),
        ("te\0xt\n\n— log.example AAAAAAEC\n", NoteError::ControlCharacter),
    ] {
        assert_eq!(parse(note), Err(error), "{note:?}");
    }
}

#[test]
fn a_line_that_is_no_signature_spoils_the_note() {
    for line in [
        "- log.example AAAAAAEC",
        "—log.example AAAAAAEC",
        "— log.example",
        "— log.example ",
        "—  AAAAAAEC",
        "— log example AAAAAAEC",
        "— log+example AAAAAAEC",
        "— log.example AAAAAAEC ",
        "— log.example AAAAAAE",
        "— log.example AAAAAAE_",
        "— log.example AAAAAA==",
        "— log.example AAAAAP9=",
        "— log.example AAAA",
    ] {
        assert_eq!(parse(&format!("text\n\n{LINE}{line}\n")), Err(NoteError::BadSignatureLine(2)), "{line:?}");
    }
}

#[test]
fn a_note_is_bounded() {
    let many = |count: usize| format!("text\n\n{}", LINE.repeat(count));
    assert_eq!(parse(&many(100)).unwrap().signatures().len(), 100);
    assert_eq!(parse(&many(101)), Err(NoteError::TooManySignatures));
    assert_eq!(parse(&format!("{}\n\n{LINE}", "x".repeat(MAX_NOTE_BYTES))), Err(NoteError::TooLong));
}
