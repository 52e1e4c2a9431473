//! A log behind a bad line: refusals, errors, answers that are cut off, slow or endless. That is trouble, and never
//! a finding about the log; when it is over, the monitor catches up.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::http;
use crate::own_log::OwnRekor2;
use crate::peers::shared;
use crate::scene::eventually;
use crate::watched::{Key, Watched, scale, write};

/// What may be found while the line is bad.
const OPERATIONAL: [&str; 3] = ["blind", "scan_lag", "stale_log"];

/// Passes every third request on; the others get one kind of trouble after the other.
struct BadLine {
    url: String,
    bad: Arc<AtomicBool>,
    troubles: Arc<AtomicUsize>,
}

impl BadLine {
    fn before(tiles: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (bad, troubles) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let (to, is_bad, count) = (tiles.to_owned(), Arc::clone(&bad), Arc::clone(&troubles));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (to, is_bad, count) = (to.clone(), Arc::clone(&is_bad), Arc::clone(&count));
                std::thread::spawn(move || {
                    // Whoever asked may have had enough.
                    let _ = answer(client, &to, is_bad.load(Ordering::Relaxed), &count);
                });
            }
        });
        Self { url, bad, troubles }
    }
}

fn answer(mut client: TcpStream, tiles: &str, bad: bool, count: &AtomicUsize) -> std::io::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(client.try_clone()?);
    reader.read_line(&mut line)?;
    let path = line.split_whitespace().nth(1).unwrap_or("/").to_owned();
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line)?;
    }
    let plain =
        |status: &str, more: &str| format!("HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n");
    let trouble = if bad { count.fetch_add(1, Ordering::Relaxed) % 9 } else { 99 };
    match trouble {
        0 => client.write_all(plain("429 Too Many Requests", "Retry-After: 1\r\n").as_bytes()),
        1 => client.write_all(plain("500 Internal Server Error", "").as_bytes()),
        2 => client.write_all(plain("503 Service Unavailable", "").as_bytes()),
        3 => {
            // Cut off.
            let got = http::try_request("GET", &format!("{tiles}{path}"), &[], b"")?;
            let head =
                format!("HTTP/1.1 {} -\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", got.status, got.body.len());
            client.write_all(head.as_bytes())?;
            client.write_all(&got.body[..got.body.len() / 2])
        }
        4 => {
            // A byte a second.
            client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n")?;
            for _ in 0..120 {
                client.write_all(b"x")?;
                std::thread::sleep(Duration::from_secs(1));
            }
            Ok(())
        }
        5 => {
            // Without end.
            client.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            let block = [b'x'; 65_536];
            loop {
                client.write_all(&block)?;
            }
        }
        _ => {
            let got = http::try_request("GET", &format!("{tiles}{path}"), &[], b"")?;
            let head =
                format!("HTTP/1.1 {} -\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", got.status, got.body.len());
            client.write_all(head.as_bytes())?;
            client.write_all(&got.body)?;
            let mut rest = [0; 1];
            let _ = client.shutdown(std::net::Shutdown::Write);
            let _ = reader.read(&mut rest);
            Ok(())
        }
    }
}

#[test]
fn a_bad_line_is_trouble_and_no_finding_about_the_log() {
    let Some(shared) = shared("a_bad_line_is_trouble_and_no_finding_about_the_log") else { return };
    let log = OwnRekor2::start(&shared);
    let line = BadLine::before(&log.tiles);
    let mut watched = Watched::new(&shared);
    watched.timing.push_str("blind_after = \"5s\"\nlag_after = \"5s\"\n");
    watched.configure(&log.tiles);
    watched.trust();
    watched.configure(&line.url);
    let monitor = watched.serve();
    let others = Key::new();
    let until = Instant::now() + Duration::from_secs(scale(300));
    let mut round = 0;
    while Instant::now() < until {
        write(&log, &(0..40).map(|n| others.entry(&format!("round {round} {n}"))).collect::<Vec<_>>());
        round += 1;
        std::thread::sleep(Duration::from_secs(1));
    }
    let memory = resident_mib(&monitor);
    assert!(memory < 256, "{memory} MiB");
    let found: Vec<String> = watched.findings().iter().filter_map(|f| f["kind"].as_str().map(str::to_owned)).collect();
    assert!(found.iter().all(|kind| OPERATIONAL.contains(&kind.as_str())), "{:?}", watched.findings());
    let troubles = line.troubles.load(Ordering::Relaxed);
    assert!(troubles > 10, "the line was not bad: {troubles}");
    line.bad.store(false, Ordering::Relaxed);
    write(&log, &[watched.key.entry("a rogue in all that noise")]);
    let start = Instant::now();
    eventually("it catches up", 120, || watched.verified() == log.size());
    let caught_up = start.elapsed();
    let (finding, _) = watched.found("key_used_outside", 30);
    println!(
        "{troubles} requests over a bad line, {} leaves: findings then {found:?}, {memory} MiB; caught up {caught_up:.1?} after it was over, and found {}",
        log.size(),
        finding["title"]
    );
}

fn resident_mib(process: &crate::peers::Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
