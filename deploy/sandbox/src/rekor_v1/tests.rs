//! What a writer and a reader see of the log, checked with the product's own verification.

use super::*;
use crate::HeadSignature;
use crate::leaves::{self, leaf_v1};
use crate::testing::{Answer, ask, get};
use bundle::LogEntry;
use tlog::{Checkpoint, InclusionProof, verify_consistency, verify_set};

async fn start() -> SandboxRekorV1 {
    SandboxRekorV1::start(RekorV1Options::default()).await.unwrap()
}

async fn write(log: &SandboxRekorV1, body: Vec<u8>) -> Answer {
    ask(log.addr(), Method::POST, ENTRIES_PATH, &[("content-type", "application/json")], body).await.unwrap()
}

/// The one entry of an answer, after its SET has been checked.
fn entry(log: &SandboxRekorV1, answer: &[u8]) -> LogEntry {
    let (id, entry) = LogEntry::from_rekor_v1(answer).unwrap();
    assert!(id.ends_with(&leaf_hash(&entry.body).to_string()), "{id}");
    let (time, set) = (entry.integrated_time.unwrap(), entry.set.clone().unwrap());
    verify_set(log.key(), &entry.body, time, &entry.log_id, entry.log_index, &set).unwrap();
    entry
}

/// Whether the entry's proof leads to its checkpoint.
fn proved(log: &SandboxRekorV1, entry: &LogEntry) -> bool {
    let proof = entry.proof.clone().unwrap();
    let checkpoint = Checkpoint::open(&proof.checkpoint, log.key()).unwrap();
    assert_eq!((checkpoint.size(), checkpoint.root()), (proof.size, proof.root));
    let inclusion = InclusionProof { index: proof.log_index, size: proof.size, hashes: proof.hashes };
    inclusion.verify(&leaf_hash(&entry.body), &checkpoint.root()).is_ok()
}

async fn log_info(log: &SandboxRekorV1) -> (Value, Checkpoint) {
    let info = get(log.addr(), "/api/v1/log").await.json();
    let checkpoint = Checkpoint::open(info["signedTreeHead"].as_str().unwrap(), log.key()).unwrap();
    assert_eq!(info["treeSize"], checkpoint.size());
    assert_eq!(info["rootHash"], checkpoint.root().to_string());
    (info, checkpoint)
}

#[tokio::test]
async fn a_write_is_answered_with_its_promise_and_its_proof() {
    let log = start().await;
    for index in 0..5 {
        let answer = write(&log, leaf_v1(index)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        assert_eq!(answer.header("location"), format!("{ENTRIES_PATH}/{}", answer.header("etag")));
        let written = entry(&log, &answer.body);
        assert_eq!((written.log_index, &written.body), (index, &leaf_v1(index)));
        assert!(proved(&log, &written));
    }
    let again = write(&log, leaf_v1(3)).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let found = get(log.addr(), again.header("location")).await;
    assert_eq!(entry(&log, &found.body).log_index, 3);
}

#[tokio::test]
async fn an_envelope_becomes_its_hashes() {
    use p256::ecdsa::{DerSignature, SigningKey};
    use signature::Signer as _;
    use spki::EncodePublicKey as _;
    let log = start().await;
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let signature: DerSignature = key.sign(b"DSSEv1 4 text 5 hello");
    let envelope = json!({
        "payload": STANDARD.encode("hello"),
        "payloadType": "text",
        "signatures": [{ "sig": STANDARD.encode(signature.as_bytes()) }],
    });
    let pem =
        crate::timestamp_authority::pem("PUBLIC KEY", key.verifying_key().to_public_key_der().unwrap().as_bytes());
    let proposed = |envelope: &Value| {
        let content = json!({ "envelope": envelope.to_string(), "verifiers": [STANDARD.encode(&pem)] });
        json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": { "proposedContent": content } }).to_string()
    };
    let answer = write(&log, proposed(&envelope).into_bytes()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let body = entry(&log, &answer.body).body;
    bundle::EntryBody::parse(&body).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["spec"]["payloadHash"]["value"], bundle::Digest::of(b"hello").hex());
    let mut changed = envelope;
    changed["payload"] = json!(STANDARD.encode("hallo"));
    assert_eq!(write(&log, proposed(&changed).into_bytes()).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_does_not_verify_is_refused() {
    let log = start().await;
    let body = String::from_utf8(leaf_v1(0)).unwrap();
    let digest = hex::encode(leaves::digest(0));
    let changed = body.replace(&digest, &hex::encode(leaves::digest(1)));
    for wrong in [changed, body.replace("hashedrekord", "rekord"), "{}".to_owned(), "no".to_owned()] {
        assert_eq!(write(&log, wrong.into_bytes()).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(log.size(), 0);
}

#[tokio::test]
async fn entries_are_found_by_index_by_id_and_several_at_once() {
    let log = start().await;
    log.extend((0..30).map(leaf_v1));
    let by_index = get(log.addr(), "/api/v1/log/entries?logIndex=17").await;
    assert_eq!(entry(&log, &by_index.body).body, leaf_v1(17));
    let hash = leaf_hash(&leaf_v1(9));
    for id in [hash.to_string(), format!("{:016x}{hash}", log.tree_id())] {
        let by_id = get(log.addr(), &format!("/api/v1/log/entries/{id}")).await;
        assert_eq!(entry(&log, &by_id.body).log_index, 9);
    }
    let other_tree = format!("{:016x}{hash}", log.tree_id() ^ 1);
    assert_eq!(get(log.addr(), &format!("/api/v1/log/entries/{other_tree}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(get(log.addr(), "/api/v1/log/entries?logIndex=30").await.status, StatusCode::NOT_FOUND);
    let retrieve = async |body: Value| {
        let headers = [("content-type", "application/json")];
        ask(log.addr(), Method::POST, "/api/v1/log/entries/retrieve", &headers, body.to_string()).await.unwrap()
    };
    let several = retrieve(json!({ "logIndexes": [3, 99, 4], "entryUUIDs": [hash.to_string()] })).await.json();
    let indexes: Vec<u64> =
        several.as_array().unwrap().iter().map(|one| entry(&log, one.to_string().as_bytes()).log_index).collect();
    assert_eq!(indexes, [9, 3, 4]);
    let too_many: Vec<u64> = (0..11).collect();
    assert_eq!(retrieve(json!({ "logIndexes": too_many })).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn heads_are_consistent_and_name_their_shard() {
    let log = start().await;
    log.extend((0..7).map(leaf_v1));
    let (_, old) = log_info(&log).await;
    assert_eq!(old.origin(), log.origin());
    log.extend((7..20).map(leaf_v1));
    let (_, new) = log_info(&log).await;
    let path = format!("/api/v1/log/proof?firstSize=7&lastSize=20&treeID={}", log.tree_id());
    let proof = get(log.addr(), &path).await.json();
    let hashes: Vec<Hash> =
        proof["hashes"].as_array().unwrap().iter().map(|hash| hash.as_str().unwrap().parse().unwrap()).collect();
    verify_consistency(7, &old.root(), 20, &new.root(), &hashes).unwrap();
    for wrong in ["firstSize=8&lastSize=7", "lastSize=21", "lastSize=7&treeID=1", "firstSize=0&lastSize=7"] {
        let path = format!("/api/v1/log/proof?{wrong}");
        assert_eq!(get(log.addr(), &path).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(get(log.addr(), "/api/v1/log/publicKey").await.text(), log.public_key_pem());
}

#[tokio::test]
async fn a_rotated_log_keeps_its_old_shard_and_counts_on() {
    let log = start().await;
    log.extend((0..5).map(leaf_v1));
    let old_tree = log.tree_id();
    let new_tree = log.rotate([leaf_v1(5), leaf_v1(6)]).unwrap();
    assert_eq!(log.shards(), [(old_tree, 7), (new_tree, 0)]);
    let written = entry(&log, &write(&log, leaf_v1(7)).await.body);
    assert_eq!((written.log_index, written.proof.as_ref().unwrap().log_index), (7, 0));
    assert!(proved(&log, &written));
    // The tail is under the old shard's head.
    assert!(proved(&log, &entry(&log, &get(log.addr(), "/api/v1/log/entries?logIndex=6").await.body)));
    let (info, head) = log_info(&log).await;
    assert_eq!((head.size(), head.origin()), (1, log.origin().as_str()));
    let closed = &info["inactiveShards"][0];
    assert_eq!((closed["treeID"].as_str(), closed["treeSize"].as_u64()), (Some(&*old_tree.to_string()), Some(7)));
    let closed = Checkpoint::open(closed["signedTreeHead"].as_str().unwrap(), log.key()).unwrap();
    assert_eq!(closed.origin(), format!("{} - {old_tree}", log.hostname()));
    assert!(log.grow_shard(old_tree, leaf_v1(8)) && !log.grow_shard(1, leaf_v1(8)));
    assert_eq!(log_info(&log).await.0["inactiveShards"][0]["treeSize"], 8);
    log.hide_shard(old_tree);
    assert_eq!(log_info(&log).await.0["inactiveShards"], json!([]));
}

#[tokio::test]
async fn a_promise_alone_is_signed_and_never_kept() {
    let log = start().await;
    log.set_promise_only(true);
    let promised = entry(&log, &write(&log, leaf_v1(0)).await.body);
    assert_eq!((promised.log_index, promised.proof.is_none()), (0, true));
    assert_eq!(log.size(), 0);
    log.be_honest();
    write(&log, leaf_v1(1)).await;
    assert_eq!(log.entry(0), Some(leaf_v1(1)));
    let out_of_band = log.promise(&leaf_v1(2), 99);
    assert_eq!(entry(&log, out_of_band.to_string().as_bytes()).log_index, 99);
}

#[tokio::test]
async fn a_withheld_write_has_proof_and_promise_of_a_shadow_tree() {
    let log = start().await;
    log.extend((0..3).map(leaf_v1));
    log.withhold_writes().await.unwrap();
    let withheld = entry(&log, &write(&log, leaf_v1(3)).await.body);
    assert!(proved(&log, &withheld));
    log.extend([leaf_v1(4)]);
    let there = entry(&log, &get(log.addr(), "/api/v1/log/entries?logIndex=3").await.body);
    assert_ne!(there.body, withheld.body);
    assert_eq!(there.proof.unwrap().size, withheld.proof.unwrap().size);
}

#[tokio::test]
async fn another_tree_can_be_under_the_same_key() {
    let log = start().await;
    log.extend((0..3).map(leaf_v1));
    let shadow = log.fork_as(4242).await.unwrap();
    let written = entry(&log, &write(&shadow, leaf_v1(3)).await.body);
    assert!(proved(&log, &written));
    assert!(written.proof.unwrap().checkpoint.starts_with(&format!("{} - 4242\n", log.hostname())));
}

#[tokio::test]
async fn forks_rollbacks_and_frozen_views_are_shown_to_readers_only() {
    let log = start().await;
    log.extend((0..10).map(leaf_v1));
    let (_, honest) = log_info(&log).await;
    let fork = log.fork_last(b"instead".to_vec()).await.unwrap().unwrap();
    let (_, forked) = log_info(&log).await;
    assert_eq!(forked.size(), 10);
    assert_ne!(forked.root(), honest.root());
    fork.extend([b"more".to_vec()]);
    let proof = fork.consistency(fork.tree_id(), 10, 11).unwrap();
    let (_, grown) = log_info(&log).await;
    assert!(verify_consistency(10, &honest.root(), 11, &grown.root(), &proof).is_err());
    log.roll_back(4).await.unwrap();
    assert_eq!(log_info(&log).await.1.size(), 4);
    log.be_honest();
    log.freeze_view().await.unwrap();
    write(&log, leaf_v1(11)).await;
    assert_eq!(log_info(&log).await.1, honest);
    log.be_honest();
    assert_eq!(log_info(&log).await.1.size(), 11);
}

#[tokio::test]
async fn swapped_and_omitted_leaves_do_not_fit_the_head() {
    let log = start().await;
    log.extend((0..10).map(leaf_v1));
    log.swap_leaf(4, leaf_v1(99));
    let swapped = entry(&log, &get(log.addr(), "/api/v1/log/entries?logIndex=4").await.body);
    assert_eq!(swapped.body, leaf_v1(99));
    assert!(!proved(&log, &swapped));
    log.omit_leaf(4);
    assert_eq!(get(log.addr(), "/api/v1/log/entries?logIndex=4").await.status, StatusCode::NOT_FOUND);
    assert_eq!(log_info(&log).await.1.size(), 10);
}

#[tokio::test]
async fn heads_are_signed_as_told() {
    let log = start().await;
    log.extend((0..3).map(leaf_v1));
    let head = async || get(log.addr(), "/api/v1/log").await.json()["signedTreeHead"].as_str().unwrap().to_owned();
    for how in [HeadSignature::Broken, HeadSignature::Stranger] {
        log.set_signature(how);
        assert!(Checkpoint::open(&head().await, log.key()).is_err());
    }
    log.be_honest();
    log.set_origin(Some("another.example - 1"));
    let note = head().await;
    let parsed = tlog::SignedNote::parse(&note).unwrap();
    assert!(parsed.text().starts_with("another.example - 1\n"));
    log.key().verify(parsed.text().as_bytes(), &parsed.signatures()[0].signature).unwrap();
    log.be_honest();
    let made_up = log.sign_checkpoint(77, &leaf_hash(b"nothing"));
    log.serve_checkpoint(Some(made_up.clone()));
    assert_eq!(head().await, made_up);
    assert_eq!(Checkpoint::open(&made_up, log.key()).unwrap().size(), 77);
}

#[tokio::test]
async fn a_clock_that_is_wrong_dates_entries_wrongly() {
    let log = start().await;
    log.set_clock_offset(86_400);
    let written = entry(&log, &write(&log, leaf_v1(0)).await.body);
    assert!(written.integrated_time.unwrap() > clock::unix_seconds() + 86_000);
}
