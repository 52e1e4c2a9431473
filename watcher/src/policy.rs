//! What is signed: pure decisions over what the registry said, in a fixed order, each "no" with its reason.
//!
//! The order: a rule must match the tag; nothing that we attached ourselves; nothing that is about another
//! manifest or carries signatures; nothing that cannot be signed safely. Everything else is signed: images,
//! indexes, charts, any artifact.

use std::collections::BTreeSet;

use bundle::oci::classify::{self, NotSigned};
use bundle::oci::{Manifest, ManifestKind};
use bundle::{Digest, Format, ImageName, Tag};

use crate::config::{Platforms, Rule};

/// Most children of an index that are signed one by one.
pub const MAX_CHILDREN: usize = 1000;

/// To sign, or why not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// This is to be signed.
    Sign(Plan),
    /// This is not to be signed.
    Skip(Skipped),
}

/// Who signs what, and how.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// Every signature that the rules ask for, each once.
    pub signatures: Vec<PlannedSignature>,
    /// What an index lists and is to be signed as well, each after a decision of its own; with the tag that says so.
    pub children: Vec<(Tag, Digest)>,
}

/// One signature that a rule asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlannedSignature {
    /// The rule's place in the list, from 0.
    pub rule: usize,
    /// The name of the identity.
    pub identity: String,
    /// Which signature.
    pub format: Format,
}

/// Not signed, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Skipped {
    /// The code.
    pub reason: SkipReason,
    /// What a person may want to know on top.
    pub detail: String,
}

/// Why something is not signed. A closed list: it labels a counter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SkipReason {
    /// No rule speaks about this repository and tag.
    NoRule,
    /// The tag is one under which signatures or referrers are kept.
    SignatureTag,
    /// The registry does not have the tag.
    TagNotFound,
    /// The tag points to something else by now, and no other tag that counts points to this digest.
    Superseded,
    /// No tag that the rules allow points to this digest.
    Untagged,
    /// It was pushed as a part of an index, which has its own event.
    ListedByIndex,
    /// We pushed this manifest ourselves.
    OwnArtifact,
    /// It is about another manifest, carries signatures, or is a build's cache.
    Shape(NotSigned),
    /// The registry does not have the manifest.
    ManifestNotFound,
    /// The manifest can be read two ways, or not at all.
    ManifestRefused,
    /// The bytes that the registry gave do not have the digest that was asked for.
    DigestMismatch,
    /// An index that lists itself.
    ContainsItself,
    /// More children than are signed one by one.
    TooManyChildren,
}

impl SkipReason {
    /// The code, as it is counted and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoRule => "no_rule",
            Self::SignatureTag => "signature_tag",
            Self::TagNotFound => "tag_not_found",
            Self::Superseded => "superseded",
            Self::Untagged => "untagged",
            Self::ListedByIndex => "listed_by_index",
            Self::OwnArtifact => "own_artifact",
            Self::Shape(shape) => shape.code(),
            Self::ManifestNotFound => "manifest_not_found",
            Self::ManifestRefused => "manifest_refused",
            Self::DigestMismatch => "digest_mismatch",
            Self::ContainsItself => "contains_itself",
            Self::TooManyChildren => "too_many_children",
        }
    }
}

/// The first rule that speaks about the tag, and its place. Tags that hold signatures match none.
pub fn rule_for<'r>(rules: &'r [Rule], name: &ImageName, tag: &Tag) -> Option<(usize, &'r Rule)> {
    if tag.is_signature_tag() {
        return None;
    }
    rules.iter().enumerate().find(|(_, rule)| rule.matches(name, tag))
}

/// What is known about a digest when it is decided upon.
#[derive(Debug)]
pub struct Candidate<'c> {
    /// Where.
    pub name: &'c ImageName,
    /// Tags that point to the digest now, or to an index that lists it. Without any, nothing is signed.
    pub tags: &'c [Tag],
    /// What.
    pub digest: &'c Digest,
    /// Whether we pushed this manifest ourselves.
    pub own_artifact: bool,
    /// The manifest, whose bytes have that digest.
    pub manifest: &'c Manifest,
}

/// To sign, or why not.
pub fn decide(rules: &[Rule], candidate: &Candidate<'_>) -> Decision {
    match judge(rules, candidate) {
        Ok(plan) => Decision::Sign(plan),
        Err(skipped) => Decision::Skip(skipped),
    }
}

fn judge(rules: &[Rule], candidate: &Candidate<'_>) -> Result<Plan, Skipped> {
    let matched = matching(rules, candidate.name, candidate.tags)?;
    if candidate.own_artifact {
        return Err(skip(SkipReason::OwnArtifact, "we pushed this manifest ourselves".to_owned()));
    }
    shape(candidate.manifest)?;
    if lists_itself(candidate) {
        return Err(skip(SkipReason::ContainsItself, "the index lists its own digest".to_owned()));
    }
    let mut plan = Plan::default();
    for Matched { tag, place, rule } in matched {
        for identity in &rule.sign_with {
            for format in &rule.formats {
                plan.add(PlannedSignature { rule: place, identity: identity.clone(), format: *format });
            }
        }
        if let (Platforms::All, ManifestKind::Index) = (rule.platforms, candidate.manifest.kind) {
            let children = children(candidate.manifest)?;
            plan.children.extend(children.into_iter().map(|child| (tag.clone(), child)));
        }
    }
    Ok(plan)
}

impl Plan {
    /// Two tags of one digest may ask for the same signature; the rule that comes first in the file has it.
    fn add(&mut self, new: PlannedSignature) {
        let same = |have: &&mut PlannedSignature| have.identity == new.identity && have.format == new.format;
        match self.signatures.iter_mut().find(same) {
            Some(have) => have.rule = have.rule.min(new.rule),
            None => self.signatures.push(new),
        }
    }
}

/// Why no rule speaks about any of these tags.
pub fn refusal_of(rules: &[Rule], name: &ImageName, tags: &[Tag]) -> Option<Skipped> {
    matching(rules, name, tags).err()
}

/// A rule that speaks about a candidate, and the tag that made it.
struct Matched<'m> {
    tag: &'m Tag,
    place: usize,
    rule: &'m Rule,
}

/// The rules that speak: the first match of each tag.
fn matching<'m>(rules: &'m [Rule], name: &ImageName, tags: &'m [Tag]) -> Result<Vec<Matched<'m>>, Skipped> {
    let mut matched: Vec<Matched<'_>> = Vec::new();
    for tag in tags {
        if let Some((place, rule)) = rule_for(rules, name, tag)
            && !matched.iter().any(|have| have.place == place)
        {
            matched.push(Matched { tag, place, rule });
        }
    }
    if !matched.is_empty() {
        return Ok(matched);
    }
    match tags {
        [] => Err(skip(SkipReason::Untagged, format!("no tag of {name} points to it"))),
        tags if tags.iter().all(Tag::is_signature_tag) => {
            Err(skip(SkipReason::SignatureTag, "signatures are kept under this tag".to_owned()))
        }
        [tag, ..] => Err(skip(SkipReason::NoRule, format!("no rule speaks about {name}:{tag}"))),
    }
}

/// Impossible with an honest hash, so whoever serves one is playing.
fn lists_itself(candidate: &Candidate<'_>) -> bool {
    candidate.manifest.manifests.iter().any(|child| child.digest == *candidate.digest)
}

/// The images that an index lists and that can be signed one by one. What BuildKit lists beside them is not.
fn children(index: &Manifest) -> Result<Vec<Digest>, Skipped> {
    let mut seen = BTreeSet::new();
    let children: Vec<Digest> =
        classify::signable_children(index).map(|child| child.digest).filter(|digest| seen.insert(*digest)).collect();
    if children.len() > MAX_CHILDREN {
        let detail = format!("the index lists {} images; at most {MAX_CHILDREN} are signed", children.len());
        return Err(skip(SkipReason::TooManyChildren, detail));
    }
    Ok(children)
}

/// What the manifest's shape says against signing it.
fn shape(manifest: &Manifest) -> Result<(), Skipped> {
    let Some(shape) = classify::manifest(manifest) else { return Ok(()) };
    let kind = manifest.artifact_type.as_deref().unwrap_or(&manifest.media_type);
    let detail = match &manifest.subject {
        Some(subject) => format!("it is about {} ({kind})", subject.digest),
        None => format!("by its types it is no image ({kind})"),
    };
    Err(skip(SkipReason::Shape(shape), detail))
}

fn skip(reason: SkipReason, detail: String) -> Skipped {
    Skipped { reason, detail }
}

#[cfg(test)]
mod tests;
