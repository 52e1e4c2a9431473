//! What a log promised about an entry, against what is in its place.

use bundle::LogEntry;
use tlog::{Checkpoint, HeadFormat, InclusionProof, verify_set};

use super::{Case, Refuted, Strength, open_any};
use crate::evidence::{HexHash, Promised, SeenHead};

impl Case<'_> {
    pub(super) fn promise(
        &mut self,
        promised: &Promised,
        head: &SeenHead,
        other: Option<HexHash>,
        inclusion: &[HexHash],
    ) -> Result<Strength, Refuted> {
        let entry = LogEntry::from_json(&promised.entry.0)
            .map_err(|error| Refuted::because(format!("the promised entry: {error}")))?;
        let now = self.open("head", head)?;
        let (index, signed) = self.promised_index(promised, &entry)?;
        let Some(other) = other else {
            if index < now.size() {
                return Err(Refuted::because("the tree has a leaf at that index, and the file does not show which"));
            }
            self.say(format!("a tree of {} leaves has no leaf {index}; how long that lasted is claimed", now.size()));
            return Ok(Strength::Observed);
        };
        if other.0 == entry.leaf_hash() {
            return Err(Refuted::because("the leaf in the tree is the promised one"));
        }
        let proof = InclusionProof { index, size: now.size(), hashes: HexHash::bare(inclusion) };
        proof
            .verify(&other.0, &now.root())
            .map_err(|error| Refuted::because(format!("the leaf in its place is not under the head: {error}")))?;
        self.say(format!("under the head, leaf {index} is {}, not {}", other.0, entry.leaf_hash()));
        Ok(Strength::attributable_if(signed))
    }

    /// The entry's index in its tree, and whether the log signed that it is there.
    fn promised_index(&mut self, promised: &Promised, entry: &LogEntry) -> Result<(u64, bool), Refuted> {
        if let Some(proof) = &entry.proof
            && !proof.checkpoint.is_empty()
        {
            let (log, key) = self.log()?;
            let head = Checkpoint::open_as(HeadFormat::Checkpoint, proof.checkpoint.as_bytes(), &log.origin, key)
                .map_err(|error| Refuted::because(format!("the entry's own head does not open: {error}")))?;
            let inclusion = InclusionProof { index: proof.log_index, size: head.size(), hashes: proof.hashes.clone() };
            inclusion
                .verify(&entry.leaf_hash(), &head.root())
                .map_err(|error| Refuted::because(format!("the entry is not under its own head: {error}")))?;
            self.say(format!(
                "the log signed a tree of {} leaves with this entry at index {}",
                head.size(),
                proof.log_index
            ));
            return Ok((proof.log_index, true));
        }
        let index = entry
            .log_index
            .checked_sub(promised.offset)
            .ok_or_else(|| Refuted::because("the entry's index is before its shard"))?;
        let Some(set) = &entry.set else {
            self.say("the log signed no promise: that it took the entry in is the word of whoever wrote the file");
            return Ok((index, false));
        };
        let time = entry.integrated_time.ok_or_else(|| Refuted::because("the promise has no time"))?;
        let (_, key) = self.log()?;
        verify_set(key, &entry.body, time, &entry.log_id, entry.log_index, set)
            .map_err(|error| Refuted::because(format!("the signed entry timestamp: {error}")))?;
        self.say(format!("the log signed that it took the entry in as {} at unix time {time}", entry.log_index));
        self.check_offset(promised)?;
        // A head does not say that it is the last of its shard, nor any that there were no other shards: with an older
        // head of one, or without it, every honest timestamp would seem broken.
        self.say("where the shard begins in the log's count is the word of whoever wrote the file");
        Ok((index, false))
    }

    /// Whether the heads of earlier shards, where the file has some, make up the offset.
    fn check_offset(&mut self, promised: &Promised) -> Result<(), Refuted> {
        let mut sum = 0u64;
        let mut origins = Vec::new();
        for head in &promised.earlier {
            let (log, key) = self.log()?;
            let head = open_any(log, &head.note.0, key)
                .map_err(|error| Refuted::because(format!("the head of an earlier shard does not open: {error}")))?;
            if head.origin() == log.origin || origins.iter().any(|origin| origin == head.origin()) {
                return Err(Refuted::because("an earlier shard is named twice"));
            }
            origins.push(head.origin().to_owned());
            sum = sum.checked_add(head.size()).ok_or_else(|| Refuted::because("the earlier shards are too large"))?;
        }
        if !origins.is_empty() && sum != promised.offset {
            return Err(Refuted::because("the earlier shards do not make up the offset"));
        }
        if !origins.is_empty() {
            self.say(format!("{} earlier shards, signed, make up its first {sum} entries", origins.len()));
        }
        Ok(())
    }
}
