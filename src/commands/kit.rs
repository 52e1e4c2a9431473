//! `kit`: what a verifier needs, in one folder: public keys, the trusted root, podman's policy, the exact commands.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use bundle::Format;
use watcher::{Identity, Rule, WatcherConfig};

use super::CLEAN;
use crate::config::Config;
use crate::{rooms, run, say};

/// Writes the kit.
pub(crate) fn kit(config: &Config, out: &Path) -> anyhow::Result<u8> {
    let room = rooms::worker(config, run::now_ms())?;
    for file in write(&room, out)? {
        say!("{}", out.join(file).display());
    }
    Ok(CLEAN)
}

/// Writes the kit of a worker's configuration into a folder, and says which files it wrote.
pub(crate) fn write(room: &WatcherConfig, out: &Path) -> anyhow::Result<Vec<String>> {
    std::fs::create_dir_all(out).with_context(|| format!("the folder {}", out.display()))?;
    let mut written = Vec::new();
    let mut put = |name: String, text: String| -> anyhow::Result<()> {
        let path = out.join(&name);
        std::fs::write(&path, text).with_context(|| format!("{}", path.display()))?;
        written.push(name);
        Ok(())
    };
    let mut commands =
        String::from("# How to verify what sealwatch signs. Replace IMAGE by HOST/REPOSITORY@sha256:…\n");
    for identity in room.identities.values() {
        let key = identity.key.public_key();
        put(format!("{}.pub", identity.name), key.pem())?;
        put(format!("{}.trusted_root.json", identity.name), String::from_utf8(identity.services.trust.to_json())?)?;
        if let Some(log) = &identity.services.log {
            put(log_key_file(identity), spki_pem(log.key().spki()))?;
        }
        for rule in room.rules.iter().filter(|rule| rule.sign_with.contains(&identity.name)) {
            for format in &rule.formats {
                let plain = room.registries.values().any(|registry| registry.plain_http());
                // A comment and its command go together: without its comment a command reads as the one before it.
                for pair in lines(identity, rule, *format, "IMAGE", plain).chunks(2) {
                    let pair = pair.join("\n");
                    if !commands.contains(&format!("\n{pair}\n")) {
                        writeln!(commands, "{pair}")?;
                    }
                }
            }
        }
        put(format!("{}.policy.json", identity.name), podman_policy(&format!("{}.pub", identity.name)))?;
    }
    for host in room.registries.keys() {
        put(
            format!("registries.d.{}.yaml", host.as_str().replace(':', "_")),
            format!("docker:\n  {host}:\n    use-sigstore-attachments: true\n"),
        )?;
    }
    put("verify.txt".to_owned(), commands)?;
    Ok(written)
}

/// The `cosign verify` lines that accept this identity's signature of this format, file names as the kit writes them.
pub(crate) fn lines(identity: &Identity, rule: &Rule, format: Format, image: &str, plain_http: bool) -> Vec<String> {
    let name = &identity.name;
    let http = if plain_http { " --allow-http-registry" } else { "" };
    let log = identity.services.log.as_ref();
    // cosign digests with SHA-256 unless told; a P-384 key signs bundles with SHA-384.
    let sha384 = if format == Format::Bundle && identity.key.public_key().bundle_hash() == bundle::HashAlgorithm::Sha384
    {
        " --signature-digest-algorithm sha384"
    } else {
        ""
    };
    let http = format!("{sha384}{http}");
    let version = log.map(|log| log.version());
    match (format, version) {
        (Format::Bundle, Some(2)) => vec![
            "# bundle (cosign 2.6.3 and later, 3.x); the log is a Rekor v2, so time comes from the timestamp authority"
                .to_owned(),
            format!(
                "cosign verify --key {name}.pub --trusted-root {name}.trusted_root.json{}{http} {image}",
                stamps(identity)
            ),
        ],
        (Format::Bundle, Some(_)) => vec![
            "# bundle (cosign 2.6.3 and later, 3.x)".to_owned(),
            format!("cosign verify --key {name}.pub --trusted-root {name}.trusted_root.json{http} {image}"),
        ],
        // Of an image with a bundle, cosign 2.6 wants a trusted root whatever else it is told.
        (Format::Bundle, None) => vec![
            "# bundle, in no log (cosign 2.6.3 and later, 3.x)".to_owned(),
            format!(
                "cosign verify --key {name}.pub --trusted-root {name}.trusted_root.json --insecure-ignore-tlog{http} {image}"
            ),
        ],
        (Format::Legacy, Some(1)) => {
            let log_key = log_key_file(identity);
            vec![
                "# legacy .sig (cosign 3.x)".to_owned(),
                format!(
                    "SIGSTORE_REKOR_PUBLIC_KEY={log_key} cosign verify --new-bundle-format=false --key {name}.pub{http} {image}"
                ),
                "# legacy .sig (cosign 2.x before 2.6.3)".to_owned(),
                format!("SIGSTORE_REKOR_PUBLIC_KEY={log_key} cosign verify --key {name}.pub{http} {image}"),
            ]
        }
        (Format::Legacy, _) => {
            let why = if rule.legacy_without_proof {
                "a .sig cannot carry a Rekor v2 proof, and the rule allows it all the same"
            } else {
                "in no log"
            };
            vec![
                format!("# legacy .sig (cosign 3.x); {why}"),
                format!(
                    "cosign verify --new-bundle-format=false --insecure-ignore-tlog --key {name}.pub{http} {image}"
                ),
                format!("# legacy .sig (cosign 2.x before 2.6.3); {why}"),
                format!("cosign verify --insecure-ignore-tlog --key {name}.pub{http} {image}"),
            ]
        }
    }
}

fn stamps(identity: &Identity) -> &'static str {
    if identity.services.timestamp_authorities.is_empty() { "" } else { " --use-signed-timestamps" }
}

fn log_key_file(identity: &Identity) -> String {
    format!("{}.log.pub", identity.name)
}

fn spki_pem(spki: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(spki);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    for chunk in body.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(chunk));
        pem.push('\n');
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}

/// Podman's `policy.json`: this key, and the repository that the image was pulled by.
fn podman_policy(key: &str) -> String {
    let policy = serde_json::json!({
        "default": [{"type": "sigstoreSigned", "keyPath": key, "signedIdentity": {"type": "matchRepository"}}]
    });
    format!("{policy:#}\n")
}
