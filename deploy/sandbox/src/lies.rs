//! What a log says against its own tree: leaves that it did not commit to, heads that are not its own.

use std::collections::BTreeMap;

use bytes::Bytes;
use tlog::Hash;

use crate::signing::HeadSignature;

/// Lies about a checkpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadLies {
    /// Another first line.
    pub(crate) origin: Option<String>,
    /// How it is signed.
    pub(crate) signature: HeadSignature,
    /// This text, whatever the log holds.
    pub(crate) verbatim: Option<String>,
}

/// Lies about leaves. The tree, its other tiles, its proofs and its signed heads stay what they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeafLies {
    /// Other bytes, or nothing, in the place of a leaf.
    leaves: BTreeMap<u64, Option<Bytes>>,
    hashes: BTreeMap<u64, Hash>,
}

impl LeafLies {
    pub(crate) fn swap(&mut self, index: u64, leaf: Bytes) {
        self.leaves.insert(index, Some(leaf));
    }

    pub(crate) fn omit(&mut self, index: u64) {
        self.leaves.insert(index, None);
    }

    pub(crate) fn swap_hash(&mut self, index: u64, hash: Hash) {
        self.hashes.insert(index, hash);
    }

    /// What is shown in the place of this leaf, if anything.
    pub(crate) fn leaf<'a>(&'a self, index: u64, own: &'a Bytes) -> Option<&'a Bytes> {
        match self.leaves.get(&index) {
            Some(lie) => lie.as_ref(),
            None => Some(own),
        }
    }

    pub(crate) fn hash(&self, index: u64) -> Option<&Hash> {
        self.hashes.get(&index)
    }
}
