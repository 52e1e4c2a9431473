//! The same push, told again and again: one signature per format, whoever repeats whatever.

use std::path::Path;
use std::process::Command;
use std::sync::Barrier;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bundle::Digest;
use serde_json::{Value, json};

use crate::logs::Log;
use crate::once::{bundle_signatures, signed_exactly_once};
use crate::own_log::OwnRekor2;
use crate::peers::{must, shared};
use crate::proxy::Proxy;
use crate::scene::{Rekor, Scene, eventually};
use crate::{http, images};

/// How often the event is told at once.
const TIMES: usize = 200;
/// How much others write between an upload and its repetition; Rekor v2 remembers 256 entries.
const FOREIGN: usize = 300;

#[test]
fn an_event_told_200_times_at_once_and_again_after_a_restart_is_signed_once_with_rekor_v1() {
    let Some(shared) = shared("an_event_told_200_times_at_once_and_again_after_a_restart_is_signed_once_with_rekor_v1")
    else {
        return;
    };
    told_200_times(&Scene::new(shared, Rekor::V1));
}

#[test]
fn an_event_told_200_times_at_once_and_again_after_a_restart_is_signed_once_with_rekor_v2() {
    let Some(shared) = shared("an_event_told_200_times_at_once_and_again_after_a_restart_is_signed_once_with_rekor_v2")
    else {
        return;
    };
    told_200_times(&Scene::new(shared, Rekor::V2));
}

fn told_200_times(scene: &Scene) {
    scene.distribution_config();
    let registry = scene.distribution();
    let log = Log::of(scene);
    // Nobody listens yet: the registry tells us of its push while the 200 come in.
    let digest = images::push(&registry.host, "team/app", "v1", "twins");
    for start in ["at first", "after a restart"] {
        let sealwatch = scene.up(None);
        let answers = post_at_once(scene, &scene.distribution_event("team/app", "v1", &digest));
        assert!(answers.iter().all(|status| *status == 202), "{start}: {answers:?}");
        eventually("everything that was told is dealt with", 60, || at_rest(scene, 2));
        assert!(scene.metric(&["watcher_events_total", "\"accepted\""]) >= TIMES as f64, "{start}");
        let leaves = log.leaves_of(&scene.path().join("release.pub"));
        signed_exactly_once(&registry, &leaves, "team/app", &digest);
        assert_eq!(leaves.len(), 2, "{start}: one leaf per format");
        assert_eq!(sealwatch.stop(), Some(0), "{start}");
        println!("{start}: {TIMES} deliveries at once, all accepted; in the log: {} leaves of our key", leaves.len());
    }
}

fn post_at_once(scene: &Scene, event: &Value) -> Vec<u16> {
    let together = Barrier::new(TIMES);
    std::thread::scope(|scope| {
        let post = || {
            together.wait();
            scene.post("registry", event)
        };
        let threads: Vec<_> = (0..TIMES).map(|_| scope.spawn(post)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a post")).collect()
    })
}

/// Nothing waits, nothing is under way, and so many signatures are attached.
fn at_rest(scene: &Scene, attached: u64) -> bool {
    let status = scene.status();
    let busy = ["events_waiting", "events_leased", "jobs_ready", "jobs_leased"];
    busy.iter().all(|count| status[count] == 0) && status["signatures_attached"] == attached
}

#[test]
fn an_upload_whose_answer_was_lost_is_repeated_and_the_second_identical_leaf_is_recorded_as_ours() {
    let Some(shared) =
        shared("an_upload_whose_answer_was_lost_is_repeated_and_the_second_identical_leaf_is_recorded_as_ours")
    else {
        return;
    };
    let mut scene = Scene::new(shared, Rekor::V2);
    let own = OwnRekor2::start(&scene.shared);
    scene.log_to(&own);
    let proxy = Proxy::before(&own.url);
    let foreign = foreign_requests(scene.path());
    scene.put_before_the_log(&proxy.url);
    let config = scene.distribution_config();
    // Both formats would be on their way to the log at the same time.
    let text = std::fs::read_to_string(&config).expect("a configuration");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("formats"));
    let alone = lines.collect::<Vec<_>>().join("\n").replace("[[rule]]", "[[rule]]\nformats = [\"bundle\"]");
    std::fs::write(&config, alone).expect("a configuration");
    let registry = scene.distribution();
    let log = Log::of(&scene);
    let sealwatch = scene.up(None);

    proxy.lose_the_next_answer();
    let digest = images::push(&registry.host, "team/app", "v1", "lost");
    eventually("the log has answered, nobody heard it, and the upload is repeated", 30, || {
        !proxy.answers().is_empty() && proxy.waiting() == 1
    });
    let written = write_all(&own.url, &foreign);
    assert!(written.iter().all(|status| *status == 201), "{written:?}");
    proxy.open();
    eventually("the signature is attached", 60, || at_rest(&scene, 1));

    let answers = proxy.answers();
    println!("{} foreign writes between; the log answered {answers:?}", written.len());
    let [first, second] = &answers[..] else { panic!("two answers: {answers:?}") };
    assert_eq!((first.status, second.status), (201, 201), "the log had forgotten");
    assert_eq!((first.lost, second.lost), (true, false));
    let (first, second) = (first.index.expect("an index"), second.index.expect("an index"));
    assert!(second >= first + FOREIGN as u64, "{first} {second}");

    let leaves = log.leaves_of(&scene.path().join("release.pub"));
    let of =
        |index: u64| leaves.iter().find(|leaf| leaf.index == index).unwrap_or_else(|| panic!("leaf {index} is ours"));
    assert_eq!(leaves.len(), 2, "the bundle's, twice");
    assert_eq!(of(first).body, of(second).body, "the two leaves are identical");
    let in_the_registry = bundle_signatures(&registry, "team/app", &digest);
    assert_eq!(in_the_registry, [leaves[0].signature.clone()], "one bundle, of the signature that is logged");

    let image = format!("{}/team/app:v1", registry.host);
    let explained = must(&mut scene.sealwatch(&["explain", "--json", "-c", "sealwatch.toml", &image]));
    let explained: Value = serde_json::from_str(&explained).expect("explain --json is JSON");
    let signatures = explained["signatures"].as_array().expect("signatures");
    let bundle = signatures.iter().find(|signature| signature["format"] == "bundle").expect("the bundle's row");
    println!("explain: {}", bundle["entries"]);
    assert_eq!(bundle["entries"], json!([{"origin": "rekor2.test", "index": second}]));
    assert!(bundle["attached_at"].is_i64());
    assert_eq!(sealwatch.stop(), Some(0));
}

/// Requests that Rekor v2 takes, of a key that is not ours: 300 different ones.
fn foreign_requests(folder: &Path) -> Vec<String> {
    let script = format!(
        "openssl ecparam -name prime256v1 -genkey -noout -out foreign.key 2>/dev/null && \
         openssl pkey -in foreign.key -pubout -outform DER -out foreign.der && \
         for i in $(seq 0 {}); do printf 'foreign %s' $i | openssl dgst -sha256 -sign foreign.key -out foreign-$i.sig || exit 1; done",
        FOREIGN - 1
    );
    must(Command::new("sh").current_dir(folder).args(["-c", &script]));
    let read = |name: &str| std::fs::read(folder.join(name)).expect("openssl wrote it");
    let key = BASE64.encode(read("foreign.der"));
    let request = |n: usize| {
        let digest = BASE64.encode(Digest::of(format!("foreign {n}").as_bytes()).as_bytes());
        let verifier = json!({"publicKey": {"rawBytes": key}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"});
        let signature = json!({"content": BASE64.encode(read(&format!("foreign-{n}.sig"))), "verifier": verifier});
        json!({"hashedRekordRequestV002": {"digest": digest, "signature": signature}}).to_string()
    };
    (0..FOREIGN).map(request).collect()
}

/// Writes them all at once; the answers.
fn write_all(log: &str, requests: &[String]) -> Vec<u16> {
    let url = format!("{log}/api/v2/log/entries");
    let headers = [("Content-Type", "application/json")];
    std::thread::scope(|scope| {
        let write = |body: &String| http::request("POST", &url, &headers, body.as_bytes()).status;
        let threads: Vec<_> = requests.iter().map(|body| scope.spawn(move || write(body))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a write")).collect()
    })
}
