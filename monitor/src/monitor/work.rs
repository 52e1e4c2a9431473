//! What goes on beside the followers: log and ledger are compared both ways, and what was met elsewhere is held against
//! the trees that we follow.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Monitor;
use super::comparing::{Comparing, Part};
use crate::config::Timing;
use crate::follow::backoff::random;
use crate::follow::now_ms;
use crate::inclusion::{EachOnce, FollowedTree, Included};
use crate::reconcile::{LedgerError, LedgerSide};
use crate::shadow::Checked;
use crate::task::stopped;
use crate::watchlist::Watchlist;

/// How many proved entries are proved again at a time.
const AGAIN: u32 = 16;

/// Compares logs and ledger, again and again.
#[derive(Clone)]
pub(super) struct Work {
    ledger: Arc<LedgerSide>,
    watchlist: Watchlist,
    timing: Timing,
}

/// What one go at all of it came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Went {
    pub(super) included: Included,
    pub(super) checked: Checked,
    /// Another go finds what this one did not come to.
    pub(super) more: bool,
}

impl Monitor {
    pub(super) fn work(&self) -> Work {
        Work { ledger: Arc::clone(&self.shared.ledger), watchlist: self.watchlist.clone(), timing: self.config.timing }
    }
}

impl Work {
    /// Until told to stop: every part by itself. The look at the ledger is the clock that tells rows that are dated back,
    /// and waits for no log.
    pub(super) async fn run(
        self,
        forest: watch::Receiver<Vec<FollowedTree>>,
        stop: watch::Receiver<bool>,
        comparing: Comparing,
    ) {
        let again = |part| self.again(part, forest.clone(), stop.clone(), comparing.clone());
        let [intents, suspects, entries, observations] = Part::ALL.map(again);
        tokio::join!(intents, suspects, entries, observations);
    }

    async fn again(
        &self,
        part: Part,
        forest: watch::Receiver<Vec<FollowedTree>>,
        mut stop: watch::Receiver<bool>,
        comparing: Comparing,
    ) {
        let mut reproof_at = Instant::now() + self.timing.reproof_every;
        loop {
            let trees = forest.borrow().clone();
            let mut done = self.go(part, &trees).await;
            if part == Part::Entries && done.is_ok() && Instant::now() >= reproof_at {
                reproof_at = Instant::now() + self.timing.reproof_every;
                let seed = u64::from(random()) << 32 | u64::from(random());
                done = self.ledger.prove_again(&trees, AGAIN, seed, now_ms()).await.map(drop);
            }
            comparing.ended(part, &done, now_ms());
            // Suspects become due between two rounds.
            let wait = self.timing.interval.min(self.timing.grace).max(Duration::from_millis(50));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    async fn go(&self, part: Part, forest: &[FollowedTree]) -> Result<(), LedgerError> {
        match part {
            Part::Intents => self.ledger.look_at_intents(now_ms()).await.map(drop),
            Part::Suspects => self.ledger.settle_due(forest, &self.watchlist, now_ms()).await.map(drop),
            Part::Entries => self.ledger.prove_own_entries(forest, now_ms()).await.map(drop),
            Part::Observations => self.ledger.check_observations(forest, now_ms()).await.map(drop),
        }
    }

    /// One go of a pass at all of it. One part that fails keeps no other from its turn; the first error is told.
    pub(super) async fn once(&self, forest: &[FollowedTree], pass: &mut EachOnce) -> Result<Went, LedgerError> {
        let looked = self.ledger.look_at_intents(now_ms()).await;
        let settled = self.ledger.settle_due(forest, &self.watchlist, now_ms()).await;
        let included = self.ledger.prove_each_once(forest, pass, now_ms()).await;
        let checked = self.ledger.check_observations(forest, now_ms()).await;
        let (looked, _, included, checked) = (looked?, settled?, included?, checked?);
        Ok(Went { included, checked, more: looked.more || included.more || checked.more })
    }
}
