//! What this room needs to know, as plain typed structs; the roof reads the file and fills them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bundle::{Format, ImageName, RegistryHost, Tag};
use secrecy::SecretString;
use signer::Services;
use signer::key::KeyBackend;

use crate::glob::Glob;
use crate::registry::Registry;
use crate::webhook::distribution::Distribution;
use crate::webhook::format::WebhookFormat;
use crate::webhook::generic::Generic;

/// Everything the room needs. A process that only takes webhooks leaves `registries`, `rules` and
/// `identities` empty: it needs no key and no registry credential.
#[derive(Default)]
pub struct WatcherConfig {
    /// Who may post to `/hooks/{name}`.
    pub sources: BTreeMap<String, Source>,
    /// The only registries that are ever asked.
    pub registries: BTreeMap<RegistryHost, Arc<Registry>>,
    /// First match wins.
    pub rules: Vec<Rule>,
    /// By the name that rules use in `sign_with`.
    pub identities: BTreeMap<String, Arc<Identity>>,
    /// How much at once, and for how long.
    pub limits: Limits,
}

/// A sender of webhooks.
#[derive(Clone, Debug)]
pub struct Source {
    /// Which format its bodies have.
    pub kind: SourceKind,
    /// The one registry that it may speak for.
    pub registry: RegistryHost,
    /// Other names under which its events may call that registry (`host` or `host:port`): behind a proxy or
    /// inside a container network the registry knows itself by another name.
    pub host_aliases: Vec<String>,
    /// The repositories that it may speak for (names without the host); none listed means all.
    pub repositories: Vec<Glob>,
    /// What it must present.
    pub auth: SourceAuth,
}

/// A webhook format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SourceKind {
    /// CNCF Distribution's notifications, v1 and v2 envelopes.
    Distribution,
    /// Our own documented JSON: repository, tag and/or digest.
    Generic,
}

impl SourceKind {
    /// How requests of this format are judged and read.
    pub fn format(self) -> &'static dyn WebhookFormat {
        match self {
            Self::Distribution => &Distribution,
            Self::Generic => &Generic,
        }
    }
}

/// What a sender must present, checked before its body is read as JSON.
#[derive(Clone, Debug)]
pub enum SourceAuth {
    /// `Authorization: Bearer <secret>`.
    Bearer(Secrets),
    /// `Authorization: Basic …`.
    Basic {
        /// The user name.
        username: String,
        /// The passwords, each of them good.
        passwords: Secrets,
    },
    /// `X-Sealwatch-Signature` or `X-Hub-Signature-256`: `sha256=<hex>` of HMAC-SHA256 over the body's bytes.
    HmacSha256(Secrets),
    /// Nothing. The roof refuses it unless the listener is loopback.
    None,
}

/// The secrets of one source. More than one while it is replaced: the new one, and the old one that senders still use.
#[derive(Clone, Debug)]
pub struct Secrets(Vec<SecretString>);

impl Secrets {
    /// Each of them is good. An empty one opens nothing.
    pub fn new(all: Vec<SecretString>) -> Self {
        Self(all)
    }

    pub(crate) fn all(&self) -> &[SecretString] {
        &self.0
    }
}

impl From<SecretString> for Secrets {
    fn from(secret: SecretString) -> Self {
        Self(vec![secret])
    }
}

impl From<&str> for Secrets {
    fn from(secret: &str) -> Self {
        SecretString::from(secret).into()
    }
}

/// What is signed, and how.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Over `host/repository`.
    pub repositories: Vec<Glob>,
    /// Over tags; none listed means every tag.
    pub tags: Vec<Glob>,
    /// Names of identities.
    pub sign_with: Vec<String>,
    /// Which signatures to attach.
    pub formats: Vec<Format>,
    /// An index only, or also what it lists.
    pub platforms: Platforms,
    /// The trust zone of the repositories; an identity lives in one.
    pub trust_zone: String,
    /// Legacy signatures on a log whose proofs they cannot carry (Rekor v2) are wanted all the same.
    pub legacy_without_proof: bool,
    /// Legacy signatures carry a timestamp beside the promise of a Rekor v1 log.
    pub legacy_timestamp: bool,
}

impl Rule {
    /// Whether this rule speaks about the repository.
    pub fn matches_repository(&self, name: &ImageName) -> bool {
        let name = name.to_string();
        self.repositories.iter().any(|glob| glob.matches(&name))
    }

    /// Whether this rule speaks about the tag in the repository.
    pub fn matches(&self, name: &ImageName, tag: &Tag) -> bool {
        (self.tags.is_empty() || self.tags.iter().any(|glob| glob.matches(tag.as_str())))
            && self.matches_repository(name)
    }
}

/// How far down an index is signed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Platforms {
    /// The index itself.
    #[default]
    Index,
    /// The index and every image that it lists.
    All,
}

/// Who signs, and where the signature is logged and stamped.
pub struct Identity {
    /// The name in the configuration.
    pub name: String,
    /// How its key is reached.
    pub key: Arc<dyn KeyBackend>,
    /// The log, the timestamp authorities and the trust root that its signatures are verified against.
    pub services: Services,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How much at once, and for how long.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Events, and jobs, worked on at the same time in one registry; twice as many signatures are on their way to one
    /// log from one trust zone.
    pub concurrency: usize,
    /// After so many tries something is parked.
    pub max_attempts: u32,
    /// First wait between two tries; doubled each time.
    pub first_delay: Duration,
    /// Longest wait between two tries.
    pub longest_delay: Duration,
    /// A lease not renewed for so long is another worker's to take.
    pub lease: Duration,
    /// How often the store is asked when nothing woke us.
    pub poll: Duration,
    /// A tag or manifest that was announced and is not there is asked for so long, then parked as unseen.
    pub absence_patience: Duration,
    /// The first wait between two of those; doubled each time, up to a minute.
    pub absence_delay: Duration,
    /// An event with a digest only waits so long for the index that may list it, before all tags are looked at.
    pub index_patience: Duration,
    /// What the registry said about a tag counts for so long, then it is asked again before the next step: moments.
    pub authority_fresh: Duration,
    /// What is parked because it could not be seen or done is tried again after so long.
    pub probe_parked_after: Duration,
    /// Most tags of one repository that are looked at to find one that points to a digest.
    pub max_tags: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 8,
            // About a day at the longest delay: an outage overnight is no reason to wake a person.
            max_attempts: 300,
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_secs(300),
            lease: Duration::from_secs(60),
            poll: Duration::from_millis(500),
            absence_patience: Duration::from_secs(900),
            absence_delay: Duration::from_secs(1),
            index_patience: Duration::from_secs(3),
            authority_fresh: Duration::from_secs(3),
            probe_parked_after: Duration::from_secs(3600),
            max_tags: 20_000,
        }
    }
}
