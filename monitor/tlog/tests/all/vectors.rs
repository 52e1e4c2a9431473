//! Published vectors, where they are at hand: `SEALWATCH_VECTORS`, or `../shared/vectors` beside the workspace.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tlog::tile::TileCoord;
use tlog::{Hash, InclusionProof, LogKey};

mod altered;
mod checkpoints;
mod entries;
mod merkle;
mod tiles;

/// The folder of one project's vectors. `None`, said loudly, where it is not there.
fn vectors(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SEALWATCH_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"), PathBuf::from);
    let folder = root.join(path);
    if folder.exists() {
        return Some(folder);
    }
    // Straight to the stream: the harness would keep a passing test's output to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: no vectors at {}; set SEALWATCH_VECTORS", folder.display());
    None
}

fn text(path: PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(path: PathBuf) -> Value {
    serde_json::from_str(&text(path)).unwrap()
}

fn base64(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// Protobuf's JSON writes 64-bit numbers as strings, others as numbers.
fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

fn hashes(value: &Value) -> Vec<Hash> {
    let hashes = value.as_array().into_iter().flatten();
    hashes.map(|hash| Hash::from_slice(&base64(hash)).unwrap()).collect()
}

/// The tiles of a log that is a folder.
fn fetch(folder: &Path, coords: Vec<TileCoord>) -> BTreeMap<TileCoord, Vec<u8>> {
    let read = |coord: &TileCoord| {
        let path = coord.path();
        std::fs::read(folder.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    coords.into_iter().map(|coord| (coord, read(&coord))).collect()
}

/// The public key of the certificate log whose answers azul keeps: Google's Argon2020.
const ARGON: &str = concat!(
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE6Tx2p1yKY4015NyIYvdrk36es0uAc1zA4PQ+TGRY+3ZjUTIYY9Wyu+3q/147JG4vNVKLtDWarZwV",
    "qGkg6lAYzA=="
);

/// One of those answers, by the beginning of its file's name.
fn azul(folder: &Path, prefix: &str) -> Vec<u8> {
    let mut files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    std::fs::read(files.find(named).unwrap_or_else(|| panic!("{prefix}"))).unwrap()
}

/// The proof in a TransparencyLogEntry, and the root that it claims.
fn inclusion(entry: &Value) -> (InclusionProof, Hash) {
    let proof = &entry["inclusionProof"];
    let root = Hash::from_slice(&base64(&proof["rootHash"])).unwrap();
    let (index, size) = (number(&proof["logIndex"]), number(&proof["treeSize"]));
    (InclusionProof { index, size, hashes: hashes(&proof["hashes"]) }, root)
}

/// The logs of a trusted root, each with the id under which it is listed there.
fn trusted_logs(root: &Value) -> Vec<(LogKey, [u8; 32])> {
    let logs = root["tlogs"].as_array().unwrap().iter();
    logs.filter_map(|log| {
        let ed25519 = log["publicKey"]["keyDetails"] == "PKIX_ED25519";
        let host = log["baseUrl"].as_str()?.split("://").nth(1)?.trim_end_matches('/');
        // A v1 log may sign under another name than its address; its key's id does not depend on the name.
        let key = LogKey::from_spki(&base64(&log["publicKey"]["rawBytes"]), ed25519.then_some(host)).ok()?;
        Some((key, base64(&log["logId"]["keyId"]).try_into().ok()?))
    })
    .collect()
}
