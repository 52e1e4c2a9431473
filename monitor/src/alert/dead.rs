//! A sink that takes nothing is itself a finding, told to the others.

use std::collections::BTreeMap;
use std::time::Duration;

use store::{FindingKind, OutboxCount, Sink, Store, StoreError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::message::now_ms;
use crate::finding::{blind_sink, fingerprint, sink_cause};

/// Between two looks at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Looks for sinks whose oldest alert waits too long.
///
/// What counts is how long somebody has not been told, so a restart or another replica comes to the same result.
pub(super) struct Watch<'a> {
    sinks: &'a [Sink],
    dead_after: Duration,
    /// Since when each sink takes alerts again. A finding ends only when that has lasted as long as it took to raise it:
    /// a sink that comes and goes is one finding.
    healthy_since: BTreeMap<String, Instant>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(sinks: &'a [Sink], dead_after: Duration) -> Self {
        Self { sinks, dead_after, healthy_since: BTreeMap::new() }
    }

    /// Looks until told to stop.
    pub(super) async fn run(mut self, store: &dyn Store, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Err(error) = self.look(store).await {
                tracing::warn!(%error, "the outbox cannot be watched");
            }
            tokio::select! {
                () = sleep((self.dead_after / 10).clamp(Duration::from_millis(50), LONGEST_PAUSE)) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    /// One look.
    async fn look(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let now = now_ms();
        store.expire_acknowledgements(now, self.sinks).await?;
        let counts = store.outbox_counts().await?;
        for sink in self.sinks {
            let others: Vec<Sink> = self.sinks.iter().filter(|other| other.name != sink.name).cloned().collect();
            match counts.iter().find(|count| count.sink == sink.name).filter(|count| self.is_dead(count)) {
                Some(count) => {
                    self.healthy_since.remove(&sink.name);
                    let error = count.last_error.as_deref().unwrap_or("it was not tried yet");
                    let finding = blind_sink(&sink.name, now.saturating_sub(count.oldest_age_ms), error, now);
                    store.raise(&[finding], &others).await?;
                }
                None => {
                    let since = *self.healthy_since.entry(sink.name.clone()).or_insert_with(Instant::now);
                    if since.elapsed() >= self.dead_after {
                        let over = fingerprint(FindingKind::Blind, None, &sink_cause(&sink.name));
                        store.clear_finding(&over, now, &others).await?;
                    }
                }
            }
        }
        Ok(())
    }

    fn is_dead(&self, count: &OutboxCount) -> bool {
        count.waiting > 0 && u128::try_from(count.oldest_age_ms).is_ok_and(|age| age >= self.dead_after.as_millis())
    }
}
