//! The floor: what nobody can do without who reads a leaf, by the usual crates and into values that own what they hold.

use std::hint::black_box;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::Failed;

/// Entry bundles that each thread goes through.
const BUNDLES: u64 = 96;
/// How often.
const ROUNDS: u64 = 3;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Leaf {
    api_version: String,
    kind: String,
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
    algorithm: String,
    digest: String,
}

#[derive(Deserialize)]
struct Signature {
    content: String,
    verifier: Verifier,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verifier {
    key_details: String,
    public_key: Option<RawBytes>,
    x509_certificate: Option<RawBytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    raw_bytes: String,
}

/// The leaves of the log's first bundles, in memory.
pub(crate) fn sample(tiles: &Path) -> Result<Vec<Vec<u8>>, Failed> {
    let mut leaves = Vec::new();
    for bundle in 0..BUNDLES {
        let Ok(bytes) = std::fs::read(tiles.join(tlog::tile::entries_path(bundle, tlog::tile::FULL_WIDTH))) else {
            break;
        };
        let mut ranges = Vec::new();
        tlog::tile::entry_slices(&bytes, &mut ranges)?;
        leaves.extend(ranges.into_iter().map(|range| bytes[range].to_vec()));
    }
    if leaves.is_empty() { Err("the log has no full bundle: ask for more leaves".into()) } else { Ok(leaves) }
}

/// Goes through the leaves on so many threads. How many leaves that were.
pub(crate) fn run(leaves: &[Vec<u8>], threads: u64) -> u64 {
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..ROUNDS).for_each(|_| leaves.iter().for_each(|leaf| each(leaf))));
        }
    });
    threads * ROUNDS * leaves.len() as u64
}

fn each(bytes: &[u8]) {
    black_box(tlog::leaf_hash(bytes));
    let Leaf { api_version, kind, spec } = serde_json::from_slice(bytes).expect("an entry");
    let HashedRekord { data, signature } = spec.hashed_rekord;
    let Verifier { key_details, public_key, x509_certificate } = signature.verifier;
    let decoded = |text: &str| STANDARD.decode(text).expect("base64");
    black_box((api_version, kind, data.algorithm, key_details));
    black_box((decoded(&data.digest), decoded(&signature.content)));
    black_box(public_key.map(|key| decoded(&key.raw_bytes)));
    let certificate = x509_certificate.map(|it| decoded(&it.raw_bytes));
    black_box(certificate.map(|der| Certificate::from_der(&der).expect("a certificate")));
}
