//! What a log's leaf says: the bodies of the entry kinds that we write and read, and what we ask a log to take.
mod rekor_v1;
mod rekor_v2;

use crate::digest::Digest;
use crate::dsse::Envelope;
use crate::format::Format;
use crate::json::{self, Json};
use crate::public_key::{HashAlgorithm, PublicKey};
use serde::Deserialize;

/// The kinds and versions of entries are shorter.
const MAX_WORD: usize = 64;

/// A leaf, parsed. Parsing proves nothing about who made it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EntryBody {
    /// Rekor v1 `hashedrekord` 0.0.1.
    HashedRekordV1 {
        /// What the signed digest was made with.
        hash: LoggedHash,
        /// The signed digest.
        digest: Vec<u8>,
        /// The signature.
        signature: Vec<u8>,
        /// Whose it is.
        verifier: Verifier,
    },
    /// Rekor v1 `dsse` 0.0.1.
    DsseV1 {
        /// SHA-256 of the envelope's payload.
        payload_hash: Digest,
        /// SHA-256 of the envelope as it was submitted; nobody can make it from a bundle.
        envelope_hash: Digest,
        /// Each signature with whose it is.
        signatures: Vec<(Vec<u8>, Verifier)>,
    },
    /// Rekor v2 `hashedrekord` 0.0.2.
    HashedRekordV2 {
        /// What the signed digest was made with.
        hash_algorithm: LoggedHash,
        /// The signed digest.
        digest: Vec<u8>,
        /// The signature.
        signature: Vec<u8>,
        /// Whose it is.
        verifier: Verifier,
    },
    /// A kind that we do not read.
    Other {
        /// Its kind.
        kind: String,
        /// Its version.
        version: String,
    },
}

/// The hash functions that logs accept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoggedHash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl LoggedHash {
    pub(crate) fn digest_len(self) -> usize {
        match self {
            LoggedHash::Sha256 => 32,
            LoggedHash::Sha384 => 48,
            LoggedHash::Sha512 => 64,
        }
    }
}

impl From<HashAlgorithm> for LoggedHash {
    fn from(hash: HashAlgorithm) -> LoggedHash {
        match hash {
            HashAlgorithm::Sha256 => LoggedHash::Sha256,
            HashAlgorithm::Sha384 => LoggedHash::Sha384,
        }
    }
}

/// What a log entry says a signature verifies with.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verifier {
    /// A public key.
    Key(PublicKey),
    /// A certificate, DER.
    Certificate(Vec<u8>),
    /// Something else, such as a key of a curve that we do not know: the bytes as logged.
    Other(Vec<u8>),
}

/// Why a leaf could not be read, or is not about our signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// Not JSON, or JSON that two readers may read differently.
    #[error("entry body is {0}")]
    Ambiguous(#[from] json::JsonError),
    /// Not the JSON of its kind.
    #[error("entry body is not valid JSON of its kind: {0}")]
    Json(#[from] serde_json::Error),
    /// A field holds what it must not.
    #[error("entry body has no valid {0}")]
    Field(&'static str),
    /// An entry of a kind that cannot carry this signature.
    #[error("entry of kind {kind} {version} cannot stand for a signature in format {format}")]
    Kind {
        /// The entry's kind.
        kind: String,
        /// The entry's version.
        version: String,
        /// The signature's format.
        format: Format,
    },
    /// The entry is about another digest.
    #[error("entry is about another digest than the one that was signed")]
    OtherDigest,
    /// The entry holds another signature.
    #[error("entry holds another signature")]
    OtherSignature,
    /// The entry names another key.
    #[error("entry names another key than the one that signed")]
    OtherKey,
    /// The entry says what it must, in other bytes than the log writes for it.
    #[error("entry body is not the canonical one for this signature")]
    NotCanonical,
    /// No log of that version takes such a key.
    #[error("rekor v{version} takes no {algorithm} key; use ECDSA P-256")]
    UnsupportedKey {
        /// The log's API version.
        version: u32,
        /// The key's algorithm.
        algorithm: &'static str,
    },
    /// A bundle without its envelope.
    #[error("a bundle's log entry needs the envelope")]
    NoEnvelope,
}

impl EntryBody {
    /// Reads a leaf's canonical body.
    pub fn parse(body: &[u8]) -> Result<EntryBody, EntryError> {
        let value = Json::parse(body)?;
        let (kind, version) = kind_and_version(value).ok_or(EntryError::Field("kind"))?;
        match (kind.as_str(), version.as_str()) {
            ("hashedrekord", "0.0.1") => rekor_v1::parse_hashedrekord(value),
            ("dsse", "0.0.1") => rekor_v1::parse_dsse(value),
            ("hashedrekord", "0.0.2") => rekor_v2::parse_hashedrekord(value),
            _ => Ok(EntryBody::Other { kind, version }),
        }
    }

    /// The entry's kind and version, as a bundle names them.
    pub fn kind_version(&self) -> (&str, &str) {
        match self {
            EntryBody::HashedRekordV1 { .. } => ("hashedrekord", "0.0.1"),
            EntryBody::DsseV1 { .. } => ("dsse", "0.0.1"),
            EntryBody::HashedRekordV2 { .. } => ("hashedrekord", "0.0.2"),
            EntryBody::Other { kind, version } => (kind, version),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
}

fn kind_and_version(value: Json<'_>) -> Option<(String, String)> {
    let head = value.read::<Head>().ok()?;
    // Both are words, and end up in errors and reports.
    let is_word = |text: &str| text.len() <= MAX_WORD && text.bytes().all(|byte| byte.is_ascii_graphic());
    (is_word(&head.kind) && is_word(&head.api_version)).then_some((head.kind, head.api_version))
}

/// The kind and version that a body names.
pub(crate) fn kind_version(body: &[u8]) -> Option<(String, String)> {
    kind_and_version(Json::parse(body).ok()?)
}

/// A signature for which a log entry is wanted: everything that the entry's body depends on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewEntry {
    /// The signature's format.
    pub format: Format,
    /// What was signed: the envelope's pre-authentication encoding, or the simple-signing payload.
    pub message: Vec<u8>,
    /// The envelope, for a bundle.
    pub envelope: Option<Envelope>,
    /// The signature.
    pub signature: Vec<u8>,
    /// The key that made it.
    pub key: PublicKey,
    /// How the message was hashed.
    pub hash: HashAlgorithm,
}

impl NewEntry {
    /// The body of a request to Rekor v1: `dsse` for a bundle, `hashedrekord` for a simple-signing payload.
    pub fn rekor_v1_request(&self) -> Result<Vec<u8>, EntryError> {
        match self.format {
            Format::Bundle => {
                let envelope = self.envelope.as_ref().ok_or(EntryError::NoEnvelope)?;
                rekor_v1::dsse_request(envelope, &self.key)
            }
            Format::Legacy => rekor_v1::hashedrekord(self),
        }
    }

    /// The body of a request to Rekor v2.
    pub fn rekor_v2_request(&self) -> Result<Vec<u8>, EntryError> {
        rekor_v2::request(self)
    }

    /// The leaf that Rekor v2 makes of the request, so that its leaf hash is known before the log answers.
    pub fn rekor_v2_body(&self) -> Result<Vec<u8>, EntryError> {
        rekor_v2::body(&self.signed_digest(), self.hash, &self.signature, &self.key)
    }

    /// Whether a logged body is about exactly this signature, over this digest, by this key.
    pub fn matches(&self, body: &[u8]) -> Result<(), EntryError> {
        match EntryBody::parse(body)? {
            EntryBody::DsseV1 { payload_hash, signatures, .. } if self.format == Format::Bundle => {
                let envelope = self.envelope.as_ref().ok_or(EntryError::NoEnvelope)?;
                if payload_hash != Digest::of(&envelope.payload) {
                    return Err(EntryError::OtherDigest);
                }
                match signatures.as_slice() {
                    [(signature, verifier)] => self.same_signature(signature, verifier),
                    _ => Err(EntryError::OtherSignature),
                }
            }
            EntryBody::HashedRekordV1 { hash, digest, signature, verifier } if self.format == Format::Legacy => {
                self.same_digest(hash, &digest)?;
                self.same_signature(&signature, &verifier)
            }
            EntryBody::HashedRekordV2 { hash_algorithm, digest, signature, verifier } => {
                self.same_digest(hash_algorithm, &digest)?;
                self.same_signature(&signature, &verifier)?;
                if self.rekor_v2_body()? != body {
                    return Err(EntryError::NotCanonical);
                }
                Ok(())
            }
            other => {
                let (kind, version) = other.kind_version();
                Err(EntryError::Kind { kind: kind.to_owned(), version: version.to_owned(), format: self.format })
            }
        }
    }

    fn signed_digest(&self) -> Vec<u8> {
        self.hash.digest(&self.message)
    }

    fn same_digest(&self, hash: LoggedHash, digest: &[u8]) -> Result<(), EntryError> {
        if hash != LoggedHash::from(self.hash) || digest != self.signed_digest() {
            return Err(EntryError::OtherDigest);
        }
        Ok(())
    }

    fn same_signature(&self, signature: &[u8], verifier: &Verifier) -> Result<(), EntryError> {
        if signature != self.signature {
            return Err(EntryError::OtherSignature);
        }
        // Anybody can log our public signature under a certificate of their own with our key in it.
        match verifier {
            Verifier::Key(key) if *key == self.key => Ok(()),
            _ => Err(EntryError::OtherKey),
        }
    }
}

#[cfg(test)]
mod tests;
