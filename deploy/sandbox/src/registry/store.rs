//! What the registry holds: repositories of blobs, manifests and tags, and uploads in progress.

use std::collections::BTreeMap;

use bundle::Digest;
use bytes::Bytes;
use serde_json::Value;

/// Everything, in memory.
#[derive(Default)]
pub(crate) struct Store {
    repositories: BTreeMap<String, Contents>,
    uploads: BTreeMap<String, Upload>,
}

#[derive(Default)]
struct Contents {
    blobs: BTreeMap<Digest, Bytes>,
    manifests: BTreeMap<Digest, StoredManifest>,
    tags: BTreeMap<String, Digest>,
}

/// A manifest as it was pushed, and what the referrers API must know of it.
#[derive(Clone)]
pub(crate) struct StoredManifest {
    pub(crate) content_type: String,
    pub(crate) bytes: Bytes,
    pub(crate) subject: Option<Digest>,
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: Option<Value>,
}

/// A blob that arrives in pieces.
#[derive(Default)]
pub(crate) struct Upload {
    pub(crate) repository: String,
    pub(crate) bytes: Vec<u8>,
}

impl Store {
    pub(crate) fn repositories(&self) -> Vec<String> {
        self.repositories.keys().cloned().collect()
    }

    pub(crate) fn blob(&self, repository: &str, digest: &Digest) -> Option<Bytes> {
        self.repositories.get(repository)?.blobs.get(digest).cloned()
    }

    pub(crate) fn put_blob(&mut self, repository: &str, digest: Digest, bytes: Bytes) {
        self.contents(repository).blobs.insert(digest, bytes);
    }

    pub(crate) fn delete_blob(&mut self, repository: &str, digest: &Digest) -> bool {
        self.repositories.get_mut(repository).is_some_and(|contents| contents.blobs.remove(digest).is_some())
    }

    /// By tag or by digest.
    pub(crate) fn manifest(&self, repository: &str, reference: &str) -> Option<(Digest, &StoredManifest)> {
        let contents = self.repositories.get(repository)?;
        let digest = match reference.parse::<Digest>() {
            Ok(digest) => digest,
            Err(_) => *contents.tags.get(reference)?,
        };
        let manifest = contents.manifests.get(&digest)?;
        Some((digest, manifest))
    }

    pub(crate) fn put_manifest(
        &mut self,
        repository: &str,
        digest: Digest,
        tag: Option<&str>,
        manifest: StoredManifest,
    ) {
        let contents = self.contents(repository);
        if let Some(tag) = tag {
            contents.tags.insert(tag.to_owned(), digest);
        }
        contents.manifests.insert(digest, manifest);
    }

    /// Removes a manifest and the tags that point to it, which it returns.
    pub(crate) fn delete_manifest(&mut self, repository: &str, digest: &Digest) -> Option<Vec<String>> {
        let contents = self.repositories.get_mut(repository)?;
        contents.manifests.remove(digest)?;
        let tags: Vec<String> =
            contents.tags.iter().filter(|(_, points_to)| *points_to == digest).map(|(tag, _)| tag.clone()).collect();
        for tag in &tags {
            contents.tags.remove(tag);
        }
        Some(tags)
    }

    pub(crate) fn delete_tag(&mut self, repository: &str, tag: &str) -> bool {
        self.repositories.get_mut(repository).is_some_and(|contents| contents.tags.remove(tag).is_some())
    }

    pub(crate) fn resolve(&self, repository: &str, tag: &str) -> Option<Digest> {
        self.repositories.get(repository)?.tags.get(tag).copied()
    }

    /// Sorted; `None` for a repository that nobody has pushed to.
    pub(crate) fn tags(&self, repository: &str) -> Option<Vec<String>> {
        let contents = self.repositories.get(repository)?;
        Some(contents.tags.keys().cloned().collect())
    }

    pub(crate) fn manifests(&self, repository: &str) -> Vec<Digest> {
        self.repositories
            .get(repository)
            .map(|contents| contents.manifests.keys().copied().collect())
            .unwrap_or_default()
    }

    pub(crate) fn referrers<'a>(
        &'a self,
        repository: &str,
        subject: &'a Digest,
    ) -> impl Iterator<Item = (&'a Digest, &'a StoredManifest)> {
        self.repositories
            .get(repository)
            .into_iter()
            .flat_map(|contents| contents.manifests.iter())
            .filter(move |(_, manifest)| manifest.subject.as_ref() == Some(subject))
    }

    pub(crate) fn begin_upload(&mut self, repository: &str) -> String {
        let id = crate::random_id();
        self.uploads.insert(id.clone(), Upload { repository: repository.to_owned(), bytes: Vec::new() });
        id
    }

    pub(crate) fn upload(&mut self, repository: &str, id: &str) -> Option<&mut Upload> {
        self.uploads.get_mut(id).filter(|upload| upload.repository == repository)
    }

    pub(crate) fn end_upload(&mut self, repository: &str, id: &str) -> Option<Upload> {
        self.upload(repository, id)?;
        self.uploads.remove(id)
    }

    fn contents(&mut self, repository: &str) -> &mut Contents {
        self.repositories.entry(repository.to_owned()).or_default()
    }
}
