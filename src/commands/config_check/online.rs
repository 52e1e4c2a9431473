//! `config check --online`: asks every service that the file names, without writing anything that lasts.

use std::time::Duration;

use bundle::{RegistryHost, Repository};
use outbound::{Client, ClientConfig, Request};
use signer::key::KeyBackend;
use tlog::Checkpoint;
use url::Url;
use watcher::WatcherConfig;
use watcher::registry::RegistryError;

use crate::commands::{CLEAN, COULD_NOT_LOOK, USAGE};
use crate::config::Config;
use crate::rooms;
use crate::trust::{ChosenLog, Sigstore};

use super::store_check;

/// How long one service may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest head or log description that is read.
const ANSWER_MAX: usize = 1 << 20;

/// What came of asking one service.
#[derive(Debug)]
pub(super) struct Asked {
    /// Which one.
    pub(super) what: String,
    /// A word of it, or what is wrong.
    pub(super) outcome: Result<String, Trouble>,
}

/// What is wrong with a service.
#[derive(Debug)]
pub(super) struct Trouble {
    /// In words.
    pub(super) why: String,
    /// What to do.
    pub(super) fix: String,
    /// The exit code: the configuration is wrong, or we could not look.
    pub(super) code: u8,
}

impl Trouble {
    /// It could not be asked.
    pub(super) fn away(why: impl ToString, fix: impl Into<String>) -> Self {
        Self { why: why.to_string(), fix: fix.into(), code: COULD_NOT_LOOK }
    }

    /// It answered, and the configuration does not fit it.
    pub(super) fn wrong(why: impl ToString, fix: impl Into<String>) -> Self {
        Self { why: why.to_string(), fix: fix.into(), code: USAGE }
    }
}

/// Asks the store, the registries, the logs and the authorities, and tries each key.
pub(super) async fn ask(config: &Config, worker: Option<&WatcherConfig>, now_ms: i64) -> Vec<Asked> {
    let mut all = vec![Asked { what: "store".to_owned(), outcome: within(store_check::store(config)).await }];
    if let Some(worker) = worker {
        for (host, registry) in &worker.registries {
            let outcome = within(async {
                let repository = repository_of(config, host)?;
                match registry.ping(&repository).await {
                    Ok(()) => Ok("answers, and takes our credentials".to_owned()),
                    Err(error) => Err(registry_trouble(host, registry.plain_http(), &error)),
                }
            });
            all.push(Asked { what: format!("registry {host}"), outcome: outcome.await });
        }
    }
    let mut problems = config.problems();
    for (name, sigstore) in rooms::sigstores(config, now_ms, &mut problems) {
        let log = sigstore.log.clone();
        if let Some(log) = log {
            let what = format!("log {}", log.origin);
            all.push(Asked { what, outcome: within(log_answers(&sigstore, &log)).await });
        }
        for url in &sigstore.timestamp_authorities {
            let what = format!("timestamp authority {url}");
            all.push(Asked { what, outcome: within(authority_answers(&name, &sigstore, url)).await });
        }
    }
    for (name, identity) in worker.map(|worker| &worker.identities).into_iter().flatten() {
        all.push(Asked { what: format!("key of identity {name}"), outcome: key_signs(identity.key.as_ref()).await });
    }
    all
}

/// The code that a list of answers ends with.
pub(super) fn code(all: &[Asked]) -> u8 {
    let codes = all.iter().filter_map(|asked| asked.outcome.as_ref().err()).map(|trouble| trouble.code);
    // What is wrong with the file comes before what may pass by itself.
    codes.min().unwrap_or(CLEAN)
}

async fn within(asking: impl Future<Output = Result<String, Trouble>>) -> Result<String, Trouble> {
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Trouble::away(
            format!("no answer within {} s", PATIENCE.as_secs()),
            "start it, or look at the network between this machine and it",
        )),
    }
}

/// A repository that the rules name on this host: token services give tokens for repositories.
fn repository_of(config: &Config, host: &RegistryHost) -> Result<Repository, Trouble> {
    let prefix = format!("{host}/");
    let globs = config.file.rule.iter().flat_map(|rule| rule.get_ref().repositories.get_ref());
    globs
        .filter_map(|glob| glob.get_ref().strip_prefix(&prefix))
        .map(|name| name.replace("**", "sealwatch-check").replace('*', "sealwatch-check"))
        .chain(std::iter::once("sealwatch-check".to_owned()))
        .find_map(|name| name.parse().ok())
        .ok_or_else(|| Trouble::wrong("no repository can be named on it", "add a [[rule]] with its repositories"))
}

fn registry_trouble(host: &RegistryHost, plain_http: bool, error: &RegistryError) -> Trouble {
    let table = format!("[registry.\"{host}\"]");
    let text = whole(error);
    match error {
        RegistryError::Outbound { .. } if !plain_http && text.contains("InvalidContentType") => Trouble::wrong(
            "it does not speak TLS",
            format!("where it is meant to speak HTTP: plain_http = true in {table}"),
        ),
        RegistryError::Outbound { .. } if text.contains("UnknownIssuer") => {
            Trouble::wrong(text, format!("name its private CA with ca_file in {table}"))
        }
        RegistryError::Unauthorized { .. } | RegistryError::Denied { .. } | RegistryError::Credentials { .. } => {
            Trouble::wrong(text, format!("correct auth of {table}: the account, its password, and what it may pull"))
        }
        RegistryError::ForbiddenRealm { .. } => {
            Trouble::wrong(text, format!("add the host of its token service to realm_hosts of {table}, if it is yours"))
        }
        RegistryError::Refused { .. } => {
            Trouble::wrong(text, format!("is {host} the registry itself? Something else seems to answer GET /v2/"))
        }
        _ => Trouble::away(text, "start it, or look at the network between this machine and it"),
    }
}

async fn log_answers(sigstore: &Sigstore, log: &ChosenLog) -> Result<String, Trouble> {
    let client = client(sigstore)?;
    let table = format!("[log.\"{}\"]", log.origin);
    let note = if log.version == 1 {
        let url = below(&log.write_url, "api/v1/log")?;
        let body = get(&client, &url, &table).await?;
        let info: serde_json::Value = serde_json::from_slice(&body).map_err(|_| not_a_log(&url, &table))?;
        info["signedTreeHead"].as_str().ok_or_else(|| not_a_log(&url, &table))?.to_owned()
    } else {
        let read = log.read_url.as_ref().unwrap_or(&log.write_url);
        if read.scheme() == "file" {
            return Err(Trouble::wrong(
                "a log that is written to is read over HTTP",
                format!("set read_url in {table}"),
            ));
        }
        let url = below(read, "checkpoint")?;
        let body = get(&client, &url, &table).await?;
        String::from_utf8(body).map_err(|_| not_a_log(&url, &table))?
    };
    let head = Checkpoint::open(&note, &log.key).map_err(|error| {
        Trouble::wrong(
            format!("its head does not open with the log's key: {error}"),
            format!("the trusted root, or public_key_file of {table}, names another log's key"),
        )
    })?;
    if log.version == 2 {
        let url = below(&log.write_url, "api/v2/log/entries")?;
        // An empty request is refused before anything is logged; that it is refused as malformed shows who answers.
        let request = Request::post(url.clone()).body("application/json", "{}").trusted().max_bytes(ANSWER_MAX);
        let answer = client.send(request).await.map_err(|error| unreachable(&error, &table, "write_url"))?;
        if !matches!(answer.status.as_u16(), 400 | 422) {
            return Err(status(answer.status.as_u16(), &url, &table, "write_url"));
        }
    }
    Ok(format!("answers; {} entries under a head that its key signed", head.size()))
}

async fn get(client: &Client, url: &Url, table: &str) -> Result<Vec<u8>, Trouble> {
    let key = if url.path().ends_with("checkpoint") { "read_url" } else { "write_url" };
    let request = Request::get(url.clone()).trusted().max_bytes(ANSWER_MAX);
    let answer = client.send(request).await.map_err(|error| unreachable(&error, table, key))?;
    match answer.status.as_u16() {
        200 => Ok(answer.body.to_vec()),
        code => Err(status(code, url, table, key)),
    }
}

fn unreachable(error: &outbound::OutboundError, table: &str, key: &str) -> Trouble {
    Trouble::away(whole(error), format!("start it, or correct {key} in {table} or the signing config"))
}

fn status(code: u16, url: &Url, table: &str, key: &str) -> Trouble {
    let why = format!("{url} answers {code}");
    let fix = format!("is it up, and is {key} of {table} (or the signing config's URL) right?");
    if matches!(code, 429 | 500..) { Trouble::away(why, fix) } else { Trouble::wrong(why, fix) }
}

fn not_a_log(url: &Url, table: &str) -> Trouble {
    Trouble::wrong(format!("{url} is not answered by a log"), format!("correct the URL or the version in {table}"))
}

fn below(base: &Url, path: &str) -> Result<Url, Trouble> {
    format!("{}/{path}", base.as_str().trim_end_matches('/'))
        .parse()
        .map_err(|_| Trouble::wrong(format!("{base} is no base of a URL"), "correct the log's URLs"))
}

/// Has random bytes stamped: the answer is thrown away, and must verify with the trusted root.
async fn authority_answers(name: &str, sigstore: &Sigstore, url: &Url) -> Result<String, Trouble> {
    let client = client(sigstore)?;
    let authority = signer::timestamp::TimestampAuthority::new(client, url.clone(), sigstore.trust.clone());
    let random = crate::run::random().map_err(|error| Trouble::away(error, "give this system randomness"))?;
    match authority.stamp(&random.to_be_bytes()).await {
        Ok(_) => Ok("answers; its stamp verifies with the trusted root".to_owned()),
        Err(error) if error.is_transient() => {
            Err(Trouble::away(whole(&error), format!("start it, or correct the signing_config of [sigstore.{name}]")))
        }
        Err(error) => Err(Trouble::wrong(
            whole(&error),
            format!("correct the trusted_root or the signing_config of [sigstore.{name}]"),
        )),
    }
}

fn client(sigstore: &Sigstore) -> Result<Client, Trouble> {
    Client::new(ClientConfig {
        user_agent: rooms::user_agent(),
        extra_ca_files_pem: sigstore.ca_pem.iter().cloned().collect(),
        proxy: sigstore.proxy.clone(),
        timeout: PATIENCE,
        ..ClientConfig::default()
    })
    .map_err(|error| Trouble::wrong(error, "correct the ca_file of [sigstore] or [log]"))
}

/// Signs a text that is no image and no log entry, and throws the signature away.
async fn key_signs(key: &dyn KeyBackend) -> Result<String, Trouble> {
    let hash = key.public_key().bundle_hash();
    match key.sign(b"sealwatch config check: this signs nothing", hash).await {
        Ok(_) => Ok("signs, and its public half verifies that".to_owned()),
        Err(error) => {
            Err(Trouble::wrong(error, "run the check as the user that signs, which may read the private key"))
        }
    }
}

/// An error and its causes, each thing said once.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
