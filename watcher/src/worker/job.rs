//! One job: leased, kept alive while it is worked on, and brought to its outcome.

use std::sync::Arc;
use std::time::Duration;

use bundle::oci::classify::NotSigned;
use bundle::oci::{Manifest, ManifestError};
use store::{FinishedJob, JobOutcome, LeasedJob, ParkedBecause, Postponed};

use super::{Existing, Target, Worker, name_of};
use crate::crash::crash_point;
use crate::error::WorkError;
use crate::policy::{SkipReason, Skipped};
use crate::progress::PushStep;
use crate::registry::RegistryError;

/// Heartbeats in one lease.
const BEATS_PER_LEASE: u32 = 6;
/// One job may take so long, however slowly a registry drips: others wait for its place.
const JOB_DEADLINE: Duration = Duration::from_secs(600);

impl Worker {
    /// Works on a job while its lease is ours, and records what came of it.
    pub(super) async fn handle_job(&self, job: &LeasedJob) {
        let worked = tokio::select! {
            // A lost lease ends the work before it takes another step.
            biased;
            lost = self.keep_lease(job) => Err(lost),
            worked = tokio::time::timeout(JOB_DEADLINE, self.work(job)) => match worked {
                Ok(worked) => worked,
                Err(_) => Err(WorkError::TimedOut { seconds: JOB_DEADLINE.as_secs() }),
            },
        };
        let recorded = match &worked {
            Ok(outcome) => self.finish(job, outcome).await,
            Err(WorkError::LeaseLost) => {
                tracing::warn!(job.id = job.id, "the lease of a job was lost; another worker goes on from the ledger");
                return;
            }
            Err(error) => self.job_failed(job, error).await,
        };
        if let Err(error) = recorded {
            tracing::error!(job.id = job.id, %error, "a job's outcome could not be recorded; its lease will end");
        }
    }

    async fn finish(&self, job: &LeasedJob, outcome: &JobOutcome) -> Result<(), WorkError> {
        match self.store.finish_job(job, outcome).await? {
            FinishedJob::Done => {
                crash_point("acknowledged");
                self.progress.tell(&name_of(job), job.tag.as_ref(), Some(&job.digest), PushStep::Acknowledged);
            }
            FinishedJob::WokenAgain => self.wake.notify_one(),
            FinishedJob::LeaseLost => tracing::debug!(job.id = job.id, "the lease of a job was lost at its end"),
        }
        Ok(())
    }

    /// Again later, or for a person.
    async fn job_failed(&self, job: &LeasedJob, error: &WorkError) -> Result<(), WorkError> {
        self.count_failure(error);
        let text = error.to_string();
        if error.is_transient() && job.attempts < self.limits.max_attempts {
            self.metrics.retried(error.kind());
            let after = self.backoff(job.attempts, error);
            let delay_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
            self.store.retry_job(job, &Postponed::attempt(delay_ms, &text)).await?;
            tracing::warn!(
                registry.host = %job.registry, repository = %job.repository, digest = %job.digest,
                attempts = job.attempts, %error, "a digest could not be signed yet and will be tried again"
            );
            self.tell_failed(job, PushStep::Delayed { error: text });
            return Ok(());
        }
        self.store.park_job(job, ParkedBecause::Failed, &text).await?;
        self.metrics.parked("job");
        tracing::error!(
            registry.host = %job.registry, repository = %job.repository, digest = %job.digest,
            attempts = job.attempts, %error,
            "a digest is not signed and its job is parked: `sealwatch retry` once the cause is gone"
        );
        self.tell_failed(job, PushStep::Parked { error: text });
        Ok(())
    }

    fn tell_failed(&self, job: &LeasedJob, step: PushStep) {
        self.progress.tell(&name_of(job), job.tag.as_ref(), Some(&job.digest), step);
    }

    /// Renews the lease until it is lost. A store that cannot be asked is waited for, but never for longer than the
    /// lease itself: after that another worker may hold the job, whatever our store would say.
    async fn keep_lease(&self, job: &LeasedJob) -> WorkError {
        let beat = self.limits.lease / BEATS_PER_LEASE;
        let mut renewed = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(beat).await;
            let asked = tokio::time::Instant::now();
            match tokio::time::timeout(beat, self.store.heartbeat_job(job, self.lease_ms())).await {
                Ok(Ok(true)) => renewed = asked,
                Ok(Ok(false)) => return WorkError::LeaseLost,
                Ok(Err(error)) => tracing::warn!(job.id = job.id, %error, "a lease could not be renewed"),
                Err(_) => tracing::warn!(job.id = job.id, "a lease could not be renewed in time"),
            }
            // The next look is a beat and an answer away.
            if renewed.elapsed() + beat * 2 >= self.limits.lease {
                return WorkError::LeaseLost;
            }
        }
    }

    /// The manifest by its digest, re-hashed by the client; or why there is nothing to judge.
    pub(super) async fn fetch<'j>(
        &self,
        job: &'j LeasedJob,
    ) -> Result<Result<(Target<'j>, Manifest), Skipped>, WorkError> {
        let skip = |reason, detail: String| Ok(Err(Skipped { reason, detail }));
        let Some(registry) = self.registry(&job.registry) else {
            return Err(WorkError::UnknownRegistry { host: job.registry.to_string() });
        };
        let name = name_of(job);
        let fetched = match registry.manifest(&job.repository, &job.digest).await {
            Ok(fetched) => fetched,
            Err(error) => match refusal(&error) {
                Some(reason) => {
                    self.metrics.registry_error(&error);
                    return skip(reason, error.to_string());
                }
                None => return Err(error.into()),
            },
        };
        let Some(fetched) = fetched else {
            if job.attempts < self.limits.tag_tries {
                return Err(WorkError::ManifestMissing { name: name.to_string(), digest: job.digest.to_string() });
            }
            return skip(
                SkipReason::ManifestNotFound,
                format!("the registry has no manifest {} in {name}", job.digest),
            );
        };
        let target = Target {
            image: name.with_digest(job.digest),
            descriptor: fetched.descriptor,
            job,
            registry: Arc::clone(registry),
            existing: Existing::default(),
        };
        Ok(Ok((target, fetched.manifest)))
    }
}

/// Whether an error says that the registry serves something that must not be signed, rather than that we could not look.
fn refusal(error: &RegistryError) -> Option<SkipReason> {
    match error {
        RegistryError::Manifest { source, .. } if matches!(**source, ManifestError::UnsupportedSchema1) => {
            Some(SkipReason::Shape(NotSigned::UnsupportedSchema1))
        }
        RegistryError::Manifest { .. } => Some(SkipReason::ManifestRefused),
        _ => None,
    }
}
