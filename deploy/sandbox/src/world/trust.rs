//! Entries of a Sigstore trusted root (v0.1) and of a signing config (v0.2), in the JSON of their protocol buffers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A log, transparency or certificate: where it is, its key, and what its entries carry as log id.
pub(crate) struct LogEntry<'a> {
    pub(crate) base_url: &'a str,
    pub(crate) spki: &'a [u8],
    pub(crate) key_details: &'a str,
    pub(crate) key_id: [u8; 32],
    pub(crate) start: &'a str,
    pub(crate) end: Option<String>,
}

pub(crate) const ED25519: &str = "PKIX_ED25519";
pub(crate) const P256: &str = "PKIX_ECDSA_P256_SHA_256";

impl LogEntry<'_> {
    pub(crate) fn json(&self) -> Value {
        let mut valid_for = json!({ "start": self.start });
        if let Some(end) = &self.end {
            valid_for["end"] = json!(end);
        }
        json!({
            "baseUrl": self.base_url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": STANDARD.encode(self.spki),
                "keyDetails": self.key_details,
                "validFor": valid_for,
            },
            "logId": { "keyId": STANDARD.encode(self.key_id) },
        })
    }
}

/// An authority, for time or for certificates: where it is and its chain, the root last.
pub(crate) fn authority(common_name: &str, uri: &str, chain: &[Vec<u8>], start: &str) -> Value {
    let certificates: Vec<_> =
        chain.iter().map(|certificate| json!({ "rawBytes": STANDARD.encode(certificate) })).collect();
    json!({
        "subject": { "organization": "sandbox", "commonName": common_name },
        "uri": uri,
        "certChain": { "certificates": certificates },
        "validFor": { "start": start },
    })
}

/// Where a signer finds a service.
pub(crate) fn service(url: &str, version: u32, start: &str) -> Value {
    json!({ "url": url, "majorApiVersion": version, "validFor": { "start": start }, "operator": "sandbox" })
}
