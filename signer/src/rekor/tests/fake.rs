//! A log of either version on loopback whose every answer can be altered.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle::entry::NewEntry;
use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use spki::EncodePublicKey as _;
use tlog::{Hash, LogKey, NoteSignature, checkpoint_text, format_note, tree};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

pub(crate) const ORIGIN: &str = "log.example.com";
const TREE_ID: &str = "1193050959916656506";
/// Rekor v1 counts over all shards: the index of an entry is not that of its leaf.
pub(crate) const OLDER_SHARDS: u64 = 1_000_000;
const TIME: i64 = 1_732_464_000;

type Tamper = Box<dyn Fn(&mut Value) + Send>;
type TamperRead = Box<dyn Fn(&str, &mut Vec<u8>) + Send>;

/// An answer instead of the log's own.
pub(crate) struct Scripted {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Scripted {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: "scripted".to_owned() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(crate) fn body(mut self, body: impl ToString) -> Self {
        self.body = body.to_string();
        self
    }
}

pub(crate) struct State {
    version: u32,
    ecdsa: p256::ecdsa::SigningKey,
    ed25519: ed25519_dalek::SigningKey,
    pub(crate) leaves: Vec<Vec<u8>>,
    /// Answers to the next writes.
    pub(crate) script: VecDeque<Scripted>,
    /// Alters each entry that is answered.
    pub(crate) tamper: Option<Tamper>,
    /// Alters each tile, checkpoint and entry bundle by its path.
    pub(crate) tamper_read: Option<TamperRead>,
    /// So many answers come without an inclusion proof.
    pub(crate) without_proof: u32,
    /// So many checkpoints show the empty log.
    pub(crate) lag: u32,
    /// Partial tiles are gone, as once the full ones exist.
    pub(crate) full_tiles_only: bool,
    /// Everything is below this.
    pub(crate) read_prefix: &'static str,
    /// What was asked, `METHOD path`.
    pub(crate) requests: Vec<String>,
}

/// The log, until the test ends.
#[derive(Clone)]
pub(crate) struct FakeLog {
    pub(crate) url: Url,
    state: Arc<Mutex<State>>,
}

impl FakeLog {
    pub(crate) async fn start(version: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let log = Self {
            url: Url::parse(&url).unwrap(),
            state: Arc::new(Mutex::new(State {
                version,
                ecdsa: p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap(),
                ed25519: ed25519_dalek::SigningKey::from_bytes(&[7; 32]),
                leaves: vec![b"somebody else's leaf".to_vec()],
                script: VecDeque::new(),
                tamper: None,
                tamper_read: None,
                without_proof: 0,
                lag: 0,
                full_tiles_only: false,
                read_prefix: "/",
                requests: Vec::new(),
            })),
        };
        let serving = log.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        log
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn key(&self) -> LogKey {
        let state = self.state();
        let spki = match state.version {
            1 => state.ecdsa.verifying_key().to_public_key_der(),
            _ => state.ed25519.verifying_key().to_public_key_der(),
        };
        LogKey::from_spki(spki.unwrap().as_bytes(), Some(ORIGIN)).unwrap()
    }

    /// Another log's key, of the right kind and name.
    pub(crate) fn wrong_key(&self) -> LogKey {
        let spki = match self.state().version {
            1 => p256::ecdsa::SigningKey::from_slice(&[8; 32]).unwrap().verifying_key().to_public_key_der(),
            _ => ed25519_dalek::SigningKey::from_bytes(&[8; 32]).verifying_key().to_public_key_der(),
        };
        LogKey::from_spki(spki.unwrap().as_bytes(), Some(ORIGIN)).unwrap()
    }

    pub(crate) fn tamper(&self, tamper: impl Fn(&mut Value) + Send + 'static) {
        self.state().tamper = Some(Box::new(tamper));
    }

    pub(crate) fn writes(&self) -> usize {
        self.state().requests.iter().filter(|r| r.starts_with("POST")).count()
    }

    pub(crate) fn reads(&self) -> usize {
        self.state().requests.iter().filter(|r| r.starts_with("GET")).count()
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        let (head, body) = loop {
            let Ok(read @ 1..) = stream.read(&mut chunk).await else { return };
            bytes.extend_from_slice(&chunk[..read]);
            let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                break (String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes[end + 4..].to_vec());
            }
        };
        let mut words = head.split_whitespace();
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let (status, headers, body) = self.state().answer(method, path, &body);
        let mut answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
        for (name, value) in headers {
            answer.push_str(&format!("{name}: {value}\r\n"));
        }
        answer.push_str("\r\n");
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.write_all(&body).await;
    }
}

type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

impl State {
    fn answer(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.requests.push(format!("{method} {path}"));
        if method == "POST" {
            if let Some(scripted) = self.script.pop_front() {
                return (scripted.status, scripted.headers, scripted.body.into_bytes());
            }
            return self.write(path, body);
        }
        match self.read(path) {
            Some(body) => (200, Vec::new(), body),
            None => (404, Vec::new(), b"no such thing".to_vec()),
        }
    }

    fn write(&mut self, path: &str, body: &[u8]) -> Answer {
        let request: Value = serde_json::from_slice(body).unwrap();
        let leaf = match (self.version, path) {
            (1, "/api/v1/log/entries") => v1_body(&request),
            (2, "/api/v2/log/entries") => v2_body(&request),
            _ => return (404, Vec::new(), Vec::new()),
        };
        if let Some(index) = self.leaves.iter().position(|known| *known == leaf) {
            return self.conflict(index);
        }
        self.leaves.push(leaf);
        (201, Vec::new(), self.entry(self.leaves.len() - 1))
    }

    fn conflict(&self, index: usize) -> Answer {
        let held = "an equivalent entry already exists in the transparency log with";
        if self.version == 1 {
            let uuid = uuid(&self.leaves[index]);
            let body = json!({"code": 409, "message": format!("{held} UUID {uuid}")});
            let location = format!("https://elsewhere.example.com/api/v1/log/entries/{uuid}");
            return (409, vec![("location", location)], body.to_string().into_bytes());
        }
        let body = json!({"code": 6, "message": format!("{held} index {index}"), "details": []});
        (409, Vec::new(), body.to_string().into_bytes())
    }

    fn read(&mut self, path: &str) -> Option<Vec<u8>> {
        if let Some(uuid) = path.strip_prefix("/api/v1/log/entries/") {
            let index = self.leaves.iter().position(|leaf| self::uuid(leaf) == uuid)?;
            return Some(self.entry(index));
        }
        let path = path.strip_prefix(self.read_prefix)?;
        let mut bytes = if path == "checkpoint" {
            let shown = if self.lag > 0 { 0 } else { self.leaves.len() };
            self.lag = self.lag.saturating_sub(1);
            self.checkpoint(shown).into_bytes()
        } else {
            self.tiles().remove(path)?
        };
        if let Some(tamper) = &self.tamper_read {
            tamper(path, &mut bytes);
        }
        Some(bytes)
    }

    fn tiles(&self) -> BTreeMap<String, Vec<u8>> {
        let mut tiles: BTreeMap<String, Vec<u8>> =
            tlog::tile::tiles_of(&self.hashes()).into_iter().map(|(coord, bytes)| (coord.path(), bytes)).collect();
        for (index, entries) in self.leaves.chunks(256).enumerate() {
            let path = tlog::tile::entries_path(index as u64, entries.len() as u16);
            tiles.insert(path, tlog::tile::format_entries(entries).unwrap());
        }
        if self.full_tiles_only {
            // As if the log had grown since its checkpoint: the full tile begins with the partial one.
            tiles =
                tiles.into_iter().map(|(path, bytes)| (path.split(".p/").next().unwrap().to_owned(), bytes)).collect();
        }
        tiles
    }

    fn hashes(&self) -> Vec<Hash> {
        self.leaves.iter().map(|leaf| tlog::leaf_hash(leaf)).collect()
    }

    fn checkpoint(&self, size: usize) -> String {
        let origin = if self.version == 1 { format!("{ORIGIN} - {TREE_ID}") } else { ORIGIN.to_owned() };
        let text = checkpoint_text(&origin, size as u64, &tree::root(&self.hashes()[..size]));
        let (signature, key_hash) = self.sign_note(&text);
        format_note(&text, &[NoteSignature { name: ORIGIN.to_owned(), key_hash, signature }])
    }

    fn sign_note(&self, text: &str) -> (Vec<u8>, [u8; 4]) {
        let (signature, spki) = if self.version == 1 {
            (self.sign_ecdsa(text.as_bytes()), self.ecdsa.verifying_key().to_public_key_der())
        } else {
            let signature = self.ed25519.sign(text.as_bytes()).to_bytes().to_vec();
            (signature, self.ed25519.verifying_key().to_public_key_der())
        };
        let key = LogKey::from_spki(spki.unwrap().as_bytes(), Some(ORIGIN)).unwrap();
        (signature, key.note_hash())
    }

    fn sign_ecdsa(&self, message: &[u8]) -> Vec<u8> {
        let signature: p256::ecdsa::Signature = self.ecdsa.sign_prehash(&Sha256::digest(message)).unwrap();
        signature.to_der().as_bytes().to_vec()
    }

    fn entry(&mut self, index: usize) -> Vec<u8> {
        let hashes = self.hashes();
        let size = hashes.len();
        let proof = tree::inclusion_proof(&hashes, index as u64, size as u64).unwrap();
        let body = self.leaves[index].clone();
        let mut answer = if self.version == 1 {
            let body = STANDARD.encode(&body);
            let log_id = self.key_id();
            let log_index = OLDER_SHARDS + index as u64;
            let set = self.sign_ecdsa(&tlog::set_payload(&body, TIME, &hex::encode(log_id), log_index));
            json!({
                "body": body, "integratedTime": TIME, "logID": hex::encode(log_id), "logIndex": log_index,
                "verification": {
                    "signedEntryTimestamp": STANDARD.encode(set),
                    "inclusionProof": {
                        "checkpoint": self.checkpoint(size),
                        "hashes": proof.hashes.iter().map(Hash::to_string).collect::<Vec<_>>(),
                        "logIndex": index, "rootHash": tree::root(&hashes).to_string(), "treeSize": size,
                    },
                },
            })
        } else {
            json!({
                "logIndex": index.to_string(), "logId": {"keyId": STANDARD.encode(self.key_id())},
                "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
                "integratedTime": "0",
                "inclusionProof": {
                    "logIndex": index.to_string(), "treeSize": size.to_string(),
                    "rootHash": STANDARD.encode(tree::root(&hashes).as_bytes()),
                    "hashes": proof.hashes.iter().map(|h| STANDARD.encode(h.as_bytes())).collect::<Vec<_>>(),
                    "checkpoint": {"envelope": self.checkpoint(size)},
                },
                "canonicalizedBody": STANDARD.encode(&body),
            })
        };
        if self.without_proof > 0 {
            self.without_proof -= 1;
            let holder = if self.version == 1 { &mut answer["verification"] } else { &mut answer };
            holder.as_object_mut().unwrap().remove("inclusionProof");
        }
        if let Some(tamper) = &self.tamper {
            tamper(&mut answer);
        }
        if self.version == 1 {
            answer = json!({ uuid(&body): answer });
        }
        answer.to_string().into_bytes()
    }

    fn key_id(&self) -> [u8; 32] {
        let spki = match self.version {
            1 => self.ecdsa.verifying_key().to_public_key_der(),
            _ => self.ed25519.verifying_key().to_public_key_der(),
        };
        LogKey::from_spki(spki.unwrap().as_bytes(), Some(ORIGIN)).unwrap().key_id()
    }
}

/// The leaf that a log of this version makes of an entry.
pub(crate) fn leaf(entry: &NewEntry, version: u32) -> Vec<u8> {
    let request = match version {
        1 => entry.rekor_v1_request(),
        _ => entry.rekor_v2_request(),
    };
    let request = serde_json::from_slice(&request.unwrap()).unwrap();
    if version == 1 { v1_body(&request) } else { v2_body(&request) }
}

pub(crate) fn uuid(leaf: &[u8]) -> String {
    format!("24296fb24b8ad77a{}", tlog::leaf_hash(leaf))
}

fn v1_body(request: &Value) -> Vec<u8> {
    if request["kind"] == "hashedrekord" {
        return request.to_string().into_bytes();
    }
    let proposed = &request["spec"]["proposedContent"];
    let envelope = proposed["envelope"].as_str().unwrap();
    let parsed: Value = serde_json::from_str(envelope).unwrap();
    let payload = STANDARD.decode(parsed["payload"].as_str().unwrap()).unwrap();
    let sha256 = |bytes: &[u8]| json!({"algorithm": "sha256", "value": hex::encode(Sha256::digest(bytes))});
    let body = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "envelopeHash": sha256(envelope.as_bytes()),
        "payloadHash": sha256(&payload),
        "signatures": [{"signature": parsed["signatures"][0]["sig"], "verifier": proposed["verifiers"][0]}],
    }});
    body.to_string().into_bytes()
}

fn v2_body(request: &Value) -> Vec<u8> {
    let asked = &request["hashedRekordRequestV002"];
    let body = json!({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": {
        "data": {"algorithm": "SHA2_256", "digest": asked["digest"]},
        "signature": asked["signature"],
    }}});
    body.to_string().into_bytes()
}
