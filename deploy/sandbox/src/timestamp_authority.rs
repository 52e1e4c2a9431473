//! An RFC 3161 timestamp authority with a certificate chain of its own, made at start.

mod certificates;
mod request;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::Router;
use axum::extract::State as FromState;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{StatusCode, header};

use crate::faults::Faults;
use crate::serve::Server;
use crate::{SandboxError, clock};

use certificates::Chain;
pub(crate) use certificates::SavedChain;

/// How a timestamp authority is to start.
#[derive(Clone, Copy, Debug, Default)]
pub struct TsaOptions {
    /// The loopback port; 0 takes any that is free.
    pub port: u16,
}

/// A running timestamp authority; a clone is another handle on the same one, which ends with the last.
#[derive(Clone)]
pub struct SandboxTsa {
    addr: SocketAddr,
    url: String,
    state: Arc<State>,
    server: Arc<Server>,
    faults: Arc<Faults>,
}

/// What every request sees.
struct State {
    chain: Chain,
    clock_offset: AtomicI64,
    stamped: AtomicU64,
}

const STAMP_PATH: &str = "/api/v1/timestamp";

impl SandboxTsa {
    /// Starts an authority with new keys: root, intermediate and leaf.
    pub async fn start(options: TsaOptions) -> Result<Self, SandboxError> {
        Self::start_with(options, Chain::generate(clock::unix_seconds())?).await
    }

    /// Starts an authority again with the keys and certificates that it had.
    pub(crate) async fn resume(options: TsaOptions, saved: &SavedChain) -> Result<Self, SandboxError> {
        Self::start_with(options, Chain::restored(saved)?).await
    }

    async fn start_with(options: TsaOptions, chain: Chain) -> Result<Self, SandboxError> {
        let state = Arc::new(State { chain, clock_offset: AtomicI64::new(0), stamped: AtomicU64::new(0) });
        let faults = Arc::new(Faults::default());
        let router = Router::new()
            .route(STAMP_PATH, post(stamp))
            .route("/api/v1/timestamp/certchain", get(chain_pem))
            .route("/ping", get(|| async { "ok" }))
            .with_state(Arc::clone(&state));
        let server = Server::start(options.port, |_| router, Arc::clone(&faults)).await?;
        Ok(Self {
            addr: server.addr(),
            url: format!("http://{}{STAMP_PATH}", server.addr()),
            state,
            server: Arc::new(server),
            faults,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where requests are posted.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificates as DER: leaf, intermediate, root.
    pub fn chain_der(&self) -> &[Vec<u8>] {
        self.state.chain.certificates()
    }

    /// The certificates as PEM, in the same order.
    pub fn chain_pem(&self) -> String {
        self.state.chain.pem()
    }

    /// Since when the certificates are valid, in seconds since 1970.
    pub fn valid_from(&self) -> i64 {
        self.state.chain.valid_from()
    }

    /// How many timestamps were given.
    pub fn stamped(&self) -> u64 {
        self.state.stamped.load(Ordering::Relaxed)
    }

    /// Sets the authority's clock wrong by this many seconds.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.state.clock_offset.store(seconds, Ordering::Relaxed);
    }

    /// What can be made to go wrong here.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Answers a request as the endpoint does: a `TimeStampReq` in, a `TimeStampResp` out.
    pub fn stamp(&self, request: &[u8]) -> Result<Vec<u8>, StampError> {
        self.state.stamp(request)
    }

    /// Closes the listener and every connection.
    pub fn shutdown(&self) {
        self.server.stop();
    }
}

impl fmt::Debug for SandboxTsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxTsa").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// Why a request got no timestamp.
#[derive(Debug, thiserror::Error)]
pub enum StampError {
    /// The request is not a `TimeStampReq` for SHA-256, SHA-384 or SHA-512.
    #[error("the timestamp request cannot be read: {0}")]
    Request(String),
    /// The answer could not be made.
    #[error("the timestamp could not be made: {0}")]
    Token(String),
}

impl State {
    fn stamp(&self, request: &[u8]) -> Result<Vec<u8>, StampError> {
        let request = request::parse(request).map_err(StampError::Request)?;
        let now = clock::unix_seconds() + self.clock_offset.load(Ordering::Relaxed);
        let serial = self.stamped.fetch_add(1, Ordering::Relaxed) + 1;
        token::response(&request, &self.chain, serial, now).map_err(|error| StampError::Token(error.to_string()))
    }
}

async fn stamp(FromState(state): FromState<Arc<State>>, body: Bytes) -> Response {
    match state.stamp(&body) {
        Ok(response) => {
            (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/timestamp-reply")], response).into_response()
        }
        Err(error) => {
            tracing::debug!(%error, "a timestamp request was refused");
            let status = match error {
                StampError::Request(_) => StatusCode::BAD_REQUEST,
                StampError::Token(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, format!("{error}\n")).into_response()
        }
    }
}

async fn chain_pem(FromState(state): FromState<Arc<State>>) -> Response {
    ([(header::CONTENT_TYPE, "application/pem-certificate-chain")], state.chain.pem()).into_response()
}

/// DER in its text form.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
