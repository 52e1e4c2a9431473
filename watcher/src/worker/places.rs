//! Who may be at work at the same time: so many for each registry, fewer for each of its repositories, and so many for
//! each log and trust zone. What waits for one of them keeps no place of another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::endpoint::Endpoint;
use crate::error::WorkError;

/// How long work waits for a place at an endpoint before it goes back to the queue.
const PATIENCE: Duration = Duration::from_secs(20);
/// Shares that are remembered before those that are not in use are forgotten.
const SHARES: usize = 4096;
/// Work that waits for a share, for each that is under way: beyond it, it goes back to the queue at once.
const WAITING_PER_PLACE: usize = 2;

/// The places of a process.
pub(super) struct Places {
    /// At work in a registry at the same time.
    per_registry: usize,
    /// Of those, in one repository.
    per_repository: usize,
    at_work: Mutex<AtWork>,
    shares: Mutex<HashMap<(Endpoint, String), Arc<Share>>>,
    /// Rung when a place is free again.
    freed: Arc<Notify>,
}

#[derive(Default)]
struct AtWork {
    registries: HashMap<String, usize>,
    repositories: HashMap<(String, String), usize>,
}

struct Share {
    places: Arc<Semaphore>,
    waiting: Semaphore,
}

/// A place in a registry, given back when it is dropped.
pub(super) struct Place {
    of: Arc<Places>,
    registry: String,
    repository: String,
}

impl Places {
    /// Places for `at_once` pieces of work in each registry. `freed` is rung when one is free again.
    pub(super) fn new(at_once: usize, freed: Arc<Notify>) -> Arc<Self> {
        let per_registry = at_once.max(1);
        // One repository, however slow, leaves some of them to the others.
        let per_repository = (per_registry - per_registry / 4).max(1);
        Arc::new(Self { per_registry, per_repository, at_work: Mutex::default(), shares: Mutex::default(), freed })
    }

    /// A place for work in a repository, if one is free.
    pub(super) fn take(self: &Arc<Self>, registry: &str, repository: &str) -> Option<Place> {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        let of_registry = at_work.registries.get(registry).copied().unwrap_or_default();
        let key = (registry.to_owned(), repository.to_owned());
        let of_repository = at_work.repositories.get(&key).copied().unwrap_or_default();
        if of_registry >= self.per_registry || of_repository >= self.per_repository {
            return None;
        }
        *at_work.registries.entry(registry.to_owned()).or_default() += 1;
        *at_work.repositories.entry(key).or_default() += 1;
        Some(Place { of: Arc::clone(self), registry: registry.to_owned(), repository: repository.to_owned() })
    }

    /// Waits for a share of an endpoint: each trust zone or purpose has its own.
    pub(super) async fn share(&self, endpoint: &Endpoint, of: &str) -> Result<OwnedSemaphorePermit, WorkError> {
        // Both formats of an image are logged at the same time.
        self.share_of(endpoint, of, self.per_registry * 2).await
    }

    /// Waits for a share of a registry for one of its repositories, and then for one of the registry: a repository that
    /// is slow to take what is uploaded never has all of them.
    pub(super) async fn upload_share(
        &self,
        registry: &Endpoint,
        repository: &str,
    ) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), WorkError> {
        let of_repository = self.share_of(registry, &format!("repository {repository}"), self.per_repository).await?;
        let of_registry = self.share_of(registry, "uploads", self.per_registry * 2).await?;
        Ok((of_repository, of_registry))
    }

    async fn share_of(&self, endpoint: &Endpoint, of: &str, places: usize) -> Result<OwnedSemaphorePermit, WorkError> {
        let share = {
            let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
            // One that is in use has a second owner, or a permit that is out.
            if shares.len() >= SHARES {
                shares.retain(|_, share| Arc::strong_count(share) > 1 || Arc::strong_count(&share.places) > 1);
            }
            Arc::clone(shares.entry((endpoint.clone(), of.to_owned())).or_insert_with(|| {
                let waiting = Semaphore::new(places * WAITING_PER_PLACE);
                Arc::new(Share { places: Arc::new(Semaphore::new(places)), waiting })
            }))
        };
        let no_place = || WorkError::NoPlace { endpoint: endpoint.clone() };
        if let Ok(permit) = Arc::clone(&share.places).try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = share.waiting.try_acquire().map_err(|_| no_place())?;
        let places = Arc::clone(&share.places);
        match tokio::time::timeout(PATIENCE, places.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(no_place()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut at_work = self.of.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = at_work.registries.get_mut(&self.registry) {
            *count = count.saturating_sub(1);
        }
        at_work.registries.retain(|_, count| *count > 0);
        let key = (std::mem::take(&mut self.registry), std::mem::take(&mut self.repository));
        if let Some(count) = at_work.repositories.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                at_work.repositories.remove(&key);
            }
        }
        drop(at_work);
        self.of.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_repository_leaves_places_to_others_and_a_slow_registry_to_other_registries() {
        let places = Places::new(8, Arc::default());
        let mut taken: Vec<Place> = std::iter::from_fn(|| places.take("slow.example.com", "team/app")).collect();
        assert_eq!(taken.len(), 6);
        taken.extend(std::iter::from_fn(|| places.take("slow.example.com", "team/other")));
        assert_eq!(taken.len(), 8);
        assert!(places.take("slow.example.com", "team/third").is_none());
        assert!(places.take("other.example.com", "team/app").is_some());
        taken.pop();
        assert!(places.take("slow.example.com", "team/third").is_some());
        drop(taken);
        assert!(places.at_work.lock().unwrap().repositories.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_log_holds_up_its_own_zone_only_and_not_for_ever() {
        let places = Places::new(2, Arc::default());
        let log = Endpoint::Log("log.example.com".to_owned());
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(places.share(&log, "prod").await.expect("a share"));
        }
        assert!(matches!(places.share(&log, "prod").await, Err(WorkError::NoPlace { .. })), "after some patience");
        assert!(places.share(&log, "dev").await.is_ok());
        // A repository that is slow to take uploads leaves room for others.
        let registry = Endpoint::Registry("slow.example.com".parse().expect("a host"));
        let mut uploads = Vec::new();
        while let Ok(share) = places.upload_share(&registry, "team/evil").await {
            uploads.push(share);
        }
        assert_eq!(uploads.len(), places.per_repository);
        assert!(places.upload_share(&registry, "team/app").await.is_ok());
        assert!(places.share(&Endpoint::Log("other".to_owned()), "prod").await.is_ok());
        held.pop();
        assert!(places.share(&log, "prod").await.is_ok());
    }
}
