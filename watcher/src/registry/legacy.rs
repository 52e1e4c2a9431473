//! Legacy signatures: the image under `sha256-<hex>.sig`, read and added to.

use std::collections::BTreeMap;

use bundle::legacy::{LegacySignature, layers, legacy_image};
use bundle::oci::{Manifest, ManifestError};
use bundle::{Digest, Repository, Tag};
use bytes::Bytes;

use super::attach::{Attached, ROUNDS};
use super::call::Access;
use super::manifests::RawManifest;
use super::{MANIFEST_MAX_BYTES, MAX_BUNDLES, PAYLOAD_MAX_BYTES, PAYLOADS_MAX_BYTES, Registry, RegistryError};

impl Registry {
    /// The legacy signatures of a digest. Layers that cannot be read are passed over; what could not be asked for
    /// is an error.
    pub async fn legacy_signatures(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<LegacySignature>, RegistryError> {
        let tag = Tag::legacy_signature(digest);
        let Some(image) = self.manifest_by_tag(repository, &tag).await? else { return Ok(Vec::new()) };
        // Signatures of one identity share one payload: each is read once.
        let mut payloads: BTreeMap<Digest, Option<Bytes>> = BTreeMap::new();
        let mut signatures = Vec::new();
        let too_many = |limit, noun| RegistryError::TooMany {
            name: self.name(repository),
            what: format!("tag {tag}"),
            limit,
            noun,
        };
        let mut bytes = 0;
        for layer in layers(&image.manifest) {
            let payload = match payloads.get(&layer.digest) {
                Some(known) => known.clone(),
                None if payloads.len() == MAX_BUNDLES => return Err(too_many(MAX_BUNDLES, "payloads")),
                None => {
                    let fetched = match self.blob(repository, &layer.digest, PAYLOAD_MAX_BYTES).await {
                        Ok(fetched) => fetched,
                        Err(error) if error.is_about_one_object() => None,
                        Err(error) => return Err(error),
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
            signatures.extend(LegacySignature::from_layer(&layer, payload.to_vec()).ok());
        }
        Ok(signatures)
    }

    /// Adds a signature to the legacy image of a digest, and reads back that it is there: the tag is read,
    /// changed and written, and registries let the last writer win.
    ///
    /// Safe to repeat: a signature that is there already is not added again.
    pub async fn attach_legacy(
        &self,
        repository: &Repository,
        subject: &Digest,
        signature: &LegacySignature,
    ) -> Result<Attached, RegistryError> {
        self.require_subject(repository, subject).await?;
        let tag = Tag::legacy_signature(subject);
        let unusable = |source| self.unusable(repository, format!("tag {tag}"), source);
        let mut pushed: Vec<Digest> = Vec::new();
        let mut conditional = true;
        // One round more than writes: the last only reads back.
        for round in 0..=ROUNDS {
            let mut current = self.raw_by_tag(repository, &tag, Access::Push).await?;
            // What was just written may not be seen at once; without this a stale read would be merged and
            // written over somebody's newer one.
            if round > 0 && !holds(&current, signature) {
                self.pause(round).await;
                current = self.raw_by_tag(repository, &tag, Access::Push).await?;
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
            let existing = current.as_ref().map(|current| &current.bytes[..]);
            let image = legacy_image(existing, config.as_deref(), signature).map_err(unusable)?;
            if image.manifest.len() > MANIFEST_MAX_BYTES {
                return Err(unusable(ManifestError::TooLarge));
            }
            self.push_blob(repository, &image.payload).await?;
            self.push_blob(repository, &image.config).await?;
            let unchanged = current.and_then(|current| current.entity_tag).filter(|_| conditional);
            if self.put_tag(repository, &tag, &image.media_type, &image.manifest, unchanged).await? {
                pushed.push(Digest::of(&image.manifest));
            } else {
                // Lost a race, or met a proxy whose entity tags match nothing: next time without.
                conditional = false;
            }
        }
        Err(RegistryError::Contended { name: self.name(repository), tag: tag.to_string(), rounds: ROUNDS })
    }

    /// The config of the image that is there. One that is gone or too large is made anew.
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
