//! From which leaf on each watch rule was matched in each log. A rule is known by its content: one that is changed is
//! another one, and has not seen the leaves that were read before.

use async_trait::async_trait;

use crate::column::converted;
use crate::column::from_row;
use crate::{LogLease, StoreError};

/// From where on a rule was matched in a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MatcherCoverage {
    /// SHA-256 of the rule.
    pub matcher_hash: Vec<u8>,
    /// The log.
    pub log_origin: String,
    /// The first leaf that it was matched with, or will be.
    pub from_size: u64,
    /// When it was first matched, in unix milliseconds.
    pub since: i64,
}

/// Remembers what the rules have looked at. What is known of a log ends when it is trusted anew.
#[async_trait]
pub trait MatcherCoverages: Send + Sync {
    /// These are the rules that a log is matched with from its verified position on: a rule that is new there begins
    /// there, one that is known keeps its beginning, and one that is not among these is forgotten: if it comes back it
    /// has missed leaves. `false`, and nothing is written: the lease was lost.
    async fn cover(&self, lease: &LogLease, matchers: &[[u8; 32]], at: i64) -> Result<bool, StoreError>;

    /// All that is known.
    async fn matcher_coverage(&self) -> Result<Vec<MatcherCoverage>, StoreError>;
}

from_row!(MatcherCoverage, |row| Ok(Self {
    matcher_hash: row.try_get("matcher_hash")?,
    log_origin: row.try_get("log_origin")?,
    from_size: converted("from_size", row.try_get::<i64, _>("from_size")?)?,
    since: row.try_get("since")?,
}));

pub(crate) const COVERAGE: &str = "-- matcher_coverage::matcher_coverage
SELECT matcher_hash, log_origin, from_size, since FROM matcher_coverage ORDER BY log_origin, matcher_hash";

pub(crate) const OF_LOG: &str = "-- matcher_coverage::cover
SELECT matcher_hash FROM matcher_coverage WHERE log_origin = $1";

/// Changes nothing, and so locks the row: nobody moves the position meanwhile.
pub(crate) const FENCE: &str = "-- matcher_coverage::cover
UPDATE followed_logs SET verified_size = verified_size WHERE origin = $1 AND lease = $2 RETURNING verified_size";

/// Rows follow, and [`BEGUN`].
pub(crate) const BEGIN: &str = "-- matcher_coverage::cover
INSERT INTO matcher_coverage (matcher_hash, log_origin, from_size, since) ";
pub(crate) const BEGUN: &str = " ON CONFLICT (matcher_hash, log_origin) DO NOTHING";
/// Rows in one statement: each statement is a way to the database and back.
pub(crate) const BEGIN_AT_ONCE: usize = 500;

pub(crate) const FORGET: &str = "-- matcher_coverage::cover
DELETE FROM matcher_coverage WHERE matcher_hash = $1 AND log_origin = $2";

/// In the transaction that gives a log another position.
pub(crate) const FORGET_LOG: &str = "-- followed_logs::trust_log
DELETE FROM matcher_coverage WHERE log_origin = $1";

macro_rules! stamp_matcher_coverage {
    ($Store:ty, $Database:ty) => {
        #[async_trait::async_trait]
        impl crate::MatcherCoverages for $Store {
            async fn cover(
                &self,
                lease: &crate::LogLease,
                matchers: &[[u8; 32]],
                at: i64,
            ) -> Result<bool, crate::StoreError> {
                use std::collections::HashSet;

                use crate::matcher_coverage::{BEGIN, BEGIN_AT_ONCE, BEGUN, FENCE, FORGET, OF_LOG};
                let mut tx = self.begin().await?;
                let standing: Option<(i64,)> =
                    sqlx::query_as(FENCE).bind(&lease.origin).bind(&lease.lease).fetch_optional(&mut *tx).await?;
                let Some((verified_size,)) = standing else { return Ok(false) };
                let rows: Vec<(Vec<u8>,)> = sqlx::query_as(OF_LOG).bind(&lease.origin).fetch_all(&mut *tx).await?;
                let known: HashSet<&[u8]> = rows.iter().map(|(hash,)| hash.as_slice()).collect();
                let wanted: HashSet<&[u8]> = matchers.iter().map(|hash| hash.as_slice()).collect();
                for gone in known.difference(&wanted) {
                    sqlx::query(FORGET).bind(*gone).bind(&lease.origin).execute(&mut *tx).await?;
                }
                let new: Vec<&[u8]> = wanted.difference(&known).copied().collect();
                for hashes in new.chunks(BEGIN_AT_ONCE) {
                    let mut begin = sqlx::QueryBuilder::<$Database>::new(BEGIN);
                    begin.push_values(hashes, |mut row, hash| {
                        row.push_bind(*hash).push_bind(&lease.origin).push_bind(verified_size).push_bind(at);
                    });
                    begin.push(BEGUN).build().execute(&mut *tx).await?;
                }
                tx.commit().await?;
                Ok(true)
            }

            async fn matcher_coverage(&self) -> Result<Vec<crate::MatcherCoverage>, crate::StoreError> {
                Ok(sqlx::query_as(crate::matcher_coverage::COVERAGE).fetch_all(self.reader()).await?)
            }
        }
    };
}
pub(crate) use stamp_matcher_coverage;

#[cfg(test)]
mod tests {
    use crate::testing::{on_both_engines, root, trust};
    use crate::{Advance, NewTrust, VerifiedPosition};

    const LOG: &str = "log.example.com";

    fn to(size: u64) -> Advance {
        let verified = VerifiedPosition { size, root: root(size), range: vec![1] };
        Advance { verified: Some(verified), read_size: size, at: 20, ..Advance::default() }
    }

    on_both_engines! {
        async fn a_rule_begins_where_it_is_first_matched_and_is_forgotten_when_it_goes(database) {
            let store = database.store();
            let known = async || {
                let rows = store.matcher_coverage().await.unwrap();
                rows.into_iter().map(|row| (row.matcher_hash[0], row.from_size, row.since)).collect::<Vec<_>>()
            };
            store.trust_log(&trust(LOG, 0)).await.unwrap();
            let lease = store.lease_log(LOG, "here", 60_000).await.unwrap().unwrap();
            assert!(store.cover(&lease, &[[1; 32]], 10).await.unwrap());
            assert!(store.advance(&lease, &to(1_200)).await.unwrap());
            // A second one is added after the back-fill.
            assert!(store.cover(&lease, &[[1; 32], [2; 32]], 30).await.unwrap());
            assert_eq!(known().await, [(1, 0, 10), (2, 1_200, 30)]);
            // It is taken away, and comes back later.
            assert!(store.cover(&lease, &[[1; 32]], 40).await.unwrap());
            assert!(store.advance(&lease, &to(1_300)).await.unwrap());
            assert!(store.cover(&lease, &[[1; 32], [2; 32]], 50).await.unwrap());
            assert_eq!(known().await, [(1, 0, 10), (2, 1_300, 50)]);
            // Read again from zero, every rule sees every leaf.
            store.trust_log(&NewTrust { at: 60, ..trust(LOG, 0) }).await.unwrap();
            assert_eq!(known().await, []);
            assert!(!store.cover(&lease, &[[1; 32]], 70).await.unwrap());
            let lease = store.lease_log(LOG, "here", 60_000).await.unwrap().unwrap();
            assert!(store.cover(&lease, &[[2; 32], [1; 32]], 80).await.unwrap());
            assert_eq!(known().await, [(1, 0, 80), (2, 0, 80)]);
        }
    }
}
