//! The ledger, on both engines.

use bundle::Format;

use crate::testing::{digest, image, on_both_engines};
use crate::{Intent, JobClass, Material, RecordedEntry, RecordedSignature, Stage, StoreError};

fn intent(number: u64) -> Intent {
    Intent {
        image: image("team/app").with_digest(digest(number)),
        identity_name: "release".to_owned(),
        identity: "fingerprint".to_owned(),
        public_key_spki: vec![1, 2, 3],
        format: Format::Bundle,
        log_origin: "log.example.com".to_owned(),
        trust_zone: "prod".to_owned(),
        class: JobClass::Push,
        at: 10,
    }
}

fn signature(byte: u8) -> RecordedSignature {
    RecordedSignature { payload: vec![byte; 3], signed_digest: vec![byte; 32], signature: vec![byte; 70], at: 11 }
}

fn entry(log_index: u64, byte: u8) -> RecordedEntry {
    RecordedEntry {
        log_origin: "log.example.com".to_owned(),
        log_index,
        leaf_hash: [byte; 32],
        entry_json: vec![byte],
        at: 12,
    }
}

fn material(byte: u8) -> Material {
    Material { artifact: vec![byte; 9], manifest: Some(vec![byte; 8]), at: 13 }
}

on_both_engines! {
    async fn a_row_fills_from_intent_to_attached(database) {
        let store = database.store();
        let row = store.intend(&intent(1)).await.unwrap();
        assert_eq!(row.stage(), Stage::Intended);
        assert_eq!((row.image.clone(), row.format), (intent(1).image, Format::Bundle));
        assert_eq!((row.identity.as_str(), row.trust_zone.as_str()), ("fingerprint", "prod"));
        assert_eq!((row.intended_at, row.class), (10, JobClass::Push));
        assert_eq!(row.public_key_spki, [1, 2, 3]);

        let row = store.record_signature(row.id, &signature(4)).await.unwrap();
        assert_eq!((row.stage(), row.signature.as_ref()), (Stage::Signed, Some(&signature(4))));
        store.record_entry(row.id, &entry(7, 1)).await.unwrap();
        let row = store.record_material(row.id, &material(5)).await.unwrap();
        assert_eq!((row.stage(), row.material.as_ref()), (Stage::Material, Some(&material(5))));
        assert_eq!(store.counts().await.unwrap().ledger_material, 1);

        store.record_attached(row.id, &digest(8), false, 14).await.unwrap();
        let row = store.ledger_row(row.id).await.unwrap();
        assert_eq!(row.stage(), Stage::Attached);
        assert_eq!((row.attached_at, row.attached_manifest, row.adopted), (Some(14), Some(digest(8)), false));
        assert_eq!(store.ledger_for(&row.image).await.unwrap(), std::slice::from_ref(&row));
        // Attached again, with another manifest: the first time stays.
        store.record_attached(row.id, &digest(9), true, 99).await.unwrap();
        let row = store.ledger_row(row.id).await.unwrap();
        assert_eq!((row.attached_at, row.attached_manifest, row.adopted), (Some(14), Some(digest(9)), false));
        let counts = store.counts().await.unwrap();
        assert_eq!((counts.ledger_material, counts.ledger_attached), (0, 1));
    }

    async fn an_intent_is_recorded_once_and_by_identity_and_format(database) {
        let store = database.store();
        let first = store.intend(&intent(1)).await.unwrap();
        let again = Intent { log_origin: "other.example.com".to_owned(), at: 99, ..intent(1) };
        assert_eq!(store.intend(&again).await.unwrap(), first);
        let legacy = Intent { format: Format::Legacy, ..intent(1) };
        assert_ne!(store.intend(&legacy).await.unwrap().id, first.id);
        let other = Intent { identity: "another".to_owned(), ..intent(1) };
        assert_ne!(store.intend(&other).await.unwrap().id, first.id);
        assert_eq!(store.ledger_for(&first.image).await.unwrap().len(), 3);
        assert!(store.ledger_for(&intent(2).image).await.unwrap().is_empty());
    }

    async fn the_first_signature_wins_and_everyone_gets_it(database) {
        let store = database.store();
        let id = store.intend(&intent(1)).await.unwrap().id;
        let writers: Vec<_> = (0..16u8)
            .map(|byte| {
                let store = store.clone();
                tokio::spawn(async move { store.record_signature(id, &signature(byte)).await })
            })
            .collect();
        let mut seen = Vec::new();
        for writer in writers {
            seen.push(writer.await.unwrap().unwrap().signature.unwrap());
        }
        let stored = store.ledger_row(id).await.unwrap().signature.unwrap();
        assert!(seen.iter().all(|signature| *signature == stored));
        assert!((0..16).any(|byte| stored == signature(byte)));
    }

    async fn the_first_material_wins_and_everyone_gets_it(database) {
        let store = database.store();
        let id = store.intend(&intent(1)).await.unwrap().id;
        store.record_signature(id, &signature(1)).await.unwrap();
        let writers: Vec<_> = (0..16u8)
            .map(|byte| {
                let store = store.clone();
                tokio::spawn(async move { store.record_material(id, &material(byte)).await })
            })
            .collect();
        let mut seen = Vec::new();
        for writer in writers {
            seen.push(writer.await.unwrap().unwrap().material.unwrap());
        }
        let stored = store.ledger_row(id).await.unwrap().material.unwrap();
        assert!(seen.iter().all(|material| *material == stored));
        assert!((0..16).any(|byte| stored == material(byte)));
    }

    async fn concurrent_intents_are_one_row(database) {
        let store = database.store();
        let writers: Vec<_> = (0..16)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.intend(&intent(1)).await.unwrap().id })
            })
            .collect();
        let mut ids = std::collections::BTreeSet::new();
        for writer in writers {
            ids.insert(writer.await.unwrap());
        }
        assert_eq!(ids.len(), 1);
        assert_eq!(store.counts().await.unwrap().ledger_intended, 1);
    }

    async fn an_identity_has_one_trust_zone(database) {
        let store = database.store();
        store.intend(&intent(1)).await.unwrap();
        let staging = Intent { trust_zone: "staging".to_owned(), ..intent(2) };
        let refused = store.intend(&staging).await.unwrap_err();
        let StoreError::TwoTrustZones { identity, recorded, asked } = &refused else {
            panic!("{refused}");
        };
        assert_eq!((identity.as_str(), recorded.as_str(), asked.as_str()), ("fingerprint", "prod", "staging"));
        assert!(!refused.is_transient());
        assert!(store.ledger_for(&staging.image).await.unwrap().is_empty());
        store.intend(&intent(2)).await.unwrap();
    }

    async fn two_trust_zones_at_once_and_one_is_refused(database) {
        let store = database.store();
        for number in 0..10 {
            let zone = |name: &str| Intent {
                identity: format!("identity {number}"),
                trust_zone: name.to_owned(),
                ..intent(number)
            };
            let (prod, staging) = (zone("prod"), zone("staging"));
            let (a, b) = tokio::join!(store.intend(&prod), store.intend(&staging));
            assert!(a.is_ok() != b.is_ok());
        }
    }

    async fn a_log_that_forgets_has_its_second_entry_recorded(database) {
        let store = database.store();
        let id = store.intend(&intent(1)).await.unwrap().id;
        store.record_signature(id, &signature(1)).await.unwrap();
        let second = RecordedEntry { at: 20, ..entry(9, 1) };
        store.record_entry(id, &entry(40, 1)).await.unwrap();
        store.record_entry(id, &second).await.unwrap();
        store.record_entry(id, &second).await.unwrap();
        assert_eq!(store.entries(id).await.unwrap(), [entry(40, 1), second]);
        store.record_entry(id, &RecordedEntry { log_origin: "successor.example.com".to_owned(), ..entry(40, 1) }).await.unwrap();
        assert_eq!(store.entries(id).await.unwrap().len(), 3);
    }

    async fn one_index_with_two_leaves_is_refused(database) {
        let store = database.store();
        let id = store.intend(&intent(1)).await.unwrap().id;
        store.record_signature(id, &signature(1)).await.unwrap();
        store.record_entry(id, &entry(40, 1)).await.unwrap();
        let refused = store.record_entry(id, &entry(40, 2)).await.unwrap_err();
        assert!(matches!(refused, StoreError::EntryConflict { log_index: 40, .. }));
        let beyond = store.record_entry(id, &entry(u64::MAX, 2)).await;
        assert!(matches!(beyond, Err(StoreError::OutOfRange { .. })));
        assert_eq!(store.entries(id).await.unwrap(), [entry(40, 1)]);
    }

    async fn nothing_is_recorded_before_what_it_rests_on(database) {
        let store = database.store();
        let unknown = store.record_signature(1, &signature(1)).await;
        assert!(matches!(unknown, Err(StoreError::UnknownRow { id: 1 })));
        assert!(matches!(store.ledger_row(1).await, Err(StoreError::UnknownRow { id: 1 })));

        let id = store.intend(&intent(1)).await.unwrap().id;
        let entered = store.record_entry(id, &entry(1, 1)).await;
        assert!(matches!(entered, Err(StoreError::OutOfOrder { needs: "signature", .. })));
        let early = store.record_material(id, &material(1)).await;
        assert!(matches!(early, Err(StoreError::OutOfOrder { needs: "signature", .. })));
        let early = store.record_attached(id, &digest(2), false, 1).await;
        assert!(matches!(early, Err(StoreError::OutOfOrder { needs: "material", .. })));
        assert_eq!(store.ledger_row(id).await.unwrap().stage(), Stage::Intended);
    }

    async fn a_signature_found_in_the_registry_is_adopted_without_our_own(database) {
        let store = database.store();
        let id = store.intend(&intent(1)).await.unwrap().id;
        store.record_attached(id, &digest(2), true, 20).await.unwrap();
        let row = store.ledger_row(id).await.unwrap();
        assert_eq!((row.stage(), row.adopted, row.signature), (Stage::Attached, true, None));
    }

    async fn an_abandoned_row_takes_no_step_and_the_next_attempt_is_a_row_of_its_own(database) {
        let store = database.store();
        let first = store.intend(&intent(1)).await.unwrap();
        assert_eq!((first.attempt, first.key_uses), (1, 0));
        store.count_key_use(first.id).await.unwrap();
        store.record_signature(first.id, &signature(1)).await.unwrap();
        assert!(store.abandon(first.id, "the tag moved on", 50).await.unwrap());
        assert!(!store.abandon(first.id, "again", 60).await.unwrap());
        let given_up = store.ledger_row(first.id).await.unwrap();
        assert_eq!((given_up.stage(), given_up.key_uses), (Stage::Abandoned, 1));
        let why = given_up.abandoned.as_ref().map(|abandoned| (abandoned.at, abandoned.because.as_str()));
        assert_eq!(why, Some((50, "the tag moved on")));

        let material = Material { artifact: vec![1], manifest: None, at: 51 };
        let refused = |outcome: Result<(), StoreError>| matches!(outcome, Err(StoreError::Abandoned { .. }));
        assert!(refused(store.count_key_use(first.id).await));
        assert!(refused(store.record_entry(first.id, &entry(1, 1)).await));
        assert!(refused(store.record_material(first.id, &material).await.map(|_| ())));
        assert!(refused(store.record_attached(first.id, &crate::testing::digest(9), true, 52).await));
        assert_eq!(store.ledger_row(first.id).await.unwrap(), given_up);

        let second = store.intend(&intent(1)).await.unwrap();
        assert_eq!((second.attempt, second.stage()), (2, Stage::Intended));
        assert_ne!(second.id, first.id);
        assert_eq!(store.intend(&intent(1)).await.unwrap(), second);
        store.record_signature(second.id, &signature(2)).await.unwrap();
        store.record_entry(second.id, &entry(1, 1)).await.unwrap();
        assert!(!store.abandon(second.id, "too late", 70).await.unwrap(), "a log was told");
        assert_eq!(store.entries(second.id).await.unwrap()[0].log_origin, "log.example.com");
    }

    async fn an_intent_without_a_signature_can_be_abandoned_too(database) {
        let store = database.store();
        let row = store.intend(&intent(1)).await.unwrap();
        assert!(store.abandon(row.id, "the tag moved on", 50).await.unwrap());
        let unchanged = store.record_signature(row.id, &signature(1)).await.unwrap();
        assert!(unchanged.signature.is_none());
    }
}
