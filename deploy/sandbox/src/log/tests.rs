//! What a writer and a reader see of the log, checked with the product's own verification.

mod attacks;
mod directories;

use super::*;
use crate::testing::{Answer, ask, get};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle::{Format, LogEntry, NewEntry, PublicKey};
use p256::ecdsa::{DerSignature, SigningKey as P256Key};
use serde_json::json;
use signature::Signer as _;
use spki::EncodePublicKey as _;
use std::collections::BTreeMap;
use tlog::{Checkpoint, InclusionProof, leaf_hash, tile, verify_consistency};

async fn start() -> SandboxLog {
    SandboxLog::start(LogOptions { interval: Duration::from_millis(2), ..LogOptions::default() }).await.unwrap()
}

/// A signature over `message` by a key made from a number.
fn entry(message: &str) -> NewEntry {
    let key = P256Key::from_slice(&[7; 32]).unwrap();
    let signature: DerSignature = key.sign(message.as_bytes());
    let spki = key.verifying_key().to_public_key_der().unwrap();
    let key = PublicKey::from_spki(spki.as_bytes()).unwrap();
    NewEntry {
        format: Format::Legacy,
        message: message.as_bytes().to_vec(),
        envelope: None,
        signature: signature.as_bytes().to_vec(),
        hash: key.bundle_hash(),
        key,
    }
}

async fn post(log: &SandboxLog, body: Vec<u8>) -> Option<Answer> {
    let headers = [("content-type", "application/json")];
    ask(log.addr(), Method::POST, ENTRIES_PATH, &headers, body).await
}

async fn write(log: &SandboxLog, message: &str) -> Answer {
    post(log, entry(message).rekor_v2_request().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_write_is_answered_with_its_inclusion_under_a_signed_checkpoint() {
    let log = start().await;
    for index in 0..5u64 {
        let message = format!("message {index}");
        let answer = write(&log, &message).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        let written = LogEntry::from_rekor_v2(&answer.body).unwrap();
        assert_eq!(written.log_index, index);
        assert_eq!(written.log_id, log.key_id());
        // The body is exactly the one that the client can predict.
        assert_eq!(written.body, entry(&message).rekor_v2_body().unwrap());
        entry(&message).matches(&written.body).unwrap();
        assert_eq!(log.entry(index), Some(written.body.clone()));
        let proof = written.proof.unwrap();
        let checkpoint = Checkpoint::open(&proof.checkpoint, log.key()).unwrap();
        assert_eq!(checkpoint.origin(), "rekor.sandbox.local");
        assert_eq!(checkpoint.size(), proof.size);
        assert_eq!(checkpoint.root(), proof.root);
        InclusionProof { index, size: proof.size, hashes: proof.hashes }
            .verify(&leaf_hash(&written.body), &checkpoint.root())
            .unwrap();
    }
    assert_eq!(log.size(), 5);
}

#[tokio::test]
async fn the_answer_writes_out_every_field_as_the_real_log_does() {
    let log = start().await;
    let answer = write(&log, "message").await;
    let body = answer.json();
    let mut names: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "canonicalizedBody",
            "inclusionPromise",
            "inclusionProof",
            "integratedTime",
            "kindVersion",
            "logId",
            "logIndex"
        ]
    );
    assert_eq!(body["logIndex"], "0");
    assert_eq!(body["integratedTime"], "0");
    assert_eq!(body["inclusionPromise"], json!(null));
    assert_eq!(body["inclusionProof"]["treeSize"], "1");
    assert_eq!(body["inclusionProof"]["hashes"], json!([]));
    assert_eq!(body["kindVersion"], json!({ "kind": "hashedrekord", "version": "0.0.2" }));
}

#[tokio::test]
async fn a_request_whose_signature_does_not_verify_is_refused() {
    let log = start().await;
    let good: serde_json::Value = serde_json::from_slice(&entry("message").rekor_v2_request().unwrap()).unwrap();
    let refused = async |change: &dyn Fn(&mut serde_json::Value)| {
        let mut body = good.clone();
        change(&mut body["hashedRekordRequestV002"]);
        let answer = post(&log, body.to_string().into_bytes()).await.unwrap();
        assert_eq!(answer.json()["code"], 3);
        answer.status
    };
    let wrong = STANDARD.encode([1; 32]);
    assert_eq!(refused(&|r| r["digest"] = json!(wrong)).await, StatusCode::BAD_REQUEST);
    assert_eq!(refused(&|r| r["digest"] = json!(STANDARD.encode([1; 31]))).await, StatusCode::BAD_REQUEST);
    let other_key = P256Key::from_slice(&[8; 32]).unwrap();
    let spki = other_key.verifying_key().to_public_key_der().unwrap();
    let other_key = STANDARD.encode(spki.as_bytes());
    assert_eq!(
        refused(&|r| r["signature"]["verifier"]["publicKey"]["rawBytes"] = json!(other_key)).await,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(refused(&|r| r["unknown"] = json!(1)).await, StatusCode::BAD_REQUEST);
    let dsse = post(&log, b"{}".to_vec()).await.unwrap();
    assert_eq!(dsse.json()["message"], "invalid type, must be hashedrekord");
    assert_eq!(log.size(), 0);
}

#[tokio::test]
async fn the_same_entry_is_refused_while_it_is_remembered() {
    let log =
        SandboxLog::start(LogOptions { remembered: 2, interval: Duration::from_millis(2), ..LogOptions::default() })
            .await
            .unwrap();
    write(&log, "zero").await;
    write(&log, "one").await;
    let again = write(&log, "one").await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(again.header("x-log-index"), "1");
    assert_eq!(again.json()["message"], "an equivalent entry already exists in the transparency log with index 1");
    write(&log, "two").await;
    let forgotten = write(&log, "zero").await;
    assert_eq!(forgotten.status, StatusCode::CREATED);
    assert_eq!(log.entry(0), log.entry(3));
    log.forget_duplicates();
    assert_eq!(write(&log, "zero").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_duplicate_of_an_entry_that_still_waits_is_answered_once_it_is_in() {
    let log = start().await;
    log.set_delay(Duration::from_millis(100));
    let (first, second) = tokio::join!(write(&log, "message"), write(&log, "message"));
    let mut statuses = [first.status, second.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::CREATED, StatusCode::CONFLICT]);
    assert_eq!(log.size(), 1);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_entry_in_the_log() {
    let log = start().await;
    log.lose_next_answer();
    let request = entry("message").rekor_v2_request().unwrap();
    assert!(post(&log, request.clone()).await.is_none());
    assert_eq!(log.size(), 1);
    let again = post(&log, request).await.unwrap();
    assert_eq!(again.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_planned_refusal_is_met_once() {
    let log = start().await;
    log.refuse_next(StatusCode::TOO_MANY_REQUESTS, Some("3"));
    let refused = write(&log, "message").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "3");
    assert_eq!(log.size(), 0);
    log.set_frozen(true);
    assert_eq!(write(&log, "message").await.status, StatusCode::METHOD_NOT_ALLOWED);
    log.set_frozen(false);
    assert_eq!(write(&log, "message").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn checkpoints_of_a_growing_log_are_consistent() {
    let log = start().await;
    let mut seen = vec![Checkpoint::open(&log.checkpoint(), log.key()).unwrap()];
    for index in 0..20 {
        log.append(format!("leaf {index}").into_bytes()).await;
        let note = get(log.addr(), "/checkpoint").await.text();
        assert_eq!(note, get(log.addr(), "/api/v2/checkpoint").await.text());
        seen.push(Checkpoint::open(&note, log.key()).unwrap());
    }
    let last = seen.last().unwrap();
    assert_eq!(last.size(), 20);
    for old in seen.iter().filter(|old| old.size() > 0) {
        let proof = log.consistency(old.size(), last.size()).unwrap();
        verify_consistency(old.size(), &old.root(), last.size(), &last.root(), &proof).unwrap();
    }
}

#[tokio::test]
async fn the_tiles_hold_every_leaf_and_rebuild_the_signed_root() {
    const SIZE: u64 = 700;
    let log = start().await;
    let adding: Vec<_> = (0..SIZE)
        .map(|index| {
            let log = log.clone();
            tokio::spawn(async move { log.append(format!("leaf {index}").into_bytes()).await })
        })
        .collect();
    for task in adding {
        task.await.unwrap();
    }
    let note = get(log.addr(), "/checkpoint").await.text();
    let checkpoint = Checkpoint::open(&note, log.key()).unwrap();
    assert_eq!(checkpoint.size(), SIZE);

    let mut leaves = Vec::new();
    while (leaves.len() as u64) < SIZE {
        let (path, at) = tile::entries_for(SIZE, leaves.len() as u64);
        assert_eq!(at, 0);
        let bundle = get(log.addr(), &format!("/{path}")).await;
        assert_eq!(bundle.status, StatusCode::OK, "{path}");
        leaves.extend(tile::parse_entries(&bundle.body).unwrap());
    }
    let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    for index in [0, 255, 256, 511, 512, 699] {
        let mut tiles = BTreeMap::new();
        for coord in tile::tiles_for_inclusion(index, SIZE) {
            let answer = get(log.addr(), &format!("/{}", coord.path())).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", coord.path());
            let ours = tile::tile_bytes(coord.level, coord.index, coord.width, &hashes);
            assert_eq!(answer.body, ours, "{}", coord.path());
            tiles.insert(coord, answer.body);
        }
        let proof = tile::inclusion_proof(index, SIZE, &tiles).unwrap();
        proof.verify(&hashes[index as usize], &checkpoint.root()).unwrap();
    }
    // What is not there yet is not there in part.
    for path in ["/tile/0/002.p/189", "/tile/0/003", "/tile/2/000.p/1", "/tile/entries/002.p/189", "/tile/entries/x"] {
        assert_eq!(get(log.addr(), path).await.status, StatusCode::NOT_FOUND);
    }
    let same = get(log.addr(), "/api/v2/tile/0/000").await;
    assert_eq!(same.body, get(log.addr(), "/tile/0/000").await.body);
}

#[tokio::test]
async fn a_log_with_the_same_seed_is_the_same_log() {
    let options = || LogOptions { seed: Some([9; 32]), origin: "log.example".to_owned(), ..LogOptions::default() };
    let first = SandboxLog::start(options()).await.unwrap();
    let second = SandboxLog::start(options()).await.unwrap();
    assert_eq!(first.key_id(), second.key_id());
    assert!(Checkpoint::open(&second.checkpoint(), first.key()).is_ok());
    let other = start().await;
    assert!(Checkpoint::open(&other.checkpoint(), first.key()).is_err());
}
