//! Manifests: read, written by tag or digest, deleted; and what each of these tells the webhook.

use axum::response::{IntoResponse, Response};
use bundle::{Digest, Tag};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;

use super::State;
use super::refusal::Refusal;
use super::routes::{Caller, Incoming};
use super::store::{Store, StoredManifest};
use super::webhook::Subject;

/// As the reference implementation has it.
const MAX_MANIFEST: usize = 4 * 1024 * 1024;

const IMAGES: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

pub(crate) fn read(state: &State, repository: &str, reference: &str, incoming: &Incoming) -> Result<Response, Refusal> {
    let found = state.store().manifest(repository, reference).map(|(digest, manifest)| (digest, manifest.clone()));
    let (digest, manifest) = found.ok_or_else(Refusal::manifest_unknown)?;
    let tag = reference.parse::<Digest>().is_err().then_some(reference);
    // A HEAD is told as a pull too: whoever asks for a digest makes events.
    state.webhook.emit(&incoming.caller, "pull", &subject(repository, &digest, tag, &manifest));
    let etag = format!("\"{digest}\"");
    let unchanged =
        incoming.headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let headers = [
        (header::CONTENT_TYPE, manifest.content_type.clone()),
        (header::ETAG, etag),
        (header::HeaderName::from_static("docker-content-digest"), digest.to_string()),
    ];
    Ok(if unchanged {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        (headers, manifest.bytes).into_response()
    })
}

pub(crate) fn write(
    state: &State,
    repository: &str,
    reference: &str,
    incoming: &Incoming,
) -> Result<Response, Refusal> {
    let content_type =
        incoming.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (digest, subject) = put(state, repository, reference, content_type, incoming.body.clone(), &incoming.caller)?;
    let location = format!("http://{}/v2/{repository}/manifests/{digest}", incoming.caller.host);
    let mut response = (
        StatusCode::CREATED,
        [(header::LOCATION, location), (header::HeaderName::from_static("docker-content-digest"), digest.to_string())],
    )
        .into_response();
    // SPEC: says that the referrers list has been updated, so only where there is such a list.
    if let Some(subject) = subject.filter(|_| state.has_referrers_api())
        && let Ok(value) = HeaderValue::from_str(&subject.to_string())
    {
        response.headers_mut().insert(header::HeaderName::from_static("oci-subject"), value);
    }
    Ok(response)
}

/// Stores a manifest and tells of it; the one path for every way in. Returns its digest and subject.
pub(crate) fn put(
    state: &State,
    repository: &str,
    reference: &str,
    content_type: &str,
    bytes: Bytes,
    caller: &Caller,
) -> Result<(Digest, Option<Digest>), Refusal> {
    if bytes.len() > MAX_MANIFEST {
        return Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "MANIFEST_INVALID",
            "the manifest is larger than 4 MiB",
        ));
    }
    let digest = Digest::of(&bytes);
    let tag = match reference.parse::<Digest>() {
        Ok(named) if named == digest => None,
        Ok(_) => return Err(Refusal::digest_invalid()),
        Err(_) if reference.parse::<Tag>().is_ok() => Some(reference),
        Err(_) => {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "TAG_INVALID",
                "manifest tag did not match the grammar of tags",
            ));
        }
    };
    let manifest = parse(content_type, bytes)?;
    let mut store = state.store();
    check_references(&store, repository, &manifest)?;
    if state.has_immutable_tags()
        && let Some(tag) = tag
        && let Some(existing) = store.resolve(repository, tag)
        && existing != digest
    {
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            "TAG_INVALID",
            format!("the tag '{tag}' already exists in '{repository}' and is immutable"),
        ));
    }
    let stored = manifest.stored;
    store.put_manifest(repository, digest, tag, stored.clone());
    drop(store);
    state.webhook.emit(caller, "push", &subject(repository, &digest, tag, &stored));
    Ok((digest, stored.subject))
}

pub(crate) fn delete(
    state: &State,
    repository: &str,
    reference: &str,
    incoming: &Incoming,
) -> Result<Response, Refusal> {
    let gone = |digest: Option<String>, tag: Option<&str>| {
        state.webhook.emit(
            &incoming.caller,
            &Method::DELETE.as_str().to_ascii_lowercase(),
            &Subject { repository, digest, tag: tag.map(str::to_owned), ..Subject::default() },
        );
    };
    if let Ok(digest) = reference.parse::<Digest>() {
        let tags = state.store().delete_manifest(repository, &digest).ok_or_else(Refusal::manifest_unknown)?;
        gone(Some(digest.to_string()), None);
        for tag in tags {
            gone(None, Some(&tag));
        }
    } else {
        if !state.store().delete_tag(repository, reference) {
            return Err(Refusal::manifest_unknown());
        }
        gone(None, Some(reference));
    }
    Ok(StatusCode::ACCEPTED.into_response())
}

fn subject<'a>(repository: &'a str, digest: &Digest, tag: Option<&str>, manifest: &StoredManifest) -> Subject<'a> {
    Subject {
        repository,
        digest: Some(digest.to_string()),
        size: Some(manifest.bytes.len()),
        media_type: Some(manifest.content_type.clone()),
        tag: tag.map(str::to_owned),
        path: Some(format!("/v2/{repository}/manifests/{digest}")),
        from_repository: None,
    }
}

/// A manifest with what it refers to.
struct Parsed {
    stored: StoredManifest,
    blobs: Vec<Digest>,
    children: Vec<Digest>,
}

fn parse(content_type: &str, bytes: Bytes) -> Result<Parsed, Refusal> {
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_owned();
    let invalid = |why: &str| Refusal::manifest_invalid(why);
    let is_image = IMAGES.contains(&content_type.as_str());
    if !is_image && !INDEXES.contains(&content_type.as_str()) {
        return Err(Refusal::manifest_invalid(format!("the media type '{content_type}' is not supported")));
    }
    let body: Value = serde_json::from_slice(&bytes).map_err(|_| invalid("the manifest is not JSON"))?;
    if body["schemaVersion"] != 2 {
        return Err(invalid("unrecognized manifest schema version"));
    }
    if body.get("mediaType").is_some_and(|own| *own != content_type) {
        return Err(invalid("the media types of header and body differ"));
    }
    let digest_of = |descriptor: &Value| -> Result<Digest, Refusal> {
        descriptor["digest"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| invalid("a descriptor has no sha256 digest"))
    };
    let list = |name: &str| body[name].as_array().map(Vec::as_slice);
    let mut blobs = Vec::new();
    let mut children = Vec::new();
    if is_image {
        blobs.push(digest_of(&body["config"])?);
        for layer in list("layers").ok_or_else(|| invalid("an image manifest needs layers"))? {
            let digest = digest_of(layer)?;
            // Layers with addresses of their own live elsewhere.
            if layer.get("urls").is_none() {
                blobs.push(digest);
            }
        }
    } else {
        for child in list("manifests").ok_or_else(|| invalid("an index needs manifests"))? {
            children.push(digest_of(child)?);
        }
    }
    let subject = match body.get("subject") {
        None | Some(Value::Null) => None,
        Some(descriptor) => Some(digest_of(descriptor)?),
    };
    let artifact_type = [&body["artifactType"], &body["config"]["mediaType"]]
        .into_iter()
        .filter_map(Value::as_str)
        .find(|text| !text.is_empty())
        .map(str::to_owned);
    let annotations = body.get("annotations").filter(|a| a.is_object()).cloned();
    Ok(Parsed { stored: StoredManifest { content_type, bytes, subject, artifact_type, annotations }, blobs, children })
}

/// What a manifest is made of must be there before it; what it is about need not be.
fn check_references(store: &Store, repository: &str, manifest: &Parsed) -> Result<(), Refusal> {
    for digest in &manifest.blobs {
        if store.blob(repository, digest).is_none() {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "MANIFEST_BLOB_UNKNOWN",
                format!("blob {digest} unknown to registry"),
            ));
        }
    }
    for digest in &manifest.children {
        if store.manifest(repository, &digest.to_string()).is_none() {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "MANIFEST_BLOB_UNKNOWN",
                format!("manifest {digest} unknown to registry"),
            ));
        }
    }
    Ok(())
}
