//! The watchlist with what the ledger knows now: our keys, and what we signed.

use std::sync::Arc;
use std::time::Duration;

use store::{Store, StoreError};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::now_ms;
use super::scan::Matching;
use crate::intents::keys::{Keys, Look, WithKeys};
use crate::watchlist::{DigestFilter, Watchlist, content_hash};

/// Rows asked for at once.
const PAGE: u32 = 10_000;
/// Rows before the newest that are asked for again: on PostgreSQL a smaller id may become visible after a larger one.
const AGAIN: i64 = 1_000;
/// Between two looks at what was signed: who else signs that is told for information only.
const DIGESTS_EVERY: Duration = Duration::from_secs(10);

/// Keeps the watchlist up to date with the ledger.
pub(crate) struct Matchings {
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
    /// The rules of the configuration, by their content.
    rules: Vec<[u8; 32]>,
    state: Mutex<State>,
}

struct State {
    watchlist: WithKeys,
    digests: Arc<DigestFilter>,
    newest: i64,
    asked: Option<Instant>,
    current: Option<Arc<Matching>>,
}

impl Matchings {
    /// Rules, and the ledger to complete them from.
    pub(crate) fn new(store: Arc<dyn Store>, keys: Arc<Keys>, watchlist: &Watchlist) -> Self {
        let rules = watchlist.rules().iter().map(content_hash).collect();
        let watchlist = WithKeys::new(watchlist);
        let state = State { watchlist, digests: Arc::default(), newest: 0, asked: None, current: None };
        Self { store, keys, rules, state: Mutex::new(state) }
    }

    /// The rules of the configuration, by their content.
    pub(crate) fn rule_hashes(&self) -> &[[u8; 32]] {
        &self.rules
    }

    /// As the ledger is now. Every leaf that is under a head when this is asked is matched with each key that signed it:
    /// the ledger knows a key before the log can hear of it (I8). Keys of certificates may be some seconds late.
    pub(crate) async fn current(&self) -> Result<Arc<Matching>, StoreError> {
        let mut state = self.state.lock().await;
        let mut changed = state.watchlist.grow(&self.keys, Look::Quick, now_ms()).await?;
        if state.asked.is_none_or(|asked| asked.elapsed() >= DIGESTS_EVERY) {
            changed |= self.read_digests(&mut state).await?;
            state.asked = Some(Instant::now());
        }
        match &state.current {
            Some(current) if !changed => Ok(Arc::clone(current)),
            _ => {
                let watchlist = state.watchlist.watchlist();
                let current = Arc::new(Matching { watchlist, digests: Arc::clone(&state.digests) });
                state.current = Some(Arc::clone(&current));
                Ok(current)
            }
        }
    }

    /// Whether there were new ones.
    async fn read_digests(&self, state: &mut State) -> Result<bool, StoreError> {
        let before = state.digests.len();
        let mut after = state.newest.saturating_sub(AGAIN).max(0);
        loop {
            let page = self.store.ledger_digests(after, PAGE).await?;
            let Some(last) = page.last().map(|row| row.id) else { break };
            let is_new = |digest: &[u8]| !state.digests.may_contain(digest);
            let new: Vec<&[u8]> = page
                .iter()
                .flat_map(|row| [row.signed_digest.as_slice(), row.payload_sha256.as_slice()])
                .filter(|digest| is_new(digest))
                .collect();
            if !new.is_empty() {
                let digests = Arc::make_mut(&mut state.digests);
                new.iter().for_each(|digest| digests.insert(digest));
            }
            (after, state.newest) = (last, state.newest.max(last));
        }
        Ok(state.digests.len() != before)
    }
}
