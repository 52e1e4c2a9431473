//! A valid bundle, changed in one place each: all that must be refused, and as what.
use super::*;

/// Each change, what it is, and what it must be refused as.
#[test]
fn what_is_not_this_keys_logged_signature_of_this_digest_is_refused() {
    type Change = fn(&mut Case);
    type Refusal = fn(&VerifyError) -> bool;
    let table: &[(&str, Change, Refusal)] = &[
        (
            "another key, by its hint",
            |c| c.key = TestKey::p256(2).public(),
            |e| matches!(e, VerifyError::WrongKey { .. }),
        ),
        (
            "another key, without a hint",
            |c| {
                c.key = TestKey::p256(2).public();
                c.bundle.key = VerificationKey::Hint(String::new());
            },
            |e| matches!(e, VerifyError::Signature(SignatureError::Mismatch)),
        ),
        (
            "a certificate",
            |c| c.bundle.key = VerificationKey::Certificate(vec![0x30, 0]),
            |e| matches!(e, VerifyError::Certificate),
        ),
        (
            "a changed payload",
            |c| c.envelope().payload = statement_of(b"another image"),
            |e| matches!(e, VerifyError::Signature(SignatureError::Mismatch)),
        ),
        (
            "a changed payload type",
            |c| c.envelope().payload_type.push('x'),
            |e| matches!(e, VerifyError::Signature(SignatureError::Mismatch)),
        ),
        ("no signature", |c| c.envelope().signatures.clear(), |e| matches!(e, VerifyError::Content(_))),
        (
            "a second signature",
            |c| {
                let first = c.envelope().signatures[0].clone();
                c.envelope().signatures.push(EnvelopeSignature { keyid: "x".to_owned(), ..first });
            },
            |e| matches!(e, VerifyError::Content(_)),
        ),
        (
            "a message signature",
            |c| {
                c.bundle.content = BundleContent::Message {
                    algorithm: "SHA2_256".to_owned(),
                    digest: image().as_bytes().to_vec(),
                    signature: c.signed.signature.clone(),
                }
            },
            |e| matches!(e, VerifyError::Content(_)),
        ),
        ("no entry", |c| c.bundle.entries.clear(), |e| matches!(e, VerifyError::NotLogged)),
        (
            "an entry without promise and proof",
            |c| {
                c.entry().set = None;
                c.entry().proof = None;
            },
            |e| matches!(e, VerifyError::Missing(_)),
        ),
        ("an entry of a log that nobody trusts", |c| c.entry().log_id[0] ^= 1, |e| matches!(e, VerifyError::NotLogged)),
        (
            "a trust root with another log",
            |c| c.trust = trusting(&TestLog::v1(12), ValidFor::default(), &c.authority),
            |e| matches!(e, VerifyError::NotLogged),
        ),
        (
            "the same entry twice",
            |c| {
                let entry = c.entry().clone();
                c.bundle.entries.push(entry);
            },
            |e| matches!(e, VerifyError::Duplicate("log entry")),
        ),
        (
            "33 entries",
            |c| c.bundle.entries = vec![c.bundle.entries[0].clone(); 33],
            |e| matches!(e, VerifyError::TooMany { count: 33, .. }),
        ),
        (
            "a proof hash changed",
            |c| {
                let proof = c.entry().proof.as_mut().unwrap();
                proof.hashes[0] = tlog::leaf_hash(b"x");
            },
            |e| matches!(e, VerifyError::InclusionProof(_)),
        ),
        (
            "a proof hash left out",
            |c| c.entry().proof.as_mut().unwrap().hashes.truncate(1),
            |e| matches!(e, VerifyError::InclusionProof(_)),
        ),
        (
            "a proof of another leaf",
            |c| c.entry().proof.as_mut().unwrap().log_index -= 1,
            |e| matches!(e, VerifyError::InclusionProof(_)),
        ),
        (
            "a tree of another size",
            |c| c.entry().proof.as_mut().unwrap().size += 1,
            |e| matches!(e, VerifyError::TreeHead),
        ),
        (
            "another root",
            |c| c.entry().proof.as_mut().unwrap().root = tlog::leaf_hash(b"x"),
            |e| matches!(e, VerifyError::TreeHead),
        ),
        (
            "no checkpoint",
            |c| c.entry().proof.as_mut().unwrap().checkpoint.clear(),
            |e| matches!(e, VerifyError::Missing("checkpoint")),
        ),
        (
            "a checkpoint of another log",
            |c| {
                let proof = c.bundle.entries[0].proof.as_mut().unwrap();
                let other = if c.log.name == "log1.example.com" { TestLog::v2(31) } else { TestLog::v1(31) };
                proof.checkpoint = other.checkpoint(proof.size, &proof.root);
            },
            |e| matches!(e, VerifyError::Checkpoint(_)),
        ),
        (
            "a checkpoint whose signature is cut off",
            |c| {
                let proof = c.entry().proof.as_mut().unwrap();
                let end = proof.checkpoint.find('\u{2014}').unwrap();
                proof.checkpoint.truncate(end);
            },
            |e| matches!(e, VerifyError::Checkpoint(_)),
        ),
        (
            "the body of another entry",
            |c| {
                let mut body = c.entry().body.clone();
                let at = body.iter().rposition(|b| *b == b'=').unwrap() - 1;
                body[at] ^= 1;
                c.entry().body = body;
            },
            |e| matches!(e, VerifyError::Set(_) | VerifyError::InclusionProof(_)),
        ),
        (
            "a kind that the body is not",
            |c| c.entry().kind = "intoto".to_owned(),
            |e| matches!(e, VerifyError::KindVersion { .. }),
        ),
        (
            "a version that the body is not",
            |c| c.entry().version = "0.0.9".to_owned(),
            |e| matches!(e, VerifyError::KindVersion { .. }),
        ),
        (
            "a genuine entry of another digest",
            |c| {
                let other = TestKey::p256(1).sign_statement(&Digest::of(b"another image"));
                c.bundle.entries = vec![c.log.log(&other, AT)];
            },
            |e| matches!(e, VerifyError::Entry(EntryError::OtherDigest)),
        ),
        (
            "a genuine entry of the same statement by another key",
            |c| {
                let other = TestKey::p256(2).sign_statement(&image());
                c.bundle.entries = vec![c.log.log(&other, AT)];
            },
            |e| matches!(e, VerifyError::Entry(EntryError::OtherSignature)),
        ),
        (
            "a genuine entry of our signature under another key",
            |c| {
                let other = NewEntry { key: TestKey::p256(2).public(), ..c.signed.clone() };
                c.bundle.entries = vec![c.log.log(&other, AT)];
            },
            |e| matches!(e, VerifyError::Entry(EntryError::OtherKey)),
        ),
        (
            "a genuine entry of a kind that we do not read",
            |c| {
                let body = br#"{"apiVersion":"0.0.2","kind":"intoto","spec":{}}"#.to_vec();
                c.bundle.entries = vec![c.log.append(body, "intoto", "0.0.2", Some(AT))];
            },
            |e| matches!(e, VerifyError::Entry(EntryError::Kind { .. })),
        ),
        ("no timestamp", |c| c.bundle.timestamps.clear(), |e| matches!(e, VerifyError::NotTimestamped)),
        (
            "the same timestamp twice",
            |c| c.bundle.timestamps.push(c.bundle.timestamps[0].clone()),
            |e| matches!(e, VerifyError::Duplicate("timestamp")),
        ),
        (
            "33 timestamps",
            |c| c.bundle.timestamps = vec![c.bundle.timestamps[0].clone(); 33],
            |e| matches!(e, VerifyError::TooMany { count: 33, .. }),
        ),
        (
            "a timestamp of another signature",
            |c| c.bundle.timestamps = vec![c.authority.stamp(b"another", AT)],
            |e| matches!(e, VerifyError::Timestamp(TimestampError::Unverified(_))),
        ),
        (
            "a timestamp by another authority",
            |c| c.bundle.timestamps = vec![Authority::new(40).stamp(&c.signed.signature, AT)],
            |e| matches!(e, VerifyError::Timestamp(TimestampError::Unverified(_))),
        ),
        (
            "a timestamp after the authority's time",
            |c| c.trust.timestamp_authorities[0].valid_for.end = Some(AT * 1000 - 1),
            |e| matches!(e, VerifyError::Timestamp(TimestampError::OutsideValidity { time: AT, .. })),
        ),
        (
            "a timestamp after the authority's certificate",
            |c| c.bundle.timestamps = vec![c.authority.stamp(&c.signed.signature, Authority::NOT_AFTER + 1)],
            |e| matches!(e, VerifyError::Timestamp(TimestampError::Unverified(_))),
        ),
        (
            "a log whose key was retired before",
            |c| c.trust.logs[0].valid_for.end = Some(AT * 1000 - 1),
            |e| matches!(e, VerifyError::LogOutsideValidity { at: AT, .. }),
        ),
        (
            "a log whose key came after",
            |c| c.trust.logs[0].valid_for.start = Some(AT * 1000 + 1),
            |e| matches!(e, VerifyError::LogOutsideValidity { at: AT, .. }),
        ),
    ];
    for (what, change, refused) in table {
        for mut case in both() {
            change(&mut case);
            let name = case.log.name;
            match case.verify() {
                Ok(_) => panic!("{what} was accepted ({name})"),
                Err(error) => assert!(refused(&error), "{what} ({name}): {error:?}"),
            }
        }
    }
}
