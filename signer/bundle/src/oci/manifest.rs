//! Parsing of manifests. Strict where two readers could disagree.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::{Descriptor, Manifest, ManifestKind, media_type};
use crate::json::{self, JsonError, misspelled};

/// More children or layers than this are refused.
pub const MAX_CHILDREN: usize = 4096;

/// A larger manifest is refused. Registries must take 4 MiB.
pub const MAX_MANIFEST_BYTES: usize = 8 * 1024 * 1024;

/// Why bytes are not a manifest that we are willing to understand.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Larger than any registry must take.
    #[error("the manifest is larger than {MAX_MANIFEST_BYTES} bytes")]
    TooLarge,
    /// Not JSON, or JSON with a repeated key.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Docker's schema 1: its digest does not cover all of its bytes.
    #[error("docker schema 1 manifests cannot be signed; push the image again with a current client")]
    UnsupportedSchema1,
    /// Neither an image nor an index.
    #[error("the media type {0:?} is no manifest's")]
    UnknownMediaType(String),
    /// The registry's header and the body name different types.
    #[error("the registry says {header:?}, the manifest itself says {body:?}")]
    MediaTypeConflict {
        /// What the header says.
        header: String,
        /// What the body says.
        body: String,
    },
    /// Image and index at once, so that readers choose which to see.
    #[error("ambiguous manifest: {0}")]
    Ambiguous(&'static str),
    /// A field is missing or of another type.
    #[error("malformed manifest: {0}")]
    Field(&'static str),
    /// A descriptor that is none.
    #[error("malformed descriptor in {field}: {reason}")]
    Descriptor {
        /// Which field holds it.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// More children or layers than anybody needs.
    #[error("more than {max} entries in {field}")]
    TooMany {
        /// Which field holds them.
        field: &'static str,
        /// How many are allowed.
        max: usize,
    },
    /// Something else lives under the tag that we must write.
    #[error("expected {expected} there, found {found:?}")]
    Occupied {
        /// What we would have written.
        expected: &'static str,
        /// The type of what is there.
        found: String,
    },
}

/// The fields that decide what a manifest is. None may be there in another spelling.
const FIELDS: [&str; 9] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
];

const DESCRIPTOR_FIELDS: [&str; 6] = ["mediaType", "size", "digest", "annotations", "platform", "artifactType"];

/// Types with which a registry says nothing about a manifest.
const GENERIC: [&str; 4] = ["", "application/json", "application/octet-stream", "text/plain"];

impl Manifest {
    /// Parses a manifest. `content_type` is the registry's header, if there was one.
    ///
    /// Refused are: repeated keys, keys that only a case-insensitive reader understands, layers
    /// and manifests at once, a header and a body of different types, schema 1, malformed or
    /// non-sha256 digests, and more than [`MAX_CHILDREN`] children.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge);
        }
        let header = content_type.map(media_type::essence);
        if header.as_deref().is_some_and(media_type::is_schema1) {
            return Err(ManifestError::UnsupportedSchema1);
        }
        let document = json::parse(bytes)?;
        let fields = document.as_object().ok_or(ManifestError::Field("not an object"))?;
        if misspelled(fields, &FIELDS).is_some() {
            return Err(ManifestError::Ambiguous("a field in another spelling"));
        }
        match fields.get("schemaVersion").and_then(Value::as_u64) {
            Some(2) => {}
            Some(1) => return Err(ManifestError::UnsupportedSchema1),
            _ => return Err(ManifestError::Field("schemaVersion must be 2")),
        }
        let media_type = decide_media_type(fields, header)?;
        let kind = if media_type::is_index(&media_type) { ManifestKind::Index } else { ManifestKind::Image };
        let absent = |key| fields.get(key).is_none_or(Value::is_null);
        if !absent("fsLayers") {
            return Err(ManifestError::Ambiguous("fields of schema 1 in a manifest of schema 2"));
        }
        match kind {
            ManifestKind::Image if !absent("manifests") => {
                return Err(ManifestError::Ambiguous("an image with manifests"));
            }
            ManifestKind::Index if !absent("layers") || !absent("config") => {
                return Err(ManifestError::Ambiguous("an index with layers or a config"));
            }
            ManifestKind::Image | ManifestKind::Index => {}
        }
        let config = optional_descriptor(fields, "config")?;
        if kind == ManifestKind::Image && config.is_none() {
            return Err(ManifestError::Field("an image needs a config"));
        }
        Ok(Self {
            kind,
            media_type,
            artifact_type: optional_text(fields, "artifactType")?,
            config,
            layers: descriptors(fields, "layers", kind == ManifestKind::Image)?,
            manifests: descriptors(fields, "manifests", kind == ManifestKind::Index)?,
            subject: optional_descriptor(fields, "subject")?,
            annotations: annotations(fields)?,
        })
    }
}

fn decide_media_type(fields: &Map<String, Value>, header: Option<String>) -> Result<String, ManifestError> {
    let body = optional_text(fields, "mediaType")?;
    if body.as_deref().is_some_and(media_type::is_schema1) {
        return Err(ManifestError::UnsupportedSchema1);
    }
    let header = header.filter(|header| !GENERIC.contains(&header.as_str()));
    let decided = match (header, body) {
        (Some(header), Some(body)) if header != body => {
            return Err(ManifestError::MediaTypeConflict { header, body: shortened(&body) });
        }
        (_, Some(one)) | (Some(one), None) => one,
        // SPEC: mediaType "SHOULD be used"; where nobody says it, the shape does.
        (None, None) => {
            let has = |key| fields.get(key).is_some_and(|value| !value.is_null());
            match (has("manifests"), has("layers") || has("config")) {
                (true, false) => media_type::IMAGE_INDEX.to_owned(),
                (false, true) => media_type::IMAGE_MANIFEST.to_owned(),
                (true, true) => return Err(ManifestError::Ambiguous("an image with manifests")),
                (false, false) => return Err(ManifestError::Field("neither layers nor manifests")),
            }
        }
    };
    if media_type::is_manifest(&decided) {
        Ok(decided)
    } else {
        Err(ManifestError::UnknownMediaType(shortened(&decided)))
    }
}

fn descriptors(
    fields: &Map<String, Value>,
    field: &'static str,
    required: bool,
) -> Result<Vec<Descriptor>, ManifestError> {
    let items = match fields.get(field) {
        None if required => return Err(ManifestError::Field("layers or manifests are missing")),
        // Go writes an empty list as null.
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(ManifestError::Field("layers or manifests are no list")),
    };
    if items.len() > MAX_CHILDREN {
        return Err(ManifestError::TooMany { field, max: MAX_CHILDREN });
    }
    items.iter().map(|item| descriptor(item, field)).collect()
}

fn optional_descriptor(fields: &Map<String, Value>, field: &'static str) -> Result<Option<Descriptor>, ManifestError> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => descriptor(value, field).map(Some),
    }
}

pub(super) fn descriptor(value: &Value, field: &'static str) -> Result<Descriptor, ManifestError> {
    let malformed = |reason: String| ManifestError::Descriptor { field, reason: shortened(&reason) };
    let fields = value.as_object().ok_or_else(|| malformed("not an object".to_owned()))?;
    if let Some(name) = misspelled(fields, &DESCRIPTOR_FIELDS) {
        return Err(malformed(format!("{name} in another spelling")));
    }
    let descriptor = Descriptor::deserialize(value).map_err(|error| malformed(error.to_string()))?;
    if descriptor.media_type.is_empty() {
        return Err(malformed("no media type".to_owned()));
    }
    // Go reads sizes as signed.
    if i64::try_from(descriptor.size).is_err() {
        return Err(malformed("an impossible size".to_owned()));
    }
    Ok(descriptor)
}

fn optional_text(fields: &Map<String, Value>, key: &'static str) -> Result<Option<String>, ManifestError> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(ManifestError::Field("a type that is no string")),
    }
}

fn annotations(fields: &Map<String, Value>) -> Result<BTreeMap<String, String>, ManifestError> {
    match fields.get("annotations") {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(value) => BTreeMap::deserialize(value).map_err(|_| ManifestError::Field("annotations must be strings")),
    }
}

/// Repeats no more of an outsider's text than a line can hold.
fn shortened(text: &str) -> String {
    text.chars().take(150).collect()
}
