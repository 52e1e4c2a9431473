//! Finding, running and ending the programs.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The newest version of a program in the cache. `None`, said loudly, where there is none.
pub(crate) fn cached(name: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("SEALWATCH_PEERS").map(PathBuf::from).or_else(|| {
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
        Some(std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?.join("sealwatch-peers"))
    });
    let programs = cache.and_then(|cache| std::fs::read_dir(cache).ok()).into_iter().flatten().flatten();
    let version = |file: &str| {
        let version = file.strip_prefix(name)?.strip_prefix('-')?;
        version.starts_with(|c: char| c.is_ascii_digit()).then_some(())
    };
    let mut found: Vec<PathBuf> = programs
        .filter(|entry| entry.file_name().to_str().and_then(version).is_some())
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_none_or(|extension| extension != "log"))
        .collect();
    found.sort();
    if found.is_empty() {
        skip(&format!("no {name}; tests/peers/build {name} builds it"));
    }
    found.pop()
}

pub(crate) fn skip(why: &str) {
    // Straight to the stream: the harness would keep a passing test's output to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Runs a program to its end in a directory of its own; panics with all that it said when it fails.
pub(crate) fn run(program: &Path, directory: &Path, arguments: &[&str]) -> String {
    let output = output(program, directory, arguments);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} {}\n{out}\n{err}", program.display(), arguments.join(" "));
    out.into_owned()
}

/// The same without a judgement.
pub(crate) fn output(program: &Path, directory: &Path, arguments: &[&str]) -> Output {
    command(program, directory, arguments).output().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

fn command(program: &Path, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(directory)
        .env("HOME", directory)
        .env("DOCKER_CONFIG", directory)
        .env("TUF_ROOT", directory.join("tuf"))
        .env("COSIGN_PASSWORD", "")
        .stdin(Stdio::null());
    command
}

/// A program that goes on until this value goes.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it, and waits until something listens on the port.
    pub(crate) fn start(program: &Path, directory: &Path, arguments: &[&str], port: u16) -> Self {
        let log = std::fs::File::create(directory.join("output")).unwrap();
        let child = command(program, directory, arguments)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut running = Self(child);
        let begun = Instant::now();
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = running.0.try_wait().unwrap().is_some();
            if ended || begun.elapsed() > Duration::from_secs(60) {
                let said = std::fs::read_to_string(directory.join("output")).unwrap_or_default();
                panic!("{} does not listen on {port}:\n{said}", program.display());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody has at the moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).unwrap().port()
}
