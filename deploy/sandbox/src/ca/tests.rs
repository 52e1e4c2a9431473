//! Certificates, field by field, and the API that gives them out.

use super::certificate::unpoisoned;
use super::*;
use crate::OidcOptions;
use crate::testing::{Answer, ask, get};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle::{HashAlgorithm, PublicKey};
use const_oid::ObjectIdentifier;
use der::Decode as _;
use http::{Method, StatusCode};
use p256::ecdsa::{DerSignature, SigningKey as P256Key};
use serde_json::{Value, json};
use signature::Signer as _;
use spki::EncodePublicKey as _;
use x509_cert::Certificate;
use x509_cert::der::asn1::OctetString;

const ISSUER: &str = "https://token.actions.githubusercontent.com";

async fn start() -> SandboxCa {
    SandboxCa::start(CaOptions::default()).await.unwrap()
}

fn key() -> (P256Key, Vec<u8>) {
    let key = P256Key::from_slice(&[7; 32]).unwrap();
    let spki = key.verifying_key().to_public_key_der().unwrap().into_vec();
    (key, spki)
}

/// An extension's value, and whether it is critical.
fn extension(certificate: &Certificate, oid: &str) -> Option<(bool, Vec<u8>)> {
    let oid = ObjectIdentifier::new(oid).unwrap();
    let extension = certificate.tbs_certificate().extensions()?.iter().find(|extension| extension.extn_id == oid)?;
    Some((extension.critical, extension.extn_value.as_bytes().to_vec()))
}

fn spki(certificate: &[u8]) -> Vec<u8> {
    Certificate::from_der(certificate).unwrap().tbs_certificate().subject_public_key_info().to_der().unwrap()
}

/// Whether the key of one certificate has signed the other: ECDSA P-384.
fn signed_by(certificate: &[u8], issuer: &[u8]) -> bool {
    let parsed = Certificate::from_der(certificate).unwrap();
    let tbs = parsed.tbs_certificate().to_der().unwrap();
    let issuer = PublicKey::from_spki(&spki(issuer)).unwrap();
    issuer.verify(&tbs, parsed.signature().raw_bytes(), HashAlgorithm::Sha384).is_ok()
}

#[tokio::test]
async fn a_certificate_chains_to_the_root_and_is_of_the_key_and_identity() {
    let ca = start().await;
    let (_, spki_der) = key();
    let identity = Identity::github(ISSUER, "acme/app", "release.yml", "refs/heads/main");
    let issued = ca.issue(&identity, &spki_der).unwrap();
    let [intermediate, root] = ca.chain_der() else { panic!("two certificates") };
    assert!(signed_by(&issued.certificate, intermediate));
    assert!(signed_by(intermediate, root) && signed_by(root, root));
    assert!(!signed_by(&issued.certificate, root));
    assert_eq!(spki(&issued.certificate), spki_der);
    let certificate = Certificate::from_der(&issued.certificate).unwrap();
    assert!(certificate.tbs_certificate().subject().is_empty());
    let (critical, names) = extension(&certificate, "2.5.29.17").unwrap();
    assert!(critical);
    let subject = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
    assert!(names.ends_with(subject.as_bytes()));
    // The old extensions hold the bytes themselves, the new ones a UTF8String.
    let fulcio = |number: u32| extension(&certificate, &format!("1.3.6.1.4.1.57264.1.{number}")).unwrap();
    assert_eq!(fulcio(1), (false, ISSUER.as_bytes().to_vec()));
    assert_eq!(fulcio(6), (false, b"refs/heads/main".to_vec()));
    let text = |value: &str| [&[0x0c, value.len() as u8], value.as_bytes()].concat();
    assert_eq!(fulcio(8), (false, text(ISSUER)));
    assert_eq!(fulcio(12), (false, text("https://github.com/acme/app")));
    assert_eq!(fulcio(24), (false, text("repo:acme/app:ref:refs/heads/main")));
    let validity = certificate.tbs_certificate().validity();
    let seconds = validity.not_after.to_unix_duration() - validity.not_before.to_unix_duration();
    assert_eq!(seconds.as_secs(), 600);
}

#[tokio::test]
async fn certificates_for_servers_are_for_code_signing_as_well() {
    for for_servers in [false, true] {
        let ca = SandboxCa::start(CaOptions { for_servers, ..CaOptions::default() }).await.unwrap();
        let issued = ca.issue(&Identity::email(ISSUER, "ann@example.com"), &key().1).unwrap();
        for der in [&issued.certificate, &issued.precertificate] {
            let (_, purposes) = extension(&Certificate::from_der(der).unwrap(), "2.5.29.37").unwrap();
            let has = |purpose: u8| purposes.ends_with(&[0x2b, 6, 1, 5, 5, 7, 3, purpose]);
            assert_eq!((has(3), has(1)), (!for_servers, for_servers));
            assert_eq!(purposes.len(), if for_servers { 22 } else { 12 });
        }
    }
}

#[tokio::test]
async fn every_kind_of_subject_has_its_form() {
    let ca = start().await;
    let (_, spki) = key();
    for (identity, tag) in [
        (Identity::email("https://accounts.google.com", "ann@example.com"), 0x81),
        (Identity::uri("https://issuer.example", "spiffe://example.com/build"), 0x86),
        (
            Identity {
                issuer: "https://issuer.example".to_owned(),
                subject: Subject::OtherName("ann!example.com".to_owned()),
                extensions: Vec::new(),
            },
            0xa0,
        ),
    ] {
        let issued = ca.issue(&identity, &spki).unwrap();
        let certificate = Certificate::from_der(&issued.certificate).unwrap();
        let (_, names) = extension(&certificate, "2.5.29.17").unwrap();
        assert_eq!(names[2], tag, "{identity:?}");
        assert!(names.ends_with(identity.subject.as_str().as_bytes()));
    }
}

#[tokio::test]
async fn an_extension_can_be_another_and_stays_in_its_place() {
    let identity =
        Identity::github(ISSUER, "acme/app", "release.yml", "refs/heads/main").with(17, "999").with(23, "prod");
    let numbers: Vec<u32> = identity.extensions.iter().map(|(number, _)| *number).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    assert!(identity.extensions.contains(&(17, "999".to_owned())));
    assert!(identity.extensions.contains(&(23, "prod".to_owned())));
}

#[tokio::test]
async fn the_certificate_without_its_timestamp_is_what_the_log_holds() {
    let ca = start().await;
    let (_, spki) = key();
    let issued = ca.issue(&Identity::email("https://accounts.google.com", "ann@example.com"), &spki).unwrap();
    assert_eq!(issued.ct_index, Some(0));
    let leaf = ca.ct().leaf(0).unwrap();
    // Version, type, time, entry type; the issuer's key; the length and the TBS; no extensions.
    let tbs = unpoisoned(&issued.certificate).unwrap();
    assert_eq!(leaf[10..12], [0, 1]);
    assert_eq!(leaf[12..44], ca.issuer_key_hash());
    assert_eq!(leaf[47..leaf.len() - 2], tbs);
    let entry = tlog::ct::CtLeaf::parse(&leaf).unwrap().entry;
    assert_eq!(entry, tlog::ct::CtEntry::Precert { issuer_key_hash: ca.issuer_key_hash(), tbs: &tbs });
    let certificate = Certificate::from_der(&issued.certificate).unwrap();
    let (critical, list) = extension(&certificate, "1.3.6.1.4.1.11129.2.4.2").unwrap();
    assert!(!critical);
    let list = OctetString::from_der(&list).unwrap().as_bytes().to_vec();
    let sct = &list[4..];
    assert_eq!(sct[1..33], ca.ct().key_id());
    assert_eq!(sct[33..41], leaf[2..10]);
    ca.ct().key().verify(&leaf, &sct[47..]).unwrap();
    // What the log was given as the precertificate stands for the same TBS.
    let entry = get(ca.ct().addr(), "/ct/v1/get-entries?start=0&end=0").await.json();
    let extra = STANDARD.decode(entry["entries"][0]["extra_data"].as_str().unwrap()).unwrap();
    let length = usize::from(extra[1]) << 8 | usize::from(extra[2]);
    assert_eq!(unpoisoned(&extra[3..3 + length]).unwrap(), tbs);
}

#[tokio::test]
async fn a_withheld_certificate_is_good_and_not_in_the_log() {
    let ca = start().await;
    let (_, spki) = key();
    ca.ct().set_withholding(true);
    let issued = ca.issue(&Identity::email("https://accounts.google.com", "ann@example.com"), &spki).unwrap();
    assert_eq!((issued.ct_index, ca.ct().size()), (None, 0));
    assert!(signed_by(&issued.certificate, &ca.chain_der()[0]));
}

async fn request(ca: &SandboxCa, token: &str, challenge: &str) -> Answer {
    let (key, spki) = key();
    let proof: DerSignature = key.sign(challenge.as_bytes());
    let body = json!({
        "publicKeyRequest": {
            "publicKey": { "algorithm": "ECDSA", "content": pem("PUBLIC KEY", &spki) },
            "proofOfPossession": STANDARD.encode(proof.as_bytes()),
        },
    });
    let bearer = format!("Bearer {token}");
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    ask(ca.addr(), Method::POST, "/api/v2/signingCert", &headers, body.to_string()).await.unwrap()
}

#[tokio::test]
async fn a_token_and_a_key_get_a_certificate() {
    let ca = start().await;
    let issuer = OidcIssuer::start(OidcOptions::default()).await.unwrap();
    let token = issuer.email_token("ann@example.com");
    assert_eq!(request(&ca, &token, "ann@example.com").await.status, StatusCode::BAD_REQUEST);
    ca.trust_issuer(&issuer);
    let answer = request(&ca, &token, "ann@example.com").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let chain = answer.json()["signedCertificateEmbeddedSct"]["chain"]["certificates"].clone();
    let chain: Vec<&str> = chain.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(chain[1..].concat(), ca.chain_pem());
    let (_, leaf) = der::Document::from_pem(chain[0]).unwrap();
    let certificate = Certificate::from_der(leaf.as_bytes()).unwrap();
    let (_, names) = extension(&certificate, "2.5.29.17").unwrap();
    assert!(names.ends_with(b"ann@example.com"));
    assert_eq!(extension(&certificate, "1.3.6.1.4.1.57264.1.1").unwrap().1, issuer.url().as_bytes());
    let workflow = issuer.token(&github_claims("acme/app", "release.yml", "refs/heads/main"));
    assert_eq!(request(&ca, &workflow, "repo:acme/app:ref:refs/heads/main").await.status, StatusCode::OK);
    assert_eq!(request(&ca, &token, "somebody else").await.status, StatusCode::BAD_REQUEST);
    let old = issuer.token(&json!({ "sub": "ann", "exp": 1_700_000_000 }));
    assert_eq!(request(&ca, &old, "ann").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(request(&ca, "", "ann").await.status, StatusCode::BAD_REQUEST);
}
