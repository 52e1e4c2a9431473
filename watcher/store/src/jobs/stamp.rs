//! The queue's SQL and its body, stamped for each engine.

/// Takes the first job that is due and meets a condition, for `$2` milliseconds; or parks it, where as many leases in a
/// row as `$4` ended without a word. That is compared here, before the work can end another process.
macro_rules! lease_job {
    ($now:literal, $claim:literal, $condition:literal, $order:literal) => {
        concat!(
            "-- jobs::claim_job
UPDATE jobs
SET state = CASE WHEN unreported >= $4 THEN 'parked' ELSE 'leased' END,
    lease = $1,
    due_at = ",
            $now,
            " + CASE WHEN unreported >= $4 THEN 0 ELSE $2 END,
    attempts = attempts + 1,
    last_error = CASE WHEN unreported >= $4 THEN $5 ELSE last_error END,
    parked_because = CASE WHEN unreported >= $4 THEN $7 ELSE NULL END,
    parked_by = CASE WHEN unreported >= $4 THEN $6 ELSE NULL END,
    waits_for = NULL,
    unreported = unreported + 1
WHERE id = (
    SELECT id FROM jobs WHERE state IN ('ready', 'leased') AND due_at <= ",
            $now,
            " AND unreported < $3 ",
            $condition,
            "
    ORDER BY ",
            $order,
            "priority, due_at, id LIMIT 1 ",
            $claim,
            ")
RETURNING id, state, lease, attempts, wakes, registry, repository, digest, tag, class, first_seen_at,
    enqueued_at, absences, absent_since, pushed_at, children_of_wake, unreported"
        )
    };
}
pub(crate) use lease_job;

/// Puts a leased row aside that cannot be read.
pub(crate) const PARK_UNREADABLE: &str = "-- jobs::claim_job
UPDATE jobs SET state = 'parked', lease = NULL, last_error = $3, parked_because = 'unreadable', parked_by = $4
WHERE id = $1 AND lease = $2 AND state = 'leased'";

/// The newest tags of a job. More than these no rule needs to see.
pub(crate) const TAGS: &str = "-- jobs::tags
SELECT tag FROM job_tags WHERE job_id = $1 ORDER BY seen_at DESC, tag LIMIT 256";

pub(crate) const JOB: &str = "-- jobs::job
SELECT id, state, class, attempts, wakes, last_error, reason, detail, tag, first_seen_at,
    enqueued_at, due_at, finished_at, absences, absent_since, parked_because, waits_for, pushed_at
FROM jobs WHERE registry = $1 AND repository = $2 AND digest = $3";

macro_rules! stamp_jobs {
    ($Store:ty, $Database:ty, $now:literal, $claim:literal) => {
        impl $Store {
            /// Queues or wakes a job within the caller's transaction; answers its id.
            async fn upsert_job(
                tx: &mut crate::dialect::Tx<$Database>,
                job: &crate::NewJob,
            ) -> Result<i64, crate::StoreError> {
                // A ready job is due at once, or earlier if it was; a leased one keeps its lease and counts the wake, for
                // its worker to find when it finishes. Unfinished work keeps the smaller of two priorities. What is
                // parked as poison is woken by a person only: a push must not end the process again.
                const UPSERT: &str = concat!(
                    "-- jobs::enqueue_job
INSERT INTO jobs (registry, repository, digest, tag, class, priority, state, due_at, wakes, attempts,
    first_seen_at, enqueued_at, pushed_at)
VALUES ($1, $2, $3, $4, $5, $6, 'ready', ",
                    $now,
                    ", 0, 0, COALESCE($7, ",
                    $now,
                    "), ",
                    $now,
                    ", $7)
ON CONFLICT (registry, repository, digest) DO UPDATE SET
    tag = COALESCE(excluded.tag, jobs.tag),
    class = CASE WHEN jobs.state IN ('ready', 'leased') AND jobs.priority < excluded.priority
        THEN jobs.class ELSE excluded.class END,
    priority = CASE WHEN jobs.state IN ('ready', 'leased') AND jobs.priority < excluded.priority
        THEN jobs.priority ELSE excluded.priority END,
    state = CASE
        WHEN jobs.state = 'leased' THEN 'leased'
        WHEN jobs.state = 'parked' AND jobs.parked_because = 'poison' AND excluded.class <> 'hand' THEN 'parked'
        ELSE 'ready' END,
    due_at = CASE
        WHEN jobs.state = 'leased' THEN jobs.due_at
        WHEN jobs.state = 'ready' AND jobs.due_at < excluded.due_at THEN jobs.due_at
        WHEN jobs.state = 'parked' AND jobs.parked_because = 'poison' AND excluded.class <> 'hand' THEN jobs.due_at
        ELSE excluded.due_at END,
    wakes = jobs.wakes + 1,
    attempts = CASE WHEN jobs.state IN ('ready', 'leased') THEN jobs.attempts ELSE 0 END,
    absences = CASE WHEN jobs.state = 'leased' THEN jobs.absences ELSE 0 END,
    absent_since = CASE WHEN jobs.state = 'leased' THEN jobs.absent_since ELSE NULL END,
    unreported = CASE WHEN jobs.state IN ('ready', 'leased') THEN jobs.unreported ELSE 0 END,
    parked_because = CASE WHEN jobs.state = 'parked' AND jobs.parked_because = 'poison' AND excluded.class <> 'hand'
        THEN jobs.parked_because ELSE NULL END,
    enqueued_at = CASE
        WHEN jobs.state IN ('ready', 'leased') THEN jobs.enqueued_at
        ELSE excluded.enqueued_at END,
    pushed_at = CASE
        WHEN jobs.state IN ('ready', 'leased') THEN COALESCE(jobs.pushed_at, excluded.pushed_at)
        ELSE excluded.pushed_at END,
    reason = NULL,
    detail = NULL,
    finished_at = NULL
RETURNING id"
                );
                const UPSERT_TAG: &str = concat!(
                    "-- jobs::enqueue_job
INSERT INTO job_tags (job_id, tag, seen_at) VALUES ($1, $2, ",
                    $now,
                    ")
ON CONFLICT (job_id, tag) DO UPDATE SET seen_at = excluded.seen_at"
                );
                let tag = job.tag.as_ref().map(|tag| tag.as_str());
                let (id,): (i64,) = sqlx::query_as(UPSERT)
                    .bind(job.registry.as_str())
                    .bind(job.repository.as_str())
                    .bind(job.digest.to_string())
                    .bind(tag)
                    .bind(job.class.as_str())
                    .bind(job.class.priority())
                    .bind(job.pushed_at)
                    .fetch_one(&mut **tx)
                    .await?;
                if let Some(tag) = tag {
                    sqlx::query(UPSERT_TAG).bind(id).bind(tag).execute(&mut **tx).await?;
                }
                Ok(id)
            }

            /// Queues jobs within the caller's transaction. Two workers that queue the same jobs lock their rows in the
            /// same order.
            async fn upsert_jobs(
                tx: &mut crate::dialect::Tx<$Database>,
                jobs: &[crate::NewJob],
            ) -> Result<(), crate::StoreError> {
                let mut jobs: Vec<&crate::NewJob> = jobs.iter().collect();
                jobs.sort_by_key(|job| (&job.registry, &job.repository, job.digest));
                for job in jobs {
                    Self::upsert_job(tx, job).await?;
                }
                Ok(())
            }

            /// Decodes a leased row, after the lease is committed. A row that cannot be read is parked by itself.
            async fn decoded_job(
                &self,
                row: &<$Database as sqlx::Database>::Row,
            ) -> Result<crate::Claim<crate::LeasedJob>, crate::StoreError> {
                use sqlx::{FromRow as _, Row as _};
                let id: i64 = row.try_get("id")?;
                let state: String = row.try_get("state")?;
                if state != crate::JobState::Leased.as_str() {
                    let (because, detail) = (crate::ParkedBecause::Poison, crate::waiting::poison_text());
                    return Ok(crate::Claim::Parked { because, detail });
                }
                let read = match crate::LeasedJob::from_row(row) {
                    Ok(mut job) => match Self::tags_of(self.reader(), job.id).await {
                        Ok(tags) => {
                            job.tags = tags;
                            Ok(job)
                        }
                        Err(error @ sqlx::Error::ColumnDecode { .. }) => Err(error),
                        Err(error) => return Err(error.into()),
                    },
                    Err(error) => Err(error),
                };
                match read {
                    Ok(job) => Ok(crate::Claim::Taken(job)),
                    Err(error) => {
                        let detail = crate::waiting::unreadable_text(&error);
                        let mut tx = self.begin().await?;
                        sqlx::query(crate::jobs::PARK_UNREADABLE)
                            .bind(id)
                            .bind(row.try_get::<String, _>("lease")?)
                            .bind(crate::column::text(&detail))
                            .bind(crate::waiting::PROGRAM)
                            .execute(&mut *tx)
                            .await?;
                        tx.commit().await?;
                        Ok(crate::Claim::Parked { because: crate::ParkedBecause::Unreadable, detail })
                    }
                }
            }

            /// Leases the job that is first among what is wanted.
            async fn lease(
                &self,
                wanted: &crate::Wanted<'_>,
                lease_ms: i64,
            ) -> Result<crate::Claim<crate::LeasedJob>, crate::StoreError> {
                const ANY: &str = crate::jobs::lease_job!($now, $claim, "AND id = COALESCE($8, id)", "");
                // The order of the index: a long queue of one repository is not sorted.
                const OF: &str = crate::jobs::lease_job!(
                    $now,
                    $claim,
                    "AND registry = $8 AND repository = $9",
                    "registry, repository, "
                );
                let statement = match wanted {
                    crate::Wanted::Any | crate::Wanted::Id(_) => ANY,
                    crate::Wanted::Of { .. } => OF,
                };
                let query = sqlx::query(statement)
                    .bind(crate::dialect::lease_token()?)
                    .bind(lease_ms)
                    .bind(wanted.unreported_below())
                    .bind(crate::waiting::UNREPORTED_MAX)
                    .bind(crate::waiting::poison_text())
                    .bind(crate::waiting::PROGRAM)
                    .bind(crate::ParkedBecause::Poison.as_str());
                let query = match wanted {
                    crate::Wanted::Any => query.bind(None::<i64>),
                    crate::Wanted::Id(id) => query.bind(Some(*id)),
                    crate::Wanted::Of { registry, repository, .. } => query.bind(*registry).bind(*repository),
                };
                let mut tx = self.begin().await?;
                let leased = query.fetch_optional(&mut *tx).await?;
                tx.commit().await?;
                match leased {
                    Some(row) => self.decoded_job(&row).await,
                    None => Ok(crate::Claim::Gone),
                }
            }

            /// Every tag of a job, the newest first.
            async fn tags_of<'e, E>(connection: E, id: i64) -> Result<Vec<bundle::Tag>, sqlx::Error>
            where
                E: sqlx::Executor<'e, Database = $Database>,
            {
                let tags: Vec<(String,)> = sqlx::query_as(crate::jobs::TAGS).bind(id).fetch_all(connection).await?;
                tags.into_iter().map(|(tag,)| crate::column::parsed("tag", tag)).collect()
            }
        }

        #[async_trait::async_trait]
        impl crate::Jobs for $Store {
            async fn enqueue_job(&self, job: &crate::NewJob) -> Result<i64, crate::StoreError> {
                let mut tx = self.begin().await?;
                let id = Self::upsert_job(&mut tx, job).await?;
                tx.commit().await?;
                self.wakeups.send_modify(|count| *count += 1);
                Ok(id)
            }

            async fn enqueue_children(
                &self,
                parent: &crate::LeasedJob,
                children: &[crate::NewJob],
            ) -> Result<bool, crate::StoreError> {
                // Once for each time that the index was asked for: an index that is tried again wakes nothing.
                const ONCE: &str = "-- jobs::enqueue_children
UPDATE jobs SET children_of_wake = $3
WHERE id = $1 AND lease = $2 AND state = 'leased' AND (children_of_wake IS NULL OR children_of_wake < $3)";
                let mut tx = self.begin().await?;
                let first = sqlx::query(ONCE)
                    .bind(parent.id)
                    .bind(&parent.lease)
                    .bind(parent.wakes)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                if first == 0 {
                    return Ok(false);
                }
                Self::upsert_jobs(&mut tx, children).await?;
                tx.commit().await?;
                self.wakeups.send_modify(|count| *count += 1);
                Ok(true)
            }

            async fn due_jobs(&self, limit: u32) -> Result<Vec<crate::DueRepository>, crate::StoreError> {
                const DUE: &str = crate::waiting::due_repositories!(
                    "jobs::due_jobs",
                    "jobs",
                    "w.priority",
                    "d.priority, d.due_at, d.id",
                    $now
                );
                Ok(sqlx::query_as(DUE).bind(i64::from(limit)).fetch_all(self.reader()).await?)
            }

            async fn claim_job(
                &self,
                wanted: crate::Wanted<'_>,
                lease_ms: i64,
            ) -> Result<crate::Claim<crate::LeasedJob>, crate::StoreError> {
                self.lease(&wanted, lease_ms).await
            }

            async fn lease_job(&self, lease_ms: i64) -> Result<Option<crate::LeasedJob>, crate::StoreError> {
                loop {
                    match self.lease(&crate::Wanted::Any, lease_ms).await? {
                        crate::Claim::Taken(job) => return Ok(Some(job)),
                        crate::Claim::Gone => return Ok(None),
                        crate::Claim::Parked { .. } => {}
                    }
                }
            }

            async fn heartbeat_job(&self, job: &crate::LeasedJob, lease_ms: i64) -> Result<bool, crate::StoreError> {
                const HEARTBEAT: &str = concat!(
                    "-- jobs::heartbeat_job
UPDATE jobs SET due_at = ",
                    $now,
                    " + $3
WHERE id = $1 AND lease = $2 AND state = 'leased'"
                );
                let mut tx = self.begin().await?;
                let held =
                    sqlx::query(HEARTBEAT).bind(job.id).bind(&job.lease).bind(lease_ms).execute(&mut *tx).await?;
                tx.commit().await?;
                Ok(held.rows_affected() > 0)
            }

            async fn finish_job(
                &self,
                job: &crate::LeasedJob,
                outcome: &crate::JobOutcome,
            ) -> Result<crate::FinishedJob, crate::StoreError> {
                // Whether it was woken is asked in the statement that ends it: no wake can slip
                // in between.
                const FINISH: &str = concat!(
                    "-- jobs::finish_job
UPDATE jobs SET
    state = CASE WHEN wakes > $3 THEN 'ready' ELSE $4 END,
    reason = CASE WHEN wakes > $3 THEN NULL ELSE $5 END,
    detail = CASE WHEN wakes > $3 THEN NULL ELSE $6 END,
    finished_at = CASE WHEN wakes > $3 THEN NULL ELSE ",
                    $now,
                    " END,
    enqueued_at = CASE WHEN wakes > $3 THEN ",
                    $now,
                    " ELSE enqueued_at END,
    pushed_at = CASE WHEN wakes > $3 THEN ",
                    $now,
                    " ELSE pushed_at END,
    due_at = ",
                    $now,
                    ",
    attempts = CASE WHEN wakes > $3 THEN 0 ELSE attempts END,
    absences = 0,
    absent_since = NULL,
    unreported = 0,
    lease = NULL,
    last_error = NULL
WHERE id = $1 AND lease = $2 AND state = 'leased'
RETURNING state"
                );
                let (state, reason, detail) = match outcome {
                    crate::JobOutcome::Signed => (crate::JobState::Done, None, None),
                    crate::JobOutcome::Skipped { reason, detail } => {
                        (crate::JobState::Skipped, Some(crate::column::text(reason)), Some(crate::column::text(detail)))
                    }
                };
                let mut tx = self.begin().await?;
                let ended: Option<(String,)> = sqlx::query_as(FINISH)
                    .bind(job.id)
                    .bind(&job.lease)
                    .bind(job.wakes)
                    .bind(state.as_str())
                    .bind(reason)
                    .bind(detail)
                    .fetch_optional(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(match ended {
                    None => crate::FinishedJob::LeaseLost,
                    Some((ended,)) if ended == crate::JobState::Ready.as_str() => {
                        self.wakeups.send_modify(|count| *count += 1);
                        crate::FinishedJob::WokenAgain
                    }
                    Some(_) => crate::FinishedJob::Done,
                })
            }

            async fn retry_job(
                &self,
                job: &crate::LeasedJob,
                postponed: &crate::Postponed<'_>,
            ) -> Result<bool, crate::StoreError> {
                const RETRY: &str = crate::waiting::postpone!("jobs::retry_job", "jobs", $now);
                let (taken_back, absent, endpoint) = postponed.columns();
                let mut tx = self.begin().await?;
                let done = sqlx::query(RETRY)
                    .bind(job.id)
                    .bind(&job.lease)
                    .bind(postponed.delay_ms)
                    .bind(crate::column::text(postponed.error))
                    .bind(taken_back)
                    .bind(absent)
                    .bind(endpoint)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(done.rows_affected() > 0)
            }

            async fn park_job(
                &self,
                job: &crate::LeasedJob,
                because: crate::ParkedBecause,
                error: &str,
            ) -> Result<bool, crate::StoreError> {
                const PARK: &str = concat!(
                    "-- jobs::park_job
UPDATE jobs SET
    state = CASE WHEN wakes > $3 THEN 'ready' ELSE 'parked' END,
    attempts = CASE WHEN wakes > $3 THEN 0 ELSE attempts END,
    parked_because = CASE WHEN wakes > $3 THEN NULL ELSE $5 END,
    parked_by = CASE WHEN wakes > $3 THEN NULL ELSE $6 END,
    unreported = 0,
    lease = NULL,
    due_at = ",
                    $now,
                    ",
    last_error = $4
WHERE id = $1 AND lease = $2 AND state = 'leased'"
                );
                let mut tx = self.begin().await?;
                let done = sqlx::query(PARK)
                    .bind(job.id)
                    .bind(&job.lease)
                    .bind(job.wakes)
                    .bind(crate::column::text(error))
                    .bind(because.as_str())
                    .bind(crate::waiting::PROGRAM)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(done.rows_affected() > 0)
            }

            async fn job(
                &self,
                registry: &bundle::RegistryHost,
                repository: &bundle::Repository,
                digest: &bundle::Digest,
            ) -> Result<Option<crate::JobRow>, crate::StoreError> {
                let job: Option<crate::JobRow> = sqlx::query_as(crate::jobs::JOB)
                    .bind(registry.as_str())
                    .bind(repository.as_str())
                    .bind(digest.to_string())
                    .fetch_optional(self.reader())
                    .await?;
                let Some(mut job) = job else { return Ok(None) };
                job.tags = Self::tags_of(self.reader(), job.id).await?;
                Ok(Some(job))
            }
        }
    };
}
pub(crate) use stamp_jobs;
