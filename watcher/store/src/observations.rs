//! Log entries that the worker and `verify` met in registries: the monitor checks that each fits a tree that it
//! follows. They are on the signer's side of the house: it writes them, the monitor reads them.

use async_trait::async_trait;

use crate::StoreError;
use crate::column::{from_row, hash};

/// A log entry that was met.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewObservation {
    /// Who met it: `worker`, `verify`.
    pub source: String,
    /// The id of the log that it names.
    pub log_id: [u8; 32],
    /// The entry with its proof or promise.
    pub entry_json: Vec<u8>,
    /// The image that it was attached to.
    pub image: Option<String>,
    /// When, in unix milliseconds.
    pub at: i64,
}

/// A log entry that was met.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observation {
    /// The observation's id.
    pub id: i64,
    /// Who met it first.
    pub source: String,
    /// The id of the log that it names.
    pub log_id: [u8; 32],
    /// The entry with its proof or promise.
    pub entry_json: Vec<u8>,
    /// The image that it was attached to.
    pub image: Option<String>,
    /// When, in unix milliseconds.
    pub at: i64,
}

/// Takes and lists observations.
#[async_trait]
pub trait Observations: Send + Sync {
    /// Keeps an entry that is not there yet.
    async fn record_observation(&self, observation: &NewObservation) -> Result<(), StoreError>;

    /// Observations after an id, in its order. Ids are given in the order of the commits, so a cursor misses none.
    async fn observations_after(&self, id: i64, limit: u32) -> Result<Vec<Observation>, StoreError>;
}

from_row!(Observation, |row| Ok(Self {
    id: row.try_get("id")?,
    source: row.try_get("source")?,
    log_id: hash("log_id", &row.try_get::<Vec<u8>, _>("log_id")?)?,
    entry_json: row.try_get("entry_json")?,
    image: row.try_get("image")?,
    at: row.try_get("observed_at")?,
}));

pub(crate) const KNOWN: &str = "-- observations::record_observation
SELECT id FROM observations WHERE entry_hash = $1";

pub(crate) const INSERT: &str = "-- observations::record_observation
INSERT INTO observations (entry_hash, source, log_id, entry_json, image, observed_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (entry_hash) DO NOTHING";

pub(crate) const AFTER: &str = "-- observations::observations_after
SELECT id, source, log_id, entry_json, image, observed_at FROM observations WHERE id > $1 ORDER BY id LIMIT $2";

macro_rules! stamp_observations {
    ($Store:ty) => {
        #[async_trait::async_trait]
        impl crate::Observations for $Store {
            async fn record_observation(&self, observation: &crate::NewObservation) -> Result<(), crate::StoreError> {
                use crate::column::{key_of, text};
                let key = key_of(&[&observation.log_id, &observation.entry_json]);
                // Asked before: the same image is met again and again.
                let known: Option<(i64,)> =
                    sqlx::query_as(crate::observations::KNOWN).bind(&key).fetch_optional(self.reader()).await?;
                if known.is_some() {
                    return Ok(());
                }
                let mut tx = self.begin_in_turn().await?;
                sqlx::query(crate::observations::INSERT)
                    .bind(&key)
                    .bind(text(&observation.source))
                    .bind(observation.log_id.as_slice())
                    .bind(&observation.entry_json)
                    .bind(observation.image.as_deref().map(text))
                    .bind(observation.at)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(())
            }

            async fn observations_after(
                &self,
                id: i64,
                limit: u32,
            ) -> Result<Vec<crate::Observation>, crate::StoreError> {
                let query = sqlx::query_as(crate::observations::AFTER).bind(id).bind(i64::from(limit));
                Ok(query.fetch_all(self.reader()).await?)
            }
        }
    };
}
pub(crate) use stamp_observations;

#[cfg(test)]
mod tests;
