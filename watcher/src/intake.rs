//! Port to the queue of events: what a webhook told us waits here until it has become jobs.
//!
//! It carries events only. Jobs and the ledger are in the store whichever queue is used, so that every queue
//! behaves the same.

pub mod store;

use std::time::Duration;

use ::store::{Claim, LeasedEvent, NewEvent, NewJob, NewLook, ParkedBecause, Postponed, Skip, StoreError};
use async_trait::async_trait;

pub use self::store::StoreIntake;

/// A durable queue of events. At least once, in no order.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Keeps the events. They survive a crash once this has returned.
    async fn publish(&self, events: &[NewEvent]) -> Result<(), IntakeError>;

    /// Keeps the wish to look at the repositories of a source. It survives a crash once this has returned.
    async fn publish_look(&self, look: &NewLook) -> Result<(), IntakeError>;

    /// The next event for which there is a place, ours until the lease is over. `place` answers whether there is one for
    /// work in a registry and repository; it is asked before the event is taken, and what it answered last is used.
    /// `suspects`: whether the event may be one that has ended its process before.
    async fn next(
        &self,
        lease: Duration,
        suspects: bool,
        place: &mut (dyn for<'n> FnMut(&'n str, &'n str) -> bool + Send),
    ) -> Result<Claim<LeasedEvent>, IntakeError>;

    /// What the event came to, and that it may be forgotten. The jobs and skips are durable before it is. `false`:
    /// the lease was lost, and another has it.
    async fn ack(&self, event: &LeasedEvent, jobs: &[NewJob], skips: &[Skip]) -> Result<bool, IntakeError>;

    /// Gives the event back, for later. `false`: the lease was lost.
    async fn put_back(&self, event: &LeasedEvent, postponed: &Postponed<'_>) -> Result<bool, IntakeError>;

    /// Puts the event aside, until a person or its reason lets it go on. `false`: the lease was lost.
    async fn park(&self, event: &LeasedEvent, because: ParkedBecause, error: &str) -> Result<bool, IntakeError>;
}

/// The queue could not be reached, or did not do as told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// The queue in the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}
