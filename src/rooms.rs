//! From a checked file to each room's typed configuration. Secrets are read here, by the role that needs them, and
//! nowhere else; what is wrong is noted with its line.

mod fit;
mod keys;
pub(crate) mod monitor;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bundle::{Format, PublicKey, RegistryHost};
use outbound::{Client, ClientConfig, Proxy};
use secrecy::ExposeSecret as _;
use signer::Services;
use signer::rekor::LogWriter;
use signer::rekor::v1::RekorV1;
use signer::rekor::v2::RekorV2;
use signer::timestamp::TimestampAuthority;
use toml::Spanned;
use watcher::registry::{Auth, Registry, RegistryConfig};
use watcher::{Identity, Limits, Platforms, Rule, Secrets, Source, SourceKind, WatcherConfig};

use crate::config::{
    AuthTable, Config, Problems, RegistryTable, SourceAuth, SourceTable, guarded, host_spelling, pattern_spelling,
    read_secret, warn_of,
};
use crate::trust::{self, ChosenLog, Sigstore};

use keys::Keys;

/// A hook's secret with fewer characters is warned of.
const MIN_SECRET: usize = 16;

/// Where the two listeners are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listeners {
    /// Webhooks.
    pub(crate) hooks: SocketAddr,
    /// Metrics and health.
    pub(crate) metrics: SocketAddr,
}

/// The listeners of a file that passed its checks.
pub(crate) fn listeners(config: &Config) -> anyhow::Result<Listeners> {
    let server = &config.file.server;
    let address = |value: &Option<Spanned<String>>, default: &str| {
        value.as_ref().map_or(default, |v| v.get_ref().as_str()).parse()
    };
    Ok(Listeners {
        hooks: address(&server.hooks, crate::config::DEFAULT_HOOKS)?,
        metrics: address(&server.metrics, crate::config::DEFAULT_METRICS)?,
    })
}

/// What the process that takes webhooks needs: no key, and no registry credential.
pub(crate) fn intake(config: &Config) -> Result<WatcherConfig, Problems> {
    let mut problems = config.problems();
    let sources = sources(config, &mut problems);
    if sources.is_empty() && problems.is_empty() {
        problems.note(
            0..0,
            "there is no [source.NAME]: nobody could tell us of a push",
            "add a [source.NAME] with kind, registry, auth and secret_file",
        );
    }
    if problems.is_empty() {
        Ok(WatcherConfig { sources, limits: limits(config), ..WatcherConfig::default() })
    } else {
        Err(problems)
    }
}

/// What the process that signs needs.
pub(crate) fn worker(config: &Config, now_ms: i64) -> Result<WatcherConfig, Problems> {
    worker_with(config, now_ms, &Keys::Private)
}

/// The same for a check: a key that this user may not read is checked by its public half; the notes say so. A public half
/// that belongs to another key is a problem.
pub(crate) fn checked_worker(config: &Config, now_ms: i64) -> Result<(WatcherConfig, Vec<String>), Problems> {
    let keys = Keys::Checked(RefCell::default());
    let room = worker_with(config, now_ms, &keys)?;
    match keys {
        Keys::Checked(notes) => Ok((room, notes.into_inner())),
        _ => Ok((room, Vec::new())),
    }
}

/// The same for showing public keys: no private key is read where its public half is beside it.
pub(crate) fn shown_worker(config: &Config, now_ms: i64) -> Result<WatcherConfig, Problems> {
    worker_with(config, now_ms, &Keys::Public)
}

/// The same for looking: no private key is ever read. The public half is the one beside the key file, else the one that
/// is known under the identity's name; an identity without either is left out.
pub(crate) fn looking_worker(
    config: &Config,
    now_ms: i64,
    known: BTreeMap<String, PublicKey>,
) -> Result<WatcherConfig, Problems> {
    worker_with(config, now_ms, &Keys::Looking(known))
}

fn worker_with(config: &Config, now_ms: i64, keys: &Keys) -> Result<WatcherConfig, Problems> {
    let mut problems = config.problems();
    let registries = registries(config, &mut problems);
    let sigstores = sigstores(config, now_ms, &mut problems);
    let identities = identities(config, &sigstores, keys, &mut problems);
    let rules = rules(config);
    fit::supported(config, &rules, &identities, &sigstores, &mut problems);
    fit::one_name_per_key(config, &rules, &identities, &mut problems);
    fit::one_zone_per_key(config, &rules, &identities, &mut problems);
    if rules.is_empty() && problems.is_empty() {
        problems.note(
            0..0,
            "there is no [[rule]]: nothing would ever be signed",
            "add a [[rule]] with repositories, tags and sign_with",
        );
    }
    if problems.is_empty() {
        Ok(WatcherConfig { sources: BTreeMap::new(), registries, rules, identities, limits: limits(config) })
    } else {
        Err(problems)
    }
}

fn limits(config: &Config) -> Limits {
    let mut limits = Limits::default();
    if let Some(n) = &config.file.worker.concurrency {
        limits.concurrency = usize::try_from(*n.get_ref()).unwrap_or(limits.concurrency);
    }
    if let Some(n) = &config.file.worker.max_attempts {
        limits.max_attempts = *n.get_ref();
    }
    limits
}

fn sources(config: &Config, problems: &mut Problems) -> BTreeMap<String, Source> {
    let mut all = BTreeMap::new();
    for (name, source) in &config.file.source {
        if let Some(built) = source_of(name, source.get_ref(), problems) {
            all.insert(name.clone(), built);
        }
    }
    all
}

/// The sources as they read a body that was authenticated when it came. No secret is read: none of them may take webhooks.
pub(crate) fn reading_sources(config: &Config) -> Result<BTreeMap<String, Source>, Problems> {
    let mut problems = config.problems();
    let mut all = BTreeMap::new();
    for (name, table) in &config.file.source {
        if let Some(source) = source_with(table.get_ref(), watcher::SourceAuth::None, &mut problems) {
            all.insert(name.clone(), source);
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(problems) }
}

fn source_of(name: &str, table: &SourceTable, problems: &mut Problems) -> Option<Source> {
    let label = format!("[source.{name}]");
    let auth = match table.auth.get_ref() {
        SourceAuth::None => watcher::SourceAuth::None,
        SourceAuth::Bearer => watcher::SourceAuth::Bearer(secrets_of(&label, table, problems)?),
        SourceAuth::HmacSha256 => watcher::SourceAuth::HmacSha256(secrets_of(&label, table, problems)?),
        SourceAuth::Basic => {
            let username = table.username.as_ref()?.get_ref().clone();
            watcher::SourceAuth::Basic { username, passwords: secrets_of(&label, table, problems)? }
        }
    };
    source_with(table, auth, problems)
}

fn source_with(table: &SourceTable, auth: watcher::SourceAuth, problems: &mut Problems) -> Option<Source> {
    let kind = if table.kind.get_ref() == "generic" { SourceKind::Generic } else { SourceKind::Distribution };
    Some(Source {
        kind,
        registry: host(&table.registry, problems)?,
        host_aliases: table.host_aliases.iter().map(|alias| alias.get_ref().clone()).collect(),
        repositories: table.repositories.iter().filter_map(|glob| glob.get_ref().parse().ok()).collect(),
        auth,
    })
}

/// Every secret that is valid for a source.
fn secrets_of(label: &str, table: &SourceTable, problems: &mut Problems) -> Option<Secrets> {
    let warn_of_a_short_one = |secret: &secrecy::SecretString, problems: &mut Problems| {
        if secret.expose_secret().chars().count() < MIN_SECRET {
            problems.warn(
                table.auth.span(),
                format!("{label}: its secret is shorter than {MIN_SECRET} characters, and can be guessed"),
                "make one by `openssl rand -hex 32`, and give it to the registry as well",
            );
        }
    };
    let Some(files) = &table.secret_files else {
        let keys = ("secret_file", "secret_env");
        let secret = read_secret(label, keys, table.secret_file.as_ref(), table.secret_env.as_ref(), problems)?;
        warn_of_a_short_one(&secret, problems);
        return Some(secret.into());
    };
    let keys = ("secret_files", "");
    // Each file that is wrong is said, not the first alone.
    let read: Vec<_> =
        files.get_ref().iter().map(|file| read_secret(label, keys, Some(file), None, problems)).collect();
    for secret in read.iter().flatten() {
        warn_of_a_short_one(secret, problems);
    }
    read.into_iter().collect::<Option<Vec<_>>>().map(Secrets::new)
}

fn host(text: &Spanned<String>, problems: &mut Problems) -> Option<RegistryHost> {
    text.get_ref()
        .parse()
        .map_err(|error| {
            problems.note(
                text.span(),
                format!("{:?} is not a registry host: {error}", text.get_ref()),
                "write HOST or HOST:PORT, without a scheme",
            )
        })
        .ok()
}

fn registries(config: &Config, problems: &mut Problems) -> BTreeMap<RegistryHost, Arc<Registry>> {
    let mut all = BTreeMap::new();
    for (name, table) in &config.file.registry {
        let Some(host) = host(&Spanned::new(table.span(), name.clone()), problems) else { continue };
        let Some(built) = registry_config(host.clone(), table, Credentials::Read, problems) else { continue };
        match Registry::new(built) {
            Ok(registry) => {
                all.insert(host, Arc::new(registry));
            }
            Err(error) => problems.note(table.span(), format!("[registry.\"{host}\"]: {error}"), "correct this table"),
        }
    }
    all
}

/// Whether the credentials that a file names are read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Credentials {
    /// They are.
    Read,
    /// They are not: the caller has others, or none.
    Leave,
}

/// How the file says that one registry is reached; `None` where it does not name it, or names it wrongly: then the
/// problems say so.
pub(crate) fn registry_of(
    config: &Config,
    host: &RegistryHost,
    credentials: Credentials,
    problems: &mut Problems,
) -> Option<RegistryConfig> {
    let (_, table) = config.file.registry.iter().find(|(name, _)| host_spelling(name) == host.as_str())?;
    registry_config(host.clone(), table, credentials, problems)
}

fn registry_config(
    host: RegistryHost,
    spanned: &Spanned<RegistryTable>,
    credentials: Credentials,
    problems: &mut Problems,
) -> Option<RegistryConfig> {
    let table = spanned.get_ref();
    let label = format!("[registry.\"{host}\"]");
    let auth = match &table.auth {
        None => Auth::Anonymous,
        Some(_) if credentials == Credentials::Leave => Auth::Anonymous,
        Some(auth) => registry_auth(&label, auth, spanned, problems)?,
    };
    let ca_pem = match &table.ca_file {
        None => None,
        Some(path) => match std::fs::read(path.get_ref()) {
            Ok(pem) => Some(pem),
            Err(error) => {
                problems.note(
                    path.span(),
                    format!("{label} ca_file: {}: {error}", path.get_ref().display()),
                    "name a PEM file with the private CA",
                );
                return None;
            }
        },
    };
    Some(RegistryConfig {
        host,
        plain_http: table.plain_http,
        auth,
        realm_hosts: table.realm_hosts.clone(),
        blob_hosts: table.blob_hosts.clone(),
        ca_pem,
        proxy: proxy(table.proxy.as_ref()),
    })
}

/// A proxy that passed the checks of the file.
pub(crate) fn proxy(text: Option<&Spanned<String>>) -> Option<Proxy> {
    text.and_then(|text| text.get_ref().parse().ok())
}

fn registry_auth(
    label: &str,
    auth: &AuthTable,
    table: &Spanned<RegistryTable>,
    problems: &mut Problems,
) -> Option<Auth> {
    match (&auth.docker_config, &auth.username) {
        (Some(path), None) => {
            match guarded::check(path.get_ref()) {
                Ok(exposed) => warn_of(label, path.span(), exposed, problems),
                Err(why) => {
                    problems.note(
                        path.span(),
                        format!("{label} docker_config: {why}"),
                        "name a docker config.json that is there, and that sealwatch alone can write",
                    );
                    return None;
                }
            }
            Some(Auth::DockerConfig(path.get_ref().clone()))
        }
        (None, Some(username)) => {
            let password = read_secret(
                label,
                ("password_file", "password_env"),
                auth.password_file.as_ref(),
                auth.password_env.as_ref(),
                problems,
            );
            if password.is_none() && auth.password_file.is_none() && auth.password_env.is_none() {
                problems.note(
                    username.span(),
                    format!("{label} auth has a username and no password"),
                    "add password_file = \"…\" (or password_env)",
                );
            }
            Some(Auth::Basic { username: username.get_ref().clone(), password: password? })
        }
        (Some(path), Some(_)) => {
            problems.note(path.span(), format!("{label} auth has both docker_config and username"), "keep one of them");
            None
        }
        (None, None) => {
            problems.note(
                table.span(),
                format!("{label} auth says nothing"),
                "use auth = { docker_config = \"FILE\" } or { username = \"…\", password_file = \"…\" }",
            );
            None
        }
    }
}

/// The trust domains of a file, by name.
pub(crate) fn sigstores(config: &Config, now_ms: i64, problems: &mut Problems) -> BTreeMap<String, Sigstore> {
    let mut all = BTreeMap::new();
    for (name, table) in &config.file.sigstore {
        if let Some(built) = trust::sigstore(config, name, table, now_ms, problems) {
            all.insert(name.clone(), built);
        }
    }
    all
}

/// Which `[sigstore.NAME]` an identity uses: the one it names, or the only one.
fn sigstore_name<'a>(config: &'a Config, identity: &str) -> Option<&'a String> {
    let table = config.file.identity.get(identity)?.get_ref();
    table.sigstore.as_ref().map(Spanned::get_ref).or_else(|| config.file.sigstore.keys().next())
}

fn identities(
    config: &Config,
    sigstores: &BTreeMap<String, Sigstore>,
    keys: &Keys,
    problems: &mut Problems,
) -> BTreeMap<String, Arc<Identity>> {
    let mut all = BTreeMap::new();
    for (name, table) in &config.file.identity {
        let label = format!("[identity.{name}]");
        let Some(key) = keys.load(name, table, problems) else { continue };
        let Some(sigstore) = sigstore_name(config, name).and_then(|s| sigstores.get(s)) else { continue };
        match services(sigstore) {
            Ok(services) => {
                all.insert(name.clone(), Arc::new(Identity { name: name.clone(), key, services }));
            }
            Err(error) => problems.note(
                table.span(),
                format!("{label}: {error}"),
                "correct the [sigstore] and [log] tables it uses",
            ),
        }
    }
    all
}

fn services(sigstore: &Sigstore) -> anyhow::Result<Services> {
    let client = Client::new(ClientConfig {
        user_agent: user_agent(),
        extra_ca_files_pem: sigstore.ca_pem.iter().cloned().collect(),
        proxy: sigstore.proxy.clone(),
        timeout: Duration::from_secs(60),
        ..ClientConfig::default()
    })?;
    let log = sigstore.log.as_ref().map(|log| log_writer(&client, log));
    let timestamp_authorities = sigstore
        .timestamp_authorities
        .iter()
        .map(|url| TimestampAuthority::new(client.clone(), url.clone(), sigstore.trust.clone()))
        .collect();
    Ok(Services {
        log,
        timestamp_authorities,
        trust: sigstore.trust.clone(),
        legacy_without_proof: false,
        legacy_timestamp: false,
    })
}

fn log_writer(client: &Client, log: &ChosenLog) -> Arc<dyn LogWriter> {
    if log.version == 1 {
        Arc::new(RekorV1::new(client.clone(), &log.origin, log.write_url.clone(), log.key.clone()))
    } else {
        Arc::new(RekorV2::new(
            client.clone(),
            &log.origin,
            log.write_url.clone(),
            log.read_url.clone(),
            log.key.clone(),
        ))
    }
}

/// How we name ourselves to other servers.
pub(crate) fn user_agent() -> String {
    format!("sealwatch/{}", env!("CARGO_PKG_VERSION"))
}

fn rules(config: &Config) -> Vec<Rule> {
    let mut all = Vec::new();
    for rule in &config.file.rule {
        let table = rule.get_ref();
        let patterns = table.repositories.get_ref();
        all.push(Rule {
            repositories: patterns
                .iter()
                .filter_map(|pattern| pattern_spelling(pattern.get_ref()).parse().ok())
                .collect(),
            tags: table.tags.get_ref().iter().filter_map(|g| g.get_ref().parse().ok()).collect(),
            sign_with: table.sign_with.get_ref().iter().map(|name| name.get_ref().clone()).collect(),
            formats: table.formats.get_ref().iter().filter_map(|f| f.parse::<Format>().ok()).collect(),
            platforms: match &table.platforms {
                Some(p) if p.get_ref() == "all" => Platforms::All,
                _ => Platforms::Index,
            },
            trust_zone: table.trust_zone.as_ref().map_or_else(|| "default".to_owned(), |z| z.get_ref().clone()),
            legacy_without_proof: table.legacy_without_proof,
            legacy_timestamp: table.legacy_timestamp,
        });
    }
    all
}

/// Opens the store of a file. What is allowed and should not be is told to the log.
pub(crate) async fn store(config: &Config) -> anyhow::Result<Arc<dyn store::Store>> {
    let store = config.file.store.config();
    for warning in store.check()? {
        tracing::warn!("{warning}");
    }
    Ok(store::open(store).await?)
}

/// Opens the store of a file beside the process that works with it.
pub(crate) async fn store_beside(config: &Config) -> anyhow::Result<Arc<dyn store::Store>> {
    Ok(store::open_beside(config.file.store.config()).await?)
}

/// Checks the files that the store needs, and answers with what is allowed and should not be.
pub(crate) fn store_files(config: &Config) -> Result<Vec<String>, Problems> {
    let (table, store) = (&config.file.store, config.file.store.config());
    let mut problems = config.problems();
    let warnings = store.check_files().and_then(|()| store.check());
    warnings.map_err(|error| {
        let place = match &error {
            store::StoreError::PasswordFile { .. } => table.password_file.as_ref().map(Spanned::span),
            store::StoreError::File { .. } => table.ca_file.as_ref().map(Spanned::span),
            _ => None,
        };
        let fix = match &error {
            store::StoreError::PasswordFile { .. } => "write the password into that file, readable by sealwatch alone",
            store::StoreError::File { .. } => "name a PEM file with the CA of the server's certificate",
            _ => "correct the [store] table",
        };
        problems.note(place.unwrap_or_else(|| table.url.span()), format!("[store] {error}"), fix);
        problems
    })
}

/// Looks at the PostgreSQL store of a file, and changes nothing; a word of what is there.
pub(crate) async fn store_looked_at(config: &Config) -> anyhow::Result<String> {
    Ok(match store::look(config.file.store.config()).await? {
        store::SchemaSeen::Absent => "answers; the schema is made at the first start".to_owned(),
        store::SchemaSeen::Older { version } => {
            format!("answers; its schema is {version}, and is brought up to date at the next start")
        }
        store::SchemaSeen::Current => "answers; its schema is this version's".to_owned(),
    })
}

/// Reads a public key file for a command. Of several keys the first is taken, as by cosign, with a warning.
pub(crate) fn public_key(path: &Path) -> anyhow::Result<bundle::PublicKey> {
    let keys = public_keys(path)?;
    if let Some(several) = keys.several() {
        crate::say::complain(format_args!("warning: key file {} {several}; only the first is used", path.display()));
    }
    Ok(keys.first)
}

/// Reads a public key file with every key that is in it.
pub(crate) fn public_keys(path: &Path) -> anyhow::Result<bundle::PemKeys> {
    use crate::ended::OrUsage as _;
    // A PEM file may hold text in any encoding around its blocks.
    let pem = std::fs::read(path).or_usage(format!("key file {}", path.display()))?;
    let pem = String::from_utf8_lossy(&pem);
    bundle::PublicKey::all_from_pem(&pem).or_usage(format!("key file {}: use the public key (PEM)", path.display()))
}

#[cfg(test)]
mod tests;
