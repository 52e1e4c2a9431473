//! Lists: tags and repositories in pages, and the referrers of a digest.

use axum::response::{IntoResponse, Response};
use bundle::Digest;
use http::{HeaderValue, header};
use serde_json::{Map, Value, json};

use super::State;
use super::refusal::Refusal;
use super::routes::Incoming;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub(crate) fn catalog(state: &State, incoming: &Incoming) -> Result<Response, Refusal> {
    let (page, more) = page(state.store().repositories(), incoming);
    let next = more.then(|| next("/v2/_catalog", &page, incoming));
    Ok(listed(json!({ "repositories": page }), next))
}

pub(crate) fn tags(state: &State, repository: &str, incoming: &Incoming) -> Result<Response, Refusal> {
    let all = state.store().tags(repository).ok_or_else(Refusal::name_unknown)?;
    let (page, more) = page(all, incoming);
    let next = more.then(|| next(&format!("/v2/{repository}/tags/list"), &page, incoming));
    Ok(listed(json!({ "name": repository, "tags": page }), next))
}

pub(crate) fn referrers(
    state: &State,
    repository: &str,
    digest: &str,
    incoming: &Incoming,
) -> Result<Response, Refusal> {
    let subject: Digest = digest.parse().map_err(|_| Refusal::digest_invalid())?;
    let wanted = incoming.query("artifactType");
    let manifests: Vec<Value> = state
        .store()
        .referrers(repository, &subject)
        .filter(|(_, manifest)| wanted.is_none() || manifest.artifact_type.as_deref() == wanted)
        .map(|(digest, manifest)| {
            let mut descriptor = Map::new();
            descriptor.insert("mediaType".to_owned(), json!(manifest.content_type));
            descriptor.insert("digest".to_owned(), json!(digest.to_string()));
            descriptor.insert("size".to_owned(), json!(manifest.bytes.len()));
            if let Some(artifact_type) = &manifest.artifact_type {
                descriptor.insert("artifactType".to_owned(), json!(artifact_type));
            }
            if let Some(annotations) = &manifest.annotations {
                descriptor.insert("annotations".to_owned(), annotations.clone());
            }
            Value::Object(descriptor)
        })
        .collect();
    // SPEC: a digest that nothing refers to has an empty list, never a 404.
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    let mut response = ([(header::CONTENT_TYPE, INDEX)], index.to_string()).into_response();
    if wanted.is_some() {
        response
            .headers_mut()
            .insert(header::HeaderName::from_static("oci-filters-applied"), HeaderValue::from_static("artifactType"));
    }
    Ok(response)
}

/// The entries after `last`, at most `n`, and whether there are more.
fn page(sorted: Vec<String>, incoming: &Incoming) -> (Vec<String>, bool) {
    let after = incoming.query("last").unwrap_or_default();
    let mut rest: Vec<String> = sorted.into_iter().filter(|name| name.as_str() > after).collect();
    let limit = incoming.query("n").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let more = rest.len() > limit;
    rest.truncate(limit);
    (rest, more && limit > 0)
}

fn next(path: &str, page: &[String], incoming: &Incoming) -> String {
    let last = page.last().map(String::as_str).unwrap_or_default();
    let n = incoming.query("n").unwrap_or_default();
    format!(r#"<{path}?last={}&n={n}>; rel="next""#, last.replace('/', "%2F"))
}

fn listed(body: Value, next: Option<String>) -> Response {
    let mut response = ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response();
    if let Some(link) = next.and_then(|link| HeaderValue::from_str(&link).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}
