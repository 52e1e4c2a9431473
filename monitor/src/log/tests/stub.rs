//! A server that answers each request as a function says, over HTTP/1.1, one connection for each.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// What was asked: path with query, header lines in lower case, body.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) target: String,
    pub(super) headers: String,
    pub(super) body: String,
}

/// The bytes of an answer, and whether its last part goes on for ever.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    bytes: Vec<u8>,
    endless: bool,
}

impl Reply {
    /// A status with a body.
    pub(super) fn new(status: u16, headers: &str, body: &[u8]) -> Self {
        let mut bytes = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        Self { bytes, endless: false }
    }

    pub(super) fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::new(200, "", body.as_ref())
    }

    /// The connection closes this many bytes before the end.
    pub(super) fn cut(mut self, bytes: usize) -> Self {
        self.bytes.truncate(self.bytes.len() - bytes);
        self
    }

    /// A body without an end.
    pub(super) fn endless() -> Self {
        Self { bytes: b"HTTP/1.1 200 X\r\n\r\n".to_vec(), endless: true }
    }
}

/// Serves until the test ends.
#[derive(Clone)]
pub(super) struct Stub {
    pub(super) url: Url,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Stub {
    pub(super) async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/log", listener.local_addr().expect("an address")).parse().expect("a URL");
        let stub = Self { url, asked: Arc::default() };
        let (asked, answer) = (Arc::clone(&stub.asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&asked), Arc::clone(&answer)));
            }
        });
        stub
    }

    /// Everything that was asked so far, and forgets it.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().expect("no panic"))
    }
}

async fn serve<F: Fn(&Asked) -> Reply>(mut stream: TcpStream, asked: Arc<Mutex<Vec<Asked>>>, answer: Arc<F>) {
    let Some(request) = read(&mut stream).await else { return };
    let mut reply = answer(&request);
    asked.lock().expect("no panic").push(request);
    let head = reply.bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(reply.bytes.len());
    reply.bytes.splice(head..head, b"\r\nconnection: close".iter().copied());
    let mut written = stream.write_all(&reply.bytes).await;
    while reply.endless && written.is_ok() {
        written = stream.write_all(&[b'x'; 65_536]).await;
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let headers = head.to_ascii_lowercase();
            let length = headers.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                let target = head.split(' ').nth(1)?.to_owned();
                return Some(Asked { target, headers, body: body.to_owned() });
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&part[..count]),
            _ => return None,
        }
    }
}
