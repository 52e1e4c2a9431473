//! The Sigstore bundle: a signature with everything needed to check it offline.
use crate::dsse::{Envelope, EnvelopeError};
use crate::json::{self, Capped, Json};
use crate::log_entry::{EntryJson, LogEntry, LogEntryError};
use crate::protojson::Base64;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The media type that we write.
pub const BUNDLE_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The media types that we read besides: the older spelling of 0.3, and what came before.
const OLDER_MEDIA_TYPES: [&str; 3] = [
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    VERSION_0_1,
];
/// The only version whose log entries need no inclusion proof.
const VERSION_0_1: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";
/// Whoever can push a referrer can make a reader work: these are the limits of Sigstore's own verifier.
pub(crate) const MAX_ENTRIES: usize = 32;
/// See [`MAX_ENTRIES`].
pub(crate) const MAX_TIMESTAMPS: usize = 32;
/// Of a chain only the first certificate is used.
const MAX_CERTIFICATES: usize = 1;

/// A signature, with its log entries and timestamps. Parsing verifies nothing: see [`crate::verify::verify_bundle`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bundle {
    /// Whose signature it claims to be.
    pub key: VerificationKey,
    /// The log entries.
    pub entries: Vec<LogEntry>,
    /// RFC 3161 responses, DER.
    pub timestamps: Vec<Vec<u8>>,
    /// What was signed, and the signature.
    pub content: BundleContent,
}

/// Whose signature a bundle claims to carry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VerificationKey {
    /// A hint at a key that the verifier must already have; cosign writes the base64 SHA-256 of its SPKI.
    Hint(String),
    /// A signing certificate, DER.
    Certificate(Vec<u8>),
}

/// What a bundle's signature covers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BundleContent {
    /// An envelope around a statement.
    Dsse(Envelope),
    /// A signature over an artifact's digest.
    Message {
        /// The digest's algorithm, as in the bundle (`SHA2_256`), empty when the bundle left it out.
        algorithm: String,
        /// The artifact's digest; a claim that the verifier must compare.
        digest: Vec<u8>,
        /// The signature.
        signature: Vec<u8>,
    },
}

impl BundleContent {
    /// The signature bytes, if there is exactly one signature.
    pub fn signature(&self) -> Option<&[u8]> {
        match self {
            BundleContent::Dsse(envelope) => match envelope.signatures.as_slice() {
                [one] => Some(&one.signature),
                _ => None,
            },
            BundleContent::Message { signature, .. } => Some(signature),
        }
    }
}

/// Why bytes are not a bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Not JSON, or JSON that two readers may read differently.
    #[error("bundle is {0}")]
    Ambiguous(#[from] json::JsonError),
    /// Not the JSON that we know.
    #[error("bundle is not valid JSON of its kind: {0}")]
    Json(#[from] serde_json::Error),
    /// The envelope is malformed.
    #[error("bundle holds {0}")]
    Envelope(#[from] EnvelopeError),
    /// A media type that we do not read.
    #[error("media type {0:?} is not a sigstore bundle of version 0.1 to 0.3")]
    MediaType(String),
    /// The verification material names no key, or several.
    #[error("bundle must name one key: a public key hint or a certificate")]
    Key,
    /// Neither or both kinds of content.
    #[error("bundle must hold either an envelope or a message signature")]
    Content,
    /// A log entry is malformed.
    #[error("bundle's {0}")]
    Entry(#[from] LogEntryError),
    /// The log entries have only the log's promise. Sigstore's own verifier refuses such a bundle.
    #[error("bundle's log entries have no inclusion proof, which every version but 0.1 needs")]
    NoInclusionProof,
    /// More of something than a verifier should look at.
    #[error("bundle holds {count} {what}, more than {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
}

impl Bundle {
    /// Reads a bundle of version 0.1, 0.2 or 0.3.
    pub fn parse(bytes: &[u8]) -> Result<Bundle, BundleError> {
        let document = Json::parse(bytes)?;
        let json = document.read::<BundleJson<&RawValue>>()?;
        if json.media_type != BUNDLE_MEDIA_TYPE && !OLDER_MEDIA_TYPES.contains(&json.media_type.as_str()) {
            return Err(BundleError::MediaType(json.media_type.chars().take(100).collect()));
        }
        let material = json.verification_material;
        let key = match (material.public_key, material.certificate, material.x509_certificate_chain) {
            (Some(key), None, None) => VerificationKey::Hint(key.hint),
            (None, Some(certificate), None) => VerificationKey::Certificate(certificate.raw_bytes.0),
            (None, None, Some(chain)) => {
                let leaf = chain.certificates.items.into_iter().next();
                VerificationKey::Certificate(leaf.ok_or(BundleError::Key)?.raw_bytes.0)
            }
            _ => return Err(BundleError::Key),
        };
        let entries = material.tlog_entries.unwrap_or_default();
        at_most("log entries", entries.count, MAX_ENTRIES)?;
        let entries = entries.items.into_iter().map(LogEntry::try_from).collect::<Result<Vec<_>, _>>()?;
        let unproved = !entries.is_empty() && entries.iter().all(|entry| entry.proof.is_none());
        if unproved && json.media_type != VERSION_0_1 {
            return Err(BundleError::NoInclusionProof);
        }
        let timestamps =
            material.timestamp_verification_data.and_then(|data| data.rfc3161_timestamps).unwrap_or_default();
        at_most("timestamps", timestamps.count, MAX_TIMESTAMPS)?;
        let content = match (json.dsse_envelope, json.message_signature) {
            (Some(envelope), None) => BundleContent::Dsse(Envelope::from_view(Json::of(envelope))?),
            (None, Some(message)) => {
                let digest = message.message_digest.unwrap_or_default();
                BundleContent::Message {
                    algorithm: digest.algorithm,
                    digest: digest.digest.0,
                    signature: message.signature.0,
                }
            }
            _ => return Err(BundleError::Content),
        };
        Ok(Bundle {
            key,
            entries,
            timestamps: timestamps.items.into_iter().map(|t| t.signed_timestamp.0).collect(),
            content,
        })
    }

    /// The bundle as version 0.3, its fields in the order in which cosign writes them.
    pub fn to_json(&self) -> Vec<u8> {
        let (public_key, certificate) = match &self.key {
            VerificationKey::Hint(hint) => (Some(HintJson { hint: hint.clone() }), None),
            VerificationKey::Certificate(der) => (None, Some(RawBytesJson::new(der))),
        };
        let (dsse_envelope, message_signature) = match &self.content {
            BundleContent::Dsse(envelope) => (Some(envelope), None),
            BundleContent::Message { algorithm, digest, signature } => (
                None,
                Some(MessageJson {
                    message_digest: Some(MessageDigestJson {
                        algorithm: algorithm.clone(),
                        digest: Base64(digest.clone()),
                    }),
                    signature: Base64(signature.clone()),
                }),
            ),
        };
        let json = BundleJson::<&Envelope> {
            media_type: BUNDLE_MEDIA_TYPE.to_owned(),
            verification_material: MaterialJson {
                public_key,
                certificate,
                x509_certificate_chain: None,
                // Go leaves empty lists out.
                tlog_entries: (!self.entries.is_empty())
                    .then(|| self.entries.iter().map(EntryJson::from).collect::<Vec<_>>().into()),
                timestamp_verification_data: (!self.timestamps.is_empty()).then(|| TimestampsJson {
                    rfc3161_timestamps: Some(
                        self.timestamps
                            .iter()
                            .map(|response| TimestampJson { signed_timestamp: Base64(response.clone()) })
                            .collect::<Vec<_>>()
                            .into(),
                    ),
                }),
            },
            message_signature,
            dsse_envelope,
        };
        serde_json::to_vec(&json).unwrap_or_default()
    }
}

fn at_most(what: &'static str, count: usize, limit: usize) -> Result<(), BundleError> {
    if count > limit {
        return Err(BundleError::TooMany { what, count, limit });
    }
    Ok(())
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct BundleJson<E> {
    media_type: String,
    verification_material: MaterialJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_signature: Option<MessageJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<E>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct MaterialJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<HintJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<RawBytesJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x509_certificate_chain: Option<ChainJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tlog_entries: Option<Capped<EntryJson, MAX_ENTRIES>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_verification_data: Option<TimestampsJson>,
}

#[derive(Deserialize, Serialize)]
struct HintJson {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RawBytesJson {
    raw_bytes: Base64,
}

impl RawBytesJson {
    fn new(der: &[u8]) -> RawBytesJson {
        RawBytesJson { raw_bytes: Base64(der.to_vec()) }
    }
}

#[derive(Deserialize, Serialize)]
struct ChainJson {
    certificates: Capped<RawBytesJson, MAX_CERTIFICATES>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct TimestampsJson {
    rfc3161_timestamps: Option<Capped<TimestampJson, MAX_TIMESTAMPS>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct TimestampJson {
    signed_timestamp: Base64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    message_digest: Option<MessageDigestJson>,
    signature: Base64,
}

#[derive(Default, Deserialize, Serialize)]
struct MessageDigestJson {
    #[serde(default)]
    algorithm: String,
    #[serde(default)]
    digest: Base64,
}

#[cfg(test)]
mod tests;
