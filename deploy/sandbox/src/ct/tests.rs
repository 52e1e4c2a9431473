//! The log as a reader of RFC 6962 sees it, checked with `tlog`.

use super::*;
use crate::testing::{Answer, ask, get};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use tlog::ct::{CtEntry, CtLeaf};
use tlog::{Checkpoint, HeadFormat, InclusionProof, leaf_hash, verify_consistency};

async fn start() -> SandboxCt {
    SandboxCt::start(CtOptions { page: 10, ..CtOptions::default() }).await.unwrap()
}

fn decoded(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn hashes(value: &Value) -> Vec<Hash> {
    value.as_array().unwrap().iter().map(|hash| Hash::from_slice(&decoded(hash)).unwrap()).collect()
}

struct Head {
    size: u64,
    root: Hash,
    timestamp_ms: u64,
    signed: bool,
}

/// The tree head as it is served; what is signed is put together here once more.
async fn head(log: &SandboxCt) -> Head {
    let sth = get(log.addr(), "/ct/v1/get-sth").await.json();
    let root = Hash::from_slice(&decoded(&sth["sha256_root_hash"])).unwrap();
    let (size, timestamp_ms) = (sth["tree_size"].as_u64().unwrap(), sth["timestamp"].as_u64().unwrap());
    let message = [&[0, 1][..], &timestamp_ms.to_be_bytes(), &size.to_be_bytes(), root.as_bytes()].concat();
    let signature = decoded(&sth["tree_head_signature"]);
    assert_eq!(signature[..2], [4, 3]);
    assert_eq!(usize::from(u16::from_be_bytes([signature[2], signature[3]])), signature.len() - 4);
    let opened = Checkpoint::open_as(HeadFormat::TreeHead, sth.to_string().as_bytes(), "ct", log.key());
    let signed = log.key().verify(&message, &signature[4..]).is_ok();
    // The product agrees.
    let opened = opened.ok().map(|head| (head.size(), head.root(), head.timestamp_ms()));
    assert_eq!(opened, signed.then_some((size, root, i64::try_from(timestamp_ms).ok())));
    Head { size, root, timestamp_ms, signed }
}

async fn leaves(log: &SandboxCt, start: u64, end: u64) -> Vec<Vec<u8>> {
    let page = get(log.addr(), &format!("/ct/v1/get-entries?start={start}&end={end}")).await.json();
    page["entries"].as_array().unwrap().iter().map(|entry| decoded(&entry["leaf_input"])).collect()
}

fn made(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|number| number.to_be_bytes().to_vec()).collect()
}

#[tokio::test]
async fn pages_hash_to_the_signed_root_and_proofs_lead_to_it() {
    let log = start().await;
    let empty = head(&log).await;
    assert!(empty.signed && empty.size == 0 && empty.root == Hash::empty_root());
    log.extend(made(7));
    let old = head(&log).await;
    log.extend(made(20));
    let new = head(&log).await;
    assert!(new.signed && new.size == 27);
    let mut all = Vec::new();
    while (all.len() as u64) < new.size {
        let page = leaves(&log, all.len() as u64, new.size - 1).await;
        assert!(page.len() <= 10);
        all.extend(page);
    }
    let hashed: Vec<Hash> = all.iter().map(|leaf| leaf_hash(leaf)).collect();
    assert_eq!(tlog::tree::root(&hashed), new.root);
    let proof = get(log.addr(), "/ct/v1/get-sth-consistency?first=7&second=27").await.json();
    verify_consistency(7, &old.root, 27, &new.root, &hashes(&proof["consistency"])).unwrap();
    let encoded = STANDARD.encode(hashed[26].as_bytes()).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let by_hash = get(log.addr(), &format!("/ct/v1/get-proof-by-hash?hash={encoded}&tree_size=27")).await.json();
    let index = by_hash["leaf_index"].as_u64().unwrap();
    let proof = InclusionProof { index, size: 27, hashes: hashes(&by_hash["audit_path"]) };
    proof.verify(&hashed[26], &new.root).unwrap();
    let entry = get(log.addr(), "/ct/v1/get-entry-and-proof?leaf_index=3&tree_size=27").await.json();
    let proof = InclusionProof { index: 3, size: 27, hashes: hashes(&entry["audit_path"]) };
    proof.verify(&leaf_hash(&decoded(&entry["leaf_input"])), &new.root).unwrap();
    for wrong in [
        "get-entries?start=27&end=30",
        "get-entries?start=5&end=4",
        "get-sth-consistency?first=5&second=28",
        "get-entry-and-proof?leaf_index=27&tree_size=27",
    ] {
        assert_eq!(get(log.addr(), &format!("/ct/v1/{wrong}")).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

async fn post(log: &SandboxCt, path: &str, chain: &[&[u8]]) -> Answer {
    let chain: Vec<String> = chain.iter().map(|certificate| STANDARD.encode(certificate)).collect();
    let body = json!({ "chain": chain }).to_string();
    ask(log.addr(), Method::POST, path, &[("content-type", "application/json")], body).await.unwrap()
}

#[tokio::test]
async fn a_certificate_is_promised_and_logged() {
    let log = start().await;
    let certificate = crate::leaves::certificate(1);
    let chain = crate::leaves::authority_chain_der();
    let answer = post(&log, "/ct/v1/add-chain", &[&certificate, &chain[0], &chain[1]]).await.json();
    let leaf = log.leaf(0).unwrap();
    let parsed = CtLeaf::parse(&leaf).unwrap();
    assert_eq!((parsed.entry, answer["timestamp"].as_u64()), (CtEntry::X509(&certificate), Some(parsed.timestamp_ms)));
    let signature = decoded(&answer["signature"]);
    log.key().verify(&leaf, &signature[4..]).unwrap();
    assert_eq!(decoded(&answer["id"]), log.key_id());
    let sct = log.add_certificate(&certificate, chain);
    assert_eq!(sct[1..33], log.key_id());
    assert_eq!(log.size(), 2);
    for wrong in [&[][..], &[b"no certificate".as_slice()]] {
        assert_eq!(post(&log, "/ct/v1/add-chain", wrong).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(post(&log, "/ct/v1/add-pre-chain", wrong).await.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_withheld_certificate_has_its_promise_and_no_entry() {
    let log = start().await;
    log.set_withholding(true);
    let sct = log.add_certificate(&crate::leaves::certificate(1), &[]);
    assert_eq!(sct.len(), 1 + 32 + 8 + 2 + 4 + usize::from(sct[46]));
    assert_eq!(log.size(), 0);
    log.be_honest();
    log.add_certificate(&crate::leaves::certificate(1), &[]);
    assert_eq!(log.size(), 1);
}

#[tokio::test]
async fn each_lie_is_told_to_readers() {
    let log = start().await;
    log.extend(made(10));
    let honest = head(&log).await;
    log.fork_last(b"instead".to_vec()).await.unwrap().unwrap();
    let forked = head(&log).await;
    assert!(forked.signed && forked.size == 10 && forked.root != honest.root);
    assert_eq!(leaves(&log, 9, 9).await, [b"instead".to_vec()]);
    log.roll_back(4).await.unwrap();
    let rolled_back = head(&log).await;
    assert_eq!((rolled_back.signed, rolled_back.size, Some(rolled_back.root)), (true, 4, log.root(4)));
    log.be_honest();
    log.swap_leaf(3, b"swapped".to_vec());
    assert_eq!(leaves(&log, 3, 3).await, [b"swapped".to_vec()]);
    log.omit_leaf(3);
    assert_eq!(leaves(&log, 2, 4).await, [made(10)[2].clone(), made(10)[4].clone()]);
    assert_eq!(head(&log).await.root, honest.root);
    for how in [HeadSignature::Broken, HeadSignature::Stranger] {
        log.set_signature(how);
        assert!(!head(&log).await.signed);
    }
    log.be_honest();
    assert!(head(&log).await.signed);
    assert_eq!(leaves(&log, 3, 3).await, [made(10)[3].clone()]);
}

#[tokio::test]
async fn a_head_is_as_old_as_the_clock_and_the_log_say() {
    let log = start().await;
    log.set_clock_offset(3_600);
    let ahead = head(&log).await;
    assert!(ahead.signed && ahead.timestamp_ms > u64::try_from(clock::unix_millis()).unwrap() + 3_500_000);
    log.set_clock_offset(0);
    log.freeze_view().await.unwrap();
    let frozen = head(&log).await;
    log.extend(made(1));
    tokio::time::sleep(Duration::from_millis(5)).await;
    log.republish();
    let later = head(&log).await;
    assert_eq!((later.size, later.timestamp_ms), (0, frozen.timestamp_ms));
    let fresh = SandboxCt::start(CtOptions { republish: Duration::ZERO, ..CtOptions::default() }).await.unwrap();
    let first = head(&fresh).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(head(&fresh).await.timestamp_ms > first.timestamp_ms);
}
