//! `verify`: what the registry holds for an image, judged offline by the same code that checks our own signatures.

use std::path::PathBuf;
use std::sync::Arc;

use bundle::sigstore_bundle::Bundle;
use bundle::trust_root::TrustRoot;
use bundle::verify::{Requirements, Verified, VerifyError, verify_bundle, verify_legacy};
use bundle::{Digest, ImageLocator, ImageReference, LogEntry, PublicKey};
use serde_json::json;
use watcher::met::{entries_of, promised_entry};
use watcher::registry::{Auth, Reading, Registry, RegistryConfig, RegistryError};

use super::{CLEAN, FAILED};
use crate::cli::{FormatChoice, Verify};
use crate::config::Config;
use crate::ended::{Ended, OrUsage as _};
use crate::rooms::{self, Credentials};
use crate::say;
use crate::trust::material;

/// One signature, judged.
struct Judged {
    format: &'static str,
    verdict: Result<Verified, String>,
    /// Nothing is wrong with it but that no log vouches for it.
    only_unlogged: bool,
}

/// Verifies, says what was found, and fails unless one signature is good.
pub(crate) async fn verify(request: &Verify) -> anyhow::Result<u8> {
    let image: ImageLocator = request.image.parse().or_usage(format!("{:?} is not an image", request.image))?;
    let key = rooms::public_key(&request.key)?;
    let trust = match &request.trusted_root {
        Some(file) => {
            let bytes = std::fs::read(file).or_usage(format!("trusted root {}", file.display()))?;
            let trust = TrustRoot::parse(&bytes).or_usage(format!("trusted root {}", file.display()))?;
            for part in trust.unusable_parts() {
                say::complain(format_args!("warning: trusted root {}: {part}", file.display()));
            }
            trust
        }
        None if request.insecure_ignore_tlog && !request.use_signed_timestamps => TrustRoot::empty(),
        None => {
            return Err(Ended::usage(
                "--trusted-root FILE is needed to check the log (`sealwatch kit` writes one); or say --insecure-ignore-tlog",
            ));
        }
    };
    let config = request.config.as_deref().map(Config::load).transpose()?;
    let registry = Registry::new(reach(request, &image, config.as_ref())?)?;
    let digest = resolve(&registry, &image).await?;
    let requirements = Requirements { log: !request.insecure_ignore_tlog, timestamp: request.use_signed_timestamps };
    let Judgement { judged, met, mut unread } =
        judge(&registry, &image, &digest, &key, &trust, &requirements, request.format).await?;
    let code = report(request, &digest, &judged, &unread);
    if let Some(config) = &config {
        observe(config, &image.name.with_digest(digest), met).await?;
    }
    match code {
        // A place that was not read may hold what was looked for: that is no "no".
        FAILED if !unread.is_empty() => Err(unread.swap_remove(0).into()),
        code => Ok(code),
    }
}

/// Keeps what was met in the store of a configuration, as the worker does, where a log of that configuration vouches for
/// it: its monitor holds it against the trees that it follows.
async fn observe(config: &Config, image: &ImageReference, met: Vec<LogEntry>) -> anyhow::Result<()> {
    let mut problems = config.problems();
    let Some(material) = material::material(config, &mut problems).filter(|_| problems.is_empty()) else {
        return Err(problems.into());
    };
    let store = rooms::store_beside(config).await?;
    watcher::met::record(store.as_ref(), "verify", &image.to_string(), &material.trust, met.into_iter()).await?;
    Ok(())
}

/// How the registry is reached: as the configuration says, if there is one, and as the command line says.
fn reach(request: &Verify, image: &ImageLocator, config: Option<&Config>) -> anyhow::Result<RegistryConfig> {
    let host = &image.name.registry;
    let credentials = if request.docker_config.is_some() { Credentials::Leave } else { Credentials::Read };
    let known = match config {
        None => None,
        Some(config) => {
            let mut problems = config.problems();
            let known = rooms::registry_of(config, host, credentials, &mut problems);
            if !problems.is_empty() {
                return Err(problems.into());
            }
            known
        }
    };
    let mut known = known.unwrap_or_else(|| RegistryConfig::new(host.clone()));
    if matches!(known.auth, Auth::Anonymous)
        && let Some(path) = docker_config(request.docker_config.clone())
    {
        known.auth = Auth::DockerConfig(path);
    }
    if let Some(path) = &request.ca_file {
        known.ca_pem = Some(std::fs::read(path).or_usage(format!("--ca-file {}", path.display()))?);
    }
    known.plain_http |= request.plain_http;
    known.realm_hosts.extend_from_slice(&request.realm_host);
    known.blob_hosts.extend_from_slice(&request.blob_host);
    Ok(known)
}

fn docker_config(named: Option<PathBuf>) -> Option<PathBuf> {
    named.or_else(|| {
        let folder = std::env::var_os("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker")))?;
        Some(folder.join("config.json")).filter(|file| file.exists())
    })
}

/// The digest that an image names, asked of the registry where it names only a tag (`latest` by default).
pub(crate) async fn resolve(registry: &Registry, image: &ImageLocator) -> anyhow::Result<Digest> {
    if let Some(digest) = &image.digest {
        return Ok(*digest);
    }
    let tag = match &image.tag {
        Some(tag) => tag.clone(),
        None => "latest".parse()?,
    };
    match registry.resolve(&image.name.repository, &tag).await? {
        Some(digest) => Ok(digest),
        None => Err(Ended::no(format!("{}:{tag} is not in the registry", image.name))),
    }
}

/// What was found, and what could not be read.
struct Judgement {
    judged: Vec<Judged>,
    met: Vec<LogEntry>,
    unread: Vec<RegistryError>,
}

/// Judges what is in every place where a signature may be.
async fn judge(
    registry: &Registry,
    image: &ImageLocator,
    digest: &Digest,
    key: &PublicKey,
    trust: &TrustRoot,
    requirements: &Requirements,
    wanted: FormatChoice,
) -> anyhow::Result<Judgement> {
    let repository = &image.name.repository;
    let mut all = Judgement { judged: Vec::new(), met: Vec::new(), unread: Vec::new() };
    if wanted != FormatChoice::Legacy {
        let look = registry.look_for_bundles(repository, digest, Reading::ForVerifying).await?;
        all.unread.extend(look.unread);
        for bytes in look.found {
            all.met.extend(entries_of(&bytes));
            let verdict = Bundle::parse(&bytes).map_err(|error| error.to_string()).and_then(|bundle| {
                verify_bundle(&bundle, digest, key, trust, requirements).map_err(|error| error.to_string())
            });
            all.judged.push(Judged { format: "bundle", verdict, only_unlogged: false });
        }
    }
    if wanted != FormatChoice::Bundle {
        let look = registry.look_for_legacy(repository, digest, Reading::ForVerifying).await?;
        all.unread.extend(look.unread);
        for signature in look.found {
            all.met.extend(promised_entry(&signature));
            let verdict = verify_legacy(&signature, digest, key, trust, requirements);
            let only_unlogged = matches!(verdict, Err(VerifyError::NotLogged));
            all.judged.push(Judged {
                format: "legacy",
                verdict: verdict.map_err(|error| error.to_string()),
                only_unlogged,
            });
        }
    }
    Ok(all)
}

fn report(request: &Verify, digest: &Digest, judged: &[Judged], unread: &[RegistryError]) -> u8 {
    let good = judged.iter().filter(|j| j.verdict.is_ok()).count();
    // Where nothing is good, the first of them is how the program ends.
    for error in &unread[usize::from(good == 0).min(unread.len())..] {
        say::complain(format_args!("sealwatch: warning: not read: {error}"));
    }
    if request.json {
        let list: Vec<_> = judged
            .iter()
            .map(|j| match &j.verdict {
                Ok(verified) => json!({
                    "format": j.format, "verified": true,
                    "log_entries": verified.entries.iter().map(|(id, index)| json!({"log_id": hex::encode(id), "index": index})).collect::<Vec<_>>(),
                    "integrated_time": verified.integrated_time, "timestamps": verified.timestamps,
                }),
                Err(error) => json!({"format": j.format, "verified": false, "error": error}),
            })
            .collect();
        let warnings: Vec<_> = unread.iter().map(ToString::to_string).collect();
        let report = json!({
            "image": request.image, "digest": digest.to_string(), "verified": good > 0, "signatures": list,
            "warnings": warnings,
        });
        say!("{report}");
    } else {
        for j in judged {
            match &j.verdict {
                Ok(verified) => say!("verified  {:6}  {}", j.format, proof_line(verified)),
                Err(error) => say!("refused   {:6}  {error}{}", j.format, hint(j)),
            }
        }
        if let Some(warning) = newer_cosign(request, judged) {
            say!("{warning}");
        }
        if good > 0 {
            say!(
                "{}@{digest}: {good} of {} signatures verified",
                request.image.split(['@']).next().unwrap_or(&request.image),
                judged.len()
            );
        } else if judged.is_empty() && unread.is_empty() {
            say::complain(format_args!("sealwatch: {}: no signatures found for {digest}", request.image));
        } else if judged.is_empty() {
            say::complain(format_args!(
                "sealwatch: {}: no signatures found where {digest} could be looked for",
                request.image
            ));
        } else {
            say::complain(format_args!(
                "sealwatch: {}: none of {} signatures is good for this key and trusted root",
                request.image,
                judged.len()
            ));
        }
    }
    if good > 0 { CLEAN } else { FAILED }
}

/// cosign 2.6.3 and later never looks at a `.sig` once any bundle is attached, whoever made it.
fn newer_cosign(request: &Verify, judged: &[Judged]) -> Option<&'static str> {
    let good = |format: &str| judged.iter().any(|j| j.format == format && j.verdict.is_ok());
    let bundles = judged.iter().any(|j| j.format == "bundle");
    (request.format == FormatChoice::Any && bundles && !good("bundle") && good("legacy")).then_some(
        "note: a bundle is attached and is not good, so cosign 2.6.3 and later refuses this image unless told --new-bundle-format=false",
    )
}

/// A `.sig` on a Rekor v2 log has a timestamp and no proof: say how it is checked all the same. Never said of one that
/// is refused for anything else.
fn hint(judged: &Judged) -> &'static str {
    if judged.only_unlogged {
        " (a .sig cannot carry the proof of a Rekor v2: such a one is checked with --insecure-ignore-tlog --use-signed-timestamps)"
    } else {
        ""
    }
}

fn proof_line(verified: &Verified) -> String {
    let mut parts = Vec::new();
    for (_, index) in &verified.entries {
        parts.push(format!("log index {index}"));
    }
    for time in verified.timestamps.iter().chain(&verified.integrated_time) {
        parts.push(jiff::Timestamp::from_second(*time).map_or_else(|_| time.to_string(), |t| t.to_string()));
    }
    if parts.is_empty() { "key only, no log checked".to_owned() } else { parts.join(", ") }
}

/// The registry client that the configuration has for an image.
pub(crate) fn configured<'a>(
    config: &'a watcher::WatcherConfig,
    image: &ImageLocator,
) -> anyhow::Result<&'a Arc<Registry>> {
    let host = &image.name.registry;
    config.registries.get(host).ok_or_else(|| {
        Ended::usage(format!("{host} is not a registry of the configuration: add [registry.\"{host}\"]"))
    })
}

#[cfg(test)]
mod tests;
