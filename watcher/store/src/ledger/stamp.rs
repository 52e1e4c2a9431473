//! The ledger's body, stamped for each engine.

macro_rules! stamp_ledger {
    ($Store:ty, $Database:ty) => {
        impl $Store {
            /// Reads a row within the caller's transaction, and so what it has just decided.
            async fn row_in(
                tx: &mut crate::dialect::Tx<$Database>,
                key: crate::ledger::LedgerKey<'_>,
            ) -> Result<Option<crate::LedgerRow>, crate::StoreError> {
                use crate::ledger::LedgerKey;
                let query = match key {
                    LedgerKey::Id(id) => sqlx::query_as(crate::ledger::sql::ROW).bind(id),
                    LedgerKey::Unique(intent) => sqlx::query_as(crate::ledger::sql::ROW_BY_KEY)
                        .bind(intent.image.name.registry.as_str())
                        .bind(intent.image.name.repository.as_str())
                        .bind(intent.image.digest.to_string())
                        .bind(&intent.identity)
                        .bind(intent.format.as_str()),
                };
                Ok(query.fetch_optional(&mut **tx).await?)
            }

            /// [`Self::row_in`] by id, for a row that must be there.
            async fn known_row(
                tx: &mut crate::dialect::Tx<$Database>,
                id: i64,
            ) -> Result<crate::LedgerRow, crate::StoreError> {
                Self::row_in(tx, crate::ledger::LedgerKey::Id(id)).await?.ok_or(crate::StoreError::UnknownRow { id })
            }

            /// [`Self::known_row`], for a row that is about to take a step.
            async fn standing_row(
                tx: &mut crate::dialect::Tx<$Database>,
                id: i64,
            ) -> Result<crate::LedgerRow, crate::StoreError> {
                let row = Self::known_row(tx, id).await?;
                if row.abandoned.is_some() { Err(crate::StoreError::Abandoned { id }) } else { Ok(row) }
            }

            /// The trust zone of an identity, within the caller's transaction.
            async fn trust_zone(
                tx: &mut crate::dialect::Tx<$Database>,
                identity: &str,
            ) -> Result<Option<String>, crate::StoreError> {
                let zone: Option<(String,)> =
                    sqlx::query_as(crate::ledger::sql::TRUST_ZONE).bind(identity).fetch_optional(&mut **tx).await?;
                Ok(zone.map(|(zone,)| zone))
            }
        }

        #[async_trait::async_trait]
        impl crate::Ledger for $Store {
            async fn intend(&self, intent: &crate::Intent) -> Result<crate::LedgerRow, crate::StoreError> {
                use crate::ledger::sql;
                let mut tx = self.begin().await?;
                let recorded = match Self::trust_zone(&mut tx, &intent.identity).await? {
                    Some(zone) => zone,
                    None => {
                        // Two may be here at once with two zones: one of them inserts, the other
                        // waits for that commit, inserts nothing and reads the first one's zone.
                        sqlx::query(sql::INSERT_IDENTITY)
                            .bind(&intent.identity)
                            .bind(&intent.trust_zone)
                            .bind(intent.at)
                            .bind(&intent.public_key_spki)
                            .execute(&mut *tx)
                            .await?;
                        Self::trust_zone(&mut tx, &intent.identity).await?.unwrap_or_else(|| intent.trust_zone.clone())
                    }
                };
                if recorded != intent.trust_zone {
                    return Err(crate::StoreError::TwoTrustZones {
                        identity: intent.identity.clone(),
                        recorded,
                        asked: intent.trust_zone.clone(),
                    });
                }
                sqlx::query(sql::INSERT_INTENT)
                    .bind(intent.image.name.registry.as_str())
                    .bind(intent.image.name.repository.as_str())
                    .bind(intent.image.digest.to_string())
                    .bind(&intent.identity)
                    .bind(intent.format.as_str())
                    .bind(&intent.identity_name)
                    .bind(&intent.public_key_spki)
                    .bind(&intent.log_origin)
                    .bind(&intent.trust_zone)
                    .bind(intent.class.as_str())
                    .bind(intent.at)
                    .execute(&mut *tx)
                    .await?;
                let row = Self::row_in(&mut tx, crate::ledger::LedgerKey::Unique(intent))
                    .await?
                    .ok_or(crate::StoreError::Database(sqlx::Error::RowNotFound))?;
                tx.commit().await?;
                Ok(row)
            }

            async fn ledger_row(&self, id: i64) -> Result<crate::LedgerRow, crate::StoreError> {
                sqlx::query_as(crate::ledger::sql::ROW)
                    .bind(id)
                    .fetch_optional(self.reader())
                    .await?
                    .ok_or(crate::StoreError::UnknownRow { id })
            }

            async fn ledger_for(
                &self,
                image: &bundle::ImageReference,
            ) -> Result<Vec<crate::LedgerRow>, crate::StoreError> {
                Ok(sqlx::query_as(crate::ledger::sql::ROWS_OF_IMAGE)
                    .bind(image.name.registry.as_str())
                    .bind(image.name.repository.as_str())
                    .bind(image.digest.to_string())
                    .fetch_all(self.reader())
                    .await?)
            }

            async fn count_key_use(&self, id: i64) -> Result<(), crate::StoreError> {
                let mut tx = self.begin().await?;
                let counted =
                    sqlx::query(crate::ledger::sql::COUNT_KEY_USE).bind(id).execute(&mut *tx).await?.rows_affected();
                if counted == 0 {
                    return Err(crate::StoreError::Abandoned { id });
                }
                tx.commit().await?;
                Ok(())
            }

            async fn abandon(&self, id: i64, because: &str, at: i64) -> Result<bool, crate::StoreError> {
                let mut tx = self.begin().await?;
                let abandoned = sqlx::query(crate::ledger::sql::ABANDON)
                    .bind(id)
                    .bind(at)
                    .bind(crate::column::text(because))
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                tx.commit().await?;
                Ok(abandoned > 0)
            }

            async fn record_signature(
                &self,
                id: i64,
                signature: &crate::RecordedSignature,
            ) -> Result<crate::LedgerRow, crate::StoreError> {
                let mut tx = self.begin().await?;
                sqlx::query(crate::ledger::sql::SIGN)
                    .bind(id)
                    .bind(&signature.payload)
                    .bind(&signature.signed_digest)
                    .bind(&signature.signature)
                    .bind(signature.at)
                    .execute(&mut *tx)
                    .await?;
                let row = Self::known_row(&mut tx, id).await?;
                tx.commit().await?;
                Ok(row)
            }

            async fn record_entry(&self, id: i64, entry: &crate::RecordedEntry) -> Result<(), crate::StoreError> {
                use crate::ledger::sql;
                let log_index = crate::column::signed("log_index", entry.log_index)?;
                let mut tx = self.begin().await?;
                if Self::standing_row(&mut tx, id).await?.signature.is_none() {
                    let (step, needs) = ("log entry", "signature");
                    return Err(crate::StoreError::OutOfOrder { id, step, needs });
                }
                sqlx::query(sql::INSERT_ENTRY)
                    .bind(id)
                    .bind(&entry.log_origin)
                    .bind(log_index)
                    .bind(entry.leaf_hash.as_slice())
                    .bind(&entry.entry_json)
                    .bind(entry.at)
                    .execute(&mut *tx)
                    .await?;
                let (leaf_hash,): (Vec<u8>,) = sqlx::query_as(sql::LEAF_HASH)
                    .bind(id)
                    .bind(&entry.log_origin)
                    .bind(log_index)
                    .fetch_one(&mut *tx)
                    .await?;
                if leaf_hash != entry.leaf_hash {
                    return Err(crate::StoreError::EntryConflict {
                        id,
                        log_origin: entry.log_origin.clone(),
                        log_index: entry.log_index,
                    });
                }
                tx.commit().await?;
                Ok(())
            }

            async fn entries(&self, id: i64) -> Result<Vec<crate::RecordedEntry>, crate::StoreError> {
                Ok(sqlx::query_as(crate::ledger::sql::ENTRIES).bind(id).fetch_all(self.reader()).await?)
            }

            async fn record_material(
                &self,
                id: i64,
                material: &crate::Material,
            ) -> Result<crate::LedgerRow, crate::StoreError> {
                use crate::ledger::sql;
                let mut tx = self.begin().await?;
                if Self::standing_row(&mut tx, id).await?.signature.is_none() {
                    let (step, needs) = ("material", "signature");
                    return Err(crate::StoreError::OutOfOrder { id, step, needs });
                }
                sqlx::query(sql::INSERT_MATERIAL)
                    .bind(id)
                    .bind(&material.artifact)
                    .bind(&material.manifest)
                    .bind(material.at)
                    .execute(&mut *tx)
                    .await?;
                sqlx::query(sql::MATERIAL_STAGE).bind(id).execute(&mut *tx).await?;
                let row = Self::known_row(&mut tx, id).await?;
                tx.commit().await?;
                Ok(row)
            }

            async fn record_attached(
                &self,
                id: i64,
                manifest_digest: &bundle::Digest,
                adopted: bool,
                at: i64,
            ) -> Result<(), crate::StoreError> {
                let mut tx = self.begin().await?;
                if Self::standing_row(&mut tx, id).await?.material.is_none() && !adopted {
                    let (step, needs) = ("attachment", "material");
                    return Err(crate::StoreError::OutOfOrder { id, step, needs });
                }
                sqlx::query(crate::ledger::sql::ATTACH)
                    .bind(id)
                    .bind(at)
                    .bind(i64::from(adopted))
                    .bind(manifest_digest.to_string())
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(())
            }
        }
    };
}
pub(crate) use stamp_ledger;
