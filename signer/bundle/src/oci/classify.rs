//! What a manifest is, where it is not something to sign: signatures, attestations, referrers,
//! build caches. Signing those would have us sign our own signatures for ever.
//!
//! Pure functions on manifests and descriptors. Everything that none of them names (images,
//! indexes, charts, modules, any other artifact) is signed.

use super::{Descriptor, Manifest, ManifestKind, media_type};

/// Why a manifest is not signed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NotSigned {
    /// A signature, or another claim about an image.
    SignatureArtifact,
    /// A claim about a build: an in-toto attestation, alone or as the child of an index.
    AttestationArtifact,
    /// A bill of materials.
    SbomArtifact,
    /// It refers to another manifest.
    Referrer,
    /// A cache of BuildKit: its children are no manifests.
    BuildCache,
    /// Docker's schema 1, whose digest does not cover its bytes.
    UnsupportedSchema1,
}

impl NotSigned {
    /// The reason's code in the store, in metrics and in `explain`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::SignatureArtifact => "signature_artifact",
            Self::AttestationArtifact => "attestation_artifact",
            Self::SbomArtifact => "sbom_artifact",
            Self::Referrer => "referrer",
            Self::BuildCache => "build_cache",
            Self::UnsupportedSchema1 => "unsupported_schema1",
        }
    }
}

const BUILDKIT_CACHE: &str = "application/vnd.buildkit.cacheconfig.v0";

/// What a type of content says about the artifact that has it.
pub fn of_type(media_type: &str) -> Option<NotSigned> {
    if media_type::is_sigstore_bundle(media_type) {
        return Some(NotSigned::SignatureArtifact);
    }
    match media_type {
        media_type::SIMPLE_SIGNING | media_type::COSIGN_SIGNATURE | "application/vnd.cncf.notary.signature" => {
            Some(NotSigned::SignatureArtifact)
        }
        "application/vnd.dev.cosign.artifact.att.v1+json"
        | "application/vnd.in-toto+json"
        | "application/vnd.dsse.envelope.v1+json"
        | "application/vnd.docker.attestation.manifest.v1+json" => Some(NotSigned::AttestationArtifact),
        "application/vnd.dev.cosign.artifact.sbom.v1+json"
        | "application/vnd.goharbor.harbor.sbom.v1"
        | "application/spdx+json"
        | "application/vnd.cyclonedx"
        | "application/vnd.cyclonedx+json"
        | "application/vnd.cyclonedx+xml"
        | "application/vnd.syft+json"
        | "text/spdx"
        | "text/spdx+json"
        | "text/spdx+xml" => Some(NotSigned::SbomArtifact),
        BUILDKIT_CACHE => Some(NotSigned::BuildCache),
        _ => None,
    }
}

/// Why this manifest is not signed; `None` if it is. Referrers first: whoever signs referrers by
/// configuration asks [`artifact`] alone.
pub fn manifest(manifest: &Manifest) -> Option<NotSigned> {
    referrer(manifest).or_else(|| artifact(manifest))
}

/// Whether the manifest refers to another one.
pub fn referrer(manifest: &Manifest) -> Option<NotSigned> {
    manifest.subject.as_ref().map(|_| NotSigned::Referrer)
}

/// Whether the manifest is a signature, an attestation, a bill of materials, or a build cache.
pub fn artifact(manifest: &Manifest) -> Option<NotSigned> {
    match manifest.kind {
        ManifestKind::Image => image(manifest),
        ManifestKind::Index => index(manifest),
    }
}

fn image(manifest: &Manifest) -> Option<NotSigned> {
    let named = manifest.artifact_type.as_deref().and_then(of_type);
    let config = || manifest.config.as_ref().and_then(|config| of_type(&config.media_type));
    // Legacy signatures have the config of an ordinary image: only their layers tell. An image
    // without layers is an image.
    let layers = || all_of(manifest.layers.iter().map(|layer| of_type(&layer.media_type)));
    named.or_else(config).or_else(layers)
}

fn index(manifest: &Manifest) -> Option<NotSigned> {
    if let Some(named) = manifest.artifact_type.as_deref().and_then(of_type) {
        return Some(named);
    }
    // A cache index lists layers, which are blobs. To sign its children would be to look for
    // manifests that do not exist.
    if manifest.manifests.iter().any(|child| child.media_type == BUILDKIT_CACHE)
        || (!manifest.manifests.is_empty()
            && manifest.manifests.iter().all(|child| !media_type::is_manifest(&child.media_type)))
    {
        return Some(NotSigned::BuildCache);
    }
    all_of(manifest.manifests.iter().map(child))
}

/// The first reason, if there is one for each; never for none.
fn all_of(reasons: impl Iterator<Item = Option<NotSigned>>) -> Option<NotSigned> {
    let reasons: Option<Vec<_>> = reasons.collect();
    reasons?.into_iter().next()
}

/// Why a child of an index is not signed by itself; `None` if it may be.
pub fn child(descriptor: &Descriptor) -> Option<NotSigned> {
    if is_build_attestation(descriptor) {
        return Some(NotSigned::AttestationArtifact);
    }
    descriptor.artifact_type.as_deref().and_then(of_type).or_else(|| of_type(&descriptor.media_type))
}

/// Whether this child of an index is an attestation that BuildKit put beside the images.
pub fn is_build_attestation(descriptor: &Descriptor) -> bool {
    descriptor.annotations.contains_key("vnd.docker.reference.type")
        || descriptor.platform.as_ref().is_some_and(|p| p.architecture == "unknown" && p.os == "unknown")
}

/// The children of an index that are signed where each platform is.
pub fn signable_children(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    manifest
        .manifests
        .iter()
        .filter(|descriptor| media_type::is_manifest(&descriptor.media_type) && child(descriptor).is_none())
}

#[cfg(test)]
mod tests;
