//! Bodies of any size over real HTTP: what was read of them counts, what was not is looked for, and senders are answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use store::DeadLetterFilter;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use watcher::webhook::{
    Budget, DRAIN_MAX_BYTES, EVENTS_MAX, HEAD_MAX_BYTES, LETTERS_PER_DAY, READ_MAX_BYTES, read_again,
};
use watcher::{HookState, SourceAuth, SourceKind};

use crate::hooks::{dead_letters, state_over, waiting};
use crate::http::{Answer, post, read};
use crate::stage::{AUTHORIZATION, Options, Stage, serve, source};

const HEADERS: [(&str, &str); 1] = [("authorization", AUTHORIZATION)];

/// A notification with text of its sender's choice in it, and the event behind or before that text.
fn notification(host: &str, tag: &str, text: &str) -> Vec<u8> {
    json!({"events": [{
        "action": "push", "request": {"host": host, "method": "PUT", "useragent": text},
        "target": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": "team/app", "tag": tag},
    }]})
    .to_string()
    .into_bytes()
}

fn mac(key: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).expect("any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

async fn looks(stage: &Stage) -> u64 {
    stage.counted("watcher_events_total", "look")
}

/// A listener of its own with one source that proves itself by a code over the body.
async fn with_mac(stage: &Stage, change: impl FnOnce(&mut HookState)) -> SocketAddr {
    let sources = BTreeMap::from([(
        "mac".to_owned(),
        source(SourceKind::Generic, &stage.host, SourceAuth::HmacSha256("key".into())),
    )]);
    let mut state = state_over(stage, sources);
    change(&mut state);
    serve(state).await
}

#[tokio::test]
async fn a_push_is_taken_whatever_text_its_sender_put_beside_it() {
    let stage = Stage::start(Options::default()).await;
    for (n, text) in [
        // As Go writes 400,000 times `<`: 2.4 MB.
        "\\u003c".repeat(400_000),
        "\u{1f512}".repeat(700_000),
        "\"".repeat(1_500_000),
        "\\".repeat(1_500_000),
        "{\"events\":[".repeat(200_000),
    ]
    .into_iter()
    .enumerate()
    {
        let body = notification(&stage.host, &format!("v{n}"), &text);
        assert!(body.len() > 2 << 20 && (body.len() as u64) < READ_MAX_BYTES);
        let answer = post(stage.hooks, "/hooks/sandbox", &HEADERS, &body).await;
        assert_eq!((answer.status, answer.json()["accepted"].as_u64()), (202, Some(1)), "{answer:?}");
    }
    assert_eq!((waiting(&stage).await, dead_letters(&stage).await, looks(&stage).await), (5, 0, 0));
}

#[tokio::test]
async fn of_a_body_beyond_all_measure_what_was_read_counts_and_a_look_is_asked_for() {
    let stage = Stage::start(Options::default()).await;
    let filler = "x".repeat(usize::try_from(READ_MAX_BYTES).expect("a size") + 100_000);
    let before = json!({"events": [
        {"action": "push", "target": {"repository": "team/app", "tag": "v1"}, "request": {"host": stage.host}},
        {"action": "push", "target": {"repository": "team/app", "tag": "v2"}, "request": {"useragent": filler}},
    ]});
    let behind = notification(&stage.host, "v3", &filler);
    for (body, accepted) in [(before.to_string().into_bytes(), 1), (behind, 0)] {
        let answer = post(stage.hooks, "/hooks/sandbox", &HEADERS, &body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(answer.json(), json!({"accepted": accepted, "ignored": {}, "dead_letter": "too_large"}));
    }
    assert_eq!(looks(&stage).await, 2);
    let letters = stage.store.dead_letters(&DeadLetterFilter::default(), 9).await.expect("letters");
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter.reason == "too_large" && letter.body.len() == HEAD_MAX_BYTES));
    assert!(letters.iter().all(|letter| letter.body_size_bytes > READ_MAX_BYTES && letter.is_cut()));
}

#[tokio::test]
async fn the_sender_of_an_endless_body_is_answered_too() {
    let stage = Stage::start(Options::default()).await;
    let mut stream = TcpStream::connect(stage.hooks).await.expect("the listener answers");
    let head = format!(
        "POST /hooks/sandbox HTTP/1.1\r\nhost: x\r\nauthorization: {AUTHORIZATION}\r\ncontent-length: 9999999999\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("the head is taken");
    let piece = vec![b' '; 1 << 20];
    for _ in 0..=DRAIN_MAX_BYTES >> 20 {
        if stream.write_all(&piece).await.is_err() {
            break;
        }
    }
    let answer = read(stream).await;
    assert_eq!((answer.status, answer.header("connection")), (202, Some("close")), "{answer:?}");
    assert_eq!((looks(&stage).await, dead_letters(&stage).await), (1, 1));
}

#[tokio::test]
async fn a_large_body_that_does_not_end_in_time_counts_as_far_as_it_came() {
    let stage = Stage::start(Options::default()).await;
    let sources = BTreeMap::from([("slow".to_owned(), source(SourceKind::Generic, &stage.host, SourceAuth::None))]);
    let mut state = state_over(&stage, sources);
    state.body_deadline = Duration::from_secs(3);
    let hooks = serve(state).await;
    let mut stream = TcpStream::connect(hooks).await.expect("the listener answers");
    let head = b"POST /hooks/slow HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999999\r\n\r\n";
    stream.write_all(head).await.expect("the head is taken");
    stream.write_all(br#"{"events":[{"repository":"team/app","tag":"v1"},"#).await.expect("sent");
    let piece = vec![b' '; 1 << 20];
    for _ in 0..=READ_MAX_BYTES >> 20 {
        stream.write_all(&piece).await.expect("sent");
    }
    let answer = read(stream).await;
    assert_eq!((answer.status, answer.json()["accepted"].as_u64()), (202, Some(1)), "{answer:?}");
    assert_eq!(waiting(&stage).await, 2, "the event and the look");
}

#[tokio::test]
async fn more_events_than_one_body_may_bring_become_a_look() {
    let stage = Stage::start(Options::default()).await;
    let events: Vec<_> =
        (0..EVENTS_MAX + 7).map(|n| json!({"repository": format!("team/app{n}"), "tag": "v1"})).collect();
    let answer = stage.tell(json!({ "events": events })).await;
    assert_eq!(answer.status, 202);
    let wanted = json!({"accepted": EVENTS_MAX, "ignored": {"too_many_events": 7}, "dead_letter": "too_many_events"});
    assert_eq!(answer.json(), wanted);
    assert_eq!((waiting(&stage).await, looks(&stage).await), (EVENTS_MAX as u64 + 1, 1));
}

#[tokio::test]
async fn nothing_of_a_large_body_is_kept_before_its_code_was_right() {
    let stage = Stage::start(Options::default()).await;
    let hooks = with_mac(&stage, |_| {}).await;
    let large = |size: u64| -> Vec<u8> {
        let note = "x".repeat(usize::try_from(size).expect("a size"));
        format!(r#"{{"events":[{{"repository":"team/app","tag":"v1","note":"{note}"}}]}}"#).into_bytes()
    };
    for (size, status) in [(3 << 20, 202), (READ_MAX_BYTES + (1 << 20), 202)] {
        let body = large(size);
        let wrong = mac("other", &body);
        let answer = post(hooks, "/hooks/mac", &[("x-hub-signature-256", &wrong)], &body).await;
        assert_eq!(answer.status, 401);
        let good = mac("key", &body);
        let shorter = post(hooks, "/hooks/mac", &[("x-hub-signature-256", &good)], &body[..body.len() - 1]).await;
        assert_eq!(shorter.status, 401);
        let before = (waiting(&stage).await, dead_letters(&stage).await);
        assert_eq!(before, if size == 3 << 20 { (0, 0) } else { (1, 0) });
        let answer = post(hooks, "/hooks/mac", &[("x-hub-signature-256", &good)], &body).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    // The event of the first, and the look for the second, of which a letter was kept.
    assert_eq!((waiting(&stage).await, dead_letters(&stage).await), (2, 1));
}

#[tokio::test]
async fn strangers_find_no_room_beyond_the_budget_and_leave_it_behind_when_they_go() {
    let stage = Stage::start(Options::default()).await;
    let hooks = with_mac(&stage, |state| state.budget = Budget::new(150_000, 100_000)).await;
    let body = json!({"repository": "team/app", "tag": "v1", "note": "x".repeat(200_000)}).to_string();
    let good = mac("key", body.as_bytes());
    // Two bodies that do not go on hold 64 KiB each; the budget for one peer is less than that of both.
    let mut held = Vec::new();
    let mut busy = None;
    for _ in 0..2 {
        let mut stream = TcpStream::connect(hooks).await.expect("the listener answers");
        let head = format!(
            "POST /hooks/mac HTTP/1.1\r\nhost: x\r\nx-hub-signature-256: {good}\r\ncontent-length: 200000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("the head is taken");
        stream.write_all(&vec![b' '; 100_000]).await.expect("sent");
        tokio::time::sleep(Duration::from_millis(200)).await;
        held.push(stream);
    }
    if let Some(second) = held.pop() {
        busy = Some(read(second).await);
    }
    let busy: Answer = busy.expect("an answer");
    assert_eq!(busy.status, 503, "{busy:?}");
    assert!(busy.header("retry-after").is_some());
    drop(held);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = post(hooks, "/hooks/mac", &[("x-hub-signature-256", &good)], body.as_bytes()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

#[tokio::test]
async fn a_day_has_so_many_dead_letters_of_a_source_and_the_rest_is_counted() {
    let stage = Stage::start(Options::default()).await;
    let extra = 3;
    for n in 0..LETTERS_PER_DAY + extra {
        let answer = post(stage.hooks, "/hooks/sandbox", &HEADERS, b"{not json").await;
        assert_eq!(answer.status, 200);
        let kept = if n < LETTERS_PER_DAY { json!("not_json") } else { json!(null) };
        assert_eq!(answer.json()["dead_letter"], kept, "letter {n}");
    }
    assert_eq!(dead_letters(&stage).await, u64::from(LETTERS_PER_DAY));
    assert_eq!(stage.counted("watcher_dead_letters_dropped_total", "sandbox"), u64::from(extra));
    // Another source has its own, and pushes are taken all the same.
    let generic = post(stage.hooks, "/hooks/generic", &HEADERS, b"{not json").await;
    assert_eq!(generic.json()["dead_letter"], "not_json");
    let push = notification(&stage.host, "v1", "");
    assert_eq!(post(stage.hooks, "/hooks/sandbox", &HEADERS, &push).await.status, 202);
}

#[tokio::test]
async fn a_push_under_a_foreign_host_waits_as_a_letter_until_the_host_is_an_alias() {
    let stage = Stage::start(Options::default()).await;
    let body = notification("localhost:5000", "v1", "");
    assert_eq!(post(stage.hooks, "/hooks/sandbox", &HEADERS, &body).await.status, 200);
    let filter = DeadLetterFilter { reason: Some("foreign_host".to_owned()), ..DeadLetterFilter::default() };
    let letter = stage.store.dead_letters(&filter, 1).await.expect("letters").remove(0);

    let mut told = source(SourceKind::Distribution, &stage.host, SourceAuth::None);
    let reread = read_again(&letter.source, &told, &letter.body, 7);
    assert!(reread.events.is_empty());
    let line = watcher::webhook::alias_line(&letter.source, &told, &reread.foreign[0].host);
    assert_eq!(line.as_deref(), Some(r#"host_aliases = ["localhost:5000"] in [source.sandbox]"#));
    told.host_aliases.push("localhost:5000".to_owned());
    let reread = read_again(&letter.source, &told, &letter.body, 7);
    stage.store.record_events(&reread.events).await.expect("the event");
    assert!(stage.store.mark_replayed(letter.id, 8).await.expect("a mark"));
    assert_eq!(waiting(&stage).await, 1);
}

#[tokio::test]
async fn a_push_whose_announcement_was_too_large_is_found_by_a_look_and_signed() {
    let stage = Stage::start(Options { webhooks: false, ..Options::default() }).await;
    let registry = &stage.world.registry;
    let first = registry.push_image("team/app", "v1", "a").await.expect("a push");
    registry.push_image("other/app", "v1", "b").await.expect("a push");
    assert_eq!(stage.tell(json!({"repository": "team/app", "tag": "v1"})).await.status, 202);
    stage.settle().await;
    stage.assert_signed_once("team/app", &first.digest, 2);

    let second = registry.push_image("team/app", "v2", "c").await.expect("a push");
    let unsigned = registry.push_image("team/app", "nightly", "d").await.expect("a push");
    let filler = "x".repeat(usize::try_from(READ_MAX_BYTES).expect("a size"));
    let body = notification(&stage.host, "v2", &filler);
    let answer = post(stage.hooks, "/hooks/sandbox", &HEADERS, &body).await;
    assert_eq!((answer.status, answer.json()["accepted"].as_u64()), (202, Some(0)), "{answer:?}");
    stage.settle().await;
    stage.assert_signed_once("team/app", &second.digest, 4);
    stage.assert_signed_once("team/app", &first.digest, 4);
    assert_eq!(stage.bundles("team/app", &unsigned.digest).len(), 0, "no rule allows its tag");
}
