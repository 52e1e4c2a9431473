//! What the matchers of the watchlist matched: the newest sighting of each, for the one that never matches, and the
//! identities that observing rules collect for a person to approve.

use async_trait::async_trait;

use crate::StoreError;
use crate::column::{converted, from_row};

/// How many identities are kept of one observing rule. Leaves of those beyond are counted, as [`OBSERVED_BEYOND`].
pub const OBSERVED_PER_WATCH: u64 = 10_000;

/// The reason by which leaves are counted whose identity an observing rule had no room for.
pub const OBSERVED_BEYOND: &str = "observed_beyond_cap";

/// A matcher matched a leaf.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// The matcher's name.
    pub matcher: String,
    /// The log.
    pub log_origin: String,
    /// The leaf's index.
    pub log_index: u64,
    /// When it was read, in unix milliseconds.
    pub at: i64,
}

/// An identity that an observing rule saw.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObservedIdentity {
    /// The rule's name.
    pub watch: String,
    /// The identity's issuer.
    pub issuer: String,
    /// The identity's subject.
    pub subject: String,
    /// The certificate's extensions, as JSON.
    pub extensions_json: String,
    /// When it was first seen, in unix milliseconds.
    pub first_at: i64,
    /// When it was last seen.
    pub last_at: i64,
    /// How often.
    pub times: u64,
}

/// Reads what was seen; it is written by [`crate::FollowedLogs::advance`].
#[async_trait]
pub trait Sightings: Send + Sync {
    /// The newest sighting of each matcher that matched.
    async fn sightings(&self) -> Result<Vec<Sighting>, StoreError>;

    /// Notes since when matchers are known; those that are known keep their time.
    async fn record_matchers(&self, names: &[String], now: i64) -> Result<(), StoreError>;

    /// Each matcher ever known, since when, and when it last matched; in unix milliseconds.
    async fn matchers_since(&self) -> Result<Vec<(String, i64, Option<i64>)>, StoreError>;

    /// What an observing rule saw, the most frequent first.
    async fn observed_identities(&self, watch: &str) -> Result<Vec<ObservedIdentity>, StoreError>;
}

from_row!(Sighting, |row| Ok(Self {
    matcher: row.try_get("matcher")?,
    log_origin: row.try_get("log_origin")?,
    log_index: converted("log_index", row.try_get::<i64, _>("log_index")?)?,
    at: row.try_get("matched_at")?,
}));

from_row!(ObservedIdentity, |row| Ok(Self {
    watch: row.try_get("watch")?,
    issuer: row.try_get("issuer")?,
    subject: row.try_get("subject")?,
    extensions_json: row.try_get("extensions")?,
    first_at: row.try_get("first_at")?,
    last_at: row.try_get("last_at")?,
    times: converted("times", row.try_get::<i64, _>("times")?)?,
}));

pub(crate) const SIGHTINGS: &str = "-- sightings::sightings
SELECT matcher, log_origin, log_index, matched_at FROM matchers WHERE matched_at IS NOT NULL ORDER BY matcher";

/// Rows follow, and [`RECORD_KNOWN`].
pub(crate) const RECORD: &str = "-- sightings::record_matchers
INSERT INTO matchers (matcher, known_since) ";
pub(crate) const RECORD_KNOWN: &str = " ON CONFLICT (matcher) DO NOTHING";
/// Rows in one statement: each statement is a way to the database and back.
pub(crate) const RECORD_AT_ONCE: usize = 500;

pub(crate) const SINCE: &str = "-- sightings::matchers_since
SELECT matcher, known_since, matched_at FROM matchers ORDER BY matcher";

pub(crate) const UPSERT: &str = "-- sightings::upsert_sightings
INSERT INTO matchers (matcher, known_since, log_origin, log_index, matched_at) VALUES ($1, $4, $2, $3, $4)
ON CONFLICT (matcher) DO UPDATE SET
    log_origin = excluded.log_origin, log_index = excluded.log_index, matched_at = excluded.matched_at
WHERE matchers.matched_at IS NULL OR matchers.matched_at <= excluded.matched_at";

pub(crate) const OBSERVED: &str = "-- sightings::observed_identities
SELECT watch, issuer, subject, extensions, first_at, last_at, times FROM observed_identities
WHERE watch = $1 ORDER BY times DESC, issuer, subject, extensions";

pub(crate) const OBSERVED_COUNT: &str = "-- sightings::upsert_observed
SELECT COUNT(*) FROM observed_identities WHERE watch = $1";

pub(crate) const KNOWN_OBSERVED: &str = "-- sightings::upsert_observed
SELECT times FROM observed_identities WHERE watch = $1 AND identity_hash = $2";

pub(crate) const UPSERT_OBSERVED: &str = "-- sightings::upsert_observed
INSERT INTO observed_identities (watch, identity_hash, issuer, subject, extensions, first_at, last_at, times)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (watch, identity_hash) DO UPDATE SET
    times = observed_identities.times + excluded.times,
    first_at = CASE WHEN excluded.first_at < observed_identities.first_at THEN excluded.first_at
        ELSE observed_identities.first_at END,
    last_at = CASE WHEN excluded.last_at > observed_identities.last_at THEN excluded.last_at
        ELSE observed_identities.last_at END";

macro_rules! stamp_sightings {
    ($Store:ty, $Database:ty) => {
        impl $Store {
            /// Keeps the newest sighting of each matcher, within the caller's transaction.
            async fn upsert_sightings(
                tx: &mut crate::dialect::Tx<$Database>,
                sightings: &[crate::Sighting],
            ) -> Result<(), crate::StoreError> {
                let mut newest = std::collections::BTreeMap::<&str, &crate::Sighting>::new();
                for sighting in sightings {
                    let kept = newest.entry(&sighting.matcher).or_insert(sighting);
                    if (kept.at, kept.log_index) < (sighting.at, sighting.log_index) {
                        *kept = sighting;
                    }
                }
                for sighting in newest.into_values() {
                    sqlx::query(crate::sightings::UPSERT)
                        .bind(&sighting.matcher)
                        .bind(&sighting.log_origin)
                        .bind(crate::column::signed("log_index", sighting.log_index)?)
                        .bind(sighting.at)
                        .execute(&mut **tx)
                        .await?;
                }
                Ok(())
            }

            /// Adds up what observing rules saw, within the caller's transaction; answers how many leaves there was no room
            /// for: anybody can make certificates with ever new names.
            async fn upsert_observed(
                tx: &mut crate::dialect::Tx<$Database>,
                observed: &[crate::ObservedIdentity],
            ) -> Result<u64, crate::StoreError> {
                use crate::column::{key_of, signed, whole_text};
                let mut ordered = std::collections::BTreeMap::<(&str, Vec<u8>), Vec<&crate::ObservedIdentity>>::new();
                for identity in observed {
                    let parts = [&identity.issuer, &identity.subject, &identity.extensions_json];
                    let key = key_of(&parts.map(|part| part.as_bytes()));
                    ordered.entry((&identity.watch, key)).or_default().push(identity);
                }
                let mut kept = std::collections::BTreeMap::<&str, u64>::new();
                let mut beyond = 0u64;
                for ((watch, key), identities) in ordered {
                    let known: Option<(i64,)> = sqlx::query_as(crate::sightings::KNOWN_OBSERVED)
                        .bind(watch)
                        .bind(&key)
                        .fetch_optional(&mut **tx)
                        .await?;
                    if known.is_none() {
                        let count = match kept.get(watch) {
                            Some(count) => *count,
                            None => {
                                let (count,): (i64,) = sqlx::query_as(crate::sightings::OBSERVED_COUNT)
                                    .bind(watch)
                                    .fetch_one(&mut **tx)
                                    .await?;
                                crate::column::converted("count", count)?
                            }
                        };
                        let room = count < crate::sightings::OBSERVED_PER_WATCH;
                        kept.insert(watch, count.saturating_add(u64::from(room)));
                        if !room {
                            let times = identities.iter().map(|identity| identity.times);
                            beyond = times.fold(beyond, u64::saturating_add);
                            continue;
                        }
                    }
                    for identity in identities {
                        sqlx::query(crate::sightings::UPSERT_OBSERVED)
                            .bind(watch)
                            .bind(&key)
                            .bind(whole_text(&identity.issuer))
                            .bind(whole_text(&identity.subject))
                            .bind(whole_text(&identity.extensions_json))
                            .bind(identity.first_at)
                            .bind(identity.last_at)
                            .bind(signed("times", identity.times)?)
                            .execute(&mut **tx)
                            .await?;
                    }
                }
                Ok(beyond)
            }
        }

        #[async_trait::async_trait]
        impl crate::Sightings for $Store {
            async fn sightings(&self) -> Result<Vec<crate::Sighting>, crate::StoreError> {
                Ok(sqlx::query_as(crate::sightings::SIGHTINGS).fetch_all(self.reader()).await?)
            }

            async fn record_matchers(&self, names: &[String], now: i64) -> Result<(), crate::StoreError> {
                // Asked before: at each start nearly all of them are known.
                let known = self.matchers_since().await?;
                let known: std::collections::HashSet<&str> = known.iter().map(|(name, ..)| name.as_str()).collect();
                let new: std::collections::BTreeSet<&str> =
                    names.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
                if new.is_empty() {
                    return Ok(());
                }
                let new: Vec<&str> = new.into_iter().collect();
                let mut tx = self.begin().await?;
                for names in new.chunks(crate::sightings::RECORD_AT_ONCE) {
                    let mut record = sqlx::QueryBuilder::<$Database>::new(crate::sightings::RECORD);
                    record.push_values(names, |mut row, name| {
                        row.push_bind(*name).push_bind(now);
                    });
                    record.push(crate::sightings::RECORD_KNOWN).build().execute(&mut *tx).await?;
                }
                tx.commit().await?;
                Ok(())
            }

            async fn matchers_since(&self) -> Result<Vec<(String, i64, Option<i64>)>, crate::StoreError> {
                Ok(sqlx::query_as(crate::sightings::SINCE).fetch_all(self.reader()).await?)
            }

            async fn observed_identities(
                &self,
                watch: &str,
            ) -> Result<Vec<crate::ObservedIdentity>, crate::StoreError> {
                Ok(sqlx::query_as(crate::sightings::OBSERVED).bind(watch).fetch_all(self.reader()).await?)
            }
        }
    };
}
pub(crate) use stamp_sightings;

#[cfg(test)]
mod tests;
