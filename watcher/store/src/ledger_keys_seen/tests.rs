//! Keys as they were first seen, on both engines.

use crate::testing::{on_both_engines, signed_row};
use crate::{CertificateKey, IdentityKey, LedgerKeySeen};

fn seen(spki: &[u8], certified: bool, seen_at: i64) -> LedgerKeySeen {
    LedgerKeySeen { spki: spki.to_vec(), identity: "release".to_owned(), certified, seen_at, backdated: false }
}

fn asked(spki: &[u8], requested_at: i64) -> CertificateKey {
    CertificateKey {
        public_key_spki: spki.to_vec(),
        identity_name: "ci".to_owned(),
        issuer: "https://issuer.example.com".to_owned(),
        subject: "https://ci.example.com/team".to_owned(),
        requested_at,
    }
}

on_both_engines! {
    async fn a_key_stays_as_it_was_first_seen_and_is_certified_once(database) {
        let store = database.store();
        store.record_ledger_keys_seen(&[seen(b"a", false, 5), seen(&[9; 3_000], true, 6)]).await.unwrap();
        store.record_ledger_keys_seen(&[seen(b"a", false, 7), seen(&[9; 3_000], true, 8)]).await.unwrap();
        let all = async || {
            let mut all = store.ledger_keys_seen().await.unwrap();
            all.sort_by_key(|key| key.spki.len());
            all
        };
        assert_eq!(all().await, [seen(b"a", false, 5), seen(&[9; 3_000], true, 6)]);
        let late = LedgerKeySeen { backdated: true, identity: "other".to_owned(), ..seen(b"a", true, 9) };
        store.record_ledger_keys_seen(&[late, seen(b"a", true, 10), seen(b"a", false, 11)]).await.unwrap();
        let expected = LedgerKeySeen { backdated: true, ..seen(b"a", true, 9) };
        assert_eq!(all().await, [expected, seen(&[9; 3_000], true, 6)]);
        assert_eq!(store.ledger_keys_seen_count().await.unwrap(), 2);
    }

    async fn keys_of_certificates_are_found_by_their_time_and_by_not_being_seen(database) {
        let store = database.store();
        signed_row(&*store, 1).await;
        let first = IdentityKey { identity: "fingerprint".to_owned(), spki: Some(vec![1, 2, 3]) };
        assert_eq!(store.identity_keys().await.unwrap(), [first]);
        for (spki, at) in [(b"a", 1_000), (b"b", 2_000), (b"c", 3_000)] {
            store.record_certificate_key(&asked(spki, at)).await.unwrap();
            // The first time stays.
            store.record_certificate_key(&asked(spki, at + 9_000)).await.unwrap();
        }
        let spkis = |rows: Vec<crate::LedgerKeyRow>| {
            let mut spkis: Vec<_> = rows.into_iter().map(|row| (row.spki, row.first_at)).collect();
            spkis.sort();
            spkis
        };
        let since = store.certificate_keys_since(2_000).await.unwrap();
        assert_eq!(spkis(since), [(b"b".to_vec(), 2_000), (b"c".to_vec(), 3_000)]);
        // One that was seen, though not for a certificate, is still news.
        store.record_ledger_keys_seen(&[seen(b"a", true, 5), seen(b"b", false, 5)]).await.unwrap();
        let unseen = store.certificate_keys_unseen().await.unwrap();
        assert_eq!(spkis(unseen), [(b"b".to_vec(), 2_000), (b"c".to_vec(), 3_000)]);
    }
}
