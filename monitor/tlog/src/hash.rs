//! RFC 6962 hashes: a leaf, an interior node, the empty tree.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use sha2::{Digest as _, Sha256};

/// RFC 6962 2.1: what is hashed before a leaf, and before two nodes.
const LEAF: u8 = 0x00;
const NODE: u8 = 0x01;

/// A SHA-256 hash in a log's Merkle tree: of a leaf, of an interior node or of the root.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Hash([u8; 32]);

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a hash is written as 64 hexadecimal digits")]
pub struct ParseHashError;

impl Hash {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Names 32 bytes as a hash.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// `None` unless there are exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Root of the tree without leaves: SHA-256 of nothing.
    pub fn empty_root() -> Self {
        Self(Sha256::digest([]).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        let mut bytes = [0; Self::LEN];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseHashError)?;
        Ok(Self(bytes))
    }
}

/// Hash of a leaf. The prefix byte keeps leaves and nodes apart, so that no leaf can pose as a node.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    if has_sha_instructions() { leaf_by_sha2(leaf) } else { leaf_by_aws_lc(leaf) }
}

/// Hash of an interior node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [NODE; 1 + 2 * Hash::LEN];
    bytes[1..=Hash::LEN].copy_from_slice(&left.0);
    bytes[1 + Hash::LEN..].copy_from_slice(&right.0);
    if has_sha_instructions() { Hash(Sha256::digest(bytes).into()) } else { node_by_aws_lc(&bytes) }
}

/// With them, the `sha2` crate is the faster one, because it has no context to set up; without them, aws-lc-rs is.
/// The README has figures. The standard library caches the answer.
fn has_sha_instructions() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("sha");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

fn leaf_by_sha2(leaf: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([LEAF]).chain_update(leaf).finalize().into())
}

fn leaf_by_aws_lc(leaf: &[u8]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[LEAF]);
    context.update(leaf);
    of_digest(&context.finish())
}

fn node_by_aws_lc(bytes: &[u8]) -> Hash {
    of_digest(&digest::digest(&digest::SHA256, bytes))
}

fn of_digest(digest: &digest::Digest) -> Hash {
    let mut bytes = [0; Hash::LEN];
    // A SHA-256 digest has 32 bytes.
    bytes.copy_from_slice(digest.as_ref());
    Hash(bytes)
}

/// Hashes leaves, and appends the hashes to `out`.
pub fn leaf_hashes<'a>(leaves: impl Iterator<Item = &'a [u8]>, out: &mut Vec<Hash>) {
    out.extend(leaves.map(leaf_hash));
}

/// Root over leaf hashes, or over the roots of equal perfect subtrees; computed in place, so that of `hashes` nothing
/// useful is left.
pub fn subtree_root(hashes: &mut [Hash]) -> Hash {
    let mut count = hashes.len();
    if count == 0 {
        return Hash::empty_root();
    }
    while count > 1 {
        for pair in 0..count / 2 {
            hashes[pair] = node_hash(&hashes[2 * pair], &hashes[2 * pair + 1]);
        }
        // A node without a sibling is passed up as it is.
        if count % 2 == 1 {
            hashes[count / 2] = hashes[count - 1];
        }
        count = count.div_ceil(2);
    }
    hashes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_root_is_the_published_one() {
        assert_eq!(Hash::empty_root().to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    // Values of RFC 6962 test suites: the empty leaf, and a node over two strings hashed as they are.
    #[test]
    fn leaves_and_nodes_are_hashed_apart() {
        assert_eq!(leaf_hash(b"").to_string(), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(
            leaf_hash(b"L123456").to_string(),
            "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
        );
        let (left, right) = (leaf_hash(b"a"), leaf_hash(b"b"));
        let joined = [left.as_bytes().as_slice(), right.as_bytes()].concat();
        assert_ne!(node_hash(&left, &right), leaf_hash(&joined));
        assert_ne!(node_hash(&left, &right), node_hash(&right, &left));
    }

    // Which of the two is used depends on the processor.
    #[test]
    fn both_implementations_hash_alike() {
        let bytes: Vec<u8> = (0..300u16).map(|n| n as u8).collect();
        for length in 0..bytes.len() {
            let leaf = &bytes[..length];
            assert_eq!(leaf_by_sha2(leaf), leaf_by_aws_lc(leaf), "{length}");
            assert_eq!(leaf_hash(leaf), leaf_by_sha2(leaf), "{length}");
        }
        let (left, right) = (leaf_hash(b"a"), leaf_hash(b"b"));
        let joined = [&[1], left.as_bytes().as_slice(), right.as_bytes()].concat();
        assert_eq!(node_hash(&left, &right), node_by_aws_lc(&joined));
    }

    #[test]
    fn a_root_is_computed_in_place_at_every_count() {
        let leaves: Vec<Hash> = (0..70u8).map(|n| leaf_hash(&[n])).collect();
        for count in 0..leaves.len() {
            assert_eq!(subtree_root(&mut leaves[..count].to_vec()), crate::tree::root(&leaves[..count]), "{count}");
        }
    }

    #[test]
    fn a_hash_reads_what_it_writes_and_nothing_else() {
        let hash = leaf_hash(b"x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(Hash::from_slice(hash.as_bytes()), Some(hash));
        assert_eq!(Hash::from_slice(&[0; 31]), None);
        assert_eq!(Hash::from_slice(&[0; 33]), None);
        for bad in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)] {
            assert_eq!(bad.parse::<Hash>(), Err(ParseHashError), "{bad}");
        }
    }
}
