//! Blindness is a finding too: what has gone on for too long, each raised when it begins to be worth a word and cleared
//! when it is over; and the heartbeat, which says that none of it is so.

mod conditions;
mod heartbeat;
mod left;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use store::{FindingFilter, FindingKind, FindingRow, FindingState, Sink, Store, StoreError};

use crate::config::Timing;
use crate::finding::{self, Within, fingerprint};
use crate::follow::LogStatus;
use crate::watchlist::{WatchKind, WatchRule};

pub use conditions::{Condition, conditions, is_fine};
pub(crate) use heartbeat::Heartbeat;
pub use heartbeat::HeartbeatError;

/// Watches over followers.
pub(crate) struct Health {
    store: Arc<dyn Store>,
    sinks: Vec<Sink>,
    timing: Timing,
    watches: Vec<WatchRule>,
    /// What is raised and not over, by fingerprint; `None` before the store was asked.
    raised: Option<BTreeMap<String, FindingKind>>,
    /// When the store was last asked, in unix milliseconds: another process that follows logs raises and clears, too.
    asked_at: i64,
    /// The logs that this process followed then.
    held: BTreeSet<String>,
    /// See [`Self::forget_left`].
    left: left::Left,
}

/// The store is asked again what is raised after so long.
const ASK_EVERY_MS: i64 = 60_000;

impl Health {
    pub(crate) fn new(store: Arc<dyn Store>, sinks: Vec<Sink>, timing: Timing, watches: Vec<WatchRule>) -> Self {
        Self {
            store,
            sinks,
            timing,
            watches,
            raised: None,
            asked_at: 0,
            held: BTreeSet::new(),
            left: left::Left::default(),
        }
    }

    /// Raises what has begun and clears what is over, among the logs that this process follows.
    pub(crate) async fn look(&mut self, logs: &[LogStatus], now: i64) -> Result<(), StoreError> {
        let held: BTreeSet<String> =
            logs.iter().filter(|status| status.held).map(|status| status.log.origin.clone()).collect();
        // Whoever followed a log before may have cleared what this process has raised about it, or raised something.
        if held != self.held {
            self.raised = None;
        }
        self.held = held;
        let mut known = self.known(now).await?;
        let outcome = self.compare(&mut known, logs, now).await;
        self.raised = Some(known);
        outcome
    }

    async fn compare(
        &self,
        known: &mut BTreeMap<String, FindingKind>,
        logs: &[LogStatus],
        now: i64,
    ) -> Result<(), StoreError> {
        for status in logs.iter().filter(|status| status.held || status.failing.is_some()) {
            let origin = status.log.origin.as_str();
            let mut now_so = BTreeMap::new();
            for condition in conditions(status, &self.timing, now) {
                let found = condition.finding(&status.log, now);
                now_so.insert(found.fingerprint.clone(), found);
            }
            self.raise_new(known, now_so.values()).await?;
            let over =
                known.iter().filter(|(print, kind)| is_about(print, **kind, origin) && !now_so.contains_key(*print));
            let over: Vec<String> = over.map(|(print, _)| print.clone()).collect();
            self.clear(known, &over, now).await?;
        }
        Ok(())
    }

    /// Clears what is raised about a log that is named no more.
    pub(crate) async fn forget(&mut self, origin: &str, now: i64) -> Result<(), StoreError> {
        let mut known = self.known(now).await?;
        let about = known.iter().filter(|(print, kind)| is_about(print, **kind, origin));
        let about: Vec<String> = about.map(|(print, _)| print.clone()).collect();
        let outcome = self.clear(&mut known, &about, now).await;
        self.raised = Some(known);
        outcome
    }

    /// Raises that something else than a log could not be looked at for too long, or clears it. `trouble`: since when
    /// (unix milliseconds), and why. Whether it is looked at within its bound.
    pub(crate) async fn look_within(
        &mut self,
        what: Within,
        trouble: Option<(i64, String)>,
        now: i64,
    ) -> Result<bool, StoreError> {
        let patience = i64::try_from(self.timing.blind_after.as_millis()).unwrap_or(i64::MAX);
        let lasting = trouble.filter(|(since, _)| now.saturating_sub(*since) >= patience);
        let mut known = self.known(now).await?;
        let outcome = match &lasting {
            Some((since, error)) => {
                let found = finding::blind_within(what, *since, error, now);
                self.raise_new(&mut known, std::iter::once(&found)).await
            }
            None => {
                let over = fingerprint(FindingKind::Blind, None, what.cause());
                let over: Vec<String> = known.contains_key(&over).then_some(over).into_iter().collect();
                self.clear(&mut known, &over, now).await
            }
        };
        self.raised = Some(known);
        outcome.map(|()| lasting.is_none())
    }

    /// Watches that have never matched, by their deadline. A retired key that nobody uses is as it should be.
    pub(crate) async fn look_at_watches(&mut self, now: i64) -> Result<(), StoreError> {
        self.look_at_those(|_| true, now).await
    }

    /// The same for a pass, which may have other watches than the monitor beside it: those are left alone.
    pub(crate) async fn look_at_own_watches(&mut self, now: i64) -> Result<(), StoreError> {
        let print = |rule: &WatchRule| fingerprint(FindingKind::MatcherNeverMatched, None, &rule.name);
        let own: BTreeSet<String> = self.watches.iter().map(print).collect();
        self.look_at_those(|print| own.contains(print), now).await
    }

    async fn look_at_those(&mut self, is_ours: impl Fn(&str) -> bool, now: i64) -> Result<(), StoreError> {
        let mut known = self.known(now).await?;
        let outcome = self.compare_watches(&mut known, is_ours, now).await;
        self.raised = Some(known);
        outcome
    }

    async fn compare_watches(
        &self,
        known: &mut BTreeMap<String, FindingKind>,
        is_ours: impl Fn(&str) -> bool,
        now: i64,
    ) -> Result<(), StoreError> {
        let never = self.never_matched(&self.store.matchers_since().await?, now);
        let found: Vec<_> =
            never.iter().map(|(watch, since)| finding::matcher_never_matched(watch, *since, now)).collect();
        self.raise_new(known, found.iter()).await?;
        let over = known.iter().filter(|(print, kind)| {
            **kind == FindingKind::MatcherNeverMatched
                && is_ours(print)
                && !found.iter().any(|it| it.fingerprint == **print)
        });
        let over: Vec<String> = over.map(|(print, _)| print.clone()).collect();
        self.clear(known, &over, now).await
    }

    /// The configured watches without a match, each with the time since when it is known.
    fn never_matched(&self, matchers: &[(String, i64, Option<i64>)], now: i64) -> Vec<(String, i64)> {
        let patience = i64::try_from(self.timing.never_matched_after.as_millis()).unwrap_or(i64::MAX);
        let is_meant = |rule: &&WatchRule| !matches!(rule.kind, WatchKind::Key { retired: true, .. });
        let since = |rule: &WatchRule| matchers.iter().find(|(name, ..)| *name == rule.name);
        self.watches
            .iter()
            .filter(is_meant)
            .filter_map(|rule| match since(rule) {
                Some((name, since, None)) if now.saturating_sub(*since) >= patience => Some((name.clone(), *since)),
                _ => None,
            })
            .collect()
    }

    /// What is raised by now, to be put back when it is dealt with.
    async fn known(&mut self, now: i64) -> Result<BTreeMap<String, FindingKind>, StoreError> {
        let recent = (0..ASK_EVERY_MS).contains(&now.saturating_sub(self.asked_at));
        if let Some(raised) = self.raised.take().filter(|_| recent) {
            return Ok(raised);
        }
        let open = self.open_levels().await?;
        self.asked_at = now;
        Ok(open)
    }

    /// What an earlier process has raised, or another one.
    async fn open_levels(&self) -> Result<BTreeMap<String, FindingKind>, StoreError> {
        Ok(self.open_rows().await?.into_iter().map(|row| (row.fingerprint, row.kind)).collect())
    }

    async fn open_rows(&self) -> Result<Vec<FindingRow>, StoreError> {
        let mut open = Vec::new();
        for kind in FindingKind::ALL.iter().copied().filter(|kind| kind.ends_by_itself()) {
            let filter = FindingFilter {
                states: vec![FindingState::Open, FindingState::Acknowledged],
                kind: Some(kind),
                limit: 10_000,
                ..FindingFilter::default()
            };
            open.extend(self.store.findings(&filter).await?);
        }
        Ok(open)
    }

    async fn raise_new<'a>(
        &self,
        known: &mut BTreeMap<String, FindingKind>,
        found: impl Iterator<Item = &'a store::NewFinding>,
    ) -> Result<(), StoreError> {
        let new: Vec<store::NewFinding> = found.filter(|it| !known.contains_key(&it.fingerprint)).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        for finding in &new {
            tracing::warn!(finding.kind = %finding.kind, "{}", finding.title);
        }
        self.store.raise(&new, &self.sinks).await?;
        known.extend(new.into_iter().map(|it| (it.fingerprint, it.kind)));
        Ok(())
    }

    async fn clear(
        &self,
        known: &mut BTreeMap<String, FindingKind>,
        over: &[String],
        now: i64,
    ) -> Result<(), StoreError> {
        for print in over {
            if self.store.clear_finding(print, now, &self.sinks).await? {
                tracing::info!(finding.fingerprint = %print, "a finding is over");
            }
            known.remove(print);
        }
        Ok(())
    }
}

/// Whether a fingerprint is of this log: of the log itself, or of a time signed for it.
fn is_about(print: &str, kind: FindingKind, origin: &str) -> bool {
    kind != FindingKind::MatcherNeverMatched
        && (["", "log"].iter().any(|cause| print == fingerprint(kind, Some(origin), cause))
            || print.starts_with(&fingerprint(kind, Some(origin), "witness ")))
}

#[cfg(test)]
mod tests;
