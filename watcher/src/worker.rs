//! One push, start to end; and the loop that takes one after the other.

pub(crate) mod authority;
mod backoff;
mod breakers;
mod event;
mod existing;
mod failure;
mod job;
mod locks;
mod look;
mod places;
mod run;
mod signature;
mod standing;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bundle::oci::{Descriptor, ManifestKind};
use bundle::{Digest, ImageName, ImageReference, RegistryHost};
use store::{JobOutcome, LeasedJob, NewJob, Stage, Store, Wanted};
use tokio::sync::Notify;

use crate::config::{Identity, Limits, Rule, WatcherConfig};
use crate::endpoint::Endpoint;
use crate::error::WorkError;
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::policy::{self, Candidate, Decision, Plan, PlannedSignature, SkipReason, Skipped};
use crate::progress::{Progress, PushStep};
use crate::pulse::Pulses;
use crate::registry::Registry;
use crate::resolve::Sweeps;
use crate::turns::Turns;

use authority::{Authority, Indexes, Question};
use breakers::Breakers;
use existing::Existing;
use locks::DigestLocks;
use look::Looks;
use places::{Place, Places};
use run::Suspects;

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
    /// Rung when a job may be due in this process.
    wake: Arc<Notify>,
    /// Rung when an event waits.
    event_wake: Arc<Notify>,
    sweeps: Sweeps,
    indexes: Indexes,
    locks: DigestLocks,
    breakers: Breakers,
    looks: Looks,
    /// Places of jobs in registries.
    places: Arc<Places>,
    /// Places of events in registries: seconds matter there, so they are apart.
    event_places: Arc<Places>,
    turns: Turns,
    suspects: Suspects,
    pulses: Pulses,
    /// Events and jobs take turns where they are taken one by one.
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

/// One digest that is being signed.
struct Target<'t> {
    image: ImageReference,
    descriptor: Descriptor,
    job: &'t LeasedJob,
    registry: Arc<Registry>,
    /// What is attached to it already, asked for at most once.
    existing: Existing,
    /// What the registry says now about why it may be signed.
    authority: Authority,
    /// The place in the registry, kept until the work waits for something else.
    place: Mutex<Option<Place>>,
}

impl Target<'_> {
    /// Gives the place in the registry back.
    fn leave_registry(&self) {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Worker {
    /// A worker over what the configuration names. `wake` is the bell of a [`crate::intake::StoreIntake`] in the same
    /// process, or of none.
    pub fn new(
        config: WatcherConfig,
        store: Arc<dyn Store>,
        intake: Arc<dyn Intake>,
        metrics: Metrics,
        progress: Progress,
        wake: Arc<Notify>,
    ) -> Self {
        let WatcherConfig { sources: _, registries, rules, identities, limits } = config;
        let job_wake = Arc::new(Notify::new());
        Self {
            store,
            intake,
            registries,
            rules,
            identities,
            metrics,
            progress,
            sweeps: Sweeps::default(),
            indexes: Indexes::default(),
            locks: DigestLocks::default(),
            breakers: Breakers::default(),
            looks: Looks::default(),
            places: Places::new(limits.concurrency, Arc::clone(&job_wake)),
            event_places: Places::new(limits.concurrency, Arc::clone(&wake)),
            turns: Turns::default(),
            suspects: Suspects::default(),
            pulses: Pulses::default(),
            jobs_first: AtomicBool::new(false),
            wake: job_wake,
            event_wake: wake,
            limits,
        }
    }

    /// The heartbeats of its loops.
    pub fn pulses(&self) -> Pulses {
        self.pulses.clone()
    }

    /// One digest, from "somebody pushed it" to "everything that the rules ask for is attached".
    ///
    /// Safe to repeat: each signature goes on from the last line of its ledger row, the intent is stored before a log
    /// can hear of it, and what is recorded is attached again and never made again.
    async fn work(&self, job: &LeasedJob, place: Option<Place>) -> Result<JobOutcome, WorkError> {
        let Some(registry) = self.registry(&job.registry).cloned() else {
            return Err(WorkError::UnknownRegistry { host: job.registry.to_string() });
        };
        self.pass(&Endpoint::Registry(job.registry.clone()))?;
        let name = name_of(job);
        let mut authority = Authority::ask(self.question(&registry, &name, &job.digest), &job.tags).await?;
        let unasked = authority.take_unasked();
        if !authority.is_unspoken() {
            self.well(&Endpoint::Registry(job.registry.clone())).await;
        }
        if let Some(skipped) = self.unauthorised(job, &authority)? {
            self.abandon_unplanned(&name.with_digest(job.digest), &[]).await?;
            return Ok(self.skipped(job, &skipped));
        }
        let tags = authority.tags();
        let (target, manifest) = match self.fetch(job, &registry, authority, place).await? {
            Ok(fetched) => fetched,
            Err(skipped) => return Ok(self.skipped(job, &skipped)),
        };
        if manifest.kind == ManifestKind::Index {
            self.indexes.learn(&job.digest, &manifest);
        }
        let own_artifact = self.store.is_own_artifact(&name, &job.digest).await?;
        let candidate = Candidate { name: &name, tags: &tags, digest: &job.digest, own_artifact, manifest: &manifest };
        let plan = match policy::decide(&self.rules, &candidate) {
            Decision::Sign(plan) => plan,
            Decision::Skip(skipped) => {
                self.abandon_unplanned(&target.image, &[]).await?;
                return Ok(self.skipped(job, &skipped));
            }
        };
        drop(manifest);
        if unasked.is_none() {
            self.abandon_unplanned(&target.image, &plan.signatures).await?;
        }
        self.tell_decision(&target, &plan);
        self.enqueue_children(&target, &plan).await?;
        self.sign_all(&target, &plan.signatures).await?;
        match unasked {
            // What could be asked for is signed; the rest is asked for again.
            Some(error) => Err(error),
            None => Ok(JobOutcome::Signed),
        }
    }

    fn question<'q>(&'q self, registry: &'q Registry, name: &'q ImageName, digest: &'q Digest) -> Question<'q> {
        let fresh = self.limits.authority_fresh;
        Question { registry, rules: &self.rules, name, digest, indexes: &self.indexes, fresh }
    }

    /// Why a digest may not be signed by what its tags say now. An error: the registry may only lag behind.
    fn unauthorised(&self, job: &LeasedJob, authority: &Authority) -> Result<Option<Skipped>, WorkError> {
        if job.tags.is_empty() {
            let detail = "it was asked for without a tag, and only a tag that a rule allows gives permission";
            return Ok(Some(Skipped { reason: SkipReason::Untagged, detail: detail.to_owned() }));
        }
        // No rule speaks about any of its tags: the policy says which reason that is.
        if authority.is_unspoken() {
            return Ok(policy::refusal_of(&self.rules, &name_of(job), &job.tags));
        }
        if !authority.tags().is_empty() {
            return Ok(None);
        }
        match authority.gone() {
            Some(tag) if !self.is_absent_for_good(job.absent_since) => {
                Err(WorkError::TagGone { name: name_of(job).to_string(), tag: tag.to_string() })
            }
            gone => {
                let detail = match gone {
                    Some(tag) => format!("the registry does not have tag {tag} any more, and no other that counts"),
                    None => "no tag that the rules allow points to it any more".to_owned(),
                };
                Ok(Some(Skipped { reason: SkipReason::Superseded, detail }))
            }
        }
    }

    /// Gives up signatures that were begun for an image and that nothing asks for any more: unless a log was told, none
    /// is ever told.
    async fn abandon_unplanned(&self, image: &ImageReference, planned: &[PlannedSignature]) -> Result<(), WorkError> {
        for row in self.store.ledger_for(image).await? {
            let begun = matches!(row.stage(), Stage::Intended | Stage::Signed);
            let wanted = planned.iter().any(|planned| {
                planned.format == row.format
                    && self
                        .identities
                        .get(&planned.identity)
                        .is_some_and(|identity| identity.key.public_key().fingerprint() == row.identity)
            });
            if !begun || wanted {
                continue;
            }
            let because = "no tag that the rules allow asks for it any more";
            if self.store.abandon(row.id, because, crate::clock::now_ms()).await? {
                self.metrics.signature(row.format, "abandoned");
                tracing::info!(
                    identity = %row.identity_name, format = %row.format, stage = %row.stage(),
                    "a signature of {image} that was begun is abandoned: {because}"
                );
            }
        }
        Ok(())
    }

    /// Makes every signature of the plan at the same time, so that one broken identity or slow log does not hold up the
    /// others.
    async fn sign_all(&self, target: &Target<'_>, signatures: &[PlannedSignature]) -> Result<(), WorkError> {
        let outcomes = futures_util::future::join_all(signatures.iter().map(async |planned| {
            let outcome = self.bring(target, planned).await;
            if outcome.is_err() {
                self.metrics.signature(planned.format, "failed");
            }
            outcome
        }))
        .await;
        let mut failed: Option<WorkError> = None;
        let mut made = false;
        for outcome in outcomes {
            match outcome {
                Ok(attached_now) => made |= attached_now,
                // What may still succeed decides that the job is tried again.
                Err(error) if failed.as_ref().is_none_or(|worse| !worse.is_transient()) => failed = Some(error),
                Err(_) => {}
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
        self.call_probes().await;
        let jobs_first = self.jobs_first.fetch_xor(true, Ordering::Relaxed);
        if jobs_first && self.step_on_job().await? {
            return Ok(Step::Job);
        }
        if let Some(event) = self.intake.next(self.limits.lease, true, &mut |_, _| true).await?.taken() {
            self.handle_event(&event).await;
            return Ok(Step::Event);
        }
        let worked = !jobs_first && self.step_on_job().await?;
        Ok(if worked { Step::Job } else { Step::Idle })
    }

    async fn step_on_job(&self) -> Result<bool, WorkError> {
        let Some(job) = self.store.lease_job(self.lease_ms()).await? else { return Ok(false) };
        self.handle_job(&job, None).await;
        Ok(true)
    }

    /// Works on one job and on nothing else, if it is due and no other worker has it.
    pub async fn step_on(&self, job_id: i64) -> Result<Step, WorkError> {
        match self.store.claim_job(Wanted::Id(job_id), self.lease_ms()).await?.taken() {
            None => Ok(Step::Idle),
            Some(job) => {
                self.handle_job(&job, None).await;
                Ok(Step::Job)
            }
        }
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
