//! The ledger's intents as the monitor first saw them: the hash of each row, chained, so that a row that is written
//! afterwards, changed or removed shows.

use async_trait::async_trait;

use crate::column::{from_row, hash};
use crate::{LedgerPage, LedgerRow, StoreError};

/// An intent as it was first seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IntentSeen {
    /// The ledger's row.
    pub signature_id: i64,
    /// The hash of what is never changed in it.
    pub row_hash: [u8; 32],
    /// The hash of the chain up to here.
    pub chain_hash: [u8; 32],
    /// When it says that it was intended, in unix milliseconds.
    pub intended_at: i64,
    /// When it was first seen.
    pub seen_at: i64,
    /// It was there later than it says.
    pub backdated: bool,
    /// That it is gone or is another one was accepted by an act of adoption.
    pub accepted: bool,
    /// The hash of its signature; `None`: it was never seen with one.
    pub signature_hash: Option<[u8; 32]>,
    /// The signature came after this: the last look that did not have it, in unix milliseconds; 0: nobody had looked
    /// before. Where there is none: when that was looked at last. `None`: nobody has looked at the signature yet.
    pub signature_seen_at: Option<i64>,
    /// The signature was there later than it says.
    pub signature_backdated: bool,
}

/// The signature of an intent, as it was first seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignatureSeen {
    /// The ledger's row.
    pub signature_id: i64,
    /// The hash of its signature; `None`: it has none.
    pub hash: Option<[u8; 32]>,
    /// See [`IntentSeen::signature_seen_at`].
    pub seen_at: i64,
    /// It was there later than it says.
    pub backdated: bool,
}

/// A link of the chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChainLink {
    /// Its place, from 1 on.
    pub position: i64,
    /// The hash of what is never changed in the row.
    pub row_hash: [u8; 32],
    /// The hash of the chain up to here.
    pub chain_hash: [u8; 32],
}

/// Remembers intents.
#[async_trait]
pub trait IntentsSeen: Send + Sync {
    /// Appends to the chain, in the order given. `after`: the chain's hash that the first of them builds on, `None` at
    /// the beginning. `false`, and nothing is written: the chain ends otherwise by now, or one of these is in it; begin
    /// again from [`Self::last_intent_seen`].
    async fn record_intents_seen(&self, after: Option<[u8; 32]>, seen: &[IntentSeen]) -> Result<bool, StoreError>;

    /// The end of the chain.
    async fn last_intent_seen(&self) -> Result<Option<IntentSeen>, StoreError>;

    /// The links after a place, in their order.
    async fn chain_links(&self, after: i64, limit: u32) -> Result<Vec<ChainLink>, StoreError>;

    /// Those of these rows that were seen.
    async fn intents_seen(&self, ids: &[i64]) -> Result<Vec<IntentSeen>, StoreError>;

    /// Rows of the ledger after an id that were not seen yet, without their material. Ask from some thousand before the
    /// newest (ids become visible out of order) and from zero now and then (a back-dated row may take an old id).
    async fn unseen_ledger_rows(&self, after_id: i64, limit: u32) -> Result<LedgerPage, StoreError>;

    /// Records signatures of intents that were seen without one. What was recorded stays.
    async fn record_signatures_seen(&self, seen: &[SignatureSeen]) -> Result<(), StoreError>;

    /// Rows of the ledger after an id that were seen, and never with a signature; without their material.
    async fn rows_seen_unsigned(&self, after_id: i64, limit: u32) -> Result<LedgerPage, StoreError>;

    /// Those of these rows that are signed now and can be read, without their material.
    async fn signed_of(&self, ids: &[i64]) -> Result<Vec<LedgerRow>, StoreError>;

    /// Intents after an id that the ledger has no more, and of which nobody has accepted that.
    async fn vanished_intents(&self, after_id: i64, limit: u32) -> Result<Vec<IntentSeen>, StoreError>;
}

from_row!(IntentSeen, |row| Ok(Self {
    signature_id: row.try_get("signature_id")?,
    row_hash: hash("row_hash", &row.try_get::<Vec<u8>, _>("row_hash")?)?,
    chain_hash: hash("chain_hash", &row.try_get::<Vec<u8>, _>("chain_hash")?)?,
    intended_at: row.try_get("intended_at")?,
    seen_at: row.try_get("seen_at")?,
    backdated: row.try_get::<i64, _>("backdated")? != 0,
    accepted: row.try_get::<Option<i64>, _>("accepted_at")?.is_some(),
    signature_hash: row
        .try_get::<Option<Vec<u8>>, _>("signature_hash")?
        .map(|value| hash("signature_hash", &value))
        .transpose()?,
    signature_seen_at: row.try_get("signature_seen_at")?,
    signature_backdated: row.try_get::<i64, _>("signature_backdated")? != 0,
}));

from_row!(ChainLink, |row| Ok(Self {
    position: row.try_get("position")?,
    row_hash: hash("row_hash", &row.try_get::<Vec<u8>, _>("row_hash")?)?,
    chain_hash: hash("chain_hash", &row.try_get::<Vec<u8>, _>("chain_hash")?)?,
}));

/// Every column of an intent; the caller adds the rest.
macro_rules! select_intent {
    ($function:literal, $rest:expr) => {
        concat!(
            "-- intents_seen::",
            $function,
            "
SELECT i.signature_id, i.row_hash, i.chain_hash, i.intended_at, i.seen_at, i.backdated, i.accepted_at,
    i.signature_hash, i.signature_seen_at, i.signature_backdated FROM intents_seen i ",
            $rest
        )
    };
}

pub(crate) const LAST: &str = select_intent!("last_intent_seen", "ORDER BY i.position DESC LIMIT 1");

pub(crate) const END: &str = "-- intents_seen::record_intents_seen
SELECT position, chain_hash FROM intents_seen ORDER BY position DESC LIMIT 1";

pub(crate) const LINKS: &str = "-- intents_seen::chain_links
SELECT position, row_hash, chain_hash FROM intents_seen WHERE position > $1 ORDER BY position LIMIT $2";

/// A place that somebody took meanwhile, or a row that is there, is not inserted.
pub(crate) const INSERT: &str = "-- intents_seen::record_intents_seen
INSERT INTO intents_seen (signature_id, position, row_hash, chain_hash, intended_at, seen_at, backdated,
    signature_hash, signature_seen_at, signature_backdated)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";

pub(crate) const SIGN: &str = "-- intents_seen::record_signatures_seen
UPDATE intents_seen SET signature_hash = $2, signature_seen_at = $3, signature_backdated = $4
WHERE signature_id = $1 AND signature_hash IS NULL";

pub(crate) const SEEN_UNSIGNED: &str = crate::ledger_view::sql::select_bare_row!(
    "rows_seen_unsigned",
    "s.id > $1 AND EXISTS (SELECT 1 FROM intents_seen i WHERE i.signature_id = s.id AND i.signature_hash IS NULL)
ORDER BY s.id LIMIT $2"
);

pub(crate) const SIGNED_OF: &str = crate::ledger_view::sql::select_bare_row!(
    "signed_of",
    concat!("s.id IN ", crate::ledger_view::sql::members!(), " AND s.signature IS NOT NULL ORDER BY s.id")
);

pub(crate) const SEEN: &str =
    select_intent!("intents_seen", concat!("WHERE i.signature_id IN ", crate::ledger_view::sql::members!()));

pub(crate) const UNSEEN: &str = crate::ledger_view::sql::select_bare_row!(
    "unseen_ledger_rows",
    "s.id > $1 AND NOT EXISTS (SELECT 1 FROM intents_seen i WHERE i.signature_id = s.id) ORDER BY s.id LIMIT $2"
);

pub(crate) const VANISHED: &str = select_intent!(
    "vanished_intents",
    "WHERE i.signature_id > $1 AND i.accepted_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM signatures s WHERE s.id = i.signature_id AND s.id > $1)
ORDER BY i.signature_id LIMIT $2"
);

macro_rules! stamp_intents_seen {
    ($Store:ty) => {
        #[async_trait::async_trait]
        impl crate::IntentsSeen for $Store {
            async fn record_intents_seen(
                &self,
                after: Option<[u8; 32]>,
                seen: &[crate::IntentSeen],
            ) -> Result<bool, crate::StoreError> {
                use crate::intents_seen::{END, INSERT};
                let mut tx = self.begin().await?;
                let end: Option<(i64, Vec<u8>)> = sqlx::query_as(END).fetch_optional(&mut *tx).await?;
                let (mut position, stored) = end.map_or((0, None), |(position, hash)| (position, Some(hash)));
                if stored.as_deref() != after.as_ref().map(<[u8; 32]>::as_slice) {
                    tx.rollback().await?;
                    return Ok(false);
                }
                for intent in seen {
                    position += 1;
                    let inserted = sqlx::query(INSERT)
                        .bind(intent.signature_id)
                        .bind(position)
                        .bind(intent.row_hash.as_slice())
                        .bind(intent.chain_hash.as_slice())
                        .bind(intent.intended_at)
                        .bind(intent.seen_at)
                        .bind(i64::from(intent.backdated))
                        .bind(intent.signature_hash.as_ref().map(<[u8; 32]>::as_slice))
                        .bind(intent.signature_seen_at)
                        .bind(i64::from(intent.signature_backdated))
                        .execute(&mut *tx)
                        .await?
                        .rows_affected();
                    if inserted == 0 {
                        tx.rollback().await?;
                        return Ok(false);
                    }
                }
                tx.commit().await?;
                Ok(true)
            }

            async fn last_intent_seen(&self) -> Result<Option<crate::IntentSeen>, crate::StoreError> {
                Ok(sqlx::query_as(crate::intents_seen::LAST).fetch_optional(self.reader()).await?)
            }

            async fn chain_links(&self, after: i64, limit: u32) -> Result<Vec<crate::ChainLink>, crate::StoreError> {
                let query = sqlx::query_as(crate::intents_seen::LINKS).bind(after).bind(i64::from(limit));
                Ok(query.fetch_all(self.reader()).await?)
            }

            async fn intents_seen(&self, ids: &[i64]) -> Result<Vec<crate::IntentSeen>, crate::StoreError> {
                use crate::ledger_view::sql::MEMBERS;
                let mut seen = Vec::new();
                for chunk in ids.chunks(MEMBERS) {
                    let Some(last) = chunk.last() else { continue };
                    let mut query = sqlx::query_as(crate::intents_seen::SEEN);
                    for place in 0..MEMBERS {
                        query = query.bind(*chunk.get(place).unwrap_or(last));
                    }
                    seen.extend(query.fetch_all(self.reader()).await?);
                }
                Ok(seen)
            }

            async fn unseen_ledger_rows(
                &self,
                after_id: i64,
                limit: u32,
            ) -> Result<crate::LedgerPage, crate::StoreError> {
                let query = sqlx::query(crate::intents_seen::UNSEEN).bind(after_id).bind(i64::from(limit));
                Ok(crate::ledger_view::row::page(&query.fetch_all(self.reader()).await?))
            }

            async fn record_signatures_seen(&self, seen: &[crate::SignatureSeen]) -> Result<(), crate::StoreError> {
                let mut tx = self.begin().await?;
                for signature in seen {
                    sqlx::query(crate::intents_seen::SIGN)
                        .bind(signature.signature_id)
                        .bind(signature.hash.as_ref().map(<[u8; 32]>::as_slice))
                        .bind(signature.seen_at)
                        .bind(i64::from(signature.backdated))
                        .execute(&mut *tx)
                        .await?;
                }
                tx.commit().await?;
                Ok(())
            }

            async fn rows_seen_unsigned(
                &self,
                after_id: i64,
                limit: u32,
            ) -> Result<crate::LedgerPage, crate::StoreError> {
                let query = sqlx::query(crate::intents_seen::SEEN_UNSIGNED).bind(after_id).bind(i64::from(limit));
                Ok(crate::ledger_view::row::page(&query.fetch_all(self.reader()).await?))
            }

            async fn signed_of(&self, ids: &[i64]) -> Result<Vec<crate::LedgerRow>, crate::StoreError> {
                use crate::ledger_view::sql::MEMBERS;
                let mut rows = Vec::new();
                for chunk in ids.chunks(MEMBERS) {
                    let Some(last) = chunk.last() else { continue };
                    let mut query = sqlx::query(crate::intents_seen::SIGNED_OF);
                    for place in 0..MEMBERS {
                        query = query.bind(*chunk.get(place).unwrap_or(last));
                    }
                    rows.extend(crate::ledger_view::row::page(&query.fetch_all(self.reader()).await?).rows);
                }
                Ok(rows)
            }

            async fn vanished_intents(
                &self,
                after_id: i64,
                limit: u32,
            ) -> Result<Vec<crate::IntentSeen>, crate::StoreError> {
                let query = sqlx::query_as(crate::intents_seen::VANISHED).bind(after_id).bind(i64::from(limit));
                Ok(query.fetch_all(self.reader()).await?)
            }
        }
    };
}
pub(crate) use stamp_intents_seen;

#[cfg(test)]
mod tests;
