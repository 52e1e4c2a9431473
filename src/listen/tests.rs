//! What slow and greedy peers can do to a listener.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_arrive_ends_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(serve(listener, Router::new(), stopped));
    let mut slow = TcpStream::connect(address).await.expect("a connection");
    slow.write_all(b"POST /hooks/x HTTP/1.1\r\nHost: ").await.expect("sent");
    let mut answer = Vec::new();
    tokio::time::timeout(HEAD_DEADLINE * 3, slow.read_to_end(&mut answer))
        .await
        .expect("closed in time")
        .expect("closed");
}

#[tokio::test]
async fn an_answer_under_way_goes_out_before_a_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = watch::channel(false);
    let (entered, mut inside) = tokio::sync::mpsc::channel(1);
    let slow = axum::routing::get(async move || {
        entered.send(()).await.expect("the test listens");
        tokio::time::sleep(Duration::from_millis(200)).await;
        "done"
    });
    let server = tokio::spawn(serve(listener, Router::new().route("/", slow), stopped));
    let mut client = TcpStream::connect(address).await.expect("a connection");
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    inside.recv().await.expect("the request is being answered");
    stop.send(true).expect("the server listens");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.ends_with("done"), "{answer}");
    server.await.expect("the server ended");
}
/// Sends a request on an open connection and reads what is answered within a moment.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let mut answer = vec![0; 1024];
    let length =
        tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await.expect("an answer in time");
    String::from_utf8_lossy(&answer[..length.unwrap_or(0)]).into_owned()
}

async fn open(address: std::net::SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

#[tokio::test]
async fn connections_without_a_request_make_room() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (_stop, stopped) = watch::channel(false);
    let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
    tokio::spawn(serve_within(listener, router, Places::new(8, 8), stopped));
    // Heads that never end, as many as there are places, and again.
    let mut slow = Vec::new();
    for _ in 0..16 {
        let mut stream = open(address).await;
        stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await.expect("sent");
        slow.push(stream);
    }
    for _ in 0..20 {
        let answer = ask(&mut open(address).await).await;
        assert!(answer.ends_with("here"), "{answer:?}");
    }
    let mut gone = 0;
    for stream in &mut slow {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_millis(100), stream.read(&mut byte)).await;
        gone += usize::from(matches!(read, Ok(Ok(0) | Err(_))));
    }
    assert!(gone >= 8, "only {gone} were closed");
}

#[tokio::test]
async fn the_handler_learns_the_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (_stop, stopped) = watch::channel(false);
    let tell = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
    tokio::spawn(serve(listener, Router::new().route("/", axum::routing::get(tell)), stopped));
    let mut client = open(address).await;
    let own = client.local_addr().expect("an address").to_string();
    let answer = ask(&mut client).await;
    assert!(answer.ends_with(&own), "{answer:?}");
    // The same connection serves the next request.
    assert!(ask(&mut client).await.ends_with(&own));
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(serve(listener, Router::new(), stopped));
    let mut client = open(address).await;
    let long = format!("GET / HTTP/1.1\r\nX-Long: {}", "a".repeat(2 * BUFFER_BYTES));
    let _ = client.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer:?}");
}
