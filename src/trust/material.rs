//! Which logs there are to follow: those of every trusted root, signing config and `[log]` table.

use std::collections::BTreeMap;
use std::sync::Arc;

use bundle::signing_config::SigningConfig;
use bundle::trust_root::TrustRoot;
use monitor::config::TrustMaterial;
use monitor::{Coverage, LogKind, LogSpec};
use tlog::{LogKey, WitnessPolicy};
use toml::Spanned;
use url::Url;

use super::{always, file_bytes, log_key, material as read};
use crate::config::{Config, LogTable, Problems};
use crate::{rooms, run};

/// A log that grows faster than its rate limit lets anybody read.
const UNREADABLE: &str = "rekor.sigstore.dev";

/// Reads what the file names. `None` where something is wrong; the problems say what.
pub(crate) fn material(config: &Config, problems: &mut Problems) -> Option<TrustMaterial> {
    let mut trust = TrustRoot::empty();
    let mut versions: BTreeMap<String, u32> = BTreeMap::new();
    let mut ca_pem: Option<Vec<u8>> = None;
    for (name, table) in &config.file.sigstore {
        let label = format!("[sigstore.{name}]");
        let table = table.get_ref();
        if let Some(file) = &table.trusted_root {
            let parsed = TrustRoot::parse(&read(&label, "trusted_root", file, problems)?);
            match parsed {
                Ok(parsed) => {
                    super::warn_of_unusable(&label, file, &parsed, problems);
                    trust.merge(parsed);
                }
                Err(error) => {
                    problems.note(
                        file.span(),
                        format!("{label} trusted_root {}: {error}", file.get_ref()),
                        "use a trusted_root.json as `cosign trusted-root create` writes it",
                    );
                    return None;
                }
            }
        }
        if let Some(file) = &table.signing_config {
            let parsed = SigningConfig::parse(&read(&label, "signing_config", file, problems)?);
            match parsed {
                Ok(parsed) => versions.extend(parsed.rekor.services.into_iter().map(|s| (bare(&s.url), s.version))),
                Err(error) => {
                    problems.note(
                        file.span(),
                        format!("{label} signing_config {}: {error}", file.get_ref()),
                        "use a signing_config.json as `cosign signing-config create` writes it",
                    );
                    return None;
                }
            }
        }
        if let Some(path) = &table.ca_file {
            let pem = file_bytes(&label, "ca_file", path.get_ref(), path.span(), problems)?;
            ca_pem.get_or_insert_default().extend(pem);
        }
    }
    let with_identities = config.file.watch.iter().any(|w| w.get_ref().key_file.is_none());
    let now = run::now_ms();
    let mut seen: Vec<[u8; 32]> = Vec::new();
    let mut logs = Vec::new();
    for log in &trust.logs {
        let named = table_of(config, &log.base_url, true);
        let retired = log.valid_for.end.is_some_and(|end| end < now);
        let known = Known { key: &log.key, base_url: &log.base_url, retired, announced: true, named, ca_pem: &ca_pem };
        seen.push(log.log_id);
        logs.extend(rekor(known, versions.get(&bare(&log.base_url)).copied(), problems));
    }
    for log in trust.certificate_logs.iter().filter(|_| with_identities) {
        let named = table_of(config, &log.base_url, false);
        let retired = log.valid_for.end.is_some_and(|end| end < now);
        let known = Known { key: &log.key, base_url: &log.base_url, retired, announced: true, named, ca_pem: &ca_pem };
        seen.push(log.log_id);
        logs.extend(certificate_log(known, problems));
    }
    // What only a table names.
    for (origin, table) in &config.file.log {
        let Some(key) = log_key(origin, table, problems) else { continue };
        if seen.contains(&key.key_id()) {
            continue;
        }
        let log = table.get_ref();
        let base_url = log.read_url.as_ref().or(log.write_url.as_ref());
        let base_url = base_url.map_or_else(|| format!("https://{origin}"), |url| url.get_ref().clone());
        let named = Some((origin.as_str(), table));
        let known = Known { key: &key, base_url: &base_url, retired: false, announced: false, named, ca_pem: &ca_pem };
        if matches!(log.kind.as_ref().map(|k| k.get_ref().as_str()), Some("ct" | "static-ct")) {
            logs.extend(certificate_log(known, problems));
            continue;
        }
        // Proofs that name it are checked with its key, too.
        if let Err(error) = trust.add_log(&format!("https://{origin}"), key.clone(), always()) {
            problems.note(table.span(), format!("[log.\"{origin}\"]: {error}"), "correct this table");
        }
        logs.extend(rekor(known, None, problems));
    }
    Some(TrustMaterial { logs, trust: Arc::new(trust) })
}

/// What is known of a log, by the trust material and by its table.
#[derive(Clone, Copy)]
struct Known<'a> {
    key: &'a LogKey,
    base_url: &'a str,
    retired: bool,
    announced: bool,
    named: Named<'a>,
    ca_pem: &'a Option<Vec<u8>>,
}

/// A `[log]` table with its name.
type Named<'a> = Option<(&'a str, &'a Spanned<LogTable>)>;

impl<'a> Known<'a> {
    fn table(&self) -> Option<&'a LogTable> {
        self.named.map(|(_, table)| table.get_ref())
    }

    /// The table's name, or else this.
    fn origin_or(&self, otherwise: impl FnOnce() -> String) -> String {
        self.named.map_or_else(otherwise, |(origin, _)| origin.to_owned())
    }
}

fn rekor(known: Known<'_>, version: Option<u32>, problems: &mut Problems) -> Option<LogSpec> {
    let table = known.table();
    let stated = table.and_then(|t| t.version.as_ref()).map(|v| *v.get_ref()).or(version);
    // The logs of Rekor v1 sign with ECDSA and those of v2 with Ed25519, unless something says otherwise.
    let kind = match stated {
        Some(2) => LogKind::RekorV2,
        Some(_) => LogKind::RekorV1,
        None if known.key.name().is_some() => LogKind::RekorV2,
        None => LogKind::RekorV1,
    };
    let written_to = table.filter(|_| kind == LogKind::RekorV1).and_then(|t| t.write_url.as_ref());
    let origin = known.origin_or(|| host(known.base_url));
    let read_url = read_url(&origin, known, written_to, problems)?;
    let mut spec = LogSpec::new(&origin, kind, read_url, known.key.clone());
    if kind == LogKind::RekorV1 && origin == UNREADABLE {
        spec.coverage = Coverage::OwnEntries;
    }
    completed(spec, known, problems)
}

fn certificate_log(known: Known<'_>, problems: &mut Problems) -> Option<LogSpec> {
    let kind = match known.table().and_then(|t| t.kind.as_ref()).map(|k| k.get_ref().as_str()) {
        Some("static-ct") => LogKind::StaticCt,
        _ => LogKind::Rfc6962,
    };
    let origin = known.origin_or(|| bare(known.base_url));
    let read_url = read_url(&origin, known, None, problems)?;
    completed(LogSpec::new(&origin, kind, read_url, known.key.clone()), known, problems)
}

/// Where a log is read: as its table says, else where it is written to, else its base URL.
fn read_url(
    origin: &str,
    known: Known<'_>,
    written_to: Option<&Spanned<String>>,
    problems: &mut Problems,
) -> Option<Url> {
    let stated = known.table().and_then(|t| t.read_url.as_ref()).or(written_to);
    let text = stated.map_or(known.base_url, |url| url.get_ref());
    let parsed = text.parse().ok();
    if parsed.is_none() {
        problems.note(
            stated.map_or(0..0, Spanned::span),
            format!("[log.\"{origin}\"]: {text:?} is not a URL to read from"),
            format!("add [log.\"{origin}\"] with read_url"),
        );
    }
    parsed
}

/// The log with all that its table says of it.
fn completed(mut spec: LogSpec, known: Known<'_>, problems: &mut Problems) -> Option<LogSpec> {
    spec.announced = known.announced;
    spec.closed = known.retired;
    spec.ca_pem = known.ca_pem.clone();
    let Some(table) = known.table() else { return Some(spec) };
    let label = format!("[log.\"{}\"]", spec.origin);
    spec.closed |= table.closed;
    spec.proxy = rooms::proxy(table.proxy.as_ref());
    spec.requests_per_second = table.requests_per_second.as_ref().map(|n| *n.get_ref());
    if let Some(word) = &table.coverage {
        spec.coverage = match word.get_ref().as_str() {
            "exhaustive" => Coverage::Exhaustive,
            "own_entries" if matches!(spec.kind, LogKind::RekorV1 | LogKind::RekorV2) => Coverage::OwnEntries,
            other => {
                problems.note(
                    word.span(),
                    format!("{label} coverage = {other:?}"),
                    "use \"exhaustive\" (every leaf) or, for a Rekor log, \"own_entries\"",
                );
                return None;
            }
        };
    }
    if let Some(path) = &table.ca_file {
        let pem = file_bytes(&label, "ca_file", path.get_ref(), path.span(), problems)?;
        spec.ca_pem.get_or_insert_default().extend(pem);
    }
    if let Some(path) = &table.witness_policy_file {
        let bytes = file_bytes(&label, "witness_policy_file", path.get_ref(), path.span(), problems)?;
        let read = std::str::from_utf8(&bytes).map_err(|e| e.to_string());
        match read.and_then(|text| WitnessPolicy::parse(text).map_err(|e| e.to_string())) {
            Ok(policy) => spec.witnesses = Some(policy),
            Err(error) => {
                problems.note(
                    path.span(),
                    format!("{label} witness_policy_file {}: {error}", path.get_ref().display()),
                    "write it as C2SP tlog-policy says: `witness NAME VKEY`, `group …`, `quorum NAME`",
                );
                return None;
            }
        }
    }
    if let Some(text) = &table.stale_after {
        spec.stale_after = Some(rooms::monitor::duration(&format!("{label} stale_after"), text, problems)?);
    }
    Some(spec)
}

/// The `[log]` table that completes a log of the trusted root: by origin, or by the URL that it is written to. Of a
/// Rekor log the host alone is its name; a CT log is one of several on its host.
fn table_of<'a>(config: &'a Config, base_url: &str, by_host: bool) -> Named<'a> {
    let base = bare(base_url);
    let host = host(base_url);
    let named = |origin: &str, log: &LogTable| {
        (by_host && origin == host)
            || origin == base
            || log.write_url.as_ref().is_some_and(|url| bare(url.get_ref()) == base)
    };
    let found = config.file.log.iter().find(|(origin, log)| named(origin, log.get_ref()));
    found.map(|(origin, table)| (origin.as_str(), table))
}

fn host(url: &str) -> String {
    Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// A URL without its scheme and trailing slash.
fn bare(url: &str) -> String {
    url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/').to_owned()
}
