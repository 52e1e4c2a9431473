//! The findings' body, stamped for each engine.

macro_rules! stamp_findings {
    ($Store:ty, $Database:ty) => {
        impl $Store {
            /// Raises findings within the caller's transaction; answers for each, and whether a sink is told.
            async fn raise_in(
                tx: &mut crate::dialect::Tx<$Database>,
                findings: &[crate::NewFinding],
                sinks: &[crate::Sink],
            ) -> Result<(Vec<crate::Raised>, bool), crate::StoreError> {
                // By cause, in one order for everybody: two that raise the same lock their rows in the same order.
                let mut causes = std::collections::BTreeMap::<&str, Vec<usize>>::new();
                for (place, finding) in findings.iter().enumerate() {
                    causes.entry(&finding.fingerprint).or_default().push(place);
                }
                let mut raised = vec![crate::Raised { id: 0, new: false, alerted: false }; findings.len()];
                let mut told = false;
                for places in causes.into_values() {
                    let times = places.iter().filter_map(|place| findings.get(*place)).collect::<Vec<_>>();
                    let answers = Self::raise_cause(tx, &times, sinks, &mut told).await?;
                    for (place, answer) in places.into_iter().zip(answers) {
                        raised[place] = answer;
                    }
                }
                Ok((raised, told))
            }

            /// Raises what has one fingerprint; at most one alert for each sink comes of it.
            async fn raise_cause(
                tx: &mut crate::dialect::Tx<$Database>,
                times: &[&crate::NewFinding],
                sinks: &[crate::Sink],
                told: &mut bool,
            ) -> Result<Vec<crate::Raised>, crate::StoreError> {
                use crate::column::{signed, text};
                use crate::findings::{KEPT_BYTES, KEPT_OCCURRENCES, Standing, sql};
                let Some(first) = times.first() else { return Ok(Vec::new()) };
                let standing: Standing = sqlx::query_as(sql::TOUCH)
                    .bind(crate::column::key_of(&[first.fingerprint.as_bytes()]))
                    .bind(text(&first.fingerprint))
                    .bind(first.kind.as_str())
                    .bind(first.severity.as_str())
                    .bind(first.log_origin.as_deref().map(text))
                    .bind(text(&first.title))
                    .bind(text(&first.detail))
                    .bind(first.at)
                    .fetch_one(&mut **tx)
                    .await?;
                let Standing { id, mut severity, mut state, mut occurrences, closed } = standing;
                let mut known = std::collections::HashSet::<String>::new();
                let mut kept_bytes = 0usize;
                if occurrences > 0 {
                    let rows: Vec<(String, i64)> =
                        sqlx::query_as(sql::KNOWN_OCCURRENCES).bind(id).fetch_all(&mut **tx).await?;
                    for (occurrence, bytes) in rows {
                        kept_bytes = kept_bytes.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
                        known.insert(occurrence);
                    }
                }
                let mut answers = Vec::with_capacity(times.len());
                let mut last_seen_at = first.at;
                for finding in times {
                    let occurrence = text(&finding.occurrence);
                    let new = occurrences == 0;
                    let worse = finding.severity > severity;
                    let fresh = !known.contains(occurrence.as_ref());
                    // What a person has dealt with does not come back because somebody reads the log again.
                    let dealt_with = closed && !fresh && !occurrence.is_empty() && finding.kind.names_one_thing();
                    let back = state == crate::FindingState::Cleared && !dealt_with;
                    let worse = worse && !dealt_with;
                    let counted = fresh || back;
                    occurrences = occurrences.saturating_add(u64::from(counted));
                    last_seen_at = last_seen_at.max(finding.at);
                    if (counted || worse) && (!fresh || known.len() < KEPT_OCCURRENCES) {
                        let bytes = finding.evidence.as_ref().map_or(0, Vec::len);
                        let room = kept_bytes == 0 || kept_bytes.saturating_add(bytes) <= KEPT_BYTES;
                        kept_bytes = kept_bytes.saturating_add(if room { bytes } else { 0 });
                        sqlx::query(sql::KEEP_EVIDENCE)
                            .bind(id)
                            .bind(occurrence.as_ref())
                            .bind(finding.at)
                            .bind(finding.evidence.as_deref().filter(|_| room))
                            .execute(&mut **tx)
                            .await?;
                        known.insert(occurrence.into_owned());
                    }
                    if back || worse {
                        severity = finding.severity;
                        sqlx::query(sql::RESTATE)
                            .bind(id)
                            .bind(severity.as_str())
                            .bind(text(&finding.title))
                            .bind(text(&finding.detail))
                            .execute(&mut **tx)
                            .await?;
                        state = crate::FindingState::Open;
                    }
                    let many = counted && crate::findings::is_milestone(finding.kind, occurrences);
                    let grown =
                        counted && state == crate::FindingState::Acknowledged && (many || finding.kind.each_is_news());
                    if grown {
                        sqlx::query(sql::REOPEN_NOW).bind(id).execute(&mut **tx).await?;
                        state = crate::FindingState::Open;
                    }
                    let alerted = new || worse || back || many || grown;
                    answers.push(crate::Raised { id, new, alerted });
                }
                let alerted = answers.iter().any(|answer| answer.alerted);
                sqlx::query(sql::COUNT)
                    .bind(id)
                    .bind(signed("occurrences", occurrences)?)
                    .bind(i64::from(alerted))
                    .bind(last_seen_at)
                    .execute(&mut **tx)
                    .await?;
                if alerted {
                    *told |= Self::enqueue_alerts(tx, id, severity, sinks).await?;
                }
                Ok(answers)
            }

            /// Tells those of the sinks that it is over who were told last that it is not; answers whether there is one.
            async fn enqueue_end(
                tx: &mut crate::dialect::Tx<$Database>,
                id: i64,
                sinks: &[crate::Sink],
            ) -> Result<bool, crate::StoreError> {
                let told: Vec<(String,)> =
                    sqlx::query_as(crate::findings::sql::TOLD).bind(id).fetch_all(&mut **tx).await?;
                let mut ended = false;
                for (sink,) in told.iter().filter(|(sink,)| sinks.iter().any(|known| known.name == *sink)) {
                    Self::enqueue_alert(tx, id, sink, true).await?;
                    ended = true;
                }
                Ok(ended)
            }

            /// Ends the caller's transaction, by which a person's word has ended a finding where it was `done`.
            async fn ended(
                &self,
                mut tx: crate::dialect::Tx<$Database>,
                done: bool,
                id: i64,
                sinks: &[crate::Sink],
            ) -> Result<bool, crate::StoreError> {
                let told = done && Self::enqueue_end(&mut tx, id, sinks).await?;
                tx.commit().await?;
                self.wake_if(told);
                Ok(done)
            }

            /// Wakes whoever drains the outbox.
            fn wake_if(&self, told: bool) {
                if told {
                    self.wakeups.send_modify(|count| *count += 1);
                }
            }
        }

        #[async_trait::async_trait]
        impl crate::Findings for $Store {
            async fn raise(
                &self,
                findings: &[crate::NewFinding],
                sinks: &[crate::Sink],
            ) -> Result<Vec<crate::Raised>, crate::StoreError> {
                if findings.is_empty() {
                    return Ok(Vec::new());
                }
                let mut tx = self.begin().await?;
                let (raised, told) = Self::raise_in(&mut tx, findings, sinks).await?;
                tx.commit().await?;
                self.wake_if(told);
                Ok(raised)
            }

            async fn clear_finding(
                &self,
                fingerprint: &str,
                at: i64,
                sinks: &[crate::Sink],
            ) -> Result<bool, crate::StoreError> {
                use crate::findings::sql;
                let mut tx = self.begin().await?;
                let cleared: Option<(i64,)> = sqlx::query_as(sql::CLEAR)
                    .bind(crate::column::key_of(&[fingerprint.as_bytes()]))
                    .bind(at)
                    .fetch_optional(&mut *tx)
                    .await?;
                let Some((id,)) = cleared else { return Ok(false) };
                let told = Self::enqueue_end(&mut tx, id, sinks).await?;
                tx.commit().await?;
                self.wake_if(told);
                Ok(true)
            }

            async fn findings(
                &self,
                filter: &crate::FindingFilter,
            ) -> Result<Vec<crate::FindingRow>, crate::StoreError> {
                let wanted = |state| i64::from(filter.states.is_empty() || filter.states.contains(&state));
                let least = match filter.min_severity {
                    None | Some(crate::Severity::Info) => 0i64,
                    Some(crate::Severity::Warning) => 1,
                    Some(crate::Severity::Critical) => 2,
                };
                Ok(sqlx::query_as(crate::findings::sql::FINDINGS)
                    .bind(wanted(crate::FindingState::Open))
                    .bind(wanted(crate::FindingState::Acknowledged))
                    .bind(wanted(crate::FindingState::Cleared))
                    .bind(filter.kind.map(|kind| kind.as_str()))
                    .bind(least)
                    .bind(filter.log_origin.as_deref())
                    .bind(i64::from(filter.limit))
                    .fetch_all(self.reader())
                    .await?)
            }

            async fn finding(&self, id: i64) -> Result<Option<crate::FindingRow>, crate::StoreError> {
                Ok(sqlx::query_as(crate::findings::sql::FINDING).bind(id).fetch_optional(self.reader()).await?)
            }

            async fn evidence(&self, id: i64) -> Result<Vec<crate::EvidenceRow>, crate::StoreError> {
                Ok(sqlx::query_as(crate::findings::sql::EVIDENCE).bind(id).fetch_all(self.reader()).await?)
            }

            async fn acknowledge(
                &self,
                note: &crate::FindingNote<'_>,
                until: i64,
                sinks: &[crate::Sink],
            ) -> Result<bool, crate::StoreError> {
                let mut tx = self.begin().await?;
                let done = sqlx::query(crate::findings::sql::ACKNOWLEDGE)
                    .bind(note.id)
                    .bind(until)
                    .bind(crate::column::text(note.because))
                    .bind(crate::column::text(note.by))
                    .bind(note.at)
                    .execute(&mut *tx)
                    .await?;
                self.ended(tx, done.rows_affected() > 0, note.id, sinks).await
            }

            async fn close_finding(
                &self,
                note: &crate::FindingNote<'_>,
                sinks: &[crate::Sink],
            ) -> Result<bool, crate::StoreError> {
                let mut tx = self.begin().await?;
                let done = sqlx::query(crate::findings::sql::CLOSE)
                    .bind(note.id)
                    .bind(crate::column::text(note.because))
                    .bind(crate::column::text(note.by))
                    .bind(note.at)
                    .execute(&mut *tx)
                    .await?;
                self.ended(tx, done.rows_affected() > 0, note.id, sinks).await
            }

            async fn expire_acknowledgements(&self, now: i64, sinks: &[crate::Sink]) -> Result<u64, crate::StoreError> {
                use crate::findings::{Standing, sql};
                let ended: Vec<Standing> =
                    sqlx::query_as(sql::ENDED_ACKNOWLEDGEMENTS).bind(now).fetch_all(self.reader()).await?;
                let mut opened = 0;
                for finding in ended {
                    // One at a time: somebody may acknowledge it again meanwhile, or another monitor be here too.
                    let mut tx = self.begin().await?;
                    let done = sqlx::query(sql::REOPEN).bind(finding.id).bind(now).execute(&mut *tx).await?;
                    if done.rows_affected() == 0 {
                        continue;
                    }
                    let told = Self::enqueue_alerts(&mut tx, finding.id, finding.severity, sinks).await?;
                    tx.commit().await?;
                    self.wake_if(told);
                    opened += 1;
                }
                Ok(opened)
            }

            async fn open_counts(&self) -> Result<Vec<(crate::FindingKind, crate::Severity, u64)>, crate::StoreError> {
                use crate::column::{converted, parsed};
                let rows: Vec<(String, String, i64)> =
                    sqlx::query_as(crate::findings::sql::OPEN_COUNTS).fetch_all(self.reader()).await?;
                let mut counts = Vec::with_capacity(rows.len());
                for (kind, severity, count) in rows {
                    counts.push((parsed("kind", kind)?, parsed("severity", severity)?, converted("count", count)?));
                }
                Ok(counts)
            }
        }
    };
}
pub(crate) use stamp_findings;
