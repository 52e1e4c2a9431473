//! The API of Rekor v1, without its search index.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Path, Query, State as FromState};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::{HeaderName, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tlog::{Hash, leaf_hash};

use super::shard::Shard;
use super::{ENTRIES_PATH, Inner, State, entry, entry_id};

/// How many entries may be asked for at once.
const MOST_AT_ONCE: usize = 10;

pub(crate) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/api/v1/log", get(log))
        .route("/api/v1/log/proof", get(proof))
        .route("/api/v1/log/publicKey", get(public_key))
        .route(ENTRIES_PATH, get(by_index).post(create))
        .route("/api/v1/log/entries/retrieve", post(retrieve))
        .route("/api/v1/log/entries/{id}", get(by_id))
        .route("/ping", get(|| async { "pong" }))
}

async fn log(FromState(state): FromState<Arc<State>>) -> Json<Value> {
    let state = state.read_side();
    let inner = state.inner();
    if let Some(listed) = &inner.listed {
        return Json(listed.clone());
    }
    let described = |shard: &Shard| {
        json!({
            "rootHash": shard.branch.root().to_string(),
            "signedTreeHead": state.checkpoint(&inner, shard),
            "treeID": shard.tree_id.to_string(),
            "treeSize": shard.branch.size(),
        })
    };
    let closed = inner.shards.split_last().map_or(&[][..], |(_, closed)| closed);
    let closed = closed.iter().filter(|shard| !inner.hidden.contains(&shard.tree_id));
    let mut answer = described(inner.active());
    answer["inactiveShards"] = closed.map(described).collect();
    Json(answer)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sizes {
    #[serde(default = "one")]
    first_size: u64,
    last_size: u64,
    #[serde(rename = "treeID")]
    tree_id: Option<String>,
}

fn one() -> u64 {
    1
}

async fn proof(FromState(state): FromState<Arc<State>>, Query(sizes): Query<Sizes>) -> Response {
    let state = state.read_side();
    let inner = state.inner();
    let Some(shard) = shard_named(&inner, sizes.tree_id.as_deref()) else {
        return refused(StatusCode::BAD_REQUEST, "unable to resolve tree ID");
    };
    if sizes.first_size == 0 || sizes.first_size > sizes.last_size {
        return refused(StatusCode::BAD_REQUEST, "firstSize must be at least 1 and at most lastSize");
    }
    let Some(hashes) = shard.branch.tree().consistency(sizes.first_size, sizes.last_size) else {
        return refused(StatusCode::BAD_REQUEST, "requested tree size is larger than what is currently known");
    };
    // The root is the newest tree's, not the one of lastSize.
    Json(json!({ "hashes": encoded(&hashes), "rootHash": shard.branch.root().to_string() })).into_response()
}

#[derive(Deserialize)]
struct Tree {
    #[serde(rename = "treeID")]
    tree_id: Option<String>,
}

async fn public_key(FromState(state): FromState<Arc<State>>, Query(tree): Query<Tree>) -> Response {
    let state = state.read_side();
    if shard_named(&state.inner(), tree.tree_id.as_deref()).is_none() {
        return refused(StatusCode::NOT_FOUND, "unable to resolve tree ID");
    }
    let pem = crate::timestamp_authority::pem("PUBLIC KEY", state.signer.key().spki());
    ([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    log_index: u64,
}

async fn by_index(FromState(state): FromState<Arc<State>>, Query(wanted): Query<Index>) -> Response {
    let state = state.read_side();
    let inner = state.inner();
    found(state.entry(&inner, wanted.log_index))
}

async fn by_id(FromState(state): FromState<Arc<State>>, Path(id): Path<String>) -> Response {
    let state = state.read_side();
    let inner = state.inner();
    let Some((tree_id, hash)) = parse_id(&id) else {
        return refused(StatusCode::BAD_REQUEST, "the id is not 64 or 80 hexadecimal digits");
    };
    found(inner.find_hash(tree_id, &hash).and_then(|index| state.entry(&inner, index)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Several {
    #[serde(default, rename = "entryUUIDs")]
    entry_uuids: Vec<String>,
    #[serde(default)]
    log_indexes: Vec<u64>,
    #[serde(default)]
    entries: Vec<Value>,
}

/// What is not found is left out without a word.
async fn retrieve(FromState(state): FromState<Arc<State>>, Json(wanted): Json<Several>) -> Response {
    let count = wanted.entry_uuids.len() + wanted.log_indexes.len() + wanted.entries.len();
    if count == 0 || count > MOST_AT_ONCE {
        return refused(StatusCode::UNPROCESSABLE_ENTITY, "between 1 and 10 entries can be asked for at once");
    }
    let state = state.read_side();
    let inner = state.inner();
    let by_id = wanted.entry_uuids.iter().filter_map(|id| {
        let (tree_id, hash) = parse_id(id)?;
        inner.find_hash(tree_id, &hash)
    });
    let by_body = wanted.entries.iter().filter_map(|proposed| {
        let body = entry::canonical(proposed.to_string().as_bytes()).ok()?;
        inner.find_hash(None, &leaf_hash(&body))
    });
    let indexes = by_id.chain(wanted.log_indexes.iter().copied()).chain(by_body);
    Json(indexes.filter_map(|index| state.entry(&inner, index)).collect::<Vec<_>>()).into_response()
}

async fn create(FromState(state): FromState<Arc<State>>, proposed: Bytes) -> Response {
    let body = match entry::canonical(&proposed) {
        Ok(body) => body,
        Err(error) => {
            return refused(StatusCode::BAD_REQUEST, &format!("error processing entry: {error}"));
        }
    };
    let state = state.write_side();
    let (now, hash) = (state.now(), leaf_hash(&body));
    let mut inner = state.inner();
    let tree_id = inner.active().tree_id;
    let id = entry_id(tree_id, &body);
    let location = format!("{ENTRIES_PATH}/{id}");
    if inner.find_hash(Some(tree_id), &hash).is_some() {
        let message = format!("an equivalent entry already exists in the transparency log with UUID {id}");
        let mut response = refused(StatusCode::CONFLICT, &message);
        if let Ok(value) = location.parse() {
            response.headers_mut().insert(header::LOCATION, value);
        }
        return response;
    }
    let index = inner.size();
    let answer = if state.promise_only.load(Ordering::Relaxed) {
        Some(json!({ (id.as_str()): state.promise(&body, now, index) }))
    } else {
        inner.active_mut().append(body.into(), now);
        state.entry(&inner, index)
    };
    let headers: [(HeaderName, String); 2] = [(header::LOCATION, location), (header::ETAG, id)];
    match answer {
        Some(answer) => (StatusCode::CREATED, headers, Json(answer)).into_response(),
        None => refused(StatusCode::INTERNAL_SERVER_ERROR, "unexpected result"),
    }
}

fn shard_named<'a>(inner: &'a Inner, tree_id: Option<&str>) -> Option<&'a Shard> {
    match tree_id {
        Some(text) => inner.shard(text.parse().ok()?),
        None => Some(inner.active()),
    }
}

/// A leaf hash, with or without the tree's id before it.
fn parse_id(id: &str) -> Option<(Option<u64>, Hash)> {
    let (tree_id, hash) = id.split_at_checked(id.len().checked_sub(64)?)?;
    let tree_id = match tree_id.len() {
        0 => None,
        16 => Some(u64::from_str_radix(tree_id, 16).ok()?),
        _ => return None,
    };
    Some((tree_id, hash.parse().ok()?))
}

fn encoded(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(Hash::to_string).collect()
}

fn found(entry: Option<Value>) -> Response {
    match entry {
        Some(entry) => Json(entry).into_response(),
        None => refused(StatusCode::NOT_FOUND, "the entry could not be found"),
    }
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "code": status.as_u16(), "message": message }))).into_response()
}
