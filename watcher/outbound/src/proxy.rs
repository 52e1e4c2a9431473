//! A proxy of the configuration: how it is written, and for which URLs it is asked; pure.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::address::{Refusal, refusal};

/// Names of this machine and of cloud metadata services, which no proxy is asked for.
const METADATA_NAMES: [&str; 4] =
    ["metadata.google.internal", "metadata.goog", "metadata", "instance-data.ec2.internal"];

/// A proxy that is asked for tunnels (CONNECT) and nothing else, `http://HOST:PORT`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proxy {
    url: Url,
}

/// Why a text names no proxy that is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// Another scheme, or no URL at all.
    #[error("a proxy is written http://HOST:PORT")]
    Form,
    /// A user name or password. It would sit in the configuration file.
    #[error("the URL of a proxy holds no user name and no password")]
    Credentials,
    /// The proxy itself is a metadata service.
    #[error("no proxy is there: {0}")]
    Address(Refusal),
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| ProxyError::Form)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ProxyError::Credentials);
        }
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || url.host_str().is_none_or(str::is_empty) || !is_bare {
            return Err(ProxyError::Form);
        }
        // It may well be on this machine or a private network.
        match never(&url, true) {
            Some(why) => Err(ProxyError::Address(why)),
            None => Ok(Self { url }),
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

impl Proxy {
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether a proxy may be asked for a URL that the configuration names. It resolves names itself, so that their
    /// addresses cannot be checked here; that is why hosts which the configuration does not name are never asked for.
    ///
    /// # Errors
    /// Plain http, which a proxy would have to read; this machine, link-local addresses and metadata services.
    pub fn admits(url: &Url) -> Result<(), Refusal> {
        if url.scheme() != "https" {
            return Err(Refusal::NoTunnel);
        }
        never(url, false).map_or(Ok(()), Err)
    }
}

/// What speaks against a host by its name or literal address. A private network speaks against none that is named.
fn never(url: &Url, allow_loopback: bool) -> Option<Refusal> {
    let address = match url.host()? {
        Host::Ipv4(v4) => v4.into(),
        Host::Ipv6(v6) => v6.into(),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let is_here = name == "localhost" || name.ends_with(".localhost");
            return match () {
                () if METADATA_NAMES.contains(&name.as_str()) => Some(Refusal::Metadata),
                () if is_here && !allow_loopback => Some(Refusal::Loopback),
                () => None,
            };
        }
    };
    match refusal(address, false)? {
        Refusal::Private => None,
        Refusal::Loopback if allow_loopback => None,
        why => Some(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_bare_http_url() {
        for (text, shown) in [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("http://proxy.example:3128/", "http://proxy.example:3128"),
            ("http://10.1.2.3:8080", "http://10.1.2.3:8080"),
            ("http://127.0.0.1:3128", "http://127.0.0.1:3128"),
            ("http://[fd00::1]:3128", "http://[fd00::1]:3128"),
            ("http://localhost:3128", "http://localhost:3128"),
        ] {
            assert_eq!(text.parse::<Proxy>().map(|proxy| proxy.to_string()), Ok(shown.to_owned()));
        }
        for (text, why) in [
            ("proxy.example:3128", ProxyError::Form),
            ("https://proxy.example:3128", ProxyError::Form),
            ("socks5://proxy.example:1080", ProxyError::Form),
            ("http://proxy.example:3128/path", ProxyError::Form),
            ("http://proxy.example:3128?x=1", ProxyError::Form),
            ("http://", ProxyError::Form),
            ("", ProxyError::Form),
            ("http://user@proxy.example:3128", ProxyError::Credentials),
            ("http://user:s3cret@proxy.example:3128", ProxyError::Credentials),
            ("http://169.254.169.254:80", ProxyError::Address(Refusal::LinkLocal)),
            ("http://metadata.google.internal:80", ProxyError::Address(Refusal::Metadata)),
        ] {
            assert_eq!(text.parse::<Proxy>(), Err(why), "{text}");
            assert!(!why.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn a_proxy_is_never_asked_for_this_machine_or_a_metadata_service() {
        let admits = |url: &str| Proxy::admits(&Url::parse(url).expect("a URL"));
        for url in
            ["https://reg.example/", "https://10.0.0.7:5000/", "https://[fd00::7]/", "https://reg.internal:8443/"]
        {
            assert_eq!(admits(url), Ok(()), "{url}");
        }
        for (url, why) in [
            ("http://reg.example/", Refusal::NoTunnel),
            ("https://localhost/", Refusal::Loopback),
            ("https://LOCALHOST./", Refusal::Loopback),
            ("https://a.localhost/", Refusal::Loopback),
            ("https://127.0.0.1/", Refusal::Loopback),
            ("https://127.1/", Refusal::Loopback),
            ("https://0x7f000001/", Refusal::Loopback),
            ("https://[::1]/", Refusal::Loopback),
            ("https://[::ffff:127.0.0.1]/", Refusal::Loopback),
            ("https://169.254.169.254/", Refusal::LinkLocal),
            ("https://[fe80::1]/", Refusal::LinkLocal),
            ("https://100.100.100.200/", Refusal::Metadata),
            ("https://[fd00:ec2::254]/", Refusal::Metadata),
            ("https://metadata.google.internal/", Refusal::Metadata),
            ("https://Metadata.Google.Internal./", Refusal::Metadata),
            ("https://0.0.0.0/", Refusal::Unspecified),
        ] {
            assert_eq!(admits(url), Err(why), "{url}");
        }
    }
}
