//! What is to be done: one job per digest in a repository. An event for a job wakes it; one for a
//! job that is being worked on makes it run again.

use async_trait::async_trait;
use bundle::{Digest, RegistryHost, Repository, Tag};

use crate::StoreError;

mod row;
mod stamp;

pub(crate) use row::words;
pub use row::{JobClass, JobRow, JobState, UnknownWord};
pub(crate) use stamp::{JOB, TAGS, stamp_jobs};

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
    /// Every tag through which we ever came, the newest first: two pushes of one digest under two
    /// tags are one job, and a rule may match either.
    pub tags: Vec<Tag>,
    /// Who asked last.
    pub class: JobClass,
    /// When the digest was first seen here, in unix milliseconds.
    pub first_seen_at: i64,
    /// When the job last became ready by being asked for, in unix milliseconds.
    pub enqueued_at: i64,
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

    /// Takes the job that has waited longest, unless none is due.
    async fn lease_job(&self, lease_ms: i64) -> Result<Option<LeasedJob>, StoreError>;

    /// Takes one job of its own, unless it is not due or somebody holds it.
    async fn lease_this_job(&self, id: i64, lease_ms: i64) -> Result<Option<LeasedJob>, StoreError>;

    /// Prolongs the lease: it ends `lease_ms` from now.
    async fn heartbeat_job(&self, job: &LeasedJob, lease_ms: i64) -> Result<bool, StoreError>;

    /// Ends the job, unless it was woken while it was leased: then it is ready again.
    async fn finish_job(&self, job: &LeasedJob, outcome: &JobOutcome) -> Result<FinishedJob, StoreError>;

    /// Puts the job back, due after a delay.
    async fn retry_job(&self, job: &LeasedJob, delay_ms: i64, error: &str) -> Result<bool, StoreError>;

    /// Puts the job aside until it is asked for again, by a push or a person. Woken while it was
    /// leased, it is ready again at once.
    async fn park_job(&self, job: &LeasedJob, error: &str) -> Result<bool, StoreError>;

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
