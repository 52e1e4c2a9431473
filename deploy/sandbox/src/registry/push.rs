//! Pushing from inside the process, for demos and tests: small real images, by the same path as a PUT.

use bundle::Digest;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::SandboxRegistry;
use super::routes::Caller;
use super::{blobs, manifests};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// What was pushed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PushedImage {
    /// The repository within the registry.
    pub repository: String,
    /// The tag, where it was pushed by one.
    pub tag: Option<String>,
    /// The manifest's digest.
    pub digest: Digest,
    /// The manifest's media type.
    pub media_type: String,
    /// The manifest's size in bytes.
    pub size: usize,
    /// The manifests of an index, in its order.
    pub children: Vec<Digest>,
}

/// The content does not fit the registry: a bad name or tag, or a tag that may not move.
#[derive(Debug, thiserror::Error)]
#[error("the registry refused the push of {repository}:{reference}: {refusal}")]
pub struct PushError {
    repository: String,
    reference: String,
    refusal: String,
}

impl SandboxRegistry {
    /// Pushes an image for linux/amd64 whose one file holds `seed`: the same seed is the same digest.
    pub async fn push_image(&self, repository: &str, tag: &str, seed: &str) -> Result<PushedImage, PushError> {
        let manifest = self.push_image_blobs(repository, seed, "amd64")?;
        self.push_manifest(repository, tag, IMAGE, &manifest, Vec::new())
    }

    /// Pushes images for linux/amd64 and linux/arm64 by digest, then an index of both by tag.
    pub async fn push_index(&self, repository: &str, tag: &str, seed: &str) -> Result<PushedImage, PushError> {
        let mut descriptors = Vec::new();
        let mut children = Vec::new();
        for architecture in ["amd64", "arm64"] {
            let manifest = self.push_image_blobs(repository, seed, architecture)?;
            let digest = Digest::of(manifest.to_string().as_bytes());
            let pushed = self.push_manifest(repository, &digest.to_string(), IMAGE, &manifest, Vec::new())?;
            descriptors.push(json!({
                "mediaType": IMAGE,
                "digest": pushed.digest.to_string(),
                "size": pushed.size,
                "platform": { "architecture": architecture, "os": "linux" },
            }));
            children.push(pushed.digest);
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": descriptors });
        self.push_manifest(repository, tag, INDEX, &index, children)
    }

    /// Pushes something that is not an image: an artifact with a type of its own and no platform.
    pub async fn push_artifact(
        &self,
        repository: &str,
        tag: &str,
        artifact_type: &str,
        seed: &str,
    ) -> Result<PushedImage, PushError> {
        let config = self.push_blob(repository, b"{}".to_vec())?;
        let content = self.push_blob(repository, seed.as_bytes().to_vec())?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "artifactType": artifact_type,
            "config": { "mediaType": EMPTY, "digest": config.to_string(), "size": 2 },
            "layers": [{
                "mediaType": artifact_type,
                "digest": content.to_string(),
                "size": seed.len(),
            }],
        });
        self.push_manifest(repository, tag, IMAGE, &manifest, Vec::new())
    }

    /// Points a tag to a manifest that is there already, as `crane tag` does.
    pub async fn push_tag(&self, repository: &str, digest: &Digest, tag: &str) -> Result<PushedImage, PushError> {
        let (bytes, content_type) = self.manifest(repository, &digest.to_string()).ok_or_else(|| PushError {
            repository: repository.to_owned(),
            reference: tag.to_owned(),
            refusal: format!("{digest} is not there"),
        })?;
        self.push_bytes(repository, tag, &content_type, bytes, Vec::new())
    }

    /// Pushes any manifest, by tag or digest; whatever it refers to must be there.
    pub async fn push_raw_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<PushedImage, PushError> {
        self.push_bytes(repository, reference, media_type, bytes, Vec::new())
    }

    /// Pushes a blob.
    pub async fn push_raw_blob(&self, repository: &str, bytes: Vec<u8>) -> Result<Digest, PushError> {
        self.push_blob(repository, bytes)
    }

    /// The layer and config of a small image; returns the manifest that names them.
    fn push_image_blobs(&self, repository: &str, seed: &str, architecture: &str) -> Result<Value, PushError> {
        let archive = tar("seed", format!("{seed}\n").as_bytes());
        let diff_id = Digest::of(&archive);
        let layer = gzip(&archive);
        let layer_size = layer.len();
        let layer = self.push_blob(repository, layer)?;
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Cmd": ["/seed"] },
            "rootfs": { "type": "layers", "diff_ids": [diff_id.to_string()] },
            "history": [{ "created_by": "sandbox" }],
        })
        .to_string();
        let config_size = config.len();
        let config = self.push_blob(repository, config.into_bytes())?;
        Ok(json!({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": { "mediaType": CONFIG, "digest": config.to_string(), "size": config_size },
            "layers": [{ "mediaType": LAYER, "digest": layer.to_string(), "size": layer_size }],
        }))
    }

    fn push_blob(&self, repository: &str, bytes: Vec<u8>) -> Result<Digest, PushError> {
        let digest = Digest::of(&bytes);
        blobs::put(&self.state, repository, &digest, Bytes::from(bytes), &self.ourselves()).map_err(|refusal| {
            PushError { repository: repository.to_owned(), reference: digest.to_string(), refusal: refusal.to_string() }
        })?;
        Ok(digest)
    }

    fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        manifest: &Value,
        children: Vec<Digest>,
    ) -> Result<PushedImage, PushError> {
        let bytes = manifest.to_string().into_bytes();
        self.push_bytes(repository, reference, media_type, bytes, children)
    }

    fn push_bytes(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: Vec<u8>,
        children: Vec<Digest>,
    ) -> Result<PushedImage, PushError> {
        let size = bytes.len();
        let (digest, _) =
            manifests::put(&self.state, repository, reference, media_type, bytes.into(), &self.ourselves()).map_err(
                |refusal| PushError {
                    repository: repository.to_owned(),
                    reference: reference.to_owned(),
                    refusal: refusal.to_string(),
                },
            )?;
        Ok(PushedImage {
            repository: repository.to_owned(),
            tag: (reference != digest.to_string()).then(|| reference.to_owned()),
            digest,
            media_type: media_type.to_owned(),
            size,
            children,
        })
    }

    fn ourselves(&self) -> Caller {
        Caller {
            request_id: crate::random_id(),
            addr: self.host(),
            host: self.host(),
            method: Method::PUT,
            user_agent: "sandbox-push".to_owned(),
            actor: None,
        }
    }
}

/// A tar archive with one file, so that container engines can unpack the layer.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 512;
    let mut header = [0u8; BLOCK];
    let mut field = |at: usize, text: &str| {
        header[at..at + text.len()].copy_from_slice(text.as_bytes());
    };
    field(0, name);
    field(100, "0000755\0");
    field(108, "0000000\0");
    field(116, "0000000\0");
    field(124, &format!("{:011o}\0", content.len()));
    field(136, "00000000000\0");
    field(148, "        ");
    field(156, "0");
    field(257, "ustar\x0000");
    let checksum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{checksum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    archive
}

/// The archive as gzip, in blocks that are stored and not compressed.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut blocks = content.chunks(usize::from(u16::MAX)).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(crc32(content).to_le_bytes());
    // SPEC: RFC 1952: the size modulo 2^32.
    out.extend((content.len() as u32).to_le_bytes());
    out
}

fn crc32(content: &[u8]) -> u32 {
    !content.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_gzip_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
