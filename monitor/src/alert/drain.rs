//! One sink's loop: lease, send, finish or put back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use store::{FindingFilter, FindingState, LeasedAlert, Severity, Store, StoreError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::message::cut;
use super::{Alert, AlertSink, SinkError};
use crate::follow::millis;

/// Between two looks into an empty outbox.
const POLL: Duration = Duration::from_secs(1);

/// All the time for one alert, whatever the sink.
const SEND_TIMEOUT: Duration = Duration::from_secs(45);

/// Longer than an alert can take: nobody else sends it meanwhile.
const LEASE_MS: i64 = 90_000;

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// What a receiver may ask for at most: longer, and nobody is told.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(900);

/// Between two reminders of what is open.
const REMIND_EVERY: Duration = Duration::from_secs(120);

/// The most findings in a reminder.
const REMINDED: u32 = 2_000;

/// How much of an error is kept with the alert.
const MAX_ERROR_CHARS: usize = 500;

/// What became of a sink's alerts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SinkCount {
    /// The sink.
    pub sink: String,
    /// How many it took.
    pub sent: u64,
    /// How many attempts failed.
    pub failed: u64,
}

/// A sink with its counters.
pub(super) struct Drain {
    sink: Box<dyn AlertSink>,
    min_severity: Severity,
    sent: AtomicU64,
    failed: AtomicU64,
}

/// What one step came to.
enum Step {
    /// Nothing is due.
    Idle,
    /// Something was taken, or put back alone: go on.
    Moved,
    /// The sink does not take anything now.
    Down(Duration),
}

impl Drain {
    pub(super) fn new(sink: Box<dyn AlertSink>, min_severity: Severity) -> Self {
        Self { sink, min_severity, sent: AtomicU64::new(0), failed: AtomicU64::new(0) }
    }

    pub(super) fn count(&self) -> SinkCount {
        SinkCount {
            sink: self.sink.name().to_owned(),
            sent: self.sent.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    /// Delivers until told to stop.
    pub(super) async fn run(&self, store: &dyn Store, mut stop: watch::Receiver<bool>) {
        let mut failures = 0;
        let mut remind_at = Instant::now();
        while !*stop.borrow() {
            let wait = match self.step(store, &mut failures).await {
                Ok(Step::Moved) => continue,
                Ok(Step::Idle) => POLL,
                Ok(Step::Down(delay)) => delay,
                Err(error) => {
                    tracing::warn!(sink = self.sink.name(), error = %error, "the outbox cannot be read");
                    LONGEST_DELAY / 6
                }
            };
            if failures == 0 && Instant::now() >= remind_at {
                remind_at = Instant::now() + REMIND_EVERY;
                self.remind(store).await;
            }
            tokio::select! {
                () = sleep(wait) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Delivers what is due now, once.
    pub(super) async fn deliver(&self, store: &dyn Store) {
        let mut failures = 0;
        loop {
            match self.step(store, &mut failures).await {
                Ok(Step::Moved) => {}
                Ok(Step::Idle | Step::Down(_)) => return,
                Err(error) => {
                    tracing::warn!(sink = self.sink.name(), error = %error, "the outbox cannot be read");
                    return;
                }
            }
        }
    }

    async fn step(&self, store: &dyn Store, failures: &mut u32) -> Result<Step, StoreError> {
        let Some(leased) = store.lease_alert(self.sink.name(), LEASE_MS).await? else {
            return Ok(Step::Idle);
        };
        let alert = Alert::from(&leased);
        let sent = match timeout(SEND_TIMEOUT, self.sink.send(&alert)).await {
            Ok(sent) => sent,
            Err(_) => Err(SinkError::Timeout(SEND_TIMEOUT)),
        };
        match sent {
            Ok(()) => {
                *failures = 0;
                self.sent.fetch_add(1, Ordering::Relaxed);
                // If the lease was lost, somebody else tells it again: the receiver knows it by its id.
                store.finish_alert(&leased).await?;
                Ok(Step::Moved)
            }
            Err(error) => self.put_back(store, &leased, &error, failures).await,
        }
    }

    async fn put_back(
        &self,
        store: &dyn Store,
        leased: &LeasedAlert,
        error: &SinkError,
        failures: &mut u32,
    ) -> Result<Step, StoreError> {
        self.failed.fetch_add(1, Ordering::Relaxed);
        *failures = failures.saturating_add(1);
        let asked = error.retry_after().map(|wait| wait.min(LONGEST_RETRY_AFTER));
        let alone = error.is_about_the_alert();
        let tries = if alone { leased.attempts } else { *failures };
        let delay = backoff(tries).max(asked.unwrap_or_default());
        let reason = error.to_string();
        tracing::warn!(
            sink = self.sink.name(),
            finding.id = leased.finding.id,
            attempts = leased.attempts,
            delay_ms = millis(delay),
            error = %reason,
            "an alert was not taken"
        );
        store.retry_alert(leased, millis(delay), cut(&reason, MAX_ERROR_CHARS)).await?;
        if alone {
            *failures = 0;
            return Ok(Step::Moved);
        }
        Ok(Step::Down(delay))
    }

    async fn remind(&self, store: &dyn Store) {
        let filter = FindingFilter {
            states: vec![FindingState::Open],
            min_severity: Some(self.min_severity),
            limit: REMINDED,
            ..FindingFilter::default()
        };
        match store.findings(&filter).await {
            Ok(open) => {
                if let Ok(Err(error)) = timeout(SEND_TIMEOUT, self.sink.remind(&open)).await {
                    tracing::warn!(sink = self.sink.name(), error = %error, "a reminder was not taken");
                }
            }
            Err(error) => tracing::warn!(sink = self.sink.name(), error = %error, "open findings cannot be read"),
        }
    }
}

/// Doubling from a second to a minute, and between half and all of that: sinks that went down together are not all
/// asked again at once.
fn backoff(failures: u32) -> Duration {
    let full = FIRST_DELAY.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(LONGEST_DELAY);
    let mut random = [0; 2];
    // Without randomness it is only less spread out.
    let _ = getrandom::fill(&mut random);
    let part = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
    full.mul_f64(0.5 + part / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_are_spread() {
        for failures in 0..100 {
            let delay = backoff(failures);
            assert!(delay >= FIRST_DELAY / 2 && delay <= LONGEST_DELAY, "{failures}: {delay:?}");
        }
        assert!(backoff(1) <= FIRST_DELAY);
        assert!(backoff(50) >= LONGEST_DELAY / 2);
        let spread: std::collections::BTreeSet<_> = (0..20).map(|_| backoff(7)).collect();
        assert!(spread.len() > 10, "{spread:?}");
    }
}
