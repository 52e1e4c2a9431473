//! Leaves that match the watchlist, once they are verified: counted, or suspected until the ledger had its time.

use std::collections::BTreeMap;

use bundle::claims::{Claims, Scratch, claims, ct_claims};
use bundle::{CertificateView, ClaimedBy, ClaimsError};
use store::{NewSuspect, ObservedIdentity, Sighting};
use tlog::Checkpoint;

use super::suspected::{PER_LEAF, Suspected};
use super::{Chain, Facts, LedgerError, LedgerSide, Names, Reason, Verdict, reconcile};
use crate::intents::keys::Look;
use crate::log::{LeafFormat, LogReader};
use crate::reconcile::side::locked;
use crate::watchlist::{Match, Matched, Watchlist};

/// Leaves that are looked at together: their claims are in memory twice.
const TOGETHER: usize = 256;
/// How many bytes of leaves are looked at together: of some kinds the claims take ten times as many.
const TOGETHER_BYTES: usize = 4 << 20;
/// How many of a log's notes are looked through for the time at which a leaf was there at the latest.
const NOTES: u32 = 256;

/// A leaf that matches the watchlist.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Its index.
    pub index: u64,
    /// Its bytes.
    pub leaf: Vec<u8>,
    /// How it is to be read.
    pub leaf_format: LeafFormat,
    /// What it matches.
    pub matches: Vec<Match>,
}

impl Hit {
    /// Memory that it takes until it is judged and what it came to is written, in bytes.
    pub fn held_bytes(&self) -> usize {
        let names = self.matches.iter().map(|found| match &found.what {
            Matched::Identity { issuer, subject }
            | Matched::Expected { issuer, subject }
            | Matched::Observed { issuer, subject } => issuer.as_ref().map_or(0, String::len) + subject.len(),
            Matched::NearMiss { issuer, subject, of, .. } => {
                issuer.as_ref().map_or(0, String::len) + subject.len() + of.len()
            }
            Matched::Key { fingerprint, .. } => fingerprint.len(),
            Matched::Digest => 0,
        });
        // The matches of one claim stand together. Each claim may become a suspect, which has a copy of the leaf.
        let claims = self.matches.chunk_by(|a, b| a.claim == b.claim).take(PER_LEAF).count();
        size_of::<Self>()
            + self.matches.capacity() * size_of::<Match>()
            + names.sum::<usize>()
            + self.leaf.len() * (1 + claims)
    }
}

/// What leaves came to: for [`store::Advance`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Judged {
    /// Leaves that the ledger does not explain yet. [`LedgerSide::settle_due`] makes findings of them.
    pub suspects: Vec<NewSuspect>,
    /// What the matchers matched, one for each.
    pub sightings: Vec<Sighting>,
    /// What observing rules saw.
    pub observed: Vec<ObservedIdentity>,
    /// What paged nobody, by reason.
    pub counted: Vec<(String, u64)>,
}

/// Reads a leaf.
pub(super) fn read<'a>(
    format: LeafFormat,
    leaf: &'a [u8],
    scratch: &'a mut Scratch,
) -> Result<Claims<'a>, ClaimsError> {
    match format {
        LeafFormat::Rekor => claims(leaf, scratch),
        LeafFormat::Ct => ct_claims(leaf),
    }
}

/// What a suspect's reason is: the place of its claim, so that it stays short whatever the leaf says. With the leaf: after
/// a rollback and a new act of trust another one may stand at the index of one that was settled.
pub(super) fn why(claim: usize, leaf: &[u8]) -> String {
    format!("claim {claim} of {}", tlog::leaf_hash(leaf))
}

/// The claim of a suspect.
pub(super) fn claim_of(why: &str) -> Option<usize> {
    why.strip_prefix("claim ")?.split(' ').next()?.parse().ok()
}

/// Fulcio's extensions that are the same each time a workflow signs: where it ran, repository and owner by name and id,
/// visibility. What differs from run to run would make an identity of each run.
const LASTING: [u32; 6] = [11, 12, 15, 16, 17, 22];

fn lasting_extensions(certificate: &CertificateView<'_>) -> String {
    let named = LASTING.iter().filter_map(|arc| {
        let oid = format!("1.3.6.1.4.1.57264.1.{arc}");
        let text = certificate.extension(&oid)?.into_owned();
        Some((oid, serde_json::Value::String(text)))
    });
    serde_json::Value::Object(named.collect()).to_string()
}

/// The sums so far.
#[derive(Default)]
struct Sums {
    suspects: Vec<NewSuspect>,
    sightings: BTreeMap<String, u64>,
    observed: BTreeMap<(String, String, String, String), u64>,
    counted: BTreeMap<Reason, u64>,
}

impl LedgerSide {
    /// Judges leaves that were hashed into the verified `head`; `watchlist` is the one that they were matched with.
    ///
    /// Nothing is written. What the ledger does not explain becomes a suspect, to be written with the position and to be
    /// settled when the grace period is over.
    pub async fn judge(
        &self,
        reader: &dyn LogReader,
        head: &Checkpoint,
        watchlist: &Watchlist,
        hits: Vec<Hit>,
        now: i64,
    ) -> Result<Judged, LedgerError> {
        let mut sums = Sums::default();
        if !hits.is_empty() {
            let origin = reader.origin();
            let asked_for = self.keys.asked_for(Look::Quick, now).await?;
            let ordering_ms = self.timing.ordering_ms();
            let trust = self.trust();
            let seen = self.seen_by(origin, head, now).await?;
            for hits in together(&hits) {
                let mut scratches: Vec<Scratch> = hits.iter().map(|_| Scratch::new()).collect();
                let mut named = Vec::new();
                for (hit, scratch) in hits.iter().zip(&mut scratches) {
                    // It could be read when it was matched.
                    let Ok(claims) = read(hit.leaf_format, &hit.leaf, scratch) else { continue };
                    let mut positions: Vec<usize> = hit.matches.iter().map(|found| found.claim).collect();
                    positions.sort_unstable();
                    positions.dedup();
                    for position in positions {
                        let is_asked_for = |key: &str| asked_for.explains(key, seen.at(hit.index), ordering_ms);
                        let names = Names::of(position, &hit.matches, watchlist, is_asked_for);
                        if let Some(facts) = Facts::of(&claims, position, &trust) {
                            named.push((hit, position, names, facts));
                        }
                    }
                }
                // Whoever is not named by a claim has nothing to ask the ledger for.
                let asked: Vec<&Facts<'_>> =
                    named.iter().filter(|(_, _, names, _)| *names != Names::default()).map(|it| &it.3).collect();
                let looked = self.look_up(&asked).await?;
                for claims in named.chunk_by(|(one, ..), (other, ..)| one.index == other.index) {
                    let mut suspected = Suspected::default();
                    for (hit, position, names, facts) in claims {
                        let verdict = reconcile(names, facts, &looked.rows_for(facts, seen.at(hit.index)));
                        let verdict = self.unless_adopted(verdict, facts).await?;
                        if verdict == Verdict::Counted(Reason::Ours) {
                            let leaf_hash = *tlog::leaf_hash(&hit.leaf).as_bytes();
                            locked(&self.recent).saw(origin, hit.index, leaf_hash);
                        }
                        sums.add(hit, *position, facts, verdict, watchlist);
                        suspected.take(*position, verdict, names, facts);
                    }
                    let Some((hit, ..)) = claims.first() else { continue };
                    let (positions, left_out) = suspected.worst();
                    if left_out > 0 {
                        sums.count(Reason::LeftOut, left_out);
                        tracing::warn!(
                            log.origin = origin,
                            log.index = hit.index,
                            left_out,
                            "a leaf names us too often"
                        );
                    }
                    sums.suspects.extend(positions.into_iter().map(|position| NewSuspect {
                        log_origin: origin.to_owned(),
                        log_index: hit.index,
                        leaf: hit.leaf.clone(),
                        why: why(position, &hit.leaf),
                        noted_at: seen.at(hit.index),
                        due_at: now.saturating_add(self.timing.grace_ms()),
                    }));
                }
            }
        }
        Ok(sums.judged(reader.origin(), now))
    }

    /// When leaves were in the log at the latest: by the notes that were seen of it.
    async fn seen_by(&self, origin: &str, head: &Checkpoint, now: i64) -> Result<SeenBy, LedgerError> {
        let notes = self.store.notes(origin, NOTES).await?;
        let mut sizes: Vec<(u64, i64)> = notes.into_iter().map(|note| (note.size, note.seen_at)).collect();
        sizes.push((head.size(), now));
        Ok(SeenBy { sizes, now })
    }
}

/// Hits that are looked at together.
fn together(hits: &[Hit]) -> impl Iterator<Item = &[Hit]> {
    let mut rest = hits;
    std::iter::from_fn(move || {
        let mut bytes = 0_usize;
        let fits = |hit: &&Hit| {
            bytes = bytes.saturating_add(hit.leaf.len());
            bytes <= TOGETHER_BYTES
        };
        let count = rest.iter().take(TOGETHER).take_while(fits).count().max(1);
        let (these, others) = rest.split_at_checked(count)?;
        rest = others;
        Some(these)
    })
}

/// Sizes that a log had, and when.
struct SeenBy {
    sizes: Vec<(u64, i64)>,
    now: i64,
}

impl SeenBy {
    fn at(&self, index: u64) -> i64 {
        let with_it = self.sizes.iter().filter(|(size, _)| *size > index).map(|(_, at)| *at);
        with_it.min().unwrap_or(self.now).min(self.now)
    }
}

impl Sums {
    fn count(&mut self, reason: Reason, more: u64) {
        let count = self.counted.entry(reason).or_default();
        *count = count.saturating_add(more);
    }

    fn add(&mut self, hit: &Hit, position: usize, facts: &Facts<'_>, verdict: Verdict, watchlist: &Watchlist) {
        let junk = match verdict {
            Verdict::Counted(reason) => {
                self.count(reason, 1);
                matches!(reason, Reason::DoesNotVerify | Reason::UntrustedChain | Reason::ThirdParty)
            }
            _ => false,
        };
        if junk {
            return;
        }
        for found in hit.matches.iter().filter(|found| found.claim == position) {
            let Some(rule) = found.matcher.and_then(|matcher| watchlist.rule(matcher)) else { continue };
            if matches!(found.what, Matched::NearMiss { .. }) {
                continue;
            }
            let newest = self.sightings.entry(rule.name.clone()).or_default();
            *newest = hit.index.max(*newest);
            if let (Matched::Observed { issuer, subject }, Chain::Trusted) = (&found.what, facts.chain)
                && let ClaimedBy::Certificate(certificate) = facts.claim.by
            {
                let extensions = lasting_extensions(&certificate);
                let key = (rule.name.clone(), issuer.clone().unwrap_or_default(), subject.clone(), extensions);
                let times = self.observed.entry(key).or_default();
                *times = times.saturating_add(1);
            }
        }
    }

    fn judged(self, origin: &str, now: i64) -> Judged {
        let sighting = |(matcher, log_index)| Sighting { matcher, log_origin: origin.to_owned(), log_index, at: now };
        let observed = |((watch, issuer, subject, extensions_json), times)| ObservedIdentity {
            watch,
            issuer,
            subject,
            extensions_json,
            first_at: now,
            last_at: now,
            times,
        };
        Judged {
            suspects: self.suspects,
            sightings: self.sightings.into_iter().map(sighting).collect(),
            observed: self.observed.into_iter().map(observed).collect(),
            counted: self.counted.into_iter().map(|(reason, count)| (reason.as_str().to_owned(), count)).collect(),
        }
    }
}
