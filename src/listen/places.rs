//! Who has a connection, and who makes room for another.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use watcher::webhook::peer_group;

/// The places of a listener.
#[derive(Clone)]
pub(crate) struct Places {
    table: Arc<Mutex<Table>>,
    /// Rung when a place is given back.
    freed: Arc<Notify>,
    max: usize,
    max_of_peer: usize,
}

#[derive(Default)]
struct Table {
    next: u64,
    taken: HashMap<u64, Taken>,
    /// Only those that have a place.
    of_peer: HashMap<IpAddr, usize>,
}

struct Taken {
    peer: IpAddr,
    /// Since when it waits for a request's head; `None`: a request is answered.
    waits_since: Option<Instant>,
    wanted: Arc<Notify>,
}

/// One connection's place; given back when it is dropped.
pub(crate) struct Place {
    id: u64,
    places: Places,
    wanted: Arc<Notify>,
    is_answering: AtomicBool,
}

impl Places {
    pub(crate) fn new(max: usize, max_of_peer: usize) -> Self {
        Self { table: Arc::default(), freed: Arc::default(), max, max_of_peer }
    }

    /// A place for a peer. Where all are taken, that of a connection which waits for a head; where none does, the next
    /// that is given back. `None`: this peer has its share, and answers are under way on all of it.
    pub(crate) async fn take(&self, peer: IpAddr) -> Option<Place> {
        let peer = peer_group(peer);
        loop {
            let freed = self.freed.notified();
            {
                let mut table = self.lock();
                if table.of_peer.get(&peer).copied().unwrap_or(0) >= self.max_of_peer && !table.make_room(Some(peer)) {
                    return None;
                }
                if table.taken.len() < self.max || table.make_room(None) {
                    return Some(self.place(&mut table, peer));
                }
            }
            freed.await;
        }
    }

    fn place(&self, table: &mut Table, peer: IpAddr) -> Place {
        let (id, wanted) = (table.next, Arc::new(Notify::new()));
        table.next += 1;
        *table.of_peer.entry(peer).or_default() += 1;
        table.taken.insert(id, Taken { peer, waits_since: Some(Instant::now()), wanted: Arc::clone(&wanted) });
        Place { id, places: self.clone(), wanted, is_answering: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Takes back the place of a connection that waits for a head: of this peer, or else of the peer that has most; the
    /// one that has waited longest. `false`: none of them waits.
    fn make_room(&mut self, peer: Option<IpAddr>) -> bool {
        let waiting = self.taken.iter().filter_map(|(id, taken)| Some((*id, taken, taken.waits_since?)));
        let candidates = waiting.filter(|(_, taken, _)| peer.is_none_or(|peer| taken.peer == peer));
        let share = |peer: &IpAddr| self.of_peer.get(peer).copied().unwrap_or(0);
        let longest = candidates
            .max_by_key(|(id, taken, since)| (share(&taken.peer), std::cmp::Reverse(*since), std::cmp::Reverse(*id)));
        let Some(id) = longest.map(|(id, ..)| id) else { return false };
        if let Some(taken) = self.give_back(id) {
            taken.wanted.notify_one();
        }
        true
    }

    fn give_back(&mut self, id: u64) -> Option<Taken> {
        let taken = self.taken.remove(&id)?;
        if let Some(count) = self.of_peer.get_mut(&taken.peer) {
            *count -= 1;
            if *count == 0 {
                self.of_peer.remove(&taken.peer);
            }
        }
        Some(taken)
    }
}

impl Place {
    /// Returns when the place is wanted for another connection.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// A request's head is there.
    pub(crate) fn answers(&self) {
        self.is_answering.store(true, Ordering::Relaxed);
        self.set(None);
    }

    /// It was answered, and another may come.
    pub(crate) fn waits(&self) {
        self.is_answering.store(false, Ordering::Relaxed);
        self.set(Some(Instant::now()));
    }

    /// Whether a request is being answered. Its head may have come while the place was taken back.
    pub(crate) fn is_answering(&self) -> bool {
        self.is_answering.load(Ordering::Relaxed)
    }

    fn set(&self, waits_since: Option<Instant>) {
        if let Some(taken) = self.places.lock().taken.get_mut(&self.id) {
            taken.waits_since = waits_since;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let given_back = self.places.lock().give_back(self.id);
        if given_back.is_some() {
            self.places.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    async fn taken(places: &Places, last: u8) -> Place {
        tokio::time::advance(Duration::from_millis(1)).await;
        places.take(ip(last)).await.expect("a place")
    }

    async fn is_wanted(place: &Place) -> bool {
        tokio::time::timeout(Duration::from_millis(1), place.wanted()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_peer_with_most_makes_room_with_what_has_waited_longest() {
        let places = Places::new(4, 10);
        let lone = taken(&places, 1).await;
        let (first, second, third) = (taken(&places, 2).await, taken(&places, 2).await, taken(&places, 2).await);
        first.answers();
        let _new = taken(&places, 3).await;
        assert!(is_wanted(&second).await);
        assert!(!is_wanted(&lone).await && !is_wanted(&first).await && !is_wanted(&third).await);
        first.waits();
        let _newer = taken(&places, 4).await;
        assert!(is_wanted(&third).await, "the other began to wait later");
        drop((second, third));
        assert_eq!(places.lock().taken.len(), 4, "a place is given back once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_has_its_share_and_no_more() {
        let places = Places::new(10, 2);
        let (first, second) = (taken(&places, 1).await, taken(&places, 1).await);
        first.answers();
        let third = taken(&places, 1).await;
        assert!(is_wanted(&second).await);
        third.answers();
        assert!(places.take(ip(1)).await.is_none(), "answers are under way on all of its places");
        let _other = taken(&places, 2).await;
        drop(first);
        let _fourth = taken(&places, 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_answered_the_next_waits_for_a_place() {
        let places = Places::new(2, 2);
        let (first, second) = (taken(&places, 1).await, taken(&places, 2).await);
        first.answers();
        second.answers();
        let waiting = tokio::spawn({
            let places = places.clone();
            async move { places.take(ip(3)).await.is_some() }
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!waiting.is_finished());
        drop(first);
        assert!(waiting.await.expect("a task"));
        drop(second);
        let table = places.lock();
        assert!(table.taken.is_empty() && table.of_peer.is_empty());
    }
}
