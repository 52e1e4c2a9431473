//! What a crash leaves behind: nothing skipped, nothing twice, nothing lost. And two monitors on one database.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::own_log::OwnRekor2;
use crate::peers::{Process, free_port, must, shared};
use crate::scene::eventually;
use crate::watched::{Key, Watched, scale, write};

#[test]
fn a_monitor_killed_every_second_skips_nothing_and_tells_of_each_finding_once() {
    let name = "a_monitor_killed_every_second_skips_nothing_and_tells_of_each_finding_once";
    let Some(shared) = shared(name) else { return };
    let log = OwnRekor2::start(&shared);
    let mut watched = Watched::new(&shared);
    // Small steps over a slow line, so that there is something to interrupt.
    watched.timing.push_str("segment_leaves = 256\nin_flight = 2\n");
    watched.log_lines = "requests_per_second = 10".to_owned();
    watched.configure(&log.tiles);
    let others = Key::new();
    let rogues = 20;
    let count = scale(20_000);
    let mut entries: Vec<_> = (0..count).map(|n| others.entry(&format!("other {n}"))).collect();
    for n in 0..rogues {
        let at = (n * entries.len() / rogues).min(entries.len());
        entries.insert(at, watched.key.entry(&format!("rogue {n}")));
    }
    write(&log, &entries);
    let all = entries.len() as u64;
    eventually("the log has them all", 60, || log.size() == all);
    watched.trust();
    let until = Instant::now() + Duration::from_secs(scale(180));
    let (mut kills, mut last) = (0, 0);
    while Instant::now() < until {
        let mut command = watched.sealwatch(&["serve", "--role", "monitor"]);
        let monitor = Process::start(&mut command, &watched.path().join("sealwatch.log")).ready(watched.metrics);
        std::thread::sleep(Duration::from_secs(1));
        // Dropped: SIGKILL.
        drop(monitor);
        kills += 1;
        let verified = watched.verified();
        assert!(verified >= last, "the position went back from {last} to {verified}");
        last = verified;
    }
    assert!(last > 0, "it never got anywhere between two kills");
    watched.log_lines.clear();
    watched.configure(&log.tiles);
    let _monitor = watched.serve();
    eventually("it is at the head in the end", 120, || watched.verified() == all);
    eventually("each rogue signature is found", 60, || watched.of_kind("key_used_outside").len() >= rogues);
    let found = watched.of_kind("key_used_outside");
    assert_eq!(found.len(), rogues, "each once");
    assert!(found.iter().all(|f| f["occurrences"] == 1), "and none twice: {found:?}");
    assert_eq!(watched.findings().len(), rogues, "and nothing else: {:?}", watched.findings());
    println!("killed {kills} times over {all} leaves (at {last} when it ended): {rogues} findings, each once");
}

#[test]
fn of_two_monitors_one_follows_and_the_other_takes_over() {
    let Some(shared) = shared("of_two_monitors_one_follows_and_the_other_takes_over") else { return };
    let log = OwnRekor2::start(&shared);
    let mut watched = Watched::new(&shared);
    let database = format!("watched_{}", free_port());
    must(Command::new("psql").args([&shared.postgres, "-qc", &format!("CREATE DATABASE {database}")]));
    watched.store = format!("{}/{database}", shared.postgres.trim_end_matches("/postgres"));
    watched.configure(&log.tiles);
    let others = Key::new();
    write(&log, &(0..50).map(|n| others.entry(&format!("first {n}"))).collect::<Vec<_>>());
    watched.trust();
    let first = watched.serve();
    eventually("the first is at the head", 30, || watched.verified() == log.size() && log.size() >= 50);
    watched.metrics = free_port();
    watched.configure(&log.tiles);
    let second = watched.serve();
    std::thread::sleep(Duration::from_secs(2));
    let holder = followed_by(&watched);
    assert_eq!(holder, 0.0, "the second one waits");
    // SIGKILL: it gives nothing back.
    drop(first);
    let start = Instant::now();
    write(&log, &[watched.key.entry("a rogue while nobody looks")]);
    let (finding, _) = watched.found("key_used_outside", 40);
    let after = start.elapsed();
    assert!(after < Duration::from_secs(15), "it took over after {after:?}");
    assert_eq!(followed_by(&watched), 1.0);
    assert_eq!(watched.of_kind("key_used_outside").len(), 1);
    println!("took over, and found {} after {after:.1?}", finding["title"]);
    drop(second);
}

/// `sealwatch_log_followed` of the monitor that listens where the configuration says.
fn followed_by(watched: &Watched) -> f64 {
    let url = format!("http://127.0.0.1:{}/metrics", watched.metrics);
    let answer = crate::http::request("GET", &url, &[], b"");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    text.lines()
        .filter(|l| l.starts_with("sealwatch_log_followed{"))
        .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[test]
fn looking_once_says_what_it_could_not_see() {
    let Some(shared) = shared("looking_once_says_what_it_could_not_see") else { return };
    let mut log = OwnRekor2::start(&shared);
    let watched = Watched::new(&shared);
    watched.configure(&log.tiles);
    assert_eq!(watched.once().0, 2, "a log that was never trusted is usage");
    let others = Key::new();
    write(&log, &(0..30).map(|n| others.entry(&format!("first {n}"))).collect::<Vec<_>>());
    watched.trust();
    let (code, report) = watched.once();
    assert_eq!(code, 0, "{report}");
    let seen = report["logs"][0].clone();
    assert_eq!((&seen["covered_from"], &seen["covered_to"]), (&Value::from(0), &Value::from(30)), "{seen}");
    // Nobody answers.
    watched.configure(&format!("http://127.0.0.1:{}", free_port()));
    let (code, report) = watched.once();
    assert_eq!(code, 3, "we could not look, and that is never clean: {report}");
    assert_eq!(report["logs"][0]["covered_to"], 30, "it claims no more than it hashed: {report}");
    // Somebody uses our key.
    watched.configure(&log.tiles);
    write(&log, &[watched.key.entry("a rogue")]);
    assert_eq!(watched.once().0, 1);
    // An inconsistent log.
    let clean = Watched::new(&shared);
    clean.configure(&log.tiles);
    clean.trust();
    assert_eq!(clean.once().0, 0);
    let other = OwnRekor2::start(&shared);
    write(&other, &(0..40).map(|n| others.entry(&format!("another history {n}"))).collect::<Vec<_>>());
    log.stop();
    log.replace_with(&other.storage);
    let (code, report) = clean.once();
    assert_eq!(code, 1, "{report}");
    assert!(clean.findings().iter().any(|f| f["kind"] == "inconsistent_growth"), "{:?}", clean.findings());
    println!("monitor --once: 2 never trusted, 0 clean, 3 nobody answers, 1 a rogue signature, 1 an inconsistent log");
}
