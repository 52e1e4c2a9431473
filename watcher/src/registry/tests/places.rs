//! Places of signatures that hold something else, or cannot be read: what signing and verifying make of them.

use bundle::legacy::LegacySignature;
use bundle::oci::referrer_manifest;
use http::Method;

use super::fake::{Store, built, empty, index, json};
use super::referrers::attach;
use super::*;

const CREATED: &str = "2026-11-21T00:00:00Z";
const SIGNING: Reading = Reading::ForSigning(TagHistory::Unknown);
const BUNDLE: &[u8] = b"{\"ours\":1}";

fn signature() -> LegacySignature {
    LegacySignature::new(br#"{"critical":{}}"#.to_vec(), b"signature")
}

/// Attaches both formats by the registry's own means.
async fn attach_both(fake: &Fake, image: &Descriptor) {
    let registry = registry(fake);
    let manifest = referrer_manifest(image, BUNDLE, CREATED);
    registry
        .attach_bundle(&repository(), image, BUNDLE, &manifest, TagHistory::Unknown)
        .await
        .expect("a bundle is attached");
    registry
        .attach_legacy(&repository(), &image.digest, &signature(), TagHistory::Unknown)
        .await
        .expect("a signature is attached");
}

/// What each reading finds, as (bundles, legacy signatures), with the number of places that were not read.
async fn verifying(fake: &Fake, image: &Descriptor) -> [(usize, usize); 2] {
    let registry = registry(fake);
    let bundles = registry.look_for_bundles(&repository(), &image.digest, Reading::ForVerifying).await;
    let legacy = registry.look_for_legacy(&repository(), &image.digest, Reading::ForVerifying).await;
    let (bundles, legacy) = (bundles.expect("an answer"), legacy.expect("an answer"));
    [(bundles.found.len(), bundles.unread.len()), (legacy.found.len(), legacy.unread.len())]
}

fn put_occupant(store: &mut Store, tag: &Tag, media_type: &str, bytes: &[u8]) {
    store.put_tag(tag.as_str(), media_type, bytes);
}

/// What else may be under a tag of ours: the type that the registry says, and the bytes.
fn occupants() -> Vec<(&'static str, Vec<u8>)> {
    let child = Descriptor::of(media_type::IMAGE_MANIFEST, &image("child"));
    let child = serde_json::to_value(&child).expect("JSON");
    let layer = Descriptor::of("application/vnd.oci.image.layer.v1.tar+gzip", b"layer");
    let mut runs: serde_json::Value = serde_json::from_slice(&image("runs")).expect("JSON");
    runs["layers"] = serde_json::json!([layer]);
    let index_of_images = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": [child],
    });
    let two_kinds = serde_json::json!({ "schemaVersion": 2, "manifests": [child], "layers": [layer] });
    vec![
        (media_type::IMAGE_MANIFEST, runs.to_string().into_bytes()),
        (media_type::IMAGE_INDEX, index_of_images.to_string().into_bytes()),
        (media_type::IMAGE_MANIFEST, b"not json".to_vec()),
        (media_type::IMAGE_MANIFEST, b"{}".to_vec()),
        (media_type::IMAGE_INDEX, two_kinds.to_string().into_bytes()),
        (media_type::IMAGE_MANIFEST, vec![b' '; MANIFEST_MAX_BYTES + 1]),
    ]
}

#[tokio::test]
async fn an_occupant_of_one_place_hides_nothing_in_the_other() {
    for (media_type, bytes) in occupants() {
        for referrers in [true, false] {
            let (fake, image) = with_image().await;
            // Children of an index of images are there as well.
            let child = super::image("child");
            fake.store().put(media_type::IMAGE_MANIFEST, &child);
            attach_both(&fake, &image).await;
            let tag = match referrers {
                true => Tag::referrers(&image.digest),
                false => Tag::legacy_signature(&image.digest),
            };
            put_occupant(&mut fake.store(), &tag, media_type, &bytes);
            let expected = if referrers { [(0, 1), (1, 0)] } else { [(1, 0), (0, 1)] };
            assert_eq!(verifying(&fake, &image).await, expected, "{tag} {:.60}", String::from_utf8_lossy(&bytes));
        }
    }
}

#[tokio::test]
async fn an_occupant_is_named_and_neither_written_over_nor_sent_away() {
    for (media_type, bytes) in occupants() {
        let (fake, image) = with_image().await;
        fake.store().put(media_type::IMAGE_MANIFEST, &super::image("child"));
        let (referrers, legacy) = (Tag::referrers(&image.digest), Tag::legacy_signature(&image.digest));
        put_occupant(&mut fake.store(), &referrers, media_type, &bytes);
        put_occupant(&mut fake.store(), &legacy, media_type, &bytes);
        let tags = fake.store().tags.clone();
        let registry = registry(&fake);
        let bundles = registry.look_for_bundles(&repository(), &image.digest, SIGNING).await.expect("an answer");
        let signatures = registry.look_for_legacy(&repository(), &image.digest, SIGNING).await.expect("an answer");
        assert!(bundles.found.is_empty() && signatures.found.is_empty());
        for (occupied, tag, instead) in [
            (bundles.occupied(), &referrers, "formats = [\"legacy\"]"),
            (signatures.occupied(), &legacy, "formats = [\"bundle\"]"),
        ] {
            let said = RegistryError::from(occupied.expect("it is said").clone());
            let text = said.to_string();
            assert!(!said.is_transient(), "{text}");
            assert!(text.contains(tag.as_str()) && text.contains(instead), "{text}");
            assert!(!text.contains("delete") && !text.contains("remove") && !text.contains("move"), "{text}");
        }
        let write = registry.attach_legacy(&repository(), &image.digest, &signature(), TagHistory::Unknown).await;
        assert!(matches!(write, Err(RegistryError::Occupied(_))), "{write:?}");
        assert_eq!(fake.store().tags, tags);
    }
}

/// GitLab's registry takes the tag `sha256-<hex>` for the digest.
fn take_the_tag_for_the_digest(fake: &Fake) {
    fake.store().intercept(|asked, store| {
        let hex = asked.path.strip_prefix("/v2/team/app/manifests/sha256-").filter(|hex| hex.len() == 64)?;
        if asked.method == Method::PUT {
            return None;
        }
        let digest = format!("sha256:{hex}");
        let (media_type, bytes) = store.manifests.get(&digest)?;
        let headers = [("content-type", &media_type[..]), ("docker-content-digest", &digest)];
        Some(built(200, &headers, bytes.clone()))
    });
}

#[tokio::test]
async fn the_image_itself_under_the_referrers_tag_is_no_list() {
    for multi in [false, true] {
        let (fake, mut image) = with_image().await;
        if multi {
            let child = serde_json::to_string(&image).expect("JSON");
            let bytes =
                format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{child}]}}"#, media_type::IMAGE_INDEX);
            fake.store().put_tag("v1", media_type::IMAGE_INDEX, bytes.as_bytes());
            image = Descriptor::of(media_type::IMAGE_INDEX, bytes.as_bytes());
        }
        take_the_tag_for_the_digest(&fake);
        let registry = registry(&fake);
        let look = registry.look_for_bundles(&repository(), &image.digest, SIGNING).await.expect("an answer");
        let said = look.occupied().expect("it is said").to_string();
        assert!(said.contains("no place for a bundle") && said.contains("the image itself"), "{said}");
        let manifest = referrer_manifest(&image, BUNDLE, CREATED);
        let put = registry.attach_bundle(&repository(), &image, BUNDLE, &manifest, TagHistory::Unknown).await;
        assert!(matches!(put, Err(RegistryError::Occupied(_))), "{put:?}");
        assert_eq!(fake.store().count(&Method::PUT, "/manifests/sha256-"), 0);
        // The other format goes on as usual.
        registry
            .attach_legacy(&repository(), &image.digest, &signature(), TagHistory::Unknown)
            .await
            .expect("attached");
        assert_eq!(verifying(&fake, &image).await, [(0, 1), (1, 0)]);
    }
}

#[tokio::test]
async fn a_list_of_referrers_with_junk_in_it_stays_a_list() {
    let (fake, image) = with_image().await;
    let manifest = referrer_manifest(&image, BUNDLE, CREATED);
    let orphan = super::image("orphan");
    fake.store().put(media_type::IMAGE_MANIFEST, &orphan);
    let listed = {
        let mut store = fake.store();
        let other = Descriptor::of(media_type::IMAGE_MANIFEST, &super::image("other"));
        let foreign = attach(&mut store, &other, b"{\"foreign\":1}");
        serde_json::json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX,
            "manifests": [Descriptor::of(media_type::IMAGE_MANIFEST, &orphan), foreign] })
    };
    let tag = Tag::referrers(&image.digest);
    put_occupant(&mut fake.store(), &tag, media_type::IMAGE_INDEX, listed.to_string().as_bytes());
    let registry = registry(&fake);
    let look = registry.look_for_bundles(&repository(), &image.digest, SIGNING).await.expect("an answer");
    assert!(look.occupied().is_none() && look.unread.is_empty());
    registry
        .attach_bundle(&repository(), &image, BUNDLE, &manifest, TagHistory::Unknown)
        .await
        .expect("attached beside them");
    assert_eq!(verifying(&fake, &image).await[0], (1, 0));
}

#[tokio::test]
async fn a_list_that_cannot_be_asked_for_does_not_hide_what_lies_elsewhere() {
    for status in [401, 403, 429, 500, 503] {
        let (fake, image) = with_image().await;
        attach_both(&fake, &image).await;
        fake.always(Method::GET, "/referrers/", move || json(status, r#"{"errors":[{"code":"DENIED"}]}"#));
        // The bundle under the referrers tag is found as well.
        assert_eq!(verifying(&fake, &image).await, [(1, 1), (1, 0)], "{status}");
        let strict = registry(&fake).look_for_bundles(&repository(), &image.digest, SIGNING).await;
        strict.expect_err("it may hold ours");
    }
    // A list that is junk, and a candidate that cannot be opened.
    let (fake, image) = with_image().await;
    attach_both(&fake, &image).await;
    fake.always(Method::GET, "/referrers/", || {
        built(200, &[("content-type", media_type::IMAGE_INDEX)], b"<html>".to_vec())
    });
    assert_eq!(verifying(&fake, &image).await, [(1, 1), (1, 0)]);
    fake.always(Method::GET, "/manifests/sha256:", || empty(503));
    assert_eq!(verifying(&fake, &image).await, [(0, 2), (1, 0)]);
}

#[tokio::test]
async fn a_place_with_many_troubles_is_not_read_on() {
    let (fake, image) = with_image().await;
    let many: Vec<_> =
        (0..200).map(|n| Descriptor::of(media_type::IMAGE_MANIFEST, format!("{n}").as_bytes())).collect();
    fake.store().intercept(move |asked, _| asked.path.contains("/referrers/").then(|| index(&many)));
    fake.always(Method::GET, "/manifests/sha256:", || empty(503));
    let [(found, unread), _] = verifying(&fake, &image).await;
    assert_eq!(found, 0);
    assert!((2..30).contains(&unread), "{unread}");
    assert!(fake.store().count(&Method::GET, "/manifests/sha256:") < 30);
}

#[tokio::test]
async fn a_redirect_to_a_page_means_that_there_is_no_api() {
    let page = Fake::start().await;
    page.store().intercept(|asked, _| {
        let status = asked.path.trim_start_matches('/').parse().ok()?;
        Some(built(status, &[("content-type", "text/html")], b"<html>sign in</html>".to_vec()))
    });
    let (host, own) = (page.host(), "/login".to_owned());
    let targets = |named: bool, status: u16| match named {
        true => format!("http://{host}/{status}"),
        false => own.clone(),
    };
    for (named, status) in [(true, 200), (true, 401), (true, 403), (true, 404), (false, 200), (false, 404)] {
        for is_trusted in [true, false] {
            let all: &[u16] = if status == 200 { &[301, 302, 303, 307, 308] } else { &[302] };
            for redirect in all.iter().copied() {
                let (fake, image) = with_image().await;
                let location = targets(named, status);
                fake.store().intercept(move |asked, _| match &asked.path[..] {
                    "/login" => Some(built(status, &[("content-type", "text/html")], b"<html>".to_vec())),
                    path => {
                        path.contains("/referrers/").then(|| built(redirect, &[("location", &location)], Vec::new()))
                    }
                });
                let mut config = config(&fake);
                if is_trusted {
                    config.blob_hosts = vec![host.clone()];
                }
                let registry = client(config);
                let manifest = referrer_manifest(&image, BUNDLE, CREATED);
                let attached =
                    registry.attach_bundle(&repository(), &image, BUNDLE, &manifest, TagHistory::Unknown).await;
                let attached = attached.unwrap_or_else(|error| panic!("{named} {status} {redirect}: {error}"));
                assert!(attached.fallback_tag_written);
                assert_eq!(registry.bundles(&repository(), &image.digest).await.expect("bundles").len(), 1);
            }
        }
    }
}

#[tokio::test]
async fn a_redirect_to_a_site_that_is_not_well_is_asked_again() {
    for status in [429, 500, 502, 503] {
        let (fake, image) = with_image().await;
        let other = Fake::start().await;
        other.store().intercept(move |_, _| Some(empty(status)));
        let location = format!("http://{}/v2/", other.host());
        fake.store().intercept(move |asked, _| {
            asked.path.contains("/referrers/").then(|| built(307, &[("location", &location)], Vec::new()))
        });
        let mut config = config(&fake);
        config.blob_hosts = vec![other.host()];
        let error = client(config).bundles(&repository(), &image.digest).await.expect_err("not asked");
        assert!(error.is_transient(), "{status} {error}");
    }
}

#[tokio::test]
async fn a_list_may_be_at_another_address_of_the_registry() {
    let (fake, image) = with_image().await;
    let ours = attach(&mut fake.store(), &image, BUNDLE);
    fake.store().intercept(move |asked, _| match &asked.path[..] {
        "/list" => Some(index(std::slice::from_ref(&ours))),
        path => path.contains("/referrers/").then(|| built(307, &[("location", "/list")], Vec::new())),
    });
    let found = registry(&fake).referrers(&repository(), &image.digest).await.expect("a list");
    assert!(found.native && found.manifests.len() == 1);
}

#[tokio::test]
async fn a_web_page_is_no_manifest_and_no_occupant() {
    let (fake, image) = with_image().await;
    attach_both(&fake, &image).await;
    fake.always(Method::GET, "/manifests/sha256-", || {
        built(200, &[("content-type", "text/html; charset=utf-8")], b"<html>down for maintenance".to_vec())
    });
    let registry = registry(&fake);
    for error in [
        registry.look_for_bundles(&repository(), &image.digest, SIGNING).await.map(drop).expect_err("not read"),
        registry.look_for_legacy(&repository(), &image.digest, SIGNING).await.map(drop).expect_err("not read"),
    ] {
        assert!(error.is_transient(), "{error}");
    }
}
