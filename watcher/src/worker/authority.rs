//! What the registry says *now* about why a digest may be signed. A tag in an event, a job or the ledger is a hint of
//! what to ask, and never permission.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bundle::oci::{Manifest, ManifestKind, classify, media_type};
use bundle::{Digest, ImageName, Tag};
use tokio::time::Instant;

use crate::config::{Platforms, Rule};
use crate::error::WorkError;
use crate::policy;
use crate::registry::{Registry, RegistryError};

/// How deep an index may list another one. Registries know of two levels; more is a game.
const DEPTH: usize = 3;
/// Indexes that are read to find one child.
const INDEXES: usize = 16;
/// Indexes whose children are remembered. A digest names one list for ever.
const REMEMBERED: usize = 256;

/// What indexes list that were read: each digest, and whether that is an index as well.
type Listed = HashMap<Digest, bool>;

/// The lists of indexes that were read.
#[derive(Default)]
pub(crate) struct Indexes {
    known: Mutex<HashMap<Digest, Arc<Listed>>>,
}

impl Indexes {
    /// Remembers what an index lists.
    pub(crate) fn learn(&self, index: &Digest, manifest: &Manifest) -> Arc<Listed> {
        let listed = classify::signable_children(manifest).map(|child| (child.digest, is_index(&child.media_type)));
        let listed: Arc<Listed> = Arc::new(listed.collect());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(*index, Arc::clone(&listed));
        listed
    }

    /// Whether an index that was read lists a digest.
    pub(crate) fn list(&self, digest: &Digest) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().any(|listed| listed.contains_key(digest))
    }

    fn of(&self, index: &Digest) -> Option<Arc<Listed>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(index).cloned()
    }
}

fn is_index(media_type: &str) -> bool {
    matches!(media_type, media_type::IMAGE_INDEX | media_type::DOCKER_MANIFEST_LIST)
}

/// Who is asked about what.
#[derive(Clone, Copy)]
pub(super) struct Question<'q> {
    pub(super) registry: &'q Registry,
    pub(super) rules: &'q [Rule],
    pub(super) name: &'q ImageName,
    pub(super) digest: &'q Digest,
    pub(super) indexes: &'q Indexes,
    /// An answer of the registry counts for so long before it is asked again.
    pub(super) fresh: Duration,
}

/// Where a tag points.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Points {
    /// To the digest, or to an index that lists it where the rule speaks about what indexes list.
    Here,
    Elsewhere,
    /// The registry does not have the tag.
    Nowhere,
}

/// For each rule that speaks: a tag that points to the digest now.
#[derive(Debug)]
pub(super) struct Authority {
    /// The hints, the newest first, by the place of the rule that speaks about each.
    hints: BTreeMap<usize, Vec<Tag>>,
    held: Mutex<BTreeMap<usize, Vouched>>,
    /// A hint that the registry does not have at all.
    gone: Option<Tag>,
    /// Why the registry could not be asked about some hint, where no other hint of that rule holds.
    unasked: Option<WorkError>,
}

/// A tag that vouched for the digest, and when the registry was asked.
#[derive(Clone, Debug)]
struct Vouched {
    tag: Tag,
    asked: Instant,
}

impl Authority {
    /// Asks the registry where the hinted tags point, until each rule has one that holds.
    ///
    /// # Errors
    /// Where the registry could not be asked for any rule: that is no answer.
    pub(super) async fn ask(question: Question<'_>, hints: &[Tag]) -> Result<Self, WorkError> {
        let mut by_rule: BTreeMap<usize, Vec<Tag>> = BTreeMap::new();
        for tag in hints {
            if let Some((place, _)) = policy::rule_for(question.rules, question.name, tag) {
                by_rule.entry(place).or_default().push(tag.clone());
            }
        }
        let mut authority = Self { hints: by_rule, held: Mutex::default(), gone: None, unasked: None };
        let places: Vec<usize> = authority.hints.keys().copied().collect();
        for place in places {
            match authority.renew(question, place).await {
                Ok(Some(gone)) => authority.gone = authority.gone.or(Some(gone)),
                Ok(None) => {}
                // What another rule asks for is not held up by it.
                Err(error) => authority.unasked = authority.unasked.or(Some(error)),
            }
        }
        if authority.held().is_empty()
            && let Some(error) = authority.unasked.take()
        {
            return Err(error);
        }
        Ok(authority)
    }

    /// Why the registry could not be asked for some rule, which is no "no": the work is not done before it could.
    pub(super) fn take_unasked(&mut self) -> Option<WorkError> {
        self.unasked.take()
    }

    /// One tag for each rule that holds.
    pub(super) fn tags(&self) -> Vec<Tag> {
        self.held().values().map(|vouched| vouched.tag.clone()).collect()
    }

    /// Whether no rule speaks about any of the hints.
    pub(super) fn is_unspoken(&self) -> bool {
        self.hints.is_empty()
    }

    /// A hint that the registry does not have at all: it may only lag behind.
    pub(super) fn gone(&self) -> Option<&Tag> {
        self.gone.as_ref()
    }

    /// Makes sure that a rule still holds, unless the registry said so moments ago.
    ///
    /// # Errors
    /// [`WorkError::AuthorityLost`] where no tag of the rule points to the digest any more; and where the registry could
    /// not be asked.
    pub(super) async fn confirm(&self, question: Question<'_>, place: usize) -> Result<(), WorkError> {
        let fresh = self.held().get(&place).is_some_and(|vouched| vouched.asked.elapsed() < question.fresh);
        if fresh {
            return Ok(());
        }
        let gone = self.renew(question, place).await?;
        if self.held().contains_key(&place) {
            return Ok(());
        }
        let image = question.name.with_digest(*question.digest).to_string();
        match gone {
            Some(tag) => Err(WorkError::TagGone { name: question.name.to_string(), tag: tag.to_string() }),
            None => Err(WorkError::AuthorityLost { image }),
        }
    }

    /// Asks for a rule's tags, the one that held first. Answers a tag that is gone, where none holds.
    async fn renew(&self, question: Question<'_>, place: usize) -> Result<Option<Tag>, WorkError> {
        let last = self.held().get(&place).map(|vouched| vouched.tag.clone());
        let hints = self.hints.get(&place).map(Vec::as_slice).unwrap_or_default();
        let others = hints.iter().filter(|tag| Some(*tag) != last.as_ref());
        let (mut gone, mut unasked) = (None, None);
        for tag in last.iter().chain(others) {
            let asked = Instant::now();
            match points(question, place, tag).await {
                Ok(Points::Here) => {
                    self.held().insert(place, Vouched { tag: tag.clone(), asked });
                    return Ok(None);
                }
                Ok(Points::Elsewhere) => {}
                Ok(Points::Nowhere) => gone = gone.or(Some(tag.clone())),
                // Another tag may hold; that this one could not be asked about is no answer.
                Err(error) => unasked = unasked.or(Some(error)),
            }
        }
        self.held().remove(&place);
        match unasked {
            Some(error) => Err(error),
            None => Ok(gone),
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Vouched>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn points(question: Question<'_>, place: usize, tag: &Tag) -> Result<Points, WorkError> {
    let repository = &question.name.repository;
    let Some(target) = question.registry.resolve(repository, tag).await? else { return Ok(Points::Nowhere) };
    if target == *question.digest {
        return Ok(Points::Here);
    }
    let speaks_of_children = question.rules.get(place).is_some_and(|rule| rule.platforms == Platforms::All);
    if speaks_of_children && lists(question, target).await? {
        return Ok(Points::Here);
    }
    Ok(Points::Elsewhere)
}

/// Whether an index lists the digest, itself or through an index that it lists.
async fn lists(question: Question<'_>, index: Digest) -> Result<bool, WorkError> {
    let mut level = vec![index];
    let mut read = 0;
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for index in level {
            read += 1;
            if read > INDEXES {
                return Ok(false);
            }
            let listed = listed(question, &index).await?;
            if listed.contains_key(question.digest) {
                return Ok(true);
            }
            next.extend(listed.iter().filter(|(_, is_index)| **is_index).map(|(child, _)| *child));
        }
        level = next;
    }
    Ok(false)
}

/// What an index lists and can be signed. An image, or a manifest that can be read two ways, lists nothing.
async fn listed(question: Question<'_>, index: &Digest) -> Result<Arc<Listed>, WorkError> {
    if let Some(known) = question.indexes.of(index) {
        return Ok(known);
    }
    let name = question.name;
    match question.registry.manifest(&name.repository, index).await {
        Ok(Some(fetched)) if fetched.manifest.kind == ManifestKind::Index => {
            Ok(question.indexes.learn(index, &fetched.manifest))
        }
        Ok(Some(_)) | Err(RegistryError::Manifest { .. }) => Ok(Arc::default()),
        Ok(None) => Err(WorkError::ManifestMissing { name: name.to_string(), digest: index.to_string() }),
        Err(error) => Err(error.into()),
    }
}
