//! What a person has accepted: signatures that are ours though the ledger does not have them, and rows that a restored
//! ledger lost. An explicit act, with its reason, in the monitor's own tables.

use async_trait::async_trait;

use crate::StoreError;
use crate::column::{converted, from_row, hash};

/// A signature that is ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdoptedSignature {
    /// SHA-256 of the key and of the signature with low s, in the words of whoever asks.
    pub signature_hash: [u8; 32],
    /// The log in which it was found.
    pub log_origin: String,
    /// The leaf's index there.
    pub log_index: u64,
}

/// An act of adoption.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Adoption {
    /// What is ours.
    pub signatures: Vec<AdoptedSignature>,
    /// Rows that are other ones than were seen, or are gone, and are accepted so.
    pub intents: Vec<i64>,
    /// Entries of lost rows that were read again: with what they hold adopted, nobody follows them up any more.
    pub entries: Vec<LostEntry>,
    /// Why.
    pub because: String,
    /// By whose word.
    pub by: String,
    /// When, in unix milliseconds.
    pub at: i64,
}

/// An entry that was proved to be ours while the ledger had it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LostEntry {
    /// The ledger's row, which is gone or another one.
    pub signature_id: i64,
    /// The log.
    pub log_origin: String,
    /// The leaf's index.
    pub log_index: u64,
    /// The leaf's hash, as the ledger had it.
    pub leaf_hash: [u8; 32],
}

/// Takes and tells what was adopted.
#[async_trait]
pub trait Adoptions: Send + Sync {
    /// Takes an act whole. What was adopted or accepted before stays as it was.
    async fn adopt(&self, act: &Adoption) -> Result<(), StoreError>;

    /// Those of these hashes that were adopted.
    async fn adopted(&self, hashes: &[[u8; 32]]) -> Result<Vec<[u8; 32]>, StoreError>;

    /// Proved entries of ours that the ledger does not have any more, after a row and of `limit` at most; by row. One that
    /// an act has taken is not among them; one that it could not read is, whatever became of its row.
    async fn lost_entries(&self, after_id: i64, limit: u32) -> Result<Vec<LostEntry>, StoreError>;
}

from_row!(LostEntry, |row| Ok(Self {
    signature_id: row.try_get("signature_id")?,
    log_origin: row.try_get("log_origin")?,
    log_index: converted("log_index", row.try_get::<i64, _>("log_index")?)?,
    leaf_hash: hash("leaf_hash", &row.try_get::<Vec<u8>, _>("leaf_hash")?)?,
}));

pub(crate) const ADOPT: &str = "-- adoptions::adopt
INSERT INTO adopted_signatures (signature_hash, log_origin, log_index, because, adopted_by, adopted_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (signature_hash) DO NOTHING";

pub(crate) const ACCEPT: &str = "-- adoptions::adopt
UPDATE intents_seen SET accepted_at = $2 WHERE signature_id = $1 AND accepted_at IS NULL";

pub(crate) const IS_ADOPTED: &str = "-- adoptions::adopted
SELECT adopted_at FROM adopted_signatures WHERE signature_hash = $1";

/// Should the ledger have it again, from a newer backup, it is taken over anew.
pub(crate) const FORGET: &str = "-- adoptions::adopt
DELETE FROM own_entries WHERE signature_id = $1 AND log_origin = $2 AND log_index = $3 AND leaf_hash = $4
    AND NOT EXISTS (SELECT 1 FROM log_entries e WHERE e.signature_id = $1 AND e.leaf_hash = $4)";

pub(crate) const LOST: &str = "-- adoptions::lost_entries
SELECT o.signature_id, o.log_origin, o.log_index, o.leaf_hash FROM own_entries o
WHERE o.signature_id > $1 AND o.state = 'proved' AND NOT EXISTS (
    SELECT 1 FROM log_entries e WHERE e.signature_id = o.signature_id AND e.leaf_hash = o.leaf_hash
        AND e.signature_id > $1)
ORDER BY o.signature_id, o.log_origin, o.log_index LIMIT $2";

macro_rules! stamp_adoptions {
    ($Store:ty) => {
        #[async_trait::async_trait]
        impl crate::Adoptions for $Store {
            async fn adopt(&self, act: &crate::Adoption) -> Result<(), crate::StoreError> {
                use crate::adoptions::{ACCEPT, ADOPT, FORGET};
                use crate::column::{signed, text};
                let mut tx = self.begin().await?;
                for adopted in &act.signatures {
                    sqlx::query(ADOPT)
                        .bind(adopted.signature_hash.as_slice())
                        .bind(text(&adopted.log_origin))
                        .bind(signed("log_index", adopted.log_index)?)
                        .bind(text(&act.because))
                        .bind(text(&act.by))
                        .bind(act.at)
                        .execute(&mut *tx)
                        .await?;
                }
                for id in &act.intents {
                    sqlx::query(ACCEPT).bind(id).bind(act.at).execute(&mut *tx).await?;
                }
                for lost in &act.entries {
                    sqlx::query(FORGET)
                        .bind(lost.signature_id)
                        .bind(text(&lost.log_origin))
                        .bind(signed("log_index", lost.log_index)?)
                        .bind(lost.leaf_hash.as_slice())
                        .execute(&mut *tx)
                        .await?;
                }
                tx.commit().await?;
                Ok(())
            }

            async fn adopted(&self, hashes: &[[u8; 32]]) -> Result<Vec<[u8; 32]>, crate::StoreError> {
                let mut adopted = Vec::new();
                for hash in hashes {
                    let found: Option<(i64,)> = sqlx::query_as(crate::adoptions::IS_ADOPTED)
                        .bind(hash.as_slice())
                        .fetch_optional(self.reader())
                        .await?;
                    adopted.extend(found.map(|_| *hash));
                }
                Ok(adopted)
            }

            async fn lost_entries(
                &self,
                after_id: i64,
                limit: u32,
            ) -> Result<Vec<crate::LostEntry>, crate::StoreError> {
                let query = sqlx::query_as(crate::adoptions::LOST).bind(after_id).bind(i64::from(limit));
                Ok(query.fetch_all(self.reader()).await?)
            }
        }
    };
}
pub(crate) use stamp_adoptions;

#[cfg(test)]
mod tests;
