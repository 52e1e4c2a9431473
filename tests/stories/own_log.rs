//! A Rekor v2 of a story's own: what the story does to it, it does to no other story. It has the shared one's key and
//! name, so that the same trusted root speaks for it.
//!
//! Rekor v2 remembers 256 entries, and when one client hangs up, everybody who waits for an answer at that moment gets
//! an error: stories that flood the log or kill its clients need this.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::http;
use crate::peers::{Process, Shared, free_port, must, peer};
use crate::scene::eventually;

/// Runs as long as it is kept.
pub(crate) struct OwnRekor2 {
    /// Where entries are sent.
    pub(crate) url: String,
    /// Where tiles are read.
    pub(crate) tiles: String,
    /// What it has on disk, and shows to readers as it is.
    pub(crate) storage: PathBuf,
    server: Option<Process>,
    shared: Shared,
    hostname: String,
    _reads: Process,
    folder: tempfile::TempDir,
}

impl OwnRekor2 {
    /// Starts one, empty.
    pub(crate) fn start(shared: &Shared) -> Self {
        Self::named(shared, "rekor2.test")
    }

    /// Starts one with a name of its own, empty; its key is the `rekor2.key` in that folder.
    pub(crate) fn named(shared: &Shared, hostname: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("sealwatch-log").tempdir().expect("a folder");
        let storage = folder.path().join("log");
        std::fs::create_dir(&storage).expect("a folder");
        let (port, reads, log) = (free_port(), free_port(), |name: &str| folder.path().join(name));
        let server = Process::start(&mut server(shared, hostname, &storage, port, &[]), &log("server.log")).ready(port);
        let mut files = Command::new("python3");
        files.args(["-m", "http.server", &reads.to_string(), "--bind", "127.0.0.1", "--directory"]).arg(&storage);
        let files = Process::start(&mut files, &log("tiles.log")).ready(reads);
        let tiles = format!("http://127.0.0.1:{reads}");
        let checkpoint = format!("{tiles}/checkpoint");
        eventually("the log has its first checkpoint", 20, || {
            http::request("GET", &checkpoint, &[], b"").status == 200
        });
        let url = format!("http://127.0.0.1:{port}");
        Self {
            url,
            tiles,
            storage,
            server: Some(server),
            shared: shared.clone(),
            hostname: hostname.to_owned(),
            _reads: files,
            folder,
        }
    }

    /// Stops writing; readers still see what is on disk.
    pub(crate) fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }

    /// Starts writing again at the same address, with more flags.
    pub(crate) fn start_again(&mut self, flags: &[&str]) {
        let port: u16 = self.url.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
        let log = self.folder.path().join("server.log");
        self.server = Some(
            Process::start(&mut server(&self.shared, &self.hostname, &self.storage, port, flags), &log).ready(port),
        );
    }

    /// A copy of what is on disk.
    pub(crate) fn copy_to(&self, folder: &Path) {
        must(Command::new("cp").arg("-a").arg(self.storage.join(".")).arg(folder));
    }

    /// Another directory takes the place of what is on disk, for readers and for the next start.
    pub(crate) fn replace_with(&self, folder: &Path) {
        must(Command::new("find").arg(&self.storage).args(["-mindepth", "1", "-delete"]));
        must(Command::new("cp").arg("-a").arg(folder.join(".")).arg(&self.storage));
    }

    /// The size of its newest checkpoint.
    pub(crate) fn size(&self) -> u64 {
        let note = std::fs::read_to_string(self.storage.join("checkpoint")).unwrap_or_default();
        note.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
    }
}

fn server(shared: &Shared, hostname: &str, storage: &Path, port: u16, flags: &[&str]) -> Command {
    let mut server = Command::new(peer("rekor-v2"));
    server.args(["serve", "--hostname", hostname, "--http-address", "127.0.0.1", "--grpc-address", "127.0.0.1"]);
    for (flag, port) in [("--http-port", port), ("--grpc-port", free_port()), ("--http-metrics-port", free_port())] {
        server.arg(flag).arg(port.to_string());
    }
    server.arg("--signer-filepath").arg(shared.folder.join("rekor2.key")).arg("--storage-dir").arg(storage);
    server.args(["--checkpoint-interval", "500ms", "--batch-max-age", "50ms"]);
    server.args(flags);
    server
}
