//! One event: the registry is asked, and the event becomes jobs and skips.

use std::time::{Duration, Instant};

use bundle::{ImageName, RegistryHost};
use store::{Announced, LeasedEvent, NewEvent, ParkedBecause, Skip};

use super::failure::{Next, Tried};
use super::{Worker, backoff};
use crate::clock;
use crate::crash::crash_point;
use crate::endpoint::Endpoint;
use crate::error::WorkError;
use crate::policy::SkipReason;
use crate::progress::PushStep;
use crate::resolve::{Resolved, Resolver};

impl Worker {
    /// Brings an event to its end, or puts it back.
    pub(super) async fn handle_event(&self, leased: &LeasedEvent) {
        let event = match &leased.event {
            Announced::Push(event) => event,
            Announced::Look(look) => return self.handle_look(leased, look).await,
        };
        let name = ImageName { registry: event.registry.clone(), repository: event.repository.clone() };
        // An event has no heartbeat: it is done within its lease, or tried again.
        let within = self.limits.lease.mul_f32(0.8);
        let resolved = match tokio::time::timeout(within, self.resolve(event)).await {
            Ok(resolved) => resolved,
            Err(_) => Err(WorkError::TimedOut { seconds: within.as_secs() }),
        };
        let error = match resolved {
            Ok(Resolved::Done { jobs, skips }) => {
                if was_asked(&jobs, &skips) {
                    self.well(&Endpoint::Registry(event.registry.clone())).await;
                }
                match self.intake.ack(leased, &jobs, &skips).await {
                    Ok(true) => {
                        crash_point("resolved");
                        self.tell_event(event, &name, &jobs, &skips);
                        return;
                    }
                    Ok(false) => return tracing::debug!(event.id = leased.id, "the lease of an event was lost"),
                    Err(error) => error.into(),
                }
            }
            Ok(Resolved::WaitForIndex { after }) => {
                let postponed = store::Postponed {
                    delay_ms: i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
                    counted: store::CountedAs::Nothing,
                    error: "it waits a moment for an index that may list it",
                };
                if let Err(error) = self.intake.put_back(leased, &postponed).await {
                    tracing::error!(%error, "an event could not be put back; its lease will end");
                }
                return;
            }
            Err(error) => error,
        };
        self.event_failed(leased, event, &name, &error).await;
    }

    async fn resolve(&self, event: &NewEvent) -> Result<Resolved, WorkError> {
        let (asked, now) = (Instant::now(), clock::now_ms());
        self.resolver(&event.registry)?.resolve(event, now, asked).await
    }

    /// What asks a registry, while it is not in trouble.
    pub(super) fn resolver(&self, host: &RegistryHost) -> Result<Resolver<'_>, WorkError> {
        let Some(registry) = self.registry(host) else {
            // Parked and not forgotten: another worker's file, or a later one, may name it.
            return Err(WorkError::UnknownRegistry { host: host.to_string() });
        };
        self.pass(&Endpoint::Registry(host.clone()))?;
        Ok(Resolver {
            registry,
            store: &*self.store,
            rules: &self.rules,
            limits: &self.limits,
            sweeps: &self.sweeps,
            indexes: &self.indexes,
        })
    }

    /// Again later, or aside.
    async fn event_failed(&self, leased: &LeasedEvent, event: &NewEvent, name: &ImageName, error: &WorkError) {
        self.count_failure(error);
        let text = error.to_string();
        let tried = Tried { attempts: leased.attempts, absences: leased.absences, absent_since: leased.absent_since };
        let next = self.after_failure(error, &event.registry, event.repository.as_str(), tried).await;
        let mut endpoint = String::new();
        let step = match &next {
            Next::Park(because) => {
                self.metrics.parked("event");
                tracing::error!(
                    registry.host = %event.registry, repository = %event.repository,
                    tag = event.tag.as_ref().map(tracing::field::display), attempts = leased.attempts,
                    reason = %because, %error,
                    "the push of {name} is parked: see `sealwatch status`, and `sealwatch retry` once the cause is gone"
                );
                self.put_event_aside(leased, *because, &text).await;
                PushStep::Parked { error: text }
            }
            Next::Again { after, .. } => {
                self.metrics.retried(error.kind());
                tracing::warn!(
                    registry.host = %event.registry, repository = %event.repository, attempts = leased.attempts,
                    again_in_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX), %error,
                    "the push of {name} will be looked at again"
                );
                if let Some(postponed) = next.postponed(&text, &mut endpoint)
                    && let Err(error) = self.intake.put_back(leased, &postponed).await
                {
                    tracing::error!(%error, "an event could not be put back; its lease will end");
                }
                self.went_to_wait(&next).await;
                PushStep::Delayed { error: text }
            }
        };
        self.progress.tell(name, event.tag.as_ref(), event.digest.as_ref(), step);
    }

    pub(super) async fn put_event_aside(&self, leased: &LeasedEvent, because: ParkedBecause, text: &str) {
        if let Err(error) = self.intake.park(leased, because, text).await {
            tracing::error!(%error, "an event could not be parked; its lease will end");
        }
        if because == ParkedBecause::Unseen
            && let Announced::Push(event) = &leased.event
        {
            let name = format!("{}/{}", event.registry, event.repository);
            if let Err(error) = self.store.record_condition(store::ConditionCause::UnseenPushes, &name, text).await {
                tracing::warn!(%error, "a condition could not be noted");
            }
        }
    }

    /// A bug met an event: it is put aside, and all others go on.
    pub(super) async fn event_panicked(&self, leased: &LeasedEvent) {
        self.metrics.parked("event");
        tracing::error!(event.id = leased.id, "the work on an event panicked; it is parked");
        self.put_event_aside(leased, ParkedBecause::Poison, "its work panicked: this is a bug, please report it").await;
    }

    pub(super) fn backoff(&self, attempts: u32, error: &WorkError) -> Duration {
        let (first, longest) = (self.limits.first_delay, self.limits.longest_delay);
        backoff::delay(attempts, first, longest, error.retry_after(), clock::random_u64())
    }

    pub(super) fn count_failure(&self, error: &WorkError) {
        if let WorkError::Registry(error) = error {
            self.metrics.registry_error(error);
        }
    }

    fn tell_event(&self, event: &NewEvent, name: &ImageName, jobs: &[store::NewJob], skips: &[Skip]) {
        for job in jobs {
            self.progress.tell(name, job.tag.as_ref(), Some(&job.digest), PushStep::Resolved);
        }
        for skip in skips {
            let Some(reason) = code(&skip.reason) else { continue };
            self.metrics.skipped(reason);
            let step = PushStep::Skipped { reason };
            self.progress.tell(name, skip.tag.as_ref(), skip.digest.as_ref(), step);
            tracing::info!(
                source.name = %event.source, registry.host = %name.registry, repository = %name.repository,
                tag = skip.tag.as_ref().map(tracing::field::display),
                digest = skip.digest.as_ref().map(tracing::field::display),
                reason, detail = %skip.detail, "not signed"
            );
        }
    }
}

/// Whether what came of an event shows that the registry answered. Some events are dealt with without a question.
fn was_asked(jobs: &[store::NewJob], skips: &[Skip]) -> bool {
    let answers = [SkipReason::TagNotFound, SkipReason::Superseded, SkipReason::Untagged];
    !jobs.is_empty() || skips.iter().any(|skip| answers.iter().any(|reason| reason.as_str() == skip.reason))
}

/// The code of a reason that resolving gives, as a closed label.
fn code(reason: &str) -> Option<&'static str> {
    [
        SkipReason::NoRule,
        SkipReason::SignatureTag,
        SkipReason::TagNotFound,
        SkipReason::Superseded,
        SkipReason::Untagged,
        SkipReason::OwnArtifact,
        SkipReason::ListedByIndex,
    ]
    .into_iter()
    .map(SkipReason::as_str)
    .find(|code| *code == reason)
}
