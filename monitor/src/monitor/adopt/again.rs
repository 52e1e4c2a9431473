//! Entries that were proved as ours, read from their logs once more.

use std::sync::Arc;

use bundle::claims::Scratch;
use store::{AdoptedSignature, FollowedLog, LostEntry};

use crate::config::{LogKind, LogSpec};
use crate::log::{Fresh, LogReader, Readers};
use crate::reconcile::adopted_hashes;
use crate::shards::expand;

/// The logs that are named now, each by the names that the ledger may have for it.
pub(super) struct Logs {
    trees: Vec<Tree>,
    /// Servers whose shards could not be listed, and why.
    unlisted: Vec<(String, String)>,
}

struct Tree {
    /// Its origin; of a shard of Rekor v1, the name of its server too: the ledger knows that one alone.
    names: Vec<String>,
    reader: Result<Arc<dyn LogReader>, String>,
    /// How many leaves its last head had.
    size: u64,
}

impl Logs {
    /// Lists them.
    pub(super) async fn of(readers: &Readers, material: &[LogSpec], followed: &[FollowedLog]) -> Self {
        let expanded = expand(readers, material, followed).await;
        // A shard of which the pinned key has signed nothing is none that could be read.
        let signed = expanded.logs.into_iter().filter(|spec| !expanded.unsigned.contains_key(&spec.origin));
        let tree = |spec: LogSpec| {
            let is_server = |it: &&LogSpec| {
                it.kind == LogKind::RekorV1
                    && spec.kind == it.kind
                    && spec.key == it.key
                    && spec.read_url == it.read_url
            };
            let mut names: Vec<String> = material.iter().filter(is_server).map(|it| it.origin.clone()).collect();
            names.push(spec.origin.clone());
            Tree { names, reader: readers.reader(&spec).map_err(|error| error.to_string()), size: 0 }
        };
        Self { trees: signed.map(tree).collect(), unlisted: expanded.unlisted }
    }

    /// The signatures of a leaf that was proved as ours. It must be that leaf still, wherever its log says that it is.
    pub(super) async fn signatures(&mut self, lost: &LostEntry) -> Result<Vec<AdoptedSignature>, String> {
        let mut problem = None;
        let mut is_named = false;
        // Each knows its own indices; one that cannot be asked need not be the one.
        for tree in self.trees.iter_mut().filter(|tree| tree.names.contains(&lost.log_origin)) {
            is_named = true;
            match tree.signatures(lost).await {
                Ok(Some(signatures)) => return Ok(signatures),
                Ok(None) => {}
                Err(error) => problem = Some(error),
            }
        }
        let unlisted = || self.unlisted.iter().find(|(server, _)| *server == lost.log_origin);
        Err(match problem.or_else(|| unlisted().map(|(_, error)| error.clone())) {
            Some(problem) => problem,
            None if is_named => "no shard of the log has this index".to_owned(),
            None => "the configuration names no such log".to_owned(),
        })
    }
}

impl Tree {
    /// `None`: what the log's API calls by this index is of another tree.
    async fn signatures(&mut self, lost: &LostEntry) -> Result<Option<Vec<AdoptedSignature>>, String> {
        let reader = self.reader.as_ref().map_err(String::clone)?;
        let position = reader.position_of(lost.log_index).await.map_err(|error| error.to_string())?;
        let Some(position) = position else { return Ok(None) };
        if position >= self.size {
            let head = reader.head().await.map_err(|error| error.to_string())?;
            self.size = reader.open(&head).map_err(|error| error.to_string())?.size();
        }
        let end = position.saturating_add(1);
        let batch = reader.leaves(position, end, self.size, Fresh::No).await.map_err(|error| error.to_string())?;
        let leaf = batch.leaf(position).ok_or("the log does not have it")?;
        if tlog::leaf_hash(leaf).as_bytes() != &lost.leaf_hash {
            return Err("the log has another leaf there".to_owned());
        }
        let mut scratch = Scratch::new();
        let hashes = adopted_hashes(reader.leaf_format(), leaf, None, &mut scratch);
        let signature = |hash| AdoptedSignature {
            signature_hash: hash,
            log_origin: lost.log_origin.clone(),
            log_index: lost.log_index,
        };
        Ok(Some(hashes.into_iter().map(signature).collect()))
    }
}

#[cfg(test)]
mod tests;
