//! Why the store could not do what was asked. No message repeats a URL: it may hold a password.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgDatabaseError;

/// The store could not look, or refused what would break the ledger.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no engine of ours.
    #[error("the store's url must start with \"sqlite:\" or \"postgres://\"")]
    UnknownEngine,
    /// The URL starts well and goes on badly.
    #[error("the store's url is not usable: {reason}")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// Another process has the SQLite database.
    #[error(
        "the database {} is in use by another process (it holds {}.lock); stop that process, or use PostgreSQL to share the work",
        .path.display(), .path.display()
    )]
    InUse {
        /// The database's file.
        path: PathBuf,
    },
    /// A file could not be opened.
    #[error("cannot open {}: {cause}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The database could not be reached, or did not let us in.
    #[error("cannot open the database {target}: {cause}")]
    Connect {
        /// The database without its password.
        target: String,
        /// What the driver said.
        cause: sqlx::Error,
    },
    /// The database did not answer in time.
    #[error("cannot open the database {target}: no answer within {seconds} s")]
    ConnectTimeout {
        /// The database without its password.
        target: String,
        /// How long we waited.
        seconds: u64,
    },
    /// The connection could not be made safe.
    #[error("cannot open the database {target}: TLS failed: {said}; {fix}")]
    Tls {
        /// The database without its password.
        target: String,
        /// What the driver said.
        said: String,
        /// What mends it.
        fix: String,
    },
    /// The server is on a network, and nothing is there to check it by.
    #[error(
        "the database {target} is reached over a network, and there is no CA to check its certificate by: set [store] ca_file to the CA in PEM (the system's CAs are not read; their bundle is a file too, often /etc/ssl/certs/ca-certificates.crt), or say otherwise with ?sslmode= in [store] url"
    )]
    NoCa {
        /// The database without its password.
        target: String,
    },
    /// The URL holds a password.
    #[error(
        "[store] url holds a password: take it out, write it to a file that sealwatch alone may read, and set [store] password_file (PGPASSFILE works too)"
    )]
    Password,
    /// The password's file could not be read.
    #[error("[store] password_file: cannot read {}: {cause}", .path.display())]
    PasswordFile {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The database did not answer within the time that a call has. Whether it did what was asked is not known.
    #[error("the database did not answer within {} s", .after.as_secs_f32())]
    Timeout {
        /// How long we waited.
        after: Duration,
    },
    /// The schema is one that this program does not know.
    #[error(
        "the database's schema has version {version}, which this sealwatch does not know; run the version that wrote it, or a newer one"
    )]
    NewerSchema {
        /// The version that is unknown.
        version: i64,
    },
    /// The schema is older than this program, and was not to be changed.
    #[error(
        "the database's schema has version {version}, older than this sealwatch; restart the process that works with it, so that it is brought up to date"
    )]
    OlderSchema {
        /// The version that it has.
        version: i64,
    },
    /// The schema is older than this program, and this role may not change it.
    #[error(
        "the database's schema is at {version}, this build needs {needs}, and this role may not change it: start once with the owner's role"
    )]
    SchemaRights {
        /// The version that it has; 0: none.
        version: i64,
        /// The version that is needed.
        needs: i64,
    },
    /// The ledger is in another database, and this role has no way to it.
    #[error(
        "the ledger is in another database (schema ledger), and this role may not read it. The owner's role need not, and has brought the schema up to date; for the monitor's role run postgres-two-databases.sql again, as a superuser"
    )]
    LedgerRights,
    /// The ledger is in another database, and has a table there by the name of one of the monitor's own.
    #[error(
        "the schema ledger has a table {table:?}, which would hide the monitor's own: drop it, and run postgres-two-databases.sql again"
    )]
    LedgerHides {
        /// Which.
        table: String,
    },
    /// The ledger is in another database, and a table of it is not read from there.
    #[error(
        "the schema ledger has no table {table:?}: after an update run postgres-roles.sql and postgres-two-databases.sql again"
    )]
    LedgerLacks {
        /// Which.
        table: String,
    },
    /// The ledger is in another database, whose schema is not the one that this program reads.
    #[error(
        "the schema of the ledger's database is at {version}, this build reads {needs}: bring both databases to one version, then run postgres-two-databases.sql again"
    )]
    LedgerSchema {
        /// The version that it has.
        version: i64,
        /// The version that is needed.
        needs: i64,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring the database's schema up to date: {cause}")]
    Migrate {
        /// What the migrator said.
        cause: sqlx::migrate::MigrateError,
    },
    /// A statement failed.
    #[error("the database failed: {0}")]
    Database(sqlx::Error),
    /// The transaction that carried this batch, and those of other callers, failed.
    #[error("the commit of a group of push events failed: {0}")]
    Group(Arc<StoreError>),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// The system gave no random bytes for a lease.
    #[error("no random bytes for a lease: {0}")]
    Random(getrandom::Error),
    /// An identity would span two trust zones.
    #[error(
        "identity {identity} is recorded in trust zone {recorded:?} and cannot sign in {asked:?} too: give each trust zone its own key; or, if the zone was renamed, run `sealwatch identity rezone NAME --because \"…\"`"
    )]
    TwoTrustZones {
        /// The key's fingerprint.
        identity: String,
        /// The zone in the ledger.
        recorded: String,
        /// The zone that was asked for.
        asked: String,
    },
    /// No such row in the ledger.
    #[error("the ledger has no row {id}")]
    UnknownRow {
        /// The row's id.
        id: i64,
    },
    /// A row that was given up takes no further step.
    #[error("ledger row {id} was abandoned and is not taken up again")]
    Abandoned {
        /// The row's id.
        id: i64,
    },
    /// A step of the ledger before the one that it rests on.
    #[error("ledger row {id} cannot take its {step} before its {needs}")]
    OutOfOrder {
        /// The row's id.
        id: i64,
        /// What was to be recorded.
        step: &'static str,
        /// What must be there first.
        needs: &'static str,
    },
    /// A log gave one index to two leaves.
    #[error("ledger row {id}: index {log_index} of log {log_origin} is recorded with another leaf")]
    EntryConflict {
        /// The row's id.
        id: i64,
        /// The log.
        log_origin: String,
        /// The index within it.
        log_index: u64,
    },
    /// A number that the database's integers cannot hold.
    #[error("{column} is out of range: {value}")]
    OutOfRange {
        /// The column.
        column: &'static str,
        /// The value.
        value: u64,
    },
}

impl StoreError {
    /// Whether the same call may succeed later with nothing changed by a person. Whatever keeps us from the server is
    /// transient, a refused password or certificate too: it is the server's state, not that of the row that was asked for.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(cause) | Self::Connect { cause, .. } => transient(cause),
            Self::Group(cause) => cause.is_transient(),
            Self::ConnectTimeout { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::PasswordFile { .. }
            | Self::Random(_) => true,
            _ => false,
        }
    }
}

/// Connections come back, full disks are emptied, a new primary takes over; what a row holds does not change by itself.
fn transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) if error.try_downcast_ref::<PgDatabaseError>().is_some() => {
            error.code().is_none_or(|code| transient_state(&code))
        }
        sqlx::Error::Database(error) => !matches!(
            error.kind(),
            sqlx::error::ErrorKind::UniqueViolation
                | sqlx::error::ErrorKind::ForeignKeyViolation
                | sqlx::error::ErrorKind::NotNullViolation
                | sqlx::error::ErrorKind::CheckViolation
        ),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        _ => false,
    }
}

/// Whether a SQLSTATE of PostgreSQL is about the state of the server and not about what was asked.
fn transient_state(code: &str) -> bool {
    match code {
        // A statement prepared twice, or not at all: the next call prepares for once.
        "42P05" | "26000" => true,
        // A database or schema that is not there, a limit of the program, and what our own triggers refuse.
        code => !["0A", "21", "22", "23", "2B", "3D", "3F", "42", "44", "54", "P0"]
            .contains(&code.get(..2).unwrap_or_default()),
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolClosed => Self::Closed,
            // What the deadline carried through the driver's signatures.
            sqlx::Error::Io(error) => match error.downcast::<Self>() {
                Ok(carried) => carried,
                Err(error) => Self::Database(sqlx::Error::Io(error)),
            },
            other => Self::Database(other),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(cause: sqlx::migrate::MigrateError) -> Self {
        match cause {
            sqlx::migrate::MigrateError::VersionMissing(version) => Self::NewerSchema { version },
            cause => Self::Migrate { cause },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_group_is_as_transient_as_its_cause() {
        let lost = StoreError::Group(Arc::new(StoreError::Database(sqlx::Error::PoolTimedOut)));
        assert!(lost.is_transient());
        let refused = StoreError::Group(Arc::new(StoreError::UnknownRow { id: 1 }));
        assert!(!refused.is_transient());
    }

    #[test]
    fn the_error_of_a_database_in_use_names_the_file() {
        let error = StoreError::InUse { path: "/var/lib/sealwatch.db".into() };
        assert!(error.to_string().contains("/var/lib/sealwatch.db.lock"));
    }
}
