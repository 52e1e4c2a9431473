//! Whether an evidence file shows what it says.

mod entry;
mod heads;
mod leaves;
mod promise;

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use store::FindingKind;
use tlog::{Checkpoint, CheckpointError, LogKey};

use super::{Evidence, EvidenceError, LogDescription, Proof, SeenHead};
use crate::config::LogKind;
use crate::finding::is_unseen;

/// What an evidence file shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// The kind of finding.
    pub kind: FindingKind,
    /// What the file carries shows what it says.
    pub holds: bool,
    /// It follows from signatures alone, by keys that the file pins; else it also rests on the word of whoever wrote it.
    pub attributable: bool,
    /// The log, with the key that was pinned: compare it with the key that you know the log by.
    pub log: Option<PinnedLog>,
    /// Each check and its result, one line each.
    pub says: Vec<String>,
}

/// The log of an evidence file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PinnedLog {
    /// Its origin.
    pub origin: String,
    /// How it is read.
    pub kind: LogKind,
    /// SHA-256 of its public key's DER SubjectPublicKeyInfo, in hex.
    pub public_key_sha256: String,
    /// Its id in trust roots, in hex.
    pub key_id: String,
}

/// Whether what is shown needs anybody's word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Strength {
    Attributable,
    Observed,
}

impl Strength {
    fn attributable_if(shown: bool) -> Self {
        if shown { Self::Attributable } else { Self::Observed }
    }
}

/// Why a file does not show what it says, as a line of the verdict.
#[derive(Debug)]
struct Refuted(String);

impl Refuted {
    fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// The lines so far, and what every check needs.
struct Case<'a> {
    evidence: &'a Evidence,
    kind: FindingKind,
    log: Option<(LogDescription, LogKey)>,
    says: Vec<String>,
}

/// Judges a file whose bytes are intact.
pub(super) fn check(evidence: &Evidence) -> Result<Verdict, EvidenceError> {
    let unknown = || EvidenceError::Unknown { what: "kind of finding", word: evidence.kind.clone() };
    let kind: FindingKind = evidence.kind.parse().map_err(|_| unknown())?;
    let log = evidence.log.as_ref().map(super::EvidenceLog::describe).transpose()?;
    let pinned = log.as_ref().map(|(log, key)| PinnedLog {
        origin: log.origin.clone(),
        kind: log.kind,
        public_key_sha256: hex::encode(Sha256::digest(key.spki())),
        key_id: hex::encode(key.key_id()),
    });
    let mut case = Case { evidence, kind, log, says: Vec::new() };
    if let Some(pinned) = &pinned {
        case.say(format!(
            "checked against the log {:?} with the public key of SHA-256 {} (log id {}), which the file pins: compare it \
             with the key that you know this log by",
            pinned.origin, pinned.public_key_sha256, pinned.key_id,
        ));
    }
    let shown = case.shown();
    let (holds, attributable) = match shown {
        Ok(strength) => {
            let attributable = strength == Strength::Attributable;
            // A file may say less than it shows, never more.
            let honest = attributable || !evidence.attributable;
            if !honest {
                case.say("FAILED: the file says that it convinces anybody, and it does not");
            }
            (honest, attributable)
        }
        Err(Refuted(why)) => {
            case.say(format!("FAILED: {why}"));
            (false, false)
        }
    };
    for (name, value) in &evidence.claims {
        case.say(format!("claimed by whoever wrote the file, not shown: {name} = {value}"));
    }
    Ok(Verdict { kind, holds, attributable: holds && attributable, log: pinned, says: case.says })
}

impl Case<'_> {
    /// One line, whatever the file puts into it: nobody writes lines of the verdict but us.
    fn say(&mut self, line: impl Into<String>) {
        let line: String = line.into();
        self.says.push(line.chars().map(|c| if is_unseen(c) { '\u{fffd}' } else { c }).collect());
    }

    fn shown(&mut self) -> Result<Strength, Refuted> {
        use FindingKind as Kind;
        let evidence = self.evidence;
        match (self.kind, &evidence.proof) {
            (Kind::Fork, Proof::Heads { first, second }) => self.fork(first, second),
            (Kind::SplitView, Proof::Heads { first, second }) => self.split_view(first, second),
            (Kind::Rollback, Proof::Heads { first, second }) => self.rollback(first, second),
            (Kind::FrozenShardGrew, Proof::Heads { first, second }) => self.frozen_grew(first, second),
            (Kind::InconsistentGrowth | Kind::SplitView, Proof::Contradiction { old, new, old_range, node }) => {
                self.contradiction(old, new, old_range, node)
            }
            (Kind::InconsistentGrowth | Kind::SplitView, Proof::RefusedProof { old, new, hashes }) => {
                self.refused_proof(old, new, hashes)
            }
            (Kind::BadSignature, Proof::UnopenedHead { head }) => self.bad_signature(head),
            (Kind::WrongOrigin, Proof::UnopenedHead { head }) => self.wrong_origin(head),
            (Kind::LeafNotCommitted, Proof::Served { head, node, leaves }) => self.served(head, node, leaves),
            (Kind::LeafNotCommitted, Proof::Rebuilt { verified, range, consistency, head, leaves }) => {
                self.rebuilt(verified, range, consistency, head, leaves)
            }
            (Kind::WithheldEntry | Kind::SplitView, Proof::Promise { promised, head, other, inclusion }) => {
                self.promise(promised, head, *other, inclusion)
            }
            (
                Kind::UnexpectedIdentity
                | Kind::KeyUsedOutside
                | Kind::RetiredKeyUsed
                | Kind::NearMiss
                | Kind::UnparsableEntry,
                Proof::Entry { head, index, leaf, leaf_hash, inclusion, names },
            ) => self.entry(&entry::EntryParts { head, index: *index, leaf, leaf_hash, inclusion, names }),
            (Kind::WitnessQuorumLost, Proof::Cosignatures { head, policy }) => self.cosignatures(head, policy),
            (
                Kind::LeafNotCommitted
                | Kind::MissingLeaf
                | Kind::WithheldEntry
                | Kind::StaleLog
                | Kind::Blind
                | Kind::ScanLag
                | Kind::StateLost
                | Kind::MatcherNeverMatched
                | Kind::TrustMaterialChanged
                | Kind::ClockSkew,
                Proof::Facts { heads },
            ) => self.facts(heads),
            (kind, proof) => Err(Refuted::because(format!("a finding {kind} is not shown by {}", proof.name()))),
        }
    }

    fn log(&self) -> Result<(&LogDescription, &LogKey), Refuted> {
        let (log, key) = self.log.as_ref().ok_or_else(|| Refuted::because("the file names no log"))?;
        Ok((log, key))
    }

    /// Opens a head of the log; `which` names it in the verdict.
    fn open(&mut self, which: &str, head: &SeenHead) -> Result<Checkpoint, Refuted> {
        let (log, key) = self.log()?;
        let opened = Checkpoint::open_as(log.format, &head.note.0, &log.origin, key);
        self.opened(which, head, opened)
    }

    /// Opens a head that the log's key signed, for whichever tree.
    fn open_of_any_tree(&mut self, which: &str, head: &SeenHead) -> Result<Checkpoint, Refuted> {
        let (log, key) = self.log()?;
        let opened = open_any(log, &head.note.0, key);
        self.opened(which, head, opened)
    }

    fn opened(
        &mut self,
        which: &str,
        head: &SeenHead,
        opened: Result<Checkpoint, CheckpointError>,
    ) -> Result<Checkpoint, Refuted> {
        let opened = opened.map_err(|error| Refuted::because(format!("the {which} does not open: {error}")))?;
        self.say(format!(
            "the {which} (met in: {}) is signed by the log's key: {} leaves, root {}",
            head.source,
            opened.size(),
            opened.root(),
        ));
        Ok(opened)
    }

    fn claims(&self) -> &BTreeMap<String, String> {
        &self.evidence.claims
    }
}

/// Opens a head by the log's key, whichever tree it names.
pub(crate) fn open_any(log: &LogDescription, note: &[u8], key: &LogKey) -> Result<Checkpoint, CheckpointError> {
    match Checkpoint::open_as(log.format, note, &log.origin, key) {
        Err(CheckpointError::WrongOrigin { found, .. }) => Checkpoint::open_as(log.format, note, &found, key),
        opened => opened,
    }
}
