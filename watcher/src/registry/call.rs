//! One authenticated call, and what a refusal means.

use std::time::{Duration, SystemTime};

use bundle::Repository;
use http::HeaderName;
use http::header::WWW_AUTHENTICATE;
use http::{Method, StatusCode};
use outbound::{OutboundError, Request, Response};
use serde::Deserialize;
use url::Url;

use super::challenge::wanted;
use super::{Registry, RegistryError, auth};

/// Registries' error bodies are short; what is longer is not read.
const ERROR_TEXT_MAX: usize = 200;
/// The cap on answers where only status and headers count.
pub(super) const SMALL_ANSWER: usize = 256 << 10;

/// What registries put on every answer of theirs.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

pub(super) use auth::Access;

impl Registry {
    /// A request to this registry, which the configuration names.
    pub(super) fn request(&self, method: Method, path: &str) -> Request {
        let mut url = self.base.clone();
        url.set_path(path);
        self.request_url(method, url)
    }

    pub(super) fn request_url(&self, method: Method, url: Url) -> Request {
        Request::new(method, url).trusted().also_trusting(&self.blob_hosts).max_bytes(SMALL_ANSWER)
    }

    /// Whether an answer (or an upload's address) is the registry's own, not a storage's that it sent us to.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Sends with the credentials that are known; a challenge is answered once.
    pub(super) async fn call(
        &self,
        repository: &Repository,
        access: Access,
        request: Request,
    ) -> Result<Response, RegistryError> {
        let sent = self.auth.authorize(repository, access).await?;
        let answer = self.send(repository, sent.apply(request.clone())).await?;
        if answer.status != StatusCode::UNAUTHORIZED || !self.is_own(&answer.url) {
            return Ok(answer);
        }
        let values = answer.headers.get_all(WWW_AUTHENTICATE);
        let wanted = wanted(values.iter().filter_map(|value| value.to_str().ok()));
        let again = self.auth.answer(wanted, repository, access, &sent).await?;
        let answer = self.send(repository, again.apply(request)).await?;
        if answer.status == StatusCode::UNAUTHORIZED && self.is_own(&answer.url) {
            return Err(self.auth.unauthorized(repository, access, "a fresh token or password is refused as well"));
        }
        Ok(answer)
    }

    /// Sends as it is.
    pub(super) async fn send(&self, repository: &Repository, request: Request) -> Result<Response, RegistryError> {
        let name = self.name(repository);
        self.client.send(request).await.map_err(|source| match source {
            OutboundError::ForbiddenTarget { ref host, .. } => {
                let (host, registry) = (host.clone(), self.host.to_string());
                RegistryError::ForbiddenTarget { name, registry, host, source: Box::new(source) }
            }
            source => RegistryError::outbound(name, source),
        })
    }

    /// Makes sure that a 404 comes from the registry. What stands before it says 404 to everything while the
    /// registry is away, and that must not pass for "not there".
    pub(super) async fn confirm_absence(
        &self,
        repository: &Repository,
        answer: &Response,
    ) -> Result<(), RegistryError> {
        if is_a_registrys(answer) {
            return Ok(());
        }
        let ping = self.send(repository, self.request(Method::GET, "v2/")).await?;
        match ping.status {
            StatusCode::OK | StatusCode::UNAUTHORIZED => Ok(()),
            // As if somebody else had answered, which is so: every status is a "try later".
            _ => Err(refusal(self.name(repository), "answer GET /v2/", false, &ping)),
        }
    }

    /// The error for a status that the caller does not understand as an answer.
    pub(super) fn refused(&self, repository: &Repository, doing: &'static str, answer: &Response) -> RegistryError {
        // A bare 404 may be that of what stands before a registry that is away.
        let own = self.is_own(&answer.url) && (answer.status != StatusCode::NOT_FOUND || is_a_registrys(answer));
        refusal(self.name(repository), doing, own, answer)
    }
}

/// Whether an answer shows that a registry gave it: by its header, or by an error body of its kind.
fn is_a_registrys(answer: &Response) -> bool {
    answer.headers.contains_key(API_VERSION) || !Said::read(&answer.body).code.is_empty()
}

/// Sorts a status that is no answer.
pub(super) fn refusal(name: String, doing: &'static str, own: bool, answer: &Response) -> RegistryError {
    let said = Said::read(&answer.body);
    let retry_after = answer.retry_after(SystemTime::now()).or_else(|| retry_after_in(&said.message));
    let status = answer.status.as_u16();
    match status {
        429 => RegistryError::RateLimited { name, retry_after },
        500.. => RegistryError::Unavailable { name, doing, status, retry_after },
        // A storage that a redirect led to does not know our account; its refusal is a broken link of the registry.
        _ if !own => RegistryError::Unavailable { name, doing, status, retry_after },
        401 | 403 => RegistryError::Denied { name, doing, code: said.code(status) },
        _ => {
            let message = if said.message.is_empty() { String::new() } else { format!(": {}", said.message) };
            RegistryError::Refused { name, doing, status, code: said.code(status), message }
        }
    }
}

/// Whether a refused write of a tag means that the tag must not change.
pub(super) fn says_immutable(answer: &Response) -> bool {
    let text = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    matches!(answer.status.as_u16(), 400 | 403 | 409 | 412)
        && ["immutab", "cannot be overwritten", "tag_already_exists", "does not allow updating"]
            .iter()
            .any(|sign| text.contains(sign))
}

/// The first error of a registry's error body.
#[derive(Default)]
struct Said {
    code: String,
    message: String,
}

impl Said {
    fn read(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Body {
            errors: Vec<One>,
        }
        #[derive(Deserialize)]
        struct One {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
        }
        let first = serde_json::from_slice::<Body>(body).ok().and_then(|body| body.errors.into_iter().next());
        first.map_or_else(Self::default, |one| Self { code: printable(&one.code), message: printable(&one.message) })
    }

    fn code(&self, status: u16) -> String {
        if self.code.is_empty() { status.to_string() } else { self.code.clone() }
    }
}

/// No more of an outsider's text than a line of a log can hold, and nothing that moves a cursor.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(ERROR_TEXT_MAX).collect()
}

/// GHCR says how long to wait in the message only: `retry-after: 10.305464ms, allowed: 2000/minute`.
fn retry_after_in(message: &str) -> Option<Duration> {
    let (_, after) = message.to_ascii_lowercase().split_once("retry-after:").map(|(a, b)| (a.len(), b.to_owned()))?;
    go_duration(after.trim_start().split([',', ' ', ';']).next()?)
}

/// SPEC: "a possibly signed sequence of decimal numbers, each with optional fraction and a unit suffix" (Go's
/// `time.ParseDuration`); a sign makes no sense here.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (value, after) = rest.split_at(number);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let scale = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += value.parse::<f64>().ok()? * scale;
        rest = after;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_is_only_in_the_message_is_found() {
        let ghcr = "retry-after: 10.305464ms, allowed: 2000/minute";
        assert_eq!(retry_after_in(ghcr), Some(Duration::from_nanos(10_305_464)));
        assert_eq!(retry_after_in("Retry-After: 1m30s"), Some(Duration::from_secs(90)));
        for other in ["", "slow down", "retry-after: soon", "retry-after:", "retry-after: 5", "retry-after: 1e999h"] {
            assert_eq!(retry_after_in(other), None, "{other}");
        }
    }

    #[test]
    fn what_a_registry_says_is_cut_and_cleaned() {
        let body = format!(r#"{{"errors":[{{"code":"X\u001b[2J","message":"{}"}}]}}"#, "m".repeat(1000));
        let said = Said::read(body.as_bytes());
        assert_eq!(said.code, "X[2J");
        assert_eq!(said.message.len(), ERROR_TEXT_MAX);
        for junk in ["", "{}", "<html>", r#"{"errors":[]}"#, r#"{"errors":[{}]}"#] {
            assert_eq!(Said::read(junk.as_bytes()).code(418), "418", "{junk}");
        }
    }
}
