//! Intents as they were first seen, on both engines.

use crate::IntentSeen;
use crate::testing::{on_both_engines, root, signed_row};

fn seen(signature_id: i64) -> IntentSeen {
    IntentSeen {
        signature_id,
        row_hash: root(signature_id as u64),
        chain_hash: root(1_000 + signature_id as u64),
        intended_at: 1_000,
        seen_at: 1_010,
        backdated: signature_id == 2,
        accepted: false,
    }
}

on_both_engines! {
    async fn the_chain_grows_at_its_end_only(database) {
        let store = database.store();
        assert_eq!(store.last_intent_seen().await.unwrap(), None);
        assert!(!store.record_intents_seen(Some(root(9)), &[seen(1)]).await.unwrap());
        assert!(store.record_intents_seen(None, &[seen(5), seen(2)]).await.unwrap());
        assert_eq!(store.last_intent_seen().await.unwrap(), Some(seen(2)));
        // Somebody who has not heard of that, and one who repeats a row.
        assert!(!store.record_intents_seen(None, &[seen(3)]).await.unwrap());
        assert!(!store.record_intents_seen(Some(seen(2).chain_hash), &[seen(3), seen(5)]).await.unwrap());
        assert_eq!(store.last_intent_seen().await.unwrap(), Some(seen(2)));
        assert!(store.record_intents_seen(Some(seen(2).chain_hash), &[seen(3)]).await.unwrap());
        let mut known = store.intents_seen(&[2, 3, 4, 5]).await.unwrap();
        known.sort_by_key(|intent| intent.signature_id);
        assert_eq!(known, [seen(2), seen(3), seen(5)]);
        assert!(store.intents_seen(&[]).await.unwrap().is_empty());
        assert!(store.record_intents_seen(Some(seen(3).chain_hash), &[]).await.unwrap());
    }

    async fn two_monitors_that_append_at_once_make_one_chain(database) {
        let store = database.store();
        let writers: Vec<_> = (0..4i64)
            .map(|writer| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut appended = 0;
                    for number in 0..20 {
                        let end = store.last_intent_seen().await.unwrap().map(|intent| intent.chain_hash);
                        let next = seen(1 + writer * 100 + number);
                        appended += usize::from(store.record_intents_seen(end, &[next]).await.unwrap());
                    }
                    appended
                })
            })
            .collect();
        let mut appended = 0;
        for writer in writers {
            appended += writer.await.unwrap();
        }
        let ids: Vec<i64> = (0..400).collect();
        assert_eq!(store.intents_seen(&ids).await.unwrap().len(), appended);
    }

    async fn rows_that_were_not_seen_and_intents_that_vanished_show(database) {
        let store = database.store();
        let mut ids = Vec::new();
        for number in 1..=4 {
            ids.push(signed_row(&*store, number).await);
        }
        let gone = ids[3] + 10;
        assert!(store.record_intents_seen(None, &[seen(ids[2]), seen(ids[0]), seen(gone)]).await.unwrap());
        let unseen = async |after| {
            let rows = store.unseen_ledger_rows(after, 10).await.unwrap();
            rows.rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
        };
        // A smaller id that became visible later is found from where one asks.
        assert_eq!(unseen(0).await, [ids[1], ids[3]]);
        assert_eq!(unseen(ids[1]).await, [ids[3]]);
        assert_eq!(store.unseen_ledger_rows(0, 1).await.unwrap().len(), 1);
        assert_eq!(store.vanished_intents(0, 10).await.unwrap(), [seen(gone)]);
        assert!(store.vanished_intents(gone, 10).await.unwrap().is_empty());
    }
}
