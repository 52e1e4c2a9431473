//! How long to wait after a failure. Pure: the randomness is an argument.

use std::time::Duration;

/// After the first failure.
const FIRST: Duration = Duration::from_millis(250);
/// After many.
const LONGEST: Duration = Duration::from_secs(60);

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// One more failure: how long to wait, between half and all of a time that doubles each time. Whoever was asked may
    /// have said for how long it wants to be left alone; then it is that at least.
    pub(crate) fn failed(&mut self, retry_after: Option<Duration>, random: u32) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        jittered(doubled, random).max(retry_after.unwrap_or_default())
    }

    /// It worked.
    pub(crate) fn worked(&mut self) {
        self.failures = 0;
    }

    /// How many failures there were in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

/// Between half and all of a time, so that those who wait do not all come back at once.
pub(crate) fn jittered(wait: Duration, random: u32) -> Duration {
    wait.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0)
}

/// For the jitter; without randomness there is none.
pub(crate) fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..10).map(|_| backoff.failed(None, u32::MAX).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(backoff.failed(None, 0), Duration::from_secs(30));
        assert_eq!(backoff.failures(), 11);
        backoff.worked();
        assert_eq!(backoff.failed(None, 0), Duration::from_millis(125));
    }

    #[test]
    fn who_wants_to_be_left_alone_is() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.failed(Some(Duration::from_secs(90)), 0), Duration::from_secs(90));
        assert_eq!(backoff.failed(Some(Duration::from_millis(1)), u32::MAX), Duration::from_millis(500));
    }
}
