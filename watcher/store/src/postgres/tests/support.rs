//! Schemas of other versions: newer ones that this program may use, and one of before that is brought up to date.

use super::*;
use crate::migrations::{self, version_3};
use crate::testing::TestDatabase;
use crate::{Jobs as _, Status as _};

fn newer(version: i64, oldest: Option<i64>) -> String {
    let support = match oldest {
        Some(oldest) => format!("INSERT INTO schema_support VALUES ({version}, {oldest})"),
        None => String::new(),
    };
    format!("INSERT INTO _sqlx_migrations VALUES ({version}, 'later', now(), true, '', 0); {support}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_that_names_this_program_is_used_by_every_role() {
    const NAME: &str = "a_newer_schema_that_names_this_program_is_used_by_every_role";
    let Some(database) = TestDatabase::postgres(NAME).await else { return };
    database
        .run(|database| async move {
            let roles = Roles::create(&database).await;
            let all = [&roles.owner, &roles.intake, &roles.worker, &roles.monitor];
            let newest = migrations::newest(&migrations::postgres());
            let refused = async |version: i64| {
                for role in all {
                    let Err(error) = PostgresStore::open_with(role.clone()).await else { panic!("opened {version}") };
                    assert!(matches!(error, StoreError::NewerSchema { version: said } if said == version), "{error}");
                    assert!(!error.is_transient());
                }
            };
            by_hand(&roles.owner, &newer(newest + 1, Some(newest))).await.unwrap();
            for role in all {
                let store = PostgresStore::open_with(role.clone()).await.unwrap();
                store.ping().await.unwrap();
                store.close().await;
            }
            // Each version speaks for itself: the newest that is there counts.
            by_hand(&roles.owner, &newer(newest + 2, Some(newest + 1))).await.unwrap();
            refused(newest + 2).await;
            by_hand(&roles.owner, &newer(newest + 3, Some(1))).await.unwrap();
            PostgresStore::open_with(roles.worker.clone()).await.unwrap();
            by_hand(&roles.owner, &newer(newest + 4, None)).await.unwrap();
            refused(newest + 4).await;
            // A table that this role may not read says nothing.
            by_hand(&roles.owner, &format!("INSERT INTO schema_support VALUES ({}, 1)", newest + 4)).await.unwrap();
            let revoke = format!("REVOKE ALL ON schema_support FROM {}", roles.intake.get_username());
            by_hand(&roles.owner, &revoke).await.unwrap();
            PostgresStore::open_with(roles.worker.clone()).await.unwrap();
            let Err(error) = PostgresStore::open_with(roles.intake.clone()).await else { panic!("opened") };
            assert!(matches!(error, StoreError::NewerSchema { .. }), "{error}");
            by_hand(&roles.owner, "DROP TABLE schema_support").await.unwrap();
            refused(newest + 4).await;
            roles.drop().await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_version_3_keeps_all_that_it_has() {
    let Some(database) = TestDatabase::postgres("a_database_of_version_3_keeps_all_that_it_has").await else { return };
    database
        .run(|database| async move {
            let options = database.postgres_options();
            by_hand(&options, "DROP SCHEMA monitor CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
                .await
                .unwrap();
            let mut connection =
                PgConnection::connect_with(&options.clone().options([("search_path", "public,monitor")]))
                    .await
                    .unwrap();
            let third = migrations::until(migrations::postgres(), 3);
            third.run_direct(None, &mut connection, false).await.unwrap();
            for row in version_3::postgres() {
                let said = sqlx::raw_sql(sqlx::AssertSqlSafe(row.clone())).execute(&mut connection).await;
                said.unwrap_or_else(|error| panic!("{row}: {error}"));
            }
            // As a dump that was restored leaves it.
            let sequence = "SELECT setval(pg_get_serial_sequence('signatures', 'id'), 12)";
            sqlx::query(sequence).execute(&mut connection).await.unwrap();
            let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
                WHERE schemaname IN ('public', 'monitor') AND tablename <> '_sqlx_migrations' ORDER BY 1";
            let tables: Vec<(String,)> = sqlx::query_as(tables).fetch_all(&mut connection).await.unwrap();
            let mut before = Vec::new();
            for (table,) in tables {
                let count = format!("SELECT COUNT(*) FROM {table}");
                let (count,): (i64,) =
                    sqlx::query_as(sqlx::AssertSqlSafe(count)).fetch_one(&mut connection).await.unwrap();
                assert!(count > 0, "the test has no row for {table}");
                before.push((table, count));
            }
            assert!(before.len() > 25, "{before:?}");

            let store = PostgresStore::open_with(options.clone()).await.unwrap();
            for (table, rows) in before {
                let count = format!("SELECT COUNT(*) FROM {table}");
                let (count,): (i64,) =
                    sqlx::query_as(sqlx::AssertSqlSafe(count)).fetch_one(&mut connection).await.unwrap();
                assert_eq!(count, rows, "{table}");
            }
            connection.close().await.unwrap();
            version_3::check(&store).await;
            for (sql, reason) in version_3::REFUSED {
                let error = by_hand(&options, sql).await.unwrap_err();
                assert!(error.to_string().contains(reason), "{sql}: {error}");
            }
            // Once more: nothing is left to do.
            PostgresStore::open_with(options).await.unwrap();
            assert_eq!(store.lease_job(1_000).await.unwrap().map(|job| job.id), Some(1));
        })
        .await;
}
