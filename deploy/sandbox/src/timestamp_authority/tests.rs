//! Timestamps from the sandbox against the product's own verification.

use super::*;
use crate::testing::{ask, get};
use crate::{World, WorldOptions};
use bundle::{TrustRoot, timestamp};
use http::Method;

async fn world() -> (World, TrustRoot) {
    let world = World::start(WorldOptions::default()).await.unwrap();
    let trust = TrustRoot::parse(world.trusted_root_json().as_bytes()).unwrap();
    (world, trust)
}

#[tokio::test]
async fn a_timestamp_is_accepted_for_its_signature_and_no_other() {
    let (world, trust) = world().await;
    let tsa = &world.timestamp_authority;
    let before = clock::unix_seconds();
    let answer = ask(
        tsa.addr(),
        Method::POST,
        STAMP_PATH,
        &[("content-type", "application/timestamp-query")],
        timestamp::request(b"signature", Some(42)),
    )
    .await
    .unwrap();
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("content-type"), "application/timestamp-reply");
    let time = timestamp::verify(&answer.body, b"signature", &trust).unwrap();
    assert!((before..=before + 60).contains(&time));
    assert!(timestamp::verify(&answer.body, b"another", &trust).is_err());
    assert_eq!(tsa.stamped(), 1);
}

#[tokio::test]
async fn every_changed_byte_of_a_timestamp_is_noticed_or_means_nothing() {
    let (world, trust) = world().await;
    let request = timestamp::request(b"signature", None);
    let response = world.timestamp_authority.stamp(&request).unwrap();
    let time = timestamp::verify(&response, b"signature", &trust).unwrap();
    for at in 0..response.len() {
        let mut changed = response.clone();
        changed[at] ^= 1;
        // A few bytes (versions, unsigned algorithm names) are not covered; none may change the time.
        if let Ok(other) = timestamp::verify(&changed, b"signature", &trust) {
            assert_eq!(other, time, "byte {at}");
        }
    }
    let mut broken = response;
    *broken.last_mut().unwrap() ^= 1;
    assert!(timestamp::verify(&broken, b"signature", &trust).is_err());
}

#[tokio::test]
async fn another_authority_is_not_trusted() {
    let (world, _) = world().await;
    let (_other, trust) = self::world().await;
    let request = timestamp::request(b"signature", None);
    let response = world.timestamp_authority.stamp(&request).unwrap();
    assert!(timestamp::verify(&response, b"signature", &trust).is_err());
}

#[tokio::test]
async fn a_clock_that_is_wrong_by_years_is_outside_the_certificates() {
    let (world, trust) = world().await;
    let tsa = &world.timestamp_authority;
    tsa.set_clock_offset(-20 * 365 * 24 * 60 * 60);
    let response = tsa.stamp(&timestamp::request(b"signature", None)).unwrap();
    assert!(timestamp::verify(&response, b"signature", &trust).is_err());
}

#[tokio::test]
async fn certificates_are_in_the_answer_only_when_asked_for() {
    let (world, trust) = world().await;
    let tsa = &world.timestamp_authority;
    let mut request = timestamp::request(b"signature", None);
    let leaf = tsa.chain_der()[0].clone();
    let contains = |response: &[u8]| response.windows(leaf.len()).any(|part| part == leaf);
    let without = tsa.stamp(&request).unwrap();
    assert!(!contains(&without));
    // certReq TRUE, at the end of the sequence.
    request.extend([1, 1, 0xff]);
    request[1] += 3;
    let with = tsa.stamp(&request).unwrap();
    assert!(contains(&with));
    timestamp::verify(&with, b"signature", &trust).unwrap();
}

#[tokio::test]
async fn what_is_not_a_request_is_refused() {
    let (world, _) = world().await;
    let addr = world.timestamp_authority.addr();
    for body in [Vec::new(), b"hello".to_vec(), vec![0x30, 0x80]] {
        let answer = ask(addr, Method::POST, STAMP_PATH, &[], body).await.unwrap();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    let mut short = timestamp::request(b"signature", None);
    short.truncate(short.len() - 1);
    assert!(world.timestamp_authority.stamp(&short).is_err());
}

#[tokio::test]
async fn the_chain_is_served_as_pem_leaf_first() {
    let (world, _) = world().await;
    let tsa = &world.timestamp_authority;
    let served = get(tsa.addr(), "/api/v1/timestamp/certchain").await;
    assert_eq!(served.text(), tsa.chain_pem());
    let chain = x509_cert::Certificate::load_pem_chain(&served.body).unwrap();
    let subjects: Vec<String> =
        chain.iter().map(|certificate| certificate.tbs_certificate().subject().to_string()).collect();
    assert_eq!(subjects.len(), 3);
    assert!(subjects[0].contains("authority"), "{subjects:?}");
    assert!(subjects[2].contains("root"), "{subjects:?}");
}
