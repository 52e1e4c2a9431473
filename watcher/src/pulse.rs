//! Heartbeats of the loops of this process. `/livez` looks at them: a loop that hangs is seen, whatever it waits for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The loops, and when each last went round.
#[derive(Clone, Debug, Default)]
pub struct Pulses {
    loops: Arc<Mutex<BTreeMap<&'static str, Pulse>>>,
}

#[derive(Clone, Copy, Debug)]
struct Pulse {
    last: Instant,
    /// A loop that was silent for longer hangs.
    within: Duration,
}

impl Pulses {
    /// Notes that a loop goes round, and that it will again within so long.
    pub fn beat(&self, name: &'static str, within: Duration) {
        let mut loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops.insert(name, Pulse { last: Instant::now(), within });
    }

    /// Forgets a loop that ended because it was told to.
    pub fn ended(&self, name: &'static str) {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// The loops that are late, and since how long they are silent.
    pub fn late(&self) -> Vec<(&'static str, Duration)> {
        let loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops
            .iter()
            .map(|(name, pulse)| (*name, pulse.last.elapsed(), pulse.within))
            .filter(|(_, silent, within)| silent > within)
            .map(|(name, silent, _)| (name, silent))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_is_silent_for_too_long_is_late_until_it_beats_or_ends() {
        let pulses = Pulses::default();
        pulses.beat("jobs", Duration::ZERO);
        pulses.beat("events", Duration::from_secs(3600));
        std::thread::sleep(Duration::from_millis(2));
        let late: Vec<_> = pulses.late().into_iter().map(|(name, _)| name).collect();
        assert_eq!(late, ["jobs"]);
        pulses.ended("jobs");
        assert!(pulses.late().is_empty());
    }
}
