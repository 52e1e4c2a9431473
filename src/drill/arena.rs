//! One attack's own world: a sandbox, a database, a key, a ledger that is written as the worker writes it, and the
//! monitor as `serve --role monitor` runs it.

mod honest;
mod logs;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bundle::TrustRoot;
use monitor::config::{Limits, SinkKind, TrustMaterial};
use monitor::watchlist::WatchRule;
use monitor::{Monitor, MonitorConfig, SinkConfig, Timing};
use sandbox::{AlertReceiver, World, WorldOptions};
use secrecy::SecretString;
use signer::key::file::{self, FileKey};
use store::{FindingFilter, FindingRow, FindingState, Severity, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Alarm, Attack, Evidence, PATIENCE};
use crate::run;

pub(crate) use logs::{ISSUER, REPOSITORY};

/// What the world of an attack needs besides a log.
#[derive(Clone, Copy, Default)]
pub(super) struct Needs {
    /// A certificate authority and its CT log.
    pub(super) keyless: bool,
    /// A log of Rekor's first version.
    pub(super) rekor_v1: bool,
    /// A witness, and a policy that asks for it.
    pub(super) witness: bool,
    /// A log that does not grow for a second is stale.
    pub(super) impatient: bool,
}

/// The world of one attack.
pub(super) struct Arena {
    pub(super) world: World,
    pub(super) store: Arc<dyn Store>,
    /// The key that we sign with, and one that we no longer do.
    pub(super) key: FileKey,
    pub(super) retired: FileKey,
    /// Who is told.
    pub(super) receiver: AlertReceiver,
    /// Who else is told.
    pub(super) second: AlertReceiver,
    pub(super) folder: PathBuf,
    needs: Needs,
    running: Option<(watch::Sender<bool>, JoinHandle<()>)>,
    attacked_at: Option<Instant>,
    signed: u64,
}

impl Arena {
    /// Starts everything but the monitor; three honest signatures are in ledger and log.
    pub(super) async fn new(needs: Needs) -> anyhow::Result<Self> {
        let world = World::start(WorldOptions {
            keyless: needs.keyless,
            rekor_v1: needs.rekor_v1,
            witness: needs.witness,
            ..WorldOptions::default()
        })
        .await?;
        let folder = std::env::temp_dir().join(format!("sealwatch-drill-{:016x}", run::random()?));
        std::fs::create_dir_all(&folder).with_context(|| format!("the folder {}", folder.display()))?;
        let store = store::open(&database(&folder)).await?;
        let mut arena = Self {
            world,
            store,
            key: new_key()?,
            retired: new_key()?,
            receiver: AlertReceiver::start(0).await?,
            second: AlertReceiver::start(0).await?,
            folder,
            needs,
            running: None,
            attacked_at: None,
            signed: 0,
        };
        for _ in 0..3 {
            arena.sign().await?;
        }
        Ok(arena)
    }

    /// Trusts every log and starts the monitor; returns once all is verified.
    pub(super) async fn watch(&mut self) -> anyhow::Result<()> {
        let monitor = Monitor::new(self.config()?, self.store.clone(), &prometheus::Registry::new())?;
        for origin in self.specs()?.into_iter().map(|spec| spec.origin) {
            monitor.trust(&origin, monitor::From::Zero, "a drill", "drill").await?;
        }
        self.start(monitor);
        self.caught_up().await
    }

    /// Starts a monitor; what it ends with is kept for nobody.
    pub(super) fn start(&mut self, monitor: Monitor) {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            if let Err(error) = monitor.run(stopped).await {
                tracing::debug!(%error, "the monitor of a drill ended");
            }
        });
        self.running = Some((stop, task));
    }

    /// Stops the monitor.
    pub(super) async fn stop(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            // An error says that it has ended already.
            let _ = stop.send(true);
            let _ = tokio::time::timeout(PATIENCE, task).await;
        }
    }

    /// Waits until every log is verified to its head, and the head is the log's.
    pub(super) async fn caught_up(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let followed = self.store.followed_logs().await?;
            let verified =
                |origin: &str, size: u64| followed.iter().any(|log| log.origin == origin && log.verified_size >= size);
            let mut all = verified(self.world.log.origin(), self.world.log.size());
            if let Some(log) = &self.world.rekor_v1 {
                let (_, size) = log.shards().pop().unwrap_or_default();
                all &= verified(&log.origin(), size);
            }
            if let Some(keyless) = &self.world.keyless {
                all &= followed.iter().any(|log| log.kind.starts_with("ct") && log.verified_size >= keyless.ct.size());
            }
            if all {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the monitor did not catch up in {} s", PATIENCE.as_secs())
    }

    /// From here on the clock runs.
    pub(super) fn attack(&mut self) {
        self.attacked_at = Some(Instant::now());
    }

    /// When the attack began.
    pub(super) fn attacked_at(&self) -> Option<Instant> {
        self.attacked_at
    }

    /// Waits for one of the attack's alarms, that somebody is told, and replays its evidence.
    pub(super) async fn alarm(&self, attack: &Attack, since: Instant, out: Option<&Path>) -> anyhow::Result<Alarm> {
        loop {
            let rows = self.findings().await?;
            if let Some(row) =
                rows.iter().find(|row| attack.alarms.contains(&row.kind) && row.title.contains(attack.says))
            {
                let after = since.elapsed();
                let evidence = self.evidence(attack, row, out).await?;
                self.told(row, PATIENCE).await?;
                return Ok(Alarm { kind: row.kind, title: row.title.clone(), after, evidence });
            }
            if since.elapsed() > PATIENCE {
                let others: Vec<&str> = rows.iter().map(|row| row.kind.as_str()).collect();
                bail!("no alarm in {} s; others that went off: [{}]", PATIENCE.as_secs(), others.join(", "));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Every open finding.
    pub(super) async fn findings(&self) -> anyhow::Result<Vec<FindingRow>> {
        let filter = FindingFilter { states: vec![FindingState::Open], limit: 1000, ..FindingFilter::default() };
        Ok(self.store.findings(&filter).await?)
    }

    /// Nothing may go off for so long.
    pub(super) async fn stays_quiet(&self, long: Duration) -> anyhow::Result<()> {
        tokio::time::sleep(long).await;
        self.caught_up().await?;
        let rows = self.findings().await?;
        if let Some(row) = rows.first() {
            bail!("{} finding(s), the first: {} ({})", rows.len(), row.title, row.kind.as_str());
        }
        let told = self.receiver.received().len() + self.second.received().len();
        if told > 0 {
            bail!("{told} alerts were sent");
        }
        Ok(())
    }

    /// Waits until a receiver was told of a finding.
    pub(super) async fn told(&self, row: &FindingRow, within: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < within {
            let all = self.receiver.received().into_iter().chain(self.second.received());
            for received in all {
                if received.json().to_string().contains(&row.fingerprint) {
                    return Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("{} was found, and nobody was told", row.kind.as_str())
    }

    async fn evidence(&self, attack: &Attack, row: &FindingRow, out: Option<&Path>) -> anyhow::Result<Evidence> {
        let piece = self.store.evidence(row.id).await?.into_iter().find_map(|piece| piece.evidence);
        let bytes = piece.with_context(|| format!("{} has no evidence", row.kind.as_str()))?;
        if let Some(out) = out {
            let file = out.join(format!("{}.evidence.json", attack.name.replace(' ', "-")));
            std::fs::write(&file, &bytes).with_context(|| format!("{}", file.display()))?;
        }
        let verdict = monitor::evidence::verify(&bytes)?;
        if !verdict.holds {
            bail!("the evidence of {} does not hold: {}", row.kind.as_str(), verdict.says.join("; "));
        }
        Ok(if verdict.attributable { Evidence::Attributable } else { Evidence::Observed })
    }

    /// What the monitor is told.
    pub(super) fn config(&self) -> anyhow::Result<MonitorConfig> {
        let ms = Duration::from_millis;
        let hour = Duration::from_secs(3600);
        let sink = |name: &str, receiver: &AlertReceiver| SinkConfig {
            name: name.to_owned(),
            min_severity: Severity::Info,
            kind: SinkKind::Webhook {
                url: SecretString::from(format!("{}/alerts", receiver.url())),
                secret: SecretString::from("drill"),
                ca_pem: None,
            },
        };
        Ok(MonitorConfig {
            material: self.material()?,
            refresh: None,
            watches: self.watches(),
            sinks: vec![sink("first", &self.receiver), sink("second", &self.second)],
            heartbeat: None,
            timing: Timing {
                interval: ms(50),
                confirm_for: ms(500),
                rollback_after: ms(500),
                grace: ms(300),
                inclusion_deadline: ms(800),
                stale_after: if self.needs.impatient { ms(1000) } else { hour },
                blind_after: if self.needs.impatient { ms(1000) } else { hour },
                lag_after: hour,
                never_matched_after: hour,
                clock_skew: Duration::from_secs(120),
                refresh_every: ms(200),
                reproof_every: ms(200),
                sink_dead_after: ms(500),
                heartbeat_every: hour,
            },
            limits: Limits::default(),
            trust_record: self.folder.join("trusted"),
            holder: "drill".to_owned(),
        })
    }

    fn material(&self) -> anyhow::Result<TrustMaterial> {
        let trust = TrustRoot::parse(self.world.trusted_root_json().as_bytes())?;
        Ok(TrustMaterial { logs: self.specs()?, trust: Arc::new(trust) })
    }

    fn watches(&self) -> Vec<WatchRule> {
        logs::watches(self)
    }

    fn specs(&self) -> anyhow::Result<Vec<monitor::LogSpec>> {
        logs::specs(&self.world, self.needs)
    }

    /// Stops everything, and leaves nothing behind.
    pub(super) async fn end(mut self) {
        self.stop().await;
        self.world.shutdown();
        self.receiver.shutdown();
        self.second.shutdown();
        // What cannot be removed is in the system's temporary folder and harmless.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The database of an arena.
pub(super) fn database(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("sealwatch.db").display())
}

fn new_key() -> anyhow::Result<FileKey> {
    let password = SecretString::from("drill");
    let pair = file::generate(&password)?;
    Ok(file::load(pair.private_pem.as_bytes(), Some(&password))?)
}
