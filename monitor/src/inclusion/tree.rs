//! A tree that we follow, and where in it an entry is.

use std::sync::Arc;

use bundle::LogEntry;
use tlog::Checkpoint;

use crate::evidence::open_any;
use crate::finding::LogDescription;
use crate::log::{LeafFormat, LogReader, ReadError};

/// A log or shard that this process follows, with the newest head that is known to be consistent.
#[derive(Clone)]
pub struct FollowedTree {
    /// Its read side.
    pub reader: Arc<dyn LogReader>,
    /// Its name and key.
    pub log: LogDescription,
    /// Its newest head that is known to be consistent with all that was verified.
    pub head: Checkpoint,
    /// When the log was last asked, and had no newer head than this one; unix milliseconds.
    pub looked_at: i64,
}

/// Where an entry is.
pub(crate) enum Located<'a> {
    /// In this tree, at this index of it. The offset is what the log's API adds.
    At { tree: &'a FollowedTree, index: u64, offset: u64 },
    /// In a tree that is not among these: another monitor follows it, or this one does not yet.
    Elsewhere,
}

/// Finds the tree that an entry says that it is in: by the head that it carries, or by the index that the log gave. Of an
/// entry without either nothing can be told.
pub(crate) async fn locate<'a>(forest: &'a [FollowedTree], entry: &LogEntry) -> Result<Located<'a>, ReadError> {
    let of_log = forest.iter().filter(|tree| is_of_log(tree, entry));
    if let Some(proof) = entry.proof.as_ref().filter(|proof| !proof.checkpoint.is_empty()) {
        for tree in of_log.clone() {
            let opened =
                tree.log.key().ok().and_then(|key| open_any(&tree.log, proof.checkpoint.as_bytes(), &key).ok());
            if opened.is_some_and(|head| head.origin() == tree.log.origin) {
                let offset = entry.log_index.saturating_sub(proof.log_index);
                return Ok(Located::At { tree, index: proof.log_index, offset });
            }
        }
        return Ok(Located::Elsewhere);
    }
    // Each tree knows its own indices: the nearest of those that are followed here need not be the one.
    let mut unasked = None;
    for tree in of_log {
        match tree.reader.position_of(entry.log_index).await {
            Ok(Some(index)) => {
                let offset = entry.log_index.saturating_sub(index);
                return Ok(Located::At { tree, index, offset });
            }
            Ok(None) => {}
            Err(error) => unasked = Some(error),
        }
    }
    unasked.map_or(Ok(Located::Elsewhere), Err)
}

pub(crate) fn is_of_log(tree: &FollowedTree, entry: &LogEntry) -> bool {
    tree.reader.leaf_format() == LeafFormat::Rekor && tree.reader.key().key_id() == entry.log_id
}
