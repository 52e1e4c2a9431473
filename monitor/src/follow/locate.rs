//! Finds the leaf that is not the committed one, for evidence: from the nodes of the signed tree, in logarithmic steps.

use std::sync::Arc;

use tlog::{Hash, NodeProof, leaf_hash, node_hash};

use super::head::TreeHead;
use super::read::Part;
use crate::log::{Fresh, LogReader, ReadError};

/// A subtree of what was read, with the two that it is made of.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Node {
    start: u64,
    level: u32,
    hash: Hash,
    children: Option<Box<[Node; 2]>>,
}

/// A leaf as served, and what the signed root commits to in its place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Swapped {
    pub(crate) committed: NodeProof,
    pub(crate) leaf: Vec<u8>,
}

/// The first leaf that is not the committed one. `None`: the log gives no nodes, those that it gives are not under its
/// root either, or a second look shows the right leaves.
pub(crate) async fn locate(
    reader: &Arc<dyn LogReader>,
    head: TreeHead,
    parts: &[Part],
) -> Result<Option<Swapped>, ReadError> {
    let search = Search { reader, head };
    let leaves =
        parts.iter().map(|part| Node { start: part.start, level: part.level, hash: part.hash, children: None });
    let Some(wrong) = search.descend(joined(leaves)).await? else { return Ok(None) };
    if wrong.level == 0 {
        return search.swapped(wrong.start).await;
    }
    // The smallest part that we kept: its leaves are fetched once more.
    let end = wrong.start.saturating_add(1 << wrong.level.min(63));
    let batch = reader.leaves(wrong.start, end, head.size, Fresh::Yes).await?;
    let leaves = batch.iter().map(|(start, leaf)| Node { start, level: 0, hash: leaf_hash(leaf), children: None });
    match search.descend(joined(leaves)).await? {
        Some(wrong) => search.swapped(wrong.start).await,
        None => Ok(None),
    }
}

struct Search<'a> {
    reader: &'a Arc<dyn LogReader>,
    head: TreeHead,
}

impl Search<'_> {
    /// The first of these, or of what they are made of, that is not the committed one, and of whose parts none is known.
    async fn descend(&self, mut level: Vec<Node>) -> Result<Option<Node>, ReadError> {
        loop {
            let mut wrong = None;
            for node in level {
                let Some(committed) = self.committed(&node).await? else { return Ok(None) };
                if committed.node != node.hash {
                    wrong = Some(node);
                    break;
                }
            }
            match wrong {
                None => return Ok(None),
                Some(Node { children: Some(children), .. }) => level = Vec::from(*children),
                Some(node) => return Ok(Some(node)),
            }
        }
    }

    /// What the signed root commits to in the place of a node.
    async fn committed(&self, node: &Node) -> Result<Option<NodeProof>, ReadError> {
        let index = node.start.checked_shr(node.level).unwrap_or(0);
        let proof = self.reader.node(node.level, index, self.head.size).await?;
        let is_ours = |proof: &NodeProof| {
            (proof.level, proof.index, proof.size) == (node.level, index, self.head.size)
                && proof.root() == Ok(self.head.root)
        };
        Ok(proof.filter(is_ours))
    }

    async fn swapped(&self, index: u64) -> Result<Option<Swapped>, ReadError> {
        let end = index.saturating_add(1);
        let batch = self.reader.leaves(index, end, self.head.size, Fresh::Yes).await?;
        let Some(leaf) = batch.leaf(index) else { return Ok(None) };
        let node = Node { start: index, level: 0, hash: leaf_hash(leaf), children: None };
        let Some(committed) = self.committed(&node).await? else { return Ok(None) };
        Ok((committed.node != node.hash).then(|| Swapped { committed, leaf: leaf.to_vec() }))
    }
}

/// Joins neighbours to the largest perfect subtrees that they make.
fn joined(parts: impl Iterator<Item = Node>) -> Vec<Node> {
    let mut joined: Vec<Node> = Vec::new();
    for part in parts {
        let mut node = part;
        while let Some(left) = joined.pop_if(|left| are_siblings(left, &node)) {
            node = Node {
                start: left.start,
                level: left.level + 1,
                hash: node_hash(&left.hash, &node.hash),
                children: Some(Box::new([left, node])),
            };
        }
        joined.push(node);
    }
    joined
}

fn are_siblings(left: &Node, right: &Node) -> bool {
    let index = left.start.checked_shr(left.level).unwrap_or(1);
    left.level == right.level
        && left.level < 63
        && index.is_multiple_of(2)
        && left.start + (1 << left.level) == right.start
}

#[cfg(test)]
mod tests {
    use tlog::tree;

    use super::*;

    #[test]
    fn neighbours_are_joined_to_the_subtrees_of_the_tree() {
        let hashes: Vec<Hash> = (0..13u8).map(|n| leaf_hash(&[n])).collect();
        let parts = (5..13u64).map(|n| Node { start: n, level: 0, hash: hashes[n as usize], children: None });
        let joined = joined(parts);
        let shapes: Vec<(u64, u32)> = joined.iter().map(|node| (node.start, node.level)).collect();
        assert_eq!(shapes, [(5, 0), (6, 1), (8, 2), (12, 0)]);
        assert_eq!(joined[2].hash, tree::root(&hashes[8..12]));
        let children = joined[2].children.as_ref().expect("children");
        assert_eq!(children[0].hash, tree::root(&hashes[8..10]));
    }
}
