//! Heads against heads.

use tlog::{CompactRange, WitnessPolicy, verify_consistency};

use super::{Case, Refuted, Strength};
use crate::config::LogKind;
use crate::evidence::{Base64, HexHash, Node, SeenHead};

impl Case<'_> {
    pub(super) fn fork(&mut self, first: &SeenHead, second: &SeenHead) -> Result<Strength, Refuted> {
        let (one, two) = (self.open("first head", first)?, self.open("second head", second)?);
        if one.size() != two.size() {
            return Err(Refuted::because("the two heads are of different sizes"));
        }
        if one.root() == two.root() {
            return Err(Refuted::because("the two heads have the same root"));
        }
        self.say(format!("one size, {} leaves, with two roots: no log can mean both", one.size()));
        Ok(Strength::Attributable)
    }

    pub(super) fn split_view(&mut self, ours: &SeenHead, theirs: &SeenHead) -> Result<Strength, Refuted> {
        let here = self.open("head that we follow", ours)?;
        let there = self.open_of_any_tree("other head", theirs)?;
        if there.origin() != here.origin() {
            self.say(format!(
                "the log's key signed a tree {:?} beside {:?}; that nobody announced it is the word of whoever wrote the \
                 file",
                there.origin(),
                here.origin(),
            ));
            return Ok(Strength::Observed);
        }
        self.fork(ours, theirs)
    }

    pub(super) fn rollback(&mut self, larger: &SeenHead, smaller: &SeenHead) -> Result<Strength, Refuted> {
        let (before, now) = (self.open("larger head", larger)?, self.open("smaller head", smaller)?);
        if now.size() >= before.size() {
            return Err(Refuted::because("the second head is not smaller than the first"));
        }
        self.say("a log signs smaller heads before larger ones: that this one was served later is the word of whoever wrote the file");
        Ok(Strength::Observed)
    }

    pub(super) fn frozen_grew(&mut self, frozen: &SeenHead, grown: &SeenHead) -> Result<Strength, Refuted> {
        let (before, now) = (self.open("closed head", frozen)?, self.open("later head", grown)?);
        if (before.size(), before.root()) == (now.size(), now.root()) {
            return Err(Refuted::because("both heads are of the same tree"));
        }
        if !before.is_frozen() {
            self.say("the first head does not say that it is the last: that the shard was closed is the word of whoever wrote the file");
            return Ok(Strength::Observed);
        }
        if now.size() < before.size() {
            self.say("the other head is smaller: it may be from before");
            return Ok(Strength::Observed);
        }
        self.say(
            "the first head says, signed, that the log is frozen, and the other is of another tree that is not smaller",
        );
        Ok(Strength::Attributable)
    }

    pub(super) fn contradiction(
        &mut self,
        old: &SeenHead,
        new: &SeenHead,
        old_range: &Base64,
        node: &Node,
    ) -> Result<Strength, Refuted> {
        let (before, now) = (self.open("smaller head", old)?, self.open("larger head", new)?);
        let range = CompactRange::from_bytes(&old_range.0)
            .map_err(|error| Refuted::because(format!("the smaller tree's compact range: {error}")))?;
        if range.size() != before.size() || range.root() != before.root() {
            return Err(Refuted::because("the compact range does not lead to the smaller head's root"));
        }
        self.say("the perfect subtrees of the smaller tree lead to its signed root");
        let proof = node.proof();
        let root = proof.root().map_err(|error| Refuted::because(format!("the node of the larger tree: {error}")))?;
        if proof.size != now.size() || root != now.root() {
            return Err(Refuted::because("the node does not lead to the larger head's root"));
        }
        let mine = range.node_ranges().find(|(level, index, _)| (*level, *index) == (proof.level, proof.index));
        let (_, _, hash) = mine.ok_or_else(|| Refuted::because("the node is not at a place of the smaller tree"))?;
        if hash == proof.node {
            return Err(Refuted::because("both trees have the same node there"));
        }
        self.say(format!(
            "at level {}, index {}, the smaller tree has the node {hash} and the larger one {}: no tree grows like that",
            proof.level, proof.index, proof.node,
        ));
        Ok(Strength::Attributable)
    }

    pub(super) fn refused_proof(
        &mut self,
        old: &SeenHead,
        new: &SeenHead,
        hashes: &[HexHash],
    ) -> Result<Strength, Refuted> {
        let (before, now) = (self.open("smaller head", old)?, self.open("larger head", new)?);
        let hashes = HexHash::bare(hashes);
        match verify_consistency(before.size(), &before.root(), now.size(), &now.root(), &hashes) {
            Ok(()) => Err(Refuted::because("the consistency proof proves that the log grew as it should")),
            Err(error) => {
                self.say(format!("the consistency proof fails: {error}"));
                self.say("that the log served this proof, and no better one, is the word of whoever wrote the file");
                Ok(Strength::Observed)
            }
        }
    }

    pub(super) fn bad_signature(&mut self, head: &SeenHead) -> Result<Strength, Refuted> {
        let (log, key) = self.log()?;
        match super::open_any(log, &head.note.0, key) {
            Ok(_) => Err(Refuted::because("the head is signed by the log's key")),
            Err(error) => {
                self.say(format!("the head (met in: {}) does not open: {error}", head.source));
                self.say("that the log served it is the word of whoever wrote the file: anybody can write such bytes");
                Ok(Strength::Observed)
            }
        }
    }

    pub(super) fn wrong_origin(&mut self, head: &SeenHead) -> Result<Strength, Refuted> {
        let opened = self.open_of_any_tree("head", head)?;
        let (log, _) = self.log()?;
        if opened.origin() == log.origin {
            return Err(Refuted::because("the head is of the log that it should be of"));
        }
        let one_tree_per_key = log.kind != LogKind::RekorV1;
        self.say(format!("the log's key signed as {:?}", opened.origin()));
        if !one_tree_per_key {
            self.say("a Rekor v1 key signs several shards: that this one was served for another is the word of whoever wrote the file");
        }
        Ok(Strength::attributable_if(one_tree_per_key))
    }

    pub(super) fn cosignatures(&mut self, head: &SeenHead, policy: &str) -> Result<Strength, Refuted> {
        self.open("head", head)?;
        let policy = WitnessPolicy::parse(policy).map_err(|error| Refuted::because(format!("the policy: {error}")))?;
        let note = std::str::from_utf8(&head.note.0).map_err(|_| Refuted::because("the head is not text"))?;
        let quorum = policy.check(note);
        for (name, time) in &quorum.cosigned {
            self.say(format!("cosigned by {name} at unix time {time}"));
        }
        for (names, what) in [(&quorum.missing, "not cosigned"), (&quorum.invalid, "not validly cosigned")] {
            if !names.is_empty() {
                self.say(format!("{what} by {}", names.join(", ")));
            }
        }
        if quorum.satisfied {
            return Err(Refuted::because("the head carries every cosignature that the policy asks for"));
        }
        self.say("the policy is not met; that no better head was served is the word of whoever wrote the file");
        Ok(Strength::Observed)
    }
}
