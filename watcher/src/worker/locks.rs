//! One at a time per digest: first among ourselves, then across processes.
//!
//! A registry's fallback index and its legacy signature image are read, merged and written; two who do it at once
//! lose one of the two signatures. No registry protects against that (conditional writes are ignored by most).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bundle::ImageReference;
use store::{LockToken, Store, StoreError};
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;

use crate::error::WorkError;

/// A holder that died blocks the others for so long. Longer than the lease of a job, so that whoever lost the job has
/// stopped before another may write.
const LEASE_MS: i64 = 150_000;
/// How long another process is waited for.
const PATIENCE: Duration = Duration::from_secs(160);
/// How often it is asked whether it is done.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The locks of this process.
#[derive(Default)]
pub(super) struct DigestLocks {
    held: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// Held until [`Held::release`], or until it is dropped because the work was given up.
pub(super) struct Held {
    token: Token,
    _local: OwnedMutexGuard<()>,
}

/// The lock in the store. Dropped, it is given back in passing.
struct Token {
    store: Arc<dyn Store>,
    token: Option<LockToken>,
}

impl DigestLocks {
    /// Waits for the lock of a digest.
    pub(super) async fn acquire(&self, store: &Arc<dyn Store>, image: &ImageReference) -> Result<Held, WorkError> {
        let key = image.to_string();
        let local = self.local(&key).lock_owned().await;
        let asked = tokio::time::Instant::now();
        loop {
            if let Some(token) = ask(store, &key).await? {
                return Ok(Held { token, _local: local });
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

/// In a task of its own: if our caller is given up while the store answers, the lock that it gives is not lost until
/// its lease ends, but dropped with the task's result.
async fn ask(store: &Arc<dyn Store>, key: &str) -> Result<Option<Token>, WorkError> {
    let (store, key) = (Arc::clone(store), key.to_owned());
    let asked = tokio::spawn(async move {
        let token = store.lock_digest(&key, LEASE_MS).await?;
        Ok::<_, StoreError>(token.map(|token| Token { store, token: Some(token) }))
    });
    match asked.await {
        Ok(answer) => Ok(answer?),
        // The runtime is ending.
        Err(_) => Ok(None),
    }
}

impl Held {
    /// Gives the lock back. Once begun it is done, also if the caller is given up meanwhile.
    pub(super) async fn release(mut self) {
        if let Some(unlocking) = self.token.give_back() {
            // An error says that the runtime is ending.
            let _ = unlocking.await;
        }
    }
}

impl Token {
    /// Begins to unlock, unless that was begun before. Without a runtime the process is ending, and the lock's lease
    /// ends soon after it.
    fn give_back(&mut self) -> Option<JoinHandle<()>> {
        let token = self.token.take()?;
        let store = Arc::clone(&self.store);
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        Some(runtime.spawn(async move {
            if let Err(error) = store.unlock(token).await {
                tracing::warn!(%error, "the lock of a digest could not be given back; its lease will end");
            }
        }))
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.give_back();
    }
}
