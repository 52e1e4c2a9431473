//! Rekor v1.

use serde_json::{Value, json};

use super::fake::{FakeLog, OLDER_SHARDS, ORIGIN, Scripted, leaf, uuid};
use super::*;
use crate::rekor::v1::RekorV1;

fn writer(log: &FakeLog, key: LogKey) -> RekorV1 {
    RekorV1::new(client(), ORIGIN, log.url.clone(), key).with_retry(RETRY)
}

async fn write(log: &FakeLog, format: Format) -> Result<LogEntry, LogError> {
    writer(log, log.key()).write(&entry(format).await).await
}

#[tokio::test]
async fn an_entry_of_either_format_is_written_once_and_verified() {
    for format in Format::ALL {
        let log = FakeLog::start(1).await;
        let logged = write(&log, format).await.unwrap();
        assert_eq!(logged.body, leaf(&entry(format).await, 1));
        assert_eq!(logged.log_index, OLDER_SHARDS + 1);
        assert_eq!(logged.proof.unwrap().log_index, 1);
        assert!(logged.set.is_some());
        assert_eq!(log.writes(), 1);
        assert_eq!(log.reads(), 0);
    }
}

#[tokio::test]
async fn an_entry_that_the_log_has_already_is_adopted() {
    for format in Format::ALL {
        let log = FakeLog::start(1).await;
        let first = write(&log, format).await.unwrap();
        let second = write(&log, format).await.unwrap();
        assert_eq!(first, second);
        assert_eq!(log.state().leaves.len(), 2);
    }
}

#[tokio::test]
async fn a_conflict_is_followed_by_its_message_where_there_is_no_location() {
    let log = FakeLog::start(1).await;
    let first = write(&log, Format::Legacy).await.unwrap();
    let message = format!("already exists in the transparency log with UUID {}", uuid(&first.body));
    log.state().script.push_back(Scripted::status(409).body(json!({ "message": message })));
    assert_eq!(write(&log, Format::Legacy).await.unwrap(), first);
}

#[tokio::test]
async fn a_conflict_is_followed_on_the_configured_host_only() {
    let log = FakeLog::start(1).await;
    write(&log, Format::Legacy).await.unwrap();
    // The fake's Location names another host; had it been asked, there would be no answer.
    write(&log, Format::Legacy).await.unwrap();
    let asked = log.state().requests.last().cloned().unwrap();
    assert!(asked.starts_with("GET /api/v1/log/entries/24296fb24b8ad77a"), "{asked}");
}

#[tokio::test]
async fn a_conflict_that_names_somebody_else_s_entry_is_refused() {
    let log = FakeLog::start(1).await;
    let theirs = leaf(&other_entry(Format::Bundle).await, 1);
    log.state().leaves.push(theirs.clone());
    let location = format!("/api/v1/log/entries/{}", uuid(&theirs));
    log.state().script.push_back(Scripted::status(409).with("location", location));
    let error = write(&log, Format::Bundle).await.unwrap_err();
    assert!(matches!(error, LogError::NotOurs { index, .. } if index == OLDER_SHARDS + 1), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_conflict_whose_location_is_no_uuid_is_never_requested() {
    let log = FakeLog::start(1).await;
    for location in ["/api/v1/log/entries/../../secret", "http://169.254.169.254/latest", ""] {
        log.state().script.push_back(Scripted::status(409).with("location", location));
        log.state().script.push_back(Scripted::status(409).with("location", location));
        log.state().script.push_back(Scripted::status(409).with("location", location));
        let error = write(&log, Format::Legacy).await.unwrap_err();
        assert!(matches!(error, LogError::Malformed { .. }), "{error}");
    }
    assert_eq!(log.reads(), 0);
}

#[tokio::test]
async fn every_altered_answer_is_refused() {
    type Alteration = fn(&mut Value);
    let alterations: [(&str, Alteration); 11] = [
        ("another body", |a| a["body"] = json!("e30=")),
        ("another time", |a| a["integratedTime"] = json!(1_732_464_001)),
        ("another index", |a| a["logIndex"] = json!(5)),
        ("another log", |a| a["logID"] = json!("00".repeat(32))),
        ("another promise", |a| a["verification"]["signedEntryTimestamp"] = json!("MAYCAQECAQE=")),
        ("no promise", |a| {
            a["verification"].as_object_mut().unwrap().remove("signedEntryTimestamp");
        }),
        ("another root", |a| a["verification"]["inclusionProof"]["rootHash"] = json!("11".repeat(32))),
        ("another path", |a| a["verification"]["inclusionProof"]["hashes"][0] = json!("11".repeat(32))),
        ("another leaf", |a| a["verification"]["inclusionProof"]["logIndex"] = json!(0)),
        ("another size", |a| a["verification"]["inclusionProof"]["treeSize"] = json!(3)),
        ("an altered checkpoint", |a| {
            let note = &mut a["verification"]["inclusionProof"]["checkpoint"];
            *note = json!(note.as_str().unwrap().replacen("\n2\n", "\n3\n", 1));
        }),
    ];
    for (name, alter) in alterations {
        let log = FakeLog::start(1).await;
        log.tamper(alter);
        let error = write(&log, Format::Bundle).await.expect_err(name);
        assert!(
            matches!(error, LogError::Untrusted { .. } | LogError::NotOurs { .. } | LogError::Malformed { .. }),
            "{name}: {error}"
        );
    }
}

#[tokio::test]
async fn an_answer_under_another_key_is_refused_and_names_the_log() {
    let log = FakeLog::start(1).await;
    let error = writer(&log, log.wrong_key()).write(&entry(Format::Legacy).await).await.unwrap_err();
    assert!(matches!(error, LogError::Untrusted { source: Untrusted::LogId, .. }), "{error}");
    assert!(error.to_string().contains(ORIGIN));
}

#[tokio::test]
async fn an_answer_that_is_far_longer_than_an_entry_is_not_parsed() {
    let log = FakeLog::start(1).await;
    log.state().script.push_back(Scripted::status(201).body(format!("[{}0]", "0,".repeat(1 << 20))));
    let error = write(&log, Format::Bundle).await.unwrap_err();
    assert!(error.to_string().contains("larger than"), "{error}");
}

#[tokio::test]
async fn a_bundle_waits_for_its_inclusion_proof() {
    let log = FakeLog::start(1).await;
    log.state().without_proof = 3;
    let logged = write(&log, Format::Bundle).await.unwrap();
    assert!(logged.proof.is_some());
    assert_eq!(log.writes(), 1);
    assert_eq!(log.reads(), 3);
}

#[tokio::test]
async fn a_legacy_signature_needs_no_inclusion_proof() {
    let log = FakeLog::start(1).await;
    log.state().without_proof = 1;
    let logged = write(&log, Format::Legacy).await.unwrap();
    assert!(logged.proof.is_none() && logged.set.is_some());
    assert_eq!(log.reads(), 0);
}

#[tokio::test]
async fn an_ed25519_bundle_is_written() {
    let log = FakeLog::start(1).await;
    let key = file::load(ED25519.as_bytes(), None).unwrap();
    let new = signed(&key, Format::Bundle, b"image").await.new_entry(key.public_key());
    writer(&log, log.key()).write(&new).await.unwrap();
}

#[tokio::test]
async fn a_busy_log_is_asked_again_and_a_refusing_one_is_not() {
    let log = FakeLog::start(1).await;
    log.state().script.extend([Scripted::status(503), Scripted::status(429).with("retry-after", 1)]);
    let started = std::time::Instant::now();
    write(&log, Format::Legacy).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(log.writes(), 3);

    log.state().script.push_back(Scripted::status(400).body("bad entry"));
    let error = write(&log, Format::Bundle).await.unwrap_err();
    assert!(error.to_string().contains("(400): bad entry"), "{error}");
    assert_eq!(log.writes(), 4);
}

#[tokio::test]
async fn a_log_that_wants_us_away_for_long_is_left_to_the_caller() {
    let log = FakeLog::start(1).await;
    log.state().script.push_back(Scripted::status(429).with("retry-after", 3600));
    let error = write(&log, Format::Legacy).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(log.writes(), 1);
}
