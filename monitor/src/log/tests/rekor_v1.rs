//! Rekor v1's API: shards, virtual indices, and answers with something left out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tlog::{InclusionProof, leaf_hash, tree, verify_consistency};

use super::super::{Fresh, LogReader, ReadError, Readers};
use super::stub::{Asked, Reply, Stub};
use super::{hashes, leaf, reader, spec};
use crate::config::{Limits, LogKind};

const TREE: u64 = 77;
/// Leaves in the shard before ours.
const BEFORE: u64 = 1000;
/// Leaves in ours.
const SIZE: u64 = 35;

fn entry(index: u64) -> Value {
    let body = leaf(index);
    let proof = tree::inclusion_proof(&hashes(SIZE), index, SIZE).expect("a proof");
    let path: Vec<_> = proof.hashes.iter().map(ToString::to_string).collect();
    let id = format!("{TREE:016x}{}", leaf_hash(&body));
    json!({ id: { "body": STANDARD.encode(&body), "logIndex": BEFORE + index, "verification": {
        "inclusionProof": { "logIndex": index, "treeSize": SIZE, "rootHash": "", "hashes": path } } } })
}

fn query(asked: &Asked, name: &str) -> u64 {
    let pairs = asked.target.split_once('?').map_or("", |(_, query)| query).split('&');
    let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).expect("in the query").1;
    value.parse().expect("a number")
}

/// As the real server answers; with the entry at `absent` left out.
fn answer(asked: &Asked, before: u64, absent: u64) -> Reply {
    let path = asked.target.split('?').next().unwrap_or_default();
    let body = match path {
        "/log/api/v1/log" => {
            json!({ "treeID": TREE.to_string(), "treeSize": SIZE, "signedTreeHead": "ours", "rootHash": "",
            "inactiveShards": [{ "treeID": "5", "treeSize": before, "signedTreeHead": "old", "rootHash": "" }] })
        }
        "/log/api/v1/log/entries/retrieve" => {
            let wanted: Value = serde_json::from_str(&asked.body).expect("JSON");
            let wanted = wanted["logIndexes"].as_array().expect("a list");
            if wanted.len() > 10 {
                return Reply::new(422, "", b"too many");
            }
            let found =
                wanted.iter().filter_map(|index| index.as_u64()?.checked_sub(BEFORE)).filter(|index| *index != absent);
            found.rev().map(entry).collect()
        }
        "/log/api/v1/log/entries" => entry(query(asked, "logIndex") - BEFORE),
        "/log/api/v1/log/proof" => {
            let (old, new) = (query(asked, "firstSize"), query(asked, "lastSize"));
            assert_eq!(query(asked, "treeID"), TREE);
            match tree::consistency_proof(&hashes(SIZE), old, new) {
                Some(proof) => {
                    json!({ "rootHash": "of the newest", "hashes": proof.iter().map(ToString::to_string).collect::<Vec<_>>() })
                }
                None => return Reply::new(400, "", br#"{"message":"larger than the tree"}"#),
            }
        }
        other => panic!("{other}"),
    };
    Reply::ok(body.to_string())
}

async fn log(before: Arc<AtomicU64>, absent: u64) -> (Stub, Arc<dyn LogReader>) {
    let stub = Stub::start(move |asked| answer(asked, before.load(Ordering::Relaxed), absent)).await;
    let reader = reader(LogKind::RekorV1, "rekor.test - 77", stub.url.clone());
    (stub, reader)
}

async fn honest() -> (Stub, Arc<dyn LogReader>) {
    log(Arc::new(AtomicU64::new(BEFORE)), u64::MAX).await
}

#[tokio::test]
async fn a_shard_is_read_by_its_own_indices_ten_at_a_time() {
    let (stub, reader) = honest().await;
    assert_eq!((reader.batch_end(0, SIZE), reader.batch_end(13, SIZE), reader.batch_end(30, SIZE)), (10, 20, 35));
    let batch = reader.leaves(3, 35, SIZE, Fresh::No).await.expect("leaves");
    assert_eq!(
        batch.iter().map(|(index, found)| (index, found.to_vec())).collect::<Vec<_>>(),
        (3..35).map(|i| (i, leaf(i))).collect::<Vec<_>>()
    );
    assert_eq!(stub.asked().len(), 1 + 4, "the shards once, then four times ten");
    assert_eq!(reader.first_index().await.expect("known"), BEFORE);
    assert_eq!(reader.head().await.expect("a head"), b"ours");
}

#[tokio::test]
async fn all_shards_of_a_server_are_listed_from_the_oldest() {
    let (stub, _) = honest().await;
    let readers = Readers::new(Limits::default());
    let server = spec(LogKind::RekorV1, "rekor.test", stub.url.clone());
    let shards = readers.shards(&server).await.expect("readable").expect("shards");
    let told: Vec<_> = shards.iter().map(|s| (s.origin.as_str(), s.tree_id, s.first_index, s.size, s.active)).collect();
    assert_eq!(told, [("rekor.test - 5", 5, 0, BEFORE, false), ("rekor.test - 77", 77, BEFORE, SIZE, true)]);
    let gone = reader(LogKind::RekorV1, "rekor.test - 6", stub.url.clone()).head().await.expect_err("no such tree");
    assert!(gone.is_missing(), "{gone}");
}

#[tokio::test]
async fn an_entry_that_is_left_out_is_missing_by_its_own_index() {
    let (_stub, reader) = log(Arc::new(AtomicU64::new(BEFORE)), 12).await;
    assert!(reader.leaves(0, 10, SIZE, Fresh::No).await.is_ok());
    let error = reader.leaves(10, 20, SIZE, Fresh::No).await.expect_err("one is left out");
    assert!(error.is_missing() && error.to_string().contains("entry 12 of rekor.test - 77"), "{error}");
}

#[tokio::test]
async fn a_shard_that_begins_elsewhere_now_is_asked_about_again() {
    let before = Arc::new(AtomicU64::new(BEFORE + 3));
    let (_stub, reader) = log(Arc::clone(&before), u64::MAX).await;
    // Its entries are there under other numbers: what comes is not what was asked for, or is left out.
    assert!(reader.leaves(0, 10, SIZE, Fresh::No).await.is_ok(), "three on: wrong leaves, which no root is over");
    before.store(BEFORE, Ordering::Relaxed);
    assert!(reader.head().await.is_ok());
    let batch = reader.leaves(0, 1, SIZE, Fresh::No).await.expect("leaves");
    assert_eq!(batch.leaf(0), Some(&leaf(0)[..]));
}

#[tokio::test]
async fn proofs_are_of_the_asked_size_and_skew_is_not_a_finding() {
    let (_stub, reader) = honest().await;
    let leaves = hashes(SIZE);
    for size in [1, 20, 32, 34, SIZE] {
        let root = tree::root(&leaves[..size as usize]);
        for index in [0, size / 2, size - 1] {
            let hashes = reader.inclusion(index, size, Fresh::No).await.expect("a proof");
            assert_eq!(
                InclusionProof { index, size, hashes }.verify(&leaves[index as usize], &root),
                Ok(()),
                "{index} of {size}"
            );
        }
        let proof = reader.consistency(size, SIZE, Fresh::No).await.expect("a proof");
        assert_eq!(verify_consistency(size, &root, SIZE, &tree::root(&leaves), &proof), Ok(()));
    }
    for behind in [reader.consistency(3, SIZE + 1, Fresh::No).await, reader.inclusion(3, SIZE + 1, Fresh::No).await] {
        let error = behind.expect_err("not there yet");
        assert!(matches!(error, ReadError::Behind { .. }) && error.is_transient(), "{error}");
    }
    assert_eq!(reader.node(0, 0, SIZE).await.expect("no error"), None);
}

#[tokio::test]
async fn answers_that_are_not_json_are_neither_missing_nor_believed() {
    for body in ["<html>", "[]", "{}", "[[]]", r#"{"treeID":"77"}"#] {
        let stub = Stub::start(move |_| Reply::ok(body)).await;
        let reader = reader(LogKind::RekorV1, "rekor.test - 77", stub.url.clone());
        for error in [
            reader.head().await.err(),
            reader.leaves(0, 1, 1, Fresh::No).await.err(),
            reader.inclusion(0, 1, Fresh::No).await.err(),
        ] {
            let error = error.expect("an error");
            assert!(error.is_wrong() && !error.is_missing(), "{body}: {error}");
        }
    }
}

#[tokio::test]
async fn a_head_is_asked_for_before_all_leaves_that_wait() {
    let stub = Stub::start(|asked| answer(asked, BEFORE, u64::MAX)).await;
    let readers = Readers::new(Limits { in_flight: 1, ..Limits::default() });
    let reader = readers.reader(&spec(LogKind::RekorV1, "rekor.test - 77", stub.url.clone())).expect("a reader");
    reader.head().await.expect("a head");
    stub.asked();
    let leaves = |start: u64| reader.leaves_within(start, start + 5, SIZE, Fresh::No, 1 << 20);
    let (first, second, third, head) = tokio::join!(leaves(0), leaves(5), leaves(10), reader.head());
    assert!(first.is_ok() && second.is_ok() && third.is_ok() && head.is_ok());
    let asked = stub.asked();
    let heads: Vec<bool> = asked.iter().map(|asked| asked.target.ends_with("/api/v1/log")).collect();
    assert_eq!(heads, [false, true, false, false]);
}
