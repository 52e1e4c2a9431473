//! The simple-signing image: made new, or the one that is there with a layer more.

use super::{LegacySignature, MAX_LAYERS};
use crate::digest::{BlobDigest, Digest};
use crate::json::{Json, ObjectWriter, append_to_array, go_string, write_array, write_object};
use crate::oci::{Descriptor, Manifest, ManifestError, ManifestKind, media_type};

/// The time that stands where cosign gives none.
const NO_TIME: &str = "\"0001-01-01T00:00:00Z\"";

/// A simple-signing image, ready to be pushed: payload and config as blobs, then the manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LegacyImage {
    /// The manifest's exact bytes.
    pub manifest: Vec<u8>,
    /// Its media type: that of the image which was there, else OCI's.
    pub media_type: String,
    /// The config's exact bytes.
    pub config: Vec<u8>,
    /// The new layer's content.
    pub payload: Vec<u8>,
    /// Whether there is anything to push: false if this very signature was there already.
    pub changed: bool,
}

/// Adds a signature to the simple-signing image of a digest, whose manifest and config are given
/// if there is one. Layers of others are kept byte for byte, and so is every field of the manifest
/// and config that does not have to change. A config that is lost, not the manifest's own, or no
/// image's is made again from the layers.
pub fn legacy_image(
    existing: Option<&[u8]>,
    existing_config: Option<&[u8]>,
    signature: &LegacySignature,
) -> Result<LegacyImage, ManifestError> {
    let layer = signature.layer();
    let Some(existing) = existing else {
        return Ok(first(&layer, signature));
    };
    let manifest = Manifest::parse(existing, None)?;
    if manifest.kind != ManifestKind::Image {
        let found = manifest.media_type;
        return Err(ManifestError::Occupied { expected: "an image of signatures", found });
    }
    // A copy that lacks our proof (the same key signed elsewhere without a log, or somebody stripped it) is not ours:
    // ours goes beside it, and readers take whichever layer verifies.
    let ours = |other: &Descriptor<BlobDigest>| {
        other.digest == layer.digest
            && layer.annotations.iter().all(|(name, value)| other.annotations.get(name) == Some(value))
    };
    let mut config = existing_config;
    // A config that is not the manifest's own says nothing about it.
    if let (Some(bytes), Some(descriptor)) = (config, &manifest.config)
        && descriptor.digest != Digest::of(bytes)
    {
        config = None;
    }
    if manifest.layers.iter().any(ours) {
        return Ok(LegacyImage {
            manifest: existing.to_vec(),
            media_type: manifest.media_type,
            config: config.unwrap_or_default().to_vec(),
            payload: signature.payload.clone(),
            changed: false,
        });
    }
    if manifest.layers.len() >= MAX_LAYERS {
        return Err(ManifestError::TooMany { field: "layers", max: MAX_LAYERS });
    }
    let config = config.and_then(|config| extended_config(config, &layer.digest)).unwrap_or_else(|| {
        let layers = manifest.layers.iter().map(|layer| layer.digest.clone());
        new_config(layers.chain([layer.digest.into()]))
    });
    let config_type = manifest.config.as_ref().map_or(media_type::IMAGE_CONFIG, |config| &config.media_type);
    let config_descriptor = Descriptor::of(config_type, config.as_bytes()).to_go_json();
    let manifest_bytes = replaced(Json::parse(existing)?, |key, value| match key {
        "config" => Ok(Some(config_descriptor.clone())),
        "layers" => Ok(Some(append_to_array(value, &layer.to_go_json())?)),
        _ => Ok(None),
    })?;
    Ok(LegacyImage {
        manifest: manifest_bytes.into_bytes(),
        media_type: manifest.media_type,
        config: config.into_bytes(),
        payload: signature.payload.clone(),
        changed: true,
    })
}

fn first(layer: &Descriptor, signature: &LegacySignature) -> LegacyImage {
    let config = new_config([layer.digest.into()]);
    let config_descriptor = Descriptor::of(media_type::IMAGE_CONFIG, config.as_bytes());
    let manifest = write_object([
        ("schemaVersion", "2"),
        ("mediaType", &go_string(media_type::IMAGE_MANIFEST)),
        ("config", &config_descriptor.to_go_json()),
        ("layers", &write_array([layer.to_go_json().as_str()])),
    ]);
    LegacyImage {
        manifest: manifest.into_bytes(),
        media_type: media_type::IMAGE_MANIFEST.to_owned(),
        config: config.into_bytes(),
        payload: signature.payload.clone(),
        changed: true,
    }
}

/// The config of an image that is nothing but payloads: go-containerregistry's empty one, with a
/// history line and a diff id for each. A payload is not compressed, so its diff id is its digest.
fn new_config(layers: impl IntoIterator<Item = BlobDigest>) -> String {
    let diff_ids: Vec<_> = layers.into_iter().map(|digest| format!("\"{digest}\"")).collect();
    let history = vec![history_line(); diff_ids.len()];
    write_object([
        ("architecture", "\"\""),
        ("created", NO_TIME),
        ("history", &write_array(history.iter().map(String::as_str))),
        ("os", "\"\""),
        ("rootfs", &rootfs(diff_ids.iter().map(String::as_str))),
        ("config", "{}"),
    ])
}

fn history_line() -> String {
    write_object([("created", NO_TIME)])
}

fn rootfs<'a>(diff_ids: impl IntoIterator<Item = &'a str>) -> String {
    write_object([("type", "\"layers\""), ("diff_ids", &write_array(diff_ids))])
}

/// The config with one diff id and one line of history more; `None` if it is not the config of an
/// image, in which case it tells nobody anything and need not be kept.
fn extended_config(config: &[u8], layer: &Digest) -> Option<String> {
    let parsed = Json::parse(config).ok()?;
    if !parsed.get("rootfs")?.get("diff_ids")?.is_array() {
        return None;
    }
    let diff_id = go_string(&layer.to_string());
    replaced(parsed, |key, value| match key {
        "history" => Ok(Some(append_to_array(value, &history_line())?)),
        "rootfs" => replaced(value, |key, value| match key {
            "diff_ids" => Ok(Some(append_to_array(value, &diff_id)?)),
            _ => Ok(None),
        })
        .map(Some),
        _ => Ok(None),
    })
    .ok()
}

/// An object with some of its values replaced and the others as they were.
fn replaced(
    object: Json<'_>,
    mut replacement: impl FnMut(&str, Json<'_>) -> Result<Option<String>, ManifestError>,
) -> Result<String, ManifestError> {
    let mut written = ObjectWriter::new();
    object.for_each_field(|key, value| {
        match replacement(&key, value)? {
            Some(other) => written.field(&key, &other),
            None => written.field(&key, value.as_str()),
        }
        Ok::<_, ManifestError>(())
    })?;
    Ok(written.end())
}
