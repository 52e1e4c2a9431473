//! A Rekor v1 that lets us ask only so often: what was not hashed is not called covered, and "could not look" is no "clean".

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sandbox::leaves;
use serde_json::Value;

use crate::http;
use crate::own_trillian::{OwnTrillian, post_all, root_by_another};
use crate::peers::{free_port, must, shared};
use crate::proxy::{listen, read};
use crate::scene::eventually;
use crate::watched::Watched;

/// Leaves in the log, ten of which are one request.
const LEAVES: u64 = 95;

/// Longer than anybody waits for a turn.
const PAUSE: Duration = Duration::from_secs(33);

/// What a client may still ask.
struct Ration {
    left: AtomicUsize,
    /// Since when it is spent: nothing is answered for a while then.
    spent: Mutex<Option<Instant>>,
    pause: AtomicUsize,
}

impl Ration {
    /// Whether one more is allowed: a question for entries counts, and all wait once they are spent.
    fn allows(&self, entries: bool) -> bool {
        let mut spent = self.spent.lock().expect("the state");
        let pause = Duration::from_secs(self.pause.load(Ordering::Relaxed) as u64);
        if spent.is_some_and(|since| since.elapsed() < pause) {
            return false;
        }
        *spent = None;
        let one_less = |left: usize| left.checked_sub(1);
        if entries && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
            *spent = Some(Instant::now());
            return false;
        }
        true
    }
}

/// Before a Rekor: it lets through so many questions for entries, and then answers none for a while.
fn rationed(rekor: &str) -> (String, Arc<Ration>) {
    let ration = Arc::new(Ration { left: AtomicUsize::new(0), spent: Mutex::new(None), pause: AtomicUsize::new(1) });
    let (to, shared) = (rekor.to_owned(), Arc::clone(&ration));
    let url = listen(move |client| answer(client, &to, &shared));
    (url, ration)
}

fn answer(mut client: TcpStream, rekor: &str, ration: &Ration) -> std::io::Result<()> {
    let (method, path, body) = read(&mut client)?;
    if !ration.allows(path.ends_with("/entries/retrieve")) {
        let (status, pause) = ("HTTP/1.1 429 Too Many Requests", ration.pause.load(Ordering::Relaxed));
        let refusal = format!("{status}\r\nRetry-After: {pause}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return client.write_all(refusal.as_bytes());
    }
    let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
    let got = http::try_request(&method, &format!("{rekor}{path}"), &headers, &body)?;
    let head = format!(
        "HTTP/1.1 {} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        got.status,
        got.body.len()
    );
    client.write_all(head.as_bytes())?;
    client.write_all(&got.body)
}

#[test]
fn what_a_rationed_log_did_not_let_us_hash_is_not_called_covered() {
    let Some(shared) = shared("what_a_rationed_log_did_not_let_us_hash_is_not_called_covered") else { return };
    let trillian = OwnTrillian::start(&shared);
    let tree = trillian.tree();
    let rekor = trillian.rekor(free_port(), &tree, &[]);
    let bodies: Vec<_> = (0..LEAVES).map(leaves::leaf_v1).collect();
    post_all(&format!("{}/api/v1/log/entries", rekor.url), &bodies, 16);
    let (url, ration) = rationed(&rekor.url);
    let watched = Watched::new(&shared);
    let key = must(
        std::process::Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(shared.folder.join("rekor1.key")),
    );
    std::fs::write(watched.path().join("rekor1.pub"), key).expect("the log's key");
    let text = format!(
        "[store]\nurl = \"sqlite:sealwatch.db\"\n[server]\nmetrics = \"127.0.0.1:{}\"\n[log.\"rekor1.test\"]\nversion = 1\n\
         read_url = \"{url}\"\npublic_key_file = \"rekor1.pub\"\nrequests_per_second = 1000\n[monitor]\ninterval = \"200ms\"\n\
         grace = \"1s\"\n[[watch]]\nname = \"release key\"\nkey_file = \"release.pub\"\n",
        watched.metrics
    );
    std::fs::write(watched.path().join("sealwatch.toml"), text).expect("a configuration");
    watched.trust();

    let report = |questions: usize| -> (i32, Value) {
        ration.left.store(questions, Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs(1));
        let (code, report) = watched.once();
        (code, report["logs"][0].clone())
    };
    let mut said = Vec::new();
    for (questions, at_most) in [(4, 40), (0, 40), (3, 70)] {
        let (code, log) = report(questions);
        let covered = log["covered_to"].as_u64().expect("a number");
        assert_eq!(code, 3, "we could not look at all of it: {log}");
        assert!(covered <= at_most && log["head_size"] == LEAVES, "it hashed at most {at_most}: {log}");
        // What it says is covered is what it can prove.
        let root = root_by_another(&["v1", &rekor.url, "0", &covered.to_string()]);
        let logs = watched.log();
        assert_eq!((&logs["verified_size"], root.len()), (&Value::from(covered), 64), "{logs}");
        said.push(covered);
    }
    assert!(said[0] > 0 && said[2] > said[0], "it goes on where it was: {said:?}");

    // One that wants to be left alone for longer than a question waits: what was read is not read again and again.
    ration.pause.store(PAUSE.as_secs() as usize, Ordering::Relaxed);
    ration.left.store(2, Ordering::Relaxed);
    let monitor = watched.serve();
    let last = said[2];
    eventually("the next leaves are verified after the pause", 80, || watched.verified() > last);
    monitor.stop();
    let after = watched.verified();

    ration.pause.store(0, Ordering::Relaxed);
    let (code, log) = report(usize::MAX);
    assert_eq!((code, &log["covered_to"]), (0, &Value::from(LEAVES)), "{log}");
    println!(
        "rationed Rekor v1: of {LEAVES} leaves {said:?} were covered, exit 3 each; {after} after a pause of {PAUSE:?}; with \
         leave to ask all, exit 0"
    );
}
