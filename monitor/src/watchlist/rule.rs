//! Rules, as they are written.
use std::collections::HashSet;

use bundle::certificate::oid_der;

/// One rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WatchRule {
    /// Its name: unique, and what findings and sightings call it.
    pub name: String,
    /// What it is about.
    pub kind: WatchKind,
    /// What it makes of a match.
    pub mode: WatchMode,
}

/// What a rule is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WatchKind {
    /// An identity in a certificate.
    Identity(IdentityRule),
    /// A key.
    Key {
        /// Its SPKI in DER, in any encoding.
        spki: Vec<u8>,
        /// Nobody uses it any more, not we either.
        retired: bool,
        /// What to call it.
        label: String,
    },
}

/// What a rule makes of a match. A key's rule is of mode `alert`, whatever it says: only the ledger explains a
/// signature of our key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WatchMode {
    /// It is ours; whoever uses it must be in the ledger.
    Alert,
    /// It is ours and is used elsewhere, as it should be.
    Expect,
    /// It is only collected.
    Observe,
}

/// An identity. All of its conditions hold for a certificate that it matches, and it must have one at least.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IdentityRule {
    /// One of the certificate's names.
    pub subject: Option<Pattern>,
    /// The OIDC issuer that Fulcio wrote.
    pub issuer: Option<Pattern>,
    /// Extensions by dotted object identifier. Negated: it is absent, or there and not this.
    pub extensions: Vec<(String, Pattern, bool)>,
    /// What the name must not be.
    pub not_subject: Option<Pattern>,
    /// What the issuer must not be.
    pub not_issuer: Option<Pattern>,
}

/// What a text must be, from its first byte to its last, in this very case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pattern {
    /// This.
    Exact(String),
    /// This, where each `*` stands for anything, slashes too, or nothing.
    Glob(String),
    /// What this regular expression matches: `^…$`. Bytes and ASCII classes; `.` is any byte.
    Regex(String),
}

impl Pattern {
    /// A text from a configuration file: with a `*` in it a glob, else exact.
    pub fn exact_or_glob(text: &str) -> Pattern {
        if text.contains('*') { Pattern::Glob(text.to_owned()) } else { Pattern::Exact(text.to_owned()) }
    }

    /// The text as written.
    pub fn text(&self) -> &str {
        match self {
            Pattern::Exact(text) | Pattern::Glob(text) | Pattern::Regex(text) => text,
        }
    }
}

/// Why rules are refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WatchError {
    /// A regular expression that would match parts of a text.
    #[error("watch {rule}: {field} {pattern:?} is not anchored and would match parts of other names; write {fix:?}")]
    Unanchored {
        /// Which rule.
        rule: String,
        /// Which of its conditions.
        field: String,
        /// The expression.
        pattern: String,
        /// What to write.
        fix: String,
    },
    /// A regular expression that is none.
    #[error("watch {rule}: {field} {pattern:?} is not a regular expression: {reason}")]
    Regex {
        /// Which rule.
        rule: String,
        /// Which of its conditions.
        field: String,
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An empty pattern matches nobody, and is a slip.
    #[error("watch {rule}: {field} is empty; leave it out to match any")]
    Empty {
        /// Which rule.
        rule: String,
        /// Which of its conditions.
        field: String,
    },
    /// No condition at all.
    #[error("watch {0} has no condition and would match everybody; give a subject, an issuer, an extension or a key")]
    Unconditional(String),
    /// Two rules of one name.
    #[error("watch {0} is there twice; names are unique")]
    Duplicate(String),
    /// Not an object identifier.
    #[error(
        "watch {rule}: {oid:?} is not an object identifier; use digits and dots, or the name of a Fulcio extension"
    )]
    Oid {
        /// Which rule.
        rule: String,
        /// What is no object identifier.
        oid: String,
    },
}

/// Checks what can be said of rules without compiling them.
pub(super) fn check(rules: &[WatchRule]) -> Result<(), WatchError> {
    let mut names = HashSet::new();
    for rule in rules {
        if !names.insert(&rule.name) {
            return Err(WatchError::Duplicate(rule.name.clone()));
        }
        let WatchKind::Identity(identity) = &rule.kind else { continue };
        if conditions(identity).next().is_none() {
            return Err(WatchError::Unconditional(rule.name.clone()));
        }
        for (field, pattern) in conditions(identity) {
            if pattern.text().is_empty() {
                return Err(WatchError::Empty { rule: rule.name.clone(), field });
            }
        }
        for (oid, _, _) in &identity.extensions {
            if oid_der(oid).is_none() {
                return Err(WatchError::Oid { rule: rule.name.clone(), oid: oid.clone() });
            }
        }
    }
    Ok(())
}

/// Every condition, with the name of its field.
fn conditions(identity: &IdentityRule) -> impl Iterator<Item = (String, &Pattern)> {
    let named = [
        ("subject", &identity.subject),
        ("issuer", &identity.issuer),
        ("not_subject", &identity.not_subject),
        ("not_issuer", &identity.not_issuer),
    ];
    let extensions = identity.extensions.iter().map(|(oid, pattern, _)| (format!("extension {oid}"), pattern));
    named.into_iter().filter_map(|(field, pattern)| Some((field.to_owned(), pattern.as_ref()?))).chain(extensions)
}
