//! Leaves of certificate logs (RFC 6962 3.4): what CT logs serve, by `get-entries` or as static-ct data tiles.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::hash::Hash;
use crate::tile::{FULL_WIDTH, place};

pub use crate::tree_head::parse_sth;

/// `Version v1` and `MerkleLeafType timestamped_entry`: what each leaf begins with.
const LEAF_HEADER: [u8; 2] = [0, 0];
const X509_ENTRY: u16 = 0;
const PRECERT_ENTRY: u16 = 1;

/// A `MerkleTreeLeaf`, taken apart; everything is borrowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CtLeaf<'a> {
    /// When the log took it in, in Unix milliseconds.
    pub timestamp_ms: u64,
    /// What was logged.
    pub entry: CtEntry<'a>,
    /// `CtExtensions`: in static-ct logs the leaf's index.
    pub extensions: &'a [u8],
}

/// What was logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CtEntry<'a> {
    /// A certificate in DER.
    X509(&'a [u8]),
    /// What is to become a certificate, before its issuer has signed it.
    Precert {
        /// SHA-256 of the issuer's SubjectPublicKeyInfo.
        issuer_key_hash: [u8; 32],
        /// The `TBSCertificate` in DER, without the poison extension.
        tbs: &'a [u8],
    },
}

/// Why bytes are not what a CT log serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CtError {
    /// The bytes end too early.
    #[error("the certificate log's leaf is cut off")]
    Truncated,
    /// Bytes after the end.
    #[error("the certificate log's leaf has bytes after its end")]
    TrailingBytes,
    /// Another version or leaf type than RFC 6962 has.
    #[error("a certificate log's leaf begins with version and type 0, not {0} and {1}")]
    UnknownLeaf(u8, u8),
    /// Another kind of entry than RFC 6962 has.
    #[error("a certificate log's entry is of type 0 or 1, not {0}")]
    UnknownEntry(u16),
    /// A part is empty that may not be, or longer than its length can say.
    #[error("a part of the certificate log's leaf is empty or too long")]
    BadLength,
    /// Not the JSON that was asked for.
    #[error("not the JSON of {0}")]
    Json(&'static str),
    /// Base64 that is none.
    #[error("{0} is not base64")]
    Base64(&'static str),
    /// A hash of another length.
    #[error("a hash of the proof has not 32 bytes")]
    BadHash,
    /// A data tile has more leaves than a tile can have.
    #[error("the data tile has more than 256 leaves")]
    TooManyLeaves,
}

impl<'a> CtLeaf<'a> {
    /// Takes a leaf apart.
    pub fn parse(leaf: &'a [u8]) -> Result<Self, CtError> {
        let mut rest = Bytes(leaf);
        let [version, leaf_type] = rest.array()?;
        if [version, leaf_type] != LEAF_HEADER {
            return Err(CtError::UnknownLeaf(version, leaf_type));
        }
        let parsed = rest.timestamped_entry()?;
        if rest.0.is_empty() { Ok(parsed) } else { Err(CtError::TrailingBytes) }
    }

    /// The leaf's bytes. For log writers.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CtError> {
        let mut bytes = LEAF_HEADER.to_vec();
        bytes.extend_from_slice(&self.timestamp_ms.to_be_bytes());
        let der = match self.entry {
            CtEntry::X509(der) => {
                bytes.extend_from_slice(&X509_ENTRY.to_be_bytes());
                der
            }
            CtEntry::Precert { issuer_key_hash, tbs } => {
                bytes.extend_from_slice(&PRECERT_ENTRY.to_be_bytes());
                bytes.extend_from_slice(&issuer_key_hash);
                tbs
            }
        };
        let length = u32::try_from(der.len()).map_err(|_| CtError::BadLength)?.to_be_bytes();
        let [0, length @ ..] = length else { return Err(CtError::BadLength) };
        if der.is_empty() {
            return Err(CtError::BadLength);
        }
        bytes.extend_from_slice(&length);
        bytes.extend_from_slice(der);
        let length = u16::try_from(self.extensions.len()).map_err(|_| CtError::BadLength)?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(self.extensions);
        Ok(bytes)
    }
}

/// One answer of `get-entries`: base64, not decoded yet.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct ServedEntry<'a> {
    /// The `MerkleTreeLeaf`: what the tree is over.
    #[serde(borrow)]
    pub leaf_input: Cow<'a, str>,
    /// The chain that was handed in: the tree does not cover it.
    #[serde(borrow, default)]
    pub extra_data: Cow<'a, str>,
}

impl ServedEntry<'_> {
    /// Decodes the leaf, appends it to `out`, and says where it is there: one buffer serves a whole answer.
    pub fn decode_leaf(&self, out: &mut Vec<u8>) -> Result<Range<usize>, CtError> {
        let start = out.len();
        STANDARD.decode_vec(self.leaf_input.as_bytes(), out).map_err(|_| CtError::Base64("leaf_input"))?;
        Ok(start..out.len())
    }

    /// The chain, decoded.
    pub fn decode_extra_data(&self) -> Result<Vec<u8>, CtError> {
        STANDARD.decode(self.extra_data.as_bytes()).map_err(|_| CtError::Base64("extra_data"))
    }
}

/// Reads the JSON of `get-entries`. How many there should be is known to who asked for them.
pub fn parse_get_entries(json: &[u8]) -> Result<Vec<ServedEntry<'_>>, CtError> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        entries: Vec<ServedEntry<'a>>,
    }
    let answer: Answer<'_> = serde_json::from_slice(json).map_err(|_| CtError::Json("get-entries"))?;
    Ok(answer.entries)
}

/// Reads the JSON of `get-sth-consistency`.
pub fn parse_consistency(json: &[u8]) -> Result<Vec<Hash>, CtError> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        consistency: Vec<Cow<'a, str>>,
    }
    let answer: Answer<'_> = serde_json::from_slice(json).map_err(|_| CtError::Json("get-sth-consistency"))?;
    hashes(&answer.consistency)
}

/// Reads the JSON of `get-proof-by-hash`: the leaf's index, and the hashes of its inclusion proof.
pub fn parse_proof_by_hash(json: &[u8]) -> Result<(u64, Vec<Hash>), CtError> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        leaf_index: u64,
        #[serde(borrow)]
        audit_path: Vec<Cow<'a, str>>,
    }
    let answer: Answer<'_> = serde_json::from_slice(json).map_err(|_| CtError::Json("get-proof-by-hash"))?;
    Ok((answer.leaf_index, hashes(&answer.audit_path)?))
}

fn hashes(encoded: &[Cow<'_, str>]) -> Result<Vec<Hash>, CtError> {
    let decode = |text: &Cow<'_, str>| STANDARD.decode(text.as_bytes()).map_err(|_| CtError::Base64("a hash"));
    encoded.iter().map(|text| Hash::from_slice(&decode(text)?).ok_or(CtError::BadHash)).collect()
}

/// One leaf of a static-ct data tile.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DataTileLeaf<'a> {
    /// Where its `MerkleTreeLeaf` is in the buffer that was given.
    pub leaf: Range<usize>,
    /// The precertificate that was handed in, in DER: the tree does not cover it.
    pub pre_certificate: Option<&'a [u8]>,
    /// SHA-256 of each certificate of the chain that was handed in, 32 bytes each: nor these.
    pub chain: &'a [[u8; 32]],
}

/// Path of a static-ct data tile below the log's base address, like `tile/data/000.p/3`.
pub fn data_tile_path(index: u64, width: u16) -> String {
    format!("tile/data/{}", place(index, width))
}

/// Takes a static-ct data tile apart, and appends the leaves, as the tree is over them, to `out`: one buffer serves a
/// whole tile. How many leaves there should be is known to who asked for it.
pub fn parse_data_tile<'a>(tile: &'a [u8], out: &mut Vec<u8>) -> Result<Vec<DataTileLeaf<'a>>, CtError> {
    let mut leaves = Vec::new();
    let mut rest = Bytes(tile);
    while !rest.0.is_empty() {
        if leaves.len() == usize::from(FULL_WIDTH) {
            return Err(CtError::TooManyLeaves);
        }
        let before = rest.0;
        let entry = rest.timestamped_entry()?.entry;
        let (entry_bytes, _) = before.split_at_checked(before.len() - rest.0.len()).ok_or(CtError::Truncated)?;
        let start = out.len();
        out.extend_from_slice(&LEAF_HEADER);
        out.extend_from_slice(entry_bytes);
        let pre_certificate = match entry {
            CtEntry::X509(_) => None,
            CtEntry::Precert { .. } => Some(rest.certificate()?),
        };
        let (chain, []) = rest.short()?.as_chunks() else { return Err(CtError::BadLength) };
        leaves.push(DataTileLeaf { leaf: start..out.len(), pre_certificate, chain });
    }
    Ok(leaves)
}

/// Bytes that are yet to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], CtError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(CtError::Truncated)?;
        self.0 = rest;
        Ok(*array)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], CtError> {
        let (slice, rest) = self.0.split_at_checked(length).ok_or(CtError::Truncated)?;
        self.0 = rest;
        Ok(slice)
    }

    /// `opaque<0..2^16-1>`
    fn short(&mut self) -> Result<&'a [u8], CtError> {
        let length = u16::from_be_bytes(self.array()?);
        self.slice(usize::from(length))
    }

    /// `opaque ASN.1Cert<1..2^24-1>`
    fn certificate(&mut self) -> Result<&'a [u8], CtError> {
        let [a, b, c] = self.array()?;
        match u32::from_be_bytes([0, a, b, c]) {
            0 => Err(CtError::BadLength),
            length => self.slice(length as usize),
        }
    }

    fn timestamped_entry(&mut self) -> Result<CtLeaf<'a>, CtError> {
        let timestamp_ms = u64::from_be_bytes(self.array()?);
        let entry = match u16::from_be_bytes(self.array()?) {
            X509_ENTRY => CtEntry::X509(self.certificate()?),
            PRECERT_ENTRY => CtEntry::Precert { issuer_key_hash: self.array()?, tbs: self.certificate()? },
            other => return Err(CtError::UnknownEntry(other)),
        };
        Ok(CtLeaf { timestamp_ms, entry, extensions: self.short()? })
    }
}

#[cfg(test)]
mod tests;
