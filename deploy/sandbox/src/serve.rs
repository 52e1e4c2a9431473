//! One listener on loopback in front of a router: its own accept loop, because a sandbox must be able
//! to hang up on a client, and because every connection has to end when its owner goes.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use http::{HeaderValue, Request, Response, header};
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
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
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
        Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
        Some(Fault::LoseAnswer) | None => {}
    }
    let answered: Result<_, Infallible> = router.call(request).await;
    let Ok(response) = answered;
    if fault == Some(Fault::LoseAnswer) {
        return Err(HungUp);
    }
    Ok(response)
}
