//! Reading every place where signatures of a digest may be, and what a place that cannot be read counts for.

use bundle::{Digest, Repository, Tag};

use super::call::Access;
use super::manifests::RawManifest;
use super::{Registry, RegistryError};

/// The most troubles of one place that are collected; after that it is not read on.
const MAX_TROUBLES: usize = 16;
/// The most tags that are listed to see that one is absent.
const MAX_TAGS: usize = 100_000;

/// What a look at the places of one format gave.
#[derive(Debug)]
pub struct Look<T> {
    /// What was found there, unverified.
    pub found: Vec<T>,
    /// What could not be read, and why.
    pub unread: Vec<RegistryError>,
}

impl<T> Look<T> {
    pub(super) fn empty() -> Self {
        Self { found: Vec::new(), unread: Vec::new() }
    }

    /// What holds the place of a signature, where that is not ours.
    pub fn occupied(&self) -> Option<&Occupied> {
        self.unread.iter().find_map(|error| match error {
            RegistryError::Occupied(occupied) => Some(occupied),
            _ => None,
        })
    }

    /// What was found, or the first reason why not all of it could be read.
    pub(super) fn complete(self) -> Result<Vec<T>, RegistryError> {
        match self.unread.into_iter().next() {
            None => Ok(self.found),
            Some(error) => Err(error),
        }
    }

    /// Notes what could not be read, or fails where the reader may not go on without it.
    pub(super) fn note(&mut self, error: RegistryError, reading: Reading) -> Result<(), RegistryError> {
        match reading {
            Reading::ForSigning(_) if !matches!(error, RegistryError::Occupied(_)) => Err(error),
            Reading::ForVerifying if self.unread.len() >= MAX_TROUBLES => Err(error),
            Reading::ForSigning(_) | Reading::ForVerifying => {
                self.unread.push(error);
                Ok(())
            }
        }
    }
}

/// What the reader wants to know, and so what a place counts for that cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reading {
    /// Whether a signature of ours is there. A place that could not be asked may hold it, so that is an error. Content
    /// that is none of ours is only noted: it stays what it is however often it is read.
    ForSigning(TagHistory),
    /// Whether a good signature is anywhere. What could not be read is noted, and every other place is read.
    ForVerifying,
}

impl Reading {
    pub(super) fn history(self) -> TagHistory {
        match self {
            Self::ForSigning(history) => history,
            Self::ForVerifying => TagHistory::Unknown,
        }
    }
}

/// What is known of our own writes to the tags of a digest's signatures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TagHistory {
    /// The ledger knows of none. Registries that say 403 for a tag that is absent may mean that.
    NeverWritten,
    /// There was one, or it is not known. A 403 is a refusal.
    Unknown,
}

/// The tag under which a signature would be kept is held by something that is not ours. It is neither written over nor
/// removed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Occupied {
    /// The tag of the referrers, in a registry that keeps no list of them itself.
    #[error(
        "{name}: this registry has no place for a bundle: it has no referrers API, and under the tag {tag} it holds \
         {holder}, which is not ours and stays as it is; use formats = [\"legacy\"] for this image"
    )]
    Referrers {
        /// `host/repository`.
        name: String,
        /// The tag.
        tag: String,
        /// What is there.
        holder: String,
    },
    /// The tag of the legacy signatures.
    #[error(
        "{name} has no place for a legacy signature: under the tag {tag} it holds {holder}, which is not ours and \
         stays as it is; use formats = [\"bundle\"] for this image"
    )]
    Legacy {
        /// `host/repository`.
        name: String,
        /// The tag.
        tag: String,
        /// What is there.
        holder: String,
    },
}

impl Registry {
    /// What is under a tag of signatures or referrers of `subject`; `None` = nothing.
    pub(super) async fn raw_by_signature_tag(
        &self,
        repository: &Repository,
        subject: &Digest,
        tag: &Tag,
        access: Access,
        history: TagHistory,
    ) -> Result<Option<RawManifest>, RegistryError> {
        match self.raw_by_tag(repository, tag, access).await {
            Err(error)
                if history == TagHistory::NeverWritten
                    && error.may_mean_absent()
                    && self.is_unlisted(repository, subject, tag, access).await? =>
            {
                tracing::debug!(%error, %tag, "the registry does not list the tag: taken as absent");
                Ok(None)
            }
            Err(error) if error.is_about_one_object() => {
                Err(self.occupied(repository, subject, tag, format!("what we do not read ({error})")))
            }
            other => other,
        }
    }

    /// The error for what is under a tag of signatures or referrers of `subject` and is not ours.
    pub(super) fn occupied(
        &self,
        repository: &Repository,
        subject: &Digest,
        tag: &Tag,
        holder: String,
    ) -> RegistryError {
        let (name, is_legacy) = (self.name(repository), *tag == Tag::legacy_signature(subject));
        let tag = tag.to_string();
        RegistryError::Occupied(match is_legacy {
            true => Occupied::Legacy { name, tag, holder },
            false => Occupied::Referrers { name, tag, holder },
        })
    }

    /// Whether the same credentials read the subject and the whole list of tags, and the list does not have `tag`.
    /// What cannot be asked at the moment is an error.
    async fn is_unlisted(
        &self,
        repository: &Repository,
        subject: &Digest,
        tag: &Tag,
        access: Access,
    ) -> Result<bool, RegistryError> {
        let subject_found = match self.raw_manifest(repository, &subject.to_string(), access).await {
            Ok(found) => found.is_some_and(|found| found.digest == *subject),
            Err(error) if error.is_transient() => return Err(error),
            Err(_) => false,
        };
        if !subject_found {
            return Ok(false);
        }
        match self.tags(repository, MAX_TAGS).await {
            // A list that was cut short shows no absence.
            Ok(tags) => Ok(tags.len() < MAX_TAGS && !tags.contains(tag)),
            Err(error) if error.is_transient() && !matches!(error, RegistryError::NotFound { .. }) => Err(error),
            Err(_) => Ok(false),
        }
    }
}
