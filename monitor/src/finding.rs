//! The closed list of findings: how each is told, and how bad it is. What each rests on is in [`crate::evidence`].
//!
//! One function per kind makes a [`NewFinding`]: severity, a fingerprint (one alert per cause; the same cause seen again
//! is an occurrence), a title, and a detail that tells a person at 3 a.m. what was seen and what to do.

mod advice;
mod misuse;
mod operation;
mod tampering;

use std::collections::BTreeMap;

use store::{FindingKind, NewFinding, Severity};

pub use crate::evidence::LogDescription;
use crate::evidence::{Evidence, Proof};
pub use advice::{runbook, runbook_text};
pub use misuse::{
    IdentitySeen, KeySeen, LeafSeen, identity_mentioned, key_used_outside, near_miss, retired_key_used,
    unexpected_identity, unparsable_entry,
};
pub(crate) use operation::RECORD_CAUSE;
pub use operation::{
    Within, blind, blind_entries, blind_sink, blind_within, clock_skew, closed_unannounced, matcher_never_matched,
    scan_lag, stale_log, state_lost, trust_material_changed, trust_record_lost, trusted_elsewhere, witness_quorum_lost,
};
pub(crate) use operation::{entries_cause, sink_cause};
pub use tampering::{
    Growth, Split, Uncommitted, Withheld, bad_signature, fork, frozen_shard_grew, inconsistent_growth,
    leaf_not_committed, missing_leaf, rollback, split_view, split_view_entry, withheld_entry, wrong_origin,
};

/// The most characters of an outsider's text in a title or detail.
const OUTSIDE_MAX_CHARS: usize = 200;

/// How bad a kind is.
///
/// Critical wakes somebody: the log lies, somebody signs as us, or we can no longer tell. A warning can wait until
/// morning.
pub fn severity(kind: FindingKind) -> Severity {
    match kind {
        FindingKind::Fork
        | FindingKind::Rollback
        | FindingKind::InconsistentGrowth
        | FindingKind::SplitView
        | FindingKind::BadSignature
        | FindingKind::WrongOrigin
        | FindingKind::LeafNotCommitted
        | FindingKind::MissingLeaf
        | FindingKind::WithheldEntry
        | FindingKind::UnexpectedIdentity
        | FindingKind::KeyUsedOutside
        | FindingKind::RetiredKeyUsed
        | FindingKind::FrozenShardGrew
        | FindingKind::Blind
        | FindingKind::StateLost => Severity::Critical,
        FindingKind::NearMiss
        | FindingKind::UnparsableEntry
        | FindingKind::WitnessQuorumLost
        | FindingKind::StaleLog
        | FindingKind::ScanLag
        | FindingKind::MatcherNeverMatched
        | FindingKind::TrustMaterialChanged
        | FindingKind::ClockSkew => Severity::Warning,
    }
}

/// What makes two sightings one finding: the kind, the log, and the cause where one log can have several.
///
/// Level-type findings (blind, stale, behind …) are cleared by it.
pub fn fingerprint(kind: FindingKind, origin: Option<&str>, cause: &str) -> String {
    [kind.as_str(), origin.unwrap_or_default(), cause].join("/")
}

/// What every finding is made of.
struct Draft<'a> {
    kind: FindingKind,
    log: Option<&'a LogDescription>,
    /// Within the kind and the log.
    cause: &'a str,
    /// A cause that is one in whichever log it shows.
    across_logs: bool,
    occurrence: String,
    title: String,
    /// One or more whole sentences.
    seen: String,
    proof: Proof,
    claims: Vec<(&'static str, String)>,
    at: i64,
}

impl<'a> Draft<'a> {
    fn new(kind: FindingKind, log: Option<&'a LogDescription>, proof: Proof, at: i64) -> Self {
        Self {
            kind,
            log,
            cause: "",
            across_logs: false,
            occurrence: String::new(),
            title: String::new(),
            seen: String::new(),
            proof,
            claims: Vec::new(),
            at,
        }
    }

    fn finish(self) -> NewFinding {
        let origin = self.log.map(|log| log.origin.as_str());
        let claims: BTreeMap<String, String> =
            self.claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let evidence = Evidence::new(self.kind, &self.title, self.log, self.proof, claims.clone(), self.at);
        let (evidence, bytes) = match evidence.to_bytes() {
            Some(bytes) => (evidence, Some(bytes)),
            // More than a file holds: the heads and the facts remain.
            None => {
                let heads = evidence.proof.into_heads();
                let claims = claims.into_iter().chain([("left_out".to_owned(), "leaves and proofs".to_owned())]);
                let facts = Proof::Facts { heads };
                let evidence = Evidence::new(self.kind, &self.title, self.log, facts, claims.collect(), self.at);
                let bytes = evidence.to_bytes();
                (evidence, bytes)
            }
        };
        let strength = if evidence.attributable {
            "The evidence convinces anybody who knows the log's key."
        } else {
            "The evidence shows what we saw; it convinces only those who trust this monitor."
        };
        NewFinding {
            kind: self.kind,
            severity: severity(self.kind),
            fingerprint: fingerprint(self.kind, origin.filter(|_| !self.across_logs), self.cause),
            log_origin: origin.map(str::to_owned),
            title: self.title,
            detail: format!("{} {} {strength}", self.seen, advice::advice(self.kind)),
            occurrence: self.occurrence,
            evidence: bytes,
            at: self.at,
        }
    }
}

/// An outsider's text, on one line and cut.
fn clean(text: &str) -> String {
    let mut short: String =
        text.chars().take(OUTSIDE_MAX_CHARS).map(|c| if is_unseen(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(OUTSIDE_MAX_CHARS).is_some() {
        short.push('…');
    }
    short
}

/// Controls, and what turns the direction of a line or takes no room in it.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A time, for a person.
fn time(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(|_| format!("{unix_ms} ms"), |at| at.to_string())
}

/// How long something lasted, for a person.
fn lasted(from_ms: i64, to_ms: i64) -> String {
    let seconds = to_ms.saturating_sub(from_ms).max(0) / 1000;
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
