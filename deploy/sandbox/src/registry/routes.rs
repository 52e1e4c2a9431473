//! From a request's path to the part of the registry that answers it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State as FromState;
use axum::response::{IntoResponse, Response};
use bundle::Repository;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};

use super::State;
use super::auth::Scope;
use super::refusal::Refusal;
use super::{blobs, lists, manifests};
use crate::serve::Peer;

/// Larger than any layer that a test or a demo pushes.
const MAX_BODY: usize = 512 * 1024 * 1024;

/// Who made a request, as the events tell it.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) request_id: String,
    pub(crate) addr: String,
    pub(crate) host: String,
    pub(crate) method: Method,
    pub(crate) user_agent: String,
    pub(crate) actor: Option<String>,
}

/// A request with its body read.
pub(crate) struct Incoming {
    pub(crate) caller: Caller,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: bytes::Bytes,
}

impl Incoming {
    /// The first value of a query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a path under `/v2/` names. Repository names contain slashes, so the end decides.
#[derive(Debug, Eq, PartialEq)]
enum Target<'a> {
    Base,
    Catalog,
    Tags(&'a str),
    Manifest(&'a str, &'a str),
    Referrers(&'a str, &'a str),
    Blob(&'a str, &'a str),
    Uploads(&'a str),
    Upload(&'a str, &'a str),
}

fn target(path: &str) -> Option<Target<'_>> {
    let rest = path.strip_prefix("/v2")?;
    if rest.is_empty() || rest == "/" {
        return Some(Target::Base);
    }
    let rest = rest.strip_prefix('/')?;
    if rest == "_catalog" {
        return Some(Target::Catalog);
    }
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return Some(Target::Tags(name));
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads")) {
        return Some(Target::Uploads(name));
    }
    let (head, last) = rest.rsplit_once('/')?;
    if let Some(name) = head.strip_suffix("/blobs/uploads") {
        return Some(Target::Upload(name, last));
    }
    let (name, kind) = head.rsplit_once('/')?;
    match kind {
        "manifests" => Some(Target::Manifest(name, last)),
        "referrers" => Some(Target::Referrers(name, last)),
        "blobs" => Some(Target::Blob(name, last)),
        _ => None,
    }
}

impl<'a> Target<'a> {
    fn repository(&self) -> Option<&'a str> {
        match self {
            Self::Base | Self::Catalog => None,
            Self::Tags(name)
            | Self::Manifest(name, _)
            | Self::Referrers(name, _)
            | Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _) => Some(name),
        }
    }

    fn scope(&self, method: &Method) -> Option<Scope> {
        match self {
            Self::Base => None,
            Self::Catalog => Some(Scope::catalog()),
            _ => self.repository().map(|name| Scope::repository(name, method)),
        }
    }
}

/// Every path goes through one handler: a name may contain any of the words that routes are made of.
pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new().fallback(handle).with_state(state)
}

async fn handle(FromState(state): FromState<Arc<State>>, request: Request<Body>) -> Response {
    match answer(&state, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn answer(state: &State, request: Request<Body>) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let text =
        |name: header::HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let host = text(header::HOST).unwrap_or_else(|| state.addr.to_string());
    let query = parse_query(parts.uri.query().unwrap_or_default());
    let path = parts.uri.path().to_owned();
    if path == "/token" {
        // Only the GET form; whoever tries the other first falls back to this one.
        return Ok(match parts.method {
            Method::GET => state.gate.token(&parts.headers, &query),
            _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        });
    }
    let Some(target) = target(&path) else {
        return Ok(not_found());
    };
    let actor = state.gate.admit(&parts.headers, &host, target.scope(&parts.method).as_ref())?;
    if let Some(name) = target.repository()
        && name.parse::<Repository>().is_err()
    {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "NAME_INVALID", "invalid repository name"));
    }
    let body = Limited::new(body, MAX_BODY)
        .collect()
        .await
        .map_err(|_| {
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", "the body is too large or ended early")
        })?
        .to_bytes();
    let incoming = Incoming {
        caller: Caller {
            request_id: crate::random_id(),
            addr: parts.extensions.get::<Peer>().map_or_else(String::new, |peer| peer.0.to_string()),
            host,
            method: parts.method.clone(),
            user_agent: text(header::USER_AGENT).unwrap_or_default(),
            actor,
        },
        headers: parts.headers,
        query,
        body,
    };
    match (target, &parts.method) {
        (Target::Base, &Method::GET | &Method::HEAD) => Ok((
            [
                (header::CONTENT_TYPE, "application/json"),
                (header::HeaderName::from_static("docker-distribution-api-version"), "registry/2.0"),
            ],
            "{}",
        )
            .into_response()),
        (Target::Catalog, &Method::GET) => lists::catalog(state, &incoming),
        (Target::Tags(name), &Method::GET) => lists::tags(state, name, &incoming),
        (Target::Referrers(..), &Method::GET) if !state.has_referrers_api() => Ok(not_found()),
        (Target::Referrers(name, digest), &Method::GET) => lists::referrers(state, name, digest, &incoming),
        (Target::Manifest(name, reference), &Method::GET | &Method::HEAD) => {
            manifests::read(state, name, reference, &incoming)
        }
        (Target::Manifest(name, reference), &Method::PUT) => manifests::write(state, name, reference, &incoming),
        (Target::Manifest(name, reference), &Method::DELETE) => manifests::delete(state, name, reference, &incoming),
        (Target::Blob(name, digest), &Method::GET | &Method::HEAD) => blobs::read(state, name, digest, &incoming),
        (Target::Blob(name, digest), &Method::DELETE) => blobs::delete(state, name, digest, &incoming),
        (Target::Uploads(name), &Method::POST) => blobs::begin(state, name, &incoming),
        (Target::Upload(name, id), &Method::PATCH) => blobs::append(state, name, id, &incoming),
        (Target::Upload(name, id), &Method::PUT) => blobs::finish(state, name, id, &incoming),
        (Target::Upload(name, id), &Method::GET) => blobs::progress(state, name, id, &incoming),
        (Target::Upload(name, id), &Method::DELETE) => blobs::cancel(state, name, id),
        _ => Err(Refusal::unsupported()),
    }
}

/// What a registry without an endpoint answers: not JSON, no error code.
fn not_found() -> Response {
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "404 page not found\n")
        .into_response()
}

fn parse_query(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name), percent_decode(value))
        })
        .collect()
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%').then(|| tail.get(..2)).flatten().and_then(|digits| hex::decode(digits).ok());
        match escaped {
            Some(byte) => {
                bytes.extend(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_may_be_called_like_a_route() {
        assert_eq!(target("/v2/manifests/blobs/manifests/v1"), Some(Target::Manifest("manifests/blobs", "v1")));
        assert_eq!(target("/v2/a/b/blobs/uploads/"), Some(Target::Uploads("a/b")));
        assert_eq!(target("/v2/a/blobs/uploads/x-1"), Some(Target::Upload("a", "x-1")));
        assert_eq!(target("/v2/"), Some(Target::Base));
        assert_eq!(target("/v2/a/what/x"), None);
        assert_eq!(target("/other"), None);
    }

    #[test]
    fn a_query_is_decoded() {
        assert_eq!(
            parse_query("digest=sha256%3Aab&from=a%2Fb&x=%zz+1"),
            [
                ("digest".to_owned(), "sha256:ab".to_owned()),
                ("from".to_owned(), "a/b".to_owned()),
                ("x".to_owned(), "%zz 1".to_owned()),
            ]
        );
    }
}
