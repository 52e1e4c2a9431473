//! What a webhook's body says, in checked types; and what is left out, counted by reason.

use std::collections::BTreeMap;

use bundle::{Digest, Repository, Tag};

/// A sender says that something was pushed. It is only a wake-up: the registry is asked what is true.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PushEvent {
    /// The registry, as the body spells it, each time that it does. Never used to find a registry or a
    /// credential: only compared with what the source may speak for.
    pub unverified_hosts: Vec<String>,
    /// The repository.
    pub repository: Repository,
    /// The tag, where the event has one.
    pub tag: Option<Tag>,
    /// The digest, where the event has one.
    pub digest: Option<Digest>,
}

/// A body that tells nothing that can be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Junk {
    /// Not JSON.
    NotJson,
    /// JSON, but not of the source's format.
    NotThisFormat,
}

impl Junk {
    /// The reason's code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotThisFormat => "not_this_format",
        }
    }
}

/// Why an event of a readable body is not taken.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Ignored {
    /// A pull, a mount, a delete.
    NotAPush,
    /// A blob.
    NotAManifest,
    /// The tag under which signatures, attestations or referrers are kept.
    SignatureTag,
    /// No repository, or one that is none; a tag or digest that is none; neither of them.
    MalformedReference,
    /// It names a registry that the source may not speak for.
    ForeignHost,
    /// It names a repository that the source may not speak for.
    ForeignRepository,
    /// The same body said it before.
    Duplicate,
    /// The body has more events than are taken from one.
    TooMany,
}

impl Ignored {
    /// The reason's code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAPush => "not_a_push",
            Self::NotAManifest => "not_manifest",
            Self::SignatureTag => "signature_tag",
            Self::MalformedReference => "malformed_reference",
            Self::ForeignHost => "foreign_host",
            Self::ForeignRepository => "foreign_repository",
            Self::Duplicate => "duplicate",
            Self::TooMany => "too_many_events",
        }
    }
}

/// How often each reason was met.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally(BTreeMap<Ignored, u64>);

impl Tally {
    /// Counts one.
    pub fn add(&mut self, reason: Ignored) {
        *self.0.entry(reason).or_default() += 1;
    }

    /// Every reason that was met, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Ignored, u64)> + '_ {
        self.0.iter().map(|(reason, count)| (*reason, *count))
    }

    /// The reason for which the body is kept as a dead letter, if there is one: it means a push that did not become an
    /// event.
    pub fn worth_keeping(&self) -> Option<&'static str> {
        let reasons = [Ignored::TooMany, Ignored::ForeignHost, Ignored::MalformedReference];
        reasons.into_iter().find(|reason| self.0.contains_key(reason)).map(Ignored::as_str)
    }
}

/// The reference of an event, in checked types. It needs a repository, and a tag or a digest.
pub(super) fn reference(
    hosts: Vec<String>,
    repository: Option<&str>,
    tag: Option<&str>,
    digest: Option<&str>,
) -> Result<PushEvent, Ignored> {
    let malformed = |_| Ignored::MalformedReference;
    let repository = repository.ok_or(Ignored::MalformedReference)?.parse::<Repository>().map_err(malformed)?;
    let tag = tag.map(str::parse::<Tag>).transpose().map_err(malformed)?;
    let digest = digest.map(str::parse::<Digest>).transpose().map_err(|_| Ignored::MalformedReference)?;
    if tag.is_none() && digest.is_none() {
        return Err(Ignored::MalformedReference);
    }
    if tag.as_ref().is_some_and(Tag::is_signature_tag) {
        return Err(Ignored::SignatureTag);
    }
    Ok(PushEvent { unverified_hosts: hosts, repository, tag, digest })
}
