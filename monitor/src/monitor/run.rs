//! The room at work, until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use store::{FollowedLog, StoreError};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::comparing::Comparing;
use super::logs::Followers;
use super::{Monitor, MonitorError};
use crate::config::TrustMaterial;
use crate::finding::{self, Within};
use crate::follow::lease::is_somebodys;
use crate::follow::{LogStatus, now_ms};
use crate::health::{Health, Heartbeat, is_fine};
use crate::shards::{changes, is_shard_of};
use crate::task::{Task, stopped};

/// Time to tell people that nothing is followed, before the process ends.
const LAST_WORDS: Duration = Duration::from_secs(30);
/// Between two looks at how the followers do.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at what takes the store longer to say.
const COUNT_EVERY: Duration = Duration::from_secs(60);

impl Monitor {
    /// Follows every log that is named and trusted, raises findings and tells people, until told to stop.
    ///
    /// Refuses to begin where the database has lost what the trust record has ([`MonitorError::StateLost`]; people are
    /// told first), or where no log was ever trusted ([`MonitorError::Untrusted`]).
    pub async fn run(self, stop: watch::Receiver<bool>) -> Result<(), MonitorError> {
        self.follow(stop, || {}).await
    }

    /// [`Self::run`] for whoever tries again after an error that [passes](MonitorError::is_final); `begun` is called
    /// when the logs are followed.
    pub async fn follow(
        &self,
        mut stop: watch::Receiver<bool>,
        begun: impl FnOnce() + Send,
    ) -> Result<(), MonitorError> {
        if let Err(error) = self.check_state().await {
            if matches!(error, MonitorError::StateLost { .. }) {
                self.alerts.deliver(LAST_WORDS).await;
            }
            return Err(error);
        }
        // Alerts of sinks that are configured no more: only whoever stays knows which these are. A pass may have another
        // configuration than the monitor that runs beside it.
        let sinks: Vec<String> = self.shared.sinks.iter().map(|sink| sink.name.clone()).collect();
        let dropped = self.store.forget_other_sinks(&sinks).await?;
        if dropped > 0 {
            tracing::info!(count = dropped, "alerts for sinks that are configured no more were dropped");
        }
        self.begin().await?;
        let (mut material, mut unread) = (self.config.material.clone(), None);
        let named = self.named(&material.logs).await?;
        if self.store.followed_logs().await?.is_empty() {
            return Err(MonitorError::Untrusted { origins: named.into_iter().map(|it| it.spec.origin).collect() });
        }
        let mut followers = Followers::default();
        followers.follow(self, named).await;
        begun();

        let (tell_forest, forest) = watch::channel(followers.forest());
        let (tell_fine, fine) = watch::channel(false);
        let comparing = Comparing::new(now_ms());
        let stop_again = stop.clone();
        let alerting = || Task::spawn(Arc::clone(&self.alerts).run(stop_again.clone()));
        let working = || Task::spawn(self.work().run(forest.clone(), stop_again.clone(), comparing.clone()));
        let (mut alerts, mut work) = (alerting(), working());
        let _heartbeat = self.heartbeat()?.map(|heartbeat| Task::spawn(beat(heartbeat, fine, self.metrics.clone())));
        let mut watching = Watching::new(self);
        let mut looks = tokio::time::interval(LOOK_EVERY.min(self.config.timing.interval));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut refreshes = tokio::time::interval(self.config.timing.refresh_every);
        refreshes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        refreshes.reset();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                _ = looks.tick() => {
                    // A defect of ours ends neither of them for good: what they did not get done shows as blindness.
                    let ending = *stop_again.borrow();
                    if work.is_finished() && !ending {
                        tracing::error!("the comparison of log and ledger ended by itself; it is begun again");
                        comparing.died();
                        work = working();
                    }
                    if alerts.is_finished() && !ending {
                        tracing::error!("the delivery of alerts ended by itself; it is begun again");
                        alerts = alerting();
                    }
                    tell_forest.send_replace(followers.forest());
                    let within =
                        [(Within::Ledger, comparing.trouble(now_ms())), (Within::TrustMaterial, unread.clone())];
                    tell_fine.send_replace(watching.look(self, &followers.statuses(), within).await);
                }
                _ = refreshes.tick() => {
                    for origin in self.refresh(&mut material, &mut unread, &mut followers).await {
                        watching.forget(&origin).await;
                    }
                }
            }
        }
        followers.end().await;
        work.ended().await;
        alerts.ended().await;
        Ok(())
    }

    /// What is so before anything is read.
    pub(super) async fn begin(&self) -> Result<(), MonitorError> {
        let watches: Vec<String> = self.config.watches.iter().map(|rule| rule.name.clone()).collect();
        self.store.record_matchers(&watches, now_ms()).await?;
        // The ledger as it is before the first leaf is judged.
        self.shared.ledger.look_at_intents(now_ms()).await?;
        Ok(())
    }

    /// What watches over followers.
    pub(super) fn health(&self) -> Health {
        let Self { store, shared, config, .. } = self;
        Health::new(Arc::clone(store), shared.sinks.clone(), config.timing, config.watches.clone())
    }

    fn heartbeat(&self) -> Result<Option<Heartbeat>, MonitorError> {
        let every = self.config.timing.heartbeat_every;
        Ok(self.config.heartbeat.as_ref().map(|url| Heartbeat::new(url, every)).transpose()?)
    }

    /// Reads the trust material and the shards again; answers with the logs that are named no more. What cannot be read
    /// keeps what is known; `unread`: since when, in unix milliseconds, and why.
    async fn refresh(
        &self,
        material: &mut TrustMaterial,
        unread: &mut Option<(i64, String)>,
        followers: &mut Followers,
    ) -> Vec<String> {
        match self.refreshed().await {
            Some(Ok(newer)) => {
                if unread.take().is_some() {
                    tracing::info!("the trust material can be read again");
                }
                let found = changes(material, &newer);
                let found: Vec<_> = found
                    .into_iter()
                    .map(|(origin, words)| finding::trust_material_changed(&origin, &words, now_ms()))
                    .collect();
                if !found.is_empty() {
                    // Told before it is believed; if it cannot be told, it is read again.
                    if let Err(error) = self.store.raise(&found, &self.shared.sinks).await {
                        tracing::warn!(%error, "a change of the trust material could not be written");
                        return Vec::new();
                    }
                    found.iter().for_each(|it| tracing::warn!(finding.kind = %it.kind, "{}", it.detail));
                }
                self.shared.ledger.set_trust(Arc::clone(&newer.trust));
                *material = newer;
            }
            Some(Err(problem)) => {
                if unread.is_none() {
                    tracing::warn!(%problem, "the trust material could not be read again; trying again");
                }
                let since = unread.as_ref().map_or_else(now_ms, |(since, _)| *since);
                *unread = Some((since, problem));
            }
            None => {}
        }
        match self.named(&material.logs).await {
            Ok(named) => followers.follow(self, named).await,
            Err(error) => {
                tracing::warn!(%error, "the logs could not be listed again");
                Vec::new()
            }
        }
    }
}

/// What is no log, and cannot be looked at: since when, in unix milliseconds, and why.
type Troubles = [(Within, Option<(i64, String)>); 2];

/// Watches over the followers, and shows how they do.
struct Watching {
    health: Health,
    counted_at: Option<Instant>,
    failing: bool,
}

impl Watching {
    fn new(monitor: &Monitor) -> Self {
        Self { health: monitor.health(), counted_at: None, failing: false }
    }

    /// A log that is named no more is neither blind nor stale.
    async fn forget(&mut self, origin: &str) {
        if let Err(error) = self.health.forget(origin, now_ms()).await {
            tracing::warn!(log.origin = %origin, %error, "what was found about the log could not be cleared");
        }
    }

    /// What an earlier process has found about logs and sinks that are configured no more is over.
    async fn forget_left(&mut self, monitor: &Monitor, logs: &[LogStatus], now: i64) -> Result<(), StoreError> {
        // A shard is named by its server, whatever that lists now.
        let servers = &monitor.config.material.logs;
        let named = |origin: &str| {
            logs.iter().any(|status| status.log.origin == origin)
                || servers.iter().any(|server| is_shard_of(origin, Some(&server.origin)))
        };
        self.health.forget_left(named, now).await
    }

    /// Whether the heartbeat may say that all is well: everything is, and this process does a part of it. `within`: what
    /// else could not be looked at, since when, and why.
    async fn look(&mut self, monitor: &Monitor, logs: &[LogStatus], within: Troubles) -> bool {
        let now = now_ms();
        monitor.metrics.show_paces(&monitor.readers.paces());
        logs.iter().for_each(|status| monitor.metrics.show_log(status));
        let asked = match self.ask(monitor, logs, within, now).await {
            Ok(fine) => self.forget_left(monitor, logs, now).await.map(|()| fine),
            Err(error) => Err(error),
        };
        let fine = match asked {
            Ok(fine) => {
                if self.failing {
                    tracing::info!("the health of the monitor can be told again");
                }
                self.failing = false;
                fine
            }
            Err(error) => {
                if !self.failing {
                    tracing::warn!(%error, "the health of the monitor cannot be told");
                }
                self.failing = true;
                false
            }
        };
        monitor.metrics.show_up_to_date(fine, now);
        fine && logs.iter().any(|status| status.held)
    }

    async fn ask(
        &mut self,
        monitor: &Monitor,
        logs: &[LogStatus],
        within: Troubles,
        now: i64,
    ) -> Result<bool, StoreError> {
        self.health.look(logs, now).await?;
        let mut looked = true;
        for (what, trouble) in within {
            looked &= self.health.look_within(what, trouble, now).await?;
        }
        let store = &monitor.store;
        monitor.metrics.show_findings(&store.open_counts().await?);
        let waiting = store.outbox_counts().await?;
        monitor.metrics.show_alerts(&monitor.alerts.counts(), &waiting);
        if self.counted_at.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
            self.counted_at = Some(Instant::now());
            self.health.look_at_watches(now).await?;
            let own = store.own_entry_counts().await?;
            let own = [("waiting", own.waiting), ("proved", own.proved), ("withheld", own.withheld)];
            monitor.metrics.show_ledger(store.suspects_waiting().await?, &own, &store.counted_leaves().await?);
        }
        let patience = i64::try_from(monitor.config.timing.sink_dead_after.as_millis()).unwrap_or(i64::MAX);
        if !looked || waiting.iter().any(|sink| sink.oldest_age_ms > patience) {
            return Ok(false);
        }
        let elsewhere = if logs.iter().all(|status| status.held) { Vec::new() } else { store.followed_logs().await? };
        Ok(logs.iter().all(|status| {
            if status.held {
                is_fine(status, &monitor.config.timing, now)
            } else {
                is_held_elsewhere(status, &elsewhere, &monitor.config.holder, now)
            }
        }))
    }
}

/// Whether another process follows the log: it answers for it. A lease of ours is not that: its follower has just begun,
/// and has not looked.
fn is_held_elsewhere(status: &LogStatus, stored: &[FollowedLog], ours: &str, now: i64) -> bool {
    let log = stored.iter().find(|log| log.origin == status.log.origin);
    let lease = log.filter(|log| log.holder.as_deref() != Some(ours)).and_then(|log| log.lease_expires_at);
    status.failing.is_none() && is_somebodys(lease, now)
}

/// Beats while all is well.
async fn beat(mut heartbeat: Heartbeat, mut fine: watch::Receiver<bool>, metrics: crate::metrics::Metrics) {
    while fine.wait_for(|fine| *fine).await.is_ok() {
        if heartbeat.beat().await {
            metrics.heartbeat(now_ms());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
