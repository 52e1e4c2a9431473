//! What a person adopts is ours from then on.

use bundle::{Digest, Format};
use monitor::intents::appended;
use monitor::{From, LogKind, LogSpec, MonitorError};
use sandbox::{Fault, RekorV1Options, SandboxRekorV1};
use store::{FindingKind, FindingState, Intent, JobClass, LedgerKeySeen, LedgerRow};

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

/// Intents of a signer, in the ledger.
async fn intended(rig: &Rig, identity: &str, numbers: std::ops::Range<u64>) -> Vec<LedgerRow> {
    for number in numbers {
        let image = format!("registry.example.com/app@{}", Digest::of(&number.to_be_bytes()));
        let image = image.parse().expect("an image");
        let intent = Intent {
            image,
            identity_name: "release".to_owned(),
            identity: identity.to_owned(),
            public_key_spki: vec![1, 2, 3],
            format: Format::Bundle,
            log_origin: "log.example.com".to_owned(),
            trust_zone: "prod".to_owned(),
            class: JobClass::Push,
            at: 1_000,
        };
        rig.store.intend(&intent).await.expect("intended");
    }
    rig.store.ledger_rows_after(0, 10_000).await.expect("rows").rows
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_that_changed_are_accepted_however_many_there_are() {
    let log = log_with(20).await;
    let rig = Rig::following(&log).await;
    let rows = intended(&rig, &"ab".repeat(32), 0..1_203).await;
    // All but the last were other ones when they were seen.
    let mut seen = rows.clone();
    seen[..1_202].iter_mut().for_each(|row| row.trust_zone = "before".to_owned());
    let links = appended(None, &seen, None, 0, 2_000);
    assert!(rig.store.record_intents_seen(None, &links).await.expect("the store"));
    let running = rig.start();
    crate::rig::eventually("all are told of", async || {
        rig.of_kind(FindingKind::StateLost).await.iter().any(|row| row.occurrences >= 1_202)
    })
    .await;
    running.stop().await.expect("a clean end");
    let [found] = &rig.of_kind(FindingKind::StateLost).await[..] else { panic!("one finding") };
    let adopted = rig.monitor().adopt(found.id, "restored from Tuesday", "ann").await.expect("adopted");
    assert_eq!((adopted.rows, adopted.signatures, adopted.unread.len()), (1_202, 0, 0));
    let running = rig.start();
    rig.verified(log.origin(), 20).await;
    // The ledger is looked through several times meanwhile.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    running.stop().await.expect("a clean end");
    let again = rig.store.finding(found.id).await.expect("the store").expect("a finding");
    assert_eq!(again.state, FindingState::Cleared);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_ledger_lost_is_ended_by_an_act_until_the_ledger_names_another() {
    let log = log_with(20).await;
    let rig = Rig::following(&log).await;
    let spki = b"a key that the ledger named".to_vec();
    let identity = Digest::of(&spki).hex();
    let seen = LedgerKeySeen { spki, identity: identity.clone(), certified: false, seen_at: 1_000, backdated: false };
    rig.store.record_ledger_keys_seen(&[seen]).await.expect("the store");
    let running = rig.start();
    let found = rig.finds(FindingKind::StateLost).await;
    assert!(found.detail.contains("names none"), "{}", found.detail);
    let stands = async || rig.store.finding(found.id).await.expect("the store").expect("a finding");
    rig.monitor().adopt(found.id, "it was never used", "ann").await.expect("adopted");
    let adopted = stands().await;
    assert_eq!(adopted.state, FindingState::Cleared);
    crate::rig::eventually("it is looked at again", async || stands().await.last_seen_at > adopted.last_seen_at).await;
    running.stop().await.expect("a clean end");
    let running = rig.start();
    let before = stands().await.last_seen_at;
    crate::rig::eventually("and after a restart", async || stands().await.last_seen_at > before).await;
    assert_eq!((stands().await.state, stands().await.alerts), (FindingState::Cleared, adopted.alerts));
    // Another state is another matter.
    intended(&rig, &identity, 0..1).await;
    crate::rig::eventually("it is told again", async || stands().await.state == FindingState::Open).await;
    assert!(stands().await.detail.contains("instead"), "{}", stands().await.detail);
    running.stop().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_is_asked_about_a_finding_that_is_about_no_row() {
    let log = SandboxRekorV1::start(RekorV1Options::default()).await.expect("a log");
    let url = log.url().parse().expect("a url");
    let rig = Rig::new(vec![LogSpec::new(log.hostname(), LogKind::RekorV1, url, log.key().clone())]).await;
    // Each question of what was proved before begins with the server's shards.
    log.faults().plan(http::Method::GET, "api/v1/log", Fault::HangUp, 1_000);
    let adopt = async |cause: &str| {
        let found = monitor::finding::state_lost(None, cause, "It is lost.", 1_000);
        let raised = rig.store.raise(&[found], &[]).await.expect("raised").remove(0);
        rig.monitor().adopt(raised.id, "it is known", "ann").await.expect("adopted");
        let ended = rig.store.finding(raised.id).await.expect("the store").expect("a finding");
        assert_eq!(ended.state, FindingState::Cleared, "{cause}");
        log.faults().remaining() < 1_000
    };
    for cause in ["ledger/keys/ab", "ledger/backdated", "ledger/unreadable"] {
        assert!(!adopt(cause).await, "{cause}");
    }
    for cause in ["ledger/changed", "ledger/vanished/7"] {
        assert!(adopt(cause).await, "{cause}");
    }
}
