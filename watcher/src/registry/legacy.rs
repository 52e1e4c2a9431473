//! Legacy signatures: the image under `sha256-<hex>.sig`, read and added to.

use std::collections::BTreeMap;

use bundle::legacy::{LegacyImage, LegacySignature, layers, legacy_image};
use bundle::oci::{Manifest, ManifestError, ManifestKind, media_type};
use bundle::{Digest, Repository, Tag};
use bytes::Bytes;

use super::attach::{Attached, ROUNDS};
use super::call::Access;
use super::look::{Look, Reading, TagHistory};
use super::manifests::RawManifest;
use super::{MANIFEST_MAX_BYTES, MAX_BUNDLES, PAYLOAD_MAX_BYTES, PAYLOADS_MAX_BYTES, Registry, RegistryError};

impl Registry {
    /// The legacy signatures of a digest.
    ///
    /// # Errors
    /// A tag or payload that could not be read, or a tag that something else holds.
    pub async fn legacy_signatures(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<LegacySignature>, RegistryError> {
        self.look_for_legacy(repository, digest, Reading::ForSigning(TagHistory::Unknown)).await?.complete()
    }

    /// Looks for the legacy signatures of a digest. Layers that are none are passed over.
    ///
    /// # Errors
    /// What could not be read, as far as `reading` does not allow to go on without it.
    pub async fn look_for_legacy(
        &self,
        repository: &Repository,
        digest: &Digest,
        reading: Reading,
    ) -> Result<Look<LegacySignature>, RegistryError> {
        let mut look = Look::empty();
        let outcome = self.read_legacy(repository, digest, reading, &mut look).await;
        match (outcome, reading) {
            (Err(error), Reading::ForVerifying) => look.unread.push(error),
            (Err(error), Reading::ForSigning(_)) => return Err(error),
            (Ok(()), _) => {}
        }
        Ok(look)
    }

    async fn read_legacy(
        &self,
        repository: &Repository,
        digest: &Digest,
        reading: Reading,
        look: &mut Look<LegacySignature>,
    ) -> Result<(), RegistryError> {
        let tag = Tag::legacy_signature(digest);
        let image = match self.raw_by_signature_tag(repository, digest, &tag, Access::Pull, reading.history()).await {
            Ok(None) => return Ok(()),
            Ok(Some(raw)) => self.signature_image(repository, digest, &tag, &raw),
            Err(error) => Err(error),
        };
        let image = match image {
            Ok(image) => image,
            Err(error) => return look.note(error, reading),
        };
        // Signatures of one identity share one payload: each is read once.
        let mut payloads: BTreeMap<Digest, Option<Bytes>> = BTreeMap::new();
        let too_many = |limit, noun| RegistryError::TooMany {
            name: self.name(repository),
            what: format!("tag {tag}"),
            limit,
            noun,
        };
        let mut bytes = 0;
        for layer in layers(&image) {
            let payload = match payloads.get(&layer.digest) {
                Some(known) => known.clone(),
                None if payloads.len() == MAX_BUNDLES => return Err(too_many(MAX_BUNDLES, "payloads")),
                None => {
                    let fetched = match self.blob(repository, &layer.digest, PAYLOAD_MAX_BYTES).await {
                        Ok(fetched) => fetched,
                        Err(error) if error.is_about_one_object() => None,
                        Err(error) => {
                            look.note(error, reading)?;
                            None
                        }
                    };
                    payloads.insert(layer.digest, fetched.clone());
                    fetched
                }
            };
            let Some(payload) = payload else { continue };
            bytes += payload.len();
            if bytes > PAYLOADS_MAX_BYTES {
                return Err(too_many(PAYLOADS_MAX_BYTES, "bytes of payloads"));
            }
            look.found.extend(LegacySignature::from_layer(&layer, payload.to_vec()).ok());
        }
        Ok(())
    }

    /// The image of signatures under a tag; an error where it is something else.
    fn signature_image(
        &self,
        repository: &Repository,
        subject: &Digest,
        tag: &Tag,
        raw: &RawManifest,
    ) -> Result<Manifest, RegistryError> {
        let occupied = |holder| self.occupied(repository, subject, tag, holder);
        let image = raw.parse().map_err(|error| occupied(format!("what is no image of signatures ({error})")))?;
        if image.kind != ManifestKind::Image {
            return Err(occupied(format!("a manifest of type {:?}", image.media_type)));
        }
        // An image that has layers and no signature is an image to run.
        if !image.layers.is_empty() && layers(&image).is_empty() {
            return Err(occupied("an image without any signature".to_owned()));
        }
        Ok(image)
    }

    /// Adds a signature to the legacy image of a digest, and reads back that it is there: the tag is read,
    /// changed and written, and registries let the last writer win.
    ///
    /// Safe to repeat: a signature that is there already is not added again. What is no image of signatures is never
    /// written over. A registry that refuses OCI's media types is given Docker's, which readers take as well.
    ///
    /// # Errors
    /// The registry could not be asked, refuses the push, or holds something else under the tag.
    pub async fn attach_legacy(
        &self,
        repository: &Repository,
        subject: &Digest,
        signature: &LegacySignature,
        history: TagHistory,
    ) -> Result<Attached, RegistryError> {
        self.require_subject(repository, subject).await?;
        let tag = Tag::legacy_signature(subject);
        let read = async || {
            let raw = self.raw_by_signature_tag(repository, subject, &tag, Access::Push, history).await?;
            if let Some(raw) = &raw {
                self.signature_image(repository, subject, &tag, raw)?;
            }
            Ok::<_, RegistryError>(raw)
        };
        let unusable = |source| self.unusable(repository, format!("tag {tag}"), source);
        let mut pushed: Vec<Digest> = Vec::new();
        let mut conditional = true;
        let mut oci_refused: Option<RegistryError> = None;
        // One round more than writes: the last only reads back.
        for round in 0..=ROUNDS {
            let mut current = read().await?;
            // What was just written may not be seen at once; without this a stale read would be merged and
            // written over somebody's newer one.
            if round > 0 && !holds(&current, signature) {
                self.pause(round).await;
                current = read().await?;
            }
            if let Some(current) = current.as_ref().filter(|_| holds(&current, signature)) {
                return Ok(Attached { manifest_digest: current.digest, fallback_tag_written: false, pushed });
            }
            if round == ROUNDS {
                break;
            }
            let config = match &current {
                Some(current) => self.config_of(repository, &current.bytes).await?,
                None => None,
            };
            let is_first = current.is_none();
            let existing = current.as_ref().map(|current| &current.bytes[..]);
            let mut image = legacy_image(existing, config.as_deref(), signature).map_err(unusable)?;
            if is_first && oci_refused.is_some() {
                image = in_docker_types(image);
            }
            if image.manifest.len() > MANIFEST_MAX_BYTES {
                return Err(unusable(ManifestError::TooLarge));
            }
            self.push_blob(repository, &image.payload).await?;
            self.push_blob(repository, &image.config).await?;
            let unchanged = current.and_then(|current| current.entity_tag).filter(|_| conditional);
            match self.put_tag(repository, &tag, &image.media_type, &image.manifest, unchanged).await {
                Ok(true) => pushed.push(Digest::of(&image.manifest)),
                // Lost a race, or met a proxy whose entity tags match nothing: next time without.
                Ok(false) => conditional = false,
                Err(error) if is_first && oci_refused.is_none() && error.is_about_media_types() => {
                    oci_refused = Some(error);
                }
                // It is not about the types; what was said first says more.
                Err(error) if error.is_about_media_types() => return Err(oci_refused.unwrap_or(error)),
                Err(error) => return Err(error),
            }
        }
        Err(RegistryError::Contended { name: self.name(repository), tag: tag.to_string(), rounds: ROUNDS })
    }

    /// The config of the image that is there. One that is gone or too large is made again.
    async fn config_of(&self, repository: &Repository, manifest: &[u8]) -> Result<Option<Bytes>, RegistryError> {
        let Some(config) = Manifest::parse(manifest, None).ok().and_then(|manifest| manifest.config) else {
            return Ok(None);
        };
        // By another algorithm it is nothing that we wrote, and cannot be compared.
        let Some(digest) = config.digest.sha256() else { return Ok(None) };
        match self.blob(repository, &digest, MANIFEST_MAX_BYTES).await {
            Ok(content) => Ok(content),
            Err(error) if error.is_about_one_object() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether this very signature is a layer of the image.
fn holds(current: &Option<RawManifest>, signature: &LegacySignature) -> bool {
    let Some(current) = current else { return false };
    legacy_image(Some(&current.bytes), None, signature).is_ok_and(|image| !image.changed)
}

/// The config type of Docker's images.
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// A new image of signatures with Docker's media types, as cosign writes it under COSIGN_DOCKER_MEDIA_TYPES. The layer
/// keeps its own type, by which readers find it.
fn in_docker_types(image: LegacyImage) -> LegacyImage {
    let quoted = |media_type: &str| format!("\"{media_type}\"");
    let Ok(manifest) = String::from_utf8(image.manifest.clone()) else { return image };
    // In our own bytes these two stand before everything that is not ours to choose.
    let manifest = manifest
        .replacen(&quoted(media_type::IMAGE_MANIFEST), &quoted(media_type::DOCKER_MANIFEST), 1)
        .replacen(&quoted(media_type::IMAGE_CONFIG), &quoted(DOCKER_CONFIG), 1);
    LegacyImage { manifest: manifest.into_bytes(), media_type: media_type::DOCKER_MANIFEST.to_owned(), ..image }
}
