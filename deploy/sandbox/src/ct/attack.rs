//! The ways in which the CT log can lie. Each is one knob; its doc says what a client then sees.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::{CtOptions, SandboxCt};
use crate::SandboxError;
use crate::lies::LeafLies;
use crate::signing::HeadSignature;

impl SandboxCt {
    /// Another log with this one's key and entries so far, on an address of its own, without its lies.
    pub async fn fork(&self) -> Result<Self, SandboxError> {
        self.fork_at(u64::MAX).await
    }

    /// A fork that has only the first `size` entries.
    pub async fn fork_at(&self, size: u64) -> Result<Self, SandboxError> {
        self.fork_with(size, self.state.options.republish).await
    }

    async fn fork_with(&self, size: u64, republish: Duration) -> Result<Self, SandboxError> {
        let (branch, mut extra) = {
            let inner = self.state.inner();
            (inner.branch.first(size), inner.extra.clone())
        };
        extra.truncate(usize::try_from(branch.size()).unwrap_or(usize::MAX));
        let options = CtOptions { port: 0, republish, ..self.state.options.clone() };
        Self::start_with(options, branch, extra).await
    }

    /// Readers at this address are shown the other log; submissions still go in here. With a fork a client sees a
    /// fork (same size, other root), inconsistent growth (larger), or a rollback (smaller, if it lasts).
    pub fn read_from(&self, other: &Self) {
        *self.state.reads.lock().unwrap_or_else(PoisonError::into_inner) = Some(other.clone());
    }

    /// Readers are shown the first `size` entries. A client that knows a larger size sees a rollback, if it lasts.
    /// Returns the fork that is shown.
    pub async fn roll_back(&self, size: u64) -> Result<Self, SandboxError> {
        let fork = self.fork_at(size).await?;
        self.read_from(&fork);
        Ok(fork)
    }

    /// Readers are shown this size and another root: the last leaf is another one. A client that knows the true head
    /// sees a fork at once. Returns the fork that is shown; `None` is for an empty log, which cannot be forked.
    pub async fn fork_last(&self, instead: impl Into<Bytes>) -> Result<Option<Self>, SandboxError> {
        let Some(size) = self.size().checked_sub(1) else { return Ok(None) };
        let fork = self.fork_at(size).await?;
        fork.extend([instead]);
        self.read_from(&fork);
        Ok(Some(fork))
    }

    /// Readers are shown the log as it is now, with a tree head signed once more and never again. A client sees a
    /// head whose signed time gets old. Returns the fork that is shown.
    pub async fn freeze_view(&self) -> Result<Self, SandboxError> {
        let fork = self.fork_with(u64::MAX, Duration::MAX).await?;
        self.read_from(&fork);
        Ok(fork)
    }

    /// Whether submissions get a signed timestamp and are never integrated. A client that asks for the inclusion of a
    /// certificate by its embedded timestamp sees a promise without an entry.
    pub fn set_withholding(&self, withholding: bool) {
        self.state.withholding.store(withholding, Ordering::Relaxed);
    }

    /// `get-entries` has these bytes in the place of a leaf; tree heads and proofs stay. A client that hashes the
    /// leaves sees one that is not committed.
    pub fn swap_leaf(&self, index: u64, leaf: impl Into<Bytes>) {
        self.state.inner().lies.swap(index, leaf.into());
    }

    /// `get-entries` leaves out a leaf, and the ones after it move up. A client sees a page that is one entry short,
    /// or a page that begins with another entry than was asked for.
    pub fn omit_leaf(&self, index: u64) {
        self.state.inner().lies.omit(index);
    }

    /// How tree heads are signed. A client sees a bad signature either way: a tree head does not name its key.
    pub fn set_signature(&self, signature: HeadSignature) {
        let mut inner = self.state.inner();
        inner.signature = signature;
        self.state.sign_head(&mut inner);
    }

    /// Sets the log's clock wrong by this many seconds. A client sees tree heads and timestamps from the future, or
    /// old ones.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.state.clock_offset.store(seconds, Ordering::Relaxed);
        self.republish();
    }

    /// Signs the newest head again.
    pub fn republish(&self) {
        self.state.sign_head(&mut self.state.inner());
    }

    /// Lifts every lie, and forgets planned faults. The clock stays as it is.
    pub fn be_honest(&self) {
        *self.state.reads.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.set_withholding(false);
        self.faults().clear();
        let mut inner = self.state.inner();
        inner.lies = LeafLies::default();
        inner.signature = HeadSignature::Good;
        self.state.sign_head(&mut inner);
    }
}
