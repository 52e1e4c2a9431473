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

    // secp256k1 instead of secp256r1, an algorithm of key agreement, and RSA without a key.
    let k1 = hex::decode("301a301006072a8648ce3d020106052b8104000a030600040102030405").unwrap();
    assert!(matches!(read(&k1), KeyError::Unsupported(_) | KeyError::Malformed));
    let x25519 = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00".as_slice(), &[9; 32]].concat();
    assert_eq!(read(&x25519), KeyError::Unsupported(ObjectIdentifier::new_unwrap("1.3.101.110")));
    let rsa = hex::decode("3014300d06092a864886f70d01010105000303003000").unwrap();
    assert_eq!(read(&rsa), KeyError::BadPoint);
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

// The old CT logs' algorithm, and the curve of some private ones. The TLS wrapping names SHA-256.
#[test]
fn rsa_and_p384_keys_verify_what_they_signed() {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
    use p384::ecdsa::signature::hazmat::PrehashSigner as _;

    let random = SystemRandom::new();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let mut rsa_signature = vec![0; 256];
    rsa.sign(&aws::RSA_PKCS1_SHA256, &random, b"message", &mut rsa_signature).unwrap();
    let rsa_spki = rsa.public_key().as_der().unwrap();
    let p384 = p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap();
    let p384_spki = p384.verifying_key().to_public_key_der().unwrap().into_vec();
    let p384_over = |digest: &[u8]| {
        let signature: p384::ecdsa::Signature = p384.sign_prehash(digest).unwrap();
        (p384_spki.clone(), signature.to_der().as_bytes().to_vec())
    };
    let by_sha384 = p384_over(&sha2::Sha384::digest(b"message"));
    let by_sha256 = p384_over(&Sha256::digest(b"message"));
    let by_rsa = (rsa_spki.as_ref().to_vec(), rsa_signature);
    for (spki, signature) in [&by_sha384, &by_sha256, &by_rsa] {
        let key = LogKey::from_spki(spki, Some("log.example")).unwrap();
        assert_eq!(key.verify(b"message", signature), Ok(()));
        assert_eq!(key.verify(b"massage", signature), Err(SignatureError::Invalid));
        assert_eq!(key.verify(b"message", b""), Err(SignatureError::Invalid));
    }
    let tls = |kind: [u8; 2], signature: &[u8]| {
        [kind.as_slice(), &(signature.len() as u16).to_be_bytes(), signature].concat()
    };
    let verify = |(spki, signature): &(Vec<u8>, Vec<u8>), kind: [u8; 2]| {
        LogKey::from_spki(spki, None).unwrap().verify_digitally_signed(b"message", &tls(kind, signature))
    };
    assert_eq!(verify(&by_rsa, [4, 1]), Ok(()));
    assert_eq!(verify(&by_rsa, [4, 3]), Err(SignatureError::Malformed));
    assert_eq!(verify(&by_rsa, [5, 1]), Err(SignatureError::Malformed));
    assert_eq!(verify(&by_sha256, [4, 3]), Ok(()));
    assert_eq!(verify(&by_sha384, [4, 3]), Err(SignatureError::Invalid));
    assert_eq!(verify(&by_sha256, [4, 1]), Err(SignatureError::Malformed));

    // Rekor v2 names an RSA key by its name and all of its SubjectPublicKeyInfo; without a name by the latter.
    let [named, other, unnamed] =
        [Some("a"), Some("b"), None].map(|name| LogKey::from_spki(&by_rsa.0, name).unwrap().key_id());
    assert_ne!(named, other);
    assert_eq!(unnamed, <[u8; 32]>::from(Sha256::digest(&by_rsa.0)));
    // A P-384 key has one id under every name.
    assert_eq!(
        LogKey::from_spki(&by_sha384.0, Some("a")).unwrap().key_id(),
        <[u8; 32]>::from(Sha256::digest(&by_sha384.0))
    );
}

#[test]
fn a_tls_signature_has_its_length_and_nothing_after_it() {
    let (signer, spki) = p256();
    let key = LogKey::from_spki(&spki, None).unwrap();
    let signature: p256::ecdsa::Signature = signer.sign(b"message");
    let signed = digitally_signed_ecdsa(signature.to_der().as_bytes()).unwrap();
    assert_eq!(key.verify_digitally_signed(b"message", &signed), Ok(()));
    assert_eq!(key.verify_digitally_signed(b"massage", &signed), Err(SignatureError::Invalid));
    for length in 0..signed.len() {
        assert_eq!(key.verify_digitally_signed(b"message", &signed[..length]), Err(SignatureError::Malformed));
    }
    let longer = [signed.as_slice(), &[0]].concat();
    assert_eq!(key.verify_digitally_signed(b"message", &longer), Err(SignatureError::Malformed));
    // RFC 6962 has no Ed25519.
    let ed = LogKey::from_spki(&ed25519().1, None).unwrap();
    assert_eq!(ed.verify_digitally_signed(b"message", &signed), Err(SignatureError::Malformed));
    assert_eq!(digitally_signed_ecdsa(&[0; 65_536]), Err(SignatureError::Malformed));
}

#[test]
fn a_verifier_key_names_its_log_and_proves_its_hash() {
    let v2 = "log2025-1.rekor.sigstore.dev+cf119915+AbfK5adZJxsI323FwGD2AJJ9F4i89cfDuLdGJBIYntuO";
    let key = LogKey::from_vkey(v2).unwrap();
    assert_eq!((key.name(), key.note_hash()), (Some("log2025-1.rekor.sigstore.dev"), [0xcf, 0x11, 0x99, 0x15]));
    // The base64 of a key may have a plus sign: only the first two part the words.
    let (_, spki) = p256();
    let ecdsa = LogKey::from_spki(&spki, Some("log.example")).unwrap();
    let typed = STANDARD.encode([&[2], spki.as_slice()].concat());
    let vkey = |name: &str, hash: [u8; 4], key: &str| format!("{name}+{}+{key}", hex::encode(hash));
    assert_eq!(LogKey::from_vkey(&vkey("log.example", ecdsa.note_hash(), &typed)), Ok(ecdsa));
    let raw = &STANDARD.decode("AbfK5adZJxsI323FwGD2AJJ9F4i89cfDuLdGJBIYntuO").unwrap()[1..];
    for bad in [
        "",
        "log",
        "log+cf119915",
        &v2.replace("2025", "2026"),
        &v2.replace("cf119915", "cf119914"),
        &v2.replace("cf119915", "cf1199"),
        &v2.replace("+Ab", "+Bb"),
        &v2[..v2.len() - 4],
        &vkey("log2025-1.rekor.sigstore.dev", [0xcf, 0x11, 0x99, 0x15], &STANDARD.encode([&[4], raw].concat())),
    ] {
        assert!(matches!(LogKey::from_vkey(bad), Err(KeyError::BadVerifierKey | KeyError::Malformed)), "{bad:?}");
    }
}
