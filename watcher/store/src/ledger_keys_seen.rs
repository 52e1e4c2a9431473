//! Public keys of the ledger as the monitor first saw them. The ledger's tables can be written by whoever has the
//! signer's rights; what is remembered here cannot, so that a key that the ledger names no more is watched all the same.

use async_trait::async_trait;

use crate::StoreError;
use crate::column::from_row;

/// A key of the ledger, as it was first seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LedgerKeySeen {
    /// The public key, SPKI in DER.
    pub spki: Vec<u8>,
    /// The identity: a key's fingerprint; a keyless identity, or its name in the configuration.
    pub identity: String,
    /// It was recorded for a certificate that was to be asked for.
    pub certified: bool,
    /// It came after this: the last complete look at the keys that did not have it (where it is certified: not as such),
    /// in unix milliseconds; 0 where nobody had looked before. The look that found it says less: that may be late.
    pub seen_at: i64,
    /// It was there later than it says.
    pub backdated: bool,
}

/// An identity's key, as the ledger names it now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdentityKey {
    /// The identity.
    pub identity: String,
    /// Its public key, SPKI in DER; `None`: it names none.
    pub spki: Option<Vec<u8>>,
}

/// Remembers keys. Nothing is ever forgotten.
#[async_trait]
pub trait LedgerKeysSeen: Send + Sync {
    /// Records keys, all or none. The first time stays; a key that was not certified becomes it once, with the time of
    /// that.
    async fn record_ledger_keys_seen(&self, keys: &[LedgerKeySeen]) -> Result<(), StoreError>;

    /// Every key that was seen.
    async fn ledger_keys_seen(&self) -> Result<Vec<LedgerKeySeen>, StoreError>;

    /// How many were seen.
    async fn ledger_keys_seen_count(&self) -> Result<u64, StoreError>;

    /// The key of each identity: few, however much is signed.
    async fn identity_keys(&self) -> Result<Vec<IdentityKey>, StoreError>;

    /// The keys that say that they were recorded for a certificate at a time or later; `first_at` is that time.
    async fn certificate_keys_since(&self, at: i64) -> Result<Vec<crate::LedgerKeyRow>, StoreError>;

    /// The keys of certificates that were not seen as such, whatever they say of their time.
    async fn certificate_keys_unseen(&self) -> Result<Vec<crate::LedgerKeyRow>, StoreError>;
}

from_row!(LedgerKeySeen, |row| Ok(Self {
    spki: row.try_get("public_key_spki")?,
    identity: row.try_get("identity")?,
    certified: row.try_get::<i64, _>("certified")? != 0,
    seen_at: row.try_get("seen_at")?,
    backdated: row.try_get::<i64, _>("backdated")? != 0,
}));

from_row!(IdentityKey, |row| Ok(Self { identity: row.try_get("identity")?, spki: row.try_get("public_key_spki")? }));

pub(crate) const RECORD: &str = "-- ledger_keys_seen::record_ledger_keys_seen
INSERT INTO ledger_keys_seen (public_key_spki_hash, public_key_spki, identity, certified, seen_at, backdated)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (public_key_spki_hash) DO UPDATE
SET certified = 1, seen_at = excluded.seen_at, backdated = excluded.backdated
WHERE ledger_keys_seen.certified = 0 AND excluded.certified = 1";

pub(crate) const ALL: &str = "-- ledger_keys_seen::ledger_keys_seen
SELECT public_key_spki, identity, certified, seen_at, backdated FROM ledger_keys_seen";

pub(crate) const COUNT: &str = "-- ledger_keys_seen::ledger_keys_seen_count
SELECT COUNT(*) FROM ledger_keys_seen";

pub(crate) const IDENTITIES: &str = "-- ledger_keys_seen::identity_keys
SELECT identity, public_key_spki FROM identities ORDER BY identity";

pub(crate) const SINCE: &str = "-- ledger_keys_seen::certificate_keys_since
SELECT public_key_spki, identity_name AS identity, requested_at AS first_at FROM certificate_keys
WHERE requested_at >= $1";

pub(crate) const UNSEEN: &str = "-- ledger_keys_seen::certificate_keys_unseen
SELECT c.public_key_spki, c.identity_name AS identity, c.requested_at AS first_at FROM certificate_keys c
WHERE NOT EXISTS (SELECT 1 FROM ledger_keys_seen k
    WHERE k.public_key_spki_hash = c.public_key_spki_hash AND k.certified = 1)";

macro_rules! stamp_ledger_keys_seen {
    ($Store:ty) => {
        #[async_trait::async_trait]
        impl crate::LedgerKeysSeen for $Store {
            async fn record_ledger_keys_seen(&self, keys: &[crate::LedgerKeySeen]) -> Result<(), crate::StoreError> {
                use crate::column::{key_of, whole_text};
                let mut tx = self.begin().await?;
                for key in keys {
                    sqlx::query(crate::ledger_keys_seen::RECORD)
                        .bind(key_of(&[&key.spki]))
                        .bind(&key.spki)
                        .bind(whole_text(&key.identity))
                        .bind(i64::from(key.certified))
                        .bind(key.seen_at)
                        .bind(i64::from(key.backdated))
                        .execute(&mut *tx)
                        .await?;
                }
                tx.commit().await?;
                Ok(())
            }

            async fn ledger_keys_seen(&self) -> Result<Vec<crate::LedgerKeySeen>, crate::StoreError> {
                Ok(sqlx::query_as(crate::ledger_keys_seen::ALL).fetch_all(self.reader()).await?)
            }

            async fn ledger_keys_seen_count(&self) -> Result<u64, crate::StoreError> {
                let (count,): (i64,) = sqlx::query_as(crate::ledger_keys_seen::COUNT).fetch_one(self.reader()).await?;
                Ok(count.unsigned_abs())
            }

            async fn identity_keys(&self) -> Result<Vec<crate::IdentityKey>, crate::StoreError> {
                Ok(sqlx::query_as(crate::ledger_keys_seen::IDENTITIES).fetch_all(self.reader()).await?)
            }

            async fn certificate_keys_since(&self, at: i64) -> Result<Vec<crate::LedgerKeyRow>, crate::StoreError> {
                Ok(sqlx::query_as(crate::ledger_keys_seen::SINCE).bind(at).fetch_all(self.reader()).await?)
            }

            async fn certificate_keys_unseen(&self) -> Result<Vec<crate::LedgerKeyRow>, crate::StoreError> {
                Ok(sqlx::query_as(crate::ledger_keys_seen::UNSEEN).fetch_all(self.reader()).await?)
            }
        }
    };
}
pub(crate) use stamp_ledger_keys_seen;

#[cfg(test)]
mod tests;
