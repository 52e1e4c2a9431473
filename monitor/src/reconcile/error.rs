//! Why log and ledger could not be compared. None of it is a finding.

use store::StoreError;

use crate::log::ReadError;

/// Why log and ledger could not be compared now. Nothing is lost by it: what is due stays due.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The store could not be asked, or did not take what was told.
    #[error("could not compare with the ledger: {0}")]
    Store(#[from] StoreError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}
