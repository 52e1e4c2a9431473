//! A witness (c2sp.org/tlog-witness): it cosigns a log's checkpoint once it has seen that it continues the last one.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, State as FromState};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use http::{StatusCode, header};
use sha2::{Digest as _, Sha256};
use tlog::{Checkpoint, Hash, LogKey, verify_consistency};

use crate::faults::Faults;
use crate::serve::Server;
use crate::{SandboxError, clock, random_seed};

/// How a witness is to start.
#[derive(Clone, Debug)]
pub struct WitnessOptions {
    /// The loopback port; 0 takes any that is free.
    pub port: u16,
    /// The name on its cosignatures.
    pub name: String,
    /// The Ed25519 key's seed; a new key where absent.
    pub seed: Option<[u8; 32]>,
}

impl Default for WitnessOptions {
    fn default() -> Self {
        Self { port: 0, name: "witness.sandbox.local".to_owned(), seed: None }
    }
}

/// A running witness; a clone is another handle on the same one, which ends with the last.
#[derive(Clone)]
pub struct SandboxWitness {
    addr: SocketAddr,
    url: String,
    state: Arc<State>,
    server: Arc<Server>,
    faults: Arc<Faults>,
}

struct State {
    name: String,
    key: SigningKey,
    absent: AtomicBool,
    dishonest: AtomicBool,
    clock_offset: AtomicI64,
    /// By origin.
    logs: Mutex<HashMap<String, Witnessed>>,
}

struct Witnessed {
    key: LogKey,
    latest: Option<Latest>,
}

struct Latest {
    size: u64,
    root: Hash,
    /// With the cosignature.
    note: String,
}

/// Why a checkpoint is not cosigned.
enum Refusal {
    UnknownLog,
    BadSignature,
    /// The size that the witness has seen is this one.
    Stale(u64),
    Shrinks,
    Inconsistent,
    Malformed,
}

/// The type byte of a cosignature in a note's key id.
const COSIGNATURE: u8 = 0x04;

impl SandboxWitness {
    /// Starts a witness that knows no log.
    pub async fn start(options: WitnessOptions) -> Result<Self, SandboxError> {
        let seed = match options.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        let state = Arc::new(State {
            name: options.name,
            key: SigningKey::from_bytes(&seed),
            absent: AtomicBool::new(false),
            dishonest: AtomicBool::new(false),
            clock_offset: AtomicI64::new(0),
            logs: Mutex::default(),
        });
        let faults = Arc::new(Faults::default());
        let router = Router::new()
            .route("/add-checkpoint", post(add_checkpoint))
            .route("/{log}/checkpoint", get(latest))
            .with_state(Arc::clone(&state));
        let server = Server::start(options.port, |_| router, Arc::clone(&faults)).await?;
        let url = format!("http://{}", server.addr());
        Ok(Self { addr: server.addr(), url, state, server: Arc::new(server), faults })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where `add-checkpoint` and `<hash of origin>/checkpoint` are.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name on its cosignatures.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Its public key as policies name it: `<name>+<key hash>+<base64>`.
    pub fn vkey(&self) -> String {
        let raw = [&[COSIGNATURE], self.state.key.verifying_key().as_bytes().as_slice()].concat();
        format!("{}+{}+{}", self.state.name, hex::encode(self.state.key_hash()), STANDARD.encode(raw))
    }

    /// The newest checkpoint of a log that it has cosigned, with its cosignature.
    pub fn checkpoint(&self, origin: &str) -> Option<String> {
        self.state.logs().get(origin)?.latest.as_ref().map(|latest| latest.note.clone())
    }

    /// Knows a log from now on, with nothing seen of it, and cosigns what it is shown.
    pub fn know(&self, origin: &str, key: &LogKey) {
        self.state.logs().entry(origin.to_owned()).or_insert_with(|| Witnessed { key: key.clone(), latest: None });
    }

    /// Whether it cosigns nothing. A client sees its cosignature missing from new checkpoints.
    pub fn set_absent(&self, absent: bool) {
        self.state.absent.store(absent, Ordering::Relaxed);
    }

    /// Whether it cosigns anything that the log has signed. A client sees a quorum behind both sides of a split view.
    pub fn set_dishonest(&self, dishonest: bool) {
        self.state.dishonest.store(dishonest, Ordering::Relaxed);
    }

    /// Sets its clock wrong by this many seconds. A client sees cosignatures from the future, or old ones.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.state.clock_offset.store(seconds, Ordering::Relaxed);
    }

    /// What else can be made to go wrong here.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Closes the listener and every connection, and cosigns nothing more.
    pub fn shutdown(&self) {
        self.set_absent(true);
        self.server.stop();
    }

    /// A log of the sandbox asks for a cosignature, and proves what the witness needs. The answer is a line for the
    /// note.
    pub(crate) fn asked(&self, note: &str, prove: impl FnOnce(u64) -> Option<Vec<Hash>>) -> Option<String> {
        if self.faults.is_down() {
            return None;
        }
        let old = {
            let logs = self.state.logs();
            logs.get(note.lines().next()?)?.latest.as_ref().map_or(0, |latest| latest.size)
        };
        let proof = prove(old).unwrap_or_default();
        self.state.update(note, old, &proof).ok()
    }
}

impl State {
    /// Cosigns the checkpoint if it continues the one seen last.
    fn update(&self, note: &str, old: u64, proof: &[Hash]) -> Result<String, Refusal> {
        let origin = note.lines().next().unwrap_or_default();
        let mut logs = self.logs();
        let log = logs.get_mut(origin).ok_or(Refusal::UnknownLog)?;
        let checkpoint = Checkpoint::open(note, &log.key).map_err(|_| Refusal::BadSignature)?;
        let size = checkpoint.size();
        if !self.dishonest.load(Ordering::Relaxed)
            && let Some(latest) = &log.latest
        {
            if old != latest.size {
                return Err(Refusal::Stale(latest.size));
            }
            if size < old {
                return Err(Refusal::Shrinks);
            }
            let continues = match old {
                0 => true,
                _ if old == size => latest.root == checkpoint.root(),
                _ => verify_consistency(old, &latest.root, size, &checkpoint.root(), proof).is_ok(),
            };
            if !continues {
                return Err(Refusal::Inconsistent);
            }
        }
        if self.absent.load(Ordering::Relaxed) {
            return Err(Refusal::Malformed);
        }
        let text = note.rfind("\n\n").and_then(|end| note.get(..=end)).ok_or(Refusal::Malformed)?;
        let line = self.cosign(text);
        log.latest = Some(Latest { size, root: checkpoint.root(), note: format!("{note}{line}") });
        Ok(line)
    }

    /// SPEC: c2sp.org/tlog-cosignature: the time is signed with the text, and stands before the signature.
    fn cosign(&self, text: &str) -> String {
        let time = clock::unix_seconds().saturating_add(self.clock_offset.load(Ordering::Relaxed));
        let signature = self.key.sign(format!("cosignature/v1\ntime {time}\n{text}").as_bytes());
        let time = u64::try_from(time).unwrap_or(0).to_be_bytes();
        let bytes = [&self.key_hash()[..], &time, &signature.to_bytes()].concat();
        format!("— {} {}\n", self.name, STANDARD.encode(bytes))
    }

    fn key_hash(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', COSIGNATURE])
            .chain_update(self.key.verifying_key().as_bytes())
            .finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }

    fn logs(&self) -> std::sync::MutexGuard<'_, HashMap<String, Witnessed>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `old <size>`, the proof's hashes in base64, an empty line, the checkpoint.
async fn add_checkpoint(FromState(state): FromState<Arc<State>>, body: String) -> Response {
    let updated = parse(&body).and_then(|(old, proof, note)| state.update(note, old, &proof));
    match updated {
        Ok(line) => line.into_response(),
        Err(Refusal::UnknownLog) => StatusCode::NOT_FOUND.into_response(),
        Err(Refusal::BadSignature) => StatusCode::FORBIDDEN.into_response(),
        Err(Refusal::Stale(size)) => {
            (StatusCode::CONFLICT, [(header::CONTENT_TYPE, "text/x.tlog.size")], format!("{size}\n")).into_response()
        }
        Err(Refusal::Inconsistent) => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
        Err(Refusal::Shrinks | Refusal::Malformed) => StatusCode::BAD_REQUEST.into_response(),
    }
}

fn parse(body: &str) -> Result<(u64, Vec<Hash>, &str), Refusal> {
    let (head, note) = body.split_once("\n\n").ok_or(Refusal::Malformed)?;
    let mut lines = head.lines();
    let old = lines.next().and_then(|line| line.strip_prefix("old ")?.parse().ok()).ok_or(Refusal::Malformed)?;
    let hash = |line| STANDARD.decode(line).ok().and_then(|bytes| Hash::from_slice(&bytes));
    let proof = lines.map(hash).collect::<Option<_>>().ok_or(Refusal::Malformed)?;
    Ok((old, proof, note))
}

async fn latest(FromState(state): FromState<Arc<State>>, Path(log): Path<String>) -> Response {
    let logs = state.logs();
    let found = logs.iter().find(|(origin, _)| hex::encode(Sha256::digest(origin)) == log);
    match found.and_then(|(_, witnessed)| witnessed.latest.as_ref()) {
        Some(latest) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], latest.note.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

impl fmt::Debug for SandboxWitness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxWitness").field("addr", &self.addr).field("name", &self.name()).finish_non_exhaustive()
    }
}
