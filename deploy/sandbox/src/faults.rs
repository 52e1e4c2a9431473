//! What can be made to go wrong at any of the sandbox's servers: refusals and lost answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};

/// One thing that goes wrong with a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The request is not looked at; this is the answer.
    Refuse {
        /// The status of the answer.
        status: StatusCode,
        /// The `Retry-After` header, word for word.
        retry_after: Option<String>,
    },
    /// The request is not looked at; the answer is 403 in the words of a registry.
    Deny,
    /// The connection closes before the request is looked at.
    HangUp,
    /// The request is carried out in full, then the connection closes without an answer.
    LoseAnswer,
    /// The request is carried out this much later.
    Delay(Duration),
    /// The connection closes after so many bytes of the answer's body, whose whole length was announced.
    Truncate(usize),
    /// The answer's body arrives in sixteen parts, this long apart.
    Trickle(Duration),
    /// The request is not looked at; the answer is 200 and a body that never ends.
    Endless,
}

/// The faults that a server has been told to show, in the order in which they were planned.
#[derive(Debug, Default)]
pub struct Faults {
    planned: Mutex<Vec<Planned>>,
    down: AtomicBool,
}

#[derive(Debug)]
struct Planned {
    method: Method,
    path_contains: String,
    fault: Fault,
    times: u32,
}

impl Faults {
    /// The next `times` requests, `u32::MAX` for all of them, with this method, and with this text in their path, meet `fault`.
    pub fn plan(&self, method: Method, path_contains: &str, fault: Fault, times: u32) {
        self.lock().push(Planned { method, path_contains: path_contains.to_owned(), fault, times });
    }

    /// Whether every request, planned for or not, is hung up on. A client sees a server that cannot be reached.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    /// Whether the server is down.
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Forgets what has not happened yet; what is down comes up.
    pub fn clear(&self) {
        self.set_down(false);
        self.lock().clear();
    }

    /// How many planned faults have not happened yet.
    pub fn remaining(&self) -> u32 {
        self.lock().iter().fold(0, |sum, planned| sum.saturating_add(planned.times))
    }

    pub(crate) fn take(&self, method: &Method, path: &str) -> Option<Fault> {
        if self.is_down() {
            return Some(Fault::HangUp);
        }
        let mut planned = self.lock();
        let at = planned.iter().position(|p| p.method == *method && path.contains(&p.path_contains))?;
        planned[at].times = planned[at].times.saturating_sub(1);
        let fault = planned[at].fault.clone();
        if planned[at].times == 0 {
            planned.remove(at);
        }
        Some(fault)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Planned>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_met_by_matching_requests_only_and_as_often_as_planned() {
        let faults = Faults::default();
        faults.plan(Method::PUT, "/manifests/", Fault::HangUp, 2);
        assert_eq!(faults.take(&Method::GET, "/v2/a/manifests/v1"), None);
        assert_eq!(faults.take(&Method::PUT, "/v2/a/blobs/x"), None);
        for _ in 0..2 {
            assert_eq!(faults.take(&Method::PUT, "/v2/a/manifests/v1"), Some(Fault::HangUp));
        }
        assert_eq!(faults.take(&Method::PUT, "/v2/a/manifests/v1"), None);
        assert_eq!(faults.remaining(), 0);
    }

    #[test]
    fn what_is_down_hangs_up_on_everybody_and_keeps_its_plans() {
        let faults = Faults::default();
        faults.plan(Method::PUT, "/a", Fault::LoseAnswer, 1);
        faults.set_down(true);
        assert_eq!(faults.take(&Method::GET, "/b"), Some(Fault::HangUp));
        assert_eq!(faults.take(&Method::PUT, "/a"), Some(Fault::HangUp));
        faults.set_down(false);
        assert_eq!(faults.take(&Method::GET, "/b"), None);
        assert_eq!(faults.take(&Method::PUT, "/a"), Some(Fault::LoseAnswer));
        faults.set_down(true);
        faults.clear();
        assert!(!faults.is_down());
    }
}
