//! The legacy form of a signature: one layer of a simple-signing image, its proofs in annotations.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::dsse::{decode_as_go, decode_base64};
use crate::json::{self, Json};
use crate::log_entry::LogEntry;
use crate::oci::{Descriptor, Manifest, media_type};

mod image;

pub use image::{LegacyImage, legacy_image};

/// Holds the signature, in base64.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// Holds the certificate of a keyless signature, in PEM.
pub const CERTIFICATE_ANNOTATION: &str = "dev.sigstore.cosign/certificate";
/// Holds the certificate's chain, in PEM.
pub const CHAIN_ANNOTATION: &str = "dev.sigstore.cosign/chain";
/// Holds Rekor v1's signed entry timestamp and what it is over.
pub const BUNDLE_ANNOTATION: &str = "dev.sigstore.cosign/bundle";
/// Holds an RFC 3161 timestamp.
pub const TIMESTAMP_ANNOTATION: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// Readers stop after this many layers.
pub const MAX_LAYERS: usize = 1000;

/// A payload and what its layer's annotations say: the signature and its proofs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LegacySignature {
    /// The simple-signing payload: the layer's content.
    pub payload: Vec<u8>,
    /// The annotations of the layer's descriptor.
    pub annotations: BTreeMap<String, String>,
}

/// What the bundle annotation holds: Rekor v1's promise that it has logged the entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RekorBundle {
    /// The canonical body of the entry.
    pub body: Vec<u8>,
    /// When the log took it, in unix seconds.
    pub integrated_time: i64,
    /// Its index, counted over all shards.
    pub log_index: u64,
    /// Which log: the SHA-256 of its key.
    pub log_id: [u8; 32],
    /// The log's signature over the four above.
    pub set: Vec<u8>,
}

/// Why a legacy signature cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum LegacyError {
    /// Not JSON, or JSON with a repeated key.
    #[error(transparent)]
    Json(#[from] json::JsonError),
    /// An annotation is missing or is not what it should be.
    #[error("the annotation {annotation}: {reason}")]
    Annotation {
        /// Which one.
        annotation: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The blob is not the one that the layer names.
    #[error("the payload has the digest {found}, the layer says {expected}")]
    WrongPayload {
        /// What the layer says.
        expected: Digest,
        /// What the blob has.
        found: Digest,
    },
    /// The entry has no signed entry timestamp: it is of a Rekor v2 log.
    #[error(
        "the legacy format needs a signed entry timestamp and rekor v2 gives none; \
         use the bundle format or legacy_without_proof"
    )]
    NoSignedEntryTimestamp,
    /// The ledger's form of a signature is damaged.
    #[error("a stored legacy signature needs {0}")]
    Stored(&'static str),
}

impl LegacySignature {
    /// A signature over a payload, without proofs.
    pub fn new(payload: Vec<u8>, signature: &[u8]) -> Self {
        let annotation = (SIGNATURE_ANNOTATION.to_owned(), STANDARD.encode(signature));
        Self { payload, annotations: BTreeMap::from([annotation]) }
    }

    /// The signature that a layer describes, given the layer's blob.
    pub fn from_layer(layer: &Descriptor, payload: Vec<u8>) -> Result<Self, LegacyError> {
        let found = Digest::of(&payload);
        if found != layer.digest {
            return Err(LegacyError::WrongPayload { expected: layer.digest, found });
        }
        Ok(Self { payload, annotations: layer.annotations.clone() })
    }

    /// With the log's promise. Only Rekor v1 gives one.
    pub fn with_rekor_v1(self, entry: &LogEntry) -> Result<Self, LegacyError> {
        Ok(self.with_rekor_bundle(&RekorBundle::from_entry(entry)?))
    }

    /// With the log's promise, already in this form.
    pub fn with_rekor_bundle(mut self, bundle: &RekorBundle) -> Self {
        self.annotations.insert(BUNDLE_ANNOTATION.to_owned(), bundle.to_annotation());
        self
    }

    /// With an RFC 3161 timestamp over the signature: the whole response, in DER.
    pub fn with_timestamp(mut self, response: &[u8]) -> Self {
        let value = format!("{{\"SignedRFC3161Timestamp\":\"{}\"}}", STANDARD.encode(response));
        self.annotations.insert(TIMESTAMP_ANNOTATION.to_owned(), value);
        self
    }

    /// The layer's descriptor.
    pub fn layer(&self) -> Descriptor {
        Descriptor {
            annotations: self.annotations.clone(),
            ..Descriptor::of(media_type::SIMPLE_SIGNING, &self.payload)
        }
    }

    /// The signature's bytes.
    pub fn signature(&self) -> Result<Vec<u8>, LegacyError> {
        let annotation = SIGNATURE_ANNOTATION;
        let text =
            self.annotations.get(annotation).ok_or(LegacyError::Annotation { annotation, reason: "is missing" })?;
        decode_as_go(text).ok_or(LegacyError::Annotation { annotation, reason: "is not base64" })
    }

    /// The log's promise, if there is one.
    pub fn rekor_bundle(&self) -> Result<Option<RekorBundle>, LegacyError> {
        self.annotations
            .get(BUNDLE_ANNOTATION)
            .filter(|text| !text.is_empty())
            .map(|text| RekorBundle::parse(text))
            .transpose()
    }

    /// The RFC 3161 timestamp, if there is one.
    pub fn timestamp(&self) -> Result<Option<Vec<u8>>, LegacyError> {
        let annotation = TIMESTAMP_ANNOTATION;
        let Some(text) = self.annotations.get(annotation).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        Json::parse(text.as_bytes())?
            .get("SignedRFC3161Timestamp")
            .and_then(Json::text)
            .and_then(|text| decode_base64(&text))
            .map(Some)
            .ok_or(LegacyError::Annotation { annotation, reason: "holds no timestamp" })
    }

    /// The certificate's PEM, if the signature was made without a long-lived key.
    pub fn certificate(&self) -> Option<&str> {
        self.annotations.get(CERTIFICATE_ANNOTATION).map(String::as_str).filter(|pem| !pem.is_empty())
    }

    /// The form that the ledger keeps.
    pub fn to_json(&self) -> Vec<u8> {
        let stored = Stored { payload: STANDARD.encode(&self.payload), annotations: self.annotations.clone() };
        // Unwrap safety: strings and a map of strings always serialize.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Reads what [`Self::to_json`] wrote.
    pub fn from_json(bytes: &[u8]) -> Result<Self, LegacyError> {
        let stored: Stored =
            Json::parse(bytes)?.read().map_err(|_| LegacyError::Stored("a payload and annotations"))?;
        let payload = STANDARD.decode(&stored.payload).map_err(|_| LegacyError::Stored("a payload in base64"))?;
        Ok(Self { payload, annotations: stored.annotations })
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    payload: String,
    annotations: BTreeMap<String, String>,
}

impl RekorBundle {
    /// What an entry of a Rekor v1 log promises.
    pub fn from_entry(entry: &LogEntry) -> Result<Self, LegacyError> {
        let (Some(set), Some(integrated_time)) = (&entry.set, entry.integrated_time) else {
            return Err(LegacyError::NoSignedEntryTimestamp);
        };
        Ok(Self {
            body: entry.body.clone(),
            integrated_time,
            log_index: entry.log_index,
            log_id: entry.log_id,
            set: set.clone(),
        })
    }

    /// The annotation's value, as cosign writes it.
    pub fn to_annotation(&self) -> String {
        format!(
            "{{\"SignedEntryTimestamp\":\"{}\",\"Payload\":{{\"body\":\"{}\",\
             \"integratedTime\":{},\"logIndex\":{},\"logID\":\"{}\"}}}}",
            STANDARD.encode(&self.set),
            STANDARD.encode(&self.body),
            self.integrated_time,
            self.log_index,
            hex::encode(self.log_id),
        )
    }

    /// Reads the annotation's value.
    pub fn parse(text: &str) -> Result<Self, LegacyError> {
        Self::read(Json::parse(text.as_bytes())?).ok_or(LegacyError::Annotation {
            annotation: BUNDLE_ANNOTATION,
            reason: "is no signed entry timestamp with its payload",
        })
    }

    fn read(value: Json<'_>) -> Option<Self> {
        let promise = value.fields(["SignedEntryTimestamp", "Payload"])?;
        let payload = promise.get("Payload")?.fields(["body", "integratedTime", "logIndex", "logID"])?;
        let mut log_id = [0; 32];
        hex::decode_to_slice(payload.get("logID")?.text()?.as_bytes(), &mut log_id).ok()?;
        Some(Self {
            body: STANDARD.decode(payload.get("body")?.text()?.as_bytes()).ok()?,
            integrated_time: payload.get("integratedTime")?.as_i64()?,
            log_index: payload.get("logIndex")?.as_u64()?,
            log_id,
            set: decode_as_go(&promise.get("SignedEntryTimestamp")?.text()?)?,
        })
    }
}

/// The layers that hold simple-signing payloads, at most [`MAX_LAYERS`] as other readers do.
pub fn layers(manifest: &Manifest) -> Vec<Descriptor> {
    manifest
        .layers
        .iter()
        .filter(|layer| layer.media_type == media_type::SIMPLE_SIGNING)
        .take(MAX_LAYERS)
        .filter_map(Descriptor::fetchable)
        .collect()
}

#[cfg(test)]
mod tests;
