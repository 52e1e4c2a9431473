//! Leaves as anybody, or only a holder of a key, can write them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle::PublicKey;
use serde_json::json;
use sha2::{Digest as _, Sha256};

const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The order of P-256.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

pub(crate) struct Key {
    pair: Pair,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    pub(crate) fn new() -> Self {
        Self { pair: Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()) }
    }

    pub(crate) fn ed25519() -> Self {
        Self { pair: Pair::Ed25519(Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap()) }
    }

    pub(crate) fn spki(&self) -> Vec<u8> {
        match &self.pair {
            Pair::P256(pair) => [&P256_PREFIX, pair.public_key().as_ref()].concat(),
            Pair::Ed25519(pair) => [&ED25519_PREFIX, pair.public_key().as_ref()].concat(),
        }
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::from_spki(&self.spki()).unwrap()
    }

    /// With low s, as our signer makes it.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = match &self.pair {
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        };
        self.public().low_s(&signature).unwrap()
    }
}

pub(crate) fn sha256(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// The other valid signature that everybody can make of one: s negated.
pub(crate) fn negated(signature: &[u8]) -> Vec<u8> {
    let r_len = usize::from(signature[3]);
    let (r, s) = (&signature[4..4 + r_len], &signature[6 + r_len..]);
    let mut padded = [0; 32];
    let s = s.strip_prefix(&[0]).unwrap_or(s);
    padded[32 - s.len()..].copy_from_slice(s);
    let mut borrow = 0i16;
    let mut negated = [0u8; 32];
    for place in (0..32).rev() {
        let difference = i16::from(ORDER[place]) - i16::from(padded[place]) - borrow;
        borrow = i16::from(difference < 0);
        negated[place] = (difference & 0xff) as u8;
    }
    // High by construction, so that the number needs a zero before it.
    let der_s = [&[0x02, 33, 0][..], &negated].concat();
    let body = [&[0x02, r_len as u8][..], r, &der_s].concat();
    [&[0x30, body.len() as u8][..], &body].concat()
}

/// A signature (DER) in two halves, as IEEE P1363 has it, each with so many zeros before its 32 bytes.
pub(crate) fn halves(signature: &[u8], zeros: usize) -> Vec<u8> {
    let r_len = usize::from(signature[3]);
    let wide = |number: &[u8]| {
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        [&vec![0; zeros + 32 - number.len()], number].concat()
    };
    [wide(&signature[4..4 + r_len]), wide(&signature[6 + r_len..])].concat()
}

/// A `dsse` 0.0.1 leaf: it holds the payload's hash, not what was signed.
pub(crate) fn dsse_v1(payload: &[u8], signatures: &[(&[u8], &Key)]) -> Vec<u8> {
    let hash = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex::encode(sha256(bytes)) });
    let signatures: Vec<_> = signatures
        .iter()
        .map(|(signature, key)| {
            json!({ "signature": STANDARD.encode(signature), "verifier": STANDARD.encode(key.public().pem()) })
        })
        .collect();
    let spec = json!({ "envelopeHash": hash(b"envelope"), "payloadHash": hash(payload), "signatures": signatures });
    json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": spec }).to_string().into_bytes()
}

/// An `intoto` 0.0.1 leaf: it holds no signature at all.
pub(crate) fn intoto_v1(payload: &[u8], key: &Key) -> Vec<u8> {
    let hash = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex::encode(sha256(bytes)) });
    let content = json!({ "hash": hash(b"envelope"), "payloadHash": hash(payload) });
    let spec = json!({ "content": content, "publicKey": STANDARD.encode(key.public().pem()) });
    json!({ "apiVersion": "0.0.1", "kind": "intoto", "spec": spec }).to_string().into_bytes()
}

/// An entry of a kind that nobody here reads, with a key in it.
pub(crate) fn unknown_kind(key: &Key) -> Vec<u8> {
    let keys = json!({ "root": { "keys": [STANDARD.encode(key.public().pem())] } });
    json!({ "apiVersion": "0.0.1", "kind": "tuf", "spec": keys }).to_string().into_bytes()
}

/// A `hashedrekord` 0.0.1 over a longer digest than ours, which begins with it.
pub(crate) fn stretched(digest: &[u8], signature: &[u8], key: &Key) -> Vec<u8> {
    let longer = [digest, &[0xaa; 32]].concat();
    let hash = json!({ "algorithm": "sha512", "value": hex::encode(longer) });
    let signature = json!({
        "content": STANDARD.encode(signature),
        "publicKey": { "content": STANDARD.encode(key.public().pem()) },
    });
    let spec = json!({ "data": { "hash": hash }, "signature": signature });
    json!({ "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec }).to_string().into_bytes()
}

/// The same claim by a key behind another one in the list: no log checks it.
pub(crate) fn chained(digest: &[u8], signature: &[u8], first: &Key, certificates: &str) -> Vec<u8> {
    let pem = format!("{}{certificates}", first.public().pem());
    let hash = json!({ "algorithm": "sha256", "value": hex::encode(digest) });
    let signature = json!({ "content": STANDARD.encode(signature), "publicKey": { "content": STANDARD.encode(pem) } });
    let spec = json!({ "data": { "hash": hash }, "signature": signature });
    json!({ "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec }).to_string().into_bytes()
}

/// A `dsse` 0.0.1 leaf by these keys, as PEM in one list: the log checks the first.
pub(crate) fn chained_dsse(payload: &[u8], signatures: &[(&[u8], String)]) -> Vec<u8> {
    let hash = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex::encode(sha256(bytes)) });
    let signatures: Vec<_> = signatures
        .iter()
        .map(|(signature, pem)| json!({ "signature": STANDARD.encode(signature), "verifier": STANDARD.encode(pem) }))
        .collect();
    let spec = json!({ "envelopeHash": hash(b"envelope"), "payloadHash": hash(payload), "signatures": signatures });
    json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": spec }).to_string().into_bytes()
}

/// An `intoto` 0.0.1 leaf by keys in one list: it holds no signature at all.
pub(crate) fn chained_intoto(payload: &[u8], pem: &str) -> Vec<u8> {
    let hash = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex::encode(sha256(bytes)) });
    let content = json!({ "hash": hash(b"envelope"), "payloadHash": hash(payload) });
    let spec = json!({ "content": content, "publicKey": STANDARD.encode(pem) });
    json!({ "apiVersion": "0.0.1", "kind": "intoto", "spec": spec }).to_string().into_bytes()
}

/// A CT log's leaf.
pub(crate) fn ct_leaf(certificate: &[u8]) -> Vec<u8> {
    let entry = tlog::ct::CtEntry::X509(certificate);
    tlog::ct::CtLeaf { timestamp_ms: 1, entry, extensions: &[] }.to_bytes().unwrap()
}

pub(crate) fn pem(certificate: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(certificate))
}
