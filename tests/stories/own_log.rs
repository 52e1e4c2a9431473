//! A Rekor v2 of a story's own: what the story does to it, it does to no other story. It has the shared one's key and
//! name, so that the same trusted root speaks for it.
//!
//! Rekor v2 remembers 256 entries, and when one client hangs up, everybody who waits for an answer at that moment gets
//! an error: stories that flood the log or kill its clients need this.

use std::path::Path;
use std::process::Command;

use crate::http;
use crate::peers::{Process, Shared, free_port, peer};
use crate::scene::eventually;

/// Runs as long as it is kept.
pub(crate) struct OwnRekor2 {
    /// Where entries are sent.
    pub(crate) url: String,
    /// Where tiles are read.
    pub(crate) tiles: String,
    _server: Process,
    _reads: Process,
    _folder: tempfile::TempDir,
}

impl OwnRekor2 {
    /// Starts one, empty.
    pub(crate) fn start(shared: &Shared) -> Self {
        let folder = tempfile::Builder::new().prefix("sealwatch-log").tempdir().expect("a folder");
        let storage = folder.path().join("log");
        std::fs::create_dir(&storage).expect("a folder");
        let (port, reads, log) = (free_port(), free_port(), |name: &str| folder.path().join(name));
        let server = Process::start(&mut server(shared, &storage, port), &log("server.log")).ready(port);
        let mut files = Command::new("python3");
        files.args(["-m", "http.server", &reads.to_string(), "--bind", "127.0.0.1", "--directory"]).arg(&storage);
        let files = Process::start(&mut files, &log("tiles.log")).ready(reads);
        let tiles = format!("http://127.0.0.1:{reads}");
        let checkpoint = format!("{tiles}/checkpoint");
        eventually("the log has its first checkpoint", 20, || {
            http::request("GET", &checkpoint, &[], b"").status == 200
        });
        Self { url: format!("http://127.0.0.1:{port}"), tiles, _server: server, _reads: files, _folder: folder }
    }
}

fn server(shared: &Shared, storage: &Path, port: u16) -> Command {
    let mut server = Command::new(peer("rekor-v2"));
    server.args(["serve", "--hostname", "rekor2.test", "--http-address", "127.0.0.1", "--grpc-address", "127.0.0.1"]);
    for (flag, port) in [("--http-port", port), ("--grpc-port", free_port()), ("--http-metrics-port", free_port())] {
        server.arg(flag).arg(port.to_string());
    }
    server.arg("--signer-filepath").arg(shared.folder.join("rekor2.key")).arg("--storage-dir").arg(storage);
    server.args(["--checkpoint-interval", "500ms", "--batch-max-age", "50ms"]);
    server
}
