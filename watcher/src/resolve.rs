//! From what a webhook said to what is true: the registry is asked what the tag points to, and that becomes a job.
//!
//! An event is only a wake-up. A digest that it names counts for nothing unless a tag that the rules allow
//! resolves to it now.

mod sweep;

use std::time::Instant;

use bundle::{Digest, ImageName, Tag};
use store::{JobClass, LeasedEvent, NewEvent, NewJob, Skip, Store};

pub use sweep::Sweeps;

use crate::config::{Limits, Rule};
use crate::error::WorkError;
use crate::policy::{self, SkipReason};
use crate::registry::Registry;

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
    /// The registry does not have the tag yet; some lag behind their own webhooks.
    NotYet,
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
}

impl Resolver<'_> {
    /// What the event means. `now` is for the rows that come of it; `asked` is when we took the event up.
    pub async fn resolve(&self, leased: &LeasedEvent, now: i64, asked: Instant) -> Result<Resolved, WorkError> {
        let event = &leased.event;
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
                    None if leased.attempts < self.limits.tag_tries => return Ok(Resolved::NotYet),
                    None => answer.skip(None, SkipReason::TagNotFound, "the registry does not have this tag"),
                }
                if let Some(named) = named {
                    let moved_on = match &points_to {
                        Some(current) => format!("tag {tag} points to {current} by now"),
                        None => format!("tag {tag} is gone"),
                    };
                    self.by_digest(&mut answer, named, SkipReason::Superseded, &moved_on, asked).await?;
                }
            }
            (None, Some(digest)) => self.by_digest(&mut answer, digest, SkipReason::Untagged, "", asked).await?,
            (None, None) => answer.skip(None, SkipReason::Untagged, "the event names no tag and no digest"),
        }
        Ok(answer.done())
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
        if self.store.is_own_artifact(&answer.name, digest).await? {
            answer.skip(Some(digest), SkipReason::OwnArtifact, "we pushed this manifest ourselves");
            return Ok(());
        }
        if !self.rules.iter().any(|rule| rule.matches_repository(&answer.name)) {
            let detail = format!("no rule speaks about {}", answer.name);
            answer.skip(Some(digest), SkipReason::NoRule, &detail);
            return Ok(());
        }
        let sweep = self.sweeps.of(&answer.name, asked, || self.look_at_all_tags(&answer.name)).await?;
        match sweep.tags.get(digest) {
            Some(tag) => answer.job(digest, tag),
            None => {
                let lead = if why.is_empty() { String::new() } else { format!("{why}; ") };
                let bound = if sweep.complete { "" } else { " (only so many tags are looked at)" };
                let detail = format!("{lead}no tag that the rules allow points to this digest{bound}");
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
