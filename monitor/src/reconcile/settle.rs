//! Suspects whose grace period is over: explained by now, or a finding with its evidence.

use std::collections::BTreeSet;
use std::sync::Arc;

use bundle::TrustRoot;
use bundle::claims::Scratch;
use store::{FollowedLog, NewFinding, Suspect};
use tlog::{Hash, InclusionProof, LogKey, leaf_hash};

use super::found::{self, Scene};
use super::judge::{claim_of, read};
use super::lookup::Looked;
use super::{Facts, LedgerError, LedgerSide, Names, Verdict, reconcile};
use crate::config::LogKind;
use crate::finding::{LeafSeen, LogDescription};
use crate::inclusion::FollowedTree;
use crate::intents::keys::{AskedFor, Look};
use crate::log::{Fresh, LeafFormat};
use crate::reconcile::side::locked;
use crate::watchlist::{DigestFilter, Watchlist};

/// Suspects that are settled at once.
const AT_ONCE: u32 = 500;
/// How many grace periods a log may take to give an inclusion proof, and whoever follows a log to settle what was read in
/// it; then the finding goes without.
const PATIENCE: i64 = 4;

/// Inclusion proofs that one go asks for. Anybody can log many leaves with our key: a real one among them must not queue
/// behind their proofs, so what comes after these is told of without one.
const PROOFS: u32 = 64;

/// What settling came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Settled {
    /// Explained, or not to be explained any more (a rule is gone).
    pub explained: u64,
    /// Findings.
    pub found: u64,
    /// To be asked about again.
    pub postponed: u64,
}

/// What all suspects are settled with.
struct Ready {
    watchlist: Watchlist,
    asked_for: Arc<AskedFor>,
    trust: Arc<TrustRoot>,
    /// Logs that gave no proof just now: they are not waited for once more for each suspect.
    silent: BTreeSet<String>,
    /// How many proofs may be asked for still.
    proofs: u32,
    /// The payloads of all suspects that show no signature, and what a walk through the ledger has found of them.
    payloads: BTreeSet<[u8; 32]>,
    walked: Option<Looked>,
}

/// Where a suspect is.
struct Scenery<'a> {
    log: LogDescription,
    note: Vec<u8>,
    format: LeafFormat,
    /// Who to ask for a proof.
    tree: Option<&'a FollowedTree>,
}

/// What a suspect came to.
enum Outcome {
    Explained,
    Found(NewFinding),
    /// Until a time, in unix milliseconds.
    Postponed(i64),
}

impl LedgerSide {
    /// Settles the suspects whose grace period is over, of the logs in `forest`; of others those that nobody settles. Each
    /// is settled once, with its finding in the same transaction.
    pub async fn settle_due(
        &self,
        forest: &[FollowedTree],
        watchlist: &Watchlist,
        now: i64,
    ) -> Result<Settled, LedgerError> {
        let mut settled = Settled::default();
        let due = self.due(forest, now).await?;
        if due.is_empty() {
            return Ok(settled);
        }
        let mut ready = Ready {
            watchlist: self.with_keys(watchlist, now).await?,
            asked_for: self.keys.asked_for(Look::Complete, now).await?,
            trust: self.trust(),
            silent: BTreeSet::new(),
            proofs: PROOFS,
            // Of all at once: walks are rare, and anybody can log our envelopes again.
            payloads: due.iter().filter_map(|suspect| payload(suspect, forest)).collect(),
            walked: None,
        };
        let mut first = None;
        for suspect in due {
            let Err(error) = self.settle_one(&suspect, forest, &mut ready, &mut settled, now).await else { continue };
            // Behind the others, which must not wait for it. If not even that can be written, nothing else can.
            let again = now.saturating_add(self.timing.grace_ms().max(1_000));
            let moved = self.store.postpone_suspect(suspect.id, again).await;
            first.get_or_insert(error);
            if moved.is_err() {
                break;
            }
            settled.postponed += 1;
        }
        first.map_or(Ok(settled), Err)
    }

    /// What this process is to settle. A suspect of a log that it has no head of is left alone for so long that another
    /// process that has one is through with it; after that the head that it was verified under has to do: a log that is
    /// down, or not named any more, must not keep what was read in it from being told.
    async fn due(&self, forest: &[FollowedTree], now: i64) -> Result<Vec<Suspect>, LedgerError> {
        let mut due = Vec::new();
        for tree in forest {
            due.extend(self.store.due_suspects_of(&tree.log.origin, now, AT_ONCE).await?);
        }
        let left = now.saturating_sub(PATIENCE.saturating_mul(self.timing.grace_ms()));
        let is_ours = |suspect: &Suspect| forest.iter().any(|tree| tree.log.origin == suspect.log_origin);
        let others = self.store.due_suspects(left, AT_ONCE).await?;
        due.extend(others.into_iter().filter(|suspect| !is_ours(suspect)));
        Ok(due)
    }

    async fn settle_one(
        &self,
        suspect: &Suspect,
        forest: &[FollowedTree],
        ready: &mut Ready,
        settled: &mut Settled,
        now: i64,
    ) -> Result<(), LedgerError> {
        let outcome = match self.scenery(suspect, forest).await? {
            Some(scenery) => self.settle(suspect, &scenery, ready, now).await?,
            // Nothing is known of that log any more.
            None => Outcome::Postponed(now.saturating_add(self.timing.grace_ms().max(1_000))),
        };
        match outcome {
            Outcome::Explained => {
                self.store.settle_suspect(suspect.id, None, &self.sinks).await?;
                settled.explained += 1;
            }
            Outcome::Found(finding) => {
                if self.store.settle_suspect(suspect.id, Some(&finding), &self.sinks).await? {
                    settled.found += 1;
                    tracing::warn!(
                        kind = %finding.kind, log.origin = %suspect.log_origin, log.index = suspect.log_index,
                        "a leaf under our name that the ledger does not explain"
                    );
                }
            }
            Outcome::Postponed(until) => {
                self.store.postpone_suspect(suspect.id, until).await?;
                settled.postponed += 1;
            }
        }
        Ok(())
    }

    /// Where a suspect is: in a log that is followed here, or in one as it was when it was last followed.
    async fn scenery<'a>(
        &self,
        suspect: &Suspect,
        forest: &'a [FollowedTree],
    ) -> Result<Option<Scenery<'a>>, LedgerError> {
        if let Some(tree) = forest.iter().find(|tree| tree.log.origin == suspect.log_origin) {
            let (log, note) = (tree.log.clone(), tree.head.note().as_bytes().to_vec());
            return Ok(Some(Scenery { log, note, format: tree.reader.leaf_format(), tree: Some(tree) }));
        }
        let stored = self.store.followed_log(&suspect.log_origin).await?;
        Ok(stored.as_ref().and_then(stored_scenery))
    }

    async fn settle(
        &self,
        suspect: &Suspect,
        scenery: &Scenery<'_>,
        ready: &mut Ready,
        now: i64,
    ) -> Result<Outcome, LedgerError> {
        let Ready { watchlist, asked_for, trust, silent, proofs, payloads, walked } = ready;
        let Some(position) = claim_of(&suspect.why) else { return Ok(Outcome::Explained) };
        let mut scratch = Scratch::new();
        let Ok(claims) = read(scenery.format, &suspect.leaf, &mut scratch) else {
            return Ok(Outcome::Explained);
        };
        let mut matches = Vec::new();
        watchlist.matches(&claims, &DigestFilter::new(), &mut matches);
        let ordering_ms = self.timing.ordering_ms();
        let is_asked_for = |key: &str| asked_for.explains(key, suspect.noted_at, ordering_ms);
        let names = Names::of(position, &matches, watchlist, is_asked_for);
        let Some(facts) = Facts::of(&claims, position, trust) else { return Ok(Outcome::Explained) };
        let looked = self.look_up(&[&facts]).await?;
        let mut verdict = reconcile(&names, &facts, &looked.rows_for(&facts, suspect.noted_at));
        // A leaf with a payload's hash and no signature: only a walk through the ledger tells.
        if let (Verdict::KeyUsed(_), None, Some(payload)) = (verdict, &facts.signature, facts.claim.payload_hash) {
            if walked.is_none() {
                payloads.insert(payload);
                let mut all = self.look_up(&[]).await?;
                if !self.look_for_payloads(&mut all, payloads, now).await? {
                    return Ok(Outcome::Postponed(now.saturating_add(60_000)));
                }
                *walked = Some(all);
            }
            let mut rows = looked.rows_for(&facts, suspect.noted_at);
            rows.extend(walked.iter().flat_map(|walked| walked.rows_for(&facts, suspect.noted_at)));
            verdict = reconcile(&names, &facts, &rows);
        }
        if let Verdict::Counted(_) = self.unless_adopted(verdict, &facts).await? {
            return Ok(Outcome::Explained);
        }
        // A log that is silent has used up none of them.
        let asked = scenery.tree.filter(|_| *proofs > 0 || silent.contains(&suspect.log_origin));
        let inclusion = match asked {
            Some(tree) => self.inclusion_of(suspect, tree, silent, proofs).await,
            None => None,
        };
        let inclusion = match inclusion {
            Some(inclusion) => Some(inclusion),
            None if asked.is_some()
                && now < suspect.noted_at.saturating_add(PATIENCE.saturating_mul(self.timing.grace_ms())) =>
            {
                return Ok(Outcome::Postponed(now.saturating_add(1_000)));
            }
            None => None,
        };
        let leaf = LeafSeen {
            note: &scenery.note,
            index: suspect.log_index,
            leaf: &suspect.leaf,
            inclusion: inclusion.as_deref(),
        };
        let scene = Scene { log: &scenery.log, leaf: &leaf, claim: position, trust, at: now };
        let Some(found) = found::finding(verdict, &names, &facts, &scene) else { return Ok(Outcome::Explained) };
        let found = match found::name(verdict, &names, &facts) {
            Some(name) => locked(&self.storms).tell(&name, found, now),
            None => found,
        };
        Ok(Outcome::Found(found))
    }

    /// That the leaf is under the tree's head, where the log says so.
    async fn inclusion_of(
        &self,
        suspect: &Suspect,
        tree: &FollowedTree,
        silent: &mut BTreeSet<String>,
        proofs: &mut u32,
    ) -> Option<Vec<Hash>> {
        if silent.contains(&suspect.log_origin) {
            return None;
        }
        *proofs = proofs.saturating_sub(1);
        let leaf = leaf_hash(&suspect.leaf);
        for fresh in [Fresh::No, Fresh::Yes] {
            let hashes = match tree.reader.inclusion(suspect.log_index, tree.head.size(), fresh).await {
                Ok(hashes) => hashes,
                Err(error) => {
                    tracing::debug!(%error, log.origin = %suspect.log_origin, "no inclusion proof for a finding");
                    if error.is_transient() {
                        silent.insert(suspect.log_origin.clone());
                        return None;
                    }
                    continue;
                }
            };
            let proof = InclusionProof { index: suspect.log_index, size: tree.head.size(), hashes };
            if proof.verify(&leaf, &tree.head.root()).is_ok() {
                return Some(proof.hashes);
            }
        }
        None
    }
}

/// The payload's hash of a suspect that shows no signature.
fn payload(suspect: &Suspect, forest: &[FollowedTree]) -> Option<[u8; 32]> {
    let tree = forest.iter().find(|tree| tree.log.origin == suspect.log_origin)?;
    let mut scratch = Scratch::new();
    let claims = read(tree.reader.leaf_format(), &suspect.leaf, &mut scratch).ok()?;
    let claim = claims.signatures.get(claim_of(&suspect.why)?)?;
    claim.payload_hash.filter(|_| claim.signature.is_empty())
}

/// A log as it was when it was last followed.
fn stored_scenery(stored: &FollowedLog) -> Option<Scenery<'static>> {
    let kinds = [LogKind::RekorV2, LogKind::RekorV1, LogKind::Rfc6962, LogKind::StaticCt];
    let kind = kinds.into_iter().find(|kind| kind.as_str() == stored.kind)?;
    let server = stored.origin.split(" - ").next();
    // The name that a key signs under is a part of its id.
    let keys = [Some(&*stored.origin), server, None]
        .into_iter()
        .filter_map(|name| LogKey::from_spki(&stored.public_key, name).ok());
    let key = keys.into_iter().find(|key| key.key_id() == stored.key_id)?;
    let format = match kind {
        LogKind::RekorV2 | LogKind::RekorV1 => LeafFormat::Rekor,
        LogKind::Rfc6962 | LogKind::StaticCt => LeafFormat::Ct,
    };
    let note = stored.head.as_ref().map(|head| head.note.clone()).unwrap_or_default();
    Some(Scenery { log: LogDescription::new(stored.origin.clone(), kind, &key), note, format, tree: None })
}
