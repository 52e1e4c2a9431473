//! An HTTP receiver on loopback that answers as it is told, and keeps also what it refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// A request that was taken.
#[derive(Clone)]
pub(super) struct Taken {
    pub(super) path: String,
    headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
    pub(super) answered: u16,
    pub(super) at: Instant,
}

impl Taken {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Script {
    taken: Vec<Taken>,
    status: u16,
    headers: String,
    times: u32,
}

/// An HTTP server.
pub(super) struct Http {
    address: String,
    script: Arc<Mutex<Script>>,
}

impl Http {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, script }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn answer_next(&self, status: u16, times: u32) {
        self.answer_next_with(status, "", times);
    }

    pub(super) fn answer_next_with(&self, status: u16, headers: &str, times: u32) {
        let mut script = self.script.lock().unwrap();
        (script.status, script.headers, script.times) = (status, headers.to_owned(), times);
    }

    pub(super) fn count(&self) -> usize {
        self.script.lock().unwrap().taken.len()
    }

    pub(super) async fn wait_for(&self, count: usize) -> Vec<Taken> {
        for _ in 0..2_000 {
            let taken = self.script.lock().unwrap().taken.clone();
            if taken.len() >= count {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} of {count} requests came", self.count());
    }

    pub(super) async fn wait_until(&self, fits: impl Fn(&Taken) -> bool) -> Taken {
        for _ in 0..2_000 {
            if let Some(taken) = self.script.lock().unwrap().taken.iter().find(|taken| fits(taken)) {
                return taken.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("none of {} requests fits", self.count());
    }
}

async fn serve(stream: TcpStream, script: Arc<Mutex<Script>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let answer = {
            let mut script = script.lock().unwrap();
            let (status, more) = if script.times > 0 {
                script.times -= 1;
                (script.status, script.headers.clone())
            } else {
                (200, String::new())
            };
            script.taken.push(Taken { path, headers, body, answered: status, at: Instant::now() });
            format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n{more}\r\n")
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}
