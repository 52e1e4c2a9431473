//! The log lies, or somebody between it and us does.

use store::{FindingKind, NewFinding};
use tlog::{Checkpoint, CheckpointError, CompactRange, Hash, NodeProof, SignedNote};

use super::{Draft, LogDescription, clean, lasted, time};
use crate::evidence::{Base64, HexHash, MAX_LEAF_BYTES, Node, Promised, Proof, SeenHead, Verbatim};

/// Two heads of one size with different roots.
pub fn fork(log: &LogDescription, a: &[u8], b: &[u8], at: i64) -> NewFinding {
    let (one, two) = (head(log, a), head(log, b));
    let proof = Proof::Heads { first: SeenHead::of_log(a), second: SeenHead::of_log(b) };
    let mut draft = Draft::new(FindingKind::Fork, Some(log), proof, at);
    let mut roots = [one.root, two.root];
    roots.sort_unstable();
    draft.occurrence = format!("{}/{}/{}", one.size, roots[0], roots[1]);
    draft.title = format!("{} forked: two signed roots for {} leaves", clean(&log.origin), one.size);
    draft.seen = format!(
        "The log {} signed root {} and root {} for the same {} leaves: it shows different trees to different readers.",
        clean(&log.origin),
        one.root,
        two.root,
        one.size,
    );
    draft.finish()
}

/// A smaller head, that stayed for longer than replicas lag. `since` is when it was first seen, in unix milliseconds.
pub fn rollback(log: &LogDescription, larger: &[u8], smaller: &[u8], since: i64, at: i64) -> NewFinding {
    let (before, now) = (head(log, larger), head(log, smaller));
    let proof = Proof::Heads { first: SeenHead::of_log(larger), second: SeenHead::of_log(smaller) };
    let mut draft = Draft::new(FindingKind::Rollback, Some(log), proof, at);
    draft.occurrence = format!("{}>{}", before.size, now.size);
    draft.title = format!("{} went back from {} to {} leaves", clean(&log.origin), before.size, now.size);
    draft.seen = format!(
        "The log {} signed {} leaves and has answered with {} for {}.",
        clean(&log.origin),
        before.size,
        now.size,
        lasted(since, at),
    );
    draft.claims = vec![("smaller_since", time(since)), ("smaller_still_at", time(at))];
    draft.finish()
}

/// How a larger tree fails to continue a smaller one.
#[derive(Clone, Copy, Debug)]
pub enum Growth<'a> {
    /// A subtree of the smaller tree is another one in the larger: convinces anybody.
    Contradiction {
        /// The smaller tree's perfect subtrees.
        old_range: &'a CompactRange,
        /// One of them, in the larger tree.
        node: &'a NodeProof,
    },
    /// The log's consistency proof proves nothing.
    Refused {
        /// As served.
        hashes: &'a [Hash],
    },
}

impl Growth<'_> {
    fn proof(self, old: SeenHead, new: SeenHead) -> Proof {
        match self {
            Growth::Contradiction { old_range, node } => {
                Proof::Contradiction { old, new, old_range: Base64(old_range.to_bytes()), node: Node::from(node) }
            }
            Growth::Refused { hashes } => Proof::RefusedProof { old, new, hashes: HexHash::of(hashes) },
        }
    }

    fn words(self) -> String {
        match self {
            Growth::Contradiction { node, .. } => {
                format!("node {} at level {} is another one in each", node.index, node.level)
            }
            Growth::Refused { hashes } => {
                format!("the consistency proof that the log serves ({} hashes) proves nothing", hashes.len())
            }
        }
    }
}

/// A larger head that does not continue the smaller one.
pub fn inconsistent_growth(log: &LogDescription, old: &[u8], new: &[u8], how: Growth<'_>, at: i64) -> NewFinding {
    let (before, now) = (head(log, old), head(log, new));
    let proof = how.proof(SeenHead::of_log(old), SeenHead::of_log(new));
    let mut draft = Draft::new(FindingKind::InconsistentGrowth, Some(log), proof, at);
    draft.occurrence = format!("{}>{}/{}", before.size, now.size, now.root);
    draft.title = format!("{} rewrote its history between {} and {} leaves", clean(&log.origin), before.size, now.size);
    draft.seen = format!(
        "The log {} signed {} leaves, and later {} that do not begin with them: {}.",
        clean(&log.origin),
        before.size,
        now.size,
        how.words(),
    );
    draft.finish()
}

/// How a head from elsewhere does not fit the tree that we follow.
#[derive(Clone, Copy, Debug)]
pub enum Split<'a> {
    /// Same size, other root.
    SameSize,
    /// Different sizes, and one does not continue the other.
    Growth(Growth<'a>),
    /// Signed by the log's key for a tree that nobody announced.
    UnknownTree,
}

/// A head from elsewhere, signed by the log's key, that is not of the tree that we follow. `source` says where it was
/// met: `witness NAME`, `ledger`, `registry`.
pub fn split_view(
    log: &LogDescription,
    ours: &[u8],
    theirs: &[u8],
    source: &str,
    how: Split<'_>,
    at: i64,
) -> NewFinding {
    let (our_head, their_head) = (head(log, ours), head(log, theirs));
    let (here, there) = (SeenHead::of_log(ours), SeenHead::from(&clean(source), theirs));
    let (proof, words) = match how {
        Split::SameSize => {
            (Proof::Heads { first: here, second: there }, "it is as large as ours and has another root".to_owned())
        }
        Split::UnknownTree => (
            Proof::Heads { first: here, second: there },
            format!("it is of the tree {:?}, which nobody announced", clean(&their_head.origin)),
        ),
        Split::Growth(how) if their_head.size < our_head.size => (how.proof(there, here), how.words()),
        Split::Growth(how) => (how.proof(here, there), how.words()),
    };
    let mut draft = Draft::new(FindingKind::SplitView, Some(log), proof, at);
    draft.occurrence = format!("{}/{}/{}", clean(source), their_head.size, their_head.root);
    draft.title = format!("{} shows others another tree than us", clean(&log.origin));
    draft.seen = format!(
        "A head of {} leaves signed by the log {} was met in {} and does not fit the tree of {} leaves that we follow: {words}.",
        their_head.size,
        clean(&log.origin),
        clean(source),
        our_head.size,
    );
    draft.finish()
}

/// A head that the log's key has not signed.
pub fn bad_signature(
    log: &LogDescription,
    served: &[u8],
    problem: &CheckpointError,
    source: &str,
    at: i64,
) -> NewFinding {
    let proof = Proof::UnopenedHead { head: SeenHead::from(&clean(source), served) };
    let mut draft = Draft::new(FindingKind::BadSignature, Some(log), proof, at);
    draft.occurrence = tree_head_hash(served);
    draft.title = format!("{} serves a head that its key has not signed", clean(&log.origin));
    draft.seen = format!(
        "A head of the log {} was met in {} that its pinned key has not signed: {}.",
        clean(&log.origin),
        clean(source),
        clean(&problem.to_string()),
    );
    draft.finish()
}

/// A head signed by the log's key for another log. `found` is the origin that it names.
pub fn wrong_origin(log: &LogDescription, served: &[u8], found: &str, source: &str, at: i64) -> NewFinding {
    let proof = Proof::UnopenedHead { head: SeenHead::from(&clean(source), served) };
    let mut draft = Draft::new(FindingKind::WrongOrigin, Some(log), proof, at);
    draft.occurrence = clean(found);
    draft.title = format!("the key of {} signs as {:?}", clean(&log.origin), clean(found));
    draft.seen = format!(
        "Asked for a head of the log {}, {} answered with one of the log {:?}.",
        clean(&log.origin),
        clean(source),
        clean(found),
    );
    draft.finish()
}

/// What shows that served leaves are not the committed ones.
#[derive(Clone, Copy, Debug)]
pub enum Uncommitted<'a> {
    /// The head commits to another node in their place: exactly the leaves below it, as served.
    Node {
        /// What is committed.
        node: &'a NodeProof,
        /// The leaves below it, as served.
        leaves: &'a [&'a [u8]],
    },
    /// Appended to what was verified, they do not lead to the head's root.
    Rebuilt {
        /// The head of what was verified.
        verified: &'a [u8],
        /// What was verified.
        range: &'a CompactRange,
        /// That the new head continues it.
        consistency: &'a [Hash],
        /// Every leaf between the two heads, as served.
        leaves: &'a [&'a [u8]],
    },
    /// Too many to keep: only where they begin and end, and the root that they lead to.
    Root {
        /// The first leaf that was read since the verified position.
        start: u64,
        /// One past the last.
        end: u64,
        /// The root that they lead to.
        computed: Hash,
    },
}

/// Leaves as served are not the ones under the signed root, also when fetched again past caches.
pub fn leaf_not_committed(log: &LogDescription, note: &[u8], how: Uncommitted<'_>, at: i64) -> NewFinding {
    let now = head(log, note);
    let fits = |leaves: &[&[u8]]| leaves.iter().map(|leaf| leaf.len()).sum::<usize>() <= MAX_LEAF_BYTES;
    let bytes = |leaves: &[&[u8]]| leaves.iter().map(|leaf| Base64(leaf.to_vec())).collect();
    let facts = || Proof::Facts { heads: vec![SeenHead::of_log(note)] };
    let mut claims = Vec::new();
    let (proof, start, end) = match how {
        Uncommitted::Node { node, leaves } => {
            let start = node.index.checked_shl(node.level).unwrap_or(u64::MAX);
            let end = start.saturating_add(leaves.len() as u64);
            let head = SeenHead::of_log(note);
            let proof = if fits(leaves) {
                Proof::Served { head, node: Node::from(node), leaves: bytes(leaves) }
            } else {
                claims.push(("committed_node", node.node.to_string()));
                facts()
            };
            (proof, start, end)
        }
        Uncommitted::Rebuilt { verified, range, consistency, leaves } => {
            let proof = if fits(leaves) {
                Proof::Rebuilt {
                    verified: SeenHead::of_log(verified),
                    range: Base64(range.to_bytes()),
                    consistency: HexHash::of(consistency),
                    head: SeenHead::of_log(note),
                    leaves: bytes(leaves),
                }
            } else {
                facts()
            };
            (proof, range.size(), range.size().saturating_add(leaves.len() as u64))
        }
        Uncommitted::Root { start, end, computed } => {
            claims.push(("computed_root", computed.to_string()));
            (facts(), start, end)
        }
    };
    claims.extend([("first_leaf", start.to_string()), ("end", end.to_string())]);
    let mut draft = Draft::new(FindingKind::LeafNotCommitted, Some(log), proof, at);
    draft.occurrence = format!("{start}..{end}");
    let which = if end == start.saturating_add(1) {
        format!("leaf {start}")
    } else {
        format!("leaves {start} to {}", end.saturating_sub(1))
    };
    draft.title = format!("{} serves other leaves than it signed", clean(&log.origin));
    draft.seen = format!(
        "The log {} serves {which} with other bytes than its signed root of {} leaves commits to, also past caches.",
        clean(&log.origin),
        now.size,
    );
    draft.claims = claims;
    draft.finish()
}

/// Leaves within the signed size that the log does not serve. `problem` is what it answers instead.
pub fn missing_leaf(log: &LogDescription, note: &[u8], start: u64, end: u64, problem: &str, at: i64) -> NewFinding {
    let now = head(log, note);
    let proof = Proof::Facts { heads: vec![SeenHead::of_log(note)] };
    let mut draft = Draft::new(FindingKind::MissingLeaf, Some(log), proof, at);
    draft.occurrence = format!("{start}..{end}");
    draft.title = format!("{} does not serve leaves that it signed", clean(&log.origin));
    draft.seen = format!(
        "The log {} signed {} leaves and does not serve {start} to {}, also past caches: {}.",
        clean(&log.origin),
        now.size,
        end.saturating_sub(1),
        clean(problem),
    );
    draft.claims = vec![("first_leaf", start.to_string()), ("end", end.to_string()), ("answer", clean(problem))];
    draft.finish()
}

/// An entry that the log promised, and what is in its place.
#[derive(Clone, Copy, Debug)]
pub struct Withheld<'a> {
    /// A head of the tree that should hold it.
    pub note: &'a [u8],
    /// The log's answer when the entry was made: a `TransparencyLogEntry`, as in the ledger.
    pub entry: &'a [u8],
    /// The index at which it should be, within the shard.
    pub index: u64,
    /// Where the shard begins in the index of a signed entry timestamp; zero but for Rekor v1.
    pub offset: u64,
    /// The last heads of the shards before it.
    pub earlier: &'a [&'a [u8]],
    /// What is in its place: the hash of a leaf and its inclusion proof under the head. `None` where the tree has no
    /// such place yet.
    pub other: Option<(Hash, &'a [Hash])>,
}

impl Withheld<'_> {
    fn proof(&self) -> Proof {
        let (other, inclusion) = match self.other {
            Some((hash, proof)) => (Some(HexHash(hash)), HexHash::of(proof)),
            None => (None, Vec::new()),
        };
        Proof::Promise {
            promised: Promised {
                entry: Verbatim(self.entry.to_vec()),
                offset: self.offset,
                earlier: self.earlier.iter().map(|note| SeenHead::of_log(note)).collect(),
            },
            head: SeenHead::of_log(self.note),
            other,
            inclusion,
        }
    }

    fn words(&self) -> String {
        match self.other {
            Some((hash, _)) => format!("the leaf there is another one, of hash {hash}"),
            None => "its tree is too small to hold it".to_owned(),
        }
    }
}

/// An entry of ours that the log promised and does not hold by the deadline. `intended` is when it was made, in unix
/// milliseconds.
pub fn withheld_entry(log: &LogDescription, what: &Withheld<'_>, intended: i64, at: i64) -> NewFinding {
    let mut draft = Draft::new(FindingKind::WithheldEntry, Some(log), what.proof(), at);
    draft.occurrence = format!("{}/{}", log.origin, what.index);
    draft.title = format!("{} withholds our entry {}", clean(&log.origin), what.index);
    draft.seen = format!(
        "The log {} took in an entry of ours at index {} and {} later does not hold it: {}.",
        clean(&log.origin),
        what.index,
        lasted(intended, at),
        what.words(),
    );
    draft.claims = vec![("recorded_at", time(intended))];
    draft.finish()
}

/// A promise that was met elsewhere (`source`), for an index at which our tree holds another leaf.
pub fn split_view_entry(log: &LogDescription, what: &Withheld<'_>, source: &str, at: i64) -> NewFinding {
    let mut draft = Draft::new(FindingKind::SplitView, Some(log), what.proof(), at);
    draft.occurrence = format!("{}/entry/{}", clean(source), what.index);
    draft.title = format!("{} shows others another tree than us", clean(&log.origin));
    draft.seen = format!(
        "An entry at index {} that the log {} promised was met in {}, and is not in the tree that we follow: {}.",
        what.index,
        clean(&log.origin),
        clean(source),
        what.words(),
    );
    draft.finish()
}

/// A shard that was closed, and grew.
pub fn frozen_shard_grew(log: &LogDescription, frozen: &[u8], grown: &[u8], at: i64) -> NewFinding {
    let (before, now) = (head(log, frozen), head(log, grown));
    let proof = Proof::Heads { first: SeenHead::of_log(frozen), second: SeenHead::of_log(grown) };
    let mut draft = Draft::new(FindingKind::FrozenShardGrew, Some(log), proof, at);
    draft.occurrence = format!("{}>{}/{}", before.size, now.size, now.root);
    draft.title = format!("{} is closed and changed", clean(&log.origin));
    draft.seen = format!(
        "The log {} was closed at {} leaves and now signs {} with root {}.",
        clean(&log.origin),
        before.size,
        now.size,
        now.root,
    );
    draft.finish()
}

/// What a head says, for titles and occurrences only; the evidence has it word for word.
struct HeadWords {
    origin: String,
    size: u64,
    root: Hash,
}

fn head(log: &LogDescription, note: &[u8]) -> HeadWords {
    let opened = log.key().ok().and_then(|key| crate::evidence::open_any(log, note, &key).ok());
    let words = |head: Checkpoint| HeadWords { origin: head.origin().to_owned(), size: head.size(), root: head.root() };
    opened.map_or_else(|| HeadWords { origin: String::new(), size: 0, root: Hash::empty_root() }, words)
}

/// One value for one tree head, however often it is signed anew.
fn tree_head_hash(served: &[u8]) -> String {
    let note = std::str::from_utf8(served).ok().and_then(|text| SignedNote::parse(text).ok());
    tlog::leaf_hash(note.as_ref().map_or(served, |note| note.text().as_bytes())).to_string()
}
