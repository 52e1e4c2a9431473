//! Key files of every kind that we read, and of those that we must not. The keys in testdata are for tests only.

use bundle::{HashAlgorithm, KeyAlgorithm};

use super::*;

const COSIGN_KEY: &str = include_str!("testdata/test-only-cosign.key.pem");
const COSIGN_PUB: &str = include_str!("testdata/test-only-cosign.pub.pem");
const COSIGN_PASSWORD: &str = "for tests only";

fn password(text: &str) -> SecretString {
    SecretString::from(text)
}

fn plain(pem: &str) -> FileKey {
    load(pem.as_bytes(), None).unwrap()
}

fn one_line(error: &KeyError) -> String {
    let message = error.to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

async fn assert_signs(key: &FileKey, hash: HashAlgorithm) {
    let signature = key.sign(b"message", hash).await.unwrap();
    key.public_key().verify(b"message", &signature, hash).unwrap();
    assert!(key.public_key().verify(b"massage", &signature, hash).is_err());
    assert_eq!(key.public_key().low_s(&signature).unwrap(), signature);
}

#[tokio::test]
async fn a_key_that_cosign_made_is_read_and_signs() {
    let key = load(COSIGN_KEY.as_bytes(), Some(&password(COSIGN_PASSWORD))).unwrap();
    assert_eq!(key.public_key().pem(), COSIGN_PUB);
    assert_signs(&key, HashAlgorithm::Sha256).await;
}

#[test]
fn the_older_label_of_cosign_is_read() {
    let older = COSIGN_KEY.replace("SIGSTORE", "COSIGN");
    let key = load(older.as_bytes(), Some(&password(COSIGN_PASSWORD))).unwrap();
    assert_eq!(key.public_key().pem(), COSIGN_PUB);
}

#[tokio::test]
async fn a_generated_key_is_read_back_and_signs() {
    for secret in ["hunter2", ""] {
        let generated = generate(&password(secret)).unwrap();
        assert!(generated.private_pem.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"));
        let key = load(generated.private_pem.as_bytes(), Some(&password(secret))).unwrap();
        assert_eq!(key.public_key().pem(), generated.public_pem);
        assert_eq!(key.public_key().algorithm(), KeyAlgorithm::EcdsaP256);
        assert_signs(&key, HashAlgorithm::Sha256).await;
    }
}

#[test]
fn two_generated_keys_differ() {
    let one = generate(&password("a")).unwrap();
    let two = generate(&password("a")).unwrap();
    assert_ne!(one.public_pem, two.public_pem);
}

#[test]
fn a_wrong_password_is_one_line_that_says_where_the_password_comes_from() {
    let error = load(COSIGN_KEY.as_bytes(), Some(&password("nope"))).unwrap_err();
    assert!(matches!(error, KeyError::WrongPassword));
    let message = one_line(&error);
    assert!(message.contains("password_file") && message.contains("COSIGN_PASSWORD"), "{message}");
    assert!(!message.contains("nope"), "{message}");
}

#[test]
fn a_missing_password_is_named_as_such() {
    let error = load(COSIGN_KEY.as_bytes(), None).unwrap_err();
    assert!(matches!(error, KeyError::PasswordNeeded));
    assert!(one_line(&error).contains("password_file"));
}

#[test]
fn every_cost_that_cosign_writes_is_paid_and_no_other() {
    let pkcs8 = include_str!("testdata/test-only-ed25519.pem");
    let der = pem::private_key_blocks(pkcs8.as_bytes()).unwrap().remove(0).body;
    for n in [32_768, 65_536, 131_072] {
        let sealed = encrypted::seal_at_cost(&der, b"x", n).unwrap();
        let file = bundle::pem::encode(SIGSTORE_LABEL, &sealed);
        let key = load(file.as_bytes(), Some(&password("x"))).unwrap();
        assert_eq!(key.public_key().algorithm(), KeyAlgorithm::Ed25519);
    }
    let sealed = encrypted::seal(&der, b"x").unwrap();
    let expensive = String::from_utf8(sealed).unwrap().replace("65536", "1073741824");
    let file = bundle::pem::encode(SIGSTORE_LABEL, expensive.as_bytes());
    let error = load(file.as_bytes(), Some(&password("x"))).unwrap_err();
    assert!(matches!(error, KeyError::UnsupportedScrypt { n: 1_073_741_824, r: 8, p: 1 }));
}

#[test]
fn encryption_that_cosign_does_not_write_is_named() {
    let sealed = encrypted::seal(b"x", b"x").unwrap();
    let other = String::from_utf8(sealed).unwrap().replace("nacl/secretbox", "rot13");
    let file = bundle::pem::encode(SIGSTORE_LABEL, other.as_bytes());
    let error = load(file.as_bytes(), Some(&password("x"))).unwrap_err();
    assert!(one_line(&error).contains("`rot13`"));
}

#[tokio::test]
async fn plain_keys_of_every_kind_sign() {
    let p256 = plain(include_str!("testdata/test-only-p256-sec1.pem"));
    assert_eq!(p256.public_key().algorithm(), KeyAlgorithm::EcdsaP256);
    let p384 = plain(include_str!("testdata/test-only-p384.pem"));
    assert_eq!(p384.public_key().algorithm(), KeyAlgorithm::EcdsaP384);
    let sec1 = plain(include_str!("testdata/test-only-p384-sec1.pem"));
    assert_eq!(sec1.public_key().algorithm(), KeyAlgorithm::EcdsaP384);
    let ed25519 = plain(include_str!("testdata/test-only-ed25519.pem"));
    assert_eq!(ed25519.public_key().algorithm(), KeyAlgorithm::Ed25519);
    let pkcs1 = plain(include_str!("testdata/test-only-rsa2048-pkcs1.pem"));
    assert_eq!(pkcs1.public_key().algorithm(), KeyAlgorithm::Rsa { bits: 2048 });
    let pkcs8 = plain(include_str!("testdata/test-only-rsa2048-pkcs8.pem"));
    assert_eq!(pkcs8.public_key(), pkcs1.public_key());
    for key in [p256, p384, sec1, ed25519, pkcs1] {
        assert_signs(&key, HashAlgorithm::Sha256).await;
        assert_signs(&key, key.public_key().bundle_hash()).await;
    }
}

#[tokio::test]
async fn ecdsa_signatures_are_deterministic_and_low_s() {
    let key = plain(include_str!("testdata/test-only-p256-sec1.pem"));
    for message in 0..32u8 {
        let one = key.sign(&[message], HashAlgorithm::Sha256).await.unwrap();
        let two = key.sign(&[message], HashAlgorithm::Sha256).await.unwrap();
        assert_eq!(one, two);
        assert_eq!(key.public_key().low_s(&one).unwrap(), one);
    }
}

#[test]
fn line_endings_and_text_around_the_block_do_not_matter() {
    let windows = include_str!("testdata/test-only-p256-sec1.pem").replace('\n', "\r\n");
    let noisy = format!("Bag Attributes\r\n  friendlyName: x\r\n{windows}\r\ntrailing");
    assert_eq!(plain(&noisy).public_key(), plain(include_str!("testdata/test-only-p256-sec1.pem")).public_key());
}

#[test]
fn a_key_is_found_among_other_blocks_and_however_it_is_wrapped() {
    let key = include_str!("testdata/test-only-p256-sec1.pem");
    let block = &key[key.find("-----BEGIN EC PRIVATE KEY").unwrap()..];
    let expected = plain(key).public_key().clone();
    let begin = "-----BEGIN EC PRIVATE KEY-----";
    let end = "-----END EC PRIVATE KEY-----";
    let body: String = block.replace(begin, "").replace(end, "").split_whitespace().collect();
    for text in [
        format!("{COSIGN_PUB}{}{block}", bundle::pem::encode("CERTIFICATE", b"x")),
        format!("{block}{block}"),
        format!("{begin}\n{body}\n{end}\n"),
        format!("{begin}{body}{end}"),
        format!("{begin}\r\n{}\r\n{}\r\n{end}", &body[..76], &body[76..]),
        block.replace('\n', "\n\n"),
        format!("-----BEGIN RSA PRIVATE KEY-----\ncut off\n{block}"),
    ] {
        assert_eq!(plain(&text).public_key(), &expected, "{text}");
    }
}

#[test]
fn a_second_private_key_is_refused_since_only_one_could_be_meant() {
    let (one, two) = (include_str!("testdata/test-only-p256-sec1.pem"), include_str!("testdata/test-only-ed25519.pem"));
    let error = load(format!("{one}{two}").as_bytes(), None).unwrap_err();
    assert!(matches!(error, KeyError::SeveralKeys { .. }), "{error}");
    for key in [one, two] {
        assert!(error.to_string().contains(&plain(key).public_key().fingerprint()), "{error}");
    }
    let error = load(format!("{COSIGN_KEY}{one}").as_bytes(), Some(&password("x"))).unwrap_err();
    assert!(one_line(&error).contains("one that is ENCRYPTED"), "{error}");
}

#[test]
fn what_is_no_key_of_ours_is_refused_by_name() {
    let refused = |pem: &str| load(pem.as_bytes(), Some(&password("x"))).unwrap_err();
    assert!(matches!(refused(""), KeyError::NoPem));
    assert!(matches!(refused("not a key"), KeyError::NoPem));
    assert!(matches!(refused(COSIGN_PUB), KeyError::UnknownPem { .. }));
    assert!(one_line(&refused(COSIGN_PUB)).contains("`PUBLIC KEY`"));
    for file in [
        include_str!("testdata/test-only-openssl-encrypted.pem"),
        include_str!("testdata/test-only-pkcs8-encrypted.pem"),
    ] {
        let error = refused(file);
        assert!(matches!(error, KeyError::OpensslEncrypted), "{error}");
        assert!(one_line(&error).contains("cosign import-key-pair"));
    }
    let error = refused(include_str!("testdata/test-only-p521.pem"));
    assert!(one_line(&error).contains("1.3.132.0.35"), "{error}");
    let error = refused(include_str!("testdata/test-only-rsa1024-pkcs1.pem"));
    assert!(matches!(error, KeyError::RsaSize { bits: 1024 } | KeyError::Malformed(_)), "{error}");
}

#[test]
fn damaged_files_are_errors_and_never_panics() {
    let whole = include_str!("testdata/test-only-p256-sec1.pem");
    for cut in 0..whole.len() {
        assert!(load(&whole.as_bytes()[..cut], None).is_err() || cut + 1 == whole.len(), "{cut}");
    }
    for body in [&b""[..], b"{}", b"null", &[0xff; 40]] {
        for label in [SIGSTORE_LABEL, "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
            let file = bundle::pem::encode(label, body);
            assert!(load(file.as_bytes(), Some(&password("x"))).is_err(), "{label}");
        }
    }
}

#[test]
fn debug_output_shows_no_secret() {
    let generated = generate(&password("x")).unwrap();
    assert!(!format!("{generated:?}").contains("PRIVATE"));
    let key = load(generated.private_pem.as_bytes(), Some(&password("x"))).unwrap();
    assert!(format!("{key:?}").contains(&key.public_key().fingerprint()));
}

#[test]
fn a_signature_that_the_public_key_refuses_is_thrown_away() {
    let key = plain(include_str!("testdata/test-only-ed25519.pem"));
    let error = checked(key.public_key(), b"message", &[0; 64], HashAlgorithm::Sha256).unwrap_err();
    assert!(matches!(error, KeyError::Unverified));
}
