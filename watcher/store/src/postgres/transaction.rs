//! A transaction on PostgreSQL. What a statement needs of its session is set within the transaction: where the tables are,
//! and how long it may wait. So it is the same behind a pooler that gives each transaction another session.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgStatement};
use sqlx::{AssertSqlSafe, Execute, Executor as _, Postgres, Row as _, SqlStr};

use super::PostgresStore;
use super::pool::{Lease, Pool};
use crate::StoreError;
use crate::deadline::{Deadline, Loss, Patience, Timed, ask_in_time, read_in_time};

/// The usual patience; of more, a dead connection is not given a larger part.
const USUAL: Duration = Patience::USUAL.usual;
/// How long a connection has to take back what was not committed.
const ROLLBACK: Duration = Duration::from_secs(5);
/// How long a statement waits for a lock, at most. All locks of ours are held for moments.
const LOCK: Duration = Duration::from_secs(20);

/// What a transaction is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    Read,
    Write,
}

/// A transaction; dropped without a commit, it is rolled back. Its connection is used again only where it has answered to
/// all that it was asked.
pub(crate) struct Transaction {
    timed: Timed<Lease>,
    end: End,
}

/// How a transaction ends when it is dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// It has ended.
    Over,
    /// Nothing was written: the cheaper end.
    Commit,
    Rollback,
}

impl Transaction {
    /// Begins on a connection that answers.
    pub(super) async fn begin(
        pool: &Pool,
        access: Access,
        search_path: &str,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let deadline = Deadline::after(patience);
        loop {
            let lease = pool.acquire(deadline).await?;
            let (was_used, session) = (lease.was_used, lease.session().map(str::to_owned));
            // A connection that was idle may be dead: there must be time left for another one.
            let hello = if was_used { deadline.or_after(patience.min(USUAL) / 6) } else { deadline };
            let mut timed = Timed::new(lease, hello);
            let statements = first_statements(access, search_path, patience, session.is_some());
            let said = timed.fetch_optional(sqlx::raw_sql(AssertSqlSafe(statements))).await;
            let found = match said {
                Ok(None) => None,
                Ok(Some(row)) => row.try_get::<Option<String>, _>(0)?,
                Err(error) => {
                    let loss = timed.flight.lost.or(Loss::of(&error)).unwrap_or(Loss::Connection);
                    timed.connection.lose(loss);
                    if was_used {
                        continue;
                    }
                    return Err(error.into());
                }
            };
            if session.is_some() && found != session {
                timed.connection.lose(Loss::Session);
                continue;
            }
            timed.deadline = deadline;
            let end = match access {
                Access::Read => End::Commit,
                Access::Write => End::Rollback,
            };
            return Ok(Self { timed, end });
        }
    }

    /// Makes what was written last.
    ///
    /// # Errors
    /// After a timeout or a broken connection it is not known whether it was.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.timed.execute("COMMIT").await?;
        self.end = End::Over;
        Ok(())
    }

    /// Takes back what was written.
    pub(crate) async fn rollback(mut self) -> Result<(), sqlx::Error> {
        self.timed.execute("ROLLBACK").await?;
        self.end = End::Over;
        Ok(())
    }
}

/// In one message, and so in one round trip.
fn first_statements(access: Access, search_path: &str, patience: Duration, is_named: bool) -> String {
    let begin = match access {
        Access::Read => "BEGIN READ ONLY",
        Access::Write => "BEGIN",
    };
    // The server ends a statement a little before we give up, so that an answer comes, and frees the locks of a
    // transaction that nothing is heard of a little after.
    let statement = (patience * 5 / 6).as_millis();
    let lock = LOCK.min(patience / 2).as_millis();
    let idle = (patience + ROLLBACK).as_millis();
    let session = if is_named { "; SELECT current_setting('sealwatch.session', true)" } else { "" };
    format!(
        "{begin}; SET LOCAL search_path = {search_path}; SET LOCAL statement_timeout = {statement}; \
         SET LOCAL lock_timeout = {lock}; SET LOCAL idle_in_transaction_session_timeout = {idle}{session}"
    )
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let lease = self.timed.connection.take();
        if let Some(loss) = self.timed.flight.lost {
            return lease.lose(loss);
        }
        if self.timed.flight.is_out {
            // The caller went away in the midst of a statement. Dropped, and so closed.
            return;
        }
        let last = match self.end {
            End::Over => return lease.put_back(),
            End::Commit => "COMMIT",
            End::Rollback => "ROLLBACK",
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let mut timed = Timed::new(lease, Deadline::after(ROLLBACK));
            let said = timed.execute(last).await;
            match (said, timed.flight.lost) {
                (Ok(_), None) => timed.connection.put_back(),
                (_, Some(loss)) => timed.connection.lose(loss),
                (Err(_), None) => {}
            }
        });
    }
}

impl Deref for Transaction {
    type Target = Timed<Lease>;

    fn deref(&self) -> &Timed<Lease> {
        &self.timed
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Timed<Lease> {
        &mut self.timed
    }
}

/// A statement that is prepared for once, without a name. In a session that others use too, a name may stand for a statement
/// of theirs.
struct Unnamed<E>(E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, sqlx::error::BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}

ask_in_time!(Lease, Postgres, |connection, query| {
    if connection.session().is_some() {
        (&mut **connection).fetch_many(query)
    } else {
        (&mut **connection).fetch_many(Unnamed(query))
    }
});

/// Reads: each statement in a transaction of its own.
#[derive(Debug)]
pub(crate) struct Reader<'c> {
    pub(super) store: &'c PostgresStore,
    pub(super) patience: Duration,
}

impl Reader<'_> {
    async fn begin(&self) -> Result<Transaction, StoreError> {
        Transaction::begin(&self.store.pool, Access::Read, self.store.search_path(), self.patience).await
    }
}

read_in_time!(Reader, Postgres);
