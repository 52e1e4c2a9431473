//! Conditions: what is wrong outside or with us, for as long as it lasts. The signing side writes them; the monitor reads
//! them and makes findings of them, which the signing side cannot write.

use async_trait::async_trait;

use crate::StoreError;
use crate::column::{converted, from_row, parsed};
use crate::jobs::words;

/// What can be wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ConditionCause {
    /// An endpoint (registry, log, timestamp authority) does not answer, or refuses everything.
    EndpointTrouble,
    /// A source sends bodies that are larger than what is read.
    OversizedEvents,
    /// Pushes of a repository were announced that the registry does not show.
    UnseenPushes,
    /// Work was parked because it ended its worker.
    Poison,
    /// The configuration could not be read again, and the old one is used.
    StaleConfiguration,
}

words!(
    ConditionCause,
    "cause of a condition",
    EndpointTrouble = "endpoint_trouble",
    OversizedEvents = "oversized_events",
    UnseenPushes = "unseen_pushes",
    Poison = "poison",
    StaleConfiguration = "stale_configuration",
);

/// Something that is wrong, or was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condition {
    /// Its id.
    pub id: i64,
    /// What is wrong.
    pub cause: ConditionCause,
    /// The endpoint, source or repository that it is about.
    pub subject: String,
    /// Since when, in unix milliseconds.
    pub since: i64,
    /// When it was last seen, in unix milliseconds.
    pub seen_at: i64,
    /// When it ended, in unix milliseconds.
    pub until: Option<i64>,
    /// How often it was seen.
    pub count: u64,
    /// What was said the last time.
    pub sample: String,
}

/// Records what is wrong, and that it is over.
#[async_trait]
pub trait Conditions: Send + Sync {
    /// Opens a condition, or counts the one that is open.
    async fn record_condition(&self, cause: ConditionCause, subject: &str, sample: &str) -> Result<(), StoreError>;

    /// Ends the open condition of a cause and subject. `false`: there was none.
    async fn end_condition(&self, cause: ConditionCause, subject: &str) -> Result<bool, StoreError>;

    /// The open conditions, the oldest first.
    async fn open_conditions(&self, limit: u32) -> Result<Vec<Condition>, StoreError>;

    /// Conditions after an id, open or ended, in the order of their ids.
    async fn conditions_after(&self, id: i64, limit: u32) -> Result<Vec<Condition>, StoreError>;
}

from_row!(Condition, |row| Ok(Self {
    id: row.try_get("id")?,
    cause: parsed("cause", row.try_get("cause")?)?,
    subject: row.try_get("subject")?,
    since: row.try_get("since")?,
    seen_at: row.try_get("seen_at")?,
    until: row.try_get("until")?,
    count: converted("count", row.try_get::<i64, _>("count")?)?,
    sample: row.try_get("sample")?,
}));

pub(crate) const OPEN: &str = "-- conditions::open_conditions
SELECT id, cause, subject, since, seen_at, until, count, sample FROM conditions
WHERE until IS NULL ORDER BY since, id LIMIT $1";

pub(crate) const AFTER: &str = "-- conditions::conditions_after
SELECT id, cause, subject, since, seen_at, until, count, sample FROM conditions
WHERE id > $1 ORDER BY id LIMIT $2";

macro_rules! stamp_conditions {
    ($Store:ty, $now:literal) => {
        #[async_trait::async_trait]
        impl crate::Conditions for $Store {
            async fn record_condition(
                &self,
                cause: crate::ConditionCause,
                subject: &str,
                sample: &str,
            ) -> Result<(), crate::StoreError> {
                const RECORD: &str = concat!(
                    "-- conditions::record_condition
INSERT INTO conditions (cause, subject, since, seen_at, count, sample)
VALUES ($1, $2, ",
                    $now,
                    ", ",
                    $now,
                    ", 1, $3)
ON CONFLICT (cause, subject) WHERE until IS NULL DO UPDATE SET
    seen_at = excluded.seen_at, count = conditions.count + 1, sample = excluded.sample"
                );
                let mut tx = self.begin().await?;
                sqlx::query(RECORD)
                    .bind(cause.as_str())
                    .bind(crate::column::text(subject))
                    .bind(crate::column::text(sample))
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(())
            }

            async fn end_condition(
                &self,
                cause: crate::ConditionCause,
                subject: &str,
            ) -> Result<bool, crate::StoreError> {
                const END: &str = concat!(
                    "-- conditions::end_condition
UPDATE conditions SET until = ",
                    $now,
                    " WHERE cause = $1 AND subject = $2 AND until IS NULL"
                );
                let mut tx = self.begin().await?;
                let ended = sqlx::query(END)
                    .bind(cause.as_str())
                    .bind(crate::column::text(subject))
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                tx.commit().await?;
                Ok(ended > 0)
            }

            async fn open_conditions(&self, limit: u32) -> Result<Vec<crate::Condition>, crate::StoreError> {
                Ok(sqlx::query_as(crate::conditions::OPEN).bind(i64::from(limit)).fetch_all(self.reader()).await?)
            }

            async fn conditions_after(&self, id: i64, limit: u32) -> Result<Vec<crate::Condition>, crate::StoreError> {
                let query = sqlx::query_as(crate::conditions::AFTER).bind(id).bind(i64::from(limit));
                Ok(query.fetch_all(self.reader()).await?)
            }
        }
    };
}
pub(crate) use stamp_conditions;

#[cfg(test)]
mod tests {
    use crate::ConditionCause::{EndpointTrouble, Poison};
    use crate::testing::on_both_engines;

    on_both_engines! {
        async fn a_condition_is_counted_while_it_lasts_and_opened_again_after_its_end(database) {
            let store = database.store();
            assert!(!store.end_condition(EndpointTrouble, "log:a").await.unwrap());
            store.record_condition(EndpointTrouble, "log:a", "first").await.unwrap();
            store.record_condition(EndpointTrouble, "log:a", "second").await.unwrap();
            store.record_condition(EndpointTrouble, "log:b", "other").await.unwrap();
            store.record_condition(Poison, "log:a", "other cause").await.unwrap();
            let open = store.open_conditions(10).await.unwrap();
            assert_eq!(open.len(), 3);
            assert_eq!((open[0].count, open[0].sample.as_str(), open[0].until), (2, "second", None));

            assert!(store.end_condition(EndpointTrouble, "log:a").await.unwrap());
            assert_eq!(store.open_conditions(10).await.unwrap().len(), 2);
            store.record_condition(EndpointTrouble, "log:a", "again").await.unwrap();
            let all = store.conditions_after(0, 10).await.unwrap();
            assert_eq!(all.len(), 4);
            assert!(all[0].until.is_some() && all[3].until.is_none());
            assert_eq!((all[3].count, all[3].sample.as_str()), (1, "again"));
        }
    }
}
