//! The configuration file as it is written: one struct per table, every key that there is.

mod monitor;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

pub(crate) use monitor::{AlertTable, MonitorTable, WatchTable};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(default)]
    pub(crate) store: StoreTable,
    pub(crate) queue: Option<QueueTable>,
    #[serde(default)]
    pub(crate) server: ServerTable,
    #[serde(default)]
    pub(crate) worker: WorkerTable,
    #[serde(default)]
    pub(crate) registry: BTreeMap<String, Spanned<RegistryTable>>,
    #[serde(default)]
    pub(crate) source: BTreeMap<String, Spanned<SourceTable>>,
    #[serde(default)]
    pub(crate) identity: BTreeMap<String, Spanned<IdentityTable>>,
    #[serde(default)]
    pub(crate) rule: Vec<Spanned<RuleTable>>,
    #[serde(default)]
    pub(crate) sigstore: BTreeMap<String, Spanned<SigstoreTable>>,
    #[serde(default)]
    pub(crate) log: BTreeMap<String, Spanned<LogTable>>,
    pub(crate) monitor: Option<Spanned<MonitorTable>>,
    #[serde(default)]
    pub(crate) watch: Vec<Spanned<WatchTable>>,
    #[serde(default)]
    pub(crate) alert: Vec<Spanned<AlertTable>>,
}

/// `[store]`: what is remembered, and where.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreTable {
    #[serde(default = "default_store")]
    pub(crate) url: Spanned<String>,
    /// PostgreSQL's password, read again at each new connection.
    pub(crate) password_file: Option<Spanned<PathBuf>>,
    /// What the certificate of PostgreSQL's server is checked by.
    pub(crate) ca_file: Option<Spanned<PathBuf>>,
    /// How long finished jobs, skips and dead letters are kept. The ledger is kept for ever.
    #[serde(default = "default_keep_days")]
    pub(crate) keep_days: Spanned<u32>,
}

impl Default for StoreTable {
    fn default() -> Self {
        Self { url: default_store(), password_file: None, ca_file: None, keep_days: default_keep_days() }
    }
}

impl StoreTable {
    /// The table as the store takes it.
    pub(crate) fn config(&self) -> store::StoreConfig {
        let path = |path: &Option<Spanned<PathBuf>>| path.as_ref().map(|path| path.get_ref().clone());
        store::StoreConfig {
            url: self.url.get_ref().clone(),
            password_file: path(&self.password_file),
            ca_file: path(&self.ca_file),
        }
    }
}

fn default_keep_days() -> Spanned<u32> {
    Spanned::new(0..0, 90)
}

fn default_store() -> Spanned<String> {
    Spanned::new(0..0, "sqlite:sealwatch.db".to_owned())
}

/// `[queue]`: how push events travel from intake to workers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueueTable {
    pub(crate) url: Spanned<String>,
}

/// `[server]`: the listeners.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerTable {
    pub(crate) hooks: Option<Spanned<String>>,
    pub(crate) metrics: Option<Spanned<String>>,
    pub(crate) admin: Option<Spanned<String>>,
    pub(crate) tls: Option<Spanned<toml::Value>>,
}

/// `[worker]`: how much is done at once.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkerTable {
    pub(crate) concurrency: Option<Spanned<u32>>,
    pub(crate) max_attempts: Option<Spanned<u32>>,
}

/// `[registry."HOST"]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistryTable {
    pub(crate) auth: Option<AuthTable>,
    #[serde(default)]
    pub(crate) plain_http: bool,
    pub(crate) ca_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(crate) realm_hosts: Vec<String>,
    #[serde(default)]
    pub(crate) blob_hosts: Vec<String>,
    /// `http://HOST:PORT`, asked for tunnels to this registry.
    pub(crate) proxy: Option<Spanned<String>>,
    pub(crate) sweep: Option<Spanned<String>>,
    pub(crate) repositories: Option<Spanned<Vec<String>>>,
}

/// `auth = { … }` of a registry: a docker config file, or a user and a password by file or environment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthTable {
    pub(crate) docker_config: Option<Spanned<PathBuf>>,
    pub(crate) username: Option<Spanned<String>>,
    pub(crate) password_file: Option<Spanned<PathBuf>>,
    pub(crate) password_env: Option<Spanned<String>>,
}

/// `[source.NAME]`: who may post to `/hooks/NAME`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceTable {
    pub(crate) kind: Spanned<String>,
    pub(crate) registry: Spanned<String>,
    pub(crate) auth: Spanned<SourceAuth>,
    pub(crate) username: Option<Spanned<String>>,
    pub(crate) secret_file: Option<Spanned<PathBuf>>,
    /// Several secrets that are valid at once: the new one, and the old one that senders still use.
    pub(crate) secret_files: Option<Spanned<Vec<Spanned<PathBuf>>>>,
    pub(crate) secret_env: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) repositories: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) host_aliases: Vec<Spanned<String>>,
}

/// How a source proves itself.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SourceAuth {
    Bearer,
    Basic,
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    None,
}

/// `[identity.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentityTable {
    pub(crate) key: Option<Spanned<String>>,
    pub(crate) password_file: Option<Spanned<PathBuf>>,
    pub(crate) sigstore: Option<Spanned<String>>,
    pub(crate) keyless: Option<Spanned<toml::Value>>,
}

/// `[[rule]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleTable {
    pub(crate) repositories: Spanned<Vec<Spanned<String>>>,
    #[serde(default = "any_tag")]
    pub(crate) tags: Spanned<Vec<Spanned<String>>>,
    pub(crate) sign_with: Spanned<Vec<Spanned<String>>>,
    #[serde(default = "both_formats")]
    pub(crate) formats: Spanned<Vec<String>>,
    pub(crate) platforms: Option<Spanned<String>>,
    pub(crate) trust_zone: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) legacy_without_proof: bool,
    #[serde(default)]
    pub(crate) legacy_timestamp: bool,
}

fn any_tag() -> Spanned<Vec<Spanned<String>>> {
    Spanned::new(0..0, vec![Spanned::new(0..0, "*".to_owned())])
}

fn both_formats() -> Spanned<Vec<String>> {
    Spanned::new(0..0, vec!["bundle".to_owned(), "legacy".to_owned()])
}

/// `[sigstore.NAME]`: one trust domain: what to verify against, and where to write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SigstoreTable {
    pub(crate) trusted_root: Option<Spanned<String>>,
    pub(crate) signing_config: Option<Spanned<String>>,
    pub(crate) ca_file: Option<Spanned<PathBuf>>,
    /// `http://HOST:PORT`, asked for tunnels to the log that is written to and the timestamp authorities.
    pub(crate) proxy: Option<Spanned<String>>,
}

/// `[log."ORIGIN"]`: what a trusted root and a signing config do not say of a log.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogTable {
    pub(crate) version: Option<Spanned<u32>>,
    pub(crate) write_url: Option<Spanned<String>>,
    pub(crate) read_url: Option<Spanned<String>>,
    pub(crate) public_key_file: Option<Spanned<PathBuf>>,
    /// "rekor" (by default), "ct" or "static-ct".
    pub(crate) kind: Option<Spanned<String>>,
    /// "exhaustive" or "own_entries".
    pub(crate) coverage: Option<Spanned<String>>,
    pub(crate) witness_policy_file: Option<Spanned<PathBuf>>,
    pub(crate) stale_after: Option<Spanned<String>>,
    pub(crate) requests_per_second: Option<Spanned<u32>>,
    /// A private CA, for reading and for writing it.
    pub(crate) ca_file: Option<Spanned<PathBuf>>,
    /// `http://HOST:PORT`, asked for tunnels to where it is read.
    pub(crate) proxy: Option<Spanned<String>>,
    /// Retired: read to its end, then it must not grow.
    #[serde(default)]
    pub(crate) closed: bool,
}
