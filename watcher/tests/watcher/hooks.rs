//! Webhooks over real HTTP: what is refused, what is kept, what is counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use store::{Claim, LeasedEvent, NewEvent, NewJob, NewLook, ParkedBecause, Postponed, Skip, Store, StoreError};
use tokio::io::AsyncWriteExt;
use watcher::intake::{Intake, IntakeError, StoreIntake};
use watcher::{HookState, Metrics, Progress, SourceAuth, SourceKind};

use crate::http::{post, raw, read};
use crate::stage::{AUTHORIZATION, Options, Stage, serve, source};

const DIGEST: &str = "sha256:14a6d53f5527ad8f10c2b22ca5ad969d9a09ca7abc1b585b6e07d317b71016b4";

fn distribution(host: &str, repository: &str, tag: &str, digest: &str) -> Vec<u8> {
    json!({"events": [{
        "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": repository, "tag": tag,
            "digest": digest, "url": format!("http://{host}/v2/{repository}/manifests/{digest}"),
        },
        "request": {"host": host},
    }]})
    .to_string()
    .into_bytes()
}

pub(crate) async fn waiting(stage: &Stage) -> u64 {
    stage.store.counts().await.expect("counts").events_waiting
}

pub(crate) async fn dead_letters(stage: &Stage) -> u64 {
    stage.store.counts().await.expect("counts").dead_letters
}

#[tokio::test]
async fn a_push_is_durable_before_it_is_answered() {
    let stage = Stage::start(Options::default()).await;
    let body = distribution(&stage.host, "team/app", "v1", DIGEST);
    let answer = post(stage.hooks, "/hooks/sandbox", &[("authorization", AUTHORIZATION)], &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json(), json!({"accepted": 1, "ignored": {}, "dead_letter": null}));
    assert_eq!(waiting(&stage).await, 1);
    assert_eq!(stage.counted("watcher_events_total", "accepted"), 1);
}

#[tokio::test]
async fn a_wrong_or_missing_secret_is_refused_and_nothing_is_parsed() {
    let stage = Stage::start(Options::default()).await;
    let good = distribution(&stage.host, "team/app", "v1", DIGEST);
    for headers in [
        &[][..],
        &[("authorization", "Bearer wrong")][..],
        &[("authorization", "Bearer a-secret-for-test")][..],
        &[("authorization", "Basic YS1zZWNyZXQtZm9yLXRlc3Rz")][..],
        &[("x-hub-signature-256", "sha256=00")][..],
    ] {
        for body in [&good[..], b"{not json"] {
            let answer = post(stage.hooks, "/hooks/sandbox", headers, body).await;
            assert_eq!(answer.status, 401, "{headers:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"sealwatch\""));
        }
    }
    // Junk was never looked at, or it would be a dead letter.
    assert_eq!((waiting(&stage).await, dead_letters(&stage).await), (0, 0));
    assert_eq!(stage.counted("watcher_auth_failures_total", "sandbox"), 10);
    assert_eq!(stage.counted("watcher_events_total", ""), 0);
}

#[tokio::test]
async fn a_body_with_a_wrong_mac_is_refused_and_one_with_the_right_mac_is_taken() {
    use hmac::{Hmac, KeyInit, Mac};
    let stage = Stage::start(Options::default()).await;
    let sources = BTreeMap::from([(
        "mac".to_owned(),
        source(SourceKind::Generic, &stage.host, SourceAuth::HmacSha256("key".into())),
    )]);
    let hooks = serve(state_over(&stage, sources)).await;
    let body = json!({"repository": "team/app", "tag": "v1"}).to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"key").expect("any length");
    mac.update(body.as_bytes());
    let good = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let other = format!("{body} ");
    assert_eq!(post(hooks, "/hooks/mac", &[("x-hub-signature-256", &good)], other.as_bytes()).await.status, 401);
    assert_eq!(post(hooks, "/hooks/mac", &[("x-hub-signature-256", &good)], b"{not json").await.status, 401);
    assert_eq!((waiting(&stage).await, dead_letters(&stage).await), (0, 0));
    assert_eq!(post(hooks, "/hooks/mac", &[("x-hub-signature-256", &good)], body.as_bytes()).await.status, 202);
    assert_eq!(waiting(&stage).await, 1);
}

#[tokio::test]
async fn an_unknown_source_is_not_found() {
    let stage = Stage::start(Options::default()).await;
    for path in ["/hooks/other", "/hooks/", "/hooks", "/", "/hooks/sandbox/more", "/hooks/..%2fsandbox"] {
        let answer = post(stage.hooks, path, &[("authorization", AUTHORIZATION)], b"{}").await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let get = format!(
        "GET /hooks/sandbox HTTP/1.1\r\nhost: x\r\nauthorization: {AUTHORIZATION}\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(raw(stage.hooks, get.as_bytes()).await.status, 405);
}

#[tokio::test]
async fn a_slow_sender_is_not_waited_for() {
    let stage = Stage::start(Options::default()).await;
    let sources = BTreeMap::from([("slow".to_owned(), source(SourceKind::Generic, &stage.host, SourceAuth::None))]);
    let mut state = state_over(&stage, sources);
    state.body_deadline = Duration::from_millis(300);
    let hooks = serve(state).await;
    let began = std::time::Instant::now();
    let mut stream = tokio::net::TcpStream::connect(hooks).await.expect("the listener answers");
    let head = b"POST /hooks/slow HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head).await.expect("the head is taken");
    let answer = read(stream).await;
    assert_eq!(answer.status, 408, "{answer:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(dead_letters(&stage).await, 0);
}

#[tokio::test]
async fn junk_is_answered_kindly_kept_and_counted() {
    let stage = Stage::start(Options::default()).await;
    let headers = [("authorization", AUTHORIZATION)];
    for (body, reason) in [
        (&b"{not json"[..], "not_json"),
        (&b""[..], "not_json"),
        (&b"\xff\xfe\x00"[..], "not_json"),
        (&b"{\"push_data\":{}}"[..], "not_this_format"),
        (&b"[]"[..], "not_this_format"),
    ] {
        let answer = post(stage.hooks, "/hooks/sandbox", &headers, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["dead_letter"], reason);
    }
    assert_eq!((waiting(&stage).await, dead_letters(&stage).await), (0, 5));
    assert_eq!(stage.counted("watcher_dead_letters_total", ""), 5);
}

#[tokio::test]
async fn what_a_source_may_not_speak_for_is_no_event_and_counted() {
    let stage = Stage::start(Options::default()).await;
    let mut narrow = source(SourceKind::Distribution, &stage.host, SourceAuth::None);
    narrow.repositories = vec!["team/*".parse().expect("a glob")];
    narrow.host_aliases = vec!["registry:5000".to_owned()];
    let hooks = serve(state_over(&stage, BTreeMap::from([("narrow".to_owned(), narrow)]))).await;
    for (host, repository, status, reason) in [
        (stage.host.as_str(), "team/app", 202, None),
        ("registry:5000", "team/app", 202, None),
        ("Registry:5000", "team/lib", 202, None),
        ("localhost:5000", "team/app", 200, Some("foreign_host")),
        ("evil.example.com", "team/app", 200, Some("foreign_host")),
        ("169.254.169.254", "team/app", 200, Some("foreign_host")),
        (stage.host.as_str(), "other/app", 200, Some("foreign_repository")),
        (stage.host.as_str(), "team/sub/app", 200, Some("foreign_repository")),
    ] {
        let answer = post(hooks, "/hooks/narrow", &[], &distribution(host, repository, "v1", DIGEST)).await;
        assert_eq!(answer.status, status, "{host} {repository}");
        if let Some(reason) = reason {
            assert_eq!(answer.json()["ignored"][reason], 1, "{host} {repository}");
            // What names another host may be a push of ours; what names another repository is none that we may sign.
            let kept = if reason == "foreign_host" { json!(reason) } else { json!(null) };
            assert_eq!(answer.json()["dead_letter"], kept, "{host} {repository}");
        }
    }
    assert_eq!((waiting(&stage).await, dead_letters(&stage).await), (3, 3));
}

#[tokio::test]
async fn malformed_references_are_kept_and_counted_and_go_no_further() {
    let stage = Stage::start(Options::default()).await;
    let headers = [("authorization", AUTHORIZATION)];
    let upper = DIGEST.replace("14a6d5", "14A6D5");
    let mut count = 0;
    for (repository, tag, digest) in [
        ("../../etc", "v1", DIGEST),
        ("team/../../app", "v1", DIGEST),
        ("team/app", "../v1", DIGEST),
        ("team/app\u{0}", "v1", DIGEST),
        ("team/app", "v1\r\nx: y", DIGEST),
        ("team/\u{202e}app", "v1", DIGEST),
        ("team/app", "v1", &DIGEST[..70]),
        ("team/app", "v1", &upper),
        ("team/app", "v1", "sha256:"),
        ("team/app", "v1", "sha1:2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"),
    ] {
        let body = distribution(&stage.host, repository, tag, digest);
        let answer = post(stage.hooks, "/hooks/sandbox", &headers, &body).await;
        count += 1;
        assert_eq!(answer.status, 200, "{repository:?} {tag:?} {digest:?}");
        assert_eq!(answer.json()["ignored"]["malformed_reference"], 1, "{repository:?} {tag:?} {digest:?}");
    }
    assert_eq!((waiting(&stage).await, dead_letters(&stage).await), (0, count));
    assert_eq!(stage.counted("watcher_events_total", "malformed_reference"), count);
}

/// A queue that is down.
struct Broken;

#[async_trait]
impl Intake for Broken {
    async fn publish(&self, _: &[NewEvent]) -> Result<(), IntakeError> {
        Err(StoreError::UnknownEngine.into())
    }
    async fn publish_look(&self, _: &NewLook) -> Result<(), IntakeError> {
        Err(StoreError::UnknownEngine.into())
    }
    async fn next(
        &self,
        _: Duration,
        _: bool,
        _: &mut (dyn for<'n> FnMut(&'n str, &'n str) -> bool + Send),
    ) -> Result<Claim<LeasedEvent>, IntakeError> {
        Ok(Claim::Gone)
    }
    async fn ack(&self, _: &LeasedEvent, _: &[NewJob], _: &[Skip]) -> Result<bool, IntakeError> {
        Ok(false)
    }
    async fn put_back(&self, _: &LeasedEvent, _: &Postponed<'_>) -> Result<bool, IntakeError> {
        Ok(true)
    }

    async fn park(&self, _: &LeasedEvent, _: ParkedBecause, _: &str) -> Result<bool, IntakeError> {
        Ok(true)
    }
}

#[tokio::test]
async fn what_could_not_be_kept_is_asked_for_again() {
    let stage = Stage::start(Options::default()).await;
    let sources = BTreeMap::from([("s".to_owned(), source(SourceKind::Distribution, &stage.host, SourceAuth::None))]);
    let mut state = state_over(&stage, sources);
    state.intake = Arc::new(Broken);
    let hooks = serve(state).await;
    let answer = post(hooks, "/hooks/s", &[], &distribution(&stage.host, "team/app", "v1", DIGEST)).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{answer:?}");
    // Nothing to keep, nothing to fail.
    let pull = json!({"events": [{"action": "pull", "target": {}}]}).to_string();
    assert_eq!(post(hooks, "/hooks/s", &[], pull.as_bytes()).await.status, 200);
}

#[tokio::test]
async fn no_secret_shows_in_an_answer_or_a_metric() {
    let stage = Stage::start(Options::default()).await;
    let canary = "Bearer canary-7f3a";
    let answer = post(stage.hooks, "/hooks/sandbox", &[("authorization", canary)], b"{}").await;
    assert!(!format!("{answer:?}").contains("canary"));
    let mut shown = String::new();
    for family in stage.exposition.gather() {
        shown += &format!("{family:?}");
    }
    assert!(!shown.contains("canary") && !shown.contains("a-secret-for-tests"));
}

#[tokio::test]
async fn recorded_bodies_of_a_real_registry_are_read() {
    let Some(vectors) = vectors() else { return };
    let mut source = source(SourceKind::Distribution, "registry.example.com", SourceAuth::None);
    let read = |name: &str| -> (Vec<NewEvent>, BTreeMap<&'static str, u64>) {
        let body = std::fs::read(vectors.join("samples").join(name)).expect("a sample");
        let foreign = watcher::webhook::read_again("s", &source, &body, 7).foreign;
        source.host_aliases.extend(foreign.into_iter().map(|event| event.host));
        let reread = watcher::webhook::read_again("s", &source, &body, 7);
        assert_eq!(reread.junk, None, "{name}");
        (reread.events, reread.ignored.iter().map(|(reason, count)| (reason.as_str(), count)).collect())
    };
    let mut read = read;
    let (events, _) = read("distribution-push.json");
    assert_eq!((events.len(), events[0].repository.as_str()), (1, "team/app"));

    let (events, ignored) = read("distribution-2.8.2-all-actions.json");
    assert!(
        !events.is_empty() && ignored.contains_key("not_a_push") && ignored.contains_key("not_manifest"),
        "{ignored:?}"
    );
    // A delete of a tag carries neither media type nor digest; it is no push and not malformed.
    assert!(!ignored.contains_key("malformed_reference"), "{ignored:?}");
    // cosign's own writes: manifests by digest, and the tags under which signatures are kept.
    let (events, ignored) = read("distribution-2.8.2-cosign-3.1.1-push-events.json");
    assert!(!events.is_empty() && ignored.contains_key("signature_tag"), "{ignored:?}");
    assert!(events.iter().all(|event| event.tag.is_none()));
}

fn vectors() -> Option<std::path::PathBuf> {
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let path = std::env::var_os("SEALWATCH_VECTORS").map_or(beside, Into::into);
    if !path.join("samples").is_dir() {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "SKIPPED: no vectors at {}; set SEALWATCH_VECTORS", path.display());
        return None;
    }
    Some(path)
}

pub(crate) fn state_over(stage: &Stage, sources: BTreeMap<String, watcher::Source>) -> HookState {
    let store: Arc<dyn Store> = Arc::clone(&stage.store);
    let intake = Arc::new(StoreIntake::new(Arc::clone(&store), Arc::default()));
    let metrics = Metrics::new(&prometheus::Registry::new()).expect("metrics");
    HookState::new(sources, intake, store, metrics, Progress::new())
}
