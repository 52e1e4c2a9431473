//! The registry's webhook: distribution's v2 envelope, one event per request, in order, for ever.
//!
//! As in the reference implementation the queue is unbounded, lives in memory, and a receiver that
//! refuses one event holds up every later one.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::routes::Caller;
use crate::clock;
use crate::serve::TaskGuard;

const CONTENT_TYPE: &str = "application/vnd.docker.distribution.events.v2+json";
const TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// Who is told of what happens in the registry.
#[derive(Clone)]
pub struct WebhookTarget {
    /// An `http://` address.
    pub url: String,
    /// The `Authorization` header of every delivery, word for word.
    pub authorization: Option<String>,
}

impl fmt::Debug for WebhookTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookTarget").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What an event is about.
#[derive(Default)]
pub(crate) struct Subject<'a> {
    pub(crate) repository: &'a str,
    pub(crate) digest: Option<String>,
    pub(crate) size: Option<usize>,
    pub(crate) media_type: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) from_repository: Option<String>,
    pub(crate) path: Option<String>,
}

#[derive(Serialize)]
struct Envelope {
    events: [Event; 1],
}

#[derive(Serialize)]
struct Event {
    id: String,
    timestamp: String,
    action: String,
    target: Target,
    request: RequestRecord,
    actor: Actor,
    source: Source,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    repository: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
}

#[derive(Serialize)]
struct RequestRecord {
    id: String,
    addr: String,
    host: String,
    method: String,
    useragent: String,
}

#[derive(Serialize)]
struct Actor {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Serialize)]
struct Source {
    addr: String,
    #[serde(rename = "instanceID")]
    instance_id: String,
}

/// The events that wait, and for whom; a clone is the same queue.
#[derive(Clone)]
pub(crate) struct Outbox(Arc<Inner>);

struct Inner {
    queue: Mutex<VecDeque<Bytes>>,
    target: Mutex<Option<WebhookTarget>>,
    changed: Notify,
    delivered: AtomicU64,
    failed: AtomicU64,
    instance_id: String,
}

impl Outbox {
    pub(crate) fn new(target: Option<WebhookTarget>) -> Self {
        Self(Arc::new(Inner {
            queue: Mutex::default(),
            target: Mutex::new(target),
            changed: Notify::new(),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            instance_id: crate::random_id(),
        }))
    }

    pub(crate) fn set_target(&self, target: Option<WebhookTarget>) {
        *lock(&self.0.target) = target;
        self.0.changed.notify_one();
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.0.delivered.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.0.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn pending(&self) -> usize {
        lock(&self.0.queue).len()
    }

    /// Queues an event; without a target nobody is to be told, now or later.
    pub(crate) fn emit(&self, caller: &Caller, action: &str, subject: &Subject<'_>) {
        if lock(&self.0.target).is_none() {
            return;
        }
        let envelope = Envelope {
            events: [Event {
                id: crate::random_id(),
                timestamp: clock::rfc3339_now(),
                action: action.to_owned(),
                target: Target {
                    media_type: subject.media_type.clone(),
                    digest: subject.digest.clone(),
                    size: subject.size,
                    length: subject.size,
                    repository: subject.repository.to_owned(),
                    from_repository: subject.from_repository.clone(),
                    url: subject.path.as_ref().map(|path| format!("http://{}{path}", caller.host)),
                    tag: subject.tag.clone(),
                },
                request: RequestRecord {
                    id: caller.request_id.clone(),
                    addr: caller.addr.clone(),
                    host: caller.host.clone(),
                    method: caller.method.to_string(),
                    useragent: caller.user_agent.clone(),
                },
                actor: Actor { name: caller.actor.clone() },
                source: Source { addr: caller.host.clone(), instance_id: self.0.instance_id.clone() },
            }],
        };
        match indented(&envelope) {
            Ok(body) => {
                lock(&self.0.queue).push_back(body);
                self.0.changed.notify_one();
            }
            Err(error) => tracing::warn!(%error, "an event could not be written as JSON"),
        }
    }
}

/// Indented by three, as the reference implementation sends it.
fn indented(envelope: &Envelope) -> Result<Bytes, serde_json::Error> {
    let mut body = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"   ");
    envelope.serialize(&mut serde_json::Serializer::with_formatter(&mut body, formatter))?;
    Ok(body.into())
}

/// The task that delivers; it ends with the value.
#[derive(Debug)]
pub(crate) struct Webhook(TaskGuard);

impl Webhook {
    pub(crate) fn start(outbox: Outbox) -> Self {
        Self(TaskGuard::new(tokio::spawn(deliver(outbox))))
    }

    pub(crate) fn stop(&self) {
        self.0.stop();
    }
}

async fn deliver(outbox: Outbox) {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let next = lock(&outbox.0.queue).front().cloned();
        let target = lock(&outbox.0.target).clone();
        let (Some(body), Some(target)) = (next, target) else {
            outbox.0.changed.notified().await;
            continue;
        };
        let outcome = tokio::time::timeout(TIMEOUT, post(&target, body)).await;
        match outcome.unwrap_or(Err(DeliveryError::Timeout)) {
            Ok(()) => {
                lock(&outbox.0.queue).pop_front();
                outbox.0.delivered.fetch_add(1, Ordering::Relaxed);
                backoff = FIRST_BACKOFF;
            }
            Err(error) => {
                outbox.0.failed.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, url = %target.url, "an event was not taken");
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(LONGEST_BACKOFF);
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum DeliveryError {
    #[error("{0} is not an http:// address")]
    Address(String),
    #[error(transparent)]
    Connect(#[from] std::io::Error),
    #[error(transparent)]
    Request(#[from] http::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("the receiver answered {0}")]
    Refused(StatusCode),
    #[error("the receiver did not answer in time")]
    Timeout,
}

async fn post(target: &WebhookTarget, body: Bytes) -> Result<(), DeliveryError> {
    let address = || DeliveryError::Address(target.url.clone());
    let uri: Uri = target.url.parse().map_err(|_| address())?;
    if uri.scheme_str() != Some("http") {
        return Err(address());
    }
    let authority = uri.authority().ok_or_else(address)?;
    let host = authority.host().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = TaskGuard::new(tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a delivery's connection ended early");
        }
    }));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::post(path)
        .header(header::HOST, authority.as_str())
        .header(header::USER_AGENT, "sandbox-registry")
        .header(header::CONTENT_TYPE, CONTENT_TYPE);
    if let Some(authorization) = &target.authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let response = sender.send_request(request.body(Full::new(body))?).await?;
    let status = response.status();
    response.into_body().collect().await?;
    connection.stop();
    // The reference implementation takes 3xx for delivered too.
    if status.is_success() || status.is_redirection() { Ok(()) } else { Err(DeliveryError::Refused(status)) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
