//! Entries of ours that are in the log, late, missing, or replaced.

use std::time::Duration;

use bundle::{EntryProof, LogEntry};
use sandbox::leaves::{By, hashed_rekord_v1, hashed_rekord_v2};
use sandbox::{RekorV1Options, SandboxLog, SandboxRekorV1};
use store::{FindingFilter, FindingKind, FindingRow, FindingState, OwnEntryCounts};
use tlog::Hash;

use super::*;
use crate::evidence::{self, Verdict};
use crate::reconcile::tests::ground::{DEADLINE, Ground, NOW};
use crate::reconcile::tests::leaves::sha256;

/// What a log answers about an entry.
pub(crate) fn answer(log: &SandboxLog, index: u64) -> LogEntry {
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
            root: log.root(size).unwrap(),
            size,
            hashes: log.inclusion(index, size).unwrap(),
            checkpoint: log.sign_checkpoint(size, &log.root(size).unwrap()),
        }),
        body: log.entry(index).unwrap(),
    }
}

async fn signed_into(ground: &Ground, log: &SandboxLog, number: u64, at: i64) -> (i64, LogEntry) {
    let message = number.to_be_bytes();
    let signature = ground.key.sign(&message);
    let row = ground.record(number, &message, &signature, at).await;
    let leaf = hashed_rekord_v2(&sha256(&message), &signature, &By::Key(ground.key.spki()));
    let index = log.append(leaf).await;
    let entry = answer(log, index);
    ground.record_entry(row, log.origin(), &entry, at).await;
    (row, entry)
}

async fn counts(ground: &Ground) -> OwnEntryCounts {
    ground.store.own_entry_counts().await.unwrap()
}

pub(crate) async fn findings(ground: &Ground) -> Vec<FindingRow> {
    ground.store.findings(&FindingFilter::default()).await.unwrap()
}

pub(crate) async fn verdict(ground: &Ground, finding: &FindingRow) -> Verdict {
    let proof = ground.store.evidence(finding.id).await.unwrap();
    evidence::verify(proof[0].evidence.as_deref().unwrap()).unwrap()
}

#[tokio::test]
async fn entries_are_proved_and_proved_again() {
    let ground = Ground::new().await;
    let log = ground.log("log.example.com").await;
    for number in 0..5 {
        signed_into(&ground, &log, number, NOW).await;
    }
    let forest = [ground.tree(&log).await];
    let included = ground.side.prove_own_entries(&forest, NOW + 1).await.unwrap();
    assert_eq!((included.imported, included.proved, included.waiting), (5, 5, 0));
    assert_eq!(counts(&ground).await.proved, 5);
    log.append(b"{}".to_vec()).await;
    let forest = [ground.tree(&log).await];
    let again = ground.side.prove_again(&forest, 20, 7, NOW + 2).await.unwrap();
    assert!(again.proved > 0 && again.waiting == 0 && again.withheld == 0, "{again:?}");
    assert!(findings(&ground).await.is_empty());
}

#[tokio::test]
async fn an_entry_in_a_log_that_nobody_follows_is_told_of_after_the_deadline_and_until_it_is_followed() {
    let ground = Ground::new().await;
    let log = ground.log("log.example.com").await;
    for number in 0..3 {
        signed_into(&ground, &log, number, NOW).await;
    }
    let tree = ground.tree(&log).await;
    let look = async |forest: &[FollowedTree], at: i64| ground.side.prove_own_entries(forest, NOW + at).await.unwrap();
    assert_eq!(look(&[], 1).await.elsewhere, 3);
    look(&[], DEADLINE - 1).await;
    assert!(findings(&ground).await.is_empty());
    assert_eq!(look(&[], 2 * DEADLINE).await.elsewhere, 3);
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert!(finding.kind == FindingKind::Blind && finding.detail.contains("log.example.com"), "{}", finding.detail);
    // Not at each tick.
    assert_eq!(look(&[], 2 * DEADLINE + 20_000).await.elsewhere, 0);
    assert_eq!(look(&[tree], 3 * DEADLINE).await.proved, 3);
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert!(finding.cleared_at.is_some());
    // Proved entries of a log that is left are drawn again, and nothing is wrong with them.
    for at in [4 * DEADLINE, 6 * DEADLINE] {
        assert!(ground.side.prove_again(&[], 20, 7, NOW + at).await.unwrap().elsewhere > 0);
    }
    assert!(findings(&ground).await[0].cleared_at.is_some());
}

#[tokio::test]
async fn a_pass_asks_about_each_entry_also_where_an_earlier_one_put_it_off() {
    let mut ground = Ground::new().await;
    let log = ground.log("log.example.com").await;
    for number in 0..3 {
        signed_into(&ground, &log, number, NOW).await;
    }
    let forest = [ground.tree(&log).await];
    // By far longer than the pause: each pass is a process of its own.
    for at in [8 * DEADLINE, 8 * DEADLINE + 2] {
        ground.restart();
        let mut pass = EachOnce::new(NOW + at);
        let asked = ground.side.prove_each_once(&[], &mut pass, NOW + at).await.unwrap();
        assert_eq!((asked.elsewhere, asked.waiting), (3, 3));
        let asked = ground.side.prove_each_once(&[], &mut pass, NOW + at + 1).await.unwrap();
        assert_eq!((asked.elsewhere, asked.more), (0, false));
    }
    ground.restart();
    let mut pass = EachOnce::new(NOW + 8 * DEADLINE + 4);
    let asked = ground.side.prove_each_once(&forest, &mut pass, NOW + 8 * DEADLINE + 4).await.unwrap();
    assert_eq!(asked.proved, 3);
}

#[tokio::test]
async fn what_was_put_off_is_asked_about_as_soon_as_its_log_is_followed() {
    let mut ground = Ground::new().await;
    let log = ground.log("log.example.com").await;
    signed_into(&ground, &log, 1, NOW).await;
    let forest = [ground.tree(&log).await];
    let look = async |ground: &Ground, forest: &[FollowedTree], at: i64| {
        ground.side.prove_own_entries(forest, NOW + at).await.unwrap()
    };
    assert_eq!(look(&ground, &[], 8 * DEADLINE).await.elsewhere, 1);
    assert_eq!(look(&ground, &[], 8 * DEADLINE + 20_000).await.elsewhere, 0);
    // The next process follows nothing in its first go.
    ground.restart();
    assert_eq!(look(&ground, &[], 8 * DEADLINE + 30_000).await.elsewhere, 0);
    assert_eq!(look(&ground, &forest, 8 * DEADLINE + 30_001).await.proved, 1);
}

#[tokio::test]
async fn what_another_monitor_has_ended_is_told_again_when_it_is_so_again() {
    let ground = Ground::new().await;
    let log = ground.log("log.example.com").await;
    signed_into(&ground, &log, 1, NOW).await;
    let look = async |at: i64| ground.side.prove_own_entries(&[], NOW + at).await.unwrap();
    for at in [1, 2 * DEADLINE, 4 * DEADLINE] {
        look(at).await;
    }
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert_eq!((finding.state, finding.occurrences), (FindingState::Open, 1));
    // It follows the log, proves the entry, and leaves the log.
    let mut other = Ground::new().await;
    other.store = std::sync::Arc::clone(&ground.store);
    other.restart();
    let asked = other.side.prove_own_entries(&[ground.tree(&log).await], NOW + 4 * DEADLINE + 1).await.unwrap();
    assert_eq!(asked.proved, 1);
    assert!(ground.store.clear_finding(&finding.fingerprint, NOW + 4 * DEADLINE + 2, &[]).await.unwrap());
    signed_into(&ground, &log, 2, NOW + 4 * DEADLINE).await;
    look(5 * DEADLINE - 1).await;
    assert_eq!(findings(&ground).await[0].state, FindingState::Cleared);
    for at in [8 * DEADLINE, 10 * DEADLINE] {
        look(at).await;
    }
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert_eq!((finding.state, finding.occurrences), (FindingState::Open, 2));
}

/// Another monitor follows the log, for longer than the test takes.
async fn leased(ground: &Ground, tree: &FollowedTree) -> store::LogLease {
    ground.trust(tree).await;
    ground.store.lease_log(&tree.log.origin, "other", 100 * DEADLINE).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_entry_in_a_log_that_another_monitor_follows_is_its_matter() {
    let ground = Ground::new().await;
    let log = ground.log("log.example.com").await;
    signed_into(&ground, &log, 1, NOW).await;
    let _lease = leased(&ground, &ground.tree(&log).await).await;
    let ends = ground.store.followed_log(log.origin()).await.unwrap().unwrap().lease_expires_at.unwrap();
    assert!(ends > NOW + 4 * DEADLINE, "leases run on the database's clock");
    for at in [1, DEADLINE, 4 * DEADLINE] {
        assert_eq!(ground.side.prove_own_entries(&[], NOW + at).await.unwrap().elsewhere, 1);
    }
    assert!(findings(&ground).await.is_empty());
}

#[tokio::test]
async fn a_promise_in_a_shard_that_only_a_list_knows_is_not_waited_for_for_ever() {
    let ground = Ground::new().await;
    let (log, forest) = v1_with_two_shards(&ground, NOW).await;
    ground.trust(&forest[1]).await;
    let _lease = ground.store.lease_log(&forest[1].log.origin, "us", 100 * DEADLINE).await.unwrap().unwrap();
    let signature = ground.signed(1, b"ours", NOW).await;
    let leaf = hashed_rekord_v1(&sha256(b"ours"), &signature, &By::Key(ground.key.spki()));
    let (_, entry) = LogEntry::from_rekor_v1(log.promise(&leaf, 2).to_string().as_bytes()).unwrap();
    let row = ground.record(10, b"ours", &signature, NOW).await;
    ground.record_entry(row, log.hostname(), &entry, NOW).await;
    // Its index is of the first shard, so the list says; only the second is followed.
    for at in [1, DEADLINE, 2 * DEADLINE - 1] {
        assert_eq!(ground.side.prove_own_entries(&forest[1..], NOW + at).await.unwrap().elsewhere, 1);
    }
    assert!(findings(&ground).await.is_empty());
    for at in [2 * DEADLINE + 20_000, 4 * DEADLINE] {
        ground.side.prove_own_entries(&forest[1..], NOW + at).await.unwrap();
    }
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert_eq!(finding.kind, FindingKind::Blind);
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_told_of_once() {
    let ground = Ground::new().await;
    let row = ground.record(1, b"ours", &ground.key.sign(b"ours"), NOW).await;
    let recorded = store::RecordedEntry {
        log_origin: "log.example.com".to_owned(),
        log_index: 3,
        leaf_hash: [7; 32],
        entry_json: b"{}".to_vec(),
        at: NOW,
    };
    ground.store.record_entry(row, &recorded).await.unwrap();
    assert_eq!(ground.side.prove_own_entries(&[], NOW + 1).await.unwrap().unasked, 1);
    assert_eq!(ground.side.prove_own_entries(&[], NOW + 8 * DEADLINE).await.unwrap().unasked, 1);
    assert_eq!(ground.side.prove_own_entries(&[], NOW + 8 * DEADLINE + 20_000).await.unwrap().unasked, 0);
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert_eq!((finding.kind, finding.occurrences), (FindingKind::Blind, 1));
}

#[tokio::test]
async fn what_was_told_of_an_entry_that_cannot_be_read_is_over_when_none_waits_any_more() {
    const HOUR: i64 = 3_600_000;
    for restarted in [false, true] {
        let mut ground = Ground::new().await;
        let log = ground.log("log.example.com").await;
        let (row, _) = signed_into(&ground, &log, 1, NOW).await;
        let broken = store::RecordedEntry {
            log_origin: log.origin().to_owned(),
            log_index: 7,
            leaf_hash: [7; 32],
            entry_json: b"{}".to_vec(),
            at: NOW,
        };
        ground.store.record_entry(row, &broken).await.unwrap();
        let look = async |ground: &Ground, at: i64| {
            let forest = [ground.tree(&log).await];
            ground.side.prove_own_entries(&forest, NOW + at).await.unwrap()
        };
        let asked = look(&ground, 1).await;
        assert_eq!((asked.proved, asked.unasked), (1, 1));
        let state = async |ground: &Ground| findings(ground).await[0].state;
        // One of the same log that can be read says nothing about it.
        for at in 1i64..3 {
            signed_into(&ground, &log, 10 + at.unsigned_abs(), NOW).await;
            look(&ground, at * HOUR).await;
            assert_eq!(state(&ground).await, FindingState::Open);
        }
        if restarted {
            ground.restart();
        }
        // The ledger is mended, and another monitor has proved it.
        let proved = store::OwnEntryState::Proved { size: 9 };
        ground.store.mark_own_entry(row, log.origin(), 7, proved, NOW + 3 * HOUR, &[], &[]).await.unwrap();
        for at in 3i64..6 {
            assert_eq!(state(&ground).await, FindingState::Open);
            signed_into(&ground, &log, 10 + at.unsigned_abs(), NOW).await;
            look(&ground, at * HOUR + at).await;
            if state(&ground).await == FindingState::Cleared {
                break;
            }
        }
        assert_eq!(state(&ground).await, FindingState::Cleared, "{restarted}");
    }
}

#[tokio::test]
async fn an_entry_that_can_be_read_again_ends_at_once_what_was_told_of_it() {
    let ground = Ground::new().await;
    let row = ground.record(1, b"ours", &ground.key.sign(b"ours"), NOW).await;
    for log_index in [3, 4] {
        let recorded = store::RecordedEntry {
            log_origin: "log.example.com".to_owned(),
            log_index,
            leaf_hash: [7; 32],
            entry_json: b"{}".to_vec(),
            at: NOW,
        };
        ground.store.record_entry(row, &recorded).await.unwrap();
    }
    assert_eq!(ground.side.prove_own_entries(&[], NOW + 1).await.unwrap().unasked, 2);
    let own = ground.store.own_entries_due(i64::MAX, 10).await.unwrap();
    for (entry, state) in own.iter().zip([FindingState::Open, FindingState::Cleared]) {
        ground.side.followed(entry, &unproved::unreadable(entry), NOW + 2).await.unwrap();
        assert_eq!(findings(&ground).await[0].state, state);
    }
}

#[tokio::test]
async fn an_entry_that_was_just_read_is_proved_without_a_question() {
    let ground = Ground::new().await;
    let log = ground.log("log.example.com").await;
    let (_, entry) = signed_into(&ground, &log, 1, NOW).await;
    let forest = [ground.tree(&log).await];
    ground.note(&forest[0], NOW).await;
    let leaf = *entry.leaf_hash().as_bytes();
    ground.side.recent.lock().unwrap().saw(log.origin(), entry.log_index, leaf);
    log.shutdown();
    let included = ground.side.prove_own_entries(&forest, NOW + 1).await.unwrap();
    assert_eq!((included.proved, included.unasked), (1, 0));
}

#[tokio::test]
async fn a_monitor_that_follows_no_log_puts_off_no_other() {
    let ground = Ground::new().await;
    let log = ground.log("log.example.com").await;
    signed_into(&ground, &log, 1, NOW).await;
    let forest = [ground.tree(&log).await];
    let _lease = leased(&ground, &forest[0]).await;
    let included = ground.side.prove_own_entries(&[], NOW + 1).await.unwrap();
    assert_eq!((included.imported, included.elsewhere), (1, 1));
    // Asked about once, it is due again after the usual pause and not later.
    assert_eq!(ground.side.prove_own_entries(&forest, NOW + 10_001).await.unwrap().proved, 1);
}

#[tokio::test]
async fn an_entry_is_left_to_whoever_follows_its_log() {
    let ground = Ground::new().await;
    let (log, other) = (ground.log("log.example.com").await, ground.log("other.example.com").await);
    signed_into(&ground, &log, 1, NOW).await;
    other.append(b"{}".to_vec()).await;
    let (of_log, of_other) = ([ground.tree(&log).await], [ground.tree(&other).await]);
    let _lease = leased(&ground, &of_log[0]).await;
    for now in [NOW, NOW + 10_000] {
        assert_eq!(ground.side.prove_own_entries(&of_other, now).await.unwrap().elsewhere, 1, "{now}");
    }
    assert_eq!(ground.side.prove_own_entries(&of_log, NOW + 10_001).await.unwrap().proved, 1);
}

#[test]
fn another_leaf_at_the_index_that_was_just_read_proves_nothing() {
    let mut recent = Recent::default();
    recent.saw("log", 3, [1; 32]);
    assert!(!recent.take("log", 3, [2; 32]) && !recent.take("log", 3, [1; 32]));
    recent.saw("log", 3, [1; 32]);
    assert!(!recent.take("log", 4, [1; 32]) && !recent.take("other", 3, [1; 32]) && recent.take("log", 3, [1; 32]));
}

#[tokio::test]
async fn an_entry_beyond_the_head_waits_for_its_deadline_and_for_a_look_after_it() {
    let ground = Ground::new().await;
    let log = ground.log("log.example.com").await;
    log.append(b"{}".to_vec()).await;
    let shown = log.freeze_view().await.unwrap();
    let (_, entry) = signed_into(&ground, &log, 1, NOW).await;
    assert_eq!((entry.log_index, shown.size()), (1, 1));
    let due = NOW + DEADLINE;
    for (looked_at, now, withheld) in
        [(due - 1, due - 1, 0), (due - 1, due + 600_000, 0), (due + 600_001, due + 610_001, 1)]
    {
        let forest = [ground.tree_at(&log, looked_at).await];
        let included = ground.side.prove_own_entries(&forest, now).await.unwrap();
        assert_eq!(included.withheld, withheld, "{looked_at} {now}");
    }
    let found = findings(&ground).await;
    let withheld: Vec<_> = found.iter().filter(|finding| finding.kind == FindingKind::WithheldEntry).collect();
    let [finding] = withheld[..] else { panic!("{found:?}") };
    assert!(verdict(&ground, finding).await.holds);
    assert_eq!(counts(&ground).await.withheld, 1);
}

#[tokio::test]
async fn an_entry_whose_place_another_took_is_withheld_at_once_and_convinces() {
    let ground = Ground::new().await;
    let log = ground.log("log.example.com").await;
    log.append(b"{}".to_vec()).await;
    let shadow = log.withhold_writes().await.unwrap();
    // The writer is answered from the shadow tree, the reader is shown the other.
    let (_, entry) = signed_into(&ground, &shadow, 1, NOW).await;
    log.extend([b"{\"other\":1}".to_vec(), b"{\"other\":2}".to_vec()]);
    let forest = [ground.tree(&log).await];
    assert!(entry.log_index < forest[0].head.size());
    let included = ground.side.prove_own_entries(&forest, NOW + 1).await.unwrap();
    assert_eq!(included.withheld, 1);
    let found = findings(&ground).await;
    let kinds: Vec<FindingKind> = found.iter().map(|finding| finding.kind).collect();
    assert!(kinds.contains(&FindingKind::WithheldEntry) && kinds.contains(&FindingKind::SplitView), "{kinds:?}");
    for finding in &found {
        let verdict = verdict(&ground, finding).await;
        assert!(verdict.holds && verdict.attributable, "{:?}", verdict.says);
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_asked_withholds_nothing() {
    let ground = Ground::new().await;
    let log = ground.log("log.example.com").await;
    signed_into(&ground, &log, 1, NOW).await;
    log.append(b"{}".to_vec()).await;
    let now = NOW + 10 * DEADLINE;
    let forest = [ground.tree_at(&log, now).await];
    log.shutdown();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let included = ground.side.prove_own_entries(&forest, now).await.unwrap();
    assert_eq!((included.unasked, included.waiting), (1, 1));
    assert!(findings(&ground).await.is_empty());
}

#[tokio::test]
async fn an_entry_in_a_log_that_nobody_follows_waits() {
    let ground = Ground::new().await;
    let (log, other) = (ground.log("log.example.com").await, ground.log("other.example.com").await);
    signed_into(&ground, &log, 1, NOW).await;
    let forest = [ground.tree_at(&other, NOW + 10 * DEADLINE).await];
    let included = ground.side.prove_own_entries(&forest, NOW + 10 * DEADLINE).await.unwrap();
    assert_eq!((included.elsewhere, included.waiting), (1, 1));
    assert!(findings(&ground).await.is_empty());
}

/// A Rekor v1 log of two shards, the second of which is active, and its trees.
pub(crate) async fn v1_with_two_shards(ground: &Ground, looked_at: i64) -> (SandboxRekorV1, Vec<FollowedTree>) {
    let log = SandboxRekorV1::start(RekorV1Options::default()).await.unwrap();
    log.extend((0..5).map(|number| format!("{{\"first\":{number}}}").into_bytes()));
    log.rotate(Vec::<Vec<u8>>::new()).unwrap();
    log.extend((0..3).map(|number| format!("{{\"second\":{number}}}").into_bytes()));
    let trees = ground.v1_trees(&log, looked_at).await;
    (log, trees)
}

#[tokio::test]
async fn an_entry_of_rekor_v1_is_found_in_its_shard_by_its_proof_and_by_its_promise() {
    let ground = Ground::new().await;
    let (log, _) = v1_with_two_shards(&ground, NOW).await;
    let signature = ground.signed(1, b"ours", NOW).await;
    let leaf = hashed_rekord_v1(&sha256(b"ours"), &signature, &By::Key(ground.key.spki()));
    let index = log.extend([leaf]).start;
    log.extend([b"{}".to_vec()]);
    let (_, entry) = LogEntry::from_rekor_v1(log.entry_json(index).unwrap().to_string().as_bytes()).unwrap();
    assert_eq!((entry.log_index, entry.proof.as_ref().unwrap().log_index), (8, 3));
    let promise = LogEntry { proof: None, ..entry.clone() };
    for (number, entry) in [(10, entry), (11, promise)] {
        let row = ground.record(number, b"ours", &signature, NOW).await;
        ground.record_entry(row, log.hostname(), &entry, NOW).await;
    }
    let forest = ground.v1_trees(&log, NOW).await;
    assert_eq!(forest.len(), 2);
    let included = ground.side.prove_own_entries(&forest, NOW + 1).await.unwrap();
    assert_eq!((included.proved, included.waiting), (2, 0), "{included:?}");
    assert!(findings(&ground).await.is_empty());
}

#[tokio::test]
async fn a_promise_that_rekor_v1_does_not_keep_is_shown_by_the_earlier_shards() {
    let ground = Ground::new().await;
    let (log, _) = v1_with_two_shards(&ground, NOW).await;
    let signature = ground.signed(1, b"ours", NOW).await;
    let leaf = hashed_rekord_v1(&sha256(b"ours"), &signature, &By::Key(ground.key.spki()));
    let json = log.promise(&leaf, 7).to_string();
    let (_, entry) = LogEntry::from_rekor_v1(json.as_bytes()).unwrap();
    let row = ground.record(10, b"ours", &signature, NOW).await;
    ground.record_entry(row, log.hostname(), &entry, NOW).await;
    let forest = ground.v1_trees(&log, NOW).await;
    let included = ground.side.prove_own_entries(&forest, NOW + 1).await.unwrap();
    assert_eq!(included.withheld, 1, "{included:?}");
    let [finding] = &findings(&ground).await[..] else { panic!() };
    let verdict = verdict(&ground, finding).await;
    assert!(verdict.holds && !verdict.attributable, "{:?}", verdict.says);
    assert!(verdict.says.iter().any(|line| line.contains("1 earlier shards")), "{:?}", verdict.says);
}

#[tokio::test]
async fn earlier_shards_that_do_not_add_up_are_left_out() {
    let ground = Ground::new().await;
    let (_log, forest) = v1_with_two_shards(&ground, NOW).await;
    let active = forest.last().unwrap();
    assert_eq!(earlier_heads(&forest, active, 5).await.unwrap().len(), 1);
    assert!(earlier_heads(&forest, active, 6).await.unwrap().is_empty());
    assert!(earlier_heads(&forest[..0], active, 5).await.unwrap().is_empty());
    assert!(earlier_heads(&forest, active, 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_place_is_believed_with_a_proof_only() {
    let ground = Ground::new().await;
    let log = ground.log("log.example.com").await;
    log.extend((0..10).map(|number| format!("{{\"n\":{number}}}").into_bytes()));
    let tree = ground.tree(&log).await;
    let leaf = |index: u64| tlog::leaf_hash(&log.entry(index).unwrap());
    assert_eq!(place(&tree, 3, &leaf(3)).await.unwrap(), Place::Held);
    assert_eq!(place(&tree, 10, &leaf(3)).await.unwrap(), Place::Beyond);
    let Place::Other { leaf: other, .. } = place(&tree, 3, &leaf(4)).await.unwrap() else { panic!() };
    assert_eq!(other, leaf(3));
    // Bytes that are not the committed ones say nothing about what is there.
    log.swap_leaf(3, b"swapped".to_vec());
    let Place::Unproved(_) = place(&tree, 3, &leaf(4)).await.unwrap() else { panic!() };
    assert_eq!(place(&tree, 3, &leaf(3)).await.unwrap(), Place::Held);
    log.swap_leaf_hash(3, Hash::new([7; 32]));
    let tree = ground.tree(&log).await;
    let Place::Unproved(_) = place(&tree, 2, &leaf(2)).await.unwrap() else { panic!() };
}
