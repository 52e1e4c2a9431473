//! Leaves as served against signed roots, and what is only told.

use tlog::{CompactRange, Hash, leaf_hash, verify_consistency};

use super::{Case, Refuted, Strength};
use crate::evidence::{Base64, HexHash, Node, SeenHead};

const SERVED: &str = "that the log served these leaves is the word of whoever wrote the file: leaves are not signed";

impl Case<'_> {
    pub(super) fn served(&mut self, head: &SeenHead, node: &Node, leaves: &[Base64]) -> Result<Strength, Refuted> {
        let head = self.open("head", head)?;
        let proof = node.proof();
        let root = proof.root().map_err(|error| Refuted::because(format!("the committed node: {error}")))?;
        if proof.size != head.size() || root != head.root() {
            return Err(Refuted::because("the committed node does not lead to the head's root"));
        }
        self.say(format!("the head commits to node {} at level {}: {}", proof.index, proof.level, proof.node));
        if 1u64.checked_shl(proof.level) != Some(leaves.len() as u64) {
            return Err(Refuted::because(format!("there are {} leaves below a node of that level", leaves.len())));
        }
        let served = appended(CompactRange::new(), leaves)?;
        if served == proof.node {
            return Err(Refuted::because("the leaves are the committed ones"));
        }
        self.say(format!("the leaves as served lead to {served}"));
        self.say(SERVED);
        Ok(Strength::Observed)
    }

    pub(super) fn rebuilt(
        &mut self,
        verified: &SeenHead,
        range: &Base64,
        consistency: &[HexHash],
        head: &SeenHead,
        leaves: &[Base64],
    ) -> Result<Strength, Refuted> {
        let (before, now) = (self.open("verified head", verified)?, self.open("head", head)?);
        let range = CompactRange::from_bytes(&range.0)
            .map_err(|error| Refuted::because(format!("the verified compact range: {error}")))?;
        if range.size() != before.size() || range.root() != before.root() {
            return Err(Refuted::because("the compact range does not lead to the verified head's root"));
        }
        let proof = HexHash::bare(consistency);
        verify_consistency(before.size(), &before.root(), now.size(), &now.root(), &proof)
            .map_err(|error| Refuted::because(format!("the new head does not continue the verified one: {error}")))?;
        self.say("the new head continues the verified one");
        if before.size().checked_add(leaves.len() as u64) != Some(now.size()) {
            return Err(Refuted::because("the leaves are not exactly those between the two heads"));
        }
        let root = appended(range, leaves)?;
        if root == now.root() {
            return Err(Refuted::because("the leaves lead to the signed root"));
        }
        self.say(format!("the leaves as served lead to the root {root}"));
        self.say(SERVED);
        Ok(Strength::Observed)
    }

    /// Heads that open, and claims that are at least possible under them.
    pub(super) fn facts(&mut self, heads: &[SeenHead]) -> Result<Strength, Refuted> {
        let mut newest = None;
        for head in heads {
            newest = Some(self.open("head", head)?);
        }
        if let (Some(head), Some(start)) = (&newest, self.number("first_leaf")?) {
            let end = self.number("end")?.unwrap_or(start);
            if start >= end || end > head.size() {
                return Err(Refuted::because("the leaves that it is about are not under the head"));
            }
            let root = head.root().to_string();
            if end == head.size() && self.claims().get("computed_root") == Some(&root) {
                return Err(Refuted::because("the root that the leaves are said to lead to is the signed one"));
            }
        }
        self.say("the rest is what whoever wrote the file saw");
        Ok(Strength::Observed)
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refuted> {
        let value = self.claims().get(name);
        value.map(|text| text.parse().map_err(|_| Refuted::because(format!("{name} is no number")))).transpose()
    }
}

/// The root after these leaves.
fn appended(mut range: CompactRange, leaves: &[Base64]) -> Result<Hash, Refuted> {
    for leaf in leaves {
        range.append(leaf_hash(&leaf.0)).map_err(|error| Refuted::because(error.to_string()))?;
    }
    Ok(range.root())
}
