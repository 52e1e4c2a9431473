//! A listener that its peers cannot hold up. Request heads have a deadline, connections are counted in all and by peer,
//! and where there is no place left, the connection that has waited longest for a head makes room. A stop lets answers
//! that are under way go out.

mod places;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use places::{Place, Places};

/// A whole request head must arrive within this time; an idle connection is closed after it.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Most of a request that is buffered, its head included.
const BUFFER_BYTES: usize = 64 * 1024;
/// Most connections at once.
const MAX_CONNECTIONS: usize = 1024;
/// Most connections of one peer. A proxy in front of the listener is one peer.
const MAX_OF_PEER: usize = 256;
/// How long the system is given when it has no connection to give (too many open files, for example).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the stop is told, then lets open connections finish the answer that they are at.
pub(crate) async fn serve(listener: TcpListener, router: Router, stopped: watch::Receiver<bool>) {
    serve_within(listener, router, Places::new(MAX_CONNECTIONS, MAX_OF_PEER), stopped).await;
}

async fn serve_within(listener: TcpListener, router: Router, places: Places, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = told(&mut stopped) => break,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let (router, stopped) = (router.clone(), stopped.clone());
        connections.spawn(talk(stream, peer, router, place, stopped));
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Returns when the stop is told. A sender that is gone is a stop as well.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// The next connection that has a place; `None` where its peer has too many.
async fn accept(listener: &TcpListener, places: &Places) -> Option<(TcpStream, SocketAddr, Arc<Place>)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            let place = places.take(peer.ip()).await;
            if place.is_none() {
                tracing::debug!(%peer, "a connection was refused: its peer has {MAX_OF_PEER} already");
            }
            Some((stream, peer, Arc::new(place?)))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn talk(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    place: Arc<Place>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE).max_buf_size(BUFFER_BYTES);
    let service = Tracked { router: TowerToHyperService::new(router), peer, place: Arc::clone(&place) };
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = told(&mut stopped) => None,
        () = place.wanted() => {
            if !place.is_answering() {
                return tracing::debug!(%peer, "a connection without a request made room for another");
            }
            None
        }
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Tells the place when a request is answered, and the request whose it is.
struct Tracked {
    router: TowerToHyperService<Router>,
    peer: SocketAddr,
    place: Arc<Place>,
}

impl Service<Request<Incoming>> for Tracked {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.place.answers();
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let answer = self.router.call(request);
        let place = Arc::clone(&self.place);
        Box::pin(async move {
            let answer = answer.await;
            place.waits();
            answer
        })
    }
}

#[cfg(test)]
mod tests;
