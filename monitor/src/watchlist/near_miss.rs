//! Names that are close to ours.
use std::collections::HashMap;

use super::found::NearMissKind;
use super::identities::{Named, Rule};
use super::look_alike::LookAlikes;
use super::pattern::Literal;
use super::rule::{IdentityRule, Pattern};
use super::skeleton;
use super::workflow::{self, Workflow};

/// Fulcio's extensions, DER content and dotted: the repository's URI, its id, its owner's URI and id.
const REPOSITORY: [u8; 10] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 12];
const REPOSITORY_ID: [u8; 10] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 15];
const OWNER: [u8; 10] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 16];
const OWNER_ID: [u8; 10] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 17];
const REPOSITORY_OID: &str = "1.3.6.1.4.1.57264.1.12";
const REPOSITORY_ID_OID: &str = "1.3.6.1.4.1.57264.1.15";
const OWNER_OID: &str = "1.3.6.1.4.1.57264.1.16";
const OWNER_ID_OID: &str = "1.3.6.1.4.1.57264.1.17";

/// What it means if a certificate has our name and only this extension differs.
pub(super) fn kind_of_extension(oid: &str) -> NearMissKind {
    match oid {
        REPOSITORY_ID_OID | OWNER_ID_OID => NearMissKind::RenamedOwner,
        "1.3.6.1.4.1.57264.1.6" | "1.3.6.1.4.1.57264.1.14" => NearMissKind::OtherRef,
        "1.3.6.1.4.1.57264.1.1" | "1.3.6.1.4.1.57264.1.8" => NearMissKind::OtherIssuer,
        _ => NearMissKind::OtherWorkflow,
    }
}

/// A rule, and the workflow's path where the rule fixes it.
type RuleOfRepository = (u32, Option<Box<str>>);

/// What is ours, by each of the ways in which another name can be close to it. A name is looked up here when no rule
/// matches it.
#[derive(Clone, Debug)]
pub(super) struct NearMisses {
    look_alikes: LookAlikes,
    /// By repository: the rule, and the workflow's path where the rule fixes it.
    repositories: HashMap<Box<str>, Vec<RuleOfRepository>>,
    /// By id: the rule, and the name that goes with the id.
    repository_ids: HashMap<Box<str>, Vec<(u32, Box<str>)>>,
    owner_ids: HashMap<Box<str>, Vec<(u32, Box<str>)>>,
}

impl NearMisses {
    pub(super) fn new() -> NearMisses {
        NearMisses {
            look_alikes: LookAlikes::new(),
            repositories: HashMap::new(),
            repository_ids: HashMap::new(),
            owner_ids: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, place: u32, identity: &IdentityRule) {
        let exactly = |oid: &str| {
            identity.extensions.iter().find_map(|(known, pattern, negated)| match pattern {
                Pattern::Exact(value) if known == oid && !negated => Some(value.as_str()),
                _ => None,
            })
        };
        let subject = identity.subject.as_ref().map(Literal::of);
        if let Some(subject) = &subject {
            self.look_alikes.add(place, subject);
        }
        let begin = match &subject {
            Some(Literal::Exact(text) | Literal::Prefix(text, _)) => Some(text.as_str()),
            _ => None,
        };
        let repository = exactly(REPOSITORY_OID).or(begin.and_then(workflow::repository));
        if let Some(workflow) = begin.and_then(Workflow::of) {
            let path = workflow.reference.map(|_| workflow.path.into());
            self.repositories.entry(workflow.repository.into()).or_default().push((place, path));
        } else if let Some(repository) = exactly(REPOSITORY_OID) {
            self.repositories.entry(repository.into()).or_default().push((place, None));
        }
        if let (Some(id), Some(repository)) = (exactly(REPOSITORY_ID_OID), repository) {
            self.repository_ids.entry(id.into()).or_default().push((place, repository.into()));
        }
        let owner = exactly(OWNER_OID).map(|owner| format!("{owner}/"));
        let owner = owner.as_deref().or(repository.or(begin).and_then(workflow::owner));
        if let (Some(id), Some(owner)) = (exactly(OWNER_ID_OID), owner) {
            self.owner_ids.entry(id.into()).or_default().push((place, owner.into()));
        }
    }

    pub(super) fn finish(&mut self) {
        self.look_alikes.finish();
    }

    /// The rule that a name is closest to, by its place, and how; of those that are concerned.
    pub(super) fn find(
        &self,
        named: Named<'_>,
        rules: &[Rule],
        concerned: impl Fn(u32) -> bool,
    ) -> Option<(u32, NearMissKind)> {
        let skeleton = skeleton::of(named.subject);
        let looks = |rule| (rule, NearMissKind::Homoglyph);
        self.renamed(named, rules, &concerned)
            .map(|rule| (rule, NearMissKind::RenamedOwner))
            .or_else(|| self.look_alikes.whole(named.subject, &skeleton, &concerned).map(looks))
            .or_else(|| self.same_repository(named, &concerned))
            .or_else(|| self.look_alikes.part(named.subject, &skeleton, &concerned).map(looks))
    }

    /// An id of ours under another name. Ids are one issuer's.
    fn renamed(&self, named: Named<'_>, rules: &[Rule], concerned: &impl Fn(u32) -> bool) -> Option<u32> {
        let takes = |place: u32| {
            concerned(place) && rules.get(place as usize).is_some_and(|rule| rule.takes_issuer(named.issuer))
        };
        let value = |oid: &[u8]| named.certificate.extension_der(oid);
        if !self.repository_ids.is_empty()
            && let Some(ours) = value(&REPOSITORY_ID).and_then(|id| self.repository_ids.get(&*id))
        {
            let stated = value(&REPOSITORY);
            let repository = stated.as_deref().or_else(|| workflow::repository(named.subject)).unwrap_or_default();
            if let Some((place, _)) = ours.iter().find(|(place, name)| **name != *repository && takes(*place)) {
                return Some(*place);
            }
        }
        if self.owner_ids.is_empty() {
            return None;
        }
        let ours = value(&OWNER_ID).and_then(|id| self.owner_ids.get(&*id))?;
        let stated = value(&OWNER).map(|owner| format!("{owner}/"));
        let owner = stated.as_deref().or_else(|| workflow::owner(named.subject))?;
        ours.iter().find(|(place, name)| !owner.starts_with(&**name) && takes(*place)).map(|(place, _)| *place)
    }

    /// A repository of ours: by the name, or by the certificate's extension where somebody else's workflow signs for
    /// it.
    fn same_repository(&self, named: Named<'_>, concerned: &impl Fn(u32) -> bool) -> Option<(u32, NearMissKind)> {
        if self.repositories.is_empty() {
            return None;
        }
        let workflow = Workflow::of(named.subject);
        if let Some(workflow) = workflow
            && let Some(ours) = self.repositories.get(workflow.repository)
        {
            let mut ours = ours.iter().filter(|(place, _)| concerned(*place)).peekable();
            let first = ours.peek().map(|(place, _)| (*place, NearMissKind::OtherWorkflow));
            let same_path = ours.find(|(_, path)| path.as_deref() == Some(workflow.path));
            return same_path.map(|(place, _)| (*place, NearMissKind::OtherRef)).or(first);
        }
        let stated = named.certificate.extension_der(&REPOSITORY)?;
        let (place, _) = self.repositories.get(&*stated)?.iter().find(|(place, _)| concerned(*place))?;
        Some((*place, NearMissKind::OtherWorkflow))
    }
}
