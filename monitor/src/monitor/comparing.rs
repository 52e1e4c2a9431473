//! How the comparison of log and ledger does, part by part: silence of it is no good news either.

use std::sync::{Arc, Mutex};

use crate::reconcile::LedgerError;
use crate::reconcile::side::locked;

/// A go without an error may take so long: a log that is asked slowly about a thousand entries is no blindness.
const LONGEST_GO_MS: i64 = 60 * 60 * 1_000;

/// The parts. Each goes on by itself, so that a log that is slow with one keeps no other from its turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// The ledger itself, which only grows at its end.
    Intents,
    /// Leaves under our name.
    Suspects,
    /// Entries of ours.
    Entries,
    /// What was met in registries.
    Observations,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::Intents, Self::Suspects, Self::Entries, Self::Observations];

    const fn words(self) -> &'static str {
        match self {
            Self::Intents => "the ledger cannot be looked through",
            Self::Suspects => "leaves under our name cannot be settled",
            Self::Entries => "our own entries cannot be proved",
            Self::Observations => "what was met in registries cannot be held against the logs",
        }
    }
}

#[derive(Debug)]
struct How {
    part: Part,
    ok_at: i64,
    error: Option<String>,
}

/// When each part last came to its end, which those who watch over it read.
#[derive(Clone, Debug)]
pub(super) struct Comparing(Arc<Mutex<Vec<How>>>);

impl Comparing {
    /// Nothing was compared yet, at `now` (unix milliseconds).
    pub(super) fn new(now: i64) -> Self {
        let how = |part| How { part, ok_at: now, error: None };
        Self(Arc::new(Mutex::new(Part::ALL.into_iter().map(how).collect())))
    }

    /// A go at a part has ended. An error is logged once when it begins and once when it ends.
    pub(super) fn ended(&self, part: Part, outcome: &Result<(), LedgerError>, now: i64) {
        let mut all = locked(&self.0);
        let Some(how) = all.iter_mut().find(|how| how.part == part) else { return };
        match outcome {
            Err(error) if how.error.is_none() => tracing::warn!(%error, "{}; trying again", part.words()),
            Ok(()) if how.error.is_some() => tracing::info!(?part, "log and ledger are compared again"),
            _ => {}
        }
        how.error = outcome.as_ref().err().map(ToString::to_string);
        if outcome.is_ok() {
            how.ok_at = now;
        }
    }

    /// All of them ended by themselves, which is a defect of ours. Which of them it was shows by who comes to an end again.
    pub(super) fn died(&self) {
        for how in locked(&self.0).iter_mut() {
            how.error.get_or_insert_with(|| "it ended by itself".to_owned());
        }
    }

    /// The part that fails, or hangs, for the longest time: since when, in unix milliseconds, and why.
    pub(super) fn trouble(&self, now: i64) -> Option<(i64, String)> {
        let all = locked(&self.0);
        let hangs = |how: &How| now.saturating_sub(how.ok_at) >= LONGEST_GO_MS;
        let how = all.iter().filter(|how| how.error.is_some() || hangs(how)).min_by_key(|how| how.ok_at)?;
        let why = how.error.as_deref().unwrap_or("it has not come to its end");
        Some((how.ok_at, format!("{}: {why}", how.part.words())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_that_failed_for_the_longest_time_is_told_and_the_others_do_not_hide_it() {
        let failed = || Err(LedgerError::Store(store::StoreError::UnknownEngine));
        let comparing = Comparing::new(1_000);
        for part in Part::ALL {
            comparing.ended(part, &Ok(()), 2_000);
        }
        comparing.ended(Part::Intents, &failed(), 3_000);
        for part in [Part::Suspects, Part::Entries, Part::Observations] {
            comparing.ended(part, &Ok(()), 9_000);
        }
        let (since, why) = comparing.trouble(10_000).expect("a part");
        assert!(since == 2_000 && why.contains("looked through"), "{since} {why}");
        comparing.ended(Part::Intents, &Ok(()), 10_000);
        assert_eq!(comparing.trouble(11_000), None);
        comparing.died();
        comparing.ended(Part::Intents, &Ok(()), 11_000);
        assert!(comparing.trouble(11_000).is_some_and(|it| it.0 == 9_000 && it.1.contains("by itself")));
        for part in Part::ALL {
            comparing.ended(part, &Ok(()), 9_000);
        }
        // None of them comes back.
        let (since, why) = comparing.trouble(9_000 + LONGEST_GO_MS).expect("a part");
        assert!(since == 9_000 && why.contains("come to its end"), "{since} {why}");
    }
}
