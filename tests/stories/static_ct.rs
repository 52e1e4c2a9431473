//! A real static-ct log, followed over TLS: every leaf, a restart of it, each rogue certificate once, and its lies.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox::{CaOptions, Identity, Issued, SandboxCa, SandboxKey, leaves};

use crate::http;
use crate::own_sunlight::{ORIGIN, OwnSunlight};
use crate::own_trillian::root_by_another;
use crate::peers::{Process, Shared, cosign, must, shared};
use crate::population::{ISSUER, PERSON, add_chain};
use crate::scene::eventually;
use crate::watched::{Watched, scale};

/// Numbers that no certificate of the story has twice.
#[derive(Default)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// The log takes certificates for servers only, so these are for code signing and for servers.
fn authority(runtime: &tokio::runtime::Runtime) -> SandboxCa {
    let options = CaOptions { for_servers: true, ..CaOptions::default() };
    runtime.block_on(SandboxCa::start(options)).expect("an authority")
}

fn issue(ca: &SandboxCa, numbers: &mut Numbers, who: Option<&str>) -> Issued {
    let number = numbers.next();
    let identity = who.map_or_else(|| leaves::identity(number), |who| Identity::email(ISSUER, who));
    ca.issue(&identity, SandboxKey::numbered(30_000 + number).spki()).expect("a certificate")
}

/// Strangers: one as a certificate, the next as a precertificate, and every tenth as both.
fn add_others(log: &OwnSunlight, ca: &SandboxCa, numbers: &mut Numbers, count: u64) {
    let (mut certificates, mut precertificates) = (Vec::new(), Vec::new());
    while ((certificates.len() + precertificates.len()) as u64) < count {
        let issued = issue(ca, numbers, None);
        if numbers.0.is_multiple_of(2) || numbers.0.is_multiple_of(5) {
            certificates.push(add_chain(&issued.certificate, ca.chain_der()));
        }
        if !numbers.0.is_multiple_of(2) {
            precertificates.push(add_chain(&issued.precertificate, ca.chain_der()));
        }
    }
    log.add(&certificates, &precertificates);
}

/// Trusts the authority; the log is in the trusted root too, as Sigstore's are, and its table says how it is read.
fn configure(watched: &Watched, log: &OwnSunlight, ca: &SandboxCa, read_url: &str) {
    let file = |name: &str| watched.path().join(name);
    std::fs::write(file("ca.pem"), ca.chain_pem()).expect("a chain");
    let key = log.public_key.display();
    must(cosign("cosign-3", watched.path()).args(["trusted-root", "create", "--out", "trusted_root.json"]).args([
        format!("--fulcio=url={},certificate-chain=ca.pem", ca.url()),
        format!("--ctfe=url=https://{ORIGIN},public-key={key},start-time=2024-01-01T00:00:00Z"),
    ]));
    let text = format!(
        "[store]\nurl = \"{}\"\n[server]\nmetrics = \"127.0.0.1:{}\"\n[sigstore.private]\ntrusted_root = \"trusted_root.json\"\n\
         [log.\"{ORIGIN}\"]\nkind = \"static-ct\"\nread_url = \"{read_url}\"\npublic_key_file = {:?}\nca_file = {:?}\n\
         [monitor]\n{}[[watch]]\nname = \"release person\"\nsubject = \"{PERSON}\"\n",
        watched.store, watched.metrics, log.public_key, log.tls_ca, watched.timing
    );
    std::fs::write(file("sealwatch.toml"), text).expect("a configuration");
}

/// Position, covered range and root are those of the log's checkpoint, and of a program that is not ours.
fn is_at_the_head(watched: &Watched, log: &OwnSunlight) {
    let (size, root) = log.head();
    let shown = watched.log();
    assert_eq!((shown["covered_from"].as_u64(), shown["covered_to"].as_u64()), (Some(0), Some(size)), "{shown}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let url = format!("sqlite:{}", watched.path().join("sealwatch.db").display());
    let stored = runtime.block_on(async {
        let store = store::open_beside(&url).await.expect("the store");
        store.followed_log(ORIGIN).await.expect("the store").expect("a followed log")
    });
    assert_eq!((stored.verified_size, STANDARD.encode(stored.verified_root)), (size, root));
    let another = root_by_another(&["static-ct", &format!("file://{}", log.storage.display()), &size.to_string()]);
    assert_eq!(hex::encode(stored.verified_root), another, "another program computes another root");
}

/// Each rogue certificate has one finding, and nothing else has.
fn only_rogues(watched: &Watched, seen: &[u64]) {
    eventually("each rogue certificate is found", 30, || {
        let found = watched.of_kind("unexpected_identity");
        found.iter().filter_map(|it| it["occurrences"].as_u64()).sum::<u64>() >= seen.iter().sum()
    });
    let findings = watched.findings();
    assert!(findings.iter().all(|it| it["kind"] == "unexpected_identity"), "{findings:?}");
    let mut occurrences: Vec<u64> = findings.iter().filter_map(|it| it["occurrences"].as_u64()).collect();
    occurrences.sort_unstable();
    assert_eq!(occurrences, seen, "{findings:?}");
}

/// One bit of a leaf in a data tile, which the log keeps as gzip.
fn change(tile: &Path, at: usize) {
    let script = "import gzip,sys; p=sys.argv[1]; b=bytearray(gzip.open(p).read()); b[int(sys.argv[2])]^=1; open(p,'wb').write(gzip.compress(b))";
    must(Command::new("python3").args(["-c", script]).arg(tile).arg(at.to_string()));
}

#[test]
fn a_real_static_ct_log_is_followed_and_its_lies_are_found() {
    let Some(shared) = shared("a_real_static_ct_log_is_followed_and_its_lies_are_found") else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (ca, stranger) = (authority(&runtime), authority(&runtime));
    let mut log = OwnSunlight::start(&[&ca, &stranger]);
    let mut numbers = Numbers::default();
    let watched = Watched::new(&shared);
    configure(&watched, &log, &ca, &log.tiles);
    add_others(&log, &ca, &mut numbers, scale(4_000));

    // Rogues: logged as a certificate, as a precertificate, and as both. And what names our person, but an authority that
    // we do not trust has issued it.
    let [one, two, both] = [(); 3].map(|()| issue(&ca, &mut numbers, Some(PERSON)));
    let forged = issue(&stranger, &mut numbers, Some(PERSON));
    log.add(
        &[add_chain(&one.certificate, ca.chain_der()), add_chain(&both.certificate, ca.chain_der())],
        &[add_chain(&two.precertificate, ca.chain_der()), add_chain(&both.precertificate, ca.chain_der())],
    );
    log.add(
        &[add_chain(&forged.certificate, stranger.chain_der())],
        &[add_chain(&forged.precertificate, stranger.chain_der())],
    );
    let start = Instant::now();
    watched.trust();
    let monitor = watched.serve();
    let caught_up = || watched.verified() == log.head().0;
    eventually("the monitor is at the head", 60, caught_up);
    let first = (log.head().0, start.elapsed());
    assert_eq!(first.0, scale(4_000) + 6, "the log has everything, and nothing twice");
    is_at_the_head(&watched, &log);
    only_rogues(&watched, &[1, 1, 2]);

    // The log is started again and grows.
    log.stop();
    let early = std::fs::read(log.storage.join("checkpoint")).expect("a checkpoint");
    log.start_again();
    add_others(&log, &ca, &mut numbers, scale(3_000));
    let after = issue(&ca, &mut numbers, Some(PERSON));
    log.add(&[], &[add_chain(&after.precertificate, ca.chain_der())]);
    eventually("the monitor is at the head again", 60, || watched.verified() == log.head().0);
    let second = log.head().0;
    assert_eq!(second, first.0 + scale(3_000) + 1);
    is_at_the_head(&watched, &log);
    only_rogues(&watched, &[1, 1, 1, 2]);
    let verdicts: Vec<String> =
        watched.of_kind("unexpected_identity").iter().map(|finding| watched.replay(finding)).collect();

    let crowded = crowded(&watched, &log, &ca, &mut numbers);
    let disk = format!("file://{}", log.storage.display());
    let from_disk = read_anew(&shared, &log, &ca, &disk, &[1, 1, 1, 2]);
    log.stop();
    log.remove_partials();
    let outgrown = log.storage.join(format!("tile/data/{:03}", first.0 / 256));
    assert!(outgrown.exists() && !outgrown.with_extension("p").exists(), "the early head's last tile is whole now");
    let newest = std::fs::read(log.storage.join("checkpoint")).expect("a checkpoint");
    let put_back = |checkpoint: &[u8]| std::fs::write(log.storage.join("checkpoint"), checkpoint).expect("ours");
    put_back(&early);
    let (finding, after_rollback) = watched.found("rollback", 30);
    let rollback = watched.replay(&finding);
    // Whoever sees only that head reads as far as it goes, from tiles that have outgrown it.
    assert_eq!(read_anew(&shared, &log, &ca, &log.tiles, &[1, 1, 2]), first.0);
    put_back(&newest);
    log.start_again();
    monitor.stop();

    // What was not read yet is changed.
    let read = log.head().0;
    add_others(&log, &ca, &mut numbers, 600);
    log.stop();
    log.unlock();
    let next_tile = read.div_ceil(256);
    assert!(next_tile < 1000, "the log is small");
    change(&log.storage.join(format!("tile/data/{next_tile:03}")), 150);
    let _monitor = watched.serve();
    let (changed, after_change) = watched.found("leaf_not_committed", 60);
    let verdict = watched.replay(&changed);
    assert_eq!(watched.verified(), read, "nothing of it is believed");
    let mut kinds: Vec<String> = watched.findings().iter().map(|it| it["kind"].to_string()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, ["\"leaf_not_committed\"", "\"rollback\"", "\"unexpected_identity\""], "nothing else pages");
    println!(
        "static-ct: sunlight with {} leaves over TLS, verified {:.1?} after following began, {second} after its restart; roots \
         agree; 4 rogue certificates, each found once ({}); {crowded}; {from_disk} leaves from its directory; rollback after \
         {after_rollback:.1?} ({rollback}); changed byte after {after_change:.1?} ({verdict})",
        first.0, first.1, verdicts[0]
    );
}

/// Skylight answers 75 requests per second of all clients together that give no address. While somebody uses them up the
/// monitor is refused too, and asks no more than it must; when he is gone it gets to the head.
fn crowded(watched: &Watched, log: &OwnSunlight, ca: &SandboxCa, numbers: &mut Numbers) -> String {
    let port = log.tiles.rsplit(':').next().expect("a port");
    let script = "import http.client,ssl,sys\nc=http.client.HTTPSConnection('localhost',int(sys.argv[1]),context=ssl._create_unverified_context())\n\
                  while True: c.request('GET','/checkpoint'); c.getresponse().read()";
    let mut crowd = Command::new("python3");
    crowd.args(["-c", script, port]);
    let counted = ["sealwatch_log_requests_total", "sealwatch_log_rate_limited_total"];
    let now = || counted.map(|name| metric(watched, name));
    let (since, before) = (Instant::now(), now());
    let crowd = Process::start(&mut crowd, &watched.path().join("crowd.log"));
    eventually("the monitor is refused as well", 60, || now()[1] >= before[1] + 3);
    add_others(log, ca, numbers, 20);
    let (time, after) = (since.elapsed(), now());
    let (requests, refusals) = (after[0] - before[0], after[1] - before[1]);
    assert!(requests as f64 <= 30.0 * time.as_secs_f64() + 30.0, "{requests} requests in {time:?}");
    drop(crowd);
    eventually("the monitor is at the head when the crowd is gone", 90, || watched.verified() == log.head().0);
    format!("in a crowd of {time:.1?} it asked {requests} times and was refused {refusals} times")
}

fn metric(watched: &Watched, name: &str) -> u64 {
    let answer = http::request("GET", &format!("http://127.0.0.1:{}/metrics", watched.metrics), &[], b"");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

/// Reads the log with a monitor that has never seen it, and finds the same there.
fn read_anew(shared: &Shared, log: &OwnSunlight, ca: &SandboxCa, read_url: &str, seen: &[u64]) -> u64 {
    let watched = Watched::new(shared);
    configure(&watched, log, ca, read_url);
    watched.trust();
    let (code, report) = watched.once();
    assert_eq!(code, 1, "there are findings: {report}");
    is_at_the_head(&watched, log);
    only_rogues(&watched, seen);
    watched.verified()
}
