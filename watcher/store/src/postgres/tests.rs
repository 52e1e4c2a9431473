//! What only PostgreSQL does: a server that may be away, and several processes at once.

mod dark;
mod gate;
mod intake_role;
mod password;
mod pooler;
mod roles;
mod support;
mod tls;
mod two_databases;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use super::*;
use crate::testing::{TestDatabase, postgres_server};
use crate::{
    CertificateKeys as _, Findings as _, FollowedLogs as _, Jobs as _, Ledger as _, LedgerKeysSeen as _,
    LedgerView as _, Observations as _, OwnEntries as _, Retention as _, Status as _,
};
use roles::Roles;

#[tokio::test]
async fn a_wrong_url_is_explained_without_its_password() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let urls = [
        format!("postgres://someone:hunter2@127.0.0.1:{closed}/sealwatch"),
        "postgres://someone:hunter2@db.example.com/sealwatch".to_owned(),
        "postgres://someone@127.0.0.1/sealwatch?sslmode=disable&pass%77ord=hunter2".to_owned(),
        "postgres://someone:hunter2@127.0.0.1:notaport/sealwatch".to_owned(),
        "postgres://someone:hun/ter2@127.0.0.1/sealwatch".to_owned(),
        "postgres://someone@127.0.0.1/sealwatch?password=hunter2&sslmode=maybe".to_owned(),
    ];
    for url in urls {
        let Err(error) = crate::open(&url).await else { panic!("{url} was opened") };
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("hunter2") && !shown.contains("ter2"), "{shown}");
            assert!(!shown.contains("hun/"), "{shown}");
        }
    }
    let Err(error) = crate::open("postgres://someone:hunter2@db.example.com/sealwatch").await else { panic!("opened") };
    assert!(matches!(error, StoreError::Password) && !error.is_transient(), "{error}");
    assert!(error.to_string().contains("[store] password_file"), "{error}");
    let url = format!("postgres://someone@127.0.0.1:{closed}/sealwatch");
    let Err(error) = crate::open(&url).await else { panic!("opened") };
    let shown = error.to_string();
    assert!(shown.contains(&format!("postgres://someone@127.0.0.1:{closed}/sealwatch")), "{shown}");
    assert!(shown.contains("refused"), "{shown}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let Some(server) = postgres_server("a_database_that_does_not_exist_is_named") else { return };
    let Err(error) = PostgresStore::open_with(server.database("no_such_database")).await else { panic!("opened") };
    assert!(error.to_string().contains("no_such_database"), "{error}");
}

#[tokio::test]
async fn processes_that_start_together_migrate_once() {
    let Some(database) = TestDatabase::postgres("processes_that_start_together_migrate_once").await else {
        return;
    };
    database
        .run(|database| async move {
            let again = || async {
                let store = database.open_again().await.unwrap();
                store.ping().await.unwrap();
                store.close().await;
            };
            tokio::join!(again(), again(), again());
        })
        .await;
}

/// Runs SQL by hand, as a person with `psql` would; each call has a connection of its own.
async fn by_hand(options: &PgConnectOptions, sql: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
    connection.close().await
}

fn is_refused(outcome: Result<(), sqlx::Error>) -> bool {
    let error = outcome.unwrap_err();
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "42501")
}

#[tokio::test]
async fn a_role_that_may_not_change_the_schema_is_told_what_to_do() {
    let Some(database) = TestDatabase::postgres("a_role_that_may_not_change_the_schema_is_told_what_to_do").await
    else {
        return;
    };
    database
        .run(|database| async move {
            let roles = Roles::create(&database).await;
            let owner = roles.owner.clone();
            by_hand(&owner, "DELETE FROM _sqlx_migrations WHERE version >= 2").await.unwrap();
            for options in [&roles.intake, &roles.worker, &roles.monitor] {
                let Err(error) = PostgresStore::open_with(options.clone()).await else { panic!("opened") };
                assert!(matches!(error, StoreError::SchemaRights { version: 1, needs: 4 }), "{error}");
                assert!(error.to_string().contains("owner's role") && !error.is_transient(), "{error}");
            }
            // A newer one is not touched either.
            by_hand(&owner, "INSERT INTO _sqlx_migrations VALUES (99, 'later', now(), true, '', 0)").await.unwrap();
            let Err(error) = PostgresStore::open_with(roles.worker.clone()).await else { panic!("opened") };
            assert!(matches!(error, StoreError::NewerSchema { version: 99 }), "{error}");
            // And on a database with nothing in it.
            by_hand(&owner, "DROP SCHEMA monitor CASCADE; DROP TABLE _sqlx_migrations").await.unwrap();
            let Err(error) = PostgresStore::open_with(roles.worker.clone()).await else { panic!("opened") };
            assert!(matches!(error, StoreError::SchemaRights { version: 0, needs: 4 }), "{error}");
            roles.drop().await;
        })
        .await;
}

#[tokio::test]
async fn a_search_path_in_the_url_is_refused() {
    let url = "postgres://someone@127.0.0.1:1/sealwatch?options[search_path]=tenant";
    let Err(error) = crate::open(url).await else { panic!("opened") };
    assert!(error.to_string().contains("search_path"), "{error}");
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date_with_the_keys_that_it_has() {
    let Some(database) = TestDatabase::postgres("a_database_of_the_first_version_is_brought_up_to_date").await else {
        return;
    };
    database
        .run(|database| async move {
            let options = database.postgres_options();
            by_hand(&options, "DROP SCHEMA monitor CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
                .await
                .unwrap();
            let mut connection = sqlx::PgConnection::connect_with(&options).await.unwrap();
            let first = crate::migrations::until(crate::migrations::postgres(), 1);
            first.run_direct(None, &mut connection, false).await.unwrap();
            let row = "INSERT INTO identities VALUES ('fingerprint', 'prod', 1);
                INSERT INTO signatures (id, registry, repository, digest, identity, format, identity_name,
                    public_key_spki, log_origin, trust_zone, class, stage, intended_at, adopted)
                VALUES (7, 'registry.example.com', 'team/app', 'sha256:00', 'fingerprint', 'bundle', 'release',
                    '\\x010203', 'log.example.com', 'prod', 'push', 'intended', 1000, 0)";
            by_hand(&options, row).await.unwrap();
            let store = database.open_again().await.unwrap();
            assert_eq!(store.ledger_newest().await.unwrap(), Some((7, 1_000)));
            let keys = store.identity_keys().await.unwrap();
            assert_eq!(keys.into_iter().map(|key| key.spki).collect::<Vec<_>>(), [Some(vec![1, 2, 3])]);
            store.close().await;
        })
        .await;
}
