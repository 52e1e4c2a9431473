//! Why work waits or was put aside: words that events and jobs share.

use crate::jobs::words;

/// Leases in a row that may end without a word before the work is parked as poison: what kills the process is not tried
/// for ever. Machines that are killed a few times in a row are no reason.
pub(crate) const UNREPORTED_MAX: i64 = 8;

/// The program that parks: work that is parked as poison is tried again by another version.
pub(crate) const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Why work is parked.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ParkedBecause {
    /// A push was announced, and the registry does not show it. Looked at again each hour.
    Unseen,
    /// It failed too often. Tried again each hour.
    Failed,
    /// It is refused, and trying again changes nothing. A person or a new version tries it again.
    Refused,
    /// It ended its worker too often. A person or a new version tries it again.
    Poison,
    /// The stored row cannot be read. A person or a new version tries it again.
    Unreadable,
}

words!(
    ParkedBecause,
    "reason for parking",
    Unseen = "unseen",
    Failed = "failed",
    Refused = "refused",
    Poison = "poison",
    Unreadable = "unreadable",
);

/// What a try that did not succeed counts as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CountedAs<'c> {
    /// A failed attempt.
    Attempt,
    /// The registry's answer that it is not there.
    Absence,
    /// The trouble of an endpoint, which is no fault of this work: no attempt is counted, and it waits until the
    /// endpoint answers.
    Trouble {
        /// The endpoint.
        endpoint: &'c str,
    },
    /// No try at all: there was no place for it.
    Nothing,
}

/// Work that goes back to the queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Postponed<'p> {
    /// Due after so long, in milliseconds.
    pub delay_ms: i64,
    /// What the try counts as.
    pub counted: CountedAs<'p>,
    /// What went wrong.
    pub error: &'p str,
}

impl<'p> Postponed<'p> {
    /// After a failed attempt.
    pub fn attempt(delay_ms: i64, error: &'p str) -> Self {
        Self { delay_ms, counted: CountedAs::Attempt, error }
    }

    /// How many attempts are taken back, how many absences are added, and the endpoint that is waited for.
    pub(crate) fn columns(&self) -> (i64, i64, Option<&str>) {
        match self.counted {
            CountedAs::Attempt => (0, 0, None),
            CountedAs::Absence => (0, 1, None),
            CountedAs::Trouble { endpoint } => (1, 0, Some(endpoint)),
            CountedAs::Nothing => (1, 0, None),
        }
    }
}

/// What came of the wish to take one piece of work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Claim<T> {
    /// It is the caller's, until the lease ends.
    Taken(T),
    /// It is not due any more, or another worker has it.
    Gone,
    /// It was parked instead of being handed out.
    Parked {
        /// Why.
        because: ParkedBecause,
        /// What a person may want to know on top.
        detail: String,
    },
}

impl<T> Claim<T> {
    /// The work, where it was taken.
    pub fn taken(self) -> Option<T> {
        match self {
            Self::Taken(work) => Some(work),
            Self::Gone | Self::Parked { .. } => None,
        }
    }
}

/// A repository with work that is due.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct DueRepository {
    /// The registry, as stored.
    pub registry: String,
    /// The repository, as stored.
    pub repository: String,
    /// The priority of what is first in its queue: smaller goes first.
    pub priority: i64,
    /// Since when that is due, in unix milliseconds.
    pub due_at: i64,
}

crate::column::from_row!(DueRepository, |row| Ok(Self {
    registry: row.try_get("registry")?,
    repository: row.try_get("repository")?,
    priority: row.try_get("priority")?,
    due_at: row.try_get("due_at")?,
}));

/// Which work is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted<'w> {
    /// What is due longest.
    Any,
    /// This event or job only.
    Id(i64),
    /// What is first in the queue of a repository.
    Of {
        /// The registry, as stored.
        registry: &'w str,
        /// The repository, as stored.
        repository: &'w str,
        /// Whether work may be among it that has ended its worker before. A process should hold one of those at a time.
        suspects: bool,
    },
}

impl Wanted<'_> {
    /// Leases in a row without a word that are too many to be wanted.
    pub(crate) fn unreported_below(&self) -> i64 {
        match self {
            Self::Of { suspects: false, .. } => SUSPECT_FROM,
            Self::Any | Self::Id(_) | Self::Of { .. } => i64::MAX,
        }
    }
}

/// Work that was leased so often in a row without a word is suspected of ending its process.
pub(crate) const SUSPECT_FROM: i64 = 2;

/// The statement that walks the queue from repository to repository, by one look into an index for each, however long
/// the queue of any of them is. `$1`: most repositories.
macro_rules! due_repositories {
    ($function:literal, $table:literal, $priority:literal, $order:literal, $now:literal) => {
        concat!(
            "-- ",
            $function,
            "
WITH RECURSIVE turns (id) AS (
    SELECT (SELECT id FROM ",
            $table,
            " WHERE state IN ('ready', 'leased') ORDER BY registry, repository LIMIT 1)
    UNION ALL
    SELECT (SELECT n.id FROM ",
            $table,
            " n WHERE n.state IN ('ready', 'leased')
            AND (n.registry, n.repository) > (SELECT c.registry, c.repository FROM ",
            $table,
            " c WHERE c.id = turns.id)
        ORDER BY n.registry, n.repository LIMIT 1)
    FROM turns WHERE turns.id IS NOT NULL
), heads (id) AS (
    SELECT (SELECT d.id FROM ",
            $table,
            " d WHERE d.state IN ('ready', 'leased')
            AND d.registry = c.registry AND d.repository = c.repository AND d.due_at <= ",
            $now,
            "
        ORDER BY ",
            $order,
            " LIMIT 1)
    FROM turns t JOIN ",
            $table,
            " c ON c.id = t.id
)
SELECT w.registry, w.repository, ",
            $priority,
            " AS priority, w.due_at
FROM heads h JOIN ",
            $table,
            " w ON w.id = h.id
ORDER BY 3, 4 LIMIT $1"
        )
    };
}
pub(crate) use due_repositories;

/// Puts a leased row back: `$3` is the delay, `$4` the error, `$5` how many attempts are taken back, `$6` how many
/// absences are added, `$7` the endpoint that is waited for.
macro_rules! postpone {
    ($function:literal, $table:literal, $now:literal) => {
        concat!(
            "-- ",
            $function,
            "
UPDATE ",
            $table,
            " SET state = 'ready', lease = NULL, unreported = 0, due_at = ",
            $now,
            " + $3, last_error = $4,
    attempts = CASE WHEN attempts > $5 THEN attempts - $5 ELSE 0 END,
    absences = absences + $6,
    absent_since = CASE WHEN $6 > 0 THEN COALESCE(absent_since, ",
            $now,
            ") ELSE absent_since END,
    waits_for = $7
WHERE id = $1 AND lease = $2 AND state = 'leased'"
        )
    };
}
pub(crate) use postpone;

/// The text of a parked row that its lease decided upon.
pub(crate) fn poison_text() -> String {
    format!(
        "it was taken {UNREPORTED_MAX} times in a row and its worker never reported back: it may be what ends the process"
    )
}

/// An error of reading a row, without the row.
pub(crate) fn unreadable_text(error: &dyn std::fmt::Display) -> String {
    format!("the stored row cannot be read: {error}")
}
