//! What a log answers about a leaf: its bytes, where it is, and the log's promises and proofs for it.
use crate::json::{self, Capped, Json};
use crate::protojson::{Base64, Int64};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tlog::Hash;

/// A leaf as its log returned it. Nothing in it is verified: see [`crate::verify::verify_entry`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogEntry {
    /// The index that the log gave: on Rekor v1 counted over all shards, on v2 within its one tree.
    pub log_index: u64,
    /// Which log: Rekor v1's log id, v2's key id.
    pub log_id: [u8; 32],
    /// The kind of the entry's body, such as `hashedrekord`.
    pub kind: String,
    /// The version of that kind, such as `0.0.1`.
    pub version: String,
    /// Rekor v1: when the log took the entry, in unix seconds. Only a signed entry timestamp vouches for it.
    pub integrated_time: Option<i64>,
    /// Rekor v1: the signed entry timestamp.
    pub set: Option<Vec<u8>>,
    /// The inclusion proof and the checkpoint that it leads to.
    pub proof: Option<EntryProof>,
    /// The canonical body; the log's leaf is exactly these bytes.
    pub body: Vec<u8>,
}

/// An inclusion proof with the checkpoint that it leads to, both as the log gave them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryProof {
    /// The leaf's index within the tree of the checkpoint.
    pub log_index: u64,
    /// The root that the log claims.
    pub root: Hash,
    /// The tree's size.
    pub size: u64,
    /// The proof's hashes, from the leaf upwards.
    pub hashes: Vec<Hash>,
    /// The signed note.
    pub checkpoint: String,
}

/// Why bytes are not a log entry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogEntryError {
    /// Not JSON, or JSON that two readers may read differently.
    #[error("log entry is {0}")]
    Ambiguous(#[from] json::JsonError),
    /// Not the JSON that we know.
    #[error("log entry is not valid JSON of its kind: {0}")]
    Json(#[from] serde_json::Error),
    /// A field holds what it must not.
    #[error("log entry has no valid {0}")]
    Field(&'static str),
    /// A Rekor v1 answer holds one entry under its identifier.
    #[error("log answered with {0} entries where one was expected")]
    NotOne(usize),
}

impl LogEntry {
    /// Reads the `TransparencyLogEntry` of a bundle.
    pub fn from_bundle_json(value: &Value) -> Result<LogEntry, LogEntryError> {
        EntryJson::deserialize(value)?.try_into()
    }

    /// The `TransparencyLogEntry` for a bundle.
    pub fn to_bundle_json(&self) -> Value {
        serde_json::to_value(EntryJson::from(self)).unwrap_or(Value::Null)
    }

    /// Reads what [`LogEntry::to_json`] wrote.
    pub fn from_json(bytes: &[u8]) -> Result<LogEntry, LogEntryError> {
        Json::parse(bytes)?.read::<EntryJson>()?.try_into()
    }

    /// The entry as a `TransparencyLogEntry`, for the ledger.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&EntryJson::from(self)).unwrap_or_default()
    }

    /// Reads Rekor v1's answer, `{"<uuid>": {…}}`, and returns the uuid with the entry.
    pub fn from_rekor_v1(response: &[u8]) -> Result<(String, LogEntry), LogEntryError> {
        let answer = Json::parse(response)?;
        let (mut first, mut found) = (None, 0);
        answer.for_each_field(|uuid, entry| {
            found += 1;
            first.get_or_insert((uuid, entry));
            Ok::<_, LogEntryError>(())
        })?;
        match first {
            Some((uuid, entry)) if found == 1 => Ok((uuid.into_owned(), entry.read::<RekorV1Json>()?.try_into()?)),
            _ => Err(LogEntryError::NotOne(found)),
        }
    }

    /// Reads Rekor v2's answer, a `TransparencyLogEntry`.
    pub fn from_rekor_v2(response: &[u8]) -> Result<LogEntry, LogEntryError> {
        LogEntry::from_json(response)
    }

    /// The leaf hash of the body.
    pub fn leaf_hash(&self) -> Hash {
        tlog::leaf_hash(&self.body)
    }

    /// Whether the entry is of a kind that only Rekor v2 has: no signed entry timestamp, one tree per log.
    pub fn is_rekor_v2(&self) -> bool {
        self.version == "0.0.2" && matches!(self.kind.as_str(), "hashedrekord" | "dsse")
    }
}

/// `dev.sigstore.rekor.v1.TransparencyLogEntry`. Fields in the order in which Go writes them; absent means zero.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntryJson {
    log_index: Option<Int64>,
    log_id: LogIdJson,
    kind_version: KindVersionJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    integrated_time: Option<Int64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inclusion_promise: Option<PromiseJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inclusion_proof: Option<ProofJson>,
    canonicalized_body: Base64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogIdJson {
    key_id: Base64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct KindVersionJson {
    kind: String,
    version: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct PromiseJson {
    signed_entry_timestamp: Base64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProofJson {
    log_index: Option<Int64>,
    root_hash: Base64,
    tree_size: Option<Int64>,
    #[serde(default)]
    hashes: Option<Capped<Base64, MAX_HASHES>>,
    checkpoint: Option<CheckpointJson>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct CheckpointJson {
    envelope: String,
}

/// No tree is so high that a proof within it needs more.
const MAX_HASHES: usize = 128;

fn all<T>(hashes: Option<Capped<T, MAX_HASHES>>) -> Result<Vec<T>, LogEntryError> {
    hashes.unwrap_or_default().all().ok_or(LogEntryError::Field("inclusionProof.hashes"))
}

fn index(value: Option<Int64>, field: &'static str) -> Result<u64, LogEntryError> {
    value.unwrap_or_default().unsigned().ok_or(LogEntryError::Field(field))
}

fn hash(bytes: &[u8], field: &'static str) -> Result<Hash, LogEntryError> {
    Hash::from_slice(bytes).ok_or(LogEntryError::Field(field))
}

fn written(value: u64) -> Int64 {
    // Indices beyond i64 cannot be read back from any of the forms, so none exists here.
    Int64(i64::try_from(value).unwrap_or(i64::MAX))
}

impl TryFrom<EntryJson> for LogEntry {
    type Error = LogEntryError;

    fn try_from(json: EntryJson) -> Result<LogEntry, LogEntryError> {
        let proof = match json.inclusion_proof {
            None => None,
            Some(proof) => Some(EntryProof {
                log_index: index(proof.log_index, "inclusionProof.logIndex")?,
                root: hash(&proof.root_hash.0, "inclusionProof.rootHash")?,
                size: index(proof.tree_size, "inclusionProof.treeSize")?,
                hashes: all(proof.hashes)?
                    .iter()
                    .map(|h| hash(&h.0, "inclusionProof.hashes"))
                    .collect::<Result<_, _>>()?,
                checkpoint: proof.checkpoint.map(|c| c.envelope).unwrap_or_default(),
            }),
        };
        Ok(LogEntry {
            log_index: index(json.log_index, "logIndex")?,
            log_id: json.log_id.key_id.0.try_into().map_err(|_| LogEntryError::Field("logId.keyId"))?,
            kind: json.kind_version.kind,
            version: json.kind_version.version,
            integrated_time: json.integrated_time.map(|t| t.0).filter(|t| *t != 0),
            set: json.inclusion_promise.map(|p| p.signed_entry_timestamp.0).filter(|set| !set.is_empty()),
            proof,
            body: json.canonicalized_body.0,
        })
    }
}

impl From<&LogEntry> for EntryJson {
    fn from(entry: &LogEntry) -> EntryJson {
        EntryJson {
            log_index: Some(written(entry.log_index)),
            log_id: LogIdJson { key_id: Base64(entry.log_id.to_vec()) },
            kind_version: KindVersionJson { kind: entry.kind.clone(), version: entry.version.clone() },
            integrated_time: entry.integrated_time.map(Int64),
            inclusion_promise: entry.set.clone().map(|set| PromiseJson { signed_entry_timestamp: Base64(set) }),
            inclusion_proof: entry.proof.as_ref().map(|proof| ProofJson {
                log_index: Some(written(proof.log_index)),
                root_hash: Base64(proof.root.as_bytes().to_vec()),
                tree_size: Some(written(proof.size)),
                hashes: Some(proof.hashes.iter().map(|h| Base64(h.as_bytes().to_vec())).collect::<Vec<_>>().into()),
                checkpoint: Some(CheckpointJson { envelope: proof.checkpoint.clone() }),
            }),
            canonicalized_body: Base64(entry.body.clone()),
        }
    }
}

/// One entry of a Rekor v1 answer: hashes in hex, times as numbers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RekorV1Json {
    body: Base64,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: u64,
    verification: Option<RekorV1Verification>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RekorV1Verification {
    signed_entry_timestamp: Option<Base64>,
    inclusion_proof: Option<RekorV1Proof>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RekorV1Proof {
    checkpoint: String,
    hashes: Option<Capped<String, MAX_HASHES>>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}

impl TryFrom<RekorV1Json> for LogEntry {
    type Error = LogEntryError;

    fn try_from(json: RekorV1Json) -> Result<LogEntry, LogEntryError> {
        let unhex = |text: &str, field| {
            let bytes = hex::decode(text).map_err(|_| LogEntryError::Field(field))?;
            hash(&bytes, field)
        };
        let (kind, version) =
            crate::entry::kind_version(&json.body.0).ok_or(LogEntryError::Field("body kind and version"))?;
        let (set, proof) = json.verification.map(|v| (v.signed_entry_timestamp, v.inclusion_proof)).unwrap_or_default();
        let proof = match proof {
            None => None,
            Some(proof) => Some(EntryProof {
                log_index: proof.log_index,
                root: unhex(&proof.root_hash, "inclusionProof.rootHash")?,
                size: proof.tree_size,
                hashes: all(proof.hashes)?
                    .iter()
                    .map(|h| unhex(h, "inclusionProof.hashes"))
                    .collect::<Result<_, _>>()?,
                checkpoint: proof.checkpoint,
            }),
        };
        Ok(LogEntry {
            log_index: json.log_index,
            log_id: *unhex(&json.log_id, "logID")?.as_bytes(),
            kind,
            version,
            integrated_time: Some(json.integrated_time),
            set: set.map(|s| s.0).filter(|s| !s.is_empty()),
            proof,
            body: json.body.0,
        })
    }
}

#[cfg(test)]
mod tests;
