//! How much there is of everything, and how long it has waited.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{JobState, Stage, StoreError};

/// What is under way. Counting it costs as much as there is unfinished work, however much was ever signed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LiveCounts {
    /// Events that wait for a worker.
    pub events_waiting: u64,
    /// Events that a worker holds.
    pub events_leased: u64,
    /// Events that were put aside.
    pub events_parked: u64,
    /// Jobs that wait for a worker.
    pub jobs_ready: u64,
    /// Jobs that a worker holds.
    pub jobs_leased: u64,
    /// Jobs that were put aside.
    pub jobs_parked: u64,
    /// Bodies that were not understood.
    pub dead_letters: u64,
    /// Ledger rows that are intended, and no more.
    pub ledger_intended: u64,
    /// Ledger rows with a signature, and no more.
    pub ledger_signed: u64,
    /// Ledger rows with material that is not attached.
    pub ledger_material: u64,
    /// How long ago the oldest push was announced that is an event still, waiting or worked on, in milliseconds.
    pub oldest_event_age_ms: Option<i64>,
    /// How long ago the oldest push was announced that is a job still, waiting or worked on, in milliseconds; of a job
    /// that a person asked for, how long ago that was.
    pub oldest_job_age_ms: Option<i64>,
}

/// What is finished. Counting it walks the ledger.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Jobs that are done.
    pub jobs_done: u64,
    /// Jobs with nothing to sign.
    pub jobs_skipped: u64,
    /// Ledger rows that are attached.
    pub ledger_attached: u64,
    /// Ledger rows that were given up before a log was told.
    pub ledger_abandoned: u64,
}

/// What is in the store.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Events that wait for a worker.
    pub events_waiting: u64,
    /// Events that a worker holds.
    pub events_leased: u64,
    /// Events that were put aside.
    pub events_parked: u64,
    /// Jobs that wait for a worker.
    pub jobs_ready: u64,
    /// Jobs that a worker holds.
    pub jobs_leased: u64,
    /// Jobs that are done.
    pub jobs_done: u64,
    /// Jobs with nothing to sign.
    pub jobs_skipped: u64,
    /// Jobs that were put aside.
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
    /// As [`LiveCounts::oldest_event_age_ms`].
    pub oldest_event_age_ms: Option<i64>,
    /// As [`LiveCounts::oldest_job_age_ms`].
    pub oldest_job_age_ms: Option<i64>,
}

impl From<(LiveCounts, Totals)> for Counts {
    fn from((live, totals): (LiveCounts, Totals)) -> Self {
        Self {
            events_waiting: live.events_waiting,
            events_leased: live.events_leased,
            events_parked: live.events_parked,
            jobs_ready: live.jobs_ready,
            jobs_leased: live.jobs_leased,
            jobs_done: totals.jobs_done,
            jobs_skipped: totals.jobs_skipped,
            jobs_parked: live.jobs_parked,
            dead_letters: live.dead_letters,
            ledger_intended: live.ledger_intended,
            ledger_signed: live.ledger_signed,
            ledger_material: live.ledger_material,
            ledger_attached: totals.ledger_attached,
            ledger_abandoned: totals.ledger_abandoned,
            oldest_event_age_ms: live.oldest_event_age_ms,
            oldest_job_age_ms: live.oldest_job_age_ms,
        }
    }
}

impl LiveCounts {
    /// The counter of a stage of the ledger that is not its end.
    pub(crate) fn ledger_mut(&mut self, stage: Stage) -> Option<&mut u64> {
        match stage {
            Stage::Intended => Some(&mut self.ledger_intended),
            Stage::Signed => Some(&mut self.ledger_signed),
            Stage::Material => Some(&mut self.ledger_material),
            Stage::Attached | Stage::Abandoned => None,
        }
    }

    /// The counter of a state of jobs that is not its end.
    pub(crate) fn jobs_mut(&mut self, state: JobState) -> Option<&mut u64> {
        match state {
            JobState::Ready => Some(&mut self.jobs_ready),
            JobState::Leased => Some(&mut self.jobs_leased),
            JobState::Parked => Some(&mut self.jobs_parked),
            JobState::Done | JobState::Skipped => None,
        }
    }

    /// The counter of a state of events.
    pub(crate) fn events_mut(&mut self, state: JobState) -> Option<&mut u64> {
        match state {
            JobState::Ready => Some(&mut self.events_waiting),
            JobState::Leased => Some(&mut self.events_leased),
            JobState::Parked => Some(&mut self.events_parked),
            JobState::Done | JobState::Skipped => None,
        }
    }
}

impl Totals {
    pub(crate) fn jobs_mut(&mut self, state: JobState) -> Option<&mut u64> {
        match state {
            JobState::Done => Some(&mut self.jobs_done),
            JobState::Skipped => Some(&mut self.jobs_skipped),
            JobState::Ready | JobState::Leased | JobState::Parked => None,
        }
    }

    pub(crate) fn ledger_mut(&mut self, stage: Stage) -> Option<&mut u64> {
        match stage {
            Stage::Attached => Some(&mut self.ledger_attached),
            Stage::Abandoned => Some(&mut self.ledger_abandoned),
            Stage::Intended | Stage::Signed | Stage::Material => None,
        }
    }
}

/// Says how it stands.
#[async_trait]
pub trait Status: Send + Sync {
    /// Counts what is under way, by partial indexes alone: for every few seconds.
    async fn live_counts(&self) -> Result<LiveCounts, StoreError>;

    /// Counts what is finished. It walks the ledger: for a person who asks, never for a scrape.
    async fn totals(&self) -> Result<Totals, StoreError>;

    /// Both.
    async fn counts(&self) -> Result<Counts, StoreError> {
        Ok((self.live_counts().await?, self.totals().await?).into())
    }

    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Changes whenever this process has queued something that is due. Subscribe before asking for
    /// work, and nothing is missed. What other processes queue is found by asking now and then.
    fn wakeups(&self) -> watch::Receiver<u64>;

    /// Lets what is being written finish and closes the connections; every later call fails.
    async fn close(&self);
}

// The condition of each partial index is repeated to the letter: SQLite uses such an index for nothing else.

pub(crate) const JOBS: &str = "-- status::live_counts
SELECT state, COUNT(*) FROM jobs WHERE state IN ('ready', 'leased', 'parked') GROUP BY state";

/// The oldest push among the jobs that were made ready first. A push may be older than its job says by as long as its
/// event waited; among so many jobs the oldest push of all is found unless ten thousand younger ones overtook it.
pub(crate) const OLDEST_JOB: &str = "-- status::live_counts
SELECT MIN(since) FROM (
    SELECT since FROM (
        SELECT COALESCE(pushed_at, enqueued_at) AS since FROM jobs
        WHERE state IN ('ready', 'leased', 'parked') AND state = 'ready' ORDER BY enqueued_at LIMIT 10000) AS r
    UNION ALL
    SELECT since FROM (
        SELECT COALESCE(pushed_at, enqueued_at) AS since FROM jobs
        WHERE state IN ('ready', 'leased', 'parked') AND state = 'leased' ORDER BY enqueued_at LIMIT 10000) AS l
) AS oldest";

/// An event is forgotten once it is a job or skipped, so the table holds unfinished ones only.
pub(crate) const EVENTS: &str = "-- status::live_counts
SELECT state, COUNT(*), MIN(received_at) FROM push_events GROUP BY state";

/// There is a cap on these.
pub(crate) const DEAD_LETTERS: &str = "-- status::live_counts
SELECT COUNT(*) FROM dead_letters";

pub(crate) const LEDGER: &str = "-- status::live_counts
SELECT stage, COUNT(*) FROM signatures WHERE stage IN ('intended', 'signed', 'material') GROUP BY stage";

pub(crate) const JOBS_FINISHED: &str = "-- status::totals
SELECT state, COUNT(*) FROM jobs WHERE state IN ('done', 'skipped') GROUP BY state";

pub(crate) const LEDGER_FINISHED: &str = "-- status::totals
SELECT stage, COUNT(*) FROM signatures WHERE stage IN ('attached', 'abandoned') GROUP BY stage";

pub(crate) const PING: &str = "-- status::ping
SELECT 1";

macro_rules! stamp_status {
    ($Store:ty, $now:literal) => {
        #[async_trait::async_trait]
        impl crate::Status for $Store {
            async fn live_counts(&self) -> Result<crate::LiveCounts, crate::StoreError> {
                use crate::column::{converted, parsed};
                use crate::status::{DEAD_LETTERS, EVENTS, JOBS, LEDGER, OLDEST_JOB};
                const NOW: &str = concat!("-- status::live_counts\nSELECT ", $now);
                let mut counts = crate::LiveCounts::default();
                let (now,): (i64,) = sqlx::query_as(NOW).fetch_one(self.reader()).await?;
                let age = |since: Option<i64>| since.map(|since| now.saturating_sub(since).max(0));

                let jobs: Vec<(String, i64)> = sqlx::query_as(JOBS).fetch_all(self.reader()).await?;
                for (state, count) in jobs {
                    if let Some(counter) = counts.jobs_mut(parsed("state", state)?) {
                        *counter = converted("count", count)?;
                    }
                }
                let (oldest,): (Option<i64>,) = sqlx::query_as(OLDEST_JOB).fetch_one(self.reader()).await?;
                counts.oldest_job_age_ms = age(oldest);
                let events: Vec<(String, i64, Option<i64>)> = sqlx::query_as(EVENTS).fetch_all(self.reader()).await?;
                for (state, count, oldest) in events {
                    let state: crate::JobState = parsed("state", state)?;
                    if let Some(counter) = counts.events_mut(state) {
                        *counter = converted("count", count)?;
                    }
                    if matches!(state, crate::JobState::Ready | crate::JobState::Leased) {
                        counts.oldest_event_age_ms = counts.oldest_event_age_ms.max(age(oldest));
                    }
                }
                let (dead_letters,): (i64,) = sqlx::query_as(DEAD_LETTERS).fetch_one(self.reader()).await?;
                counts.dead_letters = converted("count", dead_letters)?;
                let ledger: Vec<(String, i64)> = sqlx::query_as(LEDGER).fetch_all(self.reader()).await?;
                for (stage, count) in ledger {
                    if let Some(counter) = counts.ledger_mut(parsed("stage", stage)?) {
                        *counter = converted("count", count)?;
                    }
                }
                Ok(counts)
            }

            async fn totals(&self) -> Result<crate::Totals, crate::StoreError> {
                use crate::column::{converted, parsed};
                use crate::status::{JOBS_FINISHED, LEDGER_FINISHED};
                let mut totals = crate::Totals::default();
                let jobs: Vec<(String, i64)> = sqlx::query_as(JOBS_FINISHED).fetch_all(self.reader_long()).await?;
                for (state, count) in jobs {
                    if let Some(counter) = totals.jobs_mut(parsed("state", state)?) {
                        *counter = converted("count", count)?;
                    }
                }
                let ledger: Vec<(String, i64)> = sqlx::query_as(LEDGER_FINISHED).fetch_all(self.reader_long()).await?;
                for (stage, count) in ledger {
                    if let Some(counter) = totals.ledger_mut(parsed("stage", stage)?) {
                        *counter = converted("count", count)?;
                    }
                }
                Ok(totals)
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
mod tests;
