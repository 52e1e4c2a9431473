//! Those who are alerted: an HTTP receiver and a mail server, which keep what they get and can be down.

mod mail;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tokio::sync::watch;

use crate::SandboxError;
use crate::faults::Faults;
use crate::serve::Server;

pub use mail::{Mail, MailOptions, MailReceiver};

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// How.
    pub method: Method,
    /// Where, with the query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Received {
    /// A header as text; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A web server that takes every request and keeps it: a webhook, a chat, a pager or a heartbeat.
#[derive(Clone)]
pub struct AlertReceiver {
    addr: SocketAddr,
    url: String,
    received: watch::Sender<Vec<Received>>,
    status: Arc<Mutex<StatusCode>>,
    server: Arc<Server>,
    faults: Arc<Faults>,
}

impl AlertReceiver {
    /// Starts on this loopback port; 0 takes any that is free.
    pub async fn start(port: u16) -> Result<Self, SandboxError> {
        let received = watch::Sender::new(Vec::new());
        let status = Arc::new(Mutex::new(StatusCode::OK));
        let faults = Arc::new(Faults::default());
        let router = Router::new().fallback({
            let (received, status) = (received.clone(), Arc::clone(&status));
            move |request: Request<Body>| {
                let (received, status) = (received.clone(), Arc::clone(&status));
                async move { take(request, &received, &status).await }
            }
        });
        let server = Server::start(port, |_| router, Arc::clone(&faults)).await?;
        let url = format!("http://{}", server.addr());
        Ok(Self { addr: server.addr(), url, received, status, server: Arc::new(server), faults })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it listens, as a URL without a path; any path will do.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What has arrived so far, in order. What was refused has not.
    pub fn received(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    /// Waits until at least so many have arrived, or for so long; returns what has.
    pub async fn wait_for(&self, count: usize, within: Duration) -> Vec<Received> {
        let mut arriving = self.received.subscribe();
        let _ = tokio::time::timeout(within, arriving.wait_for(|received| received.len() >= count)).await;
        self.received()
    }

    /// Whether every connection is hung up on. A client sees a sink that cannot be reached.
    pub fn set_down(&self, down: bool) {
        self.faults.set_down(down);
    }

    /// The status of every answer; what is answered with an error is not kept.
    pub fn set_status(&self, status: StatusCode) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// What else can be made to go wrong here.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Closes the listener and every connection.
    pub fn shutdown(&self) {
        self.server.stop();
    }
}

async fn take(
    request: Request<Body>,
    received: &watch::Sender<Vec<Received>>,
    status: &Mutex<StatusCode>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut response = Response::new(Body::empty());
    let Ok(body) = body.collect().await else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let status = *status.lock().unwrap_or_else(PoisonError::into_inner);
    if status.is_success() {
        let path = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        let request = Received { method: head.method, path, headers: head.headers, body: body.to_bytes() };
        received.send_modify(|all| all.push(request));
    }
    *response.status_mut() = status;
    response
}

impl fmt::Debug for AlertReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertReceiver").field("addr", &self.addr).finish_non_exhaustive()
    }
}
