//! Whose turn it is: the repository that was served longest ago goes first, so that a long queue of one holds up no
//! other.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use store::DueRepository;

/// Repositories whose last turn is remembered. One that is forgotten goes first, which does no harm.
const REMEMBERED: usize = 4096;

/// When each repository was served last.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    served: Mutex<Served>,
}

#[derive(Debug, Default)]
struct Served {
    turn: u64,
    last: HashMap<(String, String), u64>,
}

impl Turns {
    /// Sorts repositories by priority, then by how long ago each was served, then by how long each has waited.
    pub(crate) fn in_turn(&self, mut due: Vec<DueRepository>) -> Vec<DueRepository> {
        let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        due.sort_by_cached_key(|repository| {
            let key = (repository.registry.clone(), repository.repository.clone());
            (repository.priority, served.last.get(&key).copied().unwrap_or_default(), repository.due_at)
        });
        due
    }

    /// Notes that a repository was served now.
    pub(crate) fn served(&self, repository: &DueRepository) {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        served.turn += 1;
        let turn = served.turn;
        if served.last.len() >= REMEMBERED {
            let oldest = turn.saturating_sub(REMEMBERED as u64 / 2);
            served.last.retain(|_, last| *last > oldest);
        }
        served.last.insert((repository.registry.clone(), repository.repository.clone()), turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(repository: &str, priority: i64, due_at: i64) -> DueRepository {
        let registry = "registry.example.com".to_owned();
        DueRepository { registry, repository: repository.to_owned(), priority, due_at }
    }

    #[test]
    fn who_was_served_longest_ago_goes_first_within_a_priority() {
        let turns = Turns::default();
        let all = || vec![due("flood", 0, 1), due("quiet", 0, 5), due("sweep", 10, 0)];
        let order =
            |turns: &Turns| -> Vec<String> { turns.in_turn(all()).into_iter().map(|due| due.repository).collect() };
        assert_eq!(order(&turns), ["flood", "quiet", "sweep"]);
        turns.served(&due("flood", 0, 1));
        assert_eq!(order(&turns), ["quiet", "flood", "sweep"]);
        turns.served(&due("quiet", 0, 5));
        assert_eq!(order(&turns), ["flood", "quiet", "sweep"]);
        for number in 0..10_000 {
            turns.served(&due(&format!("r{number}"), 0, 0));
        }
        assert!(turns.served.lock().unwrap().last.len() <= REMEMBERED);
    }
}
