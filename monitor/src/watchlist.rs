//! What is ours, what is expected and what is only collected, compiled once and matched against every leaf.
mod coverage;
mod digests;
mod found;
mod identities;
mod look_alike;
mod near_miss;
mod pattern;
mod prefixes;
mod punycode;
mod rule;
mod skeleton;
mod workflow;

pub(crate) use coverage::content_hash;
pub use coverage::{MatcherInterval, intervals};
pub use digests::DigestFilter;
pub use found::{Match, Matched, MatcherId, NearMissKind};
pub use rule::{IdentityRule, Pattern, WatchError, WatchKind, WatchMode, WatchRule};

use std::collections::HashMap;
use std::sync::Arc;

use bundle::public_key::canonical_spki;
use bundle::{Claim, ClaimedBy, Claims};
use sha2::{Digest as _, Sha256};

use identities::Identities;

/// Compiled rules. Names are compared whole and as they are: no part of a name, and no name that only looks the same,
/// ever counts as the name; the latter is a near miss.
#[derive(Clone, Debug)]
pub struct Watchlist {
    compiled: Arc<Compiled>,
    keys: Arc<HashMap<Arc<[u8]>, Arc<WatchedKey>>>,
}

#[derive(Debug)]
struct Compiled {
    rules: Vec<WatchRule>,
    identities: Identities,
}

#[derive(Debug)]
struct WatchedKey {
    matcher: Option<MatcherId>,
    fingerprint: String,
    retired: bool,
}

impl Watchlist {
    /// Compiles rules; refuses those that do not say what they seem to.
    pub fn compile(rules: &[WatchRule]) -> Result<Watchlist, WatchError> {
        rule::check(rules)?;
        let mut keys = HashMap::new();
        for (matcher, rule) in rules.iter().enumerate().map(|(at, rule)| (MatcherId::new(at), rule)) {
            if let WatchKind::Key { spki, retired, .. } = &rule.kind {
                let key = WatchedKey { matcher: Some(matcher), fingerprint: fingerprint(spki), retired: *retired };
                keys.insert(Arc::from(&*canonical_spki(spki)), Arc::new(key));
            }
        }
        let compiled = Compiled { rules: rules.to_vec(), identities: Identities::compile(rules)? };
        Ok(Watchlist { compiled: Arc::new(compiled), keys: Arc::new(keys) })
    }

    /// The same rules with the ledger's keys: SPKI in DER, and what to call it. A rule about a key goes before.
    pub fn with_keys(&self, keys: &[(Vec<u8>, String)]) -> Watchlist {
        let of_rules = self.keys.iter().filter(|(_, key)| key.matcher.is_some());
        let all = of_rules.map(|(spki, key)| (Arc::clone(spki), Arc::clone(key))).collect();
        let mut watchlist = Watchlist { compiled: self.compiled.clone(), keys: Arc::new(all) };
        watchlist.add_keys(keys);
        watchlist
    }

    /// Adds keys of the ledger to those that it has.
    pub fn add_keys(&mut self, keys: &[(Vec<u8>, String)]) {
        if keys.is_empty() {
            return;
        }
        let all = Arc::make_mut(&mut self.keys);
        for (spki, _label) in keys {
            all.entry(Arc::from(&*canonical_spki(spki))).or_insert_with(|| {
                Arc::new(WatchedKey { matcher: None, fingerprint: fingerprint(spki), retired: false })
            });
        }
    }

    /// Whether both were compiled at once, so that they differ at most in the ledger's keys.
    pub(crate) fn has_rules_of(&self, other: &Watchlist) -> bool {
        Arc::ptr_eq(&self.compiled, &other.compiled)
    }

    /// Appends what the claims of one leaf have to do with us; appends nothing for almost every leaf.
    ///
    /// Each name of a certificate is judged on its own: a rule of mode `expect` excuses the name that it matches, not
    /// the others beside it. A rule of mode `alert` that matches an excused name is reported as [`Matched::Expected`]
    /// too, so that it counts as having matched.
    pub fn matches(&self, claims: &Claims<'_>, digests: &DigestFilter, out: &mut Vec<Match>) {
        for (at, claim) in claims.signatures.iter().enumerate() {
            let before = out.len();
            let push = |matcher, what| out.push(Match { claim: at, matcher, what });
            self.match_claim(claim, push);
            if out.len() == before && digests.knows(claim) {
                out.push(Match { claim: at, matcher: None, what: Matched::Digest });
            }
        }
    }

    /// The rule of a match; none for one that another watchlist found.
    pub fn rule(&self, matcher: MatcherId) -> Option<&WatchRule> {
        self.compiled.rules.get(matcher.index())
    }

    /// All rules, in the order in which they were given, which is that of their [`MatcherId`]s.
    pub fn rules(&self) -> &[WatchRule] {
        &self.compiled.rules
    }

    fn match_claim(&self, claim: &Claim<'_>, mut push: impl FnMut(Option<MatcherId>, Matched)) {
        let certificate = match &claim.by {
            ClaimedBy::Key(spki) => return self.match_key(spki, push),
            ClaimedBy::Certificate(certificate) => certificate,
            ClaimedBy::Unreadable(_) | ClaimedBy::Other(_) | ClaimedBy::Nobody => return,
        };
        self.match_key(certificate.spki(), &mut push);
        self.compiled.identities.matches(certificate, |matcher, what| push(Some(matcher), what));
    }

    fn match_key(&self, spki: &[u8], mut push: impl FnMut(Option<MatcherId>, Matched)) {
        if self.keys.is_empty() {
            return;
        }
        if let Some(key) = self.keys.get(&*canonical_spki(spki)) {
            push(key.matcher, Matched::Key { fingerprint: key.fingerprint.clone(), retired: key.retired });
        }
    }
}

/// A key's name in the ledger: lowercase hex of the SHA-256 of its canonical SPKI.
fn fingerprint(spki: &[u8]) -> String {
    hex::encode(Sha256::digest(canonical_spki(spki)))
}

#[cfg(test)]
mod tests;
