//! The monitor in a database of its own, which reads the ledger in another one.

use super::roles::{certificate_key, signed_row_is_refused};
use super::*;
use crate::testing::{entry, finding, signed_row, sinks, trust};
use crate::{
    Adoption, Adoptions as _, Advance, FindingFilter, IntentsSeen as _, LedgerKeySeen, NewObservation, OwnEntryState,
    Severity,
};

/// The sample in the monitor's database, with this server in the place of the other one. Nobody is asked for a password
/// here, which takes a superuser's word.
fn sample(ledger: &PgConnectOptions, monitor: &str) -> String {
    include_str!("../../../../../deploy/samples/postgres-two-databases.sql")
        .replace("host 'ledger.example.com'", &format!("host '{}'", ledger.get_host()))
        .replace("port '5432'", &format!("port '{}'", ledger.get_port()))
        .replace("dbname 'sealwatch'", &format!("dbname '{}'", ledger.get_database().unwrap()))
        .replace("sslmode 'verify-full'", "sslmode 'disable'")
        .replace("password 'CHANGE-ME'", "password_required 'false'")
        .replace("sealwatch_monitor", monitor)
}

#[tokio::test]
async fn the_monitor_reads_the_ledger_in_another_database_and_writes_its_own() {
    const NAME: &str = "the_monitor_reads_the_ledger_in_another_database_and_writes_its_own";
    let Some(ledger) = TestDatabase::postgres(NAME).await else { return };
    let Some(own) = TestDatabase::postgres(NAME).await else { return };
    let theirs = own.clone();
    let both = async move {
        ledger
            .run(|ledger| async move {
                let roles = Roles::create(&ledger).await;
                let admin = own.postgres_options();
                roles.grant(&admin).await;
                let sample = sample(&roles.owner, roles.monitor.get_username());
                by_hand(&admin, &sample).await.unwrap();
                // Whoever owns the ledger's database puts nothing in the place of the monitor's own.
                by_hand(&roles.owner, "CREATE TABLE adopted_signatures (signature_hash BYTEA)").await.unwrap();
                by_hand(&admin, &sample).await.unwrap();
                works(&roles, &admin.clone().username(roles.monitor.get_username())).await;
                is_refused_where_it_must_be(&roles, &admin).await;
                roles.drop_owned(&admin).await;
                roles.drop().await;
            })
            .await;
    };
    theirs.run(|_| both).await;
}

async fn works(roles: &Roles, monitor: &PgConnectOptions) {
    let signer = PostgresStore::open_with(roles.worker.clone()).await.unwrap();
    let monitor = PostgresStore::open_with(monitor.clone()).await.unwrap();
    assert_eq!(monitor.ledger_newest().await.unwrap(), None);

    // What the signer writes is read,
    let (id, _) = (signed_row(&signer, 1).await, signed_row(&signer, 2).await);
    signer.record_entry(id, &entry(7, 1_000)).await.unwrap();
    signer.record_certificate_key(&certificate_key()).await.unwrap();
    let (source, log_id, entry_json) = ("worker".to_owned(), [1; 32], b"{}".to_vec());
    signer.record_observation(&NewObservation { source, log_id, entry_json, image: None, at: 1 }).await.unwrap();
    assert_eq!(monitor.ledger_rows_after(0, 10).await.unwrap().len(), 2);
    let rows = monitor.ledger_rows_after(0, 1).await.unwrap().rows;
    let signatures: Vec<Vec<u8>> = rows.into_iter().filter_map(|row| row.signature).map(|it| it.signature).collect();
    assert_eq!(monitor.ledger_by_signatures(&signatures).await.unwrap().len(), 1);
    assert_eq!(monitor.ledger_digests(0, 10).await.unwrap().len(), 2);
    assert_eq!(monitor.unseen_ledger_rows(0, 10).await.unwrap().len(), 2);
    assert_eq!(monitor.identity_keys().await.unwrap().len(), 1);
    assert_eq!(monitor.observations_after(0, 10).await.unwrap().len(), 1);

    // together with what the monitor keeps itself.
    let [key] = &monitor.certificate_keys_unseen().await.unwrap()[..] else { panic!("one key") };
    let (spki, identity) = (key.spki.clone(), key.identity.clone());
    let seen = LedgerKeySeen { spki, identity, certified: true, seen_at: 1, backdated: false };
    monitor.record_ledger_keys_seen(&[seen]).await.unwrap();
    assert!(monitor.certificate_keys_unseen().await.unwrap().is_empty());
    assert_eq!(monitor.import_own_entries(10).await.unwrap(), 1);
    assert_eq!(monitor.sweep_own_entries(0, 10).await.unwrap().0, 0);
    let due = monitor.own_entries_due(i64::MAX, 10).await.unwrap();
    assert!(due.len() == 1 && due[0].entry_json.is_some(), "{due:?}");
    let proved = OwnEntryState::Proved { size: 9 };
    assert!(monitor.mark_own_entry(id, "log.example.com", 7, proved, 1, &[], &[]).await.unwrap());
    assert!(monitor.lost_entries(0, 10).await.unwrap().is_empty());
    by_hand(&roles.owner, "DELETE FROM log_entries").await.unwrap();
    let entries = monitor.lost_entries(0, 10).await.unwrap();
    assert_eq!(entries.len(), 1);
    let (because, by) = ("a restore".to_owned(), "a test".to_owned());
    let act = Adoption { signatures: Vec::new(), intents: vec![id], entries, because, by, at: 1 };
    monitor.adopt(&act).await.unwrap();
    assert!(monitor.lost_entries(0, 10).await.unwrap().is_empty());

    monitor.trust_log(&trust("log.example.com", 0)).await.unwrap();
    let lease = monitor.lease_log("log.example.com", "a", 60_000).await.unwrap().unwrap();
    let findings = vec![finding("a", Severity::Critical)];
    assert!(monitor.advance(&lease, &Advance { findings, sinks: sinks(), ..Advance::default() }).await.unwrap());
    assert_eq!(monitor.findings(&FindingFilter { limit: 9, ..FindingFilter::default() }).await.unwrap().len(), 1);
    assert_eq!(monitor.purge(i64::MAX).await.unwrap(), crate::Purged::default());
    assert_eq!(monitor.counts().await.unwrap().ledger_attached, 0);
    assert!(signed_row_is_refused(&monitor).await);
    signer.close().await;
    monitor.close().await;
}

async fn is_refused_where_it_must_be(roles: &Roles, admin: &PgConnectOptions) {
    let monitor = admin.clone().username(roles.monitor.get_username());
    for sql in [
        "UPDATE ledger.signatures SET intended_at = 1",
        "DELETE FROM ledger.certificate_keys",
        "CREATE TABLE ledger.mine (id BIGINT)",
        "DROP FOREIGN TABLE ledger.signatures",
    ] {
        assert!(is_refused(by_hand(&monitor, sql).await), "{sql}");
    }
    // In the signer's database there is nothing of what was found.
    by_hand(&roles.owner, "DO $$ BEGIN ASSERT NOT EXISTS (SELECT FROM monitor.findings); END $$").await.unwrap();

    // Where the sample fails, all is as it was: there is no moment at which the ledger is an empty one.
    let wrong = sample(&roles.owner.clone().database("no_such_database"), roles.monitor.get_username());
    by_hand(admin, &wrong).await.unwrap_err();
    let store = PostgresStore::open_with(monitor.clone()).await.unwrap();
    assert!(store.ledger_newest().await.unwrap().is_some());
    store.close().await;
    by_hand(admin, "ALTER SCHEMA ledger RENAME TO elsewhere").await.unwrap();
    let store = PostgresStore::open_with(monitor.clone()).await.unwrap();
    assert!(store.ledger_newest().await.unwrap_err().to_string().contains("permission denied"), "nor if it is gone");
    store.close().await;
    by_hand(admin, "ALTER SCHEMA elsewhere RENAME TO ledger").await.unwrap();
    by_hand(admin, "CREATE VIEW ledger.findings AS SELECT 1 AS id").await.unwrap();
    let Err(error) = PostgresStore::open_with(monitor.clone()).await else { panic!("opened") };
    assert!(matches!(&error, StoreError::LedgerHides { table } if table == "findings"), "{error}");
    by_hand(admin, "DROP VIEW ledger.findings").await.unwrap();
    // A table that is not read from there would be the empty one of here.
    by_hand(admin, "ALTER FOREIGN TABLE ledger.conditions RENAME TO elsewhere").await.unwrap();
    let Err(error) = PostgresStore::open_with(monitor.clone()).await else { panic!("opened") };
    assert!(matches!(&error, StoreError::LedgerLacks { table } if table == "conditions"), "{error}");
    by_hand(admin, "ALTER FOREIGN TABLE ledger.elsewhere RENAME TO conditions").await.unwrap();
    // A server that is away keeps nobody from what is here.
    by_hand(admin, "ALTER SERVER sealwatch_ledger OPTIONS (SET port '1')").await.unwrap();
    let store = PostgresStore::open_with(monitor.clone()).await.unwrap();
    assert_eq!(store.findings(&FindingFilter { limit: 9, ..FindingFilter::default() }).await.unwrap().len(), 1);
    assert!(store.ledger_newest().await.is_err());
    store.close().await;
    let port = format!("ALTER SERVER sealwatch_ledger OPTIONS (SET port '{}')", roles.owner.get_port());
    by_hand(admin, &port).await.unwrap();

    // The ledger of another version, and one that this role may not read.
    by_hand(&roles.owner, "INSERT INTO _sqlx_migrations VALUES (99, 'later', now(), true, '', 0)").await.unwrap();
    let Err(error) = PostgresStore::open_with(monitor.clone()).await else { panic!("opened") };
    assert!(matches!(error, StoreError::LedgerSchema { version: 99, needs: 4 }), "{error}");
    assert!(error.to_string().contains("postgres-two-databases.sql") && !error.is_transient(), "{error}");
    // A newer one that names this program is read.
    by_hand(&roles.owner, "INSERT INTO schema_support VALUES (99, 4)").await.unwrap();
    PostgresStore::open_with(monitor.clone()).await.unwrap().close().await;
    by_hand(admin, &format!("REVOKE USAGE ON SCHEMA ledger FROM {}", roles.monitor.get_username())).await.unwrap();
    // The owner, who only changes the schema, has no way to the ledger either, and is told that he needs none.
    for role in [monitor, admin.clone()] {
        let Err(error) = PostgresStore::open_with(role).await else { panic!("opened") };
        assert!(matches!(error, StoreError::LedgerRights) && !error.is_transient(), "{error}");
    }
}
