//! Port to the queue of events: what a webhook told us waits here until it has become jobs.
//!
//! It carries events only. Jobs and the ledger are in the store whichever queue is used, so that every queue
//! behaves the same.

pub mod store;

use std::time::Duration;

use ::store::{LeasedEvent, NewEvent, NewJob, Skip, StoreError};
use async_trait::async_trait;

pub use self::store::StoreIntake;

/// A durable queue of events. At least once, in no order.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Keeps the events. They survive a crash once this has returned.
    async fn publish(&self, events: &[NewEvent]) -> Result<(), IntakeError>;

    /// The next event, ours until the lease is over.
    async fn next(&self, lease: Duration) -> Result<Option<LeasedEvent>, IntakeError>;

    /// What the event came to, and that it may be forgotten. The jobs and skips are durable before it is. `false`:
    /// the lease was lost, and another has it.
    async fn ack(&self, event: &LeasedEvent, jobs: &[NewJob], skips: &[Skip]) -> Result<bool, IntakeError>;

    /// Gives the event back, for later or for a person. `false`: the lease was lost.
    async fn put_back(&self, event: &LeasedEvent, how: PutBack<'_>) -> Result<bool, IntakeError>;
}

/// How an event is given back.
#[derive(Clone, Copy, Debug)]
pub enum PutBack<'e> {
    /// Again after a while.
    Retry {
        /// How long.
        after: Duration,
        /// Why.
        error: &'e str,
    },
    /// Not before a person says so.
    Park {
        /// Why.
        error: &'e str,
    },
}

/// The queue could not be reached, or did not do as told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// The queue in the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}
