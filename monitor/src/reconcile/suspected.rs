//! Which claims of one leaf are kept as suspects.

use std::collections::BTreeSet;

use super::{Facts, KeyUse, Names, Verdict, found};

/// How many suspects a leaf may make at most: each holds all of the leaf, and a leaf may name us a thousand times.
pub(super) const PER_LEAF: usize = 8;

/// The claims of one leaf that the ledger does not explain: of those that would be one finding the first.
#[derive(Default)]
pub(super) struct Suspected {
    findings: BTreeSet<(Gravity, bool, String)>,
    claims: Vec<(Gravity, usize)>,
}

/// How much a claim may mean, the worst first: who names us often in one leaf hides nothing worse behind it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Gravity {
    Used,
    NearMiss,
    Mentioned,
}

impl Suspected {
    pub(super) fn take(&mut self, position: usize, verdict: Verdict, names: &Names, facts: &Facts<'_>) {
        let Some(cause) = found::cause(verdict, names, facts) else { return };
        let (gravity, of_a_key) = match verdict {
            Verdict::KeyUsed(KeyUse::Mentioned) => (Gravity::Mentioned, true),
            Verdict::IdentityMentioned => (Gravity::Mentioned, false),
            Verdict::KeyUsed(_) => (Gravity::Used, true),
            Verdict::IdentityUsed => (Gravity::Used, false),
            Verdict::NearMiss | Verdict::Counted(_) => (Gravity::NearMiss, false),
        };
        if self.findings.insert((gravity, of_a_key, cause)) {
            self.claims.push((gravity, position));
        }
    }

    /// The places of as many as one leaf may have, and how many are left out.
    pub(super) fn worst(mut self) -> (Vec<usize>, u64) {
        self.claims.sort_by_key(|(gravity, _)| *gravity);
        let left_out = self.claims.len().saturating_sub(PER_LEAF);
        self.claims.truncate(PER_LEAF);
        (self.claims.into_iter().map(|(_, position)| position).collect(), left_out as u64)
    }
}
