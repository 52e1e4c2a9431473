//! One listener on loopback in front of a router: its own accept loop, because a sandbox must be able
//! to hang up on a client, and because every connection has to end when its owner goes.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::SandboxError;
use crate::faults::{Fault, Faults};

/// The address of the client, as an extension of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// A listener and everything that it accepted; all of it ends with the value.
#[derive(Debug)]
pub(crate) struct Server {
    addr: SocketAddr,
    task: TaskGuard,
}

impl Server {
    /// Listens on 127.0.0.1; port 0 takes any that is free.
    pub(crate) async fn start(
        port: u16,
        router: impl FnOnce(SocketAddr) -> Router,
        faults: Arc<Faults>,
    ) -> Result<Self, SandboxError> {
        let listen = |source| SandboxError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let router = router(addr);
        let task = TaskGuard::new(tokio::spawn(accept(listener, router, faults)));
        Ok(Self { addr, task })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Closes the listener and every connection.
    pub(crate) fn stop(&self) {
        self.task.stop();
    }
}

/// A task that is aborted when its owner goes.
#[derive(Debug)]
pub(crate) struct TaskGuard(Mutex<Option<JoinHandle<()>>>);

impl TaskGuard {
    pub(crate) fn new(task: JoinHandle<()>) -> Self {
        Self(Mutex::new(Some(task)))
    }

    pub(crate) fn stop(&self) {
        let task = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
        }
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn accept(listener: TcpListener, router: Router, faults: Arc<Faults>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, router.clone(), Arc::clone(&faults)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, faults: Arc<Faults>) {
    // Answers are small and wait for nobody.
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let router = router.clone();
        let fault = faults.take(request.method(), request.uri().path());
        request.extensions_mut().insert(Peer(peer));
        async move { answer(&router, request, fault).await }
    });
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}

/// The server closes the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("hung up as planned")]
struct HungUp;

async fn answer(
    router: &TowerToHyperService<Router>,
    request: Request<Incoming>,
    fault: Option<Fault>,
) -> Result<Response<Body>, HungUp> {
    match &fault {
        Some(Fault::HangUp) => return Err(HungUp),
        Some(Fault::Refuse { status, retry_after }) => {
            let mut response = (*status, "refused as planned\n").into_response();
            if let Some(value) = retry_after.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            return Ok(response);
        }
        Some(Fault::Deny) => {
            let body = r#"{"errors":[{"code":"DENIED","message":"denied as planned"}]}"#;
            let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
            return Ok((StatusCode::FORBIDDEN, json, body).into_response());
        }
        Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
        Some(Fault::Endless) => return Ok(Response::new(endless())),
        Some(Fault::LoseAnswer | Fault::Truncate(_) | Fault::Trickle(_)) | None => {}
    }
    let answered: Result<_, Infallible> = router.call(request).await;
    let Ok(response) = answered;
    match fault {
        Some(Fault::LoseAnswer) => Err(HungUp),
        Some(Fault::Truncate(length)) => {
            in_parts(response, |body| vec![Ok(body.slice(..length.min(body.len()))), Err(HungUp)], Duration::ZERO).await
        }
        Some(Fault::Trickle(pause)) => {
            let parts = |body: Bytes| {
                let size = body.len().div_ceil(16).max(1);
                (0..body.len()).step_by(size).map(|at| Ok(body.slice(at..(at + size).min(body.len())))).collect()
            };
            in_parts(response, parts, pause).await
        }
        _ => Ok(response),
    }
}

/// The same answer, under its whole length, with its body in parts.
async fn in_parts(
    response: Response<Body>,
    parts: impl FnOnce(Bytes) -> Vec<Result<Bytes, HungUp>>,
    pause: Duration,
) -> Result<Response<Body>, HungUp> {
    let (mut head, body) = response.into_parts();
    let body = body.collect().await.map_err(|_| HungUp)?.to_bytes();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let parts = stream::iter(parts(body)).then(move |part| async move {
        tokio::time::sleep(pause).await;
        part
    });
    Ok(Response::from_parts(head, Body::from_stream(parts)))
}

fn endless() -> Body {
    let zeroes = Bytes::from_static(&[0; 4096]);
    Body::from_stream(stream::repeat_with(move || Ok::<_, Infallible>(zeroes.clone())))
}
