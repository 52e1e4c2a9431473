//! One answer, complete and under its cap.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HeaderName, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use jiff::fmt::rfc2822;
use url::Url;

/// One answer, complete and under its cap.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The URL that answered, after redirects: what a relative `Location` or `Link` is relative to.
    pub url: Url,
    /// The body waited longer for its room than the server took to answer: more is asked for than there is use for.
    pub crowded: bool,
}

impl Response {
    /// A header as text; `None` where it is absent or not text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the server asks us to wait: `Retry-After` in seconds or as a date, zero where the date is past.
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        parse_retry_after(self.header(&RETRY_AFTER)?, now)
    }
}

fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a u64 holds still means "not soon".
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let at = SystemTime::from(rfc2822::parse(value).ok().map(|zoned| zoned.timestamp())?);
    Some(at.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 784_111_777; // Sun, 06 Nov 1994 08:49:37 GMT

    fn at(value: &str) -> Option<Duration> {
        parse_retry_after(value, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        assert_eq!(at("7"), Some(Duration::from_secs(7)));
        assert_eq!(at(" 0 "), Some(Duration::ZERO));
        assert_eq!(at("Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(at("Sun, 06 Nov 1994 08:40:00 GMT"), Some(Duration::ZERO));
        assert_eq!(at("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn a_retry_after_that_says_nothing_is_none() {
        for junk in ["", "soon", "-1", "1.5", "Sun, 99 Nov 1994 08:50:37 GMT"] {
            assert_eq!(at(junk), None, "{junk:?}");
        }
    }
}
