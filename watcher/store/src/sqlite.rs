//! SQLite, the embedded default: one file, one process. All writes go through one connection; reads
//! have their own. The process holds a lock file beside the database, so the leases that it finds
//! when it opens are those of a process that is gone, and it takes them back.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::watch;

use crate::deadline::{CLOSING, Patience};
use crate::dialect::stamp;
use crate::retention::Rights;
use crate::{NewEvent, StoreError, migrations};

mod committer;
mod lock_file;
pub(crate) mod transaction;

use committer::Committer;
use lock_file::LockFile;
use transaction::{Reader, Transaction};

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 4;

/// The store in SQLite.
pub(crate) struct SqliteStore {
    writer: SqlitePool,
    reader: SqlitePool,
    committer: Committer,
    wakeups: watch::Sender<u64>,
    rights: Rights,
    /// Held as long as the store lives. A database in memory needs none.
    _lock: Option<LockFile>,
}

impl SqliteStore {
    /// Opens the database that a URL names, and creates the file where there is none.
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        let options = parsed(url)?;
        if in_memory(url) { Self::open_in_memory(options).await } else { Self::open_file(options).await }
    }

    /// Opens a database that is there already, beside the process that holds it: no lease is taken back, and no
    /// schema changed.
    pub(crate) async fn open_beside(url: &str) -> Result<Self, StoreError> {
        let options = parsed(url)?;
        if in_memory(url) {
            let reason = "a database in memory belongs to one process".to_owned();
            return Err(StoreError::Url { reason });
        }
        let path = resolved(options.get_filename())?;
        // Asked by hand: the database's own words for a file that is not there name no file.
        std::fs::metadata(&path).map_err(|cause| StoreError::File { path: path.clone(), cause })?;
        let options = options.filename(&path).create_if_missing(false).foreign_keys(true).busy_timeout(BUSY_TIMEOUT);
        let writing = options.clone().synchronous(SqliteSynchronous::Full);
        let writer = connect(one_connection(), writing, &path).await?;
        check_schema(&writer).await?;
        let reading = options.pragma("query_only", "1");
        let reader = SqlitePoolOptions::new().max_connections(READERS).connect_lazy_with(reading);
        let committer = Committer::start(writer.clone());
        Ok(Self { writer, reader, committer, wakeups: watch::Sender::new(0), rights: Rights::ALL, _lock: None })
    }

    async fn open_file(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let path = resolved(options.get_filename())?;
        let lock = LockFile::take(&path)?;
        let options = options.filename(&path).create_if_missing(true).foreign_keys(true).busy_timeout(BUSY_TIMEOUT);
        let writing = options
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .optimize_on_close(true, None);
        let writer = connect(one_connection(), writing, &path).await?;
        migrate(&writer).await?;
        let reading = options.pragma("query_only", "1");
        let reader = SqlitePoolOptions::new().max_connections(READERS).connect_lazy_with(reading);
        Self::start(writer, reader, Some(lock)).await
    }

    /// One connection for everything: a second would see the same memory, but wait for its locks.
    async fn open_in_memory(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let path = Path::new(":memory:");
        let writer = connect(one_connection(), options.foreign_keys(true), path).await?;
        migrate(&writer).await?;
        Self::start(writer.clone(), writer, None).await
    }

    async fn start(writer: SqlitePool, reader: SqlitePool, lock: Option<LockFile>) -> Result<Self, StoreError> {
        let committer = Committer::start(writer.clone());
        let wakeups = watch::Sender::new(0);
        let store = Self { writer, reader, committer, wakeups, rights: Rights::ALL, _lock: lock };
        store.reclaim_leases().await?;
        Ok(store)
    }

    /// Whoever held these leases is gone: we hold the lock file.
    async fn reclaim_leases(&self) -> Result<(), StoreError> {
        const EVENTS: &str = "-- sqlite::reclaim_leases
UPDATE push_events SET state = 'ready', lease = NULL,
    due_at = MIN(due_at, CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER))
WHERE state = 'leased'";
        const JOBS: &str = "-- sqlite::reclaim_leases
UPDATE jobs SET state = 'ready', lease = NULL,
    due_at = MIN(due_at, CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER))
WHERE state = 'leased'";
        const LOGS: &str = "-- sqlite::reclaim_leases
UPDATE followed_logs SET lease = NULL, lease_expires_at = NULL WHERE lease IS NOT NULL";
        const ALERTS: &str = "-- sqlite::reclaim_leases
UPDATE alerts SET lease = NULL, due_at = MIN(due_at, CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER))
WHERE finished_at IS NULL AND lease IS NOT NULL";
        const LOCKS: &str = "-- sqlite::reclaim_leases
DELETE FROM locks";
        let mut tx = self.begin().await?;
        for statement in [EVENTS, JOBS, LOGS, ALERTS, LOCKS] {
            sqlx::query(statement).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// A transaction that writes takes the write lock first: one that reads and then writes could
    /// find that what it read is stale.
    async fn begin(&self) -> Result<Transaction, StoreError> {
        Transaction::begin(&self.writer, Patience::USUAL.usual).await
    }

    /// A transaction that may walk a table.
    async fn begin_long(&self) -> Result<Transaction, StoreError> {
        Transaction::begin(&self.writer, Patience::USUAL.long).await
    }

    /// There is one writer, so ids become visible in their order anyway.
    async fn begin_in_turn(&self) -> Result<Transaction, StoreError> {
        self.begin().await
    }

    fn reader(&self) -> Reader<'_> {
        Reader { pool: &self.reader, patience: Patience::USUAL.usual }
    }

    /// Reads what may walk a table.
    fn reader_long(&self) -> Reader<'_> {
        Reader { pool: &self.reader, patience: Patience::USUAL.long }
    }

    async fn record_batch(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        self.committer.record(events).await
    }

    async fn close_connections(&self) {
        // What stands still is not waited for.
        let _ = tokio::time::timeout(CLOSING, self.reader.close()).await;
        let _ = tokio::time::timeout(CLOSING, self.writer.close()).await;
    }
}

impl crate::dialect::Engine for sqlx::Sqlite {
    type Transaction = Transaction;
}

fn one_connection() -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None)
}

async fn connect(
    pool: SqlitePoolOptions,
    options: SqliteConnectOptions,
    path: &Path,
) -> Result<SqlitePool, StoreError> {
    pool.connect_with(options).await.map_err(|cause| StoreError::Connect { target: path.display().to_string(), cause })
}

fn parsed(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    if url.contains('?') {
        let reason = "a sqlite url has no parameters; write %3F for a question mark".to_owned();
        return Err(StoreError::Url { reason });
    }
    SqliteConnectOptions::from_str(url).map_err(|error| StoreError::Url { reason: error.to_string() })
}

fn in_memory(url: &str) -> bool {
    url.trim_start_matches("sqlite:").trim_start_matches("//") == ":memory:"
}

/// A schema that is not ours must not be written to, and here it must not be changed either.
async fn check_schema(writer: &SqlitePool) -> Result<(), StoreError> {
    let needs = migrations::newest(&migrations::sqlite());
    let version = version(writer).await?;
    match version.cmp(&needs) {
        Ordering::Less => Err(StoreError::OlderSchema { version }),
        Ordering::Equal => Ok(()),
        Ordering::Greater if migrations::may_use(needs, oldest_program(writer, version).await?) => Ok(()),
        Ordering::Greater => Err(StoreError::NewerSchema { version }),
    }
}

async fn migrate(writer: &SqlitePool) -> Result<(), StoreError> {
    let migrator = migrations::sqlite();
    let (version, needs) = (version(writer).await?, migrations::newest(&migrator));
    if version > needs {
        let oldest = oldest_program(writer, version).await?;
        return if migrations::may_use(needs, oldest) { Ok(()) } else { Err(StoreError::NewerSchema { version }) };
    }
    let mut connection = writer.acquire().await?;
    Ok(migrator.run_direct(None, &mut *connection, false).await?)
}

/// The version of the schema; 0 where there is none.
async fn version(writer: &SqlitePool) -> Result<i64, StoreError> {
    const VERSION: &str = "-- sqlite::version
SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations";
    if !has_table(writer, "_sqlx_migrations").await? {
        return Ok(0);
    }
    let (version,) = sqlx::query_as(VERSION).fetch_one(writer).await?;
    Ok(version)
}

/// The oldest program that may use a schema newer than ours, as that schema says; none where it does not say.
async fn oldest_program(writer: &SqlitePool, version: i64) -> Result<Option<i64>, StoreError> {
    const OLDEST: &str = "-- sqlite::oldest_program
SELECT oldest_program FROM schema_support WHERE version = $1";
    if !has_table(writer, "schema_support").await? {
        return Ok(None);
    }
    let oldest: Option<(i64,)> = sqlx::query_as(OLDEST).bind(version).fetch_optional(writer).await?;
    Ok(oldest.map(|(oldest,)| oldest))
}

async fn has_table(writer: &SqlitePool, name: &str) -> Result<bool, StoreError> {
    const TABLE: &str = "-- sqlite::has_table
SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1)";
    let (has,) = sqlx::query_as(TABLE).bind(name).fetch_one(writer).await?;
    Ok(has)
}

/// The path that all names of one file share, so that they share its lock file.
fn resolved(path: &Path) -> Result<PathBuf, StoreError> {
    if let Ok(existing) = path.canonicalize() {
        return Ok(existing);
    }
    let name =
        path.file_name().ok_or_else(|| StoreError::Url { reason: "it names no file; write sqlite:PATH".to_owned() })?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = directory.canonicalize().map_err(|cause| StoreError::File { path: directory.to_owned(), cause })?;
    Ok(directory.join(name))
}

stamp!(SqliteStore, sqlx::Sqlite, now = "CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER)", claim = "");

#[cfg(test)]
mod tests;
