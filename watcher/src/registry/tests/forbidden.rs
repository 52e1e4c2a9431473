//! Registries that say 403 for a tag that is absent, and where that may be believed.

use bundle::legacy::LegacySignature;
use bundle::oci::referrer_manifest;
use http::Method;

use super::fake::{built, json};
use super::*;

const DENIED: &str = r#"{"errors":[{"code":"DENIED","message":"The client does not have permission for manifest"}]}"#;

/// Says 403 for each tag of signatures and referrers that is not there.
fn forbid_absent_tags(fake: &Fake) {
    fake.store().intercept(|asked, store| {
        let tag = asked.path.strip_prefix("/v2/team/app/manifests/")?;
        let asks = asked.method == Method::GET || asked.method == Method::HEAD;
        (asks && !tag.starts_with("sha256:") && !store.tags.contains_key(tag)).then(|| json(403, DENIED))
    });
}

fn signature() -> LegacySignature {
    LegacySignature::new(br#"{"critical":{}}"#.to_vec(), b"signature")
}

async fn attach(fake: &Fake, image: &Descriptor, history: TagHistory) -> [Result<Attached, RegistryError>; 2] {
    let registry = registry(fake);
    let manifest = referrer_manifest(image, b"{}", "2026-11-21T00:00:00Z");
    [
        registry.attach_bundle(&repository(), image, b"{}", &manifest, history).await,
        registry.attach_legacy(&repository(), &image.digest, &signature(), history).await,
    ]
}

#[tokio::test]
async fn a_403_is_an_absence_where_nothing_was_written_and_all_else_can_be_read() {
    let (fake, image) = with_image().await;
    forbid_absent_tags(&fake);
    let reading = Reading::ForSigning(TagHistory::NeverWritten);
    let registry = registry(&fake);
    let bundles = registry.look_for_bundles(&repository(), &image.digest, reading).await.expect("an answer");
    let legacy = registry.look_for_legacy(&repository(), &image.digest, reading).await.expect("an answer");
    assert!(bundles.found.is_empty() && bundles.unread.is_empty() && legacy.found.is_empty());
    for attached in attach(&fake, &image, TagHistory::NeverWritten).await {
        attached.expect("attached");
    }
    assert_eq!(registry.bundles(&repository(), &image.digest).await.expect("bundles").len(), 1);
    assert_eq!(registry.legacy_signatures(&repository(), &image.digest).await.expect("signatures").len(), 1);
}

#[tokio::test]
async fn a_403_stays_a_refusal_where_the_ledger_knows_of_a_signature() {
    let (fake, image) = with_image().await;
    forbid_absent_tags(&fake);
    for attached in attach(&fake, &image, TagHistory::Unknown).await {
        assert!(matches!(attached, Err(RegistryError::Denied { .. })), "{attached:?}");
    }
    let registry = registry(&fake);
    let looked = registry.look_for_legacy(&repository(), &image.digest, Reading::ForVerifying).await;
    assert_eq!(looked.expect("an answer").unread.len(), 1, "a verifier has no ledger");
    // An ordinary tag is never absent by a 403.
    let resolved = registry.resolve(&repository(), &tag("v2")).await;
    assert!(matches!(resolved, Err(RegistryError::Denied { .. })), "{resolved:?}");
    assert_eq!(fake.store().tags.len(), 1);
}

#[tokio::test]
async fn a_403_stays_an_error_where_anything_else_is_closed_or_the_tag_is_listed() {
    /// Closes one more thing: what is asked for, and how it is answered.
    fn close(fake: &Fake, part: &'static str, status: u16) {
        fake.store().intercept_first(move |asked, _| {
            (asked.method == Method::GET && asked.path.contains(part)).then(|| json(status, DENIED))
        });
    }
    for (part, status, transient) in [
        ("/tags/list", 403, false),
        ("/tags/list", 404, false),
        ("/tags/list", 503, true),
        ("/manifests/sha256:", 403, false),
        ("/manifests/sha256:", 404, false),
        ("/manifests/sha256:", 500, true),
    ] {
        let (fake, image) = with_image().await;
        forbid_absent_tags(&fake);
        close(&fake, part, status);
        let reading = Reading::ForSigning(TagHistory::NeverWritten);
        let error = registry(&fake).look_for_legacy(&repository(), &image.digest, reading).await.expect_err("closed");
        assert_eq!(error.is_transient(), transient, "{part} {status} {error}");
    }
    // The tag is in the list: it is there, and closed to us.
    let (fake, image) = with_image().await;
    let name = Tag::legacy_signature(&image.digest).to_string();
    fake.store().put_tag(&name, media_type::IMAGE_MANIFEST, &super::image("theirs"));
    close(&fake, ".sig", 403);
    let tags = fake.store().tags.clone();
    let [_, attached] = attach(&fake, &image, TagHistory::NeverWritten).await;
    assert!(matches!(attached, Err(RegistryError::Denied { .. })), "{attached:?}");
    assert_eq!(fake.store().tags.get(&name), tags.get(&name));
}

#[tokio::test]
async fn a_403_of_what_stands_before_the_registry_is_no_absence() {
    let (fake, image) = with_image().await;
    fake.store().intercept(|asked, _| {
        let asks = asked.method == Method::GET && asked.path.contains("/manifests/sha256-");
        asks.then(|| built(403, &[("content-type", "text/html")], b"<html>blocked by policy".to_vec()))
    });
    for attached in attach(&fake, &image, TagHistory::NeverWritten).await {
        assert!(matches!(attached, Err(RegistryError::Denied { .. })), "{attached:?}");
    }
}
