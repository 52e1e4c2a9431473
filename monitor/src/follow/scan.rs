//! What is done to each leaf, once: hashed, parsed and matched, on a worker thread, with buffers that are used again.

use std::sync::Arc;

use bundle::claims::{Scratch, claims, ct_claims};
use tlog::{Hash, leaf_hash, subtree_root};

use super::segment::subtrees;
use crate::log::{LeafBatch, LeafFormat};
use crate::reconcile::Hit;
use crate::watchlist::{DigestFilter, Match, Watchlist};

/// What leaves are matched against.
pub struct Matching {
    /// Identities and keys.
    pub watchlist: Watchlist,
    /// What our ledger signed.
    pub digests: Arc<DigestFilter>,
}

/// What a batch came to. Nothing of it is believed before the segment's end.
#[derive(Debug)]
pub struct Scanned {
    /// Index of the first leaf.
    pub start: u64,
    /// Index of the leaf after the last one.
    pub end: u64,
    /// The roots of the batch's perfect subtrees, from the left, each with its level.
    pub subtrees: Vec<(u32, Hash)>,
    /// Leaves that match the watchlist.
    pub hits: Vec<Hit>,
    /// Leaves that nobody can read, or not all of them.
    pub unparsable: Vec<Unparsable>,
    /// Leaves of kinds that were searched through rather than read field by field.
    pub unknown_kinds: u64,
    /// The most bytes that they took at once, as an answer or as leaves.
    pub cost: usize,
}

/// A leaf that cannot be read, wholly or in part, so that it may name anybody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unparsable {
    /// Its index.
    pub index: u64,
    /// Its bytes.
    pub leaf: Vec<u8>,
    /// Why not.
    pub reason: String,
}

impl Scanned {
    /// Memory that is held until the segment's end, in bytes.
    pub fn held_bytes(&self) -> usize {
        let hits = self.hits.iter().map(Hit::held_bytes);
        let unparsable = self.unparsable.iter().map(|it| it.leaf.len() + size_of::<Unparsable>());
        self.subtrees.len() * size_of::<(u32, Hash)>() + hits.sum::<usize>() + unparsable.sum::<usize>()
    }
}

/// Buffers of one worker.
#[derive(Default)]
pub struct Buffers {
    scratch: Scratch,
    matches: Vec<Match>,
    hashes: Vec<Hash>,
}

/// Hashes, parses and matches each leaf of a batch.
pub fn scan(batch: &LeafBatch, format: LeafFormat, matching: &Matching, buffers: &mut Buffers) -> Scanned {
    let Buffers { scratch, matches, hashes } = buffers;
    hashes.clear();
    let (start, end) = (batch.start, batch.end());
    let mut scanned = Scanned {
        start,
        end,
        subtrees: Vec::new(),
        hits: Vec::new(),
        unparsable: Vec::new(),
        unknown_kinds: 0,
        cost: batch.cost(),
    };
    for (index, leaf) in batch.iter() {
        hashes.push(leaf_hash(leaf));
        let claimed = match format {
            LeafFormat::Rekor => claims(leaf, scratch),
            LeafFormat::Ct => ct_claims(leaf),
        };
        match claimed {
            Ok(claimed) => {
                scanned.unknown_kinds += u64::from(!claimed.known);
                // Neither hides the other: what cannot be read, and whom the rest names.
                if let Some(what) = claimed.unreadable {
                    scanned.unparsable.push(Unparsable { index, leaf: leaf.to_vec(), reason: what.to_string() });
                }
                matching.watchlist.matches(&claimed, &matching.digests, matches);
                if !matches.is_empty() {
                    let matches = std::mem::take(matches);
                    scanned.hits.push(Hit { index, leaf: leaf.to_vec(), leaf_format: format, matches });
                }
            }
            Err(error) => {
                scanned.unparsable.push(Unparsable { index, leaf: leaf.to_vec(), reason: error.to_string() });
            }
        }
    }
    let mut rest = hashes.as_mut_slice();
    for (level, width) in subtrees(start, end) {
        // A subtree is no wider than the batch that it is of.
        let Some((subtree, behind)) = rest.split_at_mut_checked(width as usize) else { break };
        scanned.subtrees.push((level, subtree_root(subtree)));
        rest = behind;
    }
    scanned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::tests::leaves::{Key, chained_dsse, pem};

    #[test]
    fn a_leaf_that_is_read_in_part_is_told_of_and_matched() {
        let ours = Key::new();
        let signature = ours.sign(b"rogue");
        // A certificate that nobody can read, beside a signature of ours.
        let unreadable = pem(b"0\x03\x02\x01\x01");
        let leaf = chained_dsse(b"rogue", &[(b"x", unreadable), (&signature, ours.public().pem())]);
        let length = u32::try_from(leaf.len()).unwrap();
        let whole = std::iter::once(0..length).collect();
        let batch = LeafBatch::new(7, leaf.clone().into(), whole).unwrap();
        let watchlist = Watchlist::compile(&[]).unwrap().with_keys(&[(ours.spki(), String::new())]);
        let matching = Matching { watchlist, digests: Arc::default() };
        let scanned = scan(&batch, LeafFormat::Rekor, &matching, &mut Buffers::default());
        assert_eq!(scanned.hits.iter().map(|hit| (hit.index, hit.matches.len())).collect::<Vec<_>>(), [(7, 1)]);
        let [unparsable] = &scanned.unparsable[..] else { panic!("{scanned:?}") };
        assert_eq!((unparsable.index, &unparsable.leaf), (7, &leaf));
        assert!(unparsable.reason.contains("not a certificate"), "{}", unparsable.reason);
        assert!(scanned.held_bytes() > 3 * leaf.len());
    }
}
