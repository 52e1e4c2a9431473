//! One story's own world: a folder, two keys, a registry, a running sealwatch from a sample of deploy/samples.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http;
use crate::own_log::OwnRekor2;
use crate::peers::{Process, Registry, Shared, cosign, free_port, must, peer};

/// What the registry presents to our webhook.
pub(crate) const SECRET: &str = "hook-canary-5f1d0c";
/// The password of both keys.
pub(crate) const PASSWORD: &str = "password-canary-93ab17";

/// Which Rekor a scene logs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rekor {
    V1,
    V2,
}

/// The folder of a story and what is in it: `release.key` is cosign's, `nightly.key` is ours.
pub(crate) struct Scene {
    folder: TempDir,
    pub(crate) shared: Shared,
    pub(crate) rekor: Rekor,
    pub(crate) hooks: u16,
    pub(crate) metrics: u16,
    pub(crate) registry_port: u16,
    /// For a story that needs one more.
    pub(crate) spare: u16,
    /// Where entries are sent; a story may put something of its own before the log.
    pub(crate) log_url: String,
}

impl Scene {
    /// Makes the keys and copies the trust material.
    pub(crate) fn new(shared: Shared, rekor: Rekor) -> Self {
        let folder = tempfile::Builder::new().prefix("sealwatch-story").tempdir().expect("a folder");
        let path = folder.path();
        std::fs::copy(shared.folder.join("trusted_root.json"), path.join("trusted_root.json")).expect("a trusted root");
        let number = if rekor == Rekor::V1 { "1" } else { "2" };
        std::fs::copy(shared.folder.join(format!("signing_config_{number}.json")), path.join("signing_config.json"))
            .expect("a signing config");
        write_secret(&path.join("hook.secret"), SECRET);
        for name in ["release", "nightly"] {
            write_secret(&path.join(format!("{name}.password")), PASSWORD);
        }
        must(cosign("cosign-3", path).env("COSIGN_PASSWORD", PASSWORD).args([
            "generate-key-pair",
            "--output-key-prefix",
            "release",
        ]));
        must(Command::new(binary()).current_dir(path).args([
            "key",
            "create",
            "--output-key-prefix",
            "nightly",
            "--password-file",
            "nightly.password",
        ]));
        let log_url = if rekor == Rekor::V1 { shared.rekor1.clone() } else { shared.rekor2.clone() };
        Self {
            folder,
            shared,
            rekor,
            hooks: free_port(),
            metrics: free_port(),
            registry_port: free_port(),
            spare: free_port(),
            log_url,
        }
    }

    /// The story's folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Another Rekor v2 than the shared one, with the same key.
    pub(crate) fn log_to(&mut self, log: &OwnRekor2) {
        self.put_before_the_log(&log.url);
        self.shared.tiles.clone_from(&log.tiles);
    }

    /// Puts something between us and the log: every file names it instead of the log.
    pub(crate) fn put_before_the_log(&mut self, url: &str) {
        let file = self.path().join("signing_config.json");
        let text = std::fs::read_to_string(&file).expect("a signing config");
        std::fs::write(&file, text.replace(&self.log_url, url)).expect("a signing config");
        self.log_url = url.to_owned();
    }

    /// A distribution registry that tells this scene's sealwatch of every push.
    pub(crate) fn distribution(&self) -> Registry {
        Registry::distribution(self.path(), self.registry_port, self.hooks, SECRET)
    }

    /// The sample configuration of this scene, with its ports, written to the folder.
    pub(crate) fn config(&self, sample: &str, registry: &str) -> PathBuf {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples").join(sample))
            .expect("a sample");
        let text = text
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{}", self.hooks))
            .replace("127.0.0.1:9091", &format!("127.0.0.1:{}", self.metrics))
            .replace("127.0.0.1:5000", registry)
            .replace("http://127.0.0.1:3000", &self.log_url)
            .replace("http://127.0.0.1:3001", &self.shared.tiles);
        let path = self.path().join("sealwatch.toml");
        std::fs::write(&path, text).expect("a configuration");
        path
    }

    /// The sample for this scene's log, over a distribution registry.
    pub(crate) fn distribution_config(&self) -> PathBuf {
        let sample = if self.rekor == Rekor::V1 { "distribution-rekor-v1.toml" } else { "distribution-rekor-v2.toml" };
        self.config(sample, &format!("127.0.0.1:{}", self.registry_port))
    }

    /// sealwatch with some subcommand, in this folder; nothing of the machine's own configuration.
    pub(crate) fn sealwatch(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .current_dir(self.path())
            .env_remove("COSIGN_PASSWORD")
            .env("DOCKER_CONFIG", self.path())
            .args(arguments);
        command
    }

    /// `sealwatch up`, ready; with a crash point armed where one is given.
    pub(crate) fn up(&self, crash_at: Option<&str>) -> Process {
        let mut command = self.sealwatch(&["up", "-c", "sealwatch.toml"]);
        if let Some(point) = crash_at {
            command.env("SEALWATCH_CRASH_AT", point);
        }
        Process::start(&mut command, &self.path().join("sealwatch.log")).ready(self.metrics)
    }

    /// Posts an event to our webhook as the source that the sample names (`registry` or `relay`).
    pub(crate) fn post(&self, source: &str, body: &Value) -> u16 {
        let authorization = format!("Bearer {SECRET}");
        let url = format!("http://127.0.0.1:{}/hooks/{source}", self.hooks);
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        http::try_request("POST", &url, &headers, body.to_string().as_bytes()).map_or(0, |answer| answer.status)
    }

    /// What distribution would post for a push.
    pub(crate) fn distribution_event(&self, repository: &str, tag: &str, digest: &str) -> Value {
        json!({"events": [{"id": "1", "timestamp": "2026-01-01T00:00:00Z", "action": "push",
            "target": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "repository": repository, "tag": tag},
            "request": {"host": format!("127.0.0.1:{}", self.registry_port)}}]})
    }

    /// The value of a metric with some labels (any of its lines that contains all words).
    pub(crate) fn metric(&self, words: &[&str]) -> f64 {
        let answer = http::request("GET", &format!("http://127.0.0.1:{}/metrics", self.metrics), &[], b"");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        text.lines()
            .filter(|l| !l.starts_with('#') && words.iter().all(|w| l.contains(w)))
            .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// `sealwatch status --json`.
    pub(crate) fn status(&self) -> Value {
        let output = crate::peers::run(&mut self.sealwatch(&["status", "--json", "-c", "sealwatch.toml"]));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("status: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Writes a file that its owner alone reads: of any other there is a warning.
fn write_secret(file: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(file, text).expect("a secret");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).expect("its mode");
}

/// The binary under test, with crash points.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("SEALWATCH_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_sealwatch")), PathBuf::from)
}

/// Waits until something holds.
pub(crate) fn eventually(what: &str, seconds: u64, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < until, "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Pushes an image by tag with skopeo; `seed` makes its content.
pub(crate) fn push_image(scene: &Scene, host: &str, name: &str, seed: &str) {
    let layout = layout(scene.path(), seed, Kind::Image);
    must(Command::new("skopeo").current_dir(scene.path()).args([
        "copy",
        "--quiet",
        "--insecure-policy",
        "--dest-tls-verify=false",
        &format!("oci:{layout}:v"),
        &format!("docker://{host}/{name}"),
    ]));
}

/// Pushes an index of two platforms by tag with skopeo.
pub(crate) fn push_index(scene: &Scene, host: &str, name: &str, seed: &str) {
    let layout = layout(scene.path(), seed, Kind::Index);
    must(Command::new("skopeo").current_dir(scene.path()).args([
        "copy",
        "--quiet",
        "--all",
        "--insecure-policy",
        "--dest-tls-verify=false",
        &format!("oci:{layout}:v"),
        &format!("docker://{host}/{name}"),
    ]));
}

/// Pushes an artifact that is no image by tag with crane.
pub(crate) fn push_artifact(scene: &Scene, host: &str, name: &str, seed: &str) {
    let layout = layout(scene.path(), seed, Kind::Artifact);
    must(Command::new(peer("crane")).current_dir(scene.path()).env("DOCKER_CONFIG", scene.path()).args([
        "push",
        "--insecure",
        &layout,
        &format!("{host}/{name}"),
    ]));
}

enum Kind {
    Image,
    Index,
    Artifact,
}

/// An OCI layout on disk; the folder's name.
fn layout(folder: &Path, seed: &str, kind: Kind) -> String {
    let name = format!("layout-{}", seed.replace(['/', ':'], "-"));
    let blobs = folder.join(&name).join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("a layout");
    let blob = |bytes: &[u8], media_type: &str| -> Value {
        let file = blobs.join("new");
        std::fs::write(&file, bytes).expect("a blob");
        let sum = must(Command::new("sha256sum").arg(&file));
        let hex = sum.split_whitespace().next().expect("a sum").to_owned();
        std::fs::rename(&file, blobs.join(&hex)).expect("a blob");
        json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()})
    };
    let manifest = |config: Value, layer: Value, artifact_type: Option<&str>| -> Value {
        let mut body = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer]});
        if let Some(artifact_type) = artifact_type {
            body["artifactType"] = json!(artifact_type);
        }
        blob(body.to_string().as_bytes(), "application/vnd.oci.image.manifest.v1+json")
    };
    let image = |platform: &str| -> Value {
        let layer = blob(&empty_tar(&format!("{seed} {platform}")), "application/vnd.oci.image.layer.v1.tar");
        let config = json!({"architecture": platform, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}});
        manifest(blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json"), layer, None)
    };
    let mut top = match kind {
        Kind::Image => image("amd64"),
        Kind::Artifact => {
            let layer = blob(seed.as_bytes(), "application/vnd.example.rules.v1+text");
            manifest(blob(b"{}", "application/vnd.oci.empty.v1+json"), layer, Some("application/vnd.example.rules"))
        }
        Kind::Index => {
            let children: Vec<Value> = ["amd64", "arm64"]
                .iter()
                .map(|platform| {
                    let mut child = image(platform);
                    child["platform"] = json!({"architecture": platform, "os": "linux"});
                    child
                })
                .collect();
            let body = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": children});
            blob(body.to_string().as_bytes(), "application/vnd.oci.image.index.v1+json")
        }
    };
    top["annotations"] = json!({"org.opencontainers.image.ref.name": "v"});
    std::fs::write(folder.join(&name).join("index.json"), json!({"schemaVersion": 2, "manifests": [top]}).to_string())
        .expect("index.json");
    std::fs::write(folder.join(&name).join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("oci-layout");
    name
}

/// A tar archive with one empty file of that name.
fn empty_tar(name: &str) -> Vec<u8> {
    let mut header = [0u8; 512];
    let name = name.as_bytes();
    header[..name.len().min(99)].copy_from_slice(&name[..name.len().min(99)]);
    header[100..107].copy_from_slice(b"0000644");
    header[108..115].copy_from_slice(b"0000000");
    header[116..123].copy_from_slice(b"0000000");
    header[124..135].copy_from_slice(b"00000000000");
    header[136..147].copy_from_slice(b"00000000000");
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut tar = header.to_vec();
    tar.resize(512 * 3, 0);
    tar
}
