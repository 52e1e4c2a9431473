//! A proxy before a Rekor v2: it can lose an answer on its way back, and hold uploads until it is told to go on.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::http;

/// An answer of the log.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// The index in it, where it is an entry.
    pub(crate) index: Option<u64>,
    /// Whether it was kept from the one who asked.
    pub(crate) lost: bool,
}

#[derive(Default)]
struct State {
    lose_next: bool,
    held: bool,
    waiting: usize,
    answers: Vec<Answered>,
}

/// Listens as long as the tests run.
pub(crate) struct Proxy {
    pub(crate) url: String,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Proxy {
    /// A proxy that lets everything through.
    pub(crate) fn before(log: &str) -> Self {
        let shared = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let (to, state) = (log.to_owned(), Arc::clone(&shared));
        let url = listen(move |client| pass(client, &to, &state));
        Self { url, shared }
    }

    /// The next upload reaches the log, and its answer nobody; whatever comes after it is held.
    pub(crate) fn lose_the_next_answer(&self) {
        self.change(|state| state.lose_next = true);
    }

    /// Uploads wait from now on, before the log hears of them.
    pub(crate) fn hold(&self) {
        self.change(|state| state.held = true);
    }

    /// Lets through what waits, and all that comes.
    pub(crate) fn open(&self) {
        self.change(|state| state.held = false);
    }

    /// How many uploads wait.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.0.lock().expect("the state").waiting
    }

    /// What the log answered so far.
    pub(crate) fn answers(&self) -> Vec<Answered> {
        self.shared.0.lock().expect("the state").answers.clone()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.0.lock().expect("the state"));
        self.shared.1.notify_all();
    }
}

/// Listens as long as the tests run, each client in a thread of its own; where that is.
pub(crate) fn listen(answer: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // Whoever asked may be gone by now, or have had enough.
            std::thread::spawn(move || drop(answer(client)));
        }
    });
    url
}

/// One request of one client, answered by the log or not at all.
fn pass(mut client: TcpStream, log: &str, (state, changed): &(Mutex<State>, Condvar)) -> std::io::Result<()> {
    let (method, path, body) = read(&mut client)?;
    {
        let mut now = state.lock().expect("the state");
        now.waiting += 1;
        let mut now = changed.wait_timeout_while(now, Duration::from_secs(60), |now| now.held).expect("the state").0;
        now.waiting -= 1;
    }
    let answer = http::try_request(&method, &format!("{log}{path}"), &[("Content-Type", "application/json")], &body)?;
    let entry: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let index = entry.as_ref().and_then(|entry| entry["logIndex"].as_str()?.parse().ok());
    let lost = {
        let mut now = state.lock().expect("the state");
        let lost = std::mem::take(&mut now.lose_next);
        now.held |= lost;
        now.answers.push(Answered { status: answer.status, index, lost });
        lost
    };
    if lost {
        return Ok(());
    }
    let content_type = answer.header("content-type").unwrap_or("application/json");
    let named = answer.header("x-log-index").map_or_else(String::new, |index| format!("X-Log-Index: {index}\r\n"));
    let head = format!(
        "HTTP/1.1 {} -\r\nContent-Type: {content_type}\r\n{named}Content-Length: {}\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.body.len()
    );
    client.write_all(head.as_bytes())?;
    client.write_all(&answer.body)
}

/// Method, path and body of a request.
pub(crate) fn read(client: &mut TcpStream) -> std::io::Result<(String, String, Vec<u8>)> {
    let mut reader = BufReader::new(client);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(std::io::Error::other(format!("not a request: {line:?}")));
    };
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((method, path, body))
}
