//! The Merkle tree of RFC 6962, kept as every complete subtree: any root, proof or tile of any size.

use tlog::{Hash, node_hash};

/// `levels[k][i]` is the root of the leaves from `i * 2^k` to `(i + 1) * 2^k`.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    pub(crate) fn append(&mut self, leaf: Hash) {
        let mut level = 0;
        let mut hash = leaf;
        loop {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(hash);
            match self.levels[level].as_slice() {
                [.., left, right] if self.levels[level].len().is_multiple_of(2) => {
                    hash = node_hash(left, right);
                }
                _ => return,
            }
            level += 1;
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// The tree of the first `count` leaves, which there are.
    pub(crate) fn first(&self, count: usize) -> Self {
        let levels = self.levels.iter().enumerate().map(|(level, hashes)| hashes[..count >> level].to_vec());
        Self { levels: levels.filter(|hashes| !hashes.is_empty()).collect() }
    }

    /// The newest leaf with this hash.
    pub(crate) fn find(&self, leaf: &Hash) -> Option<u64> {
        self.levels.first()?.iter().rposition(|hash| hash == leaf).map(|at| at as u64)
    }

    /// `MTH(D[0:size])`; `None` for a size that is not reached.
    pub(crate) fn root(&self, size: u64) -> Option<Hash> {
        match size {
            0 => Some(Hash::empty_root()),
            _ => self.range(0, size),
        }
    }

    /// `PATH(index, D[0:size])`, from the leaf upwards.
    pub(crate) fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        if index >= size || size > self.size() {
            return None;
        }
        let (mut low, mut high) = (0, size);
        let mut path = Vec::new();
        while high - low > 1 {
            let middle = low + split(high - low);
            if index < middle {
                path.push(self.range(middle, high)?);
                high = middle;
            } else {
                path.push(self.range(low, middle)?);
                low = middle;
            }
        }
        path.reverse();
        Some(path)
    }

    /// `PROOF(old, D[0:new])`, from the bottom upwards.
    pub(crate) fn consistency(&self, old: u64, new: u64) -> Option<Vec<Hash>> {
        if old > new || new > self.size() {
            return None;
        }
        if old == 0 || old == new {
            return Some(Vec::new());
        }
        let (mut low, mut high) = (0, new);
        let mut path = Vec::new();
        // Whether the subtree at hand starts where the old tree starts, so that its old root is known.
        let mut whole = true;
        while old != high {
            let middle = low + split(high - low);
            if old <= middle {
                path.push(self.range(middle, high)?);
                high = middle;
            } else {
                path.push(self.range(low, middle)?);
                low = middle;
                whole = false;
            }
        }
        if !whole {
            path.push(self.range(low, high)?);
        }
        path.reverse();
        Some(path)
    }

    /// The hashes of a tile of height 8: `width` of them from `index * 256` on level `level * 8`.
    pub(crate) fn tile(&self, level: usize, index: u64, width: usize) -> Option<Vec<u8>> {
        let start = usize::try_from(index.checked_mul(256)?).ok()?;
        let hashes = self.levels.get(level.checked_mul(8)?)?.get(start..start.checked_add(width)?)?;
        Some(hashes.iter().flat_map(|hash| *hash.as_bytes()).collect())
    }

    /// The root of the leaves from `low` to `high`, where `low` is where such a subtree starts.
    fn range(&self, low: u64, high: u64) -> Option<Hash> {
        let width = high.checked_sub(low).filter(|width| *width > 0)?;
        if width.is_power_of_two() {
            let level = width.trailing_zeros() as usize;
            let at = usize::try_from(low / width).ok()?;
            return self.levels.get(level)?.get(at).copied();
        }
        let middle = low + split(width);
        Some(node_hash(&self.range(low, middle)?, &self.range(middle, high)?))
    }
}

/// The largest power of two below `width`, which is more than one.
fn split(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tlog::{InclusionProof, leaf_hash, verify_consistency};

    /// RFC 6962 hashes for a library that knows nothing of ours.
    #[derive(Clone)]
    struct Rfc6962;

    impl rs_merkle::Hasher for Rfc6962 {
        type Hash = [u8; 32];

        fn hash(data: &[u8]) -> [u8; 32] {
            use sha2::Digest as _;
            sha2::Sha256::new().chain_update([1]).chain_update(data).finalize().into()
        }
    }

    const SIZE: u64 = 70;

    fn grown() -> (Tree, Vec<Hash>) {
        let leaves: Vec<Hash> = (0..SIZE).map(|index| leaf_hash(format!("leaf {index}").as_bytes())).collect();
        let mut tree = Tree::default();
        for leaf in &leaves {
            tree.append(*leaf);
        }
        (tree, leaves)
    }

    #[test]
    fn every_root_is_what_another_library_computes() {
        let (tree, leaves) = grown();
        for size in 1..=leaves.len() {
            let raw: Vec<[u8; 32]> = leaves[..size].iter().map(|leaf| *leaf.as_bytes()).collect();
            let theirs = rs_merkle::MerkleTree::<Rfc6962>::from_leaves(&raw).root();
            assert_eq!(tree.root(size as u64).map(|root| *root.as_bytes()), theirs, "size {size}");
        }
        assert_eq!(tree.root(SIZE + 1), None);
    }

    #[test]
    fn the_first_leaves_of_a_tree_are_the_tree_of_those_leaves() {
        let (tree, leaves) = grown();
        let mut naive = Tree::default();
        for count in 0..=leaves.len() {
            let first = tree.first(count);
            assert_eq!(first.size(), count as u64);
            assert_eq!(first.levels, naive.levels, "{count}");
            if let Some(leaf) = leaves.get(count) {
                naive.append(*leaf);
            }
        }
    }

    #[test]
    fn every_inclusion_proof_is_accepted_and_only_for_its_leaf() {
        let (tree, leaves) = grown();
        for size in 1..=SIZE {
            let root = tree.root(size).unwrap();
            for index in 0..size {
                let proof = InclusionProof { index, size, hashes: tree.inclusion(index, size).unwrap() };
                proof.verify(&leaves[index as usize], &root).unwrap();
                assert!(proof.verify(&leaf_hash(b"another"), &root).is_err());
            }
        }
        assert!(tree.inclusion(SIZE, SIZE).is_none());
    }

    #[test]
    fn every_consistency_proof_is_accepted_and_only_for_its_roots() {
        let (tree, _) = grown();
        for new in 1..=SIZE {
            for old in 1..=new {
                let proof = tree.consistency(old, new).unwrap();
                let (old_root, new_root) = (tree.root(old).unwrap(), tree.root(new).unwrap());
                verify_consistency(old, &old_root, new, &new_root, &proof)
                    .unwrap_or_else(|error| panic!("{old} to {new}: {error}"));
                assert!(verify_consistency(old, &leaf_hash(b"x"), new, &new_root, &proof).is_err());
            }
        }
        assert!(tree.consistency(3, 2).is_none());
    }
}
