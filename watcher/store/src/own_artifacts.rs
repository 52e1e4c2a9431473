//! The manifests that we pushed ourselves. Their pushes come back as events and are not signed.

use async_trait::async_trait;
use bundle::{Digest, ImageName};

use crate::StoreError;

/// Knows our own manifests.
#[async_trait]
pub trait OwnArtifacts: Send + Sync {
    /// Records a manifest of ours, and the image that it is about.
    async fn record_own_artifact(&self, name: &ImageName, digest: &Digest, subject: &Digest) -> Result<(), StoreError>;

    /// Whether we pushed this manifest.
    async fn is_own_artifact(&self, name: &ImageName, digest: &Digest) -> Result<bool, StoreError>;
}

pub(crate) const IS_OWN: &str = "-- own_artifacts::is_own_artifact
SELECT recorded_at FROM own_artifacts WHERE registry = $1 AND repository = $2 AND digest = $3";

macro_rules! stamp_own_artifacts {
    ($Store:ty, $now:literal) => {
        #[async_trait::async_trait]
        impl crate::OwnArtifacts for $Store {
            async fn record_own_artifact(
                &self,
                name: &bundle::ImageName,
                digest: &bundle::Digest,
                subject: &bundle::Digest,
            ) -> Result<(), crate::StoreError> {
                const INSERT: &str = concat!(
                    "-- own_artifacts::record_own_artifact
INSERT INTO own_artifacts (registry, repository, digest, subject, recorded_at)
VALUES ($1, $2, $3, $4, ",
                    $now,
                    ")
ON CONFLICT (registry, repository, digest) DO NOTHING"
                );
                let mut tx = self.begin().await?;
                sqlx::query(INSERT)
                    .bind(name.registry.as_str())
                    .bind(name.repository.as_str())
                    .bind(digest.to_string())
                    .bind(subject.to_string())
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(())
            }

            async fn is_own_artifact(
                &self,
                name: &bundle::ImageName,
                digest: &bundle::Digest,
            ) -> Result<bool, crate::StoreError> {
                let row: Option<(i64,)> = sqlx::query_as(crate::own_artifacts::IS_OWN)
                    .bind(name.registry.as_str())
                    .bind(name.repository.as_str())
                    .bind(digest.to_string())
                    .fetch_optional(self.reader())
                    .await?;
                Ok(row.is_some())
            }
        }
    };
}
pub(crate) use stamp_own_artifacts;

#[cfg(test)]
mod tests {
    use crate::testing::{digest, image, on_both_engines};

    on_both_engines! {
        async fn a_manifest_that_we_pushed_is_ours_in_its_repository_only(database) {
            let store = database.store();
            let (ours, elsewhere) = (image("team/app"), image("team/other"));
            store.record_own_artifact(&ours, &digest(1), &digest(2)).await.unwrap();
            store.record_own_artifact(&ours, &digest(1), &digest(2)).await.unwrap();
            assert!(store.is_own_artifact(&ours, &digest(1)).await.unwrap());
            assert!(!store.is_own_artifact(&ours, &digest(2)).await.unwrap());
            assert!(!store.is_own_artifact(&elsewhere, &digest(1)).await.unwrap());
        }
    }
}
