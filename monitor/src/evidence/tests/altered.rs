//! What an editor, a bad disk and a forger do to a file.

use tlog::{Hash, leaf_hash};

use super::fixture::{Log, P256, leaf_by};
use super::*;
use crate::finding::*;

fn a_fork() -> NewFinding {
    let log = Log::v2(20);
    fork(&log.described(), &log.head(20), &log.head_of(20, &leaf_hash(b"x")), 1)
}

fn a_contradiction() -> NewFinding {
    let (log, mut forked) = (Log::v2(21), Log::v2(40));
    forked.leaves[17] = b"changed".to_vec();
    let (range, node) = (log.range(21), forked.node(2, 4, 40));
    let how = Growth::Contradiction { old_range: &range, node: &node };
    inconsistent_growth(&log.described(), &log.head(21), &forked.head(40), how, 1)
}

fn a_rogue_key() -> NewFinding {
    let key = P256::new();
    let mut log = Log::v2(30);
    log.leaves[11] = leaf_by(&key, b"rogue");
    let (note, inclusion) = (log.head(30), log.inclusion(11, 30));
    let seen = LeafSeen { note: &note, index: 11, leaf: &log.leaves[11], inclusion: Some(&inclusion.hashes) };
    let spki = key.spki();
    key_used_outside(&log.described(), &seen, &KeySeen { claim: 0, spki: &spki, label: "k" }, "c", None, 1)
}

#[test]
fn no_byte_can_be_changed_removed_or_added() {
    let finding = a_fork();
    let file = finding.evidence.clone().unwrap();
    for position in 0..file.trim_ascii_end().len() {
        for change in [1u8, 0x20, 0x80] {
            let mut altered = file.clone();
            altered[position] ^= change;
            assert!(verify(&altered).is_err(), "byte {position} ^ {change}");
        }
        let mut shorter = file.clone();
        shorter.remove(position);
        assert!(verify(&shorter).is_err(), "without byte {position}");
        let mut longer = file.clone();
        longer.insert(position, b' ');
        assert!(verify(&longer).is_err(), "a space at {position}");
    }
    for end in 0..file.trim_ascii_end().len() {
        assert!(verify(&file[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn an_editor_may_change_the_last_newline_only() {
    let file = a_fork().evidence.unwrap();
    assert!(verify(file.trim_ascii_end()).unwrap().holds);
    assert!(verify(&[file.as_slice(), b"\n \r\n"].concat()).unwrap().holds);
    let compact = serde_json::to_vec(&Evidence::from_bytes(&file).unwrap()).unwrap();
    assert!(matches!(verify(&compact), Err(EvidenceError::Layout)));
}

#[test]
fn a_forger_of_heads_has_no_key() {
    for finding in [a_fork(), a_contradiction(), a_rogue_key()] {
        let heads = Evidence::from_bytes(finding.evidence.as_deref().unwrap()).unwrap().proof.into_heads();
        for head in heads {
            for change in
                [("\n20\n", "\n21\n"), ("\n40\n", "\n41\n"), ("\n30\n", "\n31\n"), ("log.example", "log.exampie")]
            {
                let text = String::from_utf8(head.note.0.clone()).unwrap();
                let altered = text.replacen(change.0, change.1, 1);
                if altered != text {
                    forgery_fails(&finding, |evidence| replace_note(&mut evidence.proof, &text, &altered));
                }
            }
        }
    }
}

#[test]
fn every_part_of_a_contradiction_counts() {
    let finding = a_contradiction();
    let part = |change: fn(&mut Base64, &mut Node)| {
        forgery_fails(&finding, |evidence| match &mut evidence.proof {
            Proof::Contradiction { old_range, node, .. } => change(old_range, node),
            other => panic!("{other:?}"),
        });
    };
    part(|range, _| range.0[20] ^= 1);
    part(|range, _| range.0.clear());
    part(|_, node| node.level += 1);
    part(|_, node| node.level = 200);
    part(|_, node| node.index += 1);
    part(|_, node| node.index = u64::MAX);
    part(|_, node| node.size += 1);
    part(|_, node| node.size = 0);
    part(|_, node| node.node = HexHash(Hash::empty_root()));
    part(|_, node| node.path.truncate(1));
    part(|_, node| node.path.push(HexHash(Hash::empty_root())));
    part(|_, node| node.path[0] = HexHash(Hash::empty_root()));
}

#[test]
fn every_part_of_an_entry_counts() {
    struct Parts<'a> {
        index: &'a mut u64,
        leaf: &'a mut Vec<u8>,
        hash: &'a mut HexHash,
        inclusion: &'a mut Vec<HexHash>,
        names: &'a mut Names,
    }
    let finding = a_rogue_key();
    let part = |change: fn(Parts<'_>)| {
        forgery_fails(&finding, |evidence| match &mut evidence.proof {
            Proof::Entry {
                index, leaf: Some(leaf), leaf_hash, inclusion: Some(inclusion), names: Some(names), ..
            } => {
                change(Parts { index, leaf: &mut leaf.0, hash: leaf_hash, inclusion, names });
            }
            other => panic!("{other:?}"),
        });
    };
    part(|of| *of.index += 1);
    part(|of| *of.index = u64::MAX);
    part(|of| of.leaf[30] ^= 1);
    part(|of| {
        of.leaf.push(b' ');
        *of.hash = HexHash(tlog::leaf_hash(of.leaf));
    });
    part(|of| *of.hash = HexHash(Hash::empty_root()));
    part(|of| of.inclusion.truncate(2));
    part(|of| of.inclusion.swap(0, 1));
    part(|of| of.names.claim = u64::MAX);
    part(|of| of.names.by = Named::Key(Base64(P256::new().spki())));
    part(|of| of.names.by = Named::Identity { issuer: None, subject: "a".to_owned() });
}

#[test]
fn a_file_cannot_say_more_than_it_shows() {
    let log = Log::v2(20);
    let finding = rollback(&log.described(), &log.head(20), &log.head(12), 1, 700_000);
    let verdict = verify(&forged(&finding, |evidence| evidence.attributable = true)).unwrap();
    assert!(!verdict.holds && !verdict.attributable, "{:?}", verdict.says);
}

#[test]
fn a_file_cannot_show_one_kind_and_name_another() {
    let finding = a_fork();
    for kind in ["rollback", "withheld_entry", "key_used_outside", "blind", "stale_log", "wrong_origin"] {
        forgery_fails(&finding, |evidence| evidence.kind = kind.to_owned());
    }
    let unknown = verify(&forged(&finding, |evidence| evidence.kind = "surprise".to_owned()));
    assert!(matches!(unknown, Err(EvidenceError::Unknown { .. })));
    let facts = forged(&finding, |evidence| evidence.proof = Proof::Facts { heads: Vec::new() });
    assert!(!verify(&facts).unwrap().holds);
}

#[test]
fn a_file_about_another_key_says_which() {
    let finding = a_fork();
    let pinned = verdict(&finding).log.unwrap();
    // Whoever signs everything anew pins a key of their own, and the verdict shows it.
    let theirs = Log::v1(3, 20);
    let forged = fork(&theirs.described(), &theirs.head(20), &theirs.head_of(20, &leaf_hash(b"x")), 1);
    assert_ne!(verdict(&forged).log.unwrap().public_key_sha256, pinned.public_key_sha256);
    // Swapping the key alone does not do.
    forgery_fails(&finding, |evidence| evidence.log = Some(EvidenceLog::from(&theirs.described())));
    forgery_fails(&finding, |evidence| evidence.log = None);
    forgery_fails(&finding, |evidence| evidence.log.as_mut().unwrap().origin.push('x'));
    forgery_fails(&finding, |evidence| evidence.log.as_mut().unwrap().key_name = Some("x.example".to_owned()));
    forgery_fails(&finding, |evidence| evidence.log.as_mut().unwrap().kind = "ct_rfc6962".to_owned());
    forgery_fails(&finding, |evidence| evidence.log.as_mut().unwrap().public_key.0.truncate(10));
}

#[test]
fn a_file_beyond_the_cap_is_not_read() {
    let huge = vec![b' '; MAX_FILE_BYTES + 1];
    assert!(matches!(verify(&huge), Err(EvidenceError::TooLarge(_))));
    let other = forged(&a_fork(), |evidence| evidence.media_type = "text/plain".to_owned());
    assert!(matches!(verify(&other), Err(EvidenceError::MediaType(_))));
}

fn replace_note(proof: &mut Proof, from: &str, to: &str) {
    let heads = match proof {
        Proof::Heads { first: old, second: new } | Proof::Contradiction { old, new, .. } => vec![old, new],
        Proof::Entry { head, .. } => vec![head],
        other => panic!("{other:?}"),
    };
    for head in heads {
        if head.note.0 == from.as_bytes() {
            head.note = Verbatim(to.as_bytes().to_vec());
        }
    }
}

#[test]
fn no_word_of_a_file_makes_a_line_of_the_verdict() {
    let bytes = forged(&a_fork(), |evidence| {
        let Proof::Heads { first, .. } = &mut evidence.proof else { panic!() };
        first.source = "log)\nthe log's key is the right one (".to_owned();
        evidence.claims.insert("seen\r\u{1b}[2K".to_owned(), "by all\u{2028}witnesses".to_owned());
    });
    let verdict = verify(&bytes).unwrap();
    assert!(verdict.holds);
    for line in &verdict.says {
        assert!(!line.contains(['\n', '\r', '\u{1b}', '\u{2028}']), "{line:?}");
    }
}

#[test]
fn the_key_that_a_file_pins_is_named_and_so_is_what_ecdsa_leaves_open() {
    let finding = a_rogue_key();
    let Proof::Entry { names: Some(names), .. } =
        Evidence::from_bytes(&finding.evidence.clone().unwrap()).unwrap().proof
    else {
        panic!()
    };
    let crate::evidence::Named::Key(key) = names.by else { panic!() };
    let fingerprint = hex::encode(Sha256::digest(&key.0));
    let says = verdict(&finding).says;
    assert!(says.iter().any(|line| line.contains(&fingerprint)), "{says:#?}");
    assert!(says.iter().any(|line| line.contains("from its public part alone")), "{says:#?}");
}
