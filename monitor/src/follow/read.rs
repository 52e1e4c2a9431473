//! Reads a segment: batches in parallel, each scanned on a worker thread as it arrives, appended in order.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use outbound::Taken;
use tlog::{Checkpoint, CompactRange, CompactRangeError, Hash};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::budget::Budget;
use super::position::Position;
use super::scan::{Buffers, Matching, Scanned, Unparsable, scan};
use super::segment::segment_end;
use super::workers::Workers;
use crate::log::{Fresh, LeafBatch, LogReader, ReadError};
use crate::reconcile::Hit;
use crate::task::Task;

/// Batches that are read ahead of what is taken into a segment, at most: for as long as a segment is proved and written.
const MOST_AHEAD: usize = 256;

/// How long a segment is read before it is proved and committed: a slow log moves on too, and a broken line costs little.
const LONGEST: Duration = Duration::from_secs(10);

/// What reading needs.
pub(crate) struct Reading<'a> {
    pub(crate) reader: &'a Arc<dyn LogReader>,
    pub(crate) workers: &'a Workers,
    /// Bytes of leaves in memory.
    pub(crate) budget: &'a Budget,
    /// Bytes of what is kept of a segment's leaves.
    pub(crate) most_held: usize,
    pub(crate) fresh: Fresh,
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

/// What a batch came to, and the memory that it takes.
#[derive(Debug)]
struct Read {
    scanned: Scanned,
    room: Taken,
}

/// A batch on its way: its leaves, and the task that fetches and scans it.
struct Coming {
    start: u64,
    end: u64,
    /// It was the first that was asked for, and is read whatever it takes.
    is_first: bool,
    task: Task<Result<Option<Read>, ReadError>>,
}

/// Batches on their way, in order. They go on over the end of a segment, and while the head is looked at, so that neither
/// keeps the next segment waiting. Dropping this ends them.
pub(crate) struct Ahead {
    coming: VecDeque<Coming>,
    /// What they are matched with.
    matching: Arc<Matching>,
    /// The first leaf that is not asked for.
    next: u64,
    /// Segments end at multiples of this, and so do batches.
    segment_leaves: u64,
    /// Whether the last batch has asked for its turn.
    asked: Option<oneshot::Receiver<Infallible>>,
}

impl Ahead {
    /// Nothing is on its way yet; what is asked for first is the leaf at `start`.
    pub(crate) fn new(start: u64, segment_leaves: u64, matching: &Arc<Matching>) -> Self {
        let matching = Arc::clone(matching);
        Self { coming: VecDeque::new(), matching, next: start, segment_leaves, asked: None }
    }

    /// Whether what is on its way goes on at this leaf, and is matched with what there is to match now.
    pub(crate) fn fits(&self, start: u64, matching: &Arc<Matching>) -> bool {
        let first = self.coming.front().map_or(self.next, |coming| coming.start);
        first == start && Arc::ptr_eq(&self.matching, matching)
    }

    /// Asks for more, up to `readable`, as far as there is room.
    fn fill(&mut self, reading: &Reading<'_>, readable: u64, size: u64) {
        while self.next < readable && self.coming.len() < MOST_AHEAD {
            let segment = segment_end(self.next, readable, self.segment_leaves);
            let stop = reading.reader.batch_end(self.next, size).min(segment).max(self.next + 1);
            let is_first = self.asked.is_none();
            let (asks, asked) = oneshot::channel();
            let turn = Turn { before: self.asked.replace(asked), asks };
            let task = fetch(reading, &self.matching, (self.next, stop, size), turn, is_first);
            self.coming.push_back(Coming { start: self.next, end: stop, is_first, task });
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
    range: &CompactRange,
    (end, readable, size): (u64, u64, u64),
    progress: impl Fn(u64),
) -> Result<Segment, SegmentError> {
    let mut segment = Segment::onto(range.clone());
    let began = Instant::now();
    while segment.range.size() < end {
        ahead.fill(reading, readable, size);
        let at = segment.range.size();
        let Some(Coming { start, end: stop, is_first, mut task }) =
            ahead.coming.pop_front().filter(|coming| coming.start == at)
        else {
            return Err(SegmentError::Defect { start: at, end, problem: "other leaves are on their way".to_owned() });
        };
        let defect = |problem: &str| SegmentError::Defect { start, end: stop, problem: problem.to_owned() };
        let Read { scanned, room } = match task.ended().await {
            Some(Ok(Some(read))) => read,
            // It came to more than was set aside for it. Now it is the first, and what is behind it may be as large.
            Some(Err(ReadError::TooLarge { limit, .. })) if !is_first => {
                reading.budget.saw(limit.saturating_mul(2));
                *ahead = Ahead::new(at, ahead.segment_leaves, &ahead.matching);
                continue;
            }
            Some(Err(_)) if at > range.size() => {
                // Asked for again, with all behind it.
                *ahead = Ahead::new(at, ahead.segment_leaves, &ahead.matching);
                return Ok(segment);
            }
            Some(Err(error)) => return Err(SegmentError::Read { start, end: stop, error }),
            Some(Ok(None)) | None => return Err(defect("the worker ended without a result")),
        };
        if (scanned.start, scanned.end) != (start, stop) {
            return Err(defect("the reader answered with other leaves"));
        }
        segment.take(scanned).map_err(|error| defect(&error.to_string()))?;
        drop(room);
        progress(segment.range.size());
        if segment.held_bytes > reading.most_held || began.elapsed() > LONGEST {
            return Ok(segment);
        }
    }
    // While this one is verified and written.
    ahead.fill(reading, readable, size);
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
    matching: &Arc<Matching>,
    (start, end, size): (u64, u64, u64),
    turn: Turn,
    is_first: bool,
) -> Task<Result<Option<Read>, ReadError>> {
    let (reader, workers, matching) = (Arc::clone(reading.reader), reading.workers.clone(), Arc::clone(matching));
    let (budget, fresh) = (reading.budget.clone(), reading.fresh);
    Task::spawn(async move {
        if let Some(before) = turn.before {
            // Nothing is ever sent: it ends.
            drop(before.await);
        }
        // What comes first is waited for, and is read whatever it takes.
        let (mut room, most) = if is_first { (Taken::default(), usize::MAX) } else { budget.reserve().await };
        let format = reader.leaf_format();
        let take = move |batch: &LeafBatch, buffers: &mut Buffers| {
            let scanned = scan(batch, format, &matching, buffers);
            room.shrink_to(scanned.held_bytes());
            Read { scanned, room }
        };
        let read = if reader.is_local() {
            // There is no delay to hide: what is on a disk is read by the thread that scans it, when that has time.
            let runtime = Handle::current();
            let work = move |buffers: &mut Buffers| {
                let batch = runtime.block_on(reader.leaves_within(start, end, size, fresh, most));
                batch.map(|batch| take(&batch, buffers))
            };
            begun(workers.work(work), turn.asks).await.transpose()?
        } else {
            let batch = begun(reader.leaves_within(start, end, size, fresh, most), turn.asks).await?;
            workers.work(move |buffers| take(&batch, buffers)).await
        };
        if let Some(read) = &read {
            budget.saw(read.scanned.cost);
        }
        Ok(read)
    })
}

/// Begins to ask, lets the next one ask, and waits for the answer.
async fn begun<T>(asking: impl Future<Output = T>, asks: oneshot::Sender<Infallible>) -> T {
    let mut asking = pin!(asking);
    let first = poll_fn(|context| Poll::Ready(asking.as_mut().poll(context))).await;
    drop(asks);
    match first {
        Poll::Ready(answer) => answer,
        Poll::Pending => asking.await,
    }
}
