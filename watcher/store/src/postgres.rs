//! PostgreSQL: many processes share the work. Claims skip rows that others claim, and leases run on
//! the server's clock.

pub(crate) mod connector;
mod elsewhere;
pub(crate) mod look;
mod migrate;
mod pool;
pub(crate) mod transaction;

use std::time::Duration;

use tokio::sync::watch;

use crate::deadline::{CLOSING, Loss, Patience};
use crate::dialect::stamp;
use crate::retention::Rights;
use crate::{NewEvent, StoreConfig, StoreError};

use connector::Connector;
use pool::Pool;
use transaction::{Access, Reader, Transaction};

/// Where tables are that this database has itself.
const OWN_TABLES: &str = "public, monitor";
/// Before them goes the ledger of another database, where the monitor has one of its own.
const ALL_TABLES: &str = "ledger, public, monitor";

/// The store in PostgreSQL.
pub(crate) struct PostgresStore {
    pool: Pool,
    patience: Patience,
    is_ledger_elsewhere: bool,
    wakeups: watch::Sender<u64>,
    rights: Rights,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the database that a configuration names.
    pub(crate) async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        Self::open_by(Connector::Configured(config.clone()), Patience::USUAL).await
    }

    #[cfg(test)]
    pub(crate) async fn open_with(options: sqlx::postgres::PgConnectOptions) -> Result<Self, StoreError> {
        Self::open_by(Connector::Given(Box::new(options)), Patience::USUAL).await
    }

    async fn open_by(connector: Connector, patience: Patience) -> Result<Self, StoreError> {
        let pool = Pool::new(connector);
        match Self::open_on(pool.clone(), patience).await {
            // What was learned of the pooler is known the next time.
            Err(StoreError::Database(error)) if Loss::of(&error) == Some(Loss::Session) && pool.is_pooled() => {
                Self::open_on(pool, patience).await
            }
            outcome => outcome,
        }
    }

    async fn open_on(pool: Pool, patience: Patience) -> Result<Self, StoreError> {
        migrate::migrate(&pool).await?;
        let mut tx = Transaction::begin(&pool, Access::Read, OWN_TABLES, patience.usual).await?;
        let rights = rights(&mut tx).await?;
        tx.commit().await?;
        let mut tx = Transaction::begin(&pool, Access::Read, OWN_TABLES, patience.usual).await?;
        let is_ledger_elsewhere = elsewhere::is_ledger_elsewhere(&mut tx).await?;
        drop(tx);
        // A statement that may have to wait for the other server takes as long as that takes.
        let patience = if is_ledger_elsewhere { Patience { usual: patience.long, ..patience } } else { patience };
        Ok(Self { pool, patience, is_ledger_elsewhere, wakeups: watch::Sender::new(0), rights })
    }

    fn search_path(&self) -> &'static str {
        if self.is_ledger_elsewhere { ALL_TABLES } else { OWN_TABLES }
    }

    async fn begin(&self) -> Result<Transaction, StoreError> {
        Transaction::begin(&self.pool, Access::Write, self.search_path(), self.patience.usual).await
    }

    /// A transaction that may walk a table.
    async fn begin_long(&self) -> Result<Transaction, StoreError> {
        Transaction::begin(&self.pool, Access::Write, self.search_path(), self.patience.long).await
    }

    /// A transaction that waits for its like: without it, an id may become visible after a larger one, and a reader that
    /// goes on from a cursor would miss it.
    async fn begin_in_turn(&self) -> Result<Transaction, StoreError> {
        const TURN: &str = "-- postgres::begin_in_turn
SELECT pg_advisory_xact_lock(hashtext('sealwatch.in_turn'))";
        let mut tx = self.begin().await?;
        sqlx::query(TURN).execute(&mut *tx).await?;
        Ok(tx)
    }

    fn reader(&self) -> Reader<'_> {
        self.reader_within(self.patience.usual)
    }

    /// Reads what may walk a table.
    fn reader_long(&self) -> Reader<'_> {
        self.reader_within(self.patience.long)
    }

    fn reader_within(&self, patience: Duration) -> Reader<'_> {
        Reader { store: self, patience }
    }

    /// The server groups the commits of concurrent callers by itself.
    async fn record_batch(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        Self::insert_events(&mut tx, &events.iter().collect::<Vec<_>>()).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn close_connections(&self) {
        self.pool.close(CLOSING.min(self.patience.usual)).await;
    }
}

impl crate::dialect::Engine for sqlx::Postgres {
    type Transaction = Transaction;
}

/// Which side's rows this role may delete.
async fn rights(tx: &mut Transaction) -> Result<Rights, StoreError> {
    const RIGHTS: &str = "-- postgres::rights
SELECT has_table_privilege('public.jobs', 'DELETE'), has_schema_privilege('monitor', 'USAGE')";
    let (signer, monitor) = sqlx::query_as(RIGHTS).fetch_one(&mut **tx).await?;
    Ok(Rights { signer, monitor })
}

stamp!(
    PostgresStore,
    sqlx::Postgres,
    now = "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)",
    claim = "FOR UPDATE SKIP LOCKED"
);

#[cfg(test)]
mod tests;
