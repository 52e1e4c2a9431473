//! The sample's roles on a real server: each does its own work, and each forbidden thing is refused.

use super::*;
use crate::testing::{digest, entry, event, finding, job, signed_row, sinks, trust};
use crate::{
    ConditionCause, Conditions as _, Events as _, FindingFilter, NewObservation, OwnArtifacts as _, Purged, Severity,
    Stage,
};

/// The sample's roles on a fresh database, with names of this test's own.
pub(super) struct Roles {
    pub(super) owner: PgConnectOptions,
    pub(super) intake: PgConnectOptions,
    pub(super) worker: PgConnectOptions,
    pub(super) monitor: PgConnectOptions,
    names: Vec<String>,
}

impl Roles {
    pub(super) async fn create(database: &TestDatabase) -> Self {
        Self::create_from(database, "").await
    }

    /// With roles that were there before: `{suffix}` in the SQL stands for what ends this test's names.
    async fn create_from(database: &TestDatabase, before: &str) -> Self {
        let owner = database.postgres_options();
        let suffix = crate::dialect::lease_token().unwrap();
        by_hand(&owner, &before.replace("{suffix}", &suffix)).await.unwrap();
        let names: Vec<String> =
            ["intake", "worker", "monitor", "signer"].iter().map(|role| format!("sealwatch_{role}_{suffix}")).collect();
        let role = |place: usize| owner.clone().username(&names[place]);
        let (intake, worker, monitor) = (role(0), role(1), role(2));
        let roles = Self { owner: owner.clone(), intake, worker, monitor, names };
        roles.grant(&owner).await;
        roles.grant(&owner).await;
        roles
    }

    /// Runs the sample in a database.
    pub(super) async fn grant(&self, owner: &PgConnectOptions) {
        let mut sample = include_str!("../../../../../deploy/samples/postgres-roles.sql")
            .replace("sealwatch_owner", owner.get_username());
        for (role, name) in ["intake", "worker", "monitor", "signer"].iter().zip(&self.names) {
            sample = sample.replace(&format!("sealwatch_{role}"), name);
        }
        by_hand(owner, &sample).await.unwrap();
    }

    /// Takes what the roles own and may do in a database.
    pub(super) async fn drop_owned(&self, owner: &PgConnectOptions) {
        for name in &self.names[..3] {
            by_hand(owner, &format!("DROP OWNED BY {name}")).await.unwrap();
        }
    }

    pub(super) async fn drop(self) {
        self.drop_owned(&self.owner).await;
        for name in &self.names[..3] {
            by_hand(&self.owner, &format!("DROP ROLE {name}")).await.unwrap();
        }
    }
}

/// Runs a test with the sample's roles.
macro_rules! with_roles {
    ($(async fn $name:ident($roles:ident, $database:ident) $body:block)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let Some(database) = TestDatabase::postgres(stringify!($name)).await else { return };
            database
                .run(|$database| async move {
                    let $roles = Roles::create(&$database).await;
                    $body
                    $roles.drop().await;
                })
                .await;
        }
    )+};
}

async fn are_refused(role: &PgConnectOptions, statements: &[&str]) {
    for sql in statements {
        assert!(is_refused(by_hand(role, sql).await), "{sql}");
    }
}

with_roles! {
    async fn the_intake_hands_in_pushes_and_does_nothing_else(roles, database) {
        let intake = PostgresStore::open_with(roles.intake.clone()).await.unwrap();
        let worker = PostgresStore::open_with(roles.worker.clone()).await.unwrap();
        intake.record_events(&[event("team/app", Some(digest(1))), event("team/app", None)]).await.unwrap();
        intake.ping().await.unwrap();
        let letter = "INSERT INTO dead_letters (source, reason, body, body_size_bytes, received_at)
            VALUES ('registry', 'not json', '{', 1, 1)";
        by_hand(&roles.intake, letter).await.unwrap();
        let counts = worker.counts().await.unwrap();
        assert_eq!((counts.events_waiting, counts.dead_letters), (2, 1));
        // What is there to be seen, ordered, marked, changed or taken away is not its own.
        signed_row(&worker, 1).await;
        worker.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
        assert!(intake.enqueue_job(&job("team/app", digest(2), "v1")).await.is_err());
        let image = crate::testing::image("team/app");
        assert!(intake.record_own_artifact(&image, &digest(1), &digest(2)).await.is_err());
        assert!(intake.lease_job(1_000).await.is_err());
        assert!(intake.counts().await.is_err());
        assert_eq!(intake.purge(i64::MAX).await.unwrap(), Purged::default(), "it forgets nothing");
        let mut connection = PgConnection::connect_with(&roles.owner).await.unwrap();
        let tables = "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname IN ('public', 'monitor') AND c.relkind IN ('r', 'v', 'S') ORDER BY 1";
        let tables: Vec<(String,)> = sqlx::query_as(tables).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        assert!(tables.len() > 30, "{tables:?}");
        for (table,) in tables {
            let (may_add, may_see) = (
                ["public.push_events", "public.dead_letters"].contains(&table.as_str()),
                ["public._sqlx_migrations", "public.schema_support"].contains(&table.as_str()),
            );
            let mut connection = PgConnection::connect_with(&roles.owner).await.unwrap();
            for (right, is_expected) in [
                ("INSERT", may_add),
                ("SELECT", may_see),
                ("UPDATE", false),
                ("DELETE", false),
                ("TRUNCATE", false),
                ("REFERENCES", false),
                ("TRIGGER", false),
            ] {
                let asked = "SELECT CASE WHEN c.relkind = 'S' THEN $3 IN ('SELECT', 'UPDATE')
                        AND has_sequence_privilege($1, c.oid, $3)
                    ELSE has_table_privilege($1, c.oid, $3) END FROM pg_class c WHERE c.oid = $2::regclass";
                let (has,): (bool,) = sqlx::query_as(asked)
                    .bind(roles.intake.get_username())
                    .bind(&table)
                    .bind(right)
                    .fetch_one(&mut connection)
                    .await
                    .unwrap();
                assert_eq!(has, is_expected, "{right} on {table}");
            }
            connection.close().await.unwrap();
        }
        are_refused(&roles.intake, &[
            "SELECT * FROM push_events",
            "SELECT id FROM dead_letters",
            "INSERT INTO push_events (source) VALUES ('x') RETURNING id",
            "UPDATE push_events SET state = 'ready'",
            "DELETE FROM push_events",
            "DELETE FROM dead_letters",
            "INSERT INTO jobs (registry) VALUES ('x')",
            "INSERT INTO job_tags VALUES (1, 'v1', 1)",
            "UPDATE jobs SET state = 'done'",
            "INSERT INTO own_artifacts SELECT * FROM own_artifacts",
            "INSERT INTO signatures (registry) VALUES ('x')",
            "SELECT * FROM signatures",
            "SELECT * FROM identities",
            "INSERT INTO skips (registry) VALUES ('x')",
            "INSERT INTO conditions (cause) VALUES ('x')",
            "DELETE FROM locks",
            "SELECT * FROM monitor.findings",
            "UPDATE _sqlx_migrations SET version = 9",
            "INSERT INTO schema_support VALUES (9, 1)",
            "CREATE TABLE public.mine (id BIGINT)",
            "CREATE TABLE monitor.mine (id BIGINT)",
        ])
        .await;
        intake.close().await;
        worker.close().await;
    }

    async fn the_worker_writes_no_finding_and_the_monitor_no_ledger(roles, database) {
        let worker = PostgresStore::open_with(roles.worker.clone()).await.unwrap();
        let monitor = PostgresStore::open_with(roles.monitor.clone()).await.unwrap();
        let intake = PostgresStore::open_with(roles.intake.clone()).await.unwrap();

            // Each does its own work,
            let id = signed_row(&worker, 1).await;
            worker.record_certificate_key(&certificate_key()).await.unwrap();
            worker.record_certificate_key(&certificate_key()).await.unwrap();
            let material = crate::Material { artifact: vec![1], manifest: None, at: 1 };
            worker.record_material(id, &material).await.unwrap();
            worker.record_material(id, &material).await.unwrap();
            worker.record_attached(id, &digest(9), false, 2).await.unwrap();
            worker.record_entry(id, &entry(7, 1_000)).await.unwrap();
            let job = worker.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
            let observation = NewObservation {
                source: "worker".to_owned(),
                log_id: [1; 32],
                entry_json: b"{}".to_vec(),
                image: None,
                at: 1,
            };
            worker.record_observation(&observation).await.unwrap();
            assert!(worker.counts().await.unwrap().jobs_ready > 0 && job > 0);
            assert_eq!(worker.purge(i64::MAX).await.unwrap(), Purged { observations: 1, ..Purged::default() });
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
            worker.record_condition(ConditionCause::EndpointTrouble, "rekor.example.com", "503").await.unwrap();
            assert_eq!(monitor.conditions_after(0, 10).await.unwrap().len(), 1);
            assert!(worker.end_condition(ConditionCause::EndpointTrouble, "rekor.example.com").await.unwrap());
            assert!(monitor.record_condition(ConditionCause::Poison, "x", "y").await.is_err());
            intake.record_events(&[event("team/app", None)]).await.unwrap();
            let leased = worker.lease_event(60_000).await.unwrap().unwrap();
            assert!(worker.finish_event(&leased, &[], &[]).await.unwrap());

            // A signature is given up and made again; what was given up stays so.
            let again = signed_row(&worker, 2).await;
            worker.count_key_use(again).await.unwrap();
            assert!(worker.abandon(again, "the tag moved on", 5).await.unwrap());
            let second = signed_row(&worker, 2).await;
            assert_ne!(second, again);
            let row = worker.ledger_row(again).await.unwrap();
            assert_eq!(row.stage(), Stage::Abandoned);

            // and nothing of the other's, by our calls or by hand.
            assert!(worker.raise(&[finding("b", Severity::Info)], &[]).await.is_err());
            assert!(worker.trust_log(&trust("log.example.com", 0)).await.is_err());
            assert!(worker.findings(&FindingFilter::default()).await.is_err());
            are_refused(&roles.worker, &[
                "DELETE FROM monitor.findings",
                "UPDATE monitor.followed_logs SET verified_size = 9",
                "INSERT INTO monitor.intents_seen VALUES (1, 1, '', '', 1, 1, 0)",
                "SELECT * FROM monitor.alerts",
                "CREATE TABLE monitor.mine (id BIGINT)",
                "CREATE TABLE public.findings (id BIGINT)",
                "DELETE FROM signatures",
                "TRUNCATE signatures CASCADE",
                "DELETE FROM log_entries",
                "DELETE FROM materials",
                "DELETE FROM identities",
                "DELETE FROM certificate_keys",
                "UPDATE identities SET public_key_spki = NULL",
                "UPDATE identities SET trust_zone = 'dev'",
                "UPDATE certificate_keys SET public_key_spki = ''",
                "UPDATE log_entries SET leaf_hash = ''",
                "UPDATE signatures SET intended_at = 1",
                "UPDATE signatures SET attempt = 9",
                "UPDATE signatures SET digest = 'other'",
                "UPDATE signatures SET trust_zone = 'dev'",
                "INSERT INTO signatures (id, registry, repository, digest, identity, format, identity_name,
                    public_key_spki, log_origin, trust_zone, class, stage, intended_at, adopted, attempt, key_uses)
                SELECT 99, registry, repository, 'other', identity, format, identity_name,
                    public_key_spki, log_origin, trust_zone, class, stage, intended_at, adopted, 1, 0 FROM signatures",
                "INSERT INTO signatures (abandoned_at) VALUES (1)",
                "UPDATE signatures SET public_key_spki = ''",
                "UPDATE materials SET artifact = ''",
                "DELETE FROM monitor.ledger_keys_seen",
                "SELECT * FROM monitor.ledger_keys_seen",
                "UPDATE _sqlx_migrations SET version = 9",
                "UPDATE schema_support SET oldest_program = 1",
                "INSERT INTO schema_support VALUES (9, 1)",
                "INSERT INTO identity_rezones (identity) VALUES ('x')",
                "ALTER TABLE signatures DISABLE TRIGGER ALL",
                "DROP TRIGGER signatures_are_abandoned_once ON signatures",
            ])
            .await;
            for (sql, reason) in [
                ("UPDATE signatures SET signed_at = 9 WHERE signature IS NOT NULL", "a recorded signature is never changed"),
                ("UPDATE signatures SET signature = NULL WHERE signature IS NOT NULL", "a recorded signature is never changed"),
                ("UPDATE signatures SET abandoned_at = NULL", "an abandoned signature is never taken up again"),
                ("UPDATE signatures SET stage = 'signed' WHERE abandoned_at IS NOT NULL", "an abandoned signature is never"),
                ("UPDATE signatures SET attached_at = 1 WHERE abandoned_at IS NOT NULL", "an abandoned signature is never"),
            ] {
                let error = by_hand(&roles.worker, sql).await.unwrap_err();
                assert!(error.to_string().contains(reason), "{sql}: {error}");
                let error = StoreError::from(error);
                assert!(!error.is_transient(), "what a trigger refuses is refused the next time too");
            }
            are_refused(&roles.monitor, &[
                "UPDATE signatures SET intended_at = 1",
                "INSERT INTO log_entries VALUES (1, 'x', 1, '', '', 1)",
                "DELETE FROM certificate_keys",
                "DELETE FROM jobs",
                "DELETE FROM observations",
                "DELETE FROM push_events",
                "UPDATE conditions SET until = 1",
                "DELETE FROM conditions",
                "CREATE TABLE public.findings (id BIGINT)",
                "CREATE TABLE monitor.mine (id BIGINT)",
            ])
            .await;
            assert!(signed_row_is_refused(&monitor).await);
            for store in [worker, monitor, intake] {
                store.close().await;
            }
    }

    async fn a_later_table_is_nothing_to_the_intake(roles, database) {
        by_hand(&roles.owner, "CREATE TABLE public.later (id BIGINT); CREATE TABLE monitor.later (id BIGINT)").await.unwrap();
        by_hand(&roles.worker, "SELECT * FROM public.later").await.unwrap();
        by_hand(&roles.monitor, "SELECT * FROM monitor.later").await.unwrap();
        are_refused(&roles.intake, &["SELECT * FROM public.later", "INSERT INTO public.later VALUES (1)"]).await;
        are_refused(&roles.worker, &["SELECT * FROM monitor.later"]).await;
    }
}

/// Until schema 3 intake and worker had one role, which becomes the worker's with its password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_role_of_before_becomes_the_workers() {
    let Some(database) = TestDatabase::postgres("the_role_of_before_becomes_the_workers").await else { return };
    database
        .run(|database| async move {
            let before = "CREATE ROLE sealwatch_signer_{suffix} LOGIN CONNECTION LIMIT 7;
                GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO sealwatch_signer_{suffix}";
            let roles = Roles::create_from(&database, before).await;
            let worker = PostgresStore::open_with(roles.worker.clone()).await.unwrap();
            signed_row(&worker, 1).await;
            worker.close().await;
            are_refused(&roles.worker, &["DELETE FROM signatures", "UPDATE schema_support SET oldest_program = 1"])
                .await;
            let same = format!(
                "DO $$ BEGIN ASSERT (SELECT rolconnlimit = 7 FROM pg_roles WHERE rolname = '{}');
                 ASSERT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{}'); END $$",
                roles.names[1], roles.names[3]
            );
            by_hand(&roles.owner, &same).await.unwrap();
            roles.drop().await;
        })
        .await;
}

pub(super) fn certificate_key() -> crate::CertificateKey {
    crate::CertificateKey {
        public_key_spki: vec![4, 5, 6],
        identity_name: "ci".to_owned(),
        issuer: "https://issuer.example.com".to_owned(),
        subject: "https://ci.example.com/team".to_owned(),
        requested_at: 1,
    }
}

pub(super) async fn signed_row_is_refused(monitor: &PostgresStore) -> bool {
    let signature = crate::RecordedSignature { payload: vec![], signed_digest: vec![], signature: vec![], at: 1 };
    monitor.record_signature(1, &signature).await.is_err()
}
