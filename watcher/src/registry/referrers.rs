//! Who refers to a digest: the referrers API, or the index under the referrers tag.
//!
//! What a list says about its entries is not believed: descriptors come with wrong artifact types from several
//! clients, and anybody who may push may add one. Every candidate is opened.

use std::time::Instant;

use bundle::oci::{Descriptor, Manifest, ManifestError, ReferrerList, media_type, parse_referrers};
use bundle::{Digest, Repository, Tag};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use outbound::Response;

use super::call::Access;
use super::link::{Next, next};
use super::look::{Look, Reading, TagHistory};
use super::manifests::{MANIFEST_REDIRECTS, MAX_PAGES, PAGE_MAX_BYTES, PAGING_TIME};
use super::{BUNDLE_MAX_BYTES, BUNDLES_MAX_BYTES, MAX_BUNDLES, MAX_REFERRERS, Registry, RegistryError};

const LISTING: &str = "list referrers";
const WHOSE_SUBJECT: &str = "the image itself";

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
        let list = self.tagged_referrers(repository, digest, TagHistory::Unknown).await?;
        Ok(Referrers { native: false, manifests: list.manifests })
    }

    /// The bundles that are attached to a digest, from every place where they may be.
    ///
    /// # Errors
    /// Any place that could not be read, or that something else holds.
    pub async fn bundles(&self, repository: &Repository, digest: &Digest) -> Result<Vec<Vec<u8>>, RegistryError> {
        self.look_for_bundles(repository, digest, Reading::ForSigning(TagHistory::Unknown)).await?.complete()
    }

    /// Looks for the bundles that are attached to a digest: the content of every bundle layer of every referrer whose
    /// subject it is. Junk among them is passed over.
    ///
    /// # Errors
    /// What could not be read, as far as `reading` does not allow to go on without it.
    pub async fn look_for_bundles(
        &self,
        repository: &Repository,
        digest: &Digest,
        reading: Reading,
    ) -> Result<Look<Vec<u8>>, RegistryError> {
        let mut look = Look::empty();
        let outcome = self.read_bundles(repository, digest, reading, &mut look).await;
        match (outcome, reading) {
            (Err(error), Reading::ForVerifying) => look.unread.push(error),
            (Err(error), Reading::ForSigning(_)) => return Err(error),
            (Ok(()), _) => {}
        }
        Ok(look)
    }

    async fn read_bundles(
        &self,
        repository: &Repository,
        digest: &Digest,
        reading: Reading,
        look: &mut Look<Vec<u8>>,
    ) -> Result<(), RegistryError> {
        let native = match self.native_referrers(repository, digest, Access::Pull).await {
            Ok(native) => native,
            Err(error) => {
                look.note(error, reading)?;
                None
            }
        };
        let (list, tagged) = match native {
            Some(manifests) => (ReferrerList { manifests, unreadable: 0 }, false),
            None => match self.tagged_referrers(repository, digest, reading.history()).await {
                Ok(list) => (list, true),
                Err(error) => return look.note(error, reading),
            },
        };
        let mut candidates = list.manifests;
        // Those that say that they are bundles first; it changes the order, not what is read.
        candidates.sort_by_key(|c| !c.artifact_type.as_deref().is_some_and(media_type::is_sigstore_bundle));
        let (count, mut without_subject) = (candidates.len(), 0);
        let mut reader = BundleReader { registry: self, repository, digest, seen: Vec::new(), bytes: 0 };
        for candidate in candidates {
            let opened = match self.manifest(repository, &candidate.digest).await {
                Ok(Some(opened)) => opened.manifest,
                // Listed and gone: deleted, or never there.
                Ok(None) => continue,
                Err(error) if error.is_about_one_object() => continue,
                Err(error) => {
                    look.note(error, reading)?;
                    continue;
                }
            };
            if opened.subject.is_none() {
                without_subject += 1;
            }
            if refers_to(&opened, digest) {
                reader.read(&opened, reading, look).await?;
            }
        }
        // An index of which nothing refers to anything is the index of an image, whatever its tag.
        if tagged && count > 0 && without_subject == count && list.unreadable == 0 {
            let holder = "an index of images".to_owned();
            look.note(self.occupied(repository, digest, &Tag::referrers(digest), holder), reading)?;
        }
        Ok(())
    }

    /// The index under the referrers tag; empty where there is none.
    async fn tagged_referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        history: TagHistory,
    ) -> Result<ReferrerList, RegistryError> {
        let tag = Tag::referrers(digest);
        let raw = match self.raw_by_signature_tag(repository, digest, &tag, Access::Pull, history).await {
            Ok(Some(raw)) => raw,
            Ok(None) => return Ok(ReferrerList::default()),
            Err(error) => return Err(error),
        };
        self.check_referrers_tag(repository, digest, &raw.digest)?;
        let list = parse_referrers(&raw.bytes).map_err(|error| self.no_index(repository, digest, &error))?;
        self.check_count(repository, digest, list.manifests.len() + list.unreadable)?;
        Ok(list)
    }

    /// Refuses the answer of registries that take the tag `sha256-<hex>` for the digest `sha256:<hex>`.
    pub(super) fn check_referrers_tag(
        &self,
        repository: &Repository,
        subject: &Digest,
        found: &Digest,
    ) -> Result<(), RegistryError> {
        if found == subject {
            return Err(self.occupied(repository, subject, &Tag::referrers(subject), WHOSE_SUBJECT.to_owned()));
        }
        Ok(())
    }

    /// The error for what is under the referrers tag and is no index of referrers.
    pub(super) fn no_index(&self, repository: &Repository, subject: &Digest, why: &ManifestError) -> RegistryError {
        let holder = match why {
            ManifestError::Occupied { found, .. } => format!("a manifest of type {found:?}"),
            other => format!("what is no index of referrers ({other})"),
        };
        self.occupied(repository, subject, &Tag::referrers(subject), holder)
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
            let request_page = request.header(ACCEPT, accept).max_bytes(PAGE_MAX_BYTES).follow(MANIFEST_REDIRECTS);
            let answer = match self.call(repository, access, request_page).await {
                Ok(answer) => answer,
                Err(error) if page == 0 && error.is_redirect_to_nowhere() => return Ok(None),
                Err(error) => return Err(error),
            };
            match answer.status {
                // Other readers take nothing else for the API's answer, and look under the tag: ours must be there.
                StatusCode::OK if page == 0 && answer.header(&CONTENT_TYPE) != Some(media_type::IMAGE_INDEX) => {
                    return Ok(None);
                }
                StatusCode::OK => {}
                // A sign-in page or the like: no index came, so there is no such API.
                status if page == 0 && (status.is_redirection() || self.is_elsewhere(&answer)) => return Ok(None),
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

    /// Whether another site than the registry answered that it has nothing for us. One that is not well is asked again.
    fn is_elsewhere(&self, answer: &Response) -> bool {
        let passing = answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS;
        !self.is_own(&answer.url) && !passing
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

/// Reads the bundle layers of referrers, each blob once, within the caps for all together.
struct BundleReader<'r> {
    registry: &'r Registry,
    repository: &'r Repository,
    digest: &'r Digest,
    seen: Vec<Digest>,
    bytes: usize,
}

impl BundleReader<'_> {
    async fn read(
        &mut self,
        referrer: &Manifest,
        reading: Reading,
        look: &mut Look<Vec<u8>>,
    ) -> Result<(), RegistryError> {
        let Self { registry, repository, digest, .. } = *self;
        for layer in referrer.bundle_layers() {
            if self.seen.contains(&layer.digest) {
                continue;
            }
            self.seen.push(layer.digest);
            if self.seen.len() > MAX_BUNDLES {
                return Err(registry.too_many(repository, digest, MAX_BUNDLES, "bundles"));
            }
            match registry.blob(repository, &layer.digest, BUNDLE_MAX_BYTES).await {
                Ok(Some(content)) => {
                    self.bytes += content.len();
                    if self.bytes > BUNDLES_MAX_BYTES {
                        return Err(registry.too_many(repository, digest, BUNDLES_MAX_BYTES, "bytes of bundles"));
                    }
                    look.found.push(content.to_vec());
                }
                Ok(None) => {}
                Err(error) if error.is_about_one_object() => {}
                Err(error) => look.note(error, reading)?,
            }
        }
        Ok(())
    }
}

/// A referrer of another digest has no business in this list, whoever put it there.
fn refers_to(manifest: &Manifest, digest: &Digest) -> bool {
    manifest.subject.as_ref().is_some_and(|subject| subject.digest == *digest)
}
