//! What is done only so often: dead letters of one source, and the same words in the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Dead letters that one source may add in a day (UTC). Each takes 64 KiB at most.
pub const LETTERS_PER_DAY: u32 = 1_000;
const DAY_MS: i64 = 86_400_000;
/// The same words are said once in so long.
const SILENCE_MS: i64 = 600_000;
/// Subjects that are told apart; senders choose them.
const SUBJECTS_MAX: usize = 256;

/// Counts the dead letters of each source and day, in this process.
#[derive(Clone, Debug, Default)]
pub(super) struct LetterQuota(Arc<Mutex<DayCount>>);

#[derive(Debug, Default)]
struct DayCount {
    day: i64,
    by_source: BTreeMap<String, u32>,
}

impl LetterQuota {
    /// Whether the source may add one.
    pub(super) fn has_room(&self, source: &str, now: i64) -> bool {
        let count = self.today(now).by_source.get(source).copied().unwrap_or(0);
        count < LETTERS_PER_DAY
    }

    /// Counts one that was kept.
    pub(super) fn count(&self, source: &str, now: i64) {
        *self.today(now).by_source.entry(source.to_owned()).or_default() += 1;
    }

    fn today(&self, now: i64) -> MutexGuard<'_, DayCount> {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let day = now.div_euclid(DAY_MS);
        if count.day != day {
            *count = DayCount { day, by_source: BTreeMap::new() };
        }
        count
    }
}

/// Lets each thing be said once in ten minutes, whatever senders do.
#[derive(Clone, Debug, Default)]
pub(super) struct Restraint(Arc<Mutex<BTreeMap<(String, String), Said>>>);

#[derive(Debug)]
struct Said {
    at: i64,
    unsaid: u64,
}

impl Restraint {
    /// How often it was held back since it was said last, if it may be said now.
    pub(super) fn may_say(&self, what: &str, subject: &str, now: i64) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (what.to_owned(), subject.to_owned());
        if let Some(said) = all.get_mut(&key)
            && (0..SILENCE_MS).contains(&(now - said.at))
        {
            said.unsaid += 1;
            return None;
        }
        if all.len() >= SUBJECTS_MAX && !all.contains_key(&key) {
            all.retain(|_, said| (0..SILENCE_MS).contains(&(now - said.at)));
            if all.len() >= SUBJECTS_MAX {
                return None;
            }
        }
        let unsaid = all.insert(key, Said { at: now, unsaid: 0 }).map_or(0, |said| said.unsaid);
        Some(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_so_many_dead_letters_a_day() {
        let quota = LetterQuota::default();
        for _ in 0..LETTERS_PER_DAY {
            assert!(quota.has_room("noisy", 5));
            quota.count("noisy", 5);
        }
        assert!(!quota.has_room("noisy", DAY_MS - 1));
        assert!(quota.has_room("quiet", DAY_MS - 1));
        assert!(quota.has_room("noisy", DAY_MS));
    }

    #[test]
    fn the_same_is_said_once_in_ten_minutes_with_how_often_it_was_not() {
        let restraint = Restraint::default();
        assert_eq!(restraint.may_say("host", "a", 0), Some(0));
        for now in [0, 1, SILENCE_MS - 1] {
            assert_eq!(restraint.may_say("host", "a", now), None);
        }
        assert_eq!(restraint.may_say("host", "b", 5), Some(0));
        assert_eq!(restraint.may_say("credential", "a", 5), Some(0));
        assert_eq!(restraint.may_say("host", "a", SILENCE_MS), Some(3));
        // A clock that is set back does not silence for ever.
        assert_eq!(restraint.may_say("host", "a", 7), Some(0));
    }

    #[test]
    fn subjects_that_senders_invent_fill_neither_memory_nor_log() {
        let restraint = Restraint::default();
        let said = (0..10_000).filter(|n| restraint.may_say("host", &n.to_string(), *n / 100).is_some()).count();
        assert_eq!(said, SUBJECTS_MAX);
        assert_eq!(restraint.may_say("host", "new", SILENCE_MS + 100), Some(0), "room comes back");
    }
}
