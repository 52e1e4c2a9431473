//! Manifests and tags: resolving, reading, writing, listing.

use std::time::Instant;

use bundle::oci::{ACCEPT, Descriptor, Manifest};
use bundle::{Digest, Repository, Tag};
use bytes::Bytes;
use http::header::{ACCEPT as ACCEPT_HEADER, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH};
use http::{HeaderValue, Method, StatusCode};
use outbound::{Redirects, Response};
use serde::Deserialize;

use super::call::{Access, says_immutable};
use super::link::{Next, next};
use super::{MANIFEST_MAX_BYTES, Registry, RegistryError};

const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Some registries serve a mirrored manifest from another address of theirs.
pub(super) const MANIFEST_REDIRECTS: Redirects = Redirects::Follow { max: 3 };
/// Uploads are redirected within the registry, or to storage that the configuration names.
pub(super) const UPLOAD_REDIRECTS: Redirects = Redirects::Upload { max: 3 };
pub(super) const READING: &str = "read a manifest";
/// The cap on one page of tags or referrers.
pub(super) const PAGE_MAX_BYTES: usize = 8 << 20;
/// More pages than this is a registry that walks us in circles.
pub(super) const MAX_PAGES: usize = 500;
/// The time for all pages together, in units of patience: a page that drips in holds a worker as well.
pub(super) const PAGING_TIME: u32 = 300;

/// A manifest as it came, hashed and parsed.
#[derive(Clone, Debug)]
pub struct FetchedManifest {
    /// The exact bytes.
    pub bytes: Bytes,
    /// What the registry said that it is.
    pub content_type: String,
    /// Type, size and digest, of these very bytes.
    pub descriptor: Descriptor,
    /// What is in it.
    pub manifest: Manifest,
}

/// A manifest as it came, hashed.
pub(super) struct RawManifest {
    pub(super) bytes: Bytes,
    pub(super) digest: Digest,
    content_type: Option<String>,
    /// A strong entity tag, for conditional writes.
    pub(super) entity_tag: Option<HeaderValue>,
}

/// What HEAD of a manifest says.
enum HeadAnswer {
    /// It is there; with the digest, where the registry says it.
    Found(Option<Digest>),
    /// Nothing that counts: HEAD is refused by some registries and the proxies before them, or says 404 for what is
    /// there. GET has the last word.
    AskWithGet,
}

impl RawManifest {
    pub(super) fn parse(&self) -> Result<Manifest, bundle::oci::ManifestError> {
        Manifest::parse(&self.bytes, self.content_type.as_deref())
    }
}

impl Registry {
    /// What a tag points to now; `None` = the registry has no such tag.
    pub async fn resolve(&self, repository: &Repository, tag: &Tag) -> Result<Option<Digest>, RegistryError> {
        let head = self.head_manifest(repository, tag.as_str(), Access::Pull, "resolve a tag").await?;
        if let HeadAnswer::Found(Some(digest)) = head {
            return Ok(Some(digest));
        }
        let raw = self.raw_by_tag(repository, tag, Access::Pull).await?;
        Ok(raw.map(|raw| raw.digest))
    }

    /// A manifest by its digest, hashed again; `None` = the registry does not have it.
    pub async fn manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<FetchedManifest>, RegistryError> {
        let raw = self.raw_manifest(repository, &digest.to_string(), Access::Pull).await?;
        let Some(raw) = raw else { return Ok(None) };
        if raw.digest != *digest {
            let name = self.name(repository);
            return Err(RegistryError::DigestMismatch { name, expected: *digest, found: raw.digest });
        }
        self.parsed(repository, raw).map(Some)
    }

    /// The manifest that a tag points to now; `None` = the registry has no such tag.
    pub async fn manifest_by_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<FetchedManifest>, RegistryError> {
        let raw = self.raw_by_tag(repository, tag, Access::Pull).await?;
        raw.map(|raw| self.parsed(repository, raw)).transpose()
    }

    /// The tags of a repository, the first `max` of them in the registry's own order. What is no tag by the
    /// specification is passed over.
    pub async fn tags(&self, repository: &Repository, max: usize) -> Result<Vec<Tag>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            // Go writes an empty list as null.
            tags: Option<Vec<String>>,
        }
        let doing = "list tags";
        let unusable = |why| RegistryError::Protocol { name: self.name(repository), doing, why };
        let mut request = self.request(Method::GET, &format!("v2/{repository}/tags/list"));
        request.url.set_query(Some("n=1000"));
        let mut tags = Vec::new();
        let started = Instant::now();
        for _ in 0..MAX_PAGES {
            let here = request.url.clone();
            let answer = self.call(repository, Access::Pull, request.max_bytes(PAGE_MAX_BYTES)).await?;
            match answer.status {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => {
                    return Err(RegistryError::NotFound {
                        name: self.name(repository),
                        what: "tags, or no such repository".to_owned(),
                    });
                }
                _ => return Err(self.refused(repository, doing, &answer)),
            }
            let page: Page = serde_json::from_slice(&answer.body).map_err(|_| unusable("no list of tags"))?;
            tags.extend(page.tags.unwrap_or_default().iter().filter_map(|tag| tag.parse::<Tag>().ok()));
            if tags.len() >= max {
                tags.truncate(max);
                return Ok(tags);
            }
            request = match next(&answer.headers, &here) {
                Next::None => return Ok(tags),
                Next::Page(_) if started.elapsed() > self.patience * PAGING_TIME => break,
                Next::Page(url) => self.request_url(Method::GET, url),
                Next::Unknown(why) => return Err(unusable(why)),
            };
        }
        Err(unusable("its pages do not end"))
    }

    /// Whether a manifest is there.
    pub(super) async fn has_manifest(&self, repository: &Repository, digest: &Digest) -> Result<bool, RegistryError> {
        let reference = digest.to_string();
        match self.head_manifest(repository, &reference, Access::Push, READING).await? {
            HeadAnswer::Found(_) => Ok(true),
            HeadAnswer::AskWithGet => Ok(self.raw_manifest(repository, &reference, Access::Push).await?.is_some()),
        }
    }

    async fn head_manifest(
        &self,
        repository: &Repository,
        reference: &str,
        access: Access,
        doing: &'static str,
    ) -> Result<HeadAnswer, RegistryError> {
        let head = self.manifest_call(Method::HEAD, repository, reference, access).await?;
        match head.status {
            StatusCode::OK => Ok(HeadAnswer::Found(content_digest(&head))),
            // To ask more would not help.
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(self.refused(repository, doing, &head)),
            _ => Ok(HeadAnswer::AskWithGet),
        }
    }

    pub(super) async fn raw_by_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        access: Access,
    ) -> Result<Option<RawManifest>, RegistryError> {
        self.raw_manifest(repository, tag.as_str(), access).await
    }

    pub(super) async fn raw_manifest(
        &self,
        repository: &Repository,
        reference: &str,
        access: Access,
    ) -> Result<Option<RawManifest>, RegistryError> {
        let answer = self.manifest_call(Method::GET, repository, reference, access).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND if self.is_own(&answer.url) => {
                return self.confirm_absence(repository, &answer).await.map(|()| None);
            }
            _ => return Err(self.refused(repository, READING, &answer)),
        }
        if is_web_page(&answer) {
            let (name, why) = (self.name(repository), "a web page came instead; a proxy or a sign-in stands before it");
            return Err(RegistryError::Protocol { name, doing: READING, why });
        }
        let digest = Digest::of(&answer.body);
        if let Some(expected) = content_digest(&answer).filter(|said| *said != digest) {
            let name = self.name(repository);
            return Err(RegistryError::DigestMismatch { name, expected, found: digest });
        }
        let content_type = answer.header(&CONTENT_TYPE).map(str::to_owned);
        let entity_tag = answer.headers.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/")).cloned();
        Ok(Some(RawManifest { bytes: answer.body, digest, content_type, entity_tag }))
    }

    pub(super) fn parsed(&self, repository: &Repository, raw: RawManifest) -> Result<FetchedManifest, RegistryError> {
        let manifest = raw.parse().map_err(|source| self.unusable(repository, raw.digest.to_string(), source))?;
        Ok(FetchedManifest {
            descriptor: Descriptor::of(&manifest.media_type, &raw.bytes),
            bytes: raw.bytes,
            content_type: raw.content_type.unwrap_or_default(),
            manifest,
        })
    }

    pub(super) fn unusable(
        &self,
        repository: &Repository,
        what: String,
        source: bundle::oci::ManifestError,
    ) -> RegistryError {
        RegistryError::Manifest { name: self.name(repository), what, source: Box::new(source) }
    }

    async fn manifest_call(
        &self,
        method: Method,
        repository: &Repository,
        reference: &str,
        access: Access,
    ) -> Result<Response, RegistryError> {
        let request = self
            .request(method, &format!("v2/{repository}/manifests/{reference}"))
            .header(ACCEPT_HEADER, HeaderValue::from_static(ACCEPT))
            .max_bytes(MANIFEST_MAX_BYTES)
            .follow(MANIFEST_REDIRECTS);
        self.call(repository, access, request).await
    }

    /// Writes a manifest under its digest.
    pub(super) async fn put_manifest(
        &self,
        repository: &Repository,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Response, RegistryError> {
        let digest = Digest::of(bytes);
        let answer = self.put(repository, &digest.to_string(), media_type, bytes, None).await?;
        if !answer.status.is_success() {
            return Err(self.refused(repository, "push a manifest", &answer));
        }
        if let Some(found) = content_digest(&answer).filter(|found| *found != digest) {
            return Err(RegistryError::DigestMismatch { name: self.name(repository), expected: digest, found });
        }
        Ok(answer)
    }

    /// Writes a manifest under a tag. False = somebody else wrote it since `unchanged` was read; few registries
    /// look at that condition, so true does not mean that nobody did.
    pub(super) async fn put_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        media_type: &str,
        bytes: &[u8],
        unchanged: Option<HeaderValue>,
    ) -> Result<bool, RegistryError> {
        let conditional = unchanged.is_some();
        let answer = self.put(repository, tag.as_str(), media_type, bytes, unchanged).await?;
        match answer.status {
            status if status.is_success() => Ok(true),
            _ if says_immutable(&answer) => {
                Err(RegistryError::ImmutableTag { name: self.name(repository), tag: tag.to_string() })
            }
            StatusCode::PRECONDITION_FAILED if conditional => Ok(false),
            _ => Err(self.refused(repository, "push a manifest", &answer)),
        }
    }

    async fn put(
        &self,
        repository: &Repository,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
        unchanged: Option<HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let mut request = self.request(Method::PUT, &format!("v2/{repository}/manifests/{reference}"));
        request.body = Bytes::copy_from_slice(bytes);
        let media_type = HeaderValue::from_str(media_type).map_err(|_| RegistryError::Protocol {
            name: self.name(repository),
            doing: "push a manifest",
            why: "its media type is no header",
        })?;
        request = request.header(CONTENT_TYPE, media_type);
        if let Some(entity_tag) = unchanged {
            request = request.header(IF_MATCH, entity_tag);
        }
        self.call(repository, Access::Push, request.follow(UPLOAD_REDIRECTS)).await
    }
}

/// Whether this is a page for people. No registry gives its manifests that type.
fn is_web_page(answer: &Response) -> bool {
    answer.header(&CONTENT_TYPE).map(bundle::oci::media_type::essence).is_some_and(|essence| essence == "text/html")
}

/// The digest that a registry says; anything but sha256 is as good as nothing.
fn content_digest(answer: &Response) -> Option<Digest> {
    answer.header(&DOCKER_CONTENT_DIGEST)?.trim().parse().ok()
}
