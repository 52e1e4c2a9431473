//! PostgreSQL: many processes share the work. Claims skip rows that others claim, and leases run on
//! the server's clock.

mod elsewhere;

use std::cmp::Ordering;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use tokio::sync::watch;

use crate::dialect::stamp;
use crate::retention::Rights;
use crate::{NewEvent, StoreError, migrations};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECTIONS: u32 = 16;

/// Where tables are that this database has itself.
const OWN_TABLES: (&str, &str) = ("search_path", "public,monitor");
/// Before them goes the ledger of another database, where the monitor has one of its own.
const ALL_TABLES: (&str, &str) = ("search_path", "ledger,public,monitor");

/// The store in PostgreSQL.
pub(crate) struct PostgresStore {
    pool: PgPool,
    wakeups: watch::Sender<u64>,
    rights: Rights,
}

impl PostgresStore {
    /// Opens the database that a URL names.
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        // The parser's words are about a part of the URL, never the URL; still, only those of its
        // errors that are about the form go out.
        let options = PgConnectOptions::from_str(url).map_err(|error| StoreError::Url {
            reason: match error {
                sqlx::Error::Configuration(cause) => cause.to_string(),
                _ => "it is not of the form postgres://USER:PASSWORD@HOST:PORT/DATABASE".to_owned(),
            },
        })?;
        Self::open_with(options).await
    }

    pub(crate) async fn open_with(options: PgConnectOptions) -> Result<Self, StoreError> {
        if options.get_options().is_some_and(|options| options.contains("search_path")) {
            let reason = "it sets search_path; sealwatch keeps its tables in the schemas public and monitor".to_owned();
            return Err(StoreError::Url { reason });
        }
        let options = options.application_name("sealwatch");
        let own = options.clone().options([OWN_TABLES]);
        let target = target(&options);
        // One connection by hand: a pool would try until its time is up and say only that.
        let connecting = PgConnection::connect_with(&own);
        let mut connection = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(cause)) => return Err(StoreError::Connect { target, cause }),
            Err(_) => {
                let seconds = CONNECT_TIMEOUT.as_secs();
                return Err(StoreError::ConnectTimeout { target, seconds });
            }
        };
        migrate(&mut connection).await?;
        let rights = rights(&mut connection).await?;
        let all = match elsewhere::ledger(&mut connection).await? {
            false => own,
            true => options.options([ALL_TABLES, elsewhere::PATIENCE]),
        };
        connection.close().await?;
        let pool =
            PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(CONNECT_TIMEOUT).connect_lazy_with(all);
        Ok(Self { pool, wakeups: watch::Sender::new(0), rights })
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin().await?)
    }

    /// A transaction that waits for its like: without it, an id may become visible after a larger one, and whoever
    /// reads from a cursor would miss it.
    async fn begin_in_turn(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        const TURN: &str = "-- postgres::begin_in_turn
SELECT pg_advisory_xact_lock(hashtext('sealwatch.in_turn'))";
        let mut tx = self.begin().await?;
        sqlx::query(TURN).execute(&mut *tx).await?;
        Ok(tx)
    }

    fn reader(&self) -> &PgPool {
        &self.pool
    }

    /// The server groups the commits of concurrent callers by itself.
    async fn record_batch(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        Self::insert_events(&mut tx, &events.iter().collect::<Vec<_>>()).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn close_connections(&self) {
        self.pool.close().await;
    }
}

/// Brings the schema up to date, unless it is: then a role will do that may not change it.
async fn migrate(connection: &mut PgConnection) -> Result<(), StoreError> {
    const KNOWN: &str = "-- postgres::migrate
SELECT to_regclass('public._sqlx_migrations') IS NOT NULL";
    const VERSION: &str = "-- postgres::migrate
SELECT COALESCE(MAX(version), 0) FROM public._sqlx_migrations";
    let migrator = migrations::postgres();
    let needs = migrations::newest(&migrator);
    let (known,): (bool,) = sqlx::query_as(KNOWN).fetch_one(&mut *connection).await?;
    let (version,): (i64,) = if known { sqlx::query_as(VERSION).fetch_one(&mut *connection).await? } else { (0,) };
    match version.cmp(&needs) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(StoreError::NewerSchema { version }),
        Ordering::Less => match migrator.run_direct(None, connection, false).await {
            Err(error) if is_denied(&error) => Err(StoreError::SchemaRights { version, needs }),
            outcome => Ok(outcome?),
        },
    }
}

/// Whether the database refused for want of rights (SQLSTATE 42501).
fn is_denied(error: &MigrateError) -> bool {
    let cause = match error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => cause,
        _ => return false,
    };
    cause.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "42501")
}

/// Which side's rows this role may delete.
async fn rights(connection: &mut PgConnection) -> Result<Rights, StoreError> {
    const RIGHTS: &str = "-- postgres::rights
SELECT has_table_privilege('public.jobs', 'DELETE'), has_schema_privilege('monitor', 'USAGE')";
    let (signer, monitor) = sqlx::query_as(RIGHTS).fetch_one(connection).await?;
    Ok(Rights { signer, monitor })
}

/// The database as errors name it: who, where and which, without a password.
fn target(options: &PgConnectOptions) -> String {
    format!(
        "postgres://{}@{}:{}/{}",
        options.get_username(),
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap_or_default()
    )
}

stamp!(
    PostgresStore,
    sqlx::Postgres,
    now = "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)",
    claim = "FOR UPDATE SKIP LOCKED"
);

#[cfg(test)]
mod tests;
