//! Evidence: what a finding rests on, in one file that anybody can check offline.
//!
//! A file pins the log's public key and carries the bytes that were seen: signed heads word for word, leaves, proofs.
//! [`verify`] reads nothing else, so it says the same on any machine. It prints the key that it was checked against:
//! whoever is handed a file compares that key with the one that they know the log by.
//!
//! A file is *attributable* where what it shows follows from signatures alone, and *observed* where it also rests on
//! the word of whoever wrote it (what was served, and when). Its digest tells of a file that was damaged or edited,
//! not of a forger who makes a new one: against those stand the signatures, and for observed files nothing does.

mod cause;
mod check;
mod proof;
mod wire;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::FindingKind;
use tlog::{HeadFormat, KeyError, LogKey};

pub use cause::{Named, Names};
pub(crate) use check::open_any;
pub use check::{PinnedLog, Verdict};
pub use proof::{Node, Promised, Proof, SeenHead};
pub use wire::{Base64, HexHash, Verbatim};

use crate::config::LogKind;

/// What such a file says that it is.
pub const MEDIA_TYPE: &str = "application/vnd.sealwatch.evidence.v1+json";

/// No file is larger, in bytes.
pub const MAX_FILE_BYTES: usize = 8 << 20;

/// The most bytes of leaves in one file; what is beyond is left out, and the file says so.
pub const MAX_LEAF_BYTES: usize = 4 << 20;

/// A log as findings and evidence name it: enough to open its heads anywhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogDescription {
    /// The origin of its checkpoints; of a CT log its base URL without scheme.
    pub origin: String,
    /// How it is read.
    pub kind: LogKind,
    /// How it presents its signed head.
    pub format: HeadFormat,
    /// Its pinned key: DER SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    /// The name that the key signs under, where it has one: the id of an Ed25519 key depends on it.
    pub key_name: Option<String>,
}

impl LogDescription {
    /// Describes a log by its pinned key.
    pub fn new(origin: impl Into<String>, kind: LogKind, key: &LogKey) -> Self {
        Self {
            origin: origin.into(),
            kind,
            format: head_format(kind),
            public_key: key.spki().to_vec(),
            key_name: key.name().map(str::to_owned),
        }
    }

    /// The key to open its heads with.
    pub fn key(&self) -> Result<LogKey, KeyError> {
        LogKey::from_spki(&self.public_key, self.key_name.as_deref())
    }
}

/// How logs of a kind present their signed heads.
pub fn head_format(kind: LogKind) -> HeadFormat {
    match kind {
        LogKind::RekorV2 | LogKind::RekorV1 => HeadFormat::Checkpoint,
        LogKind::StaticCt => HeadFormat::StaticCt,
        LogKind::Rfc6962 => HeadFormat::TreeHead,
    }
}

/// One evidence file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// [`MEDIA_TYPE`].
    pub media_type: String,
    /// The kind of finding, as the store writes it.
    pub kind: String,
    /// The finding's title.
    pub title: String,
    /// When it was found, in unix milliseconds, by the clock of whoever wrote this.
    pub at: i64,
    /// Who wrote it: `sealwatch` and its version.
    pub written_by: String,
    /// The log that it is about, with its pinned key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<EvidenceLog>,
    /// What is shown.
    pub proof: Proof,
    /// What is said beside it: the word of whoever wrote this, with nothing to check it by.
    pub claims: BTreeMap<String, String>,
    /// What is shown follows from signatures alone.
    pub attributable: bool,
    /// SHA-256 of this file as compact JSON with an empty string here, in hex.
    pub sha256: String,
}

/// The log of an evidence file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceLog {
    /// Its origin.
    pub origin: String,
    /// How it is read: `rekor_v2`, `rekor_v1`, `ct_rfc6962` or `ct_static`.
    pub kind: String,
    /// Its key, DER SubjectPublicKeyInfo.
    pub public_key: Base64,
    /// The name that the key signs under, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
}

/// Why bytes are no evidence file at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Larger than any that we write.
    #[error("an evidence file has at most {MAX_FILE_BYTES} bytes, not {0}")]
    TooLarge(usize),
    /// Not the JSON of an evidence file.
    #[error("not an evidence file: {0}")]
    Json(#[from] serde_json::Error),
    /// Something else, or a later version.
    #[error("the file is of type {0:?}, not {MEDIA_TYPE:?}")]
    MediaType(String),
    /// The content is not what was written.
    #[error("the file was altered: its content does not have the digest that it names")]
    Altered,
    /// The same content in other bytes than we write.
    #[error("the file was altered: it is not laid out as it was written")]
    Layout,
    /// A kind of finding or log that this build does not know.
    #[error("the file names an unknown {what} {word:?}; a later sealwatch may know it")]
    Unknown {
        /// What kind of word.
        what: &'static str,
        /// The word.
        word: String,
    },
    /// The pinned key is no key.
    #[error("the file's log key cannot be used: {0}")]
    Key(#[from] KeyError),
}

impl Evidence {
    /// Evidence of `kind`; says itself whether it is attributable.
    pub(crate) fn new(
        kind: FindingKind,
        title: &str,
        log: Option<&LogDescription>,
        proof: Proof,
        claims: BTreeMap<String, String>,
        at: i64,
    ) -> Self {
        let mut evidence = Self {
            media_type: MEDIA_TYPE.to_owned(),
            kind: kind.as_str().to_owned(),
            title: title.to_owned(),
            at,
            written_by: concat!("sealwatch ", env!("CARGO_PKG_VERSION")).to_owned(),
            log: log.map(EvidenceLog::from),
            proof,
            claims,
            attributable: false,
            sha256: String::new(),
        };
        evidence.attributable = check::check(&evidence).is_ok_and(|verdict| verdict.holds && verdict.attributable);
        evidence.sha256 = evidence.digest();
        evidence
    }

    /// The file's bytes; `None` where they would be more than [`MAX_FILE_BYTES`].
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self).ok()?;
        bytes.push(b'\n');
        (bytes.len() <= MAX_FILE_BYTES).then_some(bytes)
    }

    /// Reads a file, and refuses one that is not byte for byte as it was written (spaces at its end aside).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(EvidenceError::TooLarge(bytes.len()));
        }
        let evidence: Self = serde_json::from_slice(bytes)?;
        if evidence.media_type != MEDIA_TYPE {
            return Err(EvidenceError::MediaType(evidence.media_type));
        }
        if evidence.digest() != evidence.sha256 {
            return Err(EvidenceError::Altered);
        }
        let written = evidence.to_bytes().ok_or(EvidenceError::TooLarge(bytes.len()))?;
        if written.trim_ascii_end() != bytes.trim_ascii_end() {
            return Err(EvidenceError::Layout);
        }
        Ok(evidence)
    }

    fn digest(&self) -> String {
        let unsealed = Self { sha256: String::new(), ..self.clone() };
        // Strings, numbers and lists always have a JSON form.
        hex::encode(Sha256::digest(serde_json::to_vec(&unsealed).unwrap_or_default()))
    }
}

impl EvidenceLog {
    /// The log, with a key that can be used.
    fn describe(&self) -> Result<(LogDescription, LogKey), EvidenceError> {
        let kinds = [LogKind::RekorV2, LogKind::RekorV1, LogKind::Rfc6962, LogKind::StaticCt];
        let kind = kinds.into_iter().find(|kind| kind.as_str() == self.kind);
        let kind = kind.ok_or_else(|| EvidenceError::Unknown { what: "kind of log", word: self.kind.clone() })?;
        let key = LogKey::from_spki(&self.public_key.0, self.key_name.as_deref())?;
        Ok((LogDescription::new(self.origin.clone(), kind, &key), key))
    }
}

impl From<&LogDescription> for EvidenceLog {
    fn from(log: &LogDescription) -> Self {
        Self {
            origin: log.origin.clone(),
            kind: log.kind.as_str().to_owned(),
            public_key: Base64(log.public_key.clone()),
            key_name: log.key_name.clone(),
        }
    }
}

/// Checks an evidence file by itself: offline, pure, the same verdict anywhere.
///
/// An error says that the bytes are no intact evidence file; [`Verdict::holds`] says whether what it carries shows
/// what it says.
pub fn verify(bytes: &[u8]) -> Result<Verdict, EvidenceError> {
    check::check(&Evidence::from_bytes(bytes)?)
}

#[cfg(test)]
mod tests;
