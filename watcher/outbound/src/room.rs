//! Memory for answers, shared by requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one permit stands for, in bytes.
const UNIT: usize = 1 << 10;
/// The most permits that a semaphore has on every platform.
const MOST_UNITS: usize = 1 << 28;

/// Memory that is given out in the order of asking. Its buffers are used again: to get them new for each answer of some
/// hundred KiB costs more than to fill them, and leaves the heap in pieces.
#[derive(Clone, Debug)]
pub struct Room {
    free: Arc<Semaphore>,
    units: usize,
    idle: Arc<Idle>,
}

/// Buffers that nobody uses.
#[derive(Debug)]
struct Idle {
    buffers: Mutex<Vec<Vec<u8>>>,
    most_bytes: usize,
}

/// Memory that is set aside, until this is dropped.
#[derive(Debug, Default)]
pub struct Taken(Option<OwnedSemaphorePermit>);

/// A buffer in a room; or in no room, which has what there is.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    taken: Taken,
    /// Where it goes to be used again.
    idle: Option<Arc<Idle>>,
}

impl Room {
    /// Room for so many bytes.
    pub fn new(bytes: usize) -> Self {
        let units = units(bytes);
        let idle = Arc::new(Idle { buffers: Mutex::default(), most_bytes: units.saturating_mul(UNIT) });
        Self { free: Arc::new(Semaphore::new(units)), units, idle }
    }

    /// Waits for room for so many bytes; for what is larger than all of it, until all of it is free.
    pub async fn take(&self, bytes: usize) -> Taken {
        let wanted = units(bytes).min(self.units) as u32;
        // An error: it was closed, which nobody does.
        Taken(Arc::clone(&self.free).acquire_many_owned(wanted).await.ok())
    }

    /// Waits for room for so many bytes, and has a buffer in it. Nobody has more than half of it: one that comes in drips
    /// leaves room for others.
    pub(crate) async fn buffer(&self, bytes: usize) -> Buffer {
        let taken = self.take(bytes.min(self.units.saturating_mul(UNIT) / 2)).await;
        let used = locked(&self.idle.buffers).pop();
        Buffer { bytes: used.unwrap_or_default(), taken, idle: Some(Arc::clone(&self.idle)) }
    }
}

impl Taken {
    /// Gives back what is beyond so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(permit) = &mut self.0 {
            drop(permit.split(permit.num_permits().saturating_sub(units(bytes))));
        }
    }
}

impl Buffer {
    /// How much is in it.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Sets memory aside for so many bytes more.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes);
    }

    /// Appends this.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What is in it, which has its room as long as any part of it is in use.
    pub(crate) fn freeze(mut self) -> Bytes {
        self.taken.shrink_to(self.bytes.len());
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(idle) = self.idle.take() else { return };
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        idle.keep(bytes);
    }
}

impl Idle {
    /// Keeps a buffer to be used again, as long as all of them are no more than the room.
    fn keep(&self, bytes: Vec<u8>) {
        let mut buffers = locked(&self.buffers);
        let kept: usize = buffers.iter().map(Vec::capacity).sum();
        if kept.saturating_add(bytes.capacity()) <= self.most_bytes {
            buffers.push(bytes);
        }
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT).clamp(1, MOST_UNITS)
}

fn locked(idle: &Mutex<Vec<Vec<u8>>>) -> MutexGuard<'_, Vec<Vec<u8>>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn there_is_room_for_so_many_bytes_and_for_one_of_any_size() {
        let room = Room::new(3 * UNIT);
        let taken = |bytes| room.take(bytes).now_or_never();
        let mut large = taken(usize::MAX).expect("all of it is free");
        assert!(taken(1).is_none());
        large.shrink_to(2 * UNIT);
        let small = taken(1).expect("one unit is free");
        assert!(taken(1).is_none());
        drop(small);
        // What is smaller already gives nothing back.
        large.shrink_to(usize::MAX);
        assert!(taken(2 * UNIT).is_none());
        drop(large);
        assert!(taken(3 * UNIT).is_some());
    }

    #[test]
    fn bytes_have_their_room_as_long_as_a_part_of_them_is_in_use_and_their_buffer_is_used_again() {
        let room = Room::new(UNIT);
        let filled = |bytes: &[u8]| {
            let mut buffer = room.buffer(UNIT).now_or_never()?;
            buffer.extend(bytes);
            Some(buffer.freeze())
        };
        let bytes = filled(b"abc").expect("room");
        let place = bytes.as_ptr();
        let part = bytes.slice(1..2);
        drop(bytes);
        assert!(filled(b"").is_none());
        assert_eq!(&part[..], b"b");
        drop(part);
        let again = filled(b"de").expect("room");
        assert_eq!((&again[..], again.as_ptr()), (b"de".as_slice(), place));
    }
}
