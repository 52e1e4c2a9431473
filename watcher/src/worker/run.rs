//! The loops: one takes events, one takes jobs, one counts, and one takes up again what waited. Each beats, so that
//! `/livez` sees one that hangs. When told to stop they take nothing more and finish what they hold.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use store::{Claim, ConditionCause, ParkedBecause, Wanted};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::places::Place;
use super::{WorkError, Worker};
use crate::endpoint::Endpoint;

/// How often the gauges are brought up to date.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// How often parked work is looked through for what may be tried again.
const REVIVE_EVERY: Duration = Duration::from_secs(60);
/// How often endpoints in trouble are looked through for those to be probed.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// Parked work that is tried again in one go.
const REVIVED_AT_ONCE: u32 = 500;
/// Wait after the queue itself failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// A loop that is silent for longer hangs: every call of the store has a shorter deadline.
const SILENT_FOR: Duration = Duration::from_secs(180);
/// Repositories with due jobs that are looked at in one go.
const REPOSITORIES: u32 = 1024;
/// Pieces of work that a process holds, for each place in a registry: most of them wait for a log.
const HELD_PER_PLACE: usize = 16;

/// Counts the suspects that a process holds: at most one, so that the one that ends the process is found.
#[derive(Clone, Default)]
pub(super) struct Suspects {
    held: Arc<AtomicUsize>,
}

impl Suspects {
    fn may_be_taken(&self) -> bool {
        self.held.load(Ordering::Relaxed) == 0
    }

    fn hold(&self, is_suspect: bool) -> SuspectHeld {
        if is_suspect {
            self.held.fetch_add(1, Ordering::Relaxed);
        }
        SuspectHeld { held: is_suspect.then(|| Arc::clone(&self.held)) }
    }
}

struct SuspectHeld {
    held: Option<Arc<AtomicUsize>>,
}

impl Drop for SuspectHeld {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            held.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Worker {
    /// Works until `stop` says true (or is gone), then finishes what was begun.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        self.take_over_trouble().await;
        match self.store.revive_for_this_version().await {
            Ok(0) => {}
            Ok(revived) => tracing::info!(revived, "work that another version had put aside is tried again"),
            Err(error) => tracing::warn!(%error, "work that another version had put aside could not be looked up"),
        }
        tokio::join!(
            Arc::clone(&self).take_events(stop.clone()),
            Arc::clone(&self).take_jobs(stop.clone()),
            Arc::clone(&self).count(stop.clone()),
            Arc::clone(&self).revive(stop),
        );
    }

    /// Events are looked at apart from jobs: a tag may move within seconds, however long a log takes.
    async fn take_events(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut tasks: JoinSet<()> = JoinSet::new();
        let most = self.limits.concurrency.max(1) * HELD_PER_PLACE;
        loop {
            self.pulses.beat("events", SILENT_FOR);
            while let Some(ended) = tasks.try_join_next() {
                report(ended);
            }
            // Where so much is held that nothing more is taken, one of it ends, or time passes.
            if tasks.len() >= most {
                if self.pause(&mut stop, &self.event_wake, &mut tasks).await {
                    break;
                }
                continue;
            }
            let taken = tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                taken = self.take_event() => taken,
            };
            match taken {
                Ok(TakenEvent::Event(event, place)) => {
                    let worker = Arc::clone(&self);
                    let suspect = self.suspects.hold(event.is_suspect());
                    tasks.spawn(async move {
                        let handled = AssertUnwindSafe(worker.handle_event(&event)).catch_unwind().await;
                        if handled.is_err() {
                            worker.event_panicked(&event).await;
                        }
                        drop((place, suspect));
                        worker.wake.notify_one();
                    });
                }
                Ok(TakenEvent::Parked) => {}
                Ok(TakenEvent::None) => {
                    if self.pause(&mut stop, &self.event_wake, &mut tasks).await {
                        break;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "no event could be taken");
                    if sleep_unless_stopped(&mut stop, AFTER_FAILURE).await {
                        break;
                    }
                }
            }
        }
        self.drain("events", tasks).await;
    }

    async fn take_jobs(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut tasks: JoinSet<()> = JoinSet::new();
        let most = self.limits.concurrency.max(1) * HELD_PER_PLACE;
        'taking: loop {
            self.pulses.beat("jobs", SILENT_FOR);
            while let Some(ended) = tasks.try_join_next() {
                report(ended);
            }
            if tasks.len() >= most {
                if self.pause(&mut stop, &self.wake, &mut tasks).await {
                    break;
                }
                continue;
            }
            let due = tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                due = self.store.due_jobs(REPOSITORIES) => due,
            };
            let due = match due {
                Ok(due) => self.turns.in_turn(due),
                Err(error) => {
                    tracing::error!(%error, "no job could be taken");
                    if sleep_unless_stopped(&mut stop, AFTER_FAILURE).await {
                        break;
                    }
                    continue;
                }
            };
            let mut begun = false;
            for repository in due {
                if tasks.len() >= most {
                    break;
                }
                let (registry, name) = (repository.registry.as_str(), repository.repository.as_str());
                let Some(place) = self.place(registry, name) else { continue };
                let wanted = Wanted::Of { registry, repository: name, suspects: self.suspects.may_be_taken() };
                let claimed = tokio::select! {
                    biased;
                    () = stopped(&mut stop) => break 'taking,
                    claimed = self.store.claim_job(wanted, self.lease_ms()) => claimed,
                };
                match claimed {
                    Ok(Claim::Taken(job)) => {
                        begun = true;
                        self.turns.served(&repository);
                        let worker = Arc::clone(&self);
                        let suspect = self.suspects.hold(job.is_suspect());
                        tasks.spawn(async move {
                            let handled = AssertUnwindSafe(worker.handle_job(&job, Some(place))).catch_unwind().await;
                            if handled.is_err() {
                                worker.job_panicked(&job).await;
                            }
                            drop(suspect);
                            worker.wake.notify_one();
                        });
                    }
                    Ok(Claim::Gone) => {}
                    Ok(Claim::Parked { because, detail }) => {
                        begun = true;
                        self.was_parked("job", registry, name, because, &detail).await;
                    }
                    Err(error) => {
                        tracing::error!(%error, "no job could be taken");
                        if sleep_unless_stopped(&mut stop, AFTER_FAILURE).await {
                            break 'taking;
                        }
                        break;
                    }
                }
            }
            if !begun && self.pause(&mut stop, &self.wake, &mut tasks).await {
                break;
            }
        }
        self.drain("jobs", tasks).await;
    }

    /// A place for work in a repository, unless its registry is in trouble.
    fn place(&self, registry: &str, repository: &str) -> Option<Place> {
        let shut = registry.parse().is_ok_and(|host| self.breakers.is_shut(&Endpoint::Registry(host)));
        if shut { None } else { self.places.take(registry, repository) }
    }

    async fn take_event(&self) -> Result<TakenEvent, WorkError> {
        let mut held = None;
        let mut asked = (String::new(), String::new());
        let mut place = |registry: &str, repository: &str| {
            let shut = registry.parse().is_ok_and(|host| self.breakers.is_shut(&Endpoint::Registry(host)));
            held = if shut { None } else { self.event_places.take(registry, repository) };
            asked = (registry.to_owned(), repository.to_owned());
            held.is_some()
        };
        let claimed = self.intake.next(self.limits.lease, self.suspects.may_be_taken(), &mut place).await?;
        match claimed {
            Claim::Taken(event) => Ok(TakenEvent::Event(Box::new(event), held)),
            Claim::Gone => Ok(TakenEvent::None),
            Claim::Parked { because, detail } => {
                self.was_parked("event", &asked.0, &asked.1, because, &detail).await;
                Ok(TakenEvent::Parked)
            }
        }
    }

    /// Waits for work: until woken, a task ends, or the poll time is over. Answers whether to stop.
    async fn pause(
        &self,
        stop: &mut watch::Receiver<bool>,
        wake: &tokio::sync::Notify,
        tasks: &mut JoinSet<()>,
    ) -> bool {
        tokio::select! {
            () = stopped(stop) => true,
            () = wake.notified() => false,
            () = tokio::time::sleep(self.limits.poll) => false,
            Some(ended) = tasks.join_next() => {
                report(ended);
                false
            }
        }
    }

    async fn drain(&self, name: &'static str, mut tasks: JoinSet<()>) {
        self.pulses.ended(name);
        tracing::info!(in_flight = tasks.len(), "the worker takes no more {name}: what was begun is finished first");
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
    }

    /// Says that a piece of work was put aside before anything was done with it.
    async fn was_parked(
        &self,
        kind: &'static str,
        registry: &str,
        repository: &str,
        because: ParkedBecause,
        detail: &str,
    ) {
        self.metrics.parked(kind);
        tracing::error!(
            registry.host = registry, repository, reason = %because, detail,
            "the {kind} of {registry}/{repository} is parked: see `sealwatch status`"
        );
        let subject = format!("{registry}/{repository}");
        if because == ParkedBecause::Poison
            && let Err(error) = self.store.record_condition(ConditionCause::Poison, &subject, detail).await
        {
            tracing::warn!(%error, "a condition could not be noted");
        }
    }

    async fn count(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            self.pulses.beat("counts", SILENT_FOR);
            match self.store.live_counts().await {
                Ok(counts) => self.metrics.record_counts(&counts),
                Err(error) => {
                    // A gauge that cannot be counted is absent, and never stale.
                    self.metrics.forget_counts();
                    tracing::warn!(%error, "the store could not be counted");
                }
            }
            if sleep_unless_stopped(&mut stop, COUNT_EVERY).await {
                return self.pulses.ended("counts");
            }
        }
    }

    async fn revive(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let after = i64::try_from(self.limits.probe_parked_after.as_millis()).unwrap_or(i64::MAX);
        let mut looked_at: Option<Instant> = None;
        loop {
            self.pulses.beat("revival", SILENT_FOR);
            self.call_probes().await;
            if sleep_unless_stopped(&mut stop, PROBE_EVERY).await {
                return self.pulses.ended("revival");
            }
            if looked_at.is_some_and(|at| at.elapsed() < REVIVE_EVERY) {
                continue;
            }
            looked_at = Some(Instant::now());
            match self.store.probe_parked(after, REVIVED_AT_ONCE).await {
                Ok(0) => {}
                Ok(probed) => tracing::info!(probed, "parked work is tried once more"),
                Err(error) => tracing::warn!(%error, "parked work could not be looked through"),
            }
        }
    }
}

/// What the queue of events gave.
enum TakenEvent {
    Event(Box<store::LeasedEvent>, Option<Place>),
    /// It was put aside.
    Parked,
    None,
}

/// Returns once the stop was given; also when nobody is left to give it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone, which is a stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Answers whether to stop.
async fn sleep_unless_stopped(stop: &mut watch::Receiver<bool>, time: Duration) -> bool {
    tokio::select! {
        () = stopped(stop) => true,
        () = tokio::time::sleep(time) => false,
    }
}

/// A task ends by itself; panics of its work are caught within.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a task ended by a panic; its lease will end");
    }
}
