//! A log's public key: who signs checkpoints and entry timestamps.

use std::fmt;

use der::asn1::ObjectIdentifier;
use p256::ecdsa::signature::Verifier as _;
use sha2::{Digest as _, Sha256};
use spki::SubjectPublicKeyInfoRef;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The type byte of an Ed25519 key in a note's key id (c2sp.org/signed-note).
const NOTE_TYPE_ED25519: u8 = 0x01;

/// A transparency log's public key: ECDSA P-256 as Rekor v1 uses it, or Ed25519 as v2 does.
///
/// `name` is the log's origin where that is known: its hostname, or for one shard of Rekor v1
/// `<hostname> - <tree id>`. An Ed25519 key's id depends on it. A log may sign under another name than it is
/// reached at, so leave the name out where it is only guessed from an address.
#[derive(Clone, Eq, PartialEq)]
pub struct LogKey {
    name: Option<String>,
    spki: Vec<u8>,
    verifying: Verifying,
    key_id: [u8; 32],
}

#[derive(Clone, Eq, PartialEq)]
enum Verifying {
    EcdsaP256(p256::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

/// Why bytes are not a log's public key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM with the label `PUBLIC KEY`.
    #[error("a log key is a PEM block \"PUBLIC KEY\"")]
    Pem,
    /// Not a DER SubjectPublicKeyInfo.
    #[error("a log key is a DER SubjectPublicKeyInfo")]
    Malformed,
    /// Another algorithm or curve.
    #[error("a log key is ECDSA P-256 or Ed25519, not {0}")]
    Unsupported(ObjectIdentifier),
    /// Not a point of the curve, or one under which signatures prove nothing.
    #[error("the public key is not a usable point of its curve")]
    BadPoint,
    /// The name cannot stand on a note's signature line.
    #[error("a log's name is not empty and has no space and no plus sign")]
    BadName,
}

/// Why a signature was not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignatureError {
    /// Not a signature of the key's algorithm.
    #[error("the bytes are no signature of the key's algorithm")]
    Malformed,
    /// A signature of something else, or by another key.
    #[error("the signature does not verify")]
    Invalid,
}

impl LogKey {
    /// Reads a DER SubjectPublicKeyInfo. `name` is the log's origin or hostname where it is known.
    pub fn from_spki(der: &[u8], name: Option<&str>) -> Result<Self, KeyError> {
        if name.is_some_and(|name| !crate::note::is_name(signer_of(name))) {
            return Err(KeyError::BadName);
        }
        let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| KeyError::Malformed)?;
        let point = info.subject_public_key.as_bytes().ok_or(KeyError::Malformed)?;
        let algorithm = &info.algorithm;
        let (verifying, key_id) = if algorithm.oid == EC_PUBLIC_KEY {
            let curve = algorithm.parameters_oid().map_err(|_| KeyError::Malformed)?;
            if curve != SECP256R1 {
                return Err(KeyError::Unsupported(curve));
            }
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| KeyError::BadPoint)?;
            (Verifying::EcdsaP256(key), Sha256::digest(der).into())
        } else if algorithm.oid == ED25519 {
            // SPEC: "the parameters field MUST be absent" (RFC 8410).
            if algorithm.parameters.is_some() {
                return Err(KeyError::Malformed);
            }
            let raw: &[u8; 32] = point.try_into().map_err(|_| KeyError::BadPoint)?;
            let key = ed25519_dalek::VerifyingKey::from_bytes(raw).map_err(|_| KeyError::BadPoint)?;
            // Under a point of small order one signature fits many messages.
            if key.is_weak() {
                return Err(KeyError::BadPoint);
            }
            let key_id = match name {
                Some(name) => ed25519_key_id(signer_of(name), raw),
                None => Sha256::digest(der).into(),
            };
            (Verifying::Ed25519(key), key_id)
        } else {
            return Err(KeyError::Unsupported(algorithm.oid));
        };
        Ok(Self { name: name.map(str::to_owned), spki: der.to_vec(), verifying, key_id })
    }

    /// Reads a PEM public key.
    pub fn from_pem(pem: &str, name: Option<&str>) -> Result<Self, KeyError> {
        let (label, document) = der::Document::from_pem(pem).map_err(|_| KeyError::Pem)?;
        if label != "PUBLIC KEY" {
            return Err(KeyError::Pem);
        }
        Self::from_spki(document.as_bytes(), name)
    }

    /// The DER SubjectPublicKeyInfo that it was read from.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The log's origin, where it is known.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The name on the signature lines of the log's notes, where it is known: the origin without a tree id.
    pub fn note_name(&self) -> Option<&str> {
        self.name().map(signer_of)
    }

    /// The id in trust roots and bundles: SHA-256 of the SubjectPublicKeyInfo for ECDSA, and for an Ed25519 key
    /// without a name; SHA-256 of name, newline, 0x01 and the raw key for an Ed25519 key with one.
    pub fn key_id(&self) -> [u8; 32] {
        self.key_id
    }

    /// The four bytes before a note's signature: the first of the key id.
    pub fn note_hash(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.key_id;
        [a, b, c, d]
    }

    /// Whether the key has signed the message: ECDSA in DER over SHA-256, or Ed25519.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        match &self.verifying {
            Verifying::EcdsaP256(key) => {
                let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| SignatureError::Malformed)?;
                key.verify(message, &signature).map_err(|_| SignatureError::Invalid)
            }
            Verifying::Ed25519(key) => {
                let signature =
                    ed25519_dalek::Signature::from_slice(signature).map_err(|_| SignatureError::Malformed)?;
                key.verify_strict(message, &signature).map_err(|_| SignatureError::Invalid)
            }
        }
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogKey")
            .field("name", &self.name)
            .field("key_id", &hex::encode(self.key_id))
            .finish_non_exhaustive()
    }
}

/// Rekor v1 signs as `<hostname>` for the origin `<hostname> - <tree id>`.
pub(crate) fn signer_of(origin: &str) -> &str {
    match origin.rsplit_once(" - ") {
        Some((signer, id)) if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) => signer,
        _ => origin,
    }
}

fn ed25519_key_id(name: &str, raw: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(name).chain_update([b'\n', NOTE_TYPE_ED25519]).chain_update(raw).finalize().into()
}

#[cfg(test)]
mod tests;
