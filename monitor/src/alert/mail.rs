//! Mail, over SMTP with TLS.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use super::message::{cut, rfc3339, short_fingerprint};
use super::{Alert, AlertSink, AlertsError, SinkError};
use crate::finding::runbook;

/// How a certificate in a PEM file begins.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Time for one command of the server.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most of a server's words that is kept.
const MAX_REASON_CHARS: usize = 300;

/// Subjects are cut, so that they stay one line in a list of mails.
const MAX_SUBJECT_CHARS: usize = 150;

/// A mail server and how it is reached.
pub(super) struct Server<'a> {
    pub(super) url: &'a Url,
    pub(super) login: Option<&'a (String, SecretString)>,
    pub(super) plain: bool,
    pub(super) ca_pem: Option<&'a [u8]>,
}

/// People with a mailbox.
pub(super) struct Mail {
    name: String,
    host: String,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("name", &self.name).field("host", &self.host).finish_non_exhaustive()
    }
}

impl Mail {
    pub(super) fn new(name: String, server: &Server<'_>, from: &str, to: &[String]) -> Result<Self, AlertsError> {
        let bad = |why: String| AlertsError::Mail { sink: name.clone(), why };
        let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|_| bad(format!("{text:?} is no mail address")));
        let from = mailbox(from)?;
        let to = to.iter().map(|text| mailbox(text)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(bad("it has no recipient".to_owned()));
        }
        let implicit = match server.url.scheme() {
            "smtps" => true,
            "smtp" => false,
            other => return Err(bad(format!("{other:?} is neither smtp nor smtps"))),
        };
        let parsed = server.url.host().ok_or_else(|| bad("its URL names no host".to_owned()))?;
        let host = match parsed {
            Host::Ipv6(address) => address.to_string(),
            other => other.to_string(),
        };
        let port = server.url.port().unwrap_or(if implicit { 465 } else { 587 });
        let tls = tls(&host, server).map_err(bad)?;
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&host).port(port).tls(tls).timeout(Some(TIMEOUT));
        if let Some((user, password)) = server.login {
            builder = builder
                .credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()))
                .authentication(vec![Mechanism::Plain, Mechanism::Login]);
        }
        Ok(Self { host: format!("{host}:{port}"), transport: builder.build(), from, to, name })
    }

    fn failed(&self, why: &str) -> SinkError {
        let why: String = cut(why, MAX_REASON_CHARS).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        SinkError::Mail { host: self.host.clone(), why }
    }

    fn message(&self, alert: &Alert) -> Result<Message, lettre::error::Error> {
        let finding = &alert.finding;
        let domain = self.from.email.domain();
        let mut builder: MessageBuilder = Message::builder()
            .from(self.from.clone())
            .subject(cut(&format!("[sealwatch] {}", alert.headline()), MAX_SUBJECT_CHARS))
            // The same each time that it is sent: mailboxes drop repeats, and threads keep a finding together.
            .message_id(Some(format!("<{}.alert@{domain}>", alert.id)))
            .references(format!("<{}.finding@{domain}>", short_fingerprint(finding)))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        builder.body(body(alert))
    }
}

#[async_trait]
impl AlertSink for Mail {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, alert: &Alert) -> Result<(), SinkError> {
        let message = self.message(alert).map_err(|error| self.failed(&error.to_string()))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(&reason(&error))),
        }
    }
}

fn body(alert: &Alert) -> String {
    let finding = &alert.finding;
    format!(
        "{}\n\n{}\n\nfinding      {} ({}, {})\nlog          {}\nfirst seen   {}\nlast seen    {}\noccurrences  {}\n\
         runbook      {}\nalert        {}\n",
        alert.headline(),
        finding.detail,
        finding.id,
        finding.kind,
        finding.severity,
        finding.log_origin.as_deref().unwrap_or("none"),
        rfc3339(finding.first_seen_at),
        rfc3339(finding.last_seen_at),
        finding.occurrences,
        runbook(finding.kind),
        alert.id,
    )
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protection {
    /// TLS from the start.
    Implicit,
    /// STARTTLS, and nothing without it.
    StartTls,
    /// None.
    Plain,
}

impl Server<'_> {
    /// Plain only where somebody wrote so, or to this machine.
    pub(super) fn protection(&self) -> Protection {
        if self.url.scheme() == "smtps" {
            Protection::Implicit
        } else if self.plain || (is_loopback(self.url) && self.ca_pem.is_none()) {
            Protection::Plain
        } else {
            Protection::StartTls
        }
    }
}

fn tls(host: &str, server: &Server<'_>) -> Result<Tls, String> {
    let protection = server.protection();
    if protection == Protection::Plain {
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(pem) = server.ca_pem {
        let none = || "its CA file holds no PEM certificate".to_owned();
        // A file of something else is read as no certificates, without an error.
        if !pem.windows(CERTIFICATE.len()).any(|window| window == CERTIFICATE) {
            return Err(none());
        }
        let certificate = Certificate::from_pem(pem).map_err(|_| none())?;
        parameters = parameters.add_root_certificate(certificate);
    }
    let parameters = parameters.build_rustls().map_err(|error| format!("its TLS cannot be set up: {error}"))?;
    Ok(if protection == Protection::Implicit { Tls::Wrapper(parameters) } else { Tls::Required(parameters) })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // Of a scheme that is not the web's, an IPv4 address is read as a name.
        Some(Host::Domain(name)) => {
            name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
        }
        None => false,
    }
}

/// The innermost reason: what the server said, or why it was not reached.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// RFC 3834: no holiday notices, please.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
