//! Memory for the leaves of one log that were asked for, until they are taken into their segment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use outbound::{Room, Taken};

/// Memory that a batch is expected to take before any was seen.
const FIRST_GUESS_BYTES: usize = 1 << 20;
/// What any batch may come to: one of few leaves is soon twice as large as the one before it.
const LEAST_BYTES: usize = 256 << 10;

/// Room for batches, each of the size that is expected by then.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    room: Room,
    bytes: usize,
    expected: Arc<AtomicUsize>,
}

impl Budget {
    /// So many bytes. No batch is given more than all of them.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { room: Room::new(bytes), bytes, expected: Arc::new(AtomicUsize::new(FIRST_GUESS_BYTES)) }
    }

    /// Waits for room for one more batch, which may come to so many bytes: what is expected, and a quarter more.
    pub(crate) async fn reserve(&self) -> (Taken, usize) {
        let expected = self.expected.load(Ordering::Relaxed);
        let bytes = expected.saturating_add(expected / 4).max(LEAST_BYTES).min(self.bytes);
        (self.room.take(bytes).await, bytes)
    }

    /// A batch of so many bytes was seen: a larger one counts at once, smaller ones little by little.
    pub(crate) fn saw(&self, bytes: usize) {
        let next = |expected: usize| Some(bytes.min(self.bytes).max(expected - expected / 16).max(1));
        // It never declines.
        let _ = self.expected.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn there_is_room_for_so_many_of_the_size_that_is_expected_and_none_is_given_more_than_all() {
        let budget = Budget::new(4 << 20);
        let reserve = || budget.reserve().now_or_never();
        let (mut taken, bytes): (Vec<Taken>, Vec<usize>) = std::iter::from_fn(reserve).unzip();
        assert_eq!(bytes, [(1 << 20) + (256 << 10); 3]);
        taken.clear();
        budget.saw(1 << 30);
        let (one, bytes) = reserve().expect("all of it");
        assert_eq!(bytes, 4 << 20);
        assert!(reserve().is_none());
        drop(one);
    }

    #[test]
    fn a_large_batch_counts_at_once_and_is_forgotten_slowly() {
        let budget = Budget::new(32 << 20);
        let expected = || budget.expected.load(Ordering::Relaxed);
        budget.saw(16 << 20);
        assert_eq!(expected(), 16 << 20);
        budget.saw(1_000);
        assert_eq!(expected(), 15 << 20);
        (0..400).for_each(|_| budget.saw(1_000));
        assert_eq!(expected(), 1_000);
        budget.saw(0);
        assert!(expected() > 0);
    }
}
