//! The ledger's side of the monitor: what it needs, and what it keeps in mind between two looks.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bundle::TrustRoot;
use sha2::{Digest as _, Sha256};
use store::{Sink, Store};

use super::LedgerError;
use crate::config::Timing;
use crate::inclusion::{Recent, Unproved};
use crate::intents::Looks;
use crate::shadow::Walk;

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

impl LedgerTiming {
    pub(crate) fn grace_ms(&self) -> i64 {
        millis(self.grace)
    }

    /// By how much a row's times may be off.
    pub(crate) fn tolerance_ms(&self) -> i64 {
        self.grace_ms().max(TOLERANCE_MS)
    }

    pub(crate) fn deadline_ms(&self) -> i64 {
        millis(self.inclusion_deadline)
    }
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
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
    pub(crate) looks: Mutex<Looks>,
    pub(crate) recent: Mutex<Recent>,
    pub(crate) walk: Mutex<Walk>,
    pub(crate) unproved: Mutex<Unproved>,
    /// When the ledger's payloads were last walked through, in unix milliseconds.
    pub(super) payloads_walked_at: Mutex<Option<i64>>,
    /// Suspects of logs that this process has no head of, and since when (unix milliseconds).
    pub(super) left_behind: Mutex<HashMap<i64, i64>>,
}

impl LedgerSide {
    /// `sinks` are told of what is found here.
    pub fn new(store: Arc<dyn Store>, trust: Arc<TrustRoot>, timing: LedgerTiming, sinks: Vec<Sink>) -> Self {
        Self {
            store,
            timing,
            sinks,
            trust: Mutex::new(trust),
            looks: Mutex::default(),
            recent: Mutex::default(),
            walk: Mutex::default(),
            unproved: Mutex::default(),
            payloads_walked_at: Mutex::default(),
            left_behind: Mutex::default(),
        }
    }

    /// The trust material was read again.
    pub fn set_trust(&self, trust: Arc<TrustRoot>) {
        *locked(&self.trust) = trust;
    }

    pub(crate) fn trust(&self) -> Arc<TrustRoot> {
        Arc::clone(&locked(&self.trust))
    }

    /// The public keys that the ledger knows, each with a name: for [`crate::watchlist::Watchlist::with_keys`]. Read them
    /// after a head was seen and before the leaves under it are matched: a key is in the ledger before it signs.
    pub async fn keys(&self) -> Result<Vec<(Vec<u8>, String)>, LedgerError> {
        let keys = self.store.ledger_keys().await?;
        Ok(keys.into_iter().map(|key| (key.spki, key.identity)).collect())
    }

    /// Fingerprints of the keys that were recorded before a certificate of them was asked for.
    pub(super) async fn asked_for(&self) -> Result<BTreeSet<String>, LedgerError> {
        let keys = self.store.ledger_keys().await?;
        let certified = keys.into_iter().filter_map(|key| {
            let fingerprint = hex::encode(Sha256::digest(bundle::public_key::canonical_spki(&key.spki)));
            // The identity of a key is its fingerprint; a certificate's is a name.
            (fingerprint != key.identity).then_some(fingerprint)
        });
        Ok(certified.collect())
    }
}

pub(crate) fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves by log and index.
pub(crate) type Places = HashMap<(String, u64), [u8; 32]>;
