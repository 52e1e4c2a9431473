//! Adoptions, on both engines.

use crate::testing::{entry, on_both_engines, root, signed_row, sinks};
use crate::{AdoptedSignature, Adoption, IntentSeen, LostEntry, OwnEntryState};

const LOG: &str = "log.example.com";

on_both_engines! {
    async fn what_is_adopted_stays_adopted(database) {
        let store = database.store();
        let signature = |number| AdoptedSignature { signature_hash: root(number), log_origin: LOG.to_owned(), log_index: number };
        let act = |numbers: &[u64]| Adoption {
            signatures: numbers.iter().map(|number| signature(*number)).collect(),
            intents: vec![7],
            entries: Vec::new(),
            because: "the backup of Tuesday".to_owned(),
            by: "ann@host".to_owned(),
            at: 1_000,
        };
        store.adopt(&act(&[1, 2])).await.unwrap();
        store.adopt(&act(&[2, 3])).await.unwrap();
        let adopted = store.adopted(&[root(1), root(3), root(4)]).await.unwrap();
        assert_eq!(adopted, [root(1), root(3)]);
        assert!(store.adopted(&[]).await.unwrap().is_empty());
    }

    async fn a_loss_that_was_accepted_is_not_told_again(database) {
        let store = database.store();
        let seen = |id| IntentSeen {
            signature_id: id,
            row_hash: root(1),
            chain_hash: root(id as u64),
            intended_at: 1_000,
            seen_at: 1_010,
            backdated: false,
            accepted: false,
            signature_hash: None,
            signature_seen_at: None,
            signature_backdated: false,
        };
        assert!(store.record_intents_seen(None, &[seen(7), seen(8)]).await.unwrap());
        let act = Adoption {
            signatures: Vec::new(),
            intents: vec![7],
            entries: Vec::new(),
            because: "restored".to_owned(),
            by: "ann@host".to_owned(),
            at: 2_000,
        };
        store.adopt(&act).await.unwrap();
        assert_eq!(store.vanished_intents(0, 10).await.unwrap(), [seen(8)]);
        let known = store.intents_seen(&[7]).await.unwrap();
        assert_eq!(known, [IntentSeen { accepted: true, ..seen(7) }]);
    }

    async fn proved_entries_that_the_ledger_lost_are_listed(database) {
        let store = database.store();
        let mut ids = Vec::new();
        for number in 1..=3 {
            let id = signed_row(&*store, number).await;
            store.record_entry(id, &entry(number, 1_000)).await.unwrap();
            ids.push(id);
        }
        assert_eq!(store.import_own_entries(10).await.unwrap(), 3);
        for (number, id) in (1..).zip(&ids[..2]) {
            let state = OwnEntryState::Proved { size: 9 };
            assert!(store.mark_own_entry(*id, LOG, number, state, 1_001, &[], &sinks()).await.unwrap());
        }
        assert!(store.lost_entries(0, 10).await.unwrap().is_empty());
        // One that was proved and one that was not.
        database.execute("DELETE FROM log_entries WHERE log_index IN (2, 3)").await;
        let lost = LostEntry { signature_id: ids[1], log_origin: LOG.to_owned(), log_index: 2, leaf_hash: root(2) };
        assert_eq!(store.lost_entries(0, 10).await.unwrap(), std::slice::from_ref(&lost));
        assert!(store.lost_entries(ids[1], 10).await.unwrap().is_empty());
        // That its row is accepted does not say that it was read; an act that has read it does.
        let act = Adoption {
            signatures: Vec::new(),
            intents: ids.clone(),
            entries: Vec::new(),
            because: "restored".to_owned(),
            by: "ann@host".to_owned(),
            at: 2_000,
        };
        store.adopt(&act).await.unwrap();
        assert_eq!(store.lost_entries(0, 10).await.unwrap(), std::slice::from_ref(&lost));
        let kept = LostEntry { signature_id: ids[0], log_origin: LOG.to_owned(), log_index: 1, leaf_hash: root(1) };
        store.adopt(&Adoption { entries: vec![lost, kept], ..act }).await.unwrap();
        assert!(store.lost_entries(0, 10).await.unwrap().is_empty());
        // What the ledger has is followed up, whatever an act says.
        let counts = store.own_entry_counts().await.unwrap();
        assert_eq!((counts.proved, counts.waiting), (1, 1));
        // A newer backup is restored.
        store.record_entry(ids[1], &entry(2, 1_000)).await.unwrap();
        assert_eq!(store.import_own_entries(10).await.unwrap(), 1);
    }
}
