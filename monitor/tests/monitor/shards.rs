//! Other kinds of logs, and logs that appear, rotate and retire.

use std::sync::{Arc, Mutex};

use bundle::TrustRoot;
use monitor::config::TrustMaterial;
use monitor::{From, LogKind, LogSpec};
use sandbox::{CtOptions, LogOptions, RekorV1Options, SandboxCt, SandboxLog, SandboxRekorV1, leaves};
use store::FindingKind;
use tlog::Hash;

use crate::rig::{OURS, Rig, eventually, foreign, log_with, rogue, spec};

fn v1_leaves(numbers: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    let number = |it: u64| if it % leaves::KEYS == OURS { it + 1 } else { it };
    leaves::many(numbers, |it| leaves::leaf_v1(number(it)))
}

fn v1_rogue(number: u64) -> Vec<u8> {
    leaves::leaf_v1(number * leaves::KEYS + OURS)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rekor_v1_server_is_followed_shard_by_shard_through_a_rotation() {
    let log = SandboxRekorV1::start(RekorV1Options::default()).await.expect("a log");
    log.extend(v1_leaves(0..95));
    log.extend([v1_rogue(1)]);
    let read_url = log.url().parse().expect("a url");
    let v1 = LogSpec {
        requests_per_second: Some(1_000),
        ..LogSpec::new(log.hostname(), LogKind::RekorV1, read_url, log.key().clone())
    };
    let rig = Rig::new(vec![v1]).await;
    let first = log.origin();
    let trusted = rig.trust(log.hostname(), From::Zero).await;
    assert_eq!((trusted.len(), &trusted[0].origin), (1, &first));
    let running = rig.start();
    rig.verified(&first, 96).await;
    // The old shard gets a tail that nobody has read when the new one begins.
    log.rotate([v1_rogue(2), v1_rogue(3)]).expect("rotated");
    let second = log.origin();
    assert_ne!(first, second);
    log.extend(v1_leaves(200..230));
    log.extend([v1_rogue(4)]);
    rig.verified(&first, 98).await;
    eventually("the new shard is followed by itself", async || {
        rig.store.followed_log(&second).await.expect("the store").is_some()
    })
    .await;
    rig.verified(&second, 31).await;
    eventually("each is found", async || rig.of_kind(FindingKind::KeyUsedOutside).await.len() == 4).await;
    eventually("the old shard is closed", async || rig.log(&first).await.frozen_at.is_some()).await;
    running.stop().await.expect("a clean end");
    assert_eq!(rig.log(&second).await.first_size, 0);
    rig.only(&[FindingKind::KeyUsedOutside]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rekor_v1_server_that_is_known_by_its_url_alone_has_the_name_that_its_key_signs() {
    let log = SandboxRekorV1::start(RekorV1Options::default()).await.expect("a log");
    log.extend(v1_leaves(0..30));
    let read_url: url::Url = log.url().parse().expect("a url");
    let host = read_url.host_str().expect("a host").to_owned();
    let v1 = LogSpec {
        announced: true,
        requests_per_second: Some(1_000),
        ..LogSpec::new(&host, LogKind::RekorV1, read_url, log.key().clone())
    };
    assert_ne!(v1.origin, log.hostname());
    let rig = Rig::new(vec![v1.clone()]).await;
    let first = log.origin();
    let trusted = rig.trust(&v1.origin, From::Zero).await;
    assert_eq!(trusted.iter().map(|it| &it.origin).collect::<Vec<_>>(), [&first]);
    // A shard is asked for by the name under which it is followed, too.
    assert_eq!(rig.trust(&first, From::Zero).await.len(), 1);
    let running = rig.start();
    rig.verified(&first, 30).await;
    log.rotate([v1_rogue(2)]).expect("rotated");
    let second = log.origin();
    log.extend([v1_rogue(3)]);
    eventually("the new shard is followed by itself", async || {
        rig.store.followed_log(&second).await.expect("the store").is_some()
    })
    .await;
    rig.verified(&first, 31).await;
    rig.verified(&second, 1).await;
    eventually("each is found", async || rig.of_kind(FindingKind::KeyUsedOutside).await.len() == 2).await;
    eventually("the old shard is closed", async || rig.log(&first).await.frozen_at.is_some()).await;
    running.stop().await.expect("a clean end");
    // Another key for that URL is not another log.
    let other = SandboxRekorV1::start(RekorV1Options::default()).await.expect("a log");
    let mut changed = rig;
    changed.config.material.logs = vec![LogSpec { key: other.key().clone(), ..v1 }];
    let running = changed.start();
    changed.finds(FindingKind::TrustMaterialChanged).await;
    running.stop().await.expect("a clean end");
    assert_eq!(changed.store.followed_logs().await.expect("the store").len(), 2);
}

/// A shard in a list of shards.
fn listed(tree_id: u64, head: &str) -> serde_json::Value {
    let size: u64 = head.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(1);
    serde_json::json!({ "treeID": tree_id.to_string(), "treeSize": size, "signedTreeHead": head, "rootHash": "00" })
}

/// A list of shards.
fn shard_list(active: serde_json::Value, inactive: Vec<serde_json::Value>) -> Option<serde_json::Value> {
    let mut list = active;
    list["inactiveShards"] = inactive.into();
    Some(list)
}

fn v1_spec(log: &SandboxRekorV1) -> LogSpec {
    let read_url = log.url().parse().expect("a url");
    LogSpec {
        requests_per_second: Some(1_000),
        ..LogSpec::new(log.hostname(), LogKind::RekorV1, read_url, log.key().clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_that_a_list_invents_are_not_followed_and_told_of_once() {
    let log = SandboxRekorV1::start(RekorV1Options::default()).await.expect("a log");
    log.extend(v1_leaves(0..20));
    let mut rig = Rig::new(vec![v1_spec(&log)]).await;
    rig.config.timing.blind_after = std::time::Duration::from_millis(300);
    // Neither another server's head nor one for another tree makes a shard.
    let other = SandboxRekorV1::start(RekorV1Options::default()).await.expect("a log");
    let (mine, theirs) = (log.checkpoint(), other.checkpoint());
    let invented: Vec<_> = (2..40).map(|id| listed(id, if id % 2 == 0 { &theirs } else { &mine })).collect();
    log.list_shards(shard_list(listed(log.tree_id(), &mine), invented));
    let trusted = rig.trust(log.hostname(), From::Zero).await;
    assert_eq!(trusted.iter().map(|it| &it.origin).collect::<Vec<_>>(), [&log.origin()]);
    let running = rig.start();
    let told = rig.finds(FindingKind::Blind).await;
    assert!(told.detail.contains("38 shards"), "{}", told.detail);
    running.stop().await.expect("a clean end");
    rig.only(&[FindingKind::Blind]).await;
    assert_eq!((rig.findings().await.len(), rig.store.followed_logs().await.expect("the store").len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_calls_the_active_shard_inactive_silences_nothing() {
    let log = SandboxRekorV1::start(RekorV1Options::default()).await.expect("a log");
    log.extend(v1_leaves(0..20));
    let mut rig = Rig::new(vec![v1_spec(&log)]).await;
    rig.config.timing.stale_after = std::time::Duration::from_secs(2);
    let (first, first_id, first_head) = (log.origin(), log.tree_id(), log.checkpoint());
    rig.trust(log.hostname(), From::Zero).await;
    let running = rig.start();
    rig.verified(&first, 20).await;
    log.rotate(Vec::<Vec<u8>>::new()).expect("rotated");
    let (second, second_id) = (log.origin(), log.tree_id());
    log.extend(v1_leaves(20..40));
    let second_head = log.checkpoint();
    eventually("the first is closed", async || rig.log(&first).await.frozen_at.is_some()).await;
    let stale = async |origin: &str| {
        let found = rig.of_kind(FindingKind::StaleLog).await;
        found.iter().any(|it| it.log_origin.as_deref() == Some(origin) && it.cleared_at.is_none())
    };
    // In its place is one that is not there; then one that is closed.
    let lies = [
        shard_list(listed(7, "nothing"), vec![listed(first_id, &first_head), listed(second_id, &second_head)]),
        shard_list(listed(first_id, &first_head), vec![listed(second_id, &second_head)]),
    ];
    for lie in lies {
        log.list_shards(None);
        log.extend(v1_leaves(40..41));
        eventually("it is fresh", async || !stale(&second).await).await;
        log.list_shards(lie);
        eventually("it is stale", async || stale(&second).await).await;
    }
    assert_eq!(rig.log(&second).await.frozen_at, None);
    running.stop().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_is_listed_twice_is_doubted_as_long_as_any() {
    let log = SandboxRekorV1::start(RekorV1Options::default()).await.expect("a log");
    log.extend(v1_leaves(0..50));
    let old = log.checkpoint();
    log.extend(v1_leaves(50..90));
    let mut rig = Rig::new(vec![v1_spec(&log)]).await;
    rig.config.timing.rollback_after = std::time::Duration::from_secs(1);
    let origin = log.origin();
    rig.trust(log.hostname(), From::Zero).await;
    let running = rig.start();
    rig.verified(&origin, 90).await;
    let twice = || vec![listed(log.tree_id(), &old)];
    log.list_shards(shard_list(listed(log.tree_id(), &old), twice()));
    let found = rig.finds(FindingKind::Rollback).await;
    rig.evidence_holds(&found).await;
    running.stop().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_successor_starts_at_zero_and_the_old_shard_is_read_to_its_end() {
    let old = log_with(700).await;
    let options = LogOptions { origin: "rekor2.sandbox.local".into(), ..LogOptions::default() };
    let new = SandboxLog::start(options).await.expect("a log");
    let mut rig = Rig::following(&old).await;
    let material = Arc::new(Mutex::new(vec![spec(&old)]));
    let named = Arc::clone(&material);
    rig.config.refresh = Some(Arc::new(move || {
        let logs = named.lock().expect("no panic").clone();
        Ok(TrustMaterial { logs, trust: Arc::new(TrustRoot::empty()) })
    }));
    let running = rig.start();
    rig.verified(old.origin(), 700).await;
    // Announced while entries keep arriving in both.
    old.extend(foreign(700..900));
    old.extend([rogue(1)]);
    new.extend(foreign(0..333));
    new.extend([rogue(2)]);
    let closed = LogSpec { closed: true, ..spec(&old) };
    *material.lock().expect("no panic") = vec![closed, LogSpec { announced: true, ..spec(&new) }];
    rig.verified(old.origin(), 901).await;
    eventually("the successor is followed", async || {
        rig.store.followed_log(new.origin()).await.expect("the store").is_some()
    })
    .await;
    rig.verified(new.origin(), 334).await;
    eventually("both are found", async || rig.of_kind(FindingKind::KeyUsedOutside).await.len() == 2).await;
    assert!(!rig.of_kind(FindingKind::TrustMaterialChanged).await.is_empty(), "a change is told");
    eventually("the old one is closed", async || rig.log(old.origin()).await.frozen_at.is_some()).await;
    let closed_at = rig.log(old.origin()).await.frozen_at;
    old.extend(foreign(901..902));
    rig.finds(FindingKind::FrozenShardGrew).await;
    rig.verified(old.origin(), 902).await;
    eventually("it is closed anew", async || rig.log(old.origin()).await.frozen_at > closed_at).await;
    running.stop().await.expect("a clean end");
    for (log, size) in [(&old, 902), (&new, 334)] {
        let stored = rig.log(log.origin()).await;
        assert_eq!((stored.verified_size, Some(Hash::new(stored.verified_root))), (size, log.root(size)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_monitors_that_meet_a_successor_one_begins_it() {
    let old = log_with(10).await;
    let options = LogOptions { origin: "rekor2.sandbox.local".into(), ..LogOptions::default() };
    let new = SandboxLog::start(options).await.expect("a log");
    new.extend(foreign(0..300));
    let rig = Rig::new(vec![spec(&old), LogSpec { announced: true, ..spec(&new) }]).await;
    rig.trust(old.origin(), From::Zero).await;
    let mut other = Rig::new(rig.config.material.logs.clone()).await;
    other.store = Arc::clone(&rig.store);
    other.config.holder = "others".into();
    std::fs::copy(&rig.config.trust_record, &other.config.trust_record).expect("a copy");
    let running = [rig.start(), other.start()];
    eventually("it is followed by itself", async || {
        rig.store.followed_log(new.origin()).await.expect("the store").is_some()
    })
    .await;
    rig.verified(new.origin(), 300).await;
    for running in running {
        running.stop().await.expect("a clean end");
    }
    assert_eq!(rig.store.log_trusts(new.origin()).await.expect("them").len(), 1);
    rig.only(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_says_that_it_is_closed_though_nobody_announced_it_is_told_of() {
    let log = log_with(30).await;
    let rig = Rig::following(&log).await;
    let running = rig.start();
    rig.verified(log.origin(), 30).await;
    rig.only(&[]).await;
    log.close();
    let found = rig.finds(FindingKind::TrustMaterialChanged).await;
    rig.evidence_holds(&found).await;
    eventually("it is closed", async || rig.log(log.origin()).await.frozen_at.is_some()).await;
    running.stop().await.expect("a clean end");
    rig.only(&[FindingKind::TrustMaterialChanged]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_named_no_more_is_read_to_its_end_before_it_is_left() {
    let old = log_with(300).await;
    let options = LogOptions { origin: "rekor2.sandbox.local".into(), ..LogOptions::default() };
    let new = SandboxLog::start(options).await.expect("a log");
    let mut rig = Rig::new(vec![spec(&old), spec(&new)]).await;
    let material = Arc::new(Mutex::new(vec![spec(&old), spec(&new)]));
    let named = Arc::clone(&material);
    rig.config.refresh = Some(Arc::new(move || {
        let logs = named.lock().expect("no panic").clone();
        Ok(TrustMaterial { logs, trust: Arc::new(TrustRoot::empty()) })
    }));
    rig.trust(old.origin(), From::Zero).await;
    rig.trust(new.origin(), From::Zero).await;
    let running = rig.start();
    rig.verified(old.origin(), 300).await;
    // Its last leaves are signed and cannot be read yet when it is dropped.
    let down = sandbox::Fault::Refuse { status: http::StatusCode::SERVICE_UNAVAILABLE, retry_after: None };
    old.faults().plan(http::Method::GET, "tile/entries", down, u32::MAX);
    old.extend(foreign(300..320));
    old.extend([rogue(1)]);
    eventually("they are known", async || {
        let notes = rig.store.notes(old.origin(), 1).await.expect("notes");
        notes.first().is_some_and(|note| note.size == 321)
    })
    .await;
    *material.lock().expect("no panic") = vec![spec(&new)];
    rig.finds(FindingKind::TrustMaterialChanged).await;
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    old.faults().clear();
    rig.verified(old.origin(), 321).await;
    rig.finds(FindingKind::KeyUsedOutside).await;
    eventually("it is left", async || rig.log(old.origin()).await.lease_expires_at.is_none()).await;
    assert!(rig.log(old.origin()).await.frozen_at.is_some());
    running.stop().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_log_is_followed_and_its_lies_are_found() {
    let log = SandboxCt::start(CtOptions { page: 32, ..CtOptions::default() }).await.expect("a log");
    let entries = |numbers: std::ops::Range<u64>| {
        let chain = leaves::authority_chain_der().to_vec();
        for number in numbers {
            log.add_certificate(&leaves::certificate(number), &chain);
        }
    };
    entries(0..150);
    let url: url::Url = log.url().parse().expect("a url");
    let origin = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
    let ct = LogSpec::new(&origin, LogKind::Rfc6962, url, log.key().clone());
    let rig = Rig::new(vec![ct]).await;
    rig.trust(&origin, From::Zero).await;
    let running = rig.start();
    rig.verified(&origin, 150).await;
    log.swap_leaf(155, b"other".to_vec());
    entries(150..160);
    let found = rig.finds(FindingKind::LeafNotCommitted).await;
    rig.evidence_holds(&found).await;
    // The entries come one by one, and are verified up to the one that was swapped.
    assert!((150..=155).contains(&rig.log(&origin).await.verified_size));
    log.be_honest();
    rig.verified(&origin, 160).await;
    running.stop().await.expect("a clean end");
    rig.only(&[FindingKind::LeafNotCommitted]).await;
}
