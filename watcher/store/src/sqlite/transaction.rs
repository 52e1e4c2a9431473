//! A transaction and a read on SQLite, whose every statement has a deadline: a disk may stand still.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqlitePool};

use crate::StoreError;
use crate::deadline::{Deadline, Timed, ask_in_time, carried, read_in_time};

/// A transaction; dropped without a commit, it is rolled back.
pub(crate) struct Transaction(Timed<sqlx::Transaction<'static, Sqlite>>);

impl Transaction {
    /// Begins as the one that writes.
    pub(super) async fn begin(writer: &SqlitePool, patience: Duration) -> Result<Self, StoreError> {
        let deadline = Deadline::after(patience);
        let begun = deadline.limit(writer.begin_with("BEGIN IMMEDIATE")).await??;
        Ok(Self(Timed::new(begun, deadline)))
    }

    /// Makes what was written last.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        let Timed { connection, deadline, .. } = self.0;
        deadline.limit(connection.commit()).await.map_err(carried)?
    }

    /// Takes back what was written.
    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        let Timed { connection, deadline, .. } = self.0;
        deadline.limit(connection.rollback()).await.map_err(carried)?
    }
}

impl Deref for Transaction {
    type Target = Timed<sqlx::Transaction<'static, Sqlite>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

ask_in_time!(sqlx::Transaction<'static, Sqlite>, Sqlite, |connection, query| (&mut **connection).fetch_many(query));
ask_in_time!(PoolConnection<Sqlite>, Sqlite, |connection, query| (&mut **connection).fetch_many(query));

/// Reads, each statement by itself.
#[derive(Debug)]
pub(crate) struct Reader<'c> {
    pub(super) pool: &'c SqlitePool,
    pub(super) patience: Duration,
}

impl Reader<'_> {
    async fn begin(&self) -> Result<Box<Timed<PoolConnection<Sqlite>>>, StoreError> {
        let deadline = Deadline::after(self.patience);
        let connection = deadline.limit(self.pool.acquire()).await??;
        Ok(Box::new(Timed::new(connection, deadline)))
    }
}

read_in_time!(Reader, Sqlite);
