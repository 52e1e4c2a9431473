//! Authorization: what a registry asks for, where a token may be fetched, and for how long one is kept.

mod token;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Instant;

use bundle::{ImageName, RegistryHost, Repository};
use http::header::WWW_AUTHENTICATE;
use http::{Method, StatusCode};
use outbound::{Client, Request};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::call::{SMALL_ANSWER, refusal};
use super::challenge::{Bearer, Wanted, wanted};
use super::credentials::{Credential, Credentials, lock};
use super::{RegistryConfig, RegistryError};
use token::CachedToken;

/// What is done with a repository.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Access {
    Pull,
    Push,
}

impl Access {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }
}

/// What a token is good for: one repository, one access.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Scope {
    repository: Repository,
    access: Access,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "repository:{}:{}", self.repository, self.access.as_str())
    }
}

/// What one request presents.
#[derive(Clone, Debug)]
pub(super) enum Authorization {
    None,
    Basic { username: String, password: SecretString },
    Bearer(SecretString),
}

impl Authorization {
    pub(super) fn apply(&self, request: Request) -> Request {
        match self {
            Self::None => request,
            Self::Basic { username, password } => request.basic(username, password),
            Self::Bearer(token) => request.bearer(token),
        }
    }

    fn is_same_basic(&self, username: &str, password: &SecretString) -> bool {
        matches!(self, Self::Basic { username: u, password: p }
            if u == username && p.expose_secret() == password.expose_secret())
    }
}

/// What is known about the registry's wishes.
#[derive(Clone, Debug)]
enum Known {
    /// Never asked.
    Nothing,
    /// `/v2/` is open to all. Some such registries show less to strangers without ever challenging them, so a
    /// user name and password are sent from the start.
    Open,
    Basic,
    Bearer(Bearer),
}

/// Answers a registry's challenges.
pub(super) struct Authenticator {
    registry: RegistryHost,
    base: Url,
    plain_http: bool,
    realm_hosts: Vec<String>,
    /// The registry is reached through a proxy.
    proxied: bool,
    client: Client,
    pub(super) credentials: Credentials,
    known: Mutex<Known>,
    tokens: Mutex<BTreeMap<Scope, CachedToken>>,
    /// One token is fetched at a time: a burst of work asks once, not once per task.
    fetching: tokio::sync::Mutex<()>,
}

impl Authenticator {
    pub(super) fn new(config: &RegistryConfig, base: Url, client: Client) -> Self {
        Self {
            registry: config.host.clone(),
            base,
            plain_http: config.plain_http,
            realm_hosts: config.realm_hosts.clone(),
            proxied: config.proxy.is_some(),
            client,
            credentials: Credentials::new(config.auth.clone(), config.host.clone()),
            known: Mutex::new(Known::Nothing),
            tokens: Mutex::new(BTreeMap::new()),
            fetching: tokio::sync::Mutex::new(()),
        }
    }

    /// What to present before anybody challenges us.
    pub(super) async fn authorize(
        &self,
        repository: &Repository,
        access: Access,
    ) -> Result<Authorization, RegistryError> {
        let mut known = lock(&self.known).clone();
        if matches!(known, Known::Nothing) {
            if self.credentials.is_anonymous() {
                return Ok(Authorization::None);
            }
            known = self.ping().await?;
        }
        match known {
            Known::Nothing => Ok(Authorization::None),
            Known::Bearer(bearer) => self.token(&bearer, repository, access).await.map(Authorization::Bearer),
            Known::Open | Known::Basic => Ok(match self.find(repository).await? {
                Some(Credential::Basic { username, password }) => Authorization::Basic { username, password },
                Some(Credential::Bearer(token)) => Authorization::Bearer(token),
                Some(Credential::Identity { .. }) | None => Authorization::None,
            }),
        }
    }

    /// What to present after a 401 to `sent`.
    pub(super) async fn answer(
        &self,
        wanted: Wanted,
        repository: &Repository,
        access: Access,
        sent: &Authorization,
    ) -> Result<Authorization, RegistryError> {
        // Whatever we know may be out of date: tokens expire early, passwords are rotated.
        if !matches!(sent, Authorization::None) {
            self.credentials.forget();
        }
        match wanted {
            Wanted::Bearer(bearer) => {
                *lock(&self.known) = Known::Bearer(bearer.clone());
                if let Authorization::Bearer(refused) = sent {
                    self.drop_token(repository, access, refused);
                }
                self.token(&bearer, repository, access).await.map(Authorization::Bearer)
            }
            Wanted::Basic => {
                *lock(&self.known) = Known::Basic;
                match self.find(repository).await? {
                    Some(Credential::Basic { username, password }) if sent.is_same_basic(&username, &password) => {
                        Err(self.unauthorized(repository, access, "the user name or password is wrong"))
                    }
                    Some(Credential::Basic { username, password }) => Ok(Authorization::Basic { username, password }),
                    Some(_) => Err(self.unauthorized(repository, access, "it takes user names and passwords only")),
                    None => Err(self.unauthorized(repository, access, "none are configured")),
                }
            }
            Wanted::Unknown => Err(self.unauthorized(repository, access, "it does not say which it wants")),
        }
    }

    /// Asks the registry which credentials it wants.
    async fn ping(&self) -> Result<Known, RegistryError> {
        let mut url = self.base.clone();
        url.set_path("/v2/");
        let request = Request::new(Method::GET, url).trusted().max_bytes(SMALL_ANSWER);
        let name = self.registry.to_string();
        let answer = self.client.send(request).await.map_err(|source| RegistryError::outbound(name.clone(), source))?;
        let known = match answer.status {
            StatusCode::UNAUTHORIZED => {
                let values = answer.headers.get_all(WWW_AUTHENTICATE);
                match wanted(values.iter().filter_map(|value| value.to_str().ok())) {
                    Wanted::Bearer(bearer) => Known::Bearer(bearer),
                    Wanted::Basic => Known::Basic,
                    Wanted::Unknown => Known::Open,
                }
            }
            StatusCode::TOO_MANY_REQUESTS => {
                return Err(refusal(name, "name the credentials that it wants", true, &answer));
            }
            status if status.is_server_error() => {
                return Err(refusal(name, "name the credentials that it wants", true, &answer));
            }
            _ => Known::Open,
        };
        *lock(&self.known) = known.clone();
        Ok(known)
    }

    async fn find(&self, repository: &Repository) -> Result<Option<Credential>, RegistryError> {
        let registry = || self.registry.to_string();
        let found = self.credentials.find(repository).await;
        found.map_err(|source| RegistryError::Credentials { registry: registry(), source: Box::new(source) })
    }

    fn name(&self, repository: &Repository) -> String {
        ImageName { registry: self.registry.clone(), repository: repository.clone() }.to_string()
    }

    pub(super) fn unauthorized(&self, repository: &Repository, access: Access, why: &'static str) -> RegistryError {
        let (name, registry) = (self.name(repository), self.registry.to_string());
        RegistryError::Unauthorized { name, registry, access: access.as_str(), why }
    }

    fn drop_token(&self, repository: &Repository, access: Access, refused: &SecretString) {
        let scope = Scope { repository: repository.clone(), access };
        let mut tokens = lock(&self.tokens);
        if tokens.get(&scope).is_some_and(|t| t.token.expose_secret() == refused.expose_secret()) {
            tokens.remove(&scope);
        }
    }

    /// The token for a repository: a kept one, or a fresh one.
    async fn token(
        &self,
        bearer: &Bearer,
        repository: &Repository,
        access: Access,
    ) -> Result<SecretString, RegistryError> {
        let scope = Scope { repository: repository.clone(), access };
        if let Some(token) = self.kept(&scope) {
            return Ok(token);
        }
        let _one_at_a_time = self.fetching.lock().await;
        if let Some(token) = self.kept(&scope) {
            return Ok(token);
        }
        let fresh = self.fetch(bearer, &scope).await?;
        let token = fresh.token.clone();
        let mut tokens = lock(&self.tokens);
        tokens.retain(|_, kept| kept.is_fresh(Instant::now()));
        tokens.insert(scope, fresh);
        Ok(token)
    }

    fn kept(&self, scope: &Scope) -> Option<SecretString> {
        lock(&self.tokens).get(scope).filter(|kept| kept.is_fresh(Instant::now())).map(|kept| kept.token.clone())
    }
}
