//! Other projects' bundles: made by other programs, with real logs and authorities.
use super::super::material::verify_material;
use super::*;
use crate::fixture::{vector, vector_cases, vectors, vectors_ending};
use crate::format::Format;

const CASES: &str = "sigstore-conformance/bundle-verify";

/// The cases with a key are signatures of a plain file, and so not of an image: what is left is the same.
fn verify_file(bundle: &Bundle, file: &[u8], key: &PublicKey, trust: &TrustRoot) -> Result<Verified, VerifyError> {
    let signed = NewEntry {
        format: Format::Legacy,
        message: file.to_vec(),
        envelope: None,
        signature: bundle.content.signature().unwrap().to_vec(),
        key: key.clone(),
        hash: key.bundle_hash(),
    };
    key.verify(&signed.message, &signed.signature, signed.hash)?;
    verify_material(&signed, &bundle.entries, &bundle.timestamps, trust, &LOGGED)
}

/// Every case's name, bundle and trust root, its own or the public one. What does not parse must be meant to fail.
fn cases() -> Vec<(String, Bundle, TrustRoot)> {
    let Some(public) = vector("sigstore-root-signing/targets/trusted_root.json") else { return Vec::new() };
    let mut cases = Vec::new();
    for (name, json, own) in vector_cases(CASES, "bundle.sigstore.json", "trusted_root.json") {
        match Bundle::parse(&json) {
            Ok(bundle) => cases.push((name, bundle, TrustRoot::parse(own.as_ref().unwrap_or(&public)).unwrap())),
            Err(error) => assert!(name.ends_with("_fail"), "{name}: {error}"),
        }
    }
    cases
}

fn managed_key(case: &str) -> Option<(Bundle, Vec<u8>, PublicKey, TrustRoot)> {
    let key = String::from_utf8(vector(&format!("{CASES}/managed-key-happy-path/key.pub"))?).unwrap();
    let file = vector(&format!("{CASES}/a.txt"))?;
    let (_, bundle, trust) = cases().into_iter().find(|(name, ..)| name == case).unwrap();
    Some((bundle, file, PublicKey::from_pem(&key).unwrap(), trust))
}

#[test]
fn bundles_that_others_made_with_a_key_verify() {
    for case in ["managed-key-happy-path", "managed-key-and-trusted-root"] {
        let Some((bundle, file, key, trust)) = managed_key(case) else { return };
        assert_eq!(bundle.key, VerificationKey::Hint(key.hint()));
        let verified = verify_file(&bundle, &file, &key, &trust).unwrap();
        assert_eq!(verified.entries.len(), 1);
        assert_eq!(verified.integrated_time, bundle.entries[0].integrated_time);
        // A message signature is not one of an image.
        let digest = Digest::of(&file);
        assert!(matches!(verify_bundle(&bundle, &digest, &key, &trust, &LOGGED), Err(VerifyError::Content(_))));
        assert!(matches!(
            verify_file(&bundle, b"another file", &key, &trust),
            Err(VerifyError::Signature(SignatureError::Mismatch))
        ));
        let other = TestKey::p256(1).public();
        assert!(matches!(verify_file(&bundle, &file, &other, &trust), Err(VerifyError::Signature(_))));
    }
}

#[test]
fn a_real_authoritys_timestamp_counts_for_its_signature_within_its_time() {
    let Some((bundle, file, key, mut trust)) = managed_key("managed-key-happy-path") else { return };
    let verified = verify_file(&bundle, &file, &key, &trust).unwrap();
    let [time] = verified.timestamps[..] else { panic!("one timestamp") };
    // The log took it in the same second.
    assert_eq!(Some(time), verified.integrated_time);

    let response = &bundle.timestamps[0];
    assert!(crate::timestamp::verify(response, b"another signature", &trust).is_err());
    trust.timestamp_authorities[0].valid_for.end = Some(time * 1000 - 1);
    let signature = bundle.content.signature().unwrap();
    assert!(matches!(
        crate::timestamp::verify(response, signature, &trust),
        Err(TimestampError::OutsideValidity { .. })
    ));
}

#[test]
fn a_real_v1_entry_is_ours_byte_for_byte() {
    let Some((bundle, file, key, _)) = managed_key("managed-key-happy-path") else { return };
    let entry = NewEntry {
        format: Format::Legacy,
        message: file,
        envelope: None,
        signature: bundle.content.signature().unwrap().to_vec(),
        hash: key.bundle_hash(),
        key,
    };
    assert_eq!(entry.rekor_v1_request().unwrap(), bundle.entries[0].body);
}

#[test]
fn each_case_of_the_log_is_accepted_or_refused_as_its_authors_say() {
    let faults_in_the_entry = [
        "checkpoint-bad-keyhint_fail",
        "inclusion-proof-corrupted-hash_fail",
        "invalid-inclusion-proof_fail",
        "rekor2-checkpoint-missing-log-signature_fail",
        "rekor2-checkpoint-missing-size_fail",
        "rekor2-checkpoint-no-matching-signature_fail",
        "set-invalid-signature_fail",
    ];
    let (mut accepted, mut refused) = (0, 0);
    for (case, bundle, trust) in cases() {
        for entry in &bundle.entries {
            let result = verify_entry(entry, &trust);
            if faults_in_the_entry.contains(&case.as_str()) {
                assert!(result.is_err(), "{case} was accepted");
                refused += 1;
            } else if !case.ends_with("_fail") {
                assert!(result.is_ok(), "{case}: {result:?}");
                accepted += 1;
            }
        }
    }
    assert!(vectors().is_none() || (accepted > 15 && refused == 7), "{accepted} {refused}");
}

#[test]
fn each_case_of_timestamps_is_accepted_or_refused_as_its_authors_say() {
    let (mut accepted, mut refused) = (0, 0);
    for (case, bundle, trust) in cases() {
        if !case.contains("timestamp-") && !case.contains("tsa-validity") {
            continue;
        }
        for response in &bundle.timestamps {
            let result = crate::timestamp::verify(response, bundle.content.signature().unwrap(), &trust);
            assert_eq!(result.is_err(), case.ends_with("_fail"), "{case}: {result:?}");
            *if result.is_ok() { &mut accepted } else { &mut refused } += 1;
        }
    }
    assert!(vectors().is_none() || (accepted >= 4 && refused >= 4), "{accepted} {refused}");
}

#[test]
fn every_bundle_of_other_projects_that_is_one_parses_and_survives_our_json() {
    let mut seen = 0;
    let mut files = vectors_ending(".sigstore.json");
    files.extend(vectors_ending(".sigstore"));
    for (name, json) in files {
        match Bundle::parse(&json) {
            Ok(bundle) => {
                // We write version 0.3, which has no room for an entry of 0.1 without its proof.
                if bundle.entries.iter().all(|entry| entry.proof.is_some()) {
                    assert_eq!(Bundle::parse(&bundle.to_json()).unwrap(), bundle, "{name}");
                }
                seen += 1;
            }
            Err(error) => {
                let meant = ["_fail", "invalid_version", "bundle_no_cert_v1", "many_timestamp"]
                    .iter()
                    .any(|part| name.contains(part));
                assert!(meant, "{name}: {error}");
            }
        }
    }
    assert!(vectors().is_none() || seen > 60, "{seen}");
}

#[test]
fn a_bundle_whose_writer_left_zero_fields_out_is_read() {
    let Some(json) = vector("sigstore-rust/types/cosign_v3_missing_fields.json") else { return };
    // Its bytes stand for nothing: the log id is too short to be one.
    assert!(matches!(Bundle::parse(&json), Err(crate::sigstore_bundle::BundleError::Entry(_))));
    let mut value: serde_json::Value = serde_json::from_slice(&json).unwrap();
    value["verificationMaterial"]["tlogEntries"][0]["logId"]["keyId"] = crate::protojson::encode(&[7; 32]).into();
    let bundle = Bundle::parse(&serde_json::to_vec(&value).unwrap()).unwrap();
    assert_eq!(bundle.entries[0].log_index, 0);
    assert_eq!(bundle.entries[0].proof.as_ref().unwrap().log_index, 0);
}

/// What a person saved: a key, a file, its bundle by cosign 3.1.2 with rekor-tiles 2.3.0 and timestamp-authority.
#[test]
fn a_file_that_cosign_signed_with_a_key_on_a_v2_log_verifies() {
    let Some(json) = vector("samples/b.sigstore.json") else { return };
    let bundle = Bundle::parse(&json).unwrap();
    let key = String::from_utf8(vector("samples/cosign-key.pub").unwrap()).unwrap();
    let key = PublicKey::from_pem(&key).unwrap();
    let trust = TrustRoot::parse(&vector("samples/tr.json").unwrap()).unwrap();
    let file = vector("samples/b.txt").unwrap();
    let verified = verify_file(&bundle, &file, &key, &trust).unwrap();
    assert_eq!(verified.entries, [(trust.logs[0].log_id, 301)]);
    assert_eq!(verified.timestamps, [crate::trust_root::moment("2026-11-21T18:12:32Z").unwrap() / 1000]);

    let mut retired = trust.clone();
    retired.logs[0].valid_for.end = Some(verified.timestamps[0] * 1000 - 1);
    let refused = verify_file(&bundle, &file, &key, &retired);
    assert!(matches!(refused, Err(VerifyError::LogOutsideValidity { .. })));
}

#[test]
fn an_image_that_cosign_3_signed_without_a_log_verifies_where_none_is_required() {
    let Some(json) = vector("samples/cosign-3.1.1-key-no-tlog.sigstore.json") else { return };
    let bundle = Bundle::parse(&json).unwrap();
    let key = String::from_utf8(vector("samples/cosign-3.1.1-key.pub").unwrap()).unwrap();
    let key = PublicKey::from_pem(&key).unwrap();
    let digest = "sha256:882cc40fbcaf93b50713828865f7f7106034a4717cf9ed190676625b386156fc".parse().unwrap();
    let trust = TrustRoot::empty();
    assert!(verify_bundle(&bundle, &digest, &key, &trust, &NEITHER).is_ok());
    assert!(matches!(verify_bundle(&bundle, &digest, &key, &trust, &LOGGED), Err(VerifyError::NotLogged)));
}

#[test]
fn a_bundle_is_written_byte_for_byte_as_cosign_3_writes_it() {
    for name in ["b.sigstore.json", "k.sigstore.json", "cosign-3.1.1-key-no-tlog.sigstore.json"] {
        let Some(json) = vector(&format!("samples/{name}")) else { return };
        let written = Bundle::parse(&json).unwrap().to_json();
        assert_eq!(String::from_utf8(written).unwrap(), String::from_utf8(json).unwrap().trim_end(), "{name}");
    }
}

#[test]
fn an_answer_of_rekor_tiles_verifies_under_its_log() {
    let Some(answer) = vector("samples/rekor-tiles-2.3.0-tle.json") else { return };
    let entry = LogEntry::from_rekor_v2(&answer).unwrap();
    let trust = TrustRoot::parse(&vector("samples/tr.json").unwrap()).unwrap();
    verify_entry(&entry, &trust).unwrap();
}
