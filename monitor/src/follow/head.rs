//! What a head means against what is known of its log. Pure.

use tlog::Hash;

/// Size and root, without the signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TreeHead {
    /// Number of leaves.
    pub size: u64,
    /// Root of that tree.
    pub root: Hash,
}

/// What a newly opened head means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Meaning {
    /// The head that is known.
    Same,
    /// Larger: that it continues the known one is to be proved.
    Grown,
    /// Smaller than the known one: a replica that lags, unless it persists.
    Smaller,
    /// The log has signed another root for this size. Two signed heads contradict each other: nothing to wait for.
    Forked {
        /// The root that was signed before.
        other: Hash,
    },
}

/// Compares a head with the newest one that is known to be consistent, and with each root that was ever signed for its
/// own size.
pub fn meaning(known: TreeHead, signed_for_this_size: &[Hash], new: TreeHead) -> Meaning {
    let of_known = (known.size == new.size).then_some(known.root);
    let other = of_known.iter().chain(signed_for_this_size).find(|root| **root != new.root);
    match other {
        Some(other) => Meaning::Forked { other: *other },
        None if new.size == known.size => Meaning::Same,
        None if new.size > known.size => Meaning::Grown,
        None => Meaning::Smaller,
    }
}

/// Whether a closed log's head says that it went on all the same: any other tree than the one that it was closed with.
pub fn grew_after_close(closed_with: Option<TreeHead>, new: TreeHead) -> bool {
    closed_with.is_some_and(|closed| new.size > closed.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(size: u64, root: u8) -> TreeHead {
        TreeHead { size, root: Hash::new([root; 32]) }
    }

    #[test]
    fn a_head_means_one_thing_against_what_is_known() {
        let root = |root: u8| Hash::new([root; 32]);
        for (known, signed, new, expected) in [
            // Nothing read yet, and the log is still empty.
            (head(0, 0), vec![], head(0, 0), Meaning::Same),
            (head(0, 0), vec![], head(1, 1), Meaning::Grown),
            (head(5, 1), vec![root(1)], head(5, 1), Meaning::Same),
            (head(5, 1), vec![root(1)], head(5, 2), Meaning::Forked { other: root(1) }),
            // The known head's own root counts even if its note was never kept.
            (head(5, 1), vec![], head(5, 2), Meaning::Forked { other: root(1) }),
            (head(5, 1), vec![], head(6, 2), Meaning::Grown),
            // A larger size that was signed before, with another root, and never came to be known as consistent.
            (head(5, 1), vec![root(2), root(3)], head(6, 3), Meaning::Forked { other: root(2) }),
            (head(5, 1), vec![], head(4, 9), Meaning::Smaller),
            (head(5, 1), vec![root(9)], head(4, 9), Meaning::Smaller),
            (head(5, 1), vec![root(8)], head(4, 9), Meaning::Forked { other: root(8) }),
            (head(5, 1), vec![], head(0, 0), Meaning::Smaller),
        ] {
            assert_eq!(meaning(known, &signed, new), expected, "{known:?} {signed:?} {new:?}");
        }
    }

    #[test]
    fn a_closed_log_may_stay_as_it_is_and_nothing_else() {
        assert!(!grew_after_close(None, head(9, 9)));
        assert!(!grew_after_close(Some(head(5, 1)), head(5, 1)));
        assert!(grew_after_close(Some(head(5, 1)), head(6, 1)));
        // A fork and a rollback are findings of their own.
        assert!(!grew_after_close(Some(head(5, 1)), head(5, 2)));
        assert!(!grew_after_close(Some(head(5, 1)), head(4, 1)));
    }
}
