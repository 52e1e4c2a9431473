//! Where a log stands, as the store has it: the newest consistent head, and how far leaves are verified.

use store::{FollowedLog, Head};
use tlog::{Checkpoint, CompactRange, Hash};

use super::FollowError;
use super::head::TreeHead;
use crate::log::LogReader;

impl TreeHead {
    /// Of a signed head.
    pub fn of(head: &Checkpoint) -> Self {
        Self { size: head.size(), root: head.root() }
    }
}

/// Where a log stands. Loaded under the lease; what is in the store goes before.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    /// The newest head that is known to be consistent, opened again from its note (I4).
    pub(crate) head: Option<Checkpoint>,
    /// When that was first seen, in unix milliseconds.
    pub(crate) head_seen_at: i64,
    /// The head is not in the store yet: the next write takes it along.
    pub(crate) head_is_new: bool,
    /// What is verified.
    pub(crate) verified: CompactRange,
    /// From where on the log is covered.
    pub(crate) first_size: u64,
    /// When it was trusted, in unix milliseconds.
    pub(crate) trusted_at: i64,
    /// Up to where leaves were read.
    pub(crate) read_size: u64,
    /// Since when it is known to be closed for good, in unix milliseconds.
    pub(crate) frozen_at: Option<i64>,
}

impl Position {
    /// Reads what the store has. An error: it is not what this program has written.
    pub(crate) fn load(log: &FollowedLog, reader: &dyn LogReader) -> Result<Self, FollowError> {
        let damaged = |what: &str| FollowError::Damaged { what: what.to_owned() };
        let verified = CompactRange::from_bytes(&log.range).map_err(|error| damaged(&error.to_string()))?;
        if (verified.size(), verified.root()) != (log.verified_size, Hash::new(log.verified_root)) {
            return Err(damaged("the compact range is not of the verified size and root"));
        }
        let head = match &log.head {
            None => None,
            Some(head) => {
                let opened = reader.open(&head.note).map_err(|error| damaged(&format!("the stored head: {error}")))?;
                if (opened.size(), opened.root()) != (head.size, Hash::new(head.root)) {
                    return Err(damaged("the stored head is not of the size and root beside it"));
                }
                Some(opened)
            }
        };
        Ok(Self {
            head,
            head_seen_at: log.head.as_ref().map_or(log.trusted_at, |head| head.seen_at),
            head_is_new: false,
            verified,
            first_size: log.first_size,
            trusted_at: log.trusted_at,
            read_size: log.read_size,
            frozen_at: log.frozen_at,
        })
    }

    /// The newest tree that is known to be consistent.
    pub(crate) fn known(&self) -> TreeHead {
        self.head.as_ref().map_or_else(|| self.verified_tree(), TreeHead::of)
    }

    /// What is verified.
    pub(crate) fn verified_tree(&self) -> TreeHead {
        TreeHead { size: self.verified.size(), root: self.verified.root() }
    }

    /// The head as the store takes it, where the store does not have it yet.
    pub(crate) fn new_head(&self) -> Option<Head> {
        let head = self.head.as_ref().filter(|_| self.head_is_new)?;
        Some(Head {
            size: head.size(),
            root: *head.root().as_bytes(),
            note: head.note().as_bytes().to_vec(),
            seen_at: self.head_seen_at,
        })
    }
}
