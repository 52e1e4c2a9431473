//! Listing referrers, and opening what they are.

use bundle::oci::referrer_manifest;
use http::Method;

use super::fake::{Store, built, empty, index, json};
use super::*;

const CREATED: &str = "2026-11-21T00:00:00Z";

/// Stores a bundle and its referrer, and returns the referrer's descriptor.
pub(super) fn attach(store: &mut Store, subject: &Descriptor, bundle: &[u8]) -> Descriptor {
    store.put_blob(bundle);
    let manifest = referrer_manifest(subject, bundle, CREATED);
    store.put(media_type::IMAGE_MANIFEST, &manifest);
    Descriptor::of(media_type::IMAGE_MANIFEST, &manifest)
}

/// What the referrers tag of a subject holds, written by somebody.
fn write_fallback(store: &mut Store, subject: &Digest, descriptors: &[String]) {
    let body = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{}]}}"#,
        media_type::IMAGE_INDEX,
        descriptors.join(",")
    );
    store.put_tag(Tag::referrers(subject).as_str(), media_type::IMAGE_INDEX, body.as_bytes());
}

#[tokio::test]
async fn a_registry_with_the_api_is_asked_by_the_api() {
    let (fake, image) = with_image().await;
    fake.store().referrers_api = true;
    let ours = attach(&mut fake.store(), &image, b"{}1");
    let found = registry(&fake).referrers(&repository(), &image.digest).await.expect("a list");
    assert!(found.native);
    assert_eq!(found.manifests.iter().map(|d| d.digest).collect::<Vec<_>>(), [ours.digest]);
    let bundles = registry(&fake).bundles(&repository(), &image.digest).await.expect("bundles");
    assert_eq!(bundles, [b"{}1".to_vec()]);
    // A server-side filter would hide referrers whose descriptor has a wrong type.
    assert!(fake.store().asked.iter().all(|asked| !asked.path.contains("artifactType")));
}

#[tokio::test]
async fn every_way_to_say_that_there_is_no_api_leads_to_the_tag() {
    let html: fn() -> axum::response::Response = || built(200, &[("content-type", "text/html")], b"<html>".to_vec());
    // Other readers take only the exact type for the API's answer, so what they read is the tag.
    fn typed(content_type: &str) -> axum::response::Response {
        let body = br#"{"schemaVersion":2,"manifests":[]}"#.to_vec();
        built(200, &[("content-type", content_type)], body)
    }
    let answers: [fn() -> axum::response::Response; 11] = [
        || empty(404),
        || empty(400),
        || empty(405),
        || empty(406),
        || empty(501),
        html,
        || typed("application/json"),
        || typed("application/vnd.docker.distribution.manifest.list.v2+json"),
        || typed("application/vnd.oci.image.index.v1+json; charset=utf-8"),
        || typed("Application/vnd.oci.image.index.v1+json"),
        || built(200, &[], br#"{"schemaVersion":2,"manifests":[]}"#.to_vec()),
    ];
    for answer in answers {
        let (fake, image) = with_image().await;
        fake.always(Method::GET, "/referrers/", answer);
        let none = registry(&fake).referrers(&repository(), &image.digest).await.expect("a list");
        assert!(!none.native && none.manifests.is_empty());
        let ours = attach(&mut fake.store(), &image, b"{}");
        let listed = serde_json::to_string(&ours).expect("JSON");
        write_fallback(&mut fake.store(), &image.digest, &[listed]);
        let found = registry(&fake).referrers(&repository(), &image.digest).await.expect("a list");
        assert_eq!((found.native, found.manifests), (false, vec![ours]));
        let manifest = referrer_manifest(&image, b"{\"new\":1}", CREATED);
        let attached =
            registry(&fake).attach_bundle(&repository(), &image, b"{\"new\":1}", &manifest, TagHistory::Unknown).await;
        assert!(attached.expect("attached").fallback_tag_written);
    }
}

#[tokio::test]
async fn could_not_ask_is_never_a_no() {
    for part in ["/referrers/", "/manifests/sha256-"] {
        for status in [401, 403, 429, 500, 502, 503] {
            let (fake, image) = with_image().await;
            let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"retry-after: 1.5s, allowed: 9/minute"}]}"#;
            fake.always(Method::GET, part, move || json(status, body));
            let error = registry(&fake).bundles(&repository(), &image.digest).await.expect_err("not asked");
            assert_eq!(error.is_transient(), status >= 429, "{error}");
            if status >= 429 {
                assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)), "{error}");
            }
        }
    }
    // An index that says that it is one, and is junk.
    let (fake, image) = with_image().await;
    fake.always(Method::GET, "/referrers/", || {
        built(200, &[("content-type", media_type::IMAGE_INDEX)], b"<html>".to_vec())
    });
    let error = registry(&fake).bundles(&repository(), &image.digest).await.expect_err("not asked");
    assert!(matches!(error, RegistryError::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn referrers_are_read_page_by_page_and_a_failing_page_fails_them_all() {
    let (fake, image) = with_image().await;
    let one = attach(&mut fake.store(), &image, b"{}1");
    let two = attach(&mut fake.store(), &image, b"{}2");
    let (first, second) = (one.clone(), two.clone());
    fake.store().intercept(move |asked, _| {
        let (_, query) = asked.path.split_once("/referrers/")?;
        Some(if query.contains("page=2") {
            index(std::slice::from_ref(&second))
        } else {
            let mut answer = index(std::slice::from_ref(&first));
            let next = format!("<{}?page=2>; rel=\"next\"", asked.path);
            answer.headers_mut().insert("link", next.parse().expect("a header"));
            answer
        })
    });
    let found = registry(&fake).referrers(&repository(), &image.digest).await.expect("a list");
    assert_eq!(found.manifests, [one, two]);
    assert_eq!(fake.store().count(&Method::GET, "page=2"), 1);

    let (fake, image) = with_image().await;
    fake.store().intercept(move |asked, _| {
        let (_, query) = asked.path.split_once("/referrers/")?;
        // On a later page 404 no longer means that there is no API.
        if query.contains("page=2") {
            return Some(json(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#));
        }
        let mut answer = index(&[]);
        answer.headers_mut().insert("link", "<?page=2>; rel=next".parse().expect("a header"));
        Some(answer)
    });
    let error = registry(&fake).referrers(&repository(), &image.digest).await.expect_err("half a list");
    assert!(matches!(error, RegistryError::Refused { status: 404, .. }), "{error}");
}

#[tokio::test]
async fn junk_among_the_referrers_hides_and_fakes_nothing() {
    let (fake, image) = with_image().await;
    let other = Descriptor::of(media_type::IMAGE_MANIFEST, &super::image("other"));
    let ours = attach(&mut fake.store(), &image, b"{\"ours\":1}");
    let json = |d: &Descriptor| serde_json::to_string(d).expect("JSON");
    let listed = {
        let mut store = fake.store();
        // A referrer of another digest, listed here; and one without any subject.
        let foreign = attach(&mut store, &other, b"{\"foreign\":1}");
        let orphan = super::image("orphan");
        store.put(media_type::IMAGE_MANIFEST, &orphan);
        let orphan = Descriptor::of(media_type::IMAGE_MANIFEST, &orphan);
        // Not a manifest at all, under a digest that is right.
        let junk = b"not json".to_vec();
        store.put(media_type::IMAGE_MANIFEST, &junk);
        let junk = Descriptor::of(media_type::IMAGE_MANIFEST, &junk);
        // A bundle whose blob is gone, and one that is too large to be one.
        let hollow = attach(&mut store, &image, b"{\"hollow\":1}");
        store.blobs.remove(&digest_of("{\"hollow\":1}").to_string());
        let huge = attach(&mut store, &image, &vec![b'x'; BUNDLE_MAX_BYTES + 1]);
        let gone = Descriptor::of(media_type::IMAGE_MANIFEST, b"gone");
        // Ours has the wrong artifact type, as older libraries write it.
        let mislabelled = Descriptor { artifact_type: Some(media_type::EMPTY.to_owned()), ..ours.clone() };
        vec![
            "17".to_owned(),
            format!(r#"{{"mediaType":"x","size":1,"digest":"sha512:{}"}}"#, "0".repeat(128)),
            json(&Descriptor { artifact_type: Some(media_type::SIGSTORE_BUNDLE.to_owned()), ..gone }),
            json(&foreign),
            json(&orphan),
            json(&junk),
            json(&hollow),
            json(&huge),
            json(&mislabelled),
            json(&mislabelled),
        ]
    };
    write_fallback(&mut fake.store(), &image.digest, &listed);
    let bundles = registry(&fake).bundles(&repository(), &image.digest).await.expect("bundles");
    assert_eq!(bundles, [b"{\"ours\":1}".to_vec()]);
}

#[tokio::test]
async fn a_candidate_that_could_not_be_opened_is_an_error() {
    let (fake, image) = with_image().await;
    fake.store().referrers_api = true;
    let ours = attach(&mut fake.store(), &image, b"{}");
    let path = ours.digest.to_string();
    fake.store().intercept(move |asked, _| asked.path.contains(&path).then(|| empty(503)));
    let error = registry(&fake).bundles(&repository(), &image.digest).await.expect_err("not opened");
    assert!(matches!(error, RegistryError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn more_referrers_than_are_read_is_an_error_and_not_a_shorter_list() {
    let (fake, image) = with_image().await;
    let many = |count: usize| -> Vec<Descriptor> {
        (0..count).map(|i| Descriptor::of(media_type::IMAGE_MANIFEST, i.to_string().as_bytes())).collect()
    };
    for (count, refused) in [(MAX_REFERRERS, false), (MAX_REFERRERS + 1, true)] {
        let listed = many(count);
        fake.store().intercept(move |asked, _| asked.path.contains("/referrers/").then(|| index(&listed)));
        let answer = registry(&fake).referrers(&repository(), &image.digest).await;
        match (&answer, refused) {
            (Ok(list), false) => assert_eq!(list.manifests.len(), count),
            (Err(RegistryError::TooMany { .. }), true) => {}
            other => panic!("{other:?}"),
        }
        // The first interceptor that answers has answered: start over for the next count.
        fake.store().clear_interceptors();
    }
}

#[tokio::test]
async fn an_error_page_that_is_too_large_hides_no_bundle() {
    for (status, transient) in [(500, true), (503, true), (429, true), (403, false)] {
        for part in ["/blobs/", "/manifests/sha256:"] {
            let (fake, image) = with_image().await;
            fake.store().referrers_api = true;
            attach(&mut fake.store(), &image, b"{}");
            fake.always(Method::GET, part, move || built(status, &[], vec![b' '; MANIFEST_MAX_BYTES + 1]));
            let error = registry(&fake).bundles(&repository(), &image.digest).await.expect_err("not read");
            assert_eq!(error.is_transient(), transient, "{status} {part} {error}");
        }
    }
}

#[tokio::test]
async fn bundles_that_are_too_large_together_are_an_error() {
    let (fake, image) = with_image().await;
    fake.store().referrers_api = true;
    let mut bundle = vec![b' '; BUNDLE_MAX_BYTES];
    for number in 0..32 {
        bundle[0] = number;
        attach(&mut fake.store(), &image, &bundle);
    }
    let found = registry(&fake).bundles(&repository(), &image.digest).await.expect("they fit");
    assert_eq!(found.len(), 32);
    attach(&mut fake.store(), &image, b"{}");
    let error = registry(&fake).bundles(&repository(), &image.digest).await.expect_err("one byte too many");
    assert!(matches!(error, RegistryError::TooMany { limit: BUNDLES_MAX_BYTES, .. }), "{error}");
}
