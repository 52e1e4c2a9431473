//! RFC 6962's API: pages as long as the server likes.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tlog::{Hash, InclusionProof, leaf_hash, tree, verify_consistency};

use super::super::{Fresh, LeafFormat, LogReader, ReadError};
use super::stub::{Asked, Reply, Stub};
use super::{hashes, leaf, reader};
use crate::config::LogKind;

const SIZE: u64 = 500;

fn parameter(asked: &Asked, name: &str) -> String {
    let url = url::Url::parse(&format!("http://x{}", asked.target)).expect("a URL");
    url.query_pairs().find(|(key, _)| key == name).expect("in the query").1.into_owned()
}

fn encoded(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| STANDARD.encode(hash.as_bytes())).collect()
}

/// As a server whose pages are `page` long and end at its multiples where `aligned`.
fn answer(asked: &Asked, page: u64, aligned: bool) -> Reply {
    let number = |name| parameter(asked, name).parse::<u64>().expect("a number");
    let leaves = hashes(SIZE);
    let body = match asked.target.split('?').next().unwrap_or_default() {
        "/log/ct/v1/get-sth" => json!({ "tree_size": SIZE }),
        "/log/ct/v1/get-entries" => {
            let (start, last) = (number("start"), number("end"));
            let page_end = if aligned { start - start % page + page } else { start + page };
            if start >= SIZE {
                return Reply::new(400, "", b"beyond");
            }
            let entries = (start..page_end.min(last + 1).min(SIZE))
                .map(|index| json!({ "leaf_input": STANDARD.encode(leaf(index)), "extra_data": "" }));
            json!({ "entries": entries.collect::<Vec<_>>() })
        }
        "/log/ct/v1/get-sth-consistency" => match tree::consistency_proof(&leaves, number("first"), number("second")) {
            Some(proof) => json!({ "consistency": encoded(&proof) }),
            None => return Reply::new(400, "", b"beyond"),
        },
        "/log/ct/v1/get-proof-by-hash" => {
            let index = (0..SIZE)
                .find(|index| STANDARD.encode(leaf_hash(&leaf(*index)).as_bytes()) == parameter(asked, "hash"));
            let index = index.expect("a leaf");
            match tree::inclusion_proof(&leaves, index, number("tree_size")) {
                Some(proof) => json!({ "leaf_index": index, "audit_path": encoded(&proof.hashes) }),
                None => return Reply::new(400, "", b"beyond"),
            }
        }
        other => panic!("{other}"),
    };
    Reply::ok(body.to_string())
}

async fn log(page: u64, aligned: bool) -> (Stub, Arc<dyn LogReader>) {
    let stub = Stub::start(move |asked| answer(asked, page, aligned)).await;
    let reader = reader(LogKind::Rfc6962, "ct.test", stub.url.clone());
    (stub, reader)
}

#[tokio::test]
async fn short_pages_are_read_on_until_all_is_there() {
    for (page, aligned) in [(1, false), (7, false), (64, true), (100, true), (1000, true), (1000, false)] {
        let (_stub, reader) = log(page, aligned).await;
        for (start, end) in [(0, SIZE), (13, 14), (90, 310), (499, 500), (5, 5)] {
            let batch = reader.leaves(start, end, SIZE, Fresh::No).await.expect("leaves");
            let got: Vec<_> = batch.iter().map(|(index, leaf)| (index, leaf.to_vec())).collect();
            assert_eq!(got, (start..end).map(|index| (index, leaf(index))).collect::<Vec<_>>(), "{page} {aligned}");
        }
    }
}

#[tokio::test]
async fn the_length_of_a_servers_pages_is_learnt() {
    let (stub, reader) = log(64, true).await;
    assert_eq!(reader.batch_end(0, SIZE), 256);
    reader.leaves(0, 256, SIZE, Fresh::No).await.expect("leaves");
    assert_eq!((reader.batch_end(0, SIZE), reader.batch_end(70, SIZE)), (64, 128));
    stub.asked();
    reader.leaves(64, 128, SIZE, Fresh::No).await.expect("leaves");
    assert_eq!(stub.asked().len(), 1);
    let (_stub, reader) = log(1000, true).await;
    reader.leaves(200, 500, SIZE, Fresh::No).await.expect("leaves");
    assert_eq!(reader.batch_end(0, SIZE), 256, "a page that ends with its multiple or the tree says nothing");
    assert_eq!(reader.leaf_format(), LeafFormat::Ct);
}

#[tokio::test]
async fn none_or_too_many_are_errors() {
    let empty = Stub::start(|_| Reply::ok(r#"{"entries":[]}"#)).await;
    let error =
        reader(LogKind::Rfc6962, "ct.test", empty.url.clone()).leaves(3, 5, 9, Fresh::No).await.expect_err("none");
    assert!(matches!(error, ReadError::Short { asked: 2, got: 0, .. }) && error.is_missing(), "{error}");
    for body in
        [r#"{"entries":[{"leaf_input":""},{"leaf_input":""}]}"#, r#"{"entries":[{"leaf_input":"%"}]}"#, "{}", "<html>"]
    {
        let stub = Stub::start(move |_| Reply::ok(body)).await;
        let error =
            reader(LogKind::Rfc6962, "ct.test", stub.url.clone()).leaves(3, 4, 9, Fresh::No).await.expect_err("wrong");
        assert!(error.is_wrong(), "{body}: {error}");
    }
}

#[tokio::test]
async fn proofs_are_asked_for_by_size_and_a_server_that_lags_is_no_finding() {
    let (_stub, reader) = log(1000, true).await;
    let leaves = hashes(SIZE);
    let root = tree::root(&leaves[..300]);
    for index in [0, 150, 299] {
        let hashes = reader.inclusion(index, 300, Fresh::No).await.expect("a proof");
        assert_eq!(InclusionProof { index, size: 300, hashes }.verify(&leaves[index as usize], &root), Ok(()));
    }
    let proof = reader.consistency(77, 300, Fresh::No).await.expect("a proof");
    assert_eq!(verify_consistency(77, &tree::root(&leaves[..77]), 300, &root, &proof), Ok(()));
    assert_eq!(reader.consistency(0, 300, Fresh::No).await.expect("nothing to prove"), []);
    for behind in [
        reader.consistency(77, SIZE + 1, Fresh::No).await.err(),
        reader.leaves(SIZE, SIZE + 1, SIZE + 1, Fresh::No).await.err(),
        reader.inclusion(3, SIZE + 1, Fresh::No).await.err(),
    ] {
        let error = behind.expect("not there yet");
        assert!(matches!(error, ReadError::Behind { .. }), "{error}");
    }
}
