//! A log that signs whatever it is told to.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use bundle::{Format, HashAlgorithm, NewEntry, PublicKey};
use tlog::{
    CompactRange, Hash, InclusionProof, LogKey, NodeProof, NoteSignature, checkpoint_text, format_note, leaf_hash, tree,
};

use crate::config::LogKind;
use crate::finding::LogDescription;

const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A P-256 key.
pub(super) struct P256 {
    pair: EcdsaKeyPair,
}

impl P256 {
    pub(super) fn new() -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap() }
    }

    pub(super) fn spki(&self) -> Vec<u8> {
        [&P256_PREFIX, self.pair.public_key().as_ref()].concat()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }
}

enum Signing {
    Ed25519(Ed25519KeyPair),
    P256(P256),
}

/// A log and its leaves.
pub(super) struct Log {
    pub(super) origin: String,
    signing: Signing,
    key: LogKey,
    kind: LogKind,
    pub(super) leaves: Vec<Vec<u8>>,
}

impl Log {
    /// A Rekor v2 log with so many leaves.
    pub(super) fn v2(leaves: usize) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let spki = [&ED25519_PREFIX, pair.public_key().as_ref()].concat();
        let origin = "log.example.com".to_owned();
        let key = LogKey::from_spki(&spki, Some(&origin)).unwrap();
        Self { origin, signing: Signing::Ed25519(pair), key, kind: LogKind::RekorV2, leaves: numbered(leaves) }
    }

    /// A shard of a Rekor v1 server.
    pub(super) fn v1(tree_id: u64, leaves: usize) -> Self {
        Self::v1_with(P256::new(), tree_id, leaves)
    }

    fn v1_with(key: P256, tree_id: u64, leaves: usize) -> Self {
        let log_key = LogKey::from_spki(&key.spki(), Some("rekor.example.com")).unwrap();
        Self {
            origin: format!("rekor.example.com - {tree_id}"),
            signing: Signing::P256(key),
            key: log_key,
            kind: LogKind::RekorV1,
            leaves: numbered(leaves),
        }
    }

    pub(super) fn described(&self) -> LogDescription {
        LogDescription::new(self.origin.clone(), self.kind, &self.key)
    }

    pub(super) fn key(&self) -> &LogKey {
        &self.key
    }

    pub(super) fn hashes(&self) -> Vec<Hash> {
        self.leaves.iter().map(|leaf| leaf_hash(leaf)).collect()
    }

    /// The head of its first `size` leaves.
    pub(super) fn head(&self, size: usize) -> Vec<u8> {
        self.head_of(size, &tree::root(&self.hashes()[..size]))
    }

    /// A head of any root.
    pub(super) fn head_of(&self, size: usize, root: &Hash) -> Vec<u8> {
        self.sign(&checkpoint_text(&self.origin, size as u64, root))
    }

    /// Any text as a note.
    pub(super) fn sign(&self, text: &str) -> Vec<u8> {
        let name = self.key.note_name().unwrap().to_owned();
        let signature = self.sign_bytes(text.as_bytes());
        format_note(text, &[NoteSignature { name, key_hash: self.key.note_hash(), signature }]).into_bytes()
    }

    pub(super) fn sign_bytes(&self, message: &[u8]) -> Vec<u8> {
        match &self.signing {
            Signing::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Signing::P256(key) => key.sign(message),
        }
    }

    pub(super) fn range(&self, size: usize) -> CompactRange {
        let mut range = CompactRange::new();
        for hash in &self.hashes()[..size] {
            range.append(*hash).unwrap();
        }
        range
    }

    pub(super) fn inclusion(&self, index: usize, size: usize) -> InclusionProof {
        tree::inclusion_proof(&self.hashes(), index as u64, size as u64).unwrap()
    }

    pub(super) fn consistency(&self, old: usize, new: usize) -> Vec<Hash> {
        tree::consistency_proof(&self.hashes(), old as u64, new as u64).unwrap()
    }

    /// The proof of a perfect subtree: the inclusion proof of its first leaf, above it.
    pub(super) fn node(&self, level: u32, index: usize, size: usize) -> NodeProof {
        let width = 1usize << level;
        let hashes = self.hashes();
        let path = self.inclusion(index * width, size).hashes.split_off(level as usize);
        let node = tree::root(&hashes[index * width..(index + 1) * width]);
        NodeProof { level, index: index as u64, node, size: size as u64, path }
    }
}

fn numbered(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| format!("leaf {n}").into_bytes()).collect()
}

/// A hashedrekord 0.0.2 leaf, signed by the key.
pub(super) fn leaf_by(key: &P256, message: &[u8]) -> Vec<u8> {
    NewEntry {
        format: Format::Legacy,
        message: message.to_vec(),
        envelope: None,
        signature: key.sign(message),
        key: PublicKey::from_spki(&key.spki()).unwrap(),
        hash: HashAlgorithm::Sha256,
    }
    .rekor_v2_body()
    .unwrap()
}

/// The same with a certificate instead of the key.
pub(super) fn leaf_by_certificate(key: &P256, certificate: &[u8], message: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
    serde_json::json!({
        "apiVersion": "0.0.2",
        "kind": "hashedrekord",
        "spec": { "hashedRekordV002": {
            "data": { "algorithm": "SHA2_256", "digest": encoded(&HashAlgorithm::Sha256.digest(message)) },
            "signature": {
                "content": encoded(&key.sign(message)),
                "verifier": {
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "x509Certificate": { "rawBytes": encoded(certificate) },
                },
            },
        } },
    })
    .to_string()
    .into_bytes()
}
