//! Leaves of Rekor v2, and the floor: what it costs to parse them with the usual crates (serde_json, base64, x509-cert)
//! into values that own what they hold.
use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use serde::Deserialize;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

pub(crate) const LEAVES: usize = 512;

/// Leaves, each with another certificate of a workflow.
pub(crate) fn leaves() -> Vec<Vec<u8>> {
    let body = include_bytes!("../../fuzz/corpus/claims/hashedrekord-0.0.2-certificate");
    let body = std::str::from_utf8(body).unwrap();
    let leaf: Leaf = serde_json::from_str(body).unwrap();
    let encoded = leaf.spec.hashed_rekord.signature.verifier.certificate.raw_bytes;
    let der = STANDARD.decode(&encoded).unwrap();
    let numbered = |number: usize| {
        let mut der = der.clone();
        let digits = format!("{:04}/{:03}", number * 7 % 10_000, number);
        for at in 0..der.len() - 8 {
            if der[at..].starts_with(b"acme/app") {
                der[at..at + 8].copy_from_slice(digits.as_bytes());
            }
        }
        body.replace(&encoded, &STANDARD.encode(der)).into_bytes()
    };
    (0..LEAVES).map(numbered).collect()
}

pub(crate) fn measure(bencher: Bencher<'_, '_>, mut each: impl FnMut(&[u8])) {
    let leaves = leaves();
    let bytes: usize = leaves.iter().map(Vec::len).sum();
    bencher.counter(ItemsCount::new(LEAVES)).counter(BytesCount::new(bytes)).bench_local(|| {
        for leaf in &leaves {
            each(black_box(leaf));
        }
    });
}

pub(crate) fn parse(leaf: &[u8]) {
    let leaf: Leaf = serde_json::from_slice(leaf).unwrap();
    let HashedRekord { data, signature } = leaf.spec.hashed_rekord;
    black_box(STANDARD.decode(data.digest).unwrap());
    black_box(STANDARD.decode(signature.content).unwrap());
    let der = STANDARD.decode(signature.verifier.certificate.raw_bytes).unwrap();
    black_box(Certificate::from_der(&der).unwrap());
}

#[derive(Deserialize)]
struct Leaf {
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(rename = "hashedRekordV002")]
    hashed_rekord: HashedRekord,
}

#[derive(Deserialize)]
struct HashedRekord {
    data: Data,
    signature: Signature,
}

#[derive(Deserialize)]
struct Data {
    digest: String,
}

#[derive(Deserialize)]
struct Signature {
    content: String,
    verifier: Verifier,
}

#[derive(Deserialize)]
struct Verifier {
    #[serde(rename = "x509Certificate")]
    certificate: RawBytes,
}

#[derive(Deserialize)]
struct RawBytes {
    #[serde(rename = "rawBytes")]
    raw_bytes: String,
}
