//! The queue's SQL and its body, stamped for each engine.

/// The newest tags of a job. More than these no rule needs to see.
pub(crate) const TAGS: &str = "-- jobs::tags
SELECT tag FROM job_tags WHERE job_id = $1 ORDER BY seen_at DESC, tag LIMIT 256";

pub(crate) const JOB: &str = "-- jobs::job
SELECT id, state, class, attempts, wakes, last_error, reason, detail, tag, first_seen_at,
    enqueued_at, due_at, finished_at
FROM jobs WHERE registry = $1 AND repository = $2 AND digest = $3";

macro_rules! stamp_jobs {
    ($Store:ty, $Database:ty, $now:literal, $claim:literal) => {
        impl $Store {
            /// Queues or wakes a job within the caller's transaction; answers its id.
            async fn upsert_job(
                tx: &mut sqlx::Transaction<'_, $Database>,
                job: &crate::NewJob,
                seen_at: Option<i64>,
            ) -> Result<i64, crate::StoreError> {
                // A ready job is due at once, or earlier if it was; a leased one keeps its lease and
                // counts the wake, for its worker to find when it finishes.
                const UPSERT: &str = concat!(
                    "-- jobs::enqueue_job
INSERT INTO jobs (registry, repository, digest, tag, class, state, due_at, wakes, attempts,
    first_seen_at, enqueued_at)
VALUES ($1, $2, $3, $4, $5, 'ready', ",
                    $now,
                    ", 0, 0, COALESCE($6, ",
                    $now,
                    "), ",
                    $now,
                    ")
ON CONFLICT (registry, repository, digest) DO UPDATE SET
    tag = COALESCE(excluded.tag, jobs.tag),
    class = excluded.class,
    state = CASE jobs.state WHEN 'leased' THEN 'leased' ELSE 'ready' END,
    due_at = CASE
        WHEN jobs.state = 'leased' THEN jobs.due_at
        WHEN jobs.state = 'ready' AND jobs.due_at < excluded.due_at THEN jobs.due_at
        ELSE excluded.due_at END,
    wakes = jobs.wakes + 1,
    attempts = CASE WHEN jobs.state IN ('ready', 'leased') THEN jobs.attempts ELSE 0 END,
    enqueued_at = CASE
        WHEN jobs.state IN ('ready', 'leased') THEN jobs.enqueued_at
        ELSE excluded.enqueued_at END,
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
                    .bind(seen_at)
                    .fetch_one(&mut **tx)
                    .await?;
                if let Some(tag) = tag {
                    sqlx::query(UPSERT_TAG).bind(id).bind(tag).execute(&mut **tx).await?;
                }
                Ok(id)
            }

            /// Leases the job that is due longest, or only the one of that id.
            async fn lease(
                &self,
                only: Option<i64>,
                lease_ms: i64,
            ) -> Result<Option<crate::LeasedJob>, crate::StoreError> {
                const LEASE: &str = concat!(
                    "-- jobs::lease_job
UPDATE jobs
SET state = 'leased', lease = $1, due_at = ",
                    $now,
                    " + $2, attempts = attempts + 1
WHERE id = (
    SELECT id FROM jobs WHERE state IN ('ready', 'leased') AND due_at <= ",
                    $now,
                    "
        AND id = COALESCE($3, id)
    ORDER BY due_at, id LIMIT 1 ",
                    $claim,
                    ")
RETURNING id, lease, attempts, wakes, registry, repository, digest, tag, class, first_seen_at,
    enqueued_at"
                );
                let mut tx = self.begin().await?;
                let leased: Option<crate::LeasedJob> = sqlx::query_as(LEASE)
                    .bind(crate::dialect::lease_token()?)
                    .bind(lease_ms)
                    .bind(only)
                    .fetch_optional(&mut *tx)
                    .await?;
                let leased = match leased {
                    Some(mut job) => {
                        job.tags = Self::tags_of(&mut *tx, job.id).await?;
                        Some(job)
                    }
                    None => None,
                };
                tx.commit().await?;
                Ok(leased)
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
                let id = Self::upsert_job(&mut tx, job, None).await?;
                tx.commit().await?;
                self.wakeups.send_modify(|count| *count += 1);
                Ok(id)
            }

            async fn lease_job(&self, lease_ms: i64) -> Result<Option<crate::LeasedJob>, crate::StoreError> {
                self.lease(None, lease_ms).await
            }

            async fn lease_this_job(
                &self,
                id: i64,
                lease_ms: i64,
            ) -> Result<Option<crate::LeasedJob>, crate::StoreError> {
                self.lease(Some(id), lease_ms).await
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
    due_at = ",
                    $now,
                    ",
    attempts = CASE WHEN wakes > $3 THEN 0 ELSE attempts END,
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
                delay_ms: i64,
                error: &str,
            ) -> Result<bool, crate::StoreError> {
                const RETRY: &str = concat!(
                    "-- jobs::retry_job
UPDATE jobs SET state = 'ready', lease = NULL, due_at = ",
                    $now,
                    " + $3, last_error = $4
WHERE id = $1 AND lease = $2 AND state = 'leased'"
                );
                let mut tx = self.begin().await?;
                let done = sqlx::query(RETRY)
                    .bind(job.id)
                    .bind(&job.lease)
                    .bind(delay_ms)
                    .bind(crate::column::text(error))
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(done.rows_affected() > 0)
            }

            async fn park_job(&self, job: &crate::LeasedJob, error: &str) -> Result<bool, crate::StoreError> {
                const PARK: &str = concat!(
                    "-- jobs::park_job
UPDATE jobs SET
    state = CASE WHEN wakes > $3 THEN 'ready' ELSE 'parked' END,
    attempts = CASE WHEN wakes > $3 THEN 0 ELSE attempts END,
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
