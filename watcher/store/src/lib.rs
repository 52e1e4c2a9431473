//! What we remember: push events, jobs, the ledger, logs and findings; in SQLite or PostgreSQL. The only SQL in the
//! project.
//!
//! [`open`] takes a URL and answers with one [`Store`], whichever the engine. Its methods are
//! grouped by noun in one trait each ([`Events`], [`Jobs`], [`Ledger`] and so on), so that a role can
//! be handed the part that it needs; on `Arc<dyn Store>` all of them are in reach without an import.
//!
//! # What is promised
//! - What [`Events::record_events`] has answered for survives a crash and a power cut.
//! - Leases run on the database's clock and are fenced by a token: who lost a lease writes nothing.
//! - A job that is woken while it is worked on runs again.
//! - What was found in a log is written with the position that it leads to, or not at all.
//! - The ledger takes each fact once; the first writer wins and everyone is told what is stored.
//!
//! # Out of scope
//! What to sign and when (`watcher`), how (`signer`), and whether what is stored verifies (`bundle`).
//! Retries are counted here and paced by the caller.

mod adoptions;
mod certificate_keys;
mod column;
mod conditions;
mod config;
mod dead_letters;
mod deadline;
mod dialect;
mod error;
mod events;
mod findings;
mod followed_logs;
mod identity_zones;
mod intents_seen;
mod jobs;
mod known_repositories;
mod ledger;
mod ledger_keys_seen;
mod ledger_view;
mod locks;
mod matcher_coverage;
mod migrations;
mod observations;
mod outbox;
mod own_artifacts;
mod own_entries;
mod parked;
mod postgres;
mod retention;
mod revival;
mod sightings;
mod skips;
mod sqlite;
mod status;
mod suspects;
#[cfg(test)]
mod testing;
mod waiting;

use std::sync::Arc;

use config::Engine;

pub use adoptions::{AdoptedSignature, Adoption, Adoptions, LostEntry};
pub use certificate_keys::{CertificateKey, CertificateKeys};
pub use conditions::{Condition, ConditionCause, Conditions};
pub use config::StoreConfig;
pub use dead_letters::{DeadLetter, DeadLetterFilter, DeadLetters, NewDeadLetter};
pub use error::StoreError;
pub use events::{Announced, Events, LeasedEvent, NewEvent, NewLook};
pub use findings::{
    EvidenceRow, FindingFilter, FindingKind, FindingNote, FindingRow, FindingState, Findings, NewFinding, Raised,
    Severity, Sink,
};
pub use followed_logs::{
    Advance, FollowedLog, FollowedLogs, Head, LogLease, LogTrust, NewTrust, NoteRow, NoteSeen, VerifiedPosition,
};
pub use identity_zones::{IdentityZone, IdentityZones};
pub use intents_seen::{ChainLink, IntentSeen, IntentsSeen, SignatureSeen};
pub use jobs::{FinishedJob, JobClass, JobOutcome, JobRow, JobState, Jobs, LeasedJob, NewJob, UnknownWord};
pub use known_repositories::KnownRepositories;
pub use ledger::{Abandoned, Intent, Ledger, LedgerRow, Material, RecordedEntry, RecordedSignature, Stage};
pub use ledger_keys_seen::{IdentityKey, LedgerKeySeen, LedgerKeysSeen};
pub use ledger_view::{EntryCursor, LedgerDigest, LedgerEntryRow, LedgerKeyRow, LedgerPage, LedgerView};
pub use locks::{LockToken, Locks};
pub use matcher_coverage::{MatcherCoverage, MatcherCoverages};
pub use observations::{NewObservation, Observation, Observations};
pub use outbox::{LeasedAlert, Outbox, OutboxCount};
pub use own_artifacts::OwnArtifacts;
pub use own_entries::{OwnEntries, OwnEntry, OwnEntryCounts, OwnEntryState};
pub use parked::{Parked, ParkedFilter, ParkedRow, Resent, Unfinished, WorkKind, WorkRow};
pub use retention::{Purged, Retention};
pub use revival::Revival;
pub use sightings::{OBSERVED_BEYOND, OBSERVED_PER_WATCH, ObservedIdentity, Sighting, Sightings};
pub use skips::{Skip, Skips};
pub use status::{Counts, LiveCounts, Status, Totals};
pub use suspects::{NewSuspect, Suspect, Suspects};
pub use waiting::{Claim, CountedAs, DueRepository, ParkedBecause, Postponed, Wanted};

/// Everything that we remember. One trait for both engines; every test of it runs on both.
pub trait Store:
    Events
    + DeadLetters
    + Skips
    + Jobs
    + KnownRepositories
    + Parked
    + Revival
    + Conditions
    + IdentityZones
    + Ledger
    + OwnArtifacts
    + Locks
    + CertificateKeys
    + Observations
    + LedgerView
    + LedgerKeysSeen
    + FollowedLogs
    + Findings
    + Outbox
    + Suspects
    + Sightings
    + MatcherCoverages
    + OwnEntries
    + IntentsSeen
    + Adoptions
    + Retention
    + Status
{
}

/// Opens a store, brings its schema up to date and, on SQLite, takes back the leases of the process that held it before. A URL
/// alone is a [`StoreConfig`] as well.
///
/// # Errors
/// What [`StoreConfig::check`] says, and why the database cannot be opened.
pub async fn open(config: impl Into<StoreConfig>) -> Result<Arc<dyn Store>, StoreError> {
    let config = config.into();
    match config.engine()? {
        Engine::Sqlite => {
            config.check()?;
            Ok(Arc::new(sqlite::SqliteStore::open(&config.url).await?))
        }
        Engine::Postgres => Ok(Arc::new(postgres::PostgresStore::open(&config).await?)),
    }
}

/// Opens a store that another process may be working with: for looking, and for queueing work or sending parked work
/// again; not for leases, which that process takes back when it starts. On SQLite nothing is created or migrated; on
/// PostgreSQL it is the same as [`open`].
///
/// # Errors
/// As [`open`].
pub async fn open_beside(config: impl Into<StoreConfig>) -> Result<Arc<dyn Store>, StoreError> {
    let config = config.into();
    match config.engine()? {
        Engine::Sqlite => {
            config.check()?;
            Ok(Arc::new(sqlite::SqliteStore::open_beside(&config.url).await?))
        }
        Engine::Postgres => open(config).await,
    }
}

/// Which schema a PostgreSQL database has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SchemaSeen {
    /// None of ours: it is made at the first start.
    Absent,
    /// That of an earlier version, which is brought up to date at the next start.
    Older {
        /// Its number.
        version: i64,
    },
    /// That of this version.
    Current,
}

/// Looks at the PostgreSQL database that a configuration names. Nothing is created or migrated.
///
/// # Errors
/// It cannot be reached, refuses us, or has the schema of a newer program.
pub async fn look(config: impl Into<StoreConfig>) -> Result<SchemaSeen, StoreError> {
    let config = config.into();
    match config.engine()? {
        Engine::Postgres => postgres::look::look(&config).await,
        Engine::Sqlite => Err(StoreError::UnknownEngine),
    }
}

#[cfg(test)]
mod tests {
    /// The roof opens the store in a task of its own, so the future must be able to move.
    #[test]
    fn opening_can_move_between_threads() {
        fn can_move(_: impl Send) {}
        can_move(super::open("sqlite::memory:"));
    }
}
