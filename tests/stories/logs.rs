//! The logs, asked: every leaf since a story began that one key signed. Read as a stranger would, with none of our
//! parsers: JSON over Rekor v1's API, and the entry bundles under Rekor v2's tiles.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::http;
use crate::scene::{Rekor, Scene};

/// Entries of Rekor v1 that one question may ask for.
const PER_QUESTION: usize = 10;
/// Entries in a full bundle of Rekor v2.
const PER_BUNDLE: u64 = 256;

/// A log, from some index on.
pub(crate) struct Log {
    rekor: Rekor,
    url: String,
    from: u64,
}

/// A leaf that one key signed.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) index: u64,
    pub(crate) body: Vec<u8>,
    /// Base64 of DER, as images carry it too.
    pub(crate) signature: String,
}

impl Log {
    /// The log of a scene, from here on.
    pub(crate) fn of(scene: &Scene) -> Self {
        let url = if scene.rekor == Rekor::V1 { scene.shared.rekor1.clone() } else { scene.shared.tiles.clone() };
        let mut log = Self { rekor: scene.rekor, url, from: 0 };
        log.from = log.size();
        log
    }

    /// How many leaves it has now.
    fn size(&self) -> u64 {
        match self.rekor {
            Rekor::V1 => self.ask("/api/v1/log")["treeSize"].as_u64().expect("a tree size"),
            Rekor::V2 => {
                let note = http::request("GET", &format!("{}/checkpoint", self.url), &[], b"");
                let note = String::from_utf8(note.body).expect("a checkpoint is text");
                note.lines().nth(1).and_then(|line| line.parse().ok()).expect("a checkpoint's second line is its size")
            }
        }
    }

    /// Every leaf since the beginning of the story whose key this PEM file holds.
    pub(crate) fn leaves_of(&self, public_key: &Path) -> Vec<Leaf> {
        let key = spki_base64(&std::fs::read_to_string(public_key).expect("a public key"));
        let (from, to) = (self.from, self.size());
        let bodies = if self.rekor == Rekor::V1 { self.entries_v1(from, to) } else { self.entries_v2(from, to) };
        assert_eq!(bodies.len() as u64, to - from, "the log gave every leaf that it says it has");
        let found = bodies.into_iter().filter_map(|(index, body)| {
            let entry: Value = serde_json::from_slice(&body).expect("a leaf is JSON");
            let (signature, signer) = signature_of(&entry)?;
            (signer == key).then_some(Leaf { index, body, signature })
        });
        found.collect()
    }

    fn entries_v1(&self, from: u64, to: u64) -> Vec<(u64, Vec<u8>)> {
        let indexes: Vec<u64> = (from..to).collect();
        let mut bodies = Vec::new();
        for some in indexes.chunks(PER_QUESTION) {
            let url = format!("{}/api/v1/log/entries/retrieve", self.url);
            let question = json!({"logIndexes": some}).to_string();
            let answer = http::request("POST", &url, &[("Content-Type", "application/json")], question.as_bytes());
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
            let entries: Vec<serde_json::Map<String, Value>> = serde_json::from_slice(&answer.body).expect("entries");
            for entry in entries.iter().flat_map(|one| one.values()) {
                let body = BASE64.decode(entry["body"].as_str().expect("a body")).expect("base64");
                bodies.push((entry["logIndex"].as_u64().expect("an index"), body));
            }
        }
        bodies
    }

    fn entries_v2(&self, from: u64, to: u64) -> Vec<(u64, Vec<u8>)> {
        let mut bodies = Vec::new();
        for number in from / PER_BUNDLE..to.div_ceil(PER_BUNDLE) {
            let first = number * PER_BUNDLE;
            let bundle = self.bundle(number, (to - first).min(PER_BUNDLE));
            let entries = entries_of(&bundle);
            bodies.extend((first..).zip(entries).filter(|(index, _)| (from..to).contains(index)));
        }
        bodies
    }

    /// A partial bundle is removed once it is outgrown; then the full one is there.
    fn bundle(&self, number: u64, width: u64) -> Vec<u8> {
        assert!(number < 1000, "a log of the tests is small");
        let full = format!("{}/tile/entries/{number:03}", self.url);
        for url in [format!("{full}.p/{width}"), full] {
            let answer = http::request("GET", &url, &[], b"");
            if answer.status == 200 {
                return answer.body;
            }
        }
        panic!("bundle {number} of width {width} is not there");
    }

    fn ask(&self, path: &str) -> Value {
        let answer = http::request("GET", &format!("{}{path}", self.url), &[], b"");
        assert_eq!(answer.status, 200, "{path}");
        serde_json::from_slice(&answer.body).expect("JSON")
    }
}

/// SPEC: "each entry is a 16-bit big-endian length, then the bytes" (c2sp.org/tlog-tiles).
fn entries_of(mut bundle: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    while let [high, low, rest @ ..] = bundle {
        let (entry, next) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        entries.push(entry.to_vec());
        bundle = next;
    }
    entries
}

/// The signature of an entry, and the key in it: hashedrekord and dsse of Rekor v1, hashedrekord of Rekor v2.
fn signature_of(entry: &Value) -> Option<(String, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let from_pem = |value: &Value| {
        let pem = String::from_utf8(BASE64.decode(value.as_str()?).ok()?).ok()?;
        Some(spki_base64(&pem))
    };
    let spec = &entry["spec"];
    match (entry["kind"].as_str()?, entry["apiVersion"].as_str()?) {
        ("hashedrekord", "0.0.1") => {
            let signature = &spec["signature"];
            Some((text(&signature["content"])?, from_pem(&signature["publicKey"]["content"])?))
        }
        ("dsse", "0.0.1") => {
            let signature = &spec["signatures"][0];
            Some((text(&signature["signature"])?, from_pem(&signature["verifier"])?))
        }
        ("hashedrekord", "0.0.2") => {
            let signature = &spec["hashedRekordV002"]["signature"];
            Some((text(&signature["content"])?, text(&signature["verifier"]["publicKey"]["rawBytes"])?))
        }
        other => panic!("an entry of kind {other:?}: nobody in these stories writes that"),
    }
}

/// What stands between a PEM's first and last line.
fn spki_base64(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect()
}
