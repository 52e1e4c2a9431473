//! What a person types to name an image: `host[:port]/repo[:tag][@digest]`, with Docker Hub's
//! short forms.

use std::fmt;
use std::str::FromStr;

use super::{ImageName, ImageReference, ReferenceError, RegistryHost, Repository, Tag};
use crate::digest::Digest;

/// An image as a person names it. With a digest it is an [`ImageReference`]; with a tag it must
/// be resolved at the registry; with neither it is a repository.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ImageLocator {
    /// Registry and repository.
    pub name: ImageName,
    /// The tag, if one was given.
    pub tag: Option<Tag>,
    /// The digest, if one was given; it counts more than the tag.
    pub digest: Option<Digest>,
}

impl ImageLocator {
    /// The image, if the digest was given.
    pub fn reference(&self) -> Option<ImageReference> {
        self.digest.map(|digest| self.name.with_digest(digest))
    }
}

impl FromStr for ImageLocator {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        // The first part is a host if it looks like one; the port's colon is before the slash.
        let (registry, path) = match rest.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (first, path),
            _ => ("docker.io", rest),
        };
        let (path, tag) = match path.split_once(':') {
            Some((path, tag)) => (path, Some(tag.parse()?)),
            None => (path, None),
        };
        let registry: RegistryHost = registry.parse()?;
        let repository: Repository = if registry.as_str() == "docker.io" && !path.contains('/') {
            format!("library/{path}").parse()?
        } else {
            path.parse()?
        };
        Ok(Self { name: ImageName { registry, repository }, tag, digest })
    }
}

impl From<ImageReference> for ImageLocator {
    fn from(image: ImageReference) -> Self {
        Self { name: image.name, tag: None, digest: Some(image.digest) }
    }
}

impl fmt::Display for ImageLocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}
