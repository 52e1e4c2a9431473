//! Doubts: what looked wrong, and must look wrong for a while, past caches, before it is a finding. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

/// What a log may be in doubt about. One of each at a time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Doubt {
    /// Its head does not open with the pinned key, or is of another log.
    Head,
    /// Its head is smaller than the known one.
    Smaller,
    /// A smaller head than the known one does not lead to it.
    Earlier,
    /// A larger head does not continue the known one.
    Growth,
    /// Leaves as served do not lead to the signed root.
    Leaves,
    /// Leaves, or tiles of proofs, are not served although they are signed.
    Missing,
    /// A head lacks the cosignatures that the policy asks for.
    Quorum,
}

/// What to do about a doubt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
    /// Look again.
    Wait,
    /// It has lasted: say so. Since when, in unix milliseconds.
    Over {
        /// Since when.
        since: i64,
    },
}

/// The doubts about one log, each with the time since when it lasts without a break.
#[derive(Debug, Default)]
pub struct Doubts {
    since: BTreeMap<Doubt, i64>,
}

impl Doubts {
    /// It looks wrong now, at `at` (unix milliseconds).
    pub fn raise(&mut self, doubt: Doubt, at: i64, patience: Duration) -> Patience {
        let since = *self.since.entry(doubt).or_insert(at);
        let patience = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
        // A clock that went back starts the wait again, rather than ending it.
        if at < since {
            self.since.insert(doubt, at);
            return if patience == 0 { Patience::Over { since: at } } else { Patience::Wait };
        }
        if at - since >= patience { Patience::Over { since } } else { Patience::Wait }
    }

    /// It looks right now. `Some`: since when it had not.
    pub fn dispel(&mut self, doubt: Doubt) -> Option<i64> {
        self.since.remove(&doubt)
    }

    /// Whether this is in doubt.
    pub fn holds(&self, doubt: Doubt) -> bool {
        self.since.contains_key(&doubt)
    }

    /// Whether anything that was fetched is: then it is fetched past caches.
    pub fn distrusts_fetches(&self) -> bool {
        [Doubt::Earlier, Doubt::Growth, Doubt::Leaves, Doubt::Missing].iter().any(|doubt| self.holds(*doubt))
    }

    /// Whether there is any doubt about what the log says.
    pub fn any(&self) -> bool {
        !self.since.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_must_last_without_a_break() {
        let patience = Duration::from_millis(100);
        let mut doubts = Doubts::default();
        assert_eq!(doubts.raise(Doubt::Growth, 1_000, patience), Patience::Wait);
        assert_eq!(doubts.raise(Doubt::Growth, 1_099, patience), Patience::Wait);
        assert_eq!(doubts.raise(Doubt::Growth, 1_100, patience), Patience::Over { since: 1_000 });
        assert_eq!(doubts.dispel(Doubt::Growth), Some(1_000));
        assert_eq!(doubts.dispel(Doubt::Growth), None);
        assert_eq!(doubts.raise(Doubt::Growth, 1_200, patience), Patience::Wait);
    }

    #[test]
    fn doubts_are_apart_from_each_other() {
        let mut doubts = Doubts::default();
        doubts.raise(Doubt::Smaller, 0, Duration::from_secs(1));
        assert_eq!(doubts.raise(Doubt::Missing, 1_000, Duration::from_secs(1)), Patience::Wait);
        assert!(doubts.distrusts_fetches());
        doubts.dispel(Doubt::Missing);
        assert!(!doubts.distrusts_fetches() && doubts.any());
    }

    #[test]
    fn a_clock_that_goes_back_ends_no_wait_and_no_patience_is_none() {
        let mut doubts = Doubts::default();
        doubts.raise(Doubt::Leaves, 5_000, Duration::from_secs(1));
        assert_eq!(doubts.raise(Doubt::Leaves, 1_000, Duration::from_secs(1)), Patience::Wait);
        assert_eq!(doubts.raise(Doubt::Leaves, 2_000, Duration::from_secs(1)), Patience::Over { since: 1_000 });
        assert_eq!(doubts.raise(Doubt::Smaller, 7, Duration::ZERO), Patience::Over { since: 7 });
    }
}
