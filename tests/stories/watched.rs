//! A story's own monitor: a folder with a configuration that watches one real Rekor v2, a key that is ours, and entries
//! of ours and of others, as many as a story needs.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bundle::{Envelope, Format, HashAlgorithm, NewEntry, PublicKey};
use serde_json::Value;
use signer::key::KeyBackend as _;
use signer::key::file::{FileKey, generate, load};

use crate::http;
use crate::own_log::OwnRekor2;
use crate::peers::{Process, Shared, free_port, must, run};
use crate::scene::binary;

/// The full figures of the issue, or a tenth of them.
pub(crate) fn scale(full: u64) -> u64 {
    if std::env::var_os("SEALWATCH_FULL").is_some() { full } else { full.div_ceil(10) }
}

/// A flag that is raised at the latest when this is dropped: writers that wait for it end with a story that fails.
pub(crate) struct Raised<'a>(pub(crate) &'a std::sync::atomic::AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// A key that signs.
pub(crate) struct Key {
    pub(crate) file: FileKey,
    pub(crate) public_pem: String,
}

impl Key {
    /// A new one.
    pub(crate) fn new() -> Self {
        let password = secrecy_of("story");
        let pair = generate(&password).expect("a key");
        let file = load(pair.private_pem.as_bytes(), Some(&password)).expect("its own password");
        Self { file, public_pem: pair.public_pem }
    }

    fn public(&self) -> &PublicKey {
        self.file.public_key()
    }

    /// What a log is asked to take: the signature of some bytes, in the legacy form.
    pub(crate) fn entry(&self, about: &str) -> NewEntry {
        let message = format!("a payload about {about}").into_bytes();
        let signing = self.file.sign(&message, HashAlgorithm::Sha256);
        let signature = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime")
            .block_on(signing)
            .expect("a signature");
        let envelope: Option<Envelope> = None;
        let key = self.public().clone();
        NewEntry { format: Format::Legacy, message, envelope, signature, key, hash: HashAlgorithm::Sha256 }
    }
}

fn secrecy_of(text: &str) -> secrecy::SecretString {
    secrecy::SecretString::from(text.to_owned())
}

/// Writes entries to a Rekor v2, several at once; returns when each is answered.
pub(crate) fn write(log: &OwnRekor2, entries: &[NewEntry]) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let url = format!("{}/api/v2/log/entries", log.url);
    std::thread::scope(|scope| {
        for _ in 0..entries.len().min(128) {
            scope.spawn(|| {
                while let Some(entry) = entries.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let body = entry.rekor_v2_request().expect("a request");
                    let answer = http::request("POST", &url, &[("Content-Type", "application/json")], &body);
                    assert!(
                        answer.status < 300,
                        "the log answers {}: {}",
                        answer.status,
                        String::from_utf8_lossy(&answer.body)
                    );
                }
            });
        }
    });
}

/// A folder with a monitor's configuration.
pub(crate) struct Watched {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) key: Key,
    pub(crate) metrics: u16,
    /// More lines of `[monitor]`.
    pub(crate) timing: String,
    /// More tables at the end.
    pub(crate) more: String,
    /// More lines of the log's table.
    pub(crate) log_lines: String,
    pub(crate) store: String,
}

impl Watched {
    /// Watches for one key; quick, as a story needs it.
    pub(crate) fn new(shared: &Shared) -> Self {
        let folder = tempfile::Builder::new().prefix("sealwatch-watched").tempdir().expect("a folder");
        let key = Key::new();
        std::fs::write(folder.path().join("release.pub"), &key.public_pem).expect("a public key");
        let log_key =
            must(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(shared.folder.join("rekor2.key")));
        std::fs::write(folder.path().join("rekor2.pub"), log_key).expect("the log's key");
        Self {
            folder,
            key,
            metrics: free_port(),
            timing: "interval = \"200ms\"\nconfirm_for = \"2s\"\nrollback_after = \"2s\"\ngrace = \"1s\"\n\
                     inclusion_deadline = \"5s\"\n"
                .to_owned(),
            more: String::new(),
            log_lines: String::new(),
            store: "sqlite:sealwatch.db".to_owned(),
        }
    }

    /// The story's folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes `sealwatch.toml`: the log is read at this URL.
    pub(crate) fn configure(&self, read_url: &str) {
        let text = format!(
            "[store]\nurl = \"{}\"\n[server]\nmetrics = \"127.0.0.1:{}\"\n[log.\"rekor2.test\"]\nversion = 2\n\
             read_url = \"{read_url}\"\npublic_key_file = \"rekor2.pub\"\n{}\n[monitor]\n{}\n[[watch]]\nname = \"release key\"\n\
             key_file = \"release.pub\"\n{}\n",
            self.store, self.metrics, self.log_lines, self.timing, self.more
        );
        std::fs::write(self.path().join("sealwatch.toml"), text).expect("a configuration");
    }

    /// sealwatch with some subcommand in this folder.
    pub(crate) fn sealwatch(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.current_dir(self.path()).args(arguments);
        command
    }

    /// The explicit act that following begins with.
    pub(crate) fn trust(&self) {
        must(&mut self.sealwatch(&["logs", "trust", "--all", "--because", "a story"]));
    }

    /// `serve --role monitor`, ready.
    pub(crate) fn serve(&self) -> Process {
        let mut command = self.sealwatch(&["serve", "--role", "monitor"]);
        Process::start(&mut command, &self.path().join("sealwatch.log")).ready(self.metrics)
    }

    /// `monitor --once --json`: the exit code, and what it printed.
    pub(crate) fn once(&self) -> (i32, Value) {
        let output = run(&mut self.sealwatch(&["monitor", "--once", "--json"]));
        let value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        let code = output.status.code().expect("it was not killed");
        assert!(
            value != Value::Null || code != 0,
            "exit 0 without a report: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        (code, value)
    }

    /// `logs --json` of one log.
    pub(crate) fn log(&self) -> Value {
        let output = run(&mut self.sealwatch(&["logs", "--json"]));
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("logs: {}", String::from_utf8_lossy(&output.stderr)));
        value["logs"][0].clone()
    }

    /// Up to where the log is verified.
    pub(crate) fn verified(&self) -> u64 {
        self.log()["verified_size"].as_u64().unwrap_or(0)
    }

    /// `findings --json`, of every state.
    pub(crate) fn findings(&self) -> Vec<Value> {
        let output = run(&mut self.sealwatch(&["findings", "--all", "--json", "--limit", "100000"]));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("findings: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// The findings of one kind.
    pub(crate) fn of_kind(&self, kind: &str) -> Vec<Value> {
        self.findings().into_iter().filter(|finding| finding["kind"] == kind).collect()
    }

    /// Waits for a finding of a kind; how long it took.
    pub(crate) fn found(&self, kind: &str, seconds: u64) -> (Value, Duration) {
        let start = Instant::now();
        loop {
            if let Some(finding) = self.of_kind(kind).into_iter().next() {
                return (finding, start.elapsed());
            }
            let others: Vec<Value> = self.findings().iter().map(|f| f["kind"].clone()).collect();
            assert!(start.elapsed().as_secs() < seconds, "no {kind} within {seconds} s, but {others:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Exports the evidence of a finding and replays it where there is no network and no database.
    pub(crate) fn replay(&self, finding: &Value) -> String {
        let id = finding["id"].to_string();
        let out = self.path().join(format!("evidence-{id}"));
        let files = must(&mut self.sealwatch(&["evidence", "export", &id, "--out", &out.display().to_string()]));
        let file = files.lines().next().expect("a file of evidence");
        let elsewhere = tempfile::tempdir().expect("a folder");
        let mut verify = Command::new("unshare");
        verify.args(["--net", "--"]).arg(binary()).args(["evidence", "verify", file]).current_dir(elsewhere.path());
        let said = must(&mut verify);
        let verdict = said.lines().last().unwrap_or_default().to_owned();
        // An altered copy is refused.
        let text = std::fs::read_to_string(file).expect("evidence is JSON");
        let altered = elsewhere.path().join("altered.json");
        std::fs::write(&altered, alter(&text)).expect("a file");
        let output = run(Command::new(binary()).args(["evidence", "verify"]).arg(&altered));
        assert_ne!(output.status.code(), Some(0), "an altered copy of the evidence is accepted");
        verdict
    }
}

/// One byte of the log's pinned key, or of the first long base64 text, is another one.
fn alter(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let long = text.match_indices('"').map(|(n, _)| n).collect::<Vec<_>>();
    for pair in long.windows(2) {
        if pair[1] - pair[0] > 60 {
            let at = pair[0] + 40;
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            break;
        }
    }
    String::from_utf8(bytes).expect("it was text")
}
