//! The trust zone of each identity: recorded with its first intent, changed by a person only, with a reason.

use async_trait::async_trait;

use crate::StoreError;
use crate::column::from_row;

/// An identity and the one zone that it signs in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdentityZone {
    /// The identity: a key's fingerprint, or a certificate's issuer and subject.
    pub identity: String,
    /// Its trust zone.
    pub trust_zone: String,
}

/// Knows the zones, and changes one where a person says so.
#[async_trait]
pub trait IdentityZones: Send + Sync {
    /// The zones of those of these identities that have ever signed.
    async fn zones_of(&self, identities: &[String]) -> Result<Vec<IdentityZone>, StoreError>;

    /// Gives an identity another zone, and records who did it, when and why. `false`: it has never signed, or is in that
    /// zone already, and nothing was written.
    async fn rezone(&self, identity: &str, to: &str, because: &str, by: &str, at: i64) -> Result<bool, StoreError>;
}

from_row!(IdentityZone, |row| Ok(Self { identity: row.try_get("identity")?, trust_zone: row.try_get("trust_zone")? }));

pub(crate) const ZONE: &str = "-- identity_zones::zones_of
SELECT identity, trust_zone FROM identities WHERE identity = $1";

pub(crate) const RECORD: &str = "-- identity_zones::rezone
INSERT INTO identity_rezones (identity, from_zone, to_zone, because, rezoned_by, rezoned_at)
SELECT identity, trust_zone, $2, $3, $4, $5 FROM identities WHERE identity = $1 AND trust_zone <> $2";

pub(crate) const REZONE: &str = "-- identity_zones::rezone
UPDATE identities SET trust_zone = $2 WHERE identity = $1 AND trust_zone <> $2";

macro_rules! stamp_identity_zones {
    ($Store:ty) => {
        #[async_trait::async_trait]
        impl crate::IdentityZones for $Store {
            async fn zones_of(&self, identities: &[String]) -> Result<Vec<crate::IdentityZone>, crate::StoreError> {
                let mut zones = Vec::new();
                for identity in identities {
                    let query = sqlx::query_as(crate::identity_zones::ZONE).bind(identity);
                    zones.extend(query.fetch_optional(self.reader()).await?);
                }
                Ok(zones)
            }

            async fn rezone(
                &self,
                identity: &str,
                to: &str,
                because: &str,
                by: &str,
                at: i64,
            ) -> Result<bool, crate::StoreError> {
                let mut tx = self.begin().await?;
                sqlx::query(crate::identity_zones::RECORD)
                    .bind(identity)
                    .bind(to)
                    .bind(crate::column::text(because))
                    .bind(crate::column::text(by))
                    .bind(at)
                    .execute(&mut *tx)
                    .await?;
                let changed = sqlx::query(crate::identity_zones::REZONE)
                    .bind(identity)
                    .bind(to)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                tx.commit().await?;
                Ok(changed > 0)
            }
        }
    };
}
pub(crate) use stamp_identity_zones;

#[cfg(test)]
mod tests {
    use crate::testing::{on_both_engines, signed_row};

    on_both_engines! {
        async fn an_identity_changes_its_zone_by_a_persons_word_only_and_signs_there(database) {
            let store = database.store();
            let known = ["fingerprint".to_owned(), "another".to_owned()];
            assert!(store.zones_of(&known).await.unwrap().is_empty());
            assert!(!store.rezone("fingerprint", "other", "why", "ann", 5).await.unwrap(), "it has never signed");
            signed_row(&*store, 1).await;
            let zone = async || store.zones_of(&known).await.unwrap()[0].trust_zone.clone();
            assert_eq!(zone().await, "prod");
            assert!(!store.rezone("fingerprint", "prod", "why", "ann", 5).await.unwrap());
            assert!(store.rezone("fingerprint", "release", "it was renamed", "ann", 6).await.unwrap());
            assert_eq!(zone().await, "release");
            database.execute("UPDATE identity_rezones SET because = because WHERE from_zone = 'prod'").await;
        }
    }
}
