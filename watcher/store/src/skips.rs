//! Pushes that were not signed, and why: what `explain` answers from.

use async_trait::async_trait;
use bundle::{Digest, RegistryHost, Repository, Tag};

use crate::StoreError;
use crate::column::{from_row, parsed, parsed_option};

/// A push that we decided not to sign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Skip {
    /// The registry that was pushed to.
    pub registry: RegistryHost,
    /// The repository within it.
    pub repository: Repository,
    /// The tag that was pushed, where there was one.
    pub tag: Option<Tag>,
    /// What the tag pointed to, as far as it was asked.
    pub digest: Option<Digest>,
    /// The reason's code.
    pub reason: String,
    /// What a person may want to know on top.
    pub detail: String,
    /// When, in unix milliseconds.
    pub at: i64,
}

/// Reads skips; they are written with the end of an event.
#[async_trait]
pub trait Skips: Send + Sync {
    /// The newest skips of a repository, newest first.
    async fn skips_for(
        &self,
        registry: &RegistryHost,
        repository: &Repository,
        limit: u32,
    ) -> Result<Vec<Skip>, StoreError>;
}

from_row!(Skip, |row| Ok(Self {
    registry: parsed("registry", row.try_get("registry")?)?,
    repository: parsed("repository", row.try_get("repository")?)?,
    tag: parsed_option("tag", row.try_get("tag")?)?,
    digest: parsed_option("digest", row.try_get("digest")?)?,
    reason: row.try_get("reason")?,
    detail: row.try_get("detail")?,
    at: row.try_get("skipped_at")?,
}));

pub(crate) const INSERT_SKIP: &str = "-- skips::insert_skip
INSERT INTO skips (registry, repository, tag, digest, reason, detail, skipped_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)";

pub(crate) const SKIPS_FOR: &str = "-- skips::skips_for
SELECT registry, repository, tag, digest, reason, detail, skipped_at
FROM skips WHERE registry = $1 AND repository = $2
ORDER BY id DESC LIMIT $3";

macro_rules! stamp_skips {
    ($Store:ty, $Database:ty) => {
        impl $Store {
            async fn insert_skip(
                tx: &mut crate::dialect::Tx<$Database>,
                skip: &crate::Skip,
            ) -> Result<(), crate::StoreError> {
                sqlx::query(crate::skips::INSERT_SKIP)
                    .bind(skip.registry.as_str())
                    .bind(skip.repository.as_str())
                    .bind(skip.tag.as_ref().map(|tag| tag.as_str()))
                    .bind(skip.digest.map(|digest| digest.to_string()))
                    .bind(crate::column::text(&skip.reason))
                    .bind(crate::column::text(&skip.detail))
                    .bind(skip.at)
                    .execute(&mut **tx)
                    .await?;
                Ok(())
            }
        }

        #[async_trait::async_trait]
        impl crate::Skips for $Store {
            async fn skips_for(
                &self,
                registry: &bundle::RegistryHost,
                repository: &bundle::Repository,
                limit: u32,
            ) -> Result<Vec<crate::Skip>, crate::StoreError> {
                Ok(sqlx::query_as(crate::skips::SKIPS_FOR)
                    .bind(registry.as_str())
                    .bind(repository.as_str())
                    .bind(i64::from(limit))
                    .fetch_all(self.reader())
                    .await?)
            }
        }
    };
}
pub(crate) use stamp_skips;
