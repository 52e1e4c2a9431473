//! We are blind, late or unsure: silence is never good news by itself.

use store::{FindingKind, NewFinding, Severity};
use tlog::WitnessPolicy;

use super::{Draft, LogDescription, clean, lasted, time};
use crate::evidence::{Proof, SeenHead};

/// A log has had no new head since `since` (unix milliseconds).
pub fn stale_log(log: &LogDescription, note: &[u8], since: i64, at: i64) -> NewFinding {
    let mut draft = Draft::new(FindingKind::StaleLog, Some(log), facts(Some(note)), at);
    draft.title = format!("{} has had no new head for {}", clean(&log.origin), lasted(since, at));
    draft.seen =
        format!("The log {} answers, and shows no head that is newer than {}.", clean(&log.origin), time(since));
    draft.claims = vec![("since", time(since))];
    draft.finish()
}

/// A log could not be read since `since` (unix milliseconds); `error` is the last reason.
pub fn blind(log: &LogDescription, since: i64, error: &str, at: i64) -> NewFinding {
    let mut draft = Draft::new(FindingKind::Blind, Some(log), facts(None), at);
    draft.title = format!("{} cannot be read since {}", clean(&log.origin), time(since));
    draft.seen = format!(
        "The log {} could not be read for {}; the last attempt: {}.",
        clean(&log.origin),
        lasted(since, at),
        clean(error),
    );
    draft.claims = vec![("since", time(since)), ("error", clean(error))];
    draft.finish()
}

/// A sink takes no alerts since `since` (unix milliseconds). `error` names the sink's host at most.
pub fn blind_sink(sink: &str, since: i64, error: &str, at: i64) -> NewFinding {
    let cause = sink_cause(sink);
    let mut draft = Draft::new(FindingKind::Blind, None, facts(None), at);
    draft.cause = &cause;
    draft.title = format!("the alert sink {:?} takes no alerts since {}", clean(sink), time(since));
    draft.seen = format!(
        "Nobody behind the alert sink {:?} has been told anything for {}; the last attempt: {}. Its alerts wait and are \
         sent when it answers.",
        clean(sink),
        lasted(since, at),
        clean(error),
    );
    draft.claims = vec![("sink", clean(sink)), ("since", time(since)), ("error", clean(error))];
    draft.finish()
}

/// What the monitor looks at besides logs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Within {
    /// The ledger, compared with the logs.
    Ledger,
    /// The trust material, which is read again and again.
    TrustMaterial,
}

impl Within {
    /// The fingerprint's cause.
    pub(crate) const fn cause(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::TrustMaterial => "trust material",
        }
    }
}

/// What is not a log could not be looked at since `since` (unix milliseconds); `error` is the last reason.
pub fn blind_within(what: Within, since: i64, error: &str, at: i64) -> NewFinding {
    let mut draft = Draft::new(FindingKind::Blind, None, facts(None), at);
    draft.cause = what.cause();
    let (title, seen) = match what {
        Within::Ledger => (
            "log and ledger are not compared",
            "A signature under our key would not be found, and an entry that is withheld neither.",
        ),
        Within::TrustMaterial => (
            "the trust material cannot be read again",
            "A log or a key that it names from now on is not known here, and neither is one that it names no more.",
        ),
    };
    draft.title = format!("{title} since {}", time(since));
    draft.seen = format!("{title} for {}; the last attempt: {}. {seen}", lasted(since, at), clean(error));
    if let Some(first) = draft.seen.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    draft.claims = vec![("what", what.cause().to_owned()), ("since", time(since)), ("error", clean(error))];
    draft.finish()
}

/// Entries of ours of which nothing can be told since `since` (unix milliseconds). `about` tells one reason from another;
/// `words`, a whole sentence, says why.
pub fn blind_entries(about: &str, words: &str, since: i64, at: i64) -> NewFinding {
    let cause = entries_cause(about);
    let mut draft = Draft::new(FindingKind::Blind, None, facts(None), at);
    draft.cause = &cause;
    draft.title = format!("entries of ours are not proved: {}", clean(about));
    draft.seen = words.to_owned();
    draft.claims = vec![("about", clean(about)), ("since", time(since))];
    draft.finish()
}

/// The fingerprint's cause for entries of ours of which nothing can be told.
pub(crate) fn entries_cause(about: &str) -> String {
    format!("own entries/{about}")
}

/// The fingerprint's cause for a sink that takes no alerts.
pub(crate) fn sink_cause(sink: &str) -> String {
    format!("sink/{sink}")
}

/// The verified position is behind the head since `since` (unix milliseconds).
pub fn scan_lag(log: &LogDescription, note: &[u8], verified_size: u64, size: u64, since: i64, at: i64) -> NewFinding {
    let mut draft = Draft::new(FindingKind::ScanLag, Some(log), facts(Some(note)), at);
    let behind = size.saturating_sub(verified_size);
    draft.title = format!("{behind} leaves of {} are not verified yet", clean(&log.origin));
    draft.seen = format!(
        "The log {} has {size} leaves, of which {verified_size} are verified; it has been behind for {}.",
        clean(&log.origin),
        lasted(since, at),
    );
    draft.claims =
        vec![("since", time(since)), ("verified_size", verified_size.to_string()), ("size", size.to_string())];
    draft.finish()
}

/// What we remember is gone, or went back in time. `cause` tells one loss from another; `words`, a whole sentence, says
/// what is missing and over which window.
pub fn state_lost(log: Option<&LogDescription>, cause: &str, words: &str, at: i64) -> NewFinding {
    let mut draft = Draft::new(FindingKind::StateLost, log, facts(None), at);
    draft.cause = cause;
    draft.title = match log {
        Some(log) => format!("the record of {} is gone or went back in time", clean(&log.origin)),
        None => "the ledger that we read is gone or went back in time".to_owned(),
    };
    draft.seen = words.to_owned();
    draft.claims = vec![("lost", words.to_owned())];
    draft.finish()
}

/// The fingerprint's cause for a trust record that does not know a log which the database follows.
pub(crate) const RECORD_CAUSE: &str = "trust record";

/// The trust record, outside of the database, does not know a log that is followed there.
pub fn trust_record_lost(log: &LogDescription, verified_size: u64, at: i64) -> NewFinding {
    let words = format!(
        "The database follows the log {} and has verified {verified_size} leaves of it; the trust record outside of it did \
         not know this log. The record was removed or replaced, or this is another folder than the log was trusted \
         from; it takes now what the database says, and whether that was put back to an older state before \
         nobody can tell.",
        clean(&log.origin),
    );
    record_warning(log, format!("the trust record did not know {}", clean(&log.origin)), words, at)
}

/// A log was trusted anew with another trust record than that of this process; `then` in unix milliseconds.
pub fn trusted_elsewhere(log: &LogDescription, by: &str, because: &str, then: i64, at: i64) -> NewFinding {
    let words = format!(
        "The database says that the log {} was trusted anew at {} by {}, because {}; the trust record of this process did not \
         hear of it, and takes now what the database says. If nobody of yours did that, somebody put the database back.",
        clean(&log.origin),
        time(then),
        clean(by),
        clean(because),
    );
    let title = format!("{} was trusted anew elsewhere", clean(&log.origin));
    NewFinding { occurrence: then.to_string(), ..record_warning(log, title, words, at) }
}

fn record_warning(log: &LogDescription, title: String, words: String, at: i64) -> NewFinding {
    let mut draft = Draft::new(FindingKind::StateLost, Some(log), facts(None), at);
    draft.cause = RECORD_CAUSE;
    draft.title = title;
    draft.claims = vec![("lost", words.clone())];
    draft.seen = words;
    NewFinding { severity: Severity::Warning, ..draft.finish() }
}

/// A watch has never matched since it was configured, at `since` (unix milliseconds).
pub fn matcher_never_matched(watch: &str, since: i64, at: i64) -> NewFinding {
    let mut draft = Draft::new(FindingKind::MatcherNeverMatched, None, facts(None), at);
    draft.cause = watch;
    draft.title = format!("the watch {:?} has never matched", clean(watch));
    draft.seen = format!(
        "The watch {:?} has not matched a single entry in {}: it may have a typing error, or watch the wrong logs.",
        clean(watch),
        lasted(since, at),
    );
    draft.claims = vec![("watch", clean(watch)), ("since", time(since))];
    draft.finish()
}

/// The trust material names other logs, keys or authorities than before. `words`, a whole sentence, says which.
pub fn trust_material_changed(origin: &str, words: &str, at: i64) -> NewFinding {
    let mut draft = Draft::new(FindingKind::TrustMaterialChanged, None, facts(None), at);
    draft.cause = origin;
    draft.occurrence = words.to_owned();
    draft.title = format!("the trust material about {} changed", clean(origin));
    draft.seen = words.to_owned();
    draft.claims = vec![("change", words.to_owned())];
    draft.finish()
}

/// A log's own head says that it is closed; the trust material does not.
pub fn closed_unannounced(log: &LogDescription, note: &[u8], at: i64) -> NewFinding {
    let mut draft = Draft::new(FindingKind::TrustMaterialChanged, Some(log), facts(Some(note)), at);
    draft.cause = "closed";
    let origin = clean(&log.origin);
    draft.title = format!("{origin} says that it is closed, and nobody announced it");
    draft.seen = format!(
        "The head of the log {origin} says, signed, that the log is frozen; neither the configuration nor the trust \
         material calls it closed. It is not expected to have a new head any more."
    );
    draft.finish()
}

/// A signed time that is far from ours. `whose` is the log or `witness NAME`, `signed` the time in unix milliseconds.
pub fn clock_skew(log: &LogDescription, note: &[u8], whose: &str, signed: i64, at: i64) -> NewFinding {
    let mut draft = Draft::new(FindingKind::ClockSkew, Some(log), facts(Some(note)), at);
    draft.cause = whose;
    let (by, way) = if signed > at { (lasted(at, signed), "ahead of") } else { (lasted(signed, at), "behind") };
    draft.title = format!("a time signed by {} is {by} {way} ours", clean(whose));
    draft.seen = format!(
        "A head of the log {} carries the time {} by {}, when our clock said {}.",
        clean(&log.origin),
        time(signed),
        clean(whose),
        time(at),
    );
    draft.claims = vec![("signed", time(signed)), ("our_clock", time(at)), ("whose", clean(whose))];
    draft.finish()
}

/// A head without the cosignatures that the policy asks for.
pub fn witness_quorum_lost(log: &LogDescription, note: &[u8], policy: &WitnessPolicy, at: i64) -> NewFinding {
    let quorum = policy.check(&String::from_utf8_lossy(note));
    let without: Vec<String> = quorum.missing.into_iter().chain(quorum.invalid).collect();
    let proof = Proof::Cosignatures { head: SeenHead::of_log(note), policy: policy.text().to_owned() };
    let mut draft = Draft::new(FindingKind::WitnessQuorumLost, Some(log), proof, at);
    draft.title = format!("{} is without its quorum of witnesses", clean(&log.origin));
    draft.seen = format!(
        "The head of the log {} does not carry the cosignatures that its policy asks for; without a valid one: {}.",
        clean(&log.origin),
        clean(&without.join(", ")),
    );
    draft.finish()
}

fn facts(note: Option<&[u8]>) -> Proof {
    Proof::Facts { heads: note.map(SeenHead::of_log).into_iter().collect() }
}
