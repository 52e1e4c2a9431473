//! What an evidence file can show, one shape each.

use serde::{Deserialize, Serialize};
use tlog::NodeProof;

use super::cause::Names;
use super::wire::{Base64, HexHash, Verbatim};

/// A head as it was seen.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SeenHead {
    /// Where it was met: `log`, `witness NAME`, `ledger`, `registry`.
    pub source: String,
    /// The signed note, or the JSON of an RFC 6962 log, word for word.
    pub note: Verbatim,
}

impl SeenHead {
    /// A head that the log itself served.
    pub fn of_log(note: &[u8]) -> Self {
        Self::from("log", note)
    }

    /// A head from elsewhere.
    pub fn from(source: &str, note: &[u8]) -> Self {
        Self { source: source.to_owned(), note: Verbatim(note.to_vec()) }
    }
}

/// One node of a log's tree, and the way from it to the root.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Height: it is over `2^level` leaves.
    pub level: u32,
    /// Position within its level.
    pub index: u64,
    /// Its hash.
    pub node: HexHash,
    /// Leaves of the tree.
    pub size: u64,
    /// Siblings on the way up.
    pub path: Vec<HexHash>,
}

impl Node {
    /// The proof again.
    pub fn proof(&self) -> NodeProof {
        NodeProof {
            level: self.level,
            index: self.index,
            node: self.node.0,
            size: self.size,
            path: HexHash::bare(&self.path),
        }
    }
}

impl From<&NodeProof> for Node {
    fn from(proof: &NodeProof) -> Self {
        Self {
            level: proof.level,
            index: proof.index,
            node: HexHash(proof.node),
            size: proof.size,
            path: HexHash::of(&proof.path),
        }
    }
}

/// What a log promised about an entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Promised {
    /// The log's answer: a `TransparencyLogEntry` with a signed entry timestamp, a proof, or both.
    pub entry: Verbatim,
    /// Where the shard begins in the index of a signed entry timestamp (Rekor v1 counts over all shards).
    pub offset: u64,
    /// Heads of the shards before it, the last of each: their sizes make the offset. That they are the last and
    /// all of them is the word of whoever wrote the file.
    pub earlier: Vec<SeenHead>,
}

/// What is shown.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "shows", rename_all = "snake_case", deny_unknown_fields)]
pub enum Proof {
    /// Two heads of one log that cannot both be of one growing tree, or of one shard that was closed.
    Heads {
        /// The one seen first.
        first: SeenHead,
        /// The other one.
        second: SeenHead,
    },
    /// Two heads of different sizes, and one place of the tree at which they have different nodes.
    Contradiction {
        /// The smaller tree's head.
        old: SeenHead,
        /// The larger tree's.
        new: SeenHead,
        /// The perfect subtrees of the smaller tree: a compact range.
        old_range: Base64,
        /// One of them as it is in the larger tree.
        node: Node,
    },
    /// Two heads, and a consistency proof as the log served it, that proves nothing.
    RefusedProof {
        /// The smaller tree's head.
        old: SeenHead,
        /// The larger tree's.
        new: SeenHead,
        /// The proof, as served.
        hashes: Vec<HexHash>,
    },
    /// A head that does not open with the log's key and origin.
    UnopenedHead {
        /// What was served.
        head: SeenHead,
    },
    /// Leaves as served that are not the ones under the signed root.
    Served {
        /// The head.
        head: SeenHead,
        /// What the head commits to in their place.
        node: Node,
        /// The leaves below that node, as served.
        leaves: Vec<Base64>,
    },
    /// Leaves as served that, appended to what was verified, do not lead to the signed root.
    Rebuilt {
        /// The head of what was verified.
        verified: SeenHead,
        /// The leaves below it, as a compact range.
        range: Base64,
        /// That the new head continues the verified one.
        consistency: Vec<HexHash>,
        /// The new head.
        head: SeenHead,
        /// Every leaf between the two, as served.
        leaves: Vec<Base64>,
    },
    /// A leaf under a signed root, and what it names.
    Entry {
        /// The head.
        head: SeenHead,
        /// The leaf's index.
        index: u64,
        /// The leaf; left out where it is larger than [`super::MAX_LEAF_BYTES`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leaf: Option<Base64>,
        /// Its hash.
        leaf_hash: HexHash,
        /// That it is under the head's root; absent where the log gave no proof.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inclusion: Option<Vec<HexHash>>,
        /// What it names; absent for a leaf that cannot be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        names: Option<Names>,
    },
    /// An entry that the log promised, and what is in its place.
    Promise {
        /// The promise.
        promised: Promised,
        /// A head of the tree that should hold it.
        head: SeenHead,
        /// The hash of the leaf in its place; absent where the tree is too small to have the place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        other: Option<HexHash>,
        /// That this one is under the head's root.
        inclusion: Vec<HexHash>,
    },
    /// A head, and the policy of witnesses that it should meet.
    Cosignatures {
        /// The head.
        head: SeenHead,
        /// The policy, in the words of c2sp.org/tlog-policy.
        policy: String,
    },
    /// Only what was seen, with heads of the log where there are some; the claims tell the rest.
    Facts {
        /// Heads, the oldest first.
        heads: Vec<SeenHead>,
    },
}

impl Proof {
    /// How the verdict names it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Heads { .. } => "two heads",
            Self::Contradiction { .. } => "a contradiction",
            Self::RefusedProof { .. } => "a refused proof",
            Self::UnopenedHead { .. } => "an unopened head",
            Self::Served { .. } => "served leaves",
            Self::Rebuilt { .. } => "a rebuilt root",
            Self::Entry { .. } => "an entry",
            Self::Promise { .. } => "a promise",
            Self::Cosignatures { .. } => "cosignatures",
            Self::Facts { .. } => "facts",
        }
    }

    /// The heads in it, without the rest.
    pub(crate) fn into_heads(self) -> Vec<SeenHead> {
        match self {
            Self::Heads { first: old, second: new }
            | Self::Contradiction { old, new, .. }
            | Self::RefusedProof { old, new, .. }
            | Self::Rebuilt { verified: old, head: new, .. } => vec![old, new],
            Self::UnopenedHead { head }
            | Self::Served { head, .. }
            | Self::Entry { head, .. }
            | Self::Promise { head, .. }
            | Self::Cosignatures { head, .. } => vec![head],
            Self::Facts { heads } => heads,
        }
    }
}
