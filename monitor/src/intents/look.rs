//! Looks at the ledger: new rows are chained, rows that are gone or changed are found.

use std::collections::BTreeMap;

use store::{IntentSeen, LedgerPage, LedgerRow, NewFinding};

use super::unbroken::Walk;
use super::{appended, is_changed, time};
use crate::finding::state_lost;
use crate::reconcile::side::locked;
use crate::reconcile::{LedgerError, LedgerSide};

/// Rows that are read at once.
pub(super) const PAGE: u32 = 1_000;
/// How far before its newest row new rows of the ledger are looked for: ids become visible out of order.
pub(super) const OVERLAP: i64 = 5_000;
/// Rows that cannot be read and are told of by one look, and how many a process remembers to have told of.
const UNREADABLE_AT_ONCE: usize = 100;
const UNREADABLE_REMEMBERED: usize = 10_000;

/// What a process keeps in mind between two looks.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    /// When the last look at the ledger's end was complete, in unix milliseconds.
    looked_at: Option<i64>,
    /// How far the walk through the whole ledger has come.
    walked_to: i64,
    /// The whole ledger was looked through for new rows since this process began.
    from_zero: bool,
    /// Rows without a signature, each with when it was last looked at and had none, in unix milliseconds.
    pub(super) unsigned: BTreeMap<i64, i64>,
    /// All of them are known.
    pub(super) unsigned_known: bool,
    /// What was found and could not be told yet.
    untold: Vec<NewFinding>,
    /// How far the chain was verified.
    pub(super) chain: Walk,
    /// Up to where the old ones were looked at.
    turn: i64,
}

impl Looks {
    /// When a row was last looked at and had no signature.
    pub(crate) fn unsigned_at(&self, id: i64) -> Option<i64> {
        self.unsigned.get(&id).copied()
    }

    /// The unsigned rows up to an id whose turn it is.
    pub(super) fn next_unsigned(&mut self, to: i64, at_once: usize) -> Vec<i64> {
        let behind = self.unsigned.range(self.turn.saturating_add(1)..).map(|(id, _)| *id);
        let before = self.unsigned.range(..=self.turn).map(|(id, _)| *id);
        let ids: Vec<i64> = behind.chain(before).filter(|id| *id <= to).take(at_once).collect();
        self.turn = ids.last().copied().unwrap_or_default();
        ids
    }
}

/// What a look came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Looked {
    /// Rows that were new.
    pub new: u64,
    /// Rows that were dated back.
    pub backdated: u64,
    /// Rows that are gone.
    pub vanished: u64,
    /// Rows that are others than they were.
    pub changed: u64,
    /// The walk through the whole ledger has not come to its end yet.
    pub more: bool,
}

impl LedgerSide {
    /// When the ledger was last looked at as a whole, by this process or one before; unix milliseconds. `None`: never.
    pub(crate) async fn looked_at(&self) -> Result<Option<i64>, LedgerError> {
        let looked_at = locked(&self.looks).looked_at;
        let stored = self.store.last_intent_seen().await?.map(|last| last.seen_at);
        Ok(looked_at.max(stored.filter(|at| *at > 0)))
    }

    /// Looks at the ledger: chains its new rows, finds those that are dated back, gone or changed, and tells. Often, and
    /// before leaves are judged: what is new since the last look cannot be older than it.
    pub async fn look_at_intents(&self, now: i64) -> Result<Looked, LedgerError> {
        let mut looked = Looked::default();
        self.untold(self.unbroken(now).await?);
        self.untold(self.keys.findings(now).await?);
        self.untold(self.new_signatures(now, &mut looked).await?);
        self.untold(self.new_rows(now, &mut looked).await?);
        self.untold(self.vanished_rows(now, &mut looked).await?);
        self.untold(self.walk_on(now, &mut looked).await?);
        let findings = locked(&self.looks).untold.clone();
        if !findings.is_empty() {
            self.store.raise(&findings, &self.sinks).await?;
            locked(&self.looks).untold.clear();
        }
        Ok(looked)
    }

    /// What was found is found once: it is kept until it is told, whatever fails meanwhile.
    fn untold(&self, found: Vec<NewFinding>) {
        let untold = &mut locked(&self.looks).untold;
        for new in found {
            untold.retain(|it| (&it.fingerprint, &it.occurrence) != (&new.fingerprint, &new.occurrence));
            untold.push(new);
        }
    }

    async fn new_rows(&self, now: i64, looked: &mut Looked) -> Result<Vec<NewFinding>, LedgerError> {
        let before = self.looked_at().await?;
        let newest = self.store.ledger_newest().await?.map_or(0, |(id, _)| id);
        // From zero where this process has not looked yet: rows may have come while none was there.
        let mut after = if locked(&self.looks).from_zero { newest.saturating_sub(OVERLAP).max(0) } else { 0 };
        let mut backdated = Vec::new();
        let mut findings = Vec::new();
        loop {
            let page = self.store.unseen_ledger_rows(after, PAGE).await?;
            let complete = page.len() < PAGE as usize;
            findings.extend(self.unreadable_rows(&page, now));
            let LedgerPage { rows, last_id, .. } = page;
            after = last_id.unwrap_or(after);
            if !rows.is_empty() {
                // Watched before the rows are known: a crash between the two must not lose a key.
                self.keys.take(&rows).await?;
                // Until the last page the look is not complete: what a crash leaves behind must not say that it was.
                let seen_at = if complete { now } else { before.unwrap_or_default() };
                backdated.extend(self.chain(&rows, before, seen_at).await?);
                looked.new = looked.new.saturating_add(rows.len() as u64);
            }
            if complete {
                break;
            }
        }
        {
            let mut looks = locked(&self.looks);
            looks.looked_at = looks.looked_at.max(Some(now));
            looks.from_zero = true;
        }
        looked.backdated = looked.backdated.saturating_add(backdated.len() as u64);
        findings.extend(backdated.iter().map(|row| backdated_row(row, before, now)));
        Ok(findings)
    }

    /// Rows that are none: whoever may write the ledger could hide all that come after one, if it were not passed over.
    pub(super) fn unreadable_rows(&self, page: &LedgerPage, now: i64) -> Vec<NewFinding> {
        let mut told = locked(&self.unreadable);
        let new = page.unreadable.iter().filter(|(id, _)| !told.contains(id)).take(UNREADABLE_AT_ONCE);
        let new: Vec<_> = new.cloned().collect();
        if told.len() > UNREADABLE_REMEMBERED {
            told.clear();
        }
        told.extend(new.iter().map(|(id, _)| *id));
        new.iter().map(|(id, problem)| unreadable_row(*id, problem, now)).collect()
    }

    /// Puts rows into the chain, and answers with those that are dated back. Another monitor may be faster.
    async fn chain(
        &self,
        rows: &[LedgerRow],
        looked_at: Option<i64>,
        seen_at: i64,
    ) -> Result<Vec<LedgerRow>, LedgerError> {
        const ATTEMPTS: usize = 5;
        let mut rows = rows.to_vec();
        for _ in 0..ATTEMPTS {
            let end = self.store.last_intent_seen().await?.map(|last| last.chain_hash);
            let links = appended(end, &rows, looked_at, self.timing.tolerance_ms(), seen_at);
            if self.store.record_intents_seen(end, &links).await? {
                let unsigned = links.iter().filter(|link| link.signature_hash.is_none());
                let unsigned = unsigned.map(|link| (link.signature_id, link.signature_seen_at.unwrap_or_default()));
                locked(&self.looks).unsigned.extend(unsigned);
                let backdated = rows.into_iter().zip(links).filter(|(_, it)| it.backdated || it.signature_backdated);
                return Ok(backdated.map(|(row, _)| row).collect());
            }
            let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
            let taken = self.store.intents_seen(&ids).await?;
            rows.retain(|row| taken.iter().all(|seen| seen.signature_id != row.id));
            if rows.is_empty() {
                break;
            }
        }
        // What is left is unseen still, and comes with the next look.
        Ok(Vec::new())
    }

    /// Rows behind the ledger's end: it went back in time.
    async fn vanished_rows(&self, now: i64, looked: &mut Looked) -> Result<Vec<NewFinding>, LedgerError> {
        let newest = self.store.ledger_newest().await?.map_or(0, |(id, _)| id);
        if self.store.vanished_intents(newest, 1).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.vanished_between(0, now, looked).await
    }

    async fn vanished_between(
        &self,
        mut after: i64,
        now: i64,
        looked: &mut Looked,
    ) -> Result<Vec<NewFinding>, LedgerError> {
        let mut window: Option<Window> = None;
        loop {
            let page = self.store.vanished_intents(after, PAGE).await?;
            for gone in &page {
                window = Some(Window::with(window, gone));
                after = gone.signature_id;
            }
            if page.len() < PAGE as usize {
                break;
            }
        }
        looked.vanished = window.map_or(0, |window| window.count);
        Ok(window.map(|window| window.finding(now)).into_iter().collect())
    }

    /// One page further through the whole ledger, from its beginning to its end and again.
    async fn walk_on(&self, now: i64, looked: &mut Looked) -> Result<Vec<NewFinding>, LedgerError> {
        let from = locked(&self.looks).walked_to;
        let page = self.store.ledger_rows_after(from, PAGE).await?;
        let ended = page.len() < PAGE as usize;
        let mut findings = self.unreadable_rows(&page, now);
        let LedgerPage { rows, last_id, .. } = page;
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let seen = self.store.intents_seen(&ids).await?;
        let before = self.looked_at().await?;
        let mut unseen = Vec::new();
        for row in rows {
            match seen.iter().find(|seen| seen.signature_id == row.id) {
                Some(seen) if is_changed(&row, seen) => {
                    looked.changed = looked.changed.saturating_add(1);
                    findings.push(changed_row(&row, seen, now));
                }
                Some(seen) if seen.signature_hash.is_none() && !seen.accepted => {
                    let missing_at = seen.signature_seen_at.unwrap_or_default();
                    locked(&self.looks).unsigned.entry(row.id).or_insert(missing_at);
                }
                Some(_) => {}
                // In a gap between old ids; or so new that the next look finds it.
                None => unseen.push(row),
            }
        }
        let newest = self.store.ledger_newest().await?.map_or(0, |(id, _)| id);
        unseen.retain(|row| row.id <= newest.saturating_sub(OVERLAP));
        if !unseen.is_empty() {
            self.keys.take(&unseen).await?;
            let backdated = self.chain(&unseen, before, now).await?;
            looked.new = looked.new.saturating_add(unseen.len() as u64);
            looked.backdated = looked.backdated.saturating_add(backdated.len() as u64);
            findings.extend(backdated.iter().map(|row| backdated_row(row, before, now)));
        }
        looked.more = !ended;
        if ended {
            findings.extend(self.vanished_between(0, now, looked).await?);
        }
        locked(&self.looks).walked_to = if ended { 0 } else { last_id.unwrap_or_default() };
        Ok(findings)
    }
}

/// What is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Window {
    count: u64,
    last_id: i64,
    from: i64,
    to: i64,
}

impl Window {
    fn with(window: Option<Self>, gone: &IntentSeen) -> Self {
        let at = gone.intended_at;
        let window = window.unwrap_or(Self { count: 0, last_id: gone.signature_id, from: at, to: at });
        Self {
            count: window.count.saturating_add(1),
            last_id: window.last_id.max(gone.signature_id),
            from: window.from.min(at),
            to: window.to.max(at),
        }
    }

    /// One finding for one loss: it keeps its name while new rows take the ids of those that are gone.
    fn finding(self, now: i64) -> NewFinding {
        let words = format!(
            "{} rows that were in the ledger are gone, intended from {} to {}: it was restored from an older backup, or \
             somebody deletes from it. Signatures of this window that are read in a log from now on are not explained.",
            self.count,
            time(self.from),
            time(self.to),
        );
        state_lost(None, &format!("ledger/vanished/{}", self.last_id), &words, now)
    }
}

/// All of them are one finding: a wrong clock at the signer dates every row back.
fn backdated_row(row: &LedgerRow, looked_at: Option<i64>, now: i64) -> NewFinding {
    let words = format!(
        "Row {} of the ledger ({}, identity {:?}) says that it was intended at {} and signed at {}, and was not there when we looked at {}: \
         it was written afterwards, or the signer's clock is wrong. It explains no signature.",
        row.id,
        row.image,
        row.identity_name,
        time(row.intended_at),
        row.signature.as_ref().map_or_else(|| "no time".to_owned(), |recorded| time(recorded.at)),
        time(looked_at.unwrap_or_default()),
    );
    NewFinding { occurrence: row.id.to_string(), ..state_lost(None, "ledger/backdated", &words, now) }
}

/// A row that was written by something else than a signer, or damaged.
fn unreadable_row(id: i64, problem: &str, now: i64) -> NewFinding {
    let words = format!(
        "Row {id} of the ledger cannot be read ({problem}): no signer writes such a row, so somebody else does, or it is \
         damaged. It explains no signature, and is passed over.",
    );
    NewFinding { occurrence: id.to_string(), ..state_lost(None, "ledger/unreadable", &words, now) }
}

fn changed_row(row: &LedgerRow, seen: &IntentSeen, now: i64) -> NewFinding {
    let words = format!(
        "Row {} of the ledger is another one than at {}: it now names {}, identity {:?}, intended at {}. Its rows never \
         change, so it was restored from an older backup or somebody writes into it.",
        row.id,
        time(seen.seen_at),
        row.image,
        row.identity_name,
        time(row.intended_at),
    );
    NewFinding { occurrence: row.id.to_string(), ..state_lost(None, "ledger/changed", &words, now) }
}
