//! Evidence of leaves that are served and not signed: the one leaf where the log's own tiles show it, else as many as a
//! file holds.

use tlog::Checkpoint;

use super::head::TreeHead;
use super::locate::{Swapped, locate};
use super::position::Position;
use super::read::Segment;
use super::{FollowError, Follower};
use crate::evidence::MAX_LEAF_BYTES;
use crate::finding::{self, Uncommitted};
use crate::log::{Fresh, LeafBatch, ReadError};

impl Follower {
    /// The finding about a segment that does not lead to the signed root, with the best evidence that can be had.
    pub(super) async fn uncommitted_finding(
        &self,
        position: &Position,
        head: &Checkpoint,
        segment: &Segment,
        at: i64,
    ) -> Result<store::NewFinding, FollowError> {
        let note = head.note().as_bytes();
        match locate(&self.reader, TreeHead::of(head), &segment.parts).await {
            Ok(Some(Swapped { committed, leaf })) => {
                let how = Uncommitted::Node { node: &committed, leaves: &[leaf.as_slice()] };
                return Ok(finding::leaf_not_committed(&self.log, note, how, at));
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(log.origin = %self.log.origin, %error, "the wrong leaf was not located"),
        }
        if let Some(found) = self.rebuilt(position, head, at).await? {
            return Ok(found);
        }
        let (start, end) = (position.verified.size(), segment.range.size());
        let how = Uncommitted::Root { start, end, computed: segment.range.root() };
        Ok(finding::leaf_not_committed(&self.log, note, how, at))
    }

    /// All leaves between two signed heads, where they are few enough.
    async fn rebuilt(
        &self,
        position: &Position,
        head: &Checkpoint,
        at: i64,
    ) -> Result<Option<store::NewFinding>, FollowError> {
        let verified = position.verified_tree();
        let notes = self.shared.store.note_at(&self.log.origin, verified.size).await?;
        let Some(signed) = notes.into_iter().find(|note| note.root == *verified.root.as_bytes()) else {
            return Ok(None);
        };
        let Ok(Some(batches)) = self.all_leaves(verified.size, head.size()).await else { return Ok(None) };
        let Ok(consistency) = self.reader.consistency(verified.size, head.size(), Fresh::Yes).await else {
            return Ok(None);
        };
        let leaves: Vec<&[u8]> = batches.iter().flat_map(LeafBatch::leaves).collect();
        let how = Uncommitted::Rebuilt {
            verified: &signed.note,
            range: &position.verified,
            consistency: &consistency,
            leaves: &leaves,
        };
        Ok(Some(finding::leaf_not_committed(&self.log, head.note().as_bytes(), how, at)))
    }

    /// The leaves `start..end`; `None` where they are more than an evidence file holds.
    async fn all_leaves(&self, start: u64, end: u64) -> Result<Option<Vec<LeafBatch>>, ReadError> {
        let (mut batches, mut bytes, mut at) = (Vec::new(), 0, start);
        while at < end {
            let stop = self.reader.batch_end(at, end).min(end).max(at + 1);
            let batch = self.reader.leaves(at, stop, end, Fresh::Yes).await?;
            bytes += batch.leaves().map(<[u8]>::len).sum::<usize>();
            if bytes > MAX_LEAF_BYTES {
                return Ok(None);
            }
            batches.push(batch);
            at = stop;
        }
        Ok(Some(batches))
    }
}
