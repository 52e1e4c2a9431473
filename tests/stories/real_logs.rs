//! Three real logs, full of strangers, while stock cosign and our own signer keep writing: each is read to its end, its
//! root is what another program computes, and of all that names us only what is rogue is found.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sandbox::{CaOptions, SandboxCa, leaves};
use serde_json::{Value, json};
use signer::key::file::{FileKey, load};

use crate::images::push;
use crate::own_log::OwnRekor2;
use crate::own_trillian::{OwnCt, OwnRekor1, OwnTrillian, post_all, root_by_another};
use crate::peers::{Process, Registry, cosign, free_port, must, run, shared};
use crate::population::{PERSON, Requests, ours, rogues};
use crate::scene::{PASSWORD, Rekor, Scene, eventually};
use crate::watched::{Raised, scale};

const SECRET: &str = "webhook-canary-91d2";
/// Rogue signatures, whatever the scale.
const ROGUES: usize = 50;
/// How long after the last write each log must be verified to its end.
const AT_MOST: Duration = Duration::from_secs(2);

struct Logs {
    v2: OwnRekor2,
    v1: OwnRekor1,
    ct: OwnCt,
    /// Origins, as the monitor names them: v2, v1, CT.
    origins: [String; 3],
}

impl Logs {
    fn sizes(&self) -> [u64; 3] {
        [self.v2.size(), self.v1.size(), self.ct.size()]
    }

    fn roots(&self, sizes: [u64; 3]) -> [String; 3] {
        let [v2, v1, ct] = sizes.map(|size| size.to_string());
        [
            root_by_another(&["v2", &self.v2.tiles, &v2]),
            root_by_another(&["v1", &self.v1.url, "0", &v1]),
            root_by_another(&["ct", &self.ct.url, &ct]),
        ]
    }
}

/// The scene's trusted root, with the story's own Rekor v1, CT log and certificate authority in it.
fn trust(scene: &Scene, logs: &Logs, ca: &SandboxCa) {
    let file = |name: &str| scene.path().join(name);
    std::fs::write(file("ca.pem"), ca.chain_pem()).expect("a chain");
    must(cosign("cosign-3", scene.path()).args(["trusted-root", "create", "--out", "more.json"]).args([
        format!("--fulcio=url={},certificate-chain=ca.pem", ca.url()),
        format!(
            "--ctfe=url={},public-key={},start-time=2024-01-01T00:00:00Z",
            logs.ct.url,
            logs.ct.public_key.display()
        ),
    ]));
    let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON") };
    let (mut root, more) = (read(&file("trusted_root.json")), read(&file("more.json")));
    for list in ["certificateAuthorities", "ctlogs"] {
        root[list] = more[list].clone();
    }
    let text = root.to_string().replace(&scene.shared.rekor1, &logs.v1.url);
    std::fs::write(file("trusted_root.json"), text).expect("a trusted root");
    // Stock cosign writes to both Rekors.
    let config = std::fs::read_to_string(scene.shared.folder.join("signing_config_1.json")).expect("a signing config");
    std::fs::write(file("signing_config_1.json"), config.replace(&scene.shared.rekor1, &logs.v1.url)).expect("a file");
}

fn configure(scene: &Scene, logs: &Logs, sink: u16) {
    let path = scene.distribution_config();
    let mut text = std::fs::read_to_string(&path).expect("a configuration");
    std::fs::write(scene.path().join("webhook.secret"), SECRET).expect("a secret");
    text.push_str(&format!(
        "\n[log.\"rekor1.test\"]\nversion = 1\nwrite_url = \"{}\"\nrequests_per_second = 1000\n\
         [monitor]\ninterval = \"200ms\"\ngrace = \"3s\"\nconfirm_for = \"20s\"\nrollback_after = \"20s\"\ninclusion_deadline = \"60s\"\n\
         [[watch]]\nname = \"nightly key\"\nkey_file = \"nightly.pub\"\n\
         [[watch]]\nname = \"release person\"\nsubject = \"{PERSON}\"\n\
         [[alert]]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{sink}/hook\"\nsecret_file = \"webhook.secret\"\n",
        logs.v1.url
    ));
    std::fs::write(path, text).expect("a configuration");
}

fn nightly(scene: &Scene) -> FileKey {
    let pem = std::fs::read(scene.path().join("nightly.key")).expect("our key");
    load(&pem, Some(&secrecy::SecretString::from(PASSWORD))).expect("its password")
}

/// Stock cosign signs with a stranger's key, over and over, now in one Rekor and now in the other.
fn cosign_on(scene: &Scene, registry: &Registry, digest: &str, stop: &AtomicBool, done: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        let round = done.load(Ordering::Relaxed);
        let config = if round.is_multiple_of(2) { "signing_config.json" } else { "signing_config_1.json" };
        let mut command = cosign("cosign-3", scene.path());
        command.args(["sign", "--yes", "--allow-http-registry", "--key", "stranger.key", "--signing-config", config]);
        must(command.args([
            "--trusted-root",
            "trusted_root.json",
            &format!("{}/elsewhere/app@{digest}", registry.host),
        ]));
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Somebody pushes images that our signer signs, over and over.
fn push_on(registry: &Registry, stop: &AtomicBool, done: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        let n = done.load(Ordering::Relaxed);
        push(&registry.host, &format!("nightly/app{n}"), "latest", &format!("image {n}"));
        done.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(1_000));
    }
}

/// `findings --json`, of every state.
fn findings(scene: &Scene) -> Vec<Value> {
    let output = run(&mut scene.sealwatch(&["findings", "--all", "--json", "--limit", "100000"]));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// How often each finding was told, by fingerprint.
fn told(scene: &Scene, fingerprints: &[String]) -> Vec<usize> {
    let text = std::fs::read_to_string(scene.path().join("webhook.jsonl")).unwrap_or_default();
    let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.iter().all(|line| line["valid"] == true), "a webhook without a valid signature");
    let times = |print: &String| lines.iter().filter(|line| line.to_string().contains(print.as_str())).count();
    fingerprints.iter().map(times).collect()
}

#[test]
fn three_real_logs_are_read_to_their_ends_and_only_what_is_rogue_is_found() {
    let Some(shared) = shared("three_real_logs_are_read_to_their_ends_and_only_what_is_rogue_is_found") else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let authority = || runtime.block_on(SandboxCa::start(CaOptions::default())).expect("an authority");
    let (ca, stranger) = (authority(), authority());
    let trillian = OwnTrillian::start(&shared);
    let strangers = leaves::authority_chain_der().iter().map(|der| pem(der)).collect::<String>();
    let v2 = OwnRekor2::start(&shared);
    let ct = trillian.ct(&(strangers + &ca.chain_pem()));
    let tree = trillian.tree();
    let v1 = trillian.rekor(free_port(), &tree, &[]);
    let at = |url: &str| url.split_once("://").expect("a URL").1.to_owned();
    let origins = ["rekor2.test".to_owned(), format!("rekor1.test - {tree}"), at(&ct.url)];
    let logs = Logs { v2, v1, ct, origins };
    let mut scene = Scene::new(shared, Rekor::V2);
    scene.log_to(&logs.v2);
    trust(&scene, &logs, &ca);
    let sink = free_port();
    configure(&scene, &logs, sink);
    let mut script = std::process::Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/sinks"));
    script.args(["webhook", &sink.to_string(), SECRET, "webhook.jsonl"]).current_dir(scene.path());
    let _sink = Process::start(&mut script, &scene.path().join("sink.log")).ready(sink);

    // What will be in the logs; our own signatures are in the ledger before any log hears of them.
    let key = nightly(&scene);
    let mut all = Requests::of_strangers(scale(100_000), scale(20_000), scale(5_000));
    let ledger = format!("sqlite:{}", scene.path().join("sealwatch.db").display());
    let (own, derived) = ours(&key, &ledger, scale(1_000), &stranger);
    let (own_count, derived_count) = (own.v2.len(), derived.v2.len() + derived.v1.len());
    for more in [own, derived, rogues(&key, &ca)] {
        all.mix(more);
    }

    must(&mut scene.sealwatch(&["logs", "trust", "--all", "--because", "a story"]));
    let registry = scene.distribution();
    let _up = scene.up(None);
    let mut keys = cosign("cosign-3", scene.path());
    must(keys.args(["generate-key-pair", "--output-key-prefix", "stranger"]));
    let image = push(&registry.host, "elsewhere/app", "v1", "somebody else's");
    let (stop, cosigned) = (AtomicBool::new(false), AtomicU64::new(0));
    let pushes = AtomicU64::new(0);
    let start = Instant::now();
    let verified = || -> [u64; 3] {
        [0, 1, 2].map(|n| scene.metric(&["sealwatch_log_verified_size{", &format!("\"{}\"", logs.origins[n])]) as u64)
    };
    let fill = |url: String, bodies: &[Vec<u8>], at_once: usize| {
        post_all(&url, bodies, at_once);
        println!("{} entries at {url} after {:.0?}; verified then: {:?}", bodies.len(), start.elapsed(), verified());
    };
    let many = (all.v2.len() / 50).clamp(512, 2048);
    // While the logs fill, and until what filled them is verified, cosign and our signer keep writing.
    let filled = std::thread::scope(|scope| {
        let _writers_end = Raised(&stop);
        scope.spawn(|| cosign_on(&scene, &registry, &image, &stop, &cosigned));
        scope.spawn(|| push_on(&registry, &stop, &pushes));
        let v2 = scope.spawn(|| fill(format!("{}/api/v2/log/entries", logs.v2.url), &all.v2, many));
        let v1 = scope.spawn(|| fill(format!("{}/api/v1/log/entries", logs.v1.url), &all.v1, 96));
        let ct = scope.spawn(|| fill(format!("{}/ct/v1/add-chain", logs.ct.url), &all.ct, 16));
        let filled = [v2, v1, ct].map(|writer| writer.join().is_ok());
        let since = Instant::now();
        let counts = [all.v2.len(), all.v1.len(), all.ct.len()].map(|count| count as u64);
        let is_read = || verified().iter().zip(counts).all(|(verified, count)| *verified >= count);
        while filled == [true; 3] && since.elapsed() < Duration::from_secs(600) && !is_read() {
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("what filled them is verified {:.1?} after the last of it was written", since.elapsed());
        stop.store(true, Ordering::Relaxed);
        filled
    });
    assert_eq!(filled, [true; 3], "every log took everything");
    let pushed = pushes.load(Ordering::Relaxed);
    eventually("our own signer is done", 120, || scene.status()["jobs_done"].as_f64() >= Some(pushed as f64));
    let writing = start.elapsed();

    // Writing has stopped.
    let stopped = Instant::now();
    let counts = [all.v2.len(), all.v1.len(), all.ct.len()].map(|count| count as u64);
    let mut after = [None; 3];
    while after.contains(&None) {
        let (sizes, verified) = (logs.sizes(), verified());
        for n in 0..3 {
            if sizes[n] >= counts[n] && verified[n] == sizes[n] {
                after[n].get_or_insert(stopped.elapsed());
            }
        }
        assert!(
            stopped.elapsed() < Duration::from_secs(60),
            "logs {sizes:?}, verified {verified:?}, written {counts:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let after = after.map(|it| it.expect("each is at its end"));
    let sizes = logs.sizes();
    println!(
        "logs of {sizes:?} leaves (v2, v1, CT), written in {writing:.0?}; {} signatures by cosign and {pushed} images by our \
         signer meanwhile; verified to the end {after:.2?} after writing stopped",
        cosigned.load(Ordering::Relaxed)
    );

    roots_agree(&scene, &logs, sizes, &ledger, &runtime);
    only_what_is_rogue(&scene, &logs, &ledger, &runtime, own_count, derived_count, pushed);
    assert!(after.iter().all(|it| *it <= AT_MOST), "verified to the end only after {after:.2?}");
}

fn roots_agree(scene: &Scene, logs: &Logs, sizes: [u64; 3], ledger: &str, runtime: &tokio::runtime::Runtime) {
    let roots = logs.roots(sizes);
    assert_eq!(logs.sizes(), sizes, "nobody writes any more");
    for n in 0..3 {
        let log = runtime.block_on(async {
            let store = store::open_beside(ledger).await.expect("the store");
            store.followed_log(&logs.origins[n]).await.expect("the store").expect("it is followed")
        });
        assert_eq!(log.verified_size, sizes[n], "{}", log.origin);
        assert_eq!(hex::encode(log.verified_root), roots[n], "{}: another program computes another root", log.origin);
    }
    let said = run(&mut scene.sealwatch(&["logs", "--json"]));
    let said: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let covered: BTreeMap<&str, (u64, u64)> = said["logs"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|log| Some((log["origin"].as_str()?, (log["covered_from"].as_u64()?, log["covered_to"].as_u64()?))))
        .collect();
    assert!(logs.origins.iter().zip(sizes).all(|(origin, size)| covered[&**origin] == (0, size)), "{covered:?}");
    println!("roots agree with tests/peers/root: {}", roots.map(|root| root[..16].to_owned()).join(", "));
}

fn only_what_is_rogue(
    scene: &Scene,
    logs: &Logs,
    ledger: &str,
    runtime: &tokio::runtime::Runtime,
    own: usize,
    derived: usize,
    pushed: u64,
) {
    let store = runtime.block_on(store::open_beside(ledger)).expect("the store");
    eventually("every rogue signature is found", 60, || findings(scene).len() >= ROGUES);
    eventually("nothing waits for the ledger", 60, || {
        runtime.block_on(store.suspects_waiting()).expect("the store") == 0
    });
    let found = findings(scene);
    let mut by_log: BTreeMap<(String, String), usize> = BTreeMap::new();
    for finding in &found {
        let text = |field: &str| finding[field].as_str().unwrap_or_default().to_owned();
        assert_eq!(finding["occurrences"], 1, "found twice: {finding}");
        // Copies of one signature are one finding, in whichever log they are: the log is in the words alone.
        let detail = text("detail");
        let log = logs.origins.iter().find(|origin| detail.contains(&format!("of the log {origin} ")));
        *by_log.entry((text("kind"), log.cloned().unwrap_or(detail))).or_default() += 1;
    }
    let [v2, v1, ct] = &logs.origins;
    let expected = [
        ("key_used_outside", v2, 20),
        ("key_used_outside", v1, 10),
        ("unexpected_identity", v2, 10),
        ("unexpected_identity", v1, 5),
        ("unexpected_identity", ct, 5),
    ];
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(k, log, n)| ((k.to_owned(), log.clone()), n)).collect();
    assert_eq!(by_log, expected, "each rogue signature, and nothing else");
    let fingerprints: Vec<String> = found.iter().filter_map(|f| f["fingerprint"].as_str().map(str::to_owned)).collect();
    eventually("each is told", 60, || told(scene, &fingerprints).iter().all(|times| *times > 0));
    assert!(told(scene, &fingerprints).iter().all(|times| *times == 1), "each is told once");
    let counted: BTreeMap<String, u64> =
        runtime.block_on(store.counted_leaves()).expect("the store").into_iter().collect();
    let of_us: u64 = ["ours", "derived", "untrusted_chain"].iter().filter_map(|reason| counted.get(*reason)).sum();
    let made = own as u64 + derived as u64 + 2 * pushed;
    assert!(of_us >= made, "of {made} leaves of ours and derived from ours {counted:?} were seen");
    println!(
        "{} of {ROGUES} rogue signatures found once and told once; of {} of our own and {derived} derived leaves nobody is paged: {}",
        found.len(),
        own as u64 + 2 * pushed,
        json!(counted)
    );
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
