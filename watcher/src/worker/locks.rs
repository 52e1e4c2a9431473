//! One at a time per digest: first among ourselves, then across processes.
//!
//! A registry's fallback index and its legacy signature image are read, merged and written; two who do it at once
//! lose one of the two signatures. No registry protects against that (conditional writes are ignored by most).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bundle::ImageReference;
use store::{LockToken, Store};
use tokio::sync::OwnedMutexGuard;

use crate::error::WorkError;

/// A holder that died blocks the others for so long.
const LEASE_MS: i64 = 30_000;
/// How long another process is waited for.
const PATIENCE: Duration = Duration::from_secs(35);
/// How often it is asked whether it is done.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The locks of this process.
#[derive(Default)]
pub(super) struct DigestLocks {
    held: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// Held until [`Held::release`], or until it is dropped (the work was given up): then it is given back in passing.
pub(super) struct Held {
    store: Arc<dyn Store>,
    token: Option<LockToken>,
    _local: OwnedMutexGuard<()>,
}

impl DigestLocks {
    /// Waits for the lock of a digest.
    pub(super) async fn acquire(&self, store: &Arc<dyn Store>, image: &ImageReference) -> Result<Held, WorkError> {
        let key = image.to_string();
        let local = self.local(&key).lock_owned().await;
        let asked = tokio::time::Instant::now();
        loop {
            if let Some(token) = store.lock_digest(&key, LEASE_MS).await? {
                return Ok(Held { store: Arc::clone(store), token: Some(token), _local: local });
            }
            if asked.elapsed() > PATIENCE {
                return Err(WorkError::Locked { key });
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    fn local(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever holds or waits keeps a second reference.
        held.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(held.entry(key.to_owned()).or_default())
    }
}

impl Held {
    /// Gives the lock back.
    pub(super) async fn release(mut self) -> Result<(), WorkError> {
        match self.token.take() {
            Some(token) => Ok(self.store.unlock(token).await?),
            None => Ok(()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(token) = self.token.take() else { return };
        let store = Arc::clone(&self.store);
        // Without a runtime the process is ending, and the lock's lease with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = store.unlock(token).await {
                    tracing::warn!(%error, "the lock of a digest could not be given back");
                }
            });
        }
    }
}
