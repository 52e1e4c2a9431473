//! Which logs there are to follow: those of every trusted root, signing config and `[log]` table.

use std::collections::BTreeMap;
use std::sync::Arc;

use bundle::signing_config::SigningConfig;
use bundle::trust_root::{TrustRoot, ValidFor};
use monitor::config::TrustMaterial;
use monitor::{Coverage, LogKind, LogSpec};
use tlog::{LogKey, WitnessPolicy};
use toml::Spanned;
use url::Url;

use super::{file_bytes, log_key, material as read};
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
                Ok(parsed) => trust.merge(parsed),
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
    let mut seen: Vec<[u8; 32]> = Vec::new();
    let mut logs = Vec::new();
    let now = run::now_ms();
    for log in &trust.logs {
        let table = table_of(config, &log.base_url);
        let known = Known { key: &log.key, base_url: &log.base_url, valid_for: &log.valid_for, now, announced: true };
        let version = versions.get(&bare(&log.base_url)).copied();
        seen.push(log.log_id);
        logs.extend(rekor(known, table, version, &ca_pem, problems));
    }
    if with_identities {
        for log in &trust.certificate_logs {
            let table = table_of(config, &log.base_url);
            let known =
                Known { key: &log.key, base_url: &log.base_url, valid_for: &log.valid_for, now, announced: true };
            seen.push(log.log_id);
            logs.extend(certificate_log(known, table, &ca_pem, problems));
        }
    }
    // What only a table names.
    for (origin, table) in &config.file.log {
        let Some(key) = log_key(origin, table, problems) else { continue };
        if seen.contains(&key.key_id()) {
            continue;
        }
        let log = table.get_ref();
        let base_url = log.read_url.as_ref().or(log.write_url.as_ref()).map(|u| u.get_ref().clone());
        let Some(base_url) = base_url else { continue };
        let always = ValidFor { start: Some(0), end: None };
        let known = Known { key: &key, base_url: &base_url, valid_for: &always, now, announced: false };
        let named = Some((origin.as_str(), table));
        if matches!(log.kind.as_ref().map(|k| k.get_ref().as_str()), Some("ct" | "static-ct")) {
            logs.extend(certificate_log(known, named, &ca_pem, problems));
        } else {
            // The verifier's view of the world does not need to know it, but proofs that name it are then checked.
            let _ = trust.add_log(&format!("https://{origin}"), key.clone(), always);
            logs.extend(rekor(known, named, None, &ca_pem, problems));
        }
    }
    Some(TrustMaterial { logs, trust: Arc::new(trust) })
}

/// What the trust material says of a log.
#[derive(Clone, Copy)]
struct Known<'a> {
    key: &'a LogKey,
    base_url: &'a str,
    valid_for: &'a ValidFor,
    now: i64,
    announced: bool,
}

type Named<'a> = Option<(&'a str, &'a Spanned<LogTable>)>;

fn rekor(
    known: Known<'_>,
    named: Named<'_>,
    version: Option<u32>,
    ca_pem: &Option<Vec<u8>>,
    problems: &mut Problems,
) -> Option<LogSpec> {
    let table = named.map(|(_, table)| table.get_ref());
    let stated = table.and_then(|t| t.version.as_ref()).map(|v| *v.get_ref()).or(version);
    // The logs of Rekor v1 sign with ECDSA and those of v2 with Ed25519, unless something says otherwise.
    let kind = match stated {
        Some(2) => LogKind::RekorV2,
        Some(_) => LogKind::RekorV1,
        None if known.key.name().is_some() => LogKind::RekorV2,
        None => LogKind::RekorV1,
    };
    let from_table = table
        .and_then(|t| t.read_url.as_ref())
        .or_else(|| table.filter(|_| kind == LogKind::RekorV1).and_then(|t| t.write_url.as_ref()));
    let host = Url::parse(known.base_url).ok().and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_default();
    let origin = named.map_or(host, |(origin, _)| origin.to_owned());
    let public = origin == UNREADABLE;
    let unread = if kind == LogKind::RekorV1 && public { Coverage::OwnEntries } else { Coverage::Exhaustive };
    spec(origin, kind, known, named, from_table, unread, ca_pem, problems)
}

fn certificate_log(
    known: Known<'_>,
    named: Named<'_>,
    ca_pem: &Option<Vec<u8>>,
    problems: &mut Problems,
) -> Option<LogSpec> {
    let table = named.map(|(_, table)| table.get_ref());
    let kind = match table.and_then(|t| t.kind.as_ref()).map(|k| k.get_ref().as_str()) {
        Some("static-ct") => LogKind::StaticCt,
        _ => LogKind::Rfc6962,
    };
    let from_table = table.and_then(|t| t.read_url.as_ref());
    let origin = named.map_or_else(|| bare(known.base_url), |(origin, _)| origin.to_owned());
    spec(origin, kind, known, named, from_table, Coverage::Exhaustive, ca_pem, problems)
}

#[allow(clippy::too_many_arguments)]
fn spec(
    origin: String,
    kind: LogKind,
    known: Known<'_>,
    named: Named<'_>,
    from_table: Option<&Spanned<String>>,
    unread: Coverage,
    ca_pem: &Option<Vec<u8>>,
    problems: &mut Problems,
) -> Option<LogSpec> {
    let table = named.map(|(_, table)| table.get_ref());
    let label = format!("[log.\"{origin}\"]");
    let text = from_table.map_or(known.base_url, |url| url.get_ref());
    let Ok(read_url) = text.parse::<Url>() else {
        problems.note(
            from_table.map_or(0..0, Spanned::span),
            format!("{label}: {text:?} is not a URL to read from"),
            format!("add [log.\"{origin}\"] with read_url"),
        );
        return None;
    };
    let coverage = match table.and_then(|t| t.coverage.as_ref()) {
        None => unread,
        Some(word) => match word.get_ref().as_str() {
            "exhaustive" => Coverage::Exhaustive,
            "own_entries" if kind == LogKind::RekorV1 || kind == LogKind::RekorV2 => Coverage::OwnEntries,
            other => {
                problems.note(
                    word.span(),
                    format!("{label} coverage = {other:?}"),
                    "use \"exhaustive\" (every leaf) or, for a Rekor log, \"own_entries\"",
                );
                return None;
            }
        },
    };
    let witnesses = match table.and_then(|t| t.witness_policy_file.as_ref()) {
        None => None,
        Some(path) => {
            let bytes = file_bytes(&label, "witness_policy_file", path.get_ref(), path.span(), problems)?;
            match std::str::from_utf8(&bytes)
                .map_err(|e| e.to_string())
                .and_then(|text| WitnessPolicy::parse(text).map_err(|e| e.to_string()))
            {
                Ok(policy) => Some(policy),
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
    };
    let stale_after = match table.and_then(|t| t.stale_after.as_ref()) {
        None => None,
        Some(text) => Some(rooms::monitor::duration(&format!("{label} stale_after"), text, problems)?),
    };
    Some(LogSpec {
        origin,
        kind,
        read_url,
        key: known.key.clone(),
        coverage,
        witnesses,
        closed: table.is_some_and(|t| t.closed) || known.valid_for.end.is_some_and(|end| end < known.now),
        announced: known.announced,
        ca_pem: ca_pem.clone(),
        stale_after,
        requests_per_second: table.and_then(|t| t.requests_per_second.as_ref()).map(|n| *n.get_ref()),
    })
}

/// The `[log]` table that completes a log of the trusted root: by origin, or by the URL that it is written to.
fn table_of<'a>(config: &'a Config, base_url: &str) -> Named<'a> {
    let host = Url::parse(base_url).ok().and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_default();
    config
        .file
        .log
        .iter()
        .find(|(origin, log)| {
            **origin == host
                || **origin == bare(base_url)
                || log.get_ref().write_url.as_ref().is_some_and(|w| bare(w.get_ref()) == bare(base_url))
        })
        .map(|(origin, table)| (origin.as_str(), table))
}

/// A URL without its scheme and trailing slash.
fn bare(url: &str) -> String {
    url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/').to_owned()
}
