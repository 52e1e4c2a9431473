//! Logs rotate while entries keep arriving: of the old shard nothing stays unread, of the new one nothing is read twice,
//! and what was hidden in the last moment of the one and the first of the other is found.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use crate::http;
use crate::own_log::OwnRekor2;
use crate::own_trillian::{OwnRekor1, OwnTrillian, post_all, root_by_another};
use crate::peers::{Shared, cosign, free_port, must, run, shared};
use crate::scene::eventually;
use crate::watched::{Key, Raised, Watched, scale, write};

const START: &str = "2024-01-01T00:00:00Z";

/// Writes `trusted_root.json` as cosign does, whole or not at all.
fn announce(watched: &Watched, rekors: &[String]) {
    let mut command = cosign("cosign-3", watched.path());
    command.args(["trusted-root", "create", "--out", "trusted_root.new"]);
    must(command.args(rekors.iter().map(|rekor| format!("--rekor={rekor}"))));
    let file = |name: &str| watched.path().join(name);
    std::fs::rename(file("trusted_root.new"), file("trusted_root.json")).expect("a trusted root");
}

/// Logs come from the trusted root; these tables complete it.
fn configure(watched: &Watched, tables: &str) {
    let text = format!(
        "[store]\nurl = \"{}\"\n[server]\nmetrics = \"127.0.0.1:{}\"\n[sigstore.private]\ntrusted_root = \"trusted_root.json\"\n\
         {tables}[monitor]\nrefresh_every = \"1s\"\nreproof_every = \"2s\"\n{}[[watch]]\nname = \"release key\"\nkey_file = \"release.pub\"\n",
        watched.store, watched.metrics, watched.timing
    );
    std::fs::write(watched.path().join("sealwatch.toml"), text).expect("a configuration");
}

/// What `logs --json` says of one log.
fn log_of(watched: &Watched, origin: &str) -> Value {
    let output = run(&mut watched.sealwatch(&["logs", "--json"]));
    let all: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("logs: {}", String::from_utf8_lossy(&output.stderr)));
    let logs = all["logs"].as_array().cloned().unwrap_or_default();
    logs.into_iter().find(|log| log["origin"] == origin).unwrap_or_default()
}

fn verified(watched: &Watched, origin: &str) -> u64 {
    log_of(watched, origin)["verified_size"].as_u64().unwrap_or(0)
}

/// Leaves of a log that this process hashed under a root.
fn counted(watched: &Watched, origin: &str) -> u64 {
    let answer = http::request("GET", &format!("http://127.0.0.1:{}/metrics", watched.metrics), &[], b"");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let lines = text.lines().filter(|line| line.starts_with("sealwatch_log_leaves_verified_total{"));
    let of_log = lines.filter(|line| line.contains(&format!("\"{origin}\"")));
    of_log.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

/// The root up to where a log is verified, out of the store.
fn verified_root(watched: &Watched, origin: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let url = format!("sqlite:{}", watched.path().join("sealwatch.db").display());
    runtime.block_on(async {
        let store = store::open_beside(&url).await.expect("the store");
        let log = store.followed_log(origin).await.expect("the store").expect("a followed log");
        hex::encode(log.verified_root)
    })
}

/// What was found is this many uses of our key, each once, and nothing else but `besides`.
fn only_the_rogues(watched: &Watched, rogues: usize, besides: &[&str]) {
    eventually("each rogue signature is found", 40, || watched.of_kind("key_used_outside").len() >= rogues);
    for finding in watched.findings() {
        let kind = finding["kind"].as_str().unwrap_or_default();
        assert!(kind == "key_used_outside" || besides.contains(&kind), "{finding}");
        assert!(kind != "key_used_outside" || finding["occurrences"] == 1, "found twice: {finding}");
    }
    assert_eq!(watched.of_kind("key_used_outside").len(), rogues, "each once");
}

/// A Rekor v2 with a key and a name of its own, and what a trusted root says of it.
fn a_log(shared: &Shared, keys: &Path, hostname: &str) -> (OwnRekor2, String) {
    let folder = keys.join(hostname);
    std::fs::create_dir(&folder).expect("a folder");
    let (private, public) = (folder.join("rekor2.key"), folder.join("rekor2.pub"));
    must(Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&private));
    must(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&private).arg("-out").arg(&public));
    let log = OwnRekor2::named(&Shared { folder, ..shared.clone() }, hostname);
    let said = format!("url=https://{hostname},public-key={},start-time={START},origin={hostname}", public.display());
    (log, said)
}

#[test]
fn a_v2_shard_is_closed_and_its_successor_begins_while_entries_keep_arriving() {
    let name = "a_v2_shard_is_closed_and_its_successor_begins_while_entries_keep_arriving";
    let Some(shared) = shared(name) else { return };
    let keys = tempfile::tempdir().expect("a folder");
    let (mut old, old_said) = a_log(&shared, keys.path(), "old.test");
    let (new, new_said) = a_log(&shared, keys.path(), "new.test");
    let watched = Watched::new(&shared);
    let table =
        |origin: &str, log: &OwnRekor2| format!("[log.\"{origin}\"]\nversion = 2\nread_url = \"{}\"\n", log.tiles);
    configure(&watched, &(table("old.test", &old) + &table("new.test", &new)));
    announce(&watched, std::slice::from_ref(&old_said));
    let others = Key::new();
    let some = |what: &str, count: u64| (0..count).map(|n| others.entry(&format!("{what} {n}"))).collect::<Vec<_>>();
    write(&old, &some("early", scale(5_000)));
    watched.trust();
    let _monitor = watched.serve();
    let (closing, ending, rounds) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _writers_end = [Raised(&closing), Raised(&ending)];
        // Whoever writes goes on all the time: to the old one until it closes, and to the new one from then on.
        let to_old = scope.spawn(|| {
            while !closing.load(Ordering::Relaxed) {
                let round = rounds.fetch_add(1, Ordering::Relaxed);
                write(&old, &some(&format!("old {round}"), 40));
            }
        });
        eventually("the old one is being read", 60, || verified(&watched, "old.test") >= scale(5_000));
        write(&new, &[watched.key.entry("the very first of the new one")]);
        write(&new, &[watched.key.entry("the second of the new one")]);
        announce(&watched, &[old_said.clone(), new_said.clone()]);
        let to_new = scope.spawn(|| {
            while !ending.load(Ordering::Relaxed) {
                let round = rounds.fetch_add(1, Ordering::Relaxed);
                write(&new, &some(&format!("new {round}"), 40));
            }
        });
        eventually("the new one is followed by itself", 60, || verified(&watched, "new.test") > 0);
        closing.store(true, Ordering::Relaxed);
        to_old.join().expect("the writer");
        write(&old, &[watched.key.entry("the last but one of the old one")]);
        write(&old, &[watched.key.entry("the very last of the old one")]);
        announce(&watched, &[format!("{old_said},end-time=2025-01-01T00:00:00Z"), new_said.clone()]);
        eventually("the old one is closed", 60, || !log_of(&watched, "old.test")["frozen_at"].is_null());
        ending.store(true, Ordering::Relaxed);
        to_new.join().expect("the writer");
    });
    old.stop();
    eventually("the new one is read to its head", 60, || verified(&watched, "new.test") == new.size());
    only_the_rogues(&watched, 4, &["trust_material_changed"]);
    for (origin, log) in [("old.test", &old), ("new.test", &new)] {
        let size = log.size();
        assert_eq!(verified(&watched, origin), size, "{origin}: nothing is unread");
        assert_eq!(counted(&watched, origin), size, "{origin}: nothing was read twice");
        let root = root_by_another(&["v2", &log.tiles, &size.to_string()]);
        assert_eq!(verified_root(&watched, origin), root, "{origin}: the root");
    }
    println!(
        "v2 rotation: old {} leaves, 0 unread; new {} leaves, 0 double; 4 rogue signatures at the seam, each found once; roots agree",
        old.size(),
        new.size()
    );
}

/// Writes to a Rekor v1.
fn write_v1(log: &OwnRekor1, key: &Key, about: &[String]) {
    let bodies: Vec<_> = about.iter().map(|it| key.entry(it).rekor_v1_request().expect("a request")).collect();
    post_all(&format!("{}/api/v1/log/entries", log.url), &bodies, 32);
}

#[test]
fn v1_shards_that_went_inactive_are_read_to_their_end_and_looked_at_again() {
    let Some(shared) = shared("v1_shards_that_went_inactive_are_read_to_their_end_and_looked_at_again") else { return };
    let trillian = OwnTrillian::start(&shared);
    let (port, other_port) = (free_port(), free_port());
    let (a, b) = (trillian.tree(), trillian.tree());
    let watched = Watched::new(&shared);
    // As cosign describes it: a URL and a key. The name in its checkpoints is another than that of the URL.
    configure(&watched, "");
    let public = shared.folder.join("rekor1.pub");
    announce(&watched, &[format!("url=http://127.0.0.1:{port},public-key={},start-time={START}", public.display())]);
    let others = Key::new();
    let some = |what: &str, count: u64| (0..count).map(|n| format!("{what} {n}")).collect::<Vec<_>>();
    let rekor = trillian.rekor(port, &a, &[]);
    write_v1(&rekor, &others, &some("early", scale(1_000)));
    watched.trust();
    let _monitor = watched.serve();
    let (first, second) = (format!("rekor1.test - {a}"), format!("rekor1.test - {b}"));
    eventually("the first shard is followed under the name that its key signs", 60, || {
        verified(&watched, &first) == scale(1_000)
    });
    write_v1(&rekor, &others, &some("late", 55));
    write_v1(&rekor, &watched.key, &["the very last of the first shard".to_owned()]);
    let length = scale(1_000) + 56;
    assert_eq!(rekor.size(), length);
    rekor.stop();
    let rekor = trillian.rekor(port, &b, &[(&a, length)]);
    write_v1(&rekor, &watched.key, &["the very first of the second shard".to_owned()]);
    write_v1(&rekor, &others, &some("second", scale(500)));
    let size = rekor.size();
    eventually("the second shard is followed by itself", 60, || verified(&watched, &second) == size);
    eventually("the first one is closed", 60, || !log_of(&watched, &first)["frozen_at"].is_null());
    only_the_rogues(&watched, 2, &["trust_material_changed"]);
    for (origin, first_index, size) in [(&first, 0, length), (&second, length, size)] {
        assert_eq!((verified(&watched, origin), counted(&watched, origin)), (size, size), "{origin}");
        let root = root_by_another(&["v1", &rekor.url, &first_index.to_string(), &size.to_string()]);
        assert_eq!(verified_root(&watched, origin), root, "{origin}: the root");
    }
    // Somebody writes into the shard that is closed.
    let behind = trillian.rekor(other_port, &a, &[]);
    write_v1(&behind, &watched.key, &["a rogue behind the end".to_owned()]);
    behind.stop();
    rekor.stop();
    let rekor = trillian.rekor(port, &b, &[(&a, length)]);
    println!("rekor-server says of its inactive shard: {}", rekor.info()["inactiveShards"][0]["treeSize"]);
    let (finding, after) = watched.found("frozen_shard_grew", 60);
    let verdict = watched.replay(&finding);
    println!(
        "v1 shards: {length} leaves in the inactive one, {size} in the active one, 0 unread, 0 double, 2 rogue signatures \
         at the seam, each found once; roots agree; grown afterwards: {} after {after:.1?}; {verdict}",
        finding["title"]
    );
}
