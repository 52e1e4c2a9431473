//! A server that refuses, breaks off, never ends or answers nonsense: errors, slower, never something missing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outbound::OutboundError;
use tlog::tile::format_entries;

use super::super::{Fresh, ReadError, Readers};
use super::stub::{Reply, Stub};
use super::{leaf, reader, spec};
use crate::config::{Limits, LogKind, LogSpec};

const CHECKPOINT: &str = "log.test\n3\nroot\n";

fn bundle() -> Vec<u8> {
    format_entries(&[leaf(0), leaf(1), leaf(2)]).expect("a bundle")
}

async fn ask(stub: &Stub) -> Result<usize, ReadError> {
    let reader = reader(LogKind::RekorV2, "log.test", stub.url.clone());
    reader.leaves(0, 3, 3, Fresh::No).await.map(|batch| batch.len())
}

#[tokio::test]
async fn refusals_and_broken_answers_are_errors_and_slow_us_down() {
    let page = b"<html>go away</html>";
    for (reply, slower) in [
        (Reply::new(429, "", page), true),
        (Reply::new(429, "retry-after: 5\r\n", page), true),
        (Reply::new(500, "", page), true),
        (Reply::new(503, "retry-after: 1\r\n", page), true),
        (Reply::new(401, "", page), false),
        (Reply::new(302, "location: /elsewhere\r\n", b""), false),
        (Reply::ok(bundle()).cut(5), true),
        (Reply::endless(), true),
        (Reply::new(200, "content-encoding: br\r\n", b"x"), true),
        (Reply::new(200, "content-encoding: gzip\r\n", b"not gzip"), true),
        (Reply::ok(page), true),
    ] {
        let shown = format!("{reply:?}");
        let stub = Stub::start(move |_| reply.clone()).await;
        let readers = Readers::new(Limits::default());
        let unrationed = LogSpec { requests_per_second: None, ..spec(LogKind::RekorV2, "log.test", stub.url.clone()) };
        let reader = readers.reader(&unrationed).expect("a reader");
        let first = readers.paces().pop().expect("a pace").limit;
        let error = reader.leaves(0, 3, 3, Fresh::No).await.expect_err("no leaves");
        assert!(!error.is_missing(), "{error} for {shown:.80}");
        let pace = readers.paces().pop().expect("a pace");
        assert_eq!((pace.limit < first, pace.failures > 0), (slower, slower), "{pace:?} for {shown:.80}");
    }
}

#[tokio::test]
async fn a_host_that_asks_to_wait_is_not_asked_again_before() {
    let stub = Stub::start(|_| Reply::new(429, "retry-after: 120\r\n", b"")).await;
    let readers = Readers::new(Limits::default());
    let reader = readers.reader(&spec(LogKind::RekorV2, "log.test", stub.url.clone())).expect("a reader");
    for _ in 0..3 {
        let error = reader.head().await.expect_err("not now");
        let wait = error.retry_after().expect("a time");
        assert!(wait > Duration::from_secs(110) && wait <= Duration::from_secs(120), "{error}");
    }
    assert_eq!(stub.asked().len(), 1);
    // Another log of the same host has the same pace.
    let other = readers.reader(&spec(LogKind::StaticCt, "other.test", stub.url.clone())).expect("a reader");
    assert!(other.head().await.is_err());
    assert_eq!(stub.asked().len(), 0);
}

#[tokio::test]
async fn an_endless_answer_is_cut_at_the_size_of_the_largest_honest_one() {
    let stub = Stub::start(|_| Reply::endless()).await;
    let error = ask(&stub).await.expect_err("no end");
    assert!(matches!(error, ReadError::TooLarge { limit: 16_777_472, .. }) && error.is_transient(), "{error}");
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let url = format!("http://{address}").parse().expect("a URL");
    let error = reader(LogKind::RekorV2, "log.test", url).head().await.expect_err("nobody");
    assert!(matches!(error, ReadError::Unreachable(OutboundError::Connect { .. })) && error.is_transient(), "{error}");
}

#[tokio::test]
async fn not_found_is_missing_only_where_the_log_still_answers() {
    for status in [403, 404, 410] {
        let stub = Stub::start(move |asked| match asked.target.as_str() {
            "/log/checkpoint" => Reply::ok(CHECKPOINT),
            _ => Reply::new(status, "", b""),
        })
        .await;
        let error = ask(&stub).await.expect_err("gone");
        assert!(error.is_missing(), "{error}");
        let asked: Vec<_> = stub.asked().into_iter().map(|asked| asked.target).collect();
        assert_eq!(asked, ["/log/tile/entries/000.p/3", "/log/tile/entries/000", "/log/checkpoint"]);
        let stub = Stub::start(move |_| Reply::new(status, "", b"blocked")).await;
        let error = ask(&stub).await.expect_err("all refused");
        assert!(matches!(error, ReadError::Status { status: s, .. } if s == status), "{error}");
    }
}

#[tokio::test]
async fn gzip_that_nobody_asked_for_is_read_up_to_the_cap() {
    use std::io::Write as _;
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("gzip")
    };
    let good = gzip(&bundle());
    let stub = Stub::start(move |asked| {
        assert!(asked.headers.contains("accept-encoding: identity"), "{}", asked.headers);
        Reply::new(200, "content-encoding: gzip\r\n", &good)
    })
    .await;
    assert_eq!(ask(&stub).await.expect("three"), 3);
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < 100_000);
    let stub = Stub::start(move |_| Reply::new(200, "content-encoding: gzip\r\n", &bomb)).await;
    let error = ask(&stub).await.expect_err("64 MiB");
    assert!(matches!(error, ReadError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_second_look_passes_caches_and_falls_back_to_the_plain_address() {
    let cached = format_entries(&[leaf(0), leaf(9), leaf(2)]).expect("a bundle");
    let strict = std::sync::Arc::new(AtomicBool::new(false));
    let refuses = strict.clone();
    let stub = Stub::start(move |asked| match asked.target.contains('?') {
        true if refuses.load(Ordering::Relaxed) => Reply::new(400, "", b"no query here"),
        true => {
            assert!(asked.headers.contains("cache-control: no-cache"), "{}", asked.headers);
            Reply::ok(bundle())
        }
        false => Reply::ok(&cached),
    })
    .await;
    let reader = reader(LogKind::RekorV2, "log.test", stub.url.clone());
    let second = async |fresh| reader.leaves(0, 3, 3, fresh).await.expect("leaves").leaf(1).map(<[u8]>::to_vec);
    assert_eq!(second(Fresh::No).await, Some(leaf(9)));
    assert_eq!(second(Fresh::Yes).await, Some(leaf(1)));
    strict.store(true, Ordering::Relaxed);
    assert_eq!(second(Fresh::Yes).await, Some(leaf(9)));
    let asked = stub.asked();
    let queries: std::collections::BTreeSet<_> =
        asked.iter().filter_map(|asked| asked.target.split_once('?')).collect();
    assert_eq!(queries.len(), 2, "each second look has its own: {asked:?}");
}

#[tokio::test]
async fn a_log_that_cannot_be_read_so_is_refused_with_the_fix() {
    let readers = Readers::new(Limits::default());
    let refusal = |kind, origin: &str, url: &str| {
        readers.reader(&spec(kind, origin, url.parse().expect("a URL"))).err().map(|error| error.to_string())
    };
    for (kind, origin, url, says) in [
        (LogKind::RekorV1, "rekor.test", "https://rekor.test", "<host> - <tree id>"),
        (LogKind::RekorV1, "rekor.test - 7", "file:///tmp", "only tiles"),
        (LogKind::Rfc6962, "ct.test", "file:///tmp", "only tiles"),
        (LogKind::RekorV2, "log.test", "ftp://log.test", "https://"),
        (LogKind::RekorV2, "log.test", "file://host/path", "file:///path"),
    ] {
        let said = refusal(kind, origin, url).expect("refused");
        assert!(said.contains(says) && said.contains(origin), "{said}");
    }
    assert_eq!(refusal(LogKind::RekorV1, "rekor.test - 7", "https://rekor.test"), None);
}
