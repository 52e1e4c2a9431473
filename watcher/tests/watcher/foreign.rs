//! What others attached before us: valid signatures by our key are adopted, everything else counts for nothing.

use bundle::legacy::LegacySignature;
use bundle::oci::{Descriptor, referrer_manifest};
use bundle::trust_root::TrustRoot;
use bundle::{Digest, Format, Tag};
use serde_json::json;
use signer::key::KeyBackend;
use signer::{Artifact, Services, Subject};
use watcher::met::{entries_of, record};
use watcher::registry::{Registry, RegistryConfig, TagHistory};

use crate::stage::{Options, Stage, key};

fn registry(stage: &Stage) -> Registry {
    let mut config = RegistryConfig::new(stage.host.parse().expect("a host"));
    config.plain_http = true;
    Registry::new(config).expect("a registry")
}

/// Signs as cosign would with this key, and attaches it by the registry's API.
async fn sign_elsewhere(
    stage: &Stage,
    key: &dyn KeyBackend,
    services: &Services,
    format: Format,
    repository: &str,
    digest: Digest,
) {
    let image = stage.name(repository).with_digest(digest);
    let subject = Subject { image: &image, docker_reference: image.name.docker_reference() };
    let signed = signer::sign(key, &subject, format).await.expect("a signature");
    let published = signer::publish(&signed, key.public_key(), &digest, services, None).await.expect("published");
    let (name, client) = (image.name.repository.clone(), registry(stage));
    match published.artifact {
        Artifact::Bundle(json) => {
            let fetched = client.manifest(&name, &digest).await.expect("an answer").expect("a manifest");
            let manifest = referrer_manifest(&fetched.descriptor.bare(), &json, "2026-01-01T00:00:00Z");
            client
                .attach_bundle(&name, &fetched.descriptor, &json, &manifest, TagHistory::Unknown)
                .await
                .expect("attached");
        }
        Artifact::Legacy(signature) => {
            client.attach_legacy(&name, &digest, &signature, TagHistory::Unknown).await.expect("attached");
        }
    }
}

fn permissive(services: &Services) -> Services {
    Services { legacy_without_proof: true, ..services.clone() }
}

#[tokio::test]
async fn a_valid_signature_by_our_key_is_adopted() {
    let stage = Stage::start(Options { webhooks: false, ..Options::default() }).await;
    let pushed = stage.world.registry.push_image("team/app", "v1", "a").await.expect("a push");
    let services = permissive(&stage.services);
    for format in [Format::Bundle, Format::Legacy] {
        sign_elsewhere(&stage, key(), &services, format, "team/app", pushed.digest).await;
    }
    assert_eq!(stage.world.log.size(), 2);
    for _ in 0..2 {
        stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
        stage.settle().await;
        stage.assert_signed_once("team/app", &pushed.digest, 2);
    }
    let rows = stage.store.ledger_for(&stage.name("team/app").with_digest(pushed.digest)).await.expect("rows");
    assert!(rows.len() == 2 && rows.iter().all(|row| row.adopted && row.signature.is_none()), "{rows:?}");
    let bundle = rows.iter().find(|row| row.format == Format::Bundle).expect("a row");
    let referrers = stage.world.registry.referrers("team/app", &pushed.digest);
    assert_eq!(bundle.attached_manifest, Some(referrers[0]));
    assert_eq!(stage.counted("watcher_signatures_total", "adopted"), 2);
    // The monitor hears of what the log has signed; the legacy one carries nothing of a log.
    let observed = stage.store.observations_after(0, 10).await.expect("observations");
    let [entry] = observed.as_slice() else { panic!("{observed:?}") };
    assert_eq!((entry.source.as_str(), entry.log_id), ("worker", stage.world.log.key_id()));
    assert!(bundle::LogEntry::from_json(&entry.entry_json).is_ok_and(|entry| entry.proof.is_some()));
}

#[tokio::test]
async fn an_adopted_signature_that_is_lost_is_replaced_by_our_own() {
    let stage = Stage::start(Options { webhooks: false, formats: vec![Format::Bundle], ..Options::default() }).await;
    let registry = &stage.world.registry;
    let pushed = registry.push_image("team/app", "v1", "a").await.expect("a push");
    sign_elsewhere(&stage, key(), &stage.services, Format::Bundle, "team/app", pushed.digest).await;
    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    stage.settle().await;
    assert_eq!(stage.world.log.size(), 1);
    let (addr, gone) = (registry.addr(), registry.referrers("team/app", &pushed.digest)[0]);
    let request = format!("DELETE /v2/team/app/manifests/{gone} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    assert_eq!(crate::http::raw(addr, request.as_bytes()).await.status, 202);
    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    stage.settle().await;
    assert_eq!(stage.good_bundles("team/app", &pushed.digest), 1);
    let rows = stage.store.ledger_for(&stage.name("team/app").with_digest(pushed.digest)).await.expect("rows");
    assert!(rows[0].signature.is_some(), "{rows:?}");
    // This key always signs alike, so the log has the entry already and gives it to us.
    assert_eq!(stage.world.log.size(), 1);
}

#[tokio::test]
async fn a_signature_by_another_key_or_without_the_log_is_not_ours() {
    let stage = Stage::start(Options { webhooks: false, ..Options::default() }).await;
    let pushed = stage.world.registry.push_image("team/app", "v1", "a").await.expect("a push");
    let password = secrecy::SecretString::from("q");
    let generated = signer::key::file::generate(&password).expect("a key");
    let other = signer::key::file::load(generated.private_pem.as_bytes(), Some(&password)).expect("it opens");
    let services = permissive(&stage.services);
    for format in [Format::Bundle, Format::Legacy] {
        sign_elsewhere(&stage, &other, &services, format, "team/app", pushed.digest).await;
    }
    // Ours, but the log never heard of it.
    let unlogged = Services { log: None, ..services.clone() };
    sign_elsewhere(&stage, key(), &unlogged, Format::Bundle, "team/app", pushed.digest).await;
    assert_eq!(stage.world.log.size(), 2);

    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    stage.settle().await;
    // A stranger's entry is the log's word too; what no log has signed is nobody's.
    assert_eq!(stage.store.observations_after(0, 10).await.expect("observations").len(), 1);
    assert_eq!(stage.world.log.size(), 4);
    assert_eq!(stage.good_bundles("team/app", &pushed.digest), 1);
    assert_eq!(stage.legacy("team/app", &pushed.digest), (2, 1));
}

#[tokio::test]
async fn whoever_verifies_keeps_what_the_log_has_signed_and_nothing_else() {
    let stage = Stage::start(Options { webhooks: false, ..Options::default() }).await;
    let pushed = stage.world.registry.push_image("team/app", "v1", "a").await.expect("a push");
    sign_elsewhere(&stage, key(), &stage.services, Format::Bundle, "team/app", pushed.digest).await;
    let unlogged = Services { log: None, ..stage.services.clone() };
    sign_elsewhere(&stage, key(), &unlogged, Format::Bundle, "team/app", pushed.digest).await;
    let image = stage.name("team/app").with_digest(pushed.digest);
    let bundles = registry(&stage).bundles(&image.name.repository, &pushed.digest).await.expect("bundles");
    let entries = || bundles.iter().flat_map(|json| entries_of(json));

    let kept = async |trust: &TrustRoot| {
        record(stage.store.as_ref(), "verify", &image.to_string(), trust, entries()).await.expect("a store")
    };
    assert_eq!(kept(&TrustRoot::empty()).await, 0, "nobody vouches for it");
    assert_eq!(kept(&stage.trust).await, 1);
    let observed = stage.store.observations_after(0, 10).await.expect("observations");
    let [entry] = observed.as_slice() else { panic!("{observed:?}") };
    assert_eq!((entry.source.as_str(), entry.log_id), ("verify", stage.world.log.key_id()));
    assert_eq!(entry.image, Some(image.to_string()));
}

#[tokio::test]
async fn a_legacy_signature_copied_from_another_repository_is_not_ours() {
    let stage = Stage::start(Options { webhooks: false, formats: vec![Format::Legacy], ..Options::default() }).await;
    let pushed = stage.world.registry.push_image("team/app", "v1", "a").await.expect("a push");
    let image = stage.name("team/elsewhere").with_digest(pushed.digest);
    let subject = Subject { image: &image, docker_reference: image.name.docker_reference() };
    let signed = signer::sign(key(), &subject, Format::Legacy).await.expect("a signature");
    let services = permissive(&stage.services);
    let published =
        signer::publish(&signed, key().public_key(), &pushed.digest, &services, None).await.expect("published");
    let Artifact::Legacy(signature) = published.artifact else { panic!("a legacy signature") };
    let repository = "team/app".parse().expect("a repository");
    registry(&stage)
        .attach_legacy(&repository, &pushed.digest, &signature, TagHistory::Unknown)
        .await
        .expect("attached");
    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    stage.settle().await;
    // Both verify by digest and key, but one names another repository.
    assert_eq!(stage.legacy("team/app", &pushed.digest), (2, 2));
}

#[tokio::test]
async fn an_incomplete_copy_of_our_signature_never_passes_for_attached() {
    let stage = Stage::start(Options { webhooks: false, formats: vec![Format::Legacy], ..Options::default() }).await;
    let pushed = stage.world.registry.push_image("team/app", "v1", "a").await.expect("a push");
    // The same key signs the same bytes, and somebody attached them without log and timestamp.
    let bare = Services { log: None, timestamp_authorities: Vec::new(), ..permissive(&stage.services) };
    sign_elsewhere(&stage, key(), &bare, Format::Legacy, "team/app", pushed.digest).await;
    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    stage.settle().await;
    let image = stage.name("team/app").with_digest(pushed.digest);
    let attached = stage.store.ledger_for(&image).await.expect("rows")[0].attached_at.is_some();
    let (_, good) = stage.legacy("team/app", &pushed.digest);
    let job = stage.store.job(&image.name.registry, &image.name.repository, &pushed.digest).await.expect("a row");
    let job = job.expect("a job");
    assert_eq!(attached, good == 1, "{job:?}");
    if !attached {
        assert_eq!(job.state, store::JobState::Parked, "{job:?}");
        assert!(job.last_error.as_deref().is_some_and(|error| error.contains("sealwatch retry")), "{job:?}");
    }
}

#[tokio::test]
async fn junk_that_looks_like_a_signature_keeps_no_image_unsigned() {
    for referrers_api in [true, false] {
        let options = Options { webhooks: false, referrers_api, ..Options::default() };
        let stage = Stage::start(options).await;
        let world = &stage.world.registry;
        let pushed = world.push_image("team/app", "v1", "a").await.expect("a push");
        let client = registry(&stage);
        let repository = "team/app".parse().expect("a repository");
        let subject = client.manifest(&repository, &pushed.digest).await.expect("an answer").expect("there").descriptor;
        let junk = [
            b"not even json".to_vec(),
            b"{}".to_vec(),
            // The right hint, and nothing behind it.
            json!({
                "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                "verificationMaterial": {"publicKey": {"hint": key().public_key().hint()}, "tlogEntries": []},
                "dsseEnvelope": {"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": [{"sig": "AAAA"}]},
            })
            .to_string()
            .into_bytes(),
        ];
        for (seed, junk) in junk.iter().enumerate() {
            let manifest = referrer_manifest(&subject.bare(), junk, &format!("2026-01-01T00:00:0{seed}Z"));
            client.attach_bundle(&repository, &subject, junk, &manifest, TagHistory::Unknown).await.expect("attached");
        }
        // A layer under the signature's tag that claims to be ours.
        let fake = LegacySignature::new(bundle::simple_signing::payload("x/y", &pushed.digest), b"no signature");
        client.attach_legacy(&repository, &pushed.digest, &fake, TagHistory::Unknown).await.expect("attached");

        stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
        stage.settle().await;
        let bundles = client.bundles(&repository, &pushed.digest).await.expect("an answer");
        assert_eq!(bundles.len(), 4);
        assert_eq!(stage.legacy("team/app", &pushed.digest), (2, 1));
        assert_eq!(stage.world.log.size(), 2);
        let counts = stage.store.counts().await.expect("counts");
        assert_eq!((counts.jobs_done, counts.ledger_attached), (1, 2), "{counts:?}");
    }
}

#[tokio::test]
async fn a_flood_of_junk_keeps_no_image_unsigned() {
    let stage = Stage::start(Options { webhooks: false, formats: vec![Format::Bundle], ..Options::default() }).await;
    let world = &stage.world.registry;
    let pushed = world.push_image("team/app", "v1", "a").await.expect("a push");
    let (bytes, media_type) = world.manifest("team/app", &pushed.digest.to_string()).expect("there");
    let subject = Descriptor::of(&media_type, &bytes);
    world.push_raw_blob("team/app", b"{}".to_vec()).await.expect("a blob");
    for seed in 0..140 {
        let junk = format!("junk {seed}").into_bytes();
        let manifest = referrer_manifest(&subject, &junk, "2026-01-01T00:00:00Z");
        world.push_raw_blob("team/app", junk).await.expect("a blob");
        let digest = Digest::of(&manifest).to_string();
        world
            .push_raw_manifest("team/app", &digest, "application/vnd.oci.image.manifest.v1+json", manifest)
            .await
            .expect("a push");
    }
    for _ in 0..2 {
        stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
        stage.settle().await;
        assert_eq!(stage.good_bundles("team/app", &pushed.digest), 1);
        assert_eq!(stage.world.log.size(), 1);
    }
    assert!(world.resolve("team/app", Tag::referrers(&pushed.digest).as_str()).is_none());
}
