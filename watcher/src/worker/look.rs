//! A look at the repositories of a registry: what a webhook announced and could not be read is found by its tag.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bundle::{ImageName, RegistryHost, Repository};
use store::{ConditionCause, CountedAs, LeasedEvent, NewLook, Postponed};

use super::Worker;
use super::failure::{Next, Tried};
use crate::clock;
use crate::endpoint::Endpoint;
use crate::error::WorkError;
use crate::registry::RegistryError;

/// Repositories that are asked of the store at a time.
const PAGE: u32 = 200;

/// A look goes on after so long, where it could not be finished in one go.
const GOES_ON_AFTER: Duration = Duration::from_secs(1);
/// A look that another one may answer waits for so long.
const WAITS_FOR_ANOTHER: Duration = Duration::from_secs(5);

/// A look that has not reported for so long was lost to a bug, and another may begin.
const LOST_AFTER: Duration = Duration::from_secs(600);

/// The looks of this process, one at a time in each registry. A look answers every look that was asked for before it
/// began, so that many oversized bodies cost one.
#[derive(Debug, Default)]
pub(super) struct Looks {
    registries: Mutex<HashMap<RegistryHost, Progress>>,
}

/// How far the look at a registry is.
#[derive(Debug, Default)]
struct Progress {
    running_since: Option<Instant>,
    /// When the look began that is under way, in unix milliseconds.
    began_at: i64,
    /// The last repository that it has done.
    done: Option<Repository>,
    /// When the last look began that came to its end.
    complete_as_of: Option<i64>,
}

/// What is to be done about a look.
#[derive(Debug, Eq, PartialEq)]
enum Turn {
    /// A look that began later has found everything.
    Answered,
    /// Another one is under way.
    Wait,
    /// It is this one's turn, from after this repository on.
    From(Option<Repository>),
}

impl Looks {
    fn begin(&self, look: &NewLook, now: i64) -> Turn {
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = registries.entry(look.registry.clone()).or_default();
        if progress.complete_as_of.is_some_and(|began| began > look.received_at) {
            return Turn::Answered;
        }
        if progress.running_since.is_some_and(|since| since.elapsed() < LOST_AFTER) {
            return Turn::Wait;
        }
        progress.running_since = Some(Instant::now());
        if progress.done.is_none() {
            progress.began_at = now;
        }
        Turn::From(progress.done.clone())
    }

    fn advance(&self, registry: &RegistryHost, done: &Repository) {
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        registries.entry(registry.clone()).or_default().done = Some(done.clone());
    }

    /// The look is given up for now, or is complete. Answers whether it got anywhere.
    fn end(&self, registry: &RegistryHost, from: &Option<Repository>, is_complete: bool) -> bool {
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = registries.entry(registry.clone()).or_default();
        progress.running_since = None;
        let advanced = progress.done != *from;
        if is_complete {
            progress.done = None;
            progress.complete_as_of = Some(progress.began_at);
        }
        advanced
    }
}

impl Worker {
    /// Queues every image that a tag points to which the rules allow, in every repository of the registry that we had
    /// work in. What was found is queued repository by repository, and a look that takes longer than a lease goes on
    /// where it was.
    pub(super) async fn handle_look(&self, leased: &LeasedEvent, look: &NewLook) {
        if leased.attempts == 1 {
            let sample = format!("source {} sent an event that is larger than is read", look.source);
            let noted = self.store.record_condition(ConditionCause::OversizedEvents, &look.source, &sample).await;
            if let Err(error) = noted {
                tracing::warn!(%error, "a condition could not be noted");
            }
        }
        let from = match self.looks.begin(look, clock::now_ms()) {
            Turn::Answered => return self.look_answered(leased, look).await,
            Turn::Wait => return self.put_look_back(leased, WAITS_FOR_ANOTHER).await,
            Turn::From(from) => from,
        };
        let within = self.limits.lease.mul_f32(0.8);
        let looked = tokio::time::timeout(within, self.look(look, from.clone())).await;
        let advanced = self.looks.end(&look.registry, &from, matches!(looked, Ok(Ok(()))));
        match looked {
            Ok(Ok(())) => {
                self.well(&Endpoint::Registry(look.registry.clone())).await;
                // It may have begun before this one was asked for; then the next one begins anew.
                match self.looks.begin(look, clock::now_ms()) {
                    Turn::Answered => self.look_answered(leased, look).await,
                    Turn::Wait => self.put_look_back(leased, WAITS_FOR_ANOTHER).await,
                    Turn::From(from) => {
                        self.looks.end(&look.registry, &from, false);
                        self.put_look_back(leased, GOES_ON_AFTER).await;
                    }
                }
            }
            Err(_) if advanced => self.put_look_back(leased, GOES_ON_AFTER).await,
            Err(_) => self.look_failed(leased, look, &WorkError::TimedOut { seconds: within.as_secs() }).await,
            Ok(Err(error)) => self.look_failed(leased, look, &error).await,
        }
    }

    async fn look_answered(&self, leased: &LeasedEvent, look: &NewLook) {
        match self.intake.ack(leased, &[], &[]).await {
            Ok(_) => tracing::info!(
                source.name = %look.source, registry.host = %look.registry,
                "looked at the repositories of {}: what an oversized event of source {} announced is queued",
                look.registry, look.source
            ),
            Err(error) => return tracing::error!(%error, "a look could not be ended; its lease will end"),
        }
        if let Err(error) = self.store.end_condition(ConditionCause::OversizedEvents, &look.source).await {
            tracing::warn!(%error, "the end of a condition could not be noted");
        }
    }

    async fn put_look_back(&self, leased: &LeasedEvent, after: Duration) {
        let postponed = Postponed {
            delay_ms: i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            counted: CountedAs::Nothing,
            error: "the repositories of its registry are being looked at",
        };
        if let Err(error) = self.intake.put_back(leased, &postponed).await {
            tracing::error!(%error, "a look could not be put back; its lease will end");
        }
    }

    async fn look(&self, look: &NewLook, from: Option<Repository>) -> Result<(), WorkError> {
        let resolver = self.resolver(&look.registry)?;
        let mut last = from;
        loop {
            let page = self.store.known_repositories(&look.registry, last.as_ref(), PAGE).await?;
            for repository in &page {
                let name = ImageName { registry: look.registry.clone(), repository: repository.clone() };
                match resolver.all_of(&name, look).await {
                    Ok(found) => {
                        self.store.record_outcome(&found, &[]).await?;
                        self.wake.notify_one();
                    }
                    // It was deleted since we had work in it.
                    Err(WorkError::Registry(error)) if matches!(*error, RegistryError::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
                self.looks.advance(&look.registry, repository);
            }
            match page.into_iter().next_back() {
                Some(repository) => last = Some(repository),
                None => return Ok(()),
            }
        }
    }

    /// Again later, or aside.
    async fn look_failed(&self, leased: &LeasedEvent, look: &NewLook, error: &WorkError) {
        self.count_failure(error);
        tracing::warn!(
            source.name = %look.source, registry.host = %look.registry, attempts = leased.attempts, %error,
            "the repositories of {} could not be looked at", look.registry
        );
        let text = error.to_string();
        let tried = Tried { attempts: leased.attempts, absences: leased.absences, absent_since: leased.absent_since };
        let next = self.after_failure(error, &look.registry, "", tried).await;
        if let Next::Park(because) = next {
            self.metrics.parked("event");
            return self.put_event_aside(leased, because, &text).await;
        }
        self.metrics.retried(error.kind());
        let mut endpoint = String::new();
        if let Some(postponed) = next.postponed(&text, &mut endpoint)
            && let Err(error) = self.intake.put_back(leased, &postponed).await
        {
            tracing::error!(%error, "a look could not be put back; its lease will end");
        }
        self.went_to_wait(&next).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(received_at: i64) -> NewLook {
        let registry = "registry.example.com".parse().expect("a host");
        NewLook { source: "ci".to_owned(), registry, received_at }
    }

    #[test]
    fn one_look_answers_all_that_were_asked_for_before_it_began_and_goes_on_where_it_was() {
        let looks = Looks::default();
        let registry = look(0).registry;
        let repository: Repository = "team/app".parse().expect("a repository");
        assert_eq!(looks.begin(&look(10), 100), Turn::From(None));
        assert_eq!(looks.begin(&look(20), 110), Turn::Wait);
        looks.advance(&registry, &repository);
        assert!(looks.end(&registry, &None, false), "it got somewhere");
        // One that is asked for meanwhile goes on with the same look, and is not answered by it.
        let from = Some(repository);
        assert_eq!(looks.begin(&look(150), 160), Turn::From(from.clone()));
        assert!(!looks.end(&registry, &from, true));
        assert_eq!(looks.begin(&look(10), 170), Turn::Answered);
        assert_eq!(looks.begin(&look(20), 170), Turn::Answered);
        assert_eq!(looks.begin(&look(150), 170), Turn::From(None));
        looks.end(&registry, &None, true);
        assert_eq!(looks.begin(&look(150), 180), Turn::Answered);
    }
}
