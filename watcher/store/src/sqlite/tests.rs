//! What only SQLite does: one process, one file, durable commits.

mod versions;

use super::*;
use crate::testing::{TestDatabase, digest, event, job};
use crate::{Events as _, FinishedJob, JobOutcome, Jobs as _, Status as _, Store};

#[tokio::test]
async fn a_second_process_is_told_which_database_is_in_use() {
    let database = TestDatabase::sqlite().await;
    let Err(error) = database.open_again().await else { panic!("opened twice") };
    assert!(matches!(error, StoreError::InUse { .. }));
    assert!(error.to_string().contains("test.db"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn another_name_of_the_same_file_is_the_same_database() {
    let directory = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("sqlite:{}", directory.path().join(name).display());
    let _store = SqliteStore::open(&url("a.db")).await.unwrap();
    std::os::unix::fs::symlink(directory.path().join("a.db"), directory.path().join("b.db")).unwrap();
    assert!(matches!(SqliteStore::open(&url("b.db")).await, Err(StoreError::InUse { .. })));
}

#[tokio::test]
async fn commits_are_flushed_to_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("a.db").display());
    let store = SqliteStore::open(&url).await.unwrap();
    let (mode,): (String,) = sqlx::query_as("PRAGMA journal_mode").fetch_one(&store.writer).await.unwrap();
    assert_eq!(mode, "wal");
    let (synchronous,): (i64,) = sqlx::query_as("PRAGMA synchronous").fetch_one(&store.writer).await.unwrap();
    assert_eq!(synchronous, 2, "synchronous must be FULL");
    let written = sqlx::query("DELETE FROM jobs").execute(&store.reader).await;
    assert!(written.is_err(), "a reader must not write");
}

/// A power cut leaves the files as they are at that moment.
#[tokio::test]
async fn what_was_answered_for_is_in_the_files_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("sqlite:{}", directory.path().join(name).display());
    let store = SqliteStore::open(&url("a.db")).await.unwrap();
    store.record_events(&[event("team/app", Some(digest(1)))]).await.unwrap();
    for suffix in ["", "-wal"] {
        std::fs::copy(directory.path().join(format!("a.db{suffix}")), directory.path().join(format!("b.db{suffix}")))
            .unwrap();
    }
    let copy = SqliteStore::open(&url("b.db")).await.unwrap();
    assert_eq!(copy.counts().await.unwrap().events_waiting, 1);
}

#[tokio::test]
async fn a_closed_store_refuses_each_caller() {
    let store: std::sync::Arc<dyn Store> = std::sync::Arc::new(SqliteStore::open("sqlite::memory:").await.unwrap());
    store.close().await;
    let callers: Vec<_> = (0..5)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.record_events(&[event("team/app", None)]).await })
        })
        .collect();
    for caller in callers {
        assert!(caller.await.unwrap().is_err());
    }
    assert!(matches!(store.ping().await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_wrong_url_is_explained() {
    let error = async |url: &str| match crate::open(url).await {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error.to_string(),
    };
    assert!(error("mysql://localhost/x").await.contains("sqlite:"));
    assert!(error("sealwatch.db").await.contains("sqlite:"));
    assert!(error("sqlite:a.db?mode=ro").await.contains("no parameters"));
    assert!(error("sqlite:/no/such/directory/a.db").await.contains("/no/such/directory"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("not-a-database");
    std::fs::write(&file, "this is a text file, and long enough to be read as one".repeat(20)).unwrap();
    let answer = error(&format!("sqlite:{}", file.display())).await;
    assert!(answer.contains("not-a-database") && answer.contains("not a database"), "{answer}");
}

#[tokio::test]
async fn a_schema_from_the_future_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("a.db").display());
    let store = SqliteStore::open(&url).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', 1, x'00', 0)",
    )
    .execute(&store.writer)
    .await
    .unwrap();
    drop(store);
    let Err(error) = SqliteStore::open(&url).await else { panic!("opened") };
    assert!(matches!(error, StoreError::NewerSchema { version: 9999 }), "{error}");
}

#[tokio::test]
async fn beside_a_working_process_one_may_look_and_queue_and_its_leases_stay() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("a.db").display());
    let store = SqliteStore::open(&url).await.unwrap();
    store.enqueue_job(&job("team/app", digest(1), "v1")).await.unwrap();
    let leased = store.lease_job(60_000).await.unwrap().unwrap();

    let beside = crate::open_beside(&url).await.unwrap();
    assert_eq!(beside.counts().await.unwrap().jobs_leased, 1);
    beside.enqueue_job(&job("team/app", digest(2), "v1")).await.unwrap();
    beside.close().await;
    drop(beside);

    assert_eq!(store.finish_job(&leased, &JobOutcome::Signed).await.unwrap(), FinishedJob::Done);
    assert_eq!(store.lease_job(60_000).await.unwrap().unwrap().digest, digest(2));
    drop(store);
    // With nobody else there it works as well, and holds nobody up.
    let beside = crate::open_beside(&url).await.unwrap();
    assert_eq!(beside.counts().await.unwrap().jobs_done, 1);
    SqliteStore::open(&url).await.unwrap();
}

#[tokio::test]
async fn looking_creates_and_migrates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let url = format!("sqlite:{}", path.display());
    let Err(error) = crate::open_beside(&url).await else { panic!("opened") };
    assert!(error.to_string().contains("a.db"), "{error}");
    assert!(!path.exists());
    let Err(error) = crate::open_beside("sqlite::memory:").await else { panic!("opened") };
    assert!(matches!(error, StoreError::Url { .. }));

    let store = SqliteStore::open(&url).await.unwrap();
    sqlx::query("DELETE FROM _sqlx_migrations").execute(&store.writer).await.unwrap();
    drop(store);
    let Err(error) = crate::open_beside(&url).await else { panic!("opened") };
    assert!(matches!(error, StoreError::OlderSchema { version: 0 }), "{error}");
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date_with_the_keys_that_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let url = format!("sqlite:{}", path.display());
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let old = connect(one_connection(), options, &path).await.unwrap();
    let mut first = migrations::sqlite();
    first.migrations.to_mut().truncate(1);
    first.run_direct(None, &mut *old.acquire().await.unwrap(), false).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO identities VALUES ('fingerprint', 'prod', 7), ('unused', 'prod', 8);
         INSERT INTO signatures (registry, repository, digest, identity, format, identity_name, public_key_spki,
             log_origin, trust_zone, class, stage, intended_at, adopted)
         VALUES ('r', 'a', 'd', 'fingerprint', 'bundle', 'release', x'010203', 'log', 'prod', 'push', 'intended', 9, 0)",
    )
    .execute(&old)
    .await
    .unwrap();
    old.close().await;
    let Err(error) = crate::open_beside(&url).await else { panic!("opened") };
    assert!(matches!(error, StoreError::OlderSchema { version: 1 }), "{error}");
    let store = crate::open(&url).await.unwrap();
    let keys = store.identity_keys().await.unwrap();
    let shown: Vec<_> = keys.iter().map(|key| (key.identity.as_str(), key.spki.as_deref())).collect();
    assert_eq!(shown, [("fingerprint", Some(&[1, 2, 3][..])), ("unused", None)]);
}

#[tokio::test]
async fn a_recorded_signature_is_never_changed_even_by_hand() {
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    let id = crate::testing::signed_row(&store, 1).await;
    for column in ["signature", "signed_digest", "payload", "signed_at"] {
        let sql = format!("UPDATE signatures SET {column} = NULL WHERE id = {id}");
        let error = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&store.writer).await.unwrap_err();
        assert!(error.to_string().contains("a recorded signature is never changed"), "{error}");
    }
}

#[tokio::test]
async fn a_row_of_the_ledger_that_cannot_be_read_hides_no_other() {
    use crate::{IntentsSeen as _, LedgerView as _, OwnEntries as _, OwnEntryState};
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(crate::testing::signed_row(&store, number).await);
    }
    for (id, leaf_hash) in [(ids[0], "zeroblob(32)"), (ids[1], "x'00'")] {
        let sql = format!("INSERT INTO log_entries VALUES ({id}, 'log', 1, {leaf_hash}, x'00', 1)");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&store.writer).await.unwrap();
    }
    let signatures: Vec<Vec<u8>> = store
        .ledger_rows_after(0, 10)
        .await
        .unwrap()
        .rows
        .into_iter()
        .filter_map(|row| row.signature)
        .map(|recorded| recorded.signature)
        .collect();
    let sql = format!("UPDATE signatures SET class = 'nobody''s' WHERE id = {}", ids[1]);
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&store.writer).await.unwrap();
    for page in [store.unseen_ledger_rows(0, 10).await.unwrap(), store.ledger_rows_after(0, 10).await.unwrap()] {
        assert_eq!(page.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[0], ids[2]]);
        let [(id, problem)] = &page.unreadable[..] else { panic!("{page:?}") };
        assert!(*id == ids[1] && problem.contains("class"), "{id} {problem}");
        assert_eq!((page.len(), page.last_id), (3, Some(ids[2])));
    }
    assert_eq!(store.ledger_by_signatures(&signatures).await.unwrap().len(), 2);
    assert_eq!((store.import_own_entries(10).await.unwrap(), store.sweep_own_entries(0, 10).await.unwrap().0), (1, 0));
    let due = store.own_entries_due(1, 10).await.unwrap();
    assert_eq!(
        due.iter().map(|entry| (entry.signature_id, entry.state)).collect::<Vec<_>>(),
        [(ids[0], OwnEntryState::Waiting)]
    );
}
