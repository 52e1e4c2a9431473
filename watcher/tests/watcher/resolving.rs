//! An event is only a wake-up: what the registry says now is what counts.

use serde_json::json;

use crate::stage::{Options, Stage};

async fn quiet(tags: Vec<&'static str>) -> Stage {
    Stage::start(Options { webhooks: false, tags, ..Options::default() }).await
}

async fn reasons(stage: &Stage, repository: &str) -> Vec<(String, String)> {
    let name = stage.name(repository);
    let skips = stage.store.skips_for(&name.registry, &name.repository, 100).await.expect("skips");
    skips.into_iter().map(|skip| (skip.reason, skip.detail)).collect()
}

#[tokio::test]
async fn when_the_tag_has_moved_on_only_what_it_points_to_now_is_signed() {
    let stage = quiet(vec!["v*"]).await;
    let registry = &stage.world.registry;
    let old = registry.push_image("team/app", "v1", "old").await.expect("a push").digest;
    let new = registry.push_image("team/app", "v1", "new").await.expect("a push").digest;
    stage.tell(json!({"repository": "team/app", "tag": "v1", "digest": old.to_string()})).await;
    stage.settle().await;
    stage.assert_signed_once("team/app", &new, 2);
    assert_eq!(stage.bundles("team/app", &old).len(), 0);
    let reasons = reasons(&stage, "team/app").await;
    assert_eq!(reasons.len(), 1);
    assert_eq!(reasons[0].0, "superseded");
    assert!(reasons[0].1.contains(&new.to_string()), "{reasons:?}");
    assert_eq!(stage.counted("watcher_skips_total", "superseded"), 1);
}

#[tokio::test]
async fn when_the_tag_has_moved_on_another_tag_that_counts_may_vouch_for_the_digest() {
    for (other, signed) in [("v0", true), ("dev", false)] {
        let stage = quiet(vec!["v*"]).await;
        let registry = &stage.world.registry;
        let old = registry.push_image("team/app", "v1", "old").await.expect("a push").digest;
        registry.push_tag("team/app", &old, other).await.expect("a tag");
        let new = registry.push_image("team/app", "v1", "new").await.expect("a push").digest;
        stage.tell(json!({"repository": "team/app", "tag": "v1", "digest": old.to_string()})).await;
        stage.settle().await;
        let size = if signed { 4 } else { 2 };
        stage.assert_signed_once("team/app", &new, size);
        assert_eq!(stage.good_bundles("team/app", &old), usize::from(signed), "by {other}");
    }
}

#[tokio::test]
async fn a_digest_alone_is_signed_only_if_a_tag_that_counts_points_to_it() {
    let stage = quiet(vec!["v*"]).await;
    let registry = &stage.world.registry;
    let tagged = registry.push_image("team/app", "v1", "a").await.expect("a push").digest;
    let other = registry.push_image("team/app", "dev", "b").await.expect("a push").digest;
    let nowhere = bundle::Digest::of(b"nothing");
    for digest in [tagged, other, nowhere] {
        stage.tell(json!({"repository": "team/app", "digest": digest.to_string()})).await;
    }
    stage.settle().await;
    stage.assert_signed_once("team/app", &tagged, 2);
    assert_eq!(stage.bundles("team/app", &other).len(), 0);
    let reasons: Vec<_> = reasons(&stage, "team/app").await.into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, ["untagged", "untagged"]);
}

#[tokio::test]
async fn a_signature_tag_vouches_for_nothing() {
    let stage = quiet(vec![]).await;
    let registry = &stage.world.registry;
    let tag = bundle::Tag::legacy_signature(&bundle::Digest::of(b"x"));
    let digest = registry.push_image("team/app", tag.as_str(), "a").await.expect("a push").digest;
    stage.tell(json!({"repository": "team/app", "digest": digest.to_string()})).await;
    stage.tell(json!({"repository": "team/app", "tag": tag.as_str()})).await;
    stage.settle().await;
    assert_eq!((stage.bundles("team/app", &digest).len(), stage.world.log.size()), (0, 0));
    assert_eq!(stage.counted("watcher_events_total", "signature_tag"), 1);
}

#[tokio::test]
async fn without_a_rule_nothing_is_signed_and_the_reason_is_kept() {
    let stage = quiet(vec!["v*"]).await;
    let registry = &stage.world.registry;
    registry.push_image("team/app", "dev", "a").await.expect("a push");
    registry.push_image("other/app", "v1", "b").await.expect("a push");
    stage.tell(json!({"repository": "team/app", "tag": "dev"})).await;
    stage.tell(json!({"repository": "other/app", "tag": "v1"})).await;
    stage.settle().await;
    assert_eq!(stage.world.log.size(), 0);
    for repository in ["team/app", "other/app"] {
        assert_eq!(reasons(&stage, repository).await[0].0, "no_rule");
    }
}

#[tokio::test]
async fn a_tag_that_the_registry_does_not_have_is_asked_for_and_then_parked_as_unseen() {
    let stage = quiet(vec!["v*"]).await;
    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    stage.tell(json!({"repository": "team/late", "tag": "v1"})).await;
    assert_eq!(stage.worker.step().await.expect("a step"), watcher::Step::Event);
    assert_eq!(stage.worker.step().await.expect("a step"), watcher::Step::Event);
    let late = stage.world.registry.push_image("team/late", "v1", "a").await.expect("a push").digest;
    stage.settle().await;
    assert!(reasons(&stage, "team/app").await.is_empty(), "an absence is no decision");
    let parked = stage.store.parked(9).await.expect("what is parked");
    assert_eq!((parked.len(), parked[0].because), (1, Some(store::ParkedBecause::Unseen)));
    let open = stage.store.open_conditions(9).await.expect("conditions");
    assert_eq!((open.len(), open[0].cause), (1, store::ConditionCause::UnseenPushes));
    stage.assert_signed_once("team/late", &late, 2);
}

#[tokio::test]
async fn an_event_for_a_registry_that_this_worker_does_not_know_waits_for_one_that_does() {
    let stage = quiet(vec!["v*"]).await;
    let event = store::NewEvent {
        source: "other".to_owned(),
        registry: "registry.example.com".parse().expect("a host"),
        repository: "team/app".parse().expect("a repository"),
        tag: Some("v1".parse().expect("a tag")),
        digest: None,
        received_at: 0,
    };
    stage.store.record_events(&[event]).await.expect("an event");
    stage.settle().await;
    let counts = stage.store.counts().await.expect("counts");
    assert_eq!((counts.events_waiting, counts.events_parked), (0, 1));
    assert_eq!(stage.store.retry_parked(&store::ParkedFilter::default()).await.expect("a retry"), 1);
}
