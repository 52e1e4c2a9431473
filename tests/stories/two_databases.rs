//! The monitor in a database of its own: it reads the ledger in the signer's, and nothing of what it finds is there.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::images::push;
use crate::own_log::OwnRekor2;
use crate::peers::{Process, must, run, shared};
use crate::scene::{PASSWORD, Rekor, Scene, eventually};
use crate::watched::{Key, write};

const WATCHING: &str = "
[monitor]
interval = \"200ms\"
grace = \"1s\"

[[watch]]
name = \"nightly key\"
key_file = \"nightly.pub\"
";

/// Runs SQL in a database, as its administrator does.
fn psql(server: &str, database: &str, file: &Path) {
    let url = format!("{server}/{database}");
    let mut command = Command::new("psql");
    command.args([&url, "-qv", "ON_ERROR_STOP=1", "-f"]).arg(file);
    must(command.env("PGOPTIONS", "-c client_min_messages=warning"));
}

/// A sample of ours, with what a person would put in its place.
fn sample(scene: &Scene, name: &str, edits: &[(&str, String)]) -> std::path::PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples").join(name);
    let mut text = std::fs::read_to_string(from).expect("a sample");
    for (what, instead) in edits {
        assert!(text.contains(what), "{name} has no {what}");
        text = text.replace(what, instead);
    }
    let path = scene.path().join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

fn nightly(scene: &Scene) -> Key {
    let pem = std::fs::read(scene.path().join("nightly.key")).expect("our key");
    let file = signer::key::file::load(&pem, Some(&secrecy::SecretString::from(PASSWORD))).expect("its password");
    Key { file, public_pem: String::new() }
}

fn findings(scene: &Scene) -> Vec<Value> {
    let output = run(&mut scene.sealwatch(&["findings", "--json", "-c", "monitor.toml"]));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn the_monitor_keeps_a_database_of_its_own_and_reads_the_ledger_in_another() {
    let name = "the_monitor_keeps_a_database_of_its_own_and_reads_the_ledger_in_another";
    let Some(shared) = shared(name) else { return };
    let server = shared.postgres.rsplit_once('/').expect("a database in the URL").0.to_owned();
    let log = OwnRekor2::start(&shared);
    let mut scene = Scene::new(shared, Rekor::V2);
    scene.log_to(&log);
    let (ledger, own) = (format!("ledger_{}", scene.hooks), format!("monitor_{}", scene.hooks));
    let text = std::fs::read_to_string(scene.distribution_config()).expect("a configuration");
    let in_database = |role: &str, database: &str| {
        let url = format!("{}/{database}", server.replace("postgres@", &format!("{role}@")));
        text.replace("sqlite:sealwatch.db", &url)
    };
    let write_config = |name: &str, text: &str| std::fs::write(scene.path().join(name), text).expect("a configuration");
    let elsewhere = (format!("127.0.0.1:{}", scene.metrics), format!("127.0.0.1:{}", scene.spare));
    write_config("signer.toml", &in_database("sealwatch_worker", &ledger).replace(&elsewhere.0, &elsewhere.1));
    write_config("monitor.toml", &(in_database("sealwatch_monitor", &own) + WATCHING));

    // As the samples say: the owner's start, the roles, and the way from one to the other.
    let roles = sample(&scene, "postgres-roles.sql", &[("sealwatch_owner", "postgres".to_owned())]);
    for database in [&ledger, &own] {
        must(Command::new("psql").args([&format!("{server}/postgres"), "-qc", &format!("CREATE DATABASE {database}")]));
        write_config("owner.toml", &in_database("postgres", database));
        must(&mut scene.sealwatch(&["status", "-c", "owner.toml"]));
        psql(&server, database, &roles);
    }
    let port = server.rsplit_once(':').expect("a port").1;
    let edits = [
        ("host 'ledger.example.com'", "host '127.0.0.1'".to_owned()),
        ("port '5432'", format!("port '{port}'")),
        ("dbname 'sealwatch'", format!("dbname '{ledger}'")),
        ("sslmode 'verify-full'", "sslmode 'disable'".to_owned()),
        // This server asks nobody for a password.
        ("password 'CHANGE-ME'", "password_required 'false'".to_owned()),
    ];
    psql(&server, &own, &sample(&scene, "postgres-two-databases.sql", &edits));

    must(&mut scene.sealwatch(&["logs", "trust", "rekor2.test", "--because", "a story", "-c", "monitor.toml"]));
    let registry = scene.distribution();
    let signer = Process::start(&mut scene.sealwatch(&["up", "-c", "signer.toml"]), &scene.path().join("signer.log"));
    let signer = signer.ready(scene.spare);
    for image in ["one", "two", "three"] {
        push(&registry.host, &format!("nightly/{image}"), "latest", image);
    }
    eventually("all of it is signed", 60, || log.size() >= 6);
    let watch = || {
        let mut command = scene.sealwatch(&["serve", "--role", "monitor", "-c", "monitor.toml"]);
        Process::start(&mut command, &scene.path().join("monitor.log")).ready(scene.metrics)
    };
    // What is proved is counted once a minute, and at the start.
    let proved = || scene.metric(&["sealwatch_monitor_own_entries{", "\"proved\""]);
    let monitor = watch();
    eventually("all of it is read", 30, || scene.metric(&["sealwatch_log_verified_size{"]) >= 6.0);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(monitor.stop(), Some(0));
    let monitor = watch();
    eventually("all of it is proved", 60, || proved() >= 6.0);
    assert_eq!(findings(&scene), Vec::<Value>::new(), "what the other database has is ours");

    write(&log, &[nightly(&scene).entry("somebody else has our key")]);
    eventually("the use of our key is found", 30, || !findings(&scene).is_empty());
    let found = findings(&scene);
    assert_eq!((found.len(), &found[0]["kind"]), (1, &Value::from("key_used_outside")), "{found:?}");
    let count = |database: &str| {
        must(Command::new("psql").args([
            &format!("{server}/{database}"),
            "-Atc",
            "SELECT COUNT(*) FROM monitor.findings",
        ]))
    };
    assert_eq!((count(&own).trim(), count(&ledger).trim()), ("1", "0"));

    // The way to the ledger is cut: what is ours is not taken for somebody else's, but looked up when it is there again.
    let cut = |port: &str| {
        let sql = format!("ALTER SERVER sealwatch_ledger OPTIONS (SET port '{port}')");
        must(Command::new("psql").args([&format!("{server}/{own}"), "-qc", &sql]));
    };
    cut("1");
    push(&registry.host, "nightly/four", "latest", "four");
    eventually("it is signed", 30, || log.size() >= 9);
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert!(scene.metric(&["sealwatch_log_verified_size{"]) < 9.0, "nobody can say whose these are");
    cut(port);
    eventually("all of it is read again", 60, || scene.metric(&["sealwatch_log_verified_size{"]) >= 9.0);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(findings(&scene).len(), 1, "{:?}", findings(&scene));
    println!("two databases: {} entries of ours proved, and found: {}", proved(), found[0]["title"]);
    assert_eq!((monitor.stop(), signer.stop()), (Some(0), Some(0)));
}
