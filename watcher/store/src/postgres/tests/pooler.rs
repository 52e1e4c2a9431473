//! A real pgbouncer before the server, which gives each session, or each transaction, a connection of few.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;
use crate::testing::{TestDatabase, digest, job, signed_row};
use crate::{FinishedJob, JobOutcome, Jobs as _, LedgerView as _, Status as _};

/// A pgbouncer that ends with the test.
struct Pgbouncer {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pgbouncer {
    /// None where there is no such program; on CI there must be one.
    #[allow(clippy::print_stderr, reason = "a test that did not run must say so")]
    fn start(server: &PgConnectOptions, mode: &str) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| Path::new(path).exists());
        let Some(program) = program else {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "there is no pgbouncer on CI");
            eprintln!("SKIPPED (there is no pgbouncer): {mode}");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (users, settings) = (folder.path().join("users"), folder.path().join("ini"));
        std::fs::write(&users, format!("\"{}\" \"\"\n", server.get_username())).unwrap();
        let text = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = trust\n\
             auth_file = {}\npool_mode = {mode}\ndefault_pool_size = 60\nunix_socket_dir =\n",
            server.get_host(),
            server.get_port(),
            users.display()
        );
        // In a transaction's mode few connections serve many, so that each is given to all in turn.
        let text = if mode == "transaction" { text.replace("pool_size = 60", "pool_size = 3") } else { text };
        std::fs::write(&settings, text).unwrap();
        let mut command = Command::new(program);
        // It does not run as root; as another user it says that it needs no other.
        if std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
            command.args(["-u", "nobody"]);
        }
        let child = command.arg(settings).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Some(Self { child, port, _folder: folder })
    }
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Opens the store as soon as pgbouncer listens.
async fn open(options: &PgConnectOptions) -> PostgresStore {
    for _ in 0..100 {
        match PostgresStore::open_with(options.clone()).await {
            Ok(store) => return store,
            Err(StoreError::Connect { cause: sqlx::Error::Io(_), .. }) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("pgbouncer does not listen");
}

async fn works_behind(mode: &'static str, is_pooled: bool) {
    let Some(database) = TestDatabase::postgres(mode).await else { return };
    database
        .run(move |database| async move {
            let server = database.postgres_options();
            let Some(pgbouncer) = Pgbouncer::start(&server, mode) else { return };
            let options = server.clone().host("127.0.0.1").port(pgbouncer.port);
            // The schema is made behind it, too.
            by_hand(&server, "DROP SCHEMA public CASCADE; DROP SCHEMA monitor CASCADE; CREATE SCHEMA public")
                .await
                .unwrap();
            let first = open(&options).await;
            let (second, third) = tokio::join!(open(&options), open(&options));
            // Somebody else's statements, by the names that ours have.
            let mut stranger = PgConnection::connect_with(&options.clone().extra_float_digits(None)).await.unwrap();
            let stores = [&first, &second, &third];
            let mut work = Vec::new();
            for (number, store) in (0..120_u64).zip(stores.into_iter().cycle()) {
                work.push(async move {
                    // The call by which the pooler is noticed is the only one that may fail, and passes.
                    let asked = job("team/app", digest(number), "v1");
                    let mut queued = store.enqueue_job(&asked).await;
                    if queued.as_ref().is_err_and(StoreError::is_transient) {
                        queued = store.enqueue_job(&asked).await;
                    }
                    queued.unwrap();
                    signed_row(store, number).await;
                    store.counts().await.unwrap();
                });
            }
            futures_util::future::join_all(work).await;
            sqlx::query("SELECT 1").execute(&mut stranger).await.ok();
            let mut done = 0;
            while let Some(leased) = stores[done % 3].lease_job(60_000).await.unwrap() {
                let ended = stores[(done + 1) % 3].finish_job(&leased, &JobOutcome::Signed).await.unwrap();
                assert_eq!(ended, FinishedJob::Done);
                done += 1;
            }
            assert_eq!(done, 120);
            let counts = first.counts().await.unwrap();
            assert_eq!((counts.jobs_done, counts.ledger_signed), (120, 120));
            assert_eq!(third.ledger_rows_after(0, 1_000).await.unwrap().len(), 120);
            assert_eq!(
                first.pool.is_pooled() || second.pool.is_pooled() || third.pool.is_pooled(),
                is_pooled,
                "{mode}"
            );
            for store in stores {
                store.close().await;
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_that_gives_each_session_a_connection() {
    works_behind("session", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_that_gives_each_transaction_a_connection() {
    works_behind("transaction", true).await;
}
