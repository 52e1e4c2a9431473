//! Tests of entry bodies.
use super::*;
use crate::fixture::{TestKey, rekor_v1_body, vector};
use proptest::prelude::*;
use serde_json::Value;

fn image() -> Digest {
    Digest::of(b"an image manifest")
}

#[test]
fn a_v1_request_for_a_bundle_holds_the_envelope_and_the_key() {
    let entry = TestKey::p256(1).sign_statement(&image());
    let request: Value = serde_json::from_slice(&entry.rekor_v1_request().unwrap()).unwrap();
    assert_eq!(request["apiVersion"], "0.0.1");
    assert_eq!(request["kind"], "dsse");
    let content = &request["spec"]["proposedContent"];
    let envelope = Envelope::parse(content["envelope"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(Some(envelope), entry.envelope);
    let pem = crate::protojson::decode(content["verifiers"][0].as_str().unwrap()).unwrap();
    assert_eq!(pem, entry.key.pem().into_bytes());
}

#[test]
fn a_v1_request_for_a_payload_is_a_hashedrekord() {
    let entry = TestKey::p256(1).sign_simple(&image());
    let expected = format!(
        "{{\"apiVersion\":\"0.0.1\",\"kind\":\"hashedrekord\",\"spec\":{{\"data\":{{\"hash\":{{\"algorithm\":\"sha256\",\
         \"value\":\"{}\"}}}},\"signature\":{{\"content\":\"{}\",\"publicKey\":{{\"content\":\"{}\"}}}}}}}}",
        Digest::of(&entry.message).hex(),
        crate::protojson::encode(&entry.signature),
        crate::protojson::encode(entry.key.pem().as_bytes()),
    );
    assert_eq!(String::from_utf8(entry.rekor_v1_request().unwrap()).unwrap(), expected);
}

#[test]
fn a_v2_request_and_its_leaf_are_known_byte_for_byte() {
    let keys = [
        (TestKey::p256(1), "SHA2_256", "PKIX_ECDSA_P256_SHA_256"),
        (TestKey::p384(1), "SHA2_384", "PKIX_ECDSA_P384_SHA_384"),
    ];
    for (key, algorithm, details) in keys {
        let entry = key.sign_statement(&image());
        let digest = crate::protojson::encode(&entry.hash.digest(&entry.message));
        let signature = crate::protojson::encode(&entry.signature);
        let spki = crate::protojson::encode(entry.key.spki());
        let signature = format!(
            "{{\"content\":\"{signature}\",\"verifier\":{{\"keyDetails\":\"{details}\",\
             \"publicKey\":{{\"rawBytes\":\"{spki}\"}}}}}}"
        );
        let request = format!("{{\"hashedRekordRequestV002\":{{\"digest\":\"{digest}\",\"signature\":{signature}}}}}");
        assert_eq!(String::from_utf8(entry.rekor_v2_request().unwrap()).unwrap(), request);
        let body = format!(
            "{{\"apiVersion\":\"0.0.2\",\"kind\":\"hashedrekord\",\"spec\":{{\"hashedRekordV002\":\
             {{\"data\":{{\"algorithm\":\"{algorithm}\",\"digest\":\"{digest}\"}},\"signature\":{signature}}}}}}}"
        );
        assert_eq!(String::from_utf8(entry.rekor_v2_body().unwrap()).unwrap(), body);
        entry.matches(body.as_bytes()).unwrap();
    }
}

/// RSA keys of three sizes have names of their own; the log hashes nothing, so the name fixes the hash.
#[test]
fn a_v2_log_is_told_the_size_of_an_rsa_key_and_never_gets_ed25519() {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::KeyPair as _;
    for (size, details) in
        [(KeySize::Rsa2048, "PKIX_RSA_PKCS1V15_2048_SHA256"), (KeySize::Rsa3072, "PKIX_RSA_PKCS1V15_3072_SHA256")]
    {
        let pair = KeyPair::generate(size).unwrap();
        let spki = pair.public_key().as_der().unwrap();
        let key = PublicKey::from_spki(spki.as_ref()).unwrap();
        let entry = NewEntry { key, ..TestKey::p256(1).sign_statement(&image()) };
        let body = String::from_utf8(entry.rekor_v2_body().unwrap()).unwrap();
        assert!(body.contains(details), "{body}");
        let mismatched = NewEntry { hash: HashAlgorithm::Sha384, ..entry };
        assert!(mismatched.rekor_v2_body().is_err());
    }
    let entry = TestKey::ed25519(1).sign_statement(&image());
    let error = entry.rekor_v2_request().unwrap_err();
    assert_eq!(error.to_string(), "rekor v2 takes no ed25519 key; use ECDSA P-256");
}

#[test]
fn a_body_matches_only_its_own_signature() {
    let key = TestKey::p256(1);
    for entry in [key.sign_statement(&image()), key.sign_simple(&image())] {
        let bodies = [rekor_v1_body(&entry), entry.rekor_v2_body().unwrap()];
        for body in bodies {
            entry.matches(&body).unwrap();

            let mut flipped = entry.clone();
            let last = flipped.signature.len() - 1;
            flipped.signature[last] ^= 1;
            assert!(matches!(flipped.matches(&body), Err(EntryError::OtherSignature)));

            let other_key = NewEntry { key: TestKey::p256(2).public(), ..entry.clone() };
            assert!(matches!(other_key.matches(&body), Err(EntryError::OtherKey)));

            let mut other = entry.clone();
            other.message.push(b' ');
            if let Some(envelope) = &mut other.envelope {
                envelope.payload.push(b' ');
            }
            assert!(matches!(other.matches(&body), Err(EntryError::OtherDigest)));

            // Another spelling of the same JSON is another leaf.
            let spaced = [b" ", body.as_slice()].concat();
            let strict = EntryBody::parse(&body).unwrap().kind_version().1 == "0.0.2";
            assert_eq!(entry.matches(&spaced).is_err(), strict);
        }
    }
}

#[test]
fn a_negated_signature_is_another_one() {
    let entry = TestKey::p256(1).sign_simple(&image());
    let body = entry.rekor_v2_body().unwrap();
    let signature = p256::ecdsa::Signature::from_der(&entry.signature).unwrap();
    let (r, s) = signature.split_scalars();
    let negated = p256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
    let other = NewEntry { signature: negated.to_der().as_bytes().to_vec(), ..entry };
    // It verifies, and yet the entry is not about it.
    other.key.verify(&other.message, &other.signature, other.hash).unwrap();
    assert!(matches!(other.matches(&body), Err(EntryError::OtherSignature)));
}

#[test]
fn a_body_of_the_other_format_does_not_stand_for_a_signature() {
    let key = TestKey::p256(1);
    let bundle = key.sign_statement(&image());
    let legacy = key.sign_simple(&image());
    assert!(matches!(bundle.matches(&rekor_v1_body(&legacy)), Err(EntryError::Kind { .. })));
    assert!(matches!(legacy.matches(&rekor_v1_body(&bundle)), Err(EntryError::Kind { .. })));
    // The signed bytes of a bundle as a v1 hashedrekord: the same digest, signature and key in a shadow entry.
    let shadow = NewEntry { format: Format::Legacy, envelope: None, ..bundle.clone() };
    assert!(matches!(bundle.matches(&rekor_v1_body(&shadow)), Err(EntryError::Kind { .. })));
}

#[test]
fn a_certificate_with_our_key_is_not_our_key() {
    let entry = TestKey::p256(1).sign_simple(&image());
    let body = String::from_utf8(entry.rekor_v2_body().unwrap()).unwrap();
    let wrapped = body.replace("publicKey", "x509Certificate");
    assert!(matches!(EntryBody::parse(wrapped.as_bytes()), Ok(EntryBody::HashedRekordV2 { .. })));
    assert!(matches!(entry.matches(wrapped.as_bytes()), Err(EntryError::OtherKey)));
}

#[test]
fn what_names_somebody_in_a_way_that_we_cannot_read_is_kept() {
    let entry = TestKey::p256(1).sign_simple(&image());
    let body = String::from_utf8(rekor_v1_body(&entry)).unwrap();
    let pem = crate::protojson::encode(entry.key.pem().as_bytes());
    for material in ["not pem at all", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"] {
        let other = body.replace(&pem, &crate::protojson::encode(material.as_bytes()));
        let Ok(EntryBody::HashedRekordV1 { verifier, .. }) = EntryBody::parse(other.as_bytes()) else {
            panic!("{material}");
        };
        assert_eq!(verifier, Verifier::Other(material.as_bytes().to_vec()));
    }
}

#[test]
fn a_malformed_body_is_an_error_and_an_unknown_kind_is_not() {
    let unknown = br#"{"apiVersion":"0.0.1","kind":"rpm","spec":{"anything":1}}"#;
    assert_eq!(
        EntryBody::parse(unknown).unwrap(),
        EntryBody::Other { kind: "rpm".to_owned(), version: "0.0.1".to_owned() }
    );
    for bad in [
        "",
        "{}",
        r#"{"apiVersion":"0.0.1","kind":"hashedrekord"}"#,
        r#"{"apiVersion":"0.0.1","kind":"hashedrekord","kind":"dsse","spec":{}}"#,
        r#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"ab"}},"signature":{"content":"","publicKey":{"content":""}}}}"#,
        r#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"md5","value":"ab"}},"signature":{"content":"","publicKey":{"content":""}}}}"#,
    ] {
        assert!(EntryBody::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

/// A log that somebody else's server wrote: each of its leaves is what we would have predicted.
#[test]
fn the_leaves_of_a_real_v2_log_are_predicted_byte_for_byte() {
    let Some(tile) = vector("local-rekor-tiles/tile/entries/000") else { return };
    let leaves = tlog::tile::parse_entries(&tile).unwrap();
    assert_eq!(leaves.len(), 256);
    for leaf in leaves {
        let EntryBody::HashedRekordV2 { digest, signature, verifier: Verifier::Key(key), .. } =
            EntryBody::parse(&leaf).unwrap()
        else {
            panic!("{}", String::from_utf8_lossy(&leaf));
        };
        let predicted = rekor_v2::body(&digest, key.bundle_hash(), &signature, &key).unwrap();
        assert_eq!(predicted, leaf);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = EntryBody::parse(&bytes);
    }

    #[test]
    fn a_changed_body_never_panics_and_never_matches_another_signature(
        which in 0..3_usize, at: prop::sample::Index, to: u8,
    ) {
        let key = TestKey::p256(1);
        let (bundle, legacy) = (key.sign_statement(&image()), key.sign_simple(&image()));
        let (entry, mut body) = match which {
            0 => (&bundle, rekor_v1_body(&bundle)),
            1 => (&legacy, rekor_v1_body(&legacy)),
            _ => (&bundle, bundle.rekor_v2_body().unwrap()),
        };
        let at = at.index(body.len());
        let before = std::mem::replace(&mut body[at], to);
        if entry.matches(&body).is_ok() && before != to {
            // Only what a v1 body says beside the signature may differ: how it spells a hash or the envelope's.
            prop_assert!(which < 2);
        }
    }
}
