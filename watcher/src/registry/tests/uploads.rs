//! Uploads that are redirected, and manifests whose types a registry refuses.

use bundle::legacy::LegacySignature;
use bundle::oci::{Manifest, referrer_manifest};
use http::Method;

use super::fake::{built, empty, json};
use super::*;

fn signature(name: &str) -> LegacySignature {
    LegacySignature::new(br#"{"critical":{}}"#.to_vec(), name.as_bytes())
}

async fn attach(registry: &Registry, image: &Descriptor) -> Result<Attached, RegistryError> {
    let manifest = referrer_manifest(image, b"{\"b\":1}", "2026-11-21T00:00:00Z");
    registry.attach_bundle(&repository(), image, b"{\"b\":1}", &manifest, TagHistory::Unknown).await
}

fn with_password(fake: &Fake) -> RegistryConfig {
    let auth = Auth::Basic { username: "ci".to_owned(), password: "s3cret".into() };
    RegistryConfig { auth, ..config(fake) }
}

#[tokio::test]
async fn an_upload_is_followed_within_the_registry_with_its_body_and_credentials() {
    for status in [307, 308] {
        let (fake, image) = with_image().await;
        // Each address has moved: where the upload begins, where its bytes go, and the manifests.
        fake.store().intercept(move |asked, _| {
            let moved = match (&asked.method, &asked.path[..]) {
                (_, path) if path.contains("moved=1") => return None,
                (&Method::POST, path) => format!("{path}?moved=1"),
                (&Method::PUT, path) if path.contains("/uploads/") => format!("{path}&moved=1"),
                (&Method::PUT, path) if path.contains("/manifests/") => format!("{path}?moved=1"),
                _ => return None,
            };
            Some(built(status, &[("location", &moved)], Vec::new()))
        });
        // The fake reads the digest at the end of an upload's query.
        fake.store().intercept(|asked, store| {
            let (path, query) = asked.path.split_once('?')?;
            if !query.contains("moved=1") {
                return None;
            }
            if asked.method == Method::PUT && path.contains("/uploads/") {
                store.put_blob(&asked.body);
                return Some(empty(201));
            }
            if asked.method == Method::PUT {
                let reference = path.rsplit('/').next().expect("a reference");
                match reference.starts_with("sha256:") {
                    true => store.put(media_type::IMAGE_MANIFEST, &asked.body),
                    false => store.put_tag(reference, media_type::IMAGE_INDEX, &asked.body),
                };
                return Some(empty(201));
            }
            (asked.method == Method::POST)
                .then(|| built(202, &[("location", "/v2/team/app/blobs/uploads/1?state=a%2Fb")], Vec::new()))
        });
        let registry = client(with_password(&fake));
        attach(&registry, &image).await.expect("attached");
        assert_eq!(registry.bundles(&repository(), &image.digest).await.expect("bundles"), [b"{\"b\":1}".to_vec()]);
        let asked = fake.store().asked.clone();
        let moved: Vec<_> = asked.iter().filter(|asked| asked.path.contains("moved=1")).collect();
        assert!(moved.len() >= 6, "{}", moved.len());
        assert!(moved.iter().all(|asked| asked.authorization.is_some()));
    }
}

#[tokio::test]
async fn an_upload_follows_to_named_storage_without_credentials_and_nowhere_else() {
    for phase in [Method::POST, Method::PUT] {
        let (fake, image) = with_image().await;
        let storage = Fake::start().await;
        storage.store().intercept(|asked, _| {
            Some(match asked.method {
                Method::POST => built(202, &[("location", "/up/1?x=y")], Vec::new()),
                _ => empty(201),
            })
        });
        let location = format!("http://{}/up/2", storage.host());
        let when = phase.clone();
        fake.store().intercept(move |asked, _| {
            let hit = asked.method == when && asked.path.contains("/blobs/uploads/");
            hit.then(|| built(307, &[("location", &location)], Vec::new()))
        });
        let mut config = with_password(&fake);
        let error = attach(&client(config.clone()), &image).await.expect_err("not named");
        assert!(matches!(error, RegistryError::ForbiddenTarget { .. }), "{phase} {error}");
        assert!(!error.is_transient() && error.to_string().contains("blob_hosts"), "{error}");
        assert!(storage.store().asked.is_empty());
        config.blob_hosts = vec![storage.host()];
        attach(&client(config), &image).await.expect("attached");
        let asked = storage.store().asked.clone();
        assert!(!asked.is_empty());
        assert!(asked.iter().all(|asked| asked.authorization.is_none()), "{phase}");
        assert!(asked.iter().any(|asked| asked.method == Method::PUT && asked.body == b"{\"b\":1}"), "{phase}");
    }
}

#[tokio::test]
async fn redirects_that_would_lose_the_body_or_go_in_circles_are_errors() {
    for (status, location, transient) in [(302, "/v2/x", false), (303, "/v2/x", false), (307, "", false)] {
        let (fake, image) = with_image().await;
        fake.store().intercept(move |asked, _| {
            let here = asked.path.clone();
            let to = if location.is_empty() { &here } else { location };
            (asked.method == Method::POST).then(|| built(status, &[("location", to)], Vec::new()))
        });
        let error = attach(&registry(&fake), &image).await.expect_err("no upload");
        assert_eq!(error.is_transient(), transient, "{status} {error}");
        assert!(fake.store().count(&Method::POST, "") <= 4);
    }
}

#[tokio::test]
async fn a_blob_that_head_redirects_within_the_registry_is_pushed_all_the_same() {
    let (fake, image) = with_image().await;
    fake.always(Method::HEAD, "/blobs/", || built(307, &[("location", "/v2/real/app/blobs/x")], Vec::new()));
    attach(&registry(&fake), &image).await.expect("attached");
    assert_eq!(fake.store().count(&Method::POST, "/blobs/uploads/"), 2);
    for status in [401, 403, 404, 405, 400, 416] {
        let (fake, image) = with_image().await;
        // A 401 is a challenge first of all.
        fake.always(Method::HEAD, "/blobs/", move || empty(if status == 401 { 405 } else { status }));
        attach(&registry(&fake), &image).await.expect("attached");
    }
}

#[tokio::test]
async fn a_registry_without_oci_types_is_given_dockers_and_reads_back() {
    for (status, code, message) in [
        (415, "", ""),
        (400, "MANIFEST_INVALID", "manifest invalid"),
        (404, "UNSUPPORTED", "The operation is unsupported"),
        (400, "BAD_REQUEST", "unsupported media type application/vnd.oci.image.manifest.v1+json"),
        (422, "UNPROCESSABLE", "unknown mediaType"),
    ] {
        let (fake, image) = with_image().await;
        let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] }).to_string();
        fake.store().intercept(move |asked, _| {
            let oci = asked.headers.get("content-type").is_some_and(|t| t == media_type::IMAGE_MANIFEST);
            (asked.method == Method::PUT && oci).then(|| json(status, &body))
        });
        let registry = registry(&fake);
        for name in ["first", "second"] {
            registry
                .attach_legacy(&repository(), &image.digest, &signature(name), TagHistory::Unknown)
                .await
                .unwrap_or_else(|error| panic!("{status} {code} {name}: {error}"));
        }
        let found = registry.legacy_signatures(&repository(), &image.digest).await.expect("signatures");
        assert_eq!(found.len(), 2, "{status} {code}");
        let tag = Tag::legacy_signature(&image.digest);
        let store = fake.store();
        let manifest = Manifest::parse(store.tagged(tag.as_str()).expect("it"), None).expect("a manifest");
        assert_eq!(manifest.media_type, media_type::DOCKER_MANIFEST);
        assert_eq!(manifest.config.expect("a config").media_type, "application/vnd.docker.container.image.v1+json");
        assert!(manifest.layers.iter().all(|layer| layer.media_type == media_type::SIMPLE_SIGNING));
    }
}

#[tokio::test]
async fn a_refusal_that_is_not_about_types_is_said_as_it_was() {
    let (fake, image) = with_image().await;
    let mut refused = 0;
    fake.store().intercept(move |asked, _| {
        (asked.method == Method::PUT && asked.path.ends_with(".sig")).then(|| {
            refused += 1;
            let body = format!(r#"{{"errors":[{{"code":"MANIFEST_INVALID","message":"try {refused}"}}]}}"#);
            json(400, &body)
        })
    });
    let error = registry(&fake)
        .attach_legacy(&repository(), &image.digest, &signature("a"), TagHistory::Unknown)
        .await
        .expect_err("refused");
    assert!(error.to_string().contains("try 1"), "{error}");
    assert_eq!(fake.store().count(&Method::PUT, ".sig"), 2);
    for (status, code) in [(400, "TAG_INVALID"), (403, "DENIED"), (500, "UNKNOWN"), (413, "SIZE_INVALID")] {
        let (fake, image) = with_image().await;
        let body = format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#);
        fake.always(Method::PUT, ".sig", move || json(status, &body));
        let attached =
            registry(&fake).attach_legacy(&repository(), &image.digest, &signature("a"), TagHistory::Unknown).await;
        attached.expect_err("refused");
        assert_eq!(fake.store().count(&Method::PUT, ".sig"), 1, "{status}");
    }
}
