//! What a transparency log is: RFC 6962 hashes, proofs, compact ranges, signed notes, checkpoints, log keys,
//! signed entry timestamps and C2SP tiles.
//!
//! In scope: deciding, from bytes and a pinned key, what a log has signed and what follows from it.
//!
//! Out of scope: fetching anything (`monitor` and `signer` do), remembering anything (`store` does), what an
//! entry says (`bundle` does), and clocks. Everything here is a pure function of its arguments and accepts
//! arbitrary bytes without a panic.

mod checkpoint;
mod compact_range;
mod hash;
mod key;
mod note;
mod proof;
mod set;
mod subtree;
pub mod tile;
pub mod tree;

pub use checkpoint::{Checkpoint, CheckpointError, checkpoint_text};
pub use compact_range::{CompactRange, CompactRangeError};
pub use hash::{Hash, ParseHashError, leaf_hash, node_hash};
pub use key::{KeyError, LogKey, SignatureError};
pub use note::{NoteError, NoteSignature, SignedNote, format_note};
pub use proof::{InclusionProof, ProofError, verify_consistency};
pub use set::{SetError, set_payload, verify_set};
