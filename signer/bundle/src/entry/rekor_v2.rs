//! Rekor v2's body and request: `hashedrekord` 0.0.2, the only kind that it takes.
use super::{EntryBody, EntryError, LoggedHash, NewEntry, Verifier};
use crate::json::Json;
use crate::protojson::Base64;
use crate::public_key::{HashAlgorithm, KeyAlgorithm, PublicKey};
use serde::{Deserialize, Serialize};

/// The canonical body is RFC 8785 JSON: the fields of each struct below stand in the order of their names.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    api_version: String,
    kind: String,
    spec: Spec,
}

#[derive(Deserialize, Serialize)]
struct Spec {
    #[serde(rename = "hashedRekordV002")]
    hashed_rekord: HashedRekord,
}

#[derive(Deserialize, Serialize)]
struct HashedRekord {
    data: Data,
    signature: Signature,
}

#[derive(Deserialize, Serialize)]
struct Data {
    algorithm: String,
    digest: Base64,
}

#[derive(Clone, Deserialize, Serialize)]
struct Signature {
    content: Base64,
    verifier: VerifierJson,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifierJson {
    key_details: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<RawBytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x509_certificate: Option<RawBytes>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    raw_bytes: Base64,
}

#[derive(Serialize)]
struct Request {
    #[serde(rename = "hashedRekordRequestV002")]
    hashed_rekord: HashedRekordRequest,
}

#[derive(Serialize)]
struct HashedRekordRequest {
    digest: Base64,
    signature: Signature,
}

pub(super) fn parse_hashedrekord(value: Json<'_>) -> Result<EntryBody, EntryError> {
    let HashedRekord { data, signature } = value.read::<Entry>()?.spec.hashed_rekord;
    let hash_algorithm = match data.algorithm.as_str() {
        "SHA2_256" => LoggedHash::Sha256,
        "SHA2_384" => LoggedHash::Sha384,
        "SHA2_512" => LoggedHash::Sha512,
        _ => return Err(EntryError::Field("hash algorithm")),
    };
    if data.digest.0.len() != hash_algorithm.digest_len() {
        return Err(EntryError::Field("digest"));
    }
    let verifier = match (signature.verifier.public_key, signature.verifier.x509_certificate) {
        (Some(key), None) => {
            let spki = key.raw_bytes.0;
            PublicKey::from_spki(&spki).map_or(Verifier::Other(spki), Verifier::Key)
        }
        (None, Some(certificate)) => Verifier::Certificate(certificate.raw_bytes.0),
        _ => return Err(EntryError::Field("verifier")),
    };
    Ok(EntryBody::HashedRekordV2 { hash_algorithm, digest: data.digest.0, signature: signature.content.0, verifier })
}

/// The algorithm's name in `dev.sigstore.common.v1.PublicKeyDetails`. It fixes the hash too: the log hashes nothing.
fn key_details(key: &PublicKey, hash: HashAlgorithm) -> Result<&'static str, EntryError> {
    use HashAlgorithm::{Sha256, Sha384};
    let algorithm = key.algorithm();
    match (algorithm, hash) {
        (KeyAlgorithm::EcdsaP256, Sha256) => Ok("PKIX_ECDSA_P256_SHA_256"),
        (KeyAlgorithm::EcdsaP384, Sha384) => Ok("PKIX_ECDSA_P384_SHA_384"),
        (KeyAlgorithm::Rsa { bits: 2048 }, Sha256) => Ok("PKIX_RSA_PKCS1V15_2048_SHA256"),
        (KeyAlgorithm::Rsa { bits: 3072 }, Sha256) => Ok("PKIX_RSA_PKCS1V15_3072_SHA256"),
        (KeyAlgorithm::Rsa { bits: 4096 }, Sha256) => Ok("PKIX_RSA_PKCS1V15_4096_SHA256"),
        _ => Err(EntryError::UnsupportedKey { version: 2, algorithm: algorithm.as_str() }),
    }
}

fn signature_of(signature: &[u8], key: &PublicKey, hash: HashAlgorithm) -> Result<Signature, EntryError> {
    Ok(Signature {
        content: Base64(signature.to_vec()),
        verifier: VerifierJson {
            key_details: key_details(key, hash)?.to_owned(),
            public_key: Some(RawBytes { raw_bytes: Base64(key.spki().to_vec()) }),
            x509_certificate: None,
        },
    })
}

pub(super) fn request(entry: &NewEntry) -> Result<Vec<u8>, EntryError> {
    Ok(serde_json::to_vec(&Request {
        hashed_rekord: HashedRekordRequest {
            digest: Base64(entry.signed_digest()),
            signature: signature_of(&entry.signature, &entry.key, entry.hash)?,
        },
    })?)
}

/// The leaf for a signature over a digest, byte for byte as the log writes it.
pub(super) fn body(
    digest: &[u8],
    hash: HashAlgorithm,
    signature: &[u8],
    key: &PublicKey,
) -> Result<Vec<u8>, EntryError> {
    let algorithm = match hash {
        HashAlgorithm::Sha256 => "SHA2_256",
        HashAlgorithm::Sha384 => "SHA2_384",
    };
    Ok(serde_json::to_vec(&Entry {
        api_version: "0.0.2".to_owned(),
        kind: "hashedrekord".to_owned(),
        spec: Spec {
            hashed_rekord: HashedRekord {
                data: Data { algorithm: algorithm.to_owned(), digest: Base64(digest.to_vec()) },
                signature: signature_of(signature, key, hash)?,
            },
        },
    })?)
}
