//! What is to be done: one job per digest in a repository. An event for a job wakes it; one for a
//! job that is being worked on makes it run again.

use async_trait::async_trait;
use bundle::{Digest, RegistryHost, Repository, Tag};

use crate::{Claim, DueRepository, ParkedBecause, Postponed, StoreError, Wanted};

mod row;
mod stamp;

pub(crate) use row::words;
pub use row::{JobClass, JobRow, JobState, UnknownWord};
pub(crate) use stamp::{JOB, PARK_UNREADABLE, TAGS, lease_job, stamp_jobs};

/// Work that is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewJob {
    /// The registry that holds the image.
    pub registry: RegistryHost,
    /// The repository within it.
    pub repository: Repository,
    /// The image.
    pub digest: Digest,
    /// The tag through which we came, where there was one.
    pub tag: Option<Tag>,
    /// Who asks.
    pub class: JobClass,
    /// When the push was announced that asks, in unix milliseconds; none where a person asks.
    pub pushed_at: Option<i64>,
}

/// A job that one worker holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeasedJob {
    /// The job's id.
    pub id: i64,
    /// The token that fences this lease.
    pub lease: String,
    /// How often it was leased since it last became ready, this time included.
    pub attempts: u32,
    /// How often it had been asked for again when it was leased.
    pub wakes: i64,
    /// The registry that holds the image.
    pub registry: RegistryHost,
    /// The repository within it.
    pub repository: Repository,
    /// The image.
    pub digest: Digest,
    /// The tag through which we last came.
    pub tag: Option<Tag>,
    /// Every tag through which we ever came, the newest first. Each is a hint of what to ask the registry, and no
    /// permission: it may point elsewhere by now.
    pub tags: Vec<Tag>,
    /// Who asked last.
    pub class: JobClass,
    /// When the digest was first seen here, in unix milliseconds.
    pub first_seen_at: i64,
    /// When the job last became ready by being asked for, in unix milliseconds.
    pub enqueued_at: i64,
    /// How often in a row the registry said that it is not there.
    pub absences: u32,
    /// Since when, in unix milliseconds.
    pub absent_since: Option<i64>,
    /// When the push was announced for which the job last became ready, in unix milliseconds.
    pub pushed_at: Option<i64>,
    /// The wake for which the children of this index were queued.
    pub children_of_wake: Option<i64>,
    /// How many leases in a row ended without a word, this one included.
    pub unreported: u32,
}

impl LeasedJob {
    /// Whether it is suspected of ending its process.
    pub fn is_suspect(&self) -> bool {
        i64::from(self.unreported) > crate::waiting::SUSPECT_FROM
    }
}

/// How a job ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JobOutcome {
    /// Everything that the rules ask for is attached.
    Signed,
    /// Nothing is to be signed.
    Skipped {
        /// The reason's code.
        reason: String,
        /// What a person may want to know on top.
        detail: String,
    },
}

/// What became of a job that its worker finished.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FinishedJob {
    /// It is done.
    Done,
    /// It was asked for again meanwhile, and is ready again.
    WokenAgain,
    /// Another worker has it; nothing was written.
    LeaseLost,
}

/// The queue of work. Calls that take a [`LeasedJob`] and answer `false` have written nothing: the
/// lease was lost.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Queues a job, or wakes the one that exists; answers its id.
    async fn enqueue_job(&self, job: &NewJob) -> Result<i64, StoreError>;

    /// Queues the children of an index, all or none, once for each time that the index was asked for. `false`: they are
    /// queued already, or the lease was lost.
    async fn enqueue_children(&self, parent: &LeasedJob, children: &[NewJob]) -> Result<bool, StoreError>;

    /// The repositories that have a job which is due, those with the most urgent first. Its cost grows with the number
    /// of repositories that have unfinished jobs, not with the length of any queue.
    async fn due_jobs(&self, limit: u32) -> Result<Vec<DueRepository>, StoreError>;

    /// Takes the first job among what is wanted. What was leased too often in a row without a word, and what cannot be
    /// read, is parked instead.
    async fn claim_job(&self, wanted: Wanted<'_>, lease_ms: i64) -> Result<Claim<LeasedJob>, StoreError>;

    /// Takes the job that has waited longest, unless none is due.
    async fn lease_job(&self, lease_ms: i64) -> Result<Option<LeasedJob>, StoreError>;

    /// Prolongs the lease: it ends `lease_ms` from now.
    async fn heartbeat_job(&self, job: &LeasedJob, lease_ms: i64) -> Result<bool, StoreError>;

    /// Ends the job, unless it was woken while it was leased: then it is ready again.
    async fn finish_job(&self, job: &LeasedJob, outcome: &JobOutcome) -> Result<FinishedJob, StoreError>;

    /// Puts the job back, due after a delay.
    async fn retry_job(&self, job: &LeasedJob, postponed: &Postponed<'_>) -> Result<bool, StoreError>;

    /// Puts the job aside until it is asked for again. Woken while it was leased, it is ready again at once.
    async fn park_job(&self, job: &LeasedJob, because: ParkedBecause, error: &str) -> Result<bool, StoreError>;

    /// The job of an image, for whoever asks what became of it.
    async fn job(
        &self,
        registry: &RegistryHost,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<JobRow>, StoreError>;
}

#[cfg(test)]
mod tests;
