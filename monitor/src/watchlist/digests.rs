//! What our ledger signed, as far as a leaf can tell.
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use bundle::Claim;

/// Digests that our ledger signed, and of the payloads in what it signed: by their first eight bytes, so that millions
/// fit. What it knows may be another's digest, once in 2^64 / size; the ledger is asked before anything is said.
#[derive(Clone, Debug, Default)]
pub struct DigestFilter {
    prefixes: HashSet<u64, BuildHasherDefault<Digits>>,
}

impl DigestFilter {
    /// An empty one.
    pub fn new() -> DigestFilter {
        DigestFilter::default()
    }

    /// Adds a digest. One that is shorter than eight bytes is none.
    pub fn insert(&mut self, digest: &[u8]) {
        self.prefixes.extend(prefix(digest));
    }

    /// Whether this digest may have been added.
    pub fn may_contain(&self, digest: &[u8]) -> bool {
        prefix(digest).is_some_and(|prefix| self.prefixes.contains(&prefix))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// Whether the claim may be about something that we signed.
    pub(super) fn knows(&self, claim: &Claim<'_>) -> bool {
        let known = |digest: &[u8]| self.may_contain(digest);
        !self.is_empty()
            && (claim.digest.is_some_and(|(_, digest)| known(digest))
                || claim.payload_hash.is_some_and(|hash| known(&hash)))
    }
}

fn prefix(digest: &[u8]) -> Option<u64> {
    digest.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Digests are hashes already. Who signs many with equal prefixes slows down his own entries only: the table holds
/// ours.
#[derive(Default)]
struct Digits(u64);

impl Hasher for Digits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, prefix: u64) {
        self.0 = prefix;
    }
}
