//! A bundle as a referrer, and the index that lists referrers where a registry has no API for it.

use super::manifest::Annotations;
use super::{Descriptor, MAX_CHILDREN, Manifest, ManifestError, manifest, media_type};
use crate::json::{Json, ObjectWriter, append_to_array, go_string, write_array, write_object};
use crate::statement::SIGN_PREDICATE_TYPE;

/// The config blob of an artifact that has none.
pub const EMPTY_CONFIG: &[u8] = b"{}";

/// What a referrers list holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReferrerList {
    /// The referrers, as far as their descriptors can be read, without annotations and platforms. What they say of
    /// their own kind is often wrong: open each before believing it.
    pub manifests: Vec<Descriptor>,
    /// How many descriptors could not be read: other digest algorithms, or junk. They cannot be
    /// ours, and they must not hide ours.
    pub unreadable: usize,
}

/// The manifest that attaches a bundle to its subject, byte for byte as cosign 3 writes it.
/// `created` is RFC 3339 in UTC.
pub fn referrer_manifest(subject: &Descriptor, bundle: &[u8], created: &str) -> Vec<u8> {
    // The artifact type within the config is a quirk of cosign; harmless, and part of the bytes.
    let config = Descriptor {
        artifact_type: Some(media_type::SIGSTORE_BUNDLE.to_owned()),
        ..Descriptor::of(media_type::EMPTY, EMPTY_CONFIG)
    };
    let layer = Descriptor::of(media_type::SIGSTORE_BUNDLE, bundle).to_go_json();
    let created = go_string(created);
    let predicate_type = go_string(SIGN_PREDICATE_TYPE);
    let annotations = write_object([
        ("dev.sigstore.bundle.content", "\"dsse-envelope\""),
        ("dev.sigstore.bundle.predicateType", &predicate_type),
        ("org.opencontainers.image.created", &created),
    ]);
    write_object([
        ("schemaVersion", "2"),
        ("mediaType", &go_string(media_type::IMAGE_MANIFEST)),
        ("config", &config.to_go_json()),
        ("layers", &write_array([layer.as_str()])),
        ("annotations", &annotations),
        ("subject", &subject.bare().to_go_json()),
        ("artifactType", &go_string(media_type::SIGSTORE_BUNDLE)),
    ])
    .into_bytes()
}

/// Reads a referrers list: the API's answer, or the index under the referrers tag. Lenient about
/// single descriptors, which anybody may have put there; strict about the list itself.
pub fn parse_referrers(bytes: &[u8]) -> Result<ReferrerList, ManifestError> {
    let mut list = ReferrerList::default();
    let index = Json::parse(checked_size(bytes)?)?;
    if let Some(items) = list_of(index)? {
        items.for_each_item(|item| {
            match manifest::descriptor(item, "manifests", Annotations::LeaveOut) {
                Ok(descriptor) => list.manifests.push(descriptor),
                Err(_) => list.unreadable += 1,
            }
            Ok::<_, ManifestError>(())
        })?;
    }
    Ok(list)
}

/// The referrers index with one more referrer in it; `None` if it is there already. What others
/// wrote is kept byte for byte.
pub fn referrers_index_with(existing: Option<&[u8]>, referrer: &Descriptor) -> Result<Option<Vec<u8>>, ManifestError> {
    let added = referrer.to_go_json();
    let Some(existing) = existing else {
        let index = write_object([
            ("schemaVersion", "2"),
            ("mediaType", &go_string(media_type::IMAGE_INDEX)),
            ("manifests", &write_array([added.as_str()])),
        ]);
        return Ok(Some(index.into_bytes()));
    };
    let digest = referrer.digest.to_string();
    let index = Json::parse(checked_size(existing)?)?;
    let (mut count, mut present) = (0, false);
    if let Some(items) = list_of(index)? {
        items.for_each_item(|item| {
            count += 1;
            present |= item.get("digest").and_then(Json::text).is_some_and(|found| *found == *digest);
            Ok::<_, ManifestError>(())
        })?;
    }
    if present {
        return Ok(None);
    }
    if count >= MAX_CHILDREN {
        return Err(ManifestError::TooMany { field: "manifests", max: MAX_CHILDREN });
    }
    let mut listed = false;
    let mut written = ObjectWriter::new();
    index.for_each_field(|key, value| {
        if key == "manifests" {
            listed = true;
            written.field(&key, &append_to_array(value, &added)?);
        } else {
            written.field(&key, value.as_str());
        }
        Ok::<_, ManifestError>(())
    })?;
    if !listed {
        written.field("manifests", &write_array([added.as_str()]));
    }
    Ok(Some(written.end().into_bytes()))
}

fn checked_size(bytes: &[u8]) -> Result<&[u8], ManifestError> {
    if bytes.len() > manifest::MAX_MANIFEST_BYTES { Err(ManifestError::TooLarge) } else { Ok(bytes) }
}

/// The list of descriptors of an index, each unread; `None` if it is empty.
fn list_of(index: Json<'_>) -> Result<Option<Json<'_>>, ManifestError> {
    if !index.is_object() {
        return Err(ManifestError::Field("not an object"));
    }
    let spelled = index.fields(["manifests", "mediaType"]);
    if spelled.is_none_or(|fields| fields.misspelled().is_some()) {
        return Err(ManifestError::Ambiguous("a field in another spelling"));
    }
    let fields = index.fields(["manifests", "mediaType", "schemaVersion", "layers"]);
    let fields = fields.ok_or(ManifestError::Field("not an object"))?;
    // Some other JSON, such as an error that comes with status 200, says nothing about referrers.
    if fields.get("manifests").is_none() && fields.get("schemaVersion").and_then(Json::as_u64) != Some(2) {
        return Err(ManifestError::Field("not an index of referrers"));
    }
    // Where an image lives under the tag, it is not ours to overwrite.
    let found = fields.get("mediaType").and_then(Json::text);
    let found = found.as_deref().unwrap_or(media_type::IMAGE_INDEX);
    if !media_type::is_index(found) || fields.filled("layers").is_some() {
        let found = found.chars().take(150).collect();
        return Err(ManifestError::Occupied { expected: "an index of referrers", found });
    }
    match fields.filled("manifests") {
        Some(items) if !items.is_array() => Err(ManifestError::Field("manifests is no list")),
        items => Ok(items),
    }
}

impl Manifest {
    /// The layers that hold Sigstore bundles. A referrer of cosign has exactly one.
    pub fn bundle_layers(&self) -> impl Iterator<Item = Descriptor> {
        let bundles = self.layers.iter().filter(|layer| media_type::is_sigstore_bundle(&layer.media_type));
        bundles.filter_map(Descriptor::fetchable)
    }
}
