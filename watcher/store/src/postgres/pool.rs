//! The connections to one PostgreSQL. sqlx has a pool of its own, which is not used: it asks a connection that comes back
//! whether it still answers, waits for that without end, and keeps its place meanwhile. A proxy that swallows sixteen
//! answers would close the store for good. It also reads the password once.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::connector::Connector;
use crate::StoreError;
use crate::deadline::{Deadline, Loss};

/// How many connections one process has.
const CONNECTIONS: u32 = 16;
/// How long a connection is used at most, so that a moved address or a new password is met some time.
const LIFETIME: Duration = Duration::from_secs(1800);
/// How long a connection is kept that nothing asks for.
const IDLE: Duration = Duration::from_secs(600);
/// How long a connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// The connections to one database.
#[derive(Clone)]
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    connector: Connector,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    /// Connections of an earlier epoch are not used again.
    epoch: AtomicU64,
    /// A pooler gives each transaction another session.
    is_pooled: AtomicBool,
    is_closed: AtomicBool,
}

/// A connection and what is known of it.
pub(super) struct Link {
    connection: PgConnection,
    /// What its session was told at the start; none where statements are not to be prepared by name.
    pub(super) session: Option<String>,
    born: Instant,
    epoch: u64,
}

struct Idle {
    link: Link,
    since: Instant,
}

impl Pool {
    /// Connects when it is asked to.
    pub(super) fn new(connector: Connector) -> Self {
        Self(Arc::new(Shared {
            connector,
            places: Arc::new(Semaphore::new(CONNECTIONS as usize)),
            idle: Mutex::new(Vec::new()),
            epoch: AtomicU64::new(0),
            is_pooled: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        }))
    }

    /// Takes a connection that is idle, or makes one.
    pub(super) async fn acquire(&self, deadline: Deadline) -> Result<Lease, StoreError> {
        if self.0.is_closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        let place = deadline.limit(Arc::clone(&self.0.places).acquire_owned()).await?;
        let place = place.map_err(|_| StoreError::Closed)?;
        if let Some(link) = self.0.take_idle() {
            return Ok(Lease { link: Some(link), was_used: true, place: Some(place), shared: Arc::clone(&self.0) });
        }
        // Read first: a connection that is begun before the epoch ends is of the old one.
        let epoch = self.0.epoch.load(Ordering::Acquire);
        let is_pooled = self.0.is_pooled.load(Ordering::Acquire);
        let (connection, session) = self.0.connector.connect(is_pooled, deadline).await?;
        let link = Link { connection, session, born: Instant::now(), epoch };
        Ok(Lease { link: Some(link), was_used: false, place: Some(place), shared: Arc::clone(&self.0) })
    }

    /// Refuses new work, waits a while for what is under way, and closes what is idle.
    pub(super) async fn close(&self, patience: Duration) {
        self.0.is_closed.store(true, Ordering::Release);
        // Those who hold a connection put it back, or do not; nothing here waits for them longer.
        let all = tokio::time::timeout(patience, self.0.places.acquire_many(CONNECTIONS)).await;
        drop(all);
        self.0.places.close();
        let idle = std::mem::take(&mut *self.0.idle());
        let goodbyes = idle.into_iter().map(|idle| tokio::time::timeout(GOODBYE, idle.link.connection.close()));
        futures_util::future::join_all(goodbyes).await;
    }

    /// How many connections wait for work.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.0.idle().len()
    }

    /// Whether a pooler was met that gives each transaction another session.
    pub(super) fn is_pooled(&self) -> bool {
        self.0.is_pooled.load(Ordering::Acquire)
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was used last, so that the others may grow old.
    fn take_idle(&self) -> Option<Link> {
        let epoch = self.epoch.load(Ordering::Acquire);
        let mut idle = self.idle();
        idle.retain(|idle| {
            idle.link.epoch == epoch && idle.since.elapsed() < IDLE && idle.link.born.elapsed() < LIFETIME
        });
        idle.pop().map(|idle| idle.link)
    }

    /// What one connection lost, the idle ones of its epoch may have lost too.
    fn learn(&self, loss: Loss, epoch: u64) {
        if loss == Loss::Session {
            self.is_pooled.store(true, Ordering::Release);
        }
        // Fails where another connection of that epoch has told it already.
        let _ = self.epoch.compare_exchange(epoch, epoch + 1, Ordering::AcqRel, Ordering::Acquire);
        self.idle().retain(|idle| idle.link.epoch > epoch);
    }
}

/// A connection in use. One that is dropped is closed; what may be used again is [put back](Lease::put_back).
pub(crate) struct Lease {
    link: Option<Link>,
    /// Whether it may have died since it was last asked.
    pub(super) was_used: bool,
    place: Option<OwnedSemaphorePermit>,
    shared: Arc<Shared>,
}

impl Lease {
    /// What the session was told at the start.
    pub(super) fn session(&self) -> Option<&str> {
        self.link.as_ref().and_then(|link| link.session.as_deref())
    }

    /// Lets the next caller have it.
    pub(super) fn put_back(mut self) {
        let current = self.shared.epoch.load(Ordering::Acquire);
        if let Some(link) = self.link.take()
            && link.epoch == current
            && !self.shared.is_closed.load(Ordering::Acquire)
        {
            self.shared.idle().push(Idle { link, since: Instant::now() });
        }
        // The place is given up after that, so that the next caller finds the connection.
        drop(self.place.take());
    }

    /// Closes it, and with it the idle ones that are no better.
    pub(super) fn lose(self, loss: Loss) {
        if let Some(link) = &self.link {
            self.shared.learn(loss, link.epoch);
        }
    }

    /// Takes it out of a place that is going away.
    pub(super) fn take(&mut self) -> Self {
        Self {
            link: self.link.take(),
            was_used: self.was_used,
            place: self.place.take(),
            shared: Arc::clone(&self.shared),
        }
    }
}

const GONE: &str = "a lease has its connection until it is put back";

impl Deref for Lease {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.link.as_ref().expect(GONE).connection
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.link.as_mut().expect(GONE).connection
    }
}
