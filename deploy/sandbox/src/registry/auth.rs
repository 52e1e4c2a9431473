//! Who may use the registry: everybody, whoever knows a password, or whoever fetches a token with it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::json;

use super::refusal::Refusal;
use crate::clock;

/// What the registry asks of its clients.
#[derive(Clone, Default)]
pub enum RegistryAuth {
    /// Nothing.
    #[default]
    None,
    /// A password in every request.
    Basic {
        /// The one user.
        username: String,
        /// Their password.
        password: String,
    },
    /// A bearer token for the scope at hand, fetched from `/token` with a password.
    Token {
        /// The one user.
        username: String,
        /// Their password.
        password: String,
        /// Whether tokens that only pull are given to everybody.
        anonymous_pull: bool,
        /// The realm in the challenge where it is not this registry's own `/token`.
        realm: Option<String>,
    },
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic",
            Self::Token { .. } => "Token",
        })
    }
}

const SERVICE: &str = "sandbox";
const TOKEN_LIFETIME: Duration = Duration::from_secs(300);

/// Decides whether a request may pass; hands out tokens.
pub(crate) struct Gate {
    auth: RegistryAuth,
    tokens: Mutex<BTreeMap<String, Token>>,
}

struct Token {
    scopes: Vec<Scope>,
    actor: Option<String>,
    until: Instant,
}

/// `repository:team/app:pull,push`
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Scope {
    kind: String,
    name: String,
    actions: Vec<String>,
}

impl Scope {
    /// What a request with this method needs in a repository.
    pub(crate) fn repository(name: &str, method: &Method) -> Self {
        let actions: &[&str] = match *method {
            Method::GET | Method::HEAD => &["pull"],
            Method::DELETE => &["delete"],
            _ => &["pull", "push"],
        };
        Self {
            kind: "repository".to_owned(),
            name: name.to_owned(),
            actions: actions.iter().map(|&action| action.to_owned()).collect(),
        }
    }

    pub(crate) fn catalog() -> Self {
        Self { kind: "registry".to_owned(), name: "catalog".to_owned(), actions: vec!["*".to_owned()] }
    }

    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        Some(Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            actions: actions.split(',').map(str::to_owned).collect(),
        })
    }

    fn covers(&self, needed: &Self) -> bool {
        self.kind == needed.kind
            && self.name == needed.name
            && needed.actions.iter().all(|action| self.actions.contains(action))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.name, self.actions.join(","))
    }
}

impl Gate {
    pub(crate) fn new(auth: RegistryAuth) -> Self {
        Self { auth, tokens: Mutex::default() }
    }

    pub(crate) fn expire_tokens(&self) {
        self.tokens().clear();
    }

    /// Who is asking, where the request says so and may pass.
    pub(crate) fn admit(
        &self,
        headers: &HeaderMap,
        host: &str,
        needed: Option<&Scope>,
    ) -> Result<Option<String>, Refusal> {
        match &self.auth {
            RegistryAuth::None => Ok(None),
            RegistryAuth::Basic { username, password } => match basic(headers) {
                Some((user, secret)) if user == *username && secret == *password => Ok(Some(user)),
                _ => Err(Refusal::unauthorized(r#"Basic realm="sandbox""#.to_owned())),
            },
            RegistryAuth::Token { realm, .. } => {
                let mut insufficient = false;
                if let Some(name) = authorization(headers, "bearer")
                    && let Some(token) = self.tokens().get(name)
                    && token.until > Instant::now()
                {
                    if needed.is_none_or(|needed| token.scopes.iter().any(|scope| scope.covers(needed))) {
                        return Ok(token.actor.clone());
                    }
                    insufficient = true;
                }
                let own = format!("http://{host}/token");
                let realm = realm.as_deref().unwrap_or(&own);
                let mut challenge = format!(r#"Bearer realm="{realm}",service="{SERVICE}""#);
                if let Some(needed) = needed {
                    challenge.push_str(&format!(r#",scope="{needed}""#));
                }
                if insufficient {
                    challenge.push_str(r#",error="insufficient_scope""#);
                }
                Err(Refusal::unauthorized(challenge))
            }
        }
    }

    /// `GET /token?service=…&scope=…`: a token for the scopes asked for.
    pub(crate) fn token(&self, headers: &HeaderMap, query: &[(String, String)]) -> Response {
        let RegistryAuth::Token { username, password, anonymous_pull, .. } = &self.auth else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let actor = match basic(headers) {
            Some((user, secret)) if user == *username && secret == *password => Some(user),
            Some(_) => {
                return Refusal::unauthorized(r#"Basic realm="sandbox""#.to_owned()).into_response();
            }
            None => None,
        };
        let mut scopes: Vec<Scope> = query
            .iter()
            .filter(|(name, _)| name == "scope")
            .flat_map(|(_, value)| value.split(' '))
            .filter_map(Scope::parse)
            .collect();
        if actor.is_none() {
            for scope in &mut scopes {
                scope.actions.retain(|action| *anonymous_pull && action == "pull");
            }
        }
        let token = crate::random_id();
        self.tokens().insert(token.clone(), Token { scopes, actor, until: Instant::now() + TOKEN_LIFETIME });
        Json(json!({
            "token": token,
            "access_token": token,
            "expires_in": TOKEN_LIFETIME.as_secs(),
            "issued_at": clock::rfc3339_now(),
        }))
        .into_response()
    }

    fn tokens(&self) -> MutexGuard<'_, BTreeMap<String, Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (given, rest) = value.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then_some(rest.trim_start())
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let bytes = STANDARD.decode(authorization(headers, "basic")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, secret) = text.split_once(':')?;
    Some((user.to_owned(), secret.to_owned()))
}
