//! A proxy before the test server, as a pooler, a load balancer or an attacker would be: it loses answers, speaks TLS and
//! asks for a password.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The code of the message with which a client asks for TLS.
const TLS_REQUEST: u32 = 80_877_103;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The proxy; it ends with the test's runtime.
pub(super) struct Gate {
    pub(super) port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    upstream: (String, u16),
    /// Connections up to this number get no answer any more.
    dark: AtomicUsize,
    /// Nor does the connection on which a client says this next.
    word: Mutex<Option<&'static str>>,
    /// New connections get no answer either.
    is_closed: AtomicBool,
    accepted: AtomicUsize,
    password: Mutex<Option<String>>,
}

impl Gate {
    /// In front of a server, without TLS or password.
    pub(super) async fn before(server: &PgConnectOptions) -> Self {
        Self::with(server, None, None).await
    }

    /// With a TLS of its own, or a password that it asks for.
    pub(super) async fn with(server: &PgConnectOptions, tls: Option<TlsAcceptor>, password: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            upstream: (server.get_host().to_owned(), server.get_port()),
            password: Mutex::new(password.map(str::to_owned)),
            ..State::default()
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (Arc::clone(&shared), tls.clone());
                let number = state.accepted.fetch_add(1, Ordering::SeqCst) + 1;
                // A connection that breaks is none of the test's concern.
                tokio::spawn(async move { serve(stream, tls, &state, number).await.ok() });
            }
        });
        Self { port, state }
    }

    /// From now on all connections that there are get no answer; they are not closed.
    pub(super) fn darken(&self) {
        self.state.dark.store(self.accepted(), Ordering::SeqCst);
    }

    /// The next connection on which these words are said gets no answer from then on.
    pub(super) fn darken_at(&self, word: &'static str) {
        *self.state.word.lock().unwrap() = Some(word);
    }

    /// Whether new connections get no answer either.
    pub(super) fn close(&self, is_closed: bool) {
        self.state.is_closed.store(is_closed, Ordering::SeqCst);
    }

    /// How many connections were made.
    pub(super) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Asks new connections for another password.
    pub(super) fn set_password(&self, password: &str) {
        *self.state.password.lock().unwrap() = Some(password.to_owned());
    }
}

impl State {
    /// Whether this is where a connection goes dark.
    fn hears(&self, said: &[u8]) -> bool {
        let mut word = self.word.lock().unwrap();
        let heard = word.is_some_and(|word| said.windows(word.len()).any(|part| part == word.as_bytes()));
        if heard {
            *word = None;
        }
        heard
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, state: &State, number: usize) -> std::io::Result<()> {
    if state.is_closed.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    let mut client: Box<dyn Stream> = Box::new(stream);
    let mut start = start_message(&mut client).await?;
    if start[4..8] == TLS_REQUEST.to_be_bytes() {
        match tls {
            Some(tls) => {
                client.write_all(b"S").await?;
                client = Box::new(tls.accept(client).await?);
            }
            None => client.write_all(b"N").await?,
        }
        start = start_message(&mut client).await?;
    }
    let password = state.password.lock().unwrap().clone();
    if let Some(password) = password {
        client.write_all(b"R\0\0\0\x08\0\0\0\x03").await?;
        let mut head = [0; 5];
        client.read_exact(&mut head).await?;
        let mut said = vec![0; u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4];
        client.read_exact(&mut said).await?;
        if said.strip_suffix(b"\0") != Some(password.as_bytes()) {
            let text = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0";
            let length = u32::try_from(text.len() + 4).unwrap();
            client.write_all(&[b"E", &length.to_be_bytes()[..], text].concat()).await?;
            return client.shutdown().await;
        }
    }
    let mut server = TcpStream::connect(&state.upstream).await?;
    server.write_all(&start).await?;
    relay(client, server, state, number).await
}

async fn start_message(client: &mut Box<dyn Stream>) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    client.read_exact(&mut length).await?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    message[..4].copy_from_slice(&length);
    client.read_exact(&mut message[4..]).await?;
    Ok(message)
}

async fn relay(
    mut client: Box<dyn Stream>,
    mut server: TcpStream,
    state: &State,
    number: usize,
) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let mut is_dark = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                is_dark |= state.hears(&asked[..read]);
                server.write_all(&asked[..read]).await?;
            }
            read = server.read(&mut answered) => {
                let read = read?;
                if is_dark || number <= state.dark.load(Ordering::SeqCst) {
                    if read == 0 {
                        // The other side is not told either.
                        std::future::pending::<()>().await;
                    }
                    continue;
                }
                if read == 0 {
                    return Ok(());
                }
                client.write_all(&answered[..read]).await?;
            }
        }
    }
}
