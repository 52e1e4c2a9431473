//! How long to wait before the next try.

use std::time::Duration;

/// However long the other side asks us to stay away, we look again after this.
const LONGEST_OBEYED: Duration = Duration::from_secs(3600);

/// Doubles with each attempt from `first` up to `longest`, with jitter so that what failed together does not come
/// back together: between half of the wait and the whole of it. Never earlier than the other side asked for.
pub(super) fn delay(
    attempts: u32,
    first: Duration,
    longest: Duration,
    retry_after: Option<Duration>,
    random: u64,
) -> Duration {
    let doublings = attempts.saturating_sub(1).min(20);
    let whole = first.saturating_mul(1 << doublings).min(longest);
    let half = whole / 2;
    let spread = u64::try_from(half.as_millis()).unwrap_or(u64::MAX);
    let jitter = if spread == 0 { 0 } else { random % (spread + 1) };
    let own = (half + Duration::from_millis(jitter)).max(first.min(whole));
    match retry_after {
        // Some spread on top, or everybody who was asked the same comes at once.
        Some(asked) => own.max(asked.min(LONGEST_OBEYED) + Duration::from_millis(jitter.min(1000))),
        None => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(300);

    #[test]
    fn waits_double_up_to_five_minutes_and_never_leave_their_bounds() {
        for attempts in 0..60 {
            for random in [0, 1, 499, 500, 12_345_678, u64::MAX] {
                let wait = delay(attempts, FIRST, LONGEST, None, random);
                assert!(wait >= FIRST && wait <= LONGEST, "attempt {attempts}: {wait:?}");
            }
        }
        assert_eq!(delay(1, FIRST, LONGEST, None, 7), FIRST);
        assert!(delay(20, FIRST, LONGEST, None, 0) >= LONGEST / 2);
        assert!(delay(4, FIRST, LONGEST, None, 0) < delay(12, FIRST, LONGEST, None, 0));
    }

    #[test]
    fn two_that_failed_together_do_not_come_back_together() {
        let waits: std::collections::BTreeSet<_> = (0..50u64)
            .map(|random| delay(8, FIRST, LONGEST, None, random.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        assert!(waits.len() > 40);
    }

    #[test]
    fn the_other_sides_wish_is_obeyed_within_reason() {
        let asked = Duration::from_secs(40);
        assert!(delay(1, FIRST, LONGEST, Some(asked), 3) >= asked);
        assert!(delay(1, FIRST, LONGEST, Some(Duration::from_secs(10_000_000)), 3) <= LONGEST_OBEYED + FIRST);
    }
}
