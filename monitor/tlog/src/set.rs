//! Rekor v1's signed entry timestamp (SET): the log's promise, and the time that it gives an entry.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::key::{LogKey, SignatureError};

/// Why a signed entry timestamp was not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SetError {
    /// The entry names another log than the key's.
    #[error("the entry is of another log than the key's")]
    WrongLog,
    /// The signature is not the log's over this entry.
    #[error("the signed entry timestamp is not the log's over this entry")]
    Signature(#[from] SignatureError),
}

/// What Rekor v1 signs: RFC 8785 JSON of body, time, log id and (virtual) index.
pub fn set_payload(body_base64: &str, integrated_time: i64, log_id_hex: &str, log_index: u64) -> Vec<u8> {
    let mut json = String::with_capacity(body_base64.len() + log_id_hex.len() + 96);
    json.push_str("{\"body\":");
    push_string(&mut json, body_base64);
    json.push_str(&format!(",\"integratedTime\":{integrated_time},\"logID\":"));
    push_string(&mut json, log_id_hex);
    json.push_str(&format!(",\"logIndex\":{log_index}}}"));
    json.into_bytes()
}

/// Whether the log has signed that it took this body in at this time and index.
///
/// `integrated_time` is covered by this signature only, never by the tree.
pub fn verify_set(
    key: &LogKey,
    body: &[u8],
    integrated_time: i64,
    log_id: &[u8; 32],
    log_index: u64,
    set: &[u8],
) -> Result<(), SetError> {
    if *log_id != key.key_id() {
        return Err(SetError::WrongLog);
    }
    let payload = set_payload(&STANDARD.encode(body), integrated_time, &hex::encode(log_id), log_index);
    Ok(key.verify(&payload, set)?)
}

// RFC 8785 3.2.2.2: what JSON must escape, in its shortest form, and nothing else.
fn push_string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\u{8}' => json.push_str("\\b"),
            '\t' => json.push_str("\\t"),
            '\n' => json.push_str("\\n"),
            '\u{c}' => json.push_str("\\f"),
            '\r' => json.push_str("\\r"),
            c if c < ' ' => {
                // Writing to a String cannot fail.
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests;
