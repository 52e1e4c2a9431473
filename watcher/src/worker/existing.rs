//! What is attached to a digest already, and which of it is a signature of ours.
//!
//! "Already signed" means a signature that verifies with this identity's key and against its trust root, the log
//! included. Anything else on the image, however much it looks like a signature, counts for nothing.

use bundle::legacy::LegacySignature;
use bundle::oci::classify;
use bundle::sigstore_bundle::Bundle;
use bundle::verify::{verify_bundle, verify_legacy};
use bundle::{Digest, Format, ImageReference, LogEntry, PublicKey, Tag, simple_signing};
use signer::Services;
use store::Store;
use tokio::sync::OnceCell;

use crate::error::WorkError;
use crate::met::{self, entries_of, promised_entry};
use crate::registry::{Look, Reading, Registry, RegistryError, TagHistory};

/// What the registry holds for one digest, each asked for at most once.
#[derive(Default)]
pub(super) struct Existing {
    bundles: OnceCell<Option<Look<Vec<u8>>>>,
    legacy: OnceCell<Option<Look<LegacySignature>>>,
}

/// Whose signature is looked for, and what it must prove.
pub(super) struct Wanted<'w> {
    pub(super) image: &'w ImageReference,
    pub(super) format: Format,
    pub(super) key: &'w PublicKey,
    pub(super) services: &'w Services,
}

/// A signature on the image that verifies.
#[derive(Debug)]
pub(super) struct Found {
    /// The signature's bytes, with low s.
    pub(super) signature: Vec<u8>,
    /// The digest of the bundle's bytes, where it is one.
    bundle: Option<Digest>,
}

/// What a look at the image said.
#[derive(Debug)]
pub(super) enum Seen {
    /// These verify; maybe none.
    Signatures(Vec<Found>),
    /// So much is attached that not all of it was read.
    TooMuch,
}

impl Existing {
    /// The valid signatures of the wanted identity. "Could not ask" is an error and never a "none"; so is a place that
    /// something else holds, since nothing can be attached there.
    ///
    /// What trusted logs have signed of what is there goes into the store, once for each look: a monitor holds it against
    /// the trees that it follows.
    pub(super) async fn find(
        &self,
        registry: &Registry,
        wanted: &Wanted<'_>,
        store: &dyn Store,
    ) -> Result<Seen, WorkError> {
        let (repository, digest) = (&wanted.image.name.repository, &wanted.image.digest);
        let (found, occupied) = match wanted.format {
            Format::Bundle => {
                let read = async || {
                    let mut history = TagHistory::Unknown;
                    let mut asked = registry.look_for_bundles(repository, digest, Reading::ForSigning(history)).await;
                    if let Err(error) = &asked
                        && learn_history(store, wanted.image, Format::Bundle, error, &mut history).await?
                    {
                        asked = registry.look_for_bundles(repository, digest, Reading::ForSigning(history)).await;
                    }
                    let look = unless_too_many(asked)?;
                    let bundles = look.iter().flat_map(|look| &look.found);
                    wanted.observe(store, bundles.flat_map(|json| entries_of(json))).await?;
                    Ok::<_, WorkError>(look)
                };
                let Some(look) = self.bundles.get_or_try_init(read).await? else { return Ok(Seen::TooMuch) };
                (look.found.iter().filter_map(|bundle| wanted.bundle(bundle)).collect(), look.occupied())
            }
            Format::Legacy => {
                let read = async || {
                    let mut history = TagHistory::Unknown;
                    let mut asked = registry.look_for_legacy(repository, digest, Reading::ForSigning(history)).await;
                    if let Err(error) = &asked
                        && learn_history(store, wanted.image, Format::Legacy, error, &mut history).await?
                    {
                        asked = registry.look_for_legacy(repository, digest, Reading::ForSigning(history)).await;
                    }
                    let look = unless_too_many(asked)?;
                    let signatures = look.iter().flat_map(|look| &look.found);
                    wanted.observe(store, signatures.filter_map(promised_entry)).await?;
                    Ok::<_, WorkError>(look)
                };
                let Some(look) = self.legacy.get_or_try_init(read).await? else { return Ok(Seen::TooMuch) };
                (
                    look.found.iter().filter_map(|signature| wanted.legacy(signature)).collect::<Vec<_>>(),
                    look.occupied(),
                )
            }
        };
        match occupied {
            Some(occupied) if found.is_empty() => Err(RegistryError::from(occupied.clone()).into()),
            _ => Ok(Seen::Signatures(found)),
        }
    }
}

/// Learns from the ledger whether a tag of an image's signatures was ever written, where a registry refuses to say what
/// is there. Answers whether to ask again with that knowledge: some registries say 403 for a tag that is absent.
pub(super) async fn learn_history(
    store: &dyn Store,
    image: &ImageReference,
    format: Format,
    error: &RegistryError,
    history: &mut TagHistory,
) -> Result<bool, WorkError> {
    if !error.may_mean_absent() || *history == TagHistory::NeverWritten {
        return Ok(false);
    }
    let rows = store.ledger_for(image).await?;
    if rows.iter().any(|row| row.format == format && row.attached_at.is_some()) {
        return Ok(false);
    }
    *history = TagHistory::NeverWritten;
    Ok(true)
}

/// Anybody who may push can attach more than is read. That must not keep the image unsigned, so it is no failure.
fn unless_too_many<T>(read: Result<T, RegistryError>) -> Result<Option<T>, WorkError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error @ RegistryError::TooMany { .. }) => {
            tracing::warn!(%error, "not everything that is attached to an image was looked at");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

impl Wanted<'_> {
    /// Stores the entries that a trusted log vouches for. Anybody can attach anything else.
    async fn observe(
        &self,
        store: &dyn Store,
        entries: impl Iterator<Item = LogEntry> + Send,
    ) -> Result<(), WorkError> {
        met::record(store, "worker", &self.image.to_string(), &self.services.trust, entries).await?;
        Ok(())
    }

    fn bundle(&self, json: &[u8]) -> Option<Found> {
        let bundle = Bundle::parse(json).ok()?;
        let (digest, trust) = (&self.image.digest, &self.services.trust);
        verify_bundle(&bundle, digest, self.key, trust, &self.services.sufficient(self.format)).ok()?;
        let signature = self.key.low_s(bundle.content.signature()?).ok()?;
        Some(Found { signature, bundle: Some(Digest::of(json)) })
    }

    fn legacy(&self, signature: &LegacySignature) -> Option<Found> {
        let (digest, trust) = (&self.image.digest, &self.services.trust);
        verify_legacy(signature, digest, self.key, trust, &self.services.sufficient(self.format)).ok()?;
        // A signature that was copied from another repository names that one, and readers who compare refuse it.
        let claimed = simple_signing::parse(&signature.payload).ok()?.docker_reference;
        let ours = self.image.name.docker_reference();
        let with_tag = claimed.strip_prefix(&ours).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']));
        if !with_tag {
            return None;
        }
        Some(Found { signature: self.key.low_s(&signature.signature().ok()?).ok()?, bundle: None })
    }
}

/// The manifest that carries a signature that was found.
pub(super) async fn carrier(
    registry: &Registry,
    image: &ImageReference,
    found: &Found,
) -> Result<Option<Digest>, RegistryError> {
    let repository = &image.name.repository;
    let Some(bundle) = &found.bundle else {
        let tag = Tag::legacy_signature(&image.digest);
        return Ok(registry.manifest_by_tag(repository, &tag).await?.map(|fetched| fetched.descriptor.digest));
    };
    for referrer in registry.referrers(repository, &image.digest).await?.manifests {
        let fetched = match registry.manifest(repository, &referrer.digest).await {
            Ok(Some(fetched)) => fetched,
            // Junk, or gone again. Anything else is "could not ask".
            Ok(None) | Err(RegistryError::Manifest { .. }) => continue,
            Err(error) => return Err(error),
        };
        let carries = fetched.manifest.layers.iter().any(|layer| layer.digest == *bundle);
        if carries && classify::referrer(&fetched.manifest).is_some() {
            return Ok(Some(referrer.digest));
        }
    }
    Ok(None)
}
