//! What the tests of the formats share, and how a request goes its way with a format that answers handshakes.

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::http::request::Parts;
use hmac::{Hmac, KeyInit, Mac};

use super::auth::{self, Denied};
use super::format::{BodyReader, Ending, Reply, Tell};
use super::*;
use crate::config::{SourceAuth, SourceKind};
use crate::intake::StoreIntake;

/// What one body said.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) pushes: Vec<PushEvent>,
    pub(crate) ignored: Tally,
}

/// Reads a whole body at once.
pub(crate) fn parsed(format: &dyn WebhookFormat, body: &[u8]) -> Result<Parsed, Junk> {
    let mut parsed = Parsed::default();
    let mut tell = |told| match told {
        Ok(push) => parsed.pushes.push(push),
        Err(reason) => parsed.ignored.add(reason),
    };
    let mut reader = format.reader();
    reader.feed(body, &mut tell)?;
    reader.finish(&mut tell)?;
    Ok(parsed)
}

/// A format with both kinds of handshake: by OPTIONS, and by a body that begins with `verify:`.
struct Greeter;

impl WebhookFormat for Greeter {
    fn takes(&self, method: &Method) -> bool {
        method == Method::POST || method == Method::OPTIONS || method == Method::PUT
    }

    fn open(&self, head: &Parts, auth: &SourceAuth) -> Result<Opening, Denied> {
        if head.method == Method::OPTIONS {
            let reply = Reply { status: StatusCode::OK, content_type: "text/plain", body: b"come in".to_vec() };
            return Ok(Opening::Reply(reply));
        }
        auth::check_head(auth, &head.headers).map(Opening::Body)
    }

    fn reader(&self) -> Box<dyn BodyReader> {
        Box::new(GreeterBody(Vec::new()))
    }
}

struct GreeterBody(Vec<u8>);

impl BodyReader for GreeterBody {
    fn feed(&mut self, bytes: &[u8], _: &mut Tell<'_>) -> Result<(), Junk> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self, tell: &mut Tell<'_>) -> Result<Ending, Junk> {
        if let Some(code) = self.0.strip_prefix(b"verify:") {
            let reply = Reply { status: StatusCode::OK, content_type: "text/plain", body: code.to_vec() };
            return Ok(Ending::Handshake(reply));
        }
        let mut event = crate::webhook::generic::Generic.reader();
        event.feed(&self.0, tell)?;
        event.finish(tell)
    }
}

async fn state(auth: SourceAuth) -> (HookState, Source) {
    let store = ::store::open("sqlite::memory:").await.expect("a store");
    let source = Source {
        kind: SourceKind::Generic,
        registry: "registry.example.com".parse().expect("a host"),
        host_aliases: Vec::new(),
        repositories: Vec::new(),
        auth,
    };
    let intake = Arc::new(StoreIntake::new(Arc::clone(&store), Arc::default()));
    let metrics = Metrics::new(&prometheus::Registry::new()).expect("metrics");
    let sources = BTreeMap::from([("s".to_owned(), source.clone())]);
    (HookState::new(sources, intake, store, metrics, Progress::new()), source)
}

async fn ask(state: &HookState, source: &Source, request: axum::http::Request<Body>) -> (u16, String) {
    let hook = Hook { state, name: "s", source, format: &Greeter };
    let response = match hook.take(request).await {
        Ok(answer) => answer.into_response(),
        Err(refusal) => refusal.into_response(),
    };
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 4096).await.expect("a body");
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn signed(method: Method, body: &str, key: &[u8]) -> axum::http::Request<Body> {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("any length");
    mac.update(body.as_bytes());
    let value = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let request = axum::http::Request::builder().method(method).uri("/hooks/s").header("x-hub-signature-256", value);
    request.body(Body::from(body.to_owned())).expect("a request")
}

#[tokio::test]
async fn a_format_may_answer_a_handshake_and_nothing_is_kept_of_it() {
    let (state, source) = state(SourceAuth::HmacSha256("key".into())).await;
    let options = axum::http::Request::builder().method(Method::OPTIONS).body(Body::empty()).expect("a request");
    assert_eq!(ask(&state, &source, options).await, (200, "come in".to_owned()));
    let body = "verify:42";
    assert_eq!(ask(&state, &source, signed(Method::POST, body, b"key")).await, (200, "42".to_owned()));
    // A stranger's handshake is not answered.
    assert_eq!(ask(&state, &source, signed(Method::POST, body, b"other")).await.0, 401);
    // Events come by POST alone, and only by methods that the format takes.
    let event = r#"{"repository":"team/app","tag":"v1"}"#;
    assert_eq!(ask(&state, &source, signed(Method::PUT, event, b"key")).await.0, 405);
    assert_eq!(ask(&state, &source, signed(Method::DELETE, event, b"key")).await.0, 405);
    let counts = state.dead_letters.counts().await.expect("counts");
    assert_eq!((counts.events_waiting, counts.dead_letters), (0, 0));
    assert_eq!(ask(&state, &source, signed(Method::POST, event, b"key")).await.0, 202);
    assert_eq!(state.dead_letters.counts().await.expect("counts").events_waiting, 1);
}

#[tokio::test]
async fn sources_may_be_replaced_while_requests_arrive() {
    let (state, source) = state(SourceAuth::Bearer("old".into())).await;
    let before = state.sources.current();
    let new = Source { auth: SourceAuth::Bearer("new".into()), ..source };
    state.clone().sources.replace(BTreeMap::from([("t".to_owned(), new)]));
    assert!(before.contains_key("s") && !before.contains_key("t"), "a request keeps those that it began with");
    let after = state.sources.current();
    assert!(after.contains_key("t") && !after.contains_key("s"));
}
