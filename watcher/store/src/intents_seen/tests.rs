//! Intents as they were first seen, on both engines.

use crate::testing::{digest, image, on_both_engines, root, signed_row};
use crate::{Intent, IntentSeen, JobClass, RecordedSignature, SignatureSeen};

fn seen(signature_id: i64) -> IntentSeen {
    IntentSeen {
        signature_id,
        row_hash: root(signature_id as u64),
        chain_hash: root(1_000 + signature_id as u64),
        intended_at: 1_000,
        seen_at: 1_010,
        backdated: signature_id == 2,
        accepted: false,
        signature_hash: (signature_id == 5).then(|| root(5)),
        signature_seen_at: (signature_id == 5).then_some(7),
        signature_backdated: signature_id == 5,
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
        let links = store.chain_links(1, 10).await.unwrap();
        let shown: Vec<_> = links.iter().map(|link| (link.position, link.row_hash, link.chain_hash)).collect();
        let link = |position, id| (position, seen(id).row_hash, seen(id).chain_hash);
        assert_eq!(shown, [link(2, 2), link(3, 3)]);
        assert_eq!(store.chain_links(0, 1).await.unwrap().len(), 1);
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

    async fn a_signature_that_comes_later_is_recorded_once(database) {
        let store = database.store();
        let signed = signed_row(&*store, 1).await;
        let intent = Intent {
            image: image("team/app").with_digest(digest(2)),
            identity_name: "release".to_owned(),
            identity: "fingerprint".to_owned(),
            public_key_spki: vec![1, 2, 3],
            format: bundle::Format::Bundle,
            log_origin: "log.example.com".to_owned(),
            trust_zone: "prod".to_owned(),
            class: JobClass::Push,
            at: 1_000,
        };
        let parked = store.intend(&intent).await.unwrap().id;
        assert!(store.rows_seen_unsigned(0, 10).await.unwrap().rows.is_empty());
        let plain = |id| IntentSeen {
            signature_hash: None,
            signature_seen_at: None,
            signature_backdated: false,
            ..seen(id)
        };
        assert!(store.record_intents_seen(None, &[plain(signed), plain(parked)]).await.unwrap());
        let ids = |rows: Vec<crate::LedgerRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
        assert_eq!(ids(store.rows_seen_unsigned(0, 10).await.unwrap().rows), [signed, parked]);
        assert_eq!(ids(store.rows_seen_unsigned(signed, 10).await.unwrap().rows), [parked]);
        assert_eq!(ids(store.signed_of(&[signed, parked]).await.unwrap()), [signed]);

        let of = |id, hash: Option<u64>, seen_at, backdated| SignatureSeen {
            signature_id: id,
            hash: hash.map(root),
            seen_at,
            backdated,
        };
        let first = [of(signed, Some(7), 50, true), of(parked, None, 60, false)];
        store.record_signatures_seen(&first).await.unwrap();
        store.record_signatures_seen(&[of(signed, Some(8), 51, false)]).await.unwrap();
        assert_eq!(ids(store.rows_seen_unsigned(0, 10).await.unwrap().rows), [parked]);
        let mut known = store.intents_seen(&[signed, parked]).await.unwrap();
        known.sort_by_key(|intent| intent.signature_id);
        let shown = |it: &IntentSeen| (it.signature_hash, it.signature_seen_at, it.signature_backdated);
        assert_eq!(known.iter().map(shown).collect::<Vec<_>>(), [
            (Some(root(7)), Some(50), true),
            (None, Some(60), false),
        ]);

        let late = RecordedSignature { payload: vec![1], signed_digest: vec![2], signature: vec![3], at: 9 };
        store.record_signature(parked, &late).await.unwrap();
        assert_eq!(ids(store.signed_of(&[signed, parked]).await.unwrap()), [signed, parked]);
        assert!(store.signed_of(&[]).await.unwrap().is_empty());
    }
}
