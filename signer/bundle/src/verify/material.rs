//! What both formats carry beside a signature: its log entries and timestamps.
use super::log::verify_entry_of;
use super::{Requirements, Verified, VerifyError};
use crate::entry::NewEntry;
use crate::log_entry::LogEntry;
use crate::sigstore_bundle::{MAX_ENTRIES, MAX_TIMESTAMPS};
use crate::timestamp;
use crate::trust_root::{TrustRoot, TrustedLog};

/// The caller has verified the signature itself.
///
/// Entries of logs that we do not trust do not count and do no harm; an entry that claims to be of a trusted log must
/// verify and must be about this very signature. A log's period is held against its signed time, and where it signs none
/// (Rekor v2) against the timestamps; without either there is no time to hold it against.
pub(super) fn verify_material(
    signed: &NewEntry,
    entries: &[LogEntry],
    timestamps: &[Vec<u8>],
    trust: &TrustRoot,
    requirements: &Requirements,
) -> Result<Verified, VerifyError> {
    at_most("log entries", entries.len(), MAX_ENTRIES)?;
    at_most("timestamps", timestamps.len(), MAX_TIMESTAMPS)?;

    let mut verified =
        Verified { timestamps: verify_timestamps(signed, timestamps, trust, requirements)?, ..Verified::default() };
    for (position, entry) in entries.iter().enumerate() {
        let same = |other: &LogEntry| other.log_id == entry.log_id && other.log_index == entry.log_index;
        if entries[..position].iter().any(same) {
            return Err(VerifyError::Duplicate("log entry"));
        }
        let Some(log) = trust.log_at(&entry.log_id, entry.integrated_time) else {
            continue;
        };
        verify_entry_of(entry, log)?;
        signed.matches(&entry.body)?;
        expect_period(log, entry, &verified.timestamps)?;
        if entry.set.is_some() && verified.integrated_time.is_none() {
            verified.integrated_time = entry.integrated_time;
        }
        verified.entries.push((entry.log_id, entry.log_index));
    }
    if requirements.log && verified.entries.is_empty() {
        return Err(VerifyError::NotLogged);
    }
    Ok(verified)
}

/// One good timestamp is enough: a signature may carry those of authorities that only others trust.
fn verify_timestamps(
    signed: &NewEntry,
    timestamps: &[Vec<u8>],
    trust: &TrustRoot,
    requirements: &Requirements,
) -> Result<Vec<i64>, VerifyError> {
    let mut times = Vec::new();
    let mut failure = VerifyError::NotTimestamped;
    for (position, response) in timestamps.iter().enumerate() {
        if timestamps[..position].contains(response) {
            return Err(VerifyError::Duplicate("timestamp"));
        }
        match timestamp::verify(response, &signed.signature, trust) {
            Ok(time) => times.push(time),
            Err(error) => failure = error.into(),
        }
    }
    if requirements.timestamp && times.is_empty() {
        return Err(failure);
    }
    Ok(times)
}

fn expect_period(log: &TrustedLog, entry: &LogEntry, times: &[i64]) -> Result<(), VerifyError> {
    match times {
        [first, ..] if entry.set.is_none() && !times.iter().any(|at| log.valid_for.contains(*at)) => {
            Err(VerifyError::LogOutsideValidity { base_url: log.base_url.clone(), at: *first })
        }
        _ => Ok(()),
    }
}

fn at_most(what: &'static str, count: usize, limit: usize) -> Result<(), VerifyError> {
    if count > limit {
        return Err(VerifyError::TooMany { what, count, limit });
    }
    Ok(())
}
