//! What each rule has looked at: an interval of leaves for each log and rule, never a word. A rule that is added after a
//! log was read has not seen the older leaves.

use bundle::public_key::canonical_spki;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use store::{FollowedLog, MatcherCoverage};

use super::{IdentityRule, Pattern, WatchKind, WatchMode, WatchRule};
use crate::config::Coverage;

/// The leaves of one log that a rule was matched with.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct MatcherInterval {
    /// The rule's name.
    pub watch: String,
    /// Each leaf from here …
    pub covered_from: u64,
    /// … to before here. The same number where it was matched with none yet.
    pub covered_to: u64,
}

/// The interval of each rule in a log, in the order of the rules.
pub fn intervals(rules: &[WatchRule], log: &FollowedLog, known: &[MatcherCoverage]) -> Vec<MatcherInterval> {
    let exhaustive = log.coverage == Coverage::Exhaustive.as_str();
    // Where nobody else's leaves are read, no rule has seen one.
    let covered_to = if exhaustive { log.verified_size } else { log.first_size };
    let interval = |rule: &WatchRule| {
        let hash = content_hash(rule);
        let row = known.iter().find(|row| row.log_origin == log.origin && row.matcher_hash == hash);
        // A rule that nobody has matched yet begins where the log stands.
        let covered_from = row.map_or(covered_to, |row| row.from_size).max(log.first_size).min(covered_to);
        MatcherInterval { watch: rule.name.clone(), covered_from, covered_to }
    };
    rules.iter().map(interval).collect()
}

/// SHA-256 of what a rule says, without its name: a rule with another pattern or mode is another one, and one that is
/// only called otherwise has seen what it has seen.
pub(crate) fn content_hash(rule: &WatchRule) -> [u8; 32] {
    let mut content = Content(Sha256::new());
    match &rule.kind {
        // Of a key only itself and whether it is retired count; its rule has one mode.
        WatchKind::Key { spki, retired, label: _ } => {
            content.part("key").part(canonical_spki(spki)).part([u8::from(*retired)]);
        }
        WatchKind::Identity(IdentityRule { subject, issuer, extensions, not_subject, not_issuer }) => {
            let mode = match rule.mode {
                WatchMode::Alert => "alert",
                WatchMode::Expect => "expect",
                WatchMode::Observe => "observe",
            };
            content.part("identity").part(mode);
            for pattern in [subject, issuer, not_subject, not_issuer] {
                content.pattern(pattern.as_ref());
            }
            for (oid, pattern, negated) in extensions {
                content.part(oid).pattern(Some(pattern)).part([u8::from(*negated)]);
            }
        }
    }
    content.0.finalize().into()
}

/// Parts with their lengths, so that two rules never run together into the same bytes.
struct Content(Sha256);

impl Content {
    fn part(&mut self, part: impl AsRef<[u8]>) -> &mut Self {
        let part = part.as_ref();
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    fn pattern(&mut self, pattern: Option<&Pattern>) -> &mut Self {
        match pattern {
            None => self.part("none"),
            Some(Pattern::Exact(text)) => self.part("exact").part(text),
            Some(Pattern::Glob(text)) => self.part("glob").part(text),
            Some(Pattern::Regex(text)) => self.part("regex").part(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(subject: &str) -> WatchRule {
        let identity = IdentityRule { subject: Some(Pattern::exact_or_glob(subject)), ..IdentityRule::default() };
        WatchRule { name: subject.to_owned(), kind: WatchKind::Identity(identity), mode: WatchMode::Alert }
    }

    #[test]
    fn another_pattern_mode_or_field_is_another_rule_and_another_name_is_not() {
        let first = rule("release@example.com");
        let renamed = WatchRule { name: "other".to_owned(), ..first.clone() };
        assert_eq!(content_hash(&first), content_hash(&renamed));
        let observing = WatchRule { mode: WatchMode::Observe, ..first.clone() };
        let issuer =
            IdentityRule { issuer: Some(Pattern::Exact("release@example.com".to_owned())), ..IdentityRule::default() };
        let issuer = WatchRule { kind: WatchKind::Identity(issuer), ..first.clone() };
        let key = |retired| WatchRule {
            kind: WatchKind::Key { spki: b"key".to_vec(), retired, label: "k".to_owned() },
            ..first.clone()
        };
        let hashes: std::collections::BTreeSet<_> =
            [first.clone(), rule("release@example.com*"), observing, issuer, key(false), key(true)]
                .iter()
                .map(content_hash)
                .collect();
        assert_eq!(hashes.len(), 6);
    }
}
