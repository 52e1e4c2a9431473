//! Whether a signed head that was met somewhere is of the tree that we follow.

use store::NoteSeen;
use tlog::{Checkpoint, CompactRange, Hash, NodeProof, ProofError, verify_consistency};

use super::Fit;
use super::fit::Met;
use crate::finding::{Growth, Split, split_view};
use crate::follow::millis;
use crate::inclusion::FollowedTree;
use crate::log::{Fresh, ReadError};
use crate::reconcile::side::locked;
use crate::reconcile::{LedgerError, LedgerSide};

/// What the log's proof says of a smaller head.
enum Continued {
    /// Our tree begins with that one.
    Yes,
    /// Our tree's beginning of that size has another root: by the node, where a single one shows it.
    No { hashes: Vec<Hash>, node: Option<Box<(CompactRange, NodeProof)>> },
    /// The proof proves nothing.
    Unproved { hashes: Vec<Hash> },
}

impl LedgerSide {
    /// Holds a head, signed by the key of `tree`, against the tree of its origin.
    pub(super) async fn head_fits(
        &self,
        forest: &[FollowedTree],
        tree: &FollowedTree,
        theirs: &Checkpoint,
        met: Met<'_>,
    ) -> Result<Fit, LedgerError> {
        let origin = theirs.origin();
        let of_origin = |it: &&FollowedTree| it.log.origin == origin && it.log.public_key == tree.log.public_key;
        let Some(tree) = forest.iter().find(of_origin) else { return self.unknown_tree(tree, theirs, met).await };
        let root = *theirs.root().as_bytes();
        let known = self.store.note_at(origin, theirs.size()).await?;
        if known.iter().any(|note| note.root == root) {
            return Ok(Fit::Fits);
        }
        let ours = &tree.head;
        let splits = |how: Split<'_>| {
            let (ours, theirs) = (ours.note().as_bytes(), theirs.note().as_bytes());
            Ok(Fit::Splits(Box::new(split_view(&tree.log, ours, theirs, met.source, how, met.now))))
        };
        if theirs.size() > ours.size() {
            if !self.is_overdue(tree, met) {
                return Ok(Fit::Later);
            }
            return splits(Split::Growth(Growth::Refused { hashes: &[] }));
        }
        if theirs.size() == ours.size() && theirs.root() != ours.root() {
            return splits(Split::SameSize);
        }
        match continued(tree, theirs).await? {
            Continued::Yes => {
                let note = NoteSeen {
                    origin: origin.to_owned(),
                    source: met.source.to_owned(),
                    note: theirs.note().as_bytes().to_vec(),
                    size: theirs.size(),
                    root,
                    seen_at: met.now,
                };
                self.store.record_note(&note).await?;
                Ok(Fit::Fits)
            }
            Continued::No { node: Some(node), .. } => {
                splits(Split::Growth(Growth::Contradiction { old_range: &node.0, node: &node.1 }))
            }
            Continued::No { hashes, node: None } => splits(Split::Growth(Growth::Refused { hashes: &hashes })),
            Continued::Unproved { hashes } if self.is_overdue(tree, met) => {
                splits(Split::Growth(Growth::Refused { hashes: &hashes }))
            }
            Continued::Unproved { .. } => Ok(Fit::Later),
        }
    }

    /// A head of a tree that is not followed here. Trust material may announce it yet; another monitor may follow it.
    async fn unknown_tree(&self, tree: &FollowedTree, theirs: &Checkpoint, met: Met<'_>) -> Result<Fit, LedgerError> {
        let origin = theirs.origin();
        if self.store.followed_log(origin).await?.is_some_and(|log| log.public_key == tree.log.public_key) {
            locked(&self.walk).unknown.remove(origin);
            return Ok(Fit::NothingSigned);
        }
        let since = *locked(&self.walk).unknown.entry(origin.to_owned()).or_insert(met.now);
        if met.now.saturating_sub(since) < millis(self.timing.unknown_tree_after) {
            return Ok(Fit::Later);
        }
        let (ours, theirs) = (tree.head.note().as_bytes(), theirs.note().as_bytes());
        Ok(Fit::Splits(Box::new(split_view(&tree.log, ours, theirs, met.source, Split::UnknownTree, met.now))))
    }
}

/// Whether the tree continues a head that is not larger; asked again past caches before it is believed not to.
async fn continued(tree: &FollowedTree, theirs: &Checkpoint) -> Result<Continued, LedgerError> {
    let (size, ours) = (theirs.size(), &tree.head);
    if size == 0 || (size == ours.size() && theirs.root() == ours.root()) {
        return Ok(Continued::Yes);
    }
    let verify = |old: &Hash, hashes: &[Hash]| verify_consistency(size, old, ours.size(), &ours.root(), hashes);
    if let Ok(hashes) = tree.reader.consistency(size, ours.size(), Fresh::No).await
        && verify(&theirs.root(), &hashes).is_ok()
    {
        return Ok(Continued::Yes);
    }
    let hashes = match tree.reader.consistency(size, ours.size(), Fresh::Yes).await {
        Ok(hashes) => hashes,
        Err(error) if error.is_missing() || error.is_wrong() => return Ok(Continued::Unproved { hashes: Vec::new() }),
        Err(error) => return Err(error.into()),
    };
    let refused = match verify(&theirs.root(), &hashes) {
        Ok(()) => return Ok(Continued::Yes),
        Err(refused) => refused,
    };
    // The same proof, with the root that it leads to: our tree's own root at that size.
    if let ProofError::WrongOldRoot { computed, .. } = refused
        && verify(&computed, &hashes).is_ok()
    {
        return Ok(Continued::No { hashes, node: None });
    }
    Ok(match other_node(tree, theirs).await? {
        Some(node) => Continued::No { hashes, node: Some(Box::new(node)) },
        None => Continued::Unproved { hashes },
    })
}

/// A smaller tree that is one perfect subtree: our tree's node in its place.
async fn other_node(tree: &FollowedTree, theirs: &Checkpoint) -> Result<Option<(CompactRange, NodeProof)>, ReadError> {
    let size = theirs.size();
    if !size.is_power_of_two() {
        return Ok(None);
    }
    let Some(node) = tree.reader.node(size.trailing_zeros(), 0, tree.head.size()).await? else { return Ok(None) };
    let ours = node.size == tree.head.size() && node.root().is_ok_and(|root| root == tree.head.root());
    let range = CompactRange::from_parts(size, vec![theirs.root()]);
    Ok(range.ok().filter(|_| ours && node.node != theirs.root()).map(|range| (range, node)))
}
