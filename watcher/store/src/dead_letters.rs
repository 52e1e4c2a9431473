//! Webhook bodies that were no push that we understand. They are kept, so that a person can see what
//! a registry sends; never so many that an outsider could fill the disk.

use async_trait::async_trait;

use crate::StoreError;
use crate::column::{converted, from_row};

/// The most of one body that is kept.
pub(crate) const BODY_MAX_BYTES: usize = 64 * 1024;
/// How many letters of one source are kept.
pub(crate) const KEPT_PER_SOURCE: i64 = 1_000;

/// A body as it was kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeadLetter {
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
}

/// Keeps what could not be understood.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Keeps the start of a body; of one source the newest thousand stay.
    async fn record_dead_letter(&self, source: &str, reason: &str, body: &[u8], at: i64) -> Result<(), StoreError>;

    /// The newest letters, newest first.
    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError>;
}

from_row!(DeadLetter, |row| Ok(Self {
    source: row.try_get("source")?,
    reason: row.try_get("reason")?,
    body: row.try_get("body")?,
    body_size_bytes: converted("body_size_bytes", row.try_get::<i64, _>("body_size_bytes")?)?,
    received_at: row.try_get("received_at")?,
}));

pub(crate) const INSERT: &str = "-- dead_letters::record_dead_letter
INSERT INTO dead_letters (source, reason, body, body_size_bytes, received_at)
VALUES ($1, $2, $3, $4, $5)";

pub(crate) const DELETE_OLDEST: &str = "-- dead_letters::record_dead_letter
DELETE FROM dead_letters WHERE source = $1 AND id <= (
    SELECT id FROM dead_letters WHERE source = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";

pub(crate) const NEWEST: &str = "-- dead_letters::dead_letters
SELECT source, reason, body, body_size_bytes, received_at
FROM dead_letters ORDER BY id DESC LIMIT $1";

macro_rules! stamp_dead_letters {
    ($Store:ty) => {
        #[async_trait::async_trait]
        impl crate::DeadLetters for $Store {
            async fn record_dead_letter(
                &self,
                source: &str,
                reason: &str,
                body: &[u8],
                at: i64,
            ) -> Result<(), crate::StoreError> {
                use crate::dead_letters::{BODY_MAX_BYTES, DELETE_OLDEST, INSERT, KEPT_PER_SOURCE};
                let mut tx = self.begin().await?;
                sqlx::query(INSERT)
                    .bind(source)
                    .bind(crate::column::text(reason))
                    .bind(&body[..body.len().min(BODY_MAX_BYTES)])
                    .bind(crate::column::signed("body_size_bytes", body.len() as u64)?)
                    .bind(at)
                    .execute(&mut *tx)
                    .await?;
                sqlx::query(DELETE_OLDEST).bind(source).bind(KEPT_PER_SOURCE).execute(&mut *tx).await?;
                tx.commit().await?;
                Ok(())
            }

            async fn dead_letters(&self, limit: u32) -> Result<Vec<crate::DeadLetter>, crate::StoreError> {
                Ok(sqlx::query_as(crate::dead_letters::NEWEST).bind(i64::from(limit)).fetch_all(self.reader()).await?)
            }
        }
    };
}
pub(crate) use stamp_dead_letters;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::on_both_engines;

    on_both_engines! {
        async fn a_dead_letter_is_cut_and_says_how_long_it_was(database) {
            let store = database.store();
            let body = vec![0xff; BODY_MAX_BYTES + 7];
            store.record_dead_letter("harbor", "not\0json", &body, 9).await.unwrap();
            let letters = store.dead_letters(5).await.unwrap();
            assert_eq!(letters.len(), 1);
            assert_eq!(letters[0].body, vec![0xff; BODY_MAX_BYTES]);
            assert_eq!(letters[0].body_size_bytes, BODY_MAX_BYTES as u64 + 7);
            assert_eq!(letters[0].reason, "not\u{fffd}json");
            assert_eq!((letters[0].source.as_str(), letters[0].received_at), ("harbor", 9));
        }

        async fn only_the_newest_letters_of_a_source_are_kept(database) {
            let store = database.store();
            store.record_dead_letter("quiet", "kept", b"", 0).await.unwrap();
            for at in 0..KEPT_PER_SOURCE + 3 {
                store.record_dead_letter("noisy", "junk", b"", at).await.unwrap();
            }
            let counts = store.counts().await.unwrap();
            assert_eq!(counts.dead_letters, KEPT_PER_SOURCE as u64 + 1);
            let letters = store.dead_letters(2_000).await.unwrap();
            assert_eq!(letters[0].received_at, KEPT_PER_SOURCE + 2);
            assert_eq!(letters.last().unwrap().source, "quiet");
            assert!(letters.iter().all(|letter| letter.source == "quiet" || letter.received_at >= 3));
        }
    }
}
