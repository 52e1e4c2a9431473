//! What this room counts. Labels are closed sets: names from the configuration and codes from our enums, never
//! a digest, a tag or anything that a sender chose.

use bundle::Format;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry as Exposition};

use crate::endpoint::Endpoint;
use crate::registry::RegistryError;

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
    jobs: IntGaugeVec,
    queued_events: IntGaugeVec,
    oldest_waiting: prometheus::GaugeVec,
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
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
            exposition.register(Box::new(gauges.clone()))?;
            Ok::<_, prometheus::Error>(gauges)
        };
        let dead_letters =
            IntCounter::new("watcher_dead_letters_total", "Bodies kept because nothing could read them")?;
        exposition.register(Box::new(dead_letters.clone()))?;
        let last_event = prometheus::GaugeVec::new(
            Opts::new(
                "watcher_last_event_timestamp_seconds",
                "When a source was last heard (authenticated), Unix time",
            ),
            &["source"],
        )?;
        exposition.register(Box::new(last_event.clone()))?;
        let oldest_waiting = prometheus::GaugeVec::new(
            Opts::new("watcher_oldest_waiting_seconds", "Age of the oldest event or job that is not done"),
            &[],
        )?;
        exposition.register(Box::new(oldest_waiting.clone()))?;
        let push_to_signed = Histogram::with_opts(
            HistogramOpts::new("watcher_push_to_signed_seconds", "From the event to the attached signatures")
                .buckets(vec![0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 300.0, 1800.0, 7200.0]),
        )?;
        exposition.register(Box::new(push_to_signed.clone()))?;
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
            jobs: gauges("watcher_jobs", "Jobs by state", &["state"])?,
            queued_events: gauges("watcher_queued_events", "Events by state", &["state"])?,
            oldest_waiting,
            endpoint_trouble: gauges(
                "watcher_endpoint_trouble",
                "1 while an endpoint is in trouble and what needs it waits",
                &["kind", "endpoint"],
            )?,
            push_to_signed,
        })
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

    /// An endpoint is in trouble, or is well again.
    pub(crate) fn endpoint(&self, endpoint: &Endpoint, in_trouble: bool) {
        self.endpoint_trouble.with_label_values(&[endpoint.kind(), endpoint.name()]).set(i64::from(in_trouble));
    }

    /// Forgets what the store counted, when it could not be counted again.
    pub(crate) fn forget_counts(&self) {
        self.jobs.reset();
        self.queued_events.reset();
        self.oldest_waiting.reset();
    }

    /// Takes over what the store counted.
    pub fn record_counts(&self, counts: &store::Counts) {
        for (state, count) in [
            ("ready", counts.jobs_ready),
            ("leased", counts.jobs_leased),
            ("done", counts.jobs_done),
            ("skipped", counts.jobs_skipped),
            ("parked", counts.jobs_parked),
        ] {
            self.jobs.with_label_values(&[state]).set(gauge(count));
        }
        for (state, count) in
            [("waiting", counts.events_waiting), ("leased", counts.events_leased), ("parked", counts.events_parked)]
        {
            self.queued_events.with_label_values(&[state]).set(gauge(count));
        }
        let oldest = counts.oldest_event_age_ms.max(counts.oldest_job_age_ms).unwrap_or(0);
        self.oldest_waiting.with_label_values::<&str>(&[]).set(oldest as f64 / 1000.0);
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
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
