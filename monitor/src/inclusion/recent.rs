//! Entries of ours that were read lately among all leaves: hashed into a signed root, so that nothing is left to ask.

use crate::reconcile::side::Places;

/// How many are kept.
const KEPT: usize = 100_000;

/// Leaves of ours that were read under a verified head.
#[derive(Debug, Default)]
pub struct Recent {
    places: Places,
}

impl Recent {
    /// A leaf of ours was read at this index.
    pub(crate) fn saw(&mut self, origin: &str, index: u64, leaf_hash: [u8; 32]) {
        // What is forgotten is asked of the log.
        if self.places.len() >= KEPT {
            self.places.clear();
        }
        self.places.insert((origin.to_owned(), index), leaf_hash);
    }

    /// Whether this very leaf was read at this index. Once told it is forgotten.
    pub(crate) fn take(&mut self, origin: &str, index: u64, leaf_hash: [u8; 32]) -> bool {
        self.places.remove(&(origin.to_owned(), index)) == Some(leaf_hash)
    }
}
