//! Suspects, on both engines.

use crate::testing::{finding, on_both_engines, sinks, trust};
use crate::{Advance, FindingFilter, NewSuspect, Severity, Store};

const LOG: &str = "log.example.com";

fn suspect(log_index: u64, due_at: i64) -> NewSuspect {
    NewSuspect {
        log_origin: LOG.to_owned(),
        log_index,
        leaf: format!("leaf {log_index}").into_bytes(),
        why: "key".to_owned(),
        noted_at: 10,
        due_at,
    }
}

async fn note(store: &dyn Store, suspects: Vec<NewSuspect>) {
    store.trust_log(&trust(LOG, 0)).await.unwrap();
    let lease = store.lease_log(LOG, "a", 60_000).await.unwrap().unwrap();
    assert!(store.advance(&lease, &Advance { suspects, ..Advance::default() }).await.unwrap());
}

on_both_engines! {
    async fn a_suspect_is_due_after_its_grace_and_is_settled_once(database) {
        let store = database.store();
        note(&*store, vec![suspect(1, 100), suspect(2, 50), suspect(2, 60), suspect(3, 500)]).await;
        assert_eq!(store.suspects_waiting().await.unwrap(), 3);
        assert!(store.due_suspects(49, 10).await.unwrap().is_empty());
        let due = store.due_suspects(100, 10).await.unwrap();
        assert_eq!(due.iter().map(|due| due.log_index).collect::<Vec<_>>(), [2, 1]);
        assert_eq!((due[0].leaf.as_slice(), due[0].due_at, due[0].noted_at), (&b"leaf 2"[..], 50, 10));
        assert_eq!(store.due_suspects(100, 1).await.unwrap().len(), 1);

        let seen = finding("rogue", Severity::Critical);
        assert!(store.settle_suspect(due[0].id, Some(&seen), &sinks()).await.unwrap());
        // Another monitor comes to the same end.
        assert!(!store.settle_suspect(due[0].id, Some(&finding("twice", Severity::Critical)), &sinks()).await.unwrap());
        assert!(store.settle_suspect(due[1].id, None, &sinks()).await.unwrap());
        assert_eq!(store.suspects_waiting().await.unwrap(), 1);
        let findings = store.findings(&FindingFilter::default()).await.unwrap();
        assert_eq!(findings.iter().map(|row| row.fingerprint.as_str()).collect::<Vec<_>>(), ["rogue"]);
        assert!(store.lease_alert("pager", 60_000).await.unwrap().is_some());

        // The leaf is read again after a crash: it stays settled.
        note(&*store, vec![suspect(2, 900)]).await;
        assert_eq!(store.suspects_waiting().await.unwrap(), 1);
    }

    async fn a_suspect_that_cannot_be_judged_comes_back_later(database) {
        let store = database.store();
        note(&*store, vec![suspect(1, 100)]).await;
        let id = store.due_suspects(100, 10).await.unwrap()[0].id;
        assert!(store.postpone_suspect(id, 300).await.unwrap());
        assert!(store.due_suspects(299, 10).await.unwrap().is_empty());
        assert_eq!(store.due_suspects(300, 10).await.unwrap()[0].id, id);
        store.settle_suspect(id, None, &[]).await.unwrap();
        assert!(!store.postpone_suspect(id, 400).await.unwrap());
    }

    async fn settled_suspects_are_purged_and_those_that_wait_stay(database) {
        let store = database.store();
        note(&*store, vec![suspect(1, 100), suspect(2, 100)]).await;
        let id = store.due_suspects(100, 1).await.unwrap()[0].id;
        store.settle_suspect(id, None, &[]).await.unwrap();
        assert_eq!(store.purge(1).await.unwrap().suspects, 0);
        assert_eq!(store.purge(i64::MAX).await.unwrap().suspects, 1);
        assert_eq!(store.suspects_waiting().await.unwrap(), 1);
    }
}
