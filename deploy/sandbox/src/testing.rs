//! For this crate's own tests: a client that shows every byte of an answer, and a webhook receiver.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::faults::Faults;
use crate::serve::Server;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One request on a connection of its own; `None` when the server hangs up without an answer.
pub(crate) async fn ask(
    addr: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<bytes::Bytes>,
) -> Option<Answer> {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    // Locations are absolute here; the path alone is what is asked for.
    let path = path.strip_prefix(&format!("http://{addr}")).unwrap_or(path);
    let mut request = Request::builder().method(method).uri(path).header("host", addr.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::new(body.into())).unwrap()).await.ok()?;
    let (parts, body) = response.into_parts();
    Some(Answer { status: parts.status, headers: parts.headers, body: body.collect().await.ok()?.to_bytes().to_vec() })
}

pub(crate) async fn get(addr: SocketAddr, path: &str) -> Answer {
    ask(addr, Method::GET, path, &[], "").await.unwrap()
}

/// What a webhook was sent: its headers and its body.
pub(crate) type Deliveries = Arc<Mutex<Vec<(HeaderMap, serde_json::Value)>>>;

/// Takes deliveries; refuses the first `refusals` with 503.
pub(crate) struct Receiver {
    pub(crate) server: Server,
    pub(crate) deliveries: Deliveries,
}

impl Receiver {
    pub(crate) async fn start(refusals: u32) -> Self {
        let deliveries = Deliveries::default();
        let faults = Arc::new(Faults::default());
        let refuse = crate::Fault::Refuse { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: None };
        if refusals > 0 {
            faults.plan(Method::POST, "/", refuse, refusals);
        }
        let taken = Arc::clone(&deliveries);
        let router = Router::new().fallback(move |request: Request<Body>| {
            let taken = Arc::clone(&taken);
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&body).unwrap();
                taken.lock().unwrap().push((parts.headers, body));
                Response::new(Body::empty())
            }
        });
        let server = Server::start(0, |_| router, faults).await.unwrap();
        Self { server, deliveries }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks/sandbox", self.server.addr())
    }

    /// Waits until so many have arrived.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<(HeaderMap, serde_json::Value)> {
        for _ in 0..500 {
            let taken = self.deliveries.lock().unwrap().clone();
            if taken.len() >= count {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("only {} of {count} deliveries arrived", self.deliveries.lock().unwrap().len());
    }
}
