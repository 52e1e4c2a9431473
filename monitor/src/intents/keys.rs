//! Our public keys. The ledger names them, and what it has named once is watched for ever: whoever may write the ledger
//! cannot take a key off the watchlist for as long as it takes to use it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bundle::public_key::canonical_spki;
use sha2::{Digest as _, Sha256};
use store::{LedgerKeySeen, LedgerRow, NewFinding, Store, StoreError};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::time;
use crate::finding::state_lost;
use crate::watchlist::Watchlist;

/// Between two questions about the keys of certificates, of which there is one for each signature: what a leaf lacks is
/// asked for again before it is told.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(10);
/// Between two questions about all of them, whatever they say of their time.
const WHOLE_EVERY: Duration = Duration::from_secs(600);
/// How far back the keys of certificates are asked for: they become visible out of order, by clocks of other machines.
const OVERLAP_MS: i64 = 10 * 60 * 1_000;

/// How thorough a look is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    /// Each identity's key; those of certificates now and then.
    Quick,
    /// All of them.
    Complete,
}

/// Keys that were recorded for certificates, by fingerprint.
#[derive(Clone, Debug, Default)]
pub(crate) struct AskedFor(HashMap<String, Asked>);

#[derive(Clone, Copy, Debug)]
struct Asked {
    seen_at: i64,
    backdated: bool,
}

impl AskedFor {
    /// Whether a key was recorded before a leaf that was first seen at `leaf_seen_at`, as far as the monitor can tell.
    pub(crate) fn explains(&self, fingerprint: &str, leaf_seen_at: i64, ordering_ms: i64) -> bool {
        let latest = leaf_seen_at.saturating_add(ordering_ms);
        self.0.get(fingerprint).is_some_and(|asked| !asked.backdated && asked.seen_at <= latest)
    }
}

/// The keys of the ledger, as this process knows them.
pub(crate) struct Keys {
    store: Arc<dyn Store>,
    tolerance_ms: i64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    loaded: bool,
    /// In the order in which they came; it only grows.
    all: Vec<(Vec<u8>, String)>,
    /// Whether each is a certificate's.
    known: HashMap<Vec<u8>, bool>,
    asked_for: Arc<AskedFor>,
    /// The key that each identity has.
    named: HashMap<String, Vec<u8>>,
    /// Keys that the ledger named no more when it was asked, with what is to be told.
    lost: BTreeMap<String, Lost>,
    /// Keys of certificates that say that they are older than they can be, and their times.
    backdated: Vec<(String, i64)>,
    /// When the last look at the keys of certificates began, and the last one at all of them; unix milliseconds.
    looked_at: i64,
    whole_at: i64,
    asked: Option<Instant>,
    whole: Option<Instant>,
}

struct Lost {
    identity: String,
    now: Option<String>,
}

impl Keys {
    pub(crate) fn new(store: Arc<dyn Store>, tolerance_ms: i64) -> Self {
        Self { store, tolerance_ms, state: Mutex::default() }
    }

    /// Those after the first `taken`, with their names, after a look that begins at `now`.
    pub(crate) async fn after(&self, taken: usize, look: Look, now: i64) -> Result<Vec<(Vec<u8>, String)>, StoreError> {
        let mut state = self.state.lock().await;
        self.look(&mut state, look, now).await?;
        Ok(state.all.get(taken..).unwrap_or_default().to_vec())
    }

    /// Those that were recorded for certificates, after a look that begins at `now`.
    pub(crate) async fn asked_for(&self, look: Look, now: i64) -> Result<Arc<AskedFor>, StoreError> {
        let mut state = self.state.lock().await;
        self.look(&mut state, look, now).await?;
        Ok(Arc::clone(&state.asked_for))
    }

    /// What is to be told of them since this was asked last.
    pub(super) async fn findings(&self, now: i64) -> Result<Vec<NewFinding>, StoreError> {
        let mut state = self.state.lock().await;
        self.look(&mut state, Look::Complete, now).await?;
        let lost = std::mem::take(&mut state.lost);
        let mut findings: Vec<_> = lost.iter().map(|(key, lost)| lost_key(key, lost, now)).collect();
        let backdated = std::mem::take(&mut state.backdated);
        findings.extend(backdated.iter().map(|(key, at)| backdated_key(key, *at, now)));
        Ok(findings)
    }

    /// Takes the keys of rows, which may be others than those of their identities.
    pub(super) async fn take(&self, rows: &[LedgerRow]) -> Result<(), StoreError> {
        let mut state = self.state.lock().await;
        self.load(&mut state).await?;
        let mut new: Vec<LedgerKeySeen> = Vec::new();
        for row in rows {
            let spki = &row.public_key_spki;
            if !state.known.contains_key(spki) && new.iter().all(|key| key.spki != *spki) {
                new.push(seen(spki, &row.identity, state.looked_at));
            }
        }
        self.record(&mut state, new).await
    }

    async fn load(&self, state: &mut State) -> Result<(), StoreError> {
        if !state.loaded {
            self.load_all(state).await?;
            // They say when a process before this one has looked.
            state.loaded = true;
        }
        Ok(())
    }

    async fn load_all(&self, state: &mut State) -> Result<(), StoreError> {
        for key in self.store.ledger_keys_seen().await? {
            state.looked_at = state.looked_at.max(key.seen_at);
            state.take(&key);
        }
        Ok(())
    }

    async fn look(&self, state: &mut State, look: Look, now: i64) -> Result<(), StoreError> {
        self.load(state).await?;
        let mut new: Vec<LedgerKeySeen> = Vec::new();
        let identities = self.store.identity_keys().await?;
        state.compare(&identities);
        for (identity, spki) in identities.into_iter().filter_map(|it| Some((it.identity, it.spki?))) {
            if !state.known.contains_key(&spki) && new.iter().all(|key| key.spki != spki) {
                new.push(seen(&spki, &identity, state.looked_at));
            }
        }
        self.record(state, new).await?;
        if look == Look::Complete || state.asked.is_none_or(|asked| asked.elapsed() >= CERTIFICATES_EVERY) {
            self.look_at_certificates(state, now).await?;
        }
        Ok(())
    }

    async fn look_at_certificates(&self, state: &mut State, now: i64) -> Result<(), StoreError> {
        let before = state.looked_at;
        let recent = before.min(now).saturating_sub(OVERLAP_MS);
        let whole = state.whole.is_none_or(|at| at.elapsed() >= WHOLE_EVERY);
        let rows = if whole {
            // What another monitor was the first to see.
            if self.store.ledger_keys_seen_count().await? != state.known.len() as u64 {
                self.load_all(state).await?;
            }
            self.store.certificate_keys_unseen().await?
        } else {
            self.store.certificate_keys_since(recent).await?
        };
        let mut new: BTreeMap<Vec<u8>, LedgerKeySeen> = BTreeMap::new();
        for row in rows.into_iter().filter(|row| state.known.get(&row.spki) != Some(&true)) {
            let key = LedgerKeySeen {
                certified: true,
                backdated: row.first_at.saturating_add(self.tolerance_ms) < before,
                // The looks between have asked for those only that say that they are recent.
                seen_at: if row.first_at >= recent { before } else { state.whole_at },
                ..seen(&row.spki, &row.identity, before)
            };
            if key.backdated {
                state.backdated.push((fingerprint(&key.spki), row.first_at));
            }
            new.insert(row.spki, key);
        }
        self.record(state, new.into_values().collect()).await?;
        state.looked_at = state.looked_at.max(now);
        state.asked = Some(Instant::now());
        if whole {
            state.whole_at = state.whole_at.max(now);
            state.whole = state.asked;
        }
        Ok(())
    }

    async fn record(&self, state: &mut State, new: Vec<LedgerKeySeen>) -> Result<(), StoreError> {
        if !new.is_empty() {
            self.store.record_ledger_keys_seen(&new).await?;
            new.iter().for_each(|key| state.take(key));
        }
        Ok(())
    }
}

impl State {
    fn take(&mut self, key: &LedgerKeySeen) {
        let name = fingerprint(&key.spki);
        // A key that signs by itself is nobody's certificate, whoever says so.
        let is_pair = name == key.identity || self.named.get(&name).is_some_and(|spki| fingerprint(spki) == name);
        if key.certified && !is_pair {
            let asked = Asked { seen_at: key.seen_at, backdated: key.backdated };
            Arc::make_mut(&mut self.asked_for).0.entry(name.clone()).or_insert(asked);
        }
        if name == key.identity {
            self.named.entry(name).or_insert_with(|| key.spki.clone());
        }
        if self.known.insert(key.spki.clone(), key.certified).is_none() {
            self.all.push((key.spki.clone(), key.identity.clone()));
        }
    }

    /// Whether each identity still has the key that it had.
    fn compare(&mut self, identities: &[store::IdentityKey]) {
        let now: HashMap<&str, &[u8]> =
            identities.iter().filter_map(|it| Some((&*it.identity, it.spki.as_deref()?))).collect();
        for (identity, spki) in &self.named {
            let named = now.get(&**identity);
            if named.is_none_or(|now| canonical_spki(now) != canonical_spki(spki)) {
                let lost = Lost { identity: identity.clone(), now: named.map(|now| fingerprint(now)) };
                self.lost.insert(fingerprint(spki), lost);
            }
        }
        for (identity, spki) in now {
            self.named.entry(identity.to_owned()).or_insert_with(|| spki.to_vec());
        }
    }
}

/// A watchlist with the ledger's keys. It only grows, as they do.
pub(crate) struct WithKeys {
    rules: Watchlist,
    grown: Watchlist,
    taken: usize,
}

impl WithKeys {
    pub(crate) fn new(rules: &Watchlist) -> Self {
        Self { rules: rules.clone(), grown: rules.with_keys(&[]), taken: 0 }
    }

    /// Whether it is of these rules.
    pub(crate) fn is_of(&self, rules: &Watchlist) -> bool {
        self.rules.has_rules_of(rules)
    }

    /// Takes the keys that are new. Whether there were any.
    pub(crate) async fn grow(&mut self, keys: &Keys, look: Look, now: i64) -> Result<bool, StoreError> {
        let new = keys.after(self.taken, look, now).await?;
        self.taken = self.taken.saturating_add(new.len());
        self.grown.add_keys(&new);
        Ok(!new.is_empty())
    }

    /// As it is now.
    pub(crate) fn watchlist(&self) -> Watchlist {
        self.grown.clone()
    }
}

fn seen(spki: &[u8], identity: &str, seen_at: i64) -> LedgerKeySeen {
    let (spki, identity) = (spki.to_vec(), identity.to_owned());
    LedgerKeySeen { spki, identity, certified: false, seen_at, backdated: false }
}

fn fingerprint(spki: &[u8]) -> String {
    hex::encode(Sha256::digest(canonical_spki(spki)))
}

fn lost_key(key: &str, lost: &Lost, now: i64) -> NewFinding {
    let instead = match &lost.now {
        Some(other) => format!("names {other} instead"),
        None => "names none".to_owned(),
    };
    let words = format!(
        "The ledger named the public key {key} for the identity {:?}, and {instead}: it was restored from an older backup, \
         or somebody hides a key from us. The key is watched all the same.",
        lost.identity,
    );
    // It is seen at each look, and is news when the ledger names something else: a person may end it as it is.
    let named = lost.now.as_deref().unwrap_or("nothing");
    let occurrence = format!("{} names {named}", lost.identity);
    NewFinding { occurrence, ..state_lost(None, &format!("ledger/keys/{key}"), &words, now) }
}

fn backdated_key(key: &str, requested_at: i64, now: i64) -> NewFinding {
    let words = format!(
        "The key {key} says that a certificate was asked for at {} and was not in the ledger when we looked after that: it \
         was written afterwards, or the signer's clock is wrong. It explains no certificate.",
        time(requested_at),
    );
    NewFinding { occurrence: format!("key {key}"), ..state_lost(None, "ledger/backdated", &words, now) }
}

#[cfg(test)]
mod tests;
