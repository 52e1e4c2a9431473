//! One pass says clean only where it has looked at everything.

use std::time::Duration;

use bundle::{Digest, EntryProof, Format, ImageReference, LogEntry};
use monitor::LogSpec;
use monitor::watchlist::{WatchKind, WatchMode, WatchRule};
use sandbox::{SandboxLog, SandboxWitness, WitnessOptions};
use store::{
    FindingKind, FindingState, Intent, JobClass, NewObservation, RecordedEntry, RecordedSignature, Severity, Sink,
};
use tlog::{Hash, WitnessPolicy};

use crate::rig::{Rig, eventually, foreign, log_with, spec};

/// What a log answers about one of its leaves, with a head of this root.
fn answer(log: &SandboxLog, index: u64, root: Hash) -> LogEntry {
    let size = log.size();
    LogEntry {
        log_index: index,
        log_id: log.key_id(),
        kind: "hashedrekord".to_owned(),
        version: "0.0.2".to_owned(),
        integrated_time: None,
        set: None,
        proof: Some(EntryProof {
            log_index: index,
            root,
            size,
            hashes: log.inclusion(index, size).expect("a proof"),
            checkpoint: log.sign_checkpoint(size, &root),
        }),
        body: log.entry(index).expect("a leaf"),
    }
}

/// An entry of a row that the signer wrote.
async fn record(rig: &Rig, number: u32, log: &SandboxLog) {
    record_before(rig, number, log, 0).await;
}

/// One that is so many milliseconds old.
async fn record_before(rig: &Rig, number: u32, log: &SandboxLog, age: i64) {
    let image: ImageReference =
        format!("registry.example.com/app@{}", Digest::of(&number.to_be_bytes())).parse().expect("an image");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let at = i64::try_from(now.as_millis()).expect("fits");
    let row = rig
        .store
        .intend(&Intent {
            image,
            identity_name: "release".to_owned(),
            identity: "ab".repeat(32),
            public_key_spki: vec![1, 2, 3],
            format: Format::Bundle,
            log_origin: log.origin().to_owned(),
            trust_zone: "prod".to_owned(),
            class: JobClass::Push,
            at,
        })
        .await
        .expect("a row");
    let signature = RecordedSignature {
        payload: vec![1],
        signed_digest: vec![2; 32],
        signature: number.to_be_bytes().to_vec(),
        at,
    };
    rig.store.record_signature(row.id, &signature).await.expect("recorded");
    let entry = answer(log, u64::from(number), log.root(log.size()).expect("a root"));
    let recorded = RecordedEntry {
        log_origin: log.origin().to_owned(),
        log_index: entry.log_index,
        leaf_hash: *entry.leaf_hash().as_bytes(),
        entry_json: entry.to_json(),
        at: at - age,
    };
    rig.store.record_entry(row.id, &recorded).await.expect("recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_witnesses_or_new_heads_and_a_watch_that_never_matched_are_not_clean() {
    let log = log_with(10).await;
    let witness = SandboxWitness::start(WitnessOptions::default()).await.expect("a witness");
    let policy = format!("witness w {}\ngroup all all w\nquorum all\n", witness.vkey());
    let policy = WitnessPolicy::parse(&policy).expect("a policy");
    let mut rig = Rig::new(vec![LogSpec { witnesses: Some(policy), ..spec(&log) }]).await;
    rig.config.timing.stale_after = Duration::from_millis(200);
    rig.config.timing.never_matched_after = Duration::from_millis(200);
    rig.config.watches.push(WatchRule {
        name: "nobody".into(),
        kind: WatchKind::Key { spki: vec![9], retired: false, label: "nobody".into() },
        mode: WatchMode::Alert,
    });
    rig.trust(log.origin(), monitor::From::Zero).await;
    let report = rig.monitor().once(None).await.expect("a pass");
    assert!(report.is_complete() && report.has_findings(), "{report:?}");
    assert_eq!(rig.of_kind(FindingKind::WitnessQuorumLost).await.len(), 1);

    tokio::time::sleep(Duration::from_millis(250)).await;
    let report = rig.monitor().once(None).await.expect("a pass");
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(rig.of_kind(FindingKind::StaleLog).await.len(), 1);
    assert!(!rig.of_kind(FindingKind::MatcherNeverMatched).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_ours_that_no_log_was_asked_about_is_not_clean() {
    let (log, other) = (log_with(10).await, log_with(5).await);
    let rig = Rig::following(&log).await;
    record(&rig, 1, &log).await;
    let report = rig.monitor().once(None).await.expect("a pass");
    assert!(report.is_complete() && !report.has_findings(), "{report:?}");
    assert_eq!(report.compared.entries_proved, 1);
    // A log that is not read here, and whose key nobody named.
    record(&rig, 2, &other).await;
    for _ in 0..2 {
        let report = rig.monitor().once(None).await.expect("a pass");
        assert!(!report.is_complete() && !report.has_findings(), "{report:?}");
        assert_eq!((report.compared.entries_proved, report.compared.entries_elsewhere), (0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_an_earlier_pass_could_not_ask_about_for_hours_is_not_clean() {
    let (log, other) = (log_with(10).await, log_with(5).await);
    let rig = Rig::following(&log).await;
    record_before(&rig, 2, &other, 8 * 3_600_000).await;
    for _ in 0..3 {
        let report = rig.monitor().once(None).await.expect("a pass");
        assert!(!report.is_complete(), "{report:?}");
        assert_eq!((report.compared.entries_proved, report.compared.entries_elsewhere), (0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_met_in_registries_is_looked_at_and_not_only_the_first_of_it() {
    let log = log_with(10).await;
    let rig = Rig::following(&log).await;
    let observe = async |number: u32, entry_json: Vec<u8>| {
        let observation = NewObservation {
            source: "worker".to_owned(),
            log_id: log.key_id(),
            entry_json,
            image: None,
            at: i64::from(number),
        };
        rig.store.record_observation(&observation).await.expect("recorded");
    };
    for number in 0..500 {
        observe(number, format!("[{number}]").into_bytes()).await;
    }
    // What the log's key has signed for somebody else.
    observe(500, answer(&log, 3, Hash::new([7; 32])).to_json()).await;
    log.extend(foreign(10..20));
    let report = rig.monitor().once(None).await.expect("a pass");
    assert!(report.has_findings(), "{report:?}");
    rig.only(&[FindingKind::SplitView]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_with_another_configuration_leaves_the_alerts_and_watches_of_the_monitor_beside_it_alone() {
    let log = log_with(10).await;
    let rig = Rig::following(&log).await;
    let pager = Sink { name: "pager".into(), min_severity: Severity::Info };
    let found = monitor::finding::matcher_never_matched("a watch of the other one", 0, 1);
    rig.store.raise(&[found], &[pager]).await.expect("raised");
    let waiting = async || rig.store.outbox_counts().await.expect("counts").iter().map(|it| it.waiting).sum::<u64>();
    assert_eq!(waiting().await, 1);
    rig.monitor().once(None).await.expect("a pass");
    assert_eq!(waiting().await, 1);
    assert_eq!(rig.of_kind(FindingKind::MatcherNeverMatched).await[0].state, FindingState::Open);
    // Whoever stays has the last word on who is told.
    let running = rig.start();
    eventually("the alert is forgotten", async || waiting().await == 0).await;
    running.stop().await.expect("a clean end");
}
