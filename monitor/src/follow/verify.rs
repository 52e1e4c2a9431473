//! The leaves: read in segments, verified against the signed root, judged, and written with the position behind them.

use std::sync::Arc;

use store::{Advance, VerifiedPosition};
use tlog::{Checkpoint, InclusionProof, leaf_hash};
use tokio::time::Instant;

use super::doubt::{Doubt, Patience};
use super::head::TreeHead;
use super::lease::Held;
use super::position::Position;
use super::read::{Ahead, Reading, Segment, SegmentError, Unproved, read_segment};
use super::scan::{Matching, Unparsable};
use super::segment::{Due, due, is_committed, segment_end};
use super::{FollowError, Follower, Round, now_ms};
use crate::config::Coverage;
use crate::finding::{self, LeafSeen};
use crate::log::{Fresh, ReadError};
use crate::trust_record::TrustedLog;

/// For so many unreadable leaves of a segment the log is asked for a proof; a flood of them is not one of requests.
const PROVED_UNPARSABLE: usize = 16;

impl Follower {
    /// Reads from the verified position to the known head, segment by segment, until it is time to look at the head
    /// again.
    pub(super) async fn read_on(
        &mut self,
        held: &Held,
        position: &mut Position,
        until: Instant,
    ) -> Result<Round, FollowError> {
        let Some(head) = position.head.clone() else { return Ok(Round::CaughtUp) };
        if self.spec.coverage == Coverage::OwnEntries {
            // Only proofs could be missing here, and the one of this head was there.
            self.dispel(Doubt::Missing);
            self.keep_head(held, position).await?;
            return Ok(Round::CaughtUp);
        }
        let matching = self.shared.matchings.current().await?;
        let mut unproved = self.unproved.take().filter(|it| it.fits(position, &head) && self.fresh() == Fresh::No);
        let start = unproved.as_ref().map_or(position.verified.size(), |it| it.segment.range.size());
        let kept = self.ahead.take().filter(|it| it.fits(start, &matching) && self.fresh() == Fresh::No);
        let mut ahead = kept.unwrap_or_else(|| Ahead::new(start, self.shared.limits.segment_leaves, &matching));
        loop {
            let readable = self.reader.readable_end(head.size()).min(head.size());
            let end = segment_end(position.verified.size(), readable, self.shared.limits.segment_leaves);
            if end == position.verified.size() {
                self.keep_head(held, position).await?;
                if end < head.size() {
                    return Ok(Round::Later);
                }
                // Nothing is left to read: what was missing was for a head that is not shown any more.
                self.dispel(Doubt::Missing);
                return Ok(Round::CaughtUp);
            }
            let ended = match unproved.take() {
                Some(unproved) => self.prove(held, position, &head, unproved).await?,
                None => self.segment(held, position, &head, (end, readable), &mut ahead, &matching).await?,
            };
            if let Some(round) = ended {
                self.keep_head(held, position).await?;
                return Ok(round);
            }
            self.show(position, Round::More);
            if position.verified.size() < head.size() && Instant::now() >= until {
                self.ahead = Some(ahead);
                return Ok(Round::More);
            }
        }
    }

    /// Reads one segment and verifies it; answers as [`Follower::prove`].
    async fn segment(
        &mut self,
        held: &Held,
        position: &mut Position,
        head: &Checkpoint,
        (end, readable): (u64, u64),
        ahead: &mut Ahead,
        matching: &Arc<Matching>,
    ) -> Result<Option<Round>, FollowError> {
        let at = now_ms();
        let fresh = self.fresh();
        let reading = Reading {
            reader: &self.reader,
            workers: if self.reader.is_local() { &self.shared.disk_workers } else { &self.shared.workers },
            budget: &self.budget,
            most_held: self.shared.limits.held_bytes,
            fresh,
        };
        let (status, metrics) = (&self.status, &self.shared.metrics);
        let progress = |size: u64| {
            held.read(size);
            status.write(|status| status.read_size = status.read_size.max(size));
        };
        let sizes = (end, readable, head.size());
        let read = read_segment(&reading, ahead, &position.verified, sizes, progress).await;
        let segment = match read {
            Ok(segment) => segment,
            Err(SegmentError::Read { start, end, error }) if error.is_missing() || error.is_wrong() => {
                return self.missing(held, start, end, &error, head, at).await.map(Some);
            }
            Err(error) => return Err(error.into()),
        };
        metrics.read(&self.log.origin, segment.range.size() - position.verified.size());
        position.read_size = position.read_size.max(segment.range.size());
        let unproved = Unproved { onto: position.verified.clone(), segment, matching: Arc::clone(matching) };
        self.prove(held, position, head, unproved).await
    }

    /// Verifies a segment that was read. `None`: the verified position is behind it now. Where the log cannot be asked for
    /// the proof, the segment waits for it: a log that rations questions would have the same leaves read for ever.
    async fn prove(
        &mut self,
        held: &Held,
        position: &mut Position,
        head: &Checkpoint,
        unproved: Unproved,
    ) -> Result<Option<Round>, FollowError> {
        let at = now_ms();
        let target = TreeHead::of(head);
        let size = unproved.segment.range.size();
        let proof = match due(size, target) {
            Due::Root => Vec::new(),
            Due::Proof => match self.reader.consistency(size, target.size, self.fresh()).await {
                Ok(proof) => proof,
                Err(error) if error.is_missing() => {
                    return self.missing(held, size, target.size, &error, head, at).await.map(Some);
                }
                Err(error) => {
                    self.unproved = Some(unproved);
                    return Err(error.into());
                }
            },
        };
        let Unproved { segment, matching, .. } = unproved;
        self.dispel(Doubt::Missing);
        if let Err(problem) = is_committed(&segment.range, target, &proof) {
            tracing::debug!(log.origin = %self.log.origin, %problem, "leaves are not under the signed root");
            return self.uncommitted(held, position, head, &segment, at).await.map(Some);
        }
        self.dispel(Doubt::Leaves);
        self.commit(held, position, head, segment, &matching).await?;
        Ok(None)
    }

    /// Leaves that are signed and not served.
    pub(super) async fn missing(
        &mut self,
        held: &Held,
        start: u64,
        end: u64,
        error: &ReadError,
        head: &Checkpoint,
        at: i64,
    ) -> Result<Round, FollowError> {
        match self.kept.doubts.raise(Doubt::Missing, at, self.shared.timing.confirm_for) {
            Patience::Wait => Ok(Round::InDoubt),
            Patience::Over { .. } => {
                let note = head.note().as_bytes();
                let found = finding::missing_leaf(&self.log, note, start, end, &error.to_string(), at);
                self.say(held, vec![found]).await?;
                Ok(Round::Held)
            }
        }
    }

    /// Leaves that are served and not signed.
    async fn uncommitted(
        &mut self,
        held: &Held,
        position: &Position,
        head: &Checkpoint,
        segment: &Segment,
        at: i64,
    ) -> Result<Round, FollowError> {
        match self.kept.doubts.raise(Doubt::Leaves, at, self.shared.timing.confirm_for) {
            Patience::Wait => Ok(Round::InDoubt),
            Patience::Over { .. } => {
                let start = position.verified.size();
                if !self.shown_uncommitted.contains(&start) {
                    let found = self.uncommitted_finding(position, head, segment, at).await?;
                    self.say(held, vec![found]).await?;
                    self.shown_uncommitted.insert(start);
                }
                Ok(Round::Held)
            }
        }
    }

    /// Judges what was verified, and writes all of it in one transaction.
    async fn commit(
        &mut self,
        held: &Held,
        position: &mut Position,
        head: &Checkpoint,
        segment: Segment,
        matching: &Matching,
    ) -> Result<(), FollowError> {
        let at = now_ms();
        let leaves = segment.range.size() - position.verified.size();
        let judged =
            self.shared.ledger.judge(self.reader.as_ref(), head, &matching.watchlist, segment.hits, at).await?;
        let mut findings = Vec::new();
        for (nth, unparsable) in segment.unparsable.iter().enumerate() {
            findings.push(self.unparsable_finding(head, unparsable, nth < PROVED_UNPARSABLE, at).await);
        }
        let mut counted = judged.counted;
        if segment.unknown_kinds > 0 {
            counted.push(("unknown_kind".to_owned(), segment.unknown_kinds));
        }
        for finding in &findings {
            tracing::warn!(log.origin = %self.log.origin, finding.kind = %finding.kind, "{}", finding.title);
        }
        let step = Advance {
            head: position.new_head(),
            verified: Some(VerifiedPosition {
                size: segment.range.size(),
                root: *segment.range.root().as_bytes(),
                range: segment.range.to_bytes(),
            }),
            read_size: position.read_size,
            frozen_at: position.frozen_at,
            findings,
            suspects: judged.suspects,
            sightings: judged.sightings,
            observed: judged.observed,
            counted,
            sinks: self.shared.sinks.clone(),
            at,
        };
        self.advance(held, &step).await?;
        position.head_is_new = false;
        position.verified = segment.range;
        self.shared.metrics.verified(&self.log.origin, leaves);
        self.keep_record(position).await
    }

    async fn unparsable_finding(
        &self,
        head: &Checkpoint,
        unparsable: &Unparsable,
        prove: bool,
        at: i64,
    ) -> store::NewFinding {
        let Unparsable { index, leaf, reason } = unparsable;
        let mut inclusion = None;
        if prove && let Ok(hashes) = self.reader.inclusion(*index, head.size(), self.fresh()).await {
            let proof = InclusionProof { index: *index, size: head.size(), hashes };
            inclusion = proof.verify(&leaf_hash(leaf), &head.root()).is_ok().then_some(proof.hashes);
        }
        let note = head.note().as_bytes();
        let seen = LeafSeen { note, index: *index, leaf, inclusion: inclusion.as_deref() };
        finding::unparsable_entry(&self.log, &seen, reason, at)
    }

    /// Records how far the log got outside of the database, too: after it is in there.
    pub(super) async fn keep_record(&self, position: &Position) -> Result<(), FollowError> {
        let (verified, head) = (position.verified_tree(), position.known());
        let got = TrustedLog {
            origin: self.log.origin.clone(),
            key_id: hex::encode(self.spec.key.key_id()),
            trusted_size: position.first_size,
            trusted_root: String::new(),
            trusted_at: position.trusted_at,
            verified_size: verified.size,
            verified_root: verified.root.to_string(),
            head_size: head.size,
            head_root: head.root.to_string(),
        };
        Ok(self.shared.record.record(got).await?)
    }
}
