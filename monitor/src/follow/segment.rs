//! Segments: which leaves are read between two commits, and what must hold at the end of one. Pure.

use tlog::{CompactRange, Hash, ProofError, verify_consistency};

use super::head::TreeHead;

/// Where the segment that begins at `start` ends, in a tree of which `readable` leaves are worth to read now.
///
/// Segments end at multiples of `leaves`, so that they begin where full tiles do, and at the end of the tree.
pub fn segment_end(start: u64, readable: u64, leaves: u64) -> u64 {
    let leaves = leaves.max(1);
    let next = (start / leaves).saturating_add(1).saturating_mul(leaves);
    next.min(readable).max(start)
}

/// What the leaves up to a segment's end must satisfy for the head that they are read under.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Due {
    /// The segment ends with the tree: their root must be the signed root.
    Root,
    /// It ends before: the log must prove that its signed tree continues theirs.
    Proof,
}

/// See [`Due`].
pub fn due(end: u64, head: TreeHead) -> Due {
    if end == head.size { Due::Root } else { Due::Proof }
}

/// Whether the leaves are those of the signed tree. `proof` is empty where [`Due::Root`] is due.
pub fn is_committed(range: &CompactRange, head: TreeHead, proof: &[Hash]) -> Result<(), ProofError> {
    // With equal sizes this compares the roots, and takes no proof.
    verify_consistency(range.size(), &range.root(), head.size, &head.root, proof)
}

/// The perfect subtrees of the leaves `start..end`, from the left, as (level, leaves): what a compact range takes.
pub fn subtrees(start: u64, end: u64) -> impl Iterator<Item = (u32, u64)> {
    let mut at = start;
    std::iter::from_fn(move || {
        let room = end.checked_sub(at)?.checked_ilog2()?;
        let level = at.trailing_zeros().min(room);
        let width = 1 << level;
        at += width;
        Some((level, width))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tlog::{leaf_hash, tree};

    use super::*;

    #[test]
    fn segments_end_where_full_tiles_do_or_with_the_tree() {
        for (start, readable, leaves, end) in [
            (0, 1_000, 256, 256),
            (256, 1_000, 256, 512),
            (300, 1_000, 256, 512),
            (768, 1_000, 256, 1_000),
            (1_000, 1_000, 256, 1_000),
            // The readable end may be before the verified position: partial tiles are budgeted.
            (1_000, 768, 256, 1_000),
            (0, 0, 256, 0),
            (5, 9, 0, 6),
            (u64::MAX - 1, u64::MAX, 256, u64::MAX),
        ] {
            assert_eq!(segment_end(start, readable, leaves), end, "{start} {readable} {leaves}");
        }
    }

    fn hashes(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    fn range(leaves: &[Hash]) -> CompactRange {
        let mut range = CompactRange::new();
        leaves.iter().for_each(|leaf| range.append(*leaf).expect("room"));
        range
    }

    #[test]
    fn at_the_head_the_root_decides_and_before_it_a_proof() {
        let leaves = hashes(10);
        let head = TreeHead { size: 10, root: tree::root(&leaves) };
        assert_eq!((due(10, head), due(7, head)), (Due::Root, Due::Proof));
        assert_eq!(is_committed(&range(&leaves), head, &[]), Ok(()));
        let proof = tree::consistency_proof(&leaves, 7, 10).expect("a proof");
        assert_eq!(is_committed(&range(&leaves[..7]), head, &proof), Ok(()));
        // No proof, a proof at the head, another leaf, one leaf too many.
        assert!(is_committed(&range(&leaves[..7]), head, &[]).is_err());
        assert!(is_committed(&range(&leaves), head, &proof).is_err());
        let mut other = leaves.clone();
        other[3] = leaf_hash(b"other");
        assert!(is_committed(&range(&other), head, &[]).is_err());
        assert!(is_committed(&range(&other[..7]), head, &proof).is_err());
        assert!(is_committed(&range(&hashes(11)), head, &[]).is_err());
    }

    proptest! {
        #[test]
        fn a_range_grown_by_subtrees_is_the_range_grown_by_leaves(start in 0u64..600, count in 0u64..600) {
            let leaves = hashes(start + count);
            let mut grown = range(&leaves[..start as usize]);
            let mut at = start as usize;
            for (level, width) in subtrees(start, start + count) {
                let end = at + width as usize;
                grown.append_subtree(level, tree::root(&leaves[at..end])).expect("aligned");
                at = end;
            }
            prop_assert_eq!(grown, range(&leaves));
        }
    }

    #[test]
    fn an_aligned_bundle_is_one_subtree() {
        assert_eq!(subtrees(512, 768).collect::<Vec<_>>(), [(8, 256)]);
        assert_eq!(subtrees(5, 5).count(), 0);
        assert_eq!(subtrees(6, 5).count(), 0);
    }
}
