//! A store, a ledger, and logs of the sandbox to compare them with.

use std::sync::Arc;
use std::time::Duration;

use bundle::{Format, TrustRoot};
use sandbox::{LogOptions, SandboxLog, SandboxRekorV1};
use store::{
    Advance, Intent, JobClass, NewTrust, NoteSeen, RecordedEntry, RecordedSignature, Severity, Sink, Store,
    VerifiedPosition,
};
use tlog::{CompactRange, LogKey};
use url::Url;

use super::leaves::{Key, sha256};
use crate::config::{Limits, LogKind, LogSpec};
use crate::finding::LogDescription;
use crate::inclusion::FollowedTree;
use crate::log::Readers;
use crate::reconcile::{Judged, LedgerSide, LedgerTiming};

/// The present, in unix milliseconds.
pub(crate) const NOW: i64 = 1_790_000_000_000;
/// The grace period, in milliseconds.
pub(crate) const GRACE: i64 = 30_000;
/// The deadline of entries, in milliseconds.
pub(crate) const DEADLINE: i64 = 900_000;
/// How long a tree may be unknown, in milliseconds.
pub(crate) const UNKNOWN: i64 = 150_000;

pub(crate) struct Ground {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) side: LedgerSide,
    pub(crate) key: Key,
}

impl Ground {
    pub(crate) async fn new() -> Self {
        let store = store::open("sqlite::memory:").await.unwrap();
        Self { side: side(&store), store, key: Key::new() }
    }

    /// The monitor after a restart.
    pub(crate) fn restart(&mut self) {
        self.side = side(&self.store);
    }

    /// A signature of ours, in the ledger.
    pub(crate) async fn signed(&self, number: u64, message: &[u8], at: i64) -> Vec<u8> {
        let signature = self.key.sign(message);
        self.record(number, message, &signature, at).await;
        signature
    }

    pub(crate) async fn record(&self, number: u64, message: &[u8], signature: &[u8], at: i64) -> i64 {
        self.record_payload(number, message, message, signature, at).await
    }

    /// A row that says that it was intended at a time, as whoever can write the ledger writes it.
    pub(crate) async fn record_payload(
        &self,
        number: u64,
        payload: &[u8],
        message: &[u8],
        signature: &[u8],
        at: i64,
    ) -> i64 {
        let row = self.intended(number, at).await;
        self.sign_row(row, payload, message, signature, at).await;
        row
    }

    /// A row without a signature.
    pub(crate) async fn intended(&self, number: u64, at: i64) -> i64 {
        let intent = Intent {
            image: super::scene::image(&number.to_be_bytes()),
            identity_name: "release".to_owned(),
            identity: self.key.public().fingerprint(),
            public_key_spki: self.key.spki(),
            format: Format::Bundle,
            log_origin: "log.example.com".to_owned(),
            trust_zone: "prod".to_owned(),
            class: JobClass::Push,
            at,
        };
        self.store.intend(&intent).await.unwrap().id
    }

    pub(crate) async fn sign_row(&self, row: i64, payload: &[u8], message: &[u8], signature: &[u8], at: i64) {
        let recorded = RecordedSignature {
            payload: payload.to_vec(),
            signed_digest: sha256(message).to_vec(),
            signature: signature.to_vec(),
            at,
        };
        self.store.record_signature(row, &recorded).await.unwrap();
    }

    /// The log's answer, in the ledger.
    pub(crate) async fn record_entry(&self, row: i64, origin: &str, entry: &bundle::LogEntry, at: i64) {
        let recorded = RecordedEntry {
            log_origin: origin.to_owned(),
            log_index: entry.log_index,
            leaf_hash: *entry.leaf_hash().as_bytes(),
            entry_json: entry.to_json(),
            at,
        };
        self.store.record_entry(row, &recorded).await.unwrap();
    }

    pub(crate) async fn log(&self, origin: &str) -> SandboxLog {
        let options =
            LogOptions { origin: origin.to_owned(), interval: Duration::from_millis(1), ..LogOptions::default() };
        SandboxLog::start(options).await.unwrap()
    }

    /// The log's tree as it is now.
    pub(crate) async fn tree(&self, log: &SandboxLog) -> FollowedTree {
        self.tree_at(log, NOW).await
    }

    /// The log's tree, looked at at a time.
    pub(crate) async fn tree_at(&self, log: &SandboxLog, looked_at: i64) -> FollowedTree {
        let spec = spec(log.origin(), LogKind::RekorV2, log.read_url(), log.key());
        tree(&Readers::new(Limits::default()), &spec, looked_at).await
    }

    /// The trees of a Rekor v1 log's shards, the active one last.
    pub(crate) async fn v1_trees(&self, log: &SandboxRekorV1, looked_at: i64) -> Vec<FollowedTree> {
        let readers = Readers::new(Limits::default());
        let server = spec(log.hostname(), LogKind::RekorV1, log.url(), log.key());
        let mut trees = Vec::new();
        for shard in readers.shards(&server).await.unwrap().unwrap() {
            trees.push(tree(&readers, &LogSpec { origin: shard.origin, ..server.clone() }, looked_at).await);
        }
        trees
    }

    /// A head that was seen at a time.
    pub(crate) async fn note(&self, tree: &FollowedTree, at: i64) {
        let note = NoteSeen {
            origin: tree.log.origin.clone(),
            source: "log".to_owned(),
            note: tree.head.note().as_bytes().to_vec(),
            size: tree.head.size(),
            root: *tree.head.root().as_bytes(),
            seen_at: at,
        };
        self.store.record_note(&note).await.unwrap();
    }

    /// The log is followed from zero.
    pub(crate) async fn trust(&self, tree: &FollowedTree) {
        let trust = NewTrust {
            origin: tree.log.origin.clone(),
            kind: tree.log.kind.as_str().to_owned(),
            key_id: tree.reader.key().key_id(),
            public_key: tree.log.public_key.clone(),
            coverage: "exhaustive".to_owned(),
            size: 0,
            root: *CompactRange::new().root().as_bytes(),
            range: CompactRange::new().to_bytes(),
            note: Vec::new(),
            keep_head: false,
            because: "test".to_owned(),
            by: "test".to_owned(),
            at: 0,
        };
        self.store.trust_log(&trust).await.unwrap();
    }

    /// Writes what leaves came to, as a step along the log does.
    pub(crate) async fn advance(&self, tree: &FollowedTree, judged: &Judged, at: i64) {
        self.trust(tree).await;
        let lease = self.store.lease_log(&tree.log.origin, "test", 60_000).await.unwrap().unwrap();
        let step = Advance {
            verified: Some(VerifiedPosition {
                size: tree.head.size(),
                root: *tree.head.root().as_bytes(),
                range: Vec::new(),
            }),
            suspects: judged.suspects.clone(),
            sightings: judged.sightings.clone(),
            observed: judged.observed.clone(),
            counted: judged.counted.clone(),
            at,
            ..Advance::default()
        };
        assert!(self.store.advance(&lease, &step).await.unwrap());
        self.store.release_log(lease).await.unwrap();
    }
}

fn spec(origin: &str, kind: LogKind, url: &str, key: &LogKey) -> LogSpec {
    LogSpec::new(origin, kind, Url::parse(url).unwrap(), key.clone())
}

async fn tree(readers: &Readers, spec: &LogSpec, looked_at: i64) -> FollowedTree {
    let reader = readers.reader(spec).unwrap();
    let raw = reader.head().await.unwrap();
    let head = reader.open(&raw).unwrap();
    FollowedTree { log: LogDescription::new(spec.origin.clone(), spec.kind, &spec.key), reader, head, looked_at }
}

fn side(store: &Arc<dyn Store>) -> LedgerSide {
    let millis = |millis: i64| Duration::from_millis(millis.unsigned_abs());
    let timing = LedgerTiming {
        grace: millis(GRACE),
        inclusion_deadline: millis(DEADLINE),
        unknown_tree_after: millis(UNKNOWN),
        recheck_every: Duration::from_secs(10),
    };
    let sinks = vec![Sink { name: "pager".to_owned(), min_severity: Severity::Critical }];
    LedgerSide::new(Arc::clone(store), Arc::new(TrustRoot::empty()), timing, sinks)
}
