//! Tags, manifests and blobs: what is read is what was asked for.

use http::Method;
use outbound::OutboundError;

use super::fake::{built, empty, json};
use super::*;

#[tokio::test]
async fn a_tag_is_resolved_by_its_header_or_by_hashing() {
    let (fake, image) = with_image().await;
    let registry = registry(&fake);
    for says_digest in [true, false] {
        fake.store().says_digest = says_digest;
        let found = registry.resolve(&repository(), &tag("v1")).await.expect("an answer");
        assert_eq!(found, Some(image.digest));
    }
    assert_eq!(fake.store().count(&Method::GET, "/manifests/v1"), 1);
    assert_eq!(registry.resolve(&repository(), &tag("v2")).await.expect("an answer"), None);
    let asked = fake.store().asked.clone();
    let accept = asked[0].headers["accept"].to_str().expect("text");
    assert!(accept.contains("vnd.oci.image.index") && accept.contains("vnd.docker.distribution.manifest.list"));
}

#[tokio::test]
async fn a_registry_without_head_is_asked_with_get() {
    let (fake, image) = with_image().await;
    for status in [400, 403, 404, 405, 406, 410, 418, 500, 501] {
        for by_registry in [true, false] {
            fake.store().clear_interceptors();
            fake.always(Method::HEAD, "/manifests/", move || {
                let headers = [("docker-distribution-api-version", "registry/2.0")];
                built(status, if by_registry { &headers } else { &[] }, Vec::new())
            });
            let registry = registry(&fake);
            let found = registry.resolve(&repository(), &tag("v1")).await.expect("an answer");
            assert_eq!(found, Some(image.digest), "{status}");
            assert!(registry.has_manifest(&repository(), &image.digest).await.expect("an answer"), "{status}");
            // And where it is not there, GET is what says so.
            assert_eq!(registry.resolve(&repository(), &tag("v2")).await.expect("an answer"), None, "{status}");
            let absent = digest_of("absent");
            assert!(!registry.has_manifest(&repository(), &absent).await.expect("an answer"), "{status}");
        }
    }
}

#[tokio::test]
async fn a_head_that_says_to_wait_is_not_followed_by_a_get() {
    for status in [429, 502, 503, 504] {
        let (fake, _) = with_image().await;
        fake.always(Method::HEAD, "/manifests/", move || empty(status));
        let error = registry(&fake).resolve(&repository(), &tag("v1")).await.expect_err("not now");
        assert!(error.is_transient(), "{error}");
        assert_eq!(fake.store().count(&Method::GET, "/manifests/"), 0, "{status}");
    }
}

#[tokio::test]
async fn a_refusal_is_an_error_and_never_an_absence() {
    for (status, headers, transient) in [
        (429, vec![("retry-after", "7")], true),
        (503, vec![("retry-after", "7")], true),
        (500, vec![], true),
        (403, vec![], false),
        (418, vec![], false),
    ] {
        let (fake, image) = with_image().await;
        let wait = headers.first().map(|_| Duration::from_secs(7));
        let answer = headers.clone();
        fake.store().intercept(move |_, _| Some(built(status, &answer, Vec::new())));
        let registry = registry(&fake);
        let errors = [
            registry.resolve(&repository(), &tag("v1")).await.map(drop).expect_err("refused"),
            registry.manifest(&repository(), &image.digest).await.map(drop).expect_err("refused"),
            registry.blob(&repository(), &image.digest, 10).await.map(drop).expect_err("refused"),
            registry.tags(&repository(), 10).await.map(drop).expect_err("refused"),
            registry.referrers(&repository(), &image.digest).await.map(drop).expect_err("refused"),
            registry.bundles(&repository(), &image.digest).await.map(drop).expect_err("refused"),
            registry.legacy_signatures(&repository(), &image.digest).await.map(drop).expect_err("refused"),
        ];
        for error in errors {
            assert_eq!((error.is_transient(), error.retry_after()), (transient, wait), "{status} {error}");
            assert!(error.to_string().contains(&format!("{}/team/app", fake.host())), "{error}");
        }
    }
}

#[tokio::test]
async fn a_manifest_that_is_not_what_its_digest_says_is_refused() {
    let (fake, wanted) = with_image().await;
    let other = image("another");
    fake.store().says_digest = false;
    let lie = (media_type::IMAGE_MANIFEST.to_owned(), other.clone());
    fake.store().manifests.insert(wanted.digest.to_string(), lie);
    let error = registry(&fake).manifest(&repository(), &wanted.digest).await.expect_err("a lie");
    match error {
        RegistryError::DigestMismatch { expected, found, .. } => {
            assert_eq!((expected, found), (wanted.digest, Digest::of(&other)));
        }
        other => panic!("{other}"),
    }
    // By tag nothing was promised but what the header says.
    fake.store().says_digest = true;
    let error = registry(&fake).manifest_by_tag(&repository(), &tag("v1")).await.expect_err("a lie");
    assert!(matches!(error, RegistryError::DigestMismatch { .. }), "{error}");
}

#[tokio::test]
async fn a_manifest_comes_with_its_exact_bytes() {
    let (fake, image) = with_image().await;
    let fetched = registry(&fake).manifest(&repository(), &image.digest).await.expect("an answer").expect("it");
    assert_eq!(fetched.descriptor, image);
    assert_eq!(Digest::of(&fetched.bytes), image.digest);
    assert_eq!(fetched.content_type, media_type::IMAGE_MANIFEST);
    let by_tag = registry(&fake).manifest_by_tag(&repository(), &tag("v1")).await.expect("an answer").expect("it");
    assert_eq!(by_tag.bytes, fetched.bytes);
    let absent = registry(&fake).manifest(&repository(), &digest_of("nothing")).await.expect("an answer");
    assert!(absent.is_none());
}

#[tokio::test]
async fn an_oversized_manifest_is_not_read() {
    let (fake, image) = with_image().await;
    fake.always(Method::GET, "/manifests/", || built(200, &[], vec![b' '; MANIFEST_MAX_BYTES + 1]));
    let error = registry(&fake).manifest(&repository(), &image.digest).await.expect_err("too large");
    let RegistryError::Outbound { source, .. } = &error else { panic!("{error}") };
    assert!(matches!(**source, OutboundError::TooLarge { .. }), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn tags_are_read_page_by_page() {
    let fake = Fake::start().await;
    fake.store().intercept(|asked, _| {
        let page =
            |tags: &str, next: &str| Some(built(200, &[("link", next)], format!(r#"{{"tags":{tags}}}"#).into_bytes()));
        match &asked.path[..] {
            "/v2/team/app/tags/list?n=1000" => page(r#"["a","b"]"#, "</v2/team/app/tags/list?last=b>; rel=\"next\""),
            "/v2/team/app/tags/list?last=b" => page("null", "<list?last=c>; rel=\"next\""),
            "/v2/team/app/tags/list?last=c" => page(r#"["not a tag","d"]"#, "<x>; rel=\"prev\""),
            _ => None,
        }
    });
    let registry = registry(&fake);
    let names = |tags: Vec<Tag>| tags.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(registry.tags(&repository(), 100).await.expect("tags")), ["a", "b", "d"]);
    assert_eq!(names(registry.tags(&repository(), 1).await.expect("tags")), ["a"]);
}

#[tokio::test]
async fn a_next_page_on_another_host_is_an_error_and_not_the_end() {
    let (fake, image) = with_image().await;
    let body = r#"{"schemaVersion":2,"tags":["a"],"manifests":[]}"#;
    fake.store().intercept(move |_, _| {
        let headers = [("link", "<http://evil.example/v2/>; rel=\"next\""), ("content-type", media_type::IMAGE_INDEX)];
        Some(built(200, &headers, body.as_bytes().to_vec()))
    });
    let registry = registry(&fake);
    let tags = registry.tags(&repository(), 100).await.expect_err("unknown rest");
    let list = registry.referrers(&repository(), &image.digest).await.expect_err("unknown rest");
    for error in [tags, list] {
        assert!(matches!(error, RegistryError::Protocol { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_repository_that_does_not_exist_has_no_tags_to_list() {
    let fake = Fake::start().await;
    fake.always(Method::GET, "/tags/list", || json(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#));
    let error = registry(&fake).tags(&repository(), 10).await.expect_err("no repository");
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn a_blob_is_fetched_from_a_storage_that_sees_no_credential() {
    let (fake, storage) = (Fake::start().await, Fake::start().await);
    let content = b"blob".to_vec();
    let digest = Digest::of(&content);
    let served = content.clone();
    storage.store().intercept(move |_, _| Some(built(200, &[], served.clone())));
    let to = format!("http://{}/signed?key=1", storage.host());
    fake.store().intercept(move |asked, _| {
        asked.path.contains("/blobs/").then(|| built(307, &[("location", &to)], Vec::new()))
    });
    let auth = Auth::Basic { username: "ci".to_owned(), password: "s3cret".into() };
    let mut config = RegistryConfig { auth, ..config(&fake) };
    // A storage on a private address must be configured; the error says where.
    let error = client(config.clone()).blob(&repository(), &digest, 10).await.expect_err("not configured");
    assert!(matches!(error, RegistryError::ForbiddenTarget { .. }), "{error}");
    assert!(error.to_string().contains("blob_hosts") && error.to_string().contains(&storage.host()), "{error}");
    assert!(storage.store().asked.is_empty());

    config.blob_hosts = vec![storage.host()];
    let found = client(config.clone()).blob(&repository(), &digest, 10).await.expect("an answer");
    assert_eq!(found.as_deref(), Some(&content[..]));
    assert!(storage.store().asked.iter().all(|asked| asked.authorization.is_none()));
    assert!(fake.store().asked.iter().any(|asked| asked.authorization.is_some()));

    // The registry says that it has it, and its storage does not: that is no absence.
    for status in [401, 403, 404] {
        let broken = Fake::start().await;
        broken.store().intercept(move |_, _| {
            Some(built(status, &[("www-authenticate", "Basic realm=\"give it to me\"")], Vec::new()))
        });
        let to = format!("http://{}/", broken.host());
        let fake = Fake::start().await;
        fake.store().intercept(move |asked, _| {
            asked.path.contains("/blobs/").then(|| built(307, &[("location", &to)], Vec::new()))
        });
        let config =
            RegistryConfig { blob_hosts: vec![broken.host()], auth: config.auth.clone(), ..super::config(&fake) };
        let error = client(config).blob(&repository(), &digest, 10).await.expect_err("broken storage");
        assert!(matches!(error, RegistryError::Unavailable { .. }), "{error}");
        assert!(broken.store().asked.iter().all(|asked| asked.authorization.is_none()));
    }
}

#[tokio::test]
async fn a_blob_that_is_not_what_its_digest_says_is_refused() {
    let fake = Fake::start().await;
    let digest = digest_of("wanted");
    fake.store().blobs.insert(digest.to_string(), b"other".to_vec());
    let error = registry(&fake).blob(&repository(), &digest, 10).await.expect_err("a lie");
    assert!(matches!(error, RegistryError::DigestMismatch { .. }), "{error}");
    assert!(registry(&fake).blob(&repository(), &digest_of("nothing"), 10).await.expect("an answer").is_none());
}

#[test]
fn docker_hub_is_asked_where_its_api_is() {
    let base = |host: &str| {
        let config = RegistryConfig::new(host.parse().expect("a host"));
        Registry::new(config).expect("a client").base.to_string()
    };
    assert_eq!(base("docker.io"), "https://registry-1.docker.io/");
    assert_eq!(base("registry.example.com:5000"), "https://registry.example.com:5000/");
    assert_eq!(base("[::1]:5000"), "https://[::1]:5000/");
}
