//! A certificate transparency log (RFC 6962) as a CA's log is: everything at once, no merge delay.

mod attack;
pub(crate) mod leaf;
mod routes;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tlog::{Hash, LogKey};

use crate::branch::Branch;
use crate::faults::Faults;
use crate::lies::LeafLies;
use crate::serve::Server;
use crate::signing::{HeadSignature, SecretKey};
use crate::{SandboxError, clock, random_seed};

use leaf::Submission;

/// How a CT log is to start.
#[derive(Clone, Debug)]
pub struct CtOptions {
    /// The loopback port; 0 takes any that is free.
    pub port: u16,
    /// The ECDSA P-256 key, for a log that starts again as itself; a new key where absent.
    pub seed: Option<[u8; 32]>,
    /// How many entries one answer holds at most.
    pub page: u64,
    /// How old a tree head gets before it is signed anew.
    pub republish: Duration,
}

impl Default for CtOptions {
    fn default() -> Self {
        Self { port: 0, seed: None, page: 256, republish: Duration::from_secs(600) }
    }
}

/// A running CT log; a clone is another handle on the same one, which ends with the last.
#[derive(Clone)]
pub struct SandboxCt {
    addr: SocketAddr,
    url: String,
    state: Arc<State>,
    server: Arc<Server>,
    faults: Arc<Faults>,
}

/// What every request sees.
struct State {
    options: CtOptions,
    secret: SecretKey,
    key: LogKey,
    key_id: [u8; 32],
    withholding: AtomicBool,
    clock_offset: AtomicI64,
    inner: Mutex<Inner>,
    reads: Mutex<Option<SandboxCt>>,
}

struct Inner {
    branch: Branch,
    /// The chain of each entry, in `get-entries`'s form.
    extra: Vec<Bytes>,
    lies: LeafLies,
    signature: HeadSignature,
    head: TreeHead,
}

/// A tree head as it was signed.
#[derive(Clone)]
struct TreeHead {
    size: u64,
    timestamp_ms: u64,
    root: Hash,
    signature: Vec<u8>,
}

impl SandboxCt {
    /// Starts an empty log.
    pub async fn start(options: CtOptions) -> Result<Self, SandboxError> {
        Self::start_with(options, Branch::default(), Vec::new()).await
    }

    async fn start_with(options: CtOptions, branch: Branch, extra: Vec<Bytes>) -> Result<Self, SandboxError> {
        let seed = match options.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        let secret = SecretKey::p256(&seed)?;
        let spki = secret.spki()?;
        let key = LogKey::from_spki(&spki, None).map_err(|error| SandboxError::LogKey(error.to_string()))?;
        let port = options.port;
        let head = TreeHead { size: 0, timestamp_ms: 0, root: Hash::empty_root(), signature: Vec::new() };
        let state = Arc::new(State {
            options: CtOptions { seed: Some(seed), ..options },
            secret,
            key_id: Sha256::digest(&spki).into(),
            key,
            withholding: AtomicBool::new(false),
            clock_offset: AtomicI64::new(0),
            inner: Mutex::new(Inner { branch, extra, lies: LeafLies::default(), signature: HeadSignature::Good, head }),
            reads: Mutex::default(),
        });
        state.sign_head(&mut state.inner());
        let faults = Arc::new(Faults::default());
        let router = routes::router().with_state(Arc::clone(&state));
        let server = Server::start(port, |_| router, Arc::clone(&faults)).await?;
        let url = format!("http://{}", server.addr());
        Ok(Self { addr: server.addr(), url, state, server: Arc::new(server), faults })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Below which `ct/v1/…` is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The log's public key.
    pub fn key(&self) -> &LogKey {
        &self.state.key
    }

    /// The log's public key, as DER.
    pub fn public_key_spki(&self) -> &[u8] {
        self.state.key.spki()
    }

    /// The log's public key, as PEM.
    pub fn public_key_pem(&self) -> String {
        crate::timestamp_authority::pem("PUBLIC KEY", self.public_key_spki())
    }

    /// The log's id in trusted roots and signed certificate timestamps: SHA-256 of its key.
    pub fn key_id(&self) -> [u8; 32] {
        self.state.key_id
    }

    /// The newest tree head of this history, as `get-sth` has it. Readers may be shown another's.
    pub fn tree_head(&self) -> Value {
        self.state.tree_head()
    }

    /// How many entries there are.
    pub fn size(&self) -> u64 {
        self.state.inner().branch.size()
    }

    /// The root of this history at a size that it has reached.
    pub fn root(&self, size: u64) -> Option<Hash> {
        self.state.inner().branch.tree().root(size)
    }

    /// An entry's true `MerkleTreeLeaf`.
    pub fn leaf(&self, index: u64) -> Option<Vec<u8>> {
        self.state.inner().branch.leaf(index).map(|leaf| leaf.to_vec())
    }

    /// The consistency proof between two sizes.
    pub fn consistency(&self, old_size: u64, new_size: u64) -> Option<Vec<Hash>> {
        self.state.inner().branch.tree().consistency(old_size, new_size)
    }

    /// Logs a certificate with the chain above it; returns its signed timestamp.
    pub fn add_certificate(&self, certificate: &[u8], chain: &[Vec<u8>]) -> Vec<u8> {
        self.state.add(&Submission::X509 { certificate: certificate.to_vec(), chain: chain.to_vec() }).sct
    }

    /// Adds any leaves, past every check: junk, or what another log would have. Returns their indices.
    pub fn extend(&self, leaves: impl IntoIterator<Item = impl Into<Bytes>>) -> Range<u64> {
        self.state.extend(leaves.into_iter().map(|leaf| (leaf.into(), Bytes::new())))
    }

    /// What can be made to go wrong here.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Closes the listener and every connection.
    pub fn shutdown(&self) {
        self.server.stop();
    }

    pub(crate) fn add(&self, submission: &Submission) -> Added {
        self.state.add(submission)
    }
}

/// What the log answers to a submission.
pub(crate) struct Added {
    pub(crate) timestamp_ms: u64,
    /// The signature within the signed certificate timestamp.
    pub(crate) signature: Vec<u8>,
    /// The signed certificate timestamp.
    pub(crate) sct: Vec<u8>,
    /// `None` where the entry was withheld.
    pub(crate) index: Option<u64>,
}

impl State {
    fn now_ms(&self) -> u64 {
        let offset = self.clock_offset.load(Ordering::Relaxed).saturating_mul(1000);
        u64::try_from(clock::unix_millis().saturating_add(offset)).unwrap_or(0)
    }

    fn add(&self, submission: &Submission) -> Added {
        let timestamp_ms = self.now_ms();
        let leaf = submission.leaf(timestamp_ms);
        let signature = self.secret.sign(&leaf);
        let sct = leaf::timestamp(&self.key_id, timestamp_ms, &signature);
        let index = (!self.withholding.load(Ordering::Relaxed))
            .then(|| self.extend([(leaf.into(), submission.extra_data().into())]).start);
        Added { timestamp_ms, signature, sct, index }
    }

    fn extend(&self, leaves: impl IntoIterator<Item = (Bytes, Bytes)>) -> Range<u64> {
        let mut inner = self.inner();
        let start = inner.branch.size();
        for (leaf, extra) in leaves {
            inner.branch.append(leaf);
            inner.extra.push(extra);
        }
        self.sign_head(&mut inner);
        start..inner.branch.size()
    }

    fn sign_head(&self, inner: &mut Inner) {
        let (size, root, timestamp_ms) = (inner.branch.size(), inner.branch.root(), self.now_ms());
        let message = leaf::tree_head(timestamp_ms, size, &root);
        let signature = self.secret.sign_as(&message, inner.signature);
        inner.head = TreeHead { size, timestamp_ms, root, signature };
    }

    fn tree_head(&self) -> Value {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let mut inner = self.inner();
        let age = Duration::from_millis(self.now_ms().saturating_sub(inner.head.timestamp_ms));
        if age >= self.options.republish {
            self.sign_head(&mut inner);
        }
        json!({
            "tree_size": inner.head.size,
            "timestamp": inner.head.timestamp_ms,
            "sha256_root_hash": STANDARD.encode(inner.head.root.as_bytes()),
            "tree_head_signature": STANDARD.encode(leaf::digitally_signed(&inner.head.signature)),
        })
    }

    /// Whose history readers are shown.
    fn read_side(self: &Arc<Self>) -> Arc<Self> {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.as_ref().map_or_else(|| Arc::clone(self), |log| Arc::clone(&log.state))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SandboxCt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxCt").field("addr", &self.addr).finish_non_exhaustive()
    }
}
