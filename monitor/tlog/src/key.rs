//! A log's public key: who signs checkpoints, tree heads and entry timestamps.

use std::fmt;

use aws_lc_rs::signature as aws;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::asn1::ObjectIdentifier;
use p256::ecdsa::signature::Verifier as _;
use sha2::{Digest as _, Sha256};
use spki::SubjectPublicKeyInfoRef;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// What a SubjectPublicKeyInfo of Ed25519 begins with; the 32 bytes of the key follow.
const ED25519_SPKI: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The type bytes of keys in a note's key id (c2sp.org/signed-note).
const NOTE_TYPE_ED25519: u8 = 0x01;
const NOTE_TYPE_ECDSA: u8 = 0x02;
/// Rekor v2 names its RSA keys by a type of its own: this byte and these words.
const NOTE_TYPE_RSA: &[u8] = b"\xffPKIX-RSA-PKCS#1v1.5";

/// RFC 5246 7.4.1.4.1, as RFC 6962 uses them.
const TLS_SHA256: u8 = 4;
const TLS_RSA: u8 = 1;
const TLS_ECDSA: u8 = 3;

/// A transparency log's public key: ECDSA P-256 as Rekor v1 and CT logs use it, Ed25519 as v2 does, ECDSA P-384, or RSA
/// of 2048 to 8192 bits as RFC 6962 allows it.
///
/// `name` is the log's origin where that is known: its hostname, or for one shard of Rekor v1
/// `<hostname> - <tree id>`. An Ed25519 key's id depends on it. A log may sign under another name than it is
/// reached at, so leave the name out where it is only guessed from an address.
#[derive(Clone)]
pub struct LogKey {
    name: Option<String>,
    spki: Vec<u8>,
    verifying: Verifying,
    key_id: [u8; 32],
}

#[derive(Clone)]
enum Verifying {
    EcdsaP256(p256::ecdsa::VerifyingKey),
    /// The point, which is one of the curve.
    EcdsaP384(Vec<u8>),
    Ed25519(ed25519_dalek::VerifyingKey),
    /// PKCS #1 `RSAPublicKey`, which was read once.
    Rsa(Vec<u8>),
}

impl PartialEq for LogKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.spki) == (&other.name, &other.spki)
    }
}

impl Eq for LogKey {}

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
    #[error("a log key is ECDSA P-256 or P-384, Ed25519 or RSA, not {0}")]
    Unsupported(ObjectIdentifier),
    /// Not a point of the curve, or one under which signatures prove nothing; no RSA key, or a short one.
    #[error("the public key is not a usable point of its curve, or RSA modulus")]
    BadPoint,
    /// Not a verifier key of a log.
    #[error("a log's verifier key is \"<name>+<hash>+<key>\" of type 1 (Ed25519) or 2 (ECDSA), and its hash is right")]
    BadVerifierKey,
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
        let verifying = if algorithm.oid == EC_PUBLIC_KEY {
            match algorithm.parameters_oid().map_err(|_| KeyError::Malformed)? {
                SECP256R1 => Verifying::EcdsaP256(
                    p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| KeyError::BadPoint)?,
                ),
                SECP384R1 => {
                    usable(&aws::ECDSA_P384_SHA384_ASN1, point)?;
                    Verifying::EcdsaP384(point.to_vec())
                }
                curve => return Err(KeyError::Unsupported(curve)),
            }
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
            Verifying::Ed25519(key)
        } else if algorithm.oid == RSA {
            usable(&aws::RSA_PKCS1_2048_8192_SHA256, point)?;
            Verifying::Rsa(point.to_vec())
        } else {
            return Err(KeyError::Unsupported(algorithm.oid));
        };
        let mut key = Self { name: name.map(str::to_owned), spki: der.to_vec(), verifying, key_id: [0; 32] };
        key.key_id = key.id_as(key.note_name());
        Ok(key)
    }

    /// Reads a verifier key (c2sp.org/signed-note), `<name>+<hash>+<key>`: type 1, Ed25519, or 2, ECDSA.
    pub fn from_vkey(text: &str) -> Result<Self, KeyError> {
        let vkey = VerifierKey::parse(text).ok_or(KeyError::BadVerifierKey)?;
        let key = match vkey.kind {
            NOTE_TYPE_ED25519 => Self::from_spki(&[ED25519_SPKI, &vkey.key].concat(), Some(vkey.name))?,
            NOTE_TYPE_ECDSA => Self::from_spki(&vkey.key, Some(vkey.name))?,
            _ => return Err(KeyError::BadVerifierKey),
        };
        if key.note_hash() == vkey.hash { Ok(key) } else { Err(KeyError::BadVerifierKey) }
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

    /// The id in trust roots and bundles: SHA-256 of the SubjectPublicKeyInfo for ECDSA, and for any key without a
    /// name; SHA-256 of name, newline, 0x01 and the raw key for an Ed25519 key with one, and likewise for RSA.
    pub fn key_id(&self) -> [u8; 32] {
        self.key_id
    }

    /// The four bytes before a note's signature: the first of the key id.
    pub fn note_hash(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.key_id;
        [a, b, c, d]
    }

    /// [`LogKey::note_hash`] as it would be under another name.
    pub(crate) fn note_hash_as(&self, name: &str) -> [u8; 4] {
        let [a, b, c, d, ..] = self.id_as(Some(name));
        [a, b, c, d]
    }

    fn id_as(&self, name: Option<&str>) -> [u8; 32] {
        let named = |name: &str, kind: &[u8], key: &[u8]| {
            Sha256::new().chain_update(name).chain_update(b"\n").chain_update(kind).chain_update(key).finalize().into()
        };
        match (&self.verifying, name) {
            (Verifying::Ed25519(key), Some(name)) => named(name, &[NOTE_TYPE_ED25519], key.as_bytes()),
            (Verifying::Rsa(_), Some(name)) => named(name, NOTE_TYPE_RSA, &self.spki),
            _ => Sha256::digest(&self.spki).into(),
        }
    }

    /// Whether the key has signed the message: ECDSA in DER over SHA-256 (P-384: or SHA-384), Ed25519, or RSA
    /// PKCS #1 v1.5 over SHA-256.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        match &self.verifying {
            Verifying::EcdsaP256(key) => {
                let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| SignatureError::Malformed)?;
                key.verify(message, &signature).map_err(|_| SignatureError::Invalid)
            }
            Verifying::EcdsaP384(point) => {
                verify_any(&[&aws::ECDSA_P384_SHA384_ASN1, &aws::ECDSA_P384_SHA256_ASN1], point, message, signature)
            }
            Verifying::Ed25519(key) => {
                let signature =
                    ed25519_dalek::Signature::from_slice(signature).map_err(|_| SignatureError::Malformed)?;
                key.verify_strict(message, &signature).map_err(|_| SignatureError::Invalid)
            }
            Verifying::Rsa(key) => verify_any(&[&aws::RSA_PKCS1_2048_8192_SHA256], key, message, signature),
        }
    }

    /// Whether the key has signed the message, by a TLS `digitally-signed` (RFC 6962 2.1.4): SHA-256 with ECDSA or RSA.
    pub fn verify_digitally_signed(&self, message: &[u8], signed: &[u8]) -> Result<(), SignatureError> {
        let wanted = match &self.verifying {
            Verifying::EcdsaP256(_) | Verifying::EcdsaP384(_) => TLS_ECDSA,
            Verifying::Rsa(_) => TLS_RSA,
            // RFC 6962 has no Ed25519.
            Verifying::Ed25519(_) => return Err(SignatureError::Malformed),
        };
        let Some(([TLS_SHA256, algorithm, high, low], signature)) = signed.split_first_chunk() else {
            return Err(SignatureError::Malformed);
        };
        if *algorithm != wanted || usize::from(u16::from_be_bytes([*high, *low])) != signature.len() {
            return Err(SignatureError::Malformed);
        }
        match &self.verifying {
            Verifying::EcdsaP384(point) => verify_any(&[&aws::ECDSA_P384_SHA256_ASN1], point, message, signature),
            _ => self.verify(message, signature),
        }
    }
}

/// A TLS `digitally-signed` around an ECDSA signature in DER over SHA-256. For log writers.
pub fn digitally_signed_ecdsa(signature: &[u8]) -> Result<Vec<u8>, SignatureError> {
    let length = u16::try_from(signature.len()).map_err(|_| SignatureError::Malformed)?;
    Ok([&[TLS_SHA256, TLS_ECDSA], length.to_be_bytes().as_slice(), signature].concat())
}

fn usable(algorithm: &'static dyn aws::VerificationAlgorithm, key: &[u8]) -> Result<(), KeyError> {
    aws::ParsedPublicKey::new(algorithm, key).map(drop).map_err(|_| KeyError::BadPoint)
}

fn verify_any(
    algorithms: &[&'static dyn aws::VerificationAlgorithm],
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let mut algorithms = algorithms.iter();
    let verified = algorithms.any(|it| aws::UnparsedPublicKey::new(*it, key).verify(message, signature).is_ok());
    if verified { Ok(()) } else { Err(SignatureError::Invalid) }
}

/// A verifier key (c2sp.org/signed-note), taken apart: `<name>+<hash>+<base64 of type and key>`.
pub(crate) struct VerifierKey<'a> {
    pub(crate) name: &'a str,
    pub(crate) hash: [u8; 4],
    pub(crate) kind: u8,
    pub(crate) key: Vec<u8>,
}

impl<'a> VerifierKey<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (name, rest) = text.split_once('+').filter(|(name, _)| crate::note::is_name(name))?;
        // The base64 may have plus signs of its own.
        let (digits, encoded) = rest.split_once('+')?;
        let mut hash = [0; 4];
        hex::decode_to_slice(digits, &mut hash).ok()?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (kind, key) = bytes.split_first()?;
        Some(Self { name, hash, kind: *kind, key: key.to_vec() })
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

#[cfg(test)]
mod tests;
