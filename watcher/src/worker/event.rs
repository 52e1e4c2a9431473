//! One event: the registry is asked, and the event becomes jobs and skips.

use std::time::{Duration, Instant};

use bundle::ImageName;
use store::{LeasedEvent, Skip};

use super::{Worker, backoff};
use crate::clock;
use crate::crash::crash_point;
use crate::error::WorkError;
use crate::intake::PutBack;
use crate::policy::SkipReason;
use crate::progress::PushStep;
use crate::resolve::{Resolved, Resolver};

impl Worker {
    /// Brings an event to its end, or puts it back.
    pub(super) async fn handle_event(&self, leased: &LeasedEvent) {
        let event = &leased.event;
        let name = ImageName { registry: event.registry.clone(), repository: event.repository.clone() };
        // An event has no heartbeat: it is done within its lease, or tried again.
        let within = self.limits.lease.mul_f32(0.8);
        let resolved = match tokio::time::timeout(within, self.resolve(leased)).await {
            Ok(resolved) => resolved,
            Err(_) => Err(WorkError::TimedOut { seconds: within.as_secs() }),
        };
        let put_back = match resolved {
            Ok(Resolved::Done { jobs, skips }) => match self.intake.ack(leased, &jobs, &skips).await {
                Ok(true) => {
                    crash_point("resolved");
                    self.tell_event(leased, &name, &jobs, &skips);
                    return;
                }
                Ok(false) => return tracing::debug!(event.id = leased.id, "the lease of an event was lost"),
                Err(error) => self.event_failed(leased, &error.into()),
            },
            Ok(Resolved::NotYet) => Outcome {
                after: Some(self.limits.tag_delay),
                error: "the registry does not have this tag yet".to_owned(),
            },
            Err(error) => self.event_failed(leased, &error),
        };
        let how = match put_back.after {
            Some(after) => PutBack::Retry { after, error: &put_back.error },
            None => PutBack::Park { error: &put_back.error },
        };
        match self.intake.put_back(leased, how).await {
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "an event could not be put back; its lease will end"),
        }
        let error = put_back.error;
        let step = if put_back.after.is_some() { PushStep::Delayed { error } } else { PushStep::Parked { error } };
        self.progress.tell(&name, event.tag.as_ref(), event.digest.as_ref(), step);
    }

    async fn resolve(&self, leased: &LeasedEvent) -> Result<Resolved, WorkError> {
        let (asked, now) = (Instant::now(), clock::now_ms());
        let event = &leased.event;
        let Some(registry) = self.registry(&event.registry) else {
            // Parked and not forgotten: another worker's file, or a later one, may name it.
            return Err(WorkError::UnknownRegistry { host: event.registry.to_string() });
        };
        let resolver =
            Resolver { registry, store: &*self.store, rules: &self.rules, limits: &self.limits, sweeps: &self.sweeps };
        resolver.resolve(leased, now, asked).await
    }

    /// Again later, or for a person.
    fn event_failed(&self, leased: &LeasedEvent, error: &WorkError) -> Outcome {
        let event = &leased.event;
        self.count_failure(error);
        let again = error.is_transient() && leased.attempts < self.limits.max_attempts;
        if again {
            self.metrics.retried(error.kind());
            let after = self.backoff(leased.attempts, error);
            tracing::warn!(
                registry.host = %event.registry, repository = %event.repository, attempts = leased.attempts,
                %error, "an event will be tried again"
            );
            return Outcome { after: Some(after), error: error.to_string() };
        }
        self.metrics.parked("event");
        tracing::error!(
            registry.host = %event.registry, repository = %event.repository, attempts = leased.attempts,
            %error, "an event is parked: see `sealwatch status`, and `sealwatch retry` once the cause is gone"
        );
        Outcome { after: None, error: error.to_string() }
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

    fn tell_event(&self, leased: &LeasedEvent, name: &ImageName, jobs: &[store::NewJob], skips: &[Skip]) {
        for job in jobs {
            self.progress.tell(name, job.tag.as_ref(), Some(&job.digest), PushStep::Resolved);
        }
        for skip in skips {
            let Some(reason) = code(&skip.reason) else { continue };
            self.metrics.skipped(reason);
            let step = PushStep::Skipped { reason };
            self.progress.tell(name, skip.tag.as_ref(), skip.digest.as_ref(), step);
            tracing::info!(
                source.name = %leased.event.source, registry.host = %name.registry, repository = %name.repository,
                tag = skip.tag.as_ref().map(tracing::field::display),
                digest = skip.digest.as_ref().map(tracing::field::display),
                reason, detail = %skip.detail, "not signed"
            );
        }
    }
}

/// `after`: again after so long; none: for a person.
struct Outcome {
    after: Option<Duration>,
    error: String,
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
    ]
    .into_iter()
    .map(SkipReason::as_str)
    .find(|code| *code == reason)
}
