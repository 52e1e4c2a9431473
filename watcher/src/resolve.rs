//! From what a webhook said to what is true: the registry is asked what the tag points to, and that becomes a job.
//!
//! An event is only a wake-up. A digest that it names counts for nothing unless a tag that the rules allow
//! resolves to it now.

mod sweep;

use std::time::{Duration, Instant};

use bundle::{Digest, ImageName, Tag};
use store::{JobClass, NewEvent, NewJob, NewLook, Skip, Store};

pub use sweep::Sweeps;

use crate::config::{Limits, Rule};
use crate::error::WorkError;
use crate::policy::{self, SkipReason};
use crate::registry::Registry;
use crate::worker::authority::Indexes;

/// What an event came to.
#[derive(Debug)]
pub enum Resolved {
    /// It is understood: this is to be looked at, and that is not.
    Done {
        /// Digests to look at.
        jobs: Vec<NewJob>,
        /// What is left out, and why.
        skips: Vec<Skip>,
    },
    /// It names a digest only, and may be a part of an index whose own event is on its way.
    WaitForIndex {
        /// For how long.
        after: Duration,
    },
}

/// What is needed to resolve events of one registry.
pub struct Resolver<'r> {
    /// The registry, asked with our credentials.
    pub registry: &'r Registry,
    /// What we signed and pushed before.
    pub store: &'r dyn Store,
    /// Which tags count.
    pub rules: &'r [Rule],
    /// How often and how much.
    pub limits: &'r Limits,
    /// Recent looks at all tags of a repository.
    pub sweeps: &'r Sweeps,
    /// What indexes list that were read.
    pub(crate) indexes: &'r Indexes,
}

impl Resolver<'_> {
    /// What the event means. `now` is for the rows that come of it; `asked` is when we took the event up.
    pub async fn resolve(&self, event: &NewEvent, now: i64, asked: Instant) -> Result<Resolved, WorkError> {
        let mut answer = Answer::new(event, now);
        match (&event.tag, &event.digest) {
            (Some(tag), digest) => {
                if tag.is_signature_tag() {
                    answer.skip(digest.as_ref(), SkipReason::SignatureTag, "signatures are kept under this tag");
                    return Ok(answer.done());
                }
                let points_to = self.registry.resolve(&event.repository, tag).await?;
                let named = digest.as_ref().filter(|digest| Some(*digest) != points_to.as_ref());
                match &points_to {
                    Some(current) => self.tagged(&mut answer, tag, current),
                    // A tag that no rule speaks about is not waited for.
                    None if policy::rule_for(self.rules, &answer.name, tag).is_none() => {
                        answer.skip(None, SkipReason::TagNotFound, "the registry does not have this tag");
                    }
                    // Some lag behind their own webhooks.
                    None => {
                        return Err(WorkError::TagGone { name: answer.name.to_string(), tag: tag.to_string() });
                    }
                }
                if let Some(named) = named {
                    let moved_on = match &points_to {
                        Some(current) => format!("tag {tag} points to {current} by now"),
                        None => format!("tag {tag} is gone"),
                    };
                    self.by_digest(&mut answer, named, SkipReason::Superseded, &moved_on, asked).await?;
                }
            }
            (None, Some(digest)) => {
                if let Some(after) = self.wait_for_index(&mut answer, digest).await? {
                    return Ok(Resolved::WaitForIndex { after });
                }
            }
            (None, None) => answer.skip(None, SkipReason::Untagged, "the event names no tag and no digest"),
        }
        Ok(answer.done())
    }

    /// An event with a digest only. Most of them are about parts of an index, which cost no look at all: the index has an
    /// event of its own, a moment later.
    async fn wait_for_index(&self, answer: &mut Answer<'_>, digest: &Digest) -> Result<Option<Duration>, WorkError> {
        if self.is_settled(answer, digest).await? {
            return Ok(None);
        }
        if self.indexes.list(digest) {
            let detail = "it was pushed as a part of an index, which has its own event";
            answer.skip(Some(digest), SkipReason::ListedByIndex, detail);
            return Ok(None);
        }
        let patience = i64::try_from(self.limits.index_patience.as_millis()).unwrap_or(i64::MAX);
        let waited = answer.now.saturating_sub(answer.event.received_at);
        if let Ok(left) = u64::try_from(patience.saturating_sub(waited))
            && left > 0
        {
            return Ok(Some(Duration::from_millis(left)));
        }
        self.by_digest(answer, digest, SkipReason::Untagged, "", Instant::now()).await?;
        Ok(None)
    }

    /// Whether it is known without a question to the registry that a digest is not to be looked for.
    async fn is_settled(&self, answer: &mut Answer<'_>, digest: &Digest) -> Result<bool, WorkError> {
        if self.store.is_own_artifact(&answer.name, digest).await? {
            answer.skip(Some(digest), SkipReason::OwnArtifact, "we pushed this manifest ourselves");
            return Ok(true);
        }
        if !self.rules.iter().any(|rule| rule.matches_repository(&answer.name)) {
            let detail = format!("no rule speaks about {}", answer.name);
            answer.skip(Some(digest), SkipReason::NoRule, &detail);
            return Ok(true);
        }
        Ok(false)
    }

    /// Every image of a repository that a tag points to which the rules allow, for a look.
    pub async fn all_of(&self, name: &ImageName, look: &NewLook) -> Result<Vec<NewJob>, WorkError> {
        if !self.rules.iter().any(|rule| rule.matches_repository(name)) {
            return Ok(Vec::new());
        }
        let sweep = self.look_at_all_tags(name).await?;
        if !sweep.complete {
            tracing::warn!(repository = %name, "{name} has more tags than are looked at: what the others name is not seen");
        }
        let job = |(digest, tag): (Digest, Tag)| NewJob {
            registry: name.registry.clone(),
            repository: name.repository.clone(),
            digest,
            tag: Some(tag),
            class: JobClass::Push,
            pushed_at: Some(look.received_at),
        };
        Ok(sweep.tags.into_iter().map(job).collect())
    }

    /// The tag points to `digest` now.
    fn tagged(&self, answer: &mut Answer<'_>, tag: &Tag, digest: &Digest) {
        match policy::rule_for(self.rules, &answer.name, tag) {
            Some(_) => answer.job(digest, tag),
            None => {
                let detail = format!("no rule speaks about {}:{tag}", answer.name);
                answer.skip(Some(digest), SkipReason::NoRule, &detail);
            }
        }
    }

    /// The event names a digest that its own tag does not vouch for: another tag must.
    async fn by_digest(
        &self,
        answer: &mut Answer<'_>,
        digest: &Digest,
        otherwise: SkipReason,
        why: &str,
        asked: Instant,
    ) -> Result<(), WorkError> {
        if self.is_settled(answer, digest).await? {
            return Ok(());
        }
        let sweep = self.sweeps.of(&answer.name, asked, || self.look_at_all_tags(&answer.name)).await?;
        match sweep.tags.get(digest) {
            Some(tag) => answer.job(digest, tag),
            // An incomplete look says nothing.
            None if !sweep.complete => {
                return Err(WorkError::IncompleteLook {
                    name: answer.name.to_string(),
                    digest: digest.to_string(),
                    looked_at: sweep.looked_at,
                });
            }
            None => {
                let lead = if why.is_empty() { String::new() } else { format!("{why}; ") };
                let detail = format!("{lead}no tag that the rules allow points to this digest");
                answer.skip(Some(digest), otherwise, &detail);
            }
        }
        Ok(())
    }
}

/// What an event comes to, as far as it is known.
struct Answer<'e> {
    event: &'e NewEvent,
    name: ImageName,
    now: i64,
    jobs: Vec<NewJob>,
    skips: Vec<Skip>,
}

impl<'e> Answer<'e> {
    fn new(event: &'e NewEvent, now: i64) -> Self {
        let name = ImageName { registry: event.registry.clone(), repository: event.repository.clone() };
        Self { event, name, now, jobs: Vec::new(), skips: Vec::new() }
    }

    fn job(&mut self, digest: &Digest, tag: &Tag) {
        self.jobs.push(NewJob {
            registry: self.event.registry.clone(),
            repository: self.event.repository.clone(),
            digest: *digest,
            tag: Some(tag.clone()),
            class: JobClass::Push,
            pushed_at: Some(self.event.received_at),
        });
    }

    fn skip(&mut self, digest: Option<&Digest>, reason: SkipReason, detail: &str) {
        self.skips.push(Skip {
            registry: self.event.registry.clone(),
            repository: self.event.repository.clone(),
            tag: self.event.tag.clone(),
            digest: digest.copied(),
            reason: reason.as_str().to_owned(),
            detail: detail.to_owned(),
            at: self.now,
        });
    }

    fn done(self) -> Resolved {
        Resolved::Done { jobs: self.jobs, skips: self.skips }
    }
}
