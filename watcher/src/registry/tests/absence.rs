//! A 404 that nothing shows to be a registry's: an ingress while the registry is away.

use bundle::oci::referrer_manifest;
use http::Method;

use super::fake::{built, empty, json};
use super::*;

/// Asks for everything that may be absent; the answers as "is it there".
async fn everything(registry: &Registry, image: &Descriptor) -> [Result<bool, RegistryError>; 7] {
    let (repository, v1) = (repository(), tag("v1"));
    let digest = &image.digest;
    [
        registry.resolve(&repository, &v1).await.map(|found| found.is_some()),
        registry.manifest(&repository, digest).await.map(|found| found.is_some()),
        registry.manifest_by_tag(&repository, &v1).await.map(|found| found.is_some()),
        registry.has_manifest(&repository, digest).await,
        registry.blob(&repository, digest, 1000).await.map(|found| found.is_some()),
        registry.bundles(&repository, digest).await.map(|found| !found.is_empty()),
        registry.legacy_signatures(&repository, digest).await.map(|found| !found.is_empty()),
    ]
}

#[tokio::test]
async fn a_404_of_what_stands_before_the_registry_is_no_absence() {
    for (ping, wait) in [(404, None), (403, None), (302, None), (503, Some(7)), (429, Some(7))] {
        let (fake, image) = with_image().await;
        fake.store().intercept(move |asked, _| {
            let headers: &[_] = if wait.is_some() { &[("retry-after", "7")] } else { &[] };
            Some(match &asked.path[..] {
                "/v2/" => built(ping, headers, Vec::new()),
                _ => built(404, &[("content-type", "text/html")], b"default backend - 404".to_vec()),
            })
        });
        for answer in everything(&registry(&fake), &image).await {
            let error = answer.expect_err("not asked");
            assert!(error.is_transient(), "{ping} {error}");
            assert!(!error.is_about_one_object(), "{ping} {error}");
            assert_eq!(error.retry_after(), wait.map(Duration::from_secs), "{ping} {error}");
        }
    }
}

#[tokio::test]
async fn a_bare_404_is_believed_where_the_registry_is_up() {
    for ping in [200, 401] {
        let (fake, image) = with_image().await;
        fake.store().intercept(move |asked, _| Some(empty(if asked.path == "/v2/" { ping } else { 404 })));
        for answer in everything(&registry(&fake), &image).await {
            assert!(!answer.expect("an answer"));
        }
        // One question each, but for the API and the tag of referrers.
        let pings = fake.store().asked.iter().filter(|asked| asked.path == "/v2/").count();
        assert_eq!(pings, 8);
    }
}

#[tokio::test]
async fn a_404_that_is_the_registrys_own_needs_no_second_question() {
    let (fake, image) = with_image().await;
    fake.store().intercept(|asked, _| {
        Some(match asked.method {
            Method::HEAD => built(404, &[("docker-distribution-api-version", "registry/2.0")], Vec::new()),
            _ => json(404, r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known"}]}"#),
        })
    });
    for answer in everything(&registry(&fake), &image).await {
        assert!(!answer.expect("an answer"));
    }
    assert!(fake.store().asked.iter().all(|asked| asked.path != "/v2/"));
}

#[tokio::test]
async fn the_referrers_are_not_looked_for_under_the_tag_while_the_registry_comes_back() {
    let (fake, image) = with_image().await;
    fake.store().referrers_api = true;
    fake.store().intercept(|asked, _| (asked.path.contains("/referrers/") || asked.path == "/v2/").then(|| empty(404)));
    let error = registry(&fake).bundles(&repository(), &image.digest).await.expect_err("not asked");
    assert!(matches!(error, RegistryError::Unavailable { status: 404, .. }), "{error}");
    assert_eq!(fake.store().count(&Method::GET, "/manifests/"), 0);
}

#[tokio::test]
async fn a_push_that_meets_a_bare_404_is_tried_again_later() {
    for (answer, transient) in [("", true), (r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#, false)] {
        let (fake, image) = with_image().await;
        fake.always(Method::POST, "/blobs/uploads/", move || json(404, answer));
        let manifest = referrer_manifest(&image, b"{}", "2026-11-21T00:00:00Z");
        let error = registry(&fake)
            .attach_bundle(&repository(), &image, b"{}", &manifest, TagHistory::Unknown)
            .await
            .expect_err("no upload");
        assert_eq!(error.is_transient(), transient, "{error}");
    }
}
