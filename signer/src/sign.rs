//! A digest and a key in, signature bytes out. Nothing leaves this machine but what a remote key backend must hash.

use bundle::dsse::{IN_TOTO_PAYLOAD_TYPE, pae};
use bundle::entry::NewEntry;
use bundle::{Envelope, Format, HashAlgorithm, ImageReference, PublicKey, simple_signing, statement};

use crate::error::SignError;
use crate::key::KeyBackend;

/// What is to be signed.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The image. A signature is about its digest alone.
    pub image: &'a ImageReference,
    /// The name that a legacy payload carries: registry and repository, unless a rule says otherwise. Podman compares
    /// it with the name that is pulled.
    pub docker_reference: String,
}

/// A signature, and the bytes that it covers. Nothing of it is public yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signed {
    /// The format that it was made for.
    pub format: Format,
    /// The statement, or the simple-signing payload.
    pub payload: Vec<u8>,
    /// The bytes that the key signed: the envelope's pre-authentication encoding, or the payload itself.
    pub message: Vec<u8>,
    /// The hash of `message`, by which the log and the ledger know the signature.
    pub signed_digest: Vec<u8>,
    /// The signature: ECDSA in DER with low s, RSA PKCS#1 v1.5, or Ed25519.
    pub signature: Vec<u8>,
}

/// Signs one image in one format.
///
/// Not safe to repeat for every key: an RSA or deterministic ECDSA key gives the same bytes again, others do not. The
/// caller records what comes back before anything else sees it.
pub async fn sign(key: &dyn KeyBackend, subject: &Subject<'_>, format: Format) -> Result<Signed, SignError> {
    let payload = match format {
        Format::Bundle => statement::statement(&subject.image.digest),
        Format::Legacy => simple_signing::payload(&subject.docker_reference, &subject.image.digest),
    };
    let message = message(format, &payload);
    let signature = key.sign(&message, hash(format, key.public_key())).await?;
    Ok(Signed::from_ledger(format, payload, signature, key.public_key()))
}

impl Signed {
    /// The same value again, from what the ledger keeps of it.
    pub fn from_ledger(format: Format, payload: Vec<u8>, signature: Vec<u8>, key: &PublicKey) -> Signed {
        let message = message(format, &payload);
        let signed_digest = hash(format, key).digest(&message);
        Signed { format, payload, message, signed_digest, signature }
    }

    /// The envelope of a bundle; a legacy signature has none.
    pub fn envelope(&self) -> Option<Envelope> {
        match self.format {
            Format::Bundle => Some(Envelope::in_toto(self.payload.clone(), self.signature.clone())),
            Format::Legacy => None,
        }
    }

    /// What a log is asked to take in for it.
    pub fn new_entry(&self, key: &PublicKey) -> NewEntry {
        NewEntry {
            format: self.format,
            message: self.message.clone(),
            envelope: self.envelope(),
            signature: self.signature.clone(),
            key: key.clone(),
            hash: hash(self.format, key),
        }
    }
}

fn message(format: Format, payload: &[u8]) -> Vec<u8> {
    match format {
        Format::Bundle => pae(IN_TOTO_PAYLOAD_TYPE, payload),
        Format::Legacy => payload.to_vec(),
    }
}

/// A bundle hashes as its key's kind asks; every reader of the legacy format takes SHA-256 for granted.
fn hash(format: Format, key: &PublicKey) -> HashAlgorithm {
    match format {
        Format::Bundle => key.bundle_hash(),
        Format::Legacy => HashAlgorithm::Sha256,
    }
}
