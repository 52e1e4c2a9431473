//! A real witness beside a real log: its cosignatures count, its silence is found, and its return ends that.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tlog::LogKey;

use crate::own_log::OwnRekor2;
use crate::peers::{Process, free_port, must, peer, shared};
use crate::scene::eventually;
use crate::watched::{Key, Watched, write};

/// litewitness with its key in an ssh-agent.
struct Witness {
    folder: tempfile::TempDir,
    port: u16,
    key: String,
    server: Option<Process>,
    _agent: Process,
}

impl Witness {
    fn start(log_name: &str, log_key: &LogKey) -> Self {
        let folder = tempfile::Builder::new().prefix("sealwatch-witness").tempdir().expect("a folder");
        let at = folder.path();
        std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o700)).expect("a folder of ours");
        must(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", "key"]).current_dir(at));
        let mut agent = Command::new("ssh-agent");
        agent.args(["-D", "-a", "agent.sock"]).current_dir(at);
        let agent = Process::start(&mut agent, &at.join("agent.log"));
        eventually("the agent listens", 10, || at.join("agent.sock").exists());
        must(Command::new("ssh-add").arg("key").current_dir(at).env("SSH_AUTH_SOCK", at.join("agent.sock")));
        let listed = must(Command::new("ssh-keygen").args(["-l", "-f", "key.pub"]).current_dir(at));
        let key = listed.split_whitespace().nth(1).expect("a fingerprint").to_owned();
        let control = |command: &str, more: &[&str]| {
            let mut witnessctl = Command::new(peer("witnessctl"));
            must(witnessctl.args([command, "-db", "witness.db", "-origin", log_name]).args(more).current_dir(at));
        };
        control("add-log", &[]);
        control("add-key", &["-key", &vkey(log_name, log_key)]);
        let mut witness = Self { folder, port: free_port(), key, server: None, _agent: agent };
        witness.serve();
        witness
    }

    fn serve(&mut self) {
        let at = self.folder.path();
        let mut server = Command::new(peer("litewitness"));
        server.args(["-db", "witness.db", "-key", &self.key, "-name", "witness.test/one", "-ssh-agent", "agent.sock"]);
        server.args(["-listen", &format!("127.0.0.1:{}", self.port)]).current_dir(at);
        self.server = Some(Process::start(&mut server, &at.join("witness.log")).ready(self.port));
    }

    fn stop(&mut self) {
        self.server.take();
    }

    /// C2SP tlog-policy: this witness alone is the quorum.
    fn policy(&self) -> String {
        let said = std::fs::read_to_string(self.folder.path().join("witness.log")).expect("its log");
        let key = said.split_once("vkey=").expect("it says its key").1.split_whitespace().next().expect("a key");
        format!("witness w1 {key} http://127.0.0.1:{}\nquorum w1\n", self.port)
    }
}

/// C2SP signed-note: the verifier key of an Ed25519 key.
fn vkey(name: &str, key: &LogKey) -> String {
    let point = &key.spki()[key.spki().len() - 32..];
    format!("{name}+{}+{}", hex::encode(&key.key_id()[..4]), STANDARD.encode([&[1], point].concat()))
}

fn others(log: &OwnRekor2, what: &str) {
    let key = Key::new();
    write(log, &(0..5).map(|n| key.entry(&format!("{what} {n}"))).collect::<Vec<_>>());
}

fn log_key(folder: &Path) -> LogKey {
    let pem = std::fs::read_to_string(folder.join("rekor2.pub")).expect("the log's key");
    LogKey::from_pem(&pem, Some("rekor2.test")).expect("a key")
}

#[test]
fn a_witness_that_stops_is_found_and_its_return_ends_that() {
    let Some(shared) = shared("a_witness_that_stops_is_found_and_its_return_ends_that") else { return };
    let mut log = OwnRekor2::start(&shared);
    let mut watched = Watched::new(&shared);
    let mut witness = Witness::start("rekor2.test", &log_key(watched.path()));
    let policy = watched.path().join("witness.policy");
    std::fs::write(&policy, witness.policy()).expect("a policy");
    log.stop();
    log.start_again(&["--witness-policy-path", &policy.display().to_string()]);
    others(&log, "with a witness");
    watched.log_lines = "witness_policy_file = \"witness.policy\"".to_owned();
    watched.configure(&log.tiles);
    watched.trust();
    let _monitor = watched.serve();
    let caught_up = || watched.verified() == log.size();
    eventually("the monitor is at the head", 30, || log.size() >= 5 && caught_up());
    let note = std::fs::read_to_string(log.storage.join("checkpoint")).expect("a checkpoint");
    assert!(note.contains("\u{2014} witness.test/one "), "the witness has cosigned: {note}");
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(watched.findings().is_empty(), "{:?}", watched.findings());

    witness.stop();
    others(&log, "without a witness");
    let (finding, after) = watched.found("witness_quorum_lost", 60);
    eventually("leaves are verified all the same", 30, caught_up);
    let verdict = watched.replay(&finding);

    witness.serve();
    others(&log, "with the witness again");
    eventually("it is over", 60, || watched.of_kind("witness_quorum_lost").iter().all(|it| it["state"] == "cleared"));
    println!("witness stopped: {} after {after:.1?}; {verdict}; over when it came back", finding["title"]);
}
