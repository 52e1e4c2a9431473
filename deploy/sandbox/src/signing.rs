//! The keys that logs sign with, and notes that are signed well, badly, or by somebody else.

use ed25519_dalek::pkcs8::EncodePublicKey as _;
use p256::ecdsa::DerSignature;
use signature::Signer as _;
use tlog::{LogKey, NoteSignature, format_note};

use crate::SandboxError;

/// How a log signs what it says about itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HeadSignature {
    /// As it should.
    #[default]
    Good,
    /// Under the log's name and key hash, of something else. A client sees a signature by the known key that does
    /// not verify.
    Broken,
    /// Under the log's name, by a key that nobody knows. A client sees no signature by the known key.
    Stranger,
}

/// A log's secret key.
#[derive(Clone)]
pub(crate) enum SecretKey {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(Box<p256::ecdsa::SigningKey>),
}

/// Whose hand it is when a log signs as a stranger.
const STRANGER: [u8; 32] = [0x5a; 32];

impl SecretKey {
    pub(crate) fn ed25519(seed: &[u8; 32]) -> Self {
        Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(seed)))
    }

    /// Nearly every seed is a key.
    pub(crate) fn p256(seed: &[u8; 32]) -> Result<Self, SandboxError> {
        p256::ecdsa::SigningKey::from_slice(seed)
            .map(|key| Self::P256(Box::new(key)))
            .map_err(|error| SandboxError::LogKey(error.to_string()))
    }

    /// The public key as a DER SubjectPublicKeyInfo.
    pub(crate) fn spki(&self) -> Result<Vec<u8>, SandboxError> {
        match self {
            Self::Ed25519(key) => key.verifying_key().to_public_key_der(),
            Self::P256(key) => key.verifying_key().to_public_key_der(),
        }
        .map(|document| document.into_vec())
        .map_err(|error| SandboxError::LogKey(error.to_string()))
    }

    /// Ed25519, or ECDSA over SHA-256 in DER.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Self::P256(key) => {
                let signature: DerSignature = key.sign(message);
                signature.as_bytes().to_vec()
            }
        }
    }

    /// A signature as it was told to be; a stranger's is by a key of the same kind.
    pub(crate) fn sign_as(&self, message: &[u8], how: HeadSignature) -> Vec<u8> {
        match how {
            HeadSignature::Good => self.sign(message),
            // Another message's signature: well formed, and wrong.
            HeadSignature::Broken => self.sign(&[message, b"?"].concat()),
            HeadSignature::Stranger => self.stranger().map_or_else(|_| Vec::new(), |key| key.sign(message)),
        }
    }

    fn stranger(&self) -> Result<Self, SandboxError> {
        match self {
            Self::Ed25519(_) => Ok(Self::ed25519(&STRANGER)),
            Self::P256(_) => Self::p256(&STRANGER),
        }
    }
}

/// What signs a log's notes: a key under a name.
#[derive(Clone)]
pub(crate) struct NoteSigner {
    secret: SecretKey,
    key: LogKey,
    name: String,
    stranger_hash: [u8; 4],
}

impl NoteSigner {
    /// `name` is the name on signature lines; the key is known under it.
    pub(crate) fn new(secret: SecretKey, name: &str) -> Result<Self, SandboxError> {
        let key = |secret: &SecretKey| {
            LogKey::from_spki(&secret.spki()?, Some(name)).map_err(|error| SandboxError::LogKey(error.to_string()))
        };
        let stranger_hash = key(&secret.stranger()?)?.note_hash();
        Ok(Self { key: key(&secret)?, secret, name: name.to_owned(), stranger_hash })
    }

    pub(crate) fn key(&self) -> &LogKey {
        &self.key
    }

    pub(crate) fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// The text as a signed note.
    pub(crate) fn note(&self, text: &str, how: HeadSignature) -> String {
        let key_hash = if how == HeadSignature::Stranger { self.stranger_hash } else { self.key.note_hash() };
        let signature = self.secret.sign_as(text.as_bytes(), how);
        format_note(text, &[NoteSignature { name: self.name.clone(), key_hash, signature }])
    }
}
