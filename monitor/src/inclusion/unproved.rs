//! Entries of ours of which nothing can be told: in logs that nobody follows, or that cannot be read. Not to be able to
//! look is no finding about the log; for long it is one about us.

use std::collections::{BTreeMap, BTreeSet};

use bundle::LogEntry;
use store::{FindingKind, FollowedLog, OwnEntry};

use super::FollowedTree;
use crate::finding::{blind_entries, entries_cause, fingerprint};
use crate::follow::lease::is_somebodys;
use crate::reconcile::side::locked;
use crate::reconcile::{LedgerError, LedgerSide};

/// So many such entries are known one by one for each log; when these are proved, so are the others.
const KNOWN: usize = 10_000;
/// The longest wait before such an entry is asked about again.
const LONGEST_MS: i64 = 60 * 60 * 1_000;

/// So long what is told is taken to be open: another monitor may have followed the log for a while, and ended it.
const TOLD_FOR_MS: i64 = 60_000;

/// What is known of such entries in this process.
#[derive(Debug, Default)]
pub(crate) struct Unproved {
    /// Logs that nobody follows, and of which entries cannot be read.
    unfollowed: BTreeMap<String, Unfollowed>,
    /// What is told, and when that was said to the store last (unix milliseconds).
    told: BTreeMap<String, i64>,
    /// Logs of which an earlier process may have told: that is over.
    cleared: BTreeSet<String>,
    /// When this process asked about an entry first, in unix milliseconds.
    began_at: Option<i64>,
    /// The trees that what was put off was held against, and how far the walk over it has come for these; `None`: to its
    /// end.
    trees: BTreeSet<String>,
    walk: Option<(i64, String, u64)>,
}

/// Before the first entry.
pub(super) const FIRST: (i64, String, u64) = (i64::MIN, String::new(), 0);

impl Unproved {
    /// How far the walk over what was put off has come. With a tree that is new here it begins again.
    pub(super) fn walk_for(&mut self, forest: &[FollowedTree]) -> Option<(i64, String, u64)> {
        let trees: BTreeSet<String> = forest.iter().map(|tree| tree.log.origin.clone()).collect();
        if !self.trees.is_superset(&trees) {
            self.walk = Some(FIRST);
        }
        self.trees = trees;
        self.walk.clone()
    }

    /// Nothing can be told of an entry. Answers since when that is so of any (unix milliseconds).
    fn meets(&mut self, own: &OwnEntry, about: &str, now: i64) -> i64 {
        let new = || Unfollowed { since: now, entries: BTreeMap::new() };
        let unfollowed = self.unfollowed.entry(about.to_owned()).or_insert_with(new);
        let name = (own.signature_id, own.log_index);
        unfollowed.forget_old(now);
        if unfollowed.entries.is_empty() {
            unfollowed.since = now;
        }
        if unfollowed.entries.len() < KNOWN || unfollowed.entries.contains_key(&name) {
            unfollowed.entries.insert(name, now);
        }
        unfollowed.since
    }

    fn is_told(&self, about: &str, now: i64) -> bool {
        self.told.get(about).is_some_and(|said_at| (0..TOLD_FOR_MS).contains(&now.saturating_sub(*said_at)))
    }

    /// What the walk met is dealt with.
    pub(super) fn walked_to(&mut self, walk: Option<(i64, String, u64)>) {
        self.walk = walk;
    }
}

#[derive(Debug)]
struct Unfollowed {
    /// Since when this process meets entries in it, in unix milliseconds.
    since: i64,
    /// Which, by row of the ledger and index, and when each was met last.
    entries: BTreeMap<(i64, u64), i64>,
}

impl Unfollowed {
    /// Without those that were not met for so long that they wait no more: another monitor has proved them.
    fn forget_old(&mut self, now: i64) {
        self.entries.retain(|_, met_at| now.saturating_sub(*met_at) < 2 * LONGEST_MS);
    }
}

/// The log that an entry says that it is in: by the head that it carries, or as the ledger calls it.
pub(super) fn log_of<'a>(own: &'a OwnEntry, entry: &'a LogEntry) -> &'a str {
    signed_by(entry).unwrap_or(&own.log_origin)
}

fn signed_by(entry: &LogEntry) -> Option<&str> {
    entry.proof.as_ref().and_then(|proof| proof.checkpoint.lines().next())
}

/// What is told of entries like this one where they cannot be read.
pub(super) fn unreadable(own: &OwnEntry) -> String {
    format!("{}, cannot be read", own.log_origin)
}

/// Whether any monitor follows the log that an entry says that it is in. A promise does not say in which of a server's
/// shards: until it `is_late` any of them may be the one, and then the one that follows that one had the time to prove it.
pub(super) fn is_followed(stored: &[FollowedLog], entry: &LogEntry, is_late: bool, now: i64) -> bool {
    let origin = signed_by(entry);
    (origin.is_some() || !is_late)
        && stored.iter().any(|log| {
            log.key_id == entry.log_id
                && origin.is_none_or(|origin| origin == log.origin)
                && is_somebodys(log.lease_expires_at, now)
        })
}

/// When an entry that was recorded then counts as asked about: the longer it has waited, the less often it is.
pub(super) fn asked_at(recorded_at: i64, now: i64) -> i64 {
    now.saturating_add((now.saturating_sub(recorded_at) / 8).clamp(0, LONGEST_MS))
}

impl LedgerSide {
    /// An entry is in a log that nobody follows. After its deadline, and as long again in this process, that is told.
    pub(super) async fn unfollowed(&self, own: &OwnEntry, log: &str, now: i64) -> Result<(), LedgerError> {
        let deadline = self.timing.deadline_ms();
        let due = {
            let mut unproved = locked(&self.unproved);
            let since = unproved.meets(own, log, now);
            let is_over = |since: i64| now.saturating_sub(since) >= deadline;
            is_over(since) && is_over(own.recorded_at) && !unproved.is_told(log, now)
        };
        if !due {
            return Ok(());
        }
        let words = format!(
            "The ledger has entries in the log {log:?} that no monitor proves: none follows it, or its server lists no \
             shard for them that is followed. Whether the log has them, nobody looks. Name the log in the configuration \
             and trust it."
        );
        self.tell(log, &words, own.recorded_at, now).await
    }

    /// An entry in the ledger is none.
    pub(super) async fn unreadable_entry(&self, own: &OwnEntry, error: &str, now: i64) -> Result<(), LedgerError> {
        let about = unreadable(own);
        {
            let mut unproved = locked(&self.unproved);
            unproved.meets(own, &about, now);
            if unproved.is_told(&about, now) {
                return Ok(());
            }
        }
        let words = format!(
            "The ledger has an entry {} of the log {:?} that cannot be read ({error}): whether the log has it cannot be \
             asked.",
            own.log_index, own.log_origin,
        );
        self.tell(&about, &words, own.recorded_at, now).await
    }

    /// An entry is in a log that is followed, or can be read: with the last of those that were not, what was told of them
    /// is over.
    pub(super) async fn followed(&self, own: &OwnEntry, log: &str, now: i64) -> Result<(), LedgerError> {
        {
            let mut unproved = locked(&self.unproved);
            let began_at = *unproved.began_at.get_or_insert(now);
            let entries = unproved.unfollowed.get_mut(log).map(|unfollowed| {
                unfollowed.entries.remove(&(own.signature_id, own.log_index));
                unfollowed.forget_old(now);
                unfollowed.entries.len()
            });
            let others = match entries {
                Some(left) => left > 0,
                // Those that an earlier process told of are asked about again within this time.
                None => unproved.cleared.contains(log) || now.saturating_sub(began_at) < 2 * LONGEST_MS,
            };
            if others {
                return Ok(());
            }
            unproved.unfollowed.remove(log);
            unproved.told.remove(log);
        }
        let print = fingerprint(FindingKind::Blind, None, &entries_cause(log));
        self.store.clear_finding(&print, now, &self.sinks).await?;
        locked(&self.unproved).cleared.insert(log.to_owned());
        Ok(())
    }

    async fn tell(&self, about: &str, words: &str, since: i64, now: i64) -> Result<(), LedgerError> {
        let found = blind_entries(about, words, since, now);
        let (kind, detail) = (found.kind, found.detail.clone());
        // What is open stays as it is, and nobody is told again.
        let raised = self.store.raise(&[found], &self.sinks).await?;
        if raised.iter().any(|it| it.alerted) {
            tracing::warn!(finding.kind = %kind, "{detail}");
        }
        let mut unproved = locked(&self.unproved);
        unproved.cleared.remove(about);
        unproved.told.insert(about.to_owned(), now);
        Ok(())
    }
}
