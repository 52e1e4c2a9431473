//! The repositories of a registry that we ever had work in, for a look at all of them.

use async_trait::async_trait;
use bundle::{RegistryHost, Repository};

use crate::StoreError;
use crate::column::parsed;

/// Which repositories there are, as far as we know.
#[async_trait]
pub trait KnownRepositories: Send + Sync {
    /// The repositories of a registry in which a job is, or was and is not forgotten yet; in their order, the first
    /// `limit` after `after`. Its cost grows with how many are answered, not with the number of jobs.
    async fn known_repositories(
        &self,
        registry: &RegistryHost,
        after: Option<&Repository>,
        limit: u32,
    ) -> Result<Vec<Repository>, StoreError>;
}

/// Jumps from name to name along the index of jobs.
pub(crate) const KNOWN: &str = "-- known_repositories::known_repositories
WITH RECURSIVE known (repository) AS (
    SELECT MIN(repository) FROM jobs WHERE registry = $1 AND repository > $2
    UNION ALL
    SELECT (SELECT MIN(j.repository) FROM jobs j WHERE j.registry = $1 AND j.repository > known.repository)
    FROM known WHERE known.repository IS NOT NULL
)
SELECT repository FROM known WHERE repository IS NOT NULL LIMIT $3";

/// Reads one name back.
pub(crate) fn repository(name: String) -> Result<Repository, StoreError> {
    Ok(parsed("repository", name)?)
}

macro_rules! stamp_known_repositories {
    ($Store:ty) => {
        #[async_trait::async_trait]
        impl crate::KnownRepositories for $Store {
            async fn known_repositories(
                &self,
                registry: &bundle::RegistryHost,
                after: Option<&bundle::Repository>,
                limit: u32,
            ) -> Result<Vec<bundle::Repository>, crate::StoreError> {
                let names: Vec<String> = sqlx::query_scalar(crate::known_repositories::KNOWN)
                    .bind(registry.as_str())
                    .bind(after.map_or("", |after| after.as_str()))
                    .bind(i64::from(limit))
                    .fetch_all(self.reader())
                    .await?;
                names.into_iter().map(crate::known_repositories::repository).collect()
            }
        }
    };
}
pub(crate) use stamp_known_repositories;

#[cfg(test)]
mod tests {
    use crate::testing::{digest, image, job, on_both_engines};

    on_both_engines! {
        async fn each_repository_is_named_once_page_by_page(database) {
            let store = database.store();
            let registry = image("team/app").registry;
            assert!(store.known_repositories(&registry, None, 10).await.unwrap().is_empty());
            for (number, name) in ["team/b", "team/a", "team/b", "a", "team/a-b", "team/b/c"].into_iter().enumerate() {
                store.enqueue_job(&job(name, digest(number as u64), "v1")).await.unwrap();
            }
            let other = crate::NewJob { registry: "other.example.com".parse().unwrap(), ..job("team/z", digest(9), "v1") };
            store.enqueue_job(&other).await.unwrap();
            let mut seen = Vec::new();
            loop {
                let page = store.known_repositories(&registry, seen.last(), 2).await.unwrap();
                if page.is_empty() {
                    break;
                }
                assert!(page.len() <= 2);
                seen.extend(page);
            }
            let mut names: Vec<&str> = seen.iter().map(|name| name.as_str()).collect();
            assert_eq!(names.len(), 5);
            names.sort_unstable();
            assert_eq!(names, ["a", "team/a", "team/a-b", "team/b", "team/b/c"]);
        }
    }
}
