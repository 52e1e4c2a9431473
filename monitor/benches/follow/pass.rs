//! One pass of a whole monitor over one log, with a new store.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bundle::TrustRoot;
use monitor::config::{Limits, TrustMaterial};
use monitor::{From, LogKind, LogSpec, Monitor, MonitorConfig, Progress, Timing};
use serde::{Deserialize, Serialize};
use tlog::LogKey;

use crate::Failed;
use crate::process::{Clock, Measured, memory_kib};
use crate::rules::rules;

/// A log to go through.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Log {
    v1: bool,
    url: String,
    origin: String,
    /// In hex.
    key: String,
    /// How many leaves it must have; 0: whatever it has.
    count: u64,
}

impl Log {
    pub(crate) fn v2(url: &str, origin: &str, key: &[u8], count: u64) -> Self {
        Self { v1: false, url: url.to_owned(), origin: origin.to_owned(), key: hex::encode(key), count }
    }

    pub(crate) fn v1(url: &str, name: &str, key: &[u8], count: u64) -> Self {
        Self { v1: true, url: url.to_owned(), origin: name.to_owned(), key: hex::encode(key), count }
    }

    fn spec(&self) -> Result<LogSpec, Failed> {
        let kind = if self.v1 { LogKind::RekorV1 } else { LogKind::RekorV2 };
        let key = LogKey::from_spki(&hex::decode(&self.key)?, Some(&self.origin))?;
        Ok(LogSpec {
            // Of a public server it is twenty unless configured; here it is how fast it can be.
            requests_per_second: self.v1.then_some(1_000_000),
            ..LogSpec::new(&self.origin, kind, url::Url::parse(&self.url)?, key)
        })
    }
}

/// Goes through the log once.
pub(crate) async fn run(log: &Log, folder: &Path) -> Result<Measured, Failed> {
    let folder = tempfile::tempdir_in(folder)?;
    let store = store::open(&format!("sqlite:{}", folder.path().join("bench.db").display())).await?;
    let config = MonitorConfig {
        material: TrustMaterial { logs: vec![log.spec()?], trust: Arc::new(TrustRoot::empty()) },
        refresh: None,
        watches: rules(),
        sinks: Vec::new(),
        heartbeat: None,
        // The head is asked for when all is read, or after this.
        timing: Timing { interval: Duration::from_secs(10), ..Timing::default() },
        limits: Limits::default(),
        trust_record: folder.path().join("trusted"),
        holder: "bench".into(),
    };
    let monitor = Monitor::new(config, Arc::clone(&store), &prometheus::Registry::new())?;
    monitor.trust(&log.origin, From::Zero, "a bench", "bench").await?;

    let memory: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
    let seen = Arc::clone(&memory);
    let progress: Progress = Arc::new(move |statuses| {
        let read = statuses.iter().map(|status| status.read_size).sum();
        let resident = memory_kib("VmRSS").unwrap_or(0);
        seen.lock().unwrap_or_else(PoisonError::into_inner).push((read, resident));
    });
    let clock = Clock::start()?;
    let report = monitor.once(Some(progress)).await?;
    let (seconds, processor_seconds) = clock.read()?;

    let leaves = report.logs.iter().map(|log| log.verified_size).sum();
    if !report.is_complete() || report.has_findings() || (log.count > 0 && leaves != log.count) {
        return Err(format!("not verified to the end: {report:?}").into());
    }
    let followed = store.followed_logs().await?;
    let state = followed.iter().map(|log| {
        let head = log.head.as_ref().map_or(0, |head| head.note.len() + 48);
        let texts = log.origin.len() + log.kind.len() + log.coverage.len() + log.because.len();
        // Numbers and hashes take this at most.
        log.range.len() + head + texts + log.public_key.len() + log.holder.as_ref().map_or(0, String::len) + 128
    });
    let mut memory = std::mem::take(&mut *memory.lock().unwrap_or_else(PoisonError::into_inner));
    memory.push((leaves, memory_kib("VmRSS").unwrap_or(0)));
    Ok(Measured {
        leaves,
        seconds,
        processor_seconds,
        peak_kib: memory_kib("VmHWM").unwrap_or(0),
        memory,
        state_bytes: state.max().unwrap_or(0) as u64,
    })
}
