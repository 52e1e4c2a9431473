//! A certificate authority for code signing, shaped as Fulcio is: short-lived certificates with an identity in them,
//! logged in a CT log before they are signed.

pub(crate) mod certificate;
mod identity;
mod signing_cert;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::routing::{get, post};
use der::Encode as _;
use p384::ecdsa::SigningKey;
use sha2::{Digest as _, Sha256};

use crate::ct::leaf::{Submission, timestamp_list};
use crate::ct::{CtOptions, SandboxCt};
use crate::faults::Faults;
use crate::oidc::OidcIssuer;
use crate::serve::Server;
use crate::timestamp_authority::pem;
use crate::{SandboxError, clock, random_seed};

use certificate::{LastExtension, Template, issue, issue_authority};
pub use identity::{Identity, Subject, github_claims};

/// How a certificate authority is to start.
#[derive(Clone, Debug, Default)]
pub struct CaOptions {
    /// The loopback port; 0 takes any that is free.
    pub port: u16,
    /// Where certificates are logged; a log of its own where absent.
    pub ct: Option<SandboxCt>,
    /// Whether its certificates are for servers as well as for code signing: Fulcio's are not, and a log of the web's
    /// certificates takes no others.
    pub for_servers: bool,
}

/// A running certificate authority; a clone is another handle on the same one, which ends with the last.
#[derive(Clone)]
pub struct SandboxCa {
    addr: SocketAddr,
    url: String,
    state: Arc<State>,
    server: Arc<Server>,
    faults: Arc<Faults>,
}

/// What every request sees.
struct State {
    intermediate: SigningKey,
    /// Intermediate, root.
    chain: Vec<Vec<u8>>,
    issuer_key_hash: [u8; 32],
    valid_from: i64,
    for_servers: bool,
    ct: SandboxCt,
    issuers: Mutex<Vec<OidcIssuer>>,
}

/// A certificate that was issued.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issued {
    /// The certificate, as DER.
    pub certificate: Vec<u8>,
    /// The precertificate that it was logged by, as DER.
    pub precertificate: Vec<u8>,
    /// Where the CT log has it; `None` where the log promised and withheld it.
    pub ct_index: Option<u64>,
}

impl Issued {
    /// The certificate, as PEM.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }
}

/// How long a certificate is valid, in seconds.
const LIFETIME: i64 = 600;
const DAY: i64 = 24 * 60 * 60;
const ROOT: &str = "CN=sandbox,O=sandbox.local";
const INTERMEDIATE: &str = "CN=sandbox-intermediate,O=sandbox.local";

impl SandboxCa {
    /// Starts an authority with new keys: a root and an intermediate, both ECDSA P-384.
    pub async fn start(options: CaOptions) -> Result<Self, SandboxError> {
        let ct = match options.ct {
            Some(ct) => ct,
            None => SandboxCt::start(CtOptions::default()).await?,
        };
        let valid_from = clock::unix_seconds() - DAY;
        let valid_to = valid_from + 3650 * DAY;
        let (root, intermediate) = (new_key()?, new_key()?);
        let failed = |error| SandboxError::Certificates(format!("{error}"));
        let (root_der, root_key) =
            issue_authority(ROOT, (ROOT, &root), &root, 1, (valid_from, valid_to)).map_err(failed)?;
        let (intermediate_der, intermediate_key) =
            issue_authority(INTERMEDIATE, (ROOT, &root), &intermediate, 2, (valid_from, valid_to)).map_err(failed)?;
        debug_assert_ne!(root_key, intermediate_key);
        let state = Arc::new(State {
            intermediate,
            chain: vec![intermediate_der, root_der],
            issuer_key_hash: Sha256::digest(&intermediate_key).into(),
            valid_from,
            for_servers: options.for_servers,
            ct,
            issuers: Mutex::default(),
        });
        let faults = Arc::new(Faults::default());
        let router = Router::new()
            .route("/api/v2/signingCert", post(signing_cert::create))
            .route("/api/v2/trustBundle", get(signing_cert::trust_bundle))
            .route("/healthz", get(|| async { "{\"status\":\"SERVING\"}" }))
            .with_state(Arc::clone(&state));
        let server = Server::start(options.port, |_| router, Arc::clone(&faults)).await?;
        let url = format!("http://{}", server.addr());
        Ok(Self { addr: server.addr(), url, state, server: Arc::new(server), faults })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Below which `api/v2/signingCert` is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificates above every certificate that it issues, as DER: intermediate, root.
    pub fn chain_der(&self) -> &[Vec<u8>] {
        &self.state.chain
    }

    /// The same as PEM, in the same order.
    pub fn chain_pem(&self) -> String {
        self.state.chain.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect()
    }

    /// Since when its own certificates are valid, in seconds since 1970.
    pub fn valid_from(&self) -> i64 {
        self.state.valid_from
    }

    /// The log that its certificates are in.
    pub fn ct(&self) -> &SandboxCt {
        &self.state.ct
    }

    /// SHA-256 of the key that issues: what precertificate entries name the issuer by.
    pub fn issuer_key_hash(&self) -> [u8; 32] {
        self.state.issuer_key_hash
    }

    /// Certificates for this issuer's tokens are given out over HTTP from now on.
    pub fn trust_issuer(&self, issuer: &OidcIssuer) {
        self.state.issuers().push(issuer.clone());
    }

    /// Issues a certificate for any identity and any key, from now for ten minutes, and logs it. That is also a rogue
    /// certificate: a client that follows the CT log sees an identity that nobody asked for, or one that looks alike.
    pub fn issue(&self, identity: &Identity, spki: &[u8]) -> Result<Issued, SandboxError> {
        self.issue_at(identity, spki, clock::unix_seconds())
    }

    /// The same, valid from a moment in seconds since 1970.
    pub fn issue_at(&self, identity: &Identity, spki: &[u8], not_before: i64) -> Result<Issued, SandboxError> {
        self.state.issue(identity, spki, not_before)
    }

    /// What can be made to go wrong here.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Closes the listener and every connection; the CT log goes on.
    pub fn shutdown(&self) {
        self.server.stop();
    }
}

impl State {
    fn issue(&self, identity: &Identity, spki: &[u8], not_before: i64) -> Result<Issued, SandboxError> {
        let failed = |error| SandboxError::Certificates(format!("{error}"));
        let mut serial = random_seed()?;
        // Positive, and of 20 bytes at most.
        serial[0] &= 0x7f;
        let template = Template {
            issuer: INTERMEDIATE,
            serial: &serial[..20],
            not_before,
            not_after: not_before + LIFETIME,
            spki,
            identity,
            for_servers: self.for_servers,
        };
        let tbs = template.tbs(&LastExtension::Nothing, &self.intermediate).map_err(failed)?;
        let precertificate = issue(&template, &LastExtension::Poison, &self.intermediate).map_err(failed)?;
        let added = self.ct.add(&Submission::Precert {
            issuer_key_hash: self.issuer_key_hash,
            tbs,
            precert: precertificate.clone(),
            chain: self.chain.clone(),
        });
        let list = LastExtension::Timestamps(timestamp_list(&added.sct));
        let certificate = issue(&template, &list, &self.intermediate).map_err(failed)?;
        Ok(Issued { certificate, precertificate, ct_index: added.index })
    }

    fn issuers(&self) -> std::sync::MutexGuard<'_, Vec<OidcIssuer>> {
        self.issuers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nearly every 48 bytes are a key; those that are not are drawn again.
fn new_key() -> Result<SigningKey, SandboxError> {
    loop {
        let seed = [random_seed()?, random_seed()?].concat();
        if let Ok(key) = SigningKey::from_slice(&seed[..48]) {
            return Ok(key);
        }
    }
}

/// A key's SubjectPublicKeyInfo, as DER.
fn spki_of(key: &impl spki::EncodePublicKey) -> spki::Result<Vec<u8>> {
    Ok(x509_cert::spki::SubjectPublicKeyInfo::from_key(key)?.to_der()?)
}

impl fmt::Debug for SandboxCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxCa").field("addr", &self.addr).finish_non_exhaustive()
    }
}
