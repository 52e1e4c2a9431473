//! The loop: takes what is due, so many at once, until told to stop; then finishes what it holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::{Taken, Worker};

/// How often the gauges are brought up to date.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// Wait after the queue itself failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

impl Worker {
    /// Works until `stop` says true (or is gone), then finishes what was begun.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let permits = Arc::new(Semaphore::new(self.limits.concurrency.max(1)));
        let mut tasks: JoinSet<()> = JoinSet::new();
        let counting = tokio::spawn(Arc::clone(&self).count());
        loop {
            let permit = tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                // Unwrap-free: the semaphore is never closed, so an error cannot come.
                permit = Arc::clone(&permits).acquire_owned() => match permit { Ok(permit) => permit, Err(_) => break },
            };
            while let Some(ended) = tasks.try_join_next() {
                report_panic(ended);
            }
            match self.take().await {
                Ok(Some(taken)) => {
                    let worker = Arc::clone(&self);
                    tasks.spawn(async move {
                        worker.handle(taken).await;
                        drop(permit);
                        // It may have made work: an event becomes jobs, an index its children.
                        worker.wake.notify_one();
                    });
                }
                Ok(None) => {
                    tokio::select! {
                        () = stopped(&mut stop) => break,
                        () = self.wake.notified() => {}
                        () = tokio::time::sleep(self.limits.poll) => {}
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "no work could be taken");
                    tokio::select! {
                        () = stopped(&mut stop) => break,
                        () = tokio::time::sleep(AFTER_FAILURE) => {}
                    }
                }
            }
        }
        counting.abort();
        tracing::info!(in_flight = tasks.len(), "the worker stops: what was begun is finished first");
        while let Some(ended) = tasks.join_next().await {
            report_panic(ended);
        }
    }

    async fn handle(&self, taken: Taken) {
        match taken {
            Taken::Event(event) => self.handle_event(&event).await,
            Taken::Job(job) => self.handle_job(&job).await,
        }
    }

    async fn count(self: Arc<Self>) {
        loop {
            match self.store.counts().await {
                Ok(counts) => self.metrics.record_counts(&counts),
                Err(error) => tracing::warn!(%error, "the store could not be counted"),
            }
            tokio::time::sleep(COUNT_EVERY).await;
        }
    }
}

/// Returns once the stop was given; also when nobody is left to give it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone, which is a stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A panic in one push is a bug, but no reason to stop the others; its lease ends and it is tried again.
fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a push was given up by a panic; it will be taken up again when its lease is over");
    }
}
