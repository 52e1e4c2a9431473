//! RFC 6962 signed tree heads: as the JSON of `get-sth`, and as static-ct logs put them on a note's signature line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::hash::Hash;
use crate::key::{LogKey, SignatureError};

/// The type byte of an `RFC6962NoteSignature` in a note's key id (c2sp.org/static-ct-api).
const NOTE_TYPE_STATIC_CT: u8 = 0x05;
/// RFC 6962 2.1.4: `SignatureType tree_hash`.
const TREE_HASH: u8 = 1;
/// A tree head has a few hundred bytes.
const MAX_JSON_BYTES: usize = 64 * 1024;

/// A tree head as a log serves it. Nothing in it is verified before [`SignedTreeHead::verify`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedTreeHead {
    /// Number of leaves.
    pub size: u64,
    /// When it was signed, in Unix milliseconds.
    pub timestamp_ms: i64,
    /// Root of the tree.
    pub root: Hash,
    /// TLS `digitally-signed`: two bytes of algorithms, two of length, the signature.
    pub signature: Vec<u8>,
}

/// Why bytes are not a signed tree head.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TreeHeadError {
    /// Longer than any tree head.
    #[error("the tree head is longer than {MAX_JSON_BYTES} bytes")]
    TooLong,
    /// Not JSON with the four members of `get-sth`.
    #[error("a tree head is JSON with tree_size, timestamp, sha256_root_hash and tree_head_signature")]
    Json,
    /// The time does not fit.
    #[error("the tree head's timestamp is out of range")]
    BadTimestamp,
    /// The root is not the base64 of 32 bytes.
    #[error("the tree head's root is not the base64 of 32 bytes")]
    BadRoot,
    /// The signature is not base64.
    #[error("the tree head's signature is not base64")]
    BadSignatureText,
    /// Size zero with a root that is not the empty tree's.
    #[error("the tree head has no leaves, yet its root is {0}")]
    BadEmptyRoot(Hash),
}

#[derive(Deserialize, Serialize)]
struct Sth {
    tree_size: u64,
    timestamp: u64,
    sha256_root_hash: String,
    tree_head_signature: String,
}

/// Reads the JSON of `get-sth`. To have it verified, open it as a [`crate::Checkpoint`].
pub fn parse_sth(json: &[u8]) -> Result<SignedTreeHead, TreeHeadError> {
    if json.len() > MAX_JSON_BYTES {
        return Err(TreeHeadError::TooLong);
    }
    let sth: Sth = serde_json::from_slice(json).map_err(|_| TreeHeadError::Json)?;
    let timestamp_ms = i64::try_from(sth.timestamp).map_err(|_| TreeHeadError::BadTimestamp)?;
    let root = STANDARD.decode(sth.sha256_root_hash).ok().and_then(|bytes| Hash::from_slice(&bytes));
    let root = root.ok_or(TreeHeadError::BadRoot)?;
    if sth.tree_size == 0 && root != Hash::empty_root() {
        return Err(TreeHeadError::BadEmptyRoot(root));
    }
    let signature = STANDARD.decode(sth.tree_head_signature).map_err(|_| TreeHeadError::BadSignatureText)?;
    Ok(SignedTreeHead { size: sth.tree_size, timestamp_ms, root, signature })
}

impl SignedTreeHead {
    /// Whether the log's key has signed it.
    pub fn verify(&self, key: &LogKey) -> Result<(), SignatureError> {
        let message = tree_head_message(self.timestamp_ms, self.size, &self.root);
        key.verify_digitally_signed(&message, &self.signature)
    }

    /// The JSON of `get-sth`. For log writers.
    pub fn to_json(&self) -> String {
        let sth = Sth {
            tree_size: self.size,
            timestamp: self.timestamp_ms.unsigned_abs(),
            sha256_root_hash: STANDARD.encode(self.root.as_bytes()),
            tree_head_signature: STANDARD.encode(&self.signature),
        };
        // Numbers and strings are always JSON.
        serde_json::to_string(&sth).unwrap_or_default()
    }
}

/// RFC 6962 3.5: what a log signs about its tree. `timestamp_ms` is in Unix milliseconds.
pub fn tree_head_message(timestamp_ms: i64, size: u64, root: &Hash) -> Vec<u8> {
    let version = 0;
    let mut message = vec![version, TREE_HASH];
    message.extend_from_slice(&timestamp_ms.to_be_bytes());
    message.extend_from_slice(&size.to_be_bytes());
    message.extend_from_slice(root.as_bytes());
    message
}

/// The hash before a static-ct log's signature on a note: over its name and its RFC 6962 log id.
pub fn static_ct_key_hash(name: &str, key: &LogKey) -> [u8; 4] {
    let log_id = Sha256::digest(key.spki());
    let id =
        Sha256::new().chain_update(name).chain_update([b'\n', NOTE_TYPE_STATIC_CT]).chain_update(log_id).finalize();
    let [a, b, c, d, ..]: [u8; 32] = id.into();
    [a, b, c, d]
}

/// Verifies an `RFC6962NoteSignature`. Answers with the signed time in Unix milliseconds.
pub(crate) fn verify_note_signature(
    key: &LogKey,
    size: u64,
    root: &Hash,
    signature: &[u8],
) -> Result<i64, SignatureError> {
    let (time, signature) = signature.split_first_chunk().ok_or(SignatureError::Malformed)?;
    let timestamp_ms = i64::try_from(u64::from_be_bytes(*time)).map_err(|_| SignatureError::Malformed)?;
    key.verify_digitally_signed(&tree_head_message(timestamp_ms, size, root), signature)?;
    Ok(timestamp_ms)
}
