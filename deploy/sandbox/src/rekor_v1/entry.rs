//! Proposed entries of Rekor v1, checked as the log checks them, and the canonical bodies that they become.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::{Decode as _, Document, Encode as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;

use crate::log::entry::verifies;

/// What a client posts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proposed<'a> {
    api_version: String,
    kind: String,
    #[serde(borrow)]
    spec: &'a RawValue,
}

/// `hashedrekord`. The order of the fields, here and below, is the order of their names: a body is canonical JSON.
#[derive(Deserialize, Serialize)]
struct HashedRekord {
    data: Data,
    signature: Signature,
}

#[derive(Deserialize, Serialize)]
struct Data {
    hash: HashValue,
}

#[derive(Deserialize, Serialize)]
struct HashValue {
    #[serde(default = "sha256")]
    algorithm: String,
    value: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    content: String,
    public_key: Content,
}

#[derive(Deserialize, Serialize)]
struct Content {
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProposedDsse {
    proposed_content: ProposedContent,
}

#[derive(Deserialize)]
struct ProposedContent {
    envelope: String,
    verifiers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dsse {
    envelope_hash: HashValue,
    payload_hash: HashValue,
    signatures: Vec<DsseSignature>,
}

#[derive(Serialize)]
struct DsseSignature {
    signature: String,
    verifier: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a, S> {
    api_version: &'a str,
    kind: &'a str,
    spec: S,
}

/// What the log has against an entry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntryError {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("entry kind '{0}' version '{1}' is not supported here")]
    Kind(String, String),
    #[error("{0} is not base64")]
    Base64(&'static str),
    #[error("the hash is not one of its algorithm")]
    Hash,
    #[error("the key cannot be read")]
    Key,
    #[error("the signature does not verify")]
    Signature,
}

/// The canonical body of a proposed entry whose signatures verify.
pub(crate) fn canonical(proposed: &[u8]) -> Result<Vec<u8>, EntryError> {
    let Proposed { api_version, kind, spec } = serde_json::from_slice(proposed)?;
    match (kind.as_str(), api_version.as_str()) {
        ("hashedrekord", "0.0.1") => {
            let spec: HashedRekord = serde_json::from_str(spec.get())?;
            hashed_rekord(&spec)?;
            Ok(serde_json::to_vec(&Body { api_version: "0.0.1", kind: "hashedrekord", spec })?)
        }
        ("dsse", "0.0.1") => {
            let spec = dsse(serde_json::from_str(spec.get())?)?;
            Ok(serde_json::to_vec(&Body { api_version: "0.0.1", kind: "dsse", spec })?)
        }
        _ => Err(EntryError::Kind(kind, api_version)),
    }
}

fn hashed_rekord(spec: &HashedRekord) -> Result<(), EntryError> {
    let hash = &spec.data.hash;
    let value = hex::decode(&hash.value).map_err(|_| EntryError::Hash)?;
    let algorithm = match hash.algorithm.as_str() {
        "sha256" => &digest::SHA256,
        "sha384" => &digest::SHA384,
        "sha512" => &digest::SHA512,
        _ => return Err(EntryError::Hash),
    };
    let spki = spki(&spec.signature.public_key.content)?;
    let signature = decoded(&spec.signature.content, "the signature")?;
    if verifies(&spki, algorithm, &value, &signature) { Ok(()) } else { Err(EntryError::Signature) }
}

fn dsse(spec: ProposedDsse) -> Result<Dsse, EntryError> {
    let ProposedContent { envelope: text, verifiers } = spec.proposed_content;
    let envelope: Envelope = serde_json::from_str(&text)?;
    let payload = decoded(&envelope.payload, "the payload")?;
    // SPEC: DSSE's pre-authentication encoding.
    let (kind, length) = (&envelope.payload_type, payload.len());
    let signed = [format!("DSSEv1 {} {kind} {length} ", kind.len()).as_bytes(), &payload].concat();
    let signed = digest::digest(&digest::SHA256, &signed);
    let keys = verifiers.iter().map(|verifier| spki(verifier)).collect::<Result<Vec<_>, _>>()?;
    let mut signatures = Vec::new();
    for EnvelopeSignature { sig } in envelope.signatures {
        let signature = decoded(&sig, "a signature")?;
        let by = keys.iter().position(|key| verifies(key, &digest::SHA256, signed.as_ref(), &signature));
        let verifier = by.and_then(|at| verifiers.get(at)).ok_or(EntryError::Signature)?.clone();
        signatures.push(DsseSignature { signature: sig, verifier });
    }
    if signatures.is_empty() {
        return Err(EntryError::Signature);
    }
    let hash = |bytes: &[u8]| HashValue { algorithm: sha256(), value: hex::encode(Sha256::digest(bytes)) };
    Ok(Dsse { envelope_hash: hash(text.as_bytes()), payload_hash: hash(&payload), signatures })
}

/// The key in the base64 of a PEM public key or certificate.
fn spki(base64: &str) -> Result<Vec<u8>, EntryError> {
    let pem = decoded(base64, "the public key")?;
    let pem = std::str::from_utf8(&pem).map_err(|_| EntryError::Key)?;
    let (label, document) = Document::from_pem(pem).map_err(|_| EntryError::Key)?;
    match label {
        "PUBLIC KEY" => Ok(document.as_bytes().to_vec()),
        "CERTIFICATE" => Certificate::from_der(document.as_bytes())
            .and_then(|certificate| certificate.tbs_certificate().subject_public_key_info().to_der())
            .map_err(|_| EntryError::Key),
        _ => Err(EntryError::Key),
    }
}

fn decoded(base64: &str, name: &'static str) -> Result<Vec<u8>, EntryError> {
    STANDARD.decode(base64).map_err(|_| EntryError::Base64(name))
}

fn sha256() -> String {
    "sha256".to_owned()
}
