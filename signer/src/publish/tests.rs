//! Whole publications: on the sandbox's Rekor v2 log and timestamp authority, and on a Rekor v1 log.

use std::sync::Arc;
use std::time::Duration;

use bundle::trust_root::{TrustRoot, ValidFor};
use bundle::verify::{Requirements, VerifyError};
use bundle::{ImageName, ImageReference};
use http::{Method, StatusCode};
use outbound::{Client, ClientConfig};
use sandbox::{Fault, World, WorldOptions};
use url::Url;

use super::*;
use crate::key::KeyBackend;
use crate::key::file::{self, FileKey};
use crate::rekor::tests::fake::{FakeLog, ORIGIN};
use crate::rekor::v1::RekorV1;
use crate::rekor::v2::RekorV2;
use crate::{LogError, Retry, Subject, TimestampAuthority, TimestampError, sign};

const P256: &str = include_str!("../key/file/testdata/test-only-p256-sec1.pem");
const P384: &str = include_str!("../key/file/testdata/test-only-p384.pem");
const RSA: &str = include_str!("../key/file/testdata/test-only-rsa2048-pkcs8.pem");
const ED25519: &str = include_str!("../key/file/testdata/test-only-ed25519.pem");

const RETRY: Retry = Retry { attempts: 3, first_delay: Duration::from_millis(4), max_delay: Duration::from_secs(1) };

fn client() -> Client {
    Client::new(ClientConfig::default()).unwrap()
}

fn key(pem: &str) -> FileKey {
    file::load(pem.as_bytes(), None).unwrap()
}

fn image() -> ImageReference {
    ImageReference {
        name: ImageName { registry: "registry.example.com".parse().unwrap(), repository: "team/app".parse().unwrap() },
        digest: Digest::of(b"image"),
    }
}

async fn signed(key: &FileKey, format: Format) -> Signed {
    let image = image();
    let subject = Subject { image: &image, docker_reference: image.name.docker_reference() };
    sign(key, &subject, format).await.unwrap()
}

async fn world() -> World {
    World::start(WorldOptions::default()).await.unwrap()
}

fn services(world: &World) -> Services {
    let trust = Arc::new(TrustRoot::parse(world.trusted_root_json().as_bytes()).unwrap());
    let url = |text: &str| Url::parse(text).unwrap();
    let log = RekorV2::new(
        client(),
        world.log.origin(),
        url(world.log.write_url()),
        Some(url(world.log.read_url())),
        world.log.key().clone(),
    );
    let authority = TimestampAuthority::new(client(), url(world.timestamp_authority.url()), trust.clone());
    Services {
        log: Some(Arc::new(log.with_retry(RETRY))),
        timestamp_authorities: vec![authority.with_retry(RETRY)],
        trust,
        legacy_without_proof: false,
        legacy_timestamp: false,
    }
}

async fn publish_new(key: &FileKey, format: Format, services: &Services) -> Result<Published, PublishError> {
    let signed = signed(key, format).await;
    publish(&signed, key.public_key(), &image().digest, services, None).await
}

fn strict() -> Requirements {
    Requirements { log: true, timestamp: true }
}

#[tokio::test]
async fn a_bundle_is_logged_stamped_and_verifies_offline() {
    for pem in [P256, P384, RSA] {
        let world = world().await;
        let (key, services) = (key(pem), services(&world));
        let published = publish_new(&key, Format::Bundle, &services).await.unwrap();
        let entry = published.entry.unwrap();
        assert_eq!(world.log.entry(entry.log_index), Some(entry.body));
        world.shutdown();

        let Artifact::Bundle(json) = published.artifact else { panic!("a bundle was asked for") };
        let bundle = Bundle::parse(&json).unwrap();
        let digest = image().digest;
        let verified = verify::verify_bundle(&bundle, &digest, key.public_key(), &services.trust, &strict()).unwrap();
        assert_eq!(verified.entries, [(world.log.key_id(), entry.log_index)]);
        assert_eq!(verified.timestamps.len(), 1);
        let other = Digest::of(b"another image");
        assert!(verify::verify_bundle(&bundle, &other, key.public_key(), &services.trust, &strict()).is_err());
    }
}

#[tokio::test]
async fn a_legacy_signature_on_rekor_v2_must_be_asked_for_and_is_logged_without_carrying_the_proof() {
    let world = world().await;
    let (key, mut services) = (key(P256), services(&world));
    let error = publish_new(&key, Format::Legacy, &services).await.unwrap_err();
    assert!(error.to_string().contains("legacy_without_proof = true"), "{error}");
    assert_eq!(world.log.size(), 0);

    services.legacy_without_proof = true;
    let published = publish_new(&key, Format::Legacy, &services).await.unwrap();
    assert_eq!(world.log.size(), 1);
    assert!(published.entry.is_some());
    let Artifact::Legacy(signature) = &published.artifact else { panic!("legacy was asked for") };
    assert!(signature.rekor_bundle().unwrap().is_none());
    assert_eq!(signature.timestamp().unwrap().as_ref(), published.timestamps.first());
    let read = Artifact::from_json(Format::Legacy, &published.artifact.to_json()).unwrap();
    assert!(matches!(read, Artifact::Legacy(read) if read == *signature));
}

#[tokio::test]
async fn an_answer_that_is_lost_is_adopted_and_not_written_twice() {
    let world = world().await;
    let (key, services) = (key(P256), services(&world));
    world.log.lose_next_answer();
    let published = publish_new(&key, Format::Bundle, &services).await.unwrap();
    assert_eq!(published.entry.unwrap().log_index, 0);
    assert_eq!(world.log.size(), 1);
}

#[tokio::test]
async fn a_log_that_forgot_takes_the_entry_again_under_another_index() {
    let world = world().await;
    let (key, services) = (key(P256), services(&world));
    let signed = signed(&key, Format::Bundle).await;
    let write = async || write_log(&signed, key.public_key(), &services).await.unwrap().unwrap();
    let first = write().await;
    assert_eq!(write().await.log_index, first.log_index);
    world.log.forget_duplicates();
    let second = write().await;
    assert_ne!(second.log_index, first.log_index);
    assert_eq!(second.leaf_hash(), first.leaf_hash());
    for entry in [first, second] {
        assemble(&signed, key.public_key(), &image().digest, &services, Some(entry)).await.unwrap();
    }
}

#[tokio::test]
async fn what_the_ledger_kept_is_published_without_writing_to_the_log_again() {
    let world = world().await;
    let (key, services) = (key(P256), services(&world));
    let signed = signed(&key, Format::Bundle).await;
    let entry = write_log(&signed, key.public_key(), &services).await.unwrap().unwrap();
    let kept = LogEntry::from_json(&entry.to_json()).unwrap();
    let again = Signed::from_ledger(signed.format, signed.payload.clone(), signed.signature.clone(), key.public_key());
    assert_eq!(again, signed);
    let published = publish(&again, key.public_key(), &image().digest, &services, Some(kept)).await.unwrap();
    assert_eq!(published.entry, Some(entry));
    assert_eq!(world.log.size(), 1);
}

#[tokio::test]
async fn a_recorded_entry_about_another_signature_is_refused() {
    let world = world().await;
    let (mine, theirs, services) = (key(P256), key(P384), services(&world));
    let other = publish_new(&theirs, Format::Bundle, &services).await.unwrap();
    let signed = signed(&mine, Format::Bundle).await;
    let error = assemble(&signed, mine.public_key(), &image().digest, &services, other.entry).await.unwrap_err();
    assert!(matches!(error, PublishError::EntryMismatch(_)), "{error}");
    let error = assemble(&signed, mine.public_key(), &image().digest, &services, None).await.unwrap_err();
    assert!(matches!(error, PublishError::EntryMissing { .. }), "{error}");
}

#[tokio::test]
async fn a_signature_over_another_digest_is_never_handed_out() {
    let world = world().await;
    let (key, services) = (key(P256), services(&world));
    let signed = signed(&key, Format::Bundle).await;
    let other = Digest::of(b"another image");
    let error = publish(&signed, key.public_key(), &other, &services, None).await.unwrap_err();
    assert!(matches!(error, PublishError::Unverified { source: VerifyError::WrongDigest { .. }, .. }), "{error}");
}

#[tokio::test]
async fn what_readers_could_not_verify_is_never_handed_out() {
    let world = world().await;
    let (key, mut services) = (key(P256), services(&world));
    // The writer has the key pinned, but the trusted root that readers get does not name the log.
    let mut trust = (*services.trust).clone();
    trust.logs.clear();
    services.trust = Arc::new(trust);
    let error = publish_new(&key, Format::Bundle, &services).await.unwrap_err();
    assert!(matches!(error, PublishError::Unverified { .. }), "{error}");
    assert!(error.to_string().contains("trusted root"), "{error}");
}

#[tokio::test]
async fn without_services_a_signature_is_published_bare() {
    let services = Services {
        log: None,
        timestamp_authorities: Vec::new(),
        trust: Arc::new(TrustRoot::empty()),
        legacy_without_proof: false,
        legacy_timestamp: false,
    };
    for pem in [P256, P384, RSA, ED25519] {
        for format in Format::ALL {
            let published = publish_new(&key(pem), format, &services).await.unwrap();
            assert!(published.entry.is_none() && published.timestamps.is_empty());
            assert_eq!(published.artifact.format(), format);
        }
    }
}

#[tokio::test]
async fn a_busy_timestamp_authority_is_asked_again_and_a_dead_one_is_a_passing_error() {
    let world = world().await;
    let (key, services) = (key(P256), services(&world));
    let refuse = |times| {
        let fault = Fault::Refuse { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: None };
        world.timestamp_authority.faults().plan(Method::POST, "/", fault, times);
    };
    refuse(2);
    publish_new(&key, Format::Bundle, &services).await.unwrap();
    refuse(3);
    let error = publish_new(&key, Format::Bundle, &services).await.unwrap_err();
    assert!(matches!(error, PublishError::Timestamp(_)) && error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_timestamp_of_an_authority_that_is_not_trusted_is_refused() {
    let (world, stranger) = (world().await, world().await);
    let (key, mut services) = (key(P256), services(&world));
    let url = Url::parse(stranger.timestamp_authority.url()).unwrap();
    services.timestamp_authorities = vec![TimestampAuthority::new(client(), url, services.trust.clone())];
    let error = publish_new(&key, Format::Bundle, &services).await.unwrap_err();
    assert!(matches!(&error, PublishError::Timestamp(TimestampError::Untrusted { .. })), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_timestamp_over_another_signature_is_refused() {
    let world = world().await;
    let services = services(&world);
    let authority = &services.timestamp_authorities[0];
    let stamp = authority.stamp(b"one signature").await.unwrap();
    bundle::timestamp::verify(&stamp, b"one signature", &services.trust).unwrap();
    assert!(bundle::timestamp::verify(&stamp, b"another", &services.trust).is_err());
}

#[tokio::test]
async fn a_key_that_the_log_refuses_is_refused_before_anything_is_written() {
    let world = world().await;
    let services = services(&world);
    let error = publish_new(&key(ED25519), Format::Bundle, &services).await.unwrap_err();
    assert!(matches!(error, PublishError::Unsupported(_)), "{error}");
    assert_eq!(world.log.size(), 0);
}

#[tokio::test]
async fn a_frozen_log_is_an_error_that_waiting_does_not_cure() {
    let world = world().await;
    let services = services(&world);
    world.log.set_frozen(true);
    let error = publish_new(&key(P256), Format::Bundle, &services).await.unwrap_err();
    assert!(matches!(error, PublishError::Log(LogError::Frozen { .. })), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn on_rekor_v1_both_formats_carry_their_proof() {
    let log = FakeLog::start(1).await;
    let mut trust = TrustRoot::empty();
    trust.add_log(&format!("https://{ORIGIN}"), log.key(), ValidFor::default()).unwrap();
    let services = Services {
        log: Some(Arc::new(RekorV1::new(client(), ORIGIN, log.url.clone(), log.key()))),
        timestamp_authorities: Vec::new(),
        trust: Arc::new(trust),
        legacy_without_proof: false,
        legacy_timestamp: false,
    };
    for format in Format::ALL {
        let published = publish_new(&key(P256), format, &services).await.unwrap();
        assert_eq!(published.verified.entries.len(), 1);
        assert!(published.verified.integrated_time.is_some());
        if let Artifact::Legacy(signature) = published.artifact {
            assert!(signature.rekor_bundle().unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn a_legacy_signature_on_rekor_v1_carries_its_promise_alone_unless_it_is_asked_for_a_timestamp() {
    let (log, world) = (FakeLog::start(1).await, world().await);
    let stamped = services(&world);
    let mut trust = (*stamped.trust).clone();
    trust.add_log(&format!("https://{ORIGIN}"), log.key(), ValidFor::default()).unwrap();
    let mut services =
        Services { log: Some(Arc::new(RekorV1::new(client(), ORIGIN, log.url.clone(), log.key()))), ..stamped };
    services.trust = Arc::new(trust);
    let (key, digest) = (key(P256), image().digest);
    let mut made = Vec::new();
    for asked in [false, true] {
        services.legacy_timestamp = asked;
        let published = publish_new(&key, Format::Legacy, &services).await.unwrap();
        assert_eq!((published.timestamps.len(), published.verified.timestamps.len()), (asked.into(), asked.into()));
        assert!(published.verified.integrated_time.is_some());
        let Artifact::Legacy(signature) = published.artifact else { panic!("legacy was asked for") };
        assert_eq!(signature.timestamp().unwrap().is_some(), asked);
        made.push(signature);
        // A bundle is stamped in any case.
        let bundle = publish_new(&key, Format::Bundle, &services).await.unwrap();
        assert_eq!(bundle.timestamps.len(), 1);
        assert!(services.sufficient(Format::Bundle).timestamp && services.requirements(Format::Bundle).timestamp);
        assert_eq!(services.requirements(Format::Legacy), Requirements { log: true, timestamp: asked });
    }
    // Whatever is asked for now, both are signatures that need no other beside them.
    for asked in [false, true] {
        services.legacy_timestamp = asked;
        let enough = services.sufficient(Format::Legacy);
        assert_eq!(enough, Requirements { log: true, timestamp: false });
        for signature in &made {
            verify::verify_legacy(signature, &digest, key.public_key(), &services.trust, &enough).unwrap();
        }
    }
    // A promise that is missing is not made good by a timestamp.
    let mut bare = made[1].clone();
    bare.annotations.remove(bundle::legacy::BUNDLE_ANNOTATION).unwrap();
    let enough = services.sufficient(Format::Legacy);
    assert!(verify::verify_legacy(&bare, &digest, key.public_key(), &services.trust, &enough).is_err());
    // On a Rekor v2, and in no log, the timestamp is all that says when.
    services.log = None;
    assert!(services.requirements(Format::Legacy).timestamp && services.sufficient(Format::Legacy).timestamp);
}
