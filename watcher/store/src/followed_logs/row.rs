//! A followed log and its notes as they are stored.

use crate::column::{converted, from_row, hash};

/// A signed head.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    /// The size.
    pub size: u64,
    /// The root.
    pub root: [u8; 32],
    /// The note, verbatim.
    pub note: Vec<u8>,
    /// When it was first seen, in unix milliseconds.
    pub seen_at: i64,
}

/// A log that we follow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FollowedLog {
    /// The log's origin.
    pub origin: String,
    /// How it is read.
    pub kind: String,
    /// The id of its key.
    pub key_id: [u8; 32],
    /// Its pinned key, SPKI in DER.
    pub public_key: Vec<u8>,
    /// How much of it is read.
    pub coverage: String,
    /// The size from which on it is covered.
    pub first_size: u64,
    /// When it was last trusted by an explicit act, in unix milliseconds.
    pub trusted_at: i64,
    /// Why.
    pub because: String,
    /// The newest head that is known to be consistent.
    pub head: Option<Head>,
    /// Up to where each leaf was hashed into a signed root.
    pub verified_size: u64,
    /// The root there.
    pub verified_root: [u8; 32],
    /// The compact range there.
    pub range: Vec<u8>,
    /// When that was reached; `None` since it was trusted.
    pub verified_at: Option<i64>,
    /// Up to where leaves were read.
    pub read_size: u64,
    /// When the log said that it is frozen.
    pub frozen_at: Option<i64>,
    /// Who follows it, or did so last.
    pub holder: Option<String>,
    /// When that ends, or ended; `None`: it was given back.
    pub lease_expires_at: Option<i64>,
}

from_row!(FollowedLog, |row| {
    let size: Option<i64> = row.try_get("head_size")?;
    let head = match size {
        Some(size) => Some(Head {
            size: converted("head_size", size)?,
            root: hash("head_root", &row.try_get::<Vec<u8>, _>("head_root")?)?,
            note: row.try_get("head_note")?,
            seen_at: row.try_get("head_seen_at")?,
        }),
        None => None,
    };
    Ok(Self {
        origin: row.try_get("origin")?,
        kind: row.try_get("kind")?,
        key_id: hash("key_id", &row.try_get::<Vec<u8>, _>("key_id")?)?,
        public_key: row.try_get("public_key")?,
        coverage: row.try_get("coverage")?,
        first_size: converted("first_size", row.try_get::<i64, _>("first_size")?)?,
        trusted_at: row.try_get("trusted_at")?,
        because: row.try_get("because")?,
        head,
        verified_size: converted("verified_size", row.try_get::<i64, _>("verified_size")?)?,
        verified_root: hash("verified_root", &row.try_get::<Vec<u8>, _>("verified_root")?)?,
        range: row.try_get("compact_range")?,
        verified_at: row.try_get("verified_at")?,
        read_size: converted("read_size", row.try_get::<i64, _>("read_size")?)?,
        frozen_at: row.try_get("frozen_at")?,
        holder: row.try_get("holder")?,
        lease_expires_at: row.try_get("lease_expires_at")?,
    })
});

/// An act of trust in a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogTrust {
    /// The log's origin.
    pub origin: String,
    /// The size.
    pub size: u64,
    /// The root.
    pub root: [u8; 32],
    /// Why.
    pub because: String,
    /// Who.
    pub by: String,
    /// When, in unix milliseconds.
    pub at: i64,
}

from_row!(LogTrust, |row| Ok(Self {
    origin: row.try_get("log_origin")?,
    size: converted("size", row.try_get::<i64, _>("size")?)?,
    root: hash("root", &row.try_get::<Vec<u8>, _>("root")?)?,
    because: row.try_get("because")?,
    by: row.try_get("trusted_by")?,
    at: row.try_get("trusted_at")?,
}));

/// A signed note.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoteRow {
    /// The log that it names.
    pub origin: String,
    /// Who showed it first.
    pub source: String,
    /// The note, verbatim.
    pub note: Vec<u8>,
    /// The size that it signs.
    pub size: u64,
    /// The root that it signs.
    pub root: [u8; 32],
    /// When it was first seen, in unix milliseconds.
    pub seen_at: i64,
}

from_row!(NoteRow, |row| Ok(Self {
    origin: row.try_get("log_origin")?,
    source: row.try_get("source")?,
    note: row.try_get("note")?,
    size: converted("size", row.try_get::<i64, _>("size")?)?,
    root: hash("root", &row.try_get::<Vec<u8>, _>("root")?)?,
    seen_at: row.try_get("seen_at")?,
}));

/// A position as the transaction that moves it found it.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) head: Option<(u64, Vec<u8>)>,
    pub(crate) verified_size: u64,
    pub(crate) verified_root: Vec<u8>,
}

from_row!(Standing, |row| {
    let size: Option<i64> = row.try_get("head_size")?;
    let head = match size {
        Some(size) => Some((converted("head_size", size)?, row.try_get("head_root")?)),
        None => None,
    };
    Ok(Self {
        head,
        verified_size: converted("verified_size", row.try_get::<i64, _>("verified_size")?)?,
        verified_root: row.try_get("verified_root")?,
    })
});

impl Standing {
    /// Whether a step goes on from here: nothing goes back, and no size changes its root.
    pub(crate) fn admits(&self, step: &super::Advance) -> bool {
        let goes_on = |size: u64, root: &[u8], new_size: u64, new_root: &[u8]| {
            new_size > size || (new_size == size && new_root == root)
        };
        let head = match (&self.head, &step.head) {
            (Some((size, root)), Some(new)) => goes_on(*size, root, new.size, &new.root),
            _ => true,
        };
        let verified = match &step.verified {
            Some(new) => goes_on(self.verified_size, &self.verified_root, new.size, &new.root),
            None => true,
        };
        head && verified
    }
}
