//! Names of images: registry hosts, repositories, tags, and the references made of them.
//!
//! Each type holds one spelling only. A second spelling of the same place would be a second row
//! in the ledger, and a second signature.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::{Digest, DigestError};

mod locator;

pub use locator::ImageLocator;

/// Why a string names no image, or no part of one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReferenceError {
    /// Not `host[:port]`.
    #[error("{0:?} is no registry host; write host[:port] in lowercase, without scheme and path")]
    Host(String),
    /// Not a repository by the grammar of the distribution specification.
    #[error("{0:?} is no repository; lowercase letters, digits, \".\", \"_\", \"-\" and \"/\", at most 255")]
    Repository(String),
    /// Not a tag by the grammar of the distribution specification.
    #[error("{0:?} is no tag; letters, digits, \"_\", \".\" and \"-\", at most 128")]
    Tag(String),
    /// No `/` between the registry and the repository.
    #[error("{0:?} names no repository; write registry/repository")]
    NoRepository(String),
    /// A reference needs the digest.
    #[error("{0:?} has no digest; write registry/repository@sha256:…")]
    NoDigest(String),
    /// What follows the `@` is no digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl ReferenceError {
    /// Repeats no more of an outsider's text than a line can hold.
    fn quote(text: &str) -> String {
        text.chars().take(100).collect()
    }
}

/// A registry: `host` or `host:port`, lowercase.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RegistryHost(String);

/// A repository within a registry, for example `team/app`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Repository(String);

/// A mutable name within a repository.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tag(String);

/// A repository and the registry that holds it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ImageName {
    /// The registry.
    pub registry: RegistryHost,
    /// The repository within it.
    pub repository: Repository,
}

/// One image, for ever: repository and digest.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ImageReference {
    /// Where it is.
    pub name: ImageName,
    /// What it is.
    pub digest: Digest,
}

impl RegistryHost {
    /// The one spelling of a host that has several names: Docker Hub is `docker.io`, and is called `index.docker.io` and
    /// `registry-1.docker.io` as well.
    pub fn spelling_of(host: &str) -> &str {
        match host {
            "index.docker.io" | "registry-1.docker.io" => "docker.io",
            other => other,
        }
    }

    /// The text, in its one spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Repository {
    /// The text, as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Tag {
    /// The text, as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the tag is one under which signatures, attestations or referrers are kept:
    /// `sha256-<hex>`, alone or with `.sig`, `.att` or `.sbom`; sha512 is cut to 64 digits.
    pub fn is_signature_tag(&self) -> bool {
        let Some((algorithm, rest)) = self.0.split_once('-') else { return false };
        let Some((hex, suffix)) = rest.split_at_checked(64) else { return false };
        matches!(algorithm, "sha256" | "sha512")
            && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            && matches!(suffix, "" | ".sig" | ".att" | ".sbom")
    }

    /// The tag of a digest's legacy signatures: `sha256-<hex>.sig`.
    pub fn legacy_signature(digest: &Digest) -> Self {
        Self(format!("sha256-{}.sig", digest.hex()))
    }

    /// The tag of a digest's referrers where a registry has no referrers API: `sha256-<hex>`.
    pub fn referrers(digest: &Digest) -> Self {
        Self(format!("sha256-{}", digest.hex()))
    }
}

impl ImageName {
    /// The name as cosign writes it into a simple-signing payload: Docker Hub is
    /// `index.docker.io` there.
    pub fn docker_reference(&self) -> String {
        match self.registry.as_str() {
            "docker.io" => format!("index.docker.io/{}", self.repository),
            _ => self.to_string(),
        }
    }

    /// One image of this repository.
    pub fn with_digest(&self, digest: Digest) -> ImageReference {
        ImageReference { name: self.clone(), digest }
    }
}

impl FromStr for RegistryHost {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_host_and_port(text) {
            Ok(Self(Self::spelling_of(text).to_owned()))
        } else {
            Err(ReferenceError::Host(ReferenceError::quote(text)))
        }
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() <= 255 && text.split('/').all(is_path_component) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError::Repository(ReferenceError::quote(text)))
        }
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    // SPEC: "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}" (OCI distribution specification).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let bytes = text.as_bytes();
        if bytes.len() <= 128
            && bytes.first().is_some_and(|first| word(*first))
            && bytes.iter().all(|b| word(*b) || matches!(b, b'.' | b'-'))
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError::Tag(ReferenceError::quote(text)))
        }
    }
}

impl FromStr for ImageName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (registry, repository) =
            text.split_once('/').ok_or_else(|| ReferenceError::NoRepository(ReferenceError::quote(text)))?;
        Ok(Self { registry: registry.parse()?, repository: repository.parse()? })
    }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, digest) =
            text.split_once('@').ok_or_else(|| ReferenceError::NoDigest(ReferenceError::quote(text)))?;
        Ok(Self { name: name.parse()?, digest: digest.parse()? })
    }
}

// SPEC: "[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*", joined by "/" (OCI distribution specification).
fn is_path_component(component: &str) -> bool {
    let alphanumeric = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9');
    let mut rest = component.as_bytes();
    loop {
        let word = rest.iter().take_while(|b| alphanumeric(b)).count();
        if word == 0 {
            return false;
        }
        rest = rest.get(word..).unwrap_or_default();
        if rest.is_empty() {
            return true;
        }
        let separator = rest.iter().take_while(|b| !alphanumeric(b)).count();
        let (between, after) = rest.split_at(separator);
        if !(matches!(between, b"." | b"_" | b"__") || between.iter().all(|b| *b == b'-')) {
            return false;
        }
        rest = after;
    }
}

fn is_host_and_port(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let Some((address, after)) = bracketed.split_once(']') else { return false };
            // One spelling per address: the shortest one.
            let canonical = address.parse::<core::net::Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address);
            if !canonical {
                return false;
            }
            match after.strip_prefix(':') {
                Some(port) => (None, Some(port)),
                None if after.is_empty() => (None, None),
                None => return false,
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(text), None),
        },
    };
    host.is_none_or(|host| host.len() <= 253 && host.split('.').all(is_host_label)) && port.is_none_or(is_port)
}

fn is_host_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0') && port.parse::<u16>().is_ok()
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.digest)
    }
}

/// In JSON and TOML each name is its text.
macro_rules! serde_as_text {
    ($($name:ty),+ $(,)?) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

serde_as_text!(RegistryHost, Repository, Tag, ImageName, ImageReference, ImageLocator);

#[cfg(test)]
mod tests;
