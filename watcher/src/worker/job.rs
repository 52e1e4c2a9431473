//! One job: leased, kept alive while it is worked on, and brought to its outcome.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bundle::oci::classify::NotSigned;
use bundle::oci::{Manifest, ManifestError};
use store::{ConditionCause, FinishedJob, JobOutcome, LeasedJob, ParkedBecause};

use super::authority::Authority;
use super::failure::{Next, Tried};
use super::places::Place;
use super::{Existing, Target, Worker, name_of};
use crate::crash::crash_point;
use crate::error::WorkError;
use crate::policy::{SkipReason, Skipped};
use crate::progress::PushStep;
use crate::registry::{Registry, RegistryError};

/// Heartbeats in one lease.
const BEATS_PER_LEASE: u32 = 6;
/// One job may take so long, however slowly a registry drips: others wait for its place.
const JOB_DEADLINE: Duration = Duration::from_secs(600);

impl Worker {
    /// Works on a job while its lease is ours, and records what came of it. `place`: the job's place in its registry.
    pub(super) async fn handle_job(&self, job: &LeasedJob, place: Option<Place>) {
        let worked = tokio::select! {
            // A lost lease ends the work before it takes another step.
            biased;
            lost = self.keep_lease(job) => Err(lost),
            worked = tokio::time::timeout(JOB_DEADLINE, self.work(job, place)) => match worked {
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

    /// Again later, or aside.
    async fn job_failed(&self, job: &LeasedJob, error: &WorkError) -> Result<(), WorkError> {
        self.count_failure(error);
        let text = error.to_string();
        let image = name_of(job).with_digest(job.digest);
        let tried = Tried { attempts: job.attempts, absences: job.absences, absent_since: job.absent_since };
        let next = self.after_failure(error, &job.registry, job.repository.as_str(), tried).await;
        let mut endpoint = String::new();
        match (&next, next.postponed(&text, &mut endpoint)) {
            (Next::Again { after, .. }, Some(postponed)) => {
                self.metrics.retried(error.kind());
                self.store.retry_job(job, &postponed).await?;
                self.went_to_wait(&next).await;
                tracing::warn!(
                    registry.host = %job.registry, repository = %job.repository, digest = %job.digest,
                    attempts = job.attempts, again_in_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX), %error,
                    "{image} could not be signed yet and will be tried again"
                );
                self.tell_failed(job, PushStep::Delayed { error: text });
            }
            (Next::Park(because), _) => self.put_job_aside(job, *because, text).await?,
            (Next::Again { .. }, None) => {}
        }
        Ok(())
    }

    async fn put_job_aside(&self, job: &LeasedJob, because: ParkedBecause, text: String) -> Result<(), WorkError> {
        self.store.park_job(job, because, &text).await?;
        self.metrics.parked("job");
        let image = name_of(job).with_digest(job.digest);
        tracing::error!(
            registry.host = %job.registry, repository = %job.repository, digest = %job.digest,
            attempts = job.attempts, reason = %because, error = %text,
            "{image} is not signed and its job is parked: `sealwatch retry` once the cause is gone"
        );
        if because == ParkedBecause::Unseen {
            let name = name_of(job).to_string();
            self.store.record_condition(ConditionCause::UnseenPushes, &name, &text).await?;
        }
        self.tell_failed(job, PushStep::Parked { error: text });
        Ok(())
    }

    /// A bug met a job: it is put aside, and all others go on.
    pub(super) async fn job_panicked(&self, job: &LeasedJob) {
        let text = "its work panicked: this is a bug, please report it".to_owned();
        if let Err(error) = self.put_job_aside(job, ParkedBecause::Poison, text).await {
            tracing::error!(job.id = job.id, %error, "a job could not be parked; its lease will end");
        }
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

    /// Fetches the manifest by its digest, re-hashed by the client; or says why there is nothing to judge.
    pub(super) async fn fetch<'j>(
        &self,
        job: &'j LeasedJob,
        registry: &Arc<Registry>,
        authority: Authority,
        place: Option<Place>,
    ) -> Result<Result<(Target<'j>, Manifest), Skipped>, WorkError> {
        let skip = |reason, detail: String| Ok(Err(Skipped { reason, detail }));
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
            return Err(WorkError::ManifestMissing { name: name.to_string(), digest: job.digest.to_string() });
        };
        let target = Target {
            image: name.with_digest(job.digest),
            descriptor: fetched.descriptor,
            job,
            registry: Arc::clone(registry),
            existing: Existing::default(),
            authority,
            place: Mutex::new(place),
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
