//! What the tests share: each runs on both engines, on a fresh database.

use std::sync::Arc;

use bundle::{Digest, Format, ImageName, Tag};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::postgres::PostgresStore;
use crate::{
    FindingKind, Intent, JobClass, NewEvent, NewFinding, NewJob, NewTrust, RecordedEntry, RecordedSignature, Severity,
    Sink, Store,
};

/// Names the server on which the tests may create databases.
const POSTGRES: &str = "SEALWATCH_TEST_POSTGRES";

/// Stamps each test for both engines.
macro_rules! on_both_engines {
    ($($(#[$attribute:meta])* async fn $name:ident($database:ident) $body:block)+) => {
        $($(#[$attribute])*
        async fn $name($database: $crate::testing::TestDatabase) $body)+

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $crate::testing::TestDatabase::sqlite().await.run(super::$name).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(database) =
                    $crate::testing::TestDatabase::postgres(stringify!($name)).await
                {
                    database.run(super::$name).await;
                }
            })+
        }
    };
}
pub(crate) use on_both_engines;

#[derive(Clone)]
enum Place {
    Sqlite { url: String, _directory: Arc<tempfile::TempDir> },
    Postgres { server: Box<PgConnectOptions>, database: String },
}

/// A fresh database and the store on it.
#[derive(Clone)]
pub(crate) struct TestDatabase {
    place: Place,
    store: Arc<dyn Store>,
}

impl TestDatabase {
    pub(crate) async fn sqlite() -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let url = format!("sqlite:{}/test.db", directory.path().display());
        let store = crate::open(&url).await.unwrap();
        Self { place: Place::Sqlite { url, _directory: directory }, store }
    }

    /// `None` where no server is named; on CI there must be one.
    pub(crate) async fn postgres(test: &str) -> Option<Self> {
        let server = postgres_server(test)?;
        let mut random = [0u8; 8];
        getrandom::fill(&mut random).unwrap();
        let database = format!("sealwatch_test_{}", hex::encode(random));
        let mut connection = PgConnection::connect_with(&server).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {database}"))).execute(&mut connection).await.unwrap();
        let store = Arc::new(PostgresStore::open_with(server.clone().database(&database)).await.unwrap());
        Some(Self { place: Place::Postgres { server: Box::new(server), database }, store })
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Whether one process has the database to itself.
    pub(crate) fn is_exclusive(&self) -> bool {
        matches!(self.place, Place::Sqlite { .. })
    }

    /// How this database is reached.
    pub(crate) fn postgres_options(&self) -> PgConnectOptions {
        match &self.place {
            Place::Sqlite { .. } => panic!("not on PostgreSQL"),
            Place::Postgres { server, database } => PgConnectOptions::clone(server).database(database),
        }
    }

    /// Opens the database a second time; SQLite refuses that while the first is open.
    pub(crate) async fn open_again(&self) -> Result<Arc<dyn Store>, crate::StoreError> {
        match &self.place {
            Place::Sqlite { url, .. } => crate::open(url).await,
            Place::Postgres { server, database } => {
                Ok(Arc::new(PostgresStore::open_with(PgConnectOptions::clone(server).database(database)).await?))
            }
        }
    }

    /// Does to the tables what no method does: a restore from a backup, a thief with the database's password.
    pub(crate) async fn execute(&self, sql: &'static str) {
        match &self.place {
            Place::Sqlite { url, .. } => {
                let mut connection = SqliteConnection::connect(url).await.unwrap();
                sqlx::query(sql).execute(&mut connection).await.unwrap();
            }
            Place::Postgres { server, database } => {
                let options = PgConnectOptions::clone(server).database(database);
                let mut connection = PgConnection::connect_with(&options).await.unwrap();
                sqlx::query(sql).execute(&mut connection).await.unwrap();
            }
        }
    }

    /// How the database would run a statement without parameters, one step a line. PostgreSQL is told that reading a
    /// whole table is dear, as it is for a table of the size that matters.
    pub(crate) async fn plan(&self, statement: &'static str) -> String {
        match &self.place {
            Place::Sqlite { url, .. } => {
                let mut connection = SqliteConnection::connect(url).await.unwrap();
                let explained = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
                let steps: Vec<(i64, i64, i64, String)> =
                    sqlx::query_as(explained).fetch_all(&mut connection).await.unwrap();
                steps.into_iter().map(|(.., step)| step + "\n").collect()
            }
            Place::Postgres { .. } => {
                let mut connection = PgConnection::connect_with(&self.postgres_options()).await.unwrap();
                sqlx::query("SET enable_seqscan = off").execute(&mut connection).await.unwrap();
                let explained = AssertSqlSafe(format!("EXPLAIN {statement}"));
                let steps: Vec<(String,)> = sqlx::query_as(explained).fetch_all(&mut connection).await.unwrap();
                steps.into_iter().map(|(step,)| step + "\n").collect()
            }
        }
    }

    /// Drops the store as a crash would, without closing it, and opens the database again.
    pub(crate) async fn reopen(self) -> Self {
        let Self { place, store } = self;
        assert_eq!(Arc::strong_count(&store), 1, "somebody still holds the store");
        drop(store);
        let store: Arc<dyn Store> = match &place {
            Place::Sqlite { url, .. } => crate::open(url).await.unwrap(),
            Place::Postgres { server, database } => {
                Arc::new(PostgresStore::open_with(PgConnectOptions::clone(server).database(database)).await.unwrap())
            }
        };
        Self { place, store }
    }

    /// Runs a test and removes the database, however the test ended.
    pub(crate) async fn run<F, Fut>(self, test: F)
    where
        F: FnOnce(Self) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let place = self.place.clone();
        let outcome = tokio::spawn(test(self)).await;
        if let Place::Postgres { server, database } = place {
            let mut connection = PgConnection::connect_with(&server).await.unwrap();
            sqlx::query(AssertSqlSafe(format!("DROP DATABASE {database} WITH (FORCE)")))
                .execute(&mut connection)
                .await
                .unwrap();
        }
        if let Err(error) = outcome {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// The server for the PostgreSQL half of the tests, or a loud word that there is none.
#[allow(clippy::print_stderr, reason = "a test that did not run must say so")]
pub(crate) fn postgres_server(test: &str) -> Option<PgConnectOptions> {
    match std::env::var(POSTGRES) {
        Ok(url) => Some(url.parse().unwrap()),
        Err(_) => {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{POSTGRES} is not set on CI");
            eprintln!("SKIPPED ({POSTGRES} is not set): {test}");
            None
        }
    }
}

/// A repository of the test registry.
pub(crate) fn image(repository: &str) -> ImageName {
    format!("registry.example.com/{repository}").parse().unwrap()
}

/// A digest that a number names.
pub(crate) fn digest(number: u64) -> Digest {
    Digest::of(&number.to_be_bytes())
}

pub(crate) fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

/// A push to a repository of the test registry.
pub(crate) fn event(repository: &str, digest: Option<Digest>) -> NewEvent {
    let name = image(repository);
    NewEvent {
        source: "harbor".to_owned(),
        registry: name.registry,
        repository: name.repository,
        tag: Some(tag("v1")),
        digest,
        received_at: 1_700_000_000_000,
    }
}

/// A job for an image of the test registry.
pub(crate) fn job(repository: &str, digest: Digest, tag_name: &str) -> NewJob {
    let name = image(repository);
    NewJob {
        registry: name.registry,
        repository: name.repository,
        digest,
        tag: Some(tag(tag_name)),
        class: JobClass::Push,
        pushed_at: None,
    }
}

/// A finding of one cause.
pub(crate) fn finding(fingerprint: &str, severity: Severity) -> NewFinding {
    NewFinding {
        kind: FindingKind::Fork,
        severity,
        fingerprint: fingerprint.to_owned(),
        log_origin: Some("log.example.com".to_owned()),
        title: "two roots".to_owned(),
        detail: "what was seen".to_owned(),
        occurrence: String::new(),
        evidence: Some(b"proof".to_vec()),
        at: 10,
    }
}

/// Two sinks: the pager for what is critical, mail for everything.
pub(crate) fn sinks() -> Vec<Sink> {
    vec![
        Sink { name: "pager".to_owned(), min_severity: Severity::Critical },
        Sink { name: "mail".to_owned(), min_severity: Severity::Info },
    ]
}

/// The act of trusting a log from a size on.
pub(crate) fn trust(origin: &str, size: u64) -> NewTrust {
    NewTrust {
        origin: origin.to_owned(),
        kind: "rekor_v2".to_owned(),
        key_id: [1; 32],
        public_key: vec![2; 44],
        coverage: "exhaustive".to_owned(),
        size,
        root: root(size),
        range: vec![3; 8],
        note: Vec::new(),
        keep_head: false,
        because: "first use".to_owned(),
        by: "ann".to_owned(),
        at: 5,
    }
}

/// The root of the one honest tree of the tests.
pub(crate) fn root(size: u64) -> [u8; 32] {
    *digest(size).as_bytes()
}

/// A row of the ledger that is signed, with its id.
pub(crate) async fn signed_row(store: &dyn Store, number: u64) -> i64 {
    let intent = Intent {
        image: image("team/app").with_digest(digest(number)),
        identity_name: "release".to_owned(),
        identity: "fingerprint".to_owned(),
        public_key_spki: vec![1, 2, 3],
        format: Format::Bundle,
        log_origin: "log.example.com".to_owned(),
        trust_zone: "prod".to_owned(),
        class: JobClass::Push,
        at: 1_000,
    };
    let id = store.intend(&intent).await.unwrap().id;
    let signature = RecordedSignature {
        payload: number.to_be_bytes().to_vec(),
        signed_digest: digest(number + 1_000_000).as_bytes().to_vec(),
        signature: [digest(number).as_bytes(), &root(number)[..]].concat(),
        at: 1_001,
    };
    store.record_signature(id, &signature).await.unwrap();
    id
}

/// A log entry of a row.
pub(crate) fn entry(log_index: u64, at: i64) -> RecordedEntry {
    RecordedEntry {
        log_origin: "log.example.com".to_owned(),
        log_index,
        leaf_hash: root(log_index),
        entry_json: format!("entry {log_index}").into_bytes(),
        at,
    }
}
