//! A transparency log that behaves as Rekor v1 does: shards under one name and key, entries by index, a signed entry
//! timestamp (SET) for each. Entries are integrated at once.

mod attack;
mod entry;
mod routes;
mod shard;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tlog::{Hash, LogKey, leaf_hash};

use crate::faults::{Fault, Faults};
use crate::lies::{HeadLies, LeafLies};
use crate::serve::Server;
use crate::signing::{NoteSigner, SecretKey};
use crate::{SandboxError, clock, random_seed};

use shard::Shard;

/// How a log is to start.
#[derive(Clone, Debug)]
pub struct RekorV1Options {
    /// The loopback port; 0 takes any that is free.
    pub port: u16,
    /// The log's name: its checkpoints are of `<hostname> - <tree id>`.
    pub hostname: String,
    /// The ECDSA P-256 key, for a log that starts again as itself; a new key where absent.
    pub seed: Option<[u8; 32]>,
    /// The first shard's tree id; a random one where absent.
    pub tree_id: Option<u64>,
}

impl Default for RekorV1Options {
    fn default() -> Self {
        Self { port: 0, hostname: "rekor1.sandbox.local".to_owned(), seed: None, tree_id: None }
    }
}

/// A running log; a clone is another handle on the same one, which ends with the last.
#[derive(Clone)]
pub struct SandboxRekorV1 {
    addr: SocketAddr,
    url: String,
    state: Arc<State>,
    server: Arc<Server>,
    faults: Arc<Faults>,
}

/// What every request sees.
struct State {
    options: RekorV1Options,
    signer: NoteSigner,
    promise_only: AtomicBool,
    clock_offset: AtomicI64,
    inner: Mutex<Inner>,
    elsewhere: Mutex<Elsewhere>,
}

struct Inner {
    /// The last is the active one.
    shards: Vec<Shard>,
    /// By the index over all shards.
    leaves: LeafLies,
    head: HeadLies,
    /// Shards that `/api/v1/log` does not name.
    hidden: Vec<u64>,
    /// What `/api/v1/log` answers instead of the truth.
    listed: Option<Value>,
}

/// Other histories that stand in for this one.
#[derive(Default)]
struct Elsewhere {
    reads: Option<SandboxRekorV1>,
    writes: Option<SandboxRekorV1>,
}

const ENTRIES_PATH: &str = "/api/v1/log/entries";

impl SandboxRekorV1 {
    /// Starts an empty log with one shard.
    pub async fn start(options: RekorV1Options) -> Result<Self, SandboxError> {
        let tree_id = match options.tree_id {
            Some(tree_id) => tree_id,
            None => random_tree_id()?,
        };
        Self::start_with(options, vec![Shard::new(tree_id)]).await
    }

    async fn start_with(options: RekorV1Options, shards: Vec<Shard>) -> Result<Self, SandboxError> {
        let seed = match options.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        let port = options.port;
        let state = Arc::new(State {
            signer: NoteSigner::new(SecretKey::p256(&seed)?, &options.hostname)?,
            options: RekorV1Options { seed: Some(seed), ..options },
            promise_only: AtomicBool::new(false),
            clock_offset: AtomicI64::new(0),
            inner: Mutex::new(Inner {
                shards,
                leaves: LeafLies::default(),
                head: HeadLies::default(),
                hidden: Vec::new(),
                listed: None,
            }),
            elsewhere: Mutex::default(),
        });
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

    /// Below which `api/v1/…` is, for reading and for writing.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The log's name.
    pub fn hostname(&self) -> &str {
        &self.state.options.hostname
    }

    /// The name of the active shard: the first line of its checkpoints.
    pub fn origin(&self) -> String {
        self.state.origin(self.tree_id())
    }

    /// The active shard's tree id.
    pub fn tree_id(&self) -> u64 {
        self.state.inner().active().tree_id
    }

    /// The log's public key, which all shards share.
    pub fn key(&self) -> &LogKey {
        self.state.signer.key()
    }

    /// The log's public key, as DER.
    pub fn public_key_spki(&self) -> &[u8] {
        self.key().spki()
    }

    /// The log's public key, as PEM.
    pub fn public_key_pem(&self) -> String {
        crate::timestamp_authority::pem("PUBLIC KEY", self.public_key_spki())
    }

    /// The log's id in bundles and trusted roots: SHA-256 of its key.
    pub fn key_id(&self) -> [u8; 32] {
        self.key().key_id()
    }

    /// The newest checkpoint of the active shard of this history. Readers may be shown another's.
    pub fn checkpoint(&self) -> String {
        let inner = self.state.inner();
        self.state.checkpoint(&inner, inner.active())
    }

    /// How many entries there are, in all shards.
    pub fn size(&self) -> u64 {
        self.state.inner().size()
    }

    /// Tree id and size of each shard, the active one last.
    pub fn shards(&self) -> Vec<(u64, u64)> {
        self.state.inner().shards.iter().map(|shard| (shard.tree_id, shard.branch.size())).collect()
    }

    /// An entry's true bytes, by its index over all shards.
    pub fn entry(&self, index: u64) -> Option<Vec<u8>> {
        let inner = self.state.inner();
        let (shard, local) = inner.find(index)?;
        shard.branch.leaf(local).map(|leaf| leaf.to_vec())
    }

    /// An entry as the API answers it: an object with the one member that its id names.
    pub fn entry_json(&self, index: u64) -> Option<Value> {
        let inner = self.state.inner();
        self.state.entry(&inner, index)
    }

    /// The consistency proof between two sizes of a shard.
    pub fn consistency(&self, tree_id: u64, old_size: u64, new_size: u64) -> Option<Vec<Hash>> {
        self.state.inner().shard(tree_id)?.branch.tree().consistency(old_size, new_size)
    }

    /// Adds any leaves to the active shard, past every check, equal ones too. Returns their indices over all shards.
    pub fn extend(&self, bodies: impl IntoIterator<Item = impl Into<Bytes>>) -> Range<u64> {
        let now = self.state.now();
        let mut inner = self.state.inner();
        let start = inner.size();
        for body in bodies {
            inner.active_mut().append(body.into(), now);
        }
        start..inner.size()
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

    /// Closes the listener and every connection.
    pub fn shutdown(&self) {
        self.server.stop();
    }
}

impl Inner {
    fn active(&self) -> &Shard {
        // Unwrap safety: a log starts with a shard and loses none.
        self.shards.last().expect("a log has a shard")
    }

    fn active_mut(&mut self) -> &mut Shard {
        // Unwrap safety: as above.
        self.shards.last_mut().expect("a log has a shard")
    }

    fn shard(&self, tree_id: u64) -> Option<&Shard> {
        self.shards.iter().find(|shard| shard.tree_id == tree_id)
    }

    fn size(&self) -> u64 {
        self.shards.iter().map(|shard| shard.branch.size()).sum()
    }

    /// The shard of an entry, and the entry's place in it.
    fn find(&self, index: u64) -> Option<(&Shard, u64)> {
        let mut local = index;
        for shard in &self.shards {
            match local.checked_sub(shard.branch.size()) {
                Some(rest) => local = rest,
                None => return Some((shard, local)),
            }
        }
        None
    }

    /// The index over all shards of the leaf with this hash, in the shard of this id if one is named.
    fn find_hash(&self, tree_id: Option<u64>, hash: &Hash) -> Option<u64> {
        let mut before = 0;
        for shard in &self.shards {
            let here = tree_id.is_none_or(|wanted| wanted == shard.tree_id);
            if let Some(local) = here.then(|| shard.branch.find(hash)).flatten() {
                return Some(before + local);
            }
            before += shard.branch.size();
        }
        None
    }
}

impl State {
    fn origin(&self, tree_id: u64) -> String {
        format!("{} - {tree_id}", self.options.hostname)
    }

    fn now(&self) -> i64 {
        clock::unix_seconds().saturating_add(self.clock_offset.load(Ordering::Relaxed))
    }

    fn checkpoint(&self, inner: &Inner, shard: &Shard) -> String {
        if let Some(note) = &inner.head.verbatim {
            return note.clone();
        }
        let origin = inner.head.origin.clone().unwrap_or_else(|| self.origin(shard.tree_id));
        let text = tlog::checkpoint_text(&origin, shard.branch.size(), &shard.branch.root());
        self.signer.note(&text, inner.head.signature)
    }

    /// An entry with its SET and its proof under the newest checkpoint of its shard.
    fn entry(&self, inner: &Inner, index: u64) -> Option<Value> {
        let (shard, local) = inner.find(index)?;
        let body = inner.leaves.leaf(index, shard.branch.leaf(local)?)?;
        let size = shard.branch.size();
        let hashes = shard.branch.tree().inclusion(local, size)?;
        let mut entry = self.promise(body, shard.time(local), index);
        entry["verification"]["inclusionProof"] = json!({
            "checkpoint": self.checkpoint(inner, shard),
            "hashes": hashes.iter().map(Hash::to_string).collect::<Vec<_>>(),
            "logIndex": local,
            "rootHash": shard.branch.root().to_string(),
            "treeSize": size,
        });
        Some(json!({ (entry_id(shard.tree_id, body)): entry }))
    }

    /// An entry with its SET alone.
    fn promise(&self, body: &[u8], time: i64, index: u64) -> Value {
        let (body, log_id) = (STANDARD.encode(body), hex::encode(self.signer.key().key_id()));
        // SPEC: the SET is over canonical JSON (RFC 8785); none of these strings needs an escape.
        let signed = format!(r#"{{"body":"{body}","integratedTime":{time},"logID":"{log_id}","logIndex":{index}}}"#);
        let set = STANDARD.encode(self.signer.secret().sign(signed.as_bytes()));
        json!({
            "body": body,
            "integratedTime": time,
            "logID": log_id,
            "logIndex": index,
            "verification": { "signedEntryTimestamp": set },
        })
    }

    /// Whose history readers are shown.
    fn read_side(self: &Arc<Self>) -> Arc<Self> {
        self.elsewhere().reads.as_ref().map_or_else(|| Arc::clone(self), |log| Arc::clone(&log.state))
    }

    /// Which history entries go into.
    fn write_side(self: &Arc<Self>) -> Arc<Self> {
        self.elsewhere().writes.as_ref().map_or_else(|| Arc::clone(self), |log| Arc::clone(&log.state))
    }

    fn elsewhere(&self) -> MutexGuard<'_, Elsewhere> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tree's id in 16 digits, then the leaf's hash.
fn entry_id(tree_id: u64, body: &[u8]) -> String {
    format!("{tree_id:016x}{}", leaf_hash(body))
}

/// Trillian's ids are positive in 64 bits with a sign.
fn random_tree_id() -> Result<u64, SandboxError> {
    let [a, b, c, d, e, f, g, h, ..] = random_seed()?;
    Ok(u64::from_be_bytes([a & 0x7f, b, c, d, e, f, g, h]))
}

impl fmt::Debug for SandboxRekorV1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxRekorV1")
            .field("addr", &self.addr)
            .field("origin", &self.origin())
            .finish_non_exhaustive()
    }
}
