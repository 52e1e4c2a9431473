//! The API of RFC 6962, section 4.

use std::sync::Arc;

use axum::extract::{Query, State as FromState};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::{Decode as _, Encode as _};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tlog::Hash;
use x509_cert::Certificate;

use super::State;
use super::leaf::Submission;
use crate::ca::certificate::unpoisoned;

pub(crate) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/ct/v1/get-sth", get(sth))
        .route("/ct/v1/get-sth-consistency", get(consistency))
        .route("/ct/v1/get-proof-by-hash", get(proof_by_hash))
        .route("/ct/v1/get-entries", get(entries))
        .route("/ct/v1/get-entry-and-proof", get(entry_and_proof))
        .route("/ct/v1/get-roots", get(roots))
        .route("/ct/v1/add-chain", post(add_chain))
        .route("/ct/v1/add-pre-chain", post(add_pre_chain))
}

async fn sth(FromState(state): FromState<Arc<State>>) -> Json<Value> {
    Json(state.read_side().tree_head())
}

#[derive(Deserialize)]
struct Sizes {
    first: u64,
    second: u64,
}

async fn consistency(FromState(state): FromState<Arc<State>>, Query(sizes): Query<Sizes>) -> Response {
    let state = state.read_side();
    let proof = state.inner().branch.tree().consistency(sizes.first, sizes.second);
    match proof {
        Some(hashes) => Json(json!({ "consistency": encoded(&hashes) })).into_response(),
        None => refused("first must be at most second, and second at most the tree's size"),
    }
}

#[derive(Deserialize)]
struct ByHash {
    hash: String,
    tree_size: u64,
}

async fn proof_by_hash(FromState(state): FromState<Arc<State>>, Query(wanted): Query<ByHash>) -> Response {
    let Some(hash) = STANDARD.decode(&wanted.hash).ok().and_then(|bytes| Hash::from_slice(&bytes)) else {
        return refused("hash is not the base64 of 32 bytes");
    };
    let state = state.read_side();
    let inner = state.inner();
    let index = inner.branch.find(&hash).filter(|index| *index < wanted.tree_size);
    match index.and_then(|index| Some((index, inner.branch.tree().inclusion(index, wanted.tree_size)?))) {
        Some((index, path)) => Json(json!({ "leaf_index": index, "audit_path": encoded(&path) })).into_response(),
        None => (StatusCode::NOT_FOUND, "no such leaf in a tree of that size\n").into_response(),
    }
}

#[derive(Deserialize)]
struct Page {
    start: u64,
    end: u64,
}

async fn entries(FromState(state): FromState<Arc<State>>, Query(page): Query<Page>) -> Response {
    let state = state.read_side();
    let inner = state.inner();
    if page.start > page.end || page.start >= inner.branch.size() {
        return refused("start must be at most end, and below the tree's size");
    }
    // SPEC: "Logs MAY restrict the number of entries that can be retrieved per get-entries request."
    let end = page.end.min(page.start.saturating_add(state.options.page.max(1) - 1));
    let entries: Vec<Value> = (page.start..=end)
        .filter_map(|index| {
            let leaf = inner.lies.leaf(index, inner.branch.leaf(index)?)?;
            let extra = inner.extra.get(usize::try_from(index).ok()?)?;
            Some(json!({ "leaf_input": STANDARD.encode(leaf), "extra_data": STANDARD.encode(extra) }))
        })
        .collect();
    Json(json!({ "entries": entries })).into_response()
}

#[derive(Deserialize)]
struct EntryAt {
    leaf_index: u64,
    tree_size: u64,
}

async fn entry_and_proof(FromState(state): FromState<Arc<State>>, Query(wanted): Query<EntryAt>) -> Response {
    let state = state.read_side();
    let inner = state.inner();
    let found = inner.branch.tree().inclusion(wanted.leaf_index, wanted.tree_size).and_then(|path| {
        let leaf = inner.lies.leaf(wanted.leaf_index, inner.branch.leaf(wanted.leaf_index)?)?;
        let extra = inner.extra.get(usize::try_from(wanted.leaf_index).ok()?)?;
        Some(json!({
            "leaf_input": STANDARD.encode(leaf),
            "extra_data": STANDARD.encode(extra),
            "audit_path": encoded(&path),
        }))
    });
    match found {
        Some(found) => Json(found).into_response(),
        None => refused("no such leaf in a tree of that size"),
    }
}

/// Every root is accepted, so none is named.
async fn roots() -> Json<Value> {
    Json(json!({ "certificates": [] }))
}

#[derive(Deserialize)]
struct AddChain {
    chain: Vec<String>,
}

impl AddChain {
    fn certificates(&self) -> Option<Vec<Vec<u8>>> {
        self.chain.iter().map(|certificate| STANDARD.decode(certificate).ok()).collect()
    }
}

async fn add_chain(FromState(state): FromState<Arc<State>>, Json(request): Json<AddChain>) -> Response {
    let submission = request.certificates().and_then(|mut chain| {
        let certificate = (!chain.is_empty()).then(|| chain.remove(0))?;
        Certificate::from_der(&certificate).ok()?;
        Some(Submission::X509 { certificate, chain })
    });
    answer(&state, submission)
}

async fn add_pre_chain(FromState(state): FromState<Arc<State>>, Json(request): Json<AddChain>) -> Response {
    let submission = request.certificates().and_then(|mut chain| {
        let precert = (chain.len() > 1).then(|| chain.remove(0))?;
        let issuer = Certificate::from_der(chain.first()?).ok()?;
        let issuer_spki = issuer.tbs_certificate().subject_public_key_info().to_der().ok()?;
        let tbs = unpoisoned(&precert)?;
        Some(Submission::Precert { issuer_key_hash: Sha256::digest(issuer_spki).into(), tbs, precert, chain })
    });
    answer(&state, submission)
}

fn answer(state: &State, submission: Option<Submission>) -> Response {
    let Some(submission) = submission else {
        return refused("the chain is not one of certificates");
    };
    let added = state.add(&submission);
    Json(json!({
        "sct_version": 0,
        "id": STANDARD.encode(state.key_id),
        "timestamp": added.timestamp_ms,
        "extensions": "",
        "signature": STANDARD.encode(super::leaf::digitally_signed(&added.signature)),
    }))
    .into_response()
}

fn encoded(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| STANDARD.encode(hash.as_bytes())).collect()
}

fn refused(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response()
}
