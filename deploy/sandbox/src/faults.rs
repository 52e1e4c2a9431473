//! What can be made to go wrong at any of the sandbox's servers: refusals and lost answers.

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
    /// The connection closes before the request is looked at.
    HangUp,
    /// The request is carried out in full, then the connection closes without an answer.
    LoseAnswer,
    /// The request is carried out this much later.
    Delay(Duration),
}

/// The faults that a server has been told to show, in the order in which they were planned.
#[derive(Debug, Default)]
pub struct Faults {
    planned: Mutex<Vec<Planned>>,
}

#[derive(Debug)]
struct Planned {
    method: Method,
    path_contains: String,
    fault: Fault,
    times: u32,
}

impl Faults {
    /// The next `times` requests with this method, and with this text in their path, meet `fault`.
    pub fn plan(&self, method: Method, path_contains: &str, fault: Fault, times: u32) {
        self.lock().push(Planned { method, path_contains: path_contains.to_owned(), fault, times });
    }

    /// Forgets what has not happened yet.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// How many planned faults have not happened yet.
    pub fn remaining(&self) -> u32 {
        self.lock().iter().map(|planned| planned.times).sum()
    }

    pub(crate) fn take(&self, method: &Method, path: &str) -> Option<Fault> {
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
}
