//! What a certificate transparency log hashes and signs, byte for byte (RFC 6962, sections 3.2, 3.4 and 3.5).

use tlog::Hash;

const X509_ENTRY: u16 = 0;
const PRECERT_ENTRY: u16 = 1;

/// What was sent to be logged.
#[derive(Clone, Debug)]
pub(crate) enum Submission {
    /// A certificate, and the chain above it.
    X509 { certificate: Vec<u8>, chain: Vec<Vec<u8>> },
    /// The TBS of the certificate to come, and the poisoned certificate that stands for it until then.
    Precert { issuer_key_hash: [u8; 32], tbs: Vec<u8>, precert: Vec<u8>, chain: Vec<Vec<u8>> },
}

impl Submission {
    /// The `MerkleTreeLeaf`. The bytes that a signed certificate timestamp is over are the same: where the one has
    /// its version and leaf type, the other has its version and signature type, all zero.
    pub(crate) fn leaf(&self, timestamp_ms: u64) -> Vec<u8> {
        let mut leaf = vec![0, 0];
        leaf.extend(timestamp_ms.to_be_bytes());
        match self {
            Self::X509 { certificate, .. } => {
                leaf.extend(X509_ENTRY.to_be_bytes());
                push_opaque24(&mut leaf, certificate);
            }
            Self::Precert { issuer_key_hash, tbs, .. } => {
                leaf.extend(PRECERT_ENTRY.to_be_bytes());
                leaf.extend(issuer_key_hash);
                push_opaque24(&mut leaf, tbs);
            }
        }
        leaf.extend([0, 0]);
        leaf
    }

    /// What `get-entries` has as `extra_data`: the chain, after the poisoned certificate if there is one.
    pub(crate) fn extra_data(&self) -> Vec<u8> {
        let (mut extra, chain) = match self {
            Self::X509 { chain, .. } => (Vec::new(), chain),
            Self::Precert { precert, chain, .. } => {
                let mut extra = Vec::new();
                push_opaque24(&mut extra, precert);
                (extra, chain)
            }
        };
        let mut certificates = Vec::new();
        for certificate in chain {
            push_opaque24(&mut certificates, certificate);
        }
        push_opaque24(&mut extra, &certificates);
        extra
    }
}

/// A `SignedCertificateTimestamp`.
pub(crate) fn timestamp(log_id: &[u8; 32], timestamp_ms: u64, signature: &[u8]) -> Vec<u8> {
    let mut sct = vec![0];
    sct.extend(log_id);
    sct.extend(timestamp_ms.to_be_bytes());
    sct.extend([0, 0]);
    sct.extend(digitally_signed(signature));
    sct
}

/// The `SignedCertificateTimestampList` with this one in it.
pub(crate) fn timestamp_list(sct: &[u8]) -> Vec<u8> {
    let mut list = Vec::new();
    push_opaque16(&mut list, sct);
    let mut bytes = Vec::new();
    push_opaque16(&mut bytes, &list);
    bytes
}

/// What a signed tree head's signature is over.
pub(crate) fn tree_head(timestamp_ms: u64, size: u64, root: &Hash) -> Vec<u8> {
    let mut bytes = vec![0, 1];
    bytes.extend(timestamp_ms.to_be_bytes());
    bytes.extend(size.to_be_bytes());
    bytes.extend(root.as_bytes());
    bytes
}

/// ECDSA over SHA-256, after the numbers that TLS 1.2 has for them.
pub(crate) fn digitally_signed(signature: &[u8]) -> Vec<u8> {
    let mut bytes = vec![4, 3];
    push_opaque16(&mut bytes, signature);
    bytes
}

fn push_opaque16(bytes: &mut Vec<u8>, content: &[u8]) {
    bytes.extend(u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(content);
}

fn push_opaque24(bytes: &mut Vec<u8>, content: &[u8]) {
    let [_, length @ ..] = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    bytes.extend(length);
    bytes.extend(content);
}
