//! The intake queue, on both engines.

use crate::testing::{digest, event, image, job, on_both_engines, tag};
use crate::{
    Announced, Claim, FinishedJob, JobOutcome, JobState, LeasedEvent, NewEvent, NewJob, NewLook, ParkedBecause,
    Postponed, Skip, Wanted,
};

fn push_of(leased: &LeasedEvent) -> &NewEvent {
    match &leased.event {
        Announced::Push(push) => push,
        Announced::Look(look) => panic!("no push: {look:?}"),
    }
}

on_both_engines! {
    async fn the_wish_to_look_comes_back_as_one_and_becomes_jobs(database) {
        let store = database.store();
        let registry = image("team/app").registry;
        let look = NewLook { source: "harbor".to_owned(), registry: registry.clone(), received_at: 77 };
        store.record_look(&look).await.unwrap();
        let due = store.due_events(10).await.unwrap();
        assert_eq!((due.len(), due[0].registry.as_str(), due[0].repository.as_str()), (1, registry.as_str(), ""));
        let leased = store.lease_event(60_000).await.unwrap().unwrap();
        assert_eq!(leased.event, Announced::Look(look.clone()));
        assert!(store.retry_event(&leased, &Postponed::attempt(0, "away")).await.unwrap());
        let wanted = Wanted::Of { registry: &due[0].registry, repository: "", suspects: false };
        let leased = store.claim_event(wanted, 60_000).await.unwrap().taken().unwrap();
        assert_eq!((&leased.event, leased.attempts), (&Announced::Look(look), 2));
        let jobs = [job("team/a", digest(1), "v1"), job("team/b", digest(2), "v1")];
        assert!(store.finish_event(&leased, &jobs, &[]).await.unwrap());
        let counts = store.counts().await.unwrap();
        assert_eq!((counts.events_waiting, counts.events_leased, counts.jobs_ready), (0, 0, 2));
    }

    async fn a_kind_of_a_later_version_is_parked_alone(database) {
        let store = database.store();
        store.record_events(&[event("team/app", None), event("team/other", None)]).await.unwrap();
        database.execute("UPDATE push_events SET kind = 'dance' WHERE repository = 'team/app'").await;
        let leased = store.lease_event(60_000).await.unwrap().unwrap();
        assert_eq!(push_of(&leased).repository.as_str(), "team/other");
        let parked = store.parked(10).await.unwrap();
        assert_eq!((parked.len(), parked[0].because), (1, Some(ParkedBecause::Unreadable)));
        assert!(parked[0].last_error.contains("kind of event"), "{}", parked[0].last_error);
    }

    async fn many_events_are_recorded_by_few_statements_and_keep_their_order(database) {
        let store = database.store();
        let count = 2 * crate::events::ROWS_PER_INSERT as u64 + 7;
        let batch: Vec<NewEvent> = (0..count)
            .map(|number| NewEvent {
                tag: (number % 3 > 0).then(|| tag("v1")),
                ..event(&format!("team/app{number}"), (number % 2 > 0).then(|| digest(number)))
            })
            .collect();
        store.record_events(&batch).await.unwrap();
        assert_eq!(store.counts().await.unwrap().events_waiting, count);
        for wanted in batch.iter().take(5) {
            let leased = store.lease_event(60_000).await.unwrap().unwrap();
            assert_eq!(push_of(&leased), wanted);
        }
    }

    async fn a_redelivered_push_is_queued_once(database) {
        let store = database.store();
        let push = event("team/app", Some(digest(1)));
        store.record_events(&[push.clone(), push.clone()]).await.unwrap();
        store.record_events(std::slice::from_ref(&push)).await.unwrap();
        for _ in 0..3 {
            let leased = store.lease_event(60_000).await.unwrap().unwrap();
            assert_eq!(leased.event, Announced::Push(push.clone()));
            let announced = NewJob { pushed_at: Some(push.received_at), ..job("team/app", digest(1), "v1") };
            assert!(store.finish_event(&leased, &[announced], &[]).await.unwrap());
        }
        assert!(store.lease_event(60_000).await.unwrap().is_none());
        assert_eq!(store.counts().await.unwrap().jobs_ready, 1);
        let leased = store.lease_job(60_000).await.unwrap().unwrap();
        assert_eq!((leased.first_seen_at, leased.pushed_at), (push.received_at, Some(push.received_at)));
        assert!(store.lease_job(60_000).await.unwrap().is_none());
    }

    async fn an_event_becomes_its_jobs_and_skips_in_one_step(database) {
        let store = database.store();
        store.record_events(&[event("team/app", None)]).await.unwrap();
        let leased = store.lease_event(60_000).await.unwrap().unwrap();
        let name = image("team/app");
        let skip = Skip {
            registry: name.registry.clone(),
            repository: name.repository.clone(),
            tag: Some(tag("v1")),
            digest: None,
            reason: "no-rule".to_owned(),
            detail: "no rule matches\0".to_owned(),
            at: 5,
        };
        let jobs = [job("team/b", digest(2), "v1"), job("team/a", digest(1), "v1")];
        assert!(store.finish_event(&leased, &jobs, std::slice::from_ref(&skip)).await.unwrap());
        let counts = store.counts().await.unwrap();
        assert_eq!((counts.events_waiting, counts.events_leased, counts.jobs_ready), (0, 0, 2));
        let skips = store.skips_for(&name.registry, &name.repository, 10).await.unwrap();
        assert_eq!(skips, [Skip { detail: "no rule matches\u{fffd}".to_owned(), ..skip }]);
        let elsewhere = image("team/other").repository;
        assert!(store.skips_for(&name.registry, &elsewhere, 10).await.unwrap().is_empty());
    }

    async fn an_outcome_needs_no_event_of_this_queue(database) {
        let store = database.store();
        let name = image("team/app");
        let skip = Skip {
            registry: name.registry.clone(),
            repository: name.repository.clone(),
            tag: None,
            digest: Some(digest(3)),
            reason: "superseded".to_owned(),
            detail: String::new(),
            at: 5,
        };
        let jobs = [job("team/b", digest(2), "v1"), job("team/a", digest(1), "v1")];
        let woken = store.wakeups();
        // Another queue may deliver twice.
        for _ in 0..2 {
            store.record_outcome(&jobs, std::slice::from_ref(&skip)).await.unwrap();
        }
        assert!(woken.has_changed().unwrap());
        assert_eq!(store.counts().await.unwrap().jobs_ready, 2);
        assert_eq!(store.skips_for(&name.registry, &name.repository, 10).await.unwrap()[0], skip);
        store.record_outcome(&[], &[]).await.unwrap();
    }

    async fn a_lost_event_lease_writes_nothing(database) {
        let store = database.store();
        store.record_events(&[event("team/app", Some(digest(1)))]).await.unwrap();
        // The first lease ends at once, so that a second worker gets the event.
        let lost = store.lease_event(0).await.unwrap().unwrap();
        let held = store.lease_event(60_000).await.unwrap().unwrap();
        assert_eq!((held.id, held.attempts), (lost.id, 2));
        assert_ne!(held.lease, lost.lease);

        let jobs = [job("team/app", digest(1), "v1")];
        assert!(!store.finish_event(&lost, &jobs, &[]).await.unwrap());
        assert!(!store.retry_event(&lost, &Postponed::attempt(0, "late")).await.unwrap());
        assert!(!store.park_event(&lost, ParkedBecause::Failed, "late").await.unwrap());
        let counts = store.counts().await.unwrap();
        assert_eq!((counts.jobs_ready, counts.events_leased, counts.events_parked), (0, 1, 0));
        assert!(store.finish_event(&held, &jobs, &[]).await.unwrap());
        assert!(!store.finish_event(&held, &jobs, &[]).await.unwrap());
    }

    async fn an_event_is_retried_after_its_delay(database) {
        let store = database.store();
        store.record_events(&[event("team/app", None)]).await.unwrap();
        let leased = store.lease_event(60_000).await.unwrap().unwrap();
        assert!(store.retry_event(&leased, &Postponed::attempt(3_600_000, "the registry is away")).await.unwrap());
        assert!(store.lease_event(60_000).await.unwrap().is_none());
        assert_eq!(store.counts().await.unwrap().events_waiting, 1);

        store.record_events(&[event("team/app", None)]).await.unwrap();
        let leased = store.lease_event(60_000).await.unwrap().unwrap();
        assert!(store.retry_event(&leased, &Postponed::attempt(0, "again")).await.unwrap());
        assert_eq!(store.lease_event(60_000).await.unwrap().unwrap().attempts, 2);
    }

    async fn events_leave_in_the_order_in_which_they_came(database) {
        let store = database.store();
        for number in 0..5 {
            store.record_events(&[event("team/app", Some(digest(number)))]).await.unwrap();
        }
        for number in 0..5 {
            let leased = store.lease_event(60_000).await.unwrap().unwrap();
            assert_eq!(push_of(&leased).digest, Some(digest(number)));
        }
    }

    async fn two_hundred_concurrent_events_are_all_durable(database) {
        let store = database.store();
        let callers: Vec<_> = (0..200)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    store.record_events(&[event("team/app", Some(digest(number)))]).await
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap().unwrap();
        }
        drop(store);
        let database = database.reopen().await;
        let store = database.store();
        let mut seen = std::collections::BTreeSet::new();
        while let Some(leased) = store.lease_event(60_000).await.unwrap() {
            assert!(seen.insert(push_of(&leased).digest));
        }
        assert_eq!(seen.len(), 200);
    }

    async fn an_event_without_tag_or_digest_comes_back_as_it_went_in(database) {
        let store = database.store();
        let bare = NewEvent { tag: None, digest: None, ..event("a/b/c", None) };
        store.record_events(&[]).await.unwrap();
        store.record_events(std::slice::from_ref(&bare)).await.unwrap();
        assert_eq!(store.lease_event(60_000).await.unwrap().unwrap().event, Announced::Push(bare));
    }

    async fn whoever_waits_for_work_is_told_of_it(database) {
        let store = database.store();
        let mut wakeups = store.wakeups();
        assert!(!wakeups.has_changed().unwrap());
        store.record_events(&[event("team/app", None)]).await.unwrap();
        assert!(wakeups.has_changed().unwrap());
        wakeups.mark_unchanged();
        let leased = store.lease_event(60_000).await.unwrap().unwrap();
        store.finish_event(&leased, &[job("team/app", digest(1), "v1")], &[]).await.unwrap();
        assert!(wakeups.has_changed().unwrap());
    }

    async fn an_event_for_a_finished_job_makes_it_ready_again(database) {
        let store = database.store();
        let name = image("team/app");
        for run in 0..2 {
            store.record_events(&[event("team/app", Some(digest(1)))]).await.unwrap();
            let leased = store.lease_event(60_000).await.unwrap().unwrap();
            store.finish_event(&leased, &[job("team/app", digest(1), "v1")], &[]).await.unwrap();
            let leased = store.lease_job(60_000).await.unwrap().unwrap();
            assert_eq!((leased.attempts, leased.wakes), (1, run));
            let ended = store.finish_job(&leased, &JobOutcome::Signed).await.unwrap();
            assert_eq!(ended, FinishedJob::Done);
        }
        let row = store.job(&name.registry, &name.repository, &digest(1)).await.unwrap().unwrap();
        assert_eq!(row.state, JobState::Done);
    }

    async fn an_event_that_never_reports_back_is_parked(database) {
        let store = database.store();
        store.record_events(&[event("team/app", None)]).await.unwrap();
        for _ in 0..crate::waiting::UNREPORTED_MAX {
            assert!(matches!(store.claim_event(Wanted::Any, 0).await.unwrap(), Claim::Taken(_)));
        }
        let parked = store.claim_event(Wanted::Any, 0).await.unwrap();
        assert!(matches!(parked, Claim::Parked { because: ParkedBecause::Poison, .. }), "{parked:?}");
        assert_eq!(store.counts().await.unwrap().events_parked, 1);
    }

    async fn an_event_that_cannot_be_read_is_parked_alone(database) {
        let store = database.store();
        store.record_events(&[event("team/app", None), event("team/other", None)]).await.unwrap();
        database.execute("UPDATE push_events SET tag = 'no tag!' WHERE id = 1").await;
        let leased = store.lease_event(60_000).await.unwrap().unwrap();
        assert_eq!(push_of(&leased).repository.as_str(), "team/other");
        assert_eq!(store.due_events(10).await.unwrap().len(), 0);
        assert_eq!(store.parked(10).await.unwrap()[0].tag.as_deref(), Some("no tag!"));
    }
}
