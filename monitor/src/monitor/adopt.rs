//! The act of adoption: a person says that what a finding shows is ours, though the ledger does not have it.
//!
//! Two findings can be adopted. A signature under our name: it is ours from now on, and copies of it page nobody. A ledger
//! that lost rows (it was restored from an older backup): the loss is accepted, of every row that is lost by then, and what
//! the monitor proved as ours while the ledger had it is read from the log once more and adopted. Nothing is adopted on the word of a log or of whoever
//! writes one: a leaf must be the one that was shown, or the one that was proved.

mod again;

use std::collections::HashMap;

use bundle::claims::Scratch;
use store::{AdoptedSignature, Adoption, FindingKind, FindingNote, FindingRow, FindingState, IntentSeen, LedgerRow};

use super::{Monitor, MonitorError};
use crate::evidence::{self, Evidence, Proof};
use crate::follow::now_ms;
use crate::intents::is_changed;
use crate::log::LeafFormat;
use crate::reconcile::adopted_hashes;
use again::Logs;

/// Rows and entries that are read at once.
const PAGE: u32 = 500;

/// What an act of adoption came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Adopted {
    /// Signatures that are ours from now on.
    pub signatures: u64,
    /// Rows of the ledger whose loss or change is accepted.
    pub rows: u64,
    /// Entries of lost rows that could not be read from their logs, each with the reason: the act may be repeated.
    pub unread: Vec<String>,
}

impl Monitor {
    /// Adopts what a finding shows, and ends it. See this file's head for what can be adopted.
    pub async fn adopt(&self, finding: i64, because: &str, by: &str) -> Result<Adopted, MonitorError> {
        let refused = |problem: String| MonitorError::NotAdopted { finding, problem };
        let row = self.store.finding(finding).await?.ok_or_else(|| refused("there is no such finding".to_owned()))?;
        if row.state == FindingState::Cleared {
            return Err(refused("it is over".to_owned()));
        }
        let mut act = Adoption {
            signatures: Vec::new(),
            intents: Vec::new(),
            entries: Vec::new(),
            because: because.to_owned(),
            by: by.to_owned(),
            at: now_ms(),
        };
        let mut adopted = Adopted::default();
        match row.kind {
            FindingKind::KeyUsedOutside | FindingKind::RetiredKeyUsed | FindingKind::UnexpectedIdentity => {
                act.signatures = self.shown(&row).await.map_err(refused)?;
            }
            FindingKind::StateLost if row.fingerprint.contains("ledger/") => {
                if let Some(rows) = self.lost_rows(&row).await? {
                    act.intents = rows;
                    self.proved_before(&mut act, &mut adopted).await?;
                }
            }
            kind => {
                return Err(refused(format!(
                    "a finding of kind {kind} shows nothing that could be ours; `sealwatch findings ack {finding}` takes \
                     note of it"
                )));
            }
        }
        adopted.signatures = act.signatures.len() as u64;
        adopted.rows = act.intents.len() as u64;
        self.store.adopt(&act).await?;
        if adopted.unread.is_empty() {
            // By a person's word: what is seen at each look, as it was, does not open it again.
            let note = FindingNote { id: finding, because, by, at: act.at };
            self.store.close_finding(&note, &self.shared.sinks).await?;
        }
        tracing::info!(finding, because, by, signatures = adopted.signatures, rows = adopted.rows, "adopted");
        Ok(adopted)
    }

    /// The signatures in a finding's evidence.
    async fn shown(&self, row: &FindingRow) -> Result<Vec<AdoptedSignature>, String> {
        let mut shown = Vec::new();
        for piece in self.store.evidence(row.id).await.map_err(|error| error.to_string())? {
            let Some(bytes) = piece.evidence else { continue };
            let verdict = evidence::verify(&bytes).map_err(|error| format!("its evidence: {error}"))?;
            if !verdict.holds {
                return Err(format!("its evidence {:?} does not hold", piece.occurrence));
            }
            let file: Evidence = serde_json::from_slice(&bytes).map_err(|error| format!("its evidence: {error}"))?;
            let Proof::Entry { index, leaf: Some(leaf), names: Some(names), .. } = &file.proof else { continue };
            let format = match file.log.as_ref().map(|log| log.kind.starts_with("ct_")) {
                Some(true) => LeafFormat::Ct,
                _ => LeafFormat::Rekor,
            };
            let origin = file.log.as_ref().map(|log| log.origin.clone()).unwrap_or_default();
            let mut scratch = Scratch::new();
            let hashes = adopted_hashes(format, &leaf.0, Some(names.claim), &mut scratch);
            shown.extend(hashes.into_iter().map(|hash| AdoptedSignature {
                signature_hash: hash,
                log_origin: origin.clone(),
                log_index: *index,
            }));
        }
        if shown.is_empty() {
            return Err("its evidence shows no signature: a certificate alone cannot be adopted".to_owned());
        }
        Ok(shown)
    }

    /// The rows that a finding about the ledger is about, all that there are now: those that are gone, or those that are
    /// other ones than were seen. `None`: it is about something else, which ends by the act and accepts no row.
    async fn lost_rows(&self, row: &FindingRow) -> Result<Option<Vec<i64>>, MonitorError> {
        if row.fingerprint.contains("ledger/vanished") {
            return self.vanished_rows().await.map(Some);
        }
        if row.fingerprint.contains("ledger/changed") {
            return self.changed_rows().await.map(Some);
        }
        Ok(None)
    }

    async fn vanished_rows(&self) -> Result<Vec<i64>, MonitorError> {
        let (mut rows, mut after) = (Vec::new(), 0);
        loop {
            let page = self.store.vanished_intents(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(rows) };
            after = last.signature_id;
            rows.extend(page.iter().map(|gone| gone.signature_id));
        }
    }

    /// By the whole ledger: of what a finding tells, only the first thousand rows are kept.
    async fn changed_rows(&self) -> Result<Vec<i64>, MonitorError> {
        let (mut changed, mut after) = (Vec::new(), 0);
        loop {
            let page = self.store.ledger_rows_after(after, PAGE).await?;
            let Some(last) = page.last_id else { return Ok(changed) };
            after = last;
            let ids: Vec<i64> = page.rows.iter().map(|row| row.id).collect();
            let seen = self.store.intents_seen(&ids).await?;
            let seen: HashMap<i64, IntentSeen> = seen.into_iter().map(|it| (it.signature_id, it)).collect();
            let is_changed = |row: &&LedgerRow| seen.get(&row.id).is_some_and(|seen| is_changed(row, seen));
            changed.extend(page.rows.iter().filter(is_changed).map(|row| row.id));
        }
    }

    /// Entries that were proved as ours while the ledger had them, read from their logs again.
    async fn proved_before(&self, act: &mut Adoption, adopted: &mut Adopted) -> Result<(), MonitorError> {
        let followed = self.store.followed_logs().await?;
        let mut logs = Logs::of(&self.readers, &self.config.material.logs, &followed).await;
        let mut after = 0;
        loop {
            let page = self.store.lost_entries(after, PAGE).await?;
            let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(()) };
            // A row may have several entries: the last one of a full page comes whole with the next.
            let is_cut = page.len() >= PAGE as usize && first.signature_id < last.signature_id;
            after = if is_cut { last.signature_id.saturating_sub(1) } else { last.signature_id };
            for lost in page.into_iter().filter(|lost| lost.signature_id <= after) {
                match logs.signatures(&lost).await {
                    Ok(signatures) => {
                        act.signatures.extend(signatures);
                        act.entries.push(lost);
                    }
                    Err(problem) => adopted.unread.push(format!("{} {}: {problem}", lost.log_origin, lost.log_index)),
                }
            }
        }
    }
}
