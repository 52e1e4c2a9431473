//! Tests of legacy signatures.
use super::*;
use crate::legacy::LegacySignature;

struct LegacyCase {
    key: PublicKey,
    log: TestLog,
    authority: Authority,
    signed: NewEntry,
    signature: LegacySignature,
    trust: TrustRoot,
}

fn case_of(key: &TestKey) -> LegacyCase {
    let mut log = TestLog::v1(10);
    let authority = Authority::new(20);
    let signed = key.sign_simple(&image());
    let entry = log.log(&signed, AT);
    let trust = trusting(&log, ValidFor::default(), &authority);
    let mut case = LegacyCase {
        key: signed.key.clone(),
        log,
        authority,
        signature: LegacySignature::new(Vec::new(), b""),
        signed,
        trust,
    };
    case.signature = case.carrying(&case.signed.clone(), Some(&entry));
    case
}

fn case() -> LegacyCase {
    case_of(&TestKey::p256(1))
}

impl LegacyCase {
    fn carrying(&self, signed: &NewEntry, entry: Option<&LogEntry>) -> LegacySignature {
        let signature = LegacySignature::new(signed.message.clone(), &signed.signature);
        let signature = match entry {
            Some(entry) => signature.with_rekor_v1(entry).unwrap(),
            None => signature,
        };
        signature.with_timestamp(&self.authority.stamp(&signed.signature, AT))
    }

    fn verify(&self) -> Result<Verified, VerifyError> {
        verify_legacy(&self.signature, &image(), &self.key, &self.trust, &STAMPED)
    }
}

#[test]
fn a_logged_and_timestamped_legacy_signature_verifies_and_says_what_was_proved() {
    for key in [TestKey::p256(1), TestKey::p384(1), TestKey::ed25519(1)] {
        let case = case_of(&key);
        let verified = case.verify().unwrap();
        assert_eq!(verified.entries, [(case.log.key().key_id(), TestLog::V1_OFFSET + 5)]);
        assert_eq!((verified.integrated_time, verified.timestamps), (Some(AT), vec![AT]));
    }
}

#[test]
fn what_is_not_this_keys_logged_legacy_signature_of_this_digest_is_refused() {
    type Change = fn(&mut LegacyCase);
    type Refusal = fn(&VerifyError) -> bool;
    let table: &[(&str, Change, Refusal)] = &[
        ("another key", |c| c.key = TestKey::p256(2).public(), |e| matches!(e, VerifyError::Signature(_))),
        ("a changed payload", |c| c.signature.payload.push(b' '), |e| matches!(e, VerifyError::Signature(_))),
        (
            "a payload about another digest",
            |c| {
                let signed = TestKey::p256(1).sign_simple(&Digest::of(b"another image"));
                let entry = c.log.log(&signed, AT);
                c.signature = c.carrying(&signed, Some(&entry));
            },
            |e| matches!(e, VerifyError::WrongDigest { .. }),
        ),
        (
            "a payload that is none",
            |c| {
                let key = TestKey::p256(1);
                let message = b"{}".to_vec();
                let signature = key.sign(&message, crate::public_key::HashAlgorithm::Sha256);
                let signed = NewEntry { message, signature, ..c.signed.clone() };
                c.signature = c.carrying(&signed, None);
            },
            |e| matches!(e, VerifyError::SimpleSigning(_)),
        ),
        ("no signature", |c| c.signature.annotations.clear(), |e| matches!(e, VerifyError::Legacy(_))),
        ("no log entry", |c| c.signature = c.carrying(&c.signed, None), |e| matches!(e, VerifyError::NotLogged)),
        ("a log that nobody trusts", |c| c.trust.logs.clear(), |e| matches!(e, VerifyError::NotLogged)),
        (
            "a promise about another time",
            |c| {
                let mut entry = c.log.log(&c.signed, AT);
                entry.integrated_time = Some(AT + 1);
                c.signature = c.carrying(&c.signed, Some(&entry));
            },
            |e| matches!(e, VerifyError::Set(_)),
        ),
        (
            "a promise by another log of the same name",
            |c| {
                let mut entry = TestLog::v1(12).log(&c.signed, AT);
                entry.log_id = c.log.key().key_id();
                c.signature = c.carrying(&c.signed, Some(&entry));
            },
            |e| matches!(e, VerifyError::Set(_)),
        ),
        (
            "a genuine entry of another payload",
            |c| {
                let other = TestKey::p256(1).sign_simple(&Digest::of(b"another image"));
                let entry = c.log.log(&other, AT);
                c.signature = c.carrying(&c.signed, Some(&entry));
            },
            |e| matches!(e, VerifyError::Entry(EntryError::OtherDigest)),
        ),
        (
            "a genuine entry under another key",
            |c| {
                let other = NewEntry { key: TestKey::p256(2).public(), ..c.signed.clone() };
                let entry = c.log.log(&other, AT);
                c.signature = c.carrying(&c.signed, Some(&entry));
            },
            |e| matches!(e, VerifyError::Entry(EntryError::OtherKey)),
        ),
        (
            "a genuine entry with another signature",
            |c| {
                let other = NewEntry { signature: b"another".to_vec(), ..c.signed.clone() };
                let entry = c.log.log(&other, AT);
                c.signature = c.carrying(&c.signed, Some(&entry));
            },
            |e| matches!(e, VerifyError::Entry(EntryError::OtherSignature)),
        ),
        (
            "a timestamp of another signature",
            |c| {
                let response = c.authority.stamp(b"another", AT);
                c.signature = c.signature.clone().with_timestamp(&response);
            },
            |e| matches!(e, VerifyError::Timestamp(_)),
        ),
        (
            "a log whose key was retired before",
            |c| c.trust.logs[0].valid_for.end = Some(AT * 1000 - 1),
            |e| matches!(e, VerifyError::LogOutsideValidity { .. }),
        ),
    ];
    for (what, change, refused) in table {
        let mut case = case();
        change(&mut case);
        match case.verify() {
            Ok(_) => panic!("{what} was accepted"),
            Err(error) => assert!(refused(&error), "{what}: {error:?}"),
        }
    }
}

#[test]
fn a_legacy_signature_without_a_proof_counts_only_where_no_log_is_required() {
    let mut case = case();
    case.signature = case.carrying(&case.signed, None);
    let unlogged = Requirements { log: false, timestamp: true };
    let verified = verify_legacy(&case.signature, &image(), &case.key, &case.trust, &unlogged).unwrap();
    assert_eq!((verified.entries, verified.timestamps), (Vec::new(), vec![AT]));
}
