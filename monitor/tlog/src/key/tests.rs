//! Keys: both algorithms, their ids, and what is no key of a log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use p256::ecdsa::SigningKey as P256Signer;
use spki::EncodePublicKey as _;

use super::*;

fn p256() -> (P256Signer, Vec<u8>) {
    let signer = P256Signer::from_slice(&[7; 32]).unwrap();
    let spki = signer.verifying_key().to_public_key_der().unwrap().into_vec();
    (signer, spki)
}

fn ed25519() -> (ed25519_dalek::SigningKey, Vec<u8>) {
    let signer = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let spki = signer.verifying_key().to_public_key_der().unwrap().into_vec();
    (signer, spki)
}

// The public key of rekor.sigstore.dev, and the id under which every bundle names it.
#[test]
fn rekor_v1_is_known_by_the_hash_of_its_public_key() {
    let spki = STANDARD
        .decode(concat!(
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2G2Y+2tabdTV5BcGiBIx0a9fAFwrkBbmLSGtks4L3qX6yYY0zufBnhC8Ur/iy55GhWP/",
            "9A/bY2LhC30M9+RYtw=="
        ))
        .unwrap();
    for name in [None, Some("rekor.sigstore.dev"), Some("rekor.sigstore.dev - 1193050959916656506")] {
        let key = LogKey::from_spki(&spki, name).unwrap();
        assert_eq!(hex::encode(key.key_id()), "c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d");
        assert_eq!(key.note_hash(), [0xc0, 0xd2, 0x3d, 0x6a]);
        assert_eq!(key.spki(), spki);
        assert_eq!(key.name(), name);
        assert_eq!(key.note_name(), name.map(|_| "rekor.sigstore.dev"));
    }
}

#[test]
fn rekor_v2_is_known_by_its_name_and_key() {
    let raw = STANDARD.decode("t8rlp1knGwjfbcXAYPYAkn0XiLz1x8O4t0YkEhie244=").unwrap();
    let spki = [hex::decode("302a300506032b6570032100").unwrap(), raw].concat();
    let key = LogKey::from_spki(&spki, Some("log2025-1.rekor.sigstore.dev")).unwrap();
    assert_eq!(hex::encode(key.key_id()), "cf1199155bddd051268d1f16ac5c0c75c009f6fb5a63f4177f8e18d7051e3fa0");
    assert_eq!(key.note_hash(), [0xcf, 0x11, 0x99, 0x15]);
    let unnamed = LogKey::from_spki(&spki, None).unwrap();
    assert_eq!(hex::encode(&unnamed.key_id()[..4]), "b54813cb");
    assert_ne!(unnamed, key);
}

#[test]
fn each_algorithm_verifies_its_own_signatures_only() {
    let (p256_signer, p256_spki) = p256();
    let (ed_signer, ed_spki) = ed25519();
    let p256_key = LogKey::from_spki(&p256_spki, None).unwrap();
    let ed_key = LogKey::from_spki(&ed_spki, None).unwrap();
    let p256_signature: p256::ecdsa::Signature = p256_signer.sign(b"message");
    let ecdsa = p256_signature.to_der().as_bytes().to_vec();
    let ed = ed_signer.sign(b"message").to_vec();

    assert_eq!(p256_key.verify(b"message", &ecdsa), Ok(()));
    assert_eq!(p256_key.verify(b"massage", &ecdsa), Err(SignatureError::Invalid));
    assert_eq!(p256_key.verify(b"message", &ed), Err(SignatureError::Malformed));
    assert_eq!(p256_key.verify(b"message", &p256_signature.to_bytes()), Err(SignatureError::Malformed));
    assert_eq!(ed_key.verify(b"message", &ed), Ok(()));
    assert_eq!(ed_key.verify(b"massage", &ed), Err(SignatureError::Invalid));
    assert_eq!(ed_key.verify(b"message", &ecdsa), Err(SignatureError::Malformed));
    for key in [p256_key, ed_key] {
        assert_eq!(key.verify(b"message", b""), Err(SignatureError::Malformed));
    }
}

// Key services do not normalise s, and neither do logs.
#[test]
fn a_high_s_signature_of_a_log_is_accepted() {
    let (signer, spki) = p256();
    let signature: p256::ecdsa::Signature = signer.sign(b"message");
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
    assert_ne!(signature, other);
    let key = LogKey::from_spki(&spki, None).unwrap();
    assert_eq!(key.verify(b"message", other.to_der().as_bytes()), Ok(()));
    assert_eq!(key.verify(b"message", signature.to_der().as_bytes()), Ok(()));
}

#[test]
fn what_is_no_log_key_is_refused_by_name() {
    let (_, p256_spki) = p256();
    let (_, ed_spki) = ed25519();
    let read = |der: &[u8]| LogKey::from_spki(der, None).unwrap_err();
    assert_eq!(read(b""), KeyError::Malformed);
    assert_eq!(read(&[p256_spki.as_slice(), &[0]].concat()), KeyError::Malformed);
    assert_eq!(read(&p256_spki[..90]), KeyError::Malformed);

    let mut off_curve = p256_spki.clone();
    off_curve[90] ^= 1;
    assert_eq!(read(&off_curve), KeyError::BadPoint);
    // The neutral element: any signature with the right R would fit any message.
    let mut weak = ed_spki[..12].to_vec();
    weak.extend([1].into_iter().chain([0; 31]));
    assert_eq!(read(&weak), KeyError::BadPoint);

    // secp256k1 instead of secp256r1, and RSA.
    let k1 = hex::decode("301a301006072a8648ce3d020106052b8104000a030600040102030405").unwrap();
    assert!(matches!(read(&k1), KeyError::Unsupported(_) | KeyError::Malformed));
    let rsa = hex::decode("3014300d06092a864886f70d01010105000303003000").unwrap();
    assert_eq!(read(&rsa), KeyError::Unsupported(ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1")));
}

#[test]
fn a_name_must_fit_on_a_signature_line() {
    let (_, spki) = ed25519();
    for bad in ["", "a b", "a+b", "a\nb", "a\u{a0}b", "host -12", "host - ", " - 12"] {
        assert_eq!(LogKey::from_spki(&spki, Some(bad)), Err(KeyError::BadName), "{bad:?}");
    }
    for good in ["rekor.example.com", "rekor.example.com:3000", "example.com/log", "rekor-local - 12"] {
        assert!(LogKey::from_spki(&spki, Some(good)).is_ok(), "{good:?}");
    }
}

#[test]
fn a_pem_file_is_read_and_a_private_key_refused() {
    let (_, spki) = ed25519();
    let body = STANDARD.encode(&spki);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    assert_eq!(LogKey::from_pem(&pem, Some("log")), LogKey::from_spki(&spki, Some("log")));
    assert_eq!(LogKey::from_pem(&pem.replace("PUBLIC", "PRIVATE"), None), Err(KeyError::Pem));
    assert_eq!(LogKey::from_pem("", None), Err(KeyError::Pem));
}

#[test]
fn debug_names_the_key_and_not_its_bytes() {
    let (_, spki) = ed25519();
    let text = format!("{:?}", LogKey::from_spki(&spki, Some("log")).unwrap());
    assert!(text.starts_with("LogKey { name: Some(\"log\"), key_id: \""), "{text}");
}
