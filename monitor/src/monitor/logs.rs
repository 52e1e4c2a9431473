//! The logs that are followed by this process: one follower for each that is named, started and stopped as the trust
//! material goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use store::StoreError;
use tokio::sync::watch;

use super::{Monitor, MonitorError};
use crate::config::{LogKind, LogSpec};
use crate::finding;
use crate::follow::{Follower, Kept, LogStatus, Status, millis, now_ms};
use crate::inclusion::FollowedTree;
use crate::log::LogReader;
use crate::shards::{Naming, expand, is_shard_of, naming};
use crate::task::Task;

/// A log that is named now, with what to read it by, or why it is not followed.
pub(super) struct Named {
    pub(super) spec: LogSpec,
    pub(super) reader: Result<Arc<dyn LogReader>, String>,
}

/// Followers by the origin of their logs.
#[derive(Default)]
pub(super) struct Followers(BTreeMap<String, Following>);

struct Following {
    spec: LogSpec,
    /// `None`: it is not followed, for a reason that waiting does not mend.
    reader: Option<Arc<dyn LogReader>>,
    status: Status,
    /// Tells the follower to give its lease back and end.
    stop: watch::Sender<bool>,
    task: Task<Kept>,
    /// Since when it is named no more, in unix milliseconds: it is read to its end first.
    dropped_at: Option<i64>,
}

/// What one that ended hands on to the next one of the same log.
#[derive(Default)]
struct Before {
    kept: Kept,
    failing: Option<(i64, String)>,
    behind_since: Option<i64>,
    /// It is closed, and stays so.
    closed: bool,
}

impl Monitor {
    /// The logs to follow now; successors that verified trust material names begin at zero by themselves (I10).
    pub(super) async fn named(&self, material: &[LogSpec]) -> Result<Vec<Named>, MonitorError> {
        let stored = self.store.followed_logs().await?;
        let expanded = expand(&self.readers, material, &stored).await;
        let mut named = Vec::new();
        let mut unsigned = BTreeMap::<String, Vec<String>>::new();
        for spec in expanded.logs {
            let naming = naming(&spec, &stored);
            if matches!(naming, Naming::Successor | Naming::Untrusted)
                && let Some(server) = expanded.unsigned.get(&spec.origin)
            {
                unsigned.entry(server.clone()).or_default().push(spec.origin);
                continue;
            }
            let reader = match naming {
                Naming::Known => self.reader(&spec),
                Naming::Successor => {
                    self.begin_successor(&spec).await?;
                    self.reader(&spec)
                }
                Naming::Untrusted => {
                    Err("the log is not trusted yet: `sealwatch logs trust ORIGIN --because …`".to_owned())
                }
                Naming::OtherKey => Err(self.other_key(&spec).await?),
            };
            named.push(Named { spec, reader });
        }
        // A server whose shards were never listed is a log that cannot be read, too.
        for (origin, problem) in expanded.unlisted {
            tracing::debug!(log.origin = %origin, %problem, "the shards could not be listed");
            let Some(spec) = material.iter().find(|spec| spec.origin == origin) else { continue };
            let has_shards = named.iter().any(|it| it.spec.key == spec.key && is_shard_of(&it.spec.origin, None));
            if !has_shards {
                named.push(Named { spec: spec.clone(), reader: Err(problem) });
            }
        }
        // Nor can one that lists shards of which the pinned key has signed nothing. They are one matter, however many.
        for (origin, shards) in unsigned {
            let Some(spec) = material.iter().find(|spec| spec.origin == origin) else { continue };
            let (count, first) = (shards.len(), shards.first().map(String::as_str).unwrap_or_default());
            let problem = format!(
                "it lists {count} shards without a head that its pinned key has signed, the first of them {first:?}: \
                 they are not followed"
            );
            named.push(Named { spec: spec.clone(), reader: Err(problem) });
        }
        Ok(named)
    }

    fn reader(&self, spec: &LogSpec) -> Result<Arc<dyn LogReader>, String> {
        self.readers.reader(spec).map_err(|error| error.to_string())
    }

    async fn other_key(&self, spec: &LogSpec) -> Result<String, StoreError> {
        let key = hex::encode(spec.key.key_id());
        let origin = &spec.origin;
        let words = format!(
            "The trust material names the key {key} for the log {origin}, which is followed with another one; it is not \
             followed until it is trusted anew."
        );
        let found = finding::trust_material_changed(origin, &words, now_ms());
        self.store.raise(&[found], &self.shared.sinks).await?;
        Ok(words)
    }

    /// A follower of a log, and what it shows.
    pub(super) fn follower(&self, spec: &LogSpec, reader: &Arc<dyn LogReader>) -> (Follower, Status) {
        let status = Status::new(LogStatus::new(spec, self.config.timing.stale_after, now_ms()));
        (Follower::new(Arc::clone(&self.shared), spec.clone(), Arc::clone(reader), status.clone()), status)
    }
}

impl Followers {
    /// Starts and stops followers so that they are those of the logs that are named. One that has ended by itself is
    /// started again: what it did not get over may have been mended. One that is named no more is read to its end first.
    /// Answers with the logs that are left.
    pub(super) async fn follow(&mut self, monitor: &Monitor, named: Vec<Named>) -> Vec<String> {
        let rollback_after = millis(monitor.config.timing.rollback_after);
        let is_named = |origin: &String| named.iter().any(|it| it.spec.origin == *origin);
        let mut gone = Vec::new();
        for (origin, following) in self.0.iter_mut().filter(|(origin, _)| !is_named(origin)) {
            if following.is_read_to_its_end(now_ms(), rollback_after) {
                gone.push(origin.clone());
            }
        }
        for origin in &gone {
            if let Some(following) = self.0.remove(origin) {
                tracing::info!(log.origin = %origin, "this log is named no more, and not followed any more");
                following.end().await;
                monitor.metrics.forget_log(origin);
            }
        }
        for Named { spec, reader } in named {
            let origin = spec.origin.clone();
            let before = match self.0.remove(&origin) {
                Some(mut following) if following.goes_on(&spec, reader.is_ok()) => {
                    following.announce(spec.closed);
                    self.0.insert(origin, following);
                    continue;
                }
                Some(following) => following.end().await,
                None => Before::default(),
            };
            let following = match reader {
                Ok(reader) => start(monitor, spec, reader, before),
                Err(problem) => refuse(monitor, spec, problem, before),
            };
            monitor.metrics.show_log(&following.status.read());
            self.0.insert(origin, following);
        }
        gone
    }

    /// Where each log stands.
    pub(super) fn statuses(&self) -> Vec<LogStatus> {
        self.0.values().map(|following| following.status.read()).collect()
    }

    /// The trees that this process follows now: for what is proved under their heads.
    pub(super) fn forest(&self) -> Vec<FollowedTree> {
        let tree = |following: &Following| tree(following.reader.as_ref()?, &following.status.read());
        self.0.values().filter_map(tree).collect()
    }

    /// Ends all of them, and waits until their leases are given back.
    pub(super) async fn end(self) {
        for following in self.0.values() {
            following.stop.send_replace(true);
        }
        for following in self.0.into_values() {
            following.end().await;
        }
    }
}

fn start(monitor: &Monitor, mut spec: LogSpec, reader: Arc<dyn LogReader>, before: Before) -> Following {
    spec.closed |= before.closed;
    let (stop, stopped) = watch::channel(false);
    let (follower, status) = monitor.follower(&spec, &reader);
    status.write(|status| (status.failing, status.behind_since) = (before.failing, before.behind_since));
    let task = Task::spawn(follower.with(before.kept).run(stopped));
    Following { spec, reader: Some(reader), status, stop, task, dropped_at: None }
}

fn refuse(monitor: &Monitor, spec: LogSpec, problem: String, before: Before) -> Following {
    tracing::error!(log.origin = %spec.origin, %problem, "this log is not followed");
    let status = LogStatus::new(&spec, monitor.config.timing.stale_after, now_ms());
    let since = before.failing.map_or_else(now_ms, |(since, _)| since);
    let status = Status::new(LogStatus { failing: Some((since, problem)), ..status });
    let (stop, _) = watch::channel(false);
    Following { spec, reader: None, status, stop, task: Task::spawn(std::future::pending()), dropped_at: None }
}

/// A tree that is followed, where a head of it is known to be consistent.
pub(super) fn tree(reader: &Arc<dyn LogReader>, status: &LogStatus) -> Option<FollowedTree> {
    let head = status.head.clone().filter(|_| status.held)?;
    let looked_at = status.looked_at?;
    Some(FollowedTree { reader: Arc::clone(reader), log: status.log.clone(), head, looked_at })
}

impl Following {
    /// Whether this is what is to be followed, and it is. That a log is closed now changes nothing else about it.
    fn goes_on(&self, spec: &LogSpec, readable: bool) -> bool {
        self.spec == LogSpec { closed: self.spec.closed, ..spec.clone() }
            && self.reader.is_some() == readable
            && !self.task.is_finished()
    }

    /// The log is announced as closed, or as open. What only a server's list says goes one way: of the shards of Rekor v1
    /// none is opened again, whatever an older replica says. One that grows all the same is told of.
    fn announce(&mut self, closed: bool) {
        if self.dropped_at.take().is_some() || closed || self.spec.kind != LogKind::RekorV1 {
            self.spec.closed = closed;
            self.status.write(|status| status.closed = closed);
        }
    }

    /// Whether a log that is named no more has nothing left for us: every leaf is verified, and for a while none was added.
    /// Until then it is followed as a closed one. Where it does not answer any more, what was known of it has to be read.
    fn is_read_to_its_end(&mut self, now: i64, rollback_after: i64) -> bool {
        if self.reader.is_none() || self.task.is_finished() {
            return true;
        }
        if self.dropped_at.is_none() {
            tracing::info!(log.origin = %self.spec.origin, "this log is named no more; it is read to its end, and then left");
            self.spec.closed = true;
            self.status.write(|status| status.closed = true);
        }
        let dropped_at = *self.dropped_at.get_or_insert(now);
        let status = self.status.read();
        match &status.failing {
            Some(_) => status.lag() == 0 && now.saturating_sub(dropped_at) >= rollback_after,
            // Another monitor reads it, or nobody has begun.
            None if !status.held => true,
            None => status.frozen && status.lag() == 0 && !status.in_doubt,
        }
    }

    /// Ends the follower, which gives its lease back; answers with what it has not done with.
    async fn end(mut self) -> Before {
        self.stop.send_replace(true);
        let kept = if self.reader.is_some() { self.task.ended().await.unwrap_or_default() } else { Kept::default() };
        let LogStatus { failing, behind_since, closed, .. } = self.status.read();
        // What is closed only because it was named no more opens again with its name.
        let closed = closed && self.dropped_at.is_none() && self.spec.kind == LogKind::RekorV1;
        Before { kept, failing, behind_since, closed }
    }
}
