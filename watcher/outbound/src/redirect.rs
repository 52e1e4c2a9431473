//! Where a redirect may lead, and what may travel along; pure.

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName, StatusCode};
use url::{Host, Url};

use crate::address::{Refusal, refusal};
use crate::error::OutboundError;
use crate::request::Redirects;

/// The status codes that mean "ask there instead".
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// `host` or `host:port`, for messages and comparison; the port is shown where it is not the scheme's own.
pub(crate) fn authority(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "(no host)".to_owned(),
    }
}

/// The next hop.
pub(crate) fn next_hop(current: &Url, location: Option<&str>) -> Result<Url, OutboundError> {
    let bad = |why| OutboundError::BadRedirect { host: authority(current), why };
    let location = location.ok_or_else(|| bad("no Location"))?;
    let next = current.join(location).map_err(|_| bad("not a URL"))?;
    if next.host_str().is_none_or(str::is_empty) {
        return Err(bad("no host"));
    }
    // The transport would turn these into an Authorization header.
    if !next.username().is_empty() || next.password().is_some() {
        return Err(bad("credentials in the URL"));
    }
    if current.scheme() == "https" && next.scheme() != "https" {
        return Err(OutboundError::Downgrade { from: authority(current), to: authority(&next) });
    }
    Ok(next)
}

/// Drops what must not travel from `from` to `to`.
pub(crate) fn drop_credentials(headers: &mut HeaderMap, from: &Url, to: &Url, mode: Redirects) {
    if !matches!(mode, Redirects::BlobsWithoutCredentials { .. }) && from.origin() == to.origin() {
        return;
    }
    let mut secret: Vec<HeaderName> = vec![AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];
    secret.extend(headers.iter().filter(|(_, v)| v.is_sensitive()).map(|(n, _)| n.clone()));
    for name in secret {
        headers.remove(name);
    }
}

/// Checks what can be checked of a host without resolving it. Names are checked by the resolver, at the
/// moment of connecting, so that no second answer can differ from the one that was checked.
pub(crate) fn check_target(url: &Url, allow_private: bool) -> Result<(), OutboundError> {
    let refuse = |why| OutboundError::ForbiddenTarget { host: authority(url), why };
    match url.scheme() {
        "https" => {}
        "http" => return Err(refuse(Refusal::PlainHttp)),
        _ => return Err(refuse(Refusal::Scheme)),
    }
    let literal = match url.host() {
        Some(Host::Ipv4(v4)) => v4.into(),
        Some(Host::Ipv6(v6)) => v6.into(),
        Some(Host::Domain(_)) => return Ok(()),
        None => return Err(OutboundError::Url { host: authority(url), why: "no host" }),
    };
    refusal(literal, allow_private).map_or(Ok(()), |why| Err(refuse(why)))
}

/// Whether the configuration names this URL's host, as `host` (any port) or `host:port`.
pub(crate) fn is_named(url: &Url, hosts: &[String]) -> bool {
    let Some(host) = url.host_str() else { return false };
    let port = url.port_or_known_default();
    hosts.iter().any(|named| {
        named.eq_ignore_ascii_case(host)
            || port.is_some_and(|port| named.eq_ignore_ascii_case(&format!("{host}:{port}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn a_redirect_from_https_to_http_is_refused() {
        let from = url("https://registry.example.com/v2/");
        for location in ["http://registry.example.com/x", "ftp://registry.example.com/x"] {
            let refused = next_hop(&from, Some(location));
            assert!(matches!(refused, Err(OutboundError::Downgrade { .. })), "{refused:?}");
        }
        assert!(next_hop(&url("http://a.example/"), Some("https://b.example/")).is_ok());
    }

    #[test]
    fn a_relative_location_is_resolved_and_junk_is_refused() {
        let from = url("https://registry.example.com/v2/a?q");
        let next = next_hop(&from, Some("../b")).expect("a hop");
        assert_eq!(next.as_str(), "https://registry.example.com/b");
        for location in [None, Some("https://"), Some("https://user:pass@b.example/"), Some("http://[")] {
            let refused = next_hop(&from, location);
            assert!(matches!(refused, Err(OutboundError::BadRedirect { .. })), "{location:?} {refused:?}");
        }
    }

    #[test]
    fn credentials_stay_with_the_origin_that_they_were_meant_for() {
        let follow = Redirects::Follow { max: 3 };
        let blobs = Redirects::BlobsWithoutCredentials { max: 3 };
        let from = url("https://a.example/1");
        let upload = Redirects::Upload { max: 3 };
        for (to, mode, kept) in [
            ("https://a.example/2", upload, true),
            ("https://a.example:444/2", upload, false),
            ("https://b.example/2", upload, false),
            ("https://a.example/2", follow, true),
            ("https://a.example:444/2", follow, false),
            ("https://b.example/2", follow, false),
            ("https://a.example/2", blobs, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer t"));
            headers.insert(COOKIE, HeaderValue::from_static("c=1"));
            let mut key = HeaderValue::from_static("k");
            key.set_sensitive(true);
            headers.insert("x-api-key", key);
            headers.insert("accept", HeaderValue::from_static("*/*"));
            drop_credentials(&mut headers, &from, &url(to), mode);
            assert_eq!(headers.len(), if kept { 4 } else { 1 }, "{to} {mode:?}");
        }
    }

    #[test]
    fn odd_spellings_of_loopback_are_seen_through() {
        for target in [
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://017700000001/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://10.0.0.1/",
        ] {
            let refused = check_target(&url(target), false);
            assert!(matches!(refused, Err(OutboundError::ForbiddenTarget { .. })), "{target}");
        }
        assert!(check_target(&url("https://example.com/"), false).is_ok());
        assert!(check_target(&url("http://example.com/"), false).is_err());
    }

    #[test]
    fn a_host_is_named_with_or_without_its_port() {
        let named = vec!["minio.internal:9000".to_owned(), "Storage.internal".to_owned()];
        assert!(is_named(&url("https://minio.internal:9000/x"), &named));
        assert!(!is_named(&url("https://minio.internal/x"), &named));
        assert!(is_named(&url("https://storage.internal:1234/x"), &named));
        assert!(!is_named(&url("https://evil-storage.internal/x"), &named));
    }
}
