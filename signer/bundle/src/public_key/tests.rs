//! Tests of public keys.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384};
use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use proptest::prelude::*;

use super::*;
use crate::entry::LoggedHash;

/// The key in cosign's own sample, and the hint in the bundle beside it.
const COSIGN_PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOG+9FMty5w7D+uxl44RRTgx7W8/Y
lGRpZSrJZDg7kw/7DxRtJ/c1E0psGnYcTuIbxHWUMD08SZDZAP7ikGKC3Q==
-----END PUBLIC KEY-----
";
const COSIGN_HINT: &str = "Nka6EHw8JMjHFPTkIHDZDXGgWvF/J800NVCHtdVa5wE=";

fn p256_key() -> (p256::ecdsa::SigningKey, PublicKey) {
    let signer = p256::ecdsa::SigningKey::from_slice(&[7; 32]).expect("a scalar");
    let key = spki_of(EC_PUBLIC_KEY, Some(NIST_P256), signer.verifying_key().to_sec1_point(false).as_bytes());
    (signer, key.expect("a p-256 key"))
}

fn p384_key() -> (p384::ecdsa::SigningKey, PublicKey) {
    let signer = p384::ecdsa::SigningKey::from_slice(&[7; 48]).expect("a scalar");
    let key = spki_of(EC_PUBLIC_KEY, Some(NIST_P384), signer.verifying_key().to_sec1_point(false).as_bytes());
    (signer, key.expect("a p-384 key"))
}

fn spki_of(oid: ObjectIdentifier, curve: Option<ObjectIdentifier>, key: &[u8]) -> Result<PublicKey, PublicKeyError> {
    PublicKey::from_spki(&encoded(oid, curve.as_ref().map(AnyRef::from), key))
}

fn encoded(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>, key: &[u8]) -> Vec<u8> {
    SubjectPublicKeyInfoRef {
        algorithm: AlgorithmIdentifierRef { oid, parameters },
        subject_public_key: BitStringRef::from_bytes(key).expect("bits"),
    }
    .to_der()
    .expect("an spki encodes")
}

#[test]
fn a_key_of_cosign_reads_and_prints_as_cosign_does() {
    let key = PublicKey::from_pem(COSIGN_PEM).expect("cosign's key");
    assert_eq!(key.algorithm(), KeyAlgorithm::EcdsaP256);
    assert_eq!(key.pem(), COSIGN_PEM);
    assert_eq!(key.hint(), COSIGN_HINT);
    assert_eq!(key.fingerprint(), hex::encode(STANDARD.decode(COSIGN_HINT).expect("base64")));
    assert_eq!(PublicKey::from_pem(&COSIGN_PEM.replace('\n', "\r\n")), Ok(key.clone()));
    assert_eq!(PublicKey::from_pem(&format!("\n{COSIGN_PEM}\n")), Ok(key));
}

#[test]
fn the_first_key_of_a_text_counts_and_the_others_are_told() {
    let (_, other) = p256_key();
    let (_, third) = p384_key();
    let key = PublicKey::from_pem(COSIGN_PEM).expect("cosign's key");
    let certificate = crate::pem::encode("CERTIFICATE", b"x");
    let text = format!("# ours\n{certificate}{COSIGN_PEM}# theirs\n{}{COSIGN_PEM}{}", other.pem(), third.pem());
    let keys = PublicKey::all_from_pem(&text).expect("keys");
    assert_eq!((&keys.first, keys.others.as_slice()), (&key, &[other.clone(), third.clone()][..]));
    let told = keys.several().expect("several");
    for key in [&key, &other, &third] {
        assert!(told.contains(&key.fingerprint()), "{told}");
    }
    // The same key twice is one key, and a further block that cannot be read is none.
    let once = format!("{COSIGN_PEM}{COSIGN_PEM}{}", crate::pem::encode("PUBLIC KEY", b"junk"));
    assert_eq!(PublicKey::all_from_pem(&once).expect("a key").several(), None);
    // The first must be good: a verifier would use no other.
    let bad = format!("{}{COSIGN_PEM}", crate::pem::encode("PUBLIC KEY", b"junk"));
    assert_eq!(PublicKey::from_pem(&bad), Err(PublicKeyError::NotSpki));
}

#[test]
fn a_bare_rsa_key_is_the_key_that_it_is_within_an_spki() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let pkcs1 = pair.public_key().as_ref().to_vec();
    let key = PublicKey::from_pem(&crate::pem::encode("RSA PUBLIC KEY", &pkcs1)).expect("a bare key");
    assert_eq!(key.algorithm(), KeyAlgorithm::Rsa { bits: 2048 });
    assert_eq!(PublicKey::from_pem(&key.pem()), Ok(key.clone()));
    assert_eq!(Some(key.spki().to_vec()), pkcs1_spki(&pkcs1));
    for at in 0..pkcs1.len() {
        let _ = PublicKey::from_pkcs1(&pkcs1[..at]);
    }
    // Under the other name it is something else.
    assert!(PublicKey::from_pem(&crate::pem::encode("PUBLIC KEY", &pkcs1)).is_err());
    assert!(PublicKey::from_pem(&crate::pem::encode("RSA PUBLIC KEY", key.spki())).is_err());
}

#[test]
fn what_is_no_public_key_is_named() {
    assert_eq!(PublicKey::from_pem("hello"), Err(PublicKeyError::NotPem));
    let private = COSIGN_PEM.replace("PUBLIC", "PRIVATE");
    assert_eq!(PublicKey::from_pem(&private), Err(PublicKeyError::WrongLabel("PRIVATE KEY".to_owned())));
    assert_eq!(PublicKey::from_spki(b""), Err(PublicKeyError::NotSpki));
    let (_, key) = p256_key();
    let mut longer = key.spki().to_vec();
    longer.push(0);
    assert_eq!(PublicKey::from_spki(&longer), Err(PublicKeyError::NotSpki));
    // secp256k1, and a point that is not on the curve.
    let k256 = ObjectIdentifier::new_unwrap("1.3.132.0.10");
    assert!(matches!(spki_of(EC_PUBLIC_KEY, Some(k256), &[4; 65]), Err(PublicKeyError::Unsupported(_))));
    assert_eq!(spki_of(EC_PUBLIC_KEY, Some(NIST_P256), &[4; 65]), Err(PublicKeyError::NotSpki));
    assert_eq!(spki_of(EC_PUBLIC_KEY, None, &[4; 65]), Err(PublicKeyError::NotSpki));
}

#[test]
fn a_key_encoded_in_another_way_is_the_same_key() {
    let (signer, key) = p256_key();
    let compressed = signer.verifying_key().to_sec1_point(true);
    assert_eq!(compressed.as_bytes().len(), 33);
    let same = spki_of(EC_PUBLIC_KEY, Some(NIST_P256), compressed.as_bytes()).expect("compressed");
    assert_eq!(same, key);
    assert_eq!(same.fingerprint(), key.fingerprint());
    assert_eq!(same.spki().len(), 91);
}

#[test]
fn ecdsa_signatures_verify_with_any_s_and_have_one_low_s() {
    let message = b"message";
    let (signer, key) = p256_key();
    let digest = HashAlgorithm::Sha256.digest(message);
    let signature: p256::ecdsa::Signature = signer.sign_prehash(&digest).expect("it signs");
    let low = signature.normalize_s();
    let high = p256::ecdsa::Signature::from_scalars(low.r().to_bytes(), (-*low.s()).to_bytes()).expect("negated");
    assert_ne!(low, high);
    for one in [low, high] {
        let der = one.to_der();
        assert_eq!(key.verify(message, der.as_bytes(), HashAlgorithm::Sha256), Ok(()));
        assert_eq!(key.low_s(der.as_bytes()), Ok(low.to_der().as_bytes().to_vec()));
    }
    let der = low.to_der();
    let verify = |message: &[u8], signature: &[u8], hash| key.verify(message, signature, hash);
    assert_eq!(verify(b"another", der.as_bytes(), HashAlgorithm::Sha256), Err(SignatureError::Mismatch));
    assert_eq!(verify(message, der.as_bytes(), HashAlgorithm::Sha384), Err(SignatureError::Mismatch));
    assert_eq!(verify(message, &low.to_bytes(), HashAlgorithm::Sha256), Err(SignatureError::Malformed));
    let mut longer = der.as_bytes().to_vec();
    longer.push(0);
    assert_eq!(verify(message, &longer, HashAlgorithm::Sha256), Err(SignatureError::Malformed));
    assert_eq!(key.low_s(&longer), Err(SignatureError::Malformed));
}

#[test]
fn p384_signs_bundles_with_sha384_and_legacy_with_sha256() {
    let (signer, key) = p384_key();
    assert_eq!(key.algorithm(), KeyAlgorithm::EcdsaP384);
    assert_eq!(key.bundle_hash(), HashAlgorithm::Sha384);
    for hash in [HashAlgorithm::Sha256, HashAlgorithm::Sha384] {
        let signature: p384::ecdsa::Signature = signer.sign_prehash(&hash.digest(b"message")).expect("it signs");
        let der = signature.to_der();
        assert_eq!(key.verify(b"message", der.as_bytes(), hash), Ok(()));
        let low = key.low_s(der.as_bytes()).expect("well formed");
        assert_eq!(key.verify(b"message", &low, hash), Ok(()));
    }
}

#[test]
fn ed25519_ignores_the_hash_and_refuses_weak_keys() {
    let signer = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let key = spki_of(ED25519, None, signer.verifying_key().as_bytes()).expect("an ed25519 key");
    assert_eq!((key.algorithm(), key.spki().len()), (KeyAlgorithm::Ed25519, 44));
    let signature = signer.sign(b"message").to_vec();
    assert_eq!(key.verify(b"message", &signature, HashAlgorithm::Sha256), Ok(()));
    assert_eq!(key.verify(b"message", &signature, HashAlgorithm::Sha384), Ok(()));
    assert_eq!(key.verify(b"massage", &signature, HashAlgorithm::Sha256), Err(SignatureError::Mismatch));
    assert_eq!(key.verify(b"message", &signature[..63], HashAlgorithm::Sha256), Err(SignatureError::Malformed));
    assert_eq!(key.low_s(&signature), Ok(signature));
    let mut identity = [0; 32];
    identity[0] = 1;
    assert!(matches!(spki_of(ED25519, None, &identity), Err(PublicKeyError::Unsupported(_))));
}

#[test]
fn rsa_verifies_with_pkcs1_and_has_one_encoding() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let pkcs1 = pair.public_key().as_ref();
    let key = PublicKey::from_spki(&encoded(RSA_ENCRYPTION, Some(AnyRef::NULL), pkcs1)).expect("an rsa key");
    assert_eq!(key.algorithm(), KeyAlgorithm::Rsa { bits: 2048 });
    assert_eq!(key.algorithm().as_str(), "rsa-2048");
    assert_eq!(PublicKey::from_spki(&encoded(RSA_ENCRYPTION, None, pkcs1)), Ok(key.clone()));
    for (scheme, hash) in [(&RSA_PKCS1_SHA256, HashAlgorithm::Sha256), (&RSA_PKCS1_SHA384, HashAlgorithm::Sha384)] {
        let mut signature = vec![0; 256];
        pair.sign(scheme, &SystemRandom::new(), b"message", &mut signature).expect("it signs");
        assert_eq!(key.verify(b"message", &signature, hash), Ok(()));
        assert_eq!(key.verify(b"massage", &signature, hash), Err(SignatureError::Mismatch));
        assert_eq!(key.verify(b"message", &signature[1..], hash), Err(SignatureError::Malformed));
        assert_eq!(key.low_s(&signature), Ok(signature));
    }
    let small = RsaPublicKey {
        modulus: UintRef::new(&[0xff; 128]).expect("an integer"),
        exponent: UintRef::new(&[1, 0, 1]).expect("an integer"),
    };
    let small = encoded(RSA_ENCRYPTION, Some(AnyRef::NULL), &small.to_der().expect("it encodes"));
    assert!(matches!(PublicKey::from_spki(&small), Err(PublicKeyError::Unsupported(_))));
}

#[test]
fn a_signature_is_verified_from_the_digest_alone() {
    let (message, wrong) = (b"message", b"massage");
    let (signer, p256) = p256_key();
    let signature: p256::ecdsa::Signature =
        signer.sign_prehash(&HashAlgorithm::Sha256.digest(message)).expect("it signs");
    let high =
        p256::ecdsa::Signature::from_scalars(signature.r().to_bytes(), (-*signature.s()).to_bytes()).expect("negated");
    let (signer, p384) = p384_key();
    let on_p384: p384::ecdsa::Signature =
        signer.sign_prehash(&HashAlgorithm::Sha384.digest(message)).expect("it signs");
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let rsa =
        PublicKey::from_spki(&encoded(RSA_ENCRYPTION, Some(AnyRef::NULL), pair.public_key().as_ref())).expect("rsa");
    let mut by_rsa = vec![0; 256];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut by_rsa).expect("it signs");
    let cases = [
        (&p256, HashAlgorithm::Sha256, signature.to_der().as_bytes().to_vec()),
        (&p256, HashAlgorithm::Sha256, high.to_der().as_bytes().to_vec()),
        (&p384, HashAlgorithm::Sha384, on_p384.to_der().as_bytes().to_vec()),
        (&rsa, HashAlgorithm::Sha256, by_rsa),
    ];
    for (key, hash, signature) in cases {
        let digest = hash.digest(message);
        assert_eq!(key.verify_digest(&digest, &signature, hash), Ok(()), "{key:?}");
        assert_eq!(key.verify_digest(&hash.digest(wrong), &signature, hash), Err(SignatureError::Mismatch), "{key:?}");
        assert_eq!(key.verify_digest(&digest[1..], &signature, hash), Err(SignatureError::Mismatch), "{key:?}");
        assert!(key.verify_digest(&digest, &signature[1..], hash).is_err(), "{key:?}");
        let other = if hash == HashAlgorithm::Sha256 { HashAlgorithm::Sha384 } else { HashAlgorithm::Sha256 };
        assert_eq!(
            key.verify_digest(&other.digest(message), &signature, other),
            Err(SignatureError::Mismatch),
            "{key:?}"
        );
    }
    let signer = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let key = spki_of(ED25519, None, signer.verifying_key().as_bytes()).expect("an ed25519 key");
    let digest = HashAlgorithm::Sha256.digest(message);
    let refused = key.verify_digest(&digest, &signer.sign(&digest).to_vec(), HashAlgorithm::Sha256);
    assert_eq!(refused, Err(SignatureError::NeedsMessage));
}

#[test]
fn an_rsa_signature_with_pss_is_by_the_key_in_a_log_and_not_for_us() {
    use aws_lc_rs::signature::{RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaPssSaltLength};
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let key = spki_of_rsa(pair.public_key().as_ref());
    for salt in [RsaPssSaltLength::Digest, RsaPssSaltLength::Max] {
        for (scheme, hash) in [
            (RSA_PSS_SHA256, LoggedHash::Sha256),
            (RSA_PSS_SHA384, LoggedHash::Sha384),
            (RSA_PSS_SHA512, LoggedHash::Sha512),
        ] {
            let scheme: &'static _ = Box::leak(Box::new(scheme.with_pss_salt_length(salt)));
            let mut signature = vec![0; 256];
            pair.sign(scheme, &SystemRandom::new(), b"message", &mut signature).expect("it signs");
            let digest = |message: &[u8]| match hash {
                LoggedHash::Sha256 => Sha256::digest(message).to_vec(),
                LoggedHash::Sha384 => Sha384::digest(message).to_vec(),
                LoggedHash::Sha512 => sha2::Sha512::digest(message).to_vec(),
            };
            assert_eq!(key.verify_digest(&digest(b"message"), &signature, hash), Ok(()));
            assert_eq!(key.verify_digest(&digest(b"massage"), &signature, hash), Err(SignatureError::Mismatch));
            assert_eq!(key.verify(b"message", &signature, HashAlgorithm::Sha256), Err(SignatureError::Mismatch));
        }
    }
}

fn spki_of_rsa(pkcs1: &[u8]) -> PublicKey {
    PublicKey::from_spki(&encoded(RSA_ENCRYPTION, Some(AnyRef::NULL), pkcs1)).expect("an rsa key")
}

#[test]
fn the_canonical_encoding_is_found_with_and_without_the_curve() {
    let (signer, p256) = p256_key();
    let (_, p384) = p384_key();
    let ed25519 = spki_of(ED25519, None, ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().as_bytes());
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let rsa = PublicKey::from_spki(&encoded(RSA_ENCRYPTION, None, pair.public_key().as_ref())).expect("rsa");
    for key in [&p256, &p384, &ed25519.expect("a key")] {
        assert!(matches!(canonical_spki(key.spki()), std::borrow::Cow::Borrowed(spki) if spki == key.spki()));
    }
    assert_eq!(canonical_spki(rsa.spki()), rsa.spki());
    assert_eq!(canonical_spki(&encoded(RSA_ENCRYPTION, None, pair.public_key().as_ref())), rsa.spki());
    assert_eq!(pkcs1_spki(pair.public_key().as_ref()).as_deref(), Some(rsa.spki()));
    assert_eq!(pkcs1_spki(p256.spki()), None);
    let compressed =
        encoded(EC_PUBLIC_KEY, Some((&NIST_P256).into()), signer.verifying_key().to_sec1_point(true).as_bytes());
    assert_eq!(canonical_spki(&compressed), p256.spki());
    assert_eq!(canonical_spki(b"anything"), &b"anything"[..]);
}

#[test]
fn a_key_is_printed_by_its_fingerprint() {
    let (_, key) = p256_key();
    assert_eq!(format!("{key:?}"), format!("PublicKey(ecdsa-p256 {})", key.fingerprint()));
}

/// Made once: deriving a key is slow without optimisation.
static KEYS: std::sync::LazyLock<[PublicKey; 2]> = std::sync::LazyLock::new(|| [p256_key().1, p384_key().1]);

/// Two numbers as IEEE P1363 has them, each with so many zeros before it.
fn halves(numbers: [&[u8]; 2], zeros: usize) -> Vec<u8> {
    numbers.map(|number| [&vec![0; zeros], number].concat()).concat()
}

#[test]
fn a_logged_signature_is_refused_as_the_logs_verifier_refuses_it() {
    let digest = HashAlgorithm::Sha256.digest(b"message");
    let (signer, key) = p256_key();
    let signature: p256::ecdsa::Signature = signer.sign_prehash(&digest).expect("it signs");
    let (r, s) = (signature.r().to_bytes(), signature.s().to_bytes());
    let check = |signature: &[u8]| key.verify_digest(&digest, signature, HashAlgorithm::Sha256);
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").expect("hex");
    let der = signature.to_der();
    for (malformed, bytes) in [
        (true, Vec::new()),
        (true, halves([&r, &s], 35)),
        (true, halves([&r, &s], 0)[1..].to_vec()),
        (true, [der.as_bytes(), &vec![0; 133 - der.as_bytes().len()]].concat()),
        (false, b"\x30\x00".to_vec()),
        (false, b"\x30\x06\x02\x01\x00\x02\x01\x01".to_vec()),
        (false, halves([&order, &s], 0)),
        (false, halves([&[&[0; 1], &r[..]].concat(), &[1; 33]], 0)),
        (false, halves([&r, &[0; 32]], 0)),
        (false, halves([&s, &r], 0)),
    ] {
        let expected = if malformed { SignatureError::Malformed } else { SignatureError::Mismatch };
        assert_eq!(check(&bytes), Err(expected), "{}", hex::encode(&bytes));
    }
}

proptest! {
    #[test]
    fn every_encoding_of_a_signature_is_one_signature(
        message: Vec<u8>, negate: bool, in_der: bool, zeros in 0usize..=34, on_p384: bool
    ) {
        let digest = HashAlgorithm::Sha384.digest(&message);
        let (key, encoded, low) = if on_p384 {
            let (signer, key) = p384_key();
            let low: p384::ecdsa::Signature = signer.sign_prehash(&digest).expect("it signs");
            let low = low.normalize_s();
            let s = if negate { (-*low.s()).to_bytes() } else { low.s().to_bytes() };
            let one = p384::ecdsa::Signature::from_scalars(low.r().to_bytes(), s).expect("in range");
            let halves = halves([&one.r().to_bytes(), &one.s().to_bytes()], zeros.min(18));
            (key, if in_der { one.to_der().as_bytes().to_vec() } else { halves }, low.to_der().as_bytes().to_vec())
        } else {
            let (signer, key) = p256_key();
            let low: p256::ecdsa::Signature = signer.sign_prehash(&digest).expect("it signs");
            let low = low.normalize_s();
            let s = if negate { (-*low.s()).to_bytes() } else { low.s().to_bytes() };
            let one = p256::ecdsa::Signature::from_scalars(low.r().to_bytes(), s).expect("in range");
            let halves = halves([&one.r().to_bytes(), &one.s().to_bytes()], zeros);
            (key, if in_der { one.to_der().as_bytes().to_vec() } else { halves }, low.to_der().as_bytes().to_vec())
        };
        prop_assert_eq!(key.verify_digest(&digest, &encoded, HashAlgorithm::Sha384), Ok(()));
        prop_assert_eq!(key.low_s_of_logged(&encoded), Ok(low));
        // Our own side takes DER only.
        prop_assert_eq!(key.low_s(&encoded).is_ok(), in_der);
        prop_assert_eq!(key.verify(&message, &encoded, HashAlgorithm::Sha384).is_ok(), in_der);
    }

    #[test]
    fn no_bytes_make_the_parsers_panic(bytes: Vec<u8>, text: String) {
        let _ = PublicKey::from_spki(&bytes);
        let _ = PublicKey::from_pem(&text);
        let _ = PublicKey::from_pem(&format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(&bytes)));
        for key in KEYS.iter() {
            let _ = key.verify(b"message", &bytes, HashAlgorithm::Sha256);
            let _ = key.low_s(&bytes);
            if let Ok(low) = key.low_s_of_logged(&bytes) {
                prop_assert_eq!(key.low_s(&low), Ok(low));
            }
        }
    }

    #[test]
    fn one_changed_byte_is_another_key_or_none(at in 0usize..91, to: u8) {
        let key = &KEYS[0];
        let mut spki = key.spki().to_vec();
        let changed = spki[at] != to;
        spki[at] = to;
        if let Ok(other) = PublicKey::from_spki(&spki) {
            prop_assert_eq!(other != *key, changed);
        }
    }
}
