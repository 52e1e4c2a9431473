//! A bundle as a referrer, and the index that lists referrers where a registry has no API for it.

use serde_json::Value;

use super::{Descriptor, MAX_CHILDREN, Manifest, ManifestError, manifest, media_type};
use crate::json::{self, go_string, raw_fields, write_array, write_object};
use crate::statement::SIGN_PREDICATE_TYPE;

/// The config blob of an artifact that has none.
pub const EMPTY_CONFIG: &[u8] = b"{}";

/// What a referrers list holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReferrerList {
    /// The referrers, as far as their descriptors can be read. What they say of their own kind is
    /// often wrong: open each before believing it.
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
    for value in list_of(bytes)? {
        match manifest::descriptor(&value, "manifests") {
            Ok(descriptor) => list.manifests.push(descriptor),
            Err(_) => list.unreadable += 1,
        }
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
    let present = list_of(existing)?;
    if present.iter().any(|value| value.get("digest").and_then(Value::as_str) == Some(&digest)) {
        return Ok(None);
    }
    if present.len() >= MAX_CHILDREN {
        return Err(ManifestError::TooMany { field: "manifests", max: MAX_CHILDREN });
    }
    let fields = raw_fields(existing)?;
    let mut listed = false;
    let mut written = Vec::with_capacity(fields.len() + 1);
    for (key, value) in &fields {
        if key == "manifests" {
            listed = true;
            let items: Vec<&serde_json::value::RawValue> =
                serde_json::from_str::<Option<_>>(value.get()).map_err(json::JsonError::from)?.unwrap_or_default();
            let items = items.iter().map(|item| item.get()).chain([added.as_str()]);
            written.push((key.as_str(), write_array(items)));
        } else {
            written.push((key.as_str(), value.get().to_owned()));
        }
    }
    if !listed {
        written.push(("manifests", write_array([added.as_str()])));
    }
    let index = write_object(written.iter().map(|(key, value)| (*key, value.as_str())));
    Ok(Some(index.into_bytes()))
}

/// The descriptors of a list, each unread.
fn list_of(bytes: &[u8]) -> Result<Vec<Value>, ManifestError> {
    if bytes.len() > manifest::MAX_MANIFEST_BYTES {
        return Err(ManifestError::TooLarge);
    }
    let mut document = json::parse(bytes)?;
    let fields = document.as_object_mut().ok_or(ManifestError::Field("not an object"))?;
    if json::misspelled(fields, &["manifests", "mediaType"]).is_some() {
        return Err(ManifestError::Ambiguous("a field in another spelling"));
    }
    // Some other JSON, such as an error that comes with status 200, says nothing about referrers.
    if !fields.contains_key("manifests") && fields.get("schemaVersion").and_then(Value::as_u64) != Some(2) {
        return Err(ManifestError::Field("not an index of referrers"));
    }
    // Where an image lives under the tag, it is not ours to overwrite.
    let found = fields.get("mediaType").and_then(Value::as_str).unwrap_or(media_type::IMAGE_INDEX);
    if !media_type::is_index(found) || fields.get("layers").is_some_and(|layers| !layers.is_null()) {
        let found = found.chars().take(150).collect();
        return Err(ManifestError::Occupied { expected: "an index of referrers", found });
    }
    match fields.remove("manifests") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(ManifestError::Field("manifests is no list")),
    }
}

impl Manifest {
    /// The layers that hold Sigstore bundles. A referrer of cosign has exactly one.
    pub fn bundle_layers(&self) -> impl Iterator<Item = &Descriptor> {
        self.layers.iter().filter(|layer| media_type::is_sigstore_bundle(&layer.media_type))
    }
}
