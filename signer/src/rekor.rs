//! Port to a transparency log's write side, and what every writer checks before it believes an answer.

mod error;
mod exchange;
mod tiles;
pub mod v1;
pub mod v2;

#[cfg(test)]
pub(crate) mod tests;

use bundle::entry::NewEntry;
use bundle::log_entry::LogEntry;
use tlog::Checkpoint;

pub use error::{LogError, Untrusted};
pub use tlog::LogKey;

/// Writes to one log. The log is not trusted: an entry that comes back has been verified with the pinned key, so a
/// lying log, or anybody between us and it, changes whether we get an entry and never what we believe of it.
#[async_trait::async_trait]
pub trait LogWriter: Send + Sync {
    /// The log's origin: its name in checkpoints and in the configuration.
    fn origin(&self) -> &str;

    /// The key that its checkpoints and promises are believed under.
    fn key(&self) -> &LogKey;

    /// Which interface it speaks: 1 or 2.
    fn version(&self) -> u32;

    /// Has the log take in an entry, or finds the one that it already has.
    ///
    /// Safe to repeat: a log that remembers the entry answers with the same one; one that forgot takes it again under
    /// another index, and both are ours. What returns is exactly about this signature, digest and key.
    async fn write(&self, entry: &NewEntry) -> Result<LogEntry, LogError>;
}

/// Verifies the inclusion proof and the checkpoint that it leads to, with one log's key and no other.
fn verify_proof(entry: &LogEntry, key: &LogKey) -> Result<(), Untrusted> {
    let proof = entry.proof.as_ref().ok_or(Untrusted::ProofMissing)?;
    let checkpoint = Checkpoint::open(&proof.checkpoint, key)?;
    if checkpoint.size() != proof.size || checkpoint.root() != proof.root {
        return Err(Untrusted::OtherTree);
    }
    tlog::InclusionProof { index: proof.log_index, size: proof.size, hashes: proof.hashes.clone() }
        .verify(&entry.leaf_hash(), &checkpoint.root())?;
    Ok(())
}
