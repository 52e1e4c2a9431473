//! Planted secrets: whatever happens, however much is logged, none of them appears in anything that sealwatch writes.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use crate::peers::{Process, Registry, must, run, shared};
use crate::scene::{PASSWORD, Rekor, SECRET, Scene, eventually};
use crate::{http, images};

/// The user of the registry, and the password; what the registry keeps of it (bcrypt).
const USER: &str = "robot";
const REGISTRY_PASSWORD: &str = "registry-canary-c04e7b";
const HTPASSWD: &str = "robot:$2b$04$abcdefghijklmnopqrstuuWBEsI4c2sd7V1dcCzPRRdd7ttjeMdZG\n";
/// What is no password of anything, and as little to be repeated.
const WRONG_PASSWORD: &str = "mistyped-canary-77aa10";
const WRONG_SECRET: &str = "stranger-canary-e3f901";
/// The files into which the story itself plants them, and what is the registry's own.
const PLANTED: [&str; 9] = [
    "hook.secret",
    "release.password",
    "nightly.password",
    "registry.password",
    "nightly.key",
    "config.json",
    "registry.yml",
    "registry.log",
    "htpasswd",
];

#[test]
fn planted_secrets_appear_in_no_log_error_metric_or_database() {
    let Some(shared) = shared("planted_secrets_appear_in_no_log_error_metric_or_database") else { return };
    let scene = Scene::new(shared, Rekor::V1);
    let registry = registry_behind_a_password(&scene);
    let key = plain_nightly_key(&scene);
    let mut said: Vec<(String, Vec<u8>)> = Vec::new();

    // First with a wrong password, so that there are errors to be careless in.
    std::fs::write(scene.path().join("registry.password"), WRONG_PASSWORD).expect("a password");
    let sealwatch = up_tracing(&scene);
    let authorization = format!("Basic {}", BASE64.encode(format!("{USER}:{REGISTRY_PASSWORD}")));
    let push = |repository: &str| {
        images::push_as(&registry.host, repository, "v1", repository, &[("Authorization", &authorization)])
    };
    push("team/app");
    eventually("the registry has refused us", 30, || scene.metric(&["watcher_registry_errors_total"]) >= 1.0);
    strangers_and_junk(&scene);
    said.push(("metrics".to_owned(), metrics(&scene)));
    assert_eq!(sealwatch.stop(), Some(0));

    // Then with the right one, in a file and in a docker config.
    std::fs::write(scene.path().join("registry.password"), REGISTRY_PASSWORD).expect("a password");
    let image = format!("{}/team/app:v1", registry.host);
    said.push(output(&scene, &["retry"]));
    let sealwatch = up_tracing(&scene);
    push("nightly/app");
    eventually("both are signed", 60, || scene.status()["signatures_attached"] == 4);
    said.push(("metrics".to_owned(), metrics(&scene)));
    let verify = ["verify", "--key", "release.pub", "--trusted-root", "trusted_root.json", "--plain-http", &image];
    for arguments in [&["config", "check"][..], &["status"], &["explain", &image], &["kit"], &verify] {
        said.push(output(&scene, arguments));
    }
    let read_its_docker_config = said.last().is_some_and(|(_, text)| holds(text, b"verified"));
    assert!(read_its_docker_config, "verify came into the registry");
    said.push(output(&scene, &["sign", &image]));
    assert_eq!(sealwatch.stop(), Some(0));
    said.extend(wrong_passwords(&scene));

    said.extend(files(scene.path()));
    nothing_is_in(&said, &key);
}

/// Distribution that lets nobody in without the password, and a docker config that has it.
fn registry_behind_a_password(scene: &Scene) -> Registry {
    let file = scene.path().join("htpasswd");
    std::fs::write(&file, HTPASSWD).expect("htpasswd");
    let auth = [
        ("REGISTRY_AUTH", "htpasswd"),
        ("REGISTRY_AUTH_HTPASSWD_REALM", "story"),
        ("REGISTRY_AUTH_HTPASSWD_PATH", file.to_str().expect("a path")),
    ];
    let registry = Registry::distribution_with(scene.path(), scene.registry_port, scene.hooks, SECRET, &auth);
    assert_eq!(http::request("GET", &format!("http://{}/v2/", registry.host), &[], b"").status, 401);
    let credential = BASE64.encode(format!("{USER}:{REGISTRY_PASSWORD}"));
    let docker = json!({"auths": {registry.host.as_str(): {"auth": credential}}});
    std::fs::write(scene.path().join("config.json"), docker.to_string()).expect("a docker config");
    let config = scene.distribution_config();
    let text = std::fs::read_to_string(&config).expect("a configuration");
    let auth = format!("auth = {{ username = \"{USER}\", password_file = \"registry.password\" }}\nplain_http = true");
    let text = text.replacen("plain_http = true", &auth, 1).replace("password_file = \"nightly.password\"", "");
    std::fs::write(config, text).expect("a configuration");
    registry
}

/// A key that nothing encrypts, so that what must stay secret of it is known: its number.
fn plain_nightly_key(scene: &Scene) -> Vec<u8> {
    let make = "openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out nightly.key && \
                openssl pkey -in nightly.key -pubout -out nightly.pub && openssl pkey -in nightly.key -outform DER";
    let output = run(Command::new("sh").current_dir(scene.path()).args(["-c", make]));
    // SEC 1: the number is an OCTET STRING of 32 bytes behind the version 1.
    let der = output.stdout;
    let at = der.windows(5).position(|bytes| bytes == [2, 1, 1, 4, 32]).expect("a private key") + 5;
    der[at..at + 32].to_vec()
}

/// `sealwatch up` that logs all it can.
fn up_tracing(scene: &Scene) -> Process {
    let mut command = scene.sealwatch(&["--log", "trace", "up", "-c", "sealwatch.toml"]);
    Process::start(&mut command, &scene.path().join("sealwatch.log")).ready(scene.metrics)
}

/// Requests with a wrong secret, with ours in the wrong place, and with a body that is none.
fn strangers_and_junk(scene: &Scene) {
    let url = format!("http://127.0.0.1:{}/hooks/registry", scene.hooks);
    let (wrong, right) = (format!("Bearer {WRONG_SECRET}"), format!("Bearer {SECRET}"));
    let basic = format!("Basic {}", BASE64.encode(format!("{USER}:{SECRET}")));
    for (authorization, body, status) in [(&wrong, "{}", 401), (&basic, "{}", 401), (&right, "\u{1}junk", 200)] {
        assert_eq!(http::request("POST", &url, &[("Authorization", authorization)], body.as_bytes()).status, status);
    }
    let unknown = format!("http://127.0.0.1:{}/hooks/{WRONG_SECRET}", scene.hooks);
    assert_eq!(http::request("POST", &unknown, &[("Authorization", &right)], b"{}").status, 404);
}

/// What commands say when a key's password is wrong.
fn wrong_passwords(scene: &Scene) -> Vec<(String, Vec<u8>)> {
    std::fs::write(scene.path().join("release.password"), WRONG_PASSWORD).expect("a password");
    let key = ["key", "public", "--key", "release.key", "--password-file", "release.password"];
    vec![output(scene, &["config", "check"]), output(scene, &["up"]), output(scene, &key)]
}

/// Everything that a command writes, when it logs all it can.
fn output(scene: &Scene, arguments: &[&str]) -> (String, Vec<u8>) {
    let output = run(scene.sealwatch(arguments).env("SEALWATCH_LOG", "trace"));
    (arguments.join(" "), [output.stdout, output.stderr].concat())
}

fn metrics(scene: &Scene) -> Vec<u8> {
    http::request("GET", &format!("http://127.0.0.1:{}/metrics", scene.metrics), &[], b"").body
}

/// Every file of the story but those with the planted secrets and the registry's blobs: the log, the database, the kit.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let listed = must(Command::new("find").current_dir(folder).args([
        ".",
        "-path",
        "./registry",
        "-prune",
        "-o",
        "-type",
        "f",
        "-print",
    ]));
    let names = listed.lines().map(|line| line.trim_start_matches("./")).filter(|name| !PLANTED.contains(name));
    names.map(|name| (name.to_owned(), std::fs::read(folder.join(name)).expect("a file"))).collect()
}

fn nothing_is_in(said: &[(String, Vec<u8>)], key: &[u8]) {
    let mut secrets: Vec<Vec<u8>> = vec![key.to_vec(), hex::encode(key).into_bytes(), BASE64.encode(key).into_bytes()];
    for secret in [SECRET, PASSWORD, REGISTRY_PASSWORD, WRONG_PASSWORD, WRONG_SECRET] {
        secrets.push(secret.into());
        secrets.push(hex::encode(secret).into_bytes());
        for plain in [secret.to_owned(), format!("{USER}:{secret}")] {
            // Without what depends on the end of the text.
            secrets.push(BASE64.encode(plain).trim_end_matches('=').into());
        }
    }
    for (name, text) in said {
        for secret in &secrets {
            assert!(!holds(text, secret), "{name} holds {}", String::from_utf8_lossy(secret));
        }
    }
    // The search itself finds what is there.
    let found =
        |name: &str, word: &str| said.iter().any(|(n, text)| n.starts_with(name) && holds(text, word.as_bytes()));
    for (name, word) in [("sealwatch.log", "\"TRACE\""), ("sealwatch.log", "team/app"), ("sealwatch.db", "team/app")] {
        assert!(found(name, word), "{name} holds {word}");
    }
    assert!(found("metrics", "watcher_auth_failures_total") && found("kit/", "cosign verify"));
    let bytes: usize = said.iter().map(|(_, text)| text.len()).sum();
    let names: Vec<&str> = said.iter().map(|(name, _)| name.as_str()).collect();
    println!("none of {} forms of 6 secrets in {bytes} bytes of {names:?}", secrets.len());
}

fn holds(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|found| found == word)
}
