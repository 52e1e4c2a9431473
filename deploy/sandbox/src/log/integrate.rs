//! From entries that wait to entries under a signed checkpoint, one batch at a time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use tlog::{Hash, LogKey, NoteSignature, checkpoint_text, format_note, leaf_hash};
use tokio::sync::{Notify, watch};

use super::tree::Tree;

/// The log itself: what it holds, what it has signed, and what waits.
pub(crate) struct Integrator {
    origin: String,
    signing_key: SigningKey,
    note_hash: [u8; 4],
    inner: Mutex<Inner>,
    arrived: Notify,
    signed_size: watch::Sender<u64>,
}

struct Inner {
    tree: Tree,
    /// Entries in the tree, then those that wait for it.
    entries: Vec<Vec<u8>>,
    checkpoint: String,
    interval: Duration,
    remembered: Remembered,
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

impl Integrator {
    pub(crate) fn new(
        origin: String,
        signing_key: SigningKey,
        key: &LogKey,
        interval: Duration,
        remembered: usize,
    ) -> Self {
        let integrator = Self {
            origin,
            signing_key,
            note_hash: key.note_hash(),
            inner: Mutex::new(Inner {
                tree: Tree::default(),
                entries: Vec::new(),
                checkpoint: String::new(),
                interval,
                remembered: Remembered { capacity: remembered, order: VecDeque::new(), index_of: HashMap::new() },
            }),
            arrived: Notify::new(),
            signed_size: watch::Sender::new(0),
        };
        integrator.inner().checkpoint = integrator.sign(0, &Hash::empty_root());
        integrator
    }

    /// Integrates what arrives, until the task is stopped.
    pub(crate) async fn run(&self) {
        loop {
            self.arrived.notified().await;
            let interval = self.inner().interval;
            tokio::time::sleep(interval).await;
            self.integrate();
        }
    }

    /// Takes an entry and returns when a checkpoint covers it.
    pub(crate) async fn add(&self, body: Vec<u8>) -> Added {
        let leaf = leaf_hash(&body);
        let added = {
            let mut inner = self.inner();
            match inner.remembered.index_of.get(leaf.as_bytes()) {
                Some(&index) => Added { index, duplicate: true },
                None => {
                    let index = inner.entries.len() as u64;
                    inner.entries.push(body);
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

    pub(crate) fn proof(&self, index: u64) -> Option<Proof> {
        let inner = self.inner();
        let size = inner.tree.size();
        Some(Proof {
            size,
            root: inner.tree.root(size)?,
            hashes: inner.tree.inclusion(index, size)?,
            checkpoint: inner.checkpoint.clone(),
        })
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn checkpoint(&self) -> String {
        self.inner().checkpoint.clone()
    }

    pub(crate) fn size(&self) -> u64 {
        self.inner().tree.size()
    }

    /// An entry that a checkpoint covers.
    pub(crate) fn entry(&self, index: u64) -> Option<Vec<u8>> {
        let inner = self.inner();
        if index >= inner.tree.size() {
            return None;
        }
        inner.entries.get(usize::try_from(index).ok()?).cloned()
    }

    pub(crate) fn consistency(&self, old_size: u64, new_size: u64) -> Option<Vec<Hash>> {
        self.inner().tree.consistency(old_size, new_size)
    }

    pub(crate) fn tile(&self, level: usize, index: u64, width: usize) -> Option<Vec<u8>> {
        self.inner().tree.tile(level, index, width)
    }

    /// An entry bundle: each entry after its length in two bytes.
    pub(crate) fn entry_bundle(&self, index: u64, width: usize) -> Option<Vec<u8>> {
        let inner = self.inner();
        let start = usize::try_from(index.checked_mul(256)?).ok()?;
        let end = start.checked_add(width)?;
        if end as u64 > inner.tree.size() {
            return None;
        }
        let mut bytes = Vec::new();
        for entry in inner.entries.get(start..end)? {
            bytes.extend(u16::try_from(entry.len()).ok()?.to_be_bytes());
            bytes.extend(entry);
        }
        Some(bytes)
    }

    pub(crate) fn set_interval(&self, interval: Duration) {
        self.inner().interval = interval;
    }

    pub(crate) fn forget(&self) {
        self.inner().remembered.clear();
    }

    fn integrate(&self) {
        let mut inner = self.inner();
        let inner = &mut *inner;
        let from = usize::try_from(inner.tree.size()).unwrap_or(usize::MAX);
        for entry in inner.entries.iter().skip(from) {
            inner.tree.append(leaf_hash(entry));
        }
        let size = inner.tree.size();
        if let Some(root) = inner.tree.root(size) {
            inner.checkpoint = self.sign(size, &root);
        }
        self.signed_size.send_replace(size);
    }

    /// The checkpoint of this size and root, as a signed note.
    fn sign(&self, size: u64, root: &Hash) -> String {
        let text = checkpoint_text(&self.origin, size, root);
        let signature = self.signing_key.sign(text.as_bytes());
        format_note(
            &text,
            &[NoteSignature {
                name: self.origin.clone(),
                key_hash: self.note_hash,
                signature: signature.to_bytes().to_vec(),
            }],
        )
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
