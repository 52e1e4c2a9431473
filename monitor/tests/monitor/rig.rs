//! What every story here needs: a log, a database, a monitor that is in a hurry, and ways to wait.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bundle::TrustRoot;
use monitor::config::{Limits, TrustMaterial};
use monitor::watchlist::{WatchKind, WatchMode, WatchRule};
use monitor::{From, LogKind, LogSpec, Monitor, MonitorConfig, Timing};
use sandbox::{LogOptions, SandboxLog, leaves};
use store::{FindingFilter, FindingKind, FindingRow, FollowedLog, Store};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The number of a leaf whose key is ours: every use of it is rogue, since no ledger here knows of any.
pub(crate) const OURS: u64 = 4;
/// Leaves are signed with so many keys in turn, and every second one with a key.
const KEYS: u64 = leaves::KEYS;

/// A folder with a database and a trust record.
pub(crate) struct Rig {
    pub(crate) folder: TempDir,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) config: MonitorConfig,
}

/// A monitor at work.
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), monitor::MonitorError>>,
}

/// A log with leaves that have nothing to do with us.
pub(crate) async fn log_with(count: u64) -> SandboxLog {
    let log = SandboxLog::start(LogOptions::default()).await.expect("a log");
    log.extend(foreign(0..count));
    log
}

/// Leaves that have nothing to do with us.
pub(crate) fn foreign(numbers: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    leaves::many(numbers, |number| leaves::leaf(if number % KEYS == OURS { number + 1 } else { number }))
}

/// A leaf that is signed with our key; another one for each number.
pub(crate) fn rogue(number: u64) -> Vec<u8> {
    leaves::key_leaf(number * KEYS + OURS)
}

pub(crate) fn spec(log: &SandboxLog) -> LogSpec {
    LogSpec::new(log.origin(), LogKind::RekorV2, log.read_url().parse().expect("a url"), log.key().clone())
}

/// In a hurry.
pub(crate) fn timing() -> Timing {
    Timing {
        interval: Duration::from_millis(60),
        confirm_for: Duration::from_millis(400),
        rollback_after: Duration::from_millis(400),
        grace: Duration::from_millis(100),
        refresh_every: Duration::from_millis(150),
        reproof_every: Duration::from_millis(200),
        ..Timing::default()
    }
}

impl Rig {
    pub(crate) async fn new(logs: Vec<LogSpec>) -> Rig {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("monitor.db").display());
        let store = store::open(&url).await.expect("a store");
        let config = config(&folder.path().join("trusted"), logs);
        Rig { folder, store, config }
    }

    /// One log, trusted from its first leaf.
    pub(crate) async fn following(log: &SandboxLog) -> Rig {
        let rig = Rig::new(vec![spec(log)]).await;
        rig.trust(log.origin(), From::Zero).await;
        rig
    }

    pub(crate) fn monitor(&self) -> Monitor {
        Monitor::new(self.config.clone(), Arc::clone(&self.store), &prometheus::Registry::new()).expect("a monitor")
    }

    pub(crate) async fn trust(&self, origin: &str, from: From) -> Vec<FollowedLog> {
        self.monitor().trust(origin, from, "a test", "tests").await.expect("trusted")
    }

    pub(crate) fn start(&self) -> Running {
        let monitor = self.monitor();
        let (stop, stopped) = watch::channel(false);
        Running { stop, task: tokio::spawn(monitor.run(stopped)) }
    }

    pub(crate) async fn log(&self, origin: &str) -> FollowedLog {
        self.store.followed_log(origin).await.expect("the store").expect("a followed log")
    }

    pub(crate) async fn findings(&self) -> Vec<FindingRow> {
        self.store.findings(&FindingFilter { limit: 1_000, ..FindingFilter::default() }).await.expect("findings")
    }

    pub(crate) async fn of_kind(&self, kind: FindingKind) -> Vec<FindingRow> {
        self.findings().await.into_iter().filter(|row| row.kind == kind).collect()
    }

    /// Waits until every leaf up to `size` is verified.
    pub(crate) async fn verified(&self, origin: &str, size: u64) {
        eventually(&format!("{origin} is verified up to {size}"), async || {
            self.log(origin).await.verified_size >= size
        })
        .await;
    }

    /// Waits for a finding of this kind.
    pub(crate) async fn finds(&self, kind: FindingKind) -> FindingRow {
        eventually(&format!("a finding {kind}"), async || !self.of_kind(kind).await.is_empty()).await;
        self.of_kind(kind).await.remove(0)
    }

    /// Checks that the finding's evidence holds by itself, and whether it convinces anybody.
    pub(crate) async fn evidence_holds(&self, finding: &FindingRow) -> bool {
        let rows = self.store.evidence(finding.id).await.expect("evidence");
        let bytes = rows.first().and_then(|row| row.evidence.clone()).expect("evidence is kept");
        let verdict = monitor::evidence::verify(&bytes).expect("an intact file");
        assert!(verdict.holds, "{:?}", verdict.says);
        verdict.attributable
    }

    /// Nothing but these kinds was found.
    pub(crate) async fn only(&self, kinds: &[FindingKind]) {
        for row in self.findings().await {
            assert!(kinds.contains(&row.kind), "{}: {}", row.kind, row.detail);
        }
    }
}

pub(crate) fn config(record: &std::path::Path, logs: Vec<LogSpec>) -> MonitorConfig {
    let ours = WatchRule {
        name: "our key".into(),
        kind: WatchKind::Key { spki: leaves::key_spki(OURS), retired: false, label: "ours".into() },
        mode: WatchMode::Alert,
    };
    MonitorConfig {
        material: TrustMaterial { logs, trust: Arc::new(TrustRoot::empty()) },
        refresh: None,
        watches: vec![ours],
        sinks: Vec::new(),
        heartbeat: None,
        timing: timing(),
        limits: Limits { segment_leaves: 1024, ..Limits::default() },
        trust_record: PathBuf::from(record),
        holder: "tests".into(),
    }
}

impl Running {
    pub(crate) async fn stop(self) -> Result<(), monitor::MonitorError> {
        self.stop.send_replace(true);
        self.ended().await
    }

    pub(crate) async fn ended(self) -> Result<(), monitor::MonitorError> {
        self.task.await.expect("the monitor did not panic")
    }
}

/// Waits for something to become so.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so().await {
        assert!(Instant::now() < until, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
