//! The identity rules, compiled: found by what is certain about each, then held against all of its conditions.
use std::collections::HashMap;

use bundle::CertificateView;
use bundle::certificate::oid_der;

use super::found::{Matched, MatcherId, NearMissKind};
use super::near_miss::{NearMisses, kind_of_extension};
use super::pattern::{Literal, Matcher};
use super::prefixes::DottedPrefixes;
use super::rule::{IdentityRule, Pattern, WatchError, WatchKind, WatchMode, WatchRule};

/// Which rules want this value.
type RulesByValue = HashMap<Box<str>, Vec<u32>>;

/// All identity rules.
#[derive(Clone, Debug)]
pub(super) struct Identities {
    rules: Vec<Rule>,
    exact: RulesByValue,
    begins: DottedPrefixes<u32>,
    ends: DottedPrefixes<u32>,
    /// Rules without a subject, by an extension's exact value.
    extensions: Vec<(Vec<u8>, RulesByValue)>,
    /// Rules about nothing exact but the issuer.
    issuers: RulesByValue,
    rest: Vec<u32>,
    near: NearMisses,
}

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) matcher: MatcherId,
    pub(super) name: Box<str>,
    mode: WatchMode,
    subject: Option<Matcher>,
    not_subject: Option<Matcher>,
    pub(super) issuer: Option<Matcher>,
    not_issuer: Option<Matcher>,
    extensions: Vec<Condition>,
}

#[derive(Clone, Debug)]
struct Condition {
    oid: Vec<u8>,
    value: Matcher,
    negated: bool,
    /// What it means if everything else holds and this does not.
    near: NearMissKind,
}

/// What a rule has to say about a name.
enum Judged {
    Hit,
    Near(NearMissKind),
    /// The name is the rule's, and the rule says that it is not about this use of it.
    Excluded,
    No,
}

/// A certificate with one of its names.
#[derive(Clone, Copy)]
pub(super) struct Named<'n> {
    pub(super) certificate: &'n CertificateView<'n>,
    pub(super) subject: &'n str,
    pub(super) issuer: Option<&'n str>,
}

impl Identities {
    pub(super) fn compile(rules: &[WatchRule]) -> Result<Identities, WatchError> {
        let mut all = Identities {
            rules: Vec::new(),
            exact: HashMap::new(),
            begins: DottedPrefixes::new(),
            ends: DottedPrefixes::backwards(),
            extensions: Vec::new(),
            issuers: HashMap::new(),
            rest: Vec::new(),
            near: NearMisses::new(),
        };
        for (at, rule) in rules.iter().enumerate() {
            if let WatchKind::Identity(identity) = &rule.kind {
                let place = u32::try_from(all.rules.len()).unwrap_or(u32::MAX);
                all.rules.push(Rule::compile(MatcherId::new(at), rule, identity)?);
                all.index(place, identity);
                if rule.mode != WatchMode::Observe {
                    all.near.add(place, identity);
                }
            }
        }
        all.begins.finish();
        all.ends.finish();
        all.near.finish();
        Ok(all)
    }

    /// By the subject where there is one, since a name under another issuer is a near miss.
    fn index(&mut self, place: u32, identity: &IdentityRule) {
        if let Some(subject) = &identity.subject {
            match Literal::of(subject) {
                Literal::Exact(text) => self.exact.entry(text.into()).or_default().push(place),
                Literal::Prefix(text, any) => self.begins.add(&text, any, place),
                Literal::Suffix(text, any) => self.ends.add(&text, any, place),
            }
            return;
        }
        let exact = identity.extensions.iter().find_map(|(oid, pattern, negated)| match pattern {
            Pattern::Exact(value) if !negated => Some((oid_der(oid)?, value)),
            _ => None,
        });
        if let Some((oid, value)) = exact {
            let at = self.extensions.iter().position(|(known, _)| *known == oid);
            let at = at.unwrap_or_else(|| {
                self.extensions.push((oid, HashMap::new()));
                self.extensions.len() - 1
            });
            if let Some((_, values)) = self.extensions.get_mut(at) {
                values.entry(value.as_str().into()).or_default().push(place);
            }
        } else if let Some(Pattern::Exact(issuer)) = &identity.issuer {
            self.issuers.entry(issuer.as_str().into()).or_default().push(place);
        } else {
            self.rest.push(place);
        }
    }

    /// Judges each name of a certificate; one without any is judged as if its name were empty.
    pub(super) fn matches(&self, certificate: &CertificateView<'_>, mut push: impl FnMut(MatcherId, Matched)) {
        if self.rules.is_empty() {
            return;
        }
        let issuer = certificate.issuer();
        let issuer = issuer.as_deref();
        let mut nameless = true;
        for subject in certificate.subjects() {
            nameless = false;
            self.judge(Named { certificate, subject: &subject, issuer }, &mut push);
        }
        if nameless {
            self.judge(Named { certificate, subject: "", issuer }, &mut push);
        }
    }

    fn judge(&self, named: Named<'_>, mut push: impl FnMut(MatcherId, Matched)) {
        let (mut hits, mut excluded): (Vec<&Rule>, Vec<u32>) = (Vec::new(), Vec::new());
        let mut near = None;
        self.each_candidate(named, |place, rule| match rule.judge(named) {
            Judged::Hit => hits.push(rule),
            Judged::Near(how) => near = near.or(Some((place, how))),
            Judged::Excluded => excluded.push(place),
            Judged::No => {}
        });
        let is = |mode: WatchMode| move |rule: &&Rule| rule.mode == mode;
        let expected = hits.iter().any(is(WatchMode::Expect));
        let ours = expected || hits.iter().any(is(WatchMode::Alert));
        for rule in hits {
            let (issuer, subject) = (named.issuer.map(str::to_owned), named.subject.to_owned());
            let what = match rule.mode {
                WatchMode::Observe => Matched::Observed { issuer, subject },
                WatchMode::Alert if !expected => Matched::Identity { issuer, subject },
                WatchMode::Alert | WatchMode::Expect => Matched::Expected { issuer, subject },
            };
            push(rule.matcher, what);
        }
        if ours {
            return;
        }
        let near = near.or_else(|| {
            let concerned = |place: u32| !excluded.contains(&place);
            self.near.find(named, &self.rules, concerned)
        });
        if let Some((rule, how)) = near.and_then(|(place, how)| Some((self.rules.get(place as usize)?, how))) {
            let (issuer, subject) = (named.issuer.map(str::to_owned), named.subject.to_owned());
            push(rule.matcher, Matched::NearMiss { issuer, subject, of: rule.name.to_string(), how });
        }
    }

    /// Every rule that may match, and few others.
    fn each_candidate<'r>(&'r self, named: Named<'_>, mut each: impl FnMut(u32, &'r Rule)) {
        let mut visit = |place: &u32| {
            if let Some(rule) = self.rules.get(*place as usize) {
                each(*place, rule);
            }
        };
        self.exact.get(named.subject).into_iter().flatten().for_each(&mut visit);
        self.begins.for_each(named.subject, &mut visit);
        self.ends.for_each(named.subject, &mut visit);
        for (oid, values) in &self.extensions {
            if let Some(value) = named.certificate.extension_der(oid) {
                values.get(&*value).into_iter().flatten().for_each(&mut visit);
            }
        }
        if let Some(issuer) = named.issuer {
            self.issuers.get(issuer).into_iter().flatten().for_each(&mut visit);
        }
        self.rest.iter().for_each(&mut visit);
    }
}

impl Rule {
    fn compile(matcher: MatcherId, rule: &WatchRule, identity: &IdentityRule) -> Result<Rule, WatchError> {
        let compile = |field: &str, pattern: &Option<Pattern>| {
            pattern.as_ref().map(|pattern| Matcher::compile(&rule.name, field, pattern)).transpose()
        };
        let mut extensions = Vec::new();
        for (oid, pattern, negated) in &identity.extensions {
            let value = Matcher::compile(&rule.name, &format!("extension {oid}"), pattern)?;
            let unknown = || WatchError::Oid { rule: rule.name.clone(), oid: oid.clone() };
            let near = kind_of_extension(oid);
            extensions.push(Condition { oid: oid_der(oid).ok_or_else(unknown)?, value, negated: *negated, near });
        }
        Ok(Rule {
            matcher,
            name: rule.name.as_str().into(),
            mode: rule.mode,
            subject: compile("subject", &identity.subject)?,
            not_subject: compile("not_subject", &identity.not_subject)?,
            issuer: compile("issuer", &identity.issuer)?,
            not_issuer: compile("not_issuer", &identity.not_issuer)?,
            extensions,
        })
    }

    /// Only a rule that says what is ours has near misses, and only by its subject. What it excludes is none.
    /// Extensions say what is expected; of a rule that alerts only the ids do, for its others say when to alert.
    fn judge(&self, named: Named<'_>) -> Judged {
        let Named { certificate, subject, issuer } = named;
        let is = |matcher: &Option<Matcher>, text: Option<&str>, absent: bool| {
            matcher.as_ref().map_or(absent, |matcher| text.is_some_and(|text| matcher.is_match(text)))
        };
        if !is(&self.subject, Some(subject), true) {
            return Judged::No;
        }
        if is(&self.not_subject, Some(subject), false) || is(&self.not_issuer, issuer, false) {
            return Judged::Excluded;
        }
        let may_be_near = self.mode != WatchMode::Observe && self.subject.is_some();
        if !is(&self.issuer, issuer, true) {
            return if may_be_near { Judged::Near(NearMissKind::OtherIssuer) } else { Judged::Excluded };
        }
        for condition in &self.extensions {
            let value = certificate.extension_der(&condition.oid);
            let holds = value.is_some_and(|value| condition.value.is_match(&value)) != condition.negated;
            if !holds {
                let telling = self.mode == WatchMode::Expect || condition.near == NearMissKind::RenamedOwner;
                let near = may_be_near && telling && !condition.negated;
                return if near { Judged::Near(condition.near) } else { Judged::Excluded };
            }
        }
        Judged::Hit
    }

    pub(super) fn takes_issuer(&self, issuer: Option<&str>) -> bool {
        let taken = |matcher: &Matcher| issuer.is_some_and(|issuer| matcher.is_match(issuer));
        self.issuer.as_ref().is_none_or(taken)
    }
}
