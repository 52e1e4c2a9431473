//! A look at a database that changes nothing, for checking a configuration.

use std::cmp::Ordering;

use super::OWN_TABLES;
use super::connector::Connector;
use super::pool::Pool;
use super::transaction::{Access, Transaction};
use crate::deadline::Patience;
use crate::{SchemaSeen, StoreConfig, StoreError, migrations};

/// Connects, reads which schema is there, and goes.
pub(crate) async fn look(config: &StoreConfig) -> Result<SchemaSeen, StoreError> {
    const KNOWN: &str = "-- postgres::look
SELECT to_regclass('public._sqlx_migrations') IS NOT NULL";
    const VERSION: &str = "-- postgres::look
SELECT COALESCE(MAX(version), 0) FROM public._sqlx_migrations";
    let pool = Pool::new(Connector::Configured(config.clone()));
    let mut tx = Transaction::begin(&pool, Access::Read, OWN_TABLES, Patience::USUAL.usual).await?;
    let (known,): (bool,) = sqlx::query_as(KNOWN).fetch_one(&mut *tx).await?;
    if !known {
        return Ok(SchemaSeen::Absent);
    }
    let (version,): (i64,) = sqlx::query_as(VERSION).fetch_one(&mut *tx).await?;
    match version.cmp(&migrations::newest(&migrations::postgres())) {
        Ordering::Less => Ok(SchemaSeen::Older { version }),
        Ordering::Equal => Ok(SchemaSeen::Current),
        Ordering::Greater => Err(StoreError::NewerSchema { version }),
    }
}
