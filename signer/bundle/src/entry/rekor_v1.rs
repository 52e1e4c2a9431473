//! Rekor v1's bodies and requests: `hashedrekord` 0.0.1 and `dsse` 0.0.1.
use super::{EntryBody, EntryError, LoggedHash, NewEntry, Verifier};
use crate::digest::Digest;
use crate::dsse::Envelope;
use crate::json::{Capped, Json};
use crate::protojson::Base64;
use crate::public_key::PublicKey;
use serde::{Deserialize, Serialize};

/// An envelope with more signatures is refused as well.
const MAX_SIGNATURES: usize = 64;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<S> {
    api_version: String,
    kind: String,
    spec: S,
}

impl<S> Entry<S> {
    fn new(kind: &str, spec: S) -> Entry<S> {
        Entry { api_version: "0.0.1".to_owned(), kind: kind.to_owned(), spec }
    }
}

#[derive(Deserialize, Serialize)]
struct HashedRekord {
    data: Data,
    signature: Signature,
}

#[derive(Deserialize, Serialize)]
struct Data {
    hash: HashJson,
}

#[derive(Deserialize, Serialize)]
struct HashJson {
    algorithm: String,
    value: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    content: Base64,
    public_key: Material,
}

#[derive(Deserialize, Serialize)]
struct Material {
    content: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dsse {
    envelope_hash: HashJson,
    payload_hash: HashJson,
    signatures: Capped<DsseSignature, MAX_SIGNATURES>,
}

#[derive(Deserialize)]
struct DsseSignature {
    signature: Base64,
    verifier: Base64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DsseProposal {
    proposed_content: Proposed,
}

#[derive(Serialize)]
struct Proposed {
    envelope: String,
    verifiers: [Base64; 1],
}

pub(super) fn parse_hashedrekord(value: Json<'_>) -> Result<EntryBody, EntryError> {
    let entry = value.read::<Entry<HashedRekord>>()?;
    let (hash, digest) = digest_of(&entry.spec.data.hash)?;
    Ok(EntryBody::HashedRekordV1 {
        hash,
        digest,
        signature: entry.spec.signature.content.0,
        verifier: verifier(&entry.spec.signature.public_key.content.0),
    })
}

pub(super) fn parse_dsse(value: Json<'_>) -> Result<EntryBody, EntryError> {
    let spec = value.read::<Entry<Dsse>>()?.spec;
    let signatures = spec.signatures.all().ok_or(EntryError::Field("number of signatures"))?;
    Ok(EntryBody::DsseV1 {
        payload_hash: sha256_of(&spec.payload_hash)?,
        envelope_hash: sha256_of(&spec.envelope_hash)?,
        signatures: signatures.into_iter().map(|s| (s.signature.0, verifier(&s.verifier.0))).collect(),
    })
}

/// The request and, but for the order of writing, the canonical body: Rekor keeps what it was given.
pub(super) fn hashedrekord(entry: &NewEntry) -> Result<Vec<u8>, EntryError> {
    let spec = HashedRekord {
        data: Data {
            hash: HashJson { algorithm: entry.hash.as_str().to_owned(), value: hex::encode(entry.signed_digest()) },
        },
        signature: Signature {
            content: Base64(entry.signature.clone()),
            public_key: Material { content: Base64(entry.key.pem().into_bytes()) },
        },
    };
    Ok(serde_json::to_vec(&Entry::new("hashedrekord", spec))?)
}

pub(super) fn dsse_request(envelope: &Envelope, key: &PublicKey) -> Result<Vec<u8>, EntryError> {
    let envelope = String::from_utf8(envelope.to_json()).map_err(|_| EntryError::Field("envelope"))?;
    let spec = DsseProposal { proposed_content: Proposed { envelope, verifiers: [Base64(key.pem().into_bytes())] } };
    Ok(serde_json::to_vec(&Entry::new("dsse", spec))?)
}

fn digest_of(hash: &HashJson) -> Result<(LoggedHash, Vec<u8>), EntryError> {
    let algorithm = match hash.algorithm.as_str() {
        "sha256" => LoggedHash::Sha256,
        "sha384" => LoggedHash::Sha384,
        "sha512" => LoggedHash::Sha512,
        _ => return Err(EntryError::Field("hash algorithm")),
    };
    let digest = hex::decode(&hash.value).map_err(|_| EntryError::Field("hash value"))?;
    if digest.len() != algorithm.digest_len() {
        return Err(EntryError::Field("hash value"));
    }
    Ok((algorithm, digest))
}

fn sha256_of(hash: &HashJson) -> Result<Digest, EntryError> {
    match digest_of(hash)? {
        (LoggedHash::Sha256, digest) => {
            let digest = digest.try_into().map_err(|_| EntryError::Field("hash value"))?;
            Ok(Digest::from_bytes(digest))
        }
        _ => Err(EntryError::Field("hash algorithm")),
    }
}

/// Lenient: what we cannot read is kept, because it may still name somebody.
fn verifier(material: &[u8]) -> Verifier {
    let other = || Verifier::Other(material.to_vec());
    let Ok(text) = std::str::from_utf8(material) else {
        return other();
    };
    let Ok((label, document)) = der::Document::from_pem(text.trim()) else {
        return other();
    };
    match label {
        "CERTIFICATE" => Verifier::Certificate(document.as_bytes().to_vec()),
        "PUBLIC KEY" => PublicKey::from_spki(document.as_bytes()).map_or_else(|_| other(), Verifier::Key),
        _ => other(),
    }
}
