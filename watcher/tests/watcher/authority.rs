//! What a tag says now is what gives permission, at each step of the work.

use bundle::Digest;
use http::{Method, StatusCode};
use sandbox::Fault;
use serde_json::json;
use store::{JobClass, NewJob, Stage as LedgerStage};
use watcher::Platforms;

use crate::stage::{Moment, Options, Stage};

async fn image(stage: &Stage, tag: &str, seed: &str) -> Digest {
    stage.world.registry.push_image("team/app", tag, seed).await.expect("a push").digest
}

async fn rows(stage: &Stage, digest: &Digest) -> Vec<store::LedgerRow> {
    stage.store.ledger_for(&stage.name("team/app").with_digest(*digest)).await.expect("rows")
}

async fn job(stage: &Stage, digest: &Digest) -> store::JobRow {
    let name = stage.name("team/app");
    stage.store.job(&name.registry, &name.repository, digest).await.expect("a job").expect("a job")
}

fn unsigned(stage: &Stage, digest: &Digest) {
    assert_eq!(stage.bundles("team/app", digest).len(), 0, "referrers of {digest}");
    assert_eq!(stage.legacy("team/app", digest), (0, 0), "legacy signatures of {digest}");
}

fn quiet() -> Options {
    Options { webhooks: false, ..Options::default() }
}

async fn tell(stage: &Stage, tag: &str) {
    assert_eq!(stage.tell(json!({"repository": "team/app", "tag": tag})).await.status, 202);
}

#[tokio::test]
async fn an_old_image_is_not_signed_for_a_tag_that_it_had() {
    let stage = Stage::start(quiet()).await;
    let old = image(&stage, "v1", "old").await;
    // The push is known, and nothing is signed yet, when the tag moves on.
    tell(&stage, "v1").await;
    assert_eq!(stage.worker.step().await.expect("a step"), watcher::Step::Event);
    let new = image(&stage, "v1", "new").await;
    tell(&stage, "v1").await;
    stage.settle().await;
    unsigned(&stage, &old);
    assert!(rows(&stage, &old).await.is_empty(), "not even an intent");
    assert_eq!(job(&stage, &old).await.reason.as_deref(), Some("superseded"));
    stage.assert_signed_once("team/app", &new, 2);
    // A tag that no rule allows wakes the old job, and gives no permission to the tags it had.
    stage.world.registry.push_tag("team/app", &old, "dev-1").await.expect("a tag");
    let name = stage.name("team/app");
    let woken = NewJob {
        registry: name.registry,
        repository: name.repository,
        digest: old,
        tag: Some("dev-1".parse().expect("a tag")),
        class: JobClass::Push,
        pushed_at: None,
    };
    stage.store.enqueue_job(&woken).await.expect("a job");
    stage.settle().await;
    unsigned(&stage, &old);
    assert_eq!(job(&stage, &old).await.reason.as_deref(), Some("superseded"));
    // The tag comes back: now it is signed.
    stage.world.registry.push_tag("team/app", &old, "v2").await.expect("a tag");
    tell(&stage, "v2").await;
    stage.settle().await;
    stage.assert_signed_once("team/app", &old, 4);
}

#[tokio::test]
async fn a_row_in_the_queue_is_no_order_to_sign() {
    let stage = Stage::start(quiet()).await;
    let tagged = image(&stage, "v1", "tagged").await;
    let untagged = image(&stage, "dev", "untagged").await;
    let name = stage.name("team/app");
    for (digest, tag) in [(untagged, None), (untagged, Some("v1")), (tagged, None)] {
        let job = NewJob {
            registry: name.registry.clone(),
            repository: name.repository.clone(),
            digest,
            tag: tag.map(|tag: &str| tag.parse().expect("a tag")),
            class: JobClass::Hand,
            pushed_at: None,
        };
        stage.store.enqueue_job(&job).await.expect("a job");
        stage.settle().await;
    }
    unsigned(&stage, &untagged);
    unsigned(&stage, &tagged);
    assert_eq!(stage.world.log.size(), 0);
    assert_eq!(job(&stage, &tagged).await.reason.as_deref(), Some("untagged"));
    assert_eq!(job(&stage, &untagged).await.reason.as_deref(), Some("superseded"));
}

/// Moves the tag at a moment within the work.
async fn moved_at(moment: Moment) -> (Stage, Digest, Digest) {
    let stage = Stage::start(Options { formats: vec![bundle::Format::Bundle], ..quiet() }).await;
    let old = image(&stage, "v1", "old").await;
    tell(&stage, "v1").await;
    assert_eq!(stage.worker.step().await.expect("a step"), watcher::Step::Event);
    stage.gate.arm(moment);
    let worker = std::sync::Arc::clone(&stage.worker);
    let working = tokio::spawn(async move { worker.step().await });
    stage.gate.reached().await;
    let new = image(&stage, "v1", "new").await;
    stage.gate.go_on();
    working.await.expect("a step").expect("a step");
    // What waits a second because the authority was lost is worked on to its end.
    for _ in 0..150 {
        stage.worker.step().await.expect("a step");
        let row = job(&stage, &old).await;
        if row.state == store::JobState::Skipped {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    (stage, old, new)
}

#[tokio::test]
async fn a_tag_that_moves_after_the_signature_has_it_abandoned_and_never_logged() {
    let (stage, old, _) = moved_at(Moment::Signed).await;
    unsigned(&stage, &old);
    assert_eq!(stage.world.log.size(), 0);
    let rows = rows(&stage, &old).await;
    assert_eq!((rows.len(), rows[0].stage(), rows[0].key_uses), (1, LedgerStage::Abandoned, 1));
    assert!(rows[0].signature.is_some());
    assert_eq!(stage.counted("watcher_signatures_total", "abandoned"), 1);
    // The tag comes back: the next attempt is a row of its own.
    stage.world.registry.push_tag("team/app", &old, "v2").await.expect("a tag");
    tell(&stage, "v2").await;
    stage.settle().await;
    assert_eq!(stage.good_bundles("team/app", &old), 1);
    let rows = self::rows(&stage, &old).await;
    let stages: Vec<_> = rows.iter().map(|row| (row.attempt, row.stage())).collect();
    assert_eq!(stages, [(1, LedgerStage::Abandoned), (2, LedgerStage::Attached)]);
}

#[tokio::test]
async fn a_tag_that_moves_after_the_logs_answer_leaves_the_image_without_a_signature() {
    let (stage, old, _) = moved_at(Moment::Logged).await;
    unsigned(&stage, &old);
    assert_eq!(stage.world.log.size(), 1, "what the log was told is not told again");
    let rows = rows(&stage, &old).await;
    assert_eq!(rows.len(), 1);
    assert!(rows[0].abandoned.is_none() && rows[0].attached_at.is_none(), "{rows:?}");
    // What is in the log is used when the tag comes back.
    stage.world.registry.push_tag("team/app", &old, "v2").await.expect("a tag");
    tell(&stage, "v2").await;
    stage.settle().await;
    assert_eq!((stage.good_bundles("team/app", &old), stage.world.log.size()), (1, 1));
}

#[tokio::test]
async fn what_waited_out_an_outage_is_signed_only_if_its_tag_still_says_so() {
    let stage = Stage::start(quiet()).await;
    let (old, kept) = (image(&stage, "v1", "old").await, image(&stage, "v2", "kept").await);
    stage.world.log.faults().plan(Method::POST, "/", refuse(StatusCode::SERVICE_UNAVAILABLE), 1_000);
    tell(&stage, "v1").await;
    tell(&stage, "v2").await;
    for _ in 0..40 {
        stage.worker.step().await.expect("a step");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(rows(&stage, &old).await.iter().all(|row| row.stage() == LedgerStage::Signed));
    image(&stage, "v1", "new").await;
    stage.world.log.faults().clear();
    stage.store.retry_parked(&store::ParkedFilter::default()).await.expect("a retry");
    stage.release().await;
    stage.settle().await;
    stage.assert_signed_once("team/app", &kept, 2);
    unsigned(&stage, &old);
    assert!(rows(&stage, &old).await.iter().all(|row| row.stage() == LedgerStage::Abandoned));
}

#[tokio::test]
async fn the_children_of_an_index_lose_their_permission_with_its_tag() {
    let stage = Stage::start(Options { platforms: Platforms::All, ..quiet() }).await;
    let index = stage.world.registry.push_index("team/app", "v1", "a").await.expect("a push");
    tell(&stage, "v1").await;
    // The event, then the index itself: its children are queued.
    for _ in 0..2 {
        stage.worker.step().await.expect("a step");
    }
    assert_eq!(stage.good_bundles("team/app", &index.digest), 1);
    image(&stage, "v1", "another").await;
    stage.settle().await;
    for child in &index.children {
        unsigned(&stage, child);
        assert_eq!(job(&stage, child).await.reason.as_deref(), Some("superseded"));
    }
    // Under another tag that counts they are signed.
    stage.world.registry.push_tag("team/app", &index.digest, "v7").await.expect("a tag");
    tell(&stage, "v7").await;
    stage.settle().await;
    for child in &index.children {
        assert_eq!(stage.good_bundles("team/app", child), 1);
    }
}

#[tokio::test]
async fn a_registry_that_cannot_be_asked_about_a_tag_has_not_said_no() {
    let stage = Stage::start(quiet()).await;
    let digest = image(&stage, "v1", "a").await;
    tell(&stage, "v1").await;
    stage.worker.step().await.expect("a step");
    let fault = refuse(StatusCode::BAD_GATEWAY);
    stage.world.registry.faults().plan(Method::HEAD, "/manifests/v1", fault, 2);
    stage.settle().await;
    stage.assert_signed_once("team/app", &digest, 2);
}

#[tokio::test]
async fn the_parts_of_an_index_cost_no_look_at_the_tags() {
    let patience = std::time::Duration::from_secs(2);
    let stage = Stage::start(Options { index_patience: patience, ..Options::default() }).await;
    let index = stage.world.registry.push_index("team/app", "v1", "a").await.expect("a push");
    stage.settle().await;
    stage.assert_signed_once("team/app", &index.digest, 2);
    assert!(stage.counted("watcher_skips_total", "listed_by_index") >= 1);
    assert_eq!(stage.counted("watcher_skips_total", "untagged"), 0);
}

#[tokio::test]
async fn an_incomplete_look_at_the_tags_is_no_answer() {
    let stage = Stage::start(Options { max_tags: 10, ..quiet() }).await;
    let mut last = None;
    for number in 0..12 {
        last = Some(image(&stage, &format!("v{number:02}"), &format!("seed {number}")).await);
    }
    let digest = last.expect("a digest").to_string();
    stage.tell(json!({"repository": "team/app", "digest": digest})).await;
    stage.settle().await;
    let parked = stage.store.parked(9).await.expect("what is parked");
    assert_eq!(parked.len(), 1, "{parked:?}");
    assert!(parked[0].last_error.contains("more than the 10 tags"), "{parked:?}");
    let name = stage.name("team/app");
    assert!(stage.store.skips_for(&name.registry, &name.repository, 9).await.expect("skips").is_empty());
}

#[tokio::test]
async fn a_tag_that_cannot_be_asked_about_holds_up_no_other() {
    let stage = Stage::start(quiet()).await;
    let digest = image(&stage, "v1", "a").await;
    let other = image(&stage, "v2", "b").await;
    stage.world.registry.push_tag("team/app", &digest, "main").await.expect("a tag");
    for tag in ["main", "v2"] {
        let path = format!("/manifests/{tag}");
        stage.world.registry.faults().plan(Method::HEAD, &path, refuse(StatusCode::FORBIDDEN), u32::MAX);
        stage.world.registry.faults().plan(Method::GET, &path, refuse(StatusCode::FORBIDDEN), u32::MAX);
    }
    let name = stage.name("team/app");
    for (digest, tag) in [(digest, "v1"), (digest, "main"), (other, "v2")] {
        let job = NewJob {
            registry: name.registry.clone(),
            repository: name.repository.clone(),
            digest,
            tag: Some(tag.parse().expect("a tag")),
            class: JobClass::Push,
            pushed_at: None,
        };
        stage.store.enqueue_job(&job).await.expect("a job");
    }
    stage.settle().await;
    assert_eq!(stage.good_bundles("team/app", &digest), 1);
    // Where no other tag vouches it is not signed, and not skipped either: that is no "no".
    unsigned(&stage, &other);
    assert_eq!(job(&stage, &other).await.state, store::JobState::Parked);
}

fn refuse(status: StatusCode) -> Fault {
    Fault::Refuse { status, retry_after: None }
}
