//! What was put aside because it cannot succeed by itself: seen by a person, and sent again.

use async_trait::async_trait;
use bundle::{Digest, RegistryHost, Repository};

use crate::column::{converted, from_row};
use crate::{ParkedBecause, StoreError};

/// Which parked jobs and events are meant; an empty filter means all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ParkedFilter {
    /// Only those of this registry.
    pub registry: Option<RegistryHost>,
    /// Only those of repositories with this name.
    pub repository: Option<Repository>,
    /// Only those of this digest.
    pub digest: Option<Digest>,
}

/// A job, or an event that did not become one, that waits for a person.
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

/// Jobs and events that were put aside.
#[async_trait]
pub trait Parked: Send + Sync {
    /// What is parked, the newest first.
    async fn parked(&self, limit: u32) -> Result<Vec<ParkedRow>, StoreError>;

    /// Makes parked jobs and events ready again; answers how many.
    async fn retry_parked(&self, filter: &ParkedFilter) -> Result<u64, StoreError>;
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

pub(crate) const PARKED: &str = "-- parked::parked
SELECT registry, repository, tag, digest, attempts, last_error, due_at, parked_because
FROM jobs WHERE state = 'parked'
UNION ALL
SELECT registry, repository, tag, digest, attempts, last_error, due_at, parked_because
FROM push_events WHERE state = 'parked'
ORDER BY due_at DESC LIMIT $1";

macro_rules! stamp_parked {
    ($Store:ty, $now:literal) => {
        #[async_trait::async_trait]
        impl crate::Parked for $Store {
            async fn parked(&self, limit: u32) -> Result<Vec<crate::ParkedRow>, crate::StoreError> {
                Ok(sqlx::query_as(crate::parked::PARKED).bind(i64::from(limit)).fetch_all(self.reader()).await?)
            }

            async fn retry_parked(&self, filter: &crate::ParkedFilter) -> Result<u64, crate::StoreError> {
                const JOBS: &str = concat!(
                    "-- parked::retry_parked
UPDATE jobs SET state = 'ready', attempts = 0, absences = 0, absent_since = NULL, unreported = 0,
    parked_because = NULL, due_at = ",
                    $now,
                    ", enqueued_at = ",
                    $now,
                    "
WHERE state = 'parked'
    AND ($1 IS NULL OR registry = $1)
    AND ($2 IS NULL OR repository = $2)
    AND ($3 IS NULL OR digest = $3)"
                );
                const EVENTS: &str = concat!(
                    "-- parked::retry_parked
UPDATE push_events SET state = 'ready', attempts = 0, absences = 0, absent_since = NULL, unreported = 0,
    parked_because = NULL, due_at = ",
                    $now,
                    "
WHERE state = 'parked'
    AND ($1 IS NULL OR registry = $1)
    AND ($2 IS NULL OR repository = $2)
    AND ($3 IS NULL OR digest = $3)"
                );
                let mut tx = self.begin().await?;
                let mut count = 0;
                for statement in [JOBS, EVENTS] {
                    count += sqlx::query(statement)
                        .bind(filter.registry.as_ref().map(|registry| registry.as_str()))
                        .bind(filter.repository.as_ref().map(|repository| repository.as_str()))
                        .bind(filter.digest.map(|digest| digest.to_string()))
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
