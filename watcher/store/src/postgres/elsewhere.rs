//! The ledger of another database, as foreign tables of this one (`deploy/samples/postgres-two-databases.sql`).

use sqlx::PgConnection;

use super::CONNECT_TIMEOUT;
use crate::{StoreError, migrations};

/// How long a statement may take that may have to wait for the other server.
pub(super) const PATIENCE: (&str, &str) = ("statement_timeout", "300000");

/// Whether the ledger is in another database. Refused where this role cannot read it, where it has another schema than the
/// one that we read, and where it would hide tables of the monitor's own. That the other server does not answer is no
/// reason: what needs the ledger says so, and the rest goes on.
pub(super) async fn ledger(connection: &mut PgConnection) -> Result<bool, StoreError> {
    const READABLE: &str = "-- postgres::ledger
SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AND EXISTS (
    SELECT 1 FROM pg_foreign_table f JOIN pg_user_mappings m ON m.srvid = f.ftserver
    WHERE f.ftrelid = c.oid AND m.usename IN (current_user, 'public'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'ledger' AND c.relname = '_sqlx_migrations' AND c.relkind = 'f'";
    const HIDES: &str = "-- postgres::ledger
SELECT c.relname::TEXT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'ledger'
    JOIN pg_class o ON o.relname = c.relname JOIN pg_namespace m ON m.oid = o.relnamespace AND m.nspname = 'monitor'
WHERE c.relkind <> 'c' ORDER BY c.relname LIMIT 1";
    const VERSION: &str = "-- postgres::ledger
SELECT COALESCE(MAX(version), 0) FROM ledger._sqlx_migrations";
    let readable: Option<(bool,)> = sqlx::query_as(READABLE).fetch_optional(&mut *connection).await?;
    match readable {
        None => return Ok(false),
        // An empty ledger in its place would make a rogue of each signature of ours.
        Some((false,)) => return Err(StoreError::LedgerRights),
        Some((true,)) => {}
    }
    let hidden: Option<(String,)> = sqlx::query_as(HIDES).fetch_optional(&mut *connection).await?;
    if let Some((table,)) = hidden {
        return Err(StoreError::LedgerHides { table });
    }
    let needs = migrations::newest(&migrations::postgres());
    let asked = sqlx::query_as::<_, (i64,)>(VERSION).fetch_one(connection);
    match tokio::time::timeout(CONNECT_TIMEOUT, asked).await {
        Ok(Ok((version,))) if version != needs => Err(StoreError::LedgerSchema { version, needs }),
        Ok(Err(error)) if !is_away(&error) => Err(error.into()),
        Ok(_) | Err(_) => Ok(true),
    }
}

/// Whether the other server could not be reached: SQLSTATE class 08, and what postgres_fdw says of it.
fn is_away(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("08") || code == "HV00N")
}
