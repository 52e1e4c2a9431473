//! The client behind a proxy of the configuration, on loopback; its tunnels all lead to one server.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};

use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::tls::{OK, serve};
use crate::{Client, ClientConfig, OutboundError, Redirects, Refusal, Request};

/// A proxy that takes note of what it is asked, word for word.
struct Tunnels {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    /// Answers each request with `answer`, and where that is a yes, tunnels to `target`.
    async fn start(target: SocketAddr, answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let notes = Arc::clone(&notes);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match client.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    notes.lock().expect("no panic").push(String::from_utf8(head).expect("text"));
                    let _ = client.write_all(answer.as_bytes()).await;
                    if answer.contains(" 200 ")
                        && let Ok(mut server) = TcpStream::connect(target).await
                    {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { address, asked }
    }

    fn client(&self, pem: Vec<u8>) -> Client {
        let proxy = format!("http://{}", self.address).parse().expect("a proxy");
        let config = ClientConfig { extra_ca_files_pem: vec![pem], proxy: Some(proxy), ..ClientConfig::default() };
        Client::new(config).expect("a client")
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

const YES: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

fn get(url: &str) -> Request {
    Request::get(Url::parse(url).expect("a URL")).bearer(&SecretString::from("s3cret"))
}

#[tokio::test]
async fn a_named_host_is_reached_by_a_tunnel_and_the_proxy_sees_no_more_than_its_name() {
    let (server, pem) = serve(OK);
    let tunnels = Tunnels::start(server, YES).await;
    let answer = tunnels.client(pem).send(get("https://reg.proxied.example/v2/secret-path").trusted()).await;
    assert_eq!(&answer.expect("an answer").body[..], b"hello");
    let asked = tunnels.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].starts_with("CONNECT reg.proxied.example:443 HTTP/1.1\r\n"), "{asked:?}");
    assert!(!asked[0].contains("s3cret") && !asked[0].contains("secret-path"), "{asked:?}");
}

#[tokio::test]
async fn the_certificate_is_the_servers_and_not_the_proxys_to_give() {
    let (server, pem) = serve(OK);
    let tunnels = Tunnels::start(server, YES).await;
    let refused = tunnels.client(pem).send(get("https://another.example/").trusted()).await.expect_err("another name");
    assert!(matches!(refused, OutboundError::Tls { .. }), "{refused:?}");
}

#[tokio::test]
async fn nothing_but_a_tunnel_to_a_named_host_is_asked_for() {
    let (server, pem) = serve(OK);
    let tunnels = Tunnels::start(server, YES).await;
    let client = tunnels.client(pem);
    let strange = client.send(get("https://reg.proxied.example/")).await.expect_err("not named");
    assert!(matches!(strange, OutboundError::ForbiddenTarget { why: Refusal::ThroughProxy, .. }), "{strange}");
    for (url, why) in [
        ("http://reg.proxied.example/", Refusal::NoTunnel),
        ("https://127.0.0.1:443/", Refusal::Loopback),
        ("https://localhost/", Refusal::Loopback),
        ("https://[::1]/", Refusal::Loopback),
        ("https://169.254.169.254/latest/meta-data/", Refusal::LinkLocal),
        ("https://metadata.google.internal/", Refusal::Metadata),
    ] {
        match client.send(get(url).trusted()).await {
            Err(error @ OutboundError::NotProxied { why: found, .. }) => {
                assert_eq!(found, why, "{url}");
                assert!(!error.is_transient());
            }
            other => panic!("{url}: {other:?}"),
        }
    }
    assert!(tunnels.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_goes_through_the_proxy_to_named_hosts_only() {
    const MOVED: &str = "HTTP/1.1 302 Found\r\nlocation: https://blobs.proxied.example/b\r\ncontent-length: 0\r\n\
         connection: close\r\n\r\n";
    let (server, pem) = serve(MOVED);
    let tunnels = Tunnels::start(server, YES).await;
    let follow = || get("https://reg.proxied.example/").trusted().follow(Redirects::Follow { max: 1 });
    let refused = tunnels.client(pem.clone()).send(follow()).await.expect_err("not named");
    assert!(matches!(refused, OutboundError::ForbiddenTarget { why: Refusal::ThroughProxy, .. }), "{refused}");
    let named = follow().also_trusting(&["blobs.proxied.example".to_owned()]);
    let refused = tunnels.client(pem).send(named).await.expect_err("it moves for ever");
    assert!(matches!(refused, OutboundError::TooManyRedirects { .. }), "{refused}");
    let last = tunnels.asked().pop().expect("asked");
    assert!(last.starts_with("CONNECT blobs.proxied.example:443"), "{last}");
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_away_is_no_answer_of_the_server() {
    let (server, pem) = serve(OK);
    for answer in [
        "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\n\r\n",
        "HTTP/1.1 502 Bad Gateway\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let tunnels = Tunnels::start(server, answer).await;
        let error = tunnels.client(pem.clone()).send(get("https://reg.proxied.example/").trusted()).await;
        let error = error.expect_err("no tunnel");
        assert!(error.is_transient(), "{answer} {error:?}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[test]
fn the_proxy_variables_of_the_environment_are_not_read() {
    let dead = "http://127.0.0.1:1";
    let mut child = Command::new(std::env::current_exe().expect("this test"));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        child.env(name, dead);
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    let tests = [
        "tests::tls::a_private_ca_is_believed_only_where_it_was_configured",
        "tests::a_redirect_is_the_answer_where_none_is_followed",
    ];
    let done = child.arg("--exact").args(tests).output().expect("it runs");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("2 passed"), "{said}");
}
