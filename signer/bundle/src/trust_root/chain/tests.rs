//! Tests of chains.
use super::super::ValidFor;
use super::*;
use crate::fixture::{Issuer, SUBJECT, TestKey, Wanted, vector, vectors, vectors_ending};
use serde_json::Value;
use std::collections::BTreeSet;

fn wanted() -> Wanted {
    Wanted::workflow(&TestKey::p256(1), SUBJECT)
}

fn root(chain: Vec<Vec<u8>>, valid_for: ValidFor) -> TrustRoot {
    let mut root = TrustRoot::empty();
    root.add_certificate_authority("https://ca.example.com", chain, valid_for);
    root
}

fn issued(root: &TrustRoot, der: &[u8]) -> Result<(), ChainError> {
    root.issued(&CertificateView::parse(der).unwrap())
}

#[test]
fn a_certificate_of_a_trusted_authority_is_issued() {
    let ca = Issuer::new(3);
    let root = root(ca.chain(), ValidFor::default());
    assert_eq!(issued(&root, &ca.issue(&wanted())), Ok(()));
    // The authority's own certificates are: the intermediate by the root, the root by itself.
    assert_eq!(issued(&root, &ca.chain()[0]), Ok(()));
    assert_eq!(TrustRoot::parse(&root.to_json()).unwrap(), root);
}

#[test]
fn whoever_only_takes_the_authoritys_name_issued_nothing() {
    let (ca, other) = (Issuer::new(3), Issuer::new(7));
    let root = root(ca.chain(), ValidFor::default());
    let refused = ChainError::Signature("https://ca.example.com".to_owned());
    assert_eq!(issued(&root, &other.issue(&wanted())), Err(refused.clone()));
    let der = ca.issue(&wanted());
    let at = der.windows(8).position(|window| window == b"acme/app").unwrap();
    let mut changed = der.clone();
    changed[at] = b'b';
    assert_eq!(issued(&root, &changed), Err(refused));
    assert_eq!(issued(&TrustRoot::empty(), &der), Err(ChainError::Unknown));
    let tbs = ca.tbs(&wanted());
    let precertificate = CertificateView::parse_tbs(&tbs).unwrap();
    assert_eq!(root.issued(&precertificate), Err(ChainError::Unsigned));
}

#[test]
fn an_authority_counts_when_it_was_trusted_and_valid() {
    let ca = Issuer::new(3);
    let now = Issuer::NOW * 1000;
    let der = ca.issue(&wanted());
    for (start, end, expected) in [
        (Some(now), Some(now), Ok(())),
        (Some(now + 1), None, Err(ChainError::Unknown)),
        (None, Some(now - 1), Err(ChainError::Unknown)),
    ] {
        assert_eq!(issued(&root(ca.chain(), ValidFor { start, end }), &der), expected);
    }
    let trusted = root(ca.chain(), ValidFor::default());
    let broken = Err(ChainError::Broken("https://ca.example.com".to_owned()));
    let in_ten_years = Wanted { not_before: Issuer::NOW + 10 * 365 * 86_400, ..wanted() };
    assert_eq!(issued(&trusted, &ca.issue(&in_ten_years)), broken);
    // An intermediate that is no authority; one whose root is another's.
    assert_eq!(issued(&root(ca.chain_of(&[0x01, 0x01, 0x00]), ValidFor::default()), &der), broken);
    assert_eq!(issued(&root(ca.chain_of(&[]), ValidFor::default()), &der), broken);
    let foreign = vec![ca.chain().remove(0), Issuer::new(7).chain().remove(1)];
    assert_eq!(issued(&root(foreign, ValidFor::default()), &der), broken);
    // Among several of one name the one that signed is found.
    let mut several = root(Issuer::new(7).chain(), ValidFor::default());
    several.merge(trusted);
    assert_eq!(issued(&several, &der), Ok(()));
}

#[test]
fn a_precertificate_is_known_by_its_issuers_key() {
    let ca = Issuer::new(3);
    let root = root(ca.chain(), ValidFor::default());
    assert!(root.is_trusted_issuer_key(&Sha256::digest(ca.intermediate_spki()).into()));
    assert!(!root.is_trusted_issuer_key(&Sha256::digest(Issuer::new(7).intermediate_spki()).into()));
}

#[test]
fn an_authority_that_cannot_be_read_is_kept_and_trusted_with_nothing() {
    let ca = Issuer::new(3);
    let mut file: Value = serde_json::from_slice(&root(ca.chain(), ValidFor::default()).to_json()).unwrap();
    file["certificateAuthorities"][0]["certChain"]["certificates"][0]["rawBytes"] = "MAA=".into();
    let bytes = serde_json::to_vec(&file).unwrap();
    let root = TrustRoot::parse(&bytes).unwrap();
    assert_eq!((root.certificate_authorities.len(), root.unusable_authorities.len()), (0, 1));
    assert!(root.unusable_authorities[0].reason.contains("not a certificate"));
    let written: Value = serde_json::from_slice(&root.to_json()).unwrap();
    assert_eq!(written["certificateAuthorities"], file["certificateAuthorities"]);
}

fn collect(value: &Value, found: &mut BTreeSet<Vec<u8>>) {
    match value {
        Value::String(text) if text.starts_with("MI") => {
            found.extend(
                crate::protojson::decode(text)
                    .into_iter()
                    .filter(|der| CertificateView::parse(der).is_ok_and(|view| view.issuer().is_some())),
            );
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
        _ => {}
    }
}

#[test]
fn real_certificates_were_issued_by_the_public_authorities() {
    let mut trust = TrustRoot::empty();
    for file in [
        "sigstore-root-signing/targets/trusted_root.json",
        "sigstore-embedded-2026-10/sigstage.dev/trusted_root.json",
        "sigstore-rust/trusted_root_staging.json",
    ] {
        let Some(json) = vector(file) else { return };
        trust.merge(TrustRoot::parse(&json).unwrap());
    }
    let mut certificates = BTreeSet::new();
    for suffix in [".json", ".sigstore", ".attestation", ".provenance"] {
        for (_, bytes) in vectors_ending(suffix) {
            collect(&serde_json::from_slice(&bytes).unwrap_or_default(), &mut certificates);
        }
    }
    let (mut issued, mut unknown, mut other) = (0, 0, Vec::new());
    for der in &certificates {
        let view = CertificateView::parse(der).unwrap();
        match trust.issued(&view) {
            Ok(()) => {
                issued += 1;
                // A changed byte of the signature is noticed.
                let mut changed = der.clone();
                let last = changed.len() - 1;
                changed[last] ^= 1;
                assert!(matches!(
                    trust.issued(&CertificateView::parse(&changed).unwrap()),
                    Err(ChainError::Signature(_))
                ));
            }
            Err(ChainError::Unknown) => unknown += 1,
            Err(error) => other.push(error),
        }
    }
    assert!(vectors().is_none() || (issued > 40 && other.is_empty()), "{issued} {unknown} {other:?}");
}
