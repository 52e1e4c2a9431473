//! The queue in the store: nothing else to run, and an event becomes its jobs in one transaction.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::{Claim, LeasedEvent, NewEvent, NewJob, NewLook, ParkedBecause, Postponed, Skip, Store, Wanted};
use tokio::sync::Notify;

use super::{Intake, IntakeError};
use crate::turns::Turns;

/// Repositories with waiting events that are looked at in one go.
const REPOSITORIES: u32 = 1024;

/// Events in the store's own table.
pub struct StoreIntake {
    store: Arc<dyn Store>,
    wake: Arc<Notify>,
    turns: Turns,
}

impl StoreIntake {
    /// `wake` is rung for each publication; the worker of the same process listens to it. Other processes poll.
    pub fn new(store: Arc<dyn Store>, wake: Arc<Notify>) -> Self {
        Self { store, wake, turns: Turns::default() }
    }
}

#[async_trait]
impl Intake for StoreIntake {
    async fn publish(&self, events: &[NewEvent]) -> Result<(), IntakeError> {
        self.store.record_events(events).await?;
        self.wake.notify_one();
        Ok(())
    }

    async fn publish_look(&self, look: &NewLook) -> Result<(), IntakeError> {
        self.store.record_look(look).await?;
        self.wake.notify_one();
        Ok(())
    }

    async fn next(
        &self,
        lease: Duration,
        suspects: bool,
        place: &mut (dyn for<'n> FnMut(&'n str, &'n str) -> bool + Send),
    ) -> Result<Claim<LeasedEvent>, IntakeError> {
        let due = self.store.due_events(REPOSITORIES).await?;
        for repository in self.turns.in_turn(due) {
            let (registry, name) = (repository.registry.as_str(), repository.repository.as_str());
            if !place(registry, name) {
                continue;
            }
            let wanted = Wanted::Of { registry, repository: name, suspects };
            match self.store.claim_event(wanted, millis(lease)).await? {
                Claim::Gone => {}
                claimed => {
                    self.turns.served(&repository);
                    return Ok(claimed);
                }
            }
        }
        Ok(Claim::Gone)
    }

    async fn ack(&self, event: &LeasedEvent, jobs: &[NewJob], skips: &[Skip]) -> Result<bool, IntakeError> {
        Ok(self.store.finish_event(event, jobs, skips).await?)
    }

    async fn put_back(&self, event: &LeasedEvent, postponed: &Postponed<'_>) -> Result<bool, IntakeError> {
        Ok(self.store.retry_event(event, postponed).await?)
    }

    async fn park(&self, event: &LeasedEvent, because: ParkedBecause, error: &str) -> Result<bool, IntakeError> {
        Ok(self.store.park_event(event, because, error).await?)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
