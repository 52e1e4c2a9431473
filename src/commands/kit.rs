//! `kit`: what a verifier needs, in one folder: public keys, the trusted root, podman's policy, the exact commands.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use bundle::Format;
use watcher::glob::Glob;
use watcher::{Identity, Rule, WatcherConfig};

use super::CLEAN;
use crate::config::Config;
use crate::{rooms, run, say};

/// Writes the kit.
pub(crate) fn kit(config: &Config, out: &Path) -> anyhow::Result<u8> {
    let room = rooms::shown_worker(config, run::now_ms())?;
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
    // Podman takes the path of a key from the root.
    let folder = out.canonicalize().with_context(|| format!("the folder {}", out.display()))?;
    for identity in room.identities.values() {
        let key = identity.key.public_key();
        let key_file = format!("{}.pub", identity.name);
        put(key_file.clone(), key.pem())?;
        put(format!("{}.trusted_root.json", identity.name), String::from_utf8(identity.services.trust.to_json())?)?;
        if let Some(log) = &identity.services.log {
            put(log_key_file(identity), bundle::pem::encode("PUBLIC KEY", log.key().spki()))?;
        }
        writeln!(commands, "\n## {}: {} {}", identity.name, key.algorithm(), key.fingerprint())?;
        for rule in room.rules.iter().filter(|rule| rule.sign_with.contains(&identity.name)) {
            let repositories: Vec<String> = rule.repositories.iter().map(ToString::to_string).collect();
            writeln!(commands, "\n### Images of {}\n", repositories.join(", "))?;
            for format in &rule.formats {
                let plain = room.registries.values().any(|registry| registry.plain_http());
                for line in lines(identity, rule, *format, "IMAGE", plain) {
                    writeln!(commands, "{line}")?;
                }
            }
        }
        let scopes = scopes(room, identity);
        if !scopes.is_empty() {
            let policy = format!("{}.policy.json", identity.name);
            put(policy.clone(), podman_policy(&scopes, &folder.join(&key_file))?)?;
            writeln!(
                commands,
                "\n### Podman, skopeo, CRI-O\n\n# legacy .sig: add the `docker` scopes of {policy} to those of /etc/containers/policy.json, and\n# put registries.d.*.yaml into /etc/containers/registries.d."
            )?;
        }
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

/// The scopes of a podman policy that hold what this identity signs in the form that podman reads: repositories, or the
/// narrowest namespace or host above a glob. A glob over hosts stands for the registries of the configuration.
fn scopes(room: &WatcherConfig, identity: &Identity) -> BTreeSet<String> {
    let ours = room.rules.iter().filter(|rule| rule.sign_with.contains(&identity.name));
    let legacy = ours.filter(|rule| rule.formats.contains(&Format::Legacy));
    let hosts: Vec<&str> = room.registries.keys().map(|host| host.as_str()).collect();
    legacy.flat_map(|rule| &rule.repositories).flat_map(|glob| scopes_of(&glob.to_string(), &hosts)).collect()
}

fn scopes_of(glob: &str, hosts: &[&str]) -> Vec<String> {
    let mut parts = glob.split('/');
    let host = parts.next().unwrap_or_default();
    let path: Vec<&str> = parts.take_while(|part| !part.contains('*')).collect();
    let any_host = host.contains("**");
    let matching = host.parse::<Glob>().ok();
    let matches = |other: &&&str| any_host || matching.as_ref().is_some_and(|glob| glob.matches(other));
    let hosts = hosts.iter().filter(matches);
    // Behind `**` nothing says where the path begins.
    let path = if any_host { Vec::new() } else { path };
    hosts.map(|host| std::iter::once(*host).chain(path.iter().copied()).collect::<Vec<_>>().join("/")).collect()
}

/// Podman's `policy.json`: in our scopes this key and the repository that the image was pulled by; elsewhere what podman
/// does when it is told nothing.
fn podman_policy(scopes: &BTreeSet<String>, key: &Path) -> anyhow::Result<String> {
    let key = key.to_str().context("the path of a key for podman must be UTF-8")?;
    let signed = serde_json::json!(
        [{"type": "sigstoreSigned", "keyPath": key, "signedIdentity": {"type": "matchRepository"}}]
    );
    let ours: serde_json::Map<_, _> = scopes.iter().map(|scope| (scope.clone(), signed.clone())).collect();
    let policy = serde_json::json!({
        "default": [{"type": "insecureAcceptAnything"}],
        "transports": {"docker": ours},
    });
    Ok(format!("{policy:#}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_the_narrowest_name_above_a_glob() {
        let hosts = ["reg.example", "reg.example:5000", "other.test"];
        for (glob, scopes) in [
            ("reg.example/team/app", &["reg.example/team/app"][..]),
            ("reg.example:5000/team/**", &["reg.example:5000/team"]),
            ("reg.example/team/*/app", &["reg.example/team"]),
            ("reg.example/team/app-*", &["reg.example/team"]),
            ("reg.example/**", &["reg.example"]),
            ("*.example/team/**", &["reg.example/team"]),
            ("**", &["reg.example", "reg.example:5000", "other.test"]),
            ("**/app", &["reg.example", "reg.example:5000", "other.test"]),
            ("elsewhere.test/x", &[]),
        ] {
            assert_eq!(scopes_of(glob, &hosts), scopes, "{glob}");
        }
    }

    #[test]
    fn a_policy_asks_for_signatures_in_our_scopes_and_nowhere_else() {
        let scopes = BTreeSet::from(["reg.example/a".to_owned(), "reg.example/b".to_owned()]);
        let text = podman_policy(&scopes, Path::new("/kit/release.pub")).expect("a policy");
        let policy: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(policy["default"], serde_json::json!([{"type": "insecureAcceptAnything"}]));
        let docker = policy["transports"]["docker"].as_object().expect("scopes");
        assert_eq!(docker.keys().collect::<Vec<_>>(), ["reg.example/a", "reg.example/b"]);
        for demand in docker.values() {
            assert_eq!(demand[0]["type"], "sigstoreSigned");
            assert_eq!(demand[0]["keyPath"], "/kit/release.pub");
        }
    }
}
