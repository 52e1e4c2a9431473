//! One log entry: what its log promised and proved about it.
use super::VerifyError;
use crate::entry::{EntryError, kind_version};
use crate::log_entry::{EntryProof, LogEntry};
use crate::trust_root::{TrustRoot, TrustedLog};
use tlog::{Checkpoint, InclusionProof, LogKey};

/// Whether a log that the trust root names has taken in the entry's body: by its signed entry timestamp, by an inclusion
/// proof that leads to a checkpoint of its, and by both where both are there. Rekor v2 gives proofs only.
///
/// What the body says is not looked at: see [`crate::entry::NewEntry::matches`]. Only a signed entry timestamp vouches
/// for the entry's time.
pub fn verify_entry(entry: &LogEntry, trust: &TrustRoot) -> Result<(), VerifyError> {
    let log = trust.log_at(&entry.log_id, entry.integrated_time).ok_or(VerifyError::UnknownLog(entry.log_id))?;
    verify_entry_of(entry, log)
}

pub(super) fn verify_entry_of(entry: &LogEntry, log: &TrustedLog) -> Result<(), VerifyError> {
    let (kind, version) = kind_version(&entry.body).ok_or(EntryError::Field("kind"))?;
    if (&kind, &version) != (&entry.kind, &entry.version) {
        return Err(VerifyError::KindVersion {
            claimed: shortened(&entry.kind, &entry.version),
            body: shortened(&kind, &version),
        });
    }
    if entry.set.is_none() && entry.proof.is_none() {
        return Err(VerifyError::Missing("inclusion proof and no signed entry timestamp"));
    }
    if let Some(set) = &entry.set {
        let time = entry.integrated_time.ok_or(VerifyError::Missing("integrated time"))?;
        tlog::verify_set(&log.key, &entry.body, time, &entry.log_id, entry.log_index, set)?;
    }
    if let Some(proof) = &entry.proof {
        verify_proof(entry, proof, &log.key)?;
    }
    if entry.is_rekor_v2() {
        let proof = entry.proof.as_ref().ok_or(VerifyError::Missing("inclusion proof"))?;
        if proof.log_index != entry.log_index {
            return Err(VerifyError::Index { claimed: entry.log_index, proved: proof.log_index });
        }
    }
    match entry.integrated_time {
        Some(at) if !log.valid_for.contains(at) => {
            Err(VerifyError::LogOutsideValidity { base_url: log.base_url.clone(), at })
        }
        _ => Ok(()),
    }
}

fn verify_proof(entry: &LogEntry, proof: &EntryProof, key: &LogKey) -> Result<(), VerifyError> {
    if proof.checkpoint.is_empty() {
        return Err(VerifyError::Missing("checkpoint"));
    }
    let checkpoint = Checkpoint::open(&proof.checkpoint, key)?;
    if checkpoint.size() != proof.size || checkpoint.root() != proof.root {
        return Err(VerifyError::TreeHead);
    }
    let inclusion = InclusionProof { index: proof.log_index, size: proof.size, hashes: proof.hashes.clone() };
    // Against the signed root, not against the one that the entry claims.
    inclusion.verify(&entry.leaf_hash(), &checkpoint.root())?;
    Ok(())
}

/// Repeats no more of an outsider's text than a line can hold.
fn shortened(kind: &str, version: &str) -> String {
    [kind, " ", version].iter().flat_map(|part| part.chars()).take(100).collect()
}
