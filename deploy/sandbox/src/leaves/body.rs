//! The bodies of `hashedrekord` entries, written out by hand: what drills plant, whoever signed it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::timestamp_authority::pem;

/// Whose signature an entry says that it is, as DER.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum By {
    /// A SubjectPublicKeyInfo.
    Key(Vec<u8>),
    /// A certificate.
    Certificate(Vec<u8>),
}

/// A `hashedrekord` 0.0.2 entry, as Rekor v2 holds it: of a SHA-256 digest, said to be by ECDSA P-256. Nothing in it
/// is checked.
pub fn hashed_rekord_v2(digest: &[u8], signature: &[u8], by: &By) -> Vec<u8> {
    let (digest, signature) = (STANDARD.encode(digest), STANDARD.encode(signature));
    let (kind, der) = match by {
        By::Key(der) => ("publicKey", der),
        By::Certificate(der) => ("x509Certificate", der),
    };
    let der = STANDARD.encode(der);
    // SPEC: canonical JSON (RFC 8785): members in the order of their names, no space. No string here needs an escape.
    format!(
        concat!(
            r#"{{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{{"hashedRekordV002":"#,
            r#"{{"data":{{"algorithm":"SHA2_256","digest":"{}"}},"signature":{{"content":"{}","verifier":"#,
            r#"{{"keyDetails":"PKIX_ECDSA_P256_SHA_256","{}":{{"rawBytes":"{}"}}}}}}}}}}}}"#
        ),
        digest, signature, kind, der
    )
    .into_bytes()
}

/// A `hashedrekord` 0.0.1 entry, as Rekor v1 holds it and takes it: of a SHA-256 digest. Nothing in it is checked.
pub fn hashed_rekord_v1(digest: &[u8], signature: &[u8], by: &By) -> Vec<u8> {
    let pem = match by {
        By::Key(der) => pem("PUBLIC KEY", der),
        By::Certificate(der) => pem("CERTIFICATE", der),
    };
    let (digest, signature, key) = (hex::encode(digest), STANDARD.encode(signature), STANDARD.encode(pem));
    format!(
        concat!(
            r#"{{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{{"data":{{"hash":{{"algorithm":"sha256","#,
            r#""value":"{}"}}}},"signature":{{"content":"{}","publicKey":{{"content":"{}"}}}}}}}}"#
        ),
        digest, signature, key
    )
    .into_bytes()
}

/// The request that makes Rekor v2 write this `hashedrekord` 0.0.2 entry; `None` for any other body.
pub fn rekor_v2_request(body: &[u8]) -> Option<Vec<u8>> {
    let entry: Value = serde_json::from_slice(body).ok()?;
    let entry = entry.get("spec")?.get("hashedRekordV002")?;
    let (digest, signature) = (entry.get("data")?.get("digest")?, entry.get("signature")?);
    Some(json!({ "hashedRekordRequestV002": { "digest": digest, "signature": signature } }).to_string().into_bytes())
}
