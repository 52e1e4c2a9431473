//! Attaching bundles, on registries of every temper.

use bundle::oci::{parse_referrers, referrer_manifest};
use http::Method;

use super::fake::{Store, built, empty, json};
use super::*;

const BUNDLE: &[u8] = br#"{"bundle":"ours"}"#;

fn manifest_for(image: &Descriptor) -> Vec<u8> {
    referrer_manifest(image, BUNDLE, "2026-11-21T00:00:00Z")
}

async fn attach(registry: &Registry, image: &Descriptor) -> Result<Attached, RegistryError> {
    registry.attach_bundle(&repository(), image, BUNDLE, &manifest_for(image), TagHistory::Unknown).await
}

/// What the referrers tag lists.
fn listed(store: &Store, image: &Descriptor) -> Vec<Digest> {
    let Some(bytes) = store.tagged(Tag::referrers(&image.digest).as_str()) else { return Vec::new() };
    parse_referrers(bytes).expect("an index").manifests.iter().map(|d| d.digest).collect()
}

fn foreign(name: &str) -> Descriptor {
    Descriptor::of(media_type::IMAGE_MANIFEST, name.as_bytes())
}

/// Somebody else writes the referrers tag, knowing nothing of what is there.
fn foreign_write(store: &mut Store, image: &Descriptor, names: &[&str]) {
    let manifests: Vec<Descriptor> = names.iter().map(|name| foreign(name)).collect();
    let index = serde_json::json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": manifests });
    store.put_tag(Tag::referrers(&image.digest).as_str(), media_type::IMAGE_INDEX, index.to_string().as_bytes());
}

#[tokio::test]
async fn where_the_registry_lists_referrers_no_tag_is_written() {
    for (oci_subject, list_lag) in [(true, 0), (false, 0), (true, 2), (false, 2)] {
        let (fake, image) = with_image().await;
        {
            let mut store = fake.store();
            (store.referrers_api, store.oci_subject, store.list_lag) = (true, oci_subject, list_lag);
        }
        let attached = attach(&registry(&fake), &image).await.expect("attached");
        let digest = Digest::of(&manifest_for(&image));
        assert_eq!(attached, Attached { manifest_digest: digest, fallback_tag_written: false, pushed: vec![digest] });
        assert!(fake.store().tags.keys().all(|tag| tag == "v1"));
        let found = registry(&fake).bundles(&repository(), &image.digest).await.expect("bundles");
        assert_eq!(found, [BUNDLE.to_vec()]);
    }
}

#[tokio::test]
async fn a_list_that_lags_for_long_is_a_retry_where_the_registry_took_the_subject() {
    let (fake, image) = with_image().await;
    {
        let mut store = fake.store();
        (store.referrers_api, store.oci_subject, store.list_lag) = (true, true, 4);
    }
    let error = attach(&registry(&fake), &image).await.expect_err("not listed");
    assert!(matches!(error, RegistryError::NotListed { .. }), "{error}");
    assert!(error.is_transient());
    // The retry finds it listed, and pushes nothing twice but the manifest.
    attach(&registry(&fake), &image).await.expect("attached");
    assert_eq!(fake.store().count(&Method::POST, "/blobs/uploads/"), 2);
}

#[tokio::test]
async fn a_list_that_never_names_it_is_helped_by_the_tag() {
    let (fake, image) = with_image().await;
    {
        let mut store = fake.store();
        (store.referrers_api, store.list_lag) = (true, u32::MAX);
    }
    let attached = attach(&registry(&fake), &image).await.expect("attached");
    assert!(attached.fallback_tag_written);
    assert_eq!(listed(&fake.store(), &image), [attached.manifest_digest]);
}

#[tokio::test]
async fn without_the_api_the_tag_is_written_whatever_the_header_says() {
    for oci_subject in [false, true] {
        let (fake, image) = with_image().await;
        fake.store().oci_subject = oci_subject;
        let attached = attach(&registry(&fake), &image).await.expect("attached");
        assert!(attached.fallback_tag_written);
        assert_eq!(listed(&fake.store(), &image), [attached.manifest_digest]);
        // Both manifests that were pushed are known as our own.
        let tag = Tag::referrers(&image.digest);
        let index = Digest::of(fake.store().tagged(tag.as_str()).expect("an index"));
        assert_eq!(attached.pushed, [attached.manifest_digest, index]);
        // SPEC: the descriptor carries the artifact type and the annotations of the manifest.
        let found = registry(&fake).referrers(&repository(), &image.digest).await.expect("a list");
        assert_eq!(found.manifests[0].artifact_type.as_deref(), Some(media_type::SIGSTORE_BUNDLE));
        let index = fake.store().tagged(tag.as_str()).expect("an index").to_vec();
        let index: serde_json::Value = serde_json::from_slice(&index).expect("JSON");
        assert!(index["manifests"][0]["annotations"]["dev.sigstore.bundle.predicateType"].is_string(), "{index}");
        let bundles = registry(&fake).bundles(&repository(), &image.digest).await.expect("bundles");
        assert_eq!(bundles, [BUNDLE.to_vec()]);
    }
}

#[tokio::test]
async fn attaching_again_changes_nothing() {
    let (fake, image) = with_image().await;
    attach(&registry(&fake), &image).await.expect("attached");
    let tags = fake.store().tags.clone();
    let puts = fake.store().count(&Method::PUT, "/manifests/sha256-");
    let again = attach(&registry(&fake), &image).await.expect("attached");
    assert_eq!(fake.store().tags, tags);
    assert_eq!(fake.store().count(&Method::PUT, "/manifests/sha256-"), puts);
    assert_eq!(again.pushed, [again.manifest_digest]);
}

#[tokio::test]
async fn a_foreign_write_between_our_read_and_our_write_loses_nobody() {
    let (fake, image) = with_image().await;
    foreign_write(&mut fake.store(), &image, &["early"]);
    // Right after our first write somebody else writes what he had read before it, with his own entry.
    let (subject, mut raced) = (image.clone(), 0);
    fake.store().intercept(move |asked, store| {
        if asked.method == Method::PUT && asked.path.contains("/manifests/sha256-") && raced < 2 {
            raced += 1;
            foreign_write(store, &subject, if raced == 1 { &["early", "late"] } else { &["early", "late", "later"] });
            return Some(empty(201));
        }
        None
    });
    let attached = attach(&registry(&fake), &image).await.expect("attached");
    let found = listed(&fake.store(), &image);
    for entry in [foreign("early"), foreign("late"), foreign("later")] {
        assert!(found.contains(&entry.digest), "{found:?}");
    }
    assert!(found.contains(&attached.manifest_digest), "{found:?}");
    assert_eq!(found.len(), 4);
}

#[tokio::test]
async fn a_registry_that_honours_conditions_is_asked_to() {
    let (fake, image) = with_image().await;
    foreign_write(&mut fake.store(), &image, &["early"]);
    fake.store().conditional = true;
    let (subject, mut raced) = (image.clone(), false);
    fake.store().intercept(move |asked, store| {
        if asked.method == Method::PUT && asked.path.contains("/manifests/sha256-") && !raced {
            raced = true;
            foreign_write(store, &subject, &["early", "late"]);
        }
        None
    });
    let attached = attach(&registry(&fake), &image).await.expect("attached");
    let found = listed(&fake.store(), &image);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.contains(&attached.manifest_digest));
}

#[tokio::test]
async fn a_tag_that_somebody_keeps_overwriting_is_given_up_for_now() {
    let (fake, image) = with_image().await;
    let subject = image.clone();
    fake.store().intercept(move |asked, store| {
        let write = asked.method == Method::PUT && asked.path.contains("/manifests/sha256-");
        write.then(|| {
            foreign_write(store, &subject, &["stubborn"]);
            empty(201)
        })
    });
    let error = attach(&registry(&fake), &image).await.expect_err("contended");
    assert!(matches!(error, RegistryError::Contended { rounds: 5, .. }), "{error}");
    assert!(error.is_transient());
    assert_eq!(fake.store().count(&Method::PUT, "/manifests/sha256-"), 5);
}

#[tokio::test]
async fn a_stale_read_after_our_write_does_not_undo_a_newer_one() {
    let (fake, image) = with_image().await;
    // The first read after our write still shows nothing; by then somebody else has merged with ours.
    let (tag, subject, mut reads) = (Tag::referrers(&image.digest), image.clone(), 0);
    fake.store().intercept(move |asked, store| {
        if asked.method == Method::GET && asked.path.ends_with(tag.as_str()) {
            reads += 1;
            if reads == 2 {
                let mut all = parse_referrers(store.tagged(tag.as_str()).expect("ours")).expect("an index").manifests;
                all.push(foreign("late"));
                let index = serde_json::json!({
                    "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": all,
                });
                let name = Tag::referrers(&subject.digest);
                store.put_tag(name.as_str(), media_type::IMAGE_INDEX, index.to_string().as_bytes());
                return Some(empty(404));
            }
        }
        None
    });
    let attached = attach(&registry(&fake), &image).await.expect("attached");
    assert_eq!(listed(&fake.store(), &image), [attached.manifest_digest, foreign("late").digest]);
    assert_eq!(fake.store().count(&Method::PUT, "/manifests/sha256-"), 1);
}

#[tokio::test]
async fn what_lives_under_the_referrers_tag_and_is_no_index_is_left_alone() {
    let (fake, image) = with_image().await;
    let name = Tag::referrers(&image.digest);
    fake.store().put_tag(name.as_str(), media_type::IMAGE_MANIFEST, &super::image("a release called sha256-…"));
    let before = fake.store().tags.clone();
    let error = attach(&registry(&fake), &image).await.expect_err("occupied");
    assert!(matches!(error, RegistryError::Occupied(_)), "{error}");
    assert!(error.to_string().contains(name.as_str()), "{error}");
    assert_eq!(fake.store().tags, before);
}

#[tokio::test]
async fn nothing_is_attached_to_what_is_not_there() {
    let (fake, _) = with_image().await;
    let gone = foreign("gone");
    let error = attach(&registry(&fake), &gone).await.expect_err("no subject");
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error}");
    let signature = bundle::legacy::LegacySignature::new(b"payload".to_vec(), b"signature");
    let error = registry(&fake)
        .attach_legacy(&repository(), &gone.digest, &signature, TagHistory::Unknown)
        .await
        .expect_err("no subject");
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error}");
    assert!(fake.store().asked.iter().all(|asked| asked.method == Method::HEAD || asked.method == Method::GET));
}

#[tokio::test]
async fn an_upload_that_leads_to_another_host_takes_no_credential_there() {
    let (fake, image) = with_image().await;
    let storage = Fake::start().await;
    storage.store().intercept(|asked, _| (asked.method == Method::PUT).then(|| empty(201)));
    let location = format!("http://{}/upload?signature=x%2By", storage.host());
    fake.store().intercept(move |asked, _| {
        asked.path.ends_with("/blobs/uploads/").then(|| built(202, &[("location", &location)], Vec::new()))
    });
    let auth = Auth::Basic { username: "ci".to_owned(), password: "s3cret".into() };
    let mut config = RegistryConfig { auth, ..config(&fake) };
    let error = attach(&client(config.clone()), &image).await.expect_err("not configured");
    assert!(matches!(error, RegistryError::ForbiddenTarget { .. }), "{error}");
    assert!(storage.store().asked.is_empty());
    config.blob_hosts = vec![storage.host()];
    attach(&client(config), &image).await.expect("attached");
    let asked = storage.store().asked.clone();
    assert_eq!(asked.len(), 2);
    for put in asked {
        assert!(put.authorization.is_none());
        assert!(put.path.starts_with("/upload?signature=x%2By&digest=sha256:"), "{}", put.path);
    }
    assert!(fake.store().asked.iter().any(|asked| asked.authorization.is_some()));
}

#[tokio::test]
async fn a_refused_push_says_what_is_missing() {
    let (fake, image) = with_image().await;
    let body = r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
    fake.always(Method::POST, "/blobs/uploads/", move || json(403, body));
    let error = attach(&registry(&fake), &image).await.expect_err("denied");
    assert!(matches!(error, RegistryError::Denied { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("push") && text.contains("DENIED") && text.contains("/team/app"), "{text}");
    // Without Location there is nowhere to upload to.
    let (fake, image) = with_image().await;
    fake.always(Method::POST, "/blobs/uploads/", || empty(202));
    let error = attach(&registry(&fake), &image).await.expect_err("no Location");
    assert!(matches!(error, RegistryError::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn a_registry_that_stored_something_else_is_caught() {
    let (fake, image) = with_image().await;
    let other = digest_of("something else").to_string();
    fake.store().intercept(move |asked, _| {
        let put = asked.method == Method::PUT && asked.path.contains("/manifests/sha256:");
        put.then(|| built(201, &[("docker-content-digest", &other)], Vec::new()))
    });
    let error = attach(&registry(&fake), &image).await.expect_err("another digest");
    assert!(matches!(error, RegistryError::DigestMismatch { .. }), "{error}");
}
