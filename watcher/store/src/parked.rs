//! What was put aside because it cannot succeed by itself: seen by a person, and sent again.

use async_trait::async_trait;
use bundle::{Digest, RegistryHost, Repository, Tag};

use crate::StoreError;
use crate::column::{converted, from_row, parsed, parsed_option};

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
    /// The registry.
    pub registry: RegistryHost,
    /// The repository within it.
    pub repository: Repository,
    /// The tag through which we came.
    pub tag: Option<Tag>,
    /// The image; an event may know none.
    pub digest: Option<Digest>,
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
    registry: parsed("registry", row.try_get("registry")?)?,
    repository: parsed("repository", row.try_get("repository")?)?,
    tag: parsed_option("tag", row.try_get("tag")?)?,
    digest: parsed_option("digest", row.try_get("digest")?)?,
    attempts: converted("attempts", row.try_get::<i64, _>("attempts")?)?,
    last_error: row.try_get::<Option<String>, _>("last_error")?.unwrap_or_default(),
    parked_at: row.try_get("due_at")?,
}));

pub(crate) const PARKED: &str = "-- parked::parked
SELECT registry, repository, tag, digest, attempts, last_error, due_at
FROM jobs WHERE state = 'parked'
UNION ALL
SELECT registry, repository, tag, digest, attempts, last_error, due_at
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
UPDATE jobs SET state = 'ready', attempts = 0, due_at = ",
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
UPDATE push_events SET state = 'ready', attempts = 0, due_at = ",
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
