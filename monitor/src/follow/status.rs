//! What a follower shows to those who watch over it: health, metrics, and the report of one pass.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tlog::{Checkpoint, WitnessPolicy};

use crate::config::{Coverage, LogSpec};
use crate::evidence::LogDescription;

/// Where one log stands, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct LogStatus {
    /// Which log.
    pub log: LogDescription,
    /// How much of it is read.
    pub coverage: Coverage,
    /// How long it may be without a new head.
    pub stale_after: Duration,
    /// It is announced as closed: it need not have a new head, and must not grow any more.
    pub closed: bool,
    /// This process follows it now.
    pub held: bool,
    /// Since when we look at it, in unix milliseconds.
    pub began_at: i64,
    /// The last head that opened, in unix milliseconds.
    pub opened_at: Option<i64>,
    /// When the log last answered with the newest consistent head, in unix milliseconds.
    pub looked_at: Option<i64>,
    /// Since when it cannot be read (unix milliseconds), and the last reason.
    pub failing: Option<(i64, String)>,
    /// The newest consistent head.
    pub head: Option<Checkpoint>,
    /// When that head was first seen, in unix milliseconds.
    pub head_seen_at: i64,
    /// The newest time that is signed with it, in unix milliseconds: of the log or of a witness.
    pub signed_at: Option<i64>,
    /// Whose cosignatures it needs.
    pub policy: Option<WitnessPolicy>,
    /// How many witnesses of the policy have cosigned it.
    pub cosigned: usize,
    /// A head without the quorum of witnesses, where that is worth a word.
    pub quorum_lost: Option<Checkpoint>,
    /// Signed times that are far from ours: whose, and the time in unix milliseconds.
    pub skewed: Vec<(String, i64)>,
    /// From where on it is covered.
    pub first_size: u64,
    /// Up to where every leaf was hashed into a signed root.
    pub verified_size: u64,
    /// When the verified position was last the head's, in unix milliseconds.
    pub verified_at: Option<i64>,
    /// Since when it is behind, in unix milliseconds.
    pub behind_since: Option<i64>,
    /// Up to where leaves were read.
    pub read_size: u64,
    /// Something that the log says or serves does not fit, and is looked at again.
    pub in_doubt: bool,
    /// It was closed for good.
    pub frozen: bool,
}

impl LogStatus {
    /// A log that was not looked at yet.
    pub fn new(spec: &LogSpec, stale_after: Duration, now: i64) -> Self {
        Self {
            log: LogDescription::new(spec.origin.clone(), spec.kind, &spec.key),
            coverage: spec.coverage,
            stale_after: spec.stale_after.unwrap_or(stale_after),
            closed: spec.closed,
            held: false,
            began_at: now,
            opened_at: None,
            looked_at: None,
            failing: None,
            head: None,
            head_seen_at: now,
            signed_at: None,
            policy: spec.witnesses.clone(),
            cosigned: 0,
            quorum_lost: None,
            skewed: Vec::new(),
            first_size: 0,
            verified_size: 0,
            verified_at: None,
            behind_since: None,
            read_size: 0,
            in_doubt: false,
            frozen: false,
        }
    }

    /// How many leaves the newest consistent head has.
    pub fn size(&self) -> u64 {
        self.head.as_ref().map_or(0, Checkpoint::size)
    }

    /// How many leaves of the newest consistent head are not verified; zero where nobody else's leaves are read.
    pub fn lag(&self) -> u64 {
        match self.coverage {
            Coverage::Exhaustive => self.size().saturating_sub(self.verified_size),
            Coverage::OwnEntries => 0,
        }
    }
}

/// A status that its follower writes and others read.
#[derive(Clone, Debug)]
pub struct Status(Arc<Mutex<LogStatus>>);

impl Status {
    /// Shows this.
    pub fn new(status: LogStatus) -> Self {
        Self(Arc::new(Mutex::new(status)))
    }

    /// As it is now.
    pub fn read(&self) -> LogStatus {
        self.lock().clone()
    }

    /// Whether the log is announced as closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(crate) fn write(&self, change: impl FnOnce(&mut LogStatus)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, LogStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
