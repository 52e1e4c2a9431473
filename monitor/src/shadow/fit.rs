//! Whether a log entry that was met somewhere fits the trees that we follow.

use bundle::LogEntry;
use tlog::{Checkpoint, InclusionProof, verify_set};

use super::Fit;
use crate::evidence::open_any;
use crate::finding::{Withheld, missing_leaf, split_view_entry};
use crate::inclusion::{FollowedTree, Located, Place, earlier_heads, locate, place};
use crate::log::LeafFormat;
use crate::reconcile::{LedgerError, LedgerSide};

/// Something that was met.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met<'a> {
    /// Where: `ledger`, `registry`.
    pub(super) source: &'a str,
    /// When, in unix milliseconds.
    pub(super) at: i64,
    pub(super) now: i64,
}

impl LedgerSide {
    /// Holds the head and the promise that an entry carries against the trees. `source` is where it was met; whether the
    /// ledger's own entries are where they should be is asked elsewhere.
    pub(crate) async fn fit(
        &self,
        forest: &[FollowedTree],
        entry: &LogEntry,
        source: &str,
        met_at: i64,
        now: i64,
    ) -> Result<Fit, LedgerError> {
        let met = Met { source, at: met_at, now };
        let mut fit = Fit::NothingSigned;
        if let Some((tree, head)) = signed_head(forest, entry) {
            fit = self.head_fits(forest, tree, &head, met).await?;
            if fit != Fit::Fits || is_under(entry, &head) {
                return Ok(fit);
            }
        }
        if source == "ledger" {
            return Ok(fit);
        }
        match self.promise_fits(forest, entry, met).await? {
            // The head that it carries may still be of a tree of ours.
            Fit::NothingSigned => Ok(fit),
            promise => Ok(promise),
        }
    }

    /// A signed entry timestamp: the log says that it took the entry in, at this index.
    async fn promise_fits(&self, forest: &[FollowedTree], entry: &LogEntry, met: Met<'_>) -> Result<Fit, LedgerError> {
        let (Some(set), Some(time)) = (&entry.set, entry.integrated_time) else { return Ok(Fit::NothingSigned) };
        let signed = forest.iter().filter(|tree| tree.reader.leaf_format() == LeafFormat::Rekor).any(|tree| {
            let key = tree.reader.key();
            verify_set(key, &entry.body, time, &entry.log_id, entry.log_index, set).is_ok()
        });
        if !signed {
            return Ok(Fit::NothingSigned);
        }
        // The promise alone: a proof beside it is of another head.
        let promise = LogEntry { proof: None, ..entry.clone() };
        // Once its tree is followed here, all that was met is looked at again.
        let Located::At { tree, index, offset } = locate(forest, &promise).await? else {
            return Ok(Fit::NothingSigned);
        };
        let overdue = self.is_overdue(tree, met);
        let found = place(tree, index, &entry.leaf_hash()).await?;
        let other = match &found {
            Place::Held => return Ok(Fit::Fits),
            Place::Other { leaf, proof } => Some((*leaf, proof.as_slice())),
            Place::Beyond if overdue => None,
            Place::Unproved(problem) if overdue => {
                let (note, end) = (tree.head.note().as_bytes(), index.saturating_add(1));
                return Ok(Fit::Splits(Box::new(missing_leaf(&tree.log, note, index, end, problem, met.now))));
            }
            Place::Beyond | Place::Unproved(_) => return Ok(Fit::Later),
        };
        let earlier = earlier_heads(forest, tree, offset).await?;
        let json = promise.to_json();
        let note = tree.head.note().as_bytes();
        let what = Withheld { note, entry: &json, index, offset, earlier: &earlier, other };
        Ok(Fit::Splits(Box::new(split_view_entry(&tree.log, &what, met.source, met.now))))
    }

    /// Whether the log had until the deadline, and was asked after it.
    pub(super) fn is_overdue(&self, tree: &FollowedTree, met: Met<'_>) -> bool {
        let due_at = met.at.saturating_add(self.timing.deadline_ms());
        met.now >= due_at && tree.looked_at >= due_at
    }
}

/// The head that an entry carries, if a followed log's key signed it, for whichever tree; with a tree of that key.
fn signed_head<'a>(forest: &'a [FollowedTree], entry: &LogEntry) -> Option<(&'a FollowedTree, Checkpoint)> {
    let note = entry.proof.as_ref().map(|proof| proof.checkpoint.as_bytes()).filter(|note| !note.is_empty())?;
    let mut of_key = None;
    for tree in forest.iter().filter(|tree| tree.reader.leaf_format() == LeafFormat::Rekor) {
        let Some(head) = tree.log.key().ok().and_then(|key| open_any(&tree.log, note, &key).ok()) else { continue };
        if head.origin() == tree.log.origin {
            return Some((tree, head));
        }
        // Of the trees of one key the largest stands for what the log shows us.
        let larger = |it: &(&FollowedTree, Checkpoint)| it.0.head.size() < tree.head.size();
        if of_key.as_ref().is_none_or(larger) {
            of_key = Some((tree, head));
        }
    }
    of_key
}

/// Whether the entry's own proof puts it under its own head, where its index says.
fn is_under(entry: &LogEntry, head: &Checkpoint) -> bool {
    entry.proof.as_ref().is_some_and(|proof| {
        let inclusion = InclusionProof { index: proof.log_index, size: head.size(), hashes: proof.hashes.clone() };
        inclusion.verify(&entry.leaf_hash(), &head.root()).is_ok()
    })
}
