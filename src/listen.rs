//! A listener that nobody can hold up: request heads have a deadline, connections are counted, and a stop lets answers
//! that are under way go out.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// A whole request head must arrive within this time; an idle connection is closed after it.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Most connections at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;
/// How long the system is given when it has no connection to give (too many open files, for example).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the stop is told, then lets open connections finish the answer that they are at.
pub(crate) async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = told(&mut stopped) => break,
        };
        let Some((stream, place)) = accepted else { continue };
        let (router, stopped) = (router.clone(), stopped.clone());
        connections.spawn(async move {
            talk(stream, router, stopped).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Returns when the stop is told. A sender that is gone is a stop as well.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn talk(stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = told(&mut stopped) => None,
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_arrive_ends_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (_stop, stopped) = watch::channel(false);
        tokio::spawn(serve(listener, Router::new(), stopped));
        let mut slow = TcpStream::connect(address).await.expect("a connection");
        slow.write_all(b"POST /hooks/x HTTP/1.1\r\nHost: ").await.expect("sent");
        let mut answer = Vec::new();
        tokio::time::timeout(HEAD_DEADLINE * 3, slow.read_to_end(&mut answer))
            .await
            .expect("closed in time")
            .expect("closed");
    }

    #[tokio::test]
    async fn an_answer_under_way_goes_out_before_a_stop() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = watch::channel(false);
        let (entered, mut inside) = tokio::sync::mpsc::channel(1);
        let slow = axum::routing::get(async move || {
            entered.send(()).await.expect("the test listens");
            tokio::time::sleep(Duration::from_millis(200)).await;
            "done"
        });
        let server = tokio::spawn(serve(listener, Router::new().route("/", slow), stopped));
        let mut client = TcpStream::connect(address).await.expect("a connection");
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
        inside.recv().await.expect("the request is being answered");
        stop.send(true).expect("the server listens");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.ends_with("done"), "{answer}");
        server.await.expect("the server ended");
    }
}
