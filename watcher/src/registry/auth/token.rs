//! The token service: which realm may have our credentials, and the two ways to ask it.

use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::ACCEPT;
use http::{HeaderValue, Method};
use outbound::{OutboundError, Request, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;
use url::form_urlencoded::{Serializer, parse};

use super::{Authenticator, Bearer, Scope};
use crate::registry::RegistryError;
use crate::registry::call::{SMALL_ANSWER, refusal};
use crate::registry::credentials::Credential;

/// SPEC: a token without `expires_in` lives 60 seconds (distribution's token specification).
const DEFAULT_LIFETIME: u64 = 60;
/// No token is kept for longer, whatever it says.
const LONGEST_LIFETIME: u64 = 3600;
/// A token is not used in its last moments; clocks differ and requests take time.
const SLACK: Duration = Duration::from_secs(30);
/// The name under which ACR and others know a bearer of a refresh token.
const TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";
const DOING: &str = "give a token";

/// Public registries (by the host of their API) whose token service is on another host of their own. The other
/// well-known ones (ghcr.io, quay.io) are their own realm.
const PUBLIC_REALMS: [(&str, &str); 2] =
    [("registry-1.docker.io", "auth.docker.io"), ("registry.gitlab.com", "gitlab.com")];

/// A token and when to stop using it.
pub(super) struct CachedToken {
    pub(super) token: SecretString,
    good_until: Instant,
}

impl CachedToken {
    fn new(token: SecretString, lifetime: u64, now: Instant) -> Self {
        let lifetime = Duration::from_secs(lifetime.min(LONGEST_LIFETIME));
        Self { token, good_until: now + lifetime - SLACK.min(lifetime / 4) }
    }

    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now < self.good_until
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    /// Unread: it is only a hint, and services write it in many ways.
    expires_in: Option<Box<RawValue>>,
}

/// How long a token lives, in whole seconds: a number, or one in a string. Whatever else it says counts as not said.
fn lifetime(expires_in: Option<&RawValue>) -> u64 {
    let text = expires_in.map(|value| value.get().trim_matches('"').trim()).unwrap_or_default();
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    // No token is kept for so long, and the cast saturates.
    seconds.map_or(DEFAULT_LIFETIME, |seconds| seconds.min(LONGEST_LIFETIME as f64).ceil() as u64)
}

/// A realm that may be asked.
struct Realm {
    url: Url,
    /// The configuration names its host: the registry's own, or one of `realm_hosts`.
    named: bool,
}

impl Authenticator {
    /// Asks the realm for a token.
    pub(super) async fn fetch(&self, bearer: &Bearer, scope: &Scope) -> Result<CachedToken, RegistryError> {
        let credential = self.find(&scope.repository).await?;
        if let Some(Credential::Bearer(token)) = credential {
            return Ok(CachedToken::new(token, DEFAULT_LIFETIME, Instant::now()));
        }
        let realm = self.realm(&bearer.realm, credential.is_some())?;
        let scopes = scopes(scope, bearer.scope.as_deref());
        let answer = match &credential {
            Some(Credential::Identity { username, token }) => {
                let answer = self.ask(scope, realm.post(bearer, &scopes, token)).await?;
                // Services without the OAuth2 endpoint may take the same token as a password.
                if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
                    let user = Some(username.as_str()).filter(|u| !u.is_empty() && *u != "<token>");
                    let request = realm.get(bearer, &scopes).basic(user.unwrap_or(TOKEN_USER), token);
                    self.ask(scope, request).await?
                } else {
                    answer
                }
            }
            Some(Credential::Basic { username, password }) => {
                self.ask(scope, realm.get(bearer, &scopes).basic(username, password)).await?
            }
            Some(Credential::Bearer(_)) | None => self.ask(scope, realm.get(bearer, &scopes)).await?,
        };
        self.read(answer, scope, credential.is_some())
    }

    async fn ask(&self, scope: &Scope, request: Request) -> Result<Response, RegistryError> {
        let name = self.name(&scope.repository);
        self.client.send(request).await.map_err(|source| match source {
            OutboundError::ForbiddenTarget { host, why } => {
                self.forbidden_realm(&host, format!("which the configuration does not name ({why})"))
            }
            source => RegistryError::outbound(name, source),
        })
    }

    fn forbidden_realm(&self, realm: &str, why: String) -> RegistryError {
        RegistryError::ForbiddenRealm { registry: self.registry.to_string(), realm: realm.to_owned(), why }
    }

    fn read(&self, answer: Response, scope: &Scope, had_credentials: bool) -> Result<CachedToken, RegistryError> {
        let name = self.name(&scope.repository);
        match answer.status.as_u16() {
            200 => {}
            400 | 401 | 403 => {
                let why = match had_credentials {
                    true => "its token service refuses them",
                    false => "its token service gives strangers no token, and none are configured",
                };
                return Err(self.unauthorized(&scope.repository, scope.access, why));
            }
            _ => return Err(refusal(name, DOING, true, &answer)),
        }
        let unusable = |why| RegistryError::Protocol { name: name.clone(), doing: DOING, why };
        let parsed: TokenAnswer = serde_json::from_slice(&answer.body).map_err(|_| unusable("not a token answer"))?;
        let token = [parsed.token, parsed.access_token].into_iter().flatten().find(|t| !t.expose_secret().is_empty());
        let token = token.ok_or_else(|| unusable("no token in it"))?;
        let lifetime = lifetime(parsed.expires_in.as_deref());
        Ok(CachedToken::new(token, lifetime, Instant::now()))
    }

    /// Whether a realm may be asked. A registry that is broken into, or that an attacker pretends to be, must not be able
    /// to send our credentials elsewhere. Without credentials any public host may be asked.
    fn realm(&self, text: &str, with_credentials: bool) -> Result<Realm, RegistryError> {
        let forbidden = |realm: &str, why: &str| self.forbidden_realm(realm, why.to_owned());
        let Ok(mut url) = Url::parse(text) else { return Err(forbidden("(no URL)", "which is no URL")) };
        without_our_parameters(&mut url);
        let host = url.host_str().unwrap_or_default();
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        if host.is_empty() || !url.username().is_empty() || url.password().is_some() {
            return Err(forbidden(&authority, "which is no plain URL"));
        }
        match url.scheme() {
            "https" => {}
            "http" if self.plain_http => {}
            _ => return Err(forbidden(&authority, "which is not https")),
        }
        let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        let own = self.base.host_str() == Some(host);
        let listed = self.realm_hosts.iter().any(|h| h.eq_ignore_ascii_case(host) || *h == with_port);
        let public = self.base.host_str().is_some_and(|registry| PUBLIC_REALMS.contains(&(registry, &authority)));
        if own || listed || public || !with_credentials {
            // A proxy is asked for named hosts only; the public realms are those of our own list.
            Ok(Realm { url, named: own || listed || (public && self.proxied) })
        } else {
            Err(forbidden(&authority, "which is not its own host"))
        }
    }
}

impl Realm {
    fn request(&self, method: Method, url: Url) -> Request {
        let request = Request::new(method, url).max_bytes(SMALL_ANSWER);
        let request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
        if self.named { request.trusted() } else { request }
    }

    fn get(&self, bearer: &Bearer, scopes: &[String]) -> Request {
        let mut url = self.url.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &bearer.service {
                query.append_pair("service", service);
            }
            for scope in scopes {
                query.append_pair("scope", scope);
            }
        }
        self.request(Method::GET, url)
    }

    fn post(&self, bearer: &Bearer, scopes: &[String], token: &SecretString) -> Request {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token");
        form.append_pair("service", bearer.service.as_deref().unwrap_or_default());
        form.append_pair("client_id", "sealwatch");
        form.append_pair("scope", &scopes.join(" "));
        form.append_pair("refresh_token", token.expose_secret());
        self.request(Method::POST, self.url.clone()).body("application/x-www-form-urlencoded", form.finish())
    }
}

/// Drops what we say ourselves from a realm's own query; a token service may take the first of two.
fn without_our_parameters(url: &mut Url) {
    let Some(query) = url.query() else { return };
    let is_ours = |pair: &&str| {
        parse(pair.as_bytes()).any(|(name, _)| ["scope", "service"].iter().any(|ours| name.eq_ignore_ascii_case(ours)))
    };
    // The rest stays as it is written.
    let rest: Vec<&str> = query.split('&').filter(|pair| !is_ours(pair)).collect();
    let rest = Some(rest.join("&")).filter(|rest| !rest.is_empty());
    url.set_query(rest.as_deref());
}

/// Ours, and what else the challenge wants done with this very repository: a registry does not choose what else
/// our token opens.
fn scopes(ours: &Scope, challenged: Option<&str>) -> Vec<String> {
    let known: Vec<&str> = ours.access.as_str().split(',').collect();
    let repository = ours.repository.to_string();
    let besides = challenged.unwrap_or_default().split_whitespace().filter(|scope| {
        scope.strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':')).is_some_and(|(name, actions)| {
            name == repository && actions.split(',').any(|action| !action.is_empty() && !known.contains(&action))
        })
    });
    std::iter::once(ours.to_string()).chain(besides.map(str::to_owned)).take(4).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Access;
    use super::*;
    use crate::registry::{Registry, RegistryConfig};

    #[test]
    fn a_token_is_not_used_in_its_last_moments() {
        let now = Instant::now();
        let fresh_after = |lifetime: u64, seconds: u64| {
            CachedToken::new(SecretString::from("t"), lifetime, now).is_fresh(now + Duration::from_secs(seconds))
        };
        assert!(fresh_after(300, 269) && !fresh_after(300, 270));
        assert!(fresh_after(60, 44) && !fresh_after(60, 45));
        assert!(fresh_after(1, 0) && !fresh_after(1, 1));
        assert!(!fresh_after(u64::MAX, LONGEST_LIFETIME));
    }

    #[test]
    fn a_lifetime_is_read_however_it_is_written() {
        let read = |written: &str| {
            let answer: TokenAnswer =
                serde_json::from_str(&format!(r#"{{"token":"t"{written}}}"#)).expect("a token answer");
            lifetime(answer.expires_in.as_deref())
        };
        for (written, seconds) in [
            (r#","expires_in":300"#, 300),
            (r#","expires_in":"300""#, 300),
            (r#","expires_in":300.0"#, 300),
            (r#","expires_in":299.5"#, 300),
            (r#","expires_in":3e2"#, 300),
            (r#","expires_in":" 300 ""#, 300),
            (r#","expires_in":0.2"#, 1),
            (r#","expires_in":18446744073709551616"#, LONGEST_LIFETIME),
            (r#","expires_in":9999999999999999999999999"#, LONGEST_LIFETIME),
            (r#","expires_in":1e300"#, LONGEST_LIFETIME),
            ("", DEFAULT_LIFETIME),
            (r#","expires_in":null"#, DEFAULT_LIFETIME),
            (r#","expires_in":0"#, DEFAULT_LIFETIME),
            (r#","expires_in":-1"#, DEFAULT_LIFETIME),
            (r#","expires_in":-0.5"#, DEFAULT_LIFETIME),
            (r#","expires_in":1e999"#, DEFAULT_LIFETIME),
            (r#","expires_in":"""#, DEFAULT_LIFETIME),
            (r#","expires_in":"soon""#, DEFAULT_LIFETIME),
            (r#","expires_in":"inf""#, DEFAULT_LIFETIME),
            (r#","expires_in":"NaN""#, DEFAULT_LIFETIME),
            (r#","expires_in":"1h""#, DEFAULT_LIFETIME),
            (r#","expires_in":true"#, DEFAULT_LIFETIME),
            (r#","expires_in":[300]"#, DEFAULT_LIFETIME),
            (r#","expires_in":{"seconds":300}"#, DEFAULT_LIFETIME),
        ] {
            assert_eq!(read(written), seconds, "{written}");
        }
    }

    #[test]
    fn a_challenge_widens_the_scope_to_no_other_repository() {
        let ours = Scope { repository: "team/app".parse().expect("a repository"), access: Access::Push };
        let all = |challenged| scopes(&ours, challenged);
        assert_eq!(all(None), ["repository:team/app:pull,push"]);
        assert_eq!(all(Some("repository:team/secret:pull repository:team/app:pull")), all(None));
        for other in [
            "aws",
            "registry:catalog:*",
            "repository(plugin):team/secret:pull",
            "repository(plugin):team/app:delete",
            "x\trepository:team/secret:pull",
            "repository:team/app:pull\u{b}repository:team/secret:pull\nrepository:*:*",
            "repository:team/app/deeper:delete repository:team/secret:team/app:delete",
            "repository:team/app: repository:team/app repository::delete",
        ] {
            assert_eq!(all(Some(other)), all(None), "{other:?}");
        }
        let more = all(Some("\trepository:team/app:pull,metadata_read\n"));
        assert_eq!(more, ["repository:team/app:pull,push", "repository:team/app:pull,metadata_read"]);
    }

    #[test]
    fn the_realms_own_query_chooses_neither_scope_nor_service() {
        let registry = Registry::new(RegistryConfig::new("reg.example".parse().expect("a host"))).expect("a client");
        let bearer = Bearer { realm: String::new(), service: Some("ours".to_owned()), scope: None };
        let secret = "scope=repository:team/secret:pull";
        for (query, kept) in [
            (format!("?{secret}&x=%2F1&service=other&y"), "x=%2F1&y&"),
            (format!("?s%63ope=a&Scope=b&SERVICE=c&{secret}"), ""),
            ("?account=a+b".to_owned(), "account=a+b&"),
            (String::new(), ""),
        ] {
            let realm = registry.auth.realm(&format!("https://reg.example/token{query}"), true).expect("its own host");
            let get = realm.get(&bearer, &["ours".to_owned()]);
            assert_eq!(get.url.query(), Some(&format!("{kept}service=ours&scope=ours")[..]), "{query}");
            let post = realm.post(&bearer, &["ours".to_owned()], &SecretString::from("t"));
            assert_eq!(post.url.query().unwrap_or_default(), kept.trim_end_matches('&'), "{query}");
        }
    }

    /// `Ok(named)` or the refusal.
    fn realm(registry: &str, plain_http: bool, listed: &str, realm: &str) -> Result<bool, String> {
        let mut config = RegistryConfig::new(registry.parse().expect("a host"));
        config.plain_http = plain_http;
        config.realm_hosts = vec![listed.to_owned()];
        let registry = Registry::new(config).expect("a client");
        registry.auth.realm(realm, true).map(|realm| realm.named).map_err(|error| error.to_string())
    }

    #[test]
    fn credentials_go_to_the_registry_itself_and_to_known_or_named_realms() {
        for (registry, url, named) in [
            ("reg.example:5000", "https://reg.example:5000/token", true),
            ("reg.example:5000", "https://reg.example/token?x=1", true),
            ("reg.example", "https://auth.example/token", true),
            ("reg.example", "https://auth2.example:8443/token", false),
            ("docker.io", "https://auth.docker.io/token", false),
            ("registry-1.docker.io", "https://auth.docker.io/token", false),
            ("ghcr.io", "https://ghcr.io/token", true),
            ("quay.io", "https://quay.io/v2/auth", true),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth", false),
        ] {
            let listed = if url.contains("auth2") { "auth2.example:8443" } else { "auth.example" };
            let found = realm(registry, false, listed, url);
            assert_eq!(found, Ok(named || listed.contains("auth2")), "{registry} {url}");
        }
        assert_eq!(realm("reg.example", true, "", "http://reg.example/token"), Ok(true));
    }

    #[test]
    fn without_credentials_any_host_may_be_asked_as_a_stranger() {
        let registry = Registry::new(RegistryConfig::new("reg.example".parse().expect("a host"))).expect("a client");
        let realm = registry.auth.realm("https://auth.elsewhere.example/token", false).expect("nothing is sent there");
        assert!(!realm.named, "its address is checked");
        for bad in ["http://auth.elsewhere.example/token", "https://u:p@auth.elsewhere.example/", "/token"] {
            assert!(registry.auth.realm(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_go_nowhere_else_and_the_error_says_how_to_allow_it() {
        for (registry, url) in [
            ("reg.example", "https://auth.docker.io/token"),
            ("reg.example", "https://evil.example/token"),
            ("reg.example", "https://reg.example.evil.example/token"),
            ("docker.io", "https://auth.docker.io.evil.example/token"),
            ("docker.io", "https://auth.docker.io:444/token"),
            ("docker.io", "https://gitlab.com/jwt/auth"),
            ("reg.example", "http://reg.example/token"),
            ("reg.example", "ftp://reg.example/token"),
            ("reg.example", "https://user:pass@reg.example/token"),
            ("reg.example", "https://auth.example:444/token"),
            ("reg.example", "/token"),
            ("reg.example", ""),
        ] {
            let refused = realm(registry, false, "auth.example:443", url).expect_err(url);
            assert!(refused.contains("realm_hosts") && refused.contains(registry), "{url}: {refused}");
            assert!(!refused.contains("pass"), "{refused}");
        }
    }
}
