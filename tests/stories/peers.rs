//! The programs that we did not write: where they are, how they are started, how they are asked.

use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http;

/// The peers that all stories share; started by tests/run.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) folder: PathBuf,
    pub(crate) rekor1: String,
    pub(crate) rekor2: String,
    pub(crate) tiles: String,
    pub(crate) postgres: String,
}

/// The shared peers, or a loud skip.
pub(crate) fn shared(story: &str) -> Option<Shared> {
    let Some(file) = std::env::var_os("SEALWATCH_WORLD") else {
        println!("SKIPPED: {story}: SEALWATCH_WORLD is not set; run `tests/run --story {story}`");
        return None;
    };
    let text = std::fs::read_to_string(&file).expect("SEALWATCH_WORLD names a file");
    let world: Value = serde_json::from_str(&text).expect("world.json is JSON");
    let field = |name: &str| world[name].as_str().unwrap_or_else(|| panic!("world.json has {name}")).to_owned();
    Some(Shared {
        folder: field("folder").into(),
        rekor1: field("rekor1"),
        rekor2: field("rekor2"),
        tiles: field("tiles"),
        postgres: field("postgres"),
    })
}

/// The path of a peer's binary.
pub(crate) fn peer(name: &str) -> PathBuf {
    let versions = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/versions"))
        .expect("tests/peers/versions");
    let line = versions
        .lines()
        .find(|l| l.split_whitespace().next() == Some(name))
        .unwrap_or_else(|| panic!("versions lists {name}"));
    let version = line.split_whitespace().nth(1).expect("a version");
    let cache = std::env::var_os("SEALWATCH_PEERS").map(PathBuf::from).unwrap_or_else(|| {
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        base.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cache"))
            .join("sealwatch-peers")
    });
    let path = cache.join(format!("{name}-{version}"));
    assert!(path.exists(), "the peer {name} {version} is not built: tests/peers/build {name}");
    path
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// A process that ends with its owner.
pub(crate) struct Process {
    child: Child,
    pub(crate) log: PathBuf,
}

impl Process {
    /// Starts it, its output to a file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a log file"))
            .stderr(file)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log: log.to_owned() }
    }

    /// Waits until a port answers.
    pub(crate) fn ready(mut self, port: u16) -> Self {
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("it ended with {status}: {}", std::fs::read_to_string(&self.log).unwrap_or_default());
            }
            assert!(
                Instant::now() < until,
                "nothing listens on {port}: {}",
                std::fs::read_to_string(&self.log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }

    /// Waits for its end, at most so long; whether it ended.
    pub(crate) fn ended_within(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Waits for its end, at most so long; how it ended.
    pub(crate) fn end_within(&mut self, time: Duration) -> ExitStatus {
        assert!(self.ended_within(time), "it did not end: {}", self.output());
        self.child.wait().expect("it ended")
    }

    /// Asks it to end (SIGTERM) and waits; its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        if !self.ended_within(Duration::from_secs(40)) {
            panic!("it did not stop: {}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
        self.child.wait().ok().and_then(|status| status.code())
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote so far.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a program that must succeed.
pub(crate) fn must(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A stock cosign, with nothing of the machine's own configuration.
pub(crate) fn cosign(version: &str, home: &Path) -> Command {
    let mut command = Command::new(peer(version));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
        .env("HOME", home)
        .env("DOCKER_CONFIG", home)
        .env("TUF_ROOT", home.join("tuf"))
        .env("COSIGN_PASSWORD", "")
        .current_dir(home);
    command
}

/// A registry of some kind on loopback.
pub(crate) struct Registry {
    pub(crate) host: String,
    _process: Process,
}

impl Registry {
    /// CNCF Distribution, which tells `hooks` of every push and has no referrers API.
    pub(crate) fn distribution(folder: &Path, port: u16, hooks: u16, secret: &str) -> Self {
        Self::distribution_with(folder, port, hooks, secret, &[])
    }

    /// The same with more settings, as its environment gives them.
    pub(crate) fn distribution_with(
        folder: &Path,
        port: u16,
        hooks: u16,
        secret: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let debug = free_port();
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}/registry}}, delete: {{enabled: true}}}}\n\
             http: {{addr: 127.0.0.1:{port}, debug: {{addr: 127.0.0.1:{debug}}}}}\nlog: {{level: warn}}\n\
             notifications:\n  endpoints:\n  - name: sealwatch\n    url: http://127.0.0.1:{hooks}/hooks/registry\n    headers: {{Authorization: [\"Bearer {secret}\"]}}\n    timeout: 5s\n    threshold: 3\n    backoff: 200ms\n",
            folder.display()
        );
        std::fs::write(folder.join("registry.yml"), config).expect("registry.yml");
        let mut command = Command::new(peer("registry"));
        command.args(["serve", "registry.yml"]).current_dir(folder).env("OTEL_TRACES_EXPORTER", "none");
        command.envs(settings.iter().copied());
        let process = Process::start(&mut command, &folder.join("registry.log")).ready(port);
        Self { host: format!("127.0.0.1:{port}"), _process: process }
    }

    /// The referrers API without the OCI-Subject header.
    pub(crate) fn referrers(folder: &Path) -> Self {
        let port = free_port();
        let mut command = Command::new(peer("referrers-registry"));
        command.arg(format!("127.0.0.1:{port}"));
        let process = Process::start(&mut command, &folder.join("registry.log")).ready(port);
        Self { host: format!("127.0.0.1:{port}"), _process: process }
    }

    /// The referrers API with the OCI-Subject header.
    pub(crate) fn ferro(folder: &Path) -> Self {
        let port = free_port();
        let mut command = Command::new(peer("ferro-oci-server"));
        command.current_dir(folder).env("FERRO_OCI_LISTEN", format!("127.0.0.1:{port}"));
        let process = Process::start(&mut command, &folder.join("registry.log")).ready(port);
        Self { host: format!("127.0.0.1:{port}"), _process: process }
    }

    /// A manifest as it is served, and its digest.
    pub(crate) fn manifest(&self, repository: &str, reference: &str) -> Option<(String, Value)> {
        let accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
        let answer = http::request(
            "GET",
            &format!("http://{}/v2/{repository}/manifests/{reference}", self.host),
            &[("Accept", accept)],
            b"",
        );
        if answer.status != 200 {
            return None;
        }
        let digest = answer.header("docker-content-digest").expect("a digest header").to_owned();
        Some((digest, serde_json::from_slice(&answer.body).expect("a manifest is JSON")))
    }

    /// The digest that a tag points to.
    pub(crate) fn digest(&self, repository: &str, tag: &str) -> String {
        self.manifest(repository, tag).unwrap_or_else(|| panic!("{repository}:{tag} is there")).0
    }

    /// How many layers the `.sig` tag of a digest has.
    pub(crate) fn legacy_layers(&self, repository: &str, digest: &str) -> usize {
        let tag = format!("{}.sig", digest.replace(':', "-"));
        self.manifest(repository, &tag).map_or(0, |(_, m)| m["layers"].as_array().map_or(0, Vec::len))
    }

    /// How many referrers a digest has: by the API, else by the fallback tag.
    pub(crate) fn referrers_of(&self, repository: &str, digest: &str) -> usize {
        let answer =
            http::request("GET", &format!("http://{}/v2/{repository}/referrers/{digest}", self.host), &[], b"");
        let index: Option<Value> = match answer.status {
            200 => serde_json::from_slice(&answer.body).ok(),
            _ => self.manifest(repository, &digest.replace(':', "-")).map(|(_, m)| m),
        };
        index.map_or(0, |i| i["manifests"].as_array().map_or(0, Vec::len))
    }

    /// Whether the fallback tag of a digest was written.
    pub(crate) fn has_fallback_tag(&self, repository: &str, digest: &str) -> bool {
        self.manifest(repository, &digest.replace(':', "-")).is_some()
    }
}
