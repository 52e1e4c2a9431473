//! What a registry holds: manifests and the descriptors in them, read strictly.
//!
//! A manifest is signed by its digest, so two readers that understand the same bytes differently
//! are two images under one signature. Everything that could be read in two ways is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::{BlobDigest, Digest};

pub mod classify;
mod manifest;
pub mod media_type;
mod referrer;

pub use manifest::{MAX_ANNOTATIONS, MAX_CHILDREN, MAX_MANIFEST_BYTES, ManifestError};
pub use media_type::ACCEPT;
pub use referrer::{EMPTY_CONFIG, ReferrerList, parse_referrers, referrer_manifest, referrers_index_with};

/// Points at content: its type, size and digest. The order of the fields is go-containerregistry's.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor<D = Digest> {
    /// The type of the content.
    pub media_type: String,
    /// The size of the content in bytes.
    pub size: u64,
    /// The digest of the content.
    pub digest: D,
    /// Annotations, in the order of their keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// For the children of an index: what they run on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// For referrers: what kind of artifact it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

/// What an image runs on.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Platform {
    /// For example `amd64`; `unknown` for what is no image.
    #[serde(default, deserialize_with = "or_default")]
    pub architecture: String,
    /// For example `linux`; `unknown` for what is no image.
    #[serde(default, deserialize_with = "or_default")]
    pub os: String,
    /// For example `v7`.
    #[serde(default, deserialize_with = "none_if_empty", skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The version of the operating system, for Windows.
    #[serde(
        default,
        rename = "os.version",
        deserialize_with = "none_if_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
}

/// The two kinds of manifests.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ManifestKind {
    /// A config and layers; also every artifact that is packed as one.
    Image,
    /// A list of manifests.
    Index,
}

/// A manifest, parsed by [`Manifest::parse`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// Which of the two kinds it is.
    pub kind: ManifestKind,
    /// Its media type: what the body says, else the registry's header, else the shape.
    pub media_type: String,
    /// What kind of artifact it says that it is.
    pub artifact_type: Option<String>,
    /// The config of an image.
    pub config: Option<Descriptor<BlobDigest>>,
    /// The layers of an image.
    pub layers: Vec<Descriptor<BlobDigest>>,
    /// The children of an index.
    pub manifests: Vec<Descriptor>,
    /// What it refers to, if it is a referrer.
    pub subject: Option<Descriptor>,
    /// Annotations of the manifest itself.
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor of some content.
    pub fn of(media_type: &str, content: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            // Unwrap safety: no buffer is larger than 64 bits can say.
            size: u64::try_from(content.len()).unwrap_or(u64::MAX),
            digest: Digest::of(content),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }

    /// The three fields that a `subject` needs, without annotations, platform and artifact type.
    pub fn bare(&self) -> Self {
        Self {
            media_type: self.media_type.clone(),
            size: self.size,
            digest: self.digest,
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }
}

impl Descriptor<BlobDigest> {
    /// The same, if what it points to can be fetched and compared: by SHA-256.
    pub fn fetchable(&self) -> Option<Descriptor> {
        Some(Descriptor {
            media_type: self.media_type.clone(),
            size: self.size,
            digest: self.digest.sha256()?,
            annotations: self.annotations.clone(),
            platform: self.platform.clone(),
            artifact_type: self.artifact_type.clone(),
        })
    }
}

impl<D: std::fmt::Display> Descriptor<D> {
    /// JSON with Go's escapes, so that our bytes are those of cosign.
    pub(crate) fn to_go_json(&self) -> String {
        use crate::json::{go_string, write_object};
        let size = self.size.to_string();
        let media_type = go_string(&self.media_type);
        let digest = go_string(&self.digest.to_string());
        let annotations = annotations_json(&self.annotations);
        let platform = self.platform.as_ref().map(Platform::to_go_json);
        let artifact_type = self.artifact_type.as_deref().map(go_string);
        let mut fields = vec![("mediaType", media_type.as_str()), ("size", size.as_str()), ("digest", digest.as_str())];
        if !self.annotations.is_empty() {
            fields.push(("annotations", &annotations));
        }
        if let Some(platform) = &platform {
            fields.push(("platform", platform));
        }
        if let Some(artifact_type) = &artifact_type {
            fields.push(("artifactType", artifact_type));
        }
        write_object(fields)
    }
}

impl Platform {
    fn to_go_json(&self) -> String {
        use crate::json::{go_string, write_object};
        let architecture = go_string(&self.architecture);
        let os = go_string(&self.os);
        let os_version = self.os_version.as_deref().map(go_string);
        let variant = self.variant.as_deref().map(go_string);
        let mut fields = vec![("architecture", architecture.as_str()), ("os", os.as_str())];
        fields.extend(os_version.as_deref().map(|text| ("os.version", text)));
        fields.extend(variant.as_deref().map(|text| ("variant", text)));
        write_object(fields)
    }
}

impl Manifest {
    /// A descriptor of this manifest, whose bytes are given, as the referrers list of a registry
    /// must have it.
    // SPEC: "artifactType MUST be set to the artifactType value in the pushed manifest, if
    // present", else to the config's media type, and "all annotations […] MUST be copied"
    // (OCI distribution specification).
    pub fn referrer_descriptor(&self, bytes: &[u8]) -> Descriptor {
        let config_type = self.config.as_ref().map(|config| config.media_type.clone());
        Descriptor {
            annotations: self.annotations.clone(),
            artifact_type: self.artifact_type.clone().or(config_type),
            ..Descriptor::of(&self.media_type, bytes)
        }
    }
}

pub(crate) fn annotations_json(annotations: &BTreeMap<String, String>) -> String {
    let values: Vec<_> = annotations.iter().map(|(key, value)| (key.as_str(), crate::json::go_string(value))).collect();
    crate::json::write_object(values.iter().map(|(key, value)| (*key, value.as_str())))
}

/// Go writes an empty map or list as null.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn none_if_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests;
