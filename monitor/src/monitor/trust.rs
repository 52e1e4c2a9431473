//! The act of trusting a log: from its first leaf, or from its head today.

use store::{FollowedLog, NewTrust, NoteSeen};
use tlog::{CompactRange, InclusionProof, leaf_hash};

use super::{Monitor, MonitorError};
use crate::config::LogSpec;
use crate::follow::now_ms;
use crate::log::{Fresh, LogReader, ReadError};
use crate::shards::{expand, is_shard_of};
use crate::trust_record::{TrustedLog, lost};

/// Where following begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum From {
    /// At the first leaf.
    Zero,
    /// At the newest head: what is before is not covered.
    Now,
    /// At the first leaf, once more, for rules that have not seen the older ones. The head that is known stays: what is
    /// read again must lead to it.
    Again,
}

/// A position to begin at.
struct Beginning {
    range: CompactRange,
    note: Vec<u8>,
}

impl Monitor {
    /// Trusts a log, or each shard of a Rekor v1 server, from here on: the explicit act that following begins with, and
    /// that a lost state needs. Answers with the logs as they are followed now.
    pub async fn trust(
        &self,
        origin: &str,
        from: From,
        because: &str,
        by: &str,
    ) -> Result<Vec<FollowedLog>, MonitorError> {
        let material = &self.config.material.logs;
        let server = origin.rsplit_once(" - ").map(|(server, _)| server);
        let mut named: Vec<LogSpec> =
            material.iter().filter(|spec| spec.origin == origin || Some(&*spec.origin) == server).cloned().collect();
        if named.is_empty() && is_shard_of(origin, None) {
            // A server whose name is not known before it is asked may have that shard.
            named = material.iter().filter(|spec| spec.is_named_by_url()).cloned().collect();
        }
        let expanded = expand(&self.readers, &named, &[]).await;
        let is_meant = |spec: &&LogSpec| spec.origin == origin || named.iter().any(|it| it.origin == origin);
        let chosen: Vec<&LogSpec> = expanded.logs.iter().filter(is_meant).collect();
        if chosen.is_empty() {
            if let Some((origin, problem)) = expanded.unlisted.into_iter().next() {
                return Err(MonitorError::Unreadable { origin, problem });
            }
            let named = material.iter().map(|spec| spec.origin.clone()).collect();
            return Err(MonitorError::UnknownLog { origin: origin.to_owned(), named });
        }
        let mut trusted = Vec::new();
        for spec in chosen {
            trusted.push(self.trust_one(spec, from, because, by).await?);
        }
        Ok(trusted)
    }

    /// Trusts one log or shard.
    pub(super) async fn trust_one(
        &self,
        spec: &LogSpec,
        from: From,
        because: &str,
        by: &str,
    ) -> Result<FollowedLog, MonitorError> {
        let at = now_ms();
        if from == From::Again {
            self.check_log(&spec.origin).await?;
        }
        let beginning = match from {
            From::Zero | From::Again => Beginning { range: CompactRange::new(), note: Vec::new() },
            From::Now => {
                let reader = self.readers.reader(spec)?;
                self.newest(reader.as_ref(), at).await?
            }
        };
        let trust = NewTrust {
            origin: spec.origin.clone(),
            kind: spec.kind.as_str().to_owned(),
            key_id: spec.key.key_id(),
            public_key: spec.key.spki().to_vec(),
            coverage: spec.coverage.as_str().to_owned(),
            size: beginning.range.size(),
            root: *beginning.range.root().as_bytes(),
            range: beginning.range.to_bytes(),
            note: beginning.note,
            keep_head: from == From::Again,
            because: because.to_owned(),
            by: by.to_owned(),
            at,
        };
        self.store.trust_log(&trust).await?;
        let followed = self.store.followed_log(&spec.origin).await?;
        let followed = followed.ok_or_else(|| unreadable(&spec.origin, "the store did not keep it"))?;
        self.shared.record.record(TrustedLog::of(&followed)).await?;
        if from != From::Again {
            self.end_state_lost(&spec.origin, at).await?;
        }
        tracing::info!(log.origin = %spec.origin, size = trust.size, because, by, "this log is trusted from here on");
        Ok(followed)
    }

    /// What is read again is what was followed, and nothing of it is lost.
    async fn check_log(&self, origin: &str) -> Result<(), MonitorError> {
        let stored = self.store.followed_log(origin).await?;
        if let Some(recorded) = self.shared.record.logs().get(origin)
            && let Some(words) = lost(recorded, stored.as_ref())
        {
            let record = self.config.trust_record.clone();
            return Err(MonitorError::StateLost { origin: origin.to_owned(), words, record });
        }
        match stored {
            Some(_) => Ok(()),
            None => Err(MonitorError::Untrusted { origins: vec![origin.to_owned()] }),
        }
    }

    /// The newest head, with the compact range of its tree: from the inclusion proof of its last leaf.
    async fn newest(&self, reader: &dyn LogReader, at: i64) -> Result<Beginning, MonitorError> {
        let origin = reader.origin().to_owned();
        let failed = |error: ReadError| unreadable(&origin, error);
        let served = reader.head().await.map_err(failed)?;
        let head = reader.open(&served).map_err(|error| unreadable(&origin, error))?;
        let note = head.note().as_bytes().to_vec();
        let size = head.size();
        let range = match size.checked_sub(1) {
            None => CompactRange::new(),
            Some(last) => {
                let batch = reader.leaves(last, size, size, Fresh::Yes).await.map_err(failed)?;
                let leaf = batch.leaf(last).ok_or_else(|| unreadable(&origin, "the last leaf is not there"))?;
                let hashes = reader.inclusion(last, size, Fresh::Yes).await.map_err(failed)?;
                let proof = InclusionProof { index: last, size, hashes };
                CompactRange::from_inclusion(&proof, &leaf_hash(leaf), &head.root())
                    .map_err(|error| unreadable(&origin, format!("the last leaf is not under the root: {error}")))?
            }
        };
        let seen = NoteSeen {
            origin: origin.clone(),
            source: "log".to_owned(),
            note: note.clone(),
            size,
            root: *head.root().as_bytes(),
            seen_at: at,
        };
        self.store.record_note(&seen).await?;
        Ok(Beginning { range, note })
    }

    /// Whoever trusts a log anew has accepted what was lost.
    async fn end_state_lost(&self, origin: &str, at: i64) -> Result<(), MonitorError> {
        for cause in [origin, "", crate::finding::RECORD_CAUSE] {
            let print = crate::finding::fingerprint(store::FindingKind::StateLost, Some(origin), cause);
            self.store.clear_finding(&print, at, &self.shared.sinks).await?;
        }
        Ok(())
    }
}

fn unreadable(origin: &str, problem: impl ToString) -> MonitorError {
    MonitorError::Unreadable { origin: origin.to_owned(), problem: problem.to_string() }
}
