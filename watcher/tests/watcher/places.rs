//! Registries without a place for one of the two formats, and registries that will not say what is there.

use bundle::oci::Descriptor;
use bundle::{Digest, Tag};
use http::Method;
use sandbox::Fault;
use serde_json::json;
use store::JobState;

use crate::stage::{Options, Stage};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// The job of a digest: its state, and what is said about it.
async fn said(stage: &Stage, digest: Digest) -> (JobState, String) {
    let name = stage.name("team/app");
    let job = stage.store.job(&name.registry, &name.repository, &digest).await.expect("a row").expect("a job");
    let said = [job.reason, job.detail, job.last_error].into_iter().flatten().collect::<Vec<_>>().join(": ");
    (job.state, said)
}

async fn start(referrers_api: bool) -> (Stage, Digest) {
    let stage = Stage::start(Options { webhooks: false, referrers_api, ..Options::default() }).await;
    let pushed = stage.world.registry.push_image("team/app", "v1", "a").await.expect("a push");
    (stage, pushed.digest)
}

#[tokio::test]
async fn an_image_under_our_tag_costs_one_format_and_stays_where_it_is() {
    for takes_bundles_place in [true, false] {
        let (stage, digest) = start(false).await;
        let registry = &stage.world.registry;
        let tag = if takes_bundles_place { Tag::referrers(&digest) } else { Tag::legacy_signature(&digest) };
        let theirs = registry.push_image("team/app", tag.as_str(), "theirs").await.expect("a push").digest;
        stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
        stage.settle().await;
        let (state, said) = said(&stage, digest).await;
        assert_eq!(state, JobState::Parked, "{said}");
        assert!(said.contains(tag.as_str()) && said.contains("stays as it is"), "{said}");
        assert_eq!(registry.resolve("team/app", tag.as_str()), Some(theirs));
        // The other format is there; of this one nothing was signed or logged.
        let signed = (stage.good_bundles("team/app", &digest), stage.legacy("team/app", &digest).1);
        assert_eq!(signed, if takes_bundles_place { (0, 1) } else { (1, 0) });
        assert_eq!((stage.signings(), stage.world.log.size()), (1, 1));
    }
}

#[tokio::test]
async fn junk_under_the_signature_tag_parks_at_once_and_is_kept() {
    let (stage, digest) = start(true).await;
    let tag = Tag::legacy_signature(&digest);
    let registry = &stage.world.registry;
    registry.push_raw_blob("team/app", b"{}".to_vec()).await.expect("a blob");
    let config = Descriptor::of("application/vnd.oci.image.config.v1+json", b"{}");
    let junk = json!({
        "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [], "annotations": {"a": ["b"]},
    });
    let junk = junk.to_string().into_bytes();
    let theirs = registry.push_raw_manifest("team/app", tag.as_str(), IMAGE, junk).await.expect("a push");
    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    stage.settle().await;
    let (state, said) = said(&stage, digest).await;
    assert_eq!(state, JobState::Parked, "{said}");
    assert!(said.contains("no place for a legacy signature"), "{said}");
    assert_eq!(registry.resolve("team/app", tag.as_str()), Some(theirs.digest));
    assert_eq!((stage.good_bundles("team/app", &digest), stage.world.log.size()), (1, 1));
}

#[tokio::test]
async fn a_403_for_a_tag_that_we_never_wrote_is_an_absence_and_later_a_refusal() {
    let (stage, digest) = start(false).await;
    let registry = &stage.world.registry;
    let (legacy, referrers) = (Tag::legacy_signature(&digest), Tag::referrers(&digest));
    // Until each is written: asked twice by the look and twice by the push, once without the ledger's word.
    registry.faults().plan(Method::GET, legacy.as_str(), Fault::Deny, 4);
    registry.faults().plan(Method::GET, referrers.as_str(), Fault::Deny, 4);
    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    stage.settle().await;
    let (state, text) = said(&stage, digest).await;
    assert_eq!(state, JobState::Done, "{text}");
    stage.assert_signed_once("team/app", &digest, 2);
    assert_eq!(registry.faults().remaining(), 0);
    // Now the ledger knows better.
    registry.faults().plan(Method::GET, legacy.as_str(), Fault::Deny, u32::MAX);
    let signings = stage.signings();
    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    stage.settle().await;
    let (state, text) = said(&stage, digest).await;
    assert_eq!(state, JobState::Parked, "{text}");
    assert!(text.contains("DENIED"), "{text}");
    assert_eq!((stage.signings(), stage.world.log.size()), (signings, 2));
}
