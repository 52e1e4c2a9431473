//! One breaker for each endpoint: after trouble it is shut, and one piece of work at a time finds out whether it is over.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::endpoint::Endpoint;

/// So many failures in a row, without a success in between, shut an endpoint.
const SHUT_AFTER: u32 = 3;
/// So many repositories that a registry turns away, while none succeeds, are the registry's trouble: one pusher has one.
const TURNED_AWAY: usize = 3;
/// How long an endpoint stays shut at first; doubled with each probe that fails.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// How long it stays shut at most, unless it asked for more itself.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The longest `Retry-After` that is obeyed.
const LONGEST_OBEYED: Duration = Duration::from_secs(3600);
/// A probe that was called and has not begun for so long is called again: it may have had another reason to end.
const CALL_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// A probe that has not reported for so long is given up, and another may begin.
const PROBE_LOST_AFTER: Duration = Duration::from_secs(180);

/// The breakers of a process.
#[derive(Debug, Default)]
pub(super) struct Breakers {
    states: Mutex<HashMap<Endpoint, State>>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    shut: Option<Shut>,
    /// Repositories that a registry turned away since it last answered any.
    turned_away: HashSet<String>,
}

#[derive(Debug)]
struct Shut {
    wait: Duration,
    probe_at: Instant,
    /// A piece of work is on its way to find out.
    probing_since: Option<Instant>,
    /// When a piece of work was last called to become the probe.
    called_at: Option<Instant>,
}

/// Whether work that needs an endpoint may begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Passage {
    /// It may.
    Free,
    /// It may, and its outcome decides for all others.
    Probe,
    /// It may not; somebody may find out after this time.
    Shut(Duration),
}

/// What a failure did to a breaker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AfterTrouble {
    /// The endpoint is still open: this failure counts for the work that met it.
    StillOpen,
    /// The endpoint is shut.
    Shut {
        /// It was open before.
        just_now: bool,
    },
}

impl Breakers {
    /// Whether work that needs an endpoint may begin. A probe must report by [`Self::well`] or [`Self::trouble`].
    pub(super) fn pass(&self, endpoint: &Endpoint) -> Passage {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(shut) = states.get_mut(endpoint).and_then(|state| state.shut.as_mut()) else { return Passage::Free };
        let now = Instant::now();
        let probed = shut.probing_since.is_some_and(|since| now.duration_since(since) < PROBE_LOST_AFTER);
        if now < shut.probe_at || probed {
            return Passage::Shut(shut.probe_at.saturating_duration_since(now).max(Duration::from_secs(1)));
        }
        shut.probing_since = Some(now);
        Passage::Probe
    }

    /// Whether an endpoint is shut and not to be probed now. Begins nothing.
    pub(super) fn is_shut(&self, endpoint: &Endpoint) -> bool {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let shut = states.get(endpoint).and_then(|state| state.shut.as_ref());
        shut.is_some_and(|shut| Instant::now() < shut.probe_at)
    }

    /// Whether an endpoint is in trouble, probed or not.
    pub(super) fn is_in_trouble(&self, endpoint: &Endpoint) -> bool {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.get(endpoint).is_some_and(|state| state.shut.is_some())
    }

    /// The endpoints for which one piece of waiting work is to be called now, to find out whether the trouble is over.
    pub(super) fn to_probe(&self) -> Vec<Endpoint> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let mut endpoints = Vec::new();
        for (endpoint, state) in states.iter_mut() {
            let Some(shut) = &mut state.shut else { continue };
            let probed = shut.probing_since.is_some_and(|since| now.duration_since(since) < PROBE_LOST_AFTER);
            let called = shut.called_at.is_some_and(|at| now.duration_since(at) < CALL_AGAIN_AFTER);
            if now >= shut.probe_at && !probed && !called {
                shut.called_at = Some(now);
                endpoints.push(endpoint.clone());
            }
        }
        endpoints
    }

    /// Trouble was noted by a process before this one: the first answer ends it.
    ///
    /// One piece of what waits for it is called at once, to find out.
    pub(super) fn note(&self, endpoint: Endpoint) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let shut = Shut { wait: FIRST_WAIT, probe_at: Instant::now(), probing_since: None, called_at: None };
        states.entry(endpoint).or_default().shut = Some(shut);
    }

    /// An endpoint answered. Answers whether it was in trouble until now.
    pub(super) fn well(&self, endpoint: &Endpoint) -> bool {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.remove(endpoint).is_some_and(|state| state.shut.is_some())
    }

    /// A registry that answers its ping turned one repository away (too often asked, say). Answers whether that is the
    /// registry's own trouble by now.
    pub(super) fn turned_away(&self, endpoint: &Endpoint, repository: &str) -> bool {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let state = states.entry(endpoint.clone()).or_default();
        if state.turned_away.len() < TURNED_AWAY {
            state.turned_away.insert(repository.to_owned());
        }
        state.turned_away.len() >= TURNED_AWAY
    }

    /// An endpoint is in trouble. `certain`: it said so itself, or does not answer at all, so that one failure is enough.
    pub(super) fn trouble(&self, endpoint: &Endpoint, certain: bool, retry_after: Option<Duration>) -> AfterTrouble {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let state = states.entry(endpoint.clone()).or_default();
        state.failures = state.failures.saturating_add(1);
        let now = Instant::now();
        let asked = retry_after.unwrap_or_default().min(LONGEST_OBEYED);
        match &mut state.shut {
            None if !certain && state.failures < SHUT_AFTER => AfterTrouble::StillOpen,
            None => {
                let wait = FIRST_WAIT;
                let probe_at = now + wait.max(asked);
                state.shut = Some(Shut { wait, probe_at, probing_since: None, called_at: None });
                AfterTrouble::Shut { just_now: true }
            }
            Some(shut) => {
                // What was under way when it shut fails as well, and says nothing new.
                if shut.probing_since.take().is_some() {
                    shut.wait = (shut.wait * 2).min(LONGEST_WAIT);
                    shut.probe_at = now + shut.wait.max(asked);
                    shut.called_at = None;
                } else if asked > Duration::ZERO {
                    shut.probe_at = shut.probe_at.max(now + asked);
                }
                AfterTrouble::Shut { just_now: false }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Endpoint {
        Endpoint::Log("log.example.com".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_shuts_after_failures_in_a_row_and_one_probe_opens_it() {
        let breakers = Breakers::default();
        assert_eq!(breakers.trouble(&log(), false, None), AfterTrouble::StillOpen);
        assert!(!breakers.well(&log()), "a success in between begins the count again");
        for _ in 0..2 {
            assert_eq!(breakers.trouble(&log(), false, None), AfterTrouble::StillOpen);
        }
        assert_eq!(breakers.trouble(&log(), false, None), AfterTrouble::Shut { just_now: true });
        assert_eq!(breakers.trouble(&log(), false, None), AfterTrouble::Shut { just_now: false });
        assert!(matches!(breakers.pass(&log()), Passage::Shut(_)) && breakers.is_shut(&log()));
        assert_eq!(breakers.pass(&Endpoint::Log("other".to_owned())), Passage::Free);
        assert!(breakers.to_probe().is_empty());
        tokio::time::advance(FIRST_WAIT).await;
        // One of what waits is called, and called again if it does not come.
        assert_eq!(breakers.to_probe(), [log()]);
        assert!(breakers.to_probe().is_empty());
        tokio::time::advance(CALL_AGAIN_AFTER).await;
        assert_eq!(breakers.to_probe(), [log()]);
        assert_eq!(breakers.pass(&log()), Passage::Probe);
        assert!(matches!(breakers.pass(&log()), Passage::Shut(_)), "one at a time");
        assert!(breakers.well(&log()));
        assert_eq!(breakers.pass(&log()), Passage::Free);
        breakers.note(log());
        assert_eq!(breakers.to_probe(), [log()]);
        assert_eq!(breakers.pass(&log()), Passage::Probe);
        assert!(breakers.well(&log()));
        // One repository, however often, is not the registry.
        for _ in 0..10 {
            assert!(!breakers.turned_away(&log(), "team/evil"));
        }
        assert!(!breakers.turned_away(&log(), "team/other"));
        assert!(breakers.turned_away(&log(), "team/third"));
        breakers.well(&log());
        assert!(!breakers.turned_away(&log(), "team/fourth"));
        assert!(!breakers.well(&log()), "that was no trouble of the endpoint's own");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_fails_or_is_lost_lets_another_try() {
        let breakers = Breakers::default();
        assert_eq!(breakers.trouble(&log(), true, None), AfterTrouble::Shut { just_now: true });
        tokio::time::advance(FIRST_WAIT).await;
        assert_eq!(breakers.pass(&log()), Passage::Probe);
        breakers.trouble(&log(), true, None);
        tokio::time::advance(FIRST_WAIT).await;
        assert!(matches!(breakers.pass(&log()), Passage::Shut(_)), "twice as long");
        tokio::time::advance(FIRST_WAIT).await;
        assert_eq!(breakers.pass(&log()), Passage::Probe);
        tokio::time::advance(PROBE_LOST_AFTER).await;
        assert_eq!(breakers.pass(&log()), Passage::Probe);
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_endpoint_asked_for_is_obeyed_within_reason() {
        let breakers = Breakers::default();
        breakers.trouble(&log(), true, Some(Duration::from_secs(120)));
        tokio::time::advance(Duration::from_secs(119)).await;
        assert!(breakers.is_shut(&log()));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(breakers.pass(&log()), Passage::Probe);
        breakers.trouble(&log(), true, Some(Duration::from_secs(1_000_000_000)));
        tokio::time::advance(LONGEST_OBEYED).await;
        assert_eq!(breakers.pass(&log()), Passage::Probe);
    }
}
