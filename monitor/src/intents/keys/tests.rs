//! Keys that the ledger names no more, and keys that came late.

use store::{CertificateKey, IdentityKey};

use super::*;
use crate::reconcile::tests::ground::{Ground, NOW};
use crate::reconcile::tests::leaves::Key;

const ORDERING: i64 = 30_000;

fn asked(key: &Key, requested_at: i64) -> CertificateKey {
    CertificateKey {
        public_key_spki: key.spki(),
        identity_name: "ci".to_owned(),
        issuer: "https://issuer.example.com".to_owned(),
        subject: "https://ci.example.com/team".to_owned(),
        requested_at,
    }
}

/// Whether a certificate of this key, first seen at a time, is one that was asked for.
async fn explains(ground: &Ground, key: &Key, leaf_seen_at: i64, now: i64) -> bool {
    let asked_for = ground.side.keys.asked_for(Look::Complete, now).await.unwrap();
    asked_for.explains(&key.public().fingerprint(), leaf_seen_at, ORDERING)
}

#[tokio::test]
async fn a_key_that_came_after_the_certificate_explains_nothing() {
    let mut ground = Ground::new().await;
    let (early, late) = (Key::new(), Key::new());
    ground.store.record_certificate_key(&asked(&early, NOW - 1_000)).await.unwrap();
    assert!(explains(&ground, &early, NOW, NOW).await);
    // The certificate is in a log at NOW; we look, and the key is not there; then somebody writes it, as of before.
    assert!(!explains(&ground, &late, NOW, NOW + ORDERING + 1).await);
    ground.store.record_certificate_key(&asked(&late, NOW - 1_000)).await.unwrap();
    assert!(!explains(&ground, &late, NOW, NOW + ORDERING + 2).await);
    assert!(explains(&ground, &late, NOW + 5, NOW + ORDERING + 3).await);
    ground.restart();
    assert!(!explains(&ground, &late, NOW, NOW + ORDERING + 4).await);
    assert!(explains(&ground, &early, NOW, NOW + ORDERING + 4).await);
}

#[tokio::test]
async fn a_certificates_key_that_is_dated_back_explains_nothing_and_is_told_of() {
    let ground = Ground::new().await;
    let key = Key::new();
    assert!(!explains(&ground, &key, NOW, NOW).await);
    ground.store.record_certificate_key(&asked(&key, NOW - 301_000)).await.unwrap();
    let findings = ground.side.keys.findings(NOW + 1).await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].detail.contains("explains no certificate"), "{}", findings[0].detail);
    assert!(!explains(&ground, &key, NOW + 1_000_000, NOW + 1_000_000).await);
    assert!(ground.side.keys.findings(NOW + 2).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_key_that_signs_by_itself_is_never_one_of_a_certificate() {
    let ground = Ground::new().await;
    ground.signed(1, b"x", NOW).await;
    ground.store.record_certificate_key(&asked(&ground.key, NOW)).await.unwrap();
    assert!(!explains(&ground, &ground.key, NOW, NOW).await);
}

#[tokio::test]
async fn keys_that_another_monitor_saw_first_are_known() {
    let ground = Ground::new().await;
    let mut other = Ground::new().await;
    other.store = Arc::clone(&ground.store);
    other.restart();
    assert!(other.side.keys.after(0, Look::Complete, NOW).await.unwrap().is_empty());
    let key = Key::new();
    ground.store.record_certificate_key(&asked(&key, NOW)).await.unwrap();
    ground.signed(1, b"x", NOW).await;
    for side in [&ground.side, &other.side] {
        let mut keys: Vec<_> = side.keys.after(0, Look::Complete, NOW + 1).await.unwrap();
        keys.sort();
        let mut expected = vec![(key.spki(), "ci".to_owned()), (ground.key.spki(), ground.key.public().fingerprint())];
        expected.sort();
        assert_eq!(keys, expected);
        assert!(side.keys.after(2, Look::Complete, NOW + 2).await.unwrap().is_empty());
    }
}

#[test]
fn an_identity_that_names_no_key_or_another_one_has_lost_it() {
    let (one, other) = (Key::new(), Key::new());
    let name = one.public().fingerprint();
    let row = |spki: Option<Vec<u8>>| [IdentityKey { identity: name.clone(), spki }];
    for (now, instead) in [
        (row(None).to_vec(), None),
        (row(Some(other.spki())).to_vec(), Some(other.public().fingerprint())),
        (Vec::new(), None),
    ] {
        let mut state = State::default();
        state.compare(&row(Some(one.spki())));
        assert!(state.lost.is_empty());
        state.compare(&now);
        // Put back before anybody looks again: it is told of all the same.
        state.compare(&row(Some(one.spki())));
        assert_eq!(state.lost.get(&name).map(|lost| lost.now.clone()), Some(instead));
    }
}
