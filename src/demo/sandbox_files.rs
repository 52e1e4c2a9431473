//! What the demo writes to disk: a key, the sandbox's trust material, a secret, and a configuration that names them.

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
}

impl SandboxFiles {
    /// Writes them into a folder, a new temporary one by default.
    pub(super) fn write(world: &World, dir: Option<PathBuf>) -> anyhow::Result<Self> {
        let dir = match dir {
            Some(dir) => dir,
            None => std::env::temp_dir().join(format!("sealwatch-demo-{:016x}", run::random()?)),
        };
        std::fs::create_dir_all(&dir).with_context(|| format!("the folder {}", dir.display()))?;
        let pair = signer::key::file::generate(&SecretString::from("sandbox"))?;
        let secret = format!("{:016x}{:016x}", run::random()?, run::random()?);
        let put = |name: &str, text: &str| {
            std::fs::write(dir.join(name), text).with_context(|| format!("{}", dir.join(name).display()))
        };
        put("release.key", &pair.private_pem)?;
        put("release.password", "sandbox")?;
        put("hook.secret", &secret)?;
        put("trusted_root.json", &world.trusted_root_json())?;
        put("signing_config.json", &world.signing_config_json())?;
        put("sealwatch.toml", &configuration(world, &dir))?;
        Ok(Self {
            config: dir.join("sealwatch.toml"),
            kit: dir.join("kit"),
            authorization: format!("Bearer {secret}"),
            dir,
        })
    }

    /// What a person can do next.
    pub(super) fn invitation(&self, world: &World) {
        let (host, kit) = (world.registry.host(), self.kit.display());
        say!("\nThe sandbox stays up until Ctrl-C. Push an image of your own, and watch it being signed:");
        say!("  skopeo copy --dest-tls-verify=false docker://docker.io/library/alpine:3 docker://{host}/team/mine:v1");
        say!("  crane copy --insecure alpine:3 {host}/team/mine:v1");
        say!("verify it with cosign 3 (2.6.3 and later take the same line), or with sealwatch:");
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
"#
    )
}
