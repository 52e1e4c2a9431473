//! A container registry in memory: enough of the OCI distribution specification for stock tools, with
//! switches for the ways in which real registries differ.

mod auth;
mod blobs;
mod lists;
mod manifests;
mod push;
mod refusal;
mod routes;
mod store;
#[cfg(test)]
mod tests;
mod webhook;

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bundle::Digest;

use crate::SandboxError;
use crate::faults::Faults;
use crate::serve::Server;

pub use auth::RegistryAuth;
pub use push::{PushError, PushedImage};
pub use webhook::WebhookTarget;

use auth::Gate;
use store::Store;
use webhook::Webhook;

/// How a registry is to start.
#[derive(Clone, Debug, Default)]
pub struct RegistryOptions {
    /// The loopback port; 0 takes any that is free.
    pub port: u16,
    /// Whether it has the referrers API.
    pub referrers_api: bool,
    /// Whether a tag may be written once only.
    pub immutable_tags: bool,
    /// Who may use it.
    pub auth: RegistryAuth,
    /// Who is told of what happens in it.
    pub webhook: Option<WebhookTarget>,
}

/// A running registry; a clone is another handle on the same one, which ends with the last.
#[derive(Clone)]
pub struct SandboxRegistry {
    addr: SocketAddr,
    state: Arc<State>,
    server: Arc<Server>,
    webhook: Arc<Webhook>,
}

/// What every request sees.
struct State {
    addr: SocketAddr,
    store: Mutex<Store>,
    gate: Gate,
    webhook: webhook::Outbox,
    referrers_api: AtomicBool,
    immutable_tags: AtomicBool,
    faults: Arc<Faults>,
}

impl State {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_referrers_api(&self) -> bool {
        self.referrers_api.load(Ordering::Relaxed)
    }

    fn has_immutable_tags(&self) -> bool {
        self.immutable_tags.load(Ordering::Relaxed)
    }
}

impl SandboxRegistry {
    /// Starts an empty registry.
    pub async fn start(options: RegistryOptions) -> Result<Self, SandboxError> {
        let faults = Arc::new(Faults::default());
        let outbox = webhook::Outbox::new(options.webhook);
        let mut state = None;
        let server = Server::start(
            options.port,
            |addr| {
                let shared = Arc::new(State {
                    addr,
                    store: Mutex::default(),
                    gate: Gate::new(options.auth),
                    webhook: outbox.clone(),
                    referrers_api: AtomicBool::new(options.referrers_api),
                    immutable_tags: AtomicBool::new(options.immutable_tags),
                    faults: Arc::clone(&faults),
                });
                state = Some(Arc::clone(&shared));
                routes::router(shared)
            },
            Arc::clone(&faults),
        )
        .await?;
        let addr = server.addr();
        // Unwrap safety: a server that started has asked for its router, which sets the state.
        let state = state.expect("the server built its router");
        Ok(Self { addr, state, server: Arc::new(server), webhook: Arc::new(Webhook::start(outbox)) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The registry's part of an image reference: `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.addr.to_string()
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What can be made to go wrong here.
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// Switches the referrers API, as an upgrade of the registry would.
    pub fn set_referrers_api(&self, on: bool) {
        self.state.referrers_api.store(on, Ordering::Relaxed);
    }

    /// Switches whether an existing tag may be moved to other content.
    pub fn set_immutable_tags(&self, on: bool) {
        self.state.immutable_tags.store(on, Ordering::Relaxed);
    }

    /// Who is told from now on. Events already waiting go to the new target; while there is no
    /// target, nothing new is queued.
    pub fn set_webhook(&self, target: Option<WebhookTarget>) {
        self.state.webhook.set_target(target);
    }

    /// How many events were delivered.
    pub fn delivered(&self) -> u64 {
        self.state.webhook.delivered()
    }

    /// How many events wait, the one that is being tried included.
    pub fn pending(&self) -> usize {
        self.state.webhook.pending()
    }

    /// How many deliveries were refused or failed; each was or will be tried again.
    pub fn failed_deliveries(&self) -> u64 {
        self.state.webhook.failed()
    }

    /// Makes every bearer token given so far worthless, as their end would.
    pub fn expire_tokens(&self) {
        self.state.gate.expire_tokens();
    }

    /// What a tag points to.
    pub fn resolve(&self, repository: &str, tag: &str) -> Option<Digest> {
        self.state.store().resolve(repository, tag)
    }

    /// A manifest's bytes and content type, by tag or digest; no event is made.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<(Vec<u8>, String)> {
        let store = self.state.store();
        let (_, manifest) = store.manifest(repository, reference)?;
        Some((manifest.bytes.to_vec(), manifest.content_type.clone()))
    }

    /// A blob's bytes; no event is made.
    pub fn blob(&self, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
        let store = self.state.store();
        store.blob(repository, digest).map(|bytes| bytes.to_vec())
    }

    /// Every tag of a repository, sorted.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        self.state.store().tags(repository).unwrap_or_default()
    }

    /// Every manifest of a repository whose subject is this digest, whether the API is on or not.
    pub fn referrers(&self, repository: &str, subject: &Digest) -> Vec<Digest> {
        self.state.store().referrers(repository, subject).map(|(digest, _)| *digest).collect()
    }

    /// Every manifest of a repository.
    pub fn manifests(&self, repository: &str) -> Vec<Digest> {
        self.state.store().manifests(repository)
    }

    /// Closes the listener and every connection, and stops deliveries.
    pub fn shutdown(&self) {
        self.server.stop();
        self.webhook.stop();
    }
}

impl fmt::Debug for SandboxRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxRegistry").field("addr", &self.addr).finish_non_exhaustive()
    }
}
