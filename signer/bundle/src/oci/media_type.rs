//! The media types that we write, ask for, or recognise.

/// An OCI image manifest: images, and artifacts packed as one.
pub const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image index.
pub const IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's manifest list.
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's schema 1, whose digest leaves out a part of the bytes.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// The same with signatures of its own.
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// The config of an OCI image; legacy signature images have it as well.
pub const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The config of artifacts that have none: `{}`.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// A Sigstore bundle, version 0.3.
pub const SIGSTORE_BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The layer of a legacy signature: a simple-signing payload.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// What cosign's experimental referrers of legacy signatures call themselves.
pub const COSIGN_SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

/// What to send as `Accept` when asking for a manifest: all four types, or a registry may convert
/// what it holds and answer with another digest.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// Whether content of this type is a manifest: something that can be fetched and signed by digest.
pub fn is_manifest(media_type: &str) -> bool {
    is_image(media_type) || is_index(media_type)
}

/// Whether this is the type of a manifest with layers.
pub fn is_image(media_type: &str) -> bool {
    matches!(media_type, IMAGE_MANIFEST | DOCKER_MANIFEST)
}

/// Whether this is the type of a list of manifests.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, IMAGE_INDEX | DOCKER_MANIFEST_LIST)
}

/// Whether this is Docker's schema 1, which is never signed.
pub fn is_schema1(media_type: &str) -> bool {
    matches!(media_type, DOCKER_SCHEMA1 | DOCKER_SCHEMA1_SIGNED)
}

/// Whether this is a Sigstore bundle of any version.
pub fn is_sigstore_bundle(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.dev.sigstore.bundle")
}

/// The media type of a `Content-Type` header: without parameters, in lowercase.
pub fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_manifest_types_are_asked_for() {
        let asked: Vec<_> = ACCEPT.split(", ").collect();
        assert_eq!(asked.len(), 4);
        assert!(asked.into_iter().all(is_manifest));
        assert!(!is_manifest(DOCKER_SCHEMA1));
    }

    #[test]
    fn a_content_type_loses_its_parameters() {
        assert_eq!(essence(" Application/JSON ; charset=utf-8"), "application/json");
        assert_eq!(essence(""), "");
    }
}
