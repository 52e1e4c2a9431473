//! A job as it is stored.

use bundle::{Digest, RegistryHost, Repository, Tag};

use super::LeasedJob;
use crate::ParkedBecause;
use crate::column::{converted, from_row, parsed, parsed_option};

/// A stored word that names no member of a closed set.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{word:?} names no {set}")]
pub struct UnknownWord {
    /// The set.
    pub set: &'static str,
    /// The word.
    pub word: String,
}

/// Gives a closed set its stored words, both ways.
macro_rules! words {
    ($Set:ident, $name:literal, $($Member:ident = $word:literal),+ $(,)?) => {
        impl $Set {
            /// Every member.
            pub const ALL: &[Self] = &[$(Self::$Member),+];

            /// The word used in the database and in reports.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$Member => $word,)+
                }
            }
        }

        impl std::str::FromStr for $Set {
            type Err = $crate::jobs::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$Member),)+
                    _ => Err($crate::jobs::UnknownWord { set: $name, word: word.to_owned() }),
                }
            }
        }

        impl std::fmt::Display for $Set {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

/// Who asked for the work.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum JobClass {
    /// A push.
    Push,
    /// A person, by hand.
    Hand,
}

words!(JobClass, "job class", Push = "push", Hand = "hand");

impl JobClass {
    /// Its place in the queue: smaller goes first. Live work is 0.
    pub const fn priority(self) -> i64 {
        match self {
            Self::Push | Self::Hand => 0,
        }
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum JobState {
    /// It waits for a worker.
    Ready,
    /// A worker holds it.
    Leased,
    /// Everything is attached.
    Done,
    /// Nothing was to be signed.
    Skipped,
    /// It cannot succeed by itself; a person may send it again.
    Parked,
}

words!(
    JobState,
    "job state",
    Ready = "ready",
    Leased = "leased",
    Done = "done",
    Skipped = "skipped",
    Parked = "parked",
);

/// A job and its history, for `explain`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JobRow {
    /// The job's id.
    pub id: i64,
    /// Where it stands.
    pub state: JobState,
    /// Who asked last.
    pub class: JobClass,
    /// How often it was leased since it last became ready.
    pub attempts: u32,
    /// How often it was asked for again.
    pub wakes: i64,
    /// What went wrong last, unless it succeeded since.
    pub last_error: Option<String>,
    /// Why it was skipped.
    pub reason: Option<String>,
    /// What a person may want to know on top.
    pub detail: Option<String>,
    /// The tag through which we last came.
    pub tag: Option<Tag>,
    /// Every tag through which we ever came, the newest first.
    pub tags: Vec<Tag>,
    /// When the digest was first seen here, in unix milliseconds.
    pub first_seen_at: i64,
    /// When it last became ready by being asked for.
    pub enqueued_at: i64,
    /// Ready: when it is due; leased: when the lease ends; parked: since when.
    pub due_at: i64,
    /// When it was done or skipped.
    pub finished_at: Option<i64>,
    /// How often in a row the registry said that it is not there.
    pub absences: u32,
    /// Since when, in unix milliseconds.
    pub absent_since: Option<i64>,
    /// Why it is parked.
    pub parked_because: Option<ParkedBecause>,
    /// The endpoint whose trouble it waits out.
    pub waits_for: Option<String>,
    /// When the push was announced for which it last became ready, in unix milliseconds.
    pub pushed_at: Option<i64>,
}

from_row!(JobRow, |row| Ok(Self {
    id: row.try_get("id")?,
    state: parsed("state", row.try_get("state")?)?,
    class: parsed("class", row.try_get("class")?)?,
    attempts: converted("attempts", row.try_get::<i64, _>("attempts")?)?,
    wakes: row.try_get("wakes")?,
    last_error: row.try_get("last_error")?,
    reason: row.try_get("reason")?,
    detail: row.try_get("detail")?,
    tag: parsed_option("tag", row.try_get("tag")?)?,
    tags: Vec::new(),
    first_seen_at: row.try_get("first_seen_at")?,
    enqueued_at: row.try_get("enqueued_at")?,
    due_at: row.try_get("due_at")?,
    finished_at: row.try_get("finished_at")?,
    absences: converted("absences", row.try_get::<i64, _>("absences")?)?,
    absent_since: row.try_get("absent_since")?,
    parked_because: parsed_option("parked_because", row.try_get("parked_because")?)?,
    waits_for: row.try_get("waits_for")?,
    pushed_at: row.try_get("pushed_at")?,
}));

from_row!(LeasedJob, |row| Ok(Self {
    id: row.try_get("id")?,
    lease: row.try_get("lease")?,
    attempts: converted("attempts", row.try_get::<i64, _>("attempts")?)?,
    wakes: row.try_get("wakes")?,
    registry: parsed::<RegistryHost>("registry", row.try_get("registry")?)?,
    repository: parsed::<Repository>("repository", row.try_get("repository")?)?,
    digest: parsed::<Digest>("digest", row.try_get("digest")?)?,
    tag: parsed_option("tag", row.try_get("tag")?)?,
    tags: Vec::new(),
    class: parsed("class", row.try_get("class")?)?,
    first_seen_at: row.try_get("first_seen_at")?,
    enqueued_at: row.try_get("enqueued_at")?,
    absences: converted("absences", row.try_get::<i64, _>("absences")?)?,
    absent_since: row.try_get("absent_since")?,
    pushed_at: row.try_get("pushed_at")?,
    children_of_wake: row.try_get("children_of_wake")?,
    unreported: converted("unreported", row.try_get::<i64, _>("unreported")?)?,
}));
