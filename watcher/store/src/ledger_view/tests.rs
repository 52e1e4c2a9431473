//! The view of the ledger, on both engines.

use crate::testing::{digest, entry, image, on_both_engines, root, signed_row};
use crate::{EntryCursor, Intent, JobClass, Material, RecordedEntry};

/// What [`signed_row`] signs with.
fn signature(number: u64) -> Vec<u8> {
    [digest(number).as_bytes(), &root(number)[..]].concat()
}

on_both_engines! {
    async fn a_signature_finds_its_row_and_nothing_else_does(database) {
        let store = database.store();
        let mut ids = Vec::new();
        for number in 0..70 {
            ids.push(signed_row(&*store, number).await);
        }
        let rows = store.ledger_by_signatures(&[signature(3)]).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[3]]);
        assert_eq!(rows[0].signature.as_ref().map(|signed| signed.signature.clone()), Some(signature(3)));
        // More than one statement takes, with repetitions and strangers among them.
        let many: Vec<Vec<u8>> = (0..140).map(|number| signature(number % 75)).collect();
        let mut found: Vec<i64> = store.ledger_by_signatures(&many).await.unwrap().iter().map(|row| row.id).collect();
        found.sort_unstable();
        assert_eq!(found, ids);
        // The same beginning is not the same signature.
        let mut alike = signature(3);
        *alike.last_mut().unwrap() ^= 1;
        assert!(store.ledger_by_signatures(&[alike, Vec::new(), vec![7]]).await.unwrap().is_empty());
        assert!(store.ledger_by_signatures(&[]).await.unwrap().is_empty());
    }

    async fn a_signed_digest_finds_its_rows(database) {
        let store = database.store();
        let id = signed_row(&*store, 5).await;
        signed_row(&*store, 6).await;
        let asked = [digest(1_000_005).as_bytes().to_vec(), digest(9).as_bytes().to_vec()];
        let rows = store.ledger_by_digests(&asked).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [id]);
    }

    async fn a_walk_by_id_sees_every_row_without_its_material(database) {
        let store = database.store();
        assert_eq!(store.ledger_newest().await.unwrap(), None);
        let (first, second) = (signed_row(&*store, 1).await, signed_row(&*store, 2).await);
        let material = Material { artifact: vec![1; 9], manifest: None, at: 13 };
        store.record_material(first, &material).await.unwrap();
        let intent = Intent {
            image: image("team/app").with_digest(digest(3)),
            identity_name: "release".to_owned(),
            identity: "fingerprint".to_owned(),
            public_key_spki: vec![1, 2, 3],
            format: bundle::Format::Legacy,
            log_origin: "log.example.com".to_owned(),
            trust_zone: "prod".to_owned(),
            class: JobClass::Hand,
            at: 1_500,
        };
        let third = store.intend(&intent).await.unwrap().id;
        let rows = store.ledger_rows_after(0, 2).await.unwrap().rows;
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [first, second]);
        assert_eq!((rows[0].material.clone(), rows[0].signature.is_some()), (None, true));
        let rest = store.ledger_rows_after(second, 10).await.unwrap().rows;
        assert_eq!(rest, [store.ledger_row(third).await.unwrap()]);
        assert_eq!(store.ledger_newest().await.unwrap(), Some((third, 1_500)));

        let digests = store.ledger_digests(0, 10).await.unwrap();
        assert_eq!(digests.iter().map(|row| row.id).collect::<Vec<_>>(), [first, second]);
        assert_eq!(digests[1].signed_digest, digest(1_000_002).as_bytes());
        assert_eq!(digests[1].payload_sha256, *digest(2).as_bytes());
        assert_eq!(store.ledger_digests(first, 10).await.unwrap().len(), 1);
    }

    async fn a_walk_through_the_entries_has_each_once_with_its_log(database) {
        let store = database.store();
        let (first, second) = (signed_row(&*store, 1).await, signed_row(&*store, 2).await);
        let places = [(first, "b", 5), (first, "b", 40), (first, "a", 7), (second, "a", 6)];
        for (id, origin, index) in places {
            store.record_entry(id, &RecordedEntry { log_origin: origin.to_owned(), ..entry(index, 2_000 + index as i64) }).await.unwrap();
        }
        let mut walked = Vec::new();
        let mut cursor = EntryCursor::default();
        while let Some(row) = store.ledger_entries_after(&cursor, 1).await.unwrap().pop() {
            walked.push((row.signature_id, row.log_origin.clone(), row.log_index));
            assert_eq!(row.leaf_hash, root(row.log_index));
            assert_eq!(row.entry_json, entry(row.log_index, 0).entry_json);
            cursor = row.cursor();
        }
        let expected = [(first, "a", 7), (first, "b", 5), (first, "b", 40), (second, "a", 6)];
        assert_eq!(walked, expected.map(|(id, origin, index)| (id, origin.to_owned(), index)));
        let of_one = store.ledger_entries(first).await.unwrap();
        let shown: Vec<_> = of_one.iter().map(|row| (row.log_origin.as_str(), row.log_index)).collect();
        assert_eq!(shown, [("b", 5), ("a", 7), ("b", 40)]);
        assert_eq!(of_one[0].image, image("team/app").with_digest(digest(1)));
        assert_eq!(of_one[0].class, JobClass::Push);
    }
}
