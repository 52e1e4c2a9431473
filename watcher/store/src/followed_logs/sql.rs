//! The statements of the followed logs that are the same in both engines.

/// Every column of a followed log; the caller adds the condition.
macro_rules! select_log {
    ($function:literal, $condition:literal) => {
        concat!(
            "-- followed_logs::",
            $function,
            "
SELECT origin, kind, key_id, public_key, coverage, first_size, trusted_at, because, head_size, head_root,
    head_note, head_seen_at, verified_size, verified_root, compact_range, verified_at, read_size, frozen_at,
    holder, lease_expires_at
FROM followed_logs ",
            $condition
        )
    };
}

/// Every column of a note; the caller adds the condition.
macro_rules! select_note {
    ($function:literal, $condition:literal) => {
        concat!(
            "-- followed_logs::",
            $function,
            "
SELECT log_origin, source, note, size, root, seen_at FROM notes WHERE ",
            $condition
        )
    };
}

pub(crate) const LOGS: &str = select_log!("followed_logs", "ORDER BY origin");

pub(crate) const LOG: &str = select_log!("followed_log", "WHERE origin = $1");

pub(crate) const NOTES: &str = select_note!("notes", "log_origin = $1 ORDER BY seen_at DESC, size DESC LIMIT $2");

pub(crate) const NOTES_OF_SIZE: &str = select_note!("note_at", "log_origin = $1 AND size = $2 ORDER BY seen_at, root");

/// A position to begin at; the caller says what becomes of one that is there.
macro_rules! insert_log {
    ($function:literal, $conflict:literal) => {
        concat!(
            "-- followed_logs::",
            $function,
            "
INSERT INTO followed_logs (origin, kind, key_id, public_key, coverage, first_size, trusted_at, because,
    head_size, head_root, head_note, head_seen_at, verified_size, verified_root, compact_range, read_size)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $6, $13, $14, $6)
ON CONFLICT (origin) DO ",
            $conflict
        )
    };
}

pub(crate) const TRUST: &str = insert_log!(
    "trust_log",
    "UPDATE SET
    kind = excluded.kind, key_id = excluded.key_id, public_key = excluded.public_key,
    coverage = excluded.coverage, first_size = excluded.first_size, trusted_at = excluded.trusted_at,
    because = excluded.because,
    head_size = CASE WHEN CAST($15 AS BIGINT) = 1 AND followed_logs.public_key = excluded.public_key
        THEN followed_logs.head_size ELSE excluded.head_size END,
    head_root = CASE WHEN CAST($15 AS BIGINT) = 1 AND followed_logs.public_key = excluded.public_key
        THEN followed_logs.head_root ELSE excluded.head_root END,
    head_note = CASE WHEN CAST($15 AS BIGINT) = 1 AND followed_logs.public_key = excluded.public_key
        THEN followed_logs.head_note ELSE excluded.head_note END,
    head_seen_at = CASE WHEN CAST($15 AS BIGINT) = 1 AND followed_logs.public_key = excluded.public_key
        THEN followed_logs.head_seen_at ELSE excluded.head_seen_at END,
    verified_size = excluded.verified_size, verified_root = excluded.verified_root,
    compact_range = excluded.compact_range, verified_at = NULL, read_size = excluded.read_size,
    frozen_at = NULL, holder = NULL, lease = NULL, lease_expires_at = NULL"
);

pub(crate) const TRUST_NEW: &str = insert_log!("trust_new_log", "NOTHING");

pub(crate) const COVER: &str = "-- followed_logs::cover_log
UPDATE followed_logs SET coverage = $3 WHERE origin = $1 AND lease = $2";

pub(crate) const KEEP_TRUST: &str = "-- followed_logs::trust_log
INSERT INTO log_trusts (log_origin, size, root, because, trusted_by, trusted_at) VALUES ($1, $2, $3, $4, $5, $6)";

pub(crate) const TRUSTS: &str = "-- followed_logs::log_trusts
SELECT log_origin, size, root, because, trusted_by, trusted_at FROM log_trusts WHERE log_origin = $1 ORDER BY id";

pub(crate) const RELEASE: &str = "-- followed_logs::release_log
UPDATE followed_logs SET lease = NULL, lease_expires_at = NULL WHERE origin = $1 AND lease = $2";

pub(crate) const KEEP_NOTE: &str = "-- followed_logs::record_note
INSERT INTO notes (log_origin, size, root, source, note, seen_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (log_origin, size, root) DO NOTHING";

pub(crate) const KNOWN_NOTE: &str = "-- followed_logs::record_note
SELECT seen_at FROM notes WHERE log_origin = $1 AND size = $2 AND root = $3";

/// Writes what is always written, and so locks the row; answers with what must not go back.
pub(crate) const FENCE: &str = "-- followed_logs::advance
UPDATE followed_logs SET
    read_size = CASE WHEN read_size < $3 THEN $3 ELSE read_size END,
    frozen_at = COALESCE(frozen_at, $4)
WHERE origin = $1 AND lease = $2
RETURNING head_size, head_root, verified_size, verified_root";

pub(crate) const MOVE_HEAD: &str = "-- followed_logs::advance
UPDATE followed_logs SET head_size = $2, head_root = $3, head_note = $4, head_seen_at = $5, frozen_at = $6
WHERE origin = $1";

pub(crate) const MOVE_VERIFIED: &str = "-- followed_logs::advance
UPDATE followed_logs SET verified_size = $2, verified_root = $3, compact_range = $4, verified_at = $5
WHERE origin = $1";

pub(crate) const COUNT: &str = "-- followed_logs::advance
INSERT INTO counted_leaves (reason, leaves) VALUES ($1, $2)
ON CONFLICT (reason) DO UPDATE SET leaves = counted_leaves.leaves + excluded.leaves";

pub(crate) const COUNTED: &str = "-- followed_logs::counted_leaves
SELECT reason, leaves FROM counted_leaves ORDER BY reason";
