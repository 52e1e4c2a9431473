//! A mail server (RFC 5321) that takes every mail and delivers none. No TLS.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::SandboxError;
use crate::serve::TaskGuard;

/// How a mail server is to start.
#[derive(Clone, Debug, Default)]
pub struct MailOptions {
    /// The loopback port; 0 takes any that is free.
    pub port: u16,
    /// Who may send, by name and password; everybody where absent.
    pub login: Option<(String, String)>,
}

/// A mail that arrived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mail {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// Headers and text, with line ends as they came and the dots of transparency removed.
    pub data: String,
}

/// A running mail server; a clone is another handle on the same one, which ends with the last.
#[derive(Clone)]
pub struct MailReceiver {
    addr: SocketAddr,
    state: Arc<State>,
    accepting: Arc<TaskGuard>,
}

struct State {
    login: Option<(String, String)>,
    received: watch::Sender<Vec<Mail>>,
    down: AtomicBool,
}

impl MailReceiver {
    /// Starts with an empty mailbox.
    pub async fn start(options: MailOptions) -> Result<Self, SandboxError> {
        let listen = |source| SandboxError::Listen { port: options.port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let received = watch::Sender::new(Vec::new());
        let state = Arc::new(State { login: options.login, received, down: AtomicBool::new(false) });
        let accepting = TaskGuard::new(tokio::spawn(accept(listener, Arc::clone(&state))));
        Ok(Self { addr, state, accepting: Arc::new(accepting) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What has arrived so far, in order.
    pub fn received(&self) -> Vec<Mail> {
        self.state.received.borrow().clone()
    }

    /// Waits until at least so many have arrived, or for so long; returns what has.
    pub async fn wait_for(&self, count: usize, within: Duration) -> Vec<Mail> {
        let mut arriving = self.state.received.subscribe();
        let _ = tokio::time::timeout(within, arriving.wait_for(|received| received.len() >= count)).await;
        self.received()
    }

    /// Whether every connection is closed without a greeting. A client sees a mail server that cannot be reached.
    pub fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::Relaxed);
    }

    /// Closes the listener and every connection.
    pub fn shutdown(&self) {
        self.accepting.stop();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if !state.down.load(Ordering::Relaxed) => {
                    let state = Arc::clone(&state);
                    connections.spawn(async move {
                        if let Err(error) = converse(stream, &state).await {
                            tracing::debug!(%error, "a mail connection ended early");
                        }
                    });
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, state: &State) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    say(&mut stream, "220 sandbox.local ESMTP").await?;
    let mut welcome = state.login.is_none();
    let mut mail = Mail { from: String::new(), to: Vec::new(), data: String::new() };
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let (verb, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        let answer = match verb.to_ascii_uppercase().as_str() {
            "EHLO" if state.login.is_some() => "250-sandbox.local\r\n250-8BITMIME\r\n250 AUTH PLAIN",
            "EHLO" => "250-sandbox.local\r\n250 8BITMIME",
            "HELO" | "NOOP" => "250 sandbox.local",
            "AUTH" => {
                welcome = state.accepts(rest);
                if welcome { "235 2.7.0 accepted" } else { "535 5.7.8 wrong name or password" }
            }
            _ if !welcome && verb.eq_ignore_ascii_case("MAIL") => "530 5.7.0 authentication required",
            "MAIL" => {
                mail = Mail { from: address(rest), to: Vec::new(), data: String::new() };
                "250 2.1.0 ok"
            }
            "RCPT" if welcome => {
                mail.to.push(address(rest));
                "250 2.1.5 ok"
            }
            "DATA" if mail.to.is_empty() => "503 5.5.1 no recipients",
            "DATA" => {
                say(&mut stream, "354 end with a line of one dot").await?;
                read_data(&mut stream, &mut mail.data).await?;
                state.received.send_modify(|all| all.push(mail.clone()));
                mail.to.clear();
                "250 2.0.0 taken"
            }
            "RSET" => {
                mail.to.clear();
                "250 2.0.0 ok"
            }
            "QUIT" => return say(&mut stream, "221 2.0.0 bye").await,
            _ => "502 5.5.2 not implemented",
        };
        say(&mut stream, answer).await?;
    }
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await
}

async fn read_data(stream: &mut BufReader<TcpStream>, data: &mut String) -> io::Result<()> {
    data.clear();
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(());
        }
        // SPEC: RFC 5321 4.5.2: a leading dot was doubled on its way.
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

/// The address in `FROM:<address> …`.
fn address(argument: &str) -> String {
    let (_, rest) = argument.split_once('<').unwrap_or_default();
    rest.split_once('>').unwrap_or_default().0.to_owned()
}

impl State {
    /// `PLAIN <base64 of zero, name, zero, password>`.
    fn accepts(&self, argument: &str) -> bool {
        let Some((name, password)) = &self.login else { return true };
        let given = argument.strip_prefix("PLAIN ").and_then(|encoded| STANDARD.decode(encoded).ok());
        given.is_some_and(|given| given == format!("\0{name}\0{password}").into_bytes())
    }
}

impl fmt::Debug for MailReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailReceiver").field("addr", &self.addr).finish_non_exhaustive()
    }
}
