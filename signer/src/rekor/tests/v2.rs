//! Rekor v2.

use serde_json::{Value, json};

use super::fake::{FakeLog, ORIGIN, Scripted, leaf};
use super::*;
use crate::rekor::v2::RekorV2;

fn writer(log: &FakeLog) -> RekorV2 {
    RekorV2::new(client(), ORIGIN, log.url.clone(), Some(log.url.clone()), log.key()).with_retry(RETRY)
}

async fn write(log: &FakeLog, format: Format) -> Result<LogEntry, LogError> {
    writer(log).write(&entry(format).await).await
}

#[tokio::test]
async fn an_entry_of_either_format_is_written_once_and_verified() {
    for format in Format::ALL {
        let log = FakeLog::start(2).await;
        let logged = write(&log, format).await.unwrap();
        assert_eq!(logged.body, leaf(&entry(format).await, 2));
        assert_eq!(logged.log_index, 1);
        assert_eq!(log.writes(), 1);
        assert_eq!(log.reads(), 0);
    }
}

#[tokio::test]
async fn an_entry_that_the_log_has_already_is_read_back_and_adopted() {
    for (before, after) in [(0, 0), (1, 0), (3, 300), (255, 0), (256, 1), (300, 700)] {
        let log = FakeLog::start(2).await;
        log.state().leaves.clear();
        log.state().leaves.extend((0..before).map(|n: u32| n.to_be_bytes().to_vec()));
        let first = write(&log, Format::Bundle).await.unwrap();
        log.state().leaves.extend((0..after).map(|n: u32| format!("later {n}").into_bytes()));
        let second = write(&log, Format::Bundle).await.unwrap();
        assert_eq!(second.log_index, u64::from(before));
        assert_eq!((&first.body, first.log_id), (&second.body, second.log_id));
        assert_eq!(second.proof.unwrap().size, u64::from(before + after + 1));
    }
}

#[tokio::test]
async fn the_index_of_a_conflict_may_come_in_a_header() {
    let log = FakeLog::start(2).await;
    let first = write(&log, Format::Bundle).await.unwrap();
    log.state().script.push_back(Scripted::status(409).with("x-log-index", 1));
    assert_eq!(write(&log, Format::Bundle).await.unwrap().body, first.body);
}

#[tokio::test]
async fn tiles_are_found_below_the_api_s_path_too() {
    let log = FakeLog::start(2).await;
    log.state().read_prefix = "/api/v2/";
    write(&log, Format::Bundle).await.unwrap();
    write(&log, Format::Bundle).await.unwrap();
}

#[tokio::test]
async fn a_full_tile_stands_in_for_a_partial_one_that_is_gone() {
    let log = FakeLog::start(2).await;
    log.state().full_tiles_only = true;
    write(&log, Format::Bundle).await.unwrap();
    write(&log, Format::Bundle).await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_that_lags_is_waited_for() {
    let log = FakeLog::start(2).await;
    write(&log, Format::Bundle).await.unwrap();
    log.state().lag = 5;
    write(&log, Format::Bundle).await.unwrap();
    assert_eq!(log.state().lag, 0);
}

#[tokio::test]
async fn without_a_read_url_a_conflict_says_what_to_configure() {
    let log = FakeLog::start(2).await;
    write(&log, Format::Bundle).await.unwrap();
    let blind = RekorV2::new(client(), ORIGIN, log.url.clone(), None, log.key()).with_retry(RETRY);
    let error = blind.write(&entry(Format::Bundle).await).await.unwrap_err();
    assert!(error.to_string().contains(r#"set `[log."log.example.com"] read_url`"#), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_conflict_that_names_another_entry_s_index_is_refused() {
    let log = FakeLog::start(2).await;
    let theirs = leaf(&other_entry(Format::Bundle).await, 2);
    log.state().leaves.push(theirs);
    for index in [0, 1] {
        log.state().script.push_back(Scripted::status(409).with("x-log-index", index));
        let error = write(&log, Format::Bundle).await.unwrap_err();
        assert!(matches!(error, LogError::NotThere { index: i, .. } if i == index), "{error}");
    }
}

#[tokio::test]
async fn every_altered_answer_is_refused() {
    type Alteration = fn(&mut Value);
    let alterations: [(&str, Alteration); 10] = [
        ("another body", |a| a["canonicalizedBody"] = json!("e30=")),
        ("another kind", |a| a["kindVersion"]["kind"] = json!("dsse")),
        ("another log", |a| a["logId"]["keyId"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
        ("another index", |a| a["logIndex"] = json!("0")),
        ("no proof", |a| {
            a.as_object_mut().unwrap().remove("inclusionProof");
        }),
        ("another root", |a| {
            a["inclusionProof"]["rootHash"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        }),
        ("another path", |a| {
            a["inclusionProof"]["hashes"][0] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        }),
        ("another leaf", |a| {
            a["logIndex"] = json!("0");
            a["inclusionProof"]["logIndex"] = json!("0");
        }),
        ("an altered checkpoint", |a| {
            let note = &mut a["inclusionProof"]["checkpoint"]["envelope"];
            *note = json!(note.as_str().unwrap().replacen("\n2\n", "\n3\n", 1));
        }),
        ("another log's checkpoint", |a| {
            let note = &mut a["inclusionProof"]["checkpoint"]["envelope"];
            *note = json!(note.as_str().unwrap().replace(ORIGIN, "evil.example.com"));
        }),
    ];
    for (name, alter) in alterations {
        let log = FakeLog::start(2).await;
        log.tamper(alter);
        let error = write(&log, Format::Bundle).await.expect_err(name);
        assert!(
            matches!(error, LogError::Untrusted { .. } | LogError::NotOurs { .. } | LogError::Malformed { .. }),
            "{name}: {error}"
        );
    }
}

#[tokio::test]
async fn an_entry_for_another_signature_is_refused() {
    let log = FakeLog::start(2).await;
    let other = other_entry(Format::Bundle).await;
    let theirs = writer(&log).write(&other).await.unwrap();
    log.state().script.push_back(Scripted::status(201).body(String::from_utf8(theirs.to_json()).unwrap()));
    let error = write(&log, Format::Bundle).await.unwrap_err();
    assert!(matches!(error, LogError::NotOurs { index: 1, .. }), "{error}");
}

#[tokio::test]
async fn altered_tiles_are_refused() {
    let alter_last = |bytes: &mut Vec<u8>| {
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
    };
    for touched in ["tile/0/", "tile/entries/", "checkpoint"] {
        let log = FakeLog::start(2).await;
        write(&log, Format::Bundle).await.unwrap();
        log.state().leaves.push(b"later".to_vec());
        log.state().leaves.push(b"later still".to_vec());
        log.state().tamper_read = Some(Box::new(move |path, bytes| {
            if path.starts_with("tile/entries/") && touched == "tile/entries/" {
                // Ours is the second entry: alter its last byte.
                let first = usize::from(u16::from_be_bytes([bytes[0], bytes[1]])) + 2;
                let second = usize::from(u16::from_be_bytes([bytes[first], bytes[first + 1]])) + 2;
                bytes[first + second - 1] ^= 1;
            } else if path.starts_with(touched) {
                alter_last(bytes);
            }
        }));
        let error = write(&log, Format::Bundle).await.expect_err(touched);
        assert!(
            matches!(error, LogError::Untrusted { .. } | LogError::NotThere { .. } | LogError::Malformed { .. }),
            "{touched}: {error}"
        );
    }
}

#[tokio::test]
async fn an_answer_under_another_key_is_refused() {
    let log = FakeLog::start(2).await;
    let fooled = RekorV2::new(client(), ORIGIN, log.url.clone(), None, log.wrong_key()).with_retry(RETRY);
    let error = fooled.write(&entry(Format::Bundle).await).await.unwrap_err();
    assert!(matches!(error, LogError::Untrusted { source: Untrusted::LogId, .. }), "{error}");
}

#[tokio::test]
async fn a_frozen_log_is_named_and_not_asked_again() {
    let log = FakeLog::start(2).await;
    log.state().script.push_back(Scripted::status(405));
    let error = write(&log, Format::Bundle).await.unwrap_err();
    assert!(matches!(error, LogError::Frozen { .. }), "{error}");
    assert_eq!(log.writes(), 1);
}

#[tokio::test]
async fn pushback_is_waited_out() {
    let log = FakeLog::start(2).await;
    log.state().script.push_back(Scripted::status(503).body("reached max pushback; retry"));
    write(&log, Format::Bundle).await.unwrap();
    assert_eq!(log.writes(), 2);
}

#[tokio::test]
async fn another_client_that_hung_up_does_not_cost_us_our_entry() {
    let log = FakeLog::start(2).await;
    log.state().script.push_back(Scripted::status(499).body("add entry: await: context canceled"));
    write(&log, Format::Bundle).await.unwrap();
    assert_eq!(log.writes(), 2);
}

#[tokio::test]
async fn an_ed25519_key_is_refused_before_anything_is_sent() {
    let log = FakeLog::start(2).await;
    let key = file::load(ED25519.as_bytes(), None).unwrap();
    let new = signed(&key, Format::Bundle, b"image").await.new_entry(key.public_key());
    let error = writer(&log).write(&new).await.unwrap_err();
    assert!(matches!(error, LogError::Request { .. }), "{error}");
    assert_eq!(log.writes(), 0);
}
