//! The generated leaves, judged by the product's own parsers and by the sandbox's log.

use super::*;
use bundle::entry::EntryBody;
use der::{Decode as _, Encode as _};
use http::{Method, StatusCode};
use x509_cert::Certificate;

use crate::testing::ask;
use crate::{LogOptions, RekorV1Options, SandboxLog, SandboxRekorV1};

#[tokio::test]
async fn the_log_takes_every_leaf_as_a_request_and_writes_that_leaf() {
    let log =
        SandboxLog::start(LogOptions { interval: std::time::Duration::ZERO, ..LogOptions::default() }).await.unwrap();
    for number in (0..40).chain([1_000_000, u64::MAX]) {
        let leaf = leaf(number);
        let request = rekor_v2_request(&leaf).unwrap();
        let answer = ask(log.addr(), Method::POST, "/api/v2/log/entries", &[], request).await.unwrap();
        assert_eq!(answer.status, StatusCode::CREATED, "{number}: {}", answer.text());
        assert_eq!(log.entry(log.size() - 1), Some(leaf));
    }
}

#[tokio::test]
async fn the_first_version_of_the_log_takes_them_too() {
    let log = SandboxRekorV1::start(RekorV1Options::default()).await.unwrap();
    for number in 0..40 {
        let leaf = leaf_v1(number);
        let answer = ask(log.addr(), Method::POST, "/api/v1/log/entries", &[], leaf.clone()).await.unwrap();
        assert_eq!(answer.status, StatusCode::CREATED, "{number}: {}", answer.text());
        assert_eq!(log.entry(number), Some(leaf));
    }
}

#[test]
fn every_leaf_is_read_by_the_product() {
    for number in 0..40 {
        assert_eq!(EntryBody::parse(&leaf(number)).unwrap().kind_version(), ("hashedrekord", "0.0.2"));
        assert_eq!(EntryBody::parse(&leaf_v1(number)).unwrap().kind_version(), ("hashedrekord", "0.0.1"));
        for leaf in [leaf(number), leaf_v1(number)] {
            let mut scratch = bundle::Scratch::default();
            let claims = bundle::claims(&leaf, &mut scratch).unwrap();
            assert!(claims.known);
            let by_certificate = matches!(claims.signatures[0].by, bundle::ClaimedBy::Certificate(_));
            assert_eq!(
                (by_certificate, claims.signatures[0].digest.unwrap().1),
                (number % 2 == 1, &digest(number)[..])
            );
        }
    }
}

#[test]
fn a_number_is_one_leaf_and_two_numbers_are_two() {
    for make in [key_leaf, certificate_leaf, leaf_v1] {
        let once: Vec<_> = (0..70).map(make).collect();
        let distinct: std::collections::BTreeSet<_> = once.iter().collect();
        assert_eq!(distinct.len(), 70);
        assert_eq!(many(0..70, make), once);
    }
    assert!(many(5..5, leaf).is_empty());
}

#[test]
fn every_certificate_is_signed_by_the_authority() {
    let issuer = Certificate::from_der(&authority_chain_der()[0]).unwrap();
    let issuer = issuer.tbs_certificate().subject_public_key_info().to_der().unwrap();
    let issuer = bundle::PublicKey::from_spki(&issuer).unwrap();
    for number in 0..70 {
        let certificate = Certificate::from_der(&certificate(number)).unwrap();
        let signed = certificate.tbs_certificate().to_der().unwrap();
        let signature = certificate.signature().raw_bytes();
        issuer.verify(&signed, signature, bundle::HashAlgorithm::Sha256).unwrap();
    }
}

#[tokio::test]
async fn a_malleated_signature_is_another_that_verifies() {
    let (key, digest) = (SandboxKey::numbered(3), digest(3));
    let signature = key.sign_digest(&digest);
    let other = malleated(&signature).unwrap();
    assert_ne!(signature, other);
    assert_eq!(malleated(&other).unwrap(), signature);
    assert_eq!(malleated(b"no signature"), None);
    let log = SandboxLog::start(LogOptions::default()).await.unwrap();
    let by = By::Key(key.spki().to_vec());
    for signature in [&signature, &other] {
        let request = rekor_v2_request(&hashed_rekord_v2(&digest, signature, &by)).unwrap();
        let answer = ask(log.addr(), Method::POST, "/api/v2/log/entries", &[], request).await.unwrap();
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    }
    assert_ne!(SandboxKey::numbered(4).spki(), key.spki());
    assert_eq!(rekor_v2_request(b"{}"), None);
}
