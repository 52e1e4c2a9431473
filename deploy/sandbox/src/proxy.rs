//! A proxy in front of a real server, which shows its clients the faults that it is told to.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use http::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::SandboxError;
use crate::faults::Faults;
use crate::serve::Server;

/// A running proxy; a clone is another handle on the same one, which ends with the last.
#[derive(Clone, Debug)]
pub struct SandboxProxy {
    addr: SocketAddr,
    url: String,
    server: Arc<Server>,
    faults: Arc<Faults>,
}

impl SandboxProxy {
    /// Starts on this loopback port, 0 for any that is free, in front of a server that speaks plain HTTP.
    pub async fn start(port: u16, target: SocketAddr) -> Result<Self, SandboxError> {
        let faults = Arc::new(Faults::default());
        let router = Router::new().fallback(move |request| async move {
            match forward(target, request).await {
                Ok(response) => response.map(Body::new),
                Err(error) => (StatusCode::BAD_GATEWAY, format!("{error}\n")).into_response(),
            }
        });
        let server = Server::start(port, |_| router, Arc::clone(&faults)).await?;
        let url = format!("http://{}", server.addr());
        Ok(Self { addr: server.addr(), url, server: Arc::new(server), faults })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it listens, as a URL without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What is to go wrong here.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Closes the listener and every connection.
    pub fn shutdown(&self) {
        self.server.stop();
    }
}

/// Why a request could not be passed on.
#[derive(Debug, thiserror::Error)]
enum ForwardError {
    #[error("the server behind the proxy cannot be reached: {0}")]
    Connect(#[from] std::io::Error),
    #[error("the server behind the proxy does not answer: {0}")]
    Http(#[from] hyper::Error),
}

/// Each request has a connection of its own behind the proxy.
async fn forward(
    target: SocketAddr,
    mut request: Request<Body>,
) -> Result<Response<hyper::body::Incoming>, ForwardError> {
    let stream = TcpStream::connect(target).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    request.headers_mut().remove(header::CONNECTION);
    Ok(sender.send_request(request).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ask, get};
    use crate::{AlertReceiver, Fault, LogOptions, SandboxLog};
    use http::Method;
    use std::time::{Duration, Instant};

    async fn log() -> SandboxLog {
        let log = SandboxLog::start(LogOptions::default()).await.unwrap();
        log.extend((0..256u32).map(|number| number.to_be_bytes().to_vec()));
        log
    }

    #[tokio::test]
    async fn requests_and_answers_pass_unchanged() {
        let log = log().await;
        let proxy = SandboxProxy::start(0, log.addr()).await.unwrap();
        let path = "/tile/entries/000";
        let (through, direct) = (get(proxy.addr(), path).await, get(log.addr(), path).await);
        assert_eq!((through.status, &through.body), (direct.status, &direct.body));
        assert_eq!(through.header("content-type"), direct.header("content-type"));
        let receiver = AlertReceiver::start(0).await.unwrap();
        let proxy = SandboxProxy::start(0, receiver.addr()).await.unwrap();
        ask(proxy.addr(), Method::PUT, "/a?b=c", &[("x-one", "two")], "body").await.unwrap();
        let received = receiver.received();
        assert_eq!((&received[0].method, received[0].path.as_str()), (&Method::PUT, "/a?b=c"));
        assert_eq!((received[0].header("x-one"), &received[0].body[..]), ("two", &b"body"[..]));
        receiver.shutdown();
        let gone = ask(proxy.addr(), Method::GET, "/", &[], "").await.unwrap();
        assert_eq!(gone.status, StatusCode::BAD_GATEWAY);
    }

    #[tokio::test]
    async fn answers_are_cut_slowed_down_or_without_end_as_told() {
        let log = log().await;
        let proxy = SandboxProxy::start(0, log.addr()).await.unwrap();
        let path = "/tile/entries/000";
        let whole = get(proxy.addr(), path).await.body;
        let fault = |fault| proxy.faults().plan(Method::GET, path, fault, 1);
        fault(Fault::Truncate(100));
        assert!(ask(proxy.addr(), Method::GET, path, &[], "").await.is_none());
        fault(Fault::Trickle(Duration::from_millis(5)));
        let begun = Instant::now();
        assert_eq!(get(proxy.addr(), path).await.body, whole);
        assert!(begun.elapsed() >= Duration::from_millis(75));
        fault(Fault::Endless);
        let endless = tokio::time::timeout(Duration::from_millis(200), get(proxy.addr(), path)).await;
        assert!(endless.is_err());
        assert_eq!(get(proxy.addr(), path).await.body, whole);
    }
}
