//! Push events on their way in: recorded before the webhook is answered, leased by a worker, and
//! turned into jobs and skips in the transaction that forgets them.

use async_trait::async_trait;
use bundle::{Digest, RegistryHost, Repository, Tag};

use crate::column::{converted, from_row, parsed, parsed_option};
use crate::{NewJob, Skip, StoreError};

/// A push that a webhook told us of. It is only a wake-up: nothing in it is trusted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewEvent {
    /// The configured source that it came through.
    pub source: String,
    /// The registry that this source speaks for.
    pub registry: RegistryHost,
    /// The repository that was pushed to.
    pub repository: Repository,
    /// The tag that was pushed, where there was one.
    pub tag: Option<Tag>,
    /// The digest that was pushed, as far as the event says.
    pub digest: Option<Digest>,
    /// When it came, in unix milliseconds.
    pub received_at: i64,
}

/// An event that one worker holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeasedEvent {
    /// The event's id.
    pub id: i64,
    /// The token that fences this lease.
    pub lease: String,
    /// How often it was leased, this time included.
    pub attempts: u32,
    /// The event.
    pub event: NewEvent,
}

/// The intake queue. Calls that take a [`LeasedEvent`] answer `false`, and have written nothing,
/// where the lease was lost.
#[async_trait]
pub trait Events: Send + Sync {
    /// Records events durably: when this returns they survive a power cut. On SQLite concurrent
    /// callers share one commit; if it fails, each of them is told.
    async fn record_events(&self, events: &[NewEvent]) -> Result<(), StoreError>;

    /// Takes the event that has waited longest, unless none is due.
    async fn lease_event(&self, lease_ms: i64) -> Result<Option<LeasedEvent>, StoreError>;

    /// In one transaction: the jobs are queued or woken, the skips recorded, the event forgotten.
    async fn finish_event(&self, event: &LeasedEvent, jobs: &[NewJob], skips: &[Skip]) -> Result<bool, StoreError>;

    /// Puts the event back, due after a delay.
    async fn retry_event(&self, event: &LeasedEvent, delay_ms: i64, error: &str) -> Result<bool, StoreError>;

    /// Puts the event aside until a person asks for it again.
    async fn park_event(&self, event: &LeasedEvent, error: &str) -> Result<bool, StoreError>;
}

from_row!(LeasedEvent, |row| Ok(Self {
    id: row.try_get("id")?,
    lease: row.try_get("lease")?,
    attempts: converted("attempts", row.try_get::<i64, _>("attempts")?)?,
    event: NewEvent {
        source: row.try_get("source")?,
        registry: parsed("registry", row.try_get("registry")?)?,
        repository: parsed("repository", row.try_get("repository")?)?,
        tag: parsed_option("tag", row.try_get("tag")?)?,
        digest: parsed_option("digest", row.try_get("digest")?)?,
        received_at: row.try_get("received_at")?,
    },
}));

pub(crate) const FORGET: &str = "-- events::finish_event
DELETE FROM push_events WHERE id = $1 AND lease = $2 AND state = 'leased'";

macro_rules! stamp_events {
    ($Store:ty, $Database:ty, $now:literal, $claim:literal) => {
        impl $Store {
            /// Writes a batch within the caller's transaction.
            async fn insert_events(
                tx: &mut sqlx::Transaction<'_, $Database>,
                events: &[crate::NewEvent],
            ) -> Result<(), crate::StoreError> {
                const INSERT: &str = concat!(
                    "-- events::record_events
INSERT INTO push_events
    (source, registry, repository, tag, digest, received_at, state, due_at, attempts)
VALUES ($1, $2, $3, $4, $5, $6, 'ready', ",
                    $now,
                    ", 0)"
                );
                for event in events {
                    sqlx::query(INSERT)
                        .bind(&event.source)
                        .bind(event.registry.as_str())
                        .bind(event.repository.as_str())
                        .bind(event.tag.as_ref().map(|tag| tag.as_str()))
                        .bind(event.digest.map(|digest| digest.to_string()))
                        .bind(event.received_at)
                        .execute(&mut **tx)
                        .await?;
                }
                Ok(())
            }
        }

        #[async_trait::async_trait]
        impl crate::Events for $Store {
            async fn record_events(&self, events: &[crate::NewEvent]) -> Result<(), crate::StoreError> {
                if events.is_empty() {
                    return Ok(());
                }
                self.record_batch(events).await?;
                self.wakeups.send_modify(|count| *count += 1);
                Ok(())
            }

            async fn lease_event(&self, lease_ms: i64) -> Result<Option<crate::LeasedEvent>, crate::StoreError> {
                // The subquery is uncorrelated and compared by `=`: it runs once, so one row is
                // claimed however the planner feels.
                const LEASE: &str = concat!(
                    "-- events::lease_event
UPDATE push_events
SET state = 'leased', lease = $1, due_at = ",
                    $now,
                    " + $2, attempts = attempts + 1
WHERE id = (
    SELECT id FROM push_events WHERE state IN ('ready', 'leased') AND due_at <= ",
                    $now,
                    " ORDER BY due_at, id LIMIT 1 ",
                    $claim,
                    ")
RETURNING id, lease, attempts, source, registry, repository, tag, digest, received_at"
                );
                let mut tx = self.begin().await?;
                let leased = sqlx::query_as(LEASE)
                    .bind(crate::dialect::lease_token()?)
                    .bind(lease_ms)
                    .fetch_optional(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(leased)
            }

            async fn finish_event(
                &self,
                event: &crate::LeasedEvent,
                jobs: &[crate::NewJob],
                skips: &[crate::Skip],
            ) -> Result<bool, crate::StoreError> {
                let mut tx = self.begin().await?;
                let forgotten = sqlx::query(crate::events::FORGET)
                    .bind(event.id)
                    .bind(&event.lease)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                if forgotten == 0 {
                    return Ok(false);
                }
                // Two workers that queue the same jobs lock their rows in the same order.
                let mut jobs: Vec<&crate::NewJob> = jobs.iter().collect();
                jobs.sort_by_key(|job| (&job.registry, &job.repository, job.digest));
                for job in &jobs {
                    Self::upsert_job(&mut tx, job, Some(event.event.received_at)).await?;
                }
                for skip in skips {
                    Self::insert_skip(&mut tx, skip).await?;
                }
                tx.commit().await?;
                if !jobs.is_empty() {
                    self.wakeups.send_modify(|count| *count += 1);
                }
                Ok(true)
            }

            async fn retry_event(
                &self,
                event: &crate::LeasedEvent,
                delay_ms: i64,
                error: &str,
            ) -> Result<bool, crate::StoreError> {
                const RETRY: &str = concat!(
                    "-- events::retry_event
UPDATE push_events
SET state = 'ready', lease = NULL, due_at = ",
                    $now,
                    " + $3, last_error = $4
WHERE id = $1 AND lease = $2 AND state = 'leased'"
                );
                let mut tx = self.begin().await?;
                let done = sqlx::query(RETRY)
                    .bind(event.id)
                    .bind(&event.lease)
                    .bind(delay_ms)
                    .bind(crate::column::text(error))
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(done.rows_affected() > 0)
            }

            async fn park_event(&self, event: &crate::LeasedEvent, error: &str) -> Result<bool, crate::StoreError> {
                const PARK: &str = concat!(
                    "-- events::park_event
UPDATE push_events
SET state = 'parked', lease = NULL, due_at = ",
                    $now,
                    ", last_error = $3
WHERE id = $1 AND lease = $2 AND state = 'leased'"
                );
                let mut tx = self.begin().await?;
                let done = sqlx::query(PARK)
                    .bind(event.id)
                    .bind(&event.lease)
                    .bind(crate::column::text(error))
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(done.rows_affected() > 0)
            }
        }
    };
}
pub(crate) use stamp_events;

#[cfg(test)]
mod tests;
