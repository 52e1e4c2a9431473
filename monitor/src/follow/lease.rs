//! The lease of a log: taken, renewed while it is worked under, and lost at once when that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use store::{LogLease, Store, StoreError};
use tokio::sync::watch;
use tokio::time::Instant;

use super::millis;
use crate::task::Task;

/// How long a lease lasts without being renewed: whoever takes over does so this long after its holder died.
const LASTS: Duration = Duration::from_secs(10);
/// Between two renewals, and between two tries to take one that another holds.
pub(crate) const EVERY: Duration = Duration::from_secs(3);
/// A lease that could not be renewed ends for us so long before it ends for others.
const MARGIN: Duration = Duration::from_secs(2);

/// A lease that we hold, renewed in the background until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    lease: LogLease,
    read_size: Arc<AtomicU64>,
    lost: watch::Receiver<bool>,
    renewing: Task,
}

impl Held {
    /// Takes the log, unless another process holds it.
    pub(crate) async fn take(store: &Arc<dyn Store>, origin: &str, holder: &str) -> Result<Option<Self>, StoreError> {
        let since = Instant::now();
        let Some(lease) = store.lease_log(origin, holder, millis(LASTS)).await? else { return Ok(None) };
        let read_size = Arc::new(AtomicU64::new(0));
        let (tell, lost) = watch::channel(false);
        let renewing = renew(Arc::clone(store), lease.clone(), Arc::clone(&read_size), since, tell);
        Ok(Some(Self { lease, read_size, lost, renewing: Task::spawn(renewing) }))
    }

    /// What fences each write.
    pub(crate) fn lease(&self) -> &LogLease {
        &self.lease
    }

    /// Notes how far leaves were read; it is stored with the next renewal.
    pub(crate) fn read(&self, size: u64) {
        self.read_size.fetch_max(size, Ordering::Relaxed);
    }

    /// Comes back when the lease is lost.
    pub(crate) async fn lost(&self) {
        let mut lost = self.lost.clone();
        // An error: the renewing task is gone, and the lease with it.
        let _ = lost.wait_for(|lost| *lost).await;
    }

    /// Gives the log back, so that another process need not wait for the lease to end.
    pub(crate) async fn release(self, store: &dyn Store) -> Result<(), StoreError> {
        drop(self.renewing);
        store.release_log(self.lease).await
    }
}

/// Renews until the lease is lost, or until our own clock says that it ends although nobody told us so.
async fn renew(
    store: Arc<dyn Store>,
    lease: LogLease,
    read_size: Arc<AtomicU64>,
    since: Instant,
    tell: watch::Sender<bool>,
) {
    let mut renewed = since;
    loop {
        let ends = renewed + LASTS - MARGIN;
        tokio::time::sleep_until((renewed + EVERY).max(Instant::now() + EVERY / 6).min(ends)).await;
        let asked = Instant::now();
        let answer =
            tokio::time::timeout_at(ends, store.renew_log(&lease, millis(LASTS), read_size.load(Ordering::Relaxed)));
        match answer.await {
            Ok(Ok(true)) => renewed = asked,
            Ok(Ok(false)) => break,
            Ok(Err(error)) if Instant::now() < ends => {
                tracing::debug!(log.origin = %lease.origin, %error, "could not renew the lease yet");
            }
            Ok(Err(_)) | Err(_) => break,
        }
    }
    tell.send_replace(true);
}

/// A lease that ended longer ago is nobody's; clocks of machines may differ by this much.
const SLACK_MS: i64 = 120_000;

/// Whether a lease that ends then (unix milliseconds) is still somebody's, as far as another process can tell.
pub(crate) fn is_somebodys(ends: Option<i64>, now: i64) -> bool {
    ends.is_some_and(|ends| ends.saturating_add(SLACK_MS) > now)
}
