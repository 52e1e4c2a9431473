//! The ledger's log entries as the monitor follows them up: each must be proved under a verified head.

use async_trait::async_trait;

use crate::column::{converted, corrupt, from_row, hash};
use crate::{NewFinding, Sink, StoreError, UnknownWord};

/// How far back a look for new entries goes beyond the newest one that is known: an entry's time is its writer's, and
/// becomes visible when its transaction ends.
pub(crate) const OVERLAP_MS: i64 = 60 * 60 * 1_000;

/// Where an entry of ours stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OwnEntryState {
    /// It is not proved yet.
    Waiting,
    /// It was proved under a verified head.
    Proved {
        /// That head's size.
        size: u64,
    },
    /// The log does not have it.
    Withheld,
}

/// An entry of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnEntry {
    /// The ledger's row.
    pub signature_id: i64,
    /// The log.
    pub log_origin: String,
    /// The entry's index.
    pub log_index: u64,
    /// The hash of its leaf.
    pub leaf_hash: [u8; 32],
    /// When the ledger recorded it, in unix milliseconds.
    pub recorded_at: i64,
    /// Where it stands.
    pub state: OwnEntryState,
    /// When that was last asked; zero: never.
    pub checked_at: i64,
    /// The log's answer, as it is in the ledger; `None`: the ledger has the entry no more.
    pub entry_json: Option<Vec<u8>>,
}

/// How many entries of ours stand where.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OwnEntryCounts {
    /// Not proved yet.
    pub waiting: u64,
    /// Proved.
    pub proved: u64,
    /// Withheld.
    pub withheld: u64,
    /// When the oldest that waits was recorded, in unix milliseconds.
    pub oldest_waiting_at: Option<i64>,
}

/// Follows up the ledger's log entries.
#[async_trait]
pub trait OwnEntries: Send + Sync {
    /// Takes over what the ledger recorded since the newest entry that is known, an hour of overlap included; answers
    /// how many were new. Fewer than `limit`: that was all.
    async fn import_own_entries(&self, limit: u32) -> Result<u64, StoreError>;

    /// Takes over whatever is missing among the entries of the `limit` rows of the ledger after an id; answers how many
    /// were new and the last row's id, `None` after the end. For a look at everything, now and then: the times of
    /// entries are the signer's word.
    async fn sweep_own_entries(&self, after_id: i64, limit: u32) -> Result<(u64, Option<i64>), StoreError>;

    /// Entries that wait and were last asked about at or before a time, those that waited longest first.
    async fn own_entries_due(&self, checked_before: i64, limit: u32) -> Result<Vec<OwnEntry>, StoreError>;

    /// Entries that wait and were last asked about after a time, in the order of their names, those after `after` only
    /// (row, log, index). For a walk over all of them: whoever asked may have put them off to a time that is to come.
    async fn own_entries_waiting(
        &self,
        checked_after: i64,
        after: &(i64, String, u64),
        limit: u32,
    ) -> Result<Vec<OwnEntry>, StoreError>;

    /// Records what became of an entry, and raises what that means in the same transaction. `false`: it is unknown.
    #[allow(clippy::too_many_arguments, reason = "an entry's name is three of them")]
    async fn mark_own_entry(
        &self,
        signature_id: i64,
        log_origin: &str,
        log_index: u64,
        state: OwnEntryState,
        at: i64,
        findings: &[NewFinding],
        sinks: &[Sink],
    ) -> Result<bool, StoreError>;

    /// How many stand where. It walks an index as long as the ledger: for every few seconds, not for every request.
    async fn own_entry_counts(&self) -> Result<OwnEntryCounts, StoreError>;

    /// Up to `n` proved entries, drawn by a seed.
    async fn random_own_entries(&self, n: u32, seed: u64) -> Result<Vec<OwnEntry>, StoreError>;
}

impl OwnEntryState {
    /// The word in the database.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Proved { .. } => "proved",
            Self::Withheld => "withheld",
        }
    }

    /// Reads a state back.
    pub(crate) fn read(word: String, proved_size: u64) -> Result<Self, UnknownWord> {
        match word.as_str() {
            "waiting" => Ok(Self::Waiting),
            "proved" => Ok(Self::Proved { size: proved_size }),
            "withheld" => Ok(Self::Withheld),
            _ => Err(UnknownWord { set: "state of an entry", word }),
        }
    }
}

from_row!(OwnEntry, |row| {
    let proved_size: Option<i64> = row.try_get("proved_size")?;
    let proved_size = converted("proved_size", proved_size.unwrap_or_default())?;
    let state = OwnEntryState::read(row.try_get("state")?, proved_size).map_err(|error| corrupt("state", error))?;
    Ok(Self {
        signature_id: row.try_get("signature_id")?,
        log_origin: row.try_get("log_origin")?,
        log_index: converted("log_index", row.try_get::<i64, _>("log_index")?)?,
        leaf_hash: hash("leaf_hash", &row.try_get::<Vec<u8>, _>("leaf_hash")?)?,
        recorded_at: row.try_get("recorded_at")?,
        state,
        checked_at: row.try_get("checked_at")?,
        entry_json: row.try_get("entry_json")?,
    })
});

/// The next number of a sequence that a seed names (splitmix64).
pub(crate) fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Every column of an entry; the caller adds the condition, and what it knows of the ledger's side of it: a ledger in
/// another database is not to be read from its beginning.
macro_rules! select_own_entry {
    ($function:literal, $condition:literal) => {
        select_own_entry!($function, "", $condition)
    };
    ($function:literal, $of_ledger:literal, $condition:literal) => {
        concat!(
            "-- own_entries::",
            $function,
            "
SELECT o.signature_id, o.log_origin, o.log_index, o.leaf_hash, o.recorded_at, o.state, o.proved_size,
    o.checked_at, e.entry_json
FROM own_entries o LEFT JOIN log_entries e
    ON e.signature_id = o.signature_id AND e.log_origin = o.log_origin AND e.log_index = o.log_index",
            $of_ledger,
            "
WHERE ",
            $condition
        )
    };
}

/// What is no entry (a hash of another length) is not taken over: one such row would hide all others.
pub(crate) const MISSING: &str = "-- own_entries::import_own_entries
SELECT e.signature_id, e.log_origin, e.log_index, e.leaf_hash, e.recorded_at
FROM log_entries e LEFT JOIN own_entries o
    ON o.signature_id = e.signature_id AND o.log_origin = e.log_origin AND o.log_index = e.log_index
WHERE e.recorded_at >= $1 AND o.signature_id IS NULL AND length(e.leaf_hash) = 32 AND e.log_index >= 0
ORDER BY e.recorded_at, e.signature_id, e.log_origin, e.log_index LIMIT $2";

pub(crate) const LAST_OF: &str = "-- own_entries::sweep_own_entries
SELECT MAX(id) FROM (SELECT id FROM signatures WHERE id > $1 ORDER BY id LIMIT $2) n";

pub(crate) const MISSING_BETWEEN: &str = "-- own_entries::sweep_own_entries
SELECT e.signature_id, e.log_origin, e.log_index, e.leaf_hash, e.recorded_at
FROM log_entries e LEFT JOIN own_entries o
    ON o.signature_id = e.signature_id AND o.log_origin = e.log_origin AND o.log_index = e.log_index
WHERE e.signature_id > $1 AND e.signature_id <= $2 AND o.signature_id IS NULL
    AND length(e.leaf_hash) = 32 AND e.log_index >= 0
ORDER BY e.signature_id, e.log_origin, e.log_index";

pub(crate) const INSERT: &str = "-- own_entries::import_own_entries
INSERT INTO own_entries (signature_id, log_origin, log_index, leaf_hash, recorded_at, state, checked_at)
VALUES ($1, $2, $3, $4, $5, 'waiting', 0) ON CONFLICT (signature_id, log_origin, log_index) DO NOTHING";

pub(crate) const DUE: &str = select_own_entry!(
    "own_entries_due",
    "o.state = 'waiting' AND o.checked_at <= $1 ORDER BY o.checked_at, o.signature_id LIMIT $2"
);

/// The plus keeps it from walking the primary key, which is as long as the ledger: those that wait are few.
pub(crate) const WAITING: &str = select_own_entry!(
    "own_entries_waiting",
    "o.state = 'waiting' AND o.checked_at > $1 AND (+o.signature_id, o.log_origin, o.log_index) > ($2, $3, $4)
ORDER BY +o.signature_id, o.log_origin, o.log_index LIMIT $5"
);

pub(crate) const MARK: &str = "-- own_entries::mark_own_entry
UPDATE own_entries SET state = $4, proved_size = COALESCE($5, proved_size), checked_at = $6
WHERE signature_id = $1 AND log_origin = $2 AND log_index = $3";

/// The few that wait or are withheld have an index of their own; the others are the rest.
pub(crate) const COUNTS: &str = "-- own_entries::own_entry_counts
SELECT (SELECT COUNT(*) FROM own_entries), (SELECT COUNT(*) FROM own_entries WHERE state = 'waiting'),
    (SELECT COUNT(*) FROM own_entries WHERE state = 'withheld'),
    (SELECT MIN(recorded_at) FROM own_entries WHERE state = 'waiting')";

pub(crate) const BOUNDS: &str = "-- own_entries::random_own_entries
SELECT (SELECT MIN(signature_id) FROM own_entries), (SELECT MAX(signature_id) FROM own_entries)";

pub(crate) const ONE_FROM: &str = select_own_entry!(
    "random_own_entries",
    " AND e.signature_id >= $1",
    "o.signature_id >= $1 AND o.state = 'proved' ORDER BY o.signature_id, o.log_origin, o.log_index LIMIT 1"
);

macro_rules! stamp_own_entries {
    ($Store:ty, $now:literal) => {
        impl $Store {
            /// Takes over entries that the ledger has.
            async fn insert_own_entries(
                &self,
                entries: &[(i64, String, i64, Vec<u8>, i64)],
            ) -> Result<u64, crate::StoreError> {
                let mut inserted = 0;
                for chunk in entries.chunks(1_000) {
                    let mut tx = self.begin().await?;
                    for (signature_id, log_origin, log_index, leaf_hash, recorded_at) in chunk {
                        inserted += sqlx::query(crate::own_entries::INSERT)
                            .bind(signature_id)
                            .bind(log_origin)
                            .bind(log_index)
                            .bind(leaf_hash)
                            .bind(recorded_at)
                            .execute(&mut *tx)
                            .await?
                            .rows_affected();
                    }
                    tx.commit().await?;
                }
                Ok(inserted)
            }
        }

        #[async_trait::async_trait]
        impl crate::OwnEntries for $Store {
            async fn import_own_entries(&self, limit: u32) -> Result<u64, crate::StoreError> {
                use crate::own_entries::{MISSING, OVERLAP_MS};
                // A time in the future is not believed: everything before it would be passed over.
                const NEWEST: &str = concat!(
                    "-- own_entries::import_own_entries
SELECT MAX(recorded_at) FROM own_entries WHERE recorded_at <= ",
                    $now
                );
                let (newest,): (Option<i64>,) = sqlx::query_as(NEWEST).fetch_one(self.reader()).await?;
                let since = newest.map_or(i64::MIN, |newest| newest.saturating_sub(OVERLAP_MS));
                let missing: Vec<(i64, String, i64, Vec<u8>, i64)> =
                    sqlx::query_as(MISSING).bind(since).bind(i64::from(limit)).fetch_all(self.reader()).await?;
                self.insert_own_entries(&missing).await
            }

            async fn sweep_own_entries(
                &self,
                after_id: i64,
                limit: u32,
            ) -> Result<(u64, Option<i64>), crate::StoreError> {
                use crate::own_entries::{LAST_OF, MISSING_BETWEEN};
                let (last,): (Option<i64>,) =
                    sqlx::query_as(LAST_OF).bind(after_id).bind(i64::from(limit)).fetch_one(self.reader()).await?;
                let Some(last) = last else { return Ok((0, None)) };
                let missing: Vec<(i64, String, i64, Vec<u8>, i64)> =
                    sqlx::query_as(MISSING_BETWEEN).bind(after_id).bind(last).fetch_all(self.reader()).await?;
                Ok((self.insert_own_entries(&missing).await?, Some(last)))
            }

            async fn own_entries_due(
                &self,
                checked_before: i64,
                limit: u32,
            ) -> Result<Vec<crate::OwnEntry>, crate::StoreError> {
                let query = sqlx::query_as(crate::own_entries::DUE).bind(checked_before).bind(i64::from(limit));
                Ok(query.fetch_all(self.reader()).await?)
            }

            async fn own_entries_waiting(
                &self,
                checked_after: i64,
                (signature_id, log_origin, log_index): &(i64, String, u64),
                limit: u32,
            ) -> Result<Vec<crate::OwnEntry>, crate::StoreError> {
                Ok(sqlx::query_as(crate::own_entries::WAITING)
                    .bind(checked_after)
                    .bind(signature_id)
                    .bind(log_origin)
                    .bind(crate::column::signed("log_index", *log_index)?)
                    .bind(i64::from(limit))
                    .fetch_all(self.reader())
                    .await?)
            }

            async fn mark_own_entry(
                &self,
                signature_id: i64,
                log_origin: &str,
                log_index: u64,
                state: crate::OwnEntryState,
                at: i64,
                findings: &[crate::NewFinding],
                sinks: &[crate::Sink],
            ) -> Result<bool, crate::StoreError> {
                use crate::OwnEntryState;
                use crate::column::signed;
                let size = match state {
                    OwnEntryState::Proved { size } => Some(signed("proved_size", size)?),
                    OwnEntryState::Waiting | OwnEntryState::Withheld => None,
                };
                let mut tx = self.begin().await?;
                let marked = sqlx::query(crate::own_entries::MARK)
                    .bind(signature_id)
                    .bind(log_origin)
                    .bind(signed("log_index", log_index)?)
                    .bind(state.word())
                    .bind(size)
                    .bind(at)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                if marked == 0 {
                    tx.rollback().await?;
                    return Ok(false);
                }
                let (_, told) = Self::raise_in(&mut tx, findings, sinks).await?;
                tx.commit().await?;
                self.wake_if(told);
                Ok(true)
            }

            async fn own_entry_counts(&self) -> Result<crate::OwnEntryCounts, crate::StoreError> {
                use crate::column::converted;
                let (all, waiting, withheld, oldest_waiting_at): (i64, i64, i64, Option<i64>) =
                    sqlx::query_as(crate::own_entries::COUNTS).fetch_one(self.reader()).await?;
                let proved = all.saturating_sub(waiting).saturating_sub(withheld);
                Ok(crate::OwnEntryCounts {
                    waiting: converted("count", waiting)?,
                    proved: converted("count", proved)?,
                    withheld: converted("count", withheld)?,
                    oldest_waiting_at,
                })
            }

            async fn random_own_entries(&self, n: u32, seed: u64) -> Result<Vec<crate::OwnEntry>, crate::StoreError> {
                use crate::own_entries::{BOUNDS, ONE_FROM, next_random};
                let bounds: (Option<i64>, Option<i64>) = sqlx::query_as(BOUNDS).fetch_one(self.reader()).await?;
                let (Some(first), Some(last)) = bounds else { return Ok(Vec::new()) };
                let span = last.abs_diff(first).saturating_add(1);
                let mut random = seed;
                let mut drawn = std::collections::BTreeMap::new();
                for _ in 0..n {
                    let from = first.saturating_add_unsigned(next_random(&mut random) % span);
                    let entry: Option<crate::OwnEntry> =
                        sqlx::query_as(ONE_FROM).bind(from).fetch_optional(self.reader()).await?;
                    if let Some(entry) = entry {
                        drawn.insert((entry.signature_id, entry.log_origin.clone(), entry.log_index), entry);
                    }
                }
                Ok(drawn.into_values().collect())
            }
        }
    };
}
pub(crate) use stamp_own_entries;

#[cfg(test)]
mod tests;
