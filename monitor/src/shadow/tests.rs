//! Heads and promises that are met in registries.

use bundle::{EntryProof, LogEntry};
use sandbox::{RekorV1Options, SandboxLog, SandboxRekorV1};
use store::{FindingKind, NewObservation, NoteSeen};
use tlog::Hash;

use super::*;
use crate::inclusion::tests::{answer, findings, v1_with_two_shards, verdict};
use crate::reconcile::tests::ground::{DEADLINE, Ground, NOW, UNKNOWN};

async fn observe(ground: &Ground, entry: &LogEntry, at: i64) {
    let observation = NewObservation {
        source: "worker".to_owned(),
        log_id: entry.log_id,
        entry_json: entry.to_json(),
        image: None,
        at,
    };
    ground.store.record_observation(&observation).await.unwrap();
}

async fn grown(ground: &Ground, leaves: u32) -> SandboxLog {
    let log = ground.log("log.example.com").await;
    log.extend((0..leaves).map(|number| format!("{{\"n\":{number}}}").into_bytes()));
    log
}

fn checked(fits: u64, ignored: u64, later: u64, splits: u64) -> Checked {
    Checked { fits, ignored, later, splits, ..Checked::default() }
}

#[tokio::test]
async fn what_is_of_the_followed_tree_fits_and_is_remembered() {
    let mut ground = Ground::new().await;
    let log = grown(&ground, 5).await;
    let then = answer(&log, 2);
    log.extend([b"{}".to_vec(), b"{}".to_vec()]);
    observe(&ground, &then, NOW).await;
    observe(&ground, &answer(&log, 6), NOW).await;
    let forest = [ground.tree(&log).await];
    assert_eq!(ground.side.check_observations(&forest, NOW).await.unwrap(), checked(2, 0, 0, 0));
    assert_eq!(ground.side.check_observations(&forest, NOW).await.unwrap(), checked(0, 0, 0, 0));
    let [note] = &ground.store.note_at(log.origin(), 5).await.unwrap()[..] else { panic!() };
    assert_eq!(note.source, "registry");
    // After a restart nothing is asked again.
    ground.restart();
    log.shutdown();
    assert_eq!(ground.side.check_observations(&forest, NOW).await.unwrap(), checked(2, 0, 0, 0));
}

#[tokio::test]
async fn what_anybody_can_attach_is_ignored() {
    let ground = Ground::new().await;
    let (log, other) = (grown(&ground, 5).await, ground.log("elsewhere.example.com").await);
    other.append(b"{}".to_vec()).await;
    let mut forged = answer(&log, 2);
    forged.proof.as_mut().unwrap().checkpoint = forged.proof.as_ref().unwrap().checkpoint.replacen("\n5\n", "\n6\n", 1);
    let mut unsigned = answer(&log, 3);
    unsigned.proof = None;
    let mut stamped = answer(&log, 3);
    (stamped.set, stamped.integrated_time, stamped.proof) = (Some(vec![0x30, 0]), Some(1), None);
    for entry in [answer(&other, 0), forged, unsigned, stamped] {
        observe(&ground, &entry, NOW).await;
    }
    let junk = NewObservation {
        source: "verify".to_owned(),
        log_id: [0; 32],
        entry_json: b"junk".to_vec(),
        image: None,
        at: NOW,
    };
    ground.store.record_observation(&junk).await.unwrap();
    let forest = [ground.tree_at(&log, NOW + 10 * DEADLINE).await];
    let now = NOW + 10 * DEADLINE;
    assert_eq!(ground.side.check_observations(&forest, now).await.unwrap(), checked(0, 5, 0, 0));
    assert!(findings(&ground).await.is_empty());
}

#[tokio::test]
async fn a_signed_head_of_another_tree_is_a_split_view() {
    for (theirs, ours, attributable) in [
        // The same size; a perfect subtree; a smaller tree that is none.
        (8u64, 8u64, true),
        (4, 9, true),
        (6, 9, false),
    ] {
        let ground = Ground::new().await;
        let log = grown(&ground, 3).await;
        let shadow = log.fork().await.unwrap();
        shadow.extend((3..theirs).map(|number| format!("{{\"shadow\":{number}}}").into_bytes()));
        log.extend((3..ours).map(|number| format!("{{\"n\":{number}}}").into_bytes()));
        observe(&ground, &answer(&shadow, theirs - 1), NOW).await;
        let forest = [ground.tree(&log).await];
        let outcome = ground.side.check_observations(&forest, NOW).await.unwrap();
        assert_eq!(outcome, checked(0, 0, 0, 1), "{theirs} of {ours}");
        let [finding] = &findings(&ground).await[..] else { panic!() };
        assert_eq!(finding.kind, FindingKind::SplitView);
        let verdict = verdict(&ground, finding).await;
        assert!(verdict.holds, "{:?}", verdict.says);
        assert!(verdict.attributable || !attributable, "{:?}", verdict.says);
        // Met again it is the same.
        ground.side.check_observations(&[], NOW).await.unwrap();
        ground.side.check_observations(&forest, NOW).await.unwrap();
        assert_eq!(findings(&ground).await.len(), 1);
    }
}

#[tokio::test]
async fn a_larger_head_is_waited_for_until_the_deadline() {
    let ground = Ground::new().await;
    let log = grown(&ground, 3).await;
    let now_tree = ground.tree(&log).await;
    log.extend([b"{}".to_vec()]);
    observe(&ground, &answer(&log, 3), NOW).await;
    let shadow = log.fork().await.unwrap();
    shadow.extend([b"{\"shadow\":1}".to_vec(), b"{\"shadow\":2}".to_vec()]);
    observe(&ground, &answer(&shadow, 5), NOW).await;
    assert_eq!(ground.side.check_observations(&[now_tree], NOW).await.unwrap(), checked(0, 0, 2, 0));
    let forest = [ground.tree_at(&log, NOW + DEADLINE - 1).await];
    assert_eq!(ground.side.check_observations(&forest, NOW + 2 * DEADLINE).await.unwrap(), checked(1, 0, 1, 0));
    let forest = [ground.tree_at(&log, NOW + DEADLINE).await];
    assert_eq!(ground.side.check_observations(&forest, NOW + 2 * DEADLINE).await.unwrap(), checked(0, 0, 0, 1));
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert_eq!(finding.kind, FindingKind::SplitView);
    assert!(verdict(&ground, finding).await.holds);
}

#[tokio::test]
async fn where_too_many_wait_to_be_told_about_another_go_finds_no_more() {
    let ground = Ground::new().await;
    let log = grown(&ground, 3).await;
    let forest = [ground.tree(&log).await];
    log.extend([b"{}".to_vec()]);
    observe(&ground, &answer(&log, 3), NOW).await;
    assert_eq!(ground.side.check_observations(&forest, NOW).await.unwrap(), checked(0, 0, 1, 0));
    {
        let mut walk = ground.side.walk.lock().unwrap();
        walk.pending = vec![walk.pending[0].clone(); 5_000];
    }
    assert_eq!(ground.side.check_observations(&forest, NOW).await.unwrap(), checked(0, 0, 5_000, 0));
    log.extend([b"{}".to_vec()]);
    observe(&ground, &answer(&log, 4), NOW).await;
    let held_up = Checked { held_up: true, ..checked(0, 0, 5_000, 0) };
    assert_eq!(ground.side.check_observations(&forest, NOW).await.unwrap(), held_up);
    // Where these are told about, it is looked at.
    let later = [ground.tree(&log).await];
    let more = Checked { more: true, ..checked(5_000, 0, 0, 0) };
    assert_eq!(ground.side.check_observations(&later, NOW).await.unwrap(), more);
    assert_eq!(ground.side.check_observations(&later, NOW).await.unwrap(), checked(1, 0, 0, 0));
}

#[tokio::test]
async fn a_tree_that_nobody_announced_is_a_split_view_after_the_trust_material_had_its_time() {
    let ground = Ground::new().await;
    let (log, forest) = v1_with_two_shards(&ground, NOW).await;
    let unknown = log.fork_as(777).await.unwrap();
    let index = unknown.extend([b"{\"apiVersion\":\"0.0.1\",\"kind\":\"x\",\"spec\":1}".to_vec()]).start;
    let json = unknown.entry_json(index).unwrap().to_string();
    let (_, entry) = LogEntry::from_rekor_v1(json.as_bytes()).unwrap();
    observe(&ground, &entry, NOW).await;
    assert_eq!(ground.side.check_observations(&forest, NOW).await.unwrap(), checked(0, 0, 1, 0));
    assert_eq!(ground.side.check_observations(&forest, NOW + UNKNOWN - 1).await.unwrap(), checked(0, 0, 1, 0));
    assert_eq!(ground.side.check_observations(&forest, NOW + UNKNOWN).await.unwrap(), checked(0, 0, 0, 1));
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert!(finding.detail.contains("nobody announced"), "{}", finding.detail);
    assert!(verdict(&ground, finding).await.holds);
}

#[tokio::test]
async fn a_tree_that_another_monitor_follows_is_left_to_it() {
    let ground = Ground::new().await;
    let (log, forest) = v1_with_two_shards(&ground, NOW).await;
    // An entry of the first shard; here only the second is followed.
    let entry = LogEntry {
        log_index: 1,
        log_id: log.key_id(),
        kind: "x".to_owned(),
        version: "1".to_owned(),
        integrated_time: None,
        set: None,
        proof: Some(EntryProof {
            log_index: 1,
            root: Hash::new([0; 32]),
            size: 5,
            hashes: Vec::new(),
            checkpoint: forest[0].head.note().to_owned(),
        }),
        body: b"{}".to_vec(),
    };
    observe(&ground, &entry, NOW).await;
    ground.trust(&forest[0]).await;
    let outcome = ground.side.check_observations(&forest[1..], NOW + 10 * UNKNOWN).await.unwrap();
    assert_eq!(outcome, checked(0, 1, 0, 0));
    // It becomes ours to follow: looked at again.
    ground.note(&forest[0], NOW).await;
    let outcome = ground.side.check_observations(&forest, NOW + 10 * UNKNOWN).await.unwrap();
    assert_eq!(outcome, checked(1, 0, 0, 0));
}

#[tokio::test]
async fn a_promise_for_an_index_that_holds_another_leaf_is_a_split_view() {
    let ground = Ground::new().await;
    let (log, forest) = v1_with_two_shards(&ground, NOW).await;
    let body = b"{\"apiVersion\":\"0.0.1\",\"kind\":\"x\",\"spec\":1}";
    for index in [7, 100] {
        let (_, entry) = LogEntry::from_rekor_v1(log.promise(body, index).to_string().as_bytes()).unwrap();
        observe(&ground, &entry, NOW).await;
    }
    assert_eq!(ground.side.check_observations(&forest, NOW).await.unwrap(), checked(0, 0, 1, 1));
    let [finding] = &findings(&ground).await[..] else { panic!() };
    let verdict = verdict(&ground, finding).await;
    assert!(verdict.holds && !verdict.attributable, "{:?}", verdict.says);
    // Beyond the tree until the deadline.
    let later = ground.v1_trees(&log, NOW + DEADLINE).await;
    assert_eq!(ground.side.check_observations(&later, NOW + DEADLINE).await.unwrap(), checked(0, 0, 0, 1));
}

#[tokio::test]
async fn what_is_of_a_shard_that_is_not_followed_here_is_no_lie_of_the_one_before_it() {
    let ground = Ground::new().await;
    let log = SandboxRekorV1::start(RekorV1Options::default()).await.unwrap();
    log.extend((0..5).map(|number| format!("{{\"first\":{number}}}").into_bytes()));
    // The only shard, as far as was known when it was asked last; now it is followed by another one.
    let late = NOW + 10 * DEADLINE;
    let forest = ground.v1_trees(&log, late).await;
    log.rotate(Vec::<Vec<u8>>::new()).unwrap();
    let index = log.extend([b"{\"apiVersion\":\"0.0.1\",\"kind\":\"x\",\"spec\":1}".to_vec()]).start;
    let (_, entry) = LogEntry::from_rekor_v1(log.entry_json(index).unwrap().to_string().as_bytes()).unwrap();
    let promise = LogEntry { proof: None, ..entry };
    observe(&ground, &promise, NOW).await;
    let row = ground.record(1, b"ours", &ground.key.sign(b"ours"), NOW).await;
    ground.record_entry(row, log.hostname(), &promise, NOW).await;
    assert_eq!(ground.side.check_observations(&forest, late).await.unwrap(), checked(0, 1, 0, 0));
    let included = ground.side.prove_own_entries(&forest, late).await.unwrap();
    assert_eq!((included.elsewhere, included.withheld), (1, 0), "{included:?}");
    assert!(findings(&ground).await.is_empty());
    // It is followed: all that was met is looked at again.
    let forest = ground.v1_trees(&log, late).await;
    assert_eq!(ground.side.check_observations(&forest, late).await.unwrap(), checked(1, 0, 0, 0));
}

#[tokio::test]
async fn what_cannot_be_told_is_left_in_the_end() {
    const DAY: i64 = 86_400_000;
    let ground = Ground::new().await;
    let log = grown(&ground, 5).await;
    let then = answer(&log, 2);
    log.extend([b"{}".to_vec()]);
    observe(&ground, &then, NOW).await;
    let forest = [ground.tree_at(&log, NOW).await];
    log.shutdown();
    for (now, later) in [(NOW, 1), (NOW + DAY - 1, 1), (NOW + DAY, 1), (NOW + DAY + 1, 0)] {
        let outcome = ground.side.check_observations(&forest, now).await.unwrap();
        assert_eq!((outcome.later, outcome.unasked, outcome.splits), (later, later, 0), "{}", now - NOW);
    }
}

#[tokio::test]
async fn a_promise_that_is_kept_fits() {
    let ground = Ground::new().await;
    let (log, _) = v1_with_two_shards(&ground, NOW).await;
    let index = log.extend([b"{\"apiVersion\":\"0.0.1\",\"kind\":\"x\",\"spec\":1}".to_vec()]).start;
    let json = log.entry_json(index).unwrap().to_string();
    let (_, entry) = LogEntry::from_rekor_v1(json.as_bytes()).unwrap();
    observe(&ground, &LogEntry { proof: None, ..entry.clone() }, NOW).await;
    observe(&ground, &entry, NOW).await;
    let forest = ground.v1_trees(&log, NOW).await;
    assert_eq!(ground.side.check_observations(&forest, NOW).await.unwrap(), checked(2, 0, 0, 0));
}

#[tokio::test]
async fn a_log_that_cannot_be_asked_is_asked_again() {
    let ground = Ground::new().await;
    let log = grown(&ground, 5).await;
    let then = answer(&log, 2);
    log.extend([b"{}".to_vec()]);
    observe(&ground, &then, NOW).await;
    let forest = [ground.tree_at(&log, NOW + 10 * DEADLINE).await];
    log.shutdown();
    let now = NOW + 10 * DEADLINE;
    assert_eq!(
        ground.side.check_observations(&forest, now).await.unwrap(),
        Checked { unasked: 1, ..checked(0, 0, 1, 0) }
    );
    // Meanwhile the head was met elsewhere, too.
    let note = NoteSeen {
        origin: log.origin().to_owned(),
        source: "log".to_owned(),
        note: then.proof.as_ref().unwrap().checkpoint.clone().into_bytes(),
        size: 5,
        root: *log.root(5).unwrap().as_bytes(),
        seen_at: NOW,
    };
    ground.store.record_note(&note).await.unwrap();
    assert_eq!(ground.side.check_observations(&forest, now).await.unwrap(), checked(1, 0, 0, 0));
    assert!(findings(&ground).await.is_empty());
}
