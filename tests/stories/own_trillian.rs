//! A Trillian of a story's own, in a database of the shared PostgreSQL, with the logs over it: Rekor v1 with its shards,
//! and a CT log. The Rekor has the shared one's key and name, so that the same trusted root speaks for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::http;
use crate::peers::{Process, Shared, free_port, must, peer};
use crate::scene::eventually;

/// Runs as long as it is kept.
pub(crate) struct OwnTrillian {
    port: u16,
    shared: Shared,
    _server: Process,
    _signer: Process,
    folder: tempfile::TempDir,
}

/// A running Rekor v1: one start of it.
pub(crate) struct OwnRekor1 {
    pub(crate) url: String,
    process: Process,
}

/// A running CT log.
pub(crate) struct OwnCt {
    pub(crate) url: String,
    pub(crate) public_key: PathBuf,
    _process: Process,
}

impl OwnTrillian {
    /// Starts one, without any tree.
    pub(crate) fn start(shared: &Shared) -> Self {
        let folder = tempfile::Builder::new().prefix("sealwatch-trillian").tempdir().expect("a folder");
        let database = format!("trillian_{}", free_port());
        must(Command::new("psql").args([&shared.postgres, "-qc", &format!("CREATE DATABASE {database}")]));
        let server = shared.postgres.strip_suffix("/postgres").expect("a URL that ends with the database");
        let schema = peer("trillian_log_server").with_file_name("trillian-1.7.3.sql");
        must(Command::new("psql").args([&format!("{server}/{database}"), "-q", "-f"]).arg(schema));
        let postgres: u16 = server.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let uri = format!("postgresql:///{database}?host=127.0.0.1&port={postgres}&user=postgres");
        let port = free_port();
        let start = |name: &str, rpc: u16, more: &[&str]| {
            let mut command = Command::new(peer(name));
            command.args(["--storage_system=postgresql", "--quota_system=noop"]);
            command.arg(format!("--postgresql_uri={uri}")).arg(format!("--rpc_endpoint=127.0.0.1:{rpc}"));
            command.arg(format!("--http_endpoint=127.0.0.1:{}", free_port())).args(more);
            Process::start(&mut command, &folder.path().join(format!("{name}.log"))).ready(rpc)
        };
        let log_server = start("trillian_log_server", port, &[]);
        let more = ["--force_master", "--sequencer_interval=100ms", "--batch_size=1000"];
        let log_signer = start("trillian_log_signer", free_port(), &more);
        Self { port, shared: shared.clone(), _server: log_server, _signer: log_signer, folder }
    }

    /// Makes a new tree; its id.
    pub(crate) fn tree(&self) -> String {
        let made = must(Command::new(peer("createtree")).arg(format!("--admin_server=127.0.0.1:{}", self.port)));
        made.trim().to_owned()
    }

    /// Starts a Rekor v1 at a port, whose active shard is this tree; the others are inactive, with the lengths given.
    pub(crate) fn rekor(&self, port: u16, tree: &str, inactive: &[(&str, u64)]) -> OwnRekor1 {
        let mut command = Command::new(peer("rekor-v1"));
        command.args(["serve", "--trillian_log_server.address=127.0.0.1", "--rekor_server.hostname=rekor1.test"]);
        command.arg(format!("--trillian_log_server.port={}", self.port));
        command.arg(format!("--trillian_log_server.tlog_id={tree}"));
        command.arg(format!("--rekor_server.signer={}", self.shared.folder.join("rekor1.key").display()));
        command.args(["--enable_retrieve_api=false", "--rekor_server.address=127.0.0.1", "--port", &port.to_string()]);
        if !inactive.is_empty() {
            let shards = inactive.iter().map(|(tree, length)| format!("- treeID: {tree}\n  treeLength: {length}\n"));
            let file = self.folder.path().join(format!("shards-{port}.yaml"));
            std::fs::write(&file, shards.collect::<String>()).expect("a file");
            command.arg(format!("--trillian_log_server.sharding_config={}", file.display()));
        }
        let process = Process::start(&mut command, &self.folder.path().join("rekor.log")).ready(port);
        let url = format!("http://127.0.0.1:{port}");
        let ping = format!("{url}/ping");
        eventually("Rekor v1 is ready", 30, || {
            http::try_request("GET", &ping, &[], b"").is_ok_and(|it| it.status == 200)
        });
        OwnRekor1 { url, process }
    }

    /// Starts a CT log on a new tree, which takes what chains to these certificates.
    pub(crate) fn ct(&self, roots_pem: &str) -> OwnCt {
        let file = |name: &str| self.folder.path().join(name);
        let openssl =
            |arguments: &[&str]| must(Command::new("openssl").args(arguments).current_dir(self.folder.path()));
        openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ct.sec1"]);
        openssl(&["ec", "-in", "ct.sec1", "-aes128", "-passout", "pass:ct", "-out", "ct.key"]);
        openssl(&["ec", "-in", "ct.sec1", "-pubout", "-out", "ct.pub"]);
        std::fs::write(file("roots.pem"), roots_pem).expect("a file");
        let config = format!(
            "config {{ log_id: {} prefix: \"ct\" roots_pem_file: {:?} ext_key_usages: \"CodeSigning\" \
             max_merge_delay_sec: 86400 private_key: {{ [type.googleapis.com/keyspb.PEMKeyFile] {{ path: {:?} password: \"ct\" }} }} }}\n",
            self.tree(),
            file("roots.pem"),
            file("ct.key")
        );
        std::fs::write(file("ct.cfg"), config).expect("a file");
        let port = free_port();
        let mut command = Command::new(peer("ct_server"));
        command.arg(format!("--log_config={}", file("ct.cfg").display()));
        command.arg(format!("--log_rpc_server=127.0.0.1:{}", self.port));
        command.arg(format!("--http_endpoint=127.0.0.1:{port}"));
        let process = Process::start(&mut command, &file("ct.log")).ready(port);
        let url = format!("http://127.0.0.1:{port}/ct");
        let head = format!("{url}/ct/v1/get-sth");
        eventually("the CT log is ready", 30, || {
            http::try_request("GET", &head, &[], b"").is_ok_and(|it| it.status == 200)
        });
        OwnCt { url, public_key: file("ct.pub"), _process: process }
    }
}

impl OwnRekor1 {
    /// Stops it; its trees stay.
    pub(crate) fn stop(self) {
        self.process.stop();
    }

    /// `api/v1/log`: the active tree, and the inactive ones.
    pub(crate) fn info(&self) -> Value {
        json(&format!("{}/api/v1/log", self.url))
    }

    /// How many leaves the active tree has.
    pub(crate) fn size(&self) -> u64 {
        self.info()["treeSize"].as_u64().expect("a tree size")
    }
}

impl OwnCt {
    /// How many leaves it has.
    pub(crate) fn size(&self) -> u64 {
        json(&format!("{}/ct/v1/get-sth", self.url))["tree_size"].as_u64().expect("a tree size")
    }
}

fn json(url: &str) -> Value {
    let answer = http::request("GET", url, &[], b"");
    assert_eq!(answer.status, 200, "{url}");
    serde_json::from_slice(&answer.body).expect("JSON")
}

/// Posts each body, so many at once; returns when each is answered with success.
pub(crate) fn post_all(url: &str, bodies: &[Vec<u8>], at_once: usize) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..bodies.len().min(at_once) {
            scope.spawn(|| {
                while let Some(body) = bodies.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
                    let answer = http::request("POST", url, &headers, body);
                    let said = String::from_utf8_lossy(&answer.body);
                    assert!(
                        answer.status < 300,
                        "{url} answers {}: {said}\n{}",
                        answer.status,
                        String::from_utf8_lossy(body)
                    );
                }
            });
        }
    });
}

/// The root of a log's first leaves, as tests/peers/root computes it.
pub(crate) fn root_by_another(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/root");
    must(Command::new(script).args(arguments)).trim().to_owned()
}
