//! A static-ct log of a story's own: `sunlight`, which takes certificates, and `skylight`, which serves what it wrote, over
//! TLS with a private CA.

use std::path::{Path, PathBuf};
use std::process::Command;

use sandbox::SandboxCa;
use serde_json::json;

use crate::http;
use crate::own_trillian::post_all;
use crate::peers::{Process, free_port, must, peer};
use crate::scene::eventually;

/// The log's name: what follows the scheme of its submission prefix. `localhost` is a name that needs no resolver.
pub(crate) const ORIGIN: &str = "localhost/2026h2";

/// Debian builds its Go programs as if for an old Go, whose router knows no methods: every path of theirs is then a 404.
const ROUTER: (&str, &str) = ("GODEBUG", "httpmuxgo121=0");

/// Runs as long as it is kept.
pub(crate) struct OwnSunlight {
    /// Where chains are sent.
    pub(crate) url: String,
    /// Where the log is read.
    pub(crate) tiles: String,
    /// What it has on disk, and shows to readers as it is.
    pub(crate) storage: PathBuf,
    /// The authority of `tiles`' server.
    pub(crate) tls_ca: PathBuf,
    /// The log's key.
    pub(crate) public_key: PathBuf,
    port: u16,
    server: Option<Process>,
    _reads: Process,
    folder: Folder,
}

/// Files that never change again are marked so where the log may do that, and then nobody can remove them.
struct Folder(tempfile::TempDir);

impl OwnSunlight {
    /// Starts one, empty, that takes what chains to these roots.
    pub(crate) fn start(roots: &[&SandboxCa]) -> Self {
        let folder = Folder(tempfile::Builder::new().prefix("sealwatch-sunlight").tempdir().expect("a folder"));
        let at = folder.0.path();
        let file = |name: &str| at.join(name);
        let (port, reads) = (free_port(), free_port());
        let root = |ca: &&SandboxCa| {
            let chain = ca.chain_pem();
            chain[chain.rfind("-----BEGIN").expect("a certificate")..].to_owned()
        };
        std::fs::write(file("roots.pem"), roots.iter().map(root).collect::<String>()).expect("a file");
        tls(at);
        let said = must(Command::new(peer("sunlight-keygen")).args(["-f", "seed.bin"]).current_dir(at));
        let (_, key) = said.split_once("ECDSA public key:\n").expect("the key");
        let (key, _) = key.split_once("Ed25519").expect("and another one after it");
        std::fs::write(file("log.pub"), key).expect("a file");
        let lock = "import sqlite3; sqlite3.connect('lock.db').execute('CREATE TABLE checkpoints (logID BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT')";
        must(Command::new("python3").args(["-c", lock]).current_dir(at));
        // The log is made on the day of its inception, and on no other.
        let today = must(Command::new("date").args(["-u", "+%F"]));
        let config = json!({"listen": [format!("127.0.0.1:{port}")], "checkpoints": "lock.db", "logs": [{
            "shortname": "story", "inception": today.trim(), "period": 100,
            "submissionprefix": format!("https://{ORIGIN}"), "monitoringprefix": format!("https://localhost:{reads}"),
            "roots": "roots.pem", "secret": "seed.bin", "cache": "cache.db", "localdirectory": "log",
            "notafterstart": "2025-01-01T00:00:00Z", "notafterlimit": "2100-01-01T00:00:00Z",
        }]});
        std::fs::write(file("sunlight.yaml"), config.to_string()).expect("a file");
        let server = sunlight(at, port);
        eventually("the log has its first checkpoint", 20, || file("log/checkpoint").exists());
        // A port is no part of the name that skylight knows itself by.
        let config = json!({"listen": [format!("127.0.0.1:{reads}")], "logs": [{
            "shortname": "story", "monitoringprefix": "https://localhost", "localdirectory": "log",
        }]});
        std::fs::write(file("skylight.yaml"), config.to_string()).expect("a file");
        let mut files = Command::new(peer("skylight"));
        let files =
            Process::start(files.arg("-testcert").current_dir(at).env(ROUTER.0, ROUTER.1), &file("skylight.log"))
                .ready(reads);
        Self {
            url: format!("http://localhost:{port}/2026h2"),
            tiles: format!("https://localhost:{reads}"),
            storage: file("log"),
            tls_ca: file("tls-ca.pem"),
            public_key: file("log.pub"),
            port,
            server: Some(server),
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

    /// Starts writing again. It compares what its readers see with what it has.
    pub(crate) fn start_again(&mut self) {
        self.server = Some(sunlight(self.folder.0.path(), self.port));
    }

    /// Sends certificates, and precertificates, as authorities do; returns when each is answered.
    pub(crate) fn add(&self, certificates: &[Vec<u8>], precertificates: &[Vec<u8>]) {
        post_all(&format!("{}/ct/v1/add-chain", self.url), certificates, 64);
        post_all(&format!("{}/ct/v1/add-pre-chain", self.url), precertificates, 64);
    }

    /// Removes partial tiles that are outgrown, as an operator of sunlight does now and then.
    pub(crate) fn remove_partials(&self) {
        self.unlock();
        must(Command::new(peer("partial-aftersun")).args(["-c", "sunlight.yaml"]).current_dir(self.folder.0.path()));
    }

    /// Its newest checkpoint: size, and root as text.
    pub(crate) fn head(&self) -> (u64, String) {
        let note = std::fs::read_to_string(self.storage.join("checkpoint")).unwrap_or_default();
        let mut lines = note.lines().skip(1);
        let size = lines.next().and_then(|line| line.parse().ok()).unwrap_or(0);
        (size, lines.next().unwrap_or_default().to_owned())
    }

    /// Makes its files ours to change.
    pub(crate) fn unlock(&self) {
        self.folder.unlock();
    }
}

impl Folder {
    fn unlock(&self) {
        let _ = Command::new("chattr").args(["-R", "-i"]).arg(self.0.path()).output();
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.0.path()).output();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.unlock();
    }
}

/// A server's certificate as skylight reads it, and the authority that sunlight and the monitor trust for it.
fn tls(at: &Path) {
    let openssl = |arguments: &str| {
        must(Command::new("openssl").args(arguments.split(' ')).current_dir(at));
    };
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30";
    openssl(&format!("req -x509 {new} -subj /CN=story -keyout tls-ca.key -out tls-ca.pem"));
    openssl(&format!("req {new} -subj /CN=localhost -keyout skylight-key.pem -out tls.csr"));
    std::fs::write(at.join("tls.ext"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").expect("a file");
    openssl(
        "x509 -req -in tls.csr -CA tls-ca.pem -CAkey tls-ca.key -CAcreateserial -days 30 -extfile tls.ext -out skylight.pem",
    );
}

fn sunlight(at: &Path, port: u16) -> Process {
    let mut server = Command::new(peer("sunlight"));
    server.current_dir(at).env(ROUTER.0, ROUTER.1).env("TZ", "UTC").env("SSL_CERT_FILE", "tls-ca.pem");
    let server = Process::start(&mut server, &at.join("sunlight.log")).ready(port);
    let roots = format!("http://localhost:{port}/2026h2/ct/v1/get-roots");
    eventually("sunlight is ready", 30, || http::try_request("GET", &roots, &[], b"").is_ok_and(|it| it.status == 200));
    server
}
