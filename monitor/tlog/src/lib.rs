//! What a transparency log is: RFC 6962 hashes, proofs, compact ranges, tree heads and leaves, signed notes,
//! checkpoints, cosignatures and witness policies, log keys, signed entry timestamps and C2SP tiles.
//!
//! In scope: deciding, from bytes and a pinned key, what a log has signed and what follows from it.
//!
//! Out of scope: fetching anything (`monitor` and `signer` do), remembering anything (`store` does), what an
//! entry says (`bundle` does), and clocks. Everything here is a pure function of its arguments and accepts
//! arbitrary bytes without a panic.

mod checkpoint;
mod compact_range;
mod cosignature;
pub mod ct;
mod hash;
mod key;
mod note;
mod older;
mod policy;
mod proof;
mod set;
mod subtree;
pub mod tile;
pub mod tree;
mod tree_head;

pub use checkpoint::{Checkpoint, CheckpointError, HeadFormat, checkpoint_text};
pub use compact_range::{CompactRange, CompactRangeError};
pub use cosignature::{CosignatureError, WitnessKey, cosign};
pub use hash::{Hash, ParseHashError, leaf_hash, leaf_hashes, node_hash, subtree_root};
pub use key::{KeyError, LogKey, SignatureError, digitally_signed_ecdsa};
pub use note::{NoteError, NoteSignature, SignedNote, format_note};
pub use older::older_inclusion_proof;
pub use policy::{PolicyError, PolicyFault, Quorum, WitnessPolicy};
pub use proof::{InclusionProof, NodeProof, ProofError, verify_consistency};
pub use set::{SetError, set_payload, verify_set};
pub use tree_head::{SignedTreeHead, TreeHeadError, parse_sth, static_ct_key_hash, tree_head_message};
