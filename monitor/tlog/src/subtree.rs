//! Which ranges of leaves a proof is made of, and of which perfect subtrees a range is.

use std::ops::Range;

use crate::hash::{Hash, node_hash};

/// A perfect subtree: its leaves are `index << level .. (index + 1) << level`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Subtree {
    pub(crate) level: u32,
    pub(crate) index: u64,
}

/// Whether a tree of `size` leaves has the whole perfect subtree at this place.
pub(crate) fn is_within(level: u32, index: u64, size: u64) -> bool {
    size.checked_shr(level).is_some_and(|whole| index < whole)
}

/// The ranges whose roots are the inclusion proof of `index` in a tree of `size` leaves, lowest first.
pub(crate) fn inclusion_ranges(index: u64, size: u64) -> Vec<Range<u64>> {
    path_ranges(Subtree { level: 0, index }, size)
}

/// The ranges whose roots lead from a perfect subtree to the root of the tree of `size` leaves, lowest first.
/// The subtree must be within the tree.
pub(crate) fn path_ranges(node: Subtree, size: u64) -> Vec<Range<u64>> {
    let first = node.index << node.level;
    let mut ranges = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 << node.level {
        let middle = start + split(end - start);
        if first < middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(start..middle);
            start = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// The ranges whose roots are the consistency proof from `old_size` to `size` leaves, lowest first.
/// Both sizes must be proper: `0 < old_size < size`.
pub(crate) fn consistency_ranges(old_size: u64, size: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    let (mut start, mut end) = (0, size);
    while end != old_size {
        let middle = start + split(end - start);
        if old_size <= middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(start..middle);
            start = middle;
        }
    }
    // The old tree itself, when it is one whole subtree, is known to who asks.
    if start != 0 {
        ranges.push(start..end);
    }
    ranges.reverse();
    ranges
}

/// The perfect subtrees of a range that begins where its largest one can, from the left.
pub(crate) fn subtrees(range: Range<u64>) -> Vec<Subtree> {
    let mut subtrees = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let level = (range.end - start).ilog2();
        subtrees.push(Subtree { level, index: start >> level });
        start += 1 << level;
    }
    subtrees
}

/// The root over a range, from the roots of its perfect subtrees from the left. `None` when there are none.
pub(crate) fn join(hashes: &[Hash]) -> Option<Hash> {
    let (last, rest) = hashes.split_last()?;
    Some(rest.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
}

/// RFC 6962: "k be the largest power of two smaller than n", for n > 1.
pub(crate) fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}
