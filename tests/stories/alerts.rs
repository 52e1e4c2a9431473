//! Alerts arrive, once: in a real Alertmanager, at a webhook that checks the signature, in a mail server; and late, but
//! the others on time, when one of them is down. What the dashboards ask for is there.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::http;
use crate::own_log::OwnRekor2;
use crate::peers::{Process, free_port, shared};
use crate::scene::eventually;
use crate::watched::{Watched, write};

const SECRET: &str = "webhook-canary-77c1";

/// The three that are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum To {
    Alertmanager,
    Webhook,
    Mail,
}

struct Sinks {
    ports: [u16; 3],
    running: [Option<Process>; 3],
}

impl Sinks {
    fn start(&mut self, to: To, folder: &Path) {
        let port = self.ports[to as usize];
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/sinks");
        let mut command = match to {
            To::Alertmanager => {
                std::fs::write(folder.join("am.yml"), "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
                    .expect("a file");
                let mut command = Command::new("prometheus-alertmanager");
                command.args(["--config.file=am.yml", "--cluster.listen-address=", "--storage.path=am"]);
                command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
                command
            }
            To::Webhook => {
                let mut command = Command::new(script);
                command.args(["webhook", &port.to_string(), SECRET, "webhook.jsonl"]);
                command
            }
            To::Mail => {
                let mut command = Command::new(script);
                command.args(["mail", &port.to_string(), "mail.jsonl"]);
                command
            }
        };
        let log = folder.join(format!("{to:?}.log"));
        self.running[to as usize] = Some(Process::start(command.current_dir(folder), &log).ready(port));
    }

    fn stop(&mut self, to: To) {
        self.running[to as usize] = None;
    }

    /// How often each finding (by its fingerprint) arrived at somebody.
    fn arrived(&self, to: To, folder: &Path, fingerprint: &str) -> usize {
        // What is long is shortened in labels and mail headers: the first half of its SHA-256.
        let short = &bundle::Digest::of(fingerprint.as_bytes()).hex()[..32];
        match to {
            To::Alertmanager => {
                let url = format!("http://127.0.0.1:{}/api/v2/alerts", self.ports[0]);
                let Ok(answer) = http::try_request("GET", &url, &[], b"") else { return 0 };
                let alerts: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                alerts.as_array().map_or(0, |all| all.iter().filter(|a| a["labels"]["fingerprint"] == short).count())
            }
            To::Webhook => lines(&folder.join("webhook.jsonl"))
                .iter()
                .inspect(|line| assert_eq!(line["valid"], true, "a webhook without a valid signature: {line}"))
                .filter(|line| line.to_string().contains(fingerprint))
                .count(),
            To::Mail => lines(&folder.join("mail.jsonl"))
                .iter()
                .filter(|line| line["text"].as_str().unwrap_or_default().contains(short))
                .count(),
        }
    }
}

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn alerts_arrive_once_everywhere_and_a_sink_that_is_down_delays_nobody_else() {
    let name = "alerts_arrive_once_everywhere_and_a_sink_that_is_down_delays_nobody_else";
    let Some(shared) = shared(name) else { return };
    let log = OwnRekor2::start(&shared);
    let mut watched = Watched::new(&shared);
    let folder = watched.path().to_owned();
    std::fs::write(folder.join("webhook.secret"), SECRET).expect("a secret");
    let mut sinks = Sinks { ports: [free_port(), free_port(), free_port()], running: [None, None, None] };
    watched.timing.push_str("sink_dead_after = \"2s\"\n");
    watched.more = format!(
        "[[alert]]\nkind = \"alertmanager\"\nurl = \"http://127.0.0.1:{}\"\n[[alert]]\nkind = \"webhook\"\n\
         url = \"http://127.0.0.1:{}/hook\"\nsecret_file = \"webhook.secret\"\n[[alert]]\nkind = \"mail\"\n\
         url = \"smtp://127.0.0.1:{}\"\nfrom = \"sealwatch@example.com\"\nto = [\"security@example.com\"]\n",
        sinks.ports[0], sinks.ports[1], sinks.ports[2]
    );
    watched.configure(&log.tiles);
    let all = [To::Alertmanager, To::Webhook, To::Mail];
    for to in all {
        sinks.start(to, &folder);
    }
    write(&log, &[watched.key.entry("the first rogue")]);
    watched.trust();
    let _monitor = watched.serve();
    let mut known = BTreeSet::new();
    let mut next = |watched: &Watched| -> String {
        let mut new = String::new();
        eventually("the rogue signature is found", 30, || {
            let found: Vec<Value> = watched.of_kind("key_used_outside");
            let fresh = found.iter().filter_map(|f| f["fingerprint"].as_str()).find(|f| !known.contains(*f));
            new = fresh.unwrap_or_default().to_owned();
            !new.is_empty()
        });
        known.insert(new.clone());
        new
    };
    let first = next(&watched);
    for to in all {
        eventually(&format!("{to:?} was told"), 30, || sinks.arrived(to, &folder, &first) > 0);
    }
    let mut fingerprints = vec![first];
    for down in all {
        sinks.stop(down);
        write(&log, &[watched.key.entry(&format!("a rogue while {down:?} is down"))]);
        let fingerprint = next(&watched);
        let start = std::time::Instant::now();
        for to in all.into_iter().filter(|to| *to != down) {
            eventually(&format!("{to:?} was told while {down:?} was down"), 20, || {
                sinks.arrived(to, &folder, &fingerprint) > 0
            });
        }
        let on_time = start.elapsed();
        sinks.start(down, &folder);
        eventually(&format!("{down:?} was told late"), 90, || sinks.arrived(down, &folder, &fingerprint) > 0);
        println!("{down:?} down: the others were told after {on_time:.1?}, it after {:.1?}", start.elapsed());
        fingerprints.push(fingerprint);
    }
    // Alertmanager forgets what it was told before it was stopped; of the others each has each, once.
    for (to, fingerprint) in
        [To::Webhook, To::Mail].into_iter().flat_map(|to| fingerprints.iter().map(move |f| (to, f)))
    {
        assert_eq!(sinks.arrived(to, &folder, fingerprint), 1, "{to:?}: {fingerprint}");
    }
    println!("{} findings, each arrived once at the webhook (HMAC valid) and in the mail", fingerprints.len());
    what_the_dashboards_ask_for_is_there(&watched);
}

/// Every metric that a rule or a dashboard names is on `/metrics` of a running monitor, or of a signer.
fn what_the_dashboards_ask_for_is_there(watched: &Watched) {
    let answer = http::request("GET", &format!("http://127.0.0.1:{}/metrics", watched.metrics), &[], b"");
    let exposed = String::from_utf8_lossy(&answer.body).into_owned();
    let have: BTreeSet<&str> =
        exposed.lines().filter_map(|l| l.strip_prefix("# TYPE ")).filter_map(|l| l.split(' ').next()).collect();
    let dashboards = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let mut asked = BTreeSet::new();
    for file in ["alerts.yml", "recording.yml", "transparency.json"] {
        let text = std::fs::read_to_string(dashboards.join(file)).expect("a file of dashboards/");
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':') {
            // Recorded series have a colon, and dashboards name themselves.
            if word.starts_with("sealwatch_") && !word.contains(':') {
                let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
                asked.insert(base.to_owned());
            }
        }
    }
    let missing: Vec<&String> = asked.iter().filter(|name| !have.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "the dashboards ask for metrics that are not there: {missing:?}\n{exposed}");
    println!("{} metrics that dashboards and rules ask for are on /metrics", asked.len());
}
