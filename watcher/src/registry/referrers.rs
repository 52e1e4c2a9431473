//! Who refers to a digest: the referrers API, or the index under the referrers tag.
//!
//! What a list says about its entries is not believed: descriptors come with wrong artifact types from several
//! clients, and anybody who may push may add one. Every candidate is opened.

use std::time::Instant;

use bundle::oci::{Descriptor, Manifest, media_type, parse_referrers};
use bundle::{Digest, Repository, Tag};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};

use super::call::Access;
use super::link::{Next, next};
use super::manifests::{MAX_PAGES, PAGE_MAX_BYTES, PAGING_TIME};
use super::{BUNDLE_MAX_BYTES, BUNDLES_MAX_BYTES, MAX_BUNDLES, MAX_REFERRERS, Registry, RegistryError};

const LISTING: &str = "list referrers";

/// What refers to a digest.
#[derive(Clone, Debug)]
pub struct Referrers {
    /// The registry has the referrers API; otherwise this is the index under the referrers tag.
    pub native: bool,
    /// Unopened, so unbelieved.
    pub manifests: Vec<Descriptor>,
}

impl Registry {
    /// What refers to a digest. A registry that could not be asked is an error, never an empty list.
    pub async fn referrers(&self, repository: &Repository, digest: &Digest) -> Result<Referrers, RegistryError> {
        if let Some(manifests) = self.native_referrers(repository, digest, Access::Pull).await? {
            return Ok(Referrers { native: true, manifests });
        }
        let tag = Tag::referrers(digest);
        let Some(raw) = self.raw_by_tag(repository, &tag, Access::Pull).await? else {
            return Ok(Referrers { native: false, manifests: Vec::new() });
        };
        let list =
            parse_referrers(&raw.bytes).map_err(|source| self.unusable(repository, format!("tag {tag}"), source))?;
        self.check_count(repository, digest, list.manifests.len() + list.unreadable)?;
        Ok(Referrers { native: false, manifests: list.manifests })
    }

    /// The bundles that are attached to a digest: the content of every bundle layer of every referrer whose
    /// subject it is. Junk among them is passed over; what could not be asked for is an error.
    pub async fn bundles(&self, repository: &Repository, digest: &Digest) -> Result<Vec<Vec<u8>>, RegistryError> {
        let mut candidates = self.referrers(repository, digest).await?.manifests;
        // Those that say that they are bundles first; it changes the order, not what is read.
        candidates.sort_by_key(|c| !c.artifact_type.as_deref().is_some_and(media_type::is_sigstore_bundle));
        let mut seen: Vec<Digest> = Vec::new();
        let mut bundles = Vec::new();
        let mut bytes = 0;
        for candidate in candidates {
            let opened = match self.manifest(repository, &candidate.digest).await {
                Ok(Some(opened)) => opened.manifest,
                // Listed and gone: deleted, or never there.
                Ok(None) => continue,
                Err(error) if error.is_about_one_object() => continue,
                Err(error) => return Err(error),
            };
            if !refers_to(&opened, digest) {
                continue;
            }
            for layer in opened.bundle_layers() {
                if seen.contains(&layer.digest) {
                    continue;
                }
                seen.push(layer.digest);
                if seen.len() > MAX_BUNDLES {
                    return Err(self.too_many(repository, digest, MAX_BUNDLES, "bundles"));
                }
                match self.blob(repository, &layer.digest, BUNDLE_MAX_BYTES).await {
                    Ok(Some(content)) => {
                        bytes += content.len();
                        if bytes > BUNDLES_MAX_BYTES {
                            return Err(self.too_many(repository, digest, BUNDLES_MAX_BYTES, "bytes of bundles"));
                        }
                        bundles.push(content.to_vec());
                    }
                    Ok(None) => {}
                    Err(error) if error.is_about_one_object() => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(bundles)
    }

    /// The answer of the referrers API, all pages; `None` = the registry does not have it.
    pub(super) async fn native_referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        access: Access,
    ) -> Result<Option<Vec<Descriptor>>, RegistryError> {
        let unusable = |why| RegistryError::Protocol { name: self.name(repository), doing: LISTING, why };
        let mut request = self.request(Method::GET, &format!("v2/{repository}/referrers/{digest}"));
        let mut manifests = Vec::new();
        let mut count = 0;
        let started = Instant::now();
        for page in 0..MAX_PAGES {
            let here = request.url.clone();
            let accept = HeaderValue::from_static(media_type::IMAGE_INDEX);
            let answer =
                self.call(repository, access, request.header(ACCEPT, accept).max_bytes(PAGE_MAX_BYTES)).await?;
            match answer.status {
                // Other readers take nothing else for the API's answer, and look under the tag: ours must be there.
                StatusCode::OK if page == 0 && answer.header(&CONTENT_TYPE) != Some(media_type::IMAGE_INDEX) => {
                    return Ok(None);
                }
                StatusCode::OK => {}
                // SPEC: 404 = "the registry does not support the referrers API"; others say it in their own way.
                StatusCode::NOT_FOUND
                | StatusCode::BAD_REQUEST
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::NOT_ACCEPTABLE
                | StatusCode::NOT_IMPLEMENTED
                    if page == 0 =>
                {
                    if answer.status == StatusCode::NOT_FOUND {
                        self.confirm_absence(repository, &answer).await?;
                    }
                    return Ok(None);
                }
                _ => return Err(self.refused(repository, LISTING, &answer)),
            }
            let list = parse_referrers(&answer.body).map_err(|_| unusable("no index of referrers"))?;
            count += list.manifests.len() + list.unreadable;
            self.check_count(repository, digest, count)?;
            manifests.extend(list.manifests);
            request = match next(&answer.headers, &here) {
                Next::None => return Ok(Some(manifests)),
                Next::Page(_) if started.elapsed() > self.patience * PAGING_TIME => break,
                Next::Page(url) => self.request_url(Method::GET, url),
                Next::Unknown(why) => return Err(unusable(why)),
            };
        }
        Err(unusable("its pages do not end"))
    }

    fn check_count(&self, repository: &Repository, digest: &Digest, count: usize) -> Result<(), RegistryError> {
        if count > MAX_REFERRERS {
            return Err(self.too_many(repository, digest, MAX_REFERRERS, "referrers"));
        }
        Ok(())
    }

    fn too_many(&self, repository: &Repository, digest: &Digest, limit: usize, noun: &'static str) -> RegistryError {
        RegistryError::TooMany { name: self.name(repository), what: digest.to_string(), limit, noun }
    }
}

/// A referrer of another digest has no business in this list, whoever put it there.
fn refers_to(manifest: &Manifest, digest: &Digest) -> bool {
    manifest.subject.as_ref().is_some_and(|subject| subject.digest == *digest)
}
