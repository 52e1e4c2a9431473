//! The ways in which the log can lie. Each is one knob; its doc says what a client then sees.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{Method, StatusCode};
use tlog::Hash;

use super::integrate::Closed;
use super::{Elsewhere, LogOptions, SandboxLog};
use crate::SandboxError;
use crate::clock;
use crate::faults::Fault;
use crate::lies::{HeadLies, LeafLies};
use crate::signing::HeadSignature;
use crate::witness::SandboxWitness;

impl SandboxLog {
    /// Another log with this one's name, key and entries so far, on an address of its own, without its witnesses and
    /// lies. A client of both sees nothing amiss until both have grown: then a split view, with two signed notes that
    /// contradict each other.
    pub async fn fork(&self) -> Result<Self, SandboxError> {
        self.fork_at(u64::MAX).await
    }

    /// A fork that has only the first `size` entries.
    pub async fn fork_at(&self, size: u64) -> Result<Self, SandboxError> {
        let (branch, _) = self.state.integrator.snapshot();
        let options = LogOptions { port: 0, journal: None, ..self.state.options.clone() };
        let fork = Self::start_with(options, branch.first(size), None).await?;
        fork.set_frozen(self.is_frozen());
        if let Some(closed) = self.state.integrator.closed() {
            fork.state.integrator.close(closed);
        }
        Ok(fork)
    }

    /// Readers at this address are shown the other log's checkpoints and tiles; writers still write here. With a
    /// fork that a client
    /// - sees at its own size with another root: a fork, at once;
    /// - sees larger, and not a continuation: inconsistent growth;
    /// - sees smaller: a rollback, if it lasts;
    /// - sees for ever at the size that it knows: a frozen log, which goes stale.
    pub fn read_from(&self, other: &Self) {
        self.state.elsewhere().reads = Some(other.clone());
    }

    /// Entries written at this address go into the other log and are answered with its proofs; readers still read
    /// here. With a fork a writer gets a valid proof under a validly signed checkpoint of a shadow tree; a reader
    /// never finds the entry: it is withheld.
    pub fn write_to(&self, other: &Self) {
        self.state.elsewhere().writes = Some(other.clone());
    }

    /// Readers are shown the first `size` entries, as of a log that was restored from a backup. A client that knows a
    /// larger size sees a rollback, if it lasts; tiles beyond the size are not there. Returns the fork that is shown.
    pub async fn roll_back(&self, size: u64) -> Result<Self, SandboxError> {
        let fork = self.fork_at(size).await?;
        self.read_from(&fork);
        Ok(fork)
    }

    /// Readers are shown this size and another root: the last entry is another one. A client that knows the true head
    /// sees a fork at once. Returns the fork that is shown; `None` is for an empty log, which cannot be forked.
    pub async fn fork_last(&self, instead: impl Into<Bytes>) -> Result<Option<Self>, SandboxError> {
        let Some(size) = self.size().checked_sub(1) else { return Ok(None) };
        let fork = self.fork_at(size).await?;
        fork.extend([instead]);
        self.read_from(&fork);
        Ok(Some(fork))
    }

    /// Readers are shown the log as it is now, for ever, while writes go on. A client sees a log that does not grow,
    /// whose cosignatures age, and that does not have what was written. Returns the fork that is shown.
    pub async fn freeze_view(&self) -> Result<Self, SandboxError> {
        let fork = self.fork().await?;
        self.read_from(&fork);
        Ok(fork)
    }

    /// Writes are answered from a shadow tree from now on, and none is integrated. A writer gets what looks right; a
    /// client that follows the log sees an entry that is withheld. Returns the fork that holds the shadow tree.
    pub async fn withhold_writes(&self) -> Result<Self, SandboxError> {
        let fork = self.fork().await?;
        self.write_to(&fork);
        Ok(fork)
    }

    /// Entry bundles hold these bytes in the place of a leaf; tiles, checkpoint and proofs stay. A client that hashes
    /// the entries sees a leaf that is not committed; one that only checks consistency sees nothing.
    pub fn swap_leaf(&self, index: u64, body: impl Into<Bytes>) {
        self.state.integrator.lie_about_leaves(|lies| lies.swap(index, body.into()));
    }

    /// Entry bundles lack a leaf, and the ones after it move up. A client sees a bundle that is one entry short.
    pub fn omit_leaf(&self, index: u64) {
        self.state.integrator.lie_about_leaves(|lies| lies.omit(index));
    }

    /// Tiles of level 0 hold this hash in the place of a leaf's. With the hash of what [`Self::swap_leaf`] shows, a
    /// client sees entries and their tile agree, and neither under the checkpoint.
    pub fn swap_leaf_hash(&self, index: u64, hash: Hash) {
        self.state.integrator.lie_about_leaves(|lies| lies.swap_hash(index, hash));
    }

    /// What is at this path, `tile/entries/000` for one, is not found. A client sees a leaf or a tile that is missing
    /// inside the signed size. Other paths that contain this one are not found either.
    pub fn lose_file(&self, path: &str) {
        let fault = Fault::Refuse { status: StatusCode::NOT_FOUND, retry_after: None };
        self.faults().plan(Method::GET, path, fault, u32::MAX);
    }

    /// Checkpoints name another log in their first line and are signed by this one's key. A client sees a wrong
    /// origin.
    pub fn set_origin(&self, origin: Option<&str>) {
        self.state.integrator.lie_about_head(|lies| lies.origin = origin.map(str::to_owned));
    }

    /// How checkpoints are signed. A client sees a bad signature, or none by the key that it knows.
    pub fn set_signature(&self, signature: HeadSignature) {
        self.state.integrator.lie_about_head(|lies| lies.signature = signature);
    }

    /// Readers are shown this note as the checkpoint, whatever the log holds: an old one, another log's, or one that
    /// [`Self::sign_checkpoint`] has made up.
    pub fn serve_checkpoint(&self, note: Option<String>) {
        self.state.integrator.lie_about_head(|lies| lies.verbatim = note);
    }

    /// A checkpoint of this size and root, validly signed, which nothing else knows of.
    pub fn sign_checkpoint(&self, size: u64, root: &Hash) -> String {
        self.state.integrator.sign(size, root)
    }

    /// Closes the shard as its operator does: writes are refused for good, and checkpoints carry the line
    /// `Log frozen — <date>`. [`Self::append`] and [`Self::extend`] still work: a client then sees a frozen shard
    /// that grows.
    pub fn close(&self) {
        self.set_frozen(true);
        let line = format!("Log frozen — {}", clock::unix_date());
        // The second that has begun is still the shard's.
        self.state.integrator.close(Closed { at: clock::unix_seconds() + 1, line });
    }

    /// Whether the shard has been closed.
    pub fn is_closed(&self) -> bool {
        self.closed_at().is_some()
    }

    /// When the shard was closed, in seconds since 1970.
    pub fn closed_at(&self) -> Option<i64> {
        self.state.integrator.closed().map(|closed| closed.at)
    }

    /// Who is asked to cosign each checkpoint from now on. Those who do not answer, or find it inconsistent with what
    /// they saw, are left out, as a log that fails open does: a client sees a quorum that is lost.
    pub fn set_witnesses(&self, witnesses: &[SandboxWitness]) {
        for witness in witnesses {
            witness.know(self.origin(), self.key());
        }
        self.state.integrator.set_witnesses(witnesses.to_vec());
    }

    /// Signs the newest head again, and asks the witnesses again.
    pub fn republish(&self) {
        self.state.integrator.republish();
    }

    /// Lifts every lie: readers read this history, writers write it, leaves and checkpoints are true and planned
    /// faults are forgotten. A shard that was closed, or that refuses writes, still does, and witnesses stay.
    pub fn be_honest(&self) {
        *self.state.elsewhere() = Elsewhere::default();
        self.state.integrator.lie_about_leaves(|lies| *lies = LeafLies::default());
        self.state.integrator.lie_about_head(|lies| *lies = HeadLies::default());
        self.faults().clear();
    }

    /// Whether writes are refused.
    pub fn is_frozen(&self) -> bool {
        self.state.frozen.load(Ordering::Relaxed)
    }
}
