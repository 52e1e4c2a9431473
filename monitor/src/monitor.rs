//! The room as a whole: makes its parts, trusts logs, follows them until stopped, or reads each once.

mod adopt;
mod comparing;
mod logs;
mod once;
mod run;
mod trust;
mod work;

use std::path::PathBuf;
use std::sync::Arc;

use prometheus::Registry as Exposition;
use store::{Store, StoreError};

use crate::alert::{Alerts, AlertsError};
use crate::config::{MonitorConfig, TrustMaterial};
use crate::finding::{self, LogDescription};
use crate::follow::Shared;
use crate::follow::matching::Matchings;
use crate::follow::now_ms;
use crate::follow::workers::Workers;
use crate::health::{Heartbeat, HeartbeatError};
use crate::log::{ReaderError, Readers};
use crate::metrics::Metrics;
use crate::reconcile::{LedgerError, LedgerSide, LedgerTiming};
use crate::trust_record::{TrustRecord, TrustRecordError, lost};
use crate::watchlist::{WatchError, Watchlist};

pub use adopt::Adopted;
pub use once::{Compared, LogReport, OnceReport, Progress};
pub use trust::From;

/// Reads logs, raises findings, tells people.
pub struct Monitor {
    config: MonitorConfig,
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    readers: Readers,
    alerts: Arc<Alerts>,
    watchlist: Watchlist,
    metrics: Metrics,
}

/// Why the monitor cannot work, or not as it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// A watch rule does not say what it seems to.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// An alert sink cannot be used.
    #[error(transparent)]
    Alerts(#[from] AlertsError),
    /// The heartbeat cannot be used.
    #[error(transparent)]
    Heartbeat(#[from] HeartbeatError),
    /// A log cannot be read with what the configuration says.
    #[error(transparent)]
    Reader(#[from] ReaderError),
    /// Two parts of the program count under one name: a defect of ours.
    #[error("could not register a metric: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record of what was trusted cannot be used.
    #[error(transparent)]
    Record(#[from] TrustRecordError),
    /// Log and ledger could not be compared.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The database lost what the trust record has. It is a finding, too.
    #[error(
        "{words} Nothing is followed until the database is restored, or the gap is accepted with `sealwatch logs trust \
         {origin} --because \"…\"`"
    )]
    StateLost {
        /// Which log, or the first of them.
        origin: String,
        /// What is lost, a whole sentence.
        words: String,
        /// The trust record.
        record: PathBuf,
    },
    /// Following a log begins by an explicit act.
    #[error("never trusted: {}; begin with `sealwatch logs trust ORIGIN --because \"…\"`", .origins.join(", "))]
    Untrusted {
        /// Which logs.
        origins: Vec<String>,
    },
    /// A finding does not show what could be adopted.
    #[error("finding {finding} cannot be adopted: {problem}")]
    NotAdopted {
        /// The finding.
        finding: i64,
        /// Why not.
        problem: String,
    },
    /// The configuration does not name this log.
    #[error("the configuration and the trust material name no log {origin:?}; they name {}", .named.join(", "))]
    UnknownLog {
        /// Which was asked for.
        origin: String,
        /// Which there are.
        named: Vec<String>,
    },
    /// A log that is to be trusted could not be read, or does not show what its key has signed.
    #[error("log {origin}: {problem}")]
    Unreadable {
        /// Which log.
        origin: String,
        /// Why not.
        problem: String,
    },
}

impl MonitorError {
    /// Waiting does not mend it: a person has to.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Store(_) | Self::Ledger(_) | Self::Record(_) | Self::Unreadable { .. } => false,
            Self::Watch(_)
            | Self::Alerts(_)
            | Self::Heartbeat(_)
            | Self::Reader(_)
            | Self::Metrics(_)
            | Self::StateLost { .. }
            | Self::Untrusted { .. }
            | Self::NotAdopted { .. }
            | Self::UnknownLog { .. } => true,
        }
    }
}

impl Monitor {
    /// Makes the room; nothing is asked yet. Metrics are registered with `exposition`.
    pub fn new(config: MonitorConfig, store: Arc<dyn Store>, exposition: &Exposition) -> Result<Self, MonitorError> {
        let watchlist = Watchlist::compile(&config.watches)?;
        let alerts = Arc::new(Alerts::new(&config.sinks, Arc::clone(&store), config.timing.sink_dead_after)?);
        let metrics = Metrics::new(exposition)?;
        let record = TrustRecord::open(&config.trust_record)?;
        let sinks = alerts.sinks().to_vec();
        let ledger = LedgerSide::new(
            Arc::clone(&store),
            Arc::clone(&config.material.trust),
            LedgerTiming::from(&config.timing),
            sinks.clone(),
        );
        let ledger = Arc::new(ledger.telling_apart(config.limits.told_apart));
        if let Some(url) = &config.heartbeat {
            // Made again when it is used; here, so that a mistake shows at the start.
            Heartbeat::new(url, config.timing.heartbeat_every)?;
        }
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let shared = Arc::new(Shared {
            store: Arc::clone(&store),
            sinks,
            timing: config.timing,
            limits: config.limits,
            workers: Workers::new(processors),
            disk_workers: Workers::new(processors),
            matchings: Matchings::new(Arc::clone(&store), Arc::clone(&ledger.keys), &watchlist),
            ledger,
            record,
            metrics: metrics.clone(),
            holder: config.holder.clone(),
        });
        let readers = Readers::new(config.limits);
        Ok(Self { config, store, shared, readers, alerts, watchlist, metrics })
    }

    /// Compares the database with the record outside of it (I10). What is lost is a finding for each log, and the error
    /// names the first.
    pub async fn check_state(&self) -> Result<(), MonitorError> {
        let stored = self.store.followed_logs().await?;
        let mut first = None;
        let now = now_ms();
        for (origin, recorded) in self.shared.record.logs() {
            let now_stored = stored.iter().find(|log| log.origin == origin);
            let Some(words) = lost(&recorded, now_stored) else { continue };
            // Trusted anew since, where this record does not hear of it: whoever follows it says so.
            if now_stored.is_some_and(|log| log.trusted_at > recorded.trusted_at) {
                continue;
            }
            // What is named no more is not followed, and could not be trusted anew.
            let Some(described) = self.describe(&origin, &recorded.key_id) else {
                tracing::warn!(
                    log.origin = %origin, lost = %words,
                    "the trust record has a log that neither the configuration nor the trust material names; it is not followed"
                );
                continue;
            };
            let found = finding::state_lost(Some(&described), &origin, &words, now);
            self.store.raise(&[found], &self.shared.sinks).await?;
            let record = self.config.trust_record.clone();
            first.get_or_insert(MonitorError::StateLost { origin, words, record });
        }
        first.map_or(Ok(()), Err)
    }

    /// A log that the material names, or a shard of one: by its name, or of a server without one by its key.
    fn describe(&self, origin: &str, key_id: &str) -> Option<LogDescription> {
        let server = origin.rsplit_once(" - ").map(|(server, _)| server);
        let logs = &self.config.material.logs;
        let by_name = logs.iter().find(|spec| spec.origin == origin || Some(&*spec.origin) == server);
        let spec = by_name
            .or_else(|| logs.iter().find(|spec| spec.is_named_by_url() && hex::encode(spec.key.key_id()) == key_id))?;
        Some(LogDescription::new(origin, spec.kind, &spec.key))
    }

    /// Reads the trust material again; what cannot be read keeps what is known.
    async fn refreshed(&self) -> Option<Result<TrustMaterial, String>> {
        let refresh = self.config.refresh.clone()?;
        let read = tokio::task::spawn_blocking(move || refresh()).await;
        Some(read.unwrap_or_else(|error| Err(error.to_string())))
    }
}
