//! What has gone on for too long about a log. Pure.

use std::time::Duration;

use store::NewFinding;
use tlog::WitnessPolicy;

use crate::config::{Coverage, Timing};
use crate::finding::{self, LogDescription};
use crate::follow::{LogStatus, millis};

/// Something about a log that should not go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Condition {
    /// It cannot be read.
    Blind {
        /// Since when, in unix milliseconds.
        since: i64,
        /// The last reason.
        error: String,
    },
    /// It has no new head.
    Stale {
        /// Since when, in unix milliseconds.
        since: i64,
        /// The head.
        note: Vec<u8>,
    },
    /// Its leaves are not verified up to its head.
    Lag {
        /// Since when, in unix milliseconds.
        since: i64,
        /// How far they are.
        verified_size: u64,
        /// How many there are.
        size: u64,
        /// The head.
        note: Vec<u8>,
    },
    /// Its head is without its quorum.
    Quorum {
        /// The head.
        note: Vec<u8>,
        /// The policy.
        policy: WitnessPolicy,
    },
    /// A signed time is far from ours.
    Skew {
        /// The head.
        note: Vec<u8>,
        /// Whose time: `log` or `witness NAME`.
        whose: String,
        /// The time, in unix milliseconds.
        signed: i64,
    },
}

impl Condition {
    /// As a finding.
    pub fn finding(&self, log: &LogDescription, at: i64) -> NewFinding {
        match self {
            Self::Blind { since, error } => finding::blind(log, *since, error, at),
            Self::Stale { since, note } => finding::stale_log(log, note, *since, at),
            Self::Lag { since, verified_size, size, note } => {
                finding::scan_lag(log, note, *verified_size, *size, *since, at)
            }
            Self::Quorum { note, policy } => finding::witness_quorum_lost(log, note, policy, at),
            Self::Skew { note, whose, signed } => finding::clock_skew(log, note, whose, *signed, at),
        }
    }
}

/// What is so now, at `now` (unix milliseconds).
pub fn conditions(status: &LogStatus, timing: &Timing, now: i64) -> Vec<Condition> {
    let lasts = |since: i64, patience: Duration| now.saturating_sub(since) >= millis(patience);
    let note = || status.head.as_ref().map(|head| head.note().as_bytes().to_vec()).unwrap_or_default();
    let mut found = Vec::new();
    if let Some((since, error)) = &status.failing
        && lasts(*since, timing.blind_after)
    {
        found.push(Condition::Blind { since: *since, error: error.clone() });
    }
    if !status.frozen
        && !status.closed
        && status.head.is_some()
        // A log that cannot be read is not stale: nobody knows.
        && status.failing.is_none()
    {
        // Where a time is signed it is that which counts: heads that are new to us may be days old, shown in their order
        // by somebody who holds them back. An RFC 6962 log signs one within its maximum merge delay at least, a day.
        let since = status.signed_at.map_or(status.head_seen_at, |signed| signed.min(now));
        if lasts(since, status.stale_after) {
            found.push(Condition::Stale { since, note: note() });
        }
    }
    if let Some(since) = status.behind_since.filter(|_| status.lag() > 0)
        && lasts(since, timing.lag_after)
    {
        let (verified_size, size) = (status.verified_size, status.size());
        found.push(Condition::Lag { since, verified_size, size, note: note() });
    }
    if let (Some(head), Some(policy)) = (&status.quorum_lost, &status.policy) {
        found.push(Condition::Quorum { note: head.note().as_bytes().to_vec(), policy: policy.clone() });
    }
    for (whose, signed) in &status.skewed {
        found.push(Condition::Skew { note: note(), whose: whose.clone(), signed: *signed });
    }
    found
}

/// Whether a log is verified within its bounds, so that silence about it is good news.
pub fn is_fine(status: &LogStatus, timing: &Timing, now: i64) -> bool {
    // A closed log is looked at less often.
    let pause = if status.frozen { timing.reproof_every.max(timing.interval) * 2 } else { Duration::ZERO };
    let recent =
        |at: Option<i64>, bound: Duration| at.is_some_and(|at| now.saturating_sub(at) <= millis(bound.max(pause)));
    let read = match status.coverage {
        Coverage::Exhaustive => recent(status.verified_at, timing.lag_after),
        Coverage::OwnEntries => recent(status.looked_at, timing.blind_after),
    };
    read && conditions(status, timing, now).is_empty()
}
