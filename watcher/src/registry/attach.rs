//! Attaching a bundle: blobs, the referrer by digest, and the referrers tag where the registry keeps no list itself.

use std::time::Duration;

use bundle::oci::{Descriptor, EMPTY_CONFIG, Manifest, ManifestError, media_type, referrers_index_with};
use bundle::{Digest, Repository, Tag};
use http::HeaderName;

use super::call::Access;
use super::look::TagHistory;
use super::manifests::RawManifest;
use super::{MANIFEST_MAX_BYTES, Registry, RegistryError};

/// How often a tag is written again after a foreign writer's version won.
pub(super) const ROUNDS: u32 = 5;
/// Waits, in units of patience, for a registry whose own list lags behind.
const LISTING_DELAYS: [u32; 4] = [0, 1, 2, 4];
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// What was attached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attached {
    /// The manifest that carries the signature.
    pub manifest_digest: Digest,
    /// The registry keeps no list of referrers itself: the one under the referrers tag names ours.
    pub fallback_tag_written: bool,
    /// Every manifest that was pushed on the way. Their webhooks are our own echo.
    pub pushed: Vec<Digest>,
}

impl Registry {
    /// Attaches a bundle to its subject, and makes sure that readers will find it.
    ///
    /// `manifest` is the referrer's exact bytes, whose only layer is `bundle`. Safe to repeat: what is there
    /// already is not pushed again, but for the manifest, whose digest does not change. What is no index of referrers is
    /// never written over.
    ///
    /// # Errors
    /// The registry could not be asked, refuses the push, or has no place for a bundle.
    pub async fn attach_bundle(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        bundle: &[u8],
        manifest: &[u8],
        history: TagHistory,
    ) -> Result<Attached, RegistryError> {
        let digest = Digest::of(manifest);
        let parsed = Manifest::parse(manifest, Some(media_type::IMAGE_MANIFEST))
            .map_err(|source| self.unusable(repository, "our own referrer".to_owned(), source))?;
        self.require_subject(repository, &subject.digest).await?;
        self.push_blob(repository, bundle).await?;
        self.push_blob(repository, EMPTY_CONFIG).await?;
        let answer = self.put_manifest(repository, media_type::IMAGE_MANIFEST, manifest).await?;
        let mut attached = Attached { manifest_digest: digest, fallback_tag_written: false, pushed: vec![digest] };
        match self.is_listed(repository, &subject.digest, &digest).await? {
            Some(true) => return Ok(attached),
            // SPEC: OCI-Subject says that the registry has processed the subject; the list lags behind.
            Some(false) if answer.headers.contains_key(OCI_SUBJECT) => {
                return Err(RegistryError::NotListed { name: self.name(repository), referrer: digest });
            }
            // ECR once sent the header without having the API, others have the API and send no header: only the
            // list counts.
            Some(false) | None => {}
        }
        let descriptor = parsed.referrer_descriptor(manifest);
        self.list_under_tag(repository, &subject.digest, &descriptor, history, &mut attached.pushed).await?;
        attached.fallback_tag_written = true;
        Ok(attached)
    }

    /// Refuses to attach anything to what is not there: some registries would keep it for ever.
    pub(super) async fn require_subject(&self, repository: &Repository, subject: &Digest) -> Result<(), RegistryError> {
        if self.has_manifest(repository, subject).await? {
            return Ok(());
        }
        Err(RegistryError::NotFound { name: self.name(repository), what: format!("manifest {subject}") })
    }

    /// Whether the registry's own list names a referrer; `None` = it has no such list.
    async fn is_listed(
        &self,
        repository: &Repository,
        subject: &Digest,
        referrer: &Digest,
    ) -> Result<Option<bool>, RegistryError> {
        for delay in LISTING_DELAYS {
            tokio::time::sleep(self.patience * delay).await;
            let list = match self.native_referrers(repository, subject, Access::Push).await {
                Ok(Some(list)) => list,
                Ok(None) => return Ok(None),
                // It has a list, longer than we read. Whoever may push can make it so, and must not keep an image
                // from being signed by it: the manifest was taken, and names its subject.
                Err(RegistryError::TooMany { .. }) => return Ok(Some(true)),
                Err(error) => return Err(error),
            };
            if list.iter().any(|listed| listed.digest == *referrer) {
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
    }

    /// Adds a referrer to the index under the referrers tag, and reads back that it is there. Others write the
    /// same tag, and registries let the last writer win.
    async fn list_under_tag(
        &self,
        repository: &Repository,
        subject: &Digest,
        referrer: &Descriptor,
        history: TagHistory,
        pushed: &mut Vec<Digest>,
    ) -> Result<(), RegistryError> {
        let tag = Tag::referrers(subject);
        let unusable = |source| match source {
            // It is an index of referrers, and full.
            ManifestError::TooLarge | ManifestError::TooMany { .. } => {
                self.unusable(repository, format!("tag {tag}"), source)
            }
            other => self.no_index(repository, subject, &other),
        };
        let read = async || {
            let raw = self.raw_by_signature_tag(repository, subject, &tag, Access::Push, history).await?;
            if let Some(raw) = &raw {
                self.check_referrers_tag(repository, subject, &raw.digest)?;
            }
            Ok::<_, RegistryError>(raw)
        };
        let mut conditional = true;
        // One round more than writes: the last only reads back.
        for round in 0..=ROUNDS {
            let mut current = read().await?;
            let merged = |current: &Option<RawManifest>| {
                referrers_index_with(current.as_ref().map(|current| &current.bytes[..]), referrer).map_err(unusable)
            };
            let mut index = merged(&current)?;
            // What was just written may not be seen at once; without this a stale read would be merged and
            // written over somebody's newer one.
            if index.is_some() && round > 0 {
                self.pause(round).await;
                current = read().await?;
                index = merged(&current)?;
            }
            let Some(index) = index else { return Ok(()) };
            if round == ROUNDS {
                break;
            }
            if index.len() > MANIFEST_MAX_BYTES {
                return Err(unusable(ManifestError::TooLarge));
            }
            let unchanged = current.and_then(|current| current.entity_tag).filter(|_| conditional);
            if self.put_tag(repository, &tag, media_type::IMAGE_INDEX, &index, unchanged).await? {
                pushed.push(Digest::of(&index));
            } else {
                // Lost a race, or met a proxy whose entity tags match nothing: next time without.
                conditional = false;
            }
        }
        Err(RegistryError::Contended { name: self.name(repository), tag: tag.to_string(), rounds: ROUNDS })
    }

    /// Waits a while that grows with the round, and differs between writers that collided.
    pub(super) async fn pause(&self, round: u32) {
        let longest = self.patience / 4 * 2u32.saturating_pow(round.min(ROUNDS));
        // Without randomness the wait is only less fair.
        let share = getrandom::u32().unwrap_or(u32::MAX) >> 16;
        let jitter = longest / 2 * share / (1 << 16);
        tokio::time::sleep(longest / 2 + jitter.max(Duration::from_millis(1))).await;
    }
}
