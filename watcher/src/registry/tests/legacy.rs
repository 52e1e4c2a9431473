//! The image under `sha256-<hex>.sig`.

use bundle::legacy::LegacySignature;
use bundle::oci::Manifest;
use http::Method;

use super::fake::{Store, built, empty, json};
use super::*;

fn signature(name: &str) -> LegacySignature {
    LegacySignature::new(br#"{"critical":{}}"#.to_vec(), name.as_bytes())
}

fn sig_tag(image: &Descriptor) -> String {
    Tag::legacy_signature(&image.digest).to_string()
}

/// Adds a signature as another tool would, to the image as it was when `base` was read.
fn foreign_write(store: &mut Store, tag: &str, base: Option<&[u8]>, name: &str) {
    let config = base
        .and_then(|base| Manifest::parse(base, None).ok()?.config)
        .and_then(|config| store.blobs.get(&config.digest.to_string()).cloned());
    let image = bundle::legacy::legacy_image(base, config.as_deref(), &signature(name)).expect("an image");
    store.put_blob(&image.payload);
    store.put_blob(&image.config);
    store.put_tag(tag, &image.media_type, &image.manifest);
}

async fn found(fake: &Fake, image: &Descriptor) -> Vec<String> {
    let found = registry(fake).legacy_signatures(&repository(), &image.digest).await.expect("signatures");
    let text = |s: &LegacySignature| String::from_utf8(s.signature().expect("a signature")).expect("text");
    found.iter().map(text).collect()
}

#[tokio::test]
async fn a_first_signature_makes_the_image_and_the_next_is_added_to_it() {
    let (fake, image) = with_image().await;
    assert!(found(&fake, &image).await.is_empty());
    let first = registry(&fake)
        .attach_legacy(&repository(), &image.digest, &signature("a"), TagHistory::Unknown)
        .await
        .expect("attached");
    assert_eq!(fake.store().tags[&sig_tag(&image)], first.manifest_digest);
    assert_eq!(first.pushed, [first.manifest_digest]);
    let second = registry(&fake)
        .attach_legacy(&repository(), &image.digest, &signature("b"), TagHistory::Unknown)
        .await
        .expect("attached");
    assert_ne!(second.manifest_digest, first.manifest_digest);
    assert_eq!(found(&fake, &image).await, ["a", "b"]);
    // The config knows both layers.
    let store = fake.store();
    let manifest = Manifest::parse(store.tagged(&sig_tag(&image)).expect("it"), None).expect("a manifest");
    let config = &store.blobs[&manifest.config.expect("a config").digest.to_string()];
    let config: serde_json::Value = serde_json::from_slice(config).expect("JSON");
    assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_signature_that_is_there_is_not_added_again() {
    let (fake, image) = with_image().await;
    let first = registry(&fake)
        .attach_legacy(&repository(), &image.digest, &signature("a"), TagHistory::Unknown)
        .await
        .expect("attached");
    let puts = fake.store().count(&Method::PUT, "");
    let again = registry(&fake)
        .attach_legacy(&repository(), &image.digest, &signature("a"), TagHistory::Unknown)
        .await
        .expect("attached");
    assert_eq!(again, Attached { pushed: Vec::new(), ..first });
    assert_eq!(fake.store().count(&Method::PUT, ""), puts);
}

#[tokio::test]
async fn a_foreign_write_between_our_read_and_our_write_loses_nobody() {
    for conditional in [false, true] {
        let (fake, image) = with_image().await;
        let tag = sig_tag(&image);
        foreign_write(&mut fake.store(), &tag, None, "early");
        fake.store().conditional = conditional;
        let mut raced = false;
        let base = fake.store().tagged(&tag).map(<[u8]>::to_vec);
        fake.store().intercept(move |asked, store| {
            if asked.method == Method::PUT && asked.path.ends_with(".sig") && !raced {
                raced = true;
                foreign_write(store, &tag, base.as_deref(), "late");
                // Where nobody looks at conditions, his write comes right after ours and wins.
                return (!conditional).then(|| empty(201));
            }
            None
        });
        let attached = registry(&fake)
            .attach_legacy(&repository(), &image.digest, &signature("ours"), TagHistory::Unknown)
            .await
            .expect("attached");
        assert_eq!(found(&fake, &image).await, ["early", "late", "ours"], "{conditional}");
        assert_eq!(fake.store().tags[&sig_tag(&image)], attached.manifest_digest);
    }
}

#[tokio::test]
async fn an_immutable_tag_is_named_with_its_fix() {
    let sayings = [
        (400, "TAG_INVALID", "The image tag cannot be overwritten because the tag is immutable."),
        (403, "TAG_IMMUTABLE", ""),
        (409, "MANIFEST_INVALID", "tag immutability is enabled"),
        (412, "PRECONDITION", "Failed to process request due to 'sha256-….sig' configured as immutable."),
    ];
    for (status, code, message) in sayings {
        let (fake, image) = with_image().await;
        foreign_write(&mut fake.store(), &sig_tag(&image), None, "early");
        let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] }).to_string();
        fake.always(Method::PUT, ".sig", move || json(status, &body));
        let error = registry(&fake)
            .attach_legacy(&repository(), &image.digest, &signature("ours"), TagHistory::Unknown)
            .await
            .expect_err("immutable");
        assert!(matches!(error, RegistryError::ImmutableTag { .. }), "{status} {error}");
        assert!(!error.is_transient());
        assert!(error.to_string().contains("exempt the tags sha256-*"), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_whose_entity_tags_match_nothing_does_not_stop_us() {
    let (fake, image) = with_image().await;
    foreign_write(&mut fake.store(), &sig_tag(&image), None, "early");
    fake.store().intercept(|asked, _| {
        (asked.method == Method::PUT && asked.headers.contains_key("if-match")).then(|| empty(412))
    });
    registry(&fake)
        .attach_legacy(&repository(), &image.digest, &signature("ours"), TagHistory::Unknown)
        .await
        .expect("attached");
    assert_eq!(found(&fake, &image).await, ["early", "ours"]);
}

#[tokio::test]
async fn a_read_that_failed_is_not_taken_for_no_signatures() {
    for (part, status) in [(".sig", 429), (".sig", 503), ("/blobs/", 500)] {
        let (fake, image) = with_image().await;
        foreign_write(&mut fake.store(), &sig_tag(&image), None, "early");
        fake.always(Method::GET, part, move || empty(status));
        let tags = fake.store().tags.clone();
        let read = registry(&fake).legacy_signatures(&repository(), &image.digest).await.expect_err("not read");
        let write =
            registry(&fake).attach_legacy(&repository(), &image.digest, &signature("ours"), TagHistory::Unknown).await;
        let write = write.expect_err("not read");
        assert!(read.is_transient() && write.is_transient(), "{read} {write}");
        assert_eq!(fake.store().tags, tags);
    }
}

#[tokio::test]
async fn layers_that_cannot_be_read_are_passed_over() {
    let (fake, image) = with_image().await;
    let tag = sig_tag(&image);
    foreign_write(&mut fake.store(), &tag, None, "good");
    {
        let mut store = fake.store();
        let base = store.tagged(&tag).map(<[u8]>::to_vec);
        let odd = LegacySignature::new(b"gone".to_vec(), b"odd");
        let with_odd = bundle::legacy::legacy_image(base.as_deref(), None, &odd).expect("an image");
        let huge = LegacySignature::new(vec![b'x'; PAYLOAD_MAX_BYTES + 1], b"huge");
        let with_huge = bundle::legacy::legacy_image(Some(&with_odd.manifest), None, &huge).expect("an image");
        store.put_blob(&with_huge.payload);
        store.put_tag(&tag, &with_huge.media_type, &with_huge.manifest);
    }
    assert_eq!(found(&fake, &image).await, ["good"]);
    // The config is gone as well; it is made anew, and nobody's layer is lost.
    registry(&fake)
        .attach_legacy(&repository(), &image.digest, &signature("ours"), TagHistory::Unknown)
        .await
        .expect("attached");
    assert_eq!(found(&fake, &image).await, ["good", "ours"]);
    let layers = Manifest::parse(fake.store().tagged(&tag).expect("it"), None).expect("a manifest").layers;
    assert_eq!(layers.len(), 4);
}

#[tokio::test]
async fn signatures_of_one_payload_read_it_once() {
    let (fake, image) = with_image().await;
    for name in ["a", "b", "c"] {
        registry(&fake)
            .attach_legacy(&repository(), &image.digest, &signature(name), TagHistory::Unknown)
            .await
            .expect("attached");
    }
    let path = format!("/blobs/{}", Digest::of(&signature("a").payload));
    let before = fake.store().count(&Method::GET, &path);
    assert_eq!(found(&fake, &image).await.len(), 3);
    assert_eq!(fake.store().count(&Method::GET, &path), before + 1);
    fake.always(Method::GET, ".sig", || built(200, &[], b"junk".to_vec()));
    let error = registry(&fake).legacy_signatures(&repository(), &image.digest).await.expect_err("junk");
    assert!(matches!(error, RegistryError::Occupied(_)), "{error}");
}

#[tokio::test]
async fn many_layers_of_one_large_payload_are_an_error_before_they_fill_the_memory() {
    let payload = vec![b' '; PAYLOAD_MAX_BYTES];
    let layer = LegacySignature::new(payload.clone(), b"x").layer();
    for (count, refused) in [(PAYLOADS_MAX_BYTES / PAYLOAD_MAX_BYTES, false), (1000, true)] {
        let (fake, image) = with_image().await;
        let config = Descriptor::of(media_type::IMAGE_CONFIG, b"{}");
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST, "config": config,
            "layers": vec![&layer; count],
        });
        fake.store().put_blob(&payload);
        fake.store().put_tag(&sig_tag(&image), media_type::IMAGE_MANIFEST, manifest.to_string().as_bytes());
        match (registry(&fake).legacy_signatures(&repository(), &image.digest).await, refused) {
            (Ok(found), false) => assert_eq!(found.len(), count),
            (Err(RegistryError::TooMany { limit: PAYLOADS_MAX_BYTES, .. }), true) => {}
            (other, _) => panic!("{count}: {:?}", other.map(|found| found.len())),
        }
        assert_eq!(fake.store().count(&Method::GET, "/blobs/"), 1);
    }
}
