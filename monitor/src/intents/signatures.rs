//! Signatures of rows that were seen before they were signed: each is looked for until it is there, so that one which is
//! put into an old row shows, whatever it says of its time.

use std::collections::HashMap;

use store::{LedgerRow, NewFinding, SignatureSeen};

use super::chain::is_signed_back;
use super::look::{Looked, OVERLAP, PAGE};
use super::{signature_hash, time};
use crate::finding::state_lost;
use crate::reconcile::side::locked;
use crate::reconcile::{LedgerError, LedgerSide};

/// Old unsigned rows that are looked at in one look: those that were adopted from a registry never get a signature.
const AT_ONCE: usize = 5_000;

/// A row that is signed by now, and when it was last looked at and was not; `None`: nobody has looked.
type Late = (LedgerRow, Option<i64>);

impl LedgerSide {
    /// Looks for signatures that are new. Before new rows are chained: what the chain says of its time is true of
    /// signatures too.
    pub(super) async fn new_signatures(&self, now: i64, looked: &mut Looked) -> Result<Vec<NewFinding>, LedgerError> {
        let newest = self.store.ledger_newest().await?.map_or(0, |(id, _)| id);
        let recent = newest.saturating_sub(OVERLAP).max(0);
        let mut late = if locked(&self.looks).unsigned_known {
            let mut late = self.old_signatures(recent, now).await?;
            // What is recent is asked of the database: another monitor may have been the first to see it.
            late.extend(self.signatures_after(recent, now).await?);
            late
        } else {
            let mut late = self.signatures_after(0, now).await?;
            // The process before this one has looked at all of them, up to the end of the chain.
            let looked_at = self.looked_at().await?;
            if locked(&self.looks).unsigned.len().saturating_add(late.len()) <= AT_ONCE {
                late.iter_mut().for_each(|(_, missing_at)| {
                    *missing_at = missing_at.map(|at| looked_at.map_or(at, |it| at.max(it)))
                });
            }
            late
        };
        late.sort_by_key(|(row, _)| row.id);
        late.dedup_by_key(|(row, _)| row.id);
        let tolerance_ms = self.timing.tolerance_ms();
        let seen = |(row, missing_at): &Late| {
            let seen_at = missing_at.unwrap_or_default();
            let backdated = is_signed_back(row, seen_at, tolerance_ms);
            SignatureSeen { signature_id: row.id, hash: signature_hash(row), seen_at, backdated }
        };
        let signatures: Vec<SignatureSeen> = late.iter().map(seen).collect();
        if !signatures.is_empty() {
            self.store.record_signatures_seen(&signatures).await?;
        }
        let mut looks = locked(&self.looks);
        looks.unsigned_known = true;
        for signature in &signatures {
            looks.unsigned.remove(&signature.signature_id);
        }
        let backdated = late.iter().zip(&signatures).filter(|(_, signature)| signature.backdated);
        let findings: Vec<_> = backdated.map(|((row, _), seen)| signed_back(row, seen.seen_at, now)).collect();
        looked.backdated = looked.backdated.saturating_add(findings.len() as u64);
        Ok(findings)
    }

    /// Of the rows after an id: by the database's memory, and ours.
    async fn signatures_after(&self, mut after: i64, now: i64) -> Result<Vec<Late>, LedgerError> {
        let mut late = Vec::new();
        loop {
            // Rows that cannot be read are told of by the walk over the whole ledger.
            let page = self.store.rows_seen_unsigned(after, PAGE).await?;
            let complete = page.len() < PAGE as usize;
            after = page.last_id.unwrap_or(after);
            let rows = page.rows;
            let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
            let seen = self.store.intents_seen(&ids).await?;
            let seen: HashMap<i64, Option<i64>> =
                seen.into_iter().map(|it| (it.signature_id, it.signature_seen_at)).collect();
            let mut first = Vec::new();
            for row in rows {
                let stored = seen.get(&row.id).copied().flatten();
                let missing_at = locked(&self.looks).unsigned.get(&row.id).copied().max(stored);
                match (signature_hash(&row), missing_at) {
                    // A version before this one has seen the row, and looked at no signature.
                    (hash @ Some(_), None) => first.push((row.id, hash, 0)),
                    (Some(_), Some(_)) => late.push((row, missing_at)),
                    (None, _) => {
                        locked(&self.looks).unsigned.insert(row.id, now);
                        if stored.is_none() {
                            first.push((row.id, None, now));
                        }
                    }
                }
            }
            let first: Vec<_> = first
                .into_iter()
                .map(|(signature_id, hash, seen_at)| SignatureSeen { signature_id, hash, seen_at, backdated: false })
                .collect();
            if !first.is_empty() {
                self.store.record_signatures_seen(&first).await?;
            }
            if complete {
                return Ok(late);
            }
        }
    }

    /// Of the unsigned rows up to an id, in turn where there are many.
    async fn old_signatures(&self, to: i64, now: i64) -> Result<Vec<Late>, LedgerError> {
        let ids = locked(&self.looks).next_unsigned(to, AT_ONCE);
        let signed = self.store.signed_of(&ids).await?;
        let mut looks = locked(&self.looks);
        let late: Vec<Late> = signed
            .into_iter()
            .map(|row| {
                let missing_at = looks.unsigned.get(&row.id).copied();
                (row, missing_at)
            })
            .collect();
        for id in ids.iter().filter(|id| late.iter().all(|(row, _)| row.id != **id)) {
            looks.unsigned.insert(*id, now);
        }
        Ok(late)
    }
}

fn signed_back(row: &LedgerRow, missing_at: i64, now: i64) -> NewFinding {
    let words = format!(
        "The signature in row {} of the ledger ({}, identity {:?}) says that it was made at {} and was not there when we \
         looked at {}: it was put into an old row afterwards, or the signer's clock is wrong. It explains no leaf.",
        row.id,
        row.image,
        row.identity_name,
        time(row.signature.as_ref().map_or(0, |recorded| recorded.at)),
        time(missing_at),
    );
    let occurrence = format!("signature {}", row.id);
    NewFinding { occurrence, ..state_lost(None, "ledger/backdated", &words, now) }
}
