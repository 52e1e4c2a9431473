//! Leases on a name, across processes: whoever reads, merges and writes one digest's signatures in a
//! registry holds its lock.

use async_trait::async_trait;

use crate::StoreError;

/// A lock that is held. It ends with its lease, so a holder that dies blocks nobody for long.
#[derive(Debug)]
pub struct LockToken {
    pub(crate) name: String,
    pub(crate) lease: String,
}

/// Locks by name.
#[async_trait]
pub trait Locks: Send + Sync {
    /// Takes the lock of a digest, named `registry/repository@digest`, unless somebody holds it.
    async fn lock_digest(&self, key: &str, lease_ms: i64) -> Result<Option<LockToken>, StoreError>;

    /// Gives a lock back. Nothing happens if its lease had ended.
    async fn unlock(&self, token: LockToken) -> Result<(), StoreError>;
}

pub(crate) const UNLOCK: &str = "-- locks::unlock
DELETE FROM locks WHERE name = $1 AND lease = $2";

macro_rules! stamp_locks {
    ($Store:ty, $now:literal) => {
        #[async_trait::async_trait]
        impl crate::Locks for $Store {
            async fn lock_digest(
                &self,
                key: &str,
                lease_ms: i64,
            ) -> Result<Option<crate::LockToken>, crate::StoreError> {
                const LOCK: &str = concat!(
                    "-- locks::lock_digest
INSERT INTO locks (name, lease, lease_expires_at) VALUES ($1, $2, ",
                    $now,
                    " + $3)
ON CONFLICT (name) DO UPDATE SET lease = excluded.lease, lease_expires_at = excluded.lease_expires_at
WHERE locks.lease_expires_at <= ",
                    $now
                );
                let lease = crate::dialect::lease_token()?;
                let mut tx = self.begin().await?;
                let taken =
                    sqlx::query(LOCK).bind(key).bind(&lease).bind(lease_ms).execute(&mut *tx).await?.rows_affected();
                tx.commit().await?;
                let token = crate::LockToken { name: key.to_owned(), lease };
                Ok((taken > 0).then_some(token))
            }

            async fn unlock(&self, token: crate::LockToken) -> Result<(), crate::StoreError> {
                let mut tx = self.begin().await?;
                sqlx::query(crate::locks::UNLOCK).bind(&token.name).bind(&token.lease).execute(&mut *tx).await?;
                tx.commit().await?;
                Ok(())
            }
        }
    };
}
pub(crate) use stamp_locks;

#[cfg(test)]
mod tests {
    use crate::testing::on_both_engines;

    on_both_engines! {
        async fn a_lock_has_one_holder_until_it_is_given_back(database) {
            let store = database.store();
            let held = store.lock_digest("r/a@sha256:1", 60_000).await.unwrap().unwrap();
            assert!(store.lock_digest("r/a@sha256:1", 60_000).await.unwrap().is_none());
            assert!(store.lock_digest("r/b@sha256:1", 60_000).await.unwrap().is_some());
            store.unlock(held).await.unwrap();
            assert!(store.lock_digest("r/a@sha256:1", 60_000).await.unwrap().is_some());
        }

        async fn a_lock_whose_lease_ended_is_taken_and_its_old_token_frees_nothing(database) {
            let store = database.store();
            let old = store.lock_digest("k", 0).await.unwrap().unwrap();
            let _held = store.lock_digest("k", 60_000).await.unwrap().unwrap();
            store.unlock(old).await.unwrap();
            assert!(store.lock_digest("k", 60_000).await.unwrap().is_none());
        }
    }
}
