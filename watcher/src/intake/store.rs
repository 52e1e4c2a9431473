//! The queue in the store: nothing else to run, and an event becomes its jobs in one transaction.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::{LeasedEvent, NewEvent, NewJob, ParkedBecause, Postponed, Skip, Store};
use tokio::sync::Notify;

use super::{Intake, IntakeError, PutBack};

/// Events in the store's own table.
pub struct StoreIntake {
    store: Arc<dyn Store>,
    wake: Arc<Notify>,
}

impl StoreIntake {
    /// `wake` is rung for each publication; the worker of the same process listens to it. Other processes poll.
    pub fn new(store: Arc<dyn Store>, wake: Arc<Notify>) -> Self {
        Self { store, wake }
    }
}

#[async_trait]
impl Intake for StoreIntake {
    async fn publish(&self, events: &[NewEvent]) -> Result<(), IntakeError> {
        self.store.record_events(events).await?;
        self.wake.notify_one();
        Ok(())
    }

    async fn next(&self, lease: Duration) -> Result<Option<LeasedEvent>, IntakeError> {
        Ok(self.store.lease_event(millis(lease)).await?)
    }

    async fn ack(&self, event: &LeasedEvent, jobs: &[NewJob], skips: &[Skip]) -> Result<bool, IntakeError> {
        Ok(self.store.finish_event(event, jobs, skips).await?)
    }

    async fn put_back(&self, event: &LeasedEvent, how: PutBack<'_>) -> Result<bool, IntakeError> {
        Ok(match how {
            PutBack::Retry { after, error } => {
                self.store.retry_event(event, &Postponed::attempt(millis(after), error)).await?
            }
            PutBack::Park { error } => self.store.park_event(event, ParkedBecause::Failed, error).await?,
        })
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
