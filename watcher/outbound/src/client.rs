//! The client: two connection pools, one loop.

use std::net::SocketAddr;
use std::sync::Once;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::LOCATION;
use http::{Method, Version};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tracing::warn;
use url::Url;

use crate::address::{Refusal, refusal};
use crate::error::{Cause, OutboundError, RefusedName, classify};
use crate::proxy::Proxy;
use crate::redirect::{authority, check_target, drop_credentials, is_named, next_hop};
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
    /// Asked for a tunnel to each host that the configuration names; no other host is reached then.
    pub proxy: Option<Proxy>,
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
            proxy: None,
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
    /// Named hosts are reached through a proxy, and others not at all.
    proxied: bool,
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
        let tunnel = match &config.proxy {
            // For https alone, so that nothing is ever sent to the proxy but CONNECT.
            Some(proxy) => Some(reqwest::Proxy::https(proxy.url().clone()).map_err(setup)?.no_proxy(None)),
            None => None,
        };
        let guard = Guard { allow_private: config.allow_private };
        let builder = |guarded: bool| {
            let builder = reqwest::Client::builder()
                .user_agent(&config.user_agent)
                .connect_timeout(config.connect_timeout)
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .no_proxy();
            let builder = if config.new_connections { builder.pool_max_idle_per_host(0) } else { builder };
            let builder = match tunnel.clone().filter(|_| !guarded) {
                Some(tunnel) => builder.proxy(tunnel),
                None => builder,
            };
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
            proxied: config.proxy.is_some(),
            bare: bare.unwrap_or(false),
        })
    }

    /// Sends a request and takes the whole answer, within the caps of the request. The time that a body waits for its room
    /// is ours, not the server's.
    pub async fn send(&self, request: Request) -> Result<Response, OutboundError> {
        let limit = request.timeout.unwrap_or(self.timeout);
        let (cap, has_body, room) = (request.max_response_bytes, request.method != Method::HEAD, request.room.clone());
        let mut asked = authority(&request.url);
        let late = |host: &str| OutboundError::Timeout { host: host.to_owned(), after: limit };
        let began = Instant::now();
        let opened = tokio::time::timeout(limit, self.open(request, limit, &mut asked)).await;
        let (answer, url) = opened.map_err(|_| late(&asked))??;
        let answered = began.elapsed();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let (mut body, mut crowded) = (Buffer::default(), false);
        // Over HTTP/2 an answer that is not read takes its share of a window that the others need, so it never waits.
        if let Some(room) = room.filter(|_| has_body && answer.version() < Version::HTTP_2) {
            let since = Instant::now();
            body = room.buffer(announced(&answer).unwrap_or(PLAUSIBLE_BYTES).min(cap)).await;
            crowded = since.elapsed() > answered;
        }
        let body = if has_body {
            let taken = self.body(answer, cap, body, (&asked, limit));
            tokio::time::timeout(limit.saturating_sub(answered), taken).await.map_err(|_| late(&asked))??
        } else {
            Bytes::new()
        };
        Ok(Response { status, headers, body, url, crowded })
    }

    /// Sends a request, and again to where it is redirected; the answer as far as its headers, and who gave it.
    async fn open(
        &self,
        request: Request,
        limit: Duration,
        asked: &mut String,
    ) -> Result<(reqwest::Response, Url), OutboundError> {
        let Request { method, mut url, mut headers, body, .. } = request;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::Url { host: authority(&url), why: "credentials in the URL" });
        }
        let first = url.origin();
        let mut hops = 0;
        loop {
            *asked = authority(&url);
            let named = (request.trusted_target && url.origin() == first) || is_named(&url, &request.trusted_hosts);
            if self.proxied {
                let host = authority(&url);
                if !named {
                    return Err(OutboundError::ForbiddenTarget { host, why: Refusal::ThroughProxy });
                }
                Proxy::admits(&url).map_err(|why| OutboundError::NotProxied { host, why })?;
            }
            let pool = if named {
                if !matches!(url.scheme(), "http" | "https") {
                    return Err(OutboundError::Url { host: authority(&url), why: "neither http nor https" });
                }
                &self.named
            } else {
                check_target(&url, self.allow_private)?;
                &self.guarded
            };
            let transport = |error| classify(error, &authority(&url), limit, self.bare);
            let answer = pool
                .request(method.clone(), url.clone())
                .headers(headers.clone())
                .body(body.clone())
                .send()
                .await
                .map_err(transport)?;
            if request.follow.follows(&method, answer.status()) {
                if hops == request.follow.max() {
                    return Err(OutboundError::TooManyRedirects { host: authority(&url), max: hops });
                }
                hops += 1;
                let location = answer.headers().get(LOCATION).and_then(|l| l.to_str().ok());
                let next = next_hop(&url, location)?;
                if matches!(request.follow, Redirects::Upload { .. })
                    && next.origin() != url.origin()
                    && !is_named(&next, &request.trusted_hosts)
                {
                    return Err(OutboundError::ForbiddenTarget { host: authority(&next), why: Refusal::Upload });
                }
                drop_credentials(&mut headers, &url, &next, request.follow);
                url = next;
                continue;
            }
            return Ok((answer, url));
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
