//! Entries of our own, on both engines.

use crate::testing::{entry, finding, on_both_engines, root, signed_row, sinks};
use crate::{FindingFilter, OwnEntryCounts, OwnEntryState, RecordedEntry, Severity, Store};

const LOG: &str = "log.example.com";
const HOUR: i64 = 3_600_000;

/// A signed row with one entry.
async fn entered(store: &dyn Store, number: u64, at: i64) -> i64 {
    let id = signed_row(store, number).await;
    store.record_entry(id, &entry(number, at)).await.unwrap();
    id
}

on_both_engines! {
    async fn what_the_ledger_records_is_taken_over_once(database) {
        let store = database.store();
        assert_eq!(store.import_own_entries(10).await.unwrap(), 0);
        let first = entered(&*store, 1, 1_000).await;
        entered(&*store, 2, 1_001).await;
        entered(&*store, 3, 1_002).await;
        assert_eq!(store.import_own_entries(2).await.unwrap(), 2);
        assert_eq!(store.import_own_entries(2).await.unwrap(), 1);
        assert_eq!(store.import_own_entries(2).await.unwrap(), 0);
        let due = store.own_entries_due(0, 10).await.unwrap();
        assert_eq!(due.len(), 3);
        let entry = &due[0];
        assert_eq!((entry.signature_id, entry.log_origin.as_str(), entry.log_index), (first, LOG, 1));
        assert_eq!((entry.leaf_hash, entry.recorded_at, entry.state), (root(1), 1_000, OwnEntryState::Waiting));
        assert_eq!((entry.checked_at, entry.entry_json.as_deref()), (0, Some(&b"entry 1"[..])));
    }

    async fn an_entry_whose_commit_was_late_or_whose_time_is_wrong_is_not_missed(database) {
        let store = database.store();
        entered(&*store, 1, 10 * HOUR).await;
        // A time in the future, which must not become the mark.
        entered(&*store, 2, i64::MAX / 2).await;
        assert_eq!(store.import_own_entries(10).await.unwrap(), 2);
        entered(&*store, 3, 10 * HOUR - HOUR / 2).await;
        entered(&*store, 4, 10 * HOUR + 1).await;
        assert_eq!(store.import_own_entries(10).await.unwrap(), 2);
        // Far too old for that; the walk over everything finds it.
        let late = entered(&*store, 5, HOUR).await;
        assert_eq!(store.import_own_entries(10).await.unwrap(), 0);
        let (mut cursor, mut found) = (0, 0);
        loop {
            let (new, last) = store.sweep_own_entries(cursor, 2).await.unwrap();
            found += new;
            let Some(last) = last else { break };
            cursor = last;
        }
        assert_eq!((found, cursor), (1, late));
        assert_eq!(store.own_entries_due(0, 10).await.unwrap().len(), 5);
    }

    async fn an_entry_is_proved_or_withheld_with_its_finding(database) {
        let store = database.store();
        let (first, second) = (entered(&*store, 1, 1_000).await, entered(&*store, 2, 1_001).await);
        entered(&*store, 3, 1_002).await;
        store.import_own_entries(10).await.unwrap();
        let proved = OwnEntryState::Proved { size: 77 };
        assert!(store.mark_own_entry(first, LOG, 1, proved, 2_000, &[], &[]).await.unwrap());
        let seen = [finding("withheld", Severity::Critical)];
        assert!(store.mark_own_entry(second, LOG, 2, OwnEntryState::Withheld, 2_000, &seen, &sinks()).await.unwrap());
        assert!(!store.mark_own_entry(first, "another", 1, proved, 2_000, &seen, &sinks()).await.unwrap());
        let other = [finding("other", Severity::Info)];
        assert!(!store.mark_own_entry(first, LOG, 9, OwnEntryState::Withheld, 2_000, &other, &[]).await.unwrap());
        let expected = OwnEntryCounts { waiting: 1, proved: 1, withheld: 1, oldest_waiting_at: Some(1_002) };
        assert_eq!(store.own_entry_counts().await.unwrap(), expected);
        assert_eq!(store.findings(&FindingFilter::default()).await.unwrap().len(), 1);
        assert!(store.lease_alert("pager", 60_000).await.unwrap().is_some());

        // The one that waits is asked about again after a while.
        let due = store.own_entries_due(5_000, 10).await.unwrap();
        assert_eq!(due.iter().map(|entry| entry.log_index).collect::<Vec<_>>(), [3]);
        let waiting = OwnEntryState::Waiting;
        assert!(store.mark_own_entry(due[0].signature_id, LOG, 3, waiting, 4_000, &[], &[]).await.unwrap());
        assert!(store.own_entries_due(3_999, 10).await.unwrap().is_empty());
        assert_eq!(store.own_entries_due(4_000, 10).await.unwrap()[0].checked_at, 4_000);
    }

    async fn a_walk_meets_each_entry_that_waits_also_one_that_was_put_off(database) {
        let store = database.store();
        let first = entered(&*store, 1, 1_000).await;
        let other = "another.example.com";
        store.record_entry(first, &RecordedEntry { log_origin: other.to_owned(), ..entry(9, 1_000) }).await.unwrap();
        let second = entered(&*store, 2, 1_001).await;
        let third = entered(&*store, 3, 1_002).await;
        store.import_own_entries(10).await.unwrap();
        for (row, log, index, at) in [(first, other, 9, 0), (first, LOG, 1, i64::MAX), (third, LOG, 3, 5_000)] {
            store.mark_own_entry(row, log, index, OwnEntryState::Waiting, at, &[], &[]).await.unwrap();
        }
        let walk = async |checked_after: i64| {
            let (mut met, mut after) = (Vec::new(), (i64::MIN, String::new(), 0));
            while let [entry] = &store.own_entries_waiting(checked_after, &after, 1).await.unwrap()[..] {
                after = (entry.signature_id, entry.log_origin.clone(), entry.log_index);
                met.push((entry.signature_id, entry.log_index));
            }
            met
        };
        assert_eq!(walk(i64::MIN).await, [(first, 9), (first, 1), (second, 2), (third, 3)]);
        assert_eq!(walk(4_999).await, [(first, 1), (third, 3)]);
        let proved = OwnEntryState::Proved { size: 10 };
        store.mark_own_entry(third, LOG, 3, proved, 6_000, &[], &[]).await.unwrap();
        assert_eq!(walk(5_000).await, [(first, 1)]);
    }

    async fn a_draw_by_seed_is_of_proved_entries_and_reaches_all(database) {
        let store = database.store();
        assert!(store.random_own_entries(3, 1).await.unwrap().is_empty());
        for number in 1..=8 {
            entered(&*store, number, 1_000).await;
        }
        store.import_own_entries(10).await.unwrap();
        assert!(store.random_own_entries(3, 1).await.unwrap().is_empty());
        for entry in store.own_entries_due(0, 8).await.unwrap().into_iter().filter(|entry| entry.log_index > 2) {
            let state = OwnEntryState::Proved { size: 100 };
            store.mark_own_entry(entry.signature_id, LOG, entry.log_index, state, 2_000, &[], &[]).await.unwrap();
        }
        let draw = store.random_own_entries(3, 42).await.unwrap();
        assert!((1..=3).contains(&draw.len()));
        assert_eq!(store.random_own_entries(3, 42).await.unwrap(), draw);
        let mut drawn = std::collections::BTreeSet::new();
        for seed in 0..60 {
            for entry in store.random_own_entries(3, seed).await.unwrap() {
                assert_eq!(entry.state, OwnEntryState::Proved { size: 100 });
                drawn.insert(entry.log_index);
            }
        }
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8]);
    }
}
