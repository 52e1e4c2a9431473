//! Blobs: read, and written whole, in pieces, or by mounting what another repository has.

use axum::response::{IntoResponse, Response};
use bundle::Digest;
use bytes::Bytes;
use http::{StatusCode, header};

use super::State;
use super::refusal::Refusal;
use super::routes::{Caller, Incoming};
use super::webhook::Subject;

/// What events call every blob.
const BLOB_MEDIA_TYPE: &str = "application/octet-stream";

/// Stores a blob and tells of it; the one path for every way in.
pub(crate) fn put(
    state: &State,
    repository: &str,
    digest: &Digest,
    bytes: Bytes,
    caller: &Caller,
) -> Result<(), Refusal> {
    if Digest::of(&bytes) != *digest {
        return Err(Refusal::digest_invalid());
    }
    let size = bytes.len();
    state.store().put_blob(repository, *digest, bytes);
    state.webhook.emit(caller, "push", &subject(repository, digest, size));
    Ok(())
}

fn subject<'a>(repository: &'a str, digest: &Digest, size: usize) -> Subject<'a> {
    Subject {
        repository,
        digest: Some(digest.to_string()),
        size: Some(size),
        media_type: Some(BLOB_MEDIA_TYPE.to_owned()),
        path: Some(format!("/v2/{repository}/blobs/{digest}")),
        ..Subject::default()
    }
}

pub(crate) fn read(state: &State, repository: &str, digest: &str, incoming: &Incoming) -> Result<Response, Refusal> {
    let digest = parse(digest)?;
    let bytes = state.store().blob(repository, &digest).ok_or_else(Refusal::blob_unknown)?;
    state.webhook.emit(&incoming.caller, "pull", &subject(repository, &digest, bytes.len()));
    Ok((
        [
            (header::CONTENT_TYPE, BLOB_MEDIA_TYPE.to_owned()),
            (header::ETAG, format!("\"{digest}\"")),
            (header::HeaderName::from_static("docker-content-digest"), digest.to_string()),
        ],
        bytes,
    )
        .into_response())
}

pub(crate) fn delete(state: &State, repository: &str, digest: &str, incoming: &Incoming) -> Result<Response, Refusal> {
    let digest = parse(digest)?;
    if !state.store().delete_blob(repository, &digest) {
        return Err(Refusal::blob_unknown());
    }
    state.webhook.emit(
        &incoming.caller,
        "delete",
        &Subject { repository, digest: Some(digest.to_string()), ..Subject::default() },
    );
    Ok(StatusCode::ACCEPTED.into_response())
}

/// `POST /blobs/uploads/`: begins an upload, ends it at once (`?digest=`), or mounts (`?mount=&from=`).
pub(crate) fn begin(state: &State, repository: &str, incoming: &Incoming) -> Result<Response, Refusal> {
    if let Some(mount) = incoming.query("mount")
        && let Some(from) = incoming.query("from")
    {
        let digest = parse(mount)?;
        let found = state.store().blob(from, &digest);
        // A mount that cannot be done is an ordinary upload.
        if let Some(bytes) = found {
            let size = bytes.len();
            state.store().put_blob(repository, digest, bytes);
            state.webhook.emit(
                &incoming.caller,
                "mount",
                &Subject { from_repository: Some(from.to_owned()), ..subject(repository, &digest, size) },
            );
            return Ok(created(repository, &digest, incoming));
        }
    } else if let Some(digest) = incoming.query("digest") {
        let digest = parse(digest)?;
        put(state, repository, &digest, incoming.body.clone(), &incoming.caller)?;
        return Ok(created(repository, &digest, incoming));
    }
    let id = state.store().begin_upload(repository);
    Ok(accepted(repository, &id, 0, incoming))
}

pub(crate) fn append(state: &State, repository: &str, id: &str, incoming: &Incoming) -> Result<Response, Refusal> {
    let mut store = state.store();
    let upload = store.upload(repository, id).ok_or_else(Refusal::upload_unknown)?;
    if let Some(start) = range_start(incoming)?
        && start != upload.bytes.len()
    {
        return Err(Refusal::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "BLOB_UPLOAD_INVALID",
            "the chunk does not continue the upload",
        ));
    }
    upload.bytes.extend_from_slice(&incoming.body);
    let received = upload.bytes.len();
    Ok(accepted(repository, id, received, incoming))
}

pub(crate) fn finish(state: &State, repository: &str, id: &str, incoming: &Incoming) -> Result<Response, Refusal> {
    let digest = parse(incoming.query("digest").ok_or_else(Refusal::digest_invalid)?)?;
    let mut upload = state.store().end_upload(repository, id).ok_or_else(Refusal::upload_unknown)?;
    upload.bytes.extend_from_slice(&incoming.body);
    put(state, repository, &digest, upload.bytes.into(), &incoming.caller)?;
    Ok(created(repository, &digest, incoming))
}

pub(crate) fn progress(state: &State, repository: &str, id: &str, incoming: &Incoming) -> Result<Response, Refusal> {
    let received = state.store().upload(repository, id).ok_or_else(Refusal::upload_unknown)?.bytes.len();
    let mut response = accepted(repository, id, received, incoming);
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

pub(crate) fn cancel(state: &State, repository: &str, id: &str) -> Result<Response, Refusal> {
    state.store().end_upload(repository, id).ok_or_else(Refusal::upload_unknown)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn parse(digest: &str) -> Result<Digest, Refusal> {
    digest.parse().map_err(|_| Refusal::digest_invalid())
}

/// Both `0-99` and `bytes 0-99/*` are met.
fn range_start(incoming: &Incoming) -> Result<Option<usize>, Refusal> {
    let Some(value) = incoming.headers.get(header::CONTENT_RANGE) else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .map(|text| text.trim_start_matches("bytes").trim_start())
        .and_then(|text| text.split_once('-'))
        .and_then(|(start, _)| start.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", "the content range is not readable")
        })
}

fn created(repository: &str, digest: &Digest, incoming: &Incoming) -> Response {
    let location = format!("http://{}/v2/{repository}/blobs/{digest}", incoming.caller.host);
    (
        StatusCode::CREATED,
        [(header::LOCATION, location), (header::HeaderName::from_static("docker-content-digest"), digest.to_string())],
    )
        .into_response()
}

/// The location carries state in its query, which clients must keep when they add their own.
fn accepted(repository: &str, id: &str, received: usize, incoming: &Incoming) -> Response {
    let location = format!("http://{}/v2/{repository}/blobs/uploads/{id}?_state=sandbox", incoming.caller.host);
    (
        StatusCode::ACCEPTED,
        [
            (header::LOCATION, location),
            (header::HeaderName::from_static("docker-upload-uuid"), id.to_owned()),
            // Inclusive, so that nothing at all reads the same as one byte.
            (header::RANGE, format!("0-{}", received.saturating_sub(1))),
        ],
    )
        .into_response()
}
