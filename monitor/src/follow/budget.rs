//! Memory for the leaves of one log that were asked for, until they are taken into their segment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use outbound::{Room, Taken};

/// Memory that a batch is expected to take before any was seen.
const FIRST_GUESS_BYTES: usize = 1 << 20;

/// Room for batches, each of the size that is expected by then.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    room: Room,
    expected: Arc<AtomicUsize>,
}

impl Budget {
    /// So many bytes; one batch has room in it, however large it is.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { room: Room::new(bytes), expected: Arc::new(AtomicUsize::new(FIRST_GUESS_BYTES)) }
    }

    /// Waits for room for one more batch.
    pub(crate) async fn reserve(&self) -> Taken {
        self.room.take(self.expected.load(Ordering::Relaxed)).await
    }

    /// A batch of so many bytes was seen: a larger one counts at once, smaller ones little by little.
    pub(crate) fn saw(&self, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let next = |expected: usize| Some(bytes.max(expected - expected / 16).max(1));
        // It never declines.
        let _ = self.expected.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
