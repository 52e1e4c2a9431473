//! From entries that wait to entries under a signed checkpoint, one batch at a time.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tlog::{Hash, LogKey, checkpoint_text, leaf_hash};
use tokio::sync::{Notify, watch};

use super::LogOptions;
use super::journal::Journal;
use crate::branch::Branch;
use crate::lies::{HeadLies, LeafLies};
use crate::signing::{HeadSignature, NoteSigner};
use crate::witness::SandboxWitness;

/// The log itself: what it holds, what it has signed, and what waits.
pub(crate) struct Integrator {
    origin: String,
    signer: NoteSigner,
    republish: Duration,
    inner: Mutex<Inner>,
    arrived: Notify,
    signed_size: watch::Sender<u64>,
}

struct Inner {
    branch: Branch,
    waiting: Vec<Bytes>,
    checkpoint: String,
    interval: Duration,
    remembered: Remembered,
    witnesses: Vec<SandboxWitness>,
    head: HeadLies,
    lies: LeafLies,
    closed: Option<Closed>,
    journal: Option<Journal>,
    /// The journal was given back: no head may be signed any more that another process does not know of.
    released: bool,
}

/// Between two attempts to write a batch that could not be kept.
const KEEP_AGAIN: Duration = Duration::from_secs(1);

/// What a closed shard says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    /// In seconds since 1970.
    pub(crate) at: i64,
    /// The line below the root of its checkpoints.
    pub(crate) line: String,
}

/// The newest entries, so that the same again is recognised; an old one is forgotten for each new one.
struct Remembered {
    capacity: usize,
    order: VecDeque<Hash>,
    index_of: HashMap<[u8; 32], u64>,
}

impl Remembered {
    fn insert(&mut self, leaf: Hash, index: u64) {
        self.index_of.insert(*leaf.as_bytes(), index);
        self.order.push_back(leaf);
        while self.order.len() > self.capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.index_of.remove(oldest.as_bytes());
            }
        }
    }

    fn clear(&mut self) {
        self.order.clear();
        self.index_of.clear();
    }
}

/// An entry under a checkpoint.
pub(crate) struct Added {
    pub(crate) index: u64,
    /// The entry was there before, and is remembered.
    pub(crate) duplicate: bool,
}

/// The proof that an entry is under the newest checkpoint.
pub(crate) struct Proof {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) hashes: Vec<Hash>,
    pub(crate) checkpoint: String,
}

impl Inner {
    fn next_index(&self) -> u64 {
        self.branch.size() + self.waiting.len() as u64
    }
}

impl Integrator {
    pub(crate) fn new(options: &LogOptions, signer: NoteSigner, branch: Branch, journal: Option<Journal>) -> Self {
        let size = branch.size();
        let integrator = Self {
            origin: options.origin.clone(),
            signer,
            republish: options.republish,
            inner: Mutex::new(Inner {
                branch,
                waiting: Vec::new(),
                checkpoint: String::new(),
                interval: options.interval,
                remembered: Remembered {
                    capacity: options.remembered,
                    order: VecDeque::new(),
                    index_of: HashMap::new(),
                },
                witnesses: Vec::new(),
                head: HeadLies::default(),
                lies: LeafLies::default(),
                closed: None,
                journal,
                released: false,
            }),
            arrived: Notify::new(),
            signed_size: watch::Sender::new(size),
        };
        integrator.republish();
        integrator
    }

    /// Integrates what arrives, until the task is stopped.
    pub(crate) async fn run(&self) {
        loop {
            tokio::select! {
                () = self.arrived.notified() => {
                    let interval = self.inner().interval;
                    tokio::time::sleep(interval).await;
                    while let Err(error) = self.integrate() {
                        tracing::error!(%error, "entries cannot be written to the journal; trying again");
                        tokio::time::sleep(KEEP_AGAIN).await;
                    }
                }
                () = tokio::time::sleep(self.republish) => self.republish(),
            }
        }
    }

    /// Takes an entry and returns when a checkpoint covers it.
    pub(crate) async fn add(&self, body: Bytes) -> Added {
        let leaf = leaf_hash(&body);
        let added = {
            let mut inner = self.inner();
            match inner.remembered.index_of.get(leaf.as_bytes()) {
                Some(&index) => Added { index, duplicate: true },
                None => {
                    let index = inner.next_index();
                    inner.waiting.push(body);
                    inner.remembered.insert(leaf, index);
                    Added { index, duplicate: false }
                }
            }
        };
        self.arrived.notify_one();
        // The sender lives as long as this, so waiting cannot fail.
        let _ = self.signed_size.subscribe().wait_for(|size| *size > added.index).await;
        added
    }

    /// Takes entries, the same ones again too, and integrates them and all that waits at once.
    pub(crate) fn extend(&self, bodies: impl IntoIterator<Item = Bytes>) -> Range<u64> {
        let range = {
            let mut inner = self.inner();
            let start = inner.next_index();
            inner.waiting.extend(bodies);
            start..inner.next_index()
        };
        if let Err(error) = self.integrate() {
            tracing::error!(%error, "entries cannot be written to the journal; trying again");
            self.arrived.notify_one();
        }
        range
    }

    pub(crate) fn proof(&self, index: u64) -> Option<Proof> {
        let inner = self.inner();
        let size = inner.branch.size();
        Some(Proof {
            size,
            root: inner.branch.root(),
            hashes: inner.branch.tree().inclusion(index, size)?,
            checkpoint: inner.checkpoint.clone(),
        })
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn key(&self) -> &LogKey {
        self.signer.key()
    }

    pub(crate) fn checkpoint(&self) -> String {
        self.inner().checkpoint.clone()
    }

    pub(crate) fn size(&self) -> u64 {
        self.inner().branch.size()
    }

    pub(crate) fn root(&self, size: u64) -> Option<Hash> {
        self.inner().branch.tree().root(size)
    }

    /// What the newest checkpoint covers, and that checkpoint.
    pub(crate) fn snapshot(&self) -> (Branch, String) {
        let inner = self.inner();
        (inner.branch.clone(), inner.checkpoint.clone())
    }

    /// An entry that a checkpoint covers.
    pub(crate) fn entry(&self, index: u64) -> Option<Bytes> {
        self.inner().branch.leaf(index).cloned()
    }

    pub(crate) fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        self.inner().branch.tree().inclusion(index, size)
    }

    pub(crate) fn consistency(&self, old_size: u64, new_size: u64) -> Option<Vec<Hash>> {
        self.inner().branch.tree().consistency(old_size, new_size)
    }

    pub(crate) fn tile(&self, level: usize, index: u64, width: usize) -> Option<Vec<u8>> {
        let inner = self.inner();
        inner.branch.tile(level, index, width, &inner.lies)
    }

    pub(crate) fn entry_bundle(&self, index: u64, width: usize) -> Option<Vec<u8>> {
        let inner = self.inner();
        inner.branch.entry_bundle(index, width, &inner.lies)
    }

    pub(crate) fn set_interval(&self, interval: Duration) {
        self.inner().interval = interval;
    }

    pub(crate) fn forget(&self) {
        self.inner().remembered.clear();
    }

    /// Changes the lies about leaves.
    pub(crate) fn lie_about_leaves(&self, change: impl FnOnce(&mut LeafLies)) {
        change(&mut self.inner().lies);
    }

    /// Changes the lies about the checkpoint, and signs it anew.
    pub(crate) fn lie_about_head(&self, change: impl FnOnce(&mut HeadLies)) {
        change(&mut self.inner().head);
        self.republish();
    }

    pub(crate) fn set_witnesses(&self, witnesses: Vec<SandboxWitness>) {
        self.inner().witnesses = witnesses;
        self.republish();
    }

    /// Puts a line below the root of every checkpoint from now on.
    pub(crate) fn close(&self, closed: Closed) {
        self.inner().closed = Some(closed);
        self.republish();
    }

    pub(crate) fn closed(&self) -> Option<Closed> {
        self.inner().closed.clone()
    }

    /// Signs the same head again, and has it cosigned again.
    pub(crate) fn republish(&self) {
        let mut inner = self.inner();
        inner.checkpoint = self.signed(&inner);
    }

    /// A checkpoint of any size and root, signed as a good one is.
    pub(crate) fn sign(&self, size: u64, root: &Hash) -> String {
        self.signer.note(&checkpoint_text(&self.origin, size, root), HeadSignature::Good)
    }

    /// Gives the journal back, where there is one: another log may continue it, this one integrates nothing more.
    pub(crate) fn release(&self) {
        let mut inner = self.inner();
        inner.released = inner.journal.take().is_some() || inner.released;
    }

    /// Takes what waits into the tree and signs the head; an entry is in the journal before a head covers it.
    fn integrate(&self) -> std::io::Result<()> {
        let mut guard = self.inner();
        let inner = &mut *guard;
        if inner.released {
            return Err(std::io::Error::other("the log was shut down"));
        }
        if let Some(journal) = &mut inner.journal {
            journal.append(&inner.waiting)?;
        }
        let waiting = std::mem::take(&mut inner.waiting);
        for leaf in waiting {
            inner.branch.append(leaf);
        }
        inner.checkpoint = self.signed(inner);
        self.signed_size.send_replace(inner.branch.size());
        Ok(())
    }

    /// The newest checkpoint with the cosignatures of those who are willing.
    fn signed(&self, inner: &Inner) -> String {
        if let Some(note) = &inner.head.verbatim {
            return note.clone();
        }
        let origin = inner.head.origin.as_deref().unwrap_or(&self.origin);
        let size = inner.branch.size();
        let mut text = checkpoint_text(origin, size, &inner.branch.root());
        if let Some(Closed { line, .. }) = &inner.closed {
            text.push_str(line);
            text.push('\n');
        }
        let mut note = self.signer.note(&text, inner.head.signature);
        for witness in &inner.witnesses {
            if let Some(line) = witness.asked(&note, |old| inner.branch.tree().consistency(old, size)) {
                note.push_str(&line);
            }
        }
        note
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
