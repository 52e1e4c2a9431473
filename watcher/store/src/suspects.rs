//! Leaves under our name that the ledger does not explain yet. The ledger has a grace period; when it is over, each of
//! them is settled, with a finding or without one.

use async_trait::async_trait;

use crate::column::{converted, from_row};
use crate::{NewFinding, Sink, StoreError};

/// A leaf that the ledger may still explain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewSuspect {
    /// The log.
    pub log_origin: String,
    /// The leaf's index.
    pub log_index: u64,
    /// The leaf.
    pub leaf: Vec<u8>,
    /// Why it is suspected: a word or two, in the words of whoever settles it.
    pub why: String,
    /// When it was noted, in unix milliseconds.
    pub noted_at: i64,
    /// When the grace period is over.
    pub due_at: i64,
}

/// A leaf that waits for its grace period to end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Suspect {
    /// The suspect's id.
    pub id: i64,
    /// The log.
    pub log_origin: String,
    /// The leaf's index.
    pub log_index: u64,
    /// The leaf.
    pub leaf: Vec<u8>,
    /// Why it is suspected.
    pub why: String,
    /// When it was noted, in unix milliseconds.
    pub noted_at: i64,
    /// When the grace period is over.
    pub due_at: i64,
}

/// Settles suspects. They are noted by [`crate::FollowedLogs::advance`], once for each leaf and reason.
#[async_trait]
pub trait Suspects: Send + Sync {
    /// Those whose grace period is over, the oldest first.
    async fn due_suspects(&self, now: i64, limit: u32) -> Result<Vec<Suspect>, StoreError>;

    /// Those of one log.
    async fn due_suspects_of(&self, log_origin: &str, now: i64, limit: u32) -> Result<Vec<Suspect>, StoreError>;

    /// Settles one, and raises what it came to in the same transaction. `false`: it is settled already, and nothing was
    /// written. Its leaf is forgotten: what matters of it is in the evidence.
    async fn settle_suspect(&self, id: i64, finding: Option<&NewFinding>, sinks: &[Sink]) -> Result<bool, StoreError>;

    /// Comes back to one later, because the ledger or the log could not be asked. `false`: it is settled.
    async fn postpone_suspect(&self, id: i64, due_at: i64) -> Result<bool, StoreError>;

    /// How many wait.
    async fn suspects_waiting(&self) -> Result<u64, StoreError>;
}

from_row!(Suspect, |row| Ok(Self {
    id: row.try_get("id")?,
    log_origin: row.try_get("log_origin")?,
    log_index: converted("log_index", row.try_get::<i64, _>("log_index")?)?,
    leaf: row.try_get("leaf")?,
    why: row.try_get("why")?,
    noted_at: row.try_get("noted_at")?,
    due_at: row.try_get("due_at")?,
}));

pub(crate) const INSERT: &str = "-- suspects::insert_suspect
INSERT INTO suspects (log_origin, log_index, why, leaf, noted_at, due_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (log_origin, log_index, why) DO NOTHING";

pub(crate) const DUE: &str = "-- suspects::due_suspects
SELECT id, log_origin, log_index, leaf, why, noted_at, due_at FROM suspects
WHERE settled_at IS NULL AND due_at <= $1 ORDER BY due_at, id LIMIT $2";

pub(crate) const DUE_OF: &str = "-- suspects::due_suspects_of
SELECT id, log_origin, log_index, leaf, why, noted_at, due_at FROM suspects
WHERE settled_at IS NULL AND due_at <= $1 AND log_origin = $3 ORDER BY due_at, id LIMIT $2";

pub(crate) const POSTPONE: &str = "-- suspects::postpone_suspect
UPDATE suspects SET due_at = $2 WHERE id = $1 AND settled_at IS NULL";

pub(crate) const WAITING: &str = "-- suspects::suspects_waiting
SELECT COUNT(*) FROM suspects WHERE settled_at IS NULL";

macro_rules! stamp_suspects {
    ($Store:ty, $Database:ty, $now:literal) => {
        impl $Store {
            /// Notes a suspect within the caller's transaction.
            async fn insert_suspect(
                tx: &mut crate::dialect::Tx<$Database>,
                suspect: &crate::NewSuspect,
            ) -> Result<(), crate::StoreError> {
                sqlx::query(crate::suspects::INSERT)
                    .bind(&suspect.log_origin)
                    .bind(crate::column::signed("log_index", suspect.log_index)?)
                    .bind(crate::column::text(&suspect.why))
                    .bind(&suspect.leaf)
                    .bind(suspect.noted_at)
                    .bind(suspect.due_at)
                    .execute(&mut **tx)
                    .await?;
                Ok(())
            }
        }

        #[async_trait::async_trait]
        impl crate::Suspects for $Store {
            async fn due_suspects(&self, now: i64, limit: u32) -> Result<Vec<crate::Suspect>, crate::StoreError> {
                let query = sqlx::query_as(crate::suspects::DUE).bind(now).bind(i64::from(limit));
                Ok(query.fetch_all(self.reader()).await?)
            }

            async fn due_suspects_of(
                &self,
                log_origin: &str,
                now: i64,
                limit: u32,
            ) -> Result<Vec<crate::Suspect>, crate::StoreError> {
                let query = sqlx::query_as(crate::suspects::DUE_OF).bind(now).bind(i64::from(limit)).bind(log_origin);
                Ok(query.fetch_all(self.reader()).await?)
            }

            async fn settle_suspect(
                &self,
                id: i64,
                finding: Option<&crate::NewFinding>,
                sinks: &[crate::Sink],
            ) -> Result<bool, crate::StoreError> {
                const SETTLE: &str = concat!(
                    "-- suspects::settle_suspect
UPDATE suspects SET settled_at = ",
                    $now,
                    ", leaf = $2 WHERE id = $1 AND settled_at IS NULL"
                );
                let mut tx = self.begin().await?;
                let settled = sqlx::query(SETTLE).bind(id).bind(&[][..] as &[u8]).execute(&mut *tx).await?;
                if settled.rows_affected() == 0 {
                    tx.rollback().await?;
                    return Ok(false);
                }
                let (_, told) =
                    Self::raise_in(&mut tx, finding.map(std::slice::from_ref).unwrap_or_default(), sinks).await?;
                tx.commit().await?;
                self.wake_if(told);
                Ok(true)
            }

            async fn postpone_suspect(&self, id: i64, due_at: i64) -> Result<bool, crate::StoreError> {
                let mut tx = self.begin().await?;
                let done = sqlx::query(crate::suspects::POSTPONE).bind(id).bind(due_at).execute(&mut *tx).await?;
                tx.commit().await?;
                Ok(done.rows_affected() > 0)
            }

            async fn suspects_waiting(&self) -> Result<u64, crate::StoreError> {
                let (count,): (i64,) = sqlx::query_as(crate::suspects::WAITING).fetch_one(self.reader()).await?;
                Ok(crate::column::converted("count", count)?)
            }
        }
    };
}
pub(crate) use stamp_suspects;

#[cfg(test)]
mod tests;
