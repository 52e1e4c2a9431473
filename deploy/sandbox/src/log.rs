//! A transparency log that behaves as Rekor v2 does: entries in, proofs out, everything else as tiles.
//!
//! A write is answered when the checkpoint that covers it is out. Duplicates are refused while they
//! are remembered, which is not for ever.

mod attack;
pub(crate) mod entry;
mod files;
mod integrate;
mod journal;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use http::{Method, StatusCode};
use tlog::{Hash, LogKey};

use crate::SandboxError;
use crate::branch::Branch;
use crate::faults::{Fault, Faults};
use crate::random_seed;
use crate::serve::{Server, TaskGuard};
use crate::signing::{NoteSigner, SecretKey};

pub use files::{TileWriter, write_tiles};
use integrate::Integrator;
use journal::Journal;

/// How a log is to start.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The loopback port; 0 takes any that is free.
    pub port: u16,
    /// The log's name: the first line of its checkpoints.
    pub origin: String,
    /// How long an entry waits for the checkpoint that covers it.
    pub interval: Duration,
    /// How many entries are remembered, so that the same again is refused.
    pub remembered: usize,
    /// The Ed25519 key's seed, for a log that starts again as itself; a new key where absent.
    pub seed: Option<[u8; 32]>,
    /// How often a log without new entries signs its head again and asks its witnesses again.
    pub republish: Duration,
    /// The file that keeps the leaves from one start to the next; in memory only where absent.
    pub journal: Option<PathBuf>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            port: 0,
            origin: "rekor.sandbox.local".to_owned(),
            interval: Duration::from_millis(20),
            remembered: 256,
            seed: None,
            republish: Duration::from_secs(600),
            journal: None,
        }
    }
}

/// A running log; a clone is another handle on the same one, which ends with the last.
#[derive(Clone)]
pub struct SandboxLog {
    addr: SocketAddr,
    url: String,
    state: Arc<State>,
    server: Arc<Server>,
    integrating: Arc<TaskGuard>,
    faults: Arc<Faults>,
}

/// What every request sees.
struct State {
    integrator: Integrator,
    frozen: AtomicBool,
    elsewhere: Mutex<Elsewhere>,
    /// For forks: the same, with a seed.
    options: LogOptions,
}

/// Other histories that stand in for this one.
#[derive(Default)]
struct Elsewhere {
    reads: Option<SandboxLog>,
    writes: Option<SandboxLog>,
}

impl State {
    /// Whose history readers are shown. One step only: what stands in for this one shows its own.
    fn read_side(self: &Arc<Self>) -> Arc<Self> {
        self.elsewhere().reads.as_ref().map_or_else(|| Arc::clone(self), |log| Arc::clone(&log.state))
    }

    /// Which history entries go into.
    fn write_side(self: &Arc<Self>) -> Arc<Self> {
        self.elsewhere().writes.as_ref().map_or_else(|| Arc::clone(self), |log| Arc::clone(&log.state))
    }

    fn elsewhere(&self) -> std::sync::MutexGuard<'_, Elsewhere> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const ENTRIES_PATH: &str = "/api/v2/log/entries";

impl SandboxLog {
    /// Starts a log: an empty one, or the one that its journal keeps.
    pub async fn start(options: LogOptions) -> Result<Self, SandboxError> {
        let Some(path) = &options.journal else { return Self::start_with(options, Branch::default(), None).await };
        let (journal, leaves) = Journal::open(path)?;
        let mut branch = Branch::default();
        for leaf in leaves {
            branch.append(leaf);
        }
        Self::start_with(options, branch, Some(journal)).await
    }

    async fn start_with(options: LogOptions, branch: Branch, journal: Option<Journal>) -> Result<Self, SandboxError> {
        let seed = match options.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        let options = LogOptions { seed: Some(seed), ..options };
        let signer = NoteSigner::new(SecretKey::ed25519(&seed), &options.origin)?;
        let state = Arc::new(State {
            integrator: Integrator::new(&options, signer, branch, journal),
            frozen: AtomicBool::new(false),
            elsewhere: Mutex::default(),
            options,
        });
        let faults = Arc::new(Faults::default());
        let router = Router::new()
            .route(ENTRIES_PATH, axum::routing::post(write::create))
            .merge(read::router())
            .with_state(Arc::clone(&state));
        let server = Server::start(state.options.port, |_| router, Arc::clone(&faults)).await?;
        let integrating = tokio::spawn({
            let state = Arc::clone(&state);
            async move { state.integrator.run().await }
        });
        Ok(Self {
            addr: server.addr(),
            url: format!("http://{}", server.addr()),
            state,
            server: Arc::new(server),
            integrating: Arc::new(TaskGuard::new(integrating)),
            faults,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The log's name: the first line of its checkpoints.
    pub fn origin(&self) -> &str {
        self.state.integrator.origin()
    }

    /// Where entries are written.
    pub fn write_url(&self) -> &str {
        &self.url
    }

    /// Where checkpoint and tiles are read.
    pub fn read_url(&self) -> &str {
        &self.url
    }

    /// The log's public key.
    pub fn key(&self) -> &LogKey {
        self.state.integrator.key()
    }

    /// The log's public key, as DER.
    pub fn public_key_spki(&self) -> &[u8] {
        self.key().spki()
    }

    /// The log's public key, as PEM.
    pub fn public_key_pem(&self) -> String {
        crate::timestamp_authority::pem("PUBLIC KEY", self.key().spki())
    }

    /// The log's id in bundles and trusted roots.
    pub fn key_id(&self) -> [u8; 32] {
        self.key().key_id()
    }

    /// The newest checkpoint of this history, a signed note. Readers may be shown another's.
    pub fn checkpoint(&self) -> String {
        self.state.integrator.checkpoint()
    }

    /// How many entries the newest checkpoint covers.
    pub fn size(&self) -> u64 {
        self.state.integrator.size()
    }

    /// The root of this history at a size that has been signed.
    pub fn root(&self, size: u64) -> Option<Hash> {
        self.state.integrator.root(size)
    }

    /// An entry's true bytes.
    pub fn entry(&self, index: u64) -> Option<Vec<u8>> {
        self.state.integrator.entry(index).map(Vec::from)
    }

    /// The proof of an entry in the tree of this size, which has been signed.
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        self.state.integrator.inclusion(index, size)
    }

    /// The consistency proof between two sizes, the later of which has been signed.
    pub fn consistency(&self, old_size: u64, new_size: u64) -> Option<Vec<Hash>> {
        self.state.integrator.consistency(old_size, new_size)
    }

    /// Adds any leaf, past every check, as somebody else's entry would arrive; returns its index
    /// when it is under a checkpoint. Bytes that are no entry make a junk entry.
    pub async fn append(&self, body: Vec<u8>) -> u64 {
        self.state.integrator.add(body.into()).await.index
    }

    /// Adds any leaves at once, as many as there are, equal ones too; they are under a checkpoint when it returns.
    /// A reader can be served at most 65,535 bytes for each.
    pub fn extend(&self, bodies: impl IntoIterator<Item = impl Into<Bytes>>) -> Range<u64> {
        self.state.integrator.extend(bodies.into_iter().map(Into::into))
    }

    /// The next write is carried out in full and gets no answer.
    pub fn lose_next_answer(&self) {
        self.faults.plan(Method::POST, ENTRIES_PATH, Fault::LoseAnswer, 1);
    }

    /// The next write is refused with this status and this `Retry-After`.
    pub fn refuse_next(&self, status: StatusCode, retry_after: Option<&str>) {
        let fault = Fault::Refuse { status, retry_after: retry_after.map(str::to_owned) };
        self.faults.plan(Method::POST, ENTRIES_PATH, fault, 1);
    }

    /// What else can be made to go wrong here.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// How long an entry waits from now on for the checkpoint that covers it.
    pub fn set_delay(&self, delay: Duration) {
        self.state.integrator.set_interval(delay);
    }

    /// Switches whether writes are refused for good, as a retired shard does.
    pub fn set_frozen(&self, frozen: bool) {
        self.state.frozen.store(frozen, Ordering::Relaxed);
    }

    /// Forgets every entry that duplicates are compared with, as a restart of the log does.
    pub fn forget_duplicates(&self) {
        self.state.integrator.forget();
    }

    /// Closes the listener and every connection; nothing more is integrated.
    pub fn shutdown(&self) {
        self.server.stop();
        self.integrating.stop();
        self.state.integrator.release();
    }
}

impl fmt::Debug for SandboxLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxLog").field("addr", &self.addr).field("origin", &self.origin()).finish_non_exhaustive()
    }
}
