//! Which leaf a tree has at an index.

use tlog::{Hash, InclusionProof, ProofError, leaf_hash};

use super::FollowedTree;
use crate::log::{Fresh, ReadError};

/// What is at an index, against the leaf that should be there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// The leaf, proved to be under the head.
    Held,
    /// Another leaf, proved to be under the head.
    Other {
        /// Its hash.
        leaf: Hash,
        /// Its inclusion proof.
        proof: Vec<Hash>,
    },
    /// The tree is too small to have the index.
    Beyond,
    /// The log shows nothing that is proved: in words, what it does instead.
    Unproved(String),
}

/// Looks at an index of the tree's head: as it comes, and again past caches before anything but the leaf is believed.
pub(crate) async fn place(tree: &FollowedTree, index: u64, leaf: &Hash) -> Result<Place, ReadError> {
    let size = tree.head.size();
    if index >= size {
        return Ok(Place::Beyond);
    }
    let first = tree.reader.inclusion(index, size, Fresh::No).await;
    if let Ok(hashes) = first
        && verify(tree, index, leaf, &hashes).is_ok()
    {
        return Ok(Place::Held);
    }
    let proof = match tree.reader.inclusion(index, size, Fresh::Yes).await {
        Ok(proof) => proof,
        Err(error) if error.is_missing() || error.is_wrong() => return Ok(Place::Unproved(error.to_string())),
        Err(error) => return Err(error),
    };
    let Err(refused) = verify(tree, index, leaf, &proof) else { return Ok(Place::Held) };
    let end = index.saturating_add(1);
    let served = match tree.reader.leaves(index, end, size, Fresh::Yes).await {
        Ok(batch) => batch.leaf(index).map(leaf_hash),
        Err(error) if error.is_missing() || error.is_wrong() => return Ok(Place::Unproved(error.to_string())),
        Err(error) => return Err(error),
    };
    Ok(match served {
        Some(other) if other != *leaf && verify(tree, index, &other, &proof).is_ok() => {
            Place::Other { leaf: other, proof }
        }
        _ => Place::Unproved(format!("its inclusion proof of leaf {index} proves nothing: {refused}")),
    })
}

fn verify(tree: &FollowedTree, index: u64, leaf: &Hash, hashes: &[Hash]) -> Result<(), ProofError> {
    let proof = InclusionProof { index, size: tree.head.size(), hashes: hashes.to_vec() };
    proof.verify(leaf, &tree.head.root())
}
