//! One line of a log's history: its leaves, and the tree over them.

use bytes::Bytes;
use tlog::{Hash, leaf_hash};

use crate::lies::LeafLies;
use crate::tree::Tree;

/// Leaves and their tree. A clone shares the leaves' bytes and goes its own way from there.
#[derive(Clone, Default)]
pub(crate) struct Branch {
    tree: Tree,
    leaves: Vec<Bytes>,
}

impl Branch {
    /// Returns the leaf's index.
    pub(crate) fn append(&mut self, leaf: Bytes) -> u64 {
        self.tree.append(leaf_hash(&leaf));
        self.leaves.push(leaf);
        self.size() - 1
    }

    pub(crate) fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The same history up to this size; all of it where it is shorter.
    pub(crate) fn first(&self, size: u64) -> Self {
        let count = usize::try_from(size).unwrap_or(usize::MAX).min(self.leaves.len());
        Self { tree: self.tree.first(count), leaves: self.leaves[..count].to_vec() }
    }

    pub(crate) fn leaf(&self, index: u64) -> Option<&Bytes> {
        self.leaves.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn leaves(&self) -> &[Bytes] {
        &self.leaves
    }

    /// Where a leaf with this hash is, the newest first.
    pub(crate) fn find(&self, leaf: &Hash) -> Option<u64> {
        self.tree.find(leaf)
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The root of the whole.
    pub(crate) fn root(&self) -> Hash {
        self.tree.root(self.size()).unwrap_or_else(Hash::empty_root)
    }

    /// An entry bundle: each entry after its length in two bytes, with the lies that are told of it.
    pub(crate) fn entry_bundle(&self, index: u64, width: usize, lies: &LeafLies) -> Option<Vec<u8>> {
        let start = usize::try_from(index.checked_mul(256)?).ok()?;
        let end = start.checked_add(width)?;
        let mut bytes = Vec::new();
        for (at, leaf) in (start as u64..).zip(self.leaves.get(start..end)?) {
            let Some(leaf) = lies.leaf(at, leaf) else { continue };
            // SPEC: an entry bundle has two bytes for an entry's length (c2sp.org/tlog-tiles).
            bytes.extend(u16::try_from(leaf.len()).ok()?.to_be_bytes());
            bytes.extend(leaf);
        }
        Some(bytes)
    }

    /// The hashes of a tile of height 8, with the lies that are told of leaf hashes.
    pub(crate) fn tile(&self, level: usize, index: u64, width: usize, lies: &LeafLies) -> Option<Vec<u8>> {
        let mut bytes = self.tree.tile(level, index, width)?;
        if level == 0 {
            for (hash, at) in bytes.chunks_exact_mut(Hash::LEN).zip(index * 256..) {
                if let Some(lie) = lies.hash(at) {
                    hash.copy_from_slice(lie.as_bytes());
                }
            }
        }
        Some(bytes)
    }
}
