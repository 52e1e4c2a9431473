//! Reads a segment: batches in parallel, each scanned on a worker thread as it arrives, appended in order.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tlog::{Checkpoint, CompactRange, CompactRangeError, Hash};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::position::Position;
use super::scan::{Matching, Scanned, Unparsable, Workers};
use super::segment::segment_end;
use crate::log::{Fresh, LogReader, ReadError};
use crate::reconcile::Hit;
use crate::task::Task;

/// Memory that a batch is expected to take before any was seen.
const FIRST_GUESS_BYTES: usize = 1 << 20;

/// How long a segment is read before it is proved and committed: a slow log moves on too, and a broken line costs little.
const LONGEST: Duration = Duration::from_secs(10);

/// What reading needs.
pub(crate) struct Reading<'a> {
    pub(crate) reader: &'a Arc<dyn LogReader>,
    pub(crate) workers: &'a Workers,
    pub(crate) matching: &'a Arc<Matching>,
    /// Requests at once.
    pub(crate) in_flight: usize,
    /// Bytes of leaves in memory.
    pub(crate) buffered_bytes: usize,
    pub(crate) fresh: Fresh,
}

/// How much memory a batch takes: the most that was seen lately. Decides how many are in memory at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchBytes(usize);

impl Default for BatchBytes {
    fn default() -> Self {
        Self(FIRST_GUESS_BYTES)
    }
}

impl BatchBytes {
    /// One more was seen: a larger one counts at once, smaller ones little by little.
    fn saw(&mut self, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.0 = bytes.max(self.0 - self.0 / 16).max(1);
    }

    /// How many batches may be on their way at once: as many as are asked for in parallel and worked on, within the
    /// memory for them, and one at least.
    fn at_once(self, reading: &Reading<'_>) -> usize {
        let wanted = reading.in_flight.saturating_add(reading.workers.count());
        (reading.buffered_bytes / self.0).clamp(1, wanted.max(1))
    }
}

/// Leaves that were read, and nothing that is believed yet.
#[derive(Debug)]
pub(crate) struct Segment {
    /// The range that it was read onto, with its leaves.
    pub(crate) range: CompactRange,
    /// Its perfect subtrees from the left, each with its first leaf and its level.
    pub(crate) parts: Vec<Part>,
    pub(crate) hits: Vec<Hit>,
    pub(crate) unparsable: Vec<Unparsable>,
    pub(crate) unknown_kinds: u64,
    held_bytes: usize,
}

/// A segment that was read and could not be proved yet, because the log could not be asked.
pub(crate) struct Unproved {
    /// What it was read onto.
    pub(crate) onto: CompactRange,
    pub(crate) segment: Segment,
    /// What its leaves were matched with.
    pub(crate) matching: Arc<Matching>,
}

impl Unproved {
    /// Whether it goes on where the position is, within the tree of this head.
    pub(crate) fn fits(&self, position: &Position, head: &Checkpoint) -> bool {
        self.onto == position.verified && self.segment.range.size() <= head.size()
    }
}

/// A perfect subtree of what was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Part {
    pub(crate) start: u64,
    pub(crate) level: u32,
    pub(crate) hash: Hash,
}

/// Why a segment could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SegmentError {
    /// These leaves could not be fetched.
    #[error("leaves {start} to {end}: {error}")]
    Read {
        start: u64,
        end: u64,
        #[source]
        error: ReadError,
    },
    /// A scan that did not end, or leaves that do not follow each other: a defect of ours.
    #[error("leaves {start} to {end} could not be worked on: {problem}")]
    Defect { start: u64, end: u64, problem: String },
}

impl Segment {
    fn onto(range: CompactRange) -> Self {
        Self { range, parts: Vec::new(), hits: Vec::new(), unparsable: Vec::new(), unknown_kinds: 0, held_bytes: 0 }
    }

    fn take(&mut self, scanned: Scanned) -> Result<(), CompactRangeError> {
        self.held_bytes = self.held_bytes.saturating_add(scanned.held_bytes());
        for (level, hash) in scanned.subtrees {
            self.parts.push(Part { start: self.range.size(), level, hash });
            self.range.append_subtree(level, hash)?;
        }
        self.hits.extend(scanned.hits);
        self.unparsable.extend(scanned.unparsable);
        self.unknown_kinds = self.unknown_kinds.saturating_add(scanned.unknown_kinds);
        Ok(())
    }
}

/// A batch on its way: its leaves, and the task that fetches and scans it.
type Coming = (u64, u64, Task<Result<Option<Scanned>, ReadError>>);

/// Batches on their way, in order. They go on over the end of a segment, so that its commit does not keep the next one
/// waiting. Dropping this ends them.
pub(crate) struct Ahead {
    coming: VecDeque<Coming>,
    /// The first leaf that is not asked for.
    next: u64,
    /// Segments end at multiples of this, and so do batches.
    segment_leaves: u64,
    /// Whether the last batch has asked for its turn.
    asked: Option<oneshot::Receiver<Infallible>>,
}

impl Ahead {
    /// Nothing is on its way yet; what is asked for first is the leaf at `start`.
    pub(crate) fn new(start: u64, segment_leaves: u64) -> Self {
        Self { coming: VecDeque::new(), next: start, segment_leaves, asked: None }
    }

    /// Asks for more, up to `readable`, as far as there is room.
    fn fill(&mut self, reading: &Reading<'_>, at_once: usize, readable: u64, size: u64) {
        while self.next < readable && self.coming.len() < at_once {
            let segment = segment_end(self.next, readable, self.segment_leaves);
            let stop = reading.reader.batch_end(self.next, size).min(segment).max(self.next + 1);
            let (asks, asked) = oneshot::channel();
            let turn = Turn { before: self.asked.replace(asked), asks };
            self.coming.push_back((self.next, stop, fetch(reading, (self.next, stop, size), turn)));
            self.next = stop;
        }
    }
}

/// Reads the leaves from the end of `range` to `end`, of a tree of `size` leaves, of which `readable` may be read ahead.
/// Ends before `end` where what must be kept of them would take too much memory, where it takes long, and where what
/// comes next cannot be read: the next segment then begins with that. Tells `progress` how far it got.
pub(crate) async fn read_segment(
    reading: &Reading<'_>,
    ahead: &mut Ahead,
    batch_bytes: &mut BatchBytes,
    range: &CompactRange,
    (end, readable, size): (u64, u64, u64),
    progress: impl Fn(u64),
) -> Result<Segment, SegmentError> {
    let mut segment = Segment::onto(range.clone());
    let began = Instant::now();
    while segment.range.size() < end {
        ahead.fill(reading, batch_bytes.at_once(reading), readable, size);
        let at = segment.range.size();
        let Some((start, stop, mut task)) = ahead.coming.pop_front().filter(|(start, ..)| *start == at) else {
            return Err(SegmentError::Defect { start: at, end, problem: "other leaves are on their way".to_owned() });
        };
        let defect = |problem: &str| SegmentError::Defect { start, end: stop, problem: problem.to_owned() };
        let scanned = match task.ended().await {
            Some(Ok(Some(scanned))) => scanned,
            Some(Err(_)) if at > range.size() => {
                // Asked for again, with all behind it.
                *ahead = Ahead::new(at, ahead.segment_leaves);
                return Ok(segment);
            }
            Some(Err(error)) => return Err(SegmentError::Read { start, end: stop, error }),
            Some(Ok(None)) | None => return Err(defect("the worker ended without a result")),
        };
        if (scanned.start, scanned.end) != (start, stop) {
            return Err(defect("the reader answered with other leaves"));
        }
        batch_bytes.saw(scanned.bytes);
        segment.take(scanned).map_err(|error| defect(&error.to_string()))?;
        progress(segment.range.size());
        if segment.held_bytes > reading.buffered_bytes || began.elapsed() > LONGEST {
            return Ok(segment);
        }
    }
    // While this one is verified and written.
    ahead.fill(reading, batch_bytes.at_once(reading), readable, size);
    Ok(segment)
}

/// A place in the order of asking: a log that rations questions is to answer those first that come first in the log.
struct Turn {
    /// Closed when the batch before has asked.
    before: Option<oneshot::Receiver<Infallible>>,
    /// Dropped when this one has.
    asks: oneshot::Sender<Infallible>,
}

fn fetch(
    reading: &Reading<'_>,
    (start, end, size): (u64, u64, u64),
    turn: Turn,
) -> Task<Result<Option<Scanned>, ReadError>> {
    let (reader, workers, matching) =
        (Arc::clone(reading.reader), reading.workers.clone(), Arc::clone(reading.matching));
    let fresh = reading.fresh;
    Task::spawn(async move {
        if let Some(before) = turn.before {
            // Nothing is ever sent: it ends.
            drop(before.await);
        }
        let mut leaves = reader.leaves(start, end, size, fresh);
        let first = poll_fn(|context| Poll::Ready(leaves.as_mut().poll(context))).await;
        drop(turn.asks);
        let batch = match first {
            Poll::Ready(batch) => batch?,
            Poll::Pending => leaves.await?,
        };
        Ok(workers.scan(batch, reader.leaf_format(), matching).await)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_batch_counts_at_once_and_is_forgotten_slowly() {
        let mut bytes = BatchBytes::default();
        bytes.saw(16 << 20);
        assert_eq!(bytes.0, 16 << 20);
        bytes.saw(1_000);
        assert_eq!(bytes.0, 15 << 20);
        (0..400).for_each(|_| bytes.saw(1_000));
        assert_eq!(bytes.0, 1_000);
        bytes.saw(0);
        assert!(bytes.0 > 0);
    }
}
