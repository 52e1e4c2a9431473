//! The queue of work, on both engines.

use std::collections::BTreeMap;

use crate::testing::{digest, image, job, on_both_engines, tag};
use crate::{
    Claim, FinishedJob, JobClass, JobOutcome, JobRow, JobState, NewJob, ParkedBecause, ParkedFilter, Postponed, Store,
    Wanted,
};

async fn row(store: &dyn Store, number: u64) -> JobRow {
    let name = image("team/app");
    store.job(&name.registry, &name.repository, &digest(number)).await.unwrap().unwrap()
}

on_both_engines! {
    async fn a_job_woken_while_it_is_leased_runs_again(database) {
        let store = database.store();
        let id = store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        let first = store.lease_job(60_000).await.unwrap().unwrap();
        assert_eq!(store.enqueue_job(&job("team/app", digest(1), "latest")).await.unwrap(), id);
        // Nobody else gets it meanwhile.
        assert!(store.lease_job(60_000).await.unwrap().is_none());
        let ended = store.finish_job(&first, &JobOutcome::Signed).await.unwrap();
        assert_eq!(ended, FinishedJob::WokenAgain);
        let second = store.lease_job(60_000).await.unwrap().unwrap();
        assert_eq!((second.id, second.wakes, second.attempts), (id, 1, 1));
        let ended = store.finish_job(&second, &JobOutcome::Signed).await.unwrap();
        assert_eq!(ended, FinishedJob::Done);
        assert!(store.lease_job(60_000).await.unwrap().is_none());
    }

    async fn a_digest_pushed_under_two_tags_is_one_job_with_both(database) {
        let store = database.store();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        store.enqueue_job(&job("team/app", digest(1), "latest")).await.unwrap();
        store.enqueue_job(&NewJob { tag: None, ..job("team/app", digest(1), "v1") }).await.unwrap();
        let leased = store.lease_job(60_000).await.unwrap().unwrap();
        assert_eq!(leased.tag, Some(tag("latest")));
        assert_eq!(leased.tags, [tag("latest"), tag("v1")]);
        assert_eq!(row(&*store, 1).await.tags, leased.tags);
        assert!(store.lease_job(60_000).await.unwrap().is_none());
    }

    async fn a_lost_job_lease_writes_nothing(database) {
        let store = database.store();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        let lost = store.lease_job(0).await.unwrap().unwrap();
        let held = store.lease_job(60_000).await.unwrap().unwrap();
        assert_eq!((held.id, held.attempts), (lost.id, 2));
        let before = row(&*store, 1).await;

        assert!(!store.heartbeat_job(&lost, 60_000).await.unwrap());
        assert!(!store.retry_job(&lost, &Postponed::attempt(0, "late")).await.unwrap());
        assert!(!store.park_job(&lost, ParkedBecause::Failed, "late").await.unwrap());
        let ended = store.finish_job(&lost, &JobOutcome::Signed).await.unwrap();
        assert_eq!(ended, FinishedJob::LeaseLost);
        assert_eq!(row(&*store, 1).await, before);
        assert_eq!(store.finish_job(&held, &JobOutcome::Signed).await.unwrap(), FinishedJob::Done);
    }

    async fn a_job_is_leased_by_its_id_and_no_other_is(database) {
        let store = database.store();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        let wanted = store.enqueue_job(&job("team/app", digest(2), "v2")).await.unwrap();
        let leased = store.claim_job(Wanted::Id(wanted), 60_000).await.unwrap().taken().unwrap();
        assert_eq!((leased.id, leased.digest), (wanted, digest(2)));
        // Held by us, so nobody gets it a second time; the other is still there for a worker.
        assert!(store.claim_job(Wanted::Id(wanted), 60_000).await.unwrap().taken().is_none());
        assert_eq!(store.lease_job(60_000).await.unwrap().unwrap().digest, digest(1));
    }

    async fn a_heartbeat_keeps_the_lease(database) {
        let store = database.store();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        let held = store.lease_job(0).await.unwrap().unwrap();
        assert!(store.heartbeat_job(&held, 60_000).await.unwrap());
        assert!(store.lease_job(60_000).await.unwrap().is_none());
    }

    async fn workers_that_race_never_hold_the_same_job(database) {
        let store = database.store();
        for number in 0..30 {
            store.enqueue_job(&job("team/app", digest(number), "v1")).await.unwrap();
        }
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut ids = Vec::new();
                    while let Some(leased) = store.lease_job(60_000).await.unwrap() {
                        ids.push(leased.id);
                    }
                    ids
                })
            })
            .collect();
        let mut holders: BTreeMap<i64, u32> = BTreeMap::new();
        for worker in workers {
            for id in worker.await.unwrap() {
                *holders.entry(id).or_default() += 1;
            }
        }
        // SKIP LOCKED may show a worker an empty queue while others hold its rows; what is left
        // over is there for the next look.
        while let Some(leased) = store.lease_job(60_000).await.unwrap() {
            *holders.entry(leased.id).or_default() += 1;
        }
        assert_eq!(holders.len(), 30);
        assert!(holders.values().all(|count| *count == 1));
    }

    async fn two_workers_race_for_one_job_and_one_gets_it(database) {
        let store = database.store();
        for number in 0..10 {
            store.enqueue_job(&job("team/app", digest(number), "v1")).await.unwrap();
            let (a, b) = tokio::join!(store.lease_job(60_000), store.lease_job(60_000));
            let held: Vec<_> = [a.unwrap(), b.unwrap()].into_iter().flatten().collect();
            assert_eq!(held.len(), 1);
            store.finish_job(&held[0], &JobOutcome::Signed).await.unwrap();
        }
    }

    async fn wakes_that_race_with_the_end_of_a_job_are_never_lost(database) {
        let store = database.store();
        for number in 0..20 {
            let again = job("team/app", digest(number), "v1");
            store.enqueue_job(&again).await.unwrap();
            let leased = store.lease_job(60_000).await.unwrap().unwrap();
            let (woken, ended) = tokio::join!(
                store.enqueue_job(&again),
                store.finish_job(&leased, &JobOutcome::Signed)
            );
            woken.unwrap();
            ended.unwrap();
            // Whichever came first, the job is to run once more.
            let leased = store.lease_job(60_000).await.unwrap().expect("the wake was lost");
            store.finish_job(&leased, &JobOutcome::Signed).await.unwrap();
        }
    }

    async fn a_skipped_job_says_why(database) {
        let store = database.store();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        let leased = store.lease_job(60_000).await.unwrap().unwrap();
        store.retry_job(&leased, &Postponed::attempt(0, "first a hiccup")).await.unwrap();
        let leased = store.lease_job(60_000).await.unwrap().unwrap();
        assert_eq!(row(&*store, 1).await.last_error.as_deref(), Some("first a hiccup"));
        let (reason, detail) = ("no-rule".to_owned(), "no rule matches v1".to_owned());
        let skipped = JobOutcome::Skipped { reason, detail };
        assert_eq!(store.finish_job(&leased, &skipped).await.unwrap(), FinishedJob::Done);
        let row = row(&*store, 1).await;
        assert_eq!(row.state, JobState::Skipped);
        assert_eq!(row.reason.as_deref(), Some("no-rule"));
        assert_eq!(row.detail.as_deref(), Some("no rule matches v1"));
        assert_eq!(row.last_error, None);
        assert!(row.finished_at >= Some(row.first_seen_at));
    }

    async fn a_job_in_its_back_off_is_due_at_once_when_it_is_asked_for(database) {
        let store = database.store();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        let leased = store.lease_job(60_000).await.unwrap().unwrap();
        assert!(store.retry_job(&leased, &Postponed::attempt(3_600_000, "the log is away")).await.unwrap());
        assert!(store.lease_job(60_000).await.unwrap().is_none());
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        assert_eq!(store.lease_job(60_000).await.unwrap().unwrap().attempts, 2);
    }

    async fn what_is_parked_is_seen_and_sent_again(database) {
        let store = database.store();
        for number in 0..2 {
            store.enqueue_job(&job("team/app", digest(number), "v1")).await.unwrap();
            let leased = store.lease_job(60_000).await.unwrap().unwrap();
            assert!(store.park_job(&leased, ParkedBecause::Failed, "denied").await.unwrap());
        }
        store.record_events(&[crate::testing::event("team/app", Some(digest(9)))]).await.unwrap();
        let leased = store.lease_event(60_000).await.unwrap().unwrap();
        assert!(store.park_event(&leased, ParkedBecause::Failed, "no such registry").await.unwrap());

        assert!(store.lease_job(60_000).await.unwrap().is_none());
        assert!(store.lease_event(60_000).await.unwrap().is_none());
        let counts = store.counts().await.unwrap();
        assert_eq!((counts.jobs_parked, counts.events_parked), (2, 1));
        let mut errors: Vec<_> =
            store.parked(10).await.unwrap().into_iter().map(|row| row.last_error).collect();
        errors.sort();
        assert_eq!(errors, ["denied", "denied", "no such registry"]);

        let one = ParkedFilter { digest: Some(digest(1)), ..ParkedFilter::default() };
        assert_eq!(store.retry_parked(&one).await.unwrap(), 1);
        assert_eq!(store.lease_job(60_000).await.unwrap().unwrap().digest, digest(1));
        let elsewhere = ParkedFilter {
            repository: Some(image("team/other").repository),
            ..ParkedFilter::default()
        };
        assert_eq!(store.retry_parked(&elsewhere).await.unwrap(), 0);
        assert_eq!(store.retry_parked(&ParkedFilter::default()).await.unwrap(), 2);
        let job = store.lease_job(60_000).await.unwrap().unwrap();
        assert_eq!((job.digest, job.attempts), (digest(0), 1));
        assert_eq!(store.lease_event(60_000).await.unwrap().unwrap().attempts, 1);
    }

    async fn a_job_woken_while_it_is_leased_is_not_parked(database) {
        let store = database.store();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        let leased = store.lease_job(60_000).await.unwrap().unwrap();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        assert!(store.park_job(&leased, ParkedBecause::Failed, "denied").await.unwrap());
        assert_eq!(row(&*store, 1).await.state, JobState::Ready);
    }

    async fn a_push_makes_a_parked_job_ready(database) {
        let store = database.store();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        let leased = store.lease_job(60_000).await.unwrap().unwrap();
        store.park_job(&leased, ParkedBecause::Failed, "denied").await.unwrap();
        let hand = NewJob { class: JobClass::Hand, ..job("team/app", digest(1), "v1") };
        store.enqueue_job(&hand).await.unwrap();
        let leased = store.lease_job(60_000).await.unwrap().unwrap();
        assert_eq!((leased.attempts, leased.class), (1, JobClass::Hand));
    }

    async fn jobs_leave_in_the_order_in_which_they_came(database) {
        let store = database.store();
        for number in 0..5 {
            store.enqueue_job(&job("team/app", digest(number), "v1")).await.unwrap();
        }
        for number in 0..5 {
            let leased = store.lease_job(60_000).await.unwrap().unwrap();
            assert_eq!(leased.digest, digest(number));
        }
    }

    async fn what_a_dead_process_held_is_worked_on_again(database) {
        let exclusive = database.is_exclusive();
        let store = database.store();
        // On SQLite the lease is taken back at open, on PostgreSQL when it ends.
        let lease_ms = if exclusive { 3_600_000 } else { 0 };
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        store.record_events(&[crate::testing::event("team/app", None)]).await.unwrap();
        let lost = store.lease_job(lease_ms).await.unwrap().unwrap();
        store.lease_event(lease_ms).await.unwrap().unwrap();
        store.lock_digest("k", lease_ms).await.unwrap().unwrap();
        drop(store);

        let database = database.reopen().await;
        let store = database.store();
        let leased = store.lease_job(60_000).await.unwrap().expect("the job is stuck");
        assert_eq!((leased.id, leased.attempts), (lost.id, 2));
        assert!(store.lease_event(60_000).await.unwrap().is_some());
        assert!(store.lock_digest("k", 60_000).await.unwrap().is_some());
        let late = store.finish_job(&lost, &JobOutcome::Signed).await.unwrap();
        assert_eq!(late, FinishedJob::LeaseLost);
    }

    async fn work_that_never_reports_back_is_parked_and_holds_up_nothing(database) {
        let store = database.store();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        let name = image("team/app");
        let of = |suspects| Wanted::Of {
            registry: name.registry.as_str(),
            repository: name.repository.as_str(),
            suspects,
        };
        // A lease that ends at once, and no word: as if the process had been killed.
        for _ in 0..2 {
            assert!(matches!(store.claim_job(of(false), 0).await.unwrap(), Claim::Taken(_)));
        }
        // From then on it is suspected: a process that holds one suspect takes no other.
        assert_eq!(store.claim_job(of(false), 0).await.unwrap(), Claim::Gone);
        for _ in 2..crate::waiting::UNREPORTED_MAX {
            assert!(matches!(store.claim_job(of(true), 0).await.unwrap(), Claim::Taken(_)));
        }
        store.enqueue_job(&job("team/app", digest(2), "v2")).await.unwrap();
        let parked = store.claim_job(of(true), 60_000).await.unwrap();
        assert!(matches!(parked, Claim::Parked { because: ParkedBecause::Poison, .. }), "{parked:?}");
        assert_eq!(row(&*store, 1).await.state, JobState::Parked);
        assert_eq!(store.lease_job(60_000).await.unwrap().unwrap().digest, digest(2));
        // A push does not wake it, a person does.
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        assert_eq!(row(&*store, 1).await.state, JobState::Parked);
        store.enqueue_job(&NewJob { class: JobClass::Hand, ..job("team/app", digest(1), "v1") }).await.unwrap();
        assert!(matches!(store.claim_job(of(false), 0).await.unwrap(), Claim::Taken(_)));
    }

    async fn a_report_clears_the_suspicion(database) {
        let store = database.store();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        for _ in 0..20 {
            store.lease_job(0).await.unwrap().unwrap();
            let held = store.lease_job(60_000).await.unwrap().unwrap();
            assert!(store.retry_job(&held, &Postponed::attempt(0, "away")).await.unwrap());
        }
        assert_eq!(row(&*store, 1).await.state, JobState::Ready);
    }

    async fn a_row_that_cannot_be_read_is_parked_alone(database) {
        let store = database.store();
        for number in 1..4 {
            store.enqueue_job(&job("team/app", digest(number), "v1")).await.unwrap();
        }
        database.execute("UPDATE jobs SET class = 'of a later version', due_at = 1 WHERE id = 1").await;
        database.execute("INSERT INTO job_tags (job_id, tag, seen_at) VALUES (2, 'no tag!', 1)").await;
        let leased = store.lease_job(60_000).await.unwrap().unwrap();
        assert_eq!(leased.digest, digest(3));
        assert!(store.lease_job(60_000).await.unwrap().is_none());
        let parked = store.parked(10).await.unwrap();
        assert_eq!(parked.len(), 2);
        assert!(parked.iter().all(|row| row.last_error.contains("cannot be read")), "{parked:?}");
    }

    async fn the_queue_is_walked_by_repository_however_long_one_of_them_is(database) {
        let store = database.store();
        for number in 0..300 {
            store.enqueue_job(&job("team/flood", digest(number), "v1")).await.unwrap();
        }
        store.enqueue_job(&job("team/quiet", digest(1_000), "v1")).await.unwrap();
        store.enqueue_job(&job("zoo/last", digest(1_001), "v1")).await.unwrap();
        let names = |due: &[crate::DueRepository]| -> Vec<String> {
            let mut names: Vec<String> = due.iter().map(|due| due.repository.clone()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&store.due_jobs(100).await.unwrap()), ["team/flood", "team/quiet", "zoo/last"]);
        assert_eq!(store.due_jobs(2).await.unwrap().len(), 2);
        let quiet = image("team/quiet");
        let wanted = Wanted::Of {
            registry: quiet.registry.as_str(),
            repository: quiet.repository.as_str(),
            suspects: true,
        };
        let held = store.claim_job(wanted, 60_000).await.unwrap().taken().unwrap();
        assert_eq!(held.digest, digest(1_000));
        assert_eq!(names(&store.due_jobs(100).await.unwrap()), ["team/flood", "zoo/last"]);
        store.retry_job(&held, &Postponed::attempt(3_600_000, "later")).await.unwrap();
        assert_eq!(names(&store.due_jobs(100).await.unwrap()), ["team/flood", "zoo/last"]);
        assert!(store.due_events(10).await.unwrap().is_empty());
    }

    async fn the_children_of_an_index_are_queued_once_for_each_time_it_is_asked_for(database) {
        let store = database.store();
        let children = [job("team/app", digest(8), "v1"), job("team/app", digest(7), "v1")];
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        let index = store.lease_job(60_000).await.unwrap().unwrap();
        assert!(store.enqueue_children(&index, &children).await.unwrap());
        assert!(!store.enqueue_children(&index, &children).await.unwrap());
        store.retry_job(&index, &Postponed::attempt(0, "the log is away")).await.unwrap();
        let wakes = row(&*store, 7).await.wakes;
        database.execute("UPDATE jobs SET due_at = due_at + 3600000 WHERE id <> 1").await;
        let index = store.lease_job(60_000).await.unwrap().unwrap();
        assert!(!store.enqueue_children(&index, &children).await.unwrap(), "a retry wakes no child");
        assert_eq!(row(&*store, 7).await.wakes, wakes);
        store.finish_job(&index, &JobOutcome::Signed).await.unwrap();
        store.enqueue_job(&job("team/app", digest(1), "v2")).await.unwrap();
        let index = store.lease_job(60_000).await.unwrap().unwrap();
        assert!(store.enqueue_children(&index, &children).await.unwrap());
        assert!(row(&*store, 7).await.wakes > wakes);
    }
}
