//! Schemas of other versions: newer ones that this program may use, and one of before that is brought up to date.

use super::*;
use crate::migrations::{self, version_3};

async fn opened(url: &str) -> SqlitePool {
    SqlitePoolOptions::new().max_connections(1).connect_with(parsed(url).unwrap().foreign_keys(true)).await.unwrap()
}

async fn by_hand(pool: &SqlitePool, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(pool).await.map(|_| ())
}

async fn count(pool: &SqlitePool, table: &str) -> i64 {
    let count = format!("SELECT COUNT(*) FROM {table}");
    let (count,) = sqlx::query_as(sqlx::AssertSqlSafe(count)).fetch_one(pool).await.unwrap();
    count
}

#[tokio::test]
async fn a_newer_schema_that_names_this_program_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("a.db").display());
    let newest = migrations::newest(&migrations::sqlite());
    SqliteStore::open(&url).await.unwrap().close().await;
    // Each version speaks for itself: the newest that is there counts.
    for (version, oldest, is_ours) in [
        (newest + 1, Some(newest), true),
        (newest + 2, Some(newest + 1), false),
        (newest + 3, Some(1), true),
        (newest + 4, None, false),
    ] {
        let pool = opened(&url).await;
        let later = format!("INSERT INTO _sqlx_migrations VALUES ({version}, 'later', 'now', 1, x'00', 0)");
        by_hand(&pool, &later).await.unwrap();
        if let Some(oldest) = oldest {
            by_hand(&pool, &format!("INSERT INTO schema_support VALUES ({version}, {oldest})")).await.unwrap();
        }
        pool.close().await;
        let (alone, beside) = (crate::open(&url).await, crate::open_beside(&url).await);
        for outcome in [alone, beside] {
            match outcome {
                Ok(store) => {
                    assert!(is_ours, "opened {version}");
                    store.ping().await.unwrap();
                    store.close().await;
                }
                Err(StoreError::NewerSchema { version: said }) => assert!(!is_ours && said == version),
                Err(error) => panic!("{version}: {error}"),
            }
        }
    }
    let pool = opened(&url).await;
    by_hand(&pool, "DROP TABLE schema_support").await.unwrap();
    pool.close().await;
    assert!(matches!(SqliteStore::open(&url).await, Err(StoreError::NewerSchema { .. })));
}

#[tokio::test]
async fn a_database_of_version_3_keeps_all_that_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let url = format!("sqlite:{}", path.display());
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(parsed(&url).unwrap().create_if_missing(true).foreign_keys(true))
        .await
        .unwrap();
    let third = migrations::until(migrations::sqlite(), 3);
    third.run_direct(None, &mut *pool.acquire().await.unwrap(), false).await.unwrap();
    for row in version_3::sqlite() {
        by_hand(&pool, &row).await.unwrap_or_else(|error| panic!("{row}: {error}"));
    }
    let tables =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_sqlx%'";
    let tables: Vec<(String,)> = sqlx::query_as(tables).fetch_all(&pool).await.unwrap();
    let mut before = Vec::new();
    for (table,) in tables {
        let rows = count(&pool, &table).await;
        assert!(rows > 0, "the test has no row for {table}");
        before.push((table, rows));
    }
    assert!(before.len() > 25, "{before:?}");
    pool.close().await;

    let store = SqliteStore::open(&url).await.unwrap();
    let broken: Vec<(String,)> =
        sqlx::query_as("SELECT \"table\" FROM pragma_foreign_key_check").fetch_all(&store.writer).await.unwrap();
    assert!(broken.is_empty(), "{broken:?}");
    let (whole,): (String,) = sqlx::query_as("PRAGMA integrity_check").fetch_one(&store.writer).await.unwrap();
    assert_eq!(whole, "ok");
    for (table, rows) in before {
        // The lock was one of a process that is gone.
        assert_eq!(count(&store.writer, &table).await, if table == "locks" { 0 } else { rows }, "{table}");
    }
    version_3::check(&store).await;
    for (sql, reason) in version_3::REFUSED {
        let error = by_hand(&store.writer, sql).await.unwrap_err();
        assert!(error.to_string().to_lowercase().contains(reason), "{sql}: {error}");
    }
    // No id is given twice, also where the newest row was lost.
    let (newest,): (i64,) = sqlx::query_as("SELECT MAX(id) FROM signatures").fetch_one(&store.writer).await.unwrap();
    by_hand(&store.writer, &format!("DELETE FROM signatures WHERE id = {newest}")).await.unwrap();
    let next = crate::testing::signed_row(&store, 78).await;
    assert!(next > newest, "{next} {newest}");
    store.close().await;
    drop(store);
    // Once more: nothing is left to do.
    SqliteStore::open(&url).await.unwrap();
}
