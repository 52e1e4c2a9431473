//! What the demo writes to disk: a key, the sandbox's trust material, a secret, and a configuration that names them.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sandbox::World;
use secrecy::SecretString;

use crate::{run, say};

/// The files of one demo.
pub(super) struct SandboxFiles {
    /// The configuration.
    pub(super) config: PathBuf,
    /// The verifier's kit.
    pub(super) kit: PathBuf,
    /// What the registry presents to us.
    pub(super) authorization: String,
    dir: PathBuf,
    /// The folder was asked for, and stays.
    keep: bool,
}

impl SandboxFiles {
    /// Writes them into a folder, a new temporary one by default.
    pub(super) fn write(world: &World, dir: Option<PathBuf>) -> anyhow::Result<Self> {
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
        let pair = signer::key::file::generate(&SecretString::from("sandbox"))?;
        let secret = format!("{:016x}{:016x}", run::random()?, run::random()?);
        let put_with = |name: &str, text: &str, mode: u32| {
            let mut options = std::fs::OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(mode).open(dir.join(name));
            file.and_then(|mut file| file.write_all(text.as_bytes()))
                .with_context(|| format!("{}", dir.join(name).display()))
        };
        let put = |name: &str, text: &str| put_with(name, text, 0o644);
        put_with("release.key", &pair.private_pem, 0o600)?;
        put("release.pub", &pair.public_pem)?;
        put_with("release.password", "sandbox", 0o600)?;
        put_with("hook.secret", &secret, 0o600)?;
        put("trusted_root.json", &world.trusted_root_json())?;
        put("signing_config.json", &world.signing_config_json())?;
        put("sealwatch.toml", &configuration(world, &dir))?;
        Ok(Self {
            config: dir.join("sealwatch.toml"),
            kit: dir.join("kit"),
            authorization: format!("Bearer {secret}"),
            dir,
            keep,
        })
    }

    /// What a person can do next.
    pub(super) fn invitation(&self, world: &World) {
        let (host, kit) = (world.registry.host(), self.kit.display());
        say!("\nThe sandbox stays up until Ctrl-C. Push an image of your own, and watch it being signed:");
        say!("  skopeo copy --dest-tls-verify=false docker://docker.io/library/alpine:3 docker://{host}/team/mine:v1");
        say!("  crane copy --insecure alpine:3 {host}/team/mine:v1");
        say!("verify it, the bundle and then the .sig, with cosign 3 (2.6.3 and later take the first line), or with");
        say!("sealwatch, which refuses the .sig without --insecure-ignore-tlog: a v2 log leaves it no proof:");
        say!(
            "  cosign verify --key {kit}/release.pub --trusted-root {kit}/release.trusted_root.json --use-signed-timestamps --allow-http-registry {host}/team/mine:v1"
        );
        say!(
            "  cosign verify --new-bundle-format=false --insecure-ignore-tlog --key {kit}/release.pub --allow-http-registry {host}/team/mine:v1"
        );
        say!(
            "  sealwatch verify --key {kit}/release.pub --trusted-root {kit}/release.trusted_root.json --plain-http {host}/team/mine:v1"
        );
        say!("or read what was made: {}", self.dir.display());
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

fn configuration(world: &World, dir: &Path) -> String {
    let (host, dir) = (world.registry.host(), dir.display());
    let (origin, write_url, read_url) = (world.log.origin(), world.log.write_url(), world.log.read_url());
    format!(
        r#"# Made by `sealwatch demo`: the same keys work against a real registry and log.
[store]
url = "sqlite:{dir}/sealwatch.db"

[server]
hooks = "127.0.0.1:0"
metrics = "127.0.0.1:0"

[registry."{host}"]
plain_http = true

[source.sandbox]
kind = "distribution"
registry = "{host}"
auth = "bearer"
secret_file = "{dir}/hook.secret"

[identity.release]
key = "{dir}/release.key"
password_file = "{dir}/release.password"

[[rule]]
repositories = ["{host}/team/**"]
tags = ["*"]
sign_with = ["release"]
formats = ["bundle", "legacy"]
legacy_without_proof = true      # a .sig cannot carry a Rekor v2 proof
trust_zone = "sandbox"

[sigstore.sandbox]
trusted_root = "{dir}/trusted_root.json"
signing_config = "{dir}/signing_config.json"

[log."{origin}"]
version = 2
write_url = "{write_url}"
read_url = "{read_url}"

[monitor]
interval = "200ms"
grace = "300ms"

[[watch]]                        # what this key signs without the ledger knowing is a finding
name = "release key"
key_file = "{dir}/release.pub"
"#
    )
}
