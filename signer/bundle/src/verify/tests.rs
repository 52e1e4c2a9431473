//! Tests of verification: what is accepted, and each thing that must be refused.
mod conformance;
mod legacy;
mod refusals;

use super::*;
use crate::dsse::EnvelopeSignature;
use crate::entry::NewEntry;
use crate::fixture::{Authority, TestKey, TestLog};
use crate::log_entry::LogEntry;
use crate::public_key::PublicKey;
use crate::sigstore_bundle::{Bundle, BundleContent, VerificationKey};
use crate::trust_root::{TrustRoot, ValidFor};
use proptest::prelude::*;

const AT: i64 = 2_650_000_000;
const LOGGED: Requirements = Requirements { log: true, timestamp: false };
const STAMPED: Requirements = Requirements { log: true, timestamp: true };
const NEITHER: Requirements = Requirements { log: false, timestamp: false };

fn image() -> Digest {
    Digest::of(b"an image manifest")
}

/// A signed image, its log, an authority, and the trust root that names both.
struct Case {
    key: PublicKey,
    log: TestLog,
    authority: Authority,
    signed: NewEntry,
    bundle: Bundle,
    trust: TrustRoot,
}

impl Case {
    fn new(log: TestLog) -> Case {
        let key = TestKey::p256(1);
        let signed = key.sign_statement(&image());
        Case::of(log, signed)
    }

    fn of(mut log: TestLog, signed: NewEntry) -> Case {
        let authority = Authority::new(20);
        let entry = log.log(&signed, AT);
        let trust = trusting(&log, ValidFor::default(), &authority);
        let bundle = Bundle {
            key: VerificationKey::Hint(signed.key.hint()),
            entries: vec![entry],
            timestamps: vec![authority.stamp(&signed.signature, AT)],
            content: BundleContent::Dsse(signed.envelope.clone().unwrap()),
        };
        Case { key: signed.key.clone(), log, authority, signed, bundle, trust }
    }

    fn verify(&self) -> Result<Verified, VerifyError> {
        self.verify_with(&STAMPED)
    }

    fn verify_with(&self, requirements: &Requirements) -> Result<Verified, VerifyError> {
        verify_bundle(&self.bundle, &image(), &self.key, &self.trust, requirements)
    }

    fn entry(&mut self) -> &mut LogEntry {
        &mut self.bundle.entries[0]
    }

    fn envelope(&mut self) -> &mut crate::dsse::Envelope {
        match &mut self.bundle.content {
            BundleContent::Dsse(envelope) => envelope,
            BundleContent::Message { .. } => unreachable!("cases are about envelopes"),
        }
    }
}

fn trusting(log: &TestLog, valid_for: ValidFor, authority: &Authority) -> TrustRoot {
    let mut trust = TrustRoot::empty();
    trust.add_log(&log.base_url(), log.key(), valid_for).unwrap();
    trust.add_timestamp_authority("https://tsa.example.com", authority.chain(), ValidFor::default()).unwrap();
    trust
}

fn both() -> [Case; 2] {
    [Case::new(TestLog::v1(10)), Case::new(TestLog::v2(11))]
}

#[test]
fn a_logged_and_timestamped_bundle_verifies_and_says_what_was_proved() {
    let [v1, v2] = both();
    let verified = v1.verify().unwrap();
    assert_eq!(verified.entries, [(v1.log.key().key_id(), TestLog::V1_OFFSET + 5)]);
    assert_eq!(verified.integrated_time, Some(AT));
    assert_eq!(verified.timestamps, [AT]);

    let verified = v2.verify().unwrap();
    assert_eq!(verified.entries, [(v2.log.key().key_id(), 5)]);
    assert_eq!(verified.integrated_time, None);
    assert_eq!(verified.timestamps, [AT]);
}

#[test]
fn keys_of_other_kinds_verify_where_their_log_takes_them() {
    for log in [TestLog::v1(10), TestLog::v2(11)] {
        let case = Case::of(log, TestKey::p384(3).sign_statement(&image()));
        assert!(case.verify().is_ok());
    }
    let case = Case::of(TestLog::v1(10), TestKey::ed25519(3).sign_statement(&image()));
    assert!(case.verify().is_ok());
}

#[test]
fn a_bundle_survives_its_json_and_verifies() {
    for mut case in both() {
        case.bundle = Bundle::parse(&case.bundle.to_json()).unwrap();
        assert!(case.verify().is_ok());
    }
}

fn statement_of(content: &[u8]) -> Vec<u8> {
    crate::statement::statement(&Digest::of(content))
}

#[test]
fn a_signature_of_another_digest_is_refused_and_says_of_which() {
    for case in both() {
        let other = Digest::of(b"another image");
        let error = verify_bundle(&case.bundle, &other, &case.key, &case.trust, &STAMPED).unwrap_err();
        assert!(error.to_string().contains(&image().to_string()), "{error}");
    }
}

#[test]
fn another_statement_or_payload_by_the_same_key_is_no_signature() {
    let key = TestKey::p256(1);
    let statement = String::from_utf8(statement_of(b"an image manifest")).unwrap();
    let note = statement.replace(SIGN_PREDICATE_TYPE, "https://example.com/revoked/v1");
    let case = Case::of(TestLog::v1(10), key.sign_payload(IN_TOTO_PAYLOAD_TYPE, note.as_bytes()));
    assert!(matches!(case.verify(), Err(VerifyError::PredicateType(_))));

    let case = Case::of(TestLog::v1(10), key.sign_payload("application/json", statement.as_bytes()));
    assert!(matches!(case.verify(), Err(VerifyError::PayloadType(_))));

    let case = Case::of(TestLog::v1(10), key.sign_payload(IN_TOTO_PAYLOAD_TYPE, b"{}"));
    assert!(matches!(case.verify(), Err(VerifyError::Statement(_))));
}

#[test]
fn a_set_is_needed_or_a_proof_and_what_is_there_must_verify() {
    let mut only_set = Case::new(TestLog::v1(10));
    only_set.entry().proof = None;
    assert_eq!(only_set.verify().unwrap().integrated_time, Some(AT));

    let mut only_proof = Case::new(TestLog::v1(10));
    only_proof.entry().set = None;
    // Nothing vouches for the time now.
    assert_eq!(only_proof.verify().unwrap().integrated_time, None);

    let mut bad_set = Case::new(TestLog::v1(10));
    let last = bad_set.entry().set.as_ref().unwrap().len() - 1;
    bad_set.entry().set.as_mut().unwrap()[last] ^= 1;
    assert!(matches!(bad_set.verify(), Err(VerifyError::Set(_))));

    let mut other_time = Case::new(TestLog::v1(10));
    other_time.entry().integrated_time = Some(AT + 1);
    assert!(matches!(other_time.verify(), Err(VerifyError::Set(_))));

    let mut other_index = Case::new(TestLog::v1(10));
    other_index.entry().log_index += 1;
    assert!(matches!(other_index.verify(), Err(VerifyError::Set(_))));

    let mut v2 = Case::new(TestLog::v2(11));
    v2.entry().log_index += 1;
    assert!(matches!(v2.verify(), Err(VerifyError::Index { .. })));
}

#[test]
fn what_an_entry_calls_itself_moves_no_cursor_and_fills_no_page() {
    let mut case = Case::new(TestLog::v1(10));
    case.entry().kind = format!("\r\u{1b}[2Kverified {}", "x".repeat(100_000));
    let error = case.verify().unwrap_err().to_string();
    assert!(!error.contains(char::is_control) && error.len() < 500, "{error}");
}

#[test]
fn an_entry_of_an_unknown_log_does_no_harm_beside_one_that_counts() {
    for mut case in both() {
        let stranger = TestLog::v1(50).log(&TestKey::p256(9).sign_statement(&image()), AT);
        case.bundle.entries.insert(0, stranger);
        assert_eq!(case.verify().unwrap().entries.len(), 1);
    }
}

#[test]
fn a_log_that_forgot_may_hold_the_signature_twice() {
    for mut case in both() {
        let again = case.log.log(&case.signed, AT);
        case.bundle.entries.push(again);
        assert_eq!(case.verify().unwrap().entries.len(), 2);
    }
}

#[test]
fn one_good_timestamp_is_enough_and_bad_ones_only_matter_where_one_is_required() {
    for mut case in both() {
        case.bundle.timestamps.insert(0, b"junk".to_vec());
        assert_eq!(case.verify().unwrap().timestamps, [AT]);
        case.bundle.timestamps.truncate(1);
        assert!(matches!(case.verify(), Err(VerifyError::Timestamp(_))));
        assert!(case.verify_with(&LOGGED).is_ok());
    }
}

#[test]
fn the_bounds_of_a_period_belong_to_it() {
    for mut case in both() {
        let exactly = ValidFor { start: Some(AT * 1000), end: Some(AT * 1000) };
        case.trust.logs[0].valid_for = exactly;
        case.trust.timestamp_authorities[0].valid_for = exactly;
        assert!(case.verify().is_ok());
    }
}

#[test]
fn an_unlogged_signature_counts_only_where_no_log_is_required() {
    for mut case in both() {
        case.bundle.entries.clear();
        case.bundle.timestamps.clear();
        assert!(matches!(case.verify_with(&LOGGED), Err(VerifyError::NotLogged)));
        assert_eq!(case.verify_with(&NEITHER).unwrap(), Verified::default());
    }
}

#[test]
fn what_is_there_is_checked_even_where_nothing_is_required() {
    for mut case in both() {
        case.entry().proof.as_mut().unwrap().hashes.clear();
        assert!(matches!(case.verify_with(&NEITHER), Err(VerifyError::InclusionProof(_))));
    }
}

#[test]
fn an_entry_alone_verifies_and_names_an_unknown_log() {
    for case in both() {
        let entry = &case.bundle.entries[0];
        assert!(verify_entry(entry, &case.trust).is_ok());
        let error = verify_entry(entry, &TrustRoot::empty()).unwrap_err();
        assert!(error.to_string().contains(&hex::encode(entry.log_id)), "{error}");
    }
}

proptest! {
    /// Whoever changes one byte of a bundle makes it fail, or has changed nothing that it says.
    #[test]
    fn a_changed_byte_is_noticed_or_changes_nothing(v2: bool, at: prop::sample::Index, to: u8) {
        let case = Case::new(if v2 { TestLog::v2(11) } else { TestLog::v1(10) });
        let mut json = case.bundle.to_json();
        let at = at.index(json.len());
        json[at] = to;
        if let Ok(changed) = Bundle::parse(&json)
            && let Ok(verified) = verify_bundle(&changed, &image(), &case.key, &case.trust, &STAMPED)
        {
            let before = case.verify().unwrap();
            // A v1 entry's time and index lose their voucher with the promise, nothing else may change.
            prop_assert_eq!(verified.timestamps, before.timestamps);
            prop_assert_eq!(changed.content.signature(), case.bundle.content.signature());
            if verified.integrated_time.is_some() {
                prop_assert_eq!(verified.entries, before.entries);
            }
        }
    }
}
