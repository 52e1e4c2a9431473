//! The schema brought up to date, in one transaction: behind a pooler a session's lock could be left behind in a session of
//! others.

use std::cmp::Ordering;

use sqlx::migrate::MigrateError;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::pool::Pool;
use super::transaction::{Access, Transaction};
use crate::deadline::{Deadline, MIGRATION, Patience};
use crate::{StoreError, migrations};

/// Brings the schema up to date, unless it is: a role that may not change it can open it then.
pub(super) async fn migrate(pool: &Pool) -> Result<(), StoreError> {
    const KNOWN: &str = "-- postgres::migrate
SELECT to_regclass('public._sqlx_migrations') IS NOT NULL";
    const VERSION: &str = "-- postgres::migrate
SELECT COALESCE(MAX(version), 0) FROM public._sqlx_migrations";
    let needs = migrations::newest(&migrations::postgres());
    let mut tx = Transaction::begin(pool, Access::Read, super::OWN_TABLES, Patience::USUAL.usual).await?;
    let (known,): (bool,) = sqlx::query_as(KNOWN).fetch_one(&mut *tx).await?;
    let (version,): (i64,) = if known { sqlx::query_as(VERSION).fetch_one(&mut *tx).await? } else { (0,) };
    match version.cmp(&needs) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => {
            let oldest = oldest_program(&mut tx, "public", version).await?;
            if migrations::may_use(needs, oldest) { Ok(()) } else { Err(StoreError::NewerSchema { version }) }
        }
        Ordering::Less => {
            drop(tx);
            let mut outcome = run(pool, Session::Own).await;
            if ["42P05", "26000"].iter().any(|state| is(&outcome, state)) {
                outcome = run(pool, Session::OfAPooler).await;
            }
            if is(&outcome, "42501") { Err(StoreError::SchemaRights { version, needs }) } else { outcome }
        }
    }
}

/// The oldest program that may use a schema newer than ours, as that schema says; none where it does not say, or not to this
/// role.
pub(super) async fn oldest_program(
    tx: &mut Transaction,
    schema: &'static str,
    version: i64,
) -> Result<Option<i64>, StoreError> {
    const READABLE: &str = "-- postgres::oldest_program
SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = 'schema_support'";
    const OURS: &str = "-- postgres::oldest_program
SELECT oldest_program FROM public.schema_support WHERE version = $1";
    const ELSEWHERE: &str = "-- postgres::oldest_program
SELECT oldest_program FROM ledger.schema_support WHERE version = $1";
    let readable: Option<(bool,)> = sqlx::query_as(READABLE).bind(schema).fetch_optional(&mut **tx).await?;
    if readable != Some((true,)) {
        return Ok(None);
    }
    let asked = if schema == "ledger" { ELSEWHERE } else { OURS };
    let oldest: Option<(i64,)> = sqlx::query_as(asked).bind(version).fetch_optional(&mut **tx).await?;
    Ok(oldest.map(|(oldest,)| oldest))
}

/// Whose statements are in a session by the names that the migrator gives its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Session {
    /// No other's.
    Own,
    /// Some of others, which are forgotten first.
    OfAPooler,
}

/// Runs the migrations on a connection that nothing else is asked of afterwards.
async fn run(pool: &Pool, session: Session) -> Result<(), StoreError> {
    let mut lease = pool.acquire(Deadline::after(Patience::USUAL.usual)).await?;
    Ok(Deadline::after(MIGRATION).limit(run_on(&mut lease, session)).await??)
}

async fn run_on(connection: &mut PgConnection, session: Session) -> Result<(), MigrateError> {
    const BEGIN: &str = "BEGIN; SET LOCAL search_path = public, monitor; SET LOCAL statement_timeout = 0; \
        SET LOCAL lock_timeout = 0";
    const FORGET: &str = "DEALLOCATE ALL";
    const ALONE: &str = "SELECT pg_advisory_xact_lock(hashtext('sealwatch.migrate'))";
    // A process of the old version may hold rows, but not for long.
    const PATIENT: &str = "SET LOCAL lock_timeout = '60s'";
    let mut tx = connection.begin_with(BEGIN).await?;
    if session == Session::OfAPooler {
        tx.execute(FORGET).await?;
    }
    tx.execute(ALONE).await?;
    tx.execute(PATIENT).await?;
    let mut migrator = migrations::postgres();
    migrator.set_locking(false);
    migrator.run_direct(None, &mut *tx, false).await?;
    Ok(tx.commit().await?)
}

/// Whether the database refused for one reason, by its SQLSTATE.
fn is(outcome: &Result<(), StoreError>, state: &str) -> bool {
    let Err(StoreError::Migrate { cause }) = outcome else { return false };
    let (MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) = cause else { return false };
    cause.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == state)
}
