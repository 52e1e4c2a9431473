//! What a person adopts is ours from then on.

use monitor::{From, MonitorError};
use store::{FindingKind, FindingState};

use crate::rig::{Rig, foreign, log_with, rogue};

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_signature_pages_nobody_any_more_and_others_do() {
    let log = log_with(20).await;
    log.extend([rogue(1)]);
    let rig = Rig::following(&log).await;
    let running = rig.start();
    let found = rig.finds(FindingKind::KeyUsedOutside).await;
    let adopted = rig.monitor().adopt(found.id, "the signer ran without its ledger", "ann").await.expect("adopted");
    assert_eq!((adopted.signatures, adopted.rows, adopted.unread.len()), (1, 0, 0));
    let again = rig.store.finding(found.id).await.expect("the store").expect("a finding");
    assert_eq!(again.state, FindingState::Cleared);
    let refused = rig.monitor().adopt(found.id, "twice", "ann").await.expect_err("it is over");
    assert!(matches!(refused, MonitorError::NotAdopted { .. }), "{refused}");

    // A copy of it, and the use of the key that nobody adopted.
    log.extend([rogue(1)]);
    log.extend([rogue(2)]);
    log.extend(foreign(30..40));
    rig.verified(log.origin(), 33).await;
    crate::rig::eventually("the other one is found", async || {
        rig.of_kind(FindingKind::KeyUsedOutside).await.len() == 2
    })
    .await;
    // All of it is read again.
    running.stop().await.expect("a clean end");
    rig.trust(log.origin(), From::Zero).await;
    let running = rig.start();
    rig.verified(log.origin(), 33).await;
    crate::rig::eventually("nothing waits", async || rig.store.suspects_waiting().await.expect("the store") == 0).await;
    running.stop().await.expect("a clean end");
    let found = rig.of_kind(FindingKind::KeyUsedOutside).await;
    let open: Vec<_> = found.iter().filter(|row| row.state == FindingState::Open).collect();
    let ([_, _], [open]) = (&found[..], &open[..]) else { panic!("{found:?}") };
    assert!(open.detail.contains("Entry 22 "), "{}", open.detail);
    let counted = rig.store.counted_leaves().await.expect("the store");
    assert!(counted.iter().any(|(reason, leaves)| reason == "adopted" && *leaves >= 1), "{counted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_signature_of_ours_cannot_be_adopted() {
    let log = log_with(20).await;
    let rig = Rig::following(&log).await;
    let running = rig.start();
    rig.verified(log.origin(), 20).await;
    log.fork_last(b"another entry".to_vec()).await.expect("a fork");
    let found = rig.finds(FindingKind::Fork).await;
    running.stop().await.expect("a clean end");
    let refused = rig.monitor().adopt(found.id, "it is fine", "ann").await.expect_err("a lie of the log");
    assert!(refused.to_string().contains("shows nothing that could be ours"), "{refused}");
    let unknown = rig.monitor().adopt(99, "it is fine", "ann").await.expect_err("not there");
    assert!(unknown.to_string().contains("there is no such finding"), "{unknown}");
}
