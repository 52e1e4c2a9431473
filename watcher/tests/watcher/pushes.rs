//! Pushes, from the registry's webhook to the signatures on the image.

use std::time::Duration;

use bundle::Format;
use http::{Method, StatusCode};
use sandbox::Fault;
use serde_json::json;
use store::{JobState, Stage as LedgerStage};
use watcher::Platforms;

use crate::http::raw;
use crate::stage::{Options, Stage};

#[tokio::test]
async fn a_push_becomes_one_signature_of_each_format() {
    for referrers_api in [true, false] {
        let stage = Stage::start(Options { referrers_api, ..Options::default() }).await;
        let pushed = stage.world.registry.push_image("team/app", "v1", "a").await.expect("a push");
        stage.settle().await;
        stage.assert_signed_once("team/app", &pushed.digest, 2);
        // Where the registry has no list of its own, the fallback tag is the list; where it has, there is none.
        let fallback = bundle::Tag::referrers(&pushed.digest);
        assert_eq!(stage.world.registry.resolve("team/app", fallback.as_str()).is_some(), !referrers_api);
        let rows = stage.store.ledger_for(&stage.name("team/app").with_digest(pushed.digest)).await.expect("rows");
        assert_eq!(rows.len(), 2);
        assert!(rows.iter().all(|row| row.stage() == LedgerStage::Attached && !row.adopted), "{rows:?}");
        assert_eq!(stage.counted("watcher_signatures_total", "attached"), 2);
    }
}

#[tokio::test]
async fn an_index_and_an_artifact_are_signed_like_an_image() {
    let stage = Stage::start(Options::default()).await;
    let registry = &stage.world.registry;
    let index = registry.push_index("team/app", "v1", "a").await.expect("a push");
    let artifact =
        registry.push_artifact("team/thing", "v1", "application/vnd.example.thing", "b").await.expect("a push");
    stage.settle().await;
    stage.assert_signed_once("team/app", &index.digest, 4);
    stage.assert_signed_once("team/thing", &artifact.digest, 4);
    for child in &index.children {
        assert_eq!(stage.bundles("team/app", child).len(), 0);
    }
    // Its parts have events of their own, of a digest only: they are known as parts, or no tag points to them.
    let skipped = |reason| stage.counted("watcher_skips_total", reason);
    assert!(skipped("untagged") + skipped("listed_by_index") >= 2);
}

#[tokio::test]
async fn the_children_of_an_index_are_signed_where_the_rule_says_all() {
    let stage = Stage::start(Options { platforms: Platforms::All, ..Options::default() }).await;
    let index = stage.world.registry.push_index("team/app", "v1", "a").await.expect("a push");
    stage.settle().await;
    stage.assert_signed_once("team/app", &index.digest, 6);
    for child in &index.children {
        stage.assert_signed_once("team/app", child, 6);
    }
}

#[tokio::test]
async fn two_hundred_events_at_once_make_one_signature_and_so_do_two_hundred_later() {
    let stage = Stage::start(Options { webhooks: false, ..Options::default() }).await;
    let pushed = stage.world.registry.push_image("team/app", "v1", "a").await.expect("a push");
    let event = json!({"repository": "team/app", "tag": "v1", "digest": pushed.digest.to_string()});
    for _ in 0..2 {
        let tell = (0..200).map(|_| stage.tell(event.clone()));
        let answers = futures_util::future::join_all(tell).await;
        assert!(answers.iter().all(|answer| answer.status == 202));
        stage.run_until_quiet().await;
        stage.assert_signed_once("team/app", &pushed.digest, 2);
    }
    assert_eq!(stage.signings(), 2);
    assert_eq!(stage.counted("watcher_events_total", "accepted"), 400);
    assert_eq!(stage.counted("watcher_signatures_total", "attached"), 2);
}

#[tokio::test]
async fn our_own_signatures_never_trigger_us() {
    for referrers_api in [true, false] {
        let stage = Stage::start(Options { referrers_api, ..Options::default() }).await;
        let mut pushed = Vec::new();
        for seed in 0..50 {
            let repository = format!("team/app{}", seed % 5);
            let tag = format!("v{seed}");
            let image = stage.world.registry.push_image(&repository, &tag, &tag).await.expect("a push");
            pushed.push((repository, image.digest));
        }
        stage.run_until_quiet().await;
        assert_eq!(stage.world.log.size(), 100, "one entry for each image and format");
        for (repository, digest) in &pushed {
            assert_eq!(stage.good_bundles(repository, digest), 1);
            assert_eq!(stage.legacy(repository, digest), (1, 1));
        }
        let counts = stage.store.counts().await.expect("counts");
        assert_eq!(counts.ledger_attached, 100);
        assert_eq!((counts.jobs_done, counts.jobs_parked, counts.events_parked), (50, 0, 0), "{counts:?}");
        // The registry did tell us of each: the bundles' manifests by digest, the legacy images by tag.
        assert_eq!(stage.counted("watcher_skips_total", "own_artifact"), 50);
        assert!(stage.counted("watcher_events_total", "signature_tag") >= 50);
    }
}

#[tokio::test]
async fn a_signature_that_the_registry_lost_is_attached_again_and_not_made_again() {
    let stage = Stage::start(Options::default()).await;
    let registry = &stage.world.registry;
    let pushed = registry.push_image("team/app", "v1", "a").await.expect("a push");
    stage.settle().await;
    let referrers = registry.referrers("team/app", &pushed.digest);
    for gone in [referrers[0].to_string(), bundle::Tag::legacy_signature(&pushed.digest).to_string()] {
        let (addr, path) = (registry.addr(), format!("/v2/team/app/manifests/{gone}"));
        let request = format!("DELETE {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
        assert_eq!(raw(addr, request.as_bytes()).await.status, 202, "{gone}");
    }
    assert_eq!(stage.bundles("team/app", &pushed.digest).len(), 0);
    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    stage.settle().await;
    stage.assert_signed_once("team/app", &pushed.digest, 2);
    assert_eq!(registry.referrers("team/app", &pushed.digest), referrers, "the very same manifest");
    assert_eq!(stage.signings(), 2);
    assert_eq!(stage.counted("watcher_signatures_total", "attached_again"), 2);
}

#[tokio::test]
async fn a_registry_that_cannot_be_asked_is_asked_again_and_never_taken_for_a_no() {
    let stage = Stage::start(Options { webhooks: false, ..Options::default() }).await;
    let pushed = stage.world.registry.push_image("team/app", "v1", "a").await.expect("a push");
    let fault = Fault::Refuse { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: None };
    let faults = stage.world.registry.faults();
    faults.plan(Method::GET, "/referrers/", fault, 1000);
    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    stage.settle().await;
    let name = stage.name("team/app");
    let job = stage.store.job(&name.registry, &name.repository, &pushed.digest).await.expect("a row").expect("a job");
    assert_eq!(job.state, JobState::Parked, "{job:?}");
    assert!(job.last_error.as_deref().is_some_and(|error| error.contains("503")), "{job:?}");
    // The legacy format needs no referrers and is there; the bundle was never made.
    assert_eq!((stage.world.log.size(), stage.legacy("team/app", &pushed.digest)), (1, (1, 1)));

    faults.clear();
    assert_eq!(stage.store.retry_parked(&store::ParkedFilter::default()).await.expect("retried"), 1);
    stage.settle().await;
    stage.assert_signed_once("team/app", &pushed.digest, 2);
}

#[tokio::test]
async fn a_try_that_failed_halfway_goes_on_where_it_was() {
    let stage = Stage::start(Options { webhooks: false, ..Options::default() }).await;
    let pushed = stage.world.registry.push_image("team/app", "v1", "a").await.expect("a push");
    let refuse = |status| Fault::Refuse { status, retry_after: None };
    let (registry, log) = (stage.world.registry.faults(), stage.world.log.faults());
    registry.plan(Method::PUT, "/manifests/", refuse(StatusCode::INTERNAL_SERVER_ERROR), 1);
    registry.plan(Method::PUT, ".sig", Fault::LoseAnswer, 1);
    log.plan(Method::POST, "/entries", Fault::LoseAnswer, 1);
    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    stage.settle().await;
    stage.assert_signed_once("team/app", &pushed.digest, 2);
    assert_eq!(registry.remaining() + log.remaining(), 0, "every fault was met");
    assert_eq!(stage.signings(), 2);
}

#[tokio::test]
async fn an_entry_that_the_log_forgot_is_ours_under_its_second_index() {
    let stage = Stage::start(Options { webhooks: false, formats: vec![Format::Bundle], ..Options::default() }).await;
    let pushed = stage.world.registry.push_image("team/app", "v1", "a").await.expect("a push");
    // The log takes the entry, its answer is lost, and then it answers nobody.
    let refuse = Fault::Refuse { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: None };
    stage.world.log.faults().plan(Method::POST, "/entries", Fault::LoseAnswer, 1);
    stage.world.log.faults().plan(Method::POST, "/entries", refuse, 20);
    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    while stage.world.log.size() == 0 || stage.store.counts().await.expect("counts").events_waiting > 0 {
        stage.worker.step().await.expect("a step");
    }
    for foreign in 0..300u32 {
        stage.world.log.append(format!("foreign {foreign}").into_bytes()).await;
    }
    stage.world.log.faults().clear();
    stage.store.retry_parked(&store::ParkedFilter::default()).await.expect("retried");
    stage.settle().await;
    assert_eq!(stage.good_bundles("team/app", &pushed.digest), 1);
    let rows = stage.store.ledger_for(&stage.name("team/app").with_digest(pushed.digest)).await.expect("rows");
    let entries = stage.store.entries(rows[0].id).await.expect("entries");
    let indexes: Vec<_> = entries.iter().map(|entry| entry.log_index).collect();
    assert_eq!(indexes, [301]);
    assert_eq!(stage.world.log.entry(0), stage.world.log.entry(301), "the same leaf twice");
}

#[tokio::test]
async fn an_immutable_signature_tag_parks_the_job_with_a_clear_line_and_holds_up_nothing_else() {
    let stage = Stage::start(Options { webhooks: false, ..Options::default() }).await;
    let registry = &stage.world.registry;
    let pushed = registry.push_image("team/app", "v1", "a").await.expect("a push");
    // Somebody's signature is there, and may not be added to.
    let tag = bundle::Tag::legacy_signature(&pushed.digest);
    let theirs = bundle::legacy::LegacySignature::new(b"{}".to_vec(), b"another key's");
    let image = bundle::legacy::legacy_image(None, None, &theirs).expect("an image");
    for blob in [image.payload, image.config] {
        registry.push_raw_blob("team/app", blob).await.expect("a blob");
    }
    let other = registry.push_raw_manifest("team/app", tag.as_str(), &image.media_type, image.manifest).await;
    let other = other.expect("a push");
    registry.set_immutable_tags(true);
    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    stage.settle().await;
    let name = stage.name("team/app");
    let job = stage.store.job(&name.registry, &name.repository, &pushed.digest).await.expect("a row").expect("a job");
    assert_eq!(job.state, JobState::Parked);
    assert!(job.last_error.as_deref().is_some_and(|error| error.contains("immutable")), "{job:?}");
    assert_eq!(stage.good_bundles("team/app", &pushed.digest), 1);
    assert_eq!(registry.resolve("team/app", tag.as_str()), Some(other.digest));
    assert_eq!(stage.counted("watcher_registry_errors_total", "immutable_tag"), 1);
}

#[tokio::test]
async fn an_event_while_its_digest_is_worked_on_makes_it_run_again() {
    let stage = Stage::start(Options { webhooks: false, ..Options::default() }).await;
    let pushed = stage.world.registry.push_image("team/app", "v1", "a").await.expect("a push");
    let event = json!({"repository": "team/app", "tag": "v1"});
    stage.tell(event.clone()).await;
    let job = loop {
        stage.worker.step().await.expect("a step");
        if let Some(job) = stage.store.lease_job(60_000).await.expect("a lease") {
            break job;
        }
    };
    // Leased elsewhere; the event must not be lost.
    stage.tell(event).await;
    while stage.store.counts().await.expect("counts").events_waiting > 0 {
        stage.worker.step().await.expect("a step");
    }
    let finished = stage.store.finish_job(&job, &store::JobOutcome::Signed).await.expect("finished");
    assert_eq!(finished, store::FinishedJob::WokenAgain);
    stage.settle().await;
    stage.assert_signed_once("team/app", &pushed.digest, 2);
}

#[tokio::test]
async fn a_worker_that_dies_anywhere_leaves_one_signature_of_each_format_and_no_more() {
    for cut in 0..12u64 {
        let lease = Duration::from_millis(400);
        let stage = Stage::start(Options { webhooks: false, lease, ..Options::default() }).await;
        let pushed = stage.world.registry.push_image("team/app", "v1", "a").await.expect("a push");
        stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
        // Dropped wherever it happens to be; its lease ends by itself, and another goes on.
        let dying = async {
            loop {
                stage.worker.step().await.expect("a step");
            }
        };
        let _: Result<(), _> = tokio::time::timeout(Duration::from_millis(cut * 13), dying).await;
        let done = async {
            while stage.store.counts().await.expect("counts").jobs_done == 0 {
                stage.worker.step().await.expect("a step");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), done).await.is_err() {
            let name = stage.name("team/app");
            let job = stage.store.job(&name.registry, &name.repository, &pushed.digest).await;
            panic!("nobody finishes it after {cut}: {:?} {job:?}", stage.store.counts().await);
        }
        stage.assert_signed_once("team/app", &pushed.digest, 2);
    }
}
