//! A run of leaves, all of them borrowed from the one buffer that they came in.

use std::ops::Range;

use bytes::Bytes;

use super::error::ReadError;

/// Consecutive leaves of a log, as they were served. Nothing is copied for a leaf, and nothing is believed yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeafBatch {
    /// Index of the first leaf.
    pub start: u64,
    bytes: Bytes,
    ranges: Vec<Range<u32>>,
    cost: usize,
}

impl LeafBatch {
    /// Leaves at these places of `bytes`. `None` where a place is outside of it.
    pub fn new(start: u64, bytes: Bytes, ranges: Vec<Range<u32>>) -> Option<Self> {
        let within = |range: &Range<u32>| bytes.get(range.start as usize..range.end as usize).is_some();
        let cost = bytes.len();
        ranges.iter().all(within).then_some(Self { start, bytes, ranges, cost })
    }

    /// The same, made of an answer of so many bytes.
    pub(super) fn costing(self, bytes: usize) -> Self {
        Self { cost: bytes, ..self }
    }

    /// The most bytes that it took at once, as an answer or as leaves.
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// How many leaves there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Index of the leaf after the last one.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.ranges.len() as u64)
    }

    /// The leaves with their indices, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u64, &[u8])> {
        self.ranges.iter().enumerate().map(|(nth, range)| (self.start.saturating_add(nth as u64), self.slice(range)))
    }

    /// The bytes of the leaves, in order.
    pub fn leaves(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.ranges.iter().map(|range| self.slice(range))
    }

    /// One leaf by its index in the log.
    pub fn leaf(&self, index: u64) -> Option<&[u8]> {
        let nth = usize::try_from(index.checked_sub(self.start)?).ok()?;
        self.ranges.get(nth).map(|range| self.slice(range))
    }

    fn slice(&self, range: &Range<u32>) -> &[u8] {
        self.bytes.get(range.start as usize..range.end as usize).unwrap_or_default()
    }
}

/// Builds a batch from answers that hold a part of it each: one buffer for all leaves.
#[derive(Debug, Default)]
pub(super) struct BatchBuilder {
    bytes: Vec<u8>,
    ranges: Vec<Range<u32>>,
    largest_answer: usize,
}

impl BatchBuilder {
    /// Appends one leaf, which `write` adds to the buffer. `None`, and nothing is added, where `write` says so or the
    /// batch would be larger than 4 GiB.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
        let before = self.bytes.len();
        let written = write(&mut self.bytes);
        let range = u32::try_from(before).ok().zip(u32::try_from(self.bytes.len()).ok());
        match written.and(range) {
            Some((start, end)) => {
                self.ranges.push(start..end);
                Some(())
            }
            None => {
                self.bytes.truncate(before);
                None
            }
        }
    }

    /// Appends one leaf.
    pub(super) fn push(&mut self, leaf: &[u8]) -> Option<()> {
        self.push_with(|bytes| {
            bytes.extend_from_slice(leaf);
            Some(())
        })
    }

    /// Appends the leaves of a batch that follows.
    pub(super) fn append(&mut self, batch: &LeafBatch) -> Result<(), ReadError> {
        let mut leaves = batch.leaves();
        let too_large = || ReadError::TooLarge { what: "leaves in one batch".into(), limit: u32::MAX as usize };
        leaves.try_for_each(|leaf| self.push(leaf)).ok_or_else(too_large)
    }

    /// How many leaves there are so far.
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// An answer of so many bytes has been taken; an error where the batch has come to more than `most`.
    pub(super) fn took(&mut self, answer: usize, what: &str, most: usize) -> Result<(), ReadError> {
        self.largest_answer = self.largest_answer.max(answer);
        if self.bytes.len() > most {
            return Err(ReadError::TooLarge { what: what.to_owned(), limit: most });
        }
        Ok(())
    }

    /// The leaf that was added last.
    pub(super) fn last(&self) -> &[u8] {
        self.ranges.last().and_then(|range| self.bytes.get(range.start as usize..)).unwrap_or_default()
    }

    /// The batch, its first leaf being `start`.
    pub(super) fn finish(self, start: u64) -> LeafBatch {
        let cost = self.largest_answer.max(self.bytes.len());
        LeafBatch { start, bytes: self.bytes.into(), ranges: self.ranges, cost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_borrowed_by_their_index_in_the_log() {
        let batch = LeafBatch::new(7, Bytes::from_static(b"abcdef"), vec![0..2, 2..2, 3..6]).expect("within");
        assert_eq!(batch.iter().collect::<Vec<_>>(), [(7, b"ab".as_slice()), (8, b""), (9, b"def")]);
        assert_eq!((batch.len(), batch.end(), batch.leaf(9)), (3, 10, Some(b"def".as_slice())));
        assert_eq!((batch.leaf(6), batch.leaf(10)), (None, None));
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges)]
    fn a_place_outside_of_the_buffer_is_refused() {
        for wrong in [0..7, 7..7, 3..2] {
            assert_eq!(LeafBatch::new(0, Bytes::from_static(b"abcdef"), vec![wrong]), None);
        }
    }

    #[test]
    fn a_leaf_that_cannot_be_written_leaves_no_trace() {
        let mut builder = BatchBuilder::default();
        assert_eq!(builder.push(b"one"), Some(()));
        let failed = builder.push_with(|bytes| {
            bytes.extend_from_slice(b"half");
            None
        });
        assert_eq!((failed, builder.len(), builder.last()), (None, 1, b"one".as_slice()));
        assert_eq!(builder.push(b"two"), Some(()));
        let batch = builder.finish(5);
        assert_eq!(batch.iter().collect::<Vec<_>>(), [(5, b"one".as_slice()), (6, b"two")]);
    }
}
