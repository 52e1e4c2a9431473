//! What only PostgreSQL does: a server that may be away, and several processes at once.

mod intake_role;
mod two_databases;

use super::*;
use crate::testing::{TestDatabase, postgres_server};
use crate::{
    CertificateKeys as _, Findings as _, FollowedLogs as _, Jobs as _, Ledger as _, LedgerKeysSeen as _,
    LedgerView as _, Observations as _, OwnEntries as _, Retention as _, Status as _,
};

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

/// The sample's roles on a fresh database, with names of this test's own.
struct Roles {
    owner: PgConnectOptions,
    signer: PgConnectOptions,
    monitor: PgConnectOptions,
    names: [String; 2],
}

impl Roles {
    async fn create(database: &TestDatabase) -> Self {
        let owner = database.postgres_options();
        let suffix = crate::dialect::lease_token().unwrap();
        let names = ["signer", "monitor"].map(|role| format!("sealwatch_{role}_{suffix}"));
        Self::grant(&owner, &names).await;
        Self::grant(&owner, &names).await;
        let [signer, monitor] = [0, 1].map(|place: usize| owner.clone().username(&names[place]));
        Self { owner, signer, monitor, names }
    }

    /// Runs the sample in a database.
    async fn grant(owner: &PgConnectOptions, [signer, monitor]: &[String; 2]) {
        let sample = include_str!("../../../../deploy/samples/postgres-roles.sql")
            .replace("sealwatch_signer", signer)
            .replace("sealwatch_monitor", monitor)
            .replace("sealwatch_owner", owner.get_username());
        by_hand(owner, &sample).await.unwrap();
    }

    async fn drop(self) {
        for name in &self.names {
            by_hand(&self.owner, &format!("DROP OWNED BY {name}; DROP ROLE {name}")).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_signer_writes_no_finding_and_the_monitor_no_ledger() {
    let Some(database) = TestDatabase::postgres("the_signer_writes_no_finding_and_the_monitor_no_ledger").await else {
        return;
    };
    database
        .run(|database| async move {
            use crate::testing::{entry, finding, job, signed_row, sinks, trust};
            use crate::{FindingFilter, NewObservation, Purged, Severity};
            let roles = Roles::create(&database).await;
            let signer = PostgresStore::open_with(roles.signer.clone()).await.unwrap();
            let monitor = PostgresStore::open_with(roles.monitor.clone()).await.unwrap();

            // Each does its own work,
            let id = signed_row(&signer, 1).await;
            signer.record_certificate_key(&certificate_key()).await.unwrap();
            signer.record_certificate_key(&certificate_key()).await.unwrap();
            let material = crate::Material { artifact: vec![1], manifest: None, at: 1 };
            signer.record_material(id, &material).await.unwrap();
            signer.record_material(id, &material).await.unwrap();
            signer.record_attached(id, &crate::testing::digest(9), false, 2).await.unwrap();
            signer.record_entry(id, &entry(7, 1_000)).await.unwrap();
            let job = signer.enqueue_job(&job("team/app", crate::testing::digest(1), "v1")).await.unwrap();
            let observation = NewObservation {
                source: "worker".to_owned(),
                log_id: [1; 32],
                entry_json: b"{}".to_vec(),
                image: None,
                at: 1,
            };
            signer.record_observation(&observation).await.unwrap();
            assert!(signer.counts().await.unwrap().jobs_ready > 0 && job > 0);
            assert_eq!(signer.purge(i64::MAX).await.unwrap(), Purged { observations: 1, ..Purged::default() });
            monitor.trust_log(&trust("log.example.com", 0)).await.unwrap();
            let lease = monitor.lease_log("log.example.com", "a", 60_000).await.unwrap().unwrap();
            let step = crate::Advance {
                findings: vec![finding("a", Severity::Critical)],
                sinks: sinks(),
                ..crate::Advance::default()
            };
            assert!(monitor.advance(&lease, &step).await.unwrap());
            assert_eq!(monitor.import_own_entries(10).await.unwrap(), 1);
            assert_eq!(monitor.ledger_rows_after(0, 10).await.unwrap().len(), 1);
            assert_eq!(monitor.counts().await.unwrap().ledger_attached, 1);
            let keys = monitor.certificate_keys_unseen().await.unwrap();
            let key = crate::LedgerKeySeen {
                spki: keys[0].spki.clone(),
                identity: "ci".to_owned(),
                certified: true,
                seen_at: 1,
                backdated: false,
            };
            monitor.record_ledger_keys_seen(std::slice::from_ref(&key)).await.unwrap();
            monitor.record_ledger_keys_seen(&[key]).await.unwrap();
            assert_eq!(monitor.ledger_keys_seen_count().await.unwrap(), 1);
            assert_eq!(monitor.identity_keys().await.unwrap().len(), 1);
            assert_eq!(monitor.purge(i64::MAX).await.unwrap(), Purged::default());

            // and nothing of the other's, by our calls or by hand.
            assert!(signer.raise(&[finding("b", Severity::Info)], &[]).await.is_err());
            assert!(signer.trust_log(&trust("log.example.com", 0)).await.is_err());
            assert!(signer.findings(&FindingFilter::default()).await.is_err());
            for sql in [
                "DELETE FROM monitor.findings",
                "UPDATE monitor.followed_logs SET verified_size = 9",
                "INSERT INTO monitor.intents_seen VALUES (1, 1, '', '', 1, 1, 0)",
                "SELECT * FROM monitor.alerts",
                "CREATE TABLE monitor.mine (id BIGINT)",
                "CREATE TABLE public.findings (id BIGINT)",
                "DELETE FROM signatures",
                "DELETE FROM log_entries",
                "UPDATE identities SET public_key_spki = NULL",
                "UPDATE certificate_keys SET public_key_spki = ''",
                "UPDATE log_entries SET leaf_hash = ''",
                "UPDATE signatures SET intended_at = 1",
                "INSERT INTO signatures (id, registry, repository, digest, identity, format, identity_name,
                    public_key_spki, log_origin, trust_zone, class, stage, intended_at, adopted)
                SELECT 99, registry, repository, 'other', identity, format, identity_name,
                    public_key_spki, log_origin, trust_zone, class, stage, intended_at, adopted FROM signatures",
                "UPDATE signatures SET public_key_spki = ''",
                "UPDATE materials SET artifact = ''",
                "DELETE FROM monitor.ledger_keys_seen",
                "SELECT * FROM monitor.ledger_keys_seen",
                "UPDATE _sqlx_migrations SET version = 9",
            ] {
                assert!(is_refused(by_hand(&roles.signer, sql).await), "{sql}");
            }
            let other = "UPDATE signatures SET signed_at = 9 WHERE signature IS NOT NULL";
            let error = by_hand(&roles.signer, other).await.unwrap_err();
            assert!(error.to_string().contains("a recorded signature is never changed"), "{error}");
            for sql in [
                "UPDATE signatures SET intended_at = 1",
                "INSERT INTO log_entries VALUES (1, 'x', 1, '', '', 1)",
                "DELETE FROM certificate_keys",
                "DELETE FROM jobs",
                "DELETE FROM observations",
                "CREATE TABLE public.findings (id BIGINT)",
                "CREATE TABLE monitor.mine (id BIGINT)",
            ] {
                assert!(is_refused(by_hand(&roles.monitor, sql).await), "{sql}");
            }
            assert!(signed_row_is_refused(&monitor).await);
            signer.close().await;
            monitor.close().await;
            roles.drop().await;
        })
        .await;
}

fn certificate_key() -> crate::CertificateKey {
    crate::CertificateKey {
        public_key_spki: vec![4, 5, 6],
        identity_name: "ci".to_owned(),
        issuer: "https://issuer.example.com".to_owned(),
        subject: "https://ci.example.com/team".to_owned(),
        requested_at: 1,
    }
}

async fn signed_row_is_refused(monitor: &PostgresStore) -> bool {
    let signature = crate::RecordedSignature { payload: vec![], signed_digest: vec![], signature: vec![], at: 1 };
    monitor.record_signature(1, &signature).await.is_err()
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
            for options in [&roles.signer, &roles.monitor] {
                let Err(error) = PostgresStore::open_with(options.clone()).await else { panic!("opened") };
                assert!(matches!(error, StoreError::SchemaRights { version: 1, needs: 4 }), "{error}");
                assert!(error.to_string().contains("owner's role") && !error.is_transient(), "{error}");
            }
            // A newer one is not touched either.
            by_hand(&owner, "INSERT INTO _sqlx_migrations VALUES (99, 'later', now(), true, '', 0)").await.unwrap();
            let Err(error) = PostgresStore::open_with(roles.signer.clone()).await else { panic!("opened") };
            assert!(matches!(error, StoreError::NewerSchema { version: 99 }), "{error}");
            // And on a database with nothing in it.
            by_hand(&owner, "DROP SCHEMA monitor CASCADE; DROP TABLE _sqlx_migrations").await.unwrap();
            let Err(error) = PostgresStore::open_with(roles.signer.clone()).await else { panic!("opened") };
            assert!(matches!(error, StoreError::SchemaRights { version: 0, needs: 4 }), "{error}");
            roles.drop().await;
        })
        .await;
}

#[tokio::test]
async fn a_search_path_in_the_url_is_refused() {
    let url = "postgres://someone:hunter2@127.0.0.1:1/sealwatch?options[search_path]=tenant";
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
