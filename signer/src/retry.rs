//! When to ask again: bounded, with jitter, and never before the other side wants us back.

use std::time::Duration;

/// How often and how patiently one call is repeated. What is left undone is the worker's to repeat, much later.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// How often to ask at most, the first time included.
    pub attempts: u32,
    /// The pause after the first failure; each later one doubles it.
    pub first_delay: Duration,
    /// No pause is longer. A `Retry-After` beyond it ends the call.
    pub max_delay: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        // What fails twice is left to the caller, who knows what else waits for the same endpoint.
        Self { attempts: 2, first_delay: Duration::from_millis(500), max_delay: Duration::from_secs(15) }
    }
}

/// An error that can say whether asking again makes sense.
pub(crate) trait Retryable: std::fmt::Display {
    fn is_transient(&self) -> bool;
    fn retry_after(&self) -> Option<Duration>;
}

impl Retry {
    /// The pause before the next attempt, after `failed` of them; `None` where there shall be none.
    ///
    /// Half of the pause is random, so that many workers that were refused together do not come back together. What
    /// the other side asked for is never shortened.
    fn delay(&self, failed: u32, retry_after: Option<Duration>, random: u64) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        let doubled = self
            .first_delay
            .saturating_mul(1u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX))
            .min(self.max_delay);
        let half = doubled / 2;
        // The top 16 bits as a fraction of one.
        let jitter = half.mul_f64((random >> 48) as f64 / 65_536.0);
        match retry_after {
            Some(asked) if asked > self.max_delay => None,
            Some(asked) => Some(asked.max(half) + jitter),
            None => Some(half + jitter),
        }
    }

    /// Calls `attempt` until it succeeds, fails for good, or has been tried often enough.
    pub(crate) async fn run<T, E, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, E>
    where
        E: Retryable,
        F: Future<Output = Result<T, E>>,
    {
        let mut failed = 0;
        loop {
            let error = match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) if !error.is_transient() => return Err(error),
                Err(error) => error,
            };
            failed += 1;
            // Without randomness everybody waits the same time, which is no reason to fail.
            let random = getrandom::u64().unwrap_or(0);
            let Some(delay) = self.delay(failed, error.retry_after(), random) else {
                return Err(error);
            };
            tracing::warn!(%error, attempt = failed, delay_ms = delay.as_millis() as u64, "no answer yet, asking again");
            tokio::time::sleep(delay).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Debug)]
    struct Failure {
        transient: bool,
        retry_after: Option<Duration>,
    }

    impl std::fmt::Display for Failure {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("no")
        }
    }

    impl Retryable for Failure {
        fn is_transient(&self) -> bool {
            self.transient
        }
        fn retry_after(&self) -> Option<Duration> {
            self.retry_after
        }
    }

    const QUICK: Retry =
        Retry { attempts: 3, first_delay: Duration::from_millis(2), max_delay: Duration::from_millis(8) };

    async fn attempts_until_given_up(transient: bool, retry_after: Option<Duration>) -> u32 {
        let count = Cell::new(0);
        let result: Result<(), Failure> = QUICK
            .run(|| {
                count.set(count.get() + 1);
                async move { Err(Failure { transient, retry_after }) }
            })
            .await;
        assert!(result.is_err());
        count.get()
    }

    #[test]
    fn pauses_double_up_to_the_limit_and_end() {
        let retry = Retry { attempts: 6, first_delay: Duration::from_secs(1), max_delay: Duration::from_secs(5) };
        for (failed, shortest, longest) in [(1, 500, 1000), (2, 1000, 2000), (3, 2000, 4000), (4, 2500, 5000)] {
            assert_eq!(retry.delay(failed, None, 0), Some(Duration::from_millis(shortest)));
            let most = retry.delay(failed, None, u64::MAX).unwrap();
            assert!(most > Duration::from_millis(longest - 1) && most < Duration::from_millis(longest));
        }
        assert_eq!(retry.delay(6, None, 0), None);
    }

    #[test]
    fn what_the_other_side_asked_for_is_never_shortened() {
        let retry = Retry::default();
        let asked = Duration::from_secs(9);
        assert!(retry.delay(1, Some(asked), 0).unwrap() >= asked);
        assert!(retry.delay(1, Some(asked), u64::MAX).unwrap() > asked);
    }

    #[test]
    fn a_long_retry_after_ends_the_call() {
        let retry = Retry::default();
        assert_eq!(retry.delay(1, Some(Duration::from_secs(3600)), 0), None);
    }

    #[tokio::test]
    async fn only_what_may_pass_is_asked_again() {
        assert_eq!(attempts_until_given_up(true, None).await, 3);
        assert_eq!(attempts_until_given_up(false, None).await, 1);
        assert_eq!(attempts_until_given_up(true, Some(Duration::from_secs(60))).await, 1);
    }
}
