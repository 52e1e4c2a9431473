//! The outbox, on both engines.

use crate::testing::{finding, on_both_engines, sinks};
use crate::{NewFinding, Severity};

on_both_engines! {
    async fn an_alert_is_sent_once_and_names_its_finding(database) {
        let store = database.store();
        let mut wakeups = store.wakeups();
        wakeups.mark_unchanged();
        assert_eq!(store.lease_alert("pager", 60_000).await.unwrap(), None);
        let id = store.raise(&[finding("a", Severity::Critical)], &sinks()).await.unwrap()[0].id;
        assert!(wakeups.has_changed().unwrap());
        let alert = store.lease_alert("pager", 60_000).await.unwrap().unwrap();
        assert_eq!((alert.finding.id, alert.attempts, alert.resolved), (id, 1, false));
        assert_eq!(alert.finding.fingerprint, "a");
        assert_eq!(store.lease_alert("pager", 60_000).await.unwrap(), None);
        assert!(store.finish_alert(&alert).await.unwrap());
        assert!(!store.finish_alert(&alert).await.unwrap());
        assert_eq!(store.lease_alert("pager", 60_000).await.unwrap(), None);
        // The other sink has its own.
        assert!(store.lease_alert("mail", 60_000).await.unwrap().is_some());
    }

    async fn a_sink_that_fails_holds_up_no_other_and_no_other_finding(database) {
        let store = database.store();
        store.raise(&[finding("a", Severity::Critical), finding("b", Severity::Critical)], &sinks()).await.unwrap();
        let first = store.lease_alert("pager", 60_000).await.unwrap().unwrap();
        assert!(store.retry_alert(&first, 3_600_000, "no \0 answer").await.unwrap());
        assert!(!store.retry_alert(&first, 0, "late").await.unwrap());
        let second = store.lease_alert("pager", 60_000).await.unwrap().unwrap();
        assert_ne!(second.finding.id, first.finding.id);
        store.finish_alert(&second).await.unwrap();
        assert_eq!(store.lease_alert("pager", 60_000).await.unwrap(), None);

        let counts = store.outbox_counts().await.unwrap();
        let names: Vec<_> = counts.iter().map(|count| (count.sink.as_str(), count.waiting)).collect();
        assert_eq!(names, [("mail", 2), ("pager", 1)]);
        assert_eq!((counts[1].attempts_of_oldest, counts[1].last_error.as_deref()), (1, Some("no \u{fffd} answer")));
        assert!((0..60_000).contains(&counts[1].oldest_age_ms));
    }

    async fn what_a_sink_is_told_of_one_finding_stays_in_order(database) {
        let store = database.store();
        store.raise(&[finding("a", Severity::Critical)], &sinks()).await.unwrap();
        let fired = store.lease_alert("pager", 60_000).await.unwrap().unwrap();
        store.clear_finding("a", 20, &sinks()).await.unwrap();
        // The first is being sent, or waits for another try: the end of it waits too.
        assert_eq!(store.lease_alert("pager", 60_000).await.unwrap(), None);
        store.retry_alert(&fired, 0, "away").await.unwrap();
        let fired = store.lease_alert("pager", 60_000).await.unwrap().unwrap();
        assert_eq!((fired.resolved, fired.attempts), (false, 2));
        store.finish_alert(&fired).await.unwrap();
        let over = store.lease_alert("pager", 60_000).await.unwrap().unwrap();
        assert!(over.resolved);
    }

    async fn a_lease_that_ended_is_taken_and_its_old_holder_writes_nothing(database) {
        let store = database.store();
        store.raise(&[finding("a", Severity::Critical)], &sinks()).await.unwrap();
        let old = store.lease_alert("pager", 0).await.unwrap().unwrap();
        let new = store.lease_alert("pager", 60_000).await.unwrap().unwrap();
        assert_eq!((new.id, new.attempts), (old.id, 2));
        assert!(!store.finish_alert(&old).await.unwrap());
        assert!(!store.retry_alert(&old, 0, "late").await.unwrap());
        assert!(store.finish_alert(&new).await.unwrap());
    }

    async fn many_senders_lease_each_alert_once(database) {
        let store = database.store();
        let findings: Vec<_> = (0..40).map(|number| finding(&number.to_string(), Severity::Critical)).collect();
        store.raise(&findings, &sinks()).await.unwrap();
        let senders: Vec<_> = (0..6)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut sent = Vec::new();
                    // Somebody else may hold the row that would be next: ask until all are taken.
                    for _ in 0..200 {
                        if let Some(alert) = store.lease_alert("pager", 60_000).await.unwrap() {
                            assert!(store.finish_alert(&alert).await.unwrap());
                            sent.push(alert.id);
                        }
                    }
                    sent
                })
            })
            .collect();
        let mut sent = Vec::new();
        for sender in senders {
            sent.extend(sender.await.unwrap());
        }
        sent.sort_unstable();
        assert_eq!(sent.len(), 40);
        sent.dedup();
        assert_eq!(sent.len(), 40);
    }

    async fn what_a_removed_sink_was_to_hear_is_forgotten(database) {
        let store = database.store();
        store.raise(&[finding("a", Severity::Critical)], &sinks()).await.unwrap();
        assert_eq!(store.forget_other_sinks(&["mail".to_owned(), "new".to_owned()]).await.unwrap(), 1);
        assert_eq!(store.lease_alert("pager", 60_000).await.unwrap(), None);
        assert!(store.lease_alert("mail", 60_000).await.unwrap().is_some());
    }

    async fn delivered_alerts_are_purged_but_for_the_last_of_what_is_not_over(database) {
        let store = database.store();
        let count = NewFinding { severity: Severity::Warning, ..finding("a", Severity::Info) };
        store.raise(&[finding("a", Severity::Info)], &sinks()).await.unwrap();
        store.raise(&[count], &sinks()).await.unwrap();
        store.raise(&[finding("b", Severity::Info)], &sinks()).await.unwrap();
        while let Some(alert) = store.lease_alert("mail", 60_000).await.unwrap() {
            store.finish_alert(&alert).await.unwrap();
        }
        assert_eq!(store.purge(1).await.unwrap().alerts, 0);
        assert_eq!(store.purge(i64::MAX).await.unwrap().alerts, 1);
        // Both can still be told to be over.
        for cause in ["a", "b"] {
            store.clear_finding(cause, 20, &sinks()).await.unwrap();
            assert!(store.lease_alert("mail", 60_000).await.unwrap().unwrap().resolved);
        }
        assert_eq!(store.purge(i64::MAX).await.unwrap().alerts, 2);
        assert_eq!(store.outbox_counts().await.unwrap()[0].waiting, 2);
    }

    async fn a_restart_takes_the_leases_of_alerts_and_logs_back_where_one_process_has_the_database(database) {
        let exclusive = database.is_exclusive();
        let store = database.store();
        store.raise(&[finding("a", Severity::Critical)], &sinks()).await.unwrap();
        store.trust_log(&crate::testing::trust("log.example.com", 0)).await.unwrap();
        let alert = store.lease_alert("pager", 60_000).await.unwrap().unwrap();
        let log = store.lease_log("log.example.com", "a", 60_000).await.unwrap().unwrap();
        drop(store);
        let database = database.reopen().await;
        let store = database.store();
        assert_eq!(store.lease_alert("pager", 60_000).await.unwrap().is_some(), exclusive);
        assert_eq!(store.lease_log("log.example.com", "b", 60_000).await.unwrap().is_some(), exclusive);
        assert_eq!(store.finish_alert(&alert).await.unwrap(), !exclusive);
        assert_eq!(store.renew_log(&log, 60_000, 0).await.unwrap(), !exclusive);
    }
}
