//! Cosignatures of witnesses (c2sp.org/tlog-cosignature): that this was the largest head of a log that a witness had
//! seen, and consistent with all before it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::key::VerifierKey;
use crate::note::{NoteSignature, SignedNote, is_name};

/// The type byte of an Ed25519 `cosignature/v1` in a note's key id.
const NOTE_TYPE_COSIGNATURE: u8 = 0x04;

/// A witness's public key: Ed25519 for `cosignature/v1`.
#[derive(Clone, Eq, PartialEq)]
pub struct WitnessKey {
    name: String,
    key: VerifyingKey,
    key_hash: [u8; 4],
}

/// Why a witness's key or cosignature was not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CosignatureError {
    /// Not a verifier key of a witness.
    #[error(
        "a witness's verifier key is \"<name>+<hash>+<key>\" of type 4 (Ed25519 cosignature), and its hash is right"
    )]
    BadVerifierKey,
    /// Not a point of the curve, or one under which signatures prove nothing.
    #[error("the witness's public key is not a usable point of its curve")]
    BadPoint,
    /// The line that claims to be by the witness is not a time and a signature.
    #[error("the cosignature is not a time and a signature")]
    Malformed,
    /// The line that claims to be by the witness is not, or is over another text or time.
    #[error("the cosignature does not verify")]
    Invalid,
}

impl WitnessKey {
    /// Reads a verifier key, `<name>+<hash>+<base64 of 0x04 and the raw key>`.
    pub fn from_vkey(vkey: &str) -> Result<Self, CosignatureError> {
        let parsed = VerifierKey::parse(vkey).ok_or(CosignatureError::BadVerifierKey)?;
        let raw = parsed.key.as_slice().try_into().map_err(|_| CosignatureError::BadVerifierKey)?;
        if parsed.kind != NOTE_TYPE_COSIGNATURE {
            return Err(CosignatureError::BadVerifierKey);
        }
        let key = Self::from_raw(parsed.name, raw)?;
        if key.key_hash == parsed.hash { Ok(key) } else { Err(CosignatureError::BadVerifierKey) }
    }

    /// The key of the witness of this name from its 32 bytes.
    pub fn from_raw(name: &str, raw: &[u8; 32]) -> Result<Self, CosignatureError> {
        if !is_name(name) {
            return Err(CosignatureError::BadVerifierKey);
        }
        // Under a point of small order one signature fits many messages.
        let key = VerifyingKey::from_bytes(raw).ok().filter(|key| !key.is_weak()).ok_or(CosignatureError::BadPoint)?;
        Ok(Self { name: name.to_owned(), key_hash: key_hash(name, &key), key })
    }

    /// The witness's name, as on its signature lines.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The verifier key, as policies spell it.
    pub fn to_vkey(&self) -> String {
        let typed = [&[NOTE_TYPE_COSIGNATURE], self.key.as_bytes().as_slice()].concat();
        format!("{}+{}+{}", self.name, hex::encode(self.key_hash), STANDARD.encode(typed))
    }

    pub(crate) fn raw(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// When the witness cosigned the note, in Unix seconds; `None` when it has not. Each line under its name and hash
    /// must verify, and of several times the newest counts.
    pub fn verify(&self, note: &SignedNote) -> Result<Option<i64>, CosignatureError> {
        let mut newest = None;
        for line in note.signatures() {
            if line.name == self.name && line.key_hash == self.key_hash {
                newest = newest.max(Some(self.verify_line(note.text(), &line.signature)?));
            }
        }
        Ok(newest)
    }

    fn verify_line(&self, text: &str, signature: &[u8]) -> Result<i64, CosignatureError> {
        let (time, signature) = signature.split_first_chunk().ok_or(CosignatureError::Malformed)?;
        // SPEC: the time "MUST NOT exceed 2^63 - 1".
        let time = i64::try_from(u64::from_be_bytes(*time)).map_err(|_| CosignatureError::Malformed)?;
        let signature = Signature::from_slice(signature).map_err(|_| CosignatureError::Malformed)?;
        self.key.verify_strict(&message(text, time), &signature).map_err(|_| CosignatureError::Invalid)?;
        Ok(time)
    }
}

impl fmt::Debug for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WitnessKey").field(&self.to_vkey()).finish()
    }
}

/// Cosigns a note's text as the witness of this name, with its Ed25519 seed, at a time in Unix seconds. For witnesses.
pub fn cosign(text: &str, name: &str, seed: &[u8; 32], time: i64) -> NoteSignature {
    let signer = SigningKey::from_bytes(seed);
    let signature = signer.sign(&message(text, time)).to_bytes();
    let signature = [time.to_be_bytes().as_slice(), &signature].concat();
    NoteSignature { name: name.to_owned(), key_hash: key_hash(name, &signer.verifying_key()), signature }
}

fn message(text: &str, time: i64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

fn key_hash(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let id = Sha256::new().chain_update(name).chain_update([b'\n', NOTE_TYPE_COSIGNATURE]).chain_update(key.as_bytes());
    let [a, b, c, d, ..]: [u8; 32] = id.finalize().into();
    [a, b, c, d]
}

#[cfg(test)]
mod tests;
