//! One push, start to end; and the loop that takes one after the other.

mod backoff;
mod event;
mod existing;
mod job;
mod locks;
mod run;
mod signature;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bundle::oci::Descriptor;
use bundle::{ImageName, ImageReference, RegistryHost};
use store::{JobOutcome, LeasedEvent, LeasedJob, NewJob, Store, Wanted};
use tokio::sync::Notify;

use crate::config::{Identity, Limits, Rule, WatcherConfig};
use crate::error::WorkError;
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::policy::{self, Candidate, Decision, Plan, PlannedSignature, Skipped};
use crate::progress::{Progress, PushStep};
use crate::registry::Registry;
use crate::resolve::Sweeps;

use existing::Existing;
use locks::DigestLocks;

/// Takes events and jobs and brings them to their end. Any number of them, in any number of processes, may share one
/// store.
pub struct Worker {
    store: Arc<dyn Store>,
    intake: Arc<dyn Intake>,
    registries: BTreeMap<RegistryHost, Arc<Registry>>,
    rules: Vec<Rule>,
    identities: BTreeMap<String, Arc<Identity>>,
    limits: Limits,
    metrics: Metrics,
    progress: Progress,
    /// Rung when an event was published in this process.
    wake: Arc<Notify>,
    sweeps: Sweeps,
    locks: DigestLocks,
    /// Events and jobs take turns, so that neither starves the other.
    jobs_first: AtomicBool,
}

/// What one step did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Nothing is due.
    Idle,
    /// An event was looked at.
    Event,
    /// A job was worked on.
    Job,
}

/// What was taken to be worked on.
enum Taken {
    Event(LeasedEvent),
    Job(LeasedJob),
}

/// One digest that is being signed.
struct Target<'t> {
    image: ImageReference,
    descriptor: Descriptor,
    job: &'t LeasedJob,
    registry: Arc<Registry>,
    /// What is attached to it already, asked for at most once.
    existing: Existing,
}

impl Worker {
    /// A worker over what the configuration names. `wake` is the bell of a [`crate::intake::StoreIntake`] in the same
    /// process, or of nobody.
    pub fn new(
        config: WatcherConfig,
        store: Arc<dyn Store>,
        intake: Arc<dyn Intake>,
        metrics: Metrics,
        progress: Progress,
        wake: Arc<Notify>,
    ) -> Self {
        let WatcherConfig { sources: _, registries, rules, identities, limits } = config;
        let (sweeps, locks) = (Sweeps::default(), DigestLocks::default());
        let jobs_first = AtomicBool::new(false);
        Self {
            store,
            intake,
            registries,
            rules,
            identities,
            limits,
            metrics,
            progress,
            wake,
            sweeps,
            locks,
            jobs_first,
        }
    }

    /// One digest, from "somebody pushed it" to "everything that the rules ask for is attached".
    ///
    /// Safe to repeat: each signature goes on from the last line of its ledger row, the intent is stored before a log
    /// can hear of it, and what is recorded is attached again and never made again.
    async fn work(&self, job: &LeasedJob) -> Result<JobOutcome, WorkError> {
        let (target, manifest) = match self.fetch(job).await? {
            Ok(fetched) => fetched,
            Err(skipped) => return Ok(self.skipped(job, &skipped)),
        };
        let own_artifact = self.store.is_own_artifact(&target.image.name, &job.digest).await?;
        let (name, tags, digest) = (&target.image.name, &job.tags, &job.digest);
        let candidate = Candidate { name, tags, digest, own_artifact, manifest: &manifest };
        let plan = match policy::decide(&self.rules, &candidate) {
            Decision::Sign(plan) => plan,
            Decision::Skip(skipped) => return Ok(self.skipped(job, &skipped)),
        };
        self.tell_decision(&target, &plan);
        self.enqueue_children(&target, &plan).await?;
        self.sign_all(&target, &plan.signatures).await?;
        Ok(JobOutcome::Signed)
    }

    /// Every signature of the plan is tried, so that one broken identity does not hold up the others.
    async fn sign_all(&self, target: &Target<'_>, signatures: &[PlannedSignature]) -> Result<(), WorkError> {
        let mut failed: Option<WorkError> = None;
        let mut made = false;
        for planned in signatures {
            match self.bring(target, planned).await {
                Ok(attached_now) => made |= attached_now,
                Err(error) => {
                    self.metrics.signature(planned.format, "failed");
                    // What may still succeed decides that the job is tried again.
                    if failed.as_ref().is_none_or(|worse| !worse.is_transient()) {
                        failed = Some(error);
                    }
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None if made => {
                let since = target.job.pushed_at.unwrap_or(target.job.enqueued_at);
                self.metrics.push_to_signed(crate::clock::now_ms() - since);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The images of an index become jobs of their own: each is fetched, judged and signed by itself.
    async fn enqueue_children(&self, target: &Target<'_>, plan: &Plan) -> Result<(), WorkError> {
        let children: Vec<NewJob> = plan
            .children
            .iter()
            .map(|(tag, digest)| NewJob {
                registry: target.image.name.registry.clone(),
                repository: target.image.name.repository.clone(),
                digest: *digest,
                tag: Some(tag.clone()),
                class: target.job.class,
                pushed_at: target.job.pushed_at,
            })
            .collect();
        if !children.is_empty() {
            self.store.enqueue_children(target.job, &children).await?;
        }
        Ok(())
    }

    fn skipped(&self, job: &LeasedJob, skipped: &Skipped) -> JobOutcome {
        let (reason, name) = (skipped.reason.as_str(), name_of(job));
        self.metrics.skipped(reason);
        self.progress.tell(&name, job.tag.as_ref(), Some(&job.digest), PushStep::Skipped { reason });
        tracing::info!(
            registry.host = %job.registry, repository = %job.repository, digest = %job.digest,
            reason, detail = %skipped.detail, "not signed"
        );
        JobOutcome::Skipped { reason: reason.to_owned(), detail: skipped.detail.clone() }
    }

    fn tell_decision(&self, target: &Target<'_>, plan: &Plan) {
        let rule = plan.signatures.first().map_or(0, |planned| planned.rule + 1);
        let mut identities: Vec<_> = plan.signatures.iter().map(|planned| planned.identity.clone()).collect();
        identities.dedup();
        self.tell(target, PushStep::Decided { rule, identities });
    }

    fn tell(&self, target: &Target<'_>, step: PushStep) {
        self.progress.tell(&target.image.name, target.job.tag.as_ref(), Some(&target.image.digest), step);
    }

    /// Does one thing that is due, if there is one. Failures are recorded with the event or job; an error here means
    /// that nothing could be taken at all.
    pub async fn step(&self) -> Result<Step, WorkError> {
        match self.take().await? {
            None => Ok(Step::Idle),
            Some(Taken::Event(event)) => {
                self.handle_event(&event).await;
                Ok(Step::Event)
            }
            Some(Taken::Job(job)) => {
                self.handle_job(&job).await;
                Ok(Step::Job)
            }
        }
    }

    /// Works on one job and on nothing else, if it is due and nobody holds it.
    pub async fn step_on(&self, job_id: i64) -> Result<Step, WorkError> {
        match self.store.claim_job(Wanted::Id(job_id), self.lease_ms()).await?.taken() {
            None => Ok(Step::Idle),
            Some(job) => {
                self.handle_job(&job).await;
                Ok(Step::Job)
            }
        }
    }

    async fn take(&self) -> Result<Option<Taken>, WorkError> {
        let jobs_first = self.jobs_first.fetch_xor(true, Ordering::Relaxed);
        if jobs_first && let Some(job) = self.take_job().await? {
            return Ok(Some(job));
        }
        if let Some(event) = self.intake.next(self.limits.lease).await? {
            return Ok(Some(Taken::Event(event)));
        }
        if jobs_first { Ok(None) } else { self.take_job().await }
    }

    async fn take_job(&self) -> Result<Option<Taken>, WorkError> {
        Ok(self.store.lease_job(self.lease_ms()).await?.map(Taken::Job))
    }

    fn lease_ms(&self) -> i64 {
        i64::try_from(self.limits.lease.as_millis()).unwrap_or(i64::MAX)
    }

    fn registry(&self, host: &RegistryHost) -> Option<&Arc<Registry>> {
        self.registries.get(host)
    }
}

fn name_of(job: &LeasedJob) -> ImageName {
    ImageName { registry: job.registry.clone(), repository: job.repository.clone() }
}
