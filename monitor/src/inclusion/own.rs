//! Entries of ours: taken over from the ledger, proved, and proved again at random.

use std::collections::BTreeMap;

use bundle::LogEntry;
use futures_util::{StreamExt as _, stream};
use store::{FollowedLog, NewFinding, OwnEntry, OwnEntryState};

use super::tree::{Located, locate};
use super::{FollowedTree, Place, place, unproved};
use crate::finding::{Withheld, missing_leaf, withheld_entry};
use crate::follow::millis;
use crate::log::ReadError;
use crate::reconcile::side::locked;
use crate::reconcile::{LedgerError, LedgerSide};
use crate::shadow::Fit;

/// Entries that are taken over at once, and how often in one go.
const IMPORT: u32 = 1_000;
const IMPORTS: usize = 20;
/// Entries that are asked about in one go.
const AT_ONCE: u32 = 1_000;
/// Questions to logs in flight.
const IN_FLIGHT: usize = 8;
/// For so many times the usual pause an entry is left to whoever follows its log.
const PATIENCE: i64 = 4;
/// Rows of the ledger that one go sweeps through for entries that were dated back.
const SWEEP: u32 = 1_000;

/// What a go came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Included {
    /// Entries that were taken over from the ledger.
    pub imported: u64,
    /// Entries that are proved now.
    pub proved: u64,
    /// Entries that wait on.
    pub waiting: u64,
    /// Entries that are withheld.
    pub withheld: u64,
    /// Entries in logs that are not among those that are followed here.
    pub elsewhere: u64,
    /// Entries about which a log could not be asked.
    pub unasked: u64,
    /// Not all of the ledger was looked through yet: another go finds more.
    pub more: bool,
}

/// What became of one entry.
enum Became {
    /// It stands there, and what that means. The name: of the log that it is in, which is followed here.
    State(OwnEntryState, Vec<NewFinding>, Option<String>),
    /// In a log that another monitor follows.
    Elsewhere,
    /// In this log, which nobody follows.
    Unfollowed(String),
    /// What the ledger has of it cannot be read, and why.
    Unreadable(String),
    /// The ledger has it no more: it went back in time, and says so elsewhere.
    Gone,
}

/// A pass over all that waits: each entry once, whoever asked about it when.
#[derive(Clone, Debug)]
pub struct EachOnce {
    /// How far the walk over what waits already has come: row, log, index; `None`: to its end.
    walk: Option<(i64, String, u64)>,
    /// When the pass began, in unix milliseconds: after the walk there is only what was taken over since.
    began_at: i64,
}

impl EachOnce {
    /// A pass that begins at a time (unix milliseconds).
    pub fn new(began_at: i64) -> Self {
        Self { walk: Some(unproved::FIRST), began_at }
    }
}

impl LedgerSide {
    /// Takes over what is new in the ledger and asks about each entry that is not proved yet: whether its leaf is under
    /// the head, and whether the head that it carries is of the tree that we follow. What is not there by its deadline is
    /// withheld. A log that cannot be asked changes nothing.
    pub async fn prove_own_entries(&self, forest: &[FollowedTree], now: i64) -> Result<Included, LedgerError> {
        let pause = millis(self.timing.recheck_every);
        let left_since = now.saturating_sub(pause.saturating_mul(PATIENCE));
        let mut included = self.import().await?;
        let mut due = self.store.own_entries_due(now.saturating_sub(pause), AT_ONCE).await?;
        included.more |= due.len() >= AT_ONCE as usize;
        // What was put off while nobody followed its log waits no longer when somebody does.
        let mut walk = locked(&self.unproved).walk_for(forest);
        if walk.is_some() {
            due.extend(self.walked(&mut walk, now).await?);
            included.more |= walk.is_some();
        }
        self.follow_up(forest, due, left_since, now, &mut included).await?;
        locked(&self.unproved).walked_to(walk);
        Ok(included)
    }

    /// The same for a pass: it asks about each entry that waits once.
    pub async fn prove_each_once(
        &self,
        forest: &[FollowedTree],
        pass: &mut EachOnce,
        now: i64,
    ) -> Result<Included, LedgerError> {
        let mut included = self.import().await?;
        let before = pass.began_at.saturating_sub(1);
        let mut walk = pass.walk.clone();
        let entries = if walk.is_some() {
            let entries = self.walked(&mut walk, i64::MIN).await?;
            // What was just taken over may be behind the walk.
            included.more |= walk.is_some() || included.imported > 0;
            entries
        } else {
            let entries = self.store.own_entries_due(before, AT_ONCE).await?;
            included.more |= entries.len() >= AT_ONCE as usize;
            entries
        };
        self.follow_up(forest, entries, before, now, &mut included).await?;
        pass.walk = walk;
        Ok(included)
    }

    /// The next entries of a walk over those that wait and were last asked about after a time (unix milliseconds).
    async fn walked(
        &self,
        walk: &mut Option<(i64, String, u64)>,
        checked_after: i64,
    ) -> Result<Vec<OwnEntry>, LedgerError> {
        let Some(after) = walk.take() else { return Ok(Vec::new()) };
        let entries = self.store.own_entries_waiting(checked_after, &after, AT_ONCE).await?;
        let last = entries.last().filter(|_| entries.len() >= AT_ONCE as usize);
        *walk = last.map(|last| (last.signature_id, last.log_origin.clone(), last.log_index));
        Ok(entries)
    }

    /// Proves up to `n` entries again that were proved before, drawn by `seed`.
    pub async fn prove_again(
        &self,
        forest: &[FollowedTree],
        n: u32,
        seed: u64,
        now: i64,
    ) -> Result<Included, LedgerError> {
        let mut included = Included::default();
        let drawn = self.store.random_own_entries(n, seed).await?;
        self.follow_up(forest, drawn, now, now, &mut included).await?;
        Ok(included)
    }

    async fn import(&self) -> Result<Included, LedgerError> {
        let mut imported = 0u64;
        let mut more = true;
        for _ in 0..IMPORTS {
            let new = self.store.import_own_entries(IMPORT).await?;
            imported = imported.saturating_add(new);
            more = new >= u64::from(IMPORT);
            if !more {
                break;
            }
        }
        let after = locked(&self.walk).swept_to;
        let (new, last) = self.store.sweep_own_entries(after, SWEEP).await?;
        locked(&self.walk).swept_to = last.unwrap_or_default();
        Ok(Included { imported: imported.saturating_add(new), more: more || last.is_some(), ..Included::default() })
    }

    async fn follow_up(
        &self,
        forest: &[FollowedTree],
        entries: Vec<OwnEntry>,
        left_since: i64,
        now: i64,
        included: &mut Included,
    ) -> Result<(), LedgerError> {
        if entries.is_empty() {
            return Ok(());
        }
        let stored = &self.store.followed_logs().await?[..];
        let asked = stream::iter(entries).map(|entry| async move {
            let became = self.became(forest, stored, &entry, now).await;
            (entry, became)
        });
        // All of them before the first is written: a question that is not polled may hold a connection to the store.
        let asked: Vec<_> = asked.buffer_unordered(IN_FLIGHT).collect().await;
        let mut unread: BTreeMap<String, String> = BTreeMap::new();
        for (entry, became) in asked {
            if matches!(became, Ok(Became::State(..) | Became::Elsewhere | Became::Unfollowed(_) | Became::Gone)) {
                self.followed(&entry, &unproved::unreadable(&entry), now).await?;
            }
            // Nothing can be told of it: it is asked about less and less often.
            let later = unproved::asked_at(entry.recorded_at, now);
            let (state, findings, asked_at) = match became {
                Ok(Became::State(state, findings, log)) => {
                    if let Some(log) = log {
                        self.followed(&entry, &log, now).await?;
                    }
                    (state, findings, now)
                }
                Ok(Became::Elsewhere) => {
                    included.elsewhere += 1;
                    // What is written here puts off whoever can ask about it.
                    if entry.checked_at > left_since {
                        included.waiting += u64::from(entry.state == OwnEntryState::Waiting);
                        continue;
                    }
                    (entry.state, Vec::new(), now)
                }
                Ok(Became::Unfollowed(log)) => {
                    included.elsewhere += 1;
                    // What was proved before its log was left is as it should be.
                    if entry.state == OwnEntryState::Waiting {
                        self.unfollowed(&entry, &log, now).await?;
                    }
                    (entry.state, Vec::new(), later)
                }
                Ok(Became::Unreadable(error)) => {
                    included.unasked += 1;
                    self.unreadable_entry(&entry, &error, now).await?;
                    (entry.state, Vec::new(), later)
                }
                Ok(Became::Gone) => (entry.state, Vec::new(), later),
                Err(LedgerError::Read(error)) => {
                    included.unasked += 1;
                    unread.insert(entry.log_origin.clone(), error.to_string());
                    (entry.state, Vec::new(), now)
                }
                Err(error) => return Err(error),
            };
            match state {
                OwnEntryState::Waiting => included.waiting += 1,
                OwnEntryState::Proved { .. } => included.proved += 1,
                OwnEntryState::Withheld => included.withheld += 1,
            }
            self.store
                .mark_own_entry(
                    entry.signature_id,
                    &entry.log_origin,
                    entry.log_index,
                    state,
                    asked_at,
                    &findings,
                    &self.sinks,
                )
                .await?;
        }
        for (origin, error) in unread {
            tracing::debug!(log.origin = %origin, %error, "own entries could not be asked about");
        }
        Ok(())
    }

    async fn became(
        &self,
        forest: &[FollowedTree],
        stored: &[FollowedLog],
        own: &OwnEntry,
        now: i64,
    ) -> Result<Became, LedgerError> {
        // Without the log's answer there is nothing to hold it to.
        let Some(json) = &own.entry_json else { return Ok(Became::Gone) };
        let entry = match LogEntry::from_json(json) {
            Ok(entry) => entry,
            Err(error) => return Ok(Became::Unreadable(error.to_string())),
        };
        let due_at = own.recorded_at.saturating_add(self.timing.deadline_ms());
        let is_late = now >= due_at.saturating_add(self.timing.deadline_ms());
        let mut findings = Vec::new();
        let mut settled = true;
        match self.fit(forest, &entry, "ledger", own.recorded_at, now).await? {
            Fit::Fits | Fit::NothingSigned => {}
            Fit::Later => settled = false,
            Fit::Splits(finding) => findings.push(*finding),
        }
        let (tree, index, offset) = match locate(forest, &entry).await? {
            Located::At { tree, index, offset } => (tree, index, offset),
            // A tree that nobody announced is told of by now; the entry will never be proved.
            Located::Elsewhere if !findings.is_empty() => {
                return Ok(Became::State(OwnEntryState::Withheld, findings, None));
            }
            Located::Elsewhere if unproved::is_followed(stored, &entry, is_late, now) => return Ok(Became::Elsewhere),
            Located::Elsewhere => return Ok(Became::Unfollowed(unproved::log_of(own, &entry).to_owned())),
        };
        let leaf = entry.leaf_hash();
        let found = if locked(&self.recent).take(&tree.log.origin, index, *leaf.as_bytes()) {
            Place::Held
        } else {
            place(tree, index, &leaf).await?
        };
        // Only a head from after the deadline can be too small for an entry that is due.
        let overdue = now >= due_at && tree.looked_at >= due_at;
        let state = match &found {
            Place::Held if settled => OwnEntryState::Proved { size: tree.head.size() },
            Place::Other { .. } | Place::Beyond if overdue || !matches!(found, Place::Beyond) => {
                let earlier = earlier_heads(forest, tree, offset).await?;
                let other = match &found {
                    Place::Other { leaf, proof } => Some((*leaf, proof.as_slice())),
                    _ => None,
                };
                let note = tree.head.note().as_bytes();
                let what = Withheld { note, entry: json, index, offset, earlier: &earlier, other };
                findings.push(withheld_entry(&tree.log, &what, own.recorded_at, now));
                OwnEntryState::Withheld
            }
            Place::Unproved(problem) if overdue => {
                let end = index.saturating_add(1);
                findings.push(missing_leaf(&tree.log, tree.head.note().as_bytes(), index, end, problem, now));
                own.state
            }
            _ => own.state,
        };
        Ok(Became::State(state, findings, Some(unproved::log_of(own, &entry).to_owned())))
    }
}

/// The last heads of the shards before this one, if they are all among these: their sizes make up the offset.
pub(crate) async fn earlier_heads<'a>(
    forest: &'a [FollowedTree],
    tree: &FollowedTree,
    offset: u64,
) -> Result<Vec<&'a [u8]>, ReadError> {
    let (mut heads, mut sum) = (Vec::new(), 0u64);
    for other in forest {
        let same_key = other.log.public_key == tree.log.public_key && other.log.origin != tree.log.origin;
        if same_key && other.reader.first_index().await? < offset {
            sum = sum.saturating_add(other.head.size());
            heads.push(other.head.note().as_bytes());
        }
    }
    Ok(if sum == offset { heads } else { Vec::new() })
}
