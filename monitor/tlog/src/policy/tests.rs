//! Policies: the grammar of c2sp.org/tlog-policy, and what is enough.

use ed25519_dalek::SigningKey;

use super::*;
use crate::cosignature::cosign;
use crate::note::{NoteSignature, format_note};

const TEXT: &str = "log.example\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

fn vkey(number: u8) -> String {
    let raw = SigningKey::from_bytes(&[number; 32]).verifying_key().to_bytes();
    WitnessKey::from_raw(&format!("witness/{number}"), &raw).unwrap().to_vkey()
}

fn line(number: u8) -> NoteSignature {
    cosign(TEXT, &format!("witness/{number}"), &[number; 32], 1000 + i64::from(number))
}

/// Witnesses W1 to W6, then the lines.
fn policy(lines: &str) -> String {
    let witnesses: String = (1..=6).map(|number| format!("witness W{number} {}\n", vkey(number))).collect();
    format!("{witnesses}{lines}")
}

fn satisfied(policy: &WitnessPolicy, numbers: &[u8]) -> bool {
    let lines: Vec<NoteSignature> = numbers.iter().map(|number| line(*number)).collect();
    let note = format_note(TEXT, &[lines.as_slice(), &[line(9)]].concat());
    policy.check(&note).satisfied
}

// The example of the specification: two of three of one operator, and one of three of another.
#[test]
fn a_quorum_of_groups_is_counted_as_the_specification_does() {
    let text = policy("group X 2 W1 W2 W3\ngroup Y any W4 W5 W6\ngroup XY all X Y\nquorum XY\n");
    let policy = WitnessPolicy::parse(&text).unwrap();
    for bits in 0..64u8 {
        let numbers: Vec<u8> = (1..=6).filter(|number| bits & (1 << (number - 1)) != 0).collect();
        let x = numbers.iter().filter(|number| **number <= 3).count();
        assert_eq!(satisfied(&policy, &numbers), x >= 2 && numbers.len() > x, "{numbers:?}");
    }
}

#[test]
fn a_quorum_may_be_one_witness_or_nobody() {
    let one = WitnessPolicy::parse(&policy("quorum W2")).unwrap();
    assert!(satisfied(&one, &[2]) && !satisfied(&one, &[1, 3, 4, 5, 6]));
    let nobody = WitnessPolicy::parse(&policy("quorum none")).unwrap();
    assert!(satisfied(&nobody, &[]) && nobody.check("no note").satisfied);
    assert!(WitnessPolicy::parse("quorum none\n").unwrap().check("").satisfied);
    assert!(!one.check("no note").satisfied);
}

#[test]
fn each_witness_is_named_as_cosigned_missing_or_invalid() {
    let policy = WitnessPolicy::parse(&policy("group all all W1 W2 W3 W4 W5 W6\nquorum all")).unwrap();
    let mut bad = line(2);
    bad.signature[20] ^= 1;
    let result = policy.check(&format_note(TEXT, &[line(1), bad.clone(), line(2), line(5)]));
    assert_eq!(result.cosigned, [("W1".to_owned(), 1001), ("W5".to_owned(), 1005)]);
    assert_eq!(result.invalid, ["W2"]);
    assert_eq!(result.missing, ["W3", "W4", "W6"]);
    assert!(!result.satisfied);
    let any = WitnessPolicy::parse(&format!("witness W2 {}\nquorum W2", vkey(2))).unwrap();
    assert!(!any.check(&format_note(TEXT, &[bad])).satisfied);
}

#[test]
fn addresses_comments_tabs_and_empty_lines_are_read() {
    let text = format!(
        "# ours\n\n \t\n\twitness  a\t{}\thttps://a.example/w \n  # theirs\nwitness b {}\nquorum a\n# end",
        vkey(1),
        vkey(2)
    );
    let policy = WitnessPolicy::parse(&text).unwrap();
    assert_eq!(policy.witnesses().collect::<Vec<_>>(), [("a", Some("https://a.example/w")), ("b", None)]);
}

#[test]
fn a_policy_is_for_the_logs_that_it_lists() {
    let rekor = "log2025-1.rekor.sigstore.dev+cf119915+AbfK5adZJxsI323FwGD2AJJ9F4i89cfDuLdGJBIYntuO";
    let key = LogKey::from_vkey(rekor).unwrap();
    assert!(WitnessPolicy::parse("quorum none").unwrap().names_log(&key));
    let policy = WitnessPolicy::parse(&format!("log {rekor} https://log.example\nquorum none")).unwrap();
    assert!(policy.names_log(&key));
    let other = SigningKey::from_bytes(&[1; 32]).verifying_key();
    let spki = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", other.as_bytes().as_slice()].concat();
    assert!(!policy.names_log(&LogKey::from_spki(&spki, None).unwrap()));
    let twice = format!("log {rekor}\nlog {rekor}\nquorum none");
    assert_eq!(WitnessPolicy::parse(&twice), Err(PolicyError::Line { line: 2, fault: PolicyFault::DuplicateKey }));
}

#[test]
fn a_wrong_line_is_named_with_its_fault() {
    let name = |text: &str| text.to_owned();
    for (lines, fault) in [
        ("quorum", PolicyFault::Form("quorum <name>|none")),
        ("quorum W1 W2", PolicyFault::Form("quorum <name>|none")),
        ("quorum W7", PolicyFault::UnknownName(name("W7"))),
        ("quorum G", PolicyFault::UnknownName(name("G"))),
        ("group", PolicyFault::Form("group <name> any|all|<number> <member>...")),
        ("group G", PolicyFault::Form("group <name> any|all|<number> <member>...")),
        ("group G any", PolicyFault::Threshold(0)),
        ("group G all", PolicyFault::Threshold(0)),
        ("group G 0 W1", PolicyFault::Threshold(1)),
        ("group G 2 W1", PolicyFault::Threshold(1)),
        ("group G 01 W1", PolicyFault::Threshold(1)),
        ("group G most W1", PolicyFault::Threshold(1)),
        ("group G 99999999999999999999 W1", PolicyFault::Threshold(1)),
        ("group G any W1 G", PolicyFault::UnknownName(name("G"))),
        ("group G any none", PolicyFault::UnknownName(name("none"))),
        ("group G 1 W1 W1", PolicyFault::MemberTwice(name("W1"))),
        ("group W1 any W2", PolicyFault::TakenName(name("W1"))),
        ("group none any W2", PolicyFault::TakenName(name("none"))),
        ("witness W1", PolicyFault::Form("witness <name> <vkey> [<url>]")),
        ("witness a b c d", PolicyFault::Form("witness <name> <vkey> [<url>]")),
        ("witness a b", PolicyFault::WitnessKey(CosignatureError::BadVerifierKey)),
        ("log", PolicyFault::Form("log <vkey> [<url>]")),
        ("log a", PolicyFault::LogKey(KeyError::BadVerifierKey)),
        ("Quorum W1", PolicyFault::UnknownWord(name("Quorum"))),
        ("quorum W1\r", PolicyFault::ControlCharacter),
        ("quorum\u{b}W1", PolicyFault::ControlCharacter),
        ("quorum\u{a0}W1", PolicyFault::UnknownWord(name("quorum\u{a0}W1"))),
    ] {
        let text = policy(&format!("{lines}\nquorum W1\n"));
        assert_eq!(WitnessPolicy::parse(&text), Err(PolicyError::Line { line: 7, fault }), "{lines:?}");
    }
    let after = |lines: &str, line, fault| {
        assert_eq!(WitnessPolicy::parse(&policy(lines)), Err(PolicyError::Line { line, fault }), "{lines:?}");
    };
    after("quorum W1\nquorum W1", 8, PolicyFault::SecondQuorum);
    after("group G any W1\ngroup H any W1\nquorum G", 8, PolicyFault::MemberTwice(name("W1")));
    after(&format!("witness again {}\nquorum W1", vkey(1)), 7, PolicyFault::DuplicateKey);
    after(&format!("witness W1 {}\nquorum W1", vkey(7)), 7, PolicyFault::TakenName(name("W1")));
    assert_eq!(WitnessPolicy::parse(&policy("")), Err(PolicyError::NoQuorum));
}
