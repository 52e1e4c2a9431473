//! The first line of `explain`: signed, waiting, parked or not signed, and why.

use std::collections::BTreeMap;

use bundle::Format;
use store::{JobState, WorkRow};
use watcher::WatcherConfig;

use super::Known;
use crate::commands::at;
use crate::commands::status;

/// What is to be said of an image in one line.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Verdict {
    /// `signed`, `partly_signed`, `waiting`, `parked` or `not_signed`.
    pub(super) state: &'static str,
    /// The line.
    pub(super) text: String,
}

/// The verdict on what is known.
pub(super) fn of(room: &WatcherConfig, known: &Known, now: i64) -> Verdict {
    let mut signed: BTreeMap<&str, Vec<Format>> = BTreeMap::new();
    for (row, _) in known.ledger.iter().filter(|(row, _)| row.attached_at.is_some()) {
        let formats = signed.entry(&row.identity_name).or_default();
        if !formats.contains(&row.format) {
            formats.push(row.format);
        }
    }
    let missing = missing(room, known, &signed);
    let by =
        list(signed.iter().map(|(name, formats)| format!("{name} ({})", list(formats.iter().map(|f| f.as_str())))));
    match (signed.is_empty(), missing.is_empty()) {
        (false, true) => Verdict { state: "signed", text: format!("signed by {by}") },
        (false, false) => {
            let rest = open(known, now).map_or_else(|| "nothing is under way for that".to_owned(), |(_, text)| text);
            let text = format!("partly signed, by {by}; still to come: {}: {rest}", list(missing));
            Verdict { state: "partly_signed", text }
        }
        (true, _) => {
            let (state, text) = open(known, now).unwrap_or_else(|| ("not_signed", not_signed(known)));
            Verdict { state, text }
        }
    }
}

/// What the rule asks for by tag and is not attached.
fn missing(room: &WatcherConfig, known: &Known, signed: &BTreeMap<&str, Vec<Format>>) -> Vec<String> {
    let Some(rule) = known.rule.as_ref().ok().and_then(|n| room.rules.get(n - 1)) else { return Vec::new() };
    if known.asked.tag.is_none() {
        // Which rule its tags chose is not known.
        return Vec::new();
    }
    let mut missing = Vec::new();
    for name in &rule.sign_with {
        for format in &rule.formats {
            if !signed.get(name.as_str()).is_some_and(|formats| formats.contains(format)) {
                missing.push(format!("{name} ({format})"));
            }
        }
    }
    missing
}

/// What the work that is not done says: what waits comes before what is parked.
fn open(known: &Known, now: i64) -> Option<(&'static str, String)> {
    let row = known.unfinished.first()?;
    let state = if row.state == JobState::Parked { "parked" } else { "waiting" };
    Some((state, format!("{state} since {} because {}; {}", at(row.since), why(row), status::next(row, now))))
}

fn why(row: &WorkRow) -> String {
    let error = row.last_error.as_deref().filter(|error| !error.is_empty());
    match (&row.waits_for, error) {
        (Some(endpoint), Some(error)) => format!("{endpoint} does not answer as it should ({error})"),
        (Some(endpoint), None) => format!("{endpoint} does not answer as it should"),
        (None, Some(error)) => error.to_owned(),
        (None, None) if row.state == JobState::Leased => "it is worked on".to_owned(),
        (None, None) => "others are before it".to_owned(),
    }
}

fn not_signed(known: &Known) -> String {
    if let Err(why) = &known.rule {
        return format!("not signed: {why}");
    }
    if let Some(job) = known.job.as_ref().filter(|job| job.state == JobState::Skipped) {
        let reason = job.reason.as_deref().unwrap_or("no reason was recorded");
        let detail = job.detail.as_deref().filter(|detail| !detail.is_empty());
        return format!("not signed: {reason}{}", detail.map_or_else(String::new, |detail| format!(": {detail}")));
    }
    if let Some(given_up) = known.ledger.iter().find_map(|(row, _)| row.abandoned.as_ref()) {
        return format!("not signed: given up {} because {}", at(given_up.at), given_up.because);
    }
    match known.skips.first() {
        Some(skip) => format!("not signed: {}: {}", skip.reason, skip.detail),
        None => format!("not signed: {}", unannounced(&known.foreign)),
    }
}

/// What is said where no push was announced; `foreign` are the sources whose webhooks named another host.
pub(super) fn unannounced(foreign: &[String]) -> String {
    let why = match foreign {
        [] => "is the registry's webhook set?".to_owned(),
        [one] => told_of_another_host(&format!("a webhook of source {one}")),
        several => told_of_another_host(&format!("webhooks of the sources {}", list(several))),
    };
    format!("no push of it was announced ({why})")
}

fn told_of_another_host(webhook: &str) -> String {
    format!("{webhook} named another host: see `sealwatch dead-letters list`, and add host_aliases")
}

fn list(words: impl IntoIterator<Item = impl Into<String>>) -> String {
    words.into_iter().map(Into::into).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use bundle::ImageReference;
    use store::{Abandoned, JobClass, LedgerRow, ParkedBecause, Skip, WorkKind};
    use watcher::{Platforms, Rule};

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn room() -> WatcherConfig {
        let rule = Rule {
            repositories: vec!["r.example/team/**".parse().expect("a glob")],
            tags: Vec::new(),
            sign_with: vec!["release".to_owned()],
            formats: vec![Format::Bundle, Format::Legacy],
            platforms: Platforms::Index,
            trust_zone: "t".to_owned(),
            legacy_without_proof: false,
            legacy_timestamp: false,
        };
        WatcherConfig { rules: vec![rule], ..WatcherConfig::default() }
    }

    fn known() -> Known {
        Known {
            asked: "r.example/team/app:v1".parse().expect("an image"),
            digest: Some(bundle::Digest::of(b"image")),
            job: None,
            ledger: Vec::new(),
            skips: Vec::new(),
            unfinished: Vec::new(),
            foreign: Vec::new(),
            rule: Ok(1),
        }
    }

    fn signature(known: &Known, format: Format, attached: bool) -> LedgerRow {
        LedgerRow {
            id: 1,
            image: ImageReference { name: known.asked.name.clone(), digest: bundle::Digest::of(b"image") },
            identity_name: "release".to_owned(),
            identity: "fingerprint".to_owned(),
            public_key_spki: Vec::new(),
            format,
            log_origin: "log.example".to_owned(),
            trust_zone: "t".to_owned(),
            class: JobClass::Push,
            intended_at: 0,
            signature: None,
            material: None,
            attached_at: attached.then_some(5),
            attached_manifest: None,
            adopted: false,
            attempt: 1,
            key_uses: 1,
            key_version: None,
            abandoned: None,
        }
    }

    fn work(state: JobState) -> WorkRow {
        WorkRow {
            kind: WorkKind::Event,
            registry: "r.example".to_owned(),
            repository: "team/app".to_owned(),
            tag: Some("v1".to_owned()),
            digest: None,
            state,
            because: (state == JobState::Parked).then_some(ParkedBecause::Unseen),
            waits_for: None,
            attempts: 2,
            last_error: Some("no such tag".to_owned()),
            since: 0,
            due_at: HOUR,
        }
    }

    fn verdict(known: &Known) -> (&'static str, String) {
        let verdict = of(&room(), known, 0);
        (verdict.state, verdict.text)
    }

    #[test]
    fn what_is_attached_is_signed_once_all_of_it_is_there() {
        let mut known = known();
        known.ledger.push((signature(&known, Format::Bundle, true), Vec::new()));
        let (state, text) = verdict(&known);
        assert_eq!(state, "partly_signed");
        assert!(text.contains("by release (bundle); still to come: release (legacy)"), "{text}");
        known.unfinished.push(work(JobState::Ready));
        assert!(verdict(&known).1.contains("waiting since"), "{:?}", verdict(&known));
        known.ledger.push((signature(&known, Format::Legacy, true), Vec::new()));
        assert_eq!(verdict(&known), ("signed", "signed by release (bundle, legacy)".to_owned()));
    }

    #[test]
    fn work_that_is_not_done_comes_before_not_signed() {
        let mut known = known();
        known.unfinished.push(work(JobState::Parked));
        let (state, text) = verdict(&known);
        assert_eq!(state, "parked");
        assert_eq!(text, "parked since 1970-01-01T00:00:00Z because no such tag; next try about 1970-01-01T02:00:00Z");
        let waits = WorkRow { waits_for: Some("log.example".to_owned()), ..work(JobState::Ready) };
        known.unfinished.insert(0, waits);
        let (state, text) = verdict(&known);
        assert_eq!(state, "waiting");
        assert!(text.contains("because log.example does not answer as it should (no such tag); next try"), "{text}");
        known.unfinished = vec![WorkRow { last_error: None, ..work(JobState::Leased) }];
        assert!(verdict(&known).1.contains("because it is worked on"));
    }

    #[test]
    fn what_is_not_signed_says_why() {
        let mut known = known();
        assert!(verdict(&known).1.ends_with("no push of it was announced (is the registry's webhook set?)"));
        known.foreign = vec!["prod".to_owned()];
        let text = verdict(&known).1;
        assert!(
            text.contains("(a webhook of source prod named another host: see `sealwatch dead-letters list`, and add"),
            "{text}"
        );
        known.foreign.push("lab".to_owned());
        assert!(verdict(&known).1.contains("(webhooks of the sources prod, lab named another host"));
        let skip = Skip {
            registry: known.asked.name.registry.clone(),
            repository: known.asked.name.repository.clone(),
            tag: None,
            digest: None,
            reason: "superseded".to_owned(),
            detail: "v1 has moved on".to_owned(),
            at: 0,
        };
        known.skips.push(skip);
        assert_eq!(verdict(&known), ("not_signed", "not signed: superseded: v1 has moved on".to_owned()));
        let abandoned = Some(Abandoned { at: 0, because: "the tag moved".to_owned() });
        known.ledger.push((LedgerRow { abandoned, ..signature(&known, Format::Bundle, false) }, Vec::new()));
        assert!(verdict(&known).1.contains("given up 1970-01-01T00:00:00Z because the tag moved"));
        known.rule = Err("no rule matches r.example/team/app:v1".to_owned());
        assert_eq!(verdict(&known).1, "not signed: no rule matches r.example/team/app:v1");
    }
}
