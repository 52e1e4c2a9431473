//! The ledger of another database, as foreign tables of this one (`deploy/samples/postgres-two-databases.sql`).

use super::connector::CONNECT_TIMEOUT;
use super::migrate::oldest_program;
use super::transaction::Transaction;
use crate::deadline::Deadline;
use crate::{StoreError, migrations};

/// What is read there. Where one were not, the empty table of the same name in public would be taken for it.
const TABLES: &[&str] =
    &["identities", "signatures", "log_entries", "materials", "certificate_keys", "observations", "conditions"];

/// Whether the ledger is in another database. Refused where this role cannot read it, where it has another schema than the
/// one that we read, and where it would hide tables of the monitor's own. That the other server does not answer is no
/// reason: what needs the ledger says so, and the rest goes on.
pub(super) async fn is_ledger_elsewhere(tx: &mut Transaction) -> Result<bool, StoreError> {
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
    const LACKS: &str = "-- postgres::ledger
SELECT t FROM unnest($1::TEXT[]) t WHERE NOT EXISTS (
    SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'ledger'
    WHERE c.relname = t AND c.relkind = 'f')
ORDER BY t LIMIT 1";
    const VERSION: &str = "-- postgres::ledger
SELECT COALESCE(MAX(version), 0) FROM ledger._sqlx_migrations";
    let readable: Option<(bool,)> = sqlx::query_as(READABLE).fetch_optional(&mut **tx).await?;
    match readable {
        None => return Ok(false),
        // An empty ledger in its place would make a rogue of each signature of ours.
        Some((false,)) => return Err(StoreError::LedgerRights),
        Some((true,)) => {}
    }
    let hidden: Option<(String,)> = sqlx::query_as(HIDES).fetch_optional(&mut **tx).await?;
    if let Some((table,)) = hidden {
        return Err(StoreError::LedgerHides { table });
    }
    let lacks: Option<(String,)> = sqlx::query_as(LACKS).bind(TABLES).fetch_optional(&mut **tx).await?;
    if let Some((table,)) = lacks {
        return Err(StoreError::LedgerLacks { table });
    }
    let needs = migrations::newest(&migrations::postgres());
    let asked = async {
        let (version,): (i64,) = sqlx::query_as(VERSION).fetch_one(&mut **tx).await?;
        let oldest = if version > needs { oldest_program(tx, "ledger", version).await? } else { None };
        Ok::<_, StoreError>((version, oldest))
    };
    match Deadline::after(CONNECT_TIMEOUT).limit(asked).await {
        Ok(Ok((version, oldest))) if version != needs && !migrations::may_use(needs, oldest) => {
            Err(StoreError::LedgerSchema { version, needs })
        }
        Ok(Err(error)) if !is_away(&error) => Err(error),
        Ok(_) | Err(_) => Ok(true),
    }
}

/// Whether the other server could not be reached: SQLSTATE class 08, and what postgres_fdw says of it.
fn is_away(error: &StoreError) -> bool {
    let StoreError::Database(error) = error else { return false };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("08") || code == "HV00N")
}
