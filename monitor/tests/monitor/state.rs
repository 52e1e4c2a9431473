//! What is remembered, and what happens when it is not.

use monitor::{From, MonitorError};
use store::FindingKind;

use crate::rig::{Rig, eventually, foreign, log_with, spec};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_followed_before_it_is_trusted() {
    let log = log_with(10).await;
    let rig = Rig::new(vec![spec(&log)]).await;
    let refused = rig.start().ended().await.expect_err("not trusted");
    assert!(matches!(&refused, MonitorError::Untrusted { origins } if *origins == [log.origin()]), "{refused}");
    let unknown = rig.monitor().trust("other.test", From::Zero, "a test", "tests").await.expect_err("not named");
    assert!(unknown.to_string().contains(log.origin()), "{unknown}");
    // The log serves other leaves than it signed: it is not trusted by mistake.
    log.swap_leaf(9, b"other".to_vec());
    let lied = rig.monitor().trust(log.origin(), From::Now, "a test", "tests").await.expect_err("not under its root");
    assert!(lied.to_string().contains("root"), "{lied}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_is_lost_state_until_it_is_trusted_anew() {
    let log = log_with(300).await;
    let rig = Rig::following(&log).await;
    let running = rig.start();
    rig.verified(log.origin(), 300).await;
    running.stop().await.expect("a clean end");

    // The same trust record, and an empty database.
    let mut wiped = Rig::new(vec![spec(&log)]).await;
    wiped.config.trust_record = rig.config.trust_record.clone();
    let refused = wiped.start().ended().await.expect_err("state is lost");
    assert!(matches!(refused, MonitorError::StateLost { .. }), "{refused}");
    let once = wiped.monitor().once(None).await.expect_err("state is lost");
    assert!(once.to_string().contains("logs trust"), "{once}");
    let found = wiped.finds(FindingKind::StateLost).await;
    wiped.evidence_holds(&found).await;

    wiped.trust(log.origin(), From::Zero).await;
    let running = wiped.start();
    wiped.verified(log.origin(), 300).await;
    running.stop().await.expect("a clean end");
    assert_eq!(wiped.findings().await.len(), 1);
    assert!(wiped.findings().await[0].cleared_at.is_some(), "accepted by an explicit act");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trust_record_that_is_gone_is_told_once_and_ends_by_an_act_of_trust() {
    let log = log_with(300).await;
    let rig = Rig::following(&log).await;
    assert!(rig.monitor().once(None).await.expect("a pass").is_complete());
    assert!(rig.findings().await.is_empty(), "a first start is no loss");

    std::fs::remove_file(&rig.config.trust_record).expect("there was one");
    for _ in 0..2 {
        assert!(rig.monitor().once(None).await.expect("a pass").is_complete(), "it is followed all the same");
    }
    let found = rig.finds(FindingKind::StateLost).await;
    assert_eq!((found.severity, found.occurrences, found.alerts), (store::Severity::Warning, 1, 1));
    assert!(rig.config.trust_record.exists(), "written anew");
    rig.trust(log.origin(), From::Zero).await;
    assert!(rig.findings().await[0].cleared_at.is_some(), "accepted by an explicit act");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_read_again_beside_a_running_monitor_is_not_lost_state() {
    let log = log_with(300).await;
    let rig = Rig::following(&log).await;
    let running = rig.start();
    rig.verified(log.origin(), 300).await;
    // By another process, which writes the same record.
    rig.trust(log.origin(), From::Again).await;
    crate::rig::eventually("read again", async || {
        let now = rig.log(log.origin()).await;
        now.verified_at.is_some() && now.verified_size == 300
    })
    .await;
    running.stop().await.expect("a clean end");
    rig.only(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_trusted_anew_beside_a_running_monitor_is_followed_on() {
    let log = log_with(300).await;
    let rig = Rig::following(&log).await;
    let running = rig.start();
    rig.verified(log.origin(), 300).await;
    // Another process, with the same database and record: from here on a smaller position is right.
    let before = rig.log(log.origin()).await.trusted_at;
    rig.trust(log.origin(), From::Zero).await;
    log.extend(foreign(300..320));
    rig.verified(log.origin(), 320).await;
    assert!(rig.log(log.origin()).await.trusted_at > before);
    running.stop().await.expect("a clean end");
    rig.only(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_trusted_anew_on_another_machine_is_followed_and_told_of() {
    let log = log_with(300).await;
    let rig = Rig::following(&log).await;
    let running = rig.start();
    rig.verified(log.origin(), 300).await;
    running.stop().await.expect("a clean end");
    // The other machine: the same database, and a record of its own.
    let record = rig.config.trust_record.with_extension("elsewhere");
    let mut elsewhere = rig.config.clone();
    elsewhere.trust_record = record;
    let other = monitor::Monitor::new(elsewhere, rig.store.clone(), &prometheus::Registry::new()).expect("a monitor");
    other.trust(log.origin(), From::Zero, "read again", "ann@elsewhere").await.expect("trusted");
    let running = rig.start();
    let found = rig.finds(FindingKind::StateLost).await;
    assert!(found.detail.contains("ann@elsewhere, because read again"), "{}", found.detail);
    assert_eq!(found.severity, store::Severity::Warning);
    rig.verified(log.origin(), 300).await;
    running.stop().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_no_more_keeps_no_monitor_from_its_start() {
    let (log, old) =
        (log_with(30).await, sandbox::LogOptions { origin: "old.sandbox.local".into(), ..Default::default() });
    let old = sandbox::SandboxLog::start(old).await.expect("a log");
    let rig = Rig::new(vec![spec(&log), spec(&old)]).await;
    rig.trust(old.origin(), From::Zero).await;
    // A new database; the record has a log that only an older configuration named.
    let mut renewed = Rig::new(vec![spec(&log)]).await;
    renewed.config.trust_record = rig.config.trust_record.clone();
    renewed.trust(log.origin(), From::Zero).await;
    let running = renewed.start();
    renewed.verified(log.origin(), 30).await;
    running.stop().await.expect("a clean end");
    renewed.only(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_coverage_is_said_in_the_store() {
    let log = log_with(30).await;
    let mut rig = Rig::following(&log).await;
    rig.config.material.logs[0].coverage = monitor::Coverage::OwnEntries;
    let running = rig.start();
    eventually("it says so", async || rig.log(log.origin()).await.coverage == "own_entries").await;
    running.stop().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_went_back_is_lost_state_while_it_runs_too() {
    let log = log_with(300).await;
    let rig = Rig::following(&log).await;
    let running = rig.start();
    rig.verified(log.origin(), 300).await;
    running.stop().await.expect("a clean end");
    let backup = rig.folder.path().join("backup");
    let old = rig.log(log.origin()).await;
    log.extend(foreign(300..600));
    let running = rig.start();
    rig.verified(log.origin(), 600).await;
    running.stop().await.expect("a clean end");

    // As of a backup: the position of before, put there behind the program's back.
    drop(backup);
    let restored = Rig::new(vec![spec(&log)]).await;
    restored
        .store
        .trust_log(&store::NewTrust {
            origin: old.origin.clone(),
            kind: old.kind.clone(),
            key_id: old.key_id,
            public_key: old.public_key.clone(),
            coverage: old.coverage.clone(),
            size: old.verified_size,
            root: old.verified_root,
            range: old.range.clone(),
            note: old.head.clone().map(|head| head.note).unwrap_or_default(),
            keep_head: false,
            because: old.because.clone(),
            by: "tests".into(),
            at: old.trusted_at,
        })
        .await
        .expect("restored");
    let mut config = restored.config.clone();
    config.trust_record = rig.config.trust_record.clone();
    let restored = Rig { config, ..restored };
    let refused = restored.start().ended().await.expect_err("state is lost");
    assert!(refused.to_string().contains("600"), "{refused}");
}
