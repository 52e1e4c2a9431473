//! What the roof tells this room: which logs, what is ours, whom to tell, and how patient to be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bundle::TrustRoot;
use secrecy::SecretString;
use store::Severity;
use tlog::{LogKey, WitnessPolicy};
use url::Url;

use crate::watchlist::WatchRule;

/// Everything that the monitor is told. Secrets are in [`SecretString`]s, which print nothing.
#[derive(Clone)]
pub struct MonitorConfig {
    /// The logs that the configuration and the trust material name now.
    pub material: TrustMaterial,
    /// Reads them again: shards appear, rotate and retire. An error keeps what is known.
    pub refresh: Option<Refresh>,
    /// What is ours, what is expected, and what is only collected.
    pub watches: Vec<WatchRule>,
    /// Whom to tell.
    pub sinks: Vec<SinkConfig>,
    /// Asked with GET while every log is verified: whoever is behind it alarms when that ends.
    pub heartbeat: Option<SecretString>,
    /// How patient to be.
    pub timing: Timing,
    /// How much at once.
    pub limits: Limits,
    /// The record of which logs were trusted, and how far they were verified, outside of the database.
    pub trust_record: PathBuf,
    /// This process among several, for the lease of a log: host and process id.
    pub holder: String,
}

/// Reads the trust material again.
pub type Refresh = Arc<dyn Fn() -> Result<TrustMaterial, String> + Send + Sync>;

/// The logs, and the certificate authorities that leaves are checked against.
#[derive(Clone)]
pub struct TrustMaterial {
    /// The logs to follow.
    pub logs: Vec<LogSpec>,
    /// Certificate authorities, logs and timestamp authorities, merged over all trust domains.
    pub trust: Arc<TrustRoot>,
}

/// One log to follow; a Rekor v1 server is one, and has a followed log for each of its shards.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSpec {
    /// The origin line of its checkpoints; of a Rekor v1 server the host name, of a CT log its base URL without scheme.
    pub origin: String,
    /// How it is read.
    pub kind: LogKind,
    /// Where it is read; `file:///…` for tiles on disk.
    pub read_url: Url,
    /// Its pinned key.
    pub key: LogKey,
    /// How much of it is read.
    pub coverage: Coverage,
    /// Whose cosignatures its checkpoints need.
    pub witnesses: Option<WitnessPolicy>,
    /// It is retired: read to its end, then it must not grow.
    pub closed: bool,
    /// Named by trust material (a trusted root or signing config) rather than by a table of its own: a successor that
    /// appears while others of the same kind are followed starts at zero by itself.
    pub announced: bool,
    /// A private CA (PEM) of its server.
    pub ca_pem: Option<Vec<u8>>,
    /// The proxy that leads to its server.
    pub proxy: Option<outbound::Proxy>,
    /// How long it may be without a new checkpoint; by default [`Timing::stale_after`].
    pub stale_after: Option<Duration>,
    /// The most requests per second to its host.
    pub requests_per_second: Option<u32>,
}

impl LogSpec {
    /// Whether this is a Rekor v1 server whose name is only a guess: trust material says where it is and what its key is,
    /// and a server may sign as another host than the one in its URL.
    pub(crate) fn is_named_by_url(&self) -> bool {
        self.kind == LogKind::RekorV1 && self.read_url.host_str() == Some(&self.origin)
    }
}

impl LogSpec {
    /// A log that is read whole, and of which nothing more is known than where it is and with what it signs.
    pub fn new(origin: &str, kind: LogKind, read_url: Url, key: LogKey) -> Self {
        Self {
            origin: origin.to_owned(),
            kind,
            read_url,
            key,
            coverage: Coverage::Exhaustive,
            witnesses: None,
            closed: false,
            announced: false,
            ca_pem: None,
            proxy: None,
            stale_after: None,
            requests_per_second: None,
        }
    }
}

/// How a log is read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LogKind {
    /// Rekor v2: tiles.
    RekorV2,
    /// Rekor v1: its REST API.
    RekorV1,
    /// RFC 6962.
    Rfc6962,
    /// static-ct.
    StaticCt,
}

impl LogKind {
    /// The word for reports and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            LogKind::RekorV2 => "rekor_v2",
            LogKind::RekorV1 => "rekor_v1",
            LogKind::Rfc6962 => "ct_rfc6962",
            LogKind::StaticCt => "ct_static",
        }
    }
}

/// How much of a log is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Coverage {
    /// Every leaf is hashed into a signed root.
    Exhaustive,
    /// Heads are checked against each other, and our own entries against them; nobody else's leaves are read.
    OwnEntries,
}

impl Coverage {
    /// The word for reports and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Coverage::Exhaustive => "exhaustive",
            Coverage::OwnEntries => "own_entries",
        }
    }
}

/// How patient to be.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between two questions for a log's head.
    pub interval: Duration,
    /// How long a mismatch is fetched again, past caches, before it is a finding.
    pub confirm_for: Duration,
    /// How long a smaller head may persist (replicas lag) before it is a finding.
    pub rollback_after: Duration,
    /// How long an entry under our key may be ahead of the ledger that we read.
    pub grace: Duration,
    /// By when an entry of ours must be under a verified head.
    pub inclusion_deadline: Duration,
    /// How long a log may be without a new head. A log that nobody writes to is idle, not stale: choose by its traffic.
    pub stale_after: Duration,
    /// How long a log may be out of reach.
    pub blind_after: Duration,
    /// How long the verified position may be behind the head.
    pub lag_after: Duration,
    /// By when each watch must have matched once.
    pub never_matched_after: Duration,
    /// How far a signed time may be from ours.
    pub clock_skew: Duration,
    /// Between two readings of the trust material.
    pub refresh_every: Duration,
    /// Between two re-proofs of a random entry of ours, and two looks at closed shards.
    pub reproof_every: Duration,
    /// How long a sink may fail before that is a finding.
    pub sink_dead_after: Duration,
    /// Between two heartbeats.
    pub heartbeat_every: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            confirm_for: Duration::from_secs(600),
            rollback_after: Duration::from_secs(600),
            grace: Duration::from_secs(30),
            inclusion_deadline: Duration::from_secs(900),
            stale_after: Duration::from_secs(86_400),
            blind_after: Duration::from_secs(900),
            lag_after: Duration::from_secs(900),
            never_matched_after: Duration::from_secs(30 * 86_400),
            clock_skew: Duration::from_secs(120),
            refresh_every: Duration::from_secs(60),
            reproof_every: Duration::from_secs(60),
            sink_dead_after: Duration::from_secs(900),
            heartbeat_every: Duration::from_secs(60),
        }
    }
}

/// How much at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Leaves between two commits of the verified position.
    pub segment_leaves: u64,
    /// Requests in flight to one log.
    pub in_flight: usize,
    /// Bytes of leaves of one log that are asked for and not matched yet, as they are expected.
    pub asked_bytes: usize,
    /// Bytes of them that are received at once; what has no room waits on its way.
    pub received_bytes: usize,
    /// Bytes of matched leaves that wait for the proof of their segment.
    pub held_bytes: usize,
    /// Bytes of partial tiles and bundles per hour and log.
    pub partial_bytes_per_hour: u64,
    /// Findings of one key or watch rule a day that are told one by one. What is beyond them is one finding.
    pub told_apart: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            segment_leaves: 65_536,
            in_flight: 70,
            asked_bytes: 40 << 20,
            received_bytes: 2 << 20,
            held_bytes: 16 << 20,
            partial_bytes_per_hour: 256 << 20,
            told_apart: 100,
        }
    }
}

/// Somebody to tell.
#[derive(Clone)]
pub struct SinkConfig {
    /// Its name: a metric label, and the outbox's key.
    pub name: String,
    /// What is told from this severity up.
    pub min_severity: Severity,
    /// How.
    pub kind: SinkKind,
}

/// How somebody is told. What may hold a token is a secret: webhook URLs are.
#[derive(Clone)]
pub enum SinkKind {
    /// Alertmanager's v2 API.
    Alertmanager {
        /// Its base URL.
        url: SecretString,
        /// A private CA (PEM).
        ca_pem: Option<Vec<u8>>,
    },
    /// JSON, signed with HMAC-SHA256.
    Webhook {
        /// Where.
        url: SecretString,
        /// The key of the HMAC.
        secret: SecretString,
        /// A private CA (PEM).
        ca_pem: Option<Vec<u8>>,
    },
    /// A Slack-compatible incoming webhook.
    Slack {
        /// Where.
        url: SecretString,
        /// A private CA (PEM).
        ca_pem: Option<Vec<u8>>,
    },
    /// PagerDuty events v2.
    PagerDuty {
        /// The API, for relays and tests.
        url: SecretString,
        /// The routing key.
        routing_key: SecretString,
        /// A private CA (PEM).
        ca_pem: Option<Vec<u8>>,
    },
    /// Mail.
    Mail {
        /// `smtp://host:port` (STARTTLS; plain to loopback only, or with `plain`), `smtps://host:port`.
        url: Url,
        /// User and password.
        login: Option<(String, SecretString)>,
        /// From.
        from: String,
        /// To.
        to: Vec<String>,
        /// No TLS although it is not loopback.
        plain: bool,
        /// A private CA (PEM).
        ca_pem: Option<Vec<u8>>,
    },
    /// A program, with the alert as JSON on its standard input.
    Command {
        /// Program and arguments.
        argv: Vec<String>,
        /// More environment.
        env: BTreeMap<String, String>,
    },
}
