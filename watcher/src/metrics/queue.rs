//! Gauges of what the store holds. They are only shown while they are true: a number that could not be counted again is
//! absent, because a stale zero looks like health.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntGaugeVec, Opts};
use store::LiveCounts;

/// How long a count is shown. The worker counts every few seconds.
const SHOWN_FOR: Duration = Duration::from_secs(60);

/// The gauges of the queue and of unfinished signatures.
#[derive(Clone, Debug)]
pub(super) struct QueueGauges {
    jobs: IntGaugeVec,
    events: IntGaugeVec,
    signatures: IntGaugeVec,
    oldest: Gauge,
    counted_at: Arc<Mutex<Option<Instant>>>,
}

impl QueueGauges {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let states = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["state"]);
        Ok(Self {
            jobs: states("watcher_jobs", "Unfinished jobs by state")?,
            events: states("watcher_queued_events", "Events by state")?,
            signatures: states("watcher_unfinished_signatures", "Ledger rows that are not attached, by stage")?,
            oldest: Gauge::new(
                "watcher_oldest_waiting_seconds",
                "How long ago the oldest push was announced that is not done, waiting or worked on",
            )?,
            counted_at: Arc::default(),
        })
    }

    pub(super) fn record(&self, counts: &LiveCounts, at: Instant) {
        let show = |gauges: &IntGaugeVec, values: &[(&str, u64)]| {
            for (state, count) in values {
                gauges.with_label_values(&[state]).set(i64::try_from(*count).unwrap_or(i64::MAX));
            }
        };
        show(
            &self.jobs,
            &[("ready", counts.jobs_ready), ("leased", counts.jobs_leased), ("parked", counts.jobs_parked)],
        );
        show(
            &self.events,
            &[("waiting", counts.events_waiting), ("leased", counts.events_leased), ("parked", counts.events_parked)],
        );
        show(
            &self.signatures,
            &[
                ("intended", counts.ledger_intended),
                ("signed", counts.ledger_signed),
                ("material", counts.ledger_material),
            ],
        );
        let oldest = counts.oldest_event_age_ms.max(counts.oldest_job_age_ms).unwrap_or(0);
        self.oldest.set(oldest as f64 / 1000.0);
        *self.counted_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    pub(super) fn forget(&self) {
        *self.counted_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Collector for QueueGauges {
    fn desc(&self) -> Vec<&Desc> {
        [self.jobs.desc(), self.events.desc(), self.signatures.desc(), self.oldest.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let counted_at = *self.counted_at.lock().unwrap_or_else(PoisonError::into_inner);
        if counted_at.is_none_or(|at| at.elapsed() > SHOWN_FOR) {
            return Vec::new();
        }
        [self.jobs.collect(), self.events.collect(), self.signatures.collect(), self.oldest.collect()].concat()
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Registry, TextEncoder};

    use super::*;

    #[test]
    fn a_number_that_is_not_counted_again_is_not_shown() {
        let (exposition, gauges) = (Registry::new(), QueueGauges::new().unwrap());
        exposition.register(Box::new(gauges.clone())).unwrap();
        let shown = || TextEncoder::new().encode_to_string(&exposition.gather()).unwrap();
        assert_eq!(shown(), "");
        let counts = LiveCounts {
            jobs_leased: 3,
            ledger_signed: 2,
            oldest_event_age_ms: Some(1_500),
            oldest_job_age_ms: Some(244_000),
            ..LiveCounts::default()
        };
        gauges.record(&counts, Instant::now());
        for series in [
            "watcher_jobs{state=\"leased\"} 3",
            "watcher_jobs{state=\"parked\"} 0",
            "watcher_queued_events{state=\"waiting\"} 0",
            "watcher_unfinished_signatures{state=\"signed\"} 2",
            "watcher_oldest_waiting_seconds 244",
        ] {
            assert!(shown().lines().any(|line| line == series), "{series} in\n{}", shown());
        }
        gauges.forget();
        assert_eq!(shown(), "", "counting failed");
        // Counting hangs.
        if let Some(long_ago) = Instant::now().checked_sub(SHOWN_FOR + Duration::from_secs(1)) {
            gauges.record(&counts, long_ago);
            assert_eq!(shown(), "");
        }
        gauges.record(&counts, Instant::now());
        assert!(shown().contains("watcher_jobs"));
    }
}
