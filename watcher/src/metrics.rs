//! What this room counts. Labels are closed sets: names from the configuration and codes from our enums, never
//! a digest, a tag or anything that a sender chose. What is in the store is shown by [`queue`] alone.

mod queue;

use bundle::Format;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry as Exposition};

use crate::endpoint::Endpoint;
use crate::registry::RegistryError;

use queue::QueueGauges;

/// The counters, gauges and histograms of the watcher.
#[derive(Clone, Debug)]
pub struct Metrics {
    events: IntCounterVec,
    hook_refusals: IntCounterVec,
    auth_failures: IntCounterVec,
    dead_letters: IntCounter,
    dead_letters_dropped: IntCounterVec,
    last_event: prometheus::GaugeVec,
    skips: IntCounterVec,
    signatures: IntCounterVec,
    parked: IntCounterVec,
    retries: IntCounterVec,
    registry_errors: IntCounterVec,
    queue: QueueGauges,
    endpoint_trouble: IntGaugeVec,
    push_to_signed: Histogram,
}

impl Metrics {
    /// Creates the metrics and registers them.
    pub fn new(exposition: &Exposition) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            exposition.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let dead_letters =
            IntCounter::new("watcher_dead_letters_total", "Bodies kept because nothing could read them")?;
        exposition.register(Box::new(dead_letters.clone()))?;
        let last_event = prometheus::GaugeVec::new(
            Opts::new(
                "watcher_last_event_timestamp_seconds",
                "When a source was last heard (authenticated), or else when this process started, Unix time",
            ),
            &["source"],
        )?;
        exposition.register(Box::new(last_event.clone()))?;
        let push_to_signed = Histogram::with_opts(
            HistogramOpts::new("watcher_push_to_signed_seconds", "From the event to the attached signatures")
                .buckets(vec![0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 300.0, 1800.0, 7200.0]),
        )?;
        exposition.register(Box::new(push_to_signed.clone()))?;
        let queue = QueueGauges::new()?;
        exposition.register(Box::new(queue.clone()))?;
        let endpoint_trouble = IntGaugeVec::new(
            Opts::new("watcher_endpoint_trouble", "1 while an endpoint is in trouble and what needs it waits"),
            &["kind", "endpoint"],
        )?;
        exposition.register(Box::new(endpoint_trouble.clone()))?;
        Ok(Self {
            events: counters(
                "watcher_events_total",
                "What webhooks told, by source and outcome",
                &["source", "outcome"],
            )?,
            hook_refusals: counters(
                "watcher_hook_refusals_total",
                "Webhook requests that were refused, by reason",
                &["reason"],
            )?,
            auth_failures: counters(
                "watcher_auth_failures_total",
                "Webhook requests with a wrong or missing credential",
                &["source"],
            )?,
            dead_letters,
            dead_letters_dropped: counters(
                "watcher_dead_letters_dropped_total",
                "Bodies that were not kept because their source had its dead letters of the day",
                &["source"],
            )?,
            last_event,
            skips: counters("watcher_skips_total", "Events and digests that were not signed, by reason", &["reason"])?,
            signatures: counters(
                "watcher_signatures_total",
                "Signatures by format and how each came to be on the image",
                &["format", "outcome"],
            )?,
            parked: counters("watcher_parked_total", "Events and jobs that wait for a person", &["kind"])?,
            retries: counters("watcher_retries_total", "Tries that failed and will be repeated", &["kind"])?,
            registry_errors: counters(
                "watcher_registry_errors_total",
                "Failed calls to registries, by kind of failure",
                &["kind"],
            )?,
            queue,
            endpoint_trouble,
            push_to_signed,
        }
        .begun())
    }

    /// Has every series whose labels are known from the start begin at 0, so that `rate` sees the first burst.
    fn begun(self) -> Self {
        for format in Format::ALL {
            for outcome in ["attached", "attached_again", "adopted", "failed"] {
                self.signatures.with_label_values(&[format.as_str(), outcome]);
            }
        }
        for kind in ["event", "job"] {
            self.parked.with_label_values(&[kind]);
        }
        for kind in ["registry", "endpoint", "store", "key", "log", "configuration", "contention", "timeout"] {
            self.retries.with_label_values(&[kind]);
        }
        for kind in [
            "unreachable",
            "forbidden_target",
            "unauthorized",
            "denied",
            "forbidden_realm",
            "rate_limited",
            "unavailable",
            "not_found",
            "digest_mismatch",
            "immutable_tag",
            "manifest",
            "too_many",
            "contended",
            "refused",
        ] {
            self.registry_errors.with_label_values(&[kind]);
        }
        for reason in ["unknown_source", "unauthorized", "too_large", "too_slow", "broken_off", "not_persisted"] {
            self.hook_refusals.with_label_values(&[reason]);
        }
        self
    }

    /// The same for the sources of the configuration: each was last heard now.
    pub fn expect_sources<'n>(&self, names: impl IntoIterator<Item = &'n String>, now_ms: i64) {
        for name in names {
            self.auth_failures.with_label_values(&[name]);
            for outcome in ["accepted", "dead_letter", "not_persisted"] {
                self.events.with_label_values(&[name.as_str(), outcome]);
            }
            self.heard(name, now_ms);
        }
    }

    pub(crate) fn event(&self, source: &str, outcome: &'static str, count: u64) {
        self.events.with_label_values(&[source, outcome]).inc_by(count);
    }

    pub(crate) fn heard(&self, source: &str, now_ms: i64) {
        self.last_event.with_label_values(&[source]).set(now_ms as f64 / 1000.0);
    }

    pub(crate) fn hook_refused(&self, reason: &'static str) {
        self.hook_refusals.with_label_values(&[reason]).inc();
    }

    pub(crate) fn auth_failed(&self, source: &str) {
        self.auth_failures.with_label_values(&[source]).inc();
    }

    pub(crate) fn dead_letter(&self) {
        self.dead_letters.inc();
    }

    pub(crate) fn dead_letter_dropped(&self, source: &str) {
        self.dead_letters_dropped.with_label_values(&[source]).inc();
    }

    pub(crate) fn skipped(&self, reason: &'static str) {
        self.skips.with_label_values(&[reason]).inc();
    }

    pub(crate) fn signature(&self, format: Format, outcome: &'static str) {
        self.signatures.with_label_values(&[format.as_str(), outcome]).inc();
    }

    pub(crate) fn parked(&self, kind: &'static str) {
        self.parked.with_label_values(&[kind]).inc();
    }

    pub(crate) fn retried(&self, kind: &'static str) {
        self.retries.with_label_values(&[kind]).inc();
    }

    pub(crate) fn registry_error(&self, error: &RegistryError) {
        self.registry_errors.with_label_values(&[kind(error)]).inc();
    }

    pub(crate) fn push_to_signed(&self, elapsed_ms: i64) {
        self.push_to_signed.observe(elapsed_ms.max(0) as f64 / 1000.0);
    }

    /// Takes over what the store counted. What is not counted again within a minute is not shown.
    pub fn record_counts(&self, counts: &store::LiveCounts) {
        self.queue.record(counts, std::time::Instant::now());
    }

    /// Forgets what the store counted, when it could not be counted again: nothing is shown rather than what was.
    pub(crate) fn forget_counts(&self) {
        self.queue.forget();
    }

    /// An endpoint is in trouble, or is well again.
    pub(crate) fn endpoint(&self, endpoint: &Endpoint, in_trouble: bool) {
        self.endpoint_trouble.with_label_values(&[endpoint.kind(), endpoint.name()]).set(i64::from(in_trouble));
    }
}

fn kind(error: &RegistryError) -> &'static str {
    match error {
        RegistryError::Outbound { .. } => "unreachable",
        RegistryError::ForbiddenTarget { .. } => "forbidden_target",
        RegistryError::Unauthorized { .. } | RegistryError::Credentials { .. } => "unauthorized",
        RegistryError::Denied { .. } => "denied",
        RegistryError::ForbiddenRealm { .. } => "forbidden_realm",
        RegistryError::RateLimited { .. } => "rate_limited",
        RegistryError::Unavailable { .. } => "unavailable",
        RegistryError::NotFound { .. } | RegistryError::NotListed { .. } => "not_found",
        RegistryError::DigestMismatch { .. } => "digest_mismatch",
        RegistryError::ImmutableTag { .. } => "immutable_tag",
        RegistryError::Manifest { .. } => "manifest",
        RegistryError::Occupied(_) => "occupied",
        RegistryError::TooMany { .. } => "too_many",
        RegistryError::Contended { .. } => "contended",
        _ => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_counted_is_there_before_it_happens() {
        let exposition = Exposition::new();
        let metrics = Metrics::new(&exposition).unwrap();
        metrics.expect_sources([&"ci".to_owned()], 1_700_000_000_000);
        let text = prometheus::TextEncoder::new().encode_to_string(&exposition.gather()).unwrap();
        for series in [
            "watcher_auth_failures_total{source=\"ci\"} 0",
            "watcher_events_total{outcome=\"accepted\",source=\"ci\"} 0",
            "watcher_last_event_timestamp_seconds{source=\"ci\"} 1700000000",
            "watcher_signatures_total{format=\"bundle\",outcome=\"attached\"} 0",
            "watcher_signatures_total{format=\"legacy\",outcome=\"failed\"} 0",
            "watcher_parked_total{kind=\"event\"} 0",
            "watcher_retries_total{kind=\"log\"} 0",
            "watcher_registry_errors_total{kind=\"unreachable\"} 0",
            "watcher_hook_refusals_total{reason=\"unknown_source\"} 0",
            "watcher_dead_letters_total 0",
        ] {
            assert!(text.lines().any(|line| line == series), "{series} in\n{text}");
        }
        assert!(!text.contains("watcher_jobs") && !text.contains("watcher_oldest"), "nothing was counted yet: {text}");
    }
}
