//! Trusted roots and signing configs, from files: what to verify against, and which log and timestamp authority to
//! write to. Chosen once, when the process starts.

pub(crate) mod material;

use std::path::Path;
use std::sync::Arc;

use bundle::signing_config::SigningConfig;
use bundle::trust_root::{TrustRoot, ValidFor};
use tlog::LogKey;
use toml::Spanned;
use url::Url;

use crate::config::{Config, LogTable, Problems, SigstoreTable};

/// One trust domain, ready for use.
#[derive(Clone)]
pub(crate) struct Sigstore {
    /// What signatures are verified against.
    pub(crate) trust: Arc<TrustRoot>,
    /// The log that is written to; absent where the signing config names none.
    pub(crate) log: Option<ChosenLog>,
    /// The timestamp authorities that are asked, by URL.
    pub(crate) timestamp_authorities: Vec<Url>,
    /// A private CA of these services (PEM).
    pub(crate) ca_pem: Option<Vec<u8>>,
    /// The proxy that leads to them.
    pub(crate) proxy: Option<outbound::Proxy>,
}

/// The log that is written to.
#[derive(Clone, Debug)]
pub(crate) struct ChosenLog {
    /// Its origin: the host that its checkpoints name.
    pub(crate) origin: String,
    /// 1 or 2.
    pub(crate) version: u32,
    /// Where entries are sent.
    pub(crate) write_url: Url,
    /// Where tiles are read (version 2).
    pub(crate) read_url: Option<Url>,
    /// Its public key.
    pub(crate) key: LogKey,
}

/// Reads `[sigstore.NAME]` and the `[log]` tables that complete it.
///
/// The choice of ANY is drawn from the signing config's own bytes: every process, and the same one after a crash,
/// chooses the same log, so that an upload whose answer was lost is repeated where it was made.
pub(crate) fn sigstore(
    config: &Config,
    name: &str,
    table: &Spanned<SigstoreTable>,
    now_ms: i64,
    problems: &mut Problems,
) -> Option<Sigstore> {
    let label = format!("[sigstore.{name}]");
    let mut trust = match &table.get_ref().trusted_root {
        Some(file) => TrustRoot::parse(&material(&label, "trusted_root", file, problems)?)
            .map_err(|error| {
                problems.note(
                    file.span(),
                    format!("{label} trusted_root {}: {error}", file.get_ref()),
                    "use a trusted_root.json as `cosign trusted-root create` writes it",
                )
            })
            .ok()?,
        None => TrustRoot::empty(),
    };
    if let Some(file) = &table.get_ref().trusted_root {
        warn_of_unusable(&label, file, &trust, problems);
    }
    for (origin, log) in &config.file.log {
        if let Some(key) = log_key(origin, log, problems)
            && trust.log(&key.key_id()).is_none()
        {
            let base =
                log.get_ref().write_url.as_ref().map_or_else(|| format!("https://{origin}"), |u| u.get_ref().clone());
            if let Err(error) = trust.add_log(&base_url(origin, log.get_ref(), base), key, always()) {
                problems.note(log.span(), format!("[log.\"{origin}\"]: {error}"), "correct this table");
            }
        }
    }
    let mut ca_pem = match &table.get_ref().ca_file {
        Some(path) => Some(file_bytes(&label, "ca_file", path.get_ref(), path.span(), problems)?),
        None => None,
    };
    let (signing, draw) = match &table.get_ref().signing_config {
        Some(file) => {
            let bytes = material(&label, "signing_config", file, problems)?;
            let parsed = SigningConfig::parse(&bytes)
                .map_err(|error| {
                    problems.note(
                        file.span(),
                        format!("{label} signing_config {}: {error}", file.get_ref()),
                        "use a signing_config.json as `cosign signing-config create` writes it",
                    )
                })
                .ok()?;
            (Some(parsed), draw(&bytes))
        }
        None => (None, 0),
    };
    let mut log = None;
    let mut timestamp_authorities = Vec::new();
    if let (Some(signing), Some(file)) = (&signing, &table.get_ref().signing_config) {
        // Where nothing can be stamped, only a Rekor v1 gives the time of a signature.
        let has_authority = !signing.timestamp_authorities.services.is_empty();
        let services = match has_authority {
            true => signing.rekor_services(now_ms, draw),
            false => signing.rekor_services_of(&[1], now_ms, draw).or_else(|_| signing.rekor_services(now_ms, draw)),
        };
        let services = services
            .map_err(|error| {
                problems.note(
                    file.span(),
                    format!("{label} signing_config: {error}"),
                    "renew the file, or correct its selector",
                )
            })
            .ok()?;
        if let Some(service) = services.first() {
            log = Some(log_of_service(config, &label, file, &service.url, service.version, &trust, problems)?);
        }
        if !has_authority && log.as_ref().is_some_and(|log| log.version == 2) {
            problems.note(
                file.span(),
                format!("{label} signing_config names a Rekor v2 log, which gives no time, and no timestamp authority"),
                "add one: `cosign signing-config create --tsa=\"url=URL,api-version=1,start-time=…,operator=NAME\" --tsa-config=ANY …`; or name a Rekor v1 log",
            );
            return None;
        }
        let stamps = if has_authority { signing.tsa_services(now_ms, draw) } else { Ok(Vec::new()) };
        let stamps = stamps
            .map_err(|error| {
                problems.note(
                    file.span(),
                    format!("{label} signing_config: {error}"),
                    "renew the file, or correct its selector",
                )
            })
            .ok()?;
        for service in stamps {
            match service.url.parse() {
                Ok(url) => timestamp_authorities.push(url),
                Err(_) => problems.note(
                    file.span(),
                    format!("{label} signing_config: {:?} is not a URL", service.url),
                    "correct the file",
                ),
            }
        }
        if !timestamp_authorities.is_empty() && trust.timestamp_authorities.is_empty() {
            problems.note(
                table.span(),
                format!("{label}: stamps are asked for, and the trusted root knows no timestamp authority"),
                "add the authority's chain: `cosign trusted-root create --tsa=…`",
            );
        }
    }
    if signing.is_none() {
        log = log_of_tables(config, &label, table, &trust, problems)?;
    }
    if let Some((origin, table)) = log.as_ref().and_then(|log| config.file.log.get_key_value(&log.origin))
        && let Some(path) = &table.get_ref().ca_file
    {
        let pem = file_bytes(&format!("[log.\"{origin}\"]"), "ca_file", path.get_ref(), path.span(), problems)?;
        ca_pem.get_or_insert_default().extend(pem);
    }
    let proxy = crate::rooms::proxy(table.get_ref().proxy.as_ref());
    Some(Sigstore { trust: Arc::new(trust), log, timestamp_authorities, ca_pem, proxy })
}

/// Says what of a trusted root does not count.
fn warn_of_unusable(label: &str, file: &Spanned<String>, trust: &TrustRoot, problems: &Problems) {
    for part in trust.unusable_parts() {
        problems.warn(
            file.span(),
            format!("{label} trusted_root {}: {part}", file.get_ref()),
            "correct that part of the file, or remove it; the others count",
        );
    }
}

/// A number that depends on nothing but the bytes.
fn draw(bytes: &[u8]) -> u64 {
    let digest = bundle::Digest::of(bytes);
    digest.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A validity that has begun and does not end. Stock verifiers refuse a log whose validity has no start.
fn always() -> ValidFor {
    ValidFor { start: Some(0), end: None }
}

fn base_url(origin: &str, log: &LogTable, write_url: String) -> String {
    // Verifiers take the origin of a Rekor v2 log from the host of its base URL; a v1 log is known by its key alone.
    if log.version.as_ref().is_some_and(|v| *v.get_ref() == 1) { write_url } else { format!("https://{origin}") }
}

fn material(label: &str, key: &str, file: &Spanned<String>, problems: &mut Problems) -> Option<Vec<u8>> {
    if file.get_ref() == "public-good" {
        problems.note(
            file.span(),
            format!("{label} {key} = \"public-good\" (by TUF) is not built yet"),
            "name a file: download it once with cosign, and keep it beside this configuration",
        );
        return None;
    }
    file_bytes(label, key, Path::new(file.get_ref()), file.span(), problems)
}

fn file_bytes(
    label: &str,
    key: &str,
    path: &Path,
    span: std::ops::Range<usize>,
    problems: &mut Problems,
) -> Option<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| {
            problems.note(
                span,
                format!("{label} {key}: {}: {error}", path.display()),
                "name a file that is there; paths are relative to the folder of the configuration file",
            )
        })
        .ok()
}

fn log_key(origin: &str, log: &Spanned<LogTable>, problems: &mut Problems) -> Option<LogKey> {
    let file = log.get_ref().public_key_file.as_ref()?;
    let label = format!("[log.\"{origin}\"]");
    let pem = file_bytes(&label, "public_key_file", file.get_ref(), file.span(), problems)?;
    let spki = match only_public_key(&pem) {
        Ok(spki) => spki,
        Err(several) => {
            problems.note(
                file.span(),
                format!("{label} public_key_file {} {several}", file.get_ref().display()),
                "keep the log's key alone in this file",
            );
            return None;
        }
    };
    let name = log.get_ref().version.as_ref().is_none_or(|v| *v.get_ref() != 1).then_some(origin);
    let key = spki.and_then(|der| LogKey::from_spki(&der, name).ok());
    if key.is_none() {
        problems.note(
            file.span(),
            format!("{label} public_key_file {} is not the public key of a log", file.get_ref().display()),
            "use a PEM file with an Ed25519 or ECDSA P-256 public key",
        );
    }
    key
}

/// The DER of the one public key in a PEM text; `Ok(None)` where there is none. It may be of a kind that signs no images,
/// so it is not read any further.
///
/// # Errors
/// Several keys, each by the SHA-256 of its DER.
fn only_public_key(pem: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let text = String::from_utf8_lossy(pem);
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for block in bundle::pem::blocks(&text).filter(|block| block.label == "PUBLIC KEY") {
        match block.decode() {
            Some(der) if !keys.contains(&der) => keys.push(der),
            // The first is the one that counts.
            None if keys.is_empty() => return Ok(None),
            _ => {}
        }
    }
    if keys.len() > 1 {
        let names: Vec<String> = keys.iter().map(|der| bundle::Digest::of(der).hex()).collect();
        return Err(format!("holds several keys: {}", names.join(", ")));
    }
    Ok(keys.pop())
}

/// A signing config names a log by URL; its key and origin come from a `[log]` table with that write URL, or from
/// the trusted root's log with that base URL.
fn log_of_service(
    config: &Config,
    label: &str,
    file: &Spanned<String>,
    url: &str,
    version: u32,
    trust: &TrustRoot,
    problems: &mut Problems,
) -> Option<ChosenLog> {
    let same = |other: &str| other.trim_end_matches('/') == url.trim_end_matches('/');
    let named =
        config.file.log.iter().find(|(_, log)| log.get_ref().write_url.as_ref().is_some_and(|w| same(w.get_ref())));
    if let Some((origin, log)) = named {
        return log_of_table(config, origin, log, version, trust, problems);
    }
    let Some(known) = trust.logs.iter().find(|log| same(&log.base_url)) else {
        problems.note(
            file.span(),
            format!("{label} signing_config names the log {url}, and no log of the trusted root has that base URL"),
            format!("add [log.\"ORIGIN\"] with write_url = \"{url}\" and ORIGIN the host of its base URL in the trusted root"),
        );
        return None;
    };
    let write_url: Url = url.parse().ok()?;
    let origin = write_url.host_str().unwrap_or_default().to_owned();
    // Unless a table says otherwise, a v2 log's tiles are read from where it is written, as the public one's are.
    let read_url = (version == 2).then(|| write_url.clone());
    Some(ChosenLog { origin, version, write_url, read_url, key: known.key.clone() })
}

fn log_of_table(
    config: &Config,
    origin: &str,
    log: &Spanned<LogTable>,
    version: u32,
    trust: &TrustRoot,
    problems: &mut Problems,
) -> Option<ChosenLog> {
    let table = log.get_ref();
    let write_url: Url = table.write_url.as_ref()?.get_ref().parse().ok()?;
    let read_url = table.read_url.as_ref().and_then(|u| u.get_ref().parse().ok());
    let version = table.version.as_ref().map_or(version, |v| *v.get_ref());
    let host = |base: &str| Url::parse(base).ok().and_then(|u| u.host_str().map(str::to_owned));
    let own = table.public_key_file.as_ref().and_then(|_| log_key(origin, log, &mut config.problems()));
    let known = || {
        trust
            .logs
            .iter()
            .find(|l| {
                host(&l.base_url).as_deref() == Some(origin)
                    || l.base_url.trim_end_matches('/') == write_url.as_str().trim_end_matches('/')
            })
            .map(|l| l.key.clone())
    };
    let Some(key) = own.or_else(known) else {
        problems.note(
            log.span(),
            format!("[log.\"{origin}\"] has no public key, and no log of the trusted root has that host"),
            "add public_key_file, or add the log to the trusted root",
        );
        return None;
    };
    if version == 2 && read_url.is_none() {
        problems.note(
            log.span(),
            format!("[log.\"{origin}\"] has no read_url"),
            "add the URL under which /checkpoint and /tile are served: a repeated upload is read back from there",
        );
        return None;
    }
    Some(ChosenLog { origin: origin.to_owned(), version, write_url, read_url, key })
}

/// Without a signing config, the one log with a write URL is the log; none at all is a signature without a log.
fn log_of_tables(
    config: &Config,
    label: &str,
    table: &Spanned<SigstoreTable>,
    trust: &TrustRoot,
    problems: &mut Problems,
) -> Option<Option<ChosenLog>> {
    let writable: Vec<_> = config.file.log.iter().filter(|(_, log)| log.get_ref().write_url.is_some()).collect();
    match writable.as_slice() {
        [(origin, log)] => {
            if log.get_ref().version.is_none() {
                problems.note(
                    log.span(),
                    format!("[log.\"{origin}\"] does not say its version"),
                    "add version = 1 or version = 2",
                );
                return None;
            }
            log_of_table(config, origin, log, 1, trust, problems).map(Some)
        }
        [] => {
            problems.note(
                table.span(),
                format!("{label} names no log to write to"),
                "add signing_config = \"signing_config.json\", or [log.\"ORIGIN\"] with version, write_url and public_key_file",
            );
            None
        }
        _ => {
            problems.note(
                table.span(),
                format!("{label}: several [log] tables have a write_url"),
                "say which to use with a signing_config",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests;
