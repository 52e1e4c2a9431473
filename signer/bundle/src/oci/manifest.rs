//! Parsing of manifests. Strict where two readers could disagree.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use super::{Descriptor, Manifest, ManifestKind, Platform, media_type};
use crate::digest::{BlobDigest, DigestError};
use crate::json::{Fields, Json, JsonError};

/// More children or layers than this are refused.
pub const MAX_CHILDREN: usize = 4096;

/// A larger manifest is refused. Registries must take 4 MiB.
pub const MAX_MANIFEST_BYTES: usize = 8 * 1024 * 1024;

/// More annotations than this, those of its descriptors included, are refused: each takes a hundred bytes of memory and
/// may take seven of the manifest.
pub const MAX_ANNOTATIONS: usize = 16 * 1024;

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

/// The fields of a manifest.
type ManifestFields<'a> = Fields<'a, { FIELDS.len() }>;

/// What becomes of the annotations of a descriptor.
pub(super) enum Annotations<'b> {
    /// Kept, as long as there is room for so many more.
    Keep(&'b mut usize),
    /// Looked at and left out.
    LeaveOut,
}

impl Manifest {
    /// Parses a manifest. `content_type` is the registry's header, if there was one.
    ///
    /// Refused are: repeated keys, keys that only a case-insensitive reader understands, layers
    /// and manifests at once, a header and a body of different types, schema 1, malformed digests,
    /// digests other than sha256 of anything but the content of an image, more than [`MAX_CHILDREN`] children, and more than [`MAX_ANNOTATIONS`] annotations.
    ///
    /// Takes a small multiple of the manifest's size in memory.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge);
        }
        let header = content_type.map(media_type::essence);
        if header.as_deref().is_some_and(media_type::is_schema1) {
            return Err(ManifestError::UnsupportedSchema1);
        }
        let document = Json::parse(bytes)?;
        let fields = document.fields(FIELDS).ok_or(ManifestError::Field("not an object"))?;
        if fields.misspelled().is_some() {
            return Err(ManifestError::Ambiguous("a field in another spelling"));
        }
        match fields.get("schemaVersion").and_then(Json::as_u64) {
            Some(2) => {}
            Some(1) => return Err(ManifestError::UnsupportedSchema1),
            _ => return Err(ManifestError::Field("schemaVersion must be 2")),
        }
        let media_type = decide_media_type(&fields, header)?;
        let kind = if media_type::is_index(&media_type) { ManifestKind::Index } else { ManifestKind::Image };
        let absent = |key| fields.filled(key).is_none();
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
        let room = &mut { MAX_ANNOTATIONS };
        let config: Option<Descriptor<BlobDigest>> = optional_descriptor(&fields, "config", room)?;
        if kind == ManifestKind::Image && config.is_none() {
            return Err(ManifestError::Field("an image needs a config"));
        }
        Ok(Self {
            kind,
            media_type,
            artifact_type: optional_text(&fields, "artifactType")?,
            config,
            layers: layers(&fields, kind == ManifestKind::Image, room)?,
            manifests: descriptors(&fields, "manifests", kind == ManifestKind::Index, room)?,
            subject: optional_descriptor(&fields, "subject", room)?,
            annotations: match fields.filled("annotations") {
                None => BTreeMap::new(),
                Some(value) => annotations(value, &mut Annotations::Keep(room))?,
            },
        })
    }
}

fn decide_media_type(fields: &ManifestFields<'_>, header: Option<String>) -> Result<String, ManifestError> {
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
            let has = |key| fields.filled(key).is_some();
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

/// The layers of an image. Those that hold signatures are fetched and must have a digest that we compute; the others are
/// content of the image, and its own digest covers whatever names them.
fn layers(
    fields: &ManifestFields<'_>,
    required: bool,
    room: &mut usize,
) -> Result<Vec<Descriptor<BlobDigest>>, ManifestError> {
    let layers: Vec<Descriptor<BlobDigest>> = descriptors(fields, "layers", required, room)?;
    let is_fetched = |kind: &str| kind == media_type::SIMPLE_SIGNING || media_type::is_sigstore_bundle(kind);
    match layers.iter().find(|layer| is_fetched(&layer.media_type) && layer.digest.sha256().is_none()) {
        None => Ok(layers),
        Some(layer) => Err(ManifestError::Descriptor {
            field: "layers",
            reason: format!("a layer of signatures by another algorithm than sha256: {}", layer.digest),
        }),
    }
}

fn descriptors<D: FromStr<Err = DigestError>>(
    fields: &ManifestFields<'_>,
    field: &'static str,
    required: bool,
    room: &mut usize,
) -> Result<Vec<Descriptor<D>>, ManifestError> {
    let items = match fields.get(field) {
        None if required => return Err(ManifestError::Field("layers or manifests are missing")),
        // Go writes an empty list as null.
        None => return Ok(Vec::new()),
        Some(value) if value.is_null() => return Ok(Vec::new()),
        Some(value) if value.is_array() => value,
        Some(_) => return Err(ManifestError::Field("layers or manifests are no list")),
    };
    let mut found = Vec::new();
    items.for_each_item(|item| {
        if found.len() == MAX_CHILDREN {
            return Err(ManifestError::TooMany { field, max: MAX_CHILDREN });
        }
        found.push(descriptor(item, field, Annotations::Keep(room))?);
        Ok(())
    })?;
    Ok(found)
}

fn optional_descriptor<D: FromStr<Err = DigestError>>(
    fields: &ManifestFields<'_>,
    field: &'static str,
    room: &mut usize,
) -> Result<Option<Descriptor<D>>, ManifestError> {
    fields.filled(field).map(|value| descriptor(value, field, Annotations::Keep(room))).transpose()
}

/// Reads a descriptor. Where its annotations are left out, so is its platform.
pub(super) fn descriptor<D: FromStr<Err = DigestError>>(
    value: Json<'_>,
    field: &'static str,
    mut kept: Annotations<'_>,
) -> Result<Descriptor<D>, ManifestError> {
    let malformed = |reason: &str| ManifestError::Descriptor { field, reason: shortened(reason) };
    let fields = value.fields(DESCRIPTOR_FIELDS).ok_or_else(|| malformed("not an object"))?;
    if let Some(name) = fields.misspelled() {
        return Err(malformed(&format!("{name} in another spelling")));
    }
    let text = |name| fields.get(name).and_then(Json::text);
    let media_type = text("mediaType").filter(|text| !text.is_empty()).ok_or_else(|| malformed("no media type"))?;
    // Go reads sizes as signed.
    let size = fields.get("size").and_then(Json::as_u64).filter(|size| i64::try_from(*size).is_ok());
    let digest = text("digest").ok_or_else(|| malformed("no digest"))?;
    let platform = fields.filled("platform").map(Json::read::<Platform>).transpose();
    let platform = platform.map_err(|error| malformed(&error.to_string()))?;
    let annotations = match fields.filled("annotations") {
        None => BTreeMap::new(),
        Some(value) => annotations(value, &mut kept).map_err(|error| match error {
            ManifestError::Field(reason) => malformed(reason),
            other => other,
        })?,
    };
    let artifact_type = match fields.filled("artifactType") {
        None => None,
        Some(value) => Some(value.text().ok_or_else(|| malformed("an artifact type that is no string"))?),
    };
    Ok(Descriptor {
        media_type: media_type.into_owned(),
        size: size.ok_or_else(|| malformed("no size, or an impossible one"))?,
        digest: digest.parse().map_err(|error: DigestError| malformed(&error.to_string()))?,
        annotations,
        platform: platform.filter(|_| matches!(kept, Annotations::Keep(_))),
        artifact_type: artifact_type.filter(|text| !text.is_empty()).map(Cow::into_owned),
    })
}

fn optional_text(fields: &ManifestFields<'_>, key: &'static str) -> Result<Option<String>, ManifestError> {
    let Some(value) = fields.filled(key) else { return Ok(None) };
    let text = value.text().ok_or(ManifestError::Field("a type that is no string"))?;
    Ok(Some(text.into_owned()).filter(|text| !text.is_empty()))
}

fn annotations(value: Json<'_>, kept: &mut Annotations<'_>) -> Result<BTreeMap<String, String>, ManifestError> {
    const NO_STRINGS: ManifestError = ManifestError::Field("annotations must be strings");
    if !value.is_object() {
        return Err(NO_STRINGS);
    }
    let mut found = BTreeMap::new();
    value.for_each_field(|name, value| {
        // Go reads a null as an empty string.
        let text = if value.is_null() { Cow::Borrowed("") } else { value.text().ok_or(NO_STRINGS)? };
        if let Annotations::Keep(room) = kept {
            let too_many = ManifestError::TooMany { field: "annotations", max: MAX_ANNOTATIONS };
            **room = room.checked_sub(1).ok_or(too_many)?;
            found.insert(name.into_owned(), text.into_owned());
        }
        Ok::<_, ManifestError>(())
    })?;
    Ok(found)
}

/// Repeats no more of an outsider's text than a line can hold.
fn shortened(text: &str) -> String {
    text.chars().take(150).collect()
}
