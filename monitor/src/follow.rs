//! One log, followed: head, leaves, root, identities, findings, advance.
//!
//! # A round
//! 1. The newest head is fetched and opened with the pinned key; its note is stored before anything is done with it
//!    (`look`).
//! 2. It is compared with the head that is known (`consider`; what it means is decided in [`head`]): the same size with
//!    another root is a fork at once; a larger one must be proved to continue the known one, now; a smaller one is a
//!    replica that lags, unless it persists.
//! 3. Leaves are read from the verified position on, in segments (`read_on`). At a segment's end the leaves must lead to
//!    the signed root ([`segment`]); only then are they judged, and findings, position and note are written in one
//!    transaction (I6).
//!
//! What does not fit is a [`doubt`]: it is fetched again, past caches and over new connections, and only what lasts is a
//! finding; the verified position stays where it is. An error says that we could not look, and is never a finding (I7).
//!
//! # What a crash does
//! Everything that counts is in the store, and written under the log's lease. Whoever comes next reads again from the
//! verified position: no leaf is skipped, and since a segment's findings are written with the position behind it, none is
//! lost or raised twice.

pub(crate) mod backoff;
mod budget;
pub mod doubt;
mod evidence;
pub mod head;
pub(crate) mod lease;
mod locate;
mod look;
pub(crate) mod matching;
mod pass;
mod position;
mod read;
pub mod scan;
pub mod segment;
pub(crate) mod status;
mod verify;
pub(crate) mod workers;

pub(crate) use pass::Pass;
pub use status::{LogStatus, Status};

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use store::{Advance, FollowedLog, NewFinding, Sink, Store, StoreError};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::{Coverage, Limits, LogSpec, Timing};
use crate::finding::{self, LogDescription};
use crate::log::{LogReader, ReadError};
use crate::metrics::Metrics;
use crate::reconcile::{LedgerError, LedgerSide};
use crate::task::stopped;
use crate::trust_record::{TrustRecord, TrustRecordError, TrustedLog, lost};

use backoff::{Backoff, jittered, random};
use budget::Budget;
use doubt::Doubts;
use lease::Held;
use matching::Matchings;
use position::Position;
use read::{Ahead, SegmentError, Unproved};
use workers::Workers;

/// How many findings a follower remembers to have raised.
const REMEMBERED: usize = 10_000;

/// How often the trust record is read again where the database has a later act of trust, and how long between.
const RECORD_TRIES: usize = 5;
const RECORD_PAUSE: Duration = Duration::from_secs(1);

/// What all followers share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sinks: Vec<Sink>,
    pub(crate) timing: Timing,
    pub(crate) limits: Limits,
    pub(crate) workers: Workers,
    /// For logs in directories: a disk that does not answer keeps no other log waiting.
    pub(crate) disk_workers: Workers,
    pub(crate) matchings: Matchings,
    pub(crate) ledger: Arc<LedgerSide>,
    pub(crate) record: TrustRecord,
    pub(crate) metrics: Metrics,
    pub(crate) holder: String,
}

/// Why a round could not be finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its leaves could not be read.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// What it serves as a head is none.
    #[error("the head cannot be read: {0}")]
    Head(#[source] tlog::CheckpointError),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger could not be asked.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The record of what was trusted could not be written.
    #[error(transparent)]
    Record(#[from] TrustRecordError),
    /// Another process follows the log now, or it was trusted anew.
    #[error("the lease of the log was lost")]
    LeaseLost,
    /// The store holds something that this program did not write.
    #[error(
        "the stored position cannot be used: {what}; after looking into it: `sealwatch logs trust ORIGIN --because …`"
    )]
    Damaged {
        /// What.
        what: String,
    },
    /// The database lost what the trust record has.
    #[error("{words} Restore the database, or accept the gap with `sealwatch logs trust ORIGIN --because …`")]
    StateLost {
        /// What, a whole sentence.
        words: String,
    },
    /// Nobody has trusted the log.
    #[error("the log is not trusted yet: `sealwatch logs trust ORIGIN --because …`")]
    Untrusted,
}

impl FollowError {
    /// Following does not go on by itself.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::StateLost { .. })
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Read(error) | Self::Segment(SegmentError::Read { error, .. }) => error.retry_after(),
            _ => None,
        }
    }
}

/// How a round ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Round {
    /// Everything up to the newest head is verified, or, where nobody else's leaves are read, consistent.
    CaughtUp,
    /// There is more to read, now.
    More,
    /// There is more to read when the log lets us.
    Later,
    /// Something does not fit. It is looked at again.
    InDoubt,
    /// Something does not fit, for so long that it is a finding. It is looked at again.
    Held,
}

/// What a follower hands on to the next one of the same log: what lasts for a while is told, however often it is started
/// anew meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    doubts: Doubts,
    /// The tree that a closed log was first seen with, and since when it has not changed (unix milliseconds).
    closed_with: Option<(head::TreeHead, i64)>,
}

/// Follows one log.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    spec: LogSpec,
    log: LogDescription,
    reader: Arc<dyn LogReader>,
    status: Status,
    kept: Kept,
    budget: Budget,
    /// What is on its way when a round ends.
    ahead: Option<Ahead>,
    /// What was read and waits for its proof.
    unproved: Option<Unproved>,
    /// Findings that were raised by this process: fingerprint and occurrence.
    raised: BTreeSet<(String, String)>,
    /// When the head before was asked for, in unix milliseconds: what is signed now was signed since.
    asked_before: Option<i64>,
    /// Verified sizes behind which leaves that are not committed were told of.
    shown_uncommitted: BTreeSet<u64>,
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>, spec: LogSpec, reader: Arc<dyn LogReader>, status: Status) -> Self {
        let log = LogDescription::new(spec.origin.clone(), spec.kind, &spec.key);
        let budget = Budget::new(shared.limits.asked_bytes);
        Self {
            shared,
            spec,
            log,
            reader,
            status,
            kept: Kept::default(),
            budget,
            ahead: None,
            unproved: None,
            raised: BTreeSet::new(),
            asked_before: None,
            shown_uncommitted: BTreeSet::new(),
        }
    }

    /// Goes on where the one before it ended.
    pub(crate) fn with(mut self, kept: Kept) -> Self {
        self.kept = kept;
        self
    }

    /// Follows until told to stop, or until it cannot go on by itself.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Kept {
        let mut trouble = Trouble::default();
        loop {
            let outcome = tokio::select! {
                outcome = self.tenure(&mut trouble) => outcome,
                () = stopped(&mut stop) => return self.kept,
            };
            self.status.write(|status| status.held = false);
            // Whoever follows it now reads it himself.
            (self.ahead, self.unproved) = (None, None);
            let wait = match outcome {
                // Another process follows it.
                Ok(()) => {
                    trouble.ended(&self.log.origin, &self.status);
                    jittered(lease::EVERY, random())
                }
                Err(error) => {
                    let wait = trouble.began(&self.log.origin, &error, &self.status);
                    if error.is_final() {
                        tracing::error!(log.origin = %self.log.origin, "this log is not followed any more");
                        return self.kept;
                    }
                    wait
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stopped(&mut stop) => return self.kept,
            }
        }
    }

    /// From taking the lease to losing it. `Ok`: another process holds it.
    async fn tenure(&mut self, trouble: &mut Trouble) -> Result<(), FollowError> {
        let store = Arc::clone(&self.shared.store);
        let Some(held) = Held::take(&store, &self.log.origin, &self.shared.holder).await? else { return Ok(()) };
        let release = Release { store, held: Some(held) };
        let Some(held) = &release.held else { return Ok(()) };
        tokio::select! {
            outcome = self.rounds(held, trouble) => outcome,
            () = held.lost() => Err(FollowError::LeaseLost),
        }
    }

    async fn rounds(&mut self, held: &Held, trouble: &mut Trouble) -> Result<(), FollowError> {
        let mut position = self.load(held).await?;
        self.cover(held).await?;
        loop {
            let wait = match self.round(held, &mut position).await {
                Ok(round) => {
                    trouble.ended(&self.log.origin, &self.status);
                    self.pause(round, &position)
                }
                Err(error @ (FollowError::LeaseLost | FollowError::Damaged { .. } | FollowError::StateLost { .. })) => {
                    return Err(error);
                }
                Err(error) => trouble.began(&self.log.origin, &error, &self.status),
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Notes from which leaf on each rule is matched, before one is read: what comes next is matched with all of them.
    async fn cover(&self, held: &Held) -> Result<(), FollowError> {
        if self.spec.coverage == Coverage::OwnEntries {
            return Ok(());
        }
        let rules = self.shared.matchings.rule_hashes();
        if self.shared.store.cover(held.lease(), rules, now_ms()).await? { Ok(()) } else { Err(FollowError::LeaseLost) }
    }

    /// How long after a round the next one begins.
    fn pause(&self, round: Round, position: &Position) -> Duration {
        let timing = &self.shared.timing;
        match round {
            Round::More => Duration::ZERO,
            Round::CaughtUp if position.frozen_at.is_some() && !self.kept.doubts.any() => {
                timing.reproof_every.max(timing.interval)
            }
            Round::CaughtUp | Round::Later | Round::InDoubt | Round::Held => timing.interval,
        }
    }

    /// The log in the store, and what the store has lost of it, against the record as it is now: somebody may have trusted
    /// the log anew beside us. That is in the database a moment before it is in the record; on another machine it never is
    /// in ours, and then a person hears of it.
    async fn compared(&self) -> Result<(Option<FollowedLog>, Option<String>), FollowError> {
        let mut tries = RECORD_TRIES;
        loop {
            self.shared.record.reread().await?;
            let stored = self.shared.store.followed_log(&self.log.origin).await?;
            let Some(recorded) = self.shared.record.logs().remove(&self.log.origin) else { return Ok((stored, None)) };
            let is_newer = stored.as_ref().is_some_and(|stored| stored.trusted_at > recorded.trusted_at);
            let lost = lost(&recorded, stored.as_ref());
            tries -= 1;
            if lost.is_none() || !is_newer {
                return Ok((stored, lost));
            }
            if tries == 0 {
                self.trusted_elsewhere().await?;
                return Ok((stored, None));
            }
            tokio::time::sleep(RECORD_PAUSE).await;
        }
    }

    /// The trust record does not know the log. Whoever can remove it can hide that the database was put back, too. It is
    /// written anew, so this is said once; at a first start the act of trust has written it. A machine on which nobody has
    /// trusted the log never had it.
    async fn record_lost(&self, stored: &FollowedLog) -> Result<(), FollowError> {
        let found = finding::trust_record_lost(&self.log, stored.verified_size, now_ms());
        tracing::warn!(log.origin = %self.log.origin, finding.kind = %found.kind, "{}", found.title);
        let machine = |name: &str| name.rsplit('@').next().and_then(|it| it.split(':').next()).map(str::to_owned);
        let acts = self.shared.store.log_trusts(&self.log.origin).await?;
        if acts.last().is_some_and(|act| machine(&act.by) == machine(&self.shared.holder)) {
            self.shared.store.raise(&[found], &self.shared.sinks).await?;
        }
        Ok(())
    }

    /// The log was trusted anew, and our record did not hear of it.
    async fn trusted_elsewhere(&self) -> Result<(), FollowError> {
        let acts = self.shared.store.log_trusts(&self.log.origin).await?;
        let Some(act) = acts.last() else { return Ok(()) };
        let found = finding::trusted_elsewhere(&self.log, &act.by, &act.because, act.at, now_ms());
        tracing::warn!(log.origin = %self.log.origin, finding.kind = %found.kind, "{}", found.title);
        self.shared.store.raise(&[found], &self.shared.sinks).await?;
        Ok(())
    }

    /// Where the log stands. Refuses what the trust record contradicts (I10).
    pub(crate) async fn load(&mut self, held: &Held) -> Result<Position, FollowError> {
        let (stored, lost) = self.compared().await?;
        if let Some(words) = lost {
            let found = finding::state_lost(Some(&self.log), &self.log.origin, &words, now_ms());
            self.shared.store.raise(&[found], &self.shared.sinks).await?;
            return Err(FollowError::StateLost { words });
        }
        let stored = stored.ok_or(FollowError::Untrusted)?;
        if !self.shared.record.logs().contains_key(&self.log.origin) {
            self.record_lost(&stored).await?;
        }
        let position = Position::load(&stored, self.reader.as_ref())?;
        let coverage = self.spec.coverage.as_str();
        if stored.coverage != coverage && !self.shared.store.cover_log(held.lease(), coverage).await? {
            return Err(FollowError::LeaseLost);
        }
        self.shared.record.record(TrustedLog::of(&stored)).await?;
        self.status.write(|status| {
            status.held = true;
            status.first_size = position.first_size;
            status.verified_size = position.verified.size();
            status.verified_at = stored.verified_at;
            status.read_size = position.read_size;
            status.frozen = position.frozen_at.is_some();
            status.head = position.head.clone();
            status.head_seen_at = position.head_seen_at;
        });
        Ok(position)
    }

    /// One round: see the head of this file.
    pub(crate) async fn round(&mut self, held: &Held, position: &mut Position) -> Result<Round, FollowError> {
        let at = now_ms();
        let considered = match self.look(held, position, at).await? {
            Ok(head) => self.consider(held, position, head, at).await?,
            Err(round) => Some(round),
        };
        let round = match considered {
            None => {
                let until = Instant::now() + self.shared.timing.interval;
                self.read_on(held, position, until).await?
            }
            Some(round) => {
                self.keep_head(held, position).await?;
                round
            }
        };
        self.show(position, round);
        Ok(round)
    }

    /// Raises findings, once by this process for each occurrence.
    async fn say(&mut self, held: &Held, findings: Vec<NewFinding>) -> Result<(), FollowError> {
        let is_new = |it: &NewFinding| !self.raised.contains(&(it.fingerprint.clone(), it.occurrence.clone()));
        let new: Vec<NewFinding> = findings.into_iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let said: Vec<(String, String)> =
            new.iter().map(|it| (it.fingerprint.clone(), it.occurrence.clone())).collect();
        for finding in &new {
            tracing::warn!(log.origin = %self.log.origin, finding.kind = %finding.kind, "{}", finding.title);
        }
        let step = Advance { findings: new, sinks: self.shared.sinks.clone(), at: now_ms(), ..Advance::default() };
        self.advance(held, &step).await?;
        // To raise one again changes nothing but the time when it was last seen.
        if self.raised.len() > REMEMBERED {
            self.raised.clear();
        }
        self.raised.extend(said);
        Ok(())
    }

    /// Writes a step under the lease.
    async fn advance(&self, held: &Held, step: &Advance) -> Result<(), FollowError> {
        if self.shared.store.advance(held.lease(), step).await? { Ok(()) } else { Err(FollowError::LeaseLost) }
    }

    /// Shows where a round has left the log.
    fn show(&self, position: &Position, round: Round) {
        let now = now_ms();
        let doubtful = self.kept.doubts.any() || matches!(round, Round::InDoubt | Round::Held);
        self.status.write(|status| {
            status.in_doubt = doubtful;
            status.verified_size = position.verified.size();
            status.read_size = position.read_size;
            status.frozen = position.frozen_at.is_some();
            if round == Round::CaughtUp {
                status.verified_at = Some(now);
                status.behind_since = None;
            } else if status.lag() > 0 {
                status.behind_since.get_or_insert(now);
            }
        });
        self.shared.metrics.show_log(&self.status.read());
    }
}

/// Gives the lease back, whatever ends the work under it.
struct Release {
    store: Arc<dyn Store>,
    held: Option<Held>,
}

impl Drop for Release {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        let store = Arc::clone(&self.store);
        // At the end of the process nobody waits for this; then the lease ends by itself.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = held.release(store.as_ref()).await {
                    tracing::debug!(%error, "the lease was not given back, and ends by itself");
                }
            });
        }
    }
}

/// Failures in a row: logged once when they begin and once when they end.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    backoff: Backoff,
    since: Option<i64>,
}

impl Trouble {
    /// One more; how long to wait.
    pub(crate) fn began(&mut self, origin: &str, error: &FollowError, status: &Status) -> Duration {
        let now = now_ms();
        // A follower that is started again goes on with the trouble of the one before.
        let before = status.read().failing.map(|(since, _)| since);
        let since = *self.since.get_or_insert(before.unwrap_or(now));
        if self.backoff.failures() == 0 {
            tracing::warn!(log.origin = %origin, %error, "cannot follow the log; trying again");
        } else {
            tracing::debug!(log.origin = %origin, %error, "still cannot follow the log");
        }
        status.write(|status| status.failing = Some((since, error.to_string())));
        self.backoff.failed(error.retry_after(), random())
    }

    /// It worked.
    pub(crate) fn ended(&mut self, origin: &str, status: &Status) {
        // It may be that of the follower before this one.
        let since = self.since.take().or_else(|| status.read().failing.map(|(since, _)| since));
        if let Some(since) = since {
            let seconds = now_ms().saturating_sub(since) / 1000;
            tracing::info!(log.origin = %origin, seconds, "the trouble with the log is over");
            status.write(|status| status.failing = None);
        }
        self.backoff.worked();
    }
}

/// In milliseconds.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
