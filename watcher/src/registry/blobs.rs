//! Blobs: read with their hash checked, pushed in one piece.

use bundle::{Digest, Repository};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use outbound::{Redirects, Response};
use url::Url;

use super::call::{Access, SMALL_ANSWER};
use super::manifests::UPLOAD_REDIRECTS;
use super::{Registry, RegistryError};

const PUSHING: &str = "push a blob";

impl Registry {
    /// A blob by its digest, hashed again; `None` = the registry does not have it. Storages that the registry
    /// redirects to never see a credential.
    pub async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        max_bytes: usize,
    ) -> Result<Option<Bytes>, RegistryError> {
        let request = self
            .request(Method::GET, &format!("v2/{repository}/blobs/{digest}"))
            .max_bytes(max_bytes)
            .follow(Redirects::BlobsWithoutCredentials { max: 5 });
        let answer = self.call(repository, Access::Pull, request).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND if self.is_own(&answer.url) => {
                return self.confirm_absence(repository, &answer).await.map(|()| None);
            }
            _ => return Err(self.refused(repository, "read a blob", &answer)),
        }
        let found = Digest::of(&answer.body);
        if found != *digest {
            return Err(RegistryError::DigestMismatch { name: self.name(repository), expected: *digest, found });
        }
        Ok(Some(answer.body))
    }

    /// Makes sure that a blob is there.
    pub(super) async fn push_blob(&self, repository: &Repository, content: &[u8]) -> Result<(), RegistryError> {
        let digest = Digest::of(content);
        let head = self.request(Method::HEAD, &format!("v2/{repository}/blobs/{digest}"));
        let head = self.call(repository, Access::Push, head).await?;
        match head.status {
            status if status.is_success() => return Ok(()),
            // It leads to where the blob is stored; the signed address there is for GET only.
            status if status.is_redirection() && self.leads_elsewhere(&head) => return Ok(()),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(self.refused(repository, PUSHING, &head));
            }
            // Whatever else HEAD has to say (405 on some, 403 on others): pushing it again is harmless.
            _ => {}
        }
        let post = self.request(Method::POST, &format!("v2/{repository}/blobs/uploads/")).follow(UPLOAD_REDIRECTS);
        let post = self.call(repository, Access::Push, post).await?;
        match post.status {
            StatusCode::ACCEPTED => {}
            StatusCode::CREATED => return Ok(()),
            _ => return Err(self.refused(repository, PUSHING, &post)),
        }
        let upload = self.upload_url(repository, &post.url, post.header(&LOCATION), &digest)?;
        let own = self.is_own(&upload);
        let mut put = self.request_url(Method::PUT, upload).max_bytes(SMALL_ANSWER).follow(UPLOAD_REDIRECTS);
        put.body = Bytes::copy_from_slice(content);
        put = put.header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let answer = if own {
            self.call(repository, Access::Push, put).await?
        } else {
            // Not the registry's own address: no credential, and no address inside unless it is configured.
            put.trusted_target = false;
            self.send(repository, put).await?
        };
        if answer.status.is_success() { Ok(()) } else { Err(self.refused(repository, PUSHING, &answer)) }
    }

    /// Whether a redirect leaves the registry: within it, another of its addresses answers, and may not have the blob.
    fn leads_elsewhere(&self, answer: &Response) -> bool {
        let target = answer.header(&LOCATION).and_then(|location| answer.url.join(location).ok());
        target.is_some_and(|target| !self.is_own(&target))
    }

    /// Where an upload goes on: the `Location`, with the digest added to whatever query it has.
    fn upload_url(
        &self,
        repository: &Repository,
        here: &Url,
        location: Option<&str>,
        digest: &Digest,
    ) -> Result<Url, RegistryError> {
        let unusable = |why| RegistryError::Protocol { name: self.name(repository), doing: PUSHING, why };
        let location = location.ok_or_else(|| unusable("no Location for the upload"))?;
        let mut url = here.join(location).map_err(|_| unusable("the Location of the upload is no URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(unusable("the Location of the upload holds a password"));
        }
        if here.scheme() == "https" && url.scheme() != "https" {
            return Err(unusable(
                "the Location of the upload is plain http; a proxy before the registry must send X-Forwarded-Proto",
            ));
        }
        // Appended as text: an encoder would rewrite a query that the registry has signed.
        let query = match url.query() {
            Some(query) if !query.is_empty() => format!("{query}&digest={digest}"),
            _ => format!("digest={digest}"),
        };
        url.set_query(Some(&query));
        Ok(url)
    }
}
