//! Webhook bodies that were no push that we understand. They are kept, so that a person can see what a registry sends,
//! and replay them once the cause is gone.
//!
//! Letters are only added here: whoever takes webhooks may do no more in the database. How many a source may add in a day
//! is counted by the caller; the purge keeps the newest thousand of each.

use async_trait::async_trait;

use crate::StoreError;
use crate::column::{converted, from_row};

/// The most of one body that is kept.
pub(crate) const BODY_MAX_BYTES: usize = 64 * 1024;
/// How many letters of one source a purge leaves.
pub(crate) const KEPT_PER_SOURCE: i64 = 1_000;

/// A body that is to be kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewDeadLetter<'l> {
    /// The configured source that it came through.
    pub source: &'l str,
    /// Why it was not understood.
    pub reason: &'l str,
    /// Its first bytes; no more than 64 KiB are kept.
    pub body: &'l [u8],
    /// The size of all of it.
    pub body_size_bytes: u64,
    /// When it came, in unix milliseconds.
    pub received_at: i64,
}

/// A body as it was kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeadLetter {
    /// Its id; a later letter has a larger one.
    pub id: i64,
    /// The configured source that it came through.
    pub source: String,
    /// Why it was not understood.
    pub reason: String,
    /// The first 64 KiB of it.
    pub body: Vec<u8>,
    /// The size of all of it.
    pub body_size_bytes: u64,
    /// When it came, in unix milliseconds.
    pub received_at: i64,
    /// When its events were taken in after all, in unix milliseconds.
    pub replayed_at: Option<i64>,
}

impl DeadLetter {
    /// Whether the end of the body is missing.
    pub fn is_cut(&self) -> bool {
        self.body.len() as u64 != self.body_size_bytes
    }
}

/// Which letters are asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeadLetterFilter {
    /// Of this source only.
    pub source: Option<String>,
    /// For this reason only: `foreign_host`, for example.
    pub reason: Option<String>,
    /// Only those that were not replayed.
    pub waiting: bool,
    /// Only those with a smaller id: the next page.
    pub before: Option<i64>,
}

/// Keeps what could not be understood.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Keeps the start of a body. Inserts, and asks and deletes nothing.
    async fn record_dead_letter(&self, letter: &NewDeadLetter<'_>) -> Result<(), StoreError>;

    /// The newest letters that the filter lets through, newest first.
    async fn dead_letters(&self, filter: &DeadLetterFilter, limit: u32) -> Result<Vec<DeadLetter>, StoreError>;

    /// One letter.
    async fn dead_letter(&self, id: i64) -> Result<Option<DeadLetter>, StoreError>;

    /// Notes that the events of a letter were taken in. `false`: there is no such letter, or it was replayed before.
    async fn mark_replayed(&self, id: i64, at: i64) -> Result<bool, StoreError>;
}

from_row!(DeadLetter, |row| Ok(Self {
    id: row.try_get("id")?,
    source: row.try_get("source")?,
    reason: row.try_get("reason")?,
    body: row.try_get("body")?,
    body_size_bytes: converted("body_size_bytes", row.try_get::<i64, _>("body_size_bytes")?)?,
    received_at: row.try_get("received_at")?,
    replayed_at: row.try_get("replayed_at")?,
}));

pub(crate) const INSERT: &str = "-- dead_letters::record_dead_letter
INSERT INTO dead_letters (source, reason, body, body_size_bytes, received_at)
VALUES ($1, $2, $3, $4, $5)";

pub(crate) const NEWEST: &str = "-- dead_letters::dead_letters
SELECT id, source, reason, body, body_size_bytes, received_at, replayed_at
FROM dead_letters
WHERE ($1 IS NULL OR source = $1)
    AND ($2 IS NULL OR reason = $2)
    AND ($3 = 0 OR replayed_at IS NULL)
    AND id < $4
ORDER BY id DESC LIMIT $5";

pub(crate) const ONE: &str = "-- dead_letters::dead_letter
SELECT id, source, reason, body, body_size_bytes, received_at, replayed_at
FROM dead_letters WHERE id = $1";

pub(crate) const MARK_REPLAYED: &str = "-- dead_letters::mark_replayed
UPDATE dead_letters SET replayed_at = $2 WHERE id = $1 AND replayed_at IS NULL";

macro_rules! stamp_dead_letters {
    ($Store:ty) => {
        #[async_trait::async_trait]
        impl crate::DeadLetters for $Store {
            async fn record_dead_letter(&self, letter: &crate::NewDeadLetter<'_>) -> Result<(), crate::StoreError> {
                use crate::dead_letters::{BODY_MAX_BYTES, INSERT};
                let mut tx = self.begin().await?;
                sqlx::query(INSERT)
                    .bind(crate::column::text(letter.source))
                    .bind(crate::column::text(letter.reason))
                    .bind(&letter.body[..letter.body.len().min(BODY_MAX_BYTES)])
                    .bind(crate::column::signed("body_size_bytes", letter.body_size_bytes)?)
                    .bind(letter.received_at)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(())
            }

            async fn dead_letters(
                &self,
                filter: &crate::DeadLetterFilter,
                limit: u32,
            ) -> Result<Vec<crate::DeadLetter>, crate::StoreError> {
                Ok(sqlx::query_as(crate::dead_letters::NEWEST)
                    .bind(filter.source.as_deref())
                    .bind(filter.reason.as_deref())
                    .bind(i64::from(filter.waiting))
                    .bind(filter.before.unwrap_or(i64::MAX))
                    .bind(i64::from(limit))
                    .fetch_all(self.reader())
                    .await?)
            }

            async fn dead_letter(&self, id: i64) -> Result<Option<crate::DeadLetter>, crate::StoreError> {
                Ok(sqlx::query_as(crate::dead_letters::ONE).bind(id).fetch_optional(self.reader()).await?)
            }

            async fn mark_replayed(&self, id: i64, at: i64) -> Result<bool, crate::StoreError> {
                let mut tx = self.begin().await?;
                let marked =
                    sqlx::query(crate::dead_letters::MARK_REPLAYED).bind(id).bind(at).execute(&mut *tx).await?;
                tx.commit().await?;
                Ok(marked.rows_affected() > 0)
            }
        }
    };
}
pub(crate) use stamp_dead_letters;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::on_both_engines;

    fn letter<'l>(source: &'l str, reason: &'l str, body: &'l [u8], received_at: i64) -> NewDeadLetter<'l> {
        NewDeadLetter { source, reason, body, body_size_bytes: body.len() as u64, received_at }
    }

    on_both_engines! {
        async fn a_dead_letter_is_cut_and_says_how_long_it_was(database) {
            let store = database.store();
            let body = vec![0xff; BODY_MAX_BYTES + 7];
            store.record_dead_letter(&letter("harbor", "not\0json", &body, 9)).await.unwrap();
            let letters = store.dead_letters(&DeadLetterFilter::default(), 5).await.unwrap();
            assert_eq!(letters.len(), 1);
            assert_eq!(letters[0].body, vec![0xff; BODY_MAX_BYTES]);
            assert_eq!(letters[0].body_size_bytes, BODY_MAX_BYTES as u64 + 7);
            assert!(letters[0].is_cut());
            assert_eq!(letters[0].reason, "not\u{fffd}json");
            assert_eq!((letters[0].source.as_str(), letters[0].received_at), ("harbor", 9));
            let larger = NewDeadLetter { body_size_bytes: 1 << 30, ..letter("harbor", "too_large", b"{", 10) };
            store.record_dead_letter(&larger).await.unwrap();
            let newest = &store.dead_letters(&DeadLetterFilter::default(), 1).await.unwrap()[0];
            assert_eq!((newest.body.as_slice(), newest.body_size_bytes, newest.is_cut()), (&b"{"[..], 1 << 30, true));
        }

        async fn letters_are_found_by_source_reason_and_whether_they_wait(database) {
            let store = database.store();
            for (at, (source, reason)) in [("a", "foreign_host"), ("b", "foreign_host"), ("a", "not_json"), ("a", "foreign_host")]
                .into_iter()
                .enumerate()
            {
                store.record_dead_letter(&letter(source, reason, b"{}", i64::try_from(at).unwrap())).await.unwrap();
            }
            let found = async |filter: DeadLetterFilter| -> Vec<i64> {
                store.dead_letters(&filter, 10).await.unwrap().iter().map(|letter| letter.received_at).collect()
            };
            let foreign = DeadLetterFilter { reason: Some("foreign_host".to_owned()), ..DeadLetterFilter::default() };
            assert_eq!(found(DeadLetterFilter::default()).await, [3, 2, 1, 0]);
            assert_eq!(found(foreign.clone()).await, [3, 1, 0]);
            assert_eq!(found(DeadLetterFilter { source: Some("a".to_owned()), ..foreign.clone() }).await, [3, 0]);
            let newest = store.dead_letters(&foreign, 1).await.unwrap().remove(0);
            assert_eq!(found(DeadLetterFilter { before: Some(newest.id), ..foreign.clone() }).await, [1, 0]);

            assert!(store.mark_replayed(newest.id, 77).await.unwrap());
            assert!(!store.mark_replayed(newest.id, 78).await.unwrap(), "it was replayed before");
            assert!(!store.mark_replayed(newest.id + 100, 78).await.unwrap());
            assert_eq!(store.dead_letter(newest.id).await.unwrap().unwrap().replayed_at, Some(77));
            assert_eq!(store.dead_letter(newest.id + 100).await.unwrap(), None);
            assert_eq!(found(DeadLetterFilter { waiting: true, ..foreign.clone() }).await, [1, 0]);
            assert_eq!(found(foreign).await, [3, 1, 0]);
        }

        async fn a_purge_keeps_the_newest_letters_of_each_source(database) {
            let store = database.store();
            store.record_dead_letter(&letter("quiet", "kept", b"", 0)).await.unwrap();
            for at in 0..KEPT_PER_SOURCE + 3 {
                store.record_dead_letter(&letter("noisy", "junk", b"", at)).await.unwrap();
            }
            assert_eq!(store.counts().await.unwrap().dead_letters, KEPT_PER_SOURCE as u64 + 4);
            assert_eq!(store.purge(0).await.unwrap().dead_letters, 3);
            let letters = store.dead_letters(&DeadLetterFilter::default(), 2_000).await.unwrap();
            assert_eq!(letters.len(), usize::try_from(KEPT_PER_SOURCE).unwrap() + 1);
            assert_eq!(letters[0].received_at, KEPT_PER_SOURCE + 2);
            assert_eq!(letters.last().unwrap().source, "quiet");
            assert!(letters.iter().all(|letter| letter.source == "quiet" || letter.received_at >= 3));
            assert_eq!(store.purge(0).await.unwrap().dead_letters, 0);
        }
    }
}
