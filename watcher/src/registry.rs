//! The OCI distribution client: what a tag points to, manifests and blobs by digest, referrers, and attaching ours.
//!
//! Whatever a registry answers is checked here: manifests and blobs are hashed again, sizes are capped, pages are
//! followed on the same host only, and a question that was not answered is an error, never a "no". Serialising
//! writers of one digest is the worker's part (a lock in the store); what a foreign writer does between our read
//! and our write is found by reading back.

mod attach;
mod auth;
mod blobs;
mod call;
mod challenge;
mod credentials;
mod error;
mod health;
mod legacy;
mod link;
mod look;
mod manifests;
mod ping;
mod referrers;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bundle::{ImageName, RegistryHost, Repository};
use outbound::{Client, ClientConfig, Proxy};
use secrecy::SecretString;
use url::Url;

pub use attach::Attached;
pub use credentials::CredentialsError;
pub use error::RegistryError;
pub use look::{Look, Occupied, Reading, TagHistory};
pub use manifests::FetchedManifest;
pub use referrers::Referrers;

use auth::Authenticator;

/// The largest manifest that is read or written. Registries must take 4 MiB; most take no more.
pub const MANIFEST_MAX_BYTES: usize = 4 << 20;
/// The largest bundle that is read. Ours are about 10 KiB.
pub const BUNDLE_MAX_BYTES: usize = 1 << 20;
/// The largest simple-signing payload that is read. Ours are about 300 bytes.
pub const PAYLOAD_MAX_BYTES: usize = 256 << 10;
/// The most bytes of bundles of one digest that are kept, all together.
pub const BUNDLES_MAX_BYTES: usize = 32 << 20;
/// The most bytes of simple-signing payloads of one digest that are kept, all together: many layers may name
/// one payload.
pub const PAYLOADS_MAX_BYTES: usize = 16 << 20;
/// The most referrers of one digest. More is an error: an unread page might hold our signature.
pub const MAX_REFERRERS: usize = 1000;
/// The most bundles of one digest that are read. More is an error, for the same reason.
pub const MAX_BUNDLES: usize = 128;

/// How a registry is reached. The only hosts that credentials ever go to are its own and those of its realm.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// The host, as in image references.
    pub host: RegistryHost,
    /// Speak http. Never implied.
    pub plain_http: bool,
    /// Where credentials come from.
    pub auth: Auth,
    /// Hosts (`host` or `host:port`) beside the registry's own that may ask for its credentials as token realm.
    pub realm_hosts: Vec<String>,
    /// Hosts (`host` or `host:port`) on private networks that the registry may redirect downloads and uploads
    /// of blobs to. Public hosts need no entry; none ever gets a credential.
    pub blob_hosts: Vec<String>,
    /// A private CA, as the bytes of a PEM file.
    pub ca_pem: Option<Vec<u8>>,
    /// Asked for tunnels to the registry, its `realm_hosts` and `blob_hosts`; nothing else is reached then.
    pub proxy: Option<Proxy>,
}

impl RegistryConfig {
    /// A registry with TLS and without credentials.
    pub fn new(host: RegistryHost) -> Self {
        Self {
            host,
            plain_http: false,
            auth: Auth::Anonymous,
            realm_hosts: Vec::new(),
            blob_hosts: Vec::new(),
            ca_pem: None,
            proxy: None,
        }
    }
}

/// Where the credentials of a registry come from.
#[derive(Clone, Debug)]
pub enum Auth {
    /// None are sent.
    Anonymous,
    /// A user name and password, or a token in the place of the password.
    Basic {
        /// The user name.
        username: String,
        /// The password or token.
        password: SecretString,
    },
    /// A docker `config.json`, read again when it changes; its credential helpers are run.
    DockerConfig(PathBuf),
}

/// One registry.
pub struct Registry {
    host: RegistryHost,
    base: Url,
    client: Client,
    auth: Authenticator,
    blob_hosts: Vec<String>,
    /// The unit of all waiting: a second, but for tests.
    patience: Duration,
}

impl Registry {
    /// Whether it is spoken to without TLS.
    pub fn plain_http(&self) -> bool {
        self.base.scheme() == "http"
    }

    /// A client for one registry. Nothing is asked yet.
    pub fn new(config: RegistryConfig) -> Result<Registry, RegistryError> {
        let scheme = if config.plain_http { "http" } else { "https" };
        let host = endpoint(&config.host);
        let base = Url::parse(&format!("{scheme}://{host}/"))
            .map_err(|_| RegistryError::Host { registry: config.host.to_string() })?;
        let client = Client::new(ClientConfig {
            extra_ca_files_pem: config.ca_pem.clone().into_iter().collect(),
            proxy: config.proxy.clone(),
            ..ClientConfig::default()
        })
        .map_err(|source| RegistryError::outbound(config.host.to_string(), source))?;
        let auth = Authenticator::new(&config, base.clone(), client.clone());
        Ok(Registry {
            host: config.host,
            base,
            client,
            auth,
            blob_hosts: config.blob_hosts,
            patience: Duration::from_secs(1),
        })
    }

    /// The host, as in image references.
    pub fn host(&self) -> &RegistryHost {
        &self.host
    }

    /// `host/repository`, for messages.
    fn name(&self, repository: &Repository) -> String {
        ImageName { registry: self.host.clone(), repository: repository.clone() }.to_string()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("host", &self.host).finish_non_exhaustive()
    }
}

/// Where a registry's API is: Docker Hub's is not at the host that images are named by.
fn endpoint(host: &RegistryHost) -> &str {
    match host.as_str() {
        "docker.io" => "registry-1.docker.io",
        other => other,
    }
}
