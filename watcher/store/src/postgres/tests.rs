//! What only PostgreSQL does: a server that may be away, and several processes at once.

use super::*;
use crate::testing::{TestDatabase, postgres_server};

#[tokio::test]
async fn a_wrong_url_is_explained_without_its_password() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let urls = [
        format!("postgres://someone:hunter2@127.0.0.1:{closed}/sealwatch"),
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
    let url = format!("postgres://someone:hunter2@127.0.0.1:{closed}/sealwatch");
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
