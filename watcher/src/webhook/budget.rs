//! How many bodies are read before their senders are proved, and how much of them is held in memory: in all, and from one
//! address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most bytes in all. A body holds its first 64 KiB and its events, so this is a thousand usual bodies.
const TOTAL_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Most bytes from one address: three of the largest bodies, or some 250 usual ones.
const PEER_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Most bodies at once: half of what the listener has places for, so that slow ones leave room for proved senders.
const TOTAL_MAX_BODIES: usize = 512;
/// Most bodies at once from one address.
const PEER_MAX_BODIES: usize = 128;

/// The address that a limit per peer counts by: of IPv6, the network of 64 bits that one host has to itself.
pub fn peer_group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

/// What is held of bodies that are not proved yet.
#[derive(Clone, Debug)]
pub struct Budget {
    held: Arc<Mutex<Held>>,
    total_max: Load,
    peer_max: Load,
}

/// Bodies that are read, and what is held of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Load {
    bodies: usize,
    bytes: usize,
}

impl Load {
    fn plus(self, bodies: usize, bytes: usize) -> Self {
        Self { bodies: self.bodies + bodies, bytes: self.bytes + bytes }
    }

    fn is_within(self, max: Self) -> bool {
        self.bodies <= max.bodies && self.bytes <= max.bytes
    }
}

#[derive(Debug, Default)]
struct Held {
    total: Load,
    /// Only those that have a body.
    peers: HashMap<IpAddr, Load>,
}

/// There is no room for more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Full;

impl Default for Budget {
    fn default() -> Self {
        Self::new(TOTAL_MAX_BYTES, PEER_MAX_BYTES)
    }
}

impl Budget {
    /// A budget of so many bytes in all, and from one address.
    pub fn new(total_max_bytes: usize, peer_max_bytes: usize) -> Self {
        let total_max = Load { bodies: TOTAL_MAX_BODIES, bytes: total_max_bytes };
        let peer_max = Load { bodies: PEER_MAX_BODIES, bytes: peer_max_bytes };
        Self { held: Arc::default(), total_max, peer_max }
    }

    /// A place for one body, which holds nothing yet.
    pub(super) fn reserve(&self, peer: IpAddr) -> Result<Reservation, Full> {
        let peer = peer_group(peer);
        self.add(peer, 1, 0)?;
        Ok(Reservation { budget: self.clone(), peer, bytes: 0 })
    }

    fn add(&self, peer: IpAddr, bodies: usize, bytes: usize) -> Result<(), Full> {
        let mut held = self.lock();
        let total = held.total.plus(bodies, bytes);
        let of_peer = held.peers.get(&peer).copied().unwrap_or_default().plus(bodies, bytes);
        if !total.is_within(self.total_max) || !of_peer.is_within(self.peer_max) {
            return Err(Full);
        }
        held.total = total;
        held.peers.insert(peer, of_peer);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one body holds; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Budget,
    peer: IpAddr,
    bytes: usize,
}

impl Reservation {
    /// Raises what is held to so many bytes. It never falls while the body is read.
    pub(super) fn raise(&mut self, bytes: usize) -> Result<(), Full> {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            self.budget.add(self.peer, 0, more)?;
            self.bytes = bytes;
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut held = self.budget.lock();
        let less =
            |load: Load| Load { bodies: load.bodies.saturating_sub(1), bytes: load.bytes.saturating_sub(self.bytes) };
        held.total = less(held.total);
        let left = less(held.peers.get(&self.peer).copied().unwrap_or_default());
        if left == Load::default() {
            held.peers.remove(&self.peer);
        } else {
            held.peers.insert(self.peer, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_cannot_take_the_room_of_all() {
        let budget = Budget::new(100, 40);
        let mut first = budget.reserve(ip("192.0.2.1")).expect("a place");
        assert_eq!(first.raise(40), Ok(()));
        assert_eq!(first.raise(30), Ok(()), "it does not fall");
        let mut second = budget.reserve(ip("::ffff:192.0.2.1")).expect("a place");
        assert_eq!(second.raise(1), Err(Full), "the same address in another form");
        let mut other = budget.reserve(ip("192.0.2.2")).expect("a place");
        assert_eq!(other.raise(40), Ok(()));
        let mut third = budget.reserve(ip("2001:db8::1")).expect("a place");
        assert_eq!(third.raise(21), Err(Full), "there is a bound for all");
        assert_eq!(third.raise(20), Ok(()));
        drop(first);
        assert_eq!(second.raise(40), Ok(()), "what was given back is free");
        assert_eq!(third.raise(21), Err(Full));
    }

    #[test]
    fn what_was_held_is_given_back_and_leaves_no_trace() {
        let budget = Budget::new(100, 100);
        for n in 0..50u8 {
            let mut held = budget.reserve(IpAddr::from([192, 0, 2, n])).expect("a place");
            held.raise(60).expect("room");
            assert_eq!(held.raise(101), Err(Full));
        }
        let held = budget.lock();
        assert_eq!((held.total, held.peers.len()), (Load::default(), 0));
    }

    #[test]
    fn bodies_are_counted_whatever_they_hold() {
        let budget = Budget::default();
        let of_one: Vec<_> = (0..PEER_MAX_BODIES).map(|_| budget.reserve(ip("192.0.2.1")).expect("a place")).collect();
        assert!(budget.reserve(ip("192.0.2.1")).is_err());
        let others = (0..TOTAL_MAX_BODIES - PEER_MAX_BODIES)
            .map(|n| budget.reserve(IpAddr::from([10, 0, (n / 256) as u8, n as u8])));
        let others: Vec<_> = others.collect::<Result<_, _>>().expect("places");
        assert!(budget.reserve(ip("198.51.100.1")).is_err());
        drop(of_one);
        assert!(budget.reserve(ip("198.51.100.1")).is_ok());
        drop(others);
    }

    #[test]
    fn one_network_of_ipv6_is_one_peer() {
        assert_eq!(peer_group(ip("2001:db8:1:2:3:4:5:6")), peer_group(ip("2001:db8:1:2:ffff::1")));
        assert_ne!(peer_group(ip("2001:db8:1:2::1")), peer_group(ip("2001:db8:1:3::1")));
        assert_eq!(peer_group(ip("::ffff:192.0.2.7")), ip("192.0.2.7"));
    }
}
