//! A write request, checked as the log checks it, and the entry that it becomes.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::{Decode as _, Encode as _};
use serde::{Deserialize, Serialize};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::Certificate;

/// `{"hashedRekordRequestV002": …}`; anything else in it is an error, as in the real log.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct CreateEntry {
    #[serde(default, alias = "hashed_rekord_request_v002")]
    pub(crate) hashed_rekord_request_v002: Option<Request>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    digest: String,
    signature: Signature,
}

/// The signature and its verifier. The order of the fields, here and below, is the order of their names:
/// the bytes of an entry are canonical JSON.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    content: String,
    verifier: Verifier,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Verifier {
    #[serde(alias = "key_details")]
    key_details: String,
    #[serde(default, alias = "public_key", skip_serializing_if = "Option::is_none")]
    public_key: Option<RawBytes>,
    #[serde(default, alias = "x509_certificate", skip_serializing_if = "Option::is_none")]
    x509_certificate: Option<RawBytes>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawBytes {
    #[serde(alias = "raw_bytes")]
    raw_bytes: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    api_version: &'static str,
    kind: &'static str,
    spec: Spec,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    hashed_rekord_v002: HashedRekord,
}

#[derive(Serialize)]
struct HashedRekord {
    data: Data,
    signature: Signature,
}

#[derive(Serialize)]
struct Data {
    algorithm: &'static str,
    digest: String,
}

/// What the log has against a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntryError {
    #[error("{0} is not base64")]
    Base64(&'static str),
    #[error("a verifier is a public key or a certificate")]
    Verifier,
    #[error("the key cannot be read")]
    Key,
    #[error("keys of type {0} are not supported here")]
    KeyDetails(String),
    #[error("the digest has the wrong length")]
    Digest,
    #[error("the signature is not one of this digest by this key")]
    Signature,
}

/// An algorithm that a key can be said to have.
struct Algorithm {
    key_details: &'static str,
    name: &'static str,
    hash: &'static digest::Algorithm,
    signature: &'static dyn VerificationAlgorithm,
}

fn algorithms() -> [Algorithm; 5] {
    let rsa = |key_details| Algorithm {
        key_details,
        name: "SHA2_256",
        hash: &digest::SHA256,
        signature: &RSA_PKCS1_2048_8192_SHA256,
    };
    [
        Algorithm {
            key_details: "PKIX_ECDSA_P256_SHA_256",
            name: "SHA2_256",
            hash: &digest::SHA256,
            signature: &ECDSA_P256_SHA256_ASN1,
        },
        Algorithm {
            key_details: "PKIX_ECDSA_P384_SHA_384",
            name: "SHA2_384",
            hash: &digest::SHA384,
            signature: &ECDSA_P384_SHA384_ASN1,
        },
        rsa("PKIX_RSA_PKCS1V15_2048_SHA256"),
        rsa("PKIX_RSA_PKCS1V15_3072_SHA256"),
        rsa("PKIX_RSA_PKCS1V15_4096_SHA256"),
    ]
}

/// Whether a key, by its SubjectPublicKeyInfo, has signed this digest. ECDSA P-256 and P-384, and RSA.
pub(crate) fn verifies(spki: &[u8], hash: &'static digest::Algorithm, digest: &[u8], signature: &[u8]) -> bool {
    let Ok(spki) = SubjectPublicKeyInfoRef::from_der(spki) else { return false };
    let Ok(digest) = Digest::import_less_safe(digest, hash) else { return false };
    let key = spki.subject_public_key.raw_bytes();
    // A key of one algorithm is none of another, so that trying them all cannot confuse them.
    let algorithms: &[&'static dyn VerificationAlgorithm] = match hash.output_len() {
        32 => &[&ECDSA_P256_SHA256_ASN1, &ECDSA_P384_SHA256_ASN1, &RSA_PKCS1_2048_8192_SHA256],
        48 => &[&ECDSA_P256_SHA384_ASN1, &ECDSA_P384_SHA384_ASN1, &RSA_PKCS1_2048_8192_SHA384],
        _ => &[&RSA_PKCS1_2048_8192_SHA512],
    };
    let verifies = |algorithm: &'static dyn VerificationAlgorithm| {
        UnparsedPublicKey::new(algorithm, key).verify_digest(&digest, signature).is_ok()
    };
    algorithms.iter().any(|algorithm| verifies(*algorithm))
}

impl Request {
    /// Verifies the signature over the digest; returns the entry's canonical bytes.
    pub(crate) fn into_entry(self) -> Result<Vec<u8>, EntryError> {
        let decode = |text: &str, name| STANDARD.decode(text).map_err(|_| EntryError::Base64(name));
        let digest = decode(&self.digest, "the digest")?;
        let signature = decode(&self.signature.content, "the signature")?;
        let verifier = &self.signature.verifier;
        let spki = match (&verifier.public_key, &verifier.x509_certificate) {
            (Some(key), None) => decode(&key.raw_bytes, "the public key")?,
            (None, Some(certificate)) => {
                let certificate = decode(&certificate.raw_bytes, "the certificate")?;
                Certificate::from_der(&certificate)
                    .and_then(|c| c.tbs_certificate().subject_public_key_info().to_der())
                    .map_err(|_| EntryError::Key)?
            }
            _ => return Err(EntryError::Verifier),
        };
        let algorithm = algorithms()
            .into_iter()
            .find(|algorithm| algorithm.key_details == verifier.key_details)
            .ok_or_else(|| EntryError::KeyDetails(verifier.key_details.clone()))?;
        let hashed = Digest::import_less_safe(&digest, algorithm.hash).map_err(|_| EntryError::Digest)?;
        let spki = SubjectPublicKeyInfoRef::from_der(&spki).map_err(|_| EntryError::Key)?;
        UnparsedPublicKey::new(algorithm.signature, spki.subject_public_key.raw_bytes())
            .verify_digest(&hashed, &signature)
            .map_err(|_| EntryError::Signature)?;
        let entry = Entry {
            api_version: "0.0.2",
            kind: "hashedrekord",
            spec: Spec {
                hashed_rekord_v002: HashedRekord {
                    data: Data { algorithm: algorithm.name, digest: STANDARD.encode(&digest) },
                    signature: self.signature,
                },
            },
        };
        // Unwrap safety: strings in structs; there is nothing that JSON could not hold.
        Ok(serde_json::to_vec(&entry).expect("an entry is JSON"))
    }
}
