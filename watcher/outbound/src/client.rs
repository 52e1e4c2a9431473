//! The client: two connection pools, one loop.

use std::net::SocketAddr;
use std::sync::Once;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http::header::LOCATION;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tracing::warn;

use crate::address::refusal;
use crate::error::{Cause, OutboundError, RefusedName, classify};
use crate::redirect::{authority, check_target, drop_credentials, is_named, is_redirect, next_hop};
use crate::request::{Redirects, Request};
use crate::response::Response;
use crate::room::Buffer;

/// Memory that is set aside for a body because its length was announced.
const PLAUSIBLE_BYTES: usize = 1 << 20;

/// How a client is made.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Who we say that we are.
    pub user_agent: String,
    /// Private CAs, as the bytes of PEM files; they are trusted beside those of the machine.
    pub extra_ca_files_pem: Vec<Vec<u8>>,
    /// Time for one connection, TLS included.
    pub connect_timeout: Duration,
    /// Time for a whole exchange, redirects and body included, where a request sets no other.
    pub timeout: Duration,
    /// Whether hosts that no configuration names may be on private networks or this machine.
    pub allow_private: bool,
    /// Whether each request gets a connection of its own, so that it may meet another server behind the same name.
    pub new_connections: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            user_agent: concat!("sealwatch/", env!("CARGO_PKG_VERSION")).to_owned(),
            extra_ca_files_pem: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            allow_private: false,
            new_connections: false,
        }
    }
}

/// The hardened HTTP client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    /// For hosts that the configuration names.
    named: reqwest::Client,
    /// For all others: its resolver gives out public addresses only. A pool of its own, so that no
    /// connection to a named host is reused for a stranger's URL.
    guarded: reqwest::Client,
    timeout: Duration,
    allow_private: bool,
    /// This machine has no CA certificates, and none were configured.
    bare: bool,
}

impl Client {
    /// Makes a client.
    pub fn new(config: ClientConfig) -> Result<Client, OutboundError> {
        install_crypto();
        let mut authorities = Vec::new();
        for (index, pem) in config.extra_ca_files_pem.iter().enumerate() {
            let number = index + 1;
            let found = reqwest::Certificate::from_pem_bundle(pem).map_err(|_| OutboundError::CaFile { number })?;
            if found.is_empty() {
                return Err(OutboundError::CaFile { number });
            }
            authorities.extend(found);
        }
        let guard = Guard { allow_private: config.allow_private };
        let builder = |guarded: bool| {
            let builder = reqwest::Client::builder()
                .user_agent(&config.user_agent)
                .connect_timeout(config.connect_timeout)
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .no_proxy();
            let builder = if config.new_connections { builder.pool_max_idle_per_host(0) } else { builder };
            if guarded { builder.dns_resolver(guard.clone()) } else { builder }
        };
        // A machine without any CA store can still speak plain http to hosts that it is told to trust, and
        // TLS to those of a private CA.
        let (named, bare) = match builder(false).tls_certs_merge(authorities.clone()).build() {
            Ok(client) => (client, None),
            Err(error) => {
                warn!(cause = %Cause::new(error), "no CA certificates on this machine");
                let client = builder(false).tls_certs_only(authorities.clone()).build();
                (client.map_err(setup)?, Some(authorities.is_empty()))
            }
        };
        let guarded = match bare {
            None => builder(true).tls_certs_merge(authorities).build(),
            Some(_) => builder(true).tls_certs_only(authorities).build(),
        }
        .map_err(setup)?;
        Ok(Client {
            named,
            guarded,
            timeout: config.timeout,
            allow_private: config.allow_private,
            bare: bare.unwrap_or(false),
        })
    }

    /// Sends a request and takes the whole answer, within the caps of the request.
    pub async fn send(&self, request: Request) -> Result<Response, OutboundError> {
        let limit = request.timeout.unwrap_or(self.timeout);
        let mut asked = authority(&request.url);
        match tokio::time::timeout(limit, self.exchange(request, limit, &mut asked)).await {
            Ok(answer) => answer,
            Err(_) => Err(OutboundError::Timeout { host: asked, after: limit }),
        }
    }

    async fn exchange(&self, request: Request, limit: Duration, asked: &mut String) -> Result<Response, OutboundError> {
        let Request { method, mut url, mut headers, body, room, .. } = request;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::Url { host: authority(&url), why: "credentials in the URL" });
        }
        let first = url.origin();
        let follows = request.follow != Redirects::Never && (method == Method::GET || method == Method::HEAD);
        let mut hops = 0;
        loop {
            *asked = authority(&url);
            let named = (request.trusted_target && url.origin() == first) || is_named(&url, &request.trusted_hosts);
            let pool = if named {
                if !matches!(url.scheme(), "http" | "https") {
                    return Err(OutboundError::Url { host: authority(&url), why: "neither http nor https" });
                }
                &self.named
            } else {
                check_target(&url, self.allow_private)?;
                &self.guarded
            };
            let began = Instant::now();
            let transport = |error| classify(error, &authority(&url), limit, self.bare);
            let answer = pool
                .request(method.clone(), url.clone())
                .headers(headers.clone())
                .body(body.clone())
                .send()
                .await
                .map_err(transport)?;
            if follows && is_redirect(answer.status()) {
                if hops == request.follow.max() {
                    return Err(OutboundError::TooManyRedirects { host: authority(&url), max: hops });
                }
                hops += 1;
                let location = answer.headers().get(LOCATION).and_then(|l| l.to_str().ok());
                let next = next_hop(&url, location)?;
                drop_credentials(&mut headers, &url, &next, request.follow);
                url = next;
                continue;
            }
            let (status, headers) = (answer.status(), answer.headers().clone());
            let answered = Instant::now();
            let mut crowded = false;
            let body = if method == Method::HEAD {
                Bytes::new()
            } else {
                let buffer = match &room {
                    Some(room) => room.buffer(expected_bytes(&answer, request.max_response_bytes)).await,
                    None => Buffer::default(),
                };
                crowded = answered.elapsed() > answered - began;
                self.body(answer, request.max_response_bytes, buffer, (asked, limit)).await?
            };
            return Ok(Response { status, headers, body, url, crowded });
        }
    }

    /// Reads a body up to the cap. A length that is announced is believed only to refuse early.
    async fn body(
        &self,
        mut answer: reqwest::Response,
        cap: usize,
        mut body: Buffer,
        (host, limit): (&str, Duration),
    ) -> Result<Bytes, OutboundError> {
        let status = answer.status();
        let too_large = || OutboundError::TooLarge { host: host.to_owned(), status, limit: cap };
        if answer.content_length().is_some_and(|length| length > cap as u64) {
            return Err(too_large());
        }
        // One that is plausible saves copying; what is larger grows as it comes.
        body.reserve(announced(&answer).unwrap_or(0).min(PLAUSIBLE_BYTES).min(cap));
        while let Some(chunk) = answer.chunk().await.map_err(|error| classify(error, host, limit, self.bare))? {
            if chunk.len() > cap - body.len() {
                return Err(too_large());
            }
            body.extend(&chunk);
        }
        Ok(body.freeze())
    }
}

fn announced(answer: &reqwest::Response) -> Option<usize> {
    answer.content_length().and_then(|length| usize::try_from(length).ok())
}

/// How much room a body is given before it is read.
fn expected_bytes(answer: &reqwest::Response, cap: usize) -> usize {
    announced(answer).unwrap_or(PLAUSIBLE_BYTES).min(cap)
}

fn setup(error: reqwest::Error) -> OutboundError {
    OutboundError::Setup(Cause::new(error))
}

/// The process needs one TLS provider; whoever installed one before us has the say.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

/// Resolves names as the system does, and gives out only what a stranger's host may be.
#[derive(Clone, Debug)]
struct Guard {
    allow_private: bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut refused = None;
            let allowed: Vec<SocketAddr> = found
                .filter(|address| match refusal(address.ip(), allow_private) {
                    Some(why) => {
                        refused = Some(why);
                        false
                    }
                    None => true,
                })
                .collect();
            match refused {
                Some(why) if allowed.is_empty() => Err(RefusedName(why).into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}
