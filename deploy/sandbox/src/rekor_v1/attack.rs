//! The ways in which the log can lie. Each is one knob; its doc says what a client then sees.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde_json::{Value, json};
use tlog::Hash;

use super::{Elsewhere, RekorV1Options, SandboxRekorV1, Shard, entry_id, random_tree_id};
use crate::SandboxError;
use crate::lies::{HeadLies, LeafLies};
use crate::signing::HeadSignature;

impl SandboxRekorV1 {
    /// Another log with this one's name, key, shards and entries so far, on an address of its own, without its lies.
    pub async fn fork(&self) -> Result<Self, SandboxError> {
        self.fork_at(u64::MAX).await
    }

    /// A fork whose active shard has only its first `size` entries.
    pub async fn fork_at(&self, size: u64) -> Result<Self, SandboxError> {
        let mut shards = self.state.inner().shards.clone();
        if let Some(active) = shards.last_mut() {
            *active = active.first(size);
        }
        let options = RekorV1Options { port: 0, ..self.state.options.clone() };
        Self::start_with(options, shards).await
    }

    /// A fork whose active shard has another tree id. A client that meets one of its checkpoints or proofs sees an
    /// unknown tree under the log's key: a split view.
    pub async fn fork_as(&self, tree_id: u64) -> Result<Self, SandboxError> {
        let fork = self.fork().await?;
        fork.state.inner().active_mut().tree_id = tree_id;
        Ok(fork)
    }

    /// Readers at this address are shown the other log; writers still write here. With a fork a client sees a fork
    /// (same size, other root), inconsistent growth (larger), or a rollback (smaller, if it lasts).
    pub fn read_from(&self, other: &Self) {
        self.state.elsewhere().reads = Some(other.clone());
    }

    /// Entries written at this address go into the other log and are answered with its proof and SET; readers still
    /// read here. With a fork a writer gets what looks right, and a reader finds another entry, or none, at its index.
    pub fn write_to(&self, other: &Self) {
        self.state.elsewhere().writes = Some(other.clone());
    }

    /// Readers are shown the first `size` entries of the active shard. A client that knows more sees a rollback, if it
    /// lasts. Returns the fork that is shown.
    pub async fn roll_back(&self, size: u64) -> Result<Self, SandboxError> {
        let fork = self.fork_at(size).await?;
        self.read_from(&fork);
        Ok(fork)
    }

    /// Readers are shown the active shard's size with another root: its last entry is another one. A client that knows
    /// the true head sees a fork at once. Returns the fork that is shown; `None` is for an empty shard.
    pub async fn fork_last(&self, instead: impl Into<Bytes>) -> Result<Option<Self>, SandboxError> {
        let Some(size) = self.state.inner().active().branch.size().checked_sub(1) else { return Ok(None) };
        let fork = self.fork_at(size).await?;
        fork.extend([instead]);
        self.read_from(&fork);
        Ok(Some(fork))
    }

    /// Readers are shown the log as it is now, for ever. A client sees a log that does not grow and does not have what
    /// was written. Returns the fork that is shown.
    pub async fn freeze_view(&self) -> Result<Self, SandboxError> {
        let fork = self.fork().await?;
        self.read_from(&fork);
        Ok(fork)
    }

    /// Writes are answered from a shadow tree, with proof and SET, and none is integrated. Returns the fork that holds
    /// the shadow tree.
    pub async fn withhold_writes(&self) -> Result<Self, SandboxError> {
        let fork = self.fork().await?;
        self.write_to(&fork);
        Ok(fork)
    }

    /// Whether writes are answered with a SET alone and never integrated. A writer gets a promise; a client that
    /// follows the log finds another entry, or none, at the promised index.
    pub fn set_promise_only(&self, promise_only: bool) {
        self.state.promise_only.store(promise_only, Ordering::Relaxed);
    }

    /// A valid SET for a body that is not in the log, at any index: what [`Self::entry_json`] has, without a proof. A
    /// client that meets it sees a promise that the log does not keep.
    pub fn promise(&self, body: &[u8], index: u64) -> Value {
        let entry = self.state.promise(body, self.state.now(), index);
        json!({ (entry_id(self.tree_id(), body)): entry })
    }

    /// Answers have these bytes in the place of an entry, by its index over all shards, under the id and with the SET
    /// that go with them; proofs and checkpoints stay. A client that hashes entries sees a leaf that is not committed.
    pub fn swap_leaf(&self, index: u64, body: impl Into<Bytes>) {
        self.state.inner().leaves.swap(index, body.into());
    }

    /// An entry is not found, by its index over all shards, and is left out where several are asked for. A client sees
    /// a leaf that is missing inside the signed size.
    pub fn omit_leaf(&self, index: u64) {
        self.state.inner().leaves.omit(index);
    }

    /// Closes the active shard and opens a new one. `tail` are entries that come into the old one at that very
    /// moment: a client that looks only at the newest shard skips them. Returns the new tree id.
    pub fn rotate(&self, tail: impl IntoIterator<Item = impl Into<Bytes>>) -> Result<u64, SandboxError> {
        let tree_id = random_tree_id()?;
        let now = self.state.now();
        let mut inner = self.state.inner();
        for body in tail {
            inner.active_mut().append(body.into(), now);
        }
        inner.shards.push(Shard::new(tree_id));
        Ok(tree_id)
    }

    /// An entry comes into a shard that was closed, and moves the indices of all later ones. A client sees a frozen
    /// shard that grows. Returns whether there is such a shard.
    pub fn grow_shard(&self, tree_id: u64, body: impl Into<Bytes>) -> bool {
        let now = self.state.now();
        let mut inner = self.state.inner();
        let shard = inner.shards.iter_mut().find(|shard| shard.tree_id == tree_id);
        shard.map(|shard| shard.append(body.into(), now)).is_some()
    }

    /// A closed shard is no longer named by the log. A client sees a shard disappear.
    pub fn hide_shard(&self, tree_id: u64) {
        self.state.inner().hidden.push(tree_id);
    }

    /// The list of shards is this one; nobody has signed it. A client sees shards that are not there, or whose heads are
    /// not signed, or that are called active or inactive as the list likes.
    pub fn list_shards(&self, answer: Option<Value>) {
        self.state.inner().listed = answer;
    }

    /// Checkpoints name another log in their first line and are signed by this one's key. A client sees a wrong
    /// origin.
    pub fn set_origin(&self, origin: Option<&str>) {
        self.state.inner().head.origin = origin.map(str::to_owned);
    }

    /// How checkpoints are signed. A client sees a bad signature, or none by the key that it knows.
    pub fn set_signature(&self, signature: HeadSignature) {
        self.state.inner().head.signature = signature;
    }

    /// Readers are shown this note as the checkpoint of every shard, beside the true size and root.
    pub fn serve_checkpoint(&self, note: Option<String>) {
        self.state.inner().head.verbatim = note;
    }

    /// A checkpoint of the active shard's name with this size and root, validly signed, which nothing else knows of.
    pub fn sign_checkpoint(&self, size: u64, root: &Hash) -> String {
        let text = tlog::checkpoint_text(&self.origin(), size, root);
        self.state.signer.note(&text, HeadSignature::Good)
    }

    /// Sets the log's clock wrong by this many seconds. A client sees entries that came in in the future, or long ago.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.state.clock_offset.store(seconds, Ordering::Relaxed);
    }

    /// Lifts every lie, and forgets planned faults. Shards and clock stay as they are.
    pub fn be_honest(&self) {
        *self.state.elsewhere() = Elsewhere::default();
        self.set_promise_only(false);
        self.faults().clear();
        let mut inner = self.state.inner();
        inner.leaves = LeafLies::default();
        inner.head = HeadLies::default();
        inner.hidden.clear();
        inner.listed = None;
    }
}
