//! What this room counts. The label `log` is an origin from the configuration or the trust material, `host` a host of
//! theirs; all others are closed sets. Times are Unix seconds, so that what is absent or old alarms.

use prometheus::core::Collector;
use prometheus::{Gauge, GaugeVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry as Exposition};
use store::{FindingKind, OutboxCount, Severity};

use crate::alert::SinkCount;
use crate::config::Coverage;
use crate::follow::LogStatus;
use crate::log::PaceReading;
use crate::reconcile::Reason;

/// The counters and gauges of the monitor.
#[derive(Clone, Debug)]
pub struct Metrics {
    checkpoint_size: IntGaugeVec,
    checkpoint_time: GaugeVec,
    checkpoint_seen_time: GaugeVec,
    verified_size: IntGaugeVec,
    verified_time: GaugeVec,
    first_size: IntGaugeVec,
    read_size: IntGaugeVec,
    lag: IntGaugeVec,
    coverage: IntGaugeVec,
    cosignatures: IntGaugeVec,
    in_doubt: IntGaugeVec,
    failing: IntGaugeVec,
    followed: IntGaugeVec,
    frozen: IntGaugeVec,
    leaves_read: IntCounterVec,
    leaves_verified: IntCounterVec,
    doubts_dispelled: IntCounterVec,
    leaves_counted: IntGaugeVec,
    requests: IntCounterVec,
    request_failures: IntCounterVec,
    rate_limited: IntCounterVec,
    received: IntCounterVec,
    received_partial: IntCounterVec,
    findings_open: IntGaugeVec,
    alerts: IntCounterVec,
    alerts_waiting: IntGaugeVec,
    alerts_oldest: GaugeVec,
    suspects: IntGauge,
    own_entries: IntGaugeVec,
    up_to_date: IntGauge,
    up_to_date_time: Gauge,
    heartbeat_time: Gauge,
}

impl Metrics {
    /// Creates the metrics and registers them.
    pub fn new(exposition: &Exposition) -> Result<Self, prometheus::Error> {
        let made = Make(exposition);
        let per_log = ["log"].as_slice();
        let per_host = ["host"].as_slice();
        Ok(Self {
            checkpoint_size: made.sizes(
                "sealwatch_log_checkpoint_size",
                "Leaves of the newest head that is known to be consistent",
                per_log,
            )?,
            checkpoint_time: made.times(
                "sealwatch_log_checkpoint_timestamp_seconds",
                "When a head of the log last opened with its pinned key",
                per_log,
            )?,
            checkpoint_seen_time: made.times(
                "sealwatch_log_checkpoint_changed_timestamp_seconds",
                "When the newest consistent head was first seen",
                per_log,
            )?,
            verified_size: made.sizes(
                "sealwatch_log_verified_size",
                "Up to where every leaf was hashed into a signed root and matched",
                per_log,
            )?,
            verified_time: made.times(
                "sealwatch_log_verified_timestamp_seconds",
                "When everything up to the newest head was last verified",
                per_log,
            )?,
            first_size: made.sizes("sealwatch_log_first_size", "From which leaf on the log is covered", per_log)?,
            read_size: made.sizes("sealwatch_log_read_size", "Up to where leaves were read", per_log)?,
            lag: made.sizes(
                "sealwatch_log_scan_lag_leaves",
                "Leaves of the newest consistent head that are not verified",
                per_log,
            )?,
            coverage: made.sizes(
                "sealwatch_log_coverage",
                "1 for how much of the log is read: exhaustive or own_entries",
                &["log", "mode"],
            )?,
            cosignatures: made.sizes(
                "sealwatch_log_cosignatures",
                "Witnesses of the policy that have cosigned the newest head",
                per_log,
            )?,
            in_doubt: made.sizes(
                "sealwatch_log_in_doubt",
                "1 while something that the log says or serves does not fit",
                per_log,
            )?,
            failing: made.sizes("sealwatch_log_failing", "1 while the log cannot be read", per_log)?,
            followed: made.sizes("sealwatch_log_followed", "1 where this process follows the log", per_log)?,
            frozen: made.sizes("sealwatch_log_frozen", "1 where the log is closed for good", per_log)?,
            leaves_read: made.counters("sealwatch_log_leaves_read_total", "Leaves read and hashed", per_log)?,
            leaves_verified: made.counters(
                "sealwatch_log_leaves_verified_total",
                "Leaves verified under a signed root, matched and judged",
                per_log,
            )?,
            doubts_dispelled: made.counters(
                "sealwatch_log_doubts_dispelled_total",
                "What did not fit, and did when it was looked at again",
                per_log,
            )?,
            leaves_counted: made.sizes(
                "sealwatch_monitor_leaves_counted",
                "Leaves about us that page nobody, by reason, since the database was made",
                &["reason"],
            )?,
            requests: made.counters("sealwatch_log_requests_total", "Requests to the hosts of logs", per_host)?,
            request_failures: made.counters(
                "sealwatch_log_request_failures_total",
                "Requests without a usable answer",
                per_host,
            )?,
            rate_limited: made.counters("sealwatch_log_rate_limited_total", "Requests answered with 429", per_host)?,
            received: made.counters("sealwatch_log_received_bytes_total", "Bytes of answers", per_host)?,
            received_partial: made.counters(
                "sealwatch_log_received_partial_bytes_total",
                "Bytes of partial tiles, which are read again when they have grown",
                per_host,
            )?,
            findings_open: made.sizes(
                "sealwatch_monitor_findings_open",
                "Findings that are neither acknowledged nor over",
                &["kind", "severity"],
            )?,
            alerts: made.counters(
                "sealwatch_monitor_alerts_total",
                "Alerts by sink and outcome: sent or failed",
                &["sink", "outcome"],
            )?,
            alerts_waiting: made.sizes("sealwatch_monitor_alerts_waiting", "Alerts that wait", &["sink"])?,
            alerts_oldest: made.times(
                "sealwatch_monitor_alerts_oldest_seconds",
                "How long the oldest alert that waits has waited",
                &["sink"],
            )?,
            suspects: made.size(
                "sealwatch_monitor_suspects_waiting",
                "Leaves under our name that wait for the ledger's grace period",
            )?,
            own_entries: made.sizes(
                "sealwatch_monitor_own_entries",
                "Entries of the ledger by state: waiting, proved, withheld",
                &["state"],
            )?,
            up_to_date: made.size(
                "sealwatch_monitor_up_to_date",
                "1 while every log is verified within its bounds and no sink is dead",
            )?,
            up_to_date_time: made.time("sealwatch_monitor_up_to_date_timestamp_seconds", "When that was last so")?,
            heartbeat_time: made
                .time("sealwatch_monitor_heartbeat_timestamp_seconds", "When the heartbeat URL last answered")?,
        })
    }

    /// Shows where a log stands.
    pub(crate) fn show_log(&self, status: &LogStatus) {
        let log = [status.log.origin.as_str()];
        let sizes = [
            (&self.checkpoint_size, status.size()),
            (&self.verified_size, status.verified_size),
            (&self.first_size, status.first_size),
            (&self.read_size, status.read_size),
            (&self.lag, status.lag()),
            (&self.cosignatures, status.cosigned as u64),
            (&self.in_doubt, status.in_doubt.into()),
            (&self.failing, status.failing.is_some().into()),
            (&self.followed, status.held.into()),
            (&self.frozen, status.frozen.into()),
        ];
        for (gauge, value) in sizes {
            gauge.with_label_values(&log).set(signed(value));
        }
        let times = [
            (&self.checkpoint_time, status.opened_at),
            (&self.checkpoint_seen_time, status.head.as_ref().map(|_| status.head_seen_at)),
            (&self.verified_time, status.verified_at.filter(|_| status.coverage == Coverage::Exhaustive)),
        ];
        for (gauge, time) in times {
            if let Some(time) = time {
                gauge.with_label_values(&log).set(seconds(time));
            }
        }
        for mode in [Coverage::Exhaustive, Coverage::OwnEntries] {
            let labels = [status.log.origin.as_str(), mode.as_str()];
            self.coverage.with_label_values(&labels).set((mode == status.coverage).into());
        }
        for counter in [&self.leaves_read, &self.leaves_verified, &self.doubts_dispelled] {
            counter.with_label_values(&log);
        }
    }

    /// A log that is not followed any more shows nothing.
    pub(crate) fn forget_log(&self, origin: &str) {
        let log = [origin];
        let sizes = [
            &self.checkpoint_size,
            &self.verified_size,
            &self.first_size,
            &self.read_size,
            &self.lag,
            &self.cosignatures,
            &self.in_doubt,
            &self.failing,
            &self.followed,
            &self.frozen,
        ];
        // An error says that there was nothing.
        for gauge in sizes {
            let _ = gauge.remove_label_values(&log);
        }
        for gauge in [&self.checkpoint_time, &self.checkpoint_seen_time, &self.verified_time] {
            let _ = gauge.remove_label_values(&log);
        }
        for mode in [Coverage::Exhaustive, Coverage::OwnEntries] {
            let _ = self.coverage.remove_label_values(&[origin, mode.as_str()]);
        }
    }

    pub(crate) fn read(&self, origin: &str, leaves: u64) {
        self.leaves_read.with_label_values(&[origin]).inc_by(leaves);
    }

    pub(crate) fn verified(&self, origin: &str, leaves: u64) {
        self.leaves_verified.with_label_values(&[origin]).inc_by(leaves);
    }

    pub(crate) fn dispelled(&self, origin: &str) {
        self.doubts_dispelled.with_label_values(&[origin]).inc();
    }

    /// Shows how hosts of logs answer.
    pub(crate) fn show_paces(&self, paces: &[PaceReading]) {
        for pace in paces {
            let counts = [
                (&self.requests, pace.requests),
                (&self.request_failures, pace.failures),
                (&self.rate_limited, pace.rate_limited),
                (&self.received, pace.bytes),
                (&self.received_partial, pace.partial_bytes),
            ];
            for (counter, count) in counts {
                raise_to(counter, &[&pace.host], count);
            }
        }
    }

    /// Shows which findings are open: zero for every kind that is not.
    pub(crate) fn show_findings(&self, open: &[(FindingKind, Severity, u64)]) {
        // Set, never reset: a scrape between two steps would see an alarm end.
        for kind in FindingKind::ALL.iter().copied() {
            for severity in Severity::ALL.iter().copied() {
                let counts = open.iter().filter(|it| (it.0, it.1) == (kind, severity)).map(|it| it.2);
                self.findings_open.with_label_values(&[kind.as_str(), severity.as_str()]).set(signed(counts.sum()));
            }
        }
    }

    /// Shows what the sinks took, and what waits for them.
    pub(crate) fn show_alerts(&self, counts: &[SinkCount], waiting: &[OutboxCount]) {
        for count in counts {
            raise_to(&self.alerts, &[&count.sink, "sent"], count.sent);
            raise_to(&self.alerts, &[&count.sink, "failed"], count.failed);
            let waiting = waiting.iter().find(|waiting| waiting.sink == count.sink);
            let sink = [count.sink.as_str()];
            self.alerts_waiting.with_label_values(&sink).set(waiting.map_or(0, |it| signed(it.waiting)));
            let oldest = waiting.map_or(0, |it| it.oldest_age_ms);
            self.alerts_oldest.with_label_values(&sink).set(seconds(oldest));
        }
    }

    /// Shows what waits between log and ledger.
    pub(crate) fn show_ledger(&self, suspects: u64, own_entries: &[(&str, u64)], counted: &[(String, u64)]) {
        self.suspects.set(signed(suspects));
        for (state, count) in own_entries {
            self.own_entries.with_label_values(&[state]).set(signed(*count));
        }
        // What was never counted is zero, and there: a rule may ask for it.
        for reason in Reason::ALL {
            self.leaves_counted.with_label_values(&[reason.as_str()]);
        }
        for (reason, count) in counted {
            self.leaves_counted.with_label_values(&[reason]).set(signed(*count));
        }
    }

    /// Shows whether everything is verified.
    pub(crate) fn show_up_to_date(&self, up_to_date: bool, now: i64) {
        self.up_to_date.set(up_to_date.into());
        if up_to_date {
            self.up_to_date_time.set(seconds(now));
        }
    }

    pub(crate) fn heartbeat(&self, now: i64) {
        self.heartbeat_time.set(seconds(now));
    }
}

/// Makes metrics and registers them.
struct Make<'a>(&'a Exposition);

impl Make<'_> {
    fn registered<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn sizes(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.registered(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn size(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.registered(IntGauge::new(name, help)?)
    }

    fn times(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, prometheus::Error> {
        self.registered(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn time(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        self.registered(Gauge::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.registered(IntCounterVec::new(Opts::new(name, help), labels)?)
    }
}

/// Sets a counter to what was counted elsewhere since the start.
fn raise_to(counters: &IntCounterVec, labels: &[&str], count: u64) {
    let counter = counters.with_label_values(labels);
    counter.inc_by(count.saturating_sub(counter.get()));
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
