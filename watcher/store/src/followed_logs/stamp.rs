//! The followed logs' body, stamped for each engine.

macro_rules! stamp_followed_logs {
    ($Store:ty, $Database:ty, $now:literal) => {
        impl $Store {
            /// Writes what a step saw, within the caller's transaction, in one order for everybody; answers whether a
            /// sink is told.
            async fn write_seen(
                tx: &mut crate::dialect::Tx<$Database>,
                step: &crate::Advance,
                counts: bool,
            ) -> Result<bool, crate::StoreError> {
                use crate::column::{signed, text};
                let (_, told) = Self::raise_in(tx, &step.findings, &step.sinks).await?;
                for suspect in &step.suspects {
                    Self::insert_suspect(tx, suspect).await?;
                }
                Self::upsert_sightings(tx, &step.sightings).await?;
                if counts {
                    let beyond = Self::upsert_observed(tx, &step.observed).await?;
                    let mut counted = std::collections::BTreeMap::<&str, u64>::new();
                    if beyond > 0 {
                        counted.insert(crate::sightings::OBSERVED_BEYOND, beyond);
                    }
                    for (reason, leaves) in &step.counted {
                        let sum = counted.entry(reason).or_default();
                        *sum = sum.saturating_add(*leaves);
                    }
                    for (reason, leaves) in counted {
                        sqlx::query(crate::followed_logs::sql::COUNT)
                            .bind(text(reason))
                            .bind(signed("leaves", leaves)?)
                            .execute(&mut **tx)
                            .await?;
                    }
                }
                Ok(told)
            }

            /// Writes a position to begin at, and the act that it comes from. `false`: the statement left the one that is
            /// there.
            async fn insert_log(
                &self,
                statement: &'static str,
                trust: &crate::NewTrust,
            ) -> Result<bool, crate::StoreError> {
                use crate::column::{signed, text};
                use crate::followed_logs::sql;
                let size = signed("size", trust.size)?;
                let noted = !trust.note.is_empty();
                let mut tx = self.begin().await?;
                let inserted = sqlx::query(statement)
                    .bind(&trust.origin)
                    .bind(&trust.kind)
                    .bind(trust.key_id.as_slice())
                    .bind(&trust.public_key)
                    .bind(&trust.coverage)
                    .bind(size)
                    .bind(trust.at)
                    .bind(text(&trust.because))
                    .bind(noted.then_some(size))
                    .bind(noted.then_some(trust.root.as_slice()))
                    .bind(noted.then_some(trust.note.as_slice()))
                    .bind(noted.then_some(trust.at))
                    .bind(trust.root.as_slice())
                    .bind(&trust.range)
                    .bind(i64::from(trust.keep_head))
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                if inserted == 0 {
                    tx.rollback().await?;
                    return Ok(false);
                }
                sqlx::query(crate::matcher_coverage::FORGET_LOG).bind(&trust.origin).execute(&mut *tx).await?;
                sqlx::query(sql::KEEP_TRUST)
                    .bind(&trust.origin)
                    .bind(size)
                    .bind(trust.root.as_slice())
                    .bind(text(&trust.because))
                    .bind(text(&trust.by))
                    .bind(trust.at)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(true)
            }
        }

        #[async_trait::async_trait]
        impl crate::FollowedLogs for $Store {
            async fn trust_log(&self, trust: &crate::NewTrust) -> Result<(), crate::StoreError> {
                self.insert_log(crate::followed_logs::sql::TRUST, trust).await.map(drop)
            }

            async fn trust_new_log(&self, trust: &crate::NewTrust) -> Result<bool, crate::StoreError> {
                self.insert_log(crate::followed_logs::sql::TRUST_NEW, trust).await
            }

            async fn cover_log(&self, lease: &crate::LogLease, coverage: &str) -> Result<bool, crate::StoreError> {
                let mut tx = self.begin().await?;
                let covered = sqlx::query(crate::followed_logs::sql::COVER)
                    .bind(&lease.origin)
                    .bind(&lease.lease)
                    .bind(coverage)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                tx.commit().await?;
                Ok(covered > 0)
            }

            async fn log_trusts(&self, origin: &str) -> Result<Vec<crate::LogTrust>, crate::StoreError> {
                let query = sqlx::query_as(crate::followed_logs::sql::TRUSTS).bind(origin);
                Ok(query.fetch_all(self.reader()).await?)
            }

            async fn followed_logs(&self) -> Result<Vec<crate::FollowedLog>, crate::StoreError> {
                Ok(sqlx::query_as(crate::followed_logs::sql::LOGS).fetch_all(self.reader()).await?)
            }

            async fn followed_log(&self, origin: &str) -> Result<Option<crate::FollowedLog>, crate::StoreError> {
                let query = sqlx::query_as(crate::followed_logs::sql::LOG).bind(origin);
                Ok(query.fetch_optional(self.reader()).await?)
            }

            async fn lease_log(
                &self,
                origin: &str,
                holder: &str,
                lease_ms: i64,
            ) -> Result<Option<crate::LogLease>, crate::StoreError> {
                const LEASE: &str = concat!(
                    "-- followed_logs::lease_log
UPDATE followed_logs SET holder = $2, lease = $3, lease_expires_at = ",
                    $now,
                    " + $4
WHERE origin = $1 AND (lease IS NULL OR lease_expires_at <= ",
                    $now,
                    ")"
                );
                let lease = crate::dialect::lease_token()?;
                let mut tx = self.begin().await?;
                let taken = sqlx::query(LEASE)
                    .bind(origin)
                    .bind(holder)
                    .bind(&lease)
                    .bind(lease_ms)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                tx.commit().await?;
                let lease = crate::LogLease { origin: origin.to_owned(), holder: holder.to_owned(), lease };
                Ok((taken > 0).then_some(lease))
            }

            async fn renew_log(
                &self,
                lease: &crate::LogLease,
                lease_ms: i64,
                read_size: u64,
            ) -> Result<bool, crate::StoreError> {
                const RENEW: &str = concat!(
                    "-- followed_logs::renew_log
UPDATE followed_logs SET lease_expires_at = ",
                    $now,
                    " + $3, read_size = CASE WHEN read_size < $4 THEN $4 ELSE read_size END
WHERE origin = $1 AND lease = $2"
                );
                let read_size = crate::column::signed("read_size", read_size)?;
                let mut tx = self.begin().await?;
                let renewed = sqlx::query(RENEW)
                    .bind(&lease.origin)
                    .bind(&lease.lease)
                    .bind(lease_ms)
                    .bind(read_size)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                tx.commit().await?;
                Ok(renewed > 0)
            }

            async fn release_log(&self, lease: crate::LogLease) -> Result<(), crate::StoreError> {
                let mut tx = self.begin().await?;
                sqlx::query(crate::followed_logs::sql::RELEASE)
                    .bind(&lease.origin)
                    .bind(&lease.lease)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(())
            }

            async fn record_note(&self, note: &crate::NoteSeen) -> Result<bool, crate::StoreError> {
                use crate::followed_logs::sql;
                let size = crate::column::signed("size", note.size)?;
                // Asked before: most heads are the one before, and must not take the one writer's turn.
                let known: Option<(i64,)> = sqlx::query_as(sql::KNOWN_NOTE)
                    .bind(&note.origin)
                    .bind(size)
                    .bind(note.root.as_slice())
                    .fetch_optional(self.reader())
                    .await?;
                if known.is_some() {
                    return Ok(false);
                }
                let mut tx = self.begin().await?;
                let kept = sqlx::query(sql::KEEP_NOTE)
                    .bind(&note.origin)
                    .bind(size)
                    .bind(note.root.as_slice())
                    .bind(crate::column::text(&note.source))
                    .bind(&note.note)
                    .bind(note.seen_at)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                tx.commit().await?;
                Ok(kept > 0)
            }

            async fn notes(&self, origin: &str, limit: u32) -> Result<Vec<crate::NoteRow>, crate::StoreError> {
                let query = sqlx::query_as(crate::followed_logs::sql::NOTES).bind(origin).bind(i64::from(limit));
                Ok(query.fetch_all(self.reader()).await?)
            }

            async fn note_at(&self, origin: &str, size: u64) -> Result<Vec<crate::NoteRow>, crate::StoreError> {
                Ok(sqlx::query_as(crate::followed_logs::sql::NOTES_OF_SIZE)
                    .bind(origin)
                    .bind(crate::column::signed("size", size)?)
                    .fetch_all(self.reader())
                    .await?)
            }

            async fn advance(&self, lease: &crate::LogLease, step: &crate::Advance) -> Result<bool, crate::StoreError> {
                use crate::column::signed;
                use crate::followed_logs::{Standing, sql};
                let mut tx = self.begin().await?;
                let standing: Option<Standing> = sqlx::query_as(sql::FENCE)
                    .bind(&lease.origin)
                    .bind(&lease.lease)
                    .bind(signed("read_size", step.read_size)?)
                    .bind(step.frozen_at)
                    .fetch_optional(&mut *tx)
                    .await?;
                let Some(standing) = standing.filter(|standing| standing.admits(step)) else {
                    tx.rollback().await?;
                    return Ok(false);
                };
                if let Some(head) = &step.head {
                    sqlx::query(sql::MOVE_HEAD)
                        .bind(&lease.origin)
                        .bind(signed("head_size", head.size)?)
                        .bind(head.root.as_slice())
                        .bind(&head.note)
                        .bind(head.seen_at)
                        .bind(step.frozen_at)
                        .execute(&mut *tx)
                        .await?;
                }
                let mut counts = true;
                if let Some(verified) = &step.verified {
                    counts = verified.size > standing.verified_size;
                    sqlx::query(sql::MOVE_VERIFIED)
                        .bind(&lease.origin)
                        .bind(signed("verified_size", verified.size)?)
                        .bind(verified.root.as_slice())
                        .bind(&verified.range)
                        .bind(step.at)
                        .execute(&mut *tx)
                        .await?;
                }
                let told = Self::write_seen(&mut tx, step, counts).await?;
                tx.commit().await?;
                self.wake_if(told);
                Ok(true)
            }

            async fn counted_leaves(&self) -> Result<Vec<(String, u64)>, crate::StoreError> {
                let rows: Vec<(String, i64)> =
                    sqlx::query_as(crate::followed_logs::sql::COUNTED).fetch_all(self.reader()).await?;
                let mut counted = Vec::with_capacity(rows.len());
                for (reason, leaves) in rows {
                    counted.push((reason, crate::column::converted("leaves", leaves)?));
                }
                Ok(counted)
            }
        }
    };
}
pub(crate) use stamp_followed_logs;
