//! The client against loopback servers that misbehave.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request as Incoming};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, LOCATION};
use axum::response::{IntoResponse, Response as Outgoing};
use axum::routing::{any, get};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use secrecy::SecretString;
use url::Url;

use crate::{Client, ClientConfig, OutboundError, Redirects, Refusal, Request, Room};

mod proxy;
mod tls;

async fn serve(router: Router) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    Url::parse(&format!("http://{address}/")).expect("a URL")
}

fn client() -> Client {
    Client::new(ClientConfig::default()).expect("a client")
}

fn at(base: &Url, path: &str) -> Url {
    base.join(path).expect("a URL")
}

fn redirect(to: impl AsRef<str>) -> Outgoing {
    let to = HeaderValue::from_str(to.as_ref()).expect("a header");
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to)]).into_response()
}

/// Echoes the credentials that arrived, and counts nothing else.
fn echo_authorization() -> axum::routing::MethodRouter {
    any(|request: Incoming| async move {
        let seen = request.headers().get(AUTHORIZATION).map(|v| v.as_bytes().to_vec());
        seen.unwrap_or_else(|| b"none".to_vec())
    })
}

#[tokio::test]
async fn an_answer_over_the_cap_is_refused_announced_or_streamed() {
    let streamed = || async {
        let chunk: Result<Bytes, std::io::Error> = Ok(Bytes::from(vec![b'x'; 600]));
        let again: Result<Bytes, std::io::Error> = Ok(Bytes::from(vec![b'x'; 600]));
        Body::from_stream(futures_util::stream::iter([chunk, again]))
    };
    let base =
        serve(Router::new().route("/announced", get(|| async { vec![b'x'; 1200] })).route("/streamed", get(streamed)))
            .await;
    for path in ["announced", "streamed"] {
        let request = Request::get(at(&base, path)).trusted();
        let refused = client().send(request.clone().max_bytes(1199)).await;
        assert!(matches!(refused, Err(OutboundError::TooLarge { limit: 1199, .. })), "{path} {refused:?}");
        let taken = client().send(request.max_bytes(1200)).await.expect("it fits");
        assert_eq!(taken.body.len(), 1200, "{path}");
    }
}

#[tokio::test]
async fn a_body_is_read_when_there_is_room_for_it_and_says_that_it_waited() {
    let base = serve(Router::new().route("/", get(|| async { vec![b'x'; 3000] }))).await;
    let (client, room) = (client(), Room::new(1024));
    let ask = || client.send(Request::get(base.clone()).trusted().room(room.clone()));
    let first = ask().await.expect("an answer");
    assert_eq!((first.body.len(), first.crowded), (3000, false));
    let mut second = Box::pin(ask());
    let waited = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
    assert!(waited.is_err(), "{waited:?}");
    drop(first);
    let second = second.await.expect("an answer");
    assert_eq!((second.body.len(), second.crowded), (3000, true));
    // Without a room there is no wait.
    let third = client.send(Request::get(base.clone()).trusted()).await.expect("an answer");
    assert_eq!((third.body.len(), third.crowded), (3000, false));
}

#[tokio::test]
async fn an_answer_over_the_cap_is_tried_again_only_where_its_status_says_so() {
    let page = |status: u16| {
        let status = StatusCode::from_u16(status).expect("a status");
        get(move || async move { (status, vec![b'x'; 20]).into_response() })
    };
    for (status, transient) in [(200, false), (404, false), (429, true), (500, true), (503, true)] {
        let base = serve(Router::new().route("/page", page(status))).await;
        let refused = client().send(Request::get(at(&base, "page")).trusted().max_bytes(10)).await.expect_err("large");
        assert!(matches!(refused, OutboundError::TooLarge { status: s, .. } if s.as_u16() == status), "{refused:?}");
        assert_eq!(refused.is_transient(), transient, "{refused}");
    }
}

#[tokio::test]
async fn the_length_that_a_head_announces_is_not_the_size_of_its_answer() {
    let head = any(|| async { ([(CONTENT_LENGTH, "5000000000")], "").into_response() });
    let base = serve(Router::new().route("/blob", head)).await;
    let answer = client().send(Request::head(at(&base, "blob")).trusted().max_bytes(10)).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.header(&CONTENT_LENGTH), Some("5000000000"));
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn a_slow_answer_and_a_trickling_body_run_out_of_time() {
    let trickle = || async {
        let stream = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b".")), ()))
        });
        Body::from_stream(stream)
    };
    let silent = || async {
        tokio::time::sleep(Duration::from_secs(60)).await;
    };
    let base = serve(Router::new().route("/silent", get(silent)).route("/trickle", get(trickle))).await;
    for path in ["silent", "trickle"] {
        let request = Request::get(at(&base, path)).trusted().timeout(Duration::from_millis(200));
        let late = client().send(request).await.expect_err("too slow");
        assert!(matches!(late, OutboundError::Timeout { .. }), "{path} {late}");
        assert!(late.is_transient());
    }
}

#[tokio::test]
async fn nobody_listening_is_a_connect_error() {
    let base = serve(Router::new()).await;
    let port = base.port().expect("a port");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let dead = listener.local_addr().expect("an address");
    drop(listener);
    assert_ne!(dead.port(), port);
    let url = Url::parse(&format!("http://{dead}/?token=secret")).expect("a URL");
    let error = client().send(Request::get(url).trusted()).await.expect_err("nobody there");
    assert!(matches!(error, OutboundError::Connect { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}

/// `/hop/3` -> `/hop/2` -> … -> `/hop/0`, which answers.
fn chain() -> Router {
    let hop = |Path(left): Path<u32>| async move {
        if left == 0 { "arrived".into_response() } else { redirect(format!("/hop/{}", left - 1)) }
    };
    Router::new().route("/hop/{left}", any(hop))
}

#[tokio::test]
async fn a_redirect_chain_is_followed_to_its_limit_and_no_further() {
    let base = serve(chain()).await;
    let ask = |hops: u32, max: u8| {
        let request = Request::get(at(&base, &format!("hop/{hops}"))).trusted();
        client().send_owned(request.follow(Redirects::Follow { max }))
    };
    let answer = ask(3, 3).await.expect("three hops");
    assert_eq!((&answer.body[..], answer.url.path()), (&b"arrived"[..], "/hop/0"));
    let refused = ask(4, 3).await;
    assert!(matches!(refused, Err(OutboundError::TooManyRedirects { max: 3, .. })), "{refused:?}");
}

#[tokio::test]
async fn a_redirect_is_the_answer_where_none_is_followed() {
    let base = serve(chain()).await;
    let get = Request::get(at(&base, "hop/1")).trusted();
    let put = Request::new(Method::PUT, at(&base, "hop/1")).trusted().follow(Redirects::Follow { max: 3 });
    for request in [get, put] {
        let answer = client().send(request).await.expect("an answer");
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(answer.header(&LOCATION), Some("/hop/0"));
    }
}

#[tokio::test]
async fn credentials_are_dropped_across_hosts_and_for_blobs_always() {
    let storage = serve(Router::new().route("/echo", echo_authorization())).await;
    let elsewhere = at(&storage, "echo").to_string();
    let registry = serve(
        Router::new()
            .route("/echo", echo_authorization())
            .route("/here", any(|| async { redirect("/echo") }))
            .route("/elsewhere", any(move || async move { redirect(elsewhere) })),
    )
    .await;
    let follow = Redirects::Follow { max: 3 };
    let blobs = Redirects::BlobsWithoutCredentials { max: 3 };
    for (path, mode, arrived) in [
        ("echo", blobs, "Bearer s3cret"),
        ("here", follow, "Bearer s3cret"),
        ("here", blobs, "none"),
        ("elsewhere", follow, "none"),
        ("elsewhere", blobs, "none"),
    ] {
        let request = Request::get(at(&registry, path))
            .trusted()
            .also_trusting(&["127.0.0.1".to_owned()])
            .bearer(&SecretString::from("s3cret"))
            .follow(mode);
        assert!(!format!("{request:?}").contains("s3cret"));
        let answer = client().send(request).await.expect("an answer");
        assert_eq!(&answer.body[..], arrived.as_bytes(), "{path} {mode:?}");
    }
}

#[tokio::test]
async fn a_redirect_to_where_only_configured_hosts_may_be_is_refused() {
    let target = Arc::new(Mutex::new(String::new()));
    let shared = target.clone();
    let base = serve(Router::new().route(
        "/blob",
        get(move || {
            let to = shared.lock().expect("no panic").clone();
            async move { redirect(to) }
        }),
    ))
    .await;
    let port = base.port().expect("a port");
    for (location, why) in [
        ("https://169.254.169.254/latest/meta-data/".to_owned(), Refusal::LinkLocal),
        ("http://169.254.169.254/latest/meta-data/".to_owned(), Refusal::PlainHttp),
        ("https://10.0.0.1/".to_owned(), Refusal::Private),
        ("https://192.168.1.1/".to_owned(), Refusal::Private),
        (format!("https://[::1]:{port}/"), Refusal::Loopback),
        (format!("https://[::ffff:127.0.0.1]:{port}/"), Refusal::Loopback),
        ("https://0/".to_owned(), Refusal::Unspecified),
        // A name: seen through when it is resolved.
        (format!("https://localhost:{port}/"), Refusal::Loopback),
        (format!("https://127.0.0.1:{port}/"), Refusal::Loopback),
    ] {
        *target.lock().expect("no panic") = location.clone();
        let request = Request::get(at(&base, "blob")).trusted();
        let refused = client().send(request.follow(Redirects::BlobsWithoutCredentials { max: 3 })).await;
        match refused {
            Err(OutboundError::ForbiddenTarget { why: found, .. }) => assert_eq!(found, why, "{location}"),
            other => panic!("{location}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_host_that_is_not_named_is_refused_before_anything_is_sent() {
    let base = serve(chain()).await;
    let refused = client().send(Request::get(at(&base, "hop/0"))).await.expect_err("plain http");
    assert!(matches!(refused, OutboundError::ForbiddenTarget { why: Refusal::PlainHttp, .. }), "{refused}");
    assert!(!refused.is_transient());
    let url = Url::parse("https://user:pass@example.com/").expect("a URL");
    let refused = client().send(Request::get(url).trusted()).await.expect_err("userinfo");
    assert!(matches!(refused, OutboundError::Url { .. }), "{refused}");
}

#[tokio::test]
async fn allow_private_lets_a_name_lead_to_this_machine() {
    let base = serve(chain()).await;
    let port = base.port().expect("a port");
    let config = ClientConfig { allow_private: true, ..ClientConfig::default() };
    let client = Client::new(config).expect("a client");
    let url = Url::parse(&format!("https://localhost:{port}/")).expect("a URL");
    // It gets as far as TLS, which that server does not speak.
    let error = client.send(Request::get(url)).await.expect_err("no TLS there");
    assert!(matches!(error, OutboundError::Tls { .. } | OutboundError::Connect { .. }), "{error:?}");
}

impl Client {
    async fn send_owned(self, request: Request) -> Result<crate::Response, OutboundError> {
        self.send(request).await
    }
}

#[tokio::test]
async fn a_client_of_new_connections_never_asks_twice_over_one() {
    use axum::extract::ConnectInfo;
    use std::net::SocketAddr;
    let app =
        Router::new().route("/", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = Url::parse(&format!("http://{}/", listener.local_addr().expect("an address"))).expect("a URL");
    tokio::spawn(async move { axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await });
    for (new_connections, same) in [(false, true), (true, false)] {
        let client = Client::new(ClientConfig { new_connections, ..ClientConfig::default() }).expect("a client");
        let mut peers = Vec::new();
        for _ in 0..2 {
            peers.push(client.send(Request::get(base.clone()).trusted()).await.expect("an answer").body);
        }
        assert_eq!(peers[0] == peers[1], same, "{peers:?}");
    }
}
