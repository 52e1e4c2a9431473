//! Reads a request's body while it arrives: its code is computed, its events are told, its head is kept for a person.
//! However long it is, no more is held than that head, the events, and what the tokenizer needs.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::admit::Admission;
use super::answer::Refusal;
use super::budget::Budget;
use super::format::{BodyReader, Ending, Proof, Reply, WebhookFormat};
use super::parsed::Junk;

/// So much of a body is read as its format. What is beyond is not understood, but taken off the line.
pub const READ_MAX_BYTES: u64 = 16 * 1024 * 1024;
/// So much of a body is taken off the line, so that its sender sees the answer and not a connection that was reset:
/// CNCF Distribution repeats for ever what was not answered.
pub const DRAIN_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// So much of a body is kept for a person.
pub const HEAD_MAX_BYTES: usize = 64 * 1024;

/// Within what a body must stay.
pub(super) struct Bounds<'b> {
    /// A whole body must arrive within this time.
    pub(super) deadline: Duration,
    /// What is held before the proof counts here, under this peer.
    pub(super) budget: &'b Budget,
    pub(super) peer: IpAddr,
}

/// A body whose sender was proved.
pub(super) struct ReadBody {
    /// Its first bytes.
    pub(super) head: Vec<u8>,
    /// All that arrived.
    pub(super) size_bytes: u64,
    /// How far it was understood.
    pub(super) read: Result<Ending, Unread>,
}

/// Why a body, or the rest of one, was not understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unread {
    Junk(Junk),
    /// It is longer than is read.
    TooLarge,
}

impl ReadBody {
    /// The answer to a handshake, where it was one.
    pub(super) fn handshake(&self) -> Option<&Reply> {
        match &self.read {
            Ok(Ending::Handshake(reply)) => Some(reply),
            _ => None,
        }
    }
}

/// Reads a body to its end. Events go to `admission`, and count once this has returned: only then is the sender proved.
pub(super) async fn read(
    body: Body,
    format: &dyn WebhookFormat,
    mut proof: Proof,
    bounds: Bounds<'_>,
    admission: &mut Admission<'_>,
) -> Result<ReadBody, Refusal> {
    let until = Instant::now() + bounds.deadline;
    let mut reservation = match &proof {
        Proof::Given => None,
        Proof::OverBody(_) => Some(bounds.budget.reserve(bounds.peer).map_err(|_| Refusal::Busy)?),
    };
    let mut reading = Reading::new(format.reader());
    let mut pieces = body.into_data_stream();
    loop {
        let piece = match timeout_at(until, pieces.next()).await {
            Ok(None) => break,
            Ok(Some(Ok(piece))) => piece,
            // What was read of it counts, and more would not be read.
            _ if reading.is_too_large() && proof.is_given() => break,
            Ok(Some(Err(_))) => return Err(Refusal::Broken),
            Err(_) => return Err(Refusal::TooSlow),
        };
        if let Proof::OverBody(mac) = &mut proof {
            mac.update(&piece);
        }
        reading.take(&piece, admission);
        if let Some(reservation) = &mut reservation {
            let held = reading.head.len() + admission.held_bytes();
            reservation.raise(held).map_err(|_| Refusal::Busy)?;
        }
        if reading.size > DRAIN_MAX_BYTES {
            // Without its end the body of a stranger proves nothing.
            if !proof.is_given() {
                return Err(Refusal::TooLarge);
            }
            break;
        }
    }
    if let Proof::OverBody(mac) = proof {
        mac.verify().map_err(Refusal::unauthorized)?;
    }
    Ok(reading.finish(admission))
}

/// A body that is under way.
struct Reading {
    reader: Box<dyn BodyReader>,
    head: Vec<u8>,
    size: u64,
    stopped: Option<Unread>,
}

impl Reading {
    fn new(reader: Box<dyn BodyReader>) -> Self {
        Self { reader, head: Vec::new(), size: 0, stopped: None }
    }

    fn is_too_large(&self) -> bool {
        self.size > READ_MAX_BYTES
    }

    fn take(&mut self, piece: &[u8], admission: &mut Admission<'_>) {
        let kept = piece.len().min(HEAD_MAX_BYTES - self.head.len());
        self.head.extend_from_slice(&piece[..kept]);
        if self.stopped.is_none() {
            let left = usize::try_from(READ_MAX_BYTES - self.size).unwrap_or(usize::MAX);
            let understood = &piece[..piece.len().min(left)];
            let read = self.reader.feed(understood, &mut |told| admission.take(told));
            self.stopped = match read {
                Err(junk) => Some(Unread::Junk(junk)),
                Ok(()) if understood.len() < piece.len() => Some(Unread::TooLarge),
                Ok(()) => None,
            };
        }
        self.size = self.size.saturating_add(piece.len() as u64);
    }

    fn finish(mut self, admission: &mut Admission<'_>) -> ReadBody {
        let read = match self.stopped {
            _ if self.size > READ_MAX_BYTES => Err(Unread::TooLarge),
            Some(unread) => Err(unread),
            None => self.reader.finish(&mut |told| admission.take(told)).map_err(Unread::Junk),
        };
        ReadBody { head: self.head, size_bytes: self.size, read }
    }
}
