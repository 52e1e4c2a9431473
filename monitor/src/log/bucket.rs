//! A token bucket: so much per second, and no more than a burst of it saved up.

use std::time::Duration;

use tokio::time::Instant;

/// What is left of an allowance. It may be overdrawn by what was not known beforehand, and is then paid back.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: f64,
    most: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket. An allowance of nothing is taken as one per day, so that waiting always ends.
    pub(super) fn new(per_second: f64, most: f64, now: Instant) -> Self {
        let most = most.max(1.0);
        Self { per_second: per_second.max(1.0 / 86_400.0), most, level: most, at: now }
    }

    /// Takes `amount` whatever is left.
    pub(super) fn take(&mut self, amount: f64, now: Instant) {
        self.refill(now);
        self.level -= amount;
    }

    /// How long until there are `amount` again; zero where there are now.
    pub(super) fn wait_for(&mut self, amount: f64, now: Instant) -> Duration {
        self.refill(now);
        let lacking = amount.min(self.most) - self.level;
        if lacking <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(lacking / self.per_second).unwrap_or(Duration::MAX).max(Duration::from_millis(1))
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_second).min(self.most);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_spent_and_comes_back_at_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, 5.0, start);
        for _ in 0..5 {
            assert_eq!(bucket.wait_for(1.0, start), Duration::ZERO);
            bucket.take(1.0, start);
        }
        assert_eq!(bucket.wait_for(1.0, start), Duration::from_millis(100));
        let later = start + Duration::from_millis(100);
        assert_eq!(bucket.wait_for(1.0, later), Duration::ZERO);
        let much_later = start + Duration::from_secs(3600);
        assert_eq!(bucket.wait_for(1e9, much_later), Duration::ZERO, "no more than the burst is ever waited for");
        bucket.take(6.0, much_later);
        assert_eq!(bucket.wait_for(1.0, much_later), Duration::from_millis(200), "what was overdrawn is paid back");
    }

    #[test]
    fn an_allowance_of_nothing_still_ends() {
        let now = Instant::now();
        let mut bucket = Bucket::new(0.0, 0.0, now);
        bucket.take(1.0, now);
        assert!(bucket.wait_for(1.0, now) <= Duration::from_secs(86_401));
    }
}
