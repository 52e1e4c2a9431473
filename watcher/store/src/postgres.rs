//! PostgreSQL: many processes share the work. Claims skip rows that others claim, and leases run on
//! the server's clock.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use tokio::sync::watch;

use crate::dialect::stamp;
use crate::{NewEvent, StoreError, migrations};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECTIONS: u32 = 16;

/// The store in PostgreSQL.
pub(crate) struct PostgresStore {
    pool: PgPool,
    wakeups: watch::Sender<u64>,
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
        let options = options.application_name("sealwatch");
        let target = target(&options);
        // One connection by hand: a pool would try until its time is up and say only that.
        let connecting = PgConnection::connect_with(&options);
        let mut connection = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(cause)) => return Err(StoreError::Connect { target, cause }),
            Err(_) => {
                let seconds = CONNECT_TIMEOUT.as_secs();
                return Err(StoreError::ConnectTimeout { target, seconds });
            }
        };
        migrations::postgres().run_direct(None, &mut connection, false).await?;
        connection.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options);
        Ok(Self { pool, wakeups: watch::Sender::new(0) })
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin().await?)
    }

    fn reader(&self) -> &PgPool {
        &self.pool
    }

    /// The server groups the commits of concurrent callers by itself.
    async fn record_batch(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        Self::insert_events(&mut tx, events).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn close_connections(&self) {
        self.pool.close().await;
    }
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
