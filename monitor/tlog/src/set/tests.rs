//! Signed entry timestamps: the exact JSON, and each field of it.

use p256::ecdsa::signature::Signer as _;
use spki::EncodePublicKey as _;

use super::*;

#[test]
fn the_payload_is_canonical_json() {
    assert_eq!(
        set_payload("eyJ9", 1_700_000_000, "c0d2", 42),
        br#"{"body":"eyJ9","integratedTime":1700000000,"logID":"c0d2","logIndex":42}"#
    );
    assert_eq!(
        String::from_utf8(set_payload("\"\\\n\u{1}é", -1, "", 0)).unwrap(),
        "{\"body\":\"\\\"\\\\\\n\\u0001é\",\"integratedTime\":-1,\"logID\":\"\",\"logIndex\":0}"
    );
}

#[test]
fn whatever_the_strings_the_payload_reads_back_as_json() {
    let text: String = (0..0x80).filter_map(char::from_u32).collect();
    let json: serde_json::Value = serde_json::from_slice(&set_payload(&text, 1, &text, 2)).unwrap();
    assert_eq!(json, serde_json::json!({"body": text, "integratedTime": 1, "logID": text, "logIndex": 2}));
}

#[test]
fn a_promise_covers_every_field() {
    let signer = p256::ecdsa::SigningKey::from_slice(&[3; 32]).unwrap();
    let spki = signer.verifying_key().to_public_key_der().unwrap();
    let key = LogKey::from_spki(spki.as_bytes(), None).unwrap();
    let id = key.key_id();
    let payload = set_payload(&STANDARD.encode(b"body"), 5, &hex::encode(id), 6);
    let signature: p256::ecdsa::Signature = signer.sign(&payload);
    let set = signature.to_der().as_bytes().to_vec();

    assert_eq!(verify_set(&key, b"body", 5, &id, 6, &set), Ok(()));
    let bad = Err(SetError::Signature(SignatureError::Invalid));
    assert_eq!(verify_set(&key, b"bodY", 5, &id, 6, &set), bad);
    assert_eq!(verify_set(&key, b"body", 4, &id, 6, &set), bad);
    assert_eq!(verify_set(&key, b"body", 5, &id, 7, &set), bad);
    assert_eq!(verify_set(&key, b"body", 5, &[0; 32], 6, &set), Err(SetError::WrongLog));
    assert_eq!(verify_set(&key, b"body", 5, &id, 6, b"no DER"), Err(SetError::Signature(SignatureError::Malformed)));
}
