//! Whom a claim names, as the watchlist says.

use crate::watchlist::{Match, Matched, NearMissKind, WatchKind, Watchlist};

/// Whom one claim names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Names {
    /// A key of ours.
    pub key: Option<NamedKey>,
    /// An identity of ours that no rule expects.
    pub identity: Option<NamedIdentity>,
    /// An identity that is close to one of ours, and how.
    pub near_miss: Option<(NamedIdentity, NearMissKind)>,
    /// Something that a rule expects.
    pub expected: bool,
    /// An identity that a rule collects.
    pub observed: bool,
}

/// A key of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamedKey {
    /// What the configuration calls it; its fingerprint where only the ledger knows it.
    pub label: String,
    /// Nobody should use it any more.
    pub retired: bool,
    /// The ledger recorded it before it asked for a certificate of it.
    pub asked_for: bool,
}

/// An identity, and the rule about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamedIdentity {
    /// The OIDC issuer, where the certificate names one.
    pub issuer: Option<String>,
    /// The subject.
    pub subject: String,
    /// The rule.
    pub rule: String,
}

impl Names {
    /// What the matches say of one claim. `is_asked_for`: whether the ledger recorded a key, by its fingerprint, before
    /// it asked for a certificate of it.
    pub fn of(claim: usize, matches: &[Match], watchlist: &Watchlist, is_asked_for: impl Fn(&str) -> bool) -> Self {
        let mut names = Self::default();
        for found in matches.iter().filter(|found| found.claim == claim) {
            let rule = found.matcher.and_then(|matcher| watchlist.rule(matcher));
            let rule_name = || rule.map_or_else(String::new, |rule| rule.name.clone());
            match &found.what {
                Matched::Key { fingerprint, retired } => {
                    let label = match rule.map(|rule| &rule.kind) {
                        Some(WatchKind::Key { label, .. }) => label.clone(),
                        _ => fingerprint.clone(),
                    };
                    let asked_for = is_asked_for(fingerprint);
                    names.key.get_or_insert(NamedKey { label, retired: *retired, asked_for });
                }
                Matched::Identity { issuer, subject } => {
                    let (issuer, subject) = (issuer.clone(), subject.clone());
                    names.identity.get_or_insert(NamedIdentity { issuer, subject, rule: rule_name() });
                }
                Matched::NearMiss { issuer, subject, of, how } => {
                    let (issuer, subject, rule) = (issuer.clone(), subject.clone(), of.clone());
                    names.near_miss.get_or_insert((NamedIdentity { issuer, subject, rule }, *how));
                }
                Matched::Expected { .. } => names.expected = true,
                Matched::Observed { .. } => names.observed = true,
                Matched::Digest => {}
            }
        }
        names
    }
}
