//! What the demo writes to disk: a key, the sandbox's trust material, a secret, and a configuration that names them.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sandbox::World;
use secrecy::SecretString;
use watcher::WatcherConfig;

use super::made::MadeFiles;
use crate::commands::kit;
use crate::{run, say};

/// The files of one demo.
pub(super) struct SandboxFiles {
    /// The configuration.
    pub(super) config: PathBuf,
    /// What the registry presents to us.
    pub(super) authorization: String,
    dir: PathBuf,
    made: MadeFiles,
    /// The folder was asked for, and stays.
    keep: bool,
}

const NAMES: [&str; 7] = [
    "release.key",
    "release.pub",
    "release.password",
    "hook.secret",
    "trusted_root.json",
    "signing_config.json",
    "sealwatch.toml",
];

impl SandboxFiles {
    /// Writes them into a folder, a new temporary one by default. Files that an earlier demo made are replaced; a file
    /// that no demo made is an error.
    pub(super) async fn write(world: &World, dir: Option<PathBuf>) -> anyhow::Result<Self> {
        let keep = dir.is_some();
        let dir = match dir {
            Some(dir) => dir,
            None => std::env::temp_dir().join(format!("sealwatch-demo-{:016x}", run::random()?)),
        };
        // A private key will be in it.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("the folder {}", dir.display()))?;
        let mut made = MadeFiles::claim(&dir, &NAMES).await?;
        let pair = signer::key::file::generate(&SecretString::from("sandbox"))?;
        let secret = format!("{:016x}{:016x}", run::random()?, run::random()?);
        let texts: [&str; 7] = [
            &pair.private_pem,
            &pair.public_pem,
            "sandbox",
            &secret,
            &world.trusted_root_json(),
            &world.signing_config_json(),
            &configuration(world),
        ];
        let files: Vec<(&str, &str)> = NAMES.into_iter().zip(texts).collect();
        made.write(&files)?;
        Ok(Self { config: dir.join("sealwatch.toml"), authorization: format!("Bearer {secret}"), dir, made, keep })
    }

    /// Writes the verifier's kit beside them.
    pub(super) fn write_kit(&mut self, outsider: &WatcherConfig) -> anyhow::Result<()> {
        let names = kit::write(outsider, &self.kit())?;
        self.made.note_kit(&names)
    }

    fn kit(&self) -> PathBuf {
        self.dir.join("kit")
    }

    /// What a person can do while the sandbox is up.
    pub(super) fn invitation(&self, world: &World) {
        let (host, kit) = (world.registry.host(), quoted(&self.kit()));
        say!("");
        say!("The sandbox stays up until Ctrl-C. Push an image of your own, and watch it being signed:");
        say!("  skopeo copy --dest-tls-verify=false docker://docker.io/library/alpine:3 docker://{host}/team/mine:v1");
        say!("  crane copy --insecure alpine:3 {host}/team/mine:v1");
        say!("Verify it: the first line is for the bundle (cosign 2.6.3 and later), the second for the .sig, which");
        say!("sealwatch refuses without --insecure-ignore-tlog, because a Rekor v2 log leaves it no proof:");
        say!(
            "  cosign verify --key {kit}/release.pub --trusted-root {kit}/release.trusted_root.json --use-signed-timestamps --allow-http-registry {host}/team/mine:v1"
        );
        say!(
            "  cosign verify --new-bundle-format=false --insecure-ignore-tlog --key {kit}/release.pub --allow-http-registry {host}/team/mine:v1"
        );
        say!(
            "  sealwatch verify --key {kit}/release.pub --trusted-root {kit}/release.trusted_root.json --plain-http {host}/team/mine:v1"
        );
    }

    /// Three commands to go on with. What they look at must still be there: the registry ends with the demo, a
    /// temporary folder too.
    pub(super) fn next(&self, image: &str, stays_up: bool) {
        let config = quoted(&self.config);
        say!("Try next{}:", if stays_up { ", in another terminal" } else { "" });
        if stays_up {
            say!("  sealwatch explain -c {config} {image}    # why it is signed, and how to verify it");
            say!("  sealwatch findings -c {config}    # what the monitor found");
            say!("  sealwatch logs -c {config}    # how far the log is read and verified");
        } else if self.keep {
            say!("  sealwatch findings -c {config}    # what the monitor found");
            say!("  sealwatch logs -c {config}    # how far the log was read and verified");
            say!("  sealwatch status -c {config}    # what was signed, and what waits");
        } else {
            say!("  sealwatch demo --dir sandbox    # the same, and it stays up for images of your own");
            say!("  sealwatch findings -c sandbox/sealwatch.toml    # what the monitor found there");
            say!("  sealwatch drill    # every attack that is known, and which alarm goes off");
        }
    }
}

impl Drop for SandboxFiles {
    /// A temporary folder goes with the demo.
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed is in the system's temporary folder and harmless.
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// A path as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c)) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Paths are relative to the configuration's own folder.
fn configuration(world: &World) -> String {
    let host = world.registry.host();
    let (origin, write_url, read_url) = (world.log.origin(), world.log.write_url(), world.log.read_url());
    format!(
        r#"# Made by `sealwatch demo`: the same keys work against a real registry and log.
[store]
url = "sqlite:sealwatch.db"

[server]
hooks = "127.0.0.1:0"
metrics = "127.0.0.1:0"

[registry."{host}"]
plain_http = true

[source.sandbox]
kind = "distribution"
registry = "{host}"
auth = "bearer"
secret_file = "hook.secret"

[identity.release]
key = "release.key"
password_file = "release.password"

[[rule]]
repositories = ["{host}/team/**"]
tags = ["*"]
sign_with = ["release"]
formats = ["bundle", "legacy"]
legacy_without_proof = true      # a .sig cannot carry a Rekor v2 proof
trust_zone = "sandbox"

[sigstore.sandbox]
trusted_root = "trusted_root.json"
signing_config = "signing_config.json"

[log."{origin}"]
version = 2
write_url = "{write_url}"
read_url = "{read_url}"

[monitor]
interval = "200ms"
grace = "300ms"

[[watch]]                        # what this key signs without the ledger knowing is a finding
name = "release key"
key_file = "release.pub"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted(Path::new("/tmp/x-1/sealwatch.toml")), "/tmp/x-1/sealwatch.toml");
        assert_eq!(quoted(Path::new("my demo/it's")), r"'my demo/it'\''s'");
        assert_eq!(quoted(Path::new("$(id)")), "'$(id)'");
    }
}
