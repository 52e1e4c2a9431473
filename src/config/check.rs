//! The checks that need nothing but the file: names that must exist, choices that exclude each other, rules that
//! can never match, and what is not built yet.

mod reachable;
mod registries;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use toml::Spanned;
use url::Url;
use watcher::glob::Glob;

use super::file::{File, SourceAuth, SourceTable};
use super::{Problems, host_spelling};

/// Where webhooks are taken when the file does not say.
pub(crate) const DEFAULT_HOOKS: &str = "127.0.0.1:8080";
/// Where metrics are served when the file does not say.
pub(crate) const DEFAULT_METRICS: &str = "127.0.0.1:9091";

pub(super) fn check(file: &File, problems: &mut Problems) {
    not_built(file, problems);
    servers(file, problems);
    urls(file, problems);
    registries::check(file, problems);
    sources(file, problems);
    identities(file, problems);
    rules(file, problems);
    zones(file, problems);
}

fn not_built(file: &File, problems: &mut Problems) {
    if let Some(queue) = &file.queue
        && queue.url.get_ref() != "store:"
    {
        let url = &queue.url;
        if url.get_ref().starts_with("amqp") {
            problems.note(
                url.span(),
                "[queue] url: RabbitMQ is not built yet",
                "use url = \"store:\", which keeps events in the store",
            );
        } else {
            problems.note(url.span(), "[queue] url is not a queue", "use url = \"store:\"");
        }
    }
    if let Some(admin) = &file.server.admin {
        problems.note(
            admin.span(),
            "[server] admin: the API and console are not built yet",
            "remove the key; `sealwatch status` and `explain` read the store",
        );
    }
    if let Some(tls) = &file.server.tls {
        problems.note(
            tls.span(),
            "[server] tls is not built yet",
            "remove the key and put a TLS proxy in front of `hooks`",
        );
    }
    for (host, registry) in &file.registry {
        if let Some(sweep) = &registry.get_ref().sweep {
            problems.note(
                sweep.span(),
                format!("[registry.\"{host}\"] sweep is not built yet"),
                "remove the key; pushes are signed by webhook",
            );
        }
        if let Some(list) = &registry.get_ref().repositories {
            problems.note(
                list.span(),
                format!("[registry.\"{host}\"] repositories belongs to sweep, which is not built yet"),
                "remove the key",
            );
        }
    }
    for (name, identity) in &file.identity {
        if let Some(keyless) = &identity.get_ref().keyless {
            problems.note(
                keyless.span(),
                format!("[identity.{name}] keyless is not built yet"),
                "use key = \"FILE\", made by `sealwatch key create`",
            );
        }
    }
}

fn servers(file: &File, problems: &mut Problems) {
    for (key, value) in [("hooks", &file.server.hooks), ("metrics", &file.server.metrics)] {
        if let Some(value) = value
            && value.get_ref().parse::<SocketAddr>().is_err()
        {
            problems.note(
                value.span(),
                format!("[server] {key}: {:?} is not an address and port", value.get_ref()),
                "write it like \"0.0.0.0:8080\"",
            );
        }
    }
    if let Some(n) = &file.worker.concurrency
        && !(1..=256).contains(n.get_ref())
    {
        problems.note(n.span(), "[worker] concurrency is out of range", "choose 1 to 256");
    }
    if let Some(n) = &file.worker.max_attempts
        && !(1..=1000).contains(n.get_ref())
    {
        problems.note(n.span(), "[worker] max_attempts is out of range", "choose 1 to 1000");
    }
}

fn urls(file: &File, problems: &mut Problems) {
    if !(1..=3650).contains(file.store.keep_days.get_ref()) {
        problems.note(file.store.keep_days.span(), "[store] keep_days is out of range", "choose 1 to 3650");
    }
    store(file, problems);
    for (origin, log) in &file.log {
        let log = log.get_ref();
        for (key, value) in [("write_url", &log.write_url), ("read_url", &log.read_url)] {
            if let Some(value) = value
                && !is_http(value.get_ref())
                && !(key == "read_url" && value.get_ref().starts_with("file:///"))
            {
                problems.note(
                    value.span(),
                    format!("[log.\"{origin}\"] {key}: {:?} is not an http or https URL", value.get_ref()),
                    "write it like \"https://rekor.example.com\"",
                );
            }
        }
        if let Some(kind) = &log.kind
            && !matches!(kind.get_ref().as_str(), "rekor" | "ct" | "static-ct")
        {
            problems.note(
                kind.span(),
                format!("[log.\"{origin}\"] kind {:?} is not known", kind.get_ref()),
                "use \"rekor\", \"ct\" (RFC 6962) or \"static-ct\"",
            );
        }
        if let Some(version) = &log.version
            && !(1..=2).contains(version.get_ref())
        {
            problems.note(
                version.span(),
                format!("[log.\"{origin}\"] version {} is not known", version.get_ref()),
                "use 1 (Rekor v1) or 2 (Rekor v2, tiles)",
            );
        }
    }
}

fn store(file: &File, problems: &mut Problems) {
    use store::StoreError;
    let span = file.store.url.span();
    match file.store.config().check() {
        Ok(_) => {}
        Err(StoreError::UnknownEngine) => problems.note(
            span,
            "[store] url is not one of a store",
            "use \"sqlite:FILE\" or \"postgres://USER@HOST/DATABASE\"",
        ),
        Err(StoreError::Password) => problems.note(
            span,
            "[store] url holds a password",
            "take it out, write it to a file that sealwatch alone may read, and set password_file = \"FILE\" (PGPASSFILE works too)",
        ),
        Err(StoreError::NoCa { target }) => problems.note(
            span,
            format!("[store] {target} is reached over a network, and there is no CA to check its certificate by"),
            "set ca_file = \"FILE\" (the system's CAs are not read; their bundle is a file too, often \
             /etc/ssl/certs/ca-certificates.crt), or say otherwise with ?sslmode= in url",
        ),
        Err(error) => problems.note(span, format!("[store] {error}"), "correct this table"),
    }
}

/// Whether a text is an absolute http or https URL.
pub(crate) fn is_http(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn sources(file: &File, problems: &mut Problems) {
    let hooks = file.server.hooks.as_ref().map_or(DEFAULT_HOOKS, |h| h.get_ref());
    let loopback = hooks.parse::<SocketAddr>().is_ok_and(|a| a.ip().is_loopback());
    for (name, source) in &file.source {
        let table = source.get_ref();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            problems.note(
                source.span(),
                format!("[source.{name:?}]: the name is a part of a URL"),
                "use letters, digits, - and _",
            );
        }
        let kind = table.kind.get_ref().as_str();
        if !matches!(kind, "distribution" | "generic") {
            let known = [
                "harbor",
                "zot",
                "ghcr",
                "gitlab",
                "quay",
                "dockerhub",
                "acr",
                "ecr",
                "gar",
                "jfrog",
                "nexus",
                "gitea",
            ];
            let what = if known.contains(&kind) { "is not built yet" } else { "is not known" };
            problems.note(
                table.kind.span(),
                format!("[source.{name}] kind {kind:?} {what}"),
                "use \"distribution\", or \"generic\" with a relay that posts {repository, tag, digest}",
            );
        }
        let speaks_for = host_spelling(table.registry.get_ref());
        if !file.registry.keys().any(|host| host_spelling(host) == speaks_for) {
            problems.note(
                table.registry.span(),
                format!(
                    "[source.{name}] speaks for the registry {:?}, which is not configured",
                    table.registry.get_ref()
                ),
                format!("add [registry.\"{}\"], or name one that is there", table.registry.get_ref()),
            );
        }
        let has_secret = table.secret_file.is_some() || table.secret_files.is_some() || table.secret_env.is_some();
        if let Some(files) = &table.secret_files {
            secret_files(name, table, files, problems);
        }
        for alias in &table.host_aliases {
            host_alias(name, alias, problems);
        }
        match table.auth.get_ref() {
            SourceAuth::None if !loopback => problems.note(
                table.auth.span(),
                format!("[source.{name}] auth = \"none\" while [server] hooks = {hooks:?} is not loopback"),
                "set auth = \"bearer\" and secret_file, or listen on 127.0.0.1",
            ),
            SourceAuth::None => {}
            _ if !has_secret => problems.note(
                table.auth.span(),
                format!("[source.{name}] has no secret"),
                "add secret_file = \"…\" (or secret_files, or secret_env); `auth = \"none\"` is for loopback only",
            ),
            SourceAuth::Basic if table.username.is_none() => {
                problems.note(
                    table.auth.span(),
                    format!("[source.{name}] auth = \"basic\" has no username"),
                    "add username = \"…\"",
                );
            }
            _ => {}
        }
        for glob in &table.repositories {
            if let Err(error) = glob.get_ref().parse::<Glob>() {
                problems.note(
                    glob.span(),
                    format!("[source.{name}] repositories: {error}"),
                    "use names, * within a segment and ** across segments",
                );
            }
        }
    }
}

/// Each secret is compared with each request, so there are not many.
const MAX_SECRETS: usize = 8;

fn secret_files(name: &str, table: &SourceTable, files: &Spanned<Vec<Spanned<PathBuf>>>, problems: &mut Problems) {
    if table.secret_file.is_some() || table.secret_env.is_some() {
        problems.note(
            files.span(),
            format!("[source.{name}] has secret_files beside secret_file or secret_env"),
            "put every secret that is valid into secret_files, or keep the other key alone",
        );
    }
    if files.get_ref().is_empty() || files.get_ref().len() > MAX_SECRETS {
        problems.note(
            files.span(),
            format!("[source.{name}] secret_files names {} files", files.get_ref().len()),
            format!("name 1 to {MAX_SECRETS}: the new secret, and the old one until no sender uses it"),
        );
    }
}

/// An alias is compared with `host[:port]` of an event, so anything else would never be met.
fn host_alias(name: &str, alias: &Spanned<String>, problems: &mut Problems) {
    let text = alias.get_ref();
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_host) {
        problems.note(
            alias.span(),
            format!("[source.{name}] host_aliases: {text:?} is no HOST or HOST:PORT"),
            "write it as the warning of the event names it, without a scheme and without a path",
        );
    }
}

fn identities(file: &File, problems: &mut Problems) {
    for (name, identity) in &file.identity {
        let table = identity.get_ref();
        match (&table.key, &table.keyless) {
            (Some(_), Some(keyless)) => {
                problems.note(keyless.span(), format!("[identity.{name}] has both key and keyless"), "keep one of them")
            }
            (None, None) => problems.note(
                identity.span(),
                format!("[identity.{name}] has no key"),
                "add key = \"FILE\", made by `sealwatch key create`",
            ),
            (Some(key), None) => {
                if let Some((scheme, _)) = key.get_ref().split_once("://") {
                    problems.note(
                        key.span(),
                        format!("[identity.{name}] key: {scheme}:// references are not built yet"),
                        "use the path of a key file, made by `sealwatch key create`",
                    );
                } else if key.get_ref().starts_with("pkcs11:") {
                    problems.note(
                        key.span(),
                        format!("[identity.{name}] key: pkcs11: references are not built yet"),
                        "use the path of a key file",
                    );
                }
            }
            (None, Some(_)) => {}
        }
        match &table.sigstore {
            Some(named) if !file.sigstore.contains_key(named.get_ref()) => problems.note(
                named.span(),
                format!("[identity.{name}] sigstore: there is no [sigstore.{}]", named.get_ref()),
                format!("add that table, or name one of: {}", list(file.sigstore.keys())),
            ),
            None if file.sigstore.len() != 1 => problems.note(
                identity.span(),
                format!(
                    "[identity.{name}] does not say which [sigstore.NAME] it uses, and there are {}",
                    file.sigstore.len()
                ),
                "add sigstore = \"NAME\"",
            ),
            _ => {}
        }
    }
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() { "(none yet)".to_owned() } else { names.join(", ") }
}

fn rules(file: &File, problems: &mut Problems) {
    for (n, rule) in file.rule.iter().enumerate() {
        let table = rule.get_ref();
        for name in table.sign_with.get_ref() {
            if !file.identity.contains_key(name.get_ref()) {
                problems.note(
                    name.span(),
                    format!("rule {}: there is no [identity.{}]", n + 1, name.get_ref()),
                    format!("add it, or name one of: {}", list(file.identity.keys())),
                );
            }
        }
        if table.sign_with.get_ref().is_empty() {
            problems.note(
                table.sign_with.span(),
                format!("rule {} signs with nothing", n + 1),
                "name an identity in sign_with",
            );
        }
        if table.formats.get_ref().is_empty() {
            problems.note(
                table.formats.span(),
                format!("rule {} has no format", n + 1),
                "use formats = [\"bundle\", \"legacy\"], or leave the key out",
            );
        }
        for format in table.formats.get_ref() {
            if !matches!(format.as_str(), "bundle" | "legacy") {
                problems.note(
                    table.formats.span(),
                    format!("rule {}: {format:?} is not a format", n + 1),
                    "use \"bundle\" and \"legacy\"",
                );
            }
        }
        if let Some(platforms) = &table.platforms
            && !matches!(platforms.get_ref().as_str(), "index" | "all")
        {
            problems.note(
                platforms.span(),
                format!("rule {}: platforms = {:?}", n + 1, platforms.get_ref()),
                "use \"index\" (the index alone) or \"all\" (its platforms too)",
            );
        }
        reachable::reachable(file, n, table, problems);
    }
}

fn zones(file: &File, problems: &mut Problems) {
    let mut zone_of: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for (n, rule) in file.rule.iter().enumerate() {
        let rule = rule.get_ref();
        let zone = rule.trust_zone.as_ref().map_or("default", |z| z.get_ref().as_str());
        for name in rule.sign_with.get_ref() {
            let entry = zone_of.entry(name.get_ref()).or_insert((zone, n + 1));
            if entry.0 != zone {
                let span = rule.trust_zone.as_ref().map_or(rule.sign_with.span(), Spanned::span);
                problems.note(
                    span,
                    format!(
                        "the identity {} signs in two trust zones: {:?} (rule {}) and {zone:?} (rule {})",
                        name.get_ref(),
                        entry.0,
                        entry.1,
                        n + 1
                    ),
                    "give each zone an identity of its own: a copied image would verify in the other zone",
                );
            }
        }
    }
}
