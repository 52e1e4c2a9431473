//! The program as a person types it: the demo, the lab and the quickstart, with nothing installed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn sealwatch(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealwatch"));
    command.current_dir(directory).args(arguments).env_remove("COSIGN_PASSWORD").env_remove("SEALWATCH_CONFIG");
    command
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    sealwatch(directory, arguments).output().expect("the program runs")
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn must(directory: &Path, arguments: &[&str]) -> String {
    let output = run(directory, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", told(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// A process that runs until it is dropped.
struct Running(Child);

impl Running {
    /// Starts it and waits for a line that has this in it; answers with all lines so far.
    fn start(directory: &Path, arguments: &[&str], until: &str) -> (Self, Vec<String>) {
        let mut child =
            sealwatch(directory, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let (stdout, stderr) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
        let (line, lines) = std::sync::mpsc::channel();
        let again = line.clone();
        // Both are read to their ends, so that the process never waits for a reader.
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).for_each(|l| drop(line.send(l)))
        });
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).for_each(|l| drop(again.send(l)))
        });
        let running = Self(child);
        let (start, mut seen) = (Instant::now(), Vec::new());
        while start.elapsed() < Duration::from_secs(60) {
            let Ok(line) = lines.recv_timeout(Duration::from_secs(60)) else { break };
            seen.push(line);
            if seen.last().is_some_and(|line| line.contains(until)) {
                return (running, seen);
            }
        }
        panic!("{arguments:?} never said {until:?}: {}", seen.join("\n"));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn each_demo_in_one_folder_finds_its_own_rogue() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut seen = Vec::new();
    for _ in 0..2 {
        let text = must(folder.path(), &["demo", "--exit", "--dir", "w"]);
        for act in ["Act 1 of 3:", "Act 2 of 3:", "Act 3 of 3:", "FOUND"] {
            assert!(text.contains(act), "{act} in {text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("VERDICT:")).count(), 1, "{text}");
        let last: Vec<&str> = text.lines().rev().take(3).collect();
        assert!(last.iter().all(|line| line.contains("sealwatch") && line.contains("-c w/sealwatch.toml")), "{text}");
        // What is typed next works, and shows the finding of this run.
        let findings = run(folder.path(), &["findings", "-c", "w/sealwatch.toml", "--json"]);
        assert_eq!(findings.status.code(), Some(1), "{}", told(&findings));
        let findings: serde_json::Value = serde_json::from_slice(&findings.stdout).expect("JSON");
        assert_eq!(findings.as_array().map(Vec::len), Some(1), "{findings}");
        seen.push((
            findings[0]["first_seen_at"].clone(),
            std::fs::read(folder.path().join("w/release.pub")).expect("a key"),
        ));
        must(folder.path(), &["logs", "-c", "w/sealwatch.toml"]);
        must(folder.path(), &["status", "-c", "w/sealwatch.toml"]);
    }
    assert_ne!(seen[0], seen[1], "the second run has its own key and finding");
}

#[test]
fn a_demo_writes_over_nothing_that_is_real() {
    let folder = tempfile::tempdir().expect("a folder");
    let real = folder.path().join("release.key");
    std::fs::write(&real, "a real key").expect("a file");
    let refused = run(folder.path(), &["demo", "--exit", "--dir", "."]);
    assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
    assert!(told(&refused).contains("release.key"), "{}", told(&refused));
    assert_eq!(std::fs::read_to_string(&real).expect("a file"), "a real key");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing was added");
}

/// Posts what Distribution posts when team/app:v1 is pushed.
fn tell_of_a_push(hooks: &str, secret: &str, host: &str) {
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let body = serde_json::json!({ "events": [{
        "id": "1", "action": "push", "request": { "host": host },
        "target": { "repository": "team/app", "tag": "v1", "mediaType": media_type },
    }] })
    .to_string();
    let mut stream = std::net::TcpStream::connect(hooks).expect("the listener");
    write!(
        stream,
        "POST /hooks/registry HTTP/1.1\r\nHost: {hooks}\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).expect("an answer");
    // 202: taken in; 200: kept as a letter.
    assert!(answer.contains(" 202 ") || answer.contains(" 200 "), "{answer}");
}

/// A webhook names the registry in another way: the commands say so, and take it in once that name is an alias. All of it
/// beside the process that runs.
fn a_push_under_another_name_waits_and_is_replayed(here: &Path, hooks: &str, host: &str) {
    tell_of_a_push(hooks, "a secret of the quickstart", "registry.internal:5000");
    let listed = must(here, &["dead-letters", "list", "--source", "registry"]);
    assert!(listed.contains("registry  foreign_host  "), "{listed}");
    let letters: serde_json::Value =
        serde_json::from_str(&must(here, &["dead-letters", "list", "--json"])).expect("JSON");
    let id = letters[0]["id"].to_string();
    assert!(must(here, &["status"]).contains("see `sealwatch dead-letters list`"));
    let unseen = format!("{host}/team/app@sha256:{}", "0".repeat(64));
    let explained = told(&run(here, &["explain", &unseen]));
    assert!(explained.contains("a webhook of source registry named another host: see `sealwatch dead-letters list`"));
    let shown = must(here, &["dead-letters", "show", &id]);
    assert!(shown.contains("| {\"events\":[{"), "{shown}");

    let refused = run(here, &["dead-letters", "replay", &id]);
    assert_eq!(refused.status.code(), Some(1), "{}", told(&refused));
    let alias = "host_aliases = [\"registry.internal:5000\"]";
    assert!(told(&refused).contains(&format!("{alias} in [source.registry]")), "{}", told(&refused));
    assert_eq!(run(here, &["dead-letters", "replay"]).status.code(), Some(2), "an id, --source or --all");
    assert_eq!(run(here, &["dead-letters", "replay", &id, "--all"]).status.code(), Some(2));

    let file = here.join("sealwatch.toml");
    let before = std::fs::read_to_string(&file).expect("the file");
    let after = before.replace("[source.registry]\n", &format!("[source.registry]\n{alias}\n"));
    assert_ne!(before, after);
    std::fs::write(&file, after).expect("written");
    let replayed = must(here, &["dead-letters", "replay", "--all"]);
    assert!(replayed.contains("(foreign_host): 1 push taken in"), "{replayed}");
    assert_eq!(run(here, &["dead-letters", "replay", "--all"]).status.code(), Some(1), "nothing waits");
    assert!(must(here, &["dead-letters", "list"]).contains(", replayed "));
    let explained = told(&run(here, &["explain", &unseen]));
    assert!(explained.contains("(is the registry's webhook set?)"), "{explained}");
    // The process that runs deals with what was taken in.
    let start = Instant::now();
    let busy = || {
        let status: serde_json::Value = serde_json::from_str(&must(here, &["status", "--json"])).expect("JSON");
        ["events_waiting", "events_leased", "jobs_ready", "jobs_leased"].iter().any(|count| status[count] != 0)
    };
    while busy() {
        assert!(start.elapsed() < Duration::from_secs(60), "{}", must(here, &["status"]));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The quickstart with a lab, from the lab to the first questions; the registry is the sandbox's, in the demo.
#[test]
fn the_quickstart_works_as_it_is_typed() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let (lab, lines) =
        Running::start(here, &["lab", "--dir", "lab", "--log-port", "0", "--timestamp-port", "0"], "runs until Ctrl-C");
    assert!(lines[0].contains("NOT FOR PRODUCTION"), "{lines:?}");
    let url = lines
        .iter()
        .find_map(|line| line.trim().strip_prefix("write_url = "))
        .expect("a URL")
        .trim_matches('"')
        .to_owned();
    // A registry: the one of a demo that stays up.
    let (_demo, story) = Running::start(here, &["demo", "--dir", "world"], "Try next");
    let host = story
        .iter()
        .find_map(|line| line.split("a registry at ").nth(1)?.split(',').next().map(str::to_owned))
        .expect("the demo names its registry");

    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples/distribution-lab.toml");
    let text = std::fs::read_to_string(sample).expect("the sample");
    let text = text
        .replace("127.0.0.1:5000", &host)
        .replace("http://127.0.0.1:9191", &url)
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:9091", "127.0.0.1:0");
    std::fs::write(here.join("sealwatch.toml"), text).expect("a file");
    for (name, secret) in [("hook.secret", "a secret of the quickstart"), ("release.password", "a password of it")] {
        let mut file = std::fs::File::create(here.join(name)).expect("a file");
        file.write_all(secret.as_bytes()).expect("written");
    }
    must(here, &["key", "create", "--output-key-prefix", "release", "--password-file", "release.password"]);
    let checked = must(here, &["config", "check", "--online"]);
    assert_eq!(checked.matches("ok      ").count(), 5, "store, registry, log, authority, key: {checked}");
    let image = format!("{host}/team/app:v1");
    let (up, lines) = Running::start(here, &["up", "--log-format", "human"], "sealwatch is up");
    let hooks =
        lines.last().and_then(|line| line.split("hooks=").nth(1)?.split_whitespace().next()).expect("an address");
    tell_of_a_push(hooks.trim_matches('"'), "a secret of the quickstart", &host);
    let start = Instant::now();
    while run(here, &["explain", &image]).status.code() != Some(0) {
        assert!(start.elapsed() < Duration::from_secs(60), "{}", told(&run(here, &["explain", &image])));
        std::thread::sleep(Duration::from_millis(100));
    }
    let settled = || must(here, &["status", "--json"]).contains("\"jobs_done\":1");
    while !settled() {
        assert!(start.elapsed() < Duration::from_secs(60), "{}", must(here, &["status"]));
        std::thread::sleep(Duration::from_millis(100));
    }
    a_push_under_another_name_waits_and_is_replayed(here, hooks.trim_matches('"'), &host);
    drop(up);

    // From another folder, and without the private key.
    std::fs::remove_file(here.join("release.key")).expect("the key was there");
    std::fs::create_dir(here.join("elsewhere")).expect("a folder");
    let elsewhere = here.join("elsewhere");
    let explained = must(&elsewhere, &["explain", "-c", "../sealwatch.toml", &image]);
    assert_eq!(explained.lines().next(), Some("signed by release (bundle, legacy)"), "{explained}");
    assert!(explained.contains("rekor.lab.local index 0"), "{explained}");
    assert!(explained.contains("cosign verify --key release.pub"), "{explained}");
    std::fs::rename(here.join("release.pub"), here.join("release.pub.away")).expect("the public half was there");
    let explained = must(&elsewhere, &["explain", "-c", "../sealwatch.toml", &image]);
    assert!(explained.contains("cosign verify --key release.pub"), "the ledger has the public key: {explained}");
    std::fs::rename(here.join("release.pub.away"), here.join("release.pub")).expect("back again");
    must(here, &["kit", "--out", "kit"]);
    let root = "kit/release.trusted_root.json";
    must(here, &["verify", "--key", "kit/release.pub", "--trusted-root", root, "--plain-http", &image]);

    must(here, &["status"]);
    let retried = run(here, &["retry", &image]);
    assert_eq!(retried.status.code(), Some(1), "nothing waits: {}", told(&retried));
    assert_eq!(run(here, &["retry"]).status.code(), Some(2), "an image, or --all");
    assert_eq!(run(here, &["retry", "--all"]).status.code(), Some(1));
    let unsigned = run(here, &["explain", &format!("{host}/other/app@sha256:{}", "0".repeat(64))]);
    assert_eq!(unsigned.status.code(), Some(1));
    assert!(told(&unsigned).starts_with("not signed: no rule matches"), "{}", told(&unsigned));

    // The log goes on where it was.
    drop(lab);
    let (_lab, lines) = Running::start(here, &["lab", "--dir", "lab"], "runs until Ctrl-C");
    assert!(lines.iter().any(|line| line.contains("2 entries") && line.contains(&url)), "{lines:?}");
    let checked = must(here, &["kit", "--out", "kit"]);
    assert!(checked.contains("verify.txt"), "{checked}");
    must(here, &["verify", "--key", "kit/release.pub", "--trusted-root", root, "--plain-http", &image]);
}

#[test]
fn the_version_says_which_build_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let version = must(folder.path(), &["--version"]);
    assert!(version.starts_with(&format!("sealwatch {} (", env!("CARGO_PKG_VERSION"))), "{version}");
}

#[test]
fn a_check_says_its_mistakes_as_json_too() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("sealwatch.toml"), "[server]\nhoooks = \"x\"\n").expect("a file");
    let checked = run(folder.path(), &["config", "check", "--json"]);
    assert_eq!(checked.status.code(), Some(2));
    let said: serde_json::Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    assert_eq!((&said["good"], &said["problems"][0]["line"]), (&false.into(), &2.into()), "{said}");
}

/// Every command of the README's quickstart is one that the test above types.
#[test]
fn the_readmes_quickstart_is_what_is_tested() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md");
    let section =
        readme.split("## Quickstart").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a quickstart");
    let typed: Vec<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix("sealwatch "))
        .map(|line| line.split('#').next().unwrap_or(line).split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let known = [
        "lab --dir",
        "key create",
        "config check",
        "up",
        "explain 127.0.0.1:5000/team/app:v1",
        "kit --out",
        "verify --key",
    ];
    assert!(typed.len() >= known.len(), "{typed:?}");
    for command in &typed {
        assert!(known.contains(&command.as_str()), "{command:?} is not tested: {typed:?}");
    }
    assert!(section.contains("deploy/samples/distribution-lab.toml"));
}
