//! What the worker and `verify` met in registries, held against the trees that we follow.

use bundle::LogEntry;
use store::{NewFinding, Observation};

use super::Fit;
use crate::inclusion::FollowedTree;
use crate::reconcile::side::locked;
use crate::reconcile::{LedgerError, LedgerSide};

/// Observations that are looked at in one go.
const AT_ONCE: u32 = 500;
/// Observations that wait to be told about; while there are more, no new ones are looked at.
const PENDING: usize = 5_000;

/// How long an observation waits to be told about: far longer than any deadline. Nobody can stop the others with those
/// that nothing can be told about.
const WAITS_MS: i64 = 24 * 60 * 60 * 1_000;

/// What a go came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Checked {
    /// Of trees that we follow.
    pub fits: u64,
    /// Signed by no log that is followed here, or no log entry at all.
    pub ignored: u64,
    /// To be looked at again.
    pub later: u64,
    /// Those of them about which a log could not be asked.
    pub unasked: u64,
    /// Of other trees.
    pub splits: u64,
    /// There are observations that were not looked at yet: another go finds more.
    pub more: bool,
    /// There are some that are not looked at before something can be told about others: too many of these wait.
    pub held_up: bool,
}

impl LedgerSide {
    /// Looks at what was met since the last go, and again at what could not be told about then.
    pub async fn check_observations(&self, forest: &[FollowedTree], now: i64) -> Result<Checked, LedgerError> {
        let (seen_to, mut waiting) = {
            let mut walk = locked(&self.walk);
            let trees = forest.iter().map(|tree| tree.log.origin.clone()).collect();
            // A tree that is new here has not been held against anything.
            if walk.trees.is_superset(&trees) {
                walk.trees = trees;
            } else {
                (walk.trees, walk.seen_to, walk.pending) = (trees, 0, Vec::new());
            }
            (walk.seen_to, std::mem::take(&mut walk.pending))
        };
        let mut last = seen_to;
        let mut checked = Checked::default();
        let room = waiting.len() < PENDING;
        let new = match self.store.observations_after(seen_to, if room { AT_ONCE } else { 1 }).await {
            Ok(new) => new,
            Err(error) => {
                locked(&self.walk).pending = waiting;
                return Err(error.into());
            }
        };
        if room {
            last = new.last().map_or(seen_to, |observation| observation.id);
            checked.more = new.len() >= AT_ONCE as usize;
            waiting.extend(new.into_iter().map(|observation| (observation, now)));
        } else {
            checked.held_up = !new.is_empty();
        }
        let (mut pending, mut findings) = (Vec::new(), Vec::new());
        let outcome = self.hold_against(forest, waiting, now, &mut checked, &mut pending, &mut findings).await;
        // There is room by now.
        if checked.held_up && pending.len() < PENDING {
            (checked.more, checked.held_up) = (true, false);
        }
        let raised = match outcome {
            Ok(()) if findings.is_empty() => Ok(()),
            Ok(()) => self.store.raise(&findings, &self.sinks).await.map(|_| ()).map_err(LedgerError::from),
            Err(error) => Err(error),
        };
        let mut walk = locked(&self.walk);
        match raised {
            Ok(()) => (walk.seen_to, walk.pending) = (last, pending),
            // All of it again: nothing that was found may be lost.
            Err(error) => {
                walk.trees.clear();
                return Err(error);
            }
        }
        Ok(checked)
    }

    async fn hold_against(
        &self,
        forest: &[FollowedTree],
        waiting: Vec<(Observation, i64)>,
        now: i64,
        checked: &mut Checked,
        pending: &mut Vec<(Observation, i64)>,
        findings: &mut Vec<NewFinding>,
    ) -> Result<(), LedgerError> {
        let mut expired = 0u64;
        for (observation, since) in waiting {
            let Ok(entry) = LogEntry::from_json(&observation.entry_json) else {
                checked.ignored += 1;
                continue;
            };
            match self.fit(forest, &entry, "registry", observation.at, now).await {
                Ok(Fit::Fits) => {
                    checked.fits += 1;
                    continue;
                }
                Ok(Fit::NothingSigned) => {
                    checked.ignored += 1;
                    continue;
                }
                Ok(Fit::Splits(finding)) => {
                    checked.splits += 1;
                    tracing::warn!(
                        observed.by = %observation.source, image = observation.image.as_deref().unwrap_or_default(),
                        title = %finding.title, "a log entry in a registry does not fit"
                    );
                    findings.push(*finding);
                    continue;
                }
                Ok(Fit::Later) => {}
                Err(LedgerError::Read(error)) => {
                    tracing::debug!(%error, "a log could not be asked about an observation");
                    checked.unasked += 1;
                }
                Err(error) => return Err(error),
            }
            checked.later += 1;
            if now.saturating_sub(since) < WAITS_MS {
                pending.push((observation, since));
            } else {
                expired += 1;
            }
        }
        if expired > 0 {
            tracing::warn!(expired, "nothing could be told for a day about what was met in registries; it is left");
        }
        Ok(())
    }
}
