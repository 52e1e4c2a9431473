//! The record of which logs were trusted, and how far they were verified, outside of the database (I10): a file with
//! one JSON object per line and log.
//!
//! It is what an empty or restored database is compared with. Written whole, to a file beside it that is synced and
//! renamed, under a lock, and merged with what another process wrote meanwhile.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use store::FollowedLog;
use tlog::Hash;

/// What is recorded of a log.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedLog {
    /// Its origin.
    pub origin: String,
    /// The id of its key, in hex.
    pub key_id: String,
    /// The size from which on it was trusted.
    pub trusted_size: u64,
    /// The root there, in hex.
    pub trusted_root: String,
    /// When, in unix milliseconds.
    pub trusted_at: i64,
    /// The largest size up to which every leaf was verified.
    pub verified_size: u64,
    /// The root there, in hex.
    pub verified_root: String,
    /// The size of the largest consistent head.
    pub head_size: u64,
    /// Its root, in hex.
    pub head_root: String,
}

/// Why the record cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustRecordError {
    /// The file cannot be read or written.
    #[error("the trust record {path}: could not {doing}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// A line is not one of ours.
    #[error(
        "the trust record {path}, line {line}: {source}; restore the file from a backup, or move it away and trust each log again with `sealwatch logs trust`"
    )]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from one.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// The record. Clones share it.
#[derive(Clone, Debug)]
pub struct TrustRecord {
    path: Arc<Path>,
    known: Arc<Mutex<BTreeMap<String, TrustedLog>>>,
}

impl TrustedLog {
    /// A log as the store has it now.
    pub fn of(log: &FollowedLog) -> Self {
        let verified_root = Hash::new(log.verified_root).to_string();
        let (head_size, head_root) = match &log.head {
            Some(head) => (head.size, Hash::new(head.root).to_string()),
            None => (log.verified_size, verified_root.clone()),
        };
        Self {
            origin: log.origin.clone(),
            key_id: hex::encode(log.key_id),
            trusted_size: log.first_size,
            trusted_root: if log.first_size == log.verified_size { verified_root.clone() } else { String::new() },
            trusted_at: log.trusted_at,
            verified_size: log.verified_size,
            verified_root,
            head_size,
            head_root,
        }
    }

    /// The later of two records of one log: by the act of trust, then by how far each got.
    fn merged(self, other: Self) -> Self {
        if self.trusted_at != other.trusted_at {
            return if self.trusted_at > other.trusted_at { self } else { other };
        }
        let (mut ahead, behind) = if self.verified_size >= other.verified_size { (self, other) } else { (other, self) };
        if behind.head_size > ahead.head_size {
            (ahead.head_size, ahead.head_root) = (behind.head_size, behind.head_root);
        }
        if ahead.trusted_root.is_empty() {
            ahead.trusted_root = behind.trusted_root;
        }
        ahead
    }
}

/// What the database has lost of a log, against the record: a whole sentence. Pure.
pub fn lost(recorded: &TrustedLog, stored: Option<&FollowedLog>) -> Option<String> {
    let TrustedLog { origin, verified_size, verified_root, head_size, head_root, .. } = recorded;
    let Some(stored) = stored else {
        return Some(format!(
            "The trust record says that the log {origin} was verified up to {verified_size} leaves; the database does \
             not know this log."
        ));
    };
    let stored_head =
        stored.head.as_ref().map_or((stored.verified_size, stored.verified_root), |it| (it.size, it.root));
    let positions = [
        ("verified", *verified_size, verified_root, (stored.verified_size, stored.verified_root)),
        ("known to have", *head_size, head_root, stored_head),
    ];
    positions.into_iter().find_map(|(what, size, root, (stored_size, stored_root))| {
        let stored_root = Hash::new(stored_root).to_string();
        if stored_size < size {
            return Some(format!(
                "The trust record says that the log {origin} was {what} {size} leaves; the database says {stored_size}: \
                 what was found between them may be missing too."
            ));
        }
        (stored_size == size && stored_root != *root).then(|| {
            format!(
                "The trust record says that the log {origin} was {what} {size} leaves with root {root}; the database has \
                 root {stored_root} there."
            )
        })
    })
}

impl TrustRecord {
    /// Opens the record; a file that is not there is an empty one.
    pub fn open(path: &Path) -> Result<Self, TrustRecordError> {
        let known = read(path)?;
        Ok(Self { path: path.into(), known: Arc::new(Mutex::new(known)) })
    }

    /// What is recorded, by origin.
    pub fn logs(&self) -> BTreeMap<String, TrustedLog> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes in what another process has recorded since: an act of trust above all.
    pub(crate) fn reread(&self) -> Result<(), TrustRecordError> {
        let newer = read(&self.path)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (origin, log) in newer {
            let merged = match known.remove(&origin) {
                Some(before) => before.merged(log),
                None => log,
            };
            known.insert(origin, merged);
        }
        Ok(())
    }

    /// Whether this would change anything.
    fn is_news(&self, log: &TrustedLog) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&log.origin).is_none_or(|known| known.clone().merged(log.clone()) != *known)
    }

    /// Records an act of trust, or how far a log got. Nothing that is recorded goes back but by a later act of trust.
    pub async fn record(&self, log: TrustedLog) -> Result<(), TrustRecordError> {
        if !self.is_news(&log) {
            return Ok(());
        }
        let record = self.clone();
        let write = tokio::task::spawn_blocking(move || record.write(log));
        write.await.unwrap_or_else(|error| {
            Err(TrustRecordError::File {
                path: self.path.to_path_buf(),
                doing: "write it",
                source: std::io::Error::other(error),
            })
        })
    }

    fn write(&self, log: TrustedLog) -> Result<(), TrustRecordError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |doing: &'static str| {
            move |source: std::io::Error| TrustRecordError::File { path: self.path.to_path_buf(), doing, source }
        };
        let lock = File::create(beside(&self.path, ".lock")).map_err(failed("make its lock file"))?;
        lock.lock().map_err(failed("lock it"))?;
        let mut merged = read(&self.path)?;
        for log in known.values().cloned().chain([log]) {
            let merged_log = match merged.remove(&log.origin) {
                Some(other) => other.merged(log),
                None => log,
            };
            merged.insert(merged_log.origin.clone(), merged_log);
        }
        let mut lines = Vec::new();
        for log in merged.values() {
            serde_json::to_writer(&mut lines, log).map_err(|error| failed("write it")(error.into()))?;
            lines.push(b'\n');
        }
        let draft = beside(&self.path, ".new");
        let mut file = File::create(&draft).map_err(failed("write beside it"))?;
        file.write_all(&lines).map_err(failed("write beside it"))?;
        file.sync_all().map_err(failed("write beside it"))?;
        fs::rename(&draft, &self.path).map_err(failed("replace it"))?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync its folder"))?;
        *known = merged;
        Ok(())
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn read(path: &Path) -> Result<BTreeMap<String, TrustedLog>, TrustRecordError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => return Err(TrustRecordError::File { path: path.to_owned(), doing: "read it", source }),
    };
    let mut logs = BTreeMap::new();
    for (line, text) in (1..).zip(text.lines()) {
        let log: TrustedLog = serde_json::from_str(text).map_err(|source| TrustRecordError::Line {
            path: path.to_owned(),
            line,
            source,
        })?;
        logs.insert(log.origin.clone(), log);
    }
    Ok(logs)
}

#[cfg(test)]
mod tests;
