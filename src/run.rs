//! Starts the roles, waits for a signal, drains.

mod watching;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use monitor::{Monitor, MonitorConfig};
use store::{Purged, Store};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use watcher::{HookState, Metrics, Progress, WatcherConfig, Worker};

use crate::admin::Admin;
use crate::commands::CLEAN;
use crate::config::Config;
use crate::ended::OrUsage as _;
use crate::{commands, listen, rooms};

pub(crate) use watching::Unwatched;
use watching::watch_logs;

/// How long a stop waits for work that is under way.
const DRAIN: Duration = Duration::from_secs(30);
/// How often the store is rid of what is old.
const FORGET_EVERY: Duration = Duration::from_secs(86_400);

/// Which roles this process plays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Roles {
    intake: bool,
    worker: bool,
    monitor: Watching,
}

/// Whether the logs are read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Watching {
    No,
    /// Where the file has a [monitor], [[watch]] or [[alert]].
    IfAsked,
    Yes,
}

impl Roles {
    /// Everything in one process.
    pub(crate) const ALL: Self = Self { intake: true, worker: true, monitor: Watching::IfAsked };
    /// Webhooks only.
    pub(crate) const INTAKE: Self = Self { intake: true, worker: false, monitor: Watching::No };
    /// Signing only.
    pub(crate) const WORKER: Self = Self { intake: false, worker: true, monitor: Watching::No };
    /// Reading logs only.
    pub(crate) const MONITOR: Self = Self { intake: false, worker: false, monitor: Watching::Yes };
}

/// A running process: what it listens on, and how it is stopped.
pub(crate) struct Running {
    /// Where webhooks are taken, if they are.
    pub(crate) hooks: Option<SocketAddr>,
    /// Where metrics and health are served.
    pub(crate) metrics: SocketAddr,
    /// Every step of every push.
    pub(crate) progress: Progress,
    stop: watch::Sender<bool>,
    /// Dropped last: health and metrics end with it.
    _serving: watch::Sender<bool>,
    admin: Admin,
    tasks: Vec<JoinHandle<()>>,
    listeners: Vec<JoinHandle<()>>,
    /// Why the process cannot go on: a loop ended by itself, or nothing is left to do.
    failed: watch::Receiver<Option<String>>,
}

/// Runs until SIGTERM or SIGINT, then drains.
pub(crate) async fn run(config: &Config, roles: Roles) -> anyhow::Result<u8> {
    let mut running = start(config, roles).await?;
    tracing::info!(
        hooks = running.hooks.map(|a| a.to_string()),
        metrics = %running.metrics,
        store = config.file.store.url.get_ref().split(':').next(),
        "sealwatch is up"
    );
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut failed = None;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        why = failure(&mut running.failed) => failed = Some(why),
    }
    tracing::info!("stopping: no new work is taken, what is under way is finished");
    running.stop().await;
    tracing::info!("stopped");
    match failed {
        Some(why) => anyhow::bail!("{why}"),
        None => Ok(CLEAN),
    }
}

/// Comes back when there is nothing left to do.
async fn failure(failed: &mut watch::Receiver<Option<String>>) -> String {
    let why = failed.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
    match why {
        Some(why) => why,
        None => std::future::pending().await,
    }
}

/// Starts the roles. Everything that can be wrong with the configuration is said before anything listens.
pub(crate) async fn start(config: &Config, roles: Roles) -> anyhow::Result<Running> {
    let intake = if roles.intake { rooms::intake(config)? } else { WatcherConfig::default() };
    let work = if roles.worker { Some(rooms::worker(config, now_ms())?) } else { None };
    for warning in config.warnings.lines(&config.path) {
        tracing::warn!("configuration: {warning}");
    }
    let watching = match roles.monitor {
        Watching::Yes => true,
        Watching::IfAsked => rooms::monitor::is_wanted(config),
        Watching::No => false,
    };
    let logs = if watching { Some(rooms::monitor::monitor(config)?) } else { None };
    let listeners = rooms::listeners(config)?;
    let hooks = if roles.intake { Some(bind("hooks", listeners.hooks).await?) } else { None };
    let metrics_listener = bind("metrics", listeners.metrics).await?;
    let store = rooms::store(config).await?;
    if let Some(room) = &work {
        commands::identity::zones_fit(room, store.as_ref()).await?;
    }

    let exposition = prometheus::Registry::new();
    #[cfg(target_os = "linux")]
    exposition.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    let metrics = Metrics::new(&exposition)?;
    metrics.expect_sources(intake.sources.keys(), now_ms());
    let monitor = match logs {
        Some(room) => Some(ready(room, &store, &exposition).await?),
        None => None,
    };
    let unwatched = Unwatched::default();
    let is_all = !roles.intake && !roles.worker;
    // A process that only takes webhooks may not read what is wrong elsewhere.
    let tells = roles.worker || monitor.is_some();
    let progress = Progress::new();
    let wake = Arc::new(tokio::sync::Notify::new());
    let events = Arc::new(watcher::intake::StoreIntake::new(store.clone(), wake.clone()));
    let worker = work.map(|room| {
        Arc::new(Worker::new(room, store.clone(), events.clone(), metrics.clone(), progress.clone(), wake))
    });
    let pulses = worker.as_ref().map(|worker| worker.pulses()).unwrap_or_default();
    let admin = Admin::new(exposition, store.clone(), unwatched.clone(), is_all, tells, pulses)?;
    let (tell_failed, failed) = watch::channel(None);
    let tell_failed = Arc::new(tell_failed);
    let (stop, stopped) = watch::channel(false);
    let mut tasks = Vec::new();
    let mut servers = Vec::new();

    let metrics_address = metrics_listener.local_addr()?;
    // Health and metrics stay up while the rest drains.
    let (serving, served) = watch::channel(false);
    servers.push(tokio::spawn(listen::serve(metrics_listener, admin.clone().router(), served)));
    let hooks_address = hooks.as_ref().map(TcpListener::local_addr).transpose()?;
    if let Some(listener) = hooks {
        let state = HookState::new(intake.sources, events.clone(), store.clone(), metrics.clone(), progress.clone());
        let serving = listen::serve(listener, watcher::router(state), stopped.clone());
        tasks.push(supervised("the webhooks", serving, &stopped, &tell_failed));
    }
    if let Some(worker) = worker {
        tasks.push(supervised("the worker", worker.run(stopped.clone()), &stopped, &tell_failed));
    }
    if roles.worker || monitor.is_some() {
        tasks.push(tokio::spawn(forget(store.clone(), *config.file.store.keep_days.get_ref(), stopped.clone())));
    }
    if let Some(monitor) = monitor {
        let monitor = Arc::new(monitor);
        let attempt = move |stopped, begun: watching::Begun| {
            let monitor = Arc::clone(&monitor);
            async move { monitor.follow(stopped, move || begun()).await }
        };
        // Whoever takes webhooks or signs goes on with that; `/readyz` says that no log is read.
        tasks.push(tokio::spawn(async move {
            if let Err(error) = watch_logs(attempt, unwatched, stopped).await
                && is_all
            {
                tell_failed.send_replace(Some(format!("the monitor cannot go on: {error}")));
            }
        }));
    }
    Ok(Running {
        hooks: hooks_address,
        metrics: metrics_address,
        progress,
        stop,
        _serving: serving,
        admin,
        tasks,
        listeners: servers,
        failed,
    })
}

/// Runs a part of the process that ends only when told to. If it ends by itself, or panics, the process ends with an error:
/// what starts it again finds everything in the store.
fn supervised(
    name: &'static str,
    part: impl Future<Output = ()> + Send + 'static,
    stopped: &watch::Receiver<bool>,
    tell_failed: &Arc<watch::Sender<Option<String>>>,
) -> JoinHandle<()> {
    let (stopped, tell_failed) = (stopped.clone(), Arc::clone(tell_failed));
    tokio::spawn(async move {
        let ended = tokio::spawn(part).await;
        // The sender is gone when the process is.
        if *stopped.borrow() || stopped.has_changed().is_err() {
            return;
        }
        let how = match ended {
            Ok(()) => "ended by itself".to_owned(),
            Err(error) => format!("ended badly: {error}"),
        };
        tell_failed.send_replace(Some(format!("{name} {how}; the process ends, so that it is started again")));
    })
}

impl Running {
    /// Takes no new work, finishes what is under way, and returns.
    pub(crate) async fn stop(self) {
        self.admin.stop();
        // An error says that every task has ended already.
        let _ = self.stop.send(true);
        let drained = async {
            for task in self.tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "a task ended badly");
                }
            }
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!(seconds = DRAIN.as_secs(), "some work was still under way; it resumes at the next start");
        }
        for listener in self.listeners {
            listener.abort();
        }
    }
}

/// A monitor that may begin: nothing of its state is lost, and every log was trusted by an explicit act.
async fn ready(
    room: MonitorConfig,
    store: &Arc<dyn Store>,
    exposition: &prometheus::Registry,
) -> anyhow::Result<Monitor> {
    let monitor = Monitor::new(room.clone(), store.clone(), exposition)?;
    if let Err(error) = monitor.check_state().await {
        // It refuses by itself, and tells people first.
        let (_stop, stopped) = watch::channel(false);
        return Err(monitor.run(stopped).await.err().unwrap_or(error).into());
    }
    commands::logs::all_are_trusted(&room, store.as_ref()).await?;
    Ok(monitor)
}

/// Once a day forgets what has served its purpose: finished jobs, skips, dead letters, alerts that were taken; never the
/// ledger, never a finding.
async fn forget(store: Arc<dyn Store>, keep_days: u32, mut stopped: watch::Receiver<bool>) {
    loop {
        let before = now_ms() - i64::from(keep_days) * 86_400_000;
        match store.purge(before).await {
            Ok(purged) if purged != Purged::default() => {
                tracing::info!(
                    jobs = purged.jobs,
                    skips = purged.skips,
                    dead_letters = purged.dead_letters,
                    observations = purged.observations,
                    alerts = purged.alerts,
                    suspects = purged.suspects,
                    notes = purged.notes,
                    "forgot what is old"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "what is old could not be forgotten"),
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
    }
}

async fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.or_usage(format!(
        "[server] {key} = \"{address}\" cannot be listened on; is another sealwatch running? else choose another port"
    ))
}

/// The time, in Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// Who acts, for records: the user of this process and its machine.
pub(crate) fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".to_owned());
    format!("{user}@{}", host())
}

/// The name of this machine.
pub(crate) fn host() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if host.trim().is_empty() { "localhost".to_owned() } else { host.trim().to_owned() }
}

/// Eight random bytes of the system.
pub(crate) fn random() -> anyhow::Result<u64> {
    getrandom::u64().map_err(|error| anyhow::anyhow!("the system has no randomness: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_ends_by_itself_or_panics_ends_the_process_and_one_that_was_told_to_does_not() {
        for panics in [false, true] {
            let (_stop, stopped) = watch::channel(false);
            let (tell, mut failed) = watch::channel(None);
            let part = async move { assert!(!panics, "a bug") };
            supervised("the worker", part, &stopped, &Arc::new(tell)).await.expect("it is watched");
            let why = failure(&mut failed).await;
            assert!(why.starts_with("the worker ended"), "{why}");
        }
        let (stop, stopped) = watch::channel(false);
        let (tell, failed) = watch::channel(None);
        stop.send_replace(true);
        supervised("the worker", async {}, &stopped, &Arc::new(tell)).await.expect("it is watched");
        assert!(failed.borrow().is_none());
    }
}
