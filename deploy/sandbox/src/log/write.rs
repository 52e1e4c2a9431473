//! The write API: one entry in, a `TransparencyLogEntry` out, once a checkpoint covers it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State as FromState;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use super::State;
use super::entry::CreateEntry;

/// The answer, with every field written out, numbers as strings, as gRPC gateways write protocol buffers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransparencyLogEntry {
    log_index: String,
    log_id: LogId,
    kind_version: KindVersion,
    integrated_time: &'static str,
    inclusion_promise: Option<()>,
    inclusion_proof: InclusionProof,
    canonicalized_body: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: String,
}

#[derive(Serialize)]
struct KindVersion {
    kind: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InclusionProof {
    log_index: String,
    root_hash: String,
    tree_size: String,
    hashes: Vec<String>,
    checkpoint: CheckpointText,
}

#[derive(Serialize)]
struct CheckpointText {
    envelope: String,
}

/// gRPC's numbers for what went wrong.
const INVALID_ARGUMENT: u32 = 3;
const ALREADY_EXISTS: u32 = 6;
const UNKNOWN: u32 = 2;

pub(crate) async fn create(FromState(state): FromState<Arc<State>>, body: Bytes) -> Response {
    if state.frozen.load(Ordering::Relaxed) {
        return (StatusCode::METHOD_NOT_ALLOWED, "This log has been frozen, please switch to the latest log.\n")
            .into_response();
    }
    let request = match serde_json::from_slice::<CreateEntry>(&body) {
        Ok(CreateEntry { hashed_rekord_request_v002: Some(request) }) => request,
        Ok(_) => {
            return refusal(StatusCode::BAD_REQUEST, INVALID_ARGUMENT, "invalid type, must be hashedrekord");
        }
        Err(error) => {
            return refusal(StatusCode::BAD_REQUEST, INVALID_ARGUMENT, &error.to_string());
        }
    };
    let entry = match request.into_entry() {
        Ok(entry) => entry,
        Err(error) => {
            // The real log keeps the reason to itself as well.
            tracing::debug!(%error, "a log entry was refused");
            return refusal(StatusCode::BAD_REQUEST, INVALID_ARGUMENT, "invalid hashedrekord request");
        }
    };
    // SPEC: an entry bundle has two bytes for an entry's length (c2sp.org/tlog-tiles).
    if entry.len() > usize::from(u16::MAX) {
        return refusal(StatusCode::BAD_REQUEST, INVALID_ARGUMENT, "invalid entry");
    }
    // In a task of its own: an entry once taken is integrated, whether its writer waits or not.
    let state = state.write_side();
    let adding = Arc::clone(&state);
    let canonicalized_body = STANDARD.encode(&entry);
    let Ok(added) = tokio::spawn(async move { adding.integrator.add(entry.into()).await }).await else {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, UNKNOWN, "failed to integrate entry");
    };
    if added.duplicate {
        let mut response = refusal(
            StatusCode::CONFLICT,
            ALREADY_EXISTS,
            &format!("an equivalent entry already exists in the transparency log with index {}", added.index),
        );
        response.headers_mut().insert("x-log-index", HeaderValue::from(added.index));
        return response;
    }
    let Some(proof) = state.integrator.proof(added.index) else {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, UNKNOWN, "failed to integrate entry");
    };
    let answer = TransparencyLogEntry {
        log_index: added.index.to_string(),
        log_id: LogId { key_id: STANDARD.encode(state.integrator.key().key_id()) },
        kind_version: KindVersion { kind: "hashedrekord", version: "0.0.2" },
        integrated_time: "0",
        inclusion_promise: None,
        inclusion_proof: InclusionProof {
            log_index: added.index.to_string(),
            root_hash: STANDARD.encode(proof.root.as_bytes()),
            tree_size: proof.size.to_string(),
            hashes: proof.hashes.iter().map(|hash| STANDARD.encode(hash.as_bytes())).collect(),
            checkpoint: CheckpointText { envelope: proof.checkpoint },
        },
        canonicalized_body,
    };
    (StatusCode::CREATED, axum::Json(answer)).into_response()
}

fn refusal(status: StatusCode, code: u32, message: &str) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        json!({ "code": code, "message": message, "details": [] }).to_string(),
    )
        .into_response()
}
