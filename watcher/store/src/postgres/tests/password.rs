//! The password: in a file that may change, in `PGPASSFILE`, and never in a message.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::gate::Gate;
use super::*;
use crate::Status as _;
use crate::testing::TestDatabase;

/// Set for the process that a test starts to have an environment of its own.
const CHILD: &str = "SEALWATCH_TEST_PASSWORD_CHILD";

fn url(database: &TestDatabase, gate: &Gate) -> String {
    let options = database.postgres_options();
    format!("postgres://{}@127.0.0.1:{}/{}", options.get_username(), gate.port, options.get_database().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_needs_no_restart() {
    let Some(database) = TestDatabase::postgres("a_new_password_needs_no_restart").await else { return };
    database
        .run(|database| async move {
            let gate = Gate::with(&database.postgres_options(), None, Some("first")).await;
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("password");
            let config = StoreConfig { password_file: Some(path.clone()), ..StoreConfig::from(&url(&database, &gate)) };

            let Err(error) = PostgresStore::open(&config).await else { panic!("opened without a file") };
            assert!(matches!(error, StoreError::PasswordFile { .. }), "{error}");
            std::fs::write(&path, "\n").unwrap();
            let Err(error) = PostgresStore::open(&config).await else { panic!("opened with an empty file") };
            assert!(error.to_string().contains("password: it is empty"), "{error}");
            std::fs::write(&path, "wrong-hunter2\n").unwrap();
            let Err(error) = PostgresStore::open(&config).await else { panic!("opened with a wrong password") };
            assert!(error.to_string().contains("password authentication failed"), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");

            // A line end as an editor leaves it, of either kind, is not part of it.
            std::fs::write(&path, "first\r\n").unwrap();
            let store = PostgresStore::open(&config).await.unwrap();
            store.ping().await.unwrap();
            // The server's password changes before the file: what is connected stays, what is new fails until then.
            while store.pool.idle() == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            gate.set_password("second \n");
            store.ping().await.unwrap();
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
            by_hand(&database.postgres_options(), end).await.unwrap();
            let error = store.ping().await.unwrap_err();
            assert!(error.to_string().contains("password authentication failed") && error.is_transient(), "{error}");
            std::fs::remove_file(&path).unwrap();
            let error = store.ping().await.unwrap_err();
            assert!(matches!(error, StoreError::PasswordFile { .. }) && error.is_transient(), "{error}");
            std::fs::write(&path, "second \n\n").unwrap();
            store.ping().await.unwrap();
        })
        .await;
}

/// Runs one test of this file again, in a process with an environment of its own.
async fn run_with(test: &str, url: &str, environment: Vec<(&'static str, PathBuf)>) -> std::process::Output {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("postgres::tests::password::{test}"), "--nocapture"]);
    command.env_remove("PGPASSWORD").env_remove("PGPASSFILE").env(CHILD, url).envs(environment);
    // The proxy answers meanwhile.
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_and_pgpassfile_work() {
    if let Ok(url) = std::env::var(CHILD) {
        return match crate::open(&url).await {
            Ok(store) => store.ping().await.unwrap(),
            Err(error) => panic!("{error}"),
        };
    }
    let Some(database) = TestDatabase::postgres("the_environment_and_pgpassfile_work").await else { return };
    database
        .run(|database| async move {
            let gate = Gate::with(&database.postgres_options(), None, Some("from a file")).await;
            let url = url(&database, &gate);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("pgpass");
            let port = gate.port;
            std::fs::write(&path, format!("db.example.com:*:*:*:other\n127.0.0.1:{port}:*:*:from a file\n")).unwrap();
            let set_mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let run = |environment| run_with("the_environment_and_pgpassfile_work", &url, environment);
            set_mode(0o600);
            let opened = run(vec![("PGPASSFILE", path.clone())]).await;
            assert!(opened.status.success(), "{opened:?}");
            // A file that others may read is as good as none.
            set_mode(0o644);
            let refused = run(vec![("PGPASSFILE", path.clone()), ("HOME", folder.path().to_owned())]).await;
            assert!(!refused.status.success());
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(said.contains("password authentication failed"), "{said}");
            assert!(run(vec![("PGPASSWORD", PathBuf::from("from a file"))]).await.status.success());
        })
        .await;
}
