//! Connections that go dark, servers that change roles, callers that go away: each call ends, and the next one works.

use std::time::{Duration, Instant};

use super::gate::Gate;
use super::*;
use crate::testing::{TestDatabase, digest, event, job};
use crate::{Events as _, Jobs as _, Retention as _, Status as _};

const SHORT: Patience = Patience { usual: Duration::from_millis(1_200), long: Duration::from_millis(2_400) };

async fn open(options: PgConnectOptions, patience: Patience) -> PostgresStore {
    PostgresStore::open_by(Connector::Given(Box::new(options)), patience).await.unwrap()
}

async fn through(gate: &Gate, database: &TestDatabase, patience: Patience) -> PostgresStore {
    open(database.postgres_options().host("127.0.0.1").port(gate.port), patience).await
}

fn is_timeout<T>(outcome: Result<T, StoreError>) -> bool {
    outcome.is_err_and(|error| matches!(error, StoreError::Timeout { .. }) && error.is_transient())
}

/// Runs a test on a database behind a proxy.
macro_rules! behind_a_gate {
    ($(async fn $name:ident($gate:ident, $database:ident) $body:block)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let Some(database) = TestDatabase::postgres(stringify!($name)).await else { return };
            database
                .run(|$database| async move {
                    let $gate = Gate::before(&$database.postgres_options()).await;
                    $body
                })
                .await;
        }
    )+};
}

behind_a_gate! {
    async fn a_swallowed_answer_ends_in_a_timeout_and_the_next_call_works(gate, database) {
        // The answer to a write, to the end of a transaction, to a lease, to a read.
        for (word, call) in [("INSERT INTO jobs", 0), ("COMMIT", 0), ("UPDATE jobs", 1), ("COMMIT", 1), ("SELECT 1", 2)] {
            let store = through(&gate, &database, SHORT).await;
            // The last read of the start ends behind our back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            gate.darken_at(word);
            let began = Instant::now();
            let late = match call {
                0 => is_timeout(store.enqueue_job(&job("team/app", digest(1), "v1")).await),
                1 => is_timeout(store.lease_job(1).await),
                _ => is_timeout(store.ping().await),
            };
            let took = began.elapsed();
            assert!(late && took < SHORT.usual + Duration::from_secs(1), "{word} took {took:?}");
            store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
            store.lease_job(1).await.unwrap();
            store.counts().await.unwrap();
            let began = Instant::now();
            store.close().await;
            assert!(began.elapsed() < Duration::from_secs(1), "{word}: nothing is left to wait for");
        }
    }

    async fn connections_that_died_while_idle_cost_no_call(gate, database) {
        let store = through(&gate, &database, SHORT).await;
        let pings = futures_util::future::join_all((0..8).map(|_| store.ping())).await;
        assert!(pings.iter().all(Result::is_ok));
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (idle, made) = (store.pool.idle(), gate.accepted());
        assert!(idle > 1, "{idle} connections are idle");
        gate.darken();
        let began = Instant::now();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        // One of them was tried, and for a part of the time; the others were not.
        assert!(began.elapsed() < SHORT.usual, "{:?}", began.elapsed());
        assert_eq!(gate.accepted(), made + 1);
        // The server ends them all, and this is told: no wait at all.
        let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        by_hand(&database.postgres_options(), ended).await.unwrap();
        store.ping().await.unwrap();
    }

    async fn a_server_that_is_gone_altogether_holds_up_neither_calls_nor_the_end(gate, database) {
        let store = through(&gate, &database, SHORT).await;
        store.ping().await.unwrap();
        gate.darken();
        gate.close(true);
        let began = Instant::now();
        let many = (0..40).map(|_| async {
            (store.lease_job(1_000).await.unwrap_err(), store.record_events(&[event("team/app", None)]).await.unwrap_err())
        });
        for (leased, recorded) in futures_util::future::join_all(many).await {
            for error in [leased, recorded] {
                assert!(matches!(error, StoreError::Timeout { .. } | StoreError::ConnectTimeout { .. }), "{error}");
                assert!(error.is_transient());
            }
        }
        assert!(began.elapsed() < SHORT.usual * 4, "{:?}", began.elapsed());
        // Back, all of it, at once.
        gate.close(false);
        store.record_events(&[event("team/app", None)]).await.unwrap();
        assert_eq!(store.purge(0).await.unwrap(), crate::Purged::default());
        let store = std::sync::Arc::new(store);
        gate.darken_at("COMMIT");
        let hung = tokio::spawn({
            let store = store.clone();
            async move { store.lease_job(1_000).await }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        let began = Instant::now();
        store.close().await;
        assert!(began.elapsed() < SHORT.usual + Duration::from_secs(1), "{:?}", began.elapsed());
        assert!(hung.await.unwrap().is_err());
        assert!(matches!(store.ping().await, Err(StoreError::Closed)));
    }

    async fn callers_that_go_away_leave_their_place_to_others(gate, database) {
        let store = through(&gate, &database, Patience::USUAL).await;
        let options = database.postgres_options();
        let mut holder = PgConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE").execute(&mut holder).await.unwrap();
        for _ in 0..40 {
            let asked = job("team/app", digest(1), "v1");
            let gone = tokio::time::timeout(Duration::from_millis(30), store.enqueue_job(&asked)).await;
            assert!(gone.is_err(), "the table was not locked");
        }
        holder.close().await.unwrap();
        let asked = futures_util::future::join_all((0..20).map(|number| {
            let (store, asked) = (&store, job("team/app", digest(number), "v1"));
            async move { store.enqueue_job(&asked).await }
        }));
        assert!(asked.await.iter().all(Result::is_ok));
    }

    async fn a_lock_that_is_not_given_up_is_an_answer_and_costs_no_connection(gate, database) {
        let store = through(&gate, &database, SHORT).await;
        let mut holder = PgConnection::connect_with(&database.postgres_options()).await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE").execute(&mut holder).await.unwrap();
        let made = gate.accepted();
        let error = store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap_err();
        assert!(error.to_string().contains("lock timeout") && error.is_transient(), "{error}");
        // Where the lock is not the wait, the statement's own time ends it.
        let mut tx = store.begin().await.unwrap();
        let error = StoreError::from(sqlx::query("SELECT pg_sleep(60)").execute(&mut *tx).await.unwrap_err());
        assert!(error.to_string().contains("statement timeout") && error.is_transient(), "{error}");
        drop(tx);
        holder.close().await.unwrap();
        store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        assert!(gate.accepted() <= made + 1, "{} {made}", gate.accepted());
    }

    async fn after_a_failover_the_connections_to_the_old_primary_are_dropped(gate, database) {
        let (options, name) = (database.postgres_options(), database.postgres_options().get_database().unwrap().to_owned());
        by_hand(&options, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await.unwrap();
        let store = through(&gate, &database, Patience::USUAL).await;
        let asked = job("team/app", digest(1), "v1");
        store.ping().await.unwrap();
        let error = store.enqueue_job(&asked).await.unwrap_err();
        assert!(error.to_string().contains("read-only") && error.is_transient(), "{error}");
        assert_eq!(store.pool.idle(), 0, "no connection to the old primary is kept");
        let writable = format!("ALTER DATABASE {name} SET default_transaction_read_only = off");
        by_hand(&options.options([("default_transaction_read_only", "off")]), &writable).await.unwrap();
        store.enqueue_job(&asked).await.unwrap();
    }

    async fn a_server_that_stops_in_the_midst_of_a_call_is_passing_trouble(gate, database) {
        let store = through(&gate, &database, Patience::USUAL).await;
        let mut holder = PgConnection::connect_with(&database.postgres_options()).await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE").execute(&mut holder).await.unwrap();
        let asked = job("team/app", digest(1), "v1");
        let ended = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            sqlx::raw_sql(end).execute(&mut holder).await.unwrap();
            holder.close().await.unwrap();
        };
        let (error, ()) = tokio::join!(store.enqueue_job(&asked), ended);
        let error = error.unwrap_err();
        assert!(error.to_string().contains("terminating connection") && error.is_transient(), "{error}");
        store.enqueue_job(&asked).await.unwrap();
    }
}

/// A noun that went to a pool or a connection by itself would have no deadline.
#[test]
fn no_noun_has_another_way_to_its_database() {
    let engines = ["sqlite.rs", "postgres.rs", "deadline.rs", "testing.rs", "migrations.rs", "error.rs"];
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let (path, name) =
                entry.map(|entry| (entry.path(), entry.file_name().to_string_lossy().into_owned())).unwrap();
            if path.is_dir() {
                if !["sqlite", "postgres"].contains(&name.as_str()) {
                    folders.push(path);
                }
                continue;
            }
            if engines.contains(&name.as_str()) || name == "tests.rs" {
                continue;
            }
            seen += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            let product = text.split("#[cfg(test)]").next().unwrap();
            for way in [
                "self.pool",
                "self.writer",
                "self.reader)",
                "acquire(",
                "Pool",
                "Connection",
                "Transaction<",
                "sqlx::Transaction",
            ] {
                assert!(!product.contains(way), "{}: {way}", path.display());
            }
        }
    }
    assert!(seen > 20, "{seen} files");
}
