//! The view's body, stamped for each engine.

macro_rules! stamp_ledger_view {
    ($Store:ty) => {
        impl $Store {
            /// The rows for a list of any length, by a statement that takes a fixed number.
            async fn rows_with(
                &self,
                statement: &'static str,
                members: &[&[u8]],
            ) -> Result<Vec<crate::LedgerRow>, crate::StoreError> {
                use crate::ledger_view::sql::MEMBERS;
                let mut members = members.to_vec();
                members.sort_unstable();
                members.dedup();
                let mut rows = Vec::new();
                for chunk in members.chunks(MEMBERS) {
                    let Some(last) = chunk.last() else { continue };
                    let mut query = sqlx::query(statement);
                    for place in 0..MEMBERS {
                        query = query.bind(*chunk.get(place).unwrap_or(last));
                    }
                    rows.extend(crate::ledger_view::row::page(&query.fetch_all(self.reader()).await?).rows);
                }
                Ok(rows)
            }
        }

        #[async_trait::async_trait]
        impl crate::LedgerView for $Store {
            async fn ledger_by_signatures(
                &self,
                signatures: &[Vec<u8>],
            ) -> Result<Vec<crate::LedgerRow>, crate::StoreError> {
                let starts: Vec<&[u8]> =
                    signatures.iter().map(|signature| signature.get(..24).unwrap_or(signature)).collect();
                let asked: std::collections::HashSet<&[u8]> = signatures.iter().map(Vec::as_slice).collect();
                let mut rows = self.rows_with(crate::ledger_view::sql::BY_SIGNATURES, &starts).await?;
                rows.retain(|row| {
                    row.signature.as_ref().is_some_and(|recorded| asked.contains(recorded.signature.as_slice()))
                });
                Ok(rows)
            }

            async fn ledger_by_digests(
                &self,
                signed_digests: &[Vec<u8>],
            ) -> Result<Vec<crate::LedgerRow>, crate::StoreError> {
                let digests: Vec<&[u8]> = signed_digests.iter().map(Vec::as_slice).collect();
                self.rows_with(crate::ledger_view::sql::BY_DIGESTS, &digests).await
            }

            async fn ledger_digests(
                &self,
                after_id: i64,
                limit: u32,
            ) -> Result<Vec<crate::LedgerDigest>, crate::StoreError> {
                let query = sqlx::query_as(crate::ledger_view::sql::DIGESTS).bind(after_id).bind(i64::from(limit));
                Ok(query.fetch_all(self.reader()).await?)
            }

            async fn ledger_rows_after(&self, id: i64, limit: u32) -> Result<crate::LedgerPage, crate::StoreError> {
                let query = sqlx::query(crate::ledger_view::sql::ROWS_AFTER).bind(id).bind(i64::from(limit));
                Ok(crate::ledger_view::row::page(&query.fetch_all(self.reader()).await?))
            }

            async fn ledger_newest(&self) -> Result<Option<(i64, i64)>, crate::StoreError> {
                Ok(sqlx::query_as(crate::ledger_view::sql::NEWEST).fetch_optional(self.reader()).await?)
            }

            async fn ledger_entries_after(
                &self,
                cursor: &crate::EntryCursor,
                limit: u32,
            ) -> Result<Vec<crate::LedgerEntryRow>, crate::StoreError> {
                Ok(sqlx::query_as(crate::ledger_view::sql::ENTRIES_AFTER)
                    .bind(cursor.signature_id)
                    .bind(&cursor.log_origin)
                    .bind(crate::column::signed("log_index", cursor.log_index)?)
                    .bind(i64::from(limit))
                    .fetch_all(self.reader())
                    .await?)
            }

            async fn ledger_entries(&self, signature_id: i64) -> Result<Vec<crate::LedgerEntryRow>, crate::StoreError> {
                let query = sqlx::query_as(crate::ledger_view::sql::ENTRIES_OF_ROW).bind(signature_id);
                Ok(query.fetch_all(self.reader()).await?)
            }
        }
    };
}
pub(crate) use stamp_ledger_view;
