//! Logs that lie: each lie is found, with evidence that holds by itself, and the verified position stays where it is.

use sandbox::HeadSignature;
use store::FindingKind;

use crate::rig::{Rig, eventually, foreign, log_with, rogue};

#[tokio::test(flavor = "multi_thread")]
async fn another_root_for_the_same_size_is_a_fork_at_once() {
    let log = log_with(500).await;
    let rig = Rig::following(&log).await;
    let running = rig.start();
    rig.verified(log.origin(), 500).await;
    log.fork_last(rogue(1)).await.expect("a fork");
    let found = rig.finds(FindingKind::Fork).await;
    assert!(rig.evidence_holds(&found).await, "two signed notes convince anybody");
    running.stop().await.expect("a clean end");
    assert_eq!(rig.log(log.origin()).await.verified_size, 500);
    rig.only(&[FindingKind::Fork]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_grew_past_the_known_head_is_inconsistent_at_once() {
    let log = log_with(500).await;
    let rig = Rig::following(&log).await;
    let running = rig.start();
    rig.verified(log.origin(), 500).await;
    let fork = log.fork_at(400).await.expect("a fork");
    fork.extend(foreign(5_000..5_300));
    log.read_from(&fork);
    let found = rig.finds(FindingKind::InconsistentGrowth).await;
    assert!(rig.evidence_holds(&found).await, "a node that is another one in each convinces anybody");
    running.stop().await.expect("a clean end");
    assert_eq!(rig.log(log.origin()).await.verified_size, 500);
    rig.only(&[FindingKind::InconsistentGrowth]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_checkpoint_pages_only_if_it_persists() {
    let log = log_with(500).await;
    let mut rig = Rig::following(&log).await;
    rig.config.timing.rollback_after = std::time::Duration::from_secs(2);
    let running = rig.start();
    rig.verified(log.origin(), 500).await;
    // A replica that lags for a moment.
    log.roll_back(450).await.expect("rolled back");
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    log.be_honest();
    log.extend(foreign(500..600));
    rig.verified(log.origin(), 600).await;
    rig.only(&[]).await;
    // One that stays.
    log.roll_back(450).await.expect("rolled back");
    let found = rig.finds(FindingKind::Rollback).await;
    rig.evidence_holds(&found).await;
    running.stop().await.expect("a clean end");
    assert_eq!(rig.log(log.origin()).await.verified_size, 600);
    rig.only(&[FindingKind::Rollback]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_leaf_under_a_good_root_is_found_and_shown_alone() {
    let log = log_with(3_000).await;
    log.swap_leaf(1_700, rogue(1));
    let rig = Rig::following(&log).await;
    let running = rig.start();
    let found = rig.finds(FindingKind::LeafNotCommitted).await;
    assert!(found.detail.contains("leaf 1700"), "{}", found.detail);
    rig.evidence_holds(&found).await;
    assert_eq!(rig.log(log.origin()).await.verified_size, 1_024, "what is before is verified");
    log.be_honest();
    rig.verified(log.origin(), 3_000).await;
    running.stop().await.expect("a clean end");
    // The leaf that was shown was never believed.
    rig.only(&[FindingKind::LeafNotCommitted]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_that_is_swapped_for_a_moment_is_no_finding() {
    let log = log_with(900).await;
    log.swap_leaf(300, rogue(1));
    let mut rig = Rig::following(&log).await;
    rig.config.timing.confirm_for = std::time::Duration::from_secs(20);
    let running = rig.start();
    eventually("leaves are read", async || rig.log(log.origin()).await.head.is_some()).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(rig.log(log.origin()).await.verified_size, 0);
    log.be_honest();
    rig.verified(log.origin(), 900).await;
    running.stop().await.expect("a clean end");
    rig.only(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missing_for_a_moment_is_forgotten_when_nothing_is_missing() {
    let second = std::time::Duration::from_secs(1);
    let log = log_with(500).await;
    let mut rig = Rig::following(&log).await;
    rig.config.timing.confirm_for = 2 * second;
    let running = rig.start();
    rig.verified(log.origin(), 500).await;
    let old = log.checkpoint();
    let gone = || sandbox::Fault::Refuse { status: http::StatusCode::NOT_FOUND, retry_after: None };
    log.faults().plan(http::Method::GET, "tile/0/", gone(), u32::MAX);
    log.extend(foreign(500..600));
    tokio::time::sleep(second / 2).await;
    // The head before, of which everything is read; for longer than a doubt must last.
    log.serve_checkpoint(Some(old));
    tokio::time::sleep(2 * second).await;
    log.serve_checkpoint(None);
    tokio::time::sleep(second / 2).await;
    rig.only(&[]).await;
    log.faults().clear();
    rig.verified(log.origin(), 600).await;
    running.stop().await.expect("a clean end");
    rig.only(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_omitted_leaf_is_a_missing_one() {
    let log = log_with(900).await;
    log.omit_leaf(300);
    let rig = Rig::following(&log).await;
    let running = rig.start();
    let found = rig.finds(FindingKind::MissingLeaf).await;
    rig.evidence_holds(&found).await;
    running.stop().await.expect("a clean end");
    rig.only(&[FindingKind::MissingLeaf]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_by_another_key_or_for_another_log_is_told_apart() {
    let log = log_with(300).await;
    let rig = Rig::following(&log).await;
    let running = rig.start();
    rig.verified(log.origin(), 300).await;
    log.set_origin(Some("other.sandbox.local"));
    let found = rig.finds(FindingKind::WrongOrigin).await;
    assert!(rig.evidence_holds(&found).await);
    log.be_honest();
    log.set_signature(HeadSignature::Broken);
    log.extend(foreign(300..310));
    let found = rig.finds(FindingKind::BadSignature).await;
    rig.evidence_holds(&found).await;
    log.be_honest();
    rig.verified(log.origin(), 310).await;
    running.stop().await.expect("a clean end");
    rig.only(&[FindingKind::WrongOrigin, FindingKind::BadSignature]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_log_that_grows_is_found_and_still_read() {
    let log = log_with(300).await;
    let rig = Rig::following(&log).await;
    let running = rig.start();
    log.close();
    eventually("it is known to be frozen", async || rig.log(log.origin()).await.frozen_at.is_some()).await;
    log.extend([rogue(1)]);
    let found = rig.finds(FindingKind::FrozenShardGrew).await;
    assert!(rig.evidence_holds(&found).await);
    rig.verified(log.origin(), 301).await;
    rig.finds(FindingKind::KeyUsedOutside).await;
    running.stop().await.expect("a clean end");
    rig.only(&[FindingKind::TrustMaterialChanged, FindingKind::FrozenShardGrew, FindingKind::KeyUsedOutside]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pass_over_a_log_that_lies_ends_with_a_finding() {
    type Lie = fn(&sandbox::SandboxLog);
    let lies: [(Lie, FindingKind); 3] = [
        (|log| log.set_signature(HeadSignature::Stranger), FindingKind::BadSignature),
        (|log| log.swap_leaf(100, rogue(1)), FindingKind::LeafNotCommitted),
        (|log| log.lose_file("tile/entries/000"), FindingKind::MissingLeaf),
    ];
    for (lie, kind) in lies {
        let log = log_with(300).await;
        let rig = Rig::following(&log).await;
        lie(&log);
        let report = rig.monitor().once(None).await.expect("a pass");
        assert!(!report.is_complete() && report.has_findings(), "{kind}: {report:?}");
        assert_eq!((report.logs[0].verified_size, report.logs[0].covered_to), (0, 0), "{kind}");
        rig.only(&[kind]).await;
    }
}
