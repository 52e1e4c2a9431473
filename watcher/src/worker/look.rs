//! A look at the repositories of a registry: what a webhook announced and could not be read is found by its tag.

use bundle::ImageName;
use store::{ConditionCause, LeasedEvent, NewJob, NewLook};

use super::Worker;
use super::failure::{Next, Tried};
use crate::endpoint::Endpoint;
use crate::error::WorkError;
use crate::registry::RegistryError;

/// Repositories that are asked of the store at a time.
const PAGE: u32 = 200;

impl Worker {
    /// Queues every image that a tag points to which the rules allow, in every repository of the registry that we had
    /// work in; or puts the look back.
    pub(super) async fn handle_look(&self, leased: &LeasedEvent, look: &NewLook) {
        let sample = format!("source {} sent an event that is larger than is read", look.source);
        if let Err(error) = self.store.record_condition(ConditionCause::OversizedEvents, &look.source, &sample).await {
            tracing::warn!(%error, "a condition could not be noted");
        }
        let within = self.limits.lease.mul_f32(0.8);
        let looked = match tokio::time::timeout(within, self.look(look)).await {
            Ok(looked) => looked,
            Err(_) => Err(WorkError::TimedOut { seconds: within.as_secs() }),
        };
        let error = match looked {
            Ok(jobs) => {
                self.well(&Endpoint::Registry(look.registry.clone())).await;
                match self.intake.ack(leased, &jobs, &[]).await {
                    Ok(_) => {
                        return tracing::info!(
                            source.name = %look.source, registry.host = %look.registry, images = jobs.len(),
                            "looked at the repositories of {}: {} images are looked at again", look.registry, jobs.len()
                        );
                    }
                    Err(error) => error.into(),
                }
            }
            Err(error) => error,
        };
        self.look_failed(leased, look, &error).await;
    }

    async fn look(&self, look: &NewLook) -> Result<Vec<NewJob>, WorkError> {
        let resolver = self.resolver(&look.registry)?;
        let mut jobs = Vec::new();
        let mut last = None;
        loop {
            let page = self.store.known_repositories(&look.registry, last.as_ref(), PAGE).await?;
            for repository in &page {
                let name = ImageName { registry: look.registry.clone(), repository: repository.clone() };
                match resolver.all_of(&name, look).await {
                    Ok(found) => jobs.extend(found),
                    // It was deleted since we had work in it.
                    Err(WorkError::Registry(error)) if matches!(*error, RegistryError::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            match page.into_iter().next_back() {
                Some(repository) => last = Some(repository),
                None => return Ok(jobs),
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
        let next = self.after_failure(error, &look.registry, tried).await;
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
