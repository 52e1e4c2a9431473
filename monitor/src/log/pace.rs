//! How fast one host is asked: as many requests at once as it answers well, as many per second as it allows, and none
//! while it wants to be left alone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::bucket::Bucket;
use super::error::ReadError;

/// Requests at once to a host that we know nothing about.
const FIRST_LIMIT: f64 = 8.0;
/// The same where it is known to ration them. Of several at once it may refuse the first, and what it answers behind that
/// is of no use; one alone is progress, however few it allows.
const FIRST_RATIONED: f64 = 1.0;
/// A longer pause than this is an error to whoever asks, not a wait.
const PATIENCE: Duration = Duration::from_secs(30);
/// A host that wants to be left alone for longer is asked again after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Whoever waits for a turn looks again after this, at the latest.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// After the first of several failures; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// What a date cannot tell, and the pause where a host that refuses says nothing.
const A_SECOND: Duration = Duration::from_secs(1);
/// The longest pause of our own making.
const LONGEST_BACKOFF: Duration = Duration::from_secs(25);

/// How fast one host is asked, shared by all readers of it.
///
/// Requests at once grow by one with each answer until the first failure, then by one for each round of answers, and
/// are halved by a failure (429, 5xx, no or no complete answer in time). They shrink as they grow where answers wait for
/// us longer than we for them.
#[derive(Debug)]
pub struct Pace {
    host: String,
    most_at_once: f64,
    state: Mutex<State>,
    /// There may be a turn for leaves.
    changed: Notify,
    /// There may be a turn for something else.
    small_changed: Notify,
    requests: AtomicU64,
    failures: AtomicU64,
    rate_limited: AtomicU64,
    bytes: AtomicU64,
    partial_bytes: AtomicU64,
}

#[derive(Debug)]
struct State {
    limit: f64,
    in_flight: u32,
    /// Heads and proofs that wait: leaves, of which many are asked for ahead, come after them.
    small_waiting: u32,
    growing: bool,
    failures_in_a_row: u32,
    /// Only requests that began later tell anything about the limit since.
    lowered_at: Option<Instant>,
    paused_until: Option<Instant>,
    requests: Option<Bucket>,
}

/// What a pace has counted since the start, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct PaceReading {
    /// `host:port`.
    pub host: String,
    /// Requests that may be in flight now.
    pub limit: u32,
    /// Requests that are in flight now.
    pub in_flight: u32,
    /// Requests so far.
    pub requests: u64,
    /// Those that failed: refused for now, cut off, late, too large, or answered with something else.
    pub failures: u64,
    /// Those that were answered with 429.
    pub rate_limited: u64,
    /// Bytes of answers so far.
    pub bytes: u64,
    /// Those of them that were partial tiles, which are read again when they have grown.
    pub partial_bytes: u64,
    /// How long no request goes out from now.
    pub paused: Duration,
}

/// Leave to ask once. It ends with the answer, or when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    pace: Arc<Pace>,
    since: Instant,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asking {
    /// Leaves.
    Leaves,
    /// A head, a proof, a list of shards.
    Small,
}

/// Something small that waits, until this is dropped.
struct SmallWaiting<'p>(&'p Pace);

enum Turn {
    Taken,
    NotBefore(Instant),
    Busy,
}

impl Pace {
    /// A pace for a host, `most_at_once` requests at most, and `per_second` of them where that is limited.
    pub fn new(host: String, most_at_once: usize, per_second: Option<u32>) -> Self {
        let most_at_once = most_at_once.clamp(1, 1024) as f64;
        let first = if per_second.is_some() { FIRST_RATIONED } else { FIRST_LIMIT };
        let state = State {
            limit: first.min(most_at_once),
            in_flight: 0,
            small_waiting: 0,
            growing: true,
            failures_in_a_row: 0,
            lowered_at: None,
            paused_until: None,
            requests: per_second.map(|rate| Bucket::new(rate.into(), f64::from(rate) / 4.0, Instant::now())),
        };
        Self {
            host,
            most_at_once,
            state: Mutex::new(state),
            changed: Notify::new(),
            small_changed: Notify::new(),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            rate_limited: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            partial_bytes: AtomicU64::new(0),
        }
    }

    /// `host:port`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What it has counted, and where it stands.
    pub fn reading(&self) -> PaceReading {
        let state = self.state();
        let paused = state.paused_until.map(|until| until.saturating_duration_since(Instant::now()));
        PaceReading {
            host: self.host.clone(),
            limit: state.limit as u32,
            in_flight: state.in_flight,
            requests: self.requests.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            rate_limited: self.rate_limited.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            partial_bytes: self.partial_bytes.load(Ordering::Relaxed),
            paused: paused.unwrap_or_default(),
        }
    }

    /// Waits for a turn to ask for leaves, or for something small, which goes first: a head or a proof that waited behind
    /// all leaves that are asked for ahead would keep their segment from being verified. An error where it would take too
    /// long.
    pub(super) async fn permit(self: &Arc<Self>, what: Asking) -> Result<Permit, ReadError> {
        let waiting = (what == Asking::Small).then(|| SmallWaiting::new(self));
        let turn = self.turn(what).await;
        drop(waiting);
        // There may be room for one more who waits.
        self.wake();
        turn
    }

    async fn turn(self: &Arc<Self>, what: Asking) -> Result<Permit, ReadError> {
        loop {
            let changed = if what == Asking::Small { &self.small_changed } else { &self.changed };
            let changed = changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = Instant::now();
            match self.try_turn(now, what) {
                Turn::Taken => {
                    self.requests.fetch_add(1, Ordering::Relaxed);
                    return Ok(Permit { pace: Arc::clone(self), since: now });
                }
                Turn::NotBefore(at) if at.saturating_duration_since(now) > PATIENCE => {
                    let retry_after = at.saturating_duration_since(now);
                    return Err(ReadError::RateLimited { host: self.host.clone(), retry_after });
                }
                Turn::NotBefore(at) => tokio::time::sleep_until(at).await,
                // Whoever was woken may have given up since: a word that went to nobody is not waited for for ever.
                Turn::Busy => drop(tokio::time::timeout(LOOK_AGAIN, changed).await),
            }
        }
    }

    /// An answer came and was taken, but it was not what a log says.
    pub(super) fn junk(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        let now = Instant::now();
        state.slow_down(now, None);
        state.back_off(now, None);
    }

    /// So many bytes of an answer were those of a partial tile.
    pub(super) fn count_partial(&self, bytes: usize) {
        self.partial_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// There may be a turn for one who waits.
    fn wake(&self) {
        if self.state().small_waiting > 0 { self.small_changed.notify_one() } else { self.changed.notify_one() }
    }

    fn try_turn(&self, now: Instant, what: Asking) -> Turn {
        let mut state = self.state();
        if let Some(until) = state.paused_until {
            if until > now {
                return Turn::NotBefore(until);
            }
            state.paused_until = None;
        }
        if f64::from(state.in_flight) + 1.0 > state.limit || (what == Asking::Leaves && state.small_waiting > 0) {
            return Turn::Busy;
        }
        if let Some(bucket) = &mut state.requests {
            let wait = bucket.wait_for(1.0, now);
            if !wait.is_zero() {
                return Turn::NotBefore(now + wait.min(LONGEST_PAUSE));
            }
            bucket.take(1.0, now);
        }
        state.in_flight += 1;
        Turn::Taken
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Fewer at once, unless the failed request began before that was done already.
    fn slow_down(&mut self, now: Instant, began: Option<Instant>) {
        let known = began.zip(self.lowered_at).is_some_and(|(began, lowered)| began <= lowered);
        if !known {
            self.limit = (self.limit / 2.0).max(1.0);
            self.lowered_at = Some(now);
            self.growing = false;
        }
    }

    /// None at all for a while: as long as the host says, or longer with each failure.
    fn back_off(&mut self, now: Instant, retry_after: Option<Duration>) {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        let pause = match retry_after {
            // A date is of whole seconds: one that is past may mean a moment within this one (skylight's always does).
            Some(Duration::ZERO) => own_pause(self.failures_in_a_row - 1).min(A_SECOND),
            Some(asked) => asked.min(LONGEST_PAUSE),
            // One failure among many answers is no reason to stop.
            None if self.failures_in_a_row == 1 => return,
            None => own_pause(self.failures_in_a_row - 2),
        };
        self.paused_until = self.paused_until.max(Some(now + pause));
    }
}

impl Permit {
    /// A complete answer of so many bytes, whatever it says. `crowded`: it had to wait for its room, so that there is no use
    /// in asking for more at once.
    pub(super) fn answered(self, bytes: usize, crowded: bool) {
        self.pace.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let mut state = self.pace.state();
        state.failures_in_a_row = 0;
        let step = if state.growing { 1.0 } else { 1.0 / state.limit };
        state.limit = if crowded {
            // Never below what it began with, if it was above that.
            (state.limit - step).max(state.limit.min(FIRST_LIMIT))
        } else {
            (state.limit + step).min(self.pace.most_at_once)
        };
    }

    /// No complete answer, or one that says "not now": `retry_after` where the host said for how long.
    pub(super) fn failed(self, retry_after: Option<Duration>) {
        self.pace.failures.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut state = self.pace.state();
        state.slow_down(now, Some(self.since));
        state.back_off(now, retry_after);
    }

    /// 429.
    pub(super) fn rate_limited(self, retry_after: Option<Duration>) {
        self.pace.rate_limited.fetch_add(1, Ordering::Relaxed);
        self.failed(Some(retry_after.unwrap_or(A_SECOND)));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.pace.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        drop(state);
        self.pace.wake();
    }
}

impl<'p> SmallWaiting<'p> {
    fn new(pace: &'p Pace) -> Self {
        pace.state().small_waiting += 1;
        Self(pace)
    }
}

impl Drop for SmallWaiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.small_waiting = state.small_waiting.saturating_sub(1);
        drop(state);
        // It may be over because it has given up, and others waited for it.
        self.0.wake();
    }
}

/// A pause of our own making, after so many before it.
fn own_pause(before: u32) -> Duration {
    jittered(FIRST_PAUSE.saturating_mul(1 << before.min(10)).min(LONGEST_BACKOFF))
}

/// Between half and all of it, so that readers which failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let random = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    pause.mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests;
