//! A look at all tags of a repository, to find one that points to a digest. Registries have no question for that.
//!
//! A look that began after an event was taken up answers the event, so events that wait for each other share one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bundle::{Digest, ImageName, Tag};
use futures_util::{StreamExt, TryStreamExt};

use super::Resolver;
use crate::error::WorkError;
use crate::policy;

/// Tags asked for at the same time.
const AT_ONCE: usize = 8;
/// Repositories whose last look is remembered.
const REMEMBERED: usize = 64;

/// Where the tags of a repository pointed, for tags that the rules allow.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// One tag for each digest: that of the first rule that speaks about any of them.
    pub(super) tags: BTreeMap<Digest, Tag>,
    /// Whether the repository had no more tags than are looked at.
    pub(super) complete: bool,
    /// How many tags were listed.
    pub(super) looked_at: usize,
}

struct Look {
    began: Instant,
    sweep: Arc<Sweep>,
}

/// Recent looks, one per repository at a time.
#[derive(Default)]
pub struct Sweeps {
    slots: Mutex<HashMap<ImageName, Arc<tokio::sync::Mutex<Option<Look>>>>>,
}

impl Sweeps {
    /// A look that began after `asked`: a recent one, or a new one by `look`.
    pub(super) async fn of<F>(
        &self,
        name: &ImageName,
        asked: Instant,
        look: impl FnOnce() -> F,
    ) -> Result<Arc<Sweep>, WorkError>
    where
        F: Future<Output = Result<Sweep, WorkError>>,
    {
        let slot = self.slot(name);
        let mut last = slot.lock().await;
        if let Some(last) = last.as_ref().filter(|last| last.began >= asked) {
            return Ok(Arc::clone(&last.sweep));
        }
        let began = Instant::now();
        let sweep = Arc::new(look().await?);
        *last = Some(Look { began, sweep: Arc::clone(&sweep) });
        Ok(sweep)
    }

    fn slot(&self, name: &ImageName) -> Arc<tokio::sync::Mutex<Option<Look>>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= REMEMBERED && !slots.contains_key(name) {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(name.clone()).or_default())
    }
}

impl Resolver<'_> {
    /// Asks where each tag points that the rules allow.
    pub(super) async fn look_at_all_tags(&self, name: &ImageName) -> Result<Sweep, WorkError> {
        let max = self.limits.max_tags;
        let tags = self.registry.tags(&name.repository, max).await?;
        let (complete, looked_at) = (tags.len() < max, tags.len());
        let mut allowed: Vec<(usize, Tag)> = tags
            .into_iter()
            .filter_map(|tag| policy::rule_for(self.rules, name, &tag).map(|(place, _)| (place, tag)))
            .collect();
        allowed.sort_by_key(|(place, _)| *place);
        let found: Vec<(usize, Tag, Option<Digest>)> = futures_util::stream::iter(allowed)
            .map(|(place, tag)| async move {
                let digest = self.registry.resolve(&name.repository, &tag).await?;
                Ok::<_, WorkError>((place, tag, digest))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let mut sweep = Sweep { tags: BTreeMap::new(), complete, looked_at };
        for (_, tag, digest) in found {
            if let Some(digest) = digest {
                sweep.tags.entry(digest).or_insert(tag);
            }
        }
        Ok(sweep)
    }
}
