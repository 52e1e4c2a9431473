//! What is counted, what is old, and what a scrape costs.

use super::*;
use crate::testing::{digest, event, job, on_both_engines};
use crate::{NewJob, ParkedBecause, Postponed};

on_both_engines! {
    async fn an_empty_store_counts_nothing(database) {
        let store = database.store();
        store.ping().await.unwrap();
        assert_eq!(store.counts().await.unwrap(), Counts::default());
    }

    async fn the_oldest_push_is_the_one_that_is_reported(database) {
        let store = database.store();
        store.record_events(&[event("team/app", None)]).await.unwrap();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        let counts = store.counts().await.unwrap();
        assert_eq!((counts.events_waiting, counts.jobs_ready), (1, 1));
        // The event says that it came in 2023.
        assert!(counts.oldest_event_age_ms > Some(365 * 86_400_000));
        assert!(counts.oldest_job_age_ms < Some(60_000));
    }

    async fn what_is_worked_on_has_an_age_and_what_is_put_aside_has_none(database) {
        let store = database.store();
        store.record_events(&[event("team/app", None)]).await.unwrap();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        let held = store.lease_event(60_000).await.unwrap().unwrap();
        let leased = store.lease_job(60_000).await.unwrap().unwrap();
        let counts = store.live_counts().await.unwrap();
        assert!(counts.oldest_event_age_ms > Some(365 * 86_400_000) && counts.oldest_job_age_ms.is_some());
        store.retry_job(&leased, &Postponed::attempt(3_600_000, "away")).await.unwrap();
        assert!(store.live_counts().await.unwrap().oldest_job_age_ms.is_some());
        store.park_event(&held, ParkedBecause::Unseen, "no such tag").await.unwrap();
        let counts = store.live_counts().await.unwrap();
        assert_eq!((counts.events_parked, counts.oldest_event_age_ms), (1, None));
    }

    async fn a_job_is_as_old_as_the_push_that_asks_for_it(database) {
        let store = database.store();
        let hour = 3_600_000;
        let by_hand = store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        assert!(by_hand > 0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let pushed_at = Some(i64::try_from(now).unwrap() - hour);
        store.enqueue_job(&NewJob { pushed_at, ..job("team/app", digest(2), "v2") }).await.unwrap();
        let age = store.live_counts().await.unwrap().oldest_job_age_ms.unwrap();
        assert!((hour - 60_000..hour + 60_000).contains(&age), "{age}");
    }

    async fn a_store_that_is_opened_again_has_its_schema_once(database) {
        let store = database.store();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        drop(store);
        let database = database.reopen().await.reopen().await;
        assert_eq!(database.store().counts().await.unwrap().jobs_ready, 1);
    }

    async fn no_query_of_a_scrape_reads_jobs_or_the_ledger_whole(database) {
        for statement in [JOBS, OLDEST_JOB, LEDGER] {
            let plan = database.plan(statement).await;
            assert!(plan.contains("jobs_unfinished") || plan.contains("signatures_unfinished"), "{statement}\n{plan}");
            for line in plan.lines() {
                // An index scan is over unfinished rows only: the index holds no others.
                let whole = ["Seq Scan on jobs", "Seq Scan on signatures"].iter().any(|words| line.contains(words))
                    || (line.contains("SCAN jobs") || line.contains("SCAN signatures")) && !line.contains("_unfinished");
                assert!(!whole, "{statement}\n{plan}");
            }
        }
        // The same check sees a statement that does read all.
        let plan = database.plan(LEDGER_FINISHED).await;
        assert!(plan.contains("SCAN signatures") || plan.contains("Seq Scan on signatures"), "{plan}");
    }
}
