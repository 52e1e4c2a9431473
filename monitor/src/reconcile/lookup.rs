//! Rows of the ledger that may explain leaves, and whether they were there before.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use store::{IntentSeen, LedgerRow};

use super::{Facts, LedgerError, LedgerSide, LedgerTiming, Row};
use crate::intents;
use crate::reconcile::side::locked;

/// How many rows of the ledger are walked through at once.
const PAGE: u32 = 5_000;
/// How often at most all of the ledger is walked through: anybody can ask for it, by logging our envelopes again.
const WALK_EVERY_MS: i64 = 10 * 60 * 1_000;

/// Rows of the ledger by what leaves show of them.
#[derive(Debug)]
pub(super) struct Looked {
    rows: BTreeMap<i64, LedgerRow>,
    by_signature: HashMap<Vec<u8>, Vec<i64>>,
    by_digest: HashMap<Vec<u8>, Vec<i64>>,
    by_payload: HashMap<[u8; 32], Vec<i64>>,
    seen: HashMap<i64, IntentSeen>,
    /// When rows were last looked at and had no signature.
    unsigned: HashMap<i64, i64>,
    looked_at: Option<i64>,
    timing: LedgerTiming,
}

impl Looked {
    /// The rows that may explain a claim of a leaf that was first seen at `leaf_seen_at`.
    pub(super) fn rows_for(&self, facts: &Facts<'_>, leaf_seen_at: i64) -> Vec<Row<'_>> {
        let mut ids = BTreeSet::new();
        match &facts.signature {
            Some(signature) => ids.extend(self.by_signature.get(signature).into_iter().flatten()),
            None => {
                let digest = facts.claim.digest.map(|(_, digest)| digest).or(facts
                    .claim
                    .payload_hash
                    .as_ref()
                    .map(|it| it.as_slice()));
                ids.extend(digest.and_then(|digest| self.by_digest.get(digest)).into_iter().flatten());
                ids.extend(facts.claim.payload_hash.and_then(|hash| self.by_payload.get(&hash)).into_iter().flatten());
            }
        }
        let row = |id: &&i64| self.rows.get(*id);
        ids.iter()
            .filter_map(row)
            .map(|row| {
                let tolerance = self.timing.tolerance_ms();
                let seen = self.seen.get(&row.id);
                let there = intents::was_there(row, seen, self.looked_at, tolerance);
                let before = intents::is_before(row, leaf_seen_at, tolerance);
                let signed = intents::was_signed(row, seen, self.missing_at(row.id), leaf_seen_at, self.timing);
                Row { row, written_afterwards: !(there && before && signed) }
            })
            .collect()
    }

    /// When a signature that was not seen yet was looked for last; 0: never.
    fn missing_at(&self, id: i64) -> i64 {
        let at = match self.seen.get(&id) {
            Some(seen) => self.unsigned.get(&id).copied().max(seen.signature_seen_at),
            None => self.looked_at,
        };
        at.unwrap_or_default()
    }

    fn take(&mut self, rows: Vec<LedgerRow>) {
        for row in rows {
            if let Some(recorded) = &row.signature {
                push(&mut self.by_signature, recorded.signature.clone(), row.id);
                push(&mut self.by_digest, recorded.signed_digest.clone(), row.id);
                push(&mut self.by_payload, sha256(&recorded.payload), row.id);
                self.rows.insert(row.id, row);
            }
        }
    }
}

fn push<K: std::hash::Hash + Eq>(index: &mut HashMap<K, Vec<i64>>, key: K, id: i64) {
    index.entry(key).or_default().push(id);
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(bytes).into()
}

impl LedgerSide {
    /// Asks the ledger for everything that may explain these claims.
    pub(super) async fn look_up(&self, claims: &[&Facts<'_>]) -> Result<Looked, LedgerError> {
        let mut looked = Looked {
            rows: BTreeMap::new(),
            by_signature: HashMap::new(),
            by_digest: HashMap::new(),
            by_payload: HashMap::new(),
            seen: HashMap::new(),
            unsigned: HashMap::new(),
            looked_at: self.looked_at().await?,
            timing: self.timing,
        };
        let mut signatures = BTreeSet::new();
        let mut digests = BTreeSet::new();
        for facts in claims {
            match &facts.signature {
                Some(signature) => {
                    signatures.insert(signature.clone());
                }
                None => {
                    digests.extend(facts.claim.digest.map(|(_, digest)| digest.to_vec()));
                    // Of a simple-signing payload it is the digest that was signed.
                    digests.extend(facts.claim.payload_hash.map(|hash| hash.to_vec()));
                }
            }
        }
        if !signatures.is_empty() {
            let signatures: Vec<_> = signatures.into_iter().collect();
            looked.take(self.store.ledger_by_signatures(&signatures).await?);
        }
        if !digests.is_empty() {
            let digests: Vec<_> = digests.into_iter().collect();
            looked.take(self.store.ledger_by_digests(&digests).await?);
        }
        self.recall(&mut looked).await?;
        Ok(looked)
    }

    /// Adds the rows with any of these payloads, by a walk through all of the ledger. `false`: the last walk was a moment
    /// ago, and nothing was asked.
    pub(super) async fn look_for_payloads(
        &self,
        looked: &mut Looked,
        payloads: &BTreeSet<[u8; 32]>,
        now: i64,
    ) -> Result<bool, LedgerError> {
        let walked_at = *locked(&self.payloads_walked_at);
        if walked_at.is_some_and(|at| at <= now && now.saturating_sub(at) < WALK_EVERY_MS) {
            return Ok(false);
        }
        let mut digests = Vec::new();
        let mut after = 0;
        loop {
            let page = self.store.ledger_digests(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let found = page.into_iter().filter(|row| payloads.contains(&row.payload_sha256));
            digests.extend(found.map(|row| row.signed_digest));
        }
        if !digests.is_empty() {
            looked.take(self.store.ledger_by_digests(&digests).await?);
            self.recall(looked).await?;
        }
        *locked(&self.payloads_walked_at) = Some(now);
        Ok(true)
    }

    /// When the monitor first saw the rows.
    async fn recall(&self, looked: &mut Looked) -> Result<(), LedgerError> {
        let ids: Vec<i64> = looked.rows.keys().copied().collect();
        {
            // Before it is asked what was seen: what is seen meanwhile is taken from there.
            let looks = locked(&self.looks);
            looked.unsigned = ids.iter().filter_map(|id| Some((*id, looks.unsigned_at(*id)?))).collect();
        }
        let seen = self.store.intents_seen(&ids).await?;
        looked.seen = seen.into_iter().map(|intent| (intent.signature_id, intent)).collect();
        Ok(())
    }
}
