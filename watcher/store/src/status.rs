//! How much there is of everything, and how long it has waited.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{JobState, Stage, StoreError};

/// What is in the store.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Events that wait for a worker.
    pub events_waiting: u64,
    /// Events that a worker holds.
    pub events_leased: u64,
    /// Events that wait for a person.
    pub events_parked: u64,
    /// Jobs that wait for a worker.
    pub jobs_ready: u64,
    /// Jobs that a worker holds.
    pub jobs_leased: u64,
    /// Jobs that are done.
    pub jobs_done: u64,
    /// Jobs with nothing to sign.
    pub jobs_skipped: u64,
    /// Jobs that wait for a person.
    pub jobs_parked: u64,
    /// Bodies that were not understood.
    pub dead_letters: u64,
    /// Ledger rows that are intended, and no more.
    pub ledger_intended: u64,
    /// Ledger rows with a signature, and no more.
    pub ledger_signed: u64,
    /// Ledger rows with material that is not attached.
    pub ledger_material: u64,
    /// Ledger rows that are attached.
    pub ledger_attached: u64,
    /// Ledger rows that were given up before a log was told.
    pub ledger_abandoned: u64,
    /// How long the oldest waiting event has waited, in milliseconds.
    pub oldest_event_age_ms: Option<i64>,
    /// How long the oldest waiting job has waited, in milliseconds, its retries included.
    pub oldest_job_age_ms: Option<i64>,
}

impl Counts {
    /// The counter of a stage of the ledger.
    pub(crate) fn ledger_mut(&mut self, stage: Stage) -> &mut u64 {
        match stage {
            Stage::Intended => &mut self.ledger_intended,
            Stage::Signed => &mut self.ledger_signed,
            Stage::Material => &mut self.ledger_material,
            Stage::Attached => &mut self.ledger_attached,
            Stage::Abandoned => &mut self.ledger_abandoned,
        }
    }

    /// The counter of a state of jobs.
    pub(crate) fn jobs_mut(&mut self, state: JobState) -> &mut u64 {
        match state {
            JobState::Ready => &mut self.jobs_ready,
            JobState::Leased => &mut self.jobs_leased,
            JobState::Done => &mut self.jobs_done,
            JobState::Skipped => &mut self.jobs_skipped,
            JobState::Parked => &mut self.jobs_parked,
        }
    }

    /// The counter of a state of events, which know a part of the states of jobs.
    pub(crate) fn events_mut(&mut self, state: JobState) -> Option<&mut u64> {
        match state {
            JobState::Ready => Some(&mut self.events_waiting),
            JobState::Leased => Some(&mut self.events_leased),
            JobState::Parked => Some(&mut self.events_parked),
            JobState::Done | JobState::Skipped => None,
        }
    }
}

/// Says how it stands.
#[async_trait]
pub trait Status: Send + Sync {
    /// Counts everything. It walks indexes as long as the ledger: for every few seconds, not for
    /// every request.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Changes whenever this process has queued something that is due. Subscribe before asking for
    /// work, and nothing is missed. What other processes queue is found by asking now and then.
    fn wakeups(&self) -> watch::Receiver<u64>;

    /// Lets what is being written finish and closes the connections; every later call fails.
    async fn close(&self);
}

pub(crate) const JOBS: &str = "-- status::counts
SELECT state, COUNT(*), MIN(enqueued_at) FROM jobs GROUP BY state";

pub(crate) const EVENTS: &str = "-- status::counts
SELECT state, COUNT(*), MIN(received_at) FROM push_events GROUP BY state";

pub(crate) const DEAD_LETTERS: &str = "-- status::counts
SELECT COUNT(*) FROM dead_letters";

pub(crate) const LEDGER: &str = "-- status::counts
SELECT stage, COUNT(*) FROM signatures GROUP BY stage";

pub(crate) const PING: &str = "-- status::ping
SELECT 1";

macro_rules! stamp_status {
    ($Store:ty, $now:literal) => {
        #[async_trait::async_trait]
        impl crate::Status for $Store {
            async fn counts(&self) -> Result<crate::Counts, crate::StoreError> {
                use crate::column::{converted, parsed};
                use crate::status::{DEAD_LETTERS, EVENTS, JOBS, LEDGER};
                const NOW: &str = concat!("-- status::counts\nSELECT ", $now);
                let mut counts = crate::Counts::default();
                let (now,): (i64,) = sqlx::query_as(NOW).fetch_one(self.reader_long()).await?;
                let age = |since: Option<i64>| since.map(|since| now.saturating_sub(since).max(0));

                let jobs: Vec<(String, i64, Option<i64>)> = sqlx::query_as(JOBS).fetch_all(self.reader_long()).await?;
                for (state, count, oldest) in jobs {
                    let state: crate::JobState = parsed("state", state)?;
                    *counts.jobs_mut(state) = converted("count", count)?;
                    if state == crate::JobState::Ready {
                        counts.oldest_job_age_ms = age(oldest);
                    }
                }
                let events: Vec<(String, i64, Option<i64>)> =
                    sqlx::query_as(EVENTS).fetch_all(self.reader_long()).await?;
                for (state, count, oldest) in events {
                    let state: crate::JobState = parsed("state", state)?;
                    if let Some(counter) = counts.events_mut(state) {
                        *counter = converted("count", count)?;
                    }
                    if state == crate::JobState::Ready {
                        counts.oldest_event_age_ms = age(oldest);
                    }
                }
                let (dead_letters,): (i64,) = sqlx::query_as(DEAD_LETTERS).fetch_one(self.reader_long()).await?;
                counts.dead_letters = converted("count", dead_letters)?;
                let ledger: Vec<(String, i64)> = sqlx::query_as(LEDGER).fetch_all(self.reader_long()).await?;
                for (stage, count) in ledger {
                    *counts.ledger_mut(parsed("stage", stage)?) = converted("count", count)?;
                }
                Ok(counts)
            }

            async fn ping(&self) -> Result<(), crate::StoreError> {
                sqlx::query(crate::status::PING).execute(self.reader()).await?;
                Ok(())
            }

            fn wakeups(&self) -> tokio::sync::watch::Receiver<u64> {
                self.wakeups.subscribe()
            }

            async fn close(&self) {
                self.close_connections().await;
            }
        }
    };
}
pub(crate) use stamp_status;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Postponed;
    use crate::testing::{digest, event, job, on_both_engines};

    on_both_engines! {
        async fn an_empty_store_counts_nothing(database) {
            let store = database.store();
            store.ping().await.unwrap();
            assert_eq!(store.counts().await.unwrap(), Counts::default());
        }

        async fn the_oldest_waiter_is_the_one_that_is_reported(database) {
            let store = database.store();
            store.record_events(&[event("team/app", None)]).await.unwrap();
            store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
            let counts = store.counts().await.unwrap();
            assert_eq!((counts.events_waiting, counts.jobs_ready), (1, 1));
            // The event says that it came in 2023.
            assert!(counts.oldest_event_age_ms > Some(365 * 86_400_000));
            assert!(counts.oldest_job_age_ms < Some(60_000));
            let leased = store.lease_job(60_000).await.unwrap().unwrap();
            assert_eq!(store.counts().await.unwrap().oldest_job_age_ms, None);
            store.retry_job(&leased, &Postponed::attempt(3_600_000, "away")).await.unwrap();
            assert!(store.counts().await.unwrap().oldest_job_age_ms.is_some());
        }

        async fn a_store_that_is_opened_again_has_its_schema_once(database) {
            let store = database.store();
            store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
            drop(store);
            let database = database.reopen().await.reopen().await;
            assert_eq!(database.store().counts().await.unwrap().jobs_ready, 1);
        }
    }
}
