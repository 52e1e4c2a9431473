//! What is done after a failure: when the work is tried again, what the try counts as, or why it is parked.

use std::time::Duration;

use bundle::RegistryHost;
use signer::{LogError, PublishError};
use store::{ConditionCause, CountedAs, ParkedBecause, Postponed};

use super::breakers::{AfterTrouble, Passage};
use super::standing::{self, Standing};
use super::{Worker, backoff};
use crate::clock;
use crate::endpoint::Endpoint;
use crate::error::WorkError;
use crate::registry::RegistryError;

/// Work that waits for a shut endpoint looks again after so long, if neither a call nor a release comes before.
const REST: Duration = Duration::from_secs(900);
/// Wait of work that found no place, or whose authority changed while it was under way.
const NO_PLACE: Duration = Duration::from_secs(1);
/// The longest wait for what is not there yet.
const LONGEST_ABSENCE: Duration = Duration::from_secs(60);
/// What waited for an endpoint comes back at this rate, so that it does not fall over again.
const RELEASED_PER_SECOND: u32 = 20;

/// How far a piece of work had come when it failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried {
    /// Leases since it became ready.
    pub(super) attempts: u32,
    /// How often the registry said that it is not there.
    pub(super) absences: u32,
    /// Since when, in unix milliseconds.
    pub(super) absent_since: Option<i64>,
}

/// What follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// It goes back to the queue.
    Again {
        /// For so long.
        after: Duration,
        /// What the try counts as.
        counted: Counted,
    },
    /// It is put aside.
    Park(ParkedBecause),
}

/// [`CountedAs`], with a name of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Counted {
    Attempt,
    Absence,
    Trouble(Endpoint),
    Nothing,
}

impl Worker {
    /// Decides what follows from a failure, and shuts the endpoint that it shows to be in trouble.
    pub(super) async fn after_failure(
        &self,
        error: &WorkError,
        host: &RegistryHost,
        repository: &str,
        tried: Tried,
    ) -> Next {
        let standing = standing::of(error, host);
        if let Some(endpoint) = answered(error, &standing, host) {
            self.well(&endpoint).await;
        }
        match standing {
            Standing::Again => self.attempt_failed(error, tried),
            Standing::Refused => Next::Park(ParkedBecause::Refused),
            Standing::Absent => self.absent(tried),
            Standing::Untried(None) => Next::Again { after: NO_PLACE, counted: Counted::Nothing },
            Standing::Untried(Some(endpoint)) => self.wait_for(endpoint),
            Standing::Trouble(endpoint) => {
                let certain = error.retry_after().is_some();
                self.trouble(error, endpoint, certain, tried).await
            }
            Standing::Suspected(endpoint) => {
                // Whoever may push to a repository can have its requests fail. Only the endpoint's own silence counts.
                let is_well = match self.registry(host) {
                    Some(registry) => registry.is_well().await,
                    None => true,
                };
                // A registry that asks to be left alone may mean all of us, or this repository.
                let asked_to_wait = error.retry_after().is_some() || is_rate_limit(error);
                if is_well && asked_to_wait && !self.breakers.turned_away(&endpoint, repository) {
                    self.attempt_failed(error, tried)
                } else if is_well && !asked_to_wait {
                    self.well(&endpoint).await;
                    self.attempt_failed(error, tried)
                } else {
                    self.trouble(error, endpoint, true, tried).await
                }
            }
        }
    }

    fn attempt_failed(&self, error: &WorkError, tried: Tried) -> Next {
        if tried.attempts >= self.limits.max_attempts {
            return Next::Park(ParkedBecause::Failed);
        }
        Next::Again { after: self.backoff(tried.attempts, error), counted: Counted::Attempt }
    }

    fn absent(&self, tried: Tried) -> Next {
        if self.is_absent_for_good(tried.absent_since) {
            return Next::Park(ParkedBecause::Unseen);
        }
        let random = clock::random_u64();
        let first = self.limits.absence_delay;
        let after = backoff::delay(tried.absences.saturating_add(1), first, LONGEST_ABSENCE.max(first), None, random);
        Next::Again { after, counted: Counted::Absence }
    }

    /// Whether the registry has said "not there" for longer than registries lag behind.
    pub(super) fn is_absent_for_good(&self, absent_since: Option<i64>) -> bool {
        let patience = i64::try_from(self.limits.absence_patience.as_millis()).unwrap_or(i64::MAX);
        absent_since.is_some_and(|since| clock::now_ms().saturating_sub(since) >= patience)
    }

    fn wait_for(&self, endpoint: Endpoint) -> Next {
        // It may answer again since this work was turned away.
        if !self.breakers.is_in_trouble(&endpoint) {
            return Next::Again { after: NO_PLACE, counted: Counted::Nothing };
        }
        let spread = Duration::from_millis(clock::random_u64() % 30_000);
        Next::Again { after: REST + spread, counted: Counted::Trouble(endpoint) }
    }

    async fn trouble(&self, error: &WorkError, endpoint: Endpoint, certain: bool, tried: Tried) -> Next {
        match self.breakers.trouble(&endpoint, certain, error.retry_after()) {
            AfterTrouble::StillOpen => return self.attempt_failed(error, tried),
            AfterTrouble::Shut { just_now: false } => {}
            AfterTrouble::Shut { just_now: true } => {
                self.metrics.endpoint(&endpoint, true);
                tracing::error!(
                    %error,
                    "{endpoint} is in trouble: what needs it waits, and goes on by itself when it answers again"
                );
                self.note_trouble(&endpoint, error).await;
            }
        }
        self.wait_for(endpoint)
    }

    async fn note_trouble(&self, endpoint: &Endpoint, error: &WorkError) {
        let (cause, subject) = (ConditionCause::EndpointTrouble, endpoint.to_string());
        if let Err(error) = self.store.record_condition(cause, &subject, &error.to_string()).await {
            tracing::warn!(%error, "the trouble of {endpoint} could not be noted");
        }
    }

    /// Whether work that needs an endpoint may begin now.
    pub(super) fn pass(&self, endpoint: &Endpoint) -> Result<(), WorkError> {
        match self.breakers.pass(endpoint) {
            Passage::Free | Passage::Probe => Ok(()),
            Passage::Shut(_) => Err(WorkError::EndpointShut { endpoint: endpoint.clone() }),
        }
    }

    /// Work was put back to wait for an endpoint. If it answered meanwhile, that release came too early for this work.
    pub(super) async fn went_to_wait(&self, next: &Next) {
        let Next::Again { counted: Counted::Trouble(endpoint), .. } = next else { return };
        if self.breakers.is_in_trouble(endpoint) {
            return;
        }
        if let Err(error) = self.store.release(&endpoint.to_string(), RELEASED_PER_SECOND).await {
            tracing::warn!(%error, "what waits for {endpoint} goes on a little later");
        }
    }

    /// An endpoint answered: what waited for it is released.
    pub(super) async fn well(&self, endpoint: &Endpoint) {
        if !self.breakers.well(endpoint) {
            return;
        }
        self.metrics.endpoint(endpoint, false);
        let subject = endpoint.to_string();
        match self.store.release(&subject, RELEASED_PER_SECOND).await {
            Ok(released) => tracing::info!(released, "{endpoint} answers again: what waited for it goes on"),
            Err(error) => tracing::warn!(%error, "{endpoint} answers again; what waited for it goes on a little later"),
        }
        if let Err(error) = self.store.end_condition(ConditionCause::EndpointTrouble, &subject).await {
            tracing::warn!(%error, "the end of the trouble of {endpoint} could not be noted");
        }
    }

    /// Calls one piece of what waits for each endpoint whose time to be probed has come.
    pub(super) async fn call_probes(&self) {
        for endpoint in self.breakers.to_probe() {
            match self.store.release_first(&endpoint.to_string()).await {
                Ok(found) => tracing::debug!(found, "one piece of work finds out whether {endpoint} answers again"),
                Err(error) => tracing::warn!(%error, "nothing could be called to probe {endpoint}"),
            }
        }
    }

    /// Takes over the trouble that a process before this one noted.
    pub(super) async fn take_over_trouble(&self) {
        match self.store.open_conditions(10_000).await {
            Ok(open) => {
                for condition in open.iter().filter(|open| open.cause == ConditionCause::EndpointTrouble) {
                    if let Some(endpoint) = Endpoint::parse(&condition.subject) {
                        self.breakers.note(endpoint);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the open conditions could not be read"),
        }
    }
}

fn is_rate_limit(error: &WorkError) -> bool {
    matches!(error, WorkError::Registry(error) if matches!(**error, RegistryError::RateLimited { .. }))
}

/// The endpoint that a failure shows to answer: what it said is about this work only. A probe ends with it.
fn answered(error: &WorkError, standing: &Standing, host: &RegistryHost) -> Option<Endpoint> {
    if matches!(standing, Standing::Trouble(_) | Standing::Suspected(_) | Standing::Untried(_)) {
        return None;
    }
    match error {
        // Here no answer came, or from elsewhere.
        WorkError::Registry(error)
            if matches!(
                **error,
                RegistryError::Outbound { .. }
                    | RegistryError::ForbiddenTarget { .. }
                    | RegistryError::ForbiddenRealm { .. }
                    | RegistryError::Credentials { .. }
                    | RegistryError::Host { .. }
            ) =>
        {
            None
        }
        WorkError::Registry(_)
        | WorkError::TagGone { .. }
        | WorkError::ManifestMissing { .. }
        | WorkError::IncompleteLook { .. } => Some(Endpoint::Registry(host.clone())),
        WorkError::Publish(error) => match &**error {
            PublishError::Log(LogError::Refused { origin, .. } | LogError::NotIntegrated { origin, .. }) => {
                Some(Endpoint::Log(origin.clone()))
            }
            _ => None,
        },
        _ => None,
    }
}

impl Next {
    /// As the store takes it: the delay, and what is counted. `None`: it is parked.
    pub(super) fn postponed<'p>(&self, error: &'p str, endpoint: &'p mut String) -> Option<Postponed<'p>> {
        let Self::Again { after, counted } = self else { return None };
        let delay_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        let counted = match counted {
            Counted::Attempt => CountedAs::Attempt,
            Counted::Absence => CountedAs::Absence,
            Counted::Nothing => CountedAs::Nothing,
            Counted::Trouble(shut) => {
                *endpoint = shut.to_string();
                CountedAs::Trouble { endpoint }
            }
        };
        Some(Postponed { delay_ms, counted, error })
    }
}
