//! The ledger's side of the monitor: what it needs, and what it keeps in mind between two looks.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bundle::TrustRoot;
use store::{Sink, Store};

use super::LedgerError;
use super::storm::Storms;
use crate::config::{Limits, Timing};
use crate::follow::millis;
use crate::inclusion::{Recent, Unproved};
use crate::intents::Looks;
use crate::intents::keys::{Keys, Look, WithKeys};
use crate::shadow::Walk;
use crate::watchlist::Watchlist;

/// How patient the ledger's side is.
#[derive(Clone, Copy, Debug)]
pub struct LedgerTiming {
    /// How long a leaf may be ahead of the ledger that we read.
    pub grace: Duration,
    /// By when an entry of ours must be under a head, and a head from elsewhere within the tree that we follow.
    pub inclusion_deadline: Duration,
    /// How long a tree may be unknown before it is one that nobody announced: longer than trust material takes.
    pub unknown_tree_after: Duration,
    /// Between two questions about the same entry.
    pub recheck_every: Duration,
}

impl From<&Timing> for LedgerTiming {
    fn from(timing: &Timing) -> Self {
        Self {
            grace: timing.grace,
            inclusion_deadline: timing.inclusion_deadline,
            unknown_tree_after: timing.refresh_every.saturating_mul(2).saturating_add(timing.grace),
            recheck_every: timing.interval,
        }
    }
}

/// Clocks of several machines, and a signer that waits for its lock, may differ by this much.
const TOLERANCE_MS: i64 = 5 * 60 * 1_000;
/// How long a log may take to show its head.
const ORDERING_MS: i64 = 30 * 1_000;

impl LedgerTiming {
    pub(crate) fn grace_ms(&self) -> i64 {
        millis(self.grace)
    }

    /// By how much a row's times may be off.
    pub(crate) fn tolerance_ms(&self) -> i64 {
        self.grace_ms().max(TOLERANCE_MS)
    }

    /// By how much a look at the ledger may be ahead of a leaf that is in the log when it is made. There is one clock, the
    /// monitor's: a leaf's time is when its head was asked for, which takes a while to answer.
    pub(crate) fn ordering_ms(&self) -> i64 {
        self.grace_ms().max(ORDERING_MS)
    }

    pub(crate) fn deadline_ms(&self) -> i64 {
        millis(self.inclusion_deadline)
    }
}

/// Compares logs with the ledger, both ways. The ledger is only read.
///
/// - [`LedgerSide::judge`]: leaves that match, once they are verified.
/// - [`LedgerSide::settle_due`]: those of them that the ledger did not explain, after the grace period.
/// - [`LedgerSide::prove_own_entries`] and [`LedgerSide::prove_again`]: the ledger's entries, under verified heads.
/// - [`LedgerSide::check_observations`]: heads and promises met in registries, against the trees that we follow.
/// - [`LedgerSide::look_at_intents`]: the ledger itself, which only grows at its end.
pub struct LedgerSide {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) timing: LedgerTiming,
    pub(crate) sinks: Vec<Sink>,
    trust: Mutex<Arc<TrustRoot>>,
    /// Our keys, as the ledger ever named them.
    pub(crate) keys: Arc<Keys>,
    with_keys: tokio::sync::Mutex<Option<WithKeys>>,
    pub(crate) looks: Mutex<Looks>,
    pub(crate) recent: Mutex<Recent>,
    pub(crate) walk: Mutex<Walk>,
    pub(crate) unproved: Mutex<Unproved>,
    /// When the ledger's payloads were last walked through, in unix milliseconds.
    pub(super) payloads_walked_at: Mutex<Option<i64>>,
    pub(super) storms: Mutex<Storms>,
    /// Rows of the ledger that cannot be read, and were told of.
    pub(crate) unreadable: Mutex<BTreeSet<i64>>,
}

impl LedgerSide {
    /// `sinks` are told of what is found here.
    pub fn new(store: Arc<dyn Store>, trust: Arc<TrustRoot>, timing: LedgerTiming, sinks: Vec<Sink>) -> Self {
        Self {
            keys: Arc::new(Keys::new(Arc::clone(&store), timing.tolerance_ms())),
            with_keys: tokio::sync::Mutex::default(),
            store,
            timing,
            sinks,
            trust: Mutex::new(trust),
            looks: Mutex::default(),
            recent: Mutex::default(),
            walk: Mutex::default(),
            unproved: Mutex::default(),
            payloads_walked_at: Mutex::default(),
            storms: Mutex::new(Storms::new(Limits::default().told_apart)),
            unreadable: Mutex::default(),
        }
    }

    /// With another number of findings of one key or rule a day that are told apart; see [`Limits::told_apart`].
    #[must_use]
    pub fn telling_apart(self, told_apart: usize) -> Self {
        Self { storms: Mutex::new(Storms::new(told_apart)), ..self }
    }

    /// The trust material was read again.
    pub fn set_trust(&self, trust: Arc<TrustRoot>) {
        *locked(&self.trust) = trust;
    }

    pub(crate) fn trust(&self) -> Arc<TrustRoot> {
        Arc::clone(&locked(&self.trust))
    }

    /// A watchlist with the public keys that the ledger names or ever named. Ask after a head was seen and before the
    /// leaves under it are matched: a key is in the ledger before it signs. `now`: when that is.
    pub async fn with_keys(&self, watchlist: &Watchlist, now: i64) -> Result<Watchlist, LedgerError> {
        let mut cached = self.with_keys.lock().await;
        let mut current = match cached.take() {
            Some(current) if current.is_of(watchlist) => current,
            _ => WithKeys::new(watchlist),
        };
        let grown = current.grow(&self.keys, Look::Complete, now).await;
        let with = current.watchlist();
        *cached = Some(current);
        grown?;
        Ok(with)
    }
}

pub(crate) fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves by log and index.
pub(crate) type Places = HashMap<(String, u64), [u8; 32]>;
