//! Push events on their way in: recorded before the webhook is answered, leased by a worker, and
//! turned into jobs and skips in the transaction that forgets them.

use async_trait::async_trait;
use bundle::{Digest, RegistryHost, Repository, Tag};

use crate::column::{converted, corrupt, from_row, parsed, parsed_option};
use crate::{Claim, DueRepository, NewJob, ParkedBecause, Postponed, Skip, StoreError, UnknownWord, Wanted};

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

/// The wish to look at the repositories of a registry, because pushes may have been announced that could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewLook {
    /// The configured source that could not be read.
    pub source: String,
    /// The registry that this source speaks for.
    pub registry: RegistryHost,
    /// When it came, in unix milliseconds.
    pub received_at: i64,
}

/// What was announced.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Announced {
    /// A push.
    Push(NewEvent),
    /// Pushes that could not be read: the repositories of a registry are to be looked at.
    Look(NewLook),
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
    /// How often in a row the registry said that it does not have the tag.
    pub absences: u32,
    /// Since when, in unix milliseconds.
    pub absent_since: Option<i64>,
    /// How many leases in a row ended without a word, this one included.
    pub unreported: u32,
    /// What it says.
    pub event: Announced,
}

impl LeasedEvent {
    /// Whether it is suspected of ending its process.
    pub fn is_suspect(&self) -> bool {
        i64::from(self.unreported) > crate::waiting::SUSPECT_FROM
    }
}

/// The intake queue. Calls that take a [`LeasedEvent`] answer `false`, and have written nothing,
/// where the lease was lost.
#[async_trait]
pub trait Events: Send + Sync {
    /// Records events durably: when this returns they survive a power cut. On SQLite concurrent
    /// callers share one commit; if it fails, each of them is told. Inserts, and asks nothing.
    async fn record_events(&self, events: &[NewEvent]) -> Result<(), StoreError>;

    /// Records durably that the repositories of a registry are to be looked at. Inserts, and asks nothing.
    async fn record_look(&self, look: &NewLook) -> Result<(), StoreError>;

    /// The repositories that have an event which is due, the longest waiting first.
    async fn due_events(&self, limit: u32) -> Result<Vec<DueRepository>, StoreError>;

    /// Takes the first event among what is wanted. What was leased too often in a row without a word, and what cannot be
    /// read, is parked instead.
    async fn claim_event(&self, wanted: Wanted<'_>, lease_ms: i64) -> Result<Claim<LeasedEvent>, StoreError>;

    /// Takes the event that has waited longest, unless none is due.
    async fn lease_event(&self, lease_ms: i64) -> Result<Option<LeasedEvent>, StoreError>;

    /// In one transaction: the jobs are queued or woken, the skips recorded, the event forgotten.
    async fn finish_event(&self, event: &LeasedEvent, jobs: &[NewJob], skips: &[Skip]) -> Result<bool, StoreError>;

    /// In one transaction: the jobs are queued or woken, the skips recorded. For events that come through another queue
    /// than this one: there they are forgotten after this has returned.
    async fn record_outcome(&self, jobs: &[NewJob], skips: &[Skip]) -> Result<(), StoreError>;

    /// Puts the event back, due after a delay.
    async fn retry_event(&self, event: &LeasedEvent, postponed: &Postponed<'_>) -> Result<bool, StoreError>;

    /// Puts the event aside until it is asked for again.
    async fn park_event(&self, event: &LeasedEvent, because: ParkedBecause, error: &str) -> Result<bool, StoreError>;
}

from_row!(LeasedEvent, |row| Ok(Self {
    id: row.try_get("id")?,
    lease: row.try_get("lease")?,
    attempts: converted("attempts", row.try_get::<i64, _>("attempts")?)?,
    absences: converted("absences", row.try_get::<i64, _>("absences")?)?,
    absent_since: row.try_get("absent_since")?,
    unreported: converted("unreported", row.try_get::<i64, _>("unreported")?)?,
    event: match row.try_get::<String, _>("kind")?.as_str() {
        "look" => Announced::Look(NewLook {
            source: row.try_get("source")?,
            registry: parsed("registry", row.try_get("registry")?)?,
            received_at: row.try_get("received_at")?,
        }),
        "push" => Announced::Push(NewEvent {
            source: row.try_get("source")?,
            registry: parsed("registry", row.try_get("registry")?)?,
            repository: parsed("repository", row.try_get("repository")?)?,
            tag: parsed_option("tag", row.try_get("tag")?)?,
            digest: parsed_option("digest", row.try_get("digest")?)?,
            received_at: row.try_get("received_at")?,
        }),
        // A later version's: it is parked until that version takes it.
        kind => {
            let unknown = UnknownWord { set: "kind of event", word: kind.to_owned() };
            return Err(corrupt("kind", unknown));
        }
    },
}));

pub(crate) const FORGET: &str = "-- events::finish_event
DELETE FROM push_events WHERE id = $1 AND lease = $2 AND state = 'leased'";

/// Puts a leased row aside that cannot be read.
pub(crate) const PARK_UNREADABLE: &str = "-- events::claim_event
UPDATE push_events SET state = 'parked', lease = NULL, last_error = $3, parked_because = 'unreadable', parked_by = $4
WHERE id = $1 AND lease = $2 AND state = 'leased'";

/// Takes the first event that is due and meets a condition, or parks it: as for jobs.
macro_rules! lease_event {
    ($now:literal, $claim:literal, $condition:literal, $order:literal) => {
        concat!(
            "-- events::claim_event
UPDATE push_events
SET state = CASE WHEN unreported >= $4 THEN 'parked' ELSE 'leased' END,
    lease = $1,
    due_at = ",
            $now,
            " + CASE WHEN unreported >= $4 THEN 0 ELSE $2 END,
    attempts = attempts + 1,
    last_error = CASE WHEN unreported >= $4 THEN $5 ELSE last_error END,
    parked_because = CASE WHEN unreported >= $4 THEN $7 ELSE NULL END,
    parked_by = CASE WHEN unreported >= $4 THEN $6 ELSE NULL END,
    waits_for = NULL,
    unreported = unreported + 1
WHERE id = (
    SELECT id FROM push_events WHERE state IN ('ready', 'leased') AND due_at <= ",
            $now,
            " AND unreported < $3 ",
            $condition,
            "
    ORDER BY ",
            $order,
            "due_at, id LIMIT 1 ",
            $claim,
            ")
RETURNING id, state, lease, attempts, kind, source, registry, repository, tag, digest, received_at, absences, absent_since, unreported"
        )
    };
}
pub(crate) use lease_event;

/// How many events one statement inserts. SQLite takes 32,766 parameters, PostgreSQL 65,535.
pub(crate) const ROWS_PER_INSERT: usize = 1_000;

macro_rules! stamp_events {
    ($Store:ty, $Database:ty, $now:literal, $claim:literal) => {
        impl $Store {
            /// Writes a batch within the caller's transaction, many rows with each statement.
            async fn insert_events(
                tx: &mut crate::dialect::Tx<$Database>,
                events: &[&crate::NewEvent],
            ) -> Result<(), crate::StoreError> {
                const INSERT: &str = "-- events::record_events
INSERT INTO push_events
    (source, registry, repository, tag, digest, received_at, kind, state, due_at, attempts) ";
                const REST: &str = concat!("'push', 'ready', ", $now, ", 0");
                for rows in events.chunks(crate::events::ROWS_PER_INSERT) {
                    let mut insert = sqlx::QueryBuilder::<$Database>::new(INSERT);
                    insert.push_values(rows, |mut row, event| {
                        row.push_bind(&event.source)
                            .push_bind(event.registry.as_str())
                            .push_bind(event.repository.as_str())
                            .push_bind(event.tag.as_ref().map(|tag| tag.as_str()))
                            .push_bind(event.digest.map(|digest| digest.to_string()))
                            .push_bind(event.received_at)
                            .push(REST);
                    });
                    // Batches differ in length, and would drive what is used often out of the statement cache.
                    insert.build().persistent(rows.len() == 1).execute(&mut **tx).await?;
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

            async fn record_look(&self, look: &crate::NewLook) -> Result<(), crate::StoreError> {
                const INSERT: &str = concat!(
                    "-- events::record_look
INSERT INTO push_events (source, registry, repository, received_at, kind, state, due_at, attempts)
VALUES ($1, $2, '', $3, 'look', 'ready', ",
                    $now,
                    ", 0)"
                );
                let mut tx = self.begin().await?;
                sqlx::query(INSERT)
                    .bind(&look.source)
                    .bind(look.registry.as_str())
                    .bind(look.received_at)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                self.wakeups.send_modify(|count| *count += 1);
                Ok(())
            }

            async fn due_events(&self, limit: u32) -> Result<Vec<crate::DueRepository>, crate::StoreError> {
                const DUE: &str = crate::waiting::due_repositories!(
                    "events::due_events",
                    "push_events",
                    "CAST(0 AS BIGINT)",
                    "d.due_at, d.id",
                    $now
                );
                Ok(sqlx::query_as(DUE).bind(i64::from(limit)).fetch_all(self.reader()).await?)
            }

            async fn claim_event(
                &self,
                wanted: crate::Wanted<'_>,
                lease_ms: i64,
            ) -> Result<crate::Claim<crate::LeasedEvent>, crate::StoreError> {
                use sqlx::{FromRow as _, Row as _};
                // The subquery is uncorrelated and compared by `=`: it runs once, so one row is
                // claimed however the planner feels.
                const ANY: &str = crate::events::lease_event!($now, $claim, "AND id = COALESCE($8, id)", "");
                const OF: &str = crate::events::lease_event!(
                    $now,
                    $claim,
                    "AND registry = $8 AND repository = $9",
                    "registry, repository, "
                );
                let statement = match wanted {
                    crate::Wanted::Any | crate::Wanted::Id(_) => ANY,
                    crate::Wanted::Of { .. } => OF,
                };
                let query = sqlx::query(statement)
                    .bind(crate::dialect::lease_token()?)
                    .bind(lease_ms)
                    .bind(wanted.unreported_below())
                    .bind(crate::waiting::UNREPORTED_MAX)
                    .bind(crate::waiting::poison_text())
                    .bind(crate::waiting::PROGRAM)
                    .bind(crate::ParkedBecause::Poison.as_str());
                let query = match wanted {
                    crate::Wanted::Any => query.bind(None::<i64>),
                    crate::Wanted::Id(id) => query.bind(Some(id)),
                    crate::Wanted::Of { registry, repository, .. } => query.bind(registry).bind(repository),
                };
                let mut tx = self.begin().await?;
                let leased = query.fetch_optional(&mut *tx).await?;
                tx.commit().await?;
                let Some(row) = leased else { return Ok(crate::Claim::Gone) };
                let state: String = row.try_get("state")?;
                if state != crate::JobState::Leased.as_str() {
                    let (because, detail) = (crate::ParkedBecause::Poison, crate::waiting::poison_text());
                    return Ok(crate::Claim::Parked { because, detail });
                }
                match crate::LeasedEvent::from_row(&row) {
                    Ok(event) => Ok(crate::Claim::Taken(event)),
                    Err(error) => {
                        let detail = crate::waiting::unreadable_text(&error);
                        let mut tx = self.begin().await?;
                        sqlx::query(crate::events::PARK_UNREADABLE)
                            .bind(row.try_get::<i64, _>("id")?)
                            .bind(row.try_get::<String, _>("lease")?)
                            .bind(crate::column::text(&detail))
                            .bind(crate::waiting::PROGRAM)
                            .execute(&mut *tx)
                            .await?;
                        tx.commit().await?;
                        Ok(crate::Claim::Parked { because: crate::ParkedBecause::Unreadable, detail })
                    }
                }
            }

            async fn lease_event(&self, lease_ms: i64) -> Result<Option<crate::LeasedEvent>, crate::StoreError> {
                loop {
                    match self.claim_event(crate::Wanted::Any, lease_ms).await? {
                        crate::Claim::Taken(event) => return Ok(Some(event)),
                        crate::Claim::Gone => return Ok(None),
                        crate::Claim::Parked { .. } => {}
                    }
                }
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
                Self::upsert_jobs(&mut tx, jobs).await?;
                for skip in skips {
                    Self::insert_skip(&mut tx, skip).await?;
                }
                tx.commit().await?;
                if !jobs.is_empty() {
                    self.wakeups.send_modify(|count| *count += 1);
                }
                Ok(true)
            }

            async fn record_outcome(
                &self,
                jobs: &[crate::NewJob],
                skips: &[crate::Skip],
            ) -> Result<(), crate::StoreError> {
                let mut tx = self.begin().await?;
                Self::upsert_jobs(&mut tx, jobs).await?;
                for skip in skips {
                    Self::insert_skip(&mut tx, skip).await?;
                }
                tx.commit().await?;
                if !jobs.is_empty() {
                    self.wakeups.send_modify(|count| *count += 1);
                }
                Ok(())
            }

            async fn retry_event(
                &self,
                event: &crate::LeasedEvent,
                postponed: &crate::Postponed<'_>,
            ) -> Result<bool, crate::StoreError> {
                const RETRY: &str = crate::waiting::postpone!("events::retry_event", "push_events", $now);
                let (taken_back, absent, endpoint) = postponed.columns();
                let mut tx = self.begin().await?;
                let done = sqlx::query(RETRY)
                    .bind(event.id)
                    .bind(&event.lease)
                    .bind(postponed.delay_ms)
                    .bind(crate::column::text(postponed.error))
                    .bind(taken_back)
                    .bind(absent)
                    .bind(endpoint)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(done.rows_affected() > 0)
            }

            async fn park_event(
                &self,
                event: &crate::LeasedEvent,
                because: crate::ParkedBecause,
                error: &str,
            ) -> Result<bool, crate::StoreError> {
                const PARK: &str = concat!(
                    "-- events::park_event
UPDATE push_events
SET state = 'parked', lease = NULL, unreported = 0, due_at = ",
                    $now,
                    ", last_error = $3, parked_because = $4, parked_by = $5
WHERE id = $1 AND lease = $2 AND state = 'leased'"
                );
                let mut tx = self.begin().await?;
                let done = sqlx::query(PARK)
                    .bind(event.id)
                    .bind(&event.lease)
                    .bind(crate::column::text(error))
                    .bind(because.as_str())
                    .bind(crate::waiting::PROGRAM)
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
