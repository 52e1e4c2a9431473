//! An OIDC issuer: discovery, keys, and any token that one asks for.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use signature::{Signer as _, Verifier as _};

use crate::faults::Faults;
use crate::serve::Server;
use crate::{SandboxError, clock, random_seed};

/// How an issuer is to start.
#[derive(Clone, Copy, Debug, Default)]
pub struct OidcOptions {
    /// The loopback port; 0 takes any that is free.
    pub port: u16,
}

/// A running issuer; a clone is another handle on the same one, which ends with the last.
#[derive(Clone)]
pub struct OidcIssuer {
    addr: SocketAddr,
    url: String,
    key: Arc<SigningKey>,
    server: Arc<Server>,
    faults: Arc<Faults>,
}

/// How long a token is valid, in seconds.
const LIFETIME: i64 = 600;
/// Whom Sigstore's tokens are for.
const AUDIENCE: &str = "sigstore";

impl OidcIssuer {
    /// Starts an issuer with a new ECDSA P-256 key.
    pub async fn start(options: OidcOptions) -> Result<Self, SandboxError> {
        let key =
            SigningKey::from_slice(&random_seed()?).map_err(|error| SandboxError::IssuerKey(error.to_string()))?;
        let faults = Arc::new(Faults::default());
        let jwk = jwk(&key);
        let router = |addr: SocketAddr| {
            let url = format!("http://{addr}");
            let configuration = json!({
                "issuer": url,
                "jwks_uri": format!("{url}/keys"),
                "authorization_endpoint": format!("{url}/auth"),
                "token_endpoint": format!("{url}/token"),
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            });
            let keys = json!({ "keys": [jwk] });
            Router::new()
                .route("/.well-known/openid-configuration", get(move || async move { Json(configuration) }))
                .route("/keys", get(move || async move { Json(keys) }))
        };
        let server = Server::start(options.port, router, Arc::clone(&faults)).await?;
        let url = format!("http://{}", server.addr());
        Ok(Self { addr: server.addr(), url, key: Arc::new(key), server: Arc::new(server), faults })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The issuer, as tokens name it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A token for a person with a verified mail address.
    pub fn email_token(&self, address: &str) -> String {
        self.token(&json!({ "sub": address, "email": address, "email_verified": true }))
    }

    /// A token with these claims. Issuer, audience `sigstore` and ten minutes from now are added where they are not
    /// among them.
    pub fn token(&self, claims: &Value) -> String {
        let now = clock::unix_seconds();
        let mut payload = json!({ "iss": self.url, "aud": AUDIENCE, "iat": now, "exp": now + LIFETIME });
        if let (Some(payload), Some(claims)) = (payload.as_object_mut(), claims.as_object()) {
            payload.extend(claims.clone());
        }
        let header = json!({ "alg": "ES256", "kid": key_id(&self.key), "typ": "JWT" });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&payload));
        let signature: Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    /// The claims of a token of this issuer that is valid now and meant for Sigstore.
    pub fn claims(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (_, payload) = signed.split_once('.')?;
        let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        self.key.verifying_key().verify(signed.as_bytes(), &signature).ok()?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let valid = claims["iss"] == self.url.as_str()
            && claims["aud"] == AUDIENCE
            && claims["exp"].as_i64().is_some_and(|end| clock::unix_seconds() <= end);
        valid.then_some(claims)
    }

    /// What can be made to go wrong here.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Closes the listener and every connection.
    pub fn shutdown(&self) {
        self.server.stop();
    }
}

fn jwk(key: &SigningKey) -> Value {
    let point = key.verifying_key().to_sec1_point(false);
    let coordinate = |bytes: Option<&[u8]>| URL_SAFE_NO_PAD.encode(bytes.unwrap_or_default());
    json!({
        "kty": "EC",
        "crv": "P-256",
        "use": "sig",
        "alg": "ES256",
        "kid": key_id(key),
        "x": coordinate(point.x().map(AsRef::as_ref)),
        "y": coordinate(point.y().map(AsRef::as_ref)),
    })
}

fn key_id(key: &SigningKey) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(key.verifying_key().to_sec1_bytes())[..8])
}

impl fmt::Debug for OidcIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcIssuer").field("addr", &self.addr).finish_non_exhaustive()
    }
}
