//! Work that is not done: what waits, and what was put aside; seen by a person, and sent again.

use async_trait::async_trait;
use bundle::{Digest, RegistryHost, Repository, Tag};

use crate::column::{converted, from_row, parsed};
use crate::jobs::words;
use crate::{JobState, ParkedBecause, StoreError};

/// Which jobs and events are meant; an empty filter means all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ParkedFilter {
    /// Only those of this registry.
    pub registry: Option<RegistryHost>,
    /// Only those of repositories with this name.
    pub repository: Option<Repository>,
    /// Only those that were asked for through this tag.
    pub tag: Option<Tag>,
    /// Only those of this digest.
    pub digest: Option<Digest>,
}

/// Whether work is an event, of which the registry was not asked yet, or a job.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum WorkKind {
    /// A push that was announced.
    Event,
    /// An image that is to be signed.
    Job,
}

words!(WorkKind, "kind of work", Event = "event", Job = "job");

/// Which unfinished work is asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Unfinished {
    /// What waits for its turn or is worked on, the oldest first.
    Waiting,
    /// What was put aside, the newest first.
    Parked,
}

/// A job that is not done, or an event that did not become one yet. Names are as they are stored: a row may be parked
/// because they cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WorkRow {
    /// What it is.
    pub kind: WorkKind,
    /// The registry.
    pub registry: String,
    /// The repository within it.
    pub repository: String,
    /// The tag through which we came.
    pub tag: Option<String>,
    /// The image; an event may know none.
    pub digest: Option<String>,
    /// Where it stands.
    pub state: JobState,
    /// Why it is parked.
    pub because: Option<ParkedBecause>,
    /// The endpoint whose trouble it waits out.
    pub waits_for: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When the push was announced or the work was asked for, in unix milliseconds.
    pub since: i64,
    /// Ready: when it is its turn. Leased: when the lease ends. Parked: when it was put aside. In unix milliseconds.
    pub due_at: i64,
}

/// A job or event that was put aside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParkedRow {
    /// The registry, as stored: a row may be parked because it cannot be read.
    pub registry: String,
    /// The repository within it, as stored.
    pub repository: String,
    /// The tag through which we came, as stored.
    pub tag: Option<String>,
    /// The image, as stored; an event may know none.
    pub digest: Option<String>,
    /// Why it is parked.
    pub because: Option<ParkedBecause>,
    /// How often it was tried.
    pub attempts: u32,
    /// What went wrong last.
    pub last_error: String,
    /// Since when, in unix milliseconds.
    pub parked_at: i64,
}

/// How much work was sent again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Resent {
    /// What was parked and is ready again.
    pub parked: u64,
    /// What waited for a later time and is due now.
    pub hurried: u64,
}

/// Work that is not done.
#[async_trait]
pub trait Parked: Send + Sync {
    /// What is parked, the newest first.
    async fn parked(&self, limit: u32) -> Result<Vec<ParkedRow>, StoreError>;

    /// Unfinished work that the filter means.
    async fn unfinished(
        &self,
        which: Unfinished,
        filter: &ParkedFilter,
        limit: u32,
    ) -> Result<Vec<WorkRow>, StoreError>;

    /// Makes parked jobs and events ready again; answers how many.
    async fn retry_parked(&self, filter: &ParkedFilter) -> Result<u64, StoreError>;

    /// Makes parked jobs and events ready again, and what waits for a later time or for an endpoint due at once. What is
    /// due already or worked on is left as it is, and counted as hurried all the same.
    async fn resend(&self, filter: &ParkedFilter) -> Result<Resent, StoreError>;
}

from_row!(ParkedRow, |row| Ok(Self {
    registry: row.try_get("registry")?,
    repository: row.try_get("repository")?,
    tag: row.try_get("tag")?,
    digest: row.try_get("digest")?,
    because: row.try_get::<Option<String>, _>("parked_because")?.and_then(|word| word.parse().ok()),
    attempts: converted("attempts", row.try_get::<i64, _>("attempts")?)?,
    last_error: row.try_get::<Option<String>, _>("last_error")?.unwrap_or_default(),
    parked_at: row.try_get("due_at")?,
}));

from_row!(WorkRow, |row| Ok(Self {
    kind: parsed("kind_of_work", row.try_get("kind_of_work")?)?,
    registry: row.try_get("registry")?,
    repository: row.try_get("repository")?,
    tag: row.try_get("tag")?,
    digest: row.try_get("digest")?,
    state: parsed("state", row.try_get("state")?)?,
    because: row.try_get::<Option<String>, _>("parked_because")?.and_then(|word| word.parse().ok()),
    waits_for: row.try_get("waits_for")?,
    attempts: converted("attempts", row.try_get::<i64, _>("attempts")?)?,
    last_error: row.try_get("last_error")?,
    since: row.try_get("since")?,
    due_at: row.try_get("due_at")?,
}));

pub(crate) const PARKED: &str = "-- parked::parked
SELECT registry, repository, tag, digest, attempts, last_error, due_at, parked_because
FROM jobs WHERE state IN ('ready', 'leased', 'parked') AND state = 'parked'
UNION ALL
SELECT registry, repository, tag, digest, attempts, last_error, due_at, parked_because
FROM push_events WHERE state = 'parked'
ORDER BY due_at DESC LIMIT $1";

/// The rows that a filter means: `$1` registry, `$2` repository, `$3` digest, `$4` tag.
macro_rules! meant {
    (jobs) => {
        "
    AND ($1 IS NULL OR registry = $1)
    AND ($2 IS NULL OR repository = $2)
    AND ($3 IS NULL OR digest = $3)
    AND ($4 IS NULL OR tag = $4 OR EXISTS (SELECT 1 FROM job_tags t WHERE t.job_id = jobs.id AND t.tag = $4))"
    };
    (push_events) => {
        "
    AND ($1 IS NULL OR registry = $1)
    AND ($2 IS NULL OR repository = $2)
    AND ($3 IS NULL OR digest = $3)
    AND ($4 IS NULL OR tag = $4)"
    };
}
pub(crate) use meant;

/// Unfinished work in these states (`$5` limits it); the list that comes first names the partial index.
macro_rules! unfinished {
    ($states:literal, $order:literal) => {
        concat!(
            "-- parked::unfinished
SELECT 'job' AS kind_of_work, registry, repository, tag, digest, state, parked_because, waits_for, attempts, last_error,
    COALESCE(pushed_at, enqueued_at) AS since, due_at
FROM jobs WHERE state IN ('ready', 'leased', 'parked') AND state IN ",
            $states,
            crate::parked::meant!(jobs),
            "
UNION ALL
SELECT 'event', registry, repository, tag, digest, state, parked_because, waits_for, attempts, last_error,
    received_at, due_at
FROM push_events WHERE state IN ",
            $states,
            crate::parked::meant!(push_events),
            "
ORDER BY ",
            $order,
            " LIMIT $5"
        )
    };
}

pub(crate) const WAITING: &str = unfinished!("('ready', 'leased')", "since, due_at");
pub(crate) const PUT_ASIDE: &str = unfinished!("('parked', 'parked')", "due_at DESC, since DESC");

macro_rules! stamp_parked {
    ($Store:ty, $now:literal) => {
        #[async_trait::async_trait]
        impl crate::Parked for $Store {
            async fn parked(&self, limit: u32) -> Result<Vec<crate::ParkedRow>, crate::StoreError> {
                Ok(sqlx::query_as(crate::parked::PARKED).bind(i64::from(limit)).fetch_all(self.reader()).await?)
            }

            async fn unfinished(
                &self,
                which: crate::Unfinished,
                filter: &crate::ParkedFilter,
                limit: u32,
            ) -> Result<Vec<crate::WorkRow>, crate::StoreError> {
                let statement = match which {
                    crate::Unfinished::Waiting => crate::parked::WAITING,
                    crate::Unfinished::Parked => crate::parked::PUT_ASIDE,
                };
                Ok(sqlx::query_as(statement)
                    .bind(filter.registry.as_ref().map(|registry| registry.as_str()))
                    .bind(filter.repository.as_ref().map(|repository| repository.as_str()))
                    .bind(filter.digest.map(|digest| digest.to_string()))
                    .bind(filter.tag.as_ref().map(|tag| tag.as_str()))
                    .bind(i64::from(limit))
                    .fetch_all(self.reader())
                    .await?)
            }

            async fn retry_parked(&self, filter: &crate::ParkedFilter) -> Result<u64, crate::StoreError> {
                use crate::parked::meant;
                const JOBS: &str = concat!(
                    "-- parked::retry_parked
UPDATE jobs SET state = 'ready', attempts = 0, absences = 0, absent_since = NULL, unreported = 0,
    parked_because = NULL, waits_for = NULL, due_at = ",
                    $now,
                    ", enqueued_at = ",
                    $now,
                    "
WHERE state IN ('ready', 'leased', 'parked') AND state = 'parked'",
                    meant!(jobs)
                );
                const EVENTS: &str = concat!(
                    "-- parked::retry_parked
UPDATE push_events SET state = 'ready', attempts = 0, absences = 0, absent_since = NULL, unreported = 0,
    parked_because = NULL, waits_for = NULL, due_at = ",
                    $now,
                    "
WHERE state = 'parked'",
                    meant!(push_events)
                );
                self.resend_by(&[JOBS, EVENTS], filter).await
            }

            async fn resend(&self, filter: &crate::ParkedFilter) -> Result<crate::Resent, crate::StoreError> {
                use crate::parked::meant;
                const JOBS: &str = concat!(
                    "-- parked::resend
UPDATE jobs SET waits_for = CASE WHEN state = 'ready' THEN NULL ELSE waits_for END,
    due_at = CASE WHEN state = 'ready' AND due_at > ",
                    $now,
                    " THEN ",
                    $now,
                    " ELSE due_at END
WHERE state IN ('ready', 'leased')",
                    meant!(jobs)
                );
                const EVENTS: &str = concat!(
                    "-- parked::resend
UPDATE push_events SET waits_for = CASE WHEN state = 'ready' THEN NULL ELSE waits_for END,
    due_at = CASE WHEN state = 'ready' AND due_at > ",
                    $now,
                    " THEN ",
                    $now,
                    " ELSE due_at END
WHERE state IN ('ready', 'leased')",
                    meant!(push_events)
                );
                // First what waits: what was parked is due by itself then, and counts once.
                let hurried = self.resend_by(&[JOBS, EVENTS], filter).await?;
                let parked = crate::Parked::retry_parked(self, filter).await?;
                Ok(crate::Resent { parked, hurried })
            }
        }

        impl $Store {
            async fn resend_by(
                &self,
                statements: &[&'static str],
                filter: &crate::ParkedFilter,
            ) -> Result<u64, crate::StoreError> {
                let mut tx = self.begin().await?;
                let mut count = 0;
                for statement in statements {
                    count += sqlx::query(*statement)
                        .bind(filter.registry.as_ref().map(|registry| registry.as_str()))
                        .bind(filter.repository.as_ref().map(|repository| repository.as_str()))
                        .bind(filter.digest.map(|digest| digest.to_string()))
                        .bind(filter.tag.as_ref().map(|tag| tag.as_str()))
                        .execute(&mut *tx)
                        .await?
                        .rows_affected();
                }
                tx.commit().await?;
                self.wakeups.send_modify(|count| *count += 1);
                Ok(count)
            }
        }
    };
}
pub(crate) use stamp_parked;

#[cfg(test)]
mod tests;
