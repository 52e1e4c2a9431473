//! The statements of the view. None differs between the engines.

/// Every column of a row without its material; the caller adds the condition.
macro_rules! select_bare_row {
    ($function:literal, $condition:expr) => {
        concat!(
            "-- ledger_view::",
            $function,
            "
SELECT s.id, s.registry, s.repository, s.digest, s.identity, s.format, s.identity_name,
    s.public_key_spki, s.log_origin, s.trust_zone, s.class, s.intended_at, s.payload,
    s.signed_digest, s.signature, s.signed_at, s.attached_at, s.attached_manifest, s.adopted,
    s.attempt, s.key_uses, s.key_version, s.abandoned_at, s.abandoned_because, NULL AS artifact, NULL AS manifest, NULL AS material_at
FROM signatures s WHERE ",
            $condition
        )
    };
}

/// Every column of a log entry with the basics of its row; the caller adds the condition.
macro_rules! select_entry {
    ($function:literal, $condition:literal) => {
        concat!(
            "-- ledger_view::",
            $function,
            "
SELECT e.signature_id, e.log_origin, e.log_index, e.leaf_hash, e.entry_json, e.recorded_at,
    s.registry, s.repository, s.digest, s.identity, s.format, s.class
FROM log_entries e JOIN signatures s ON s.id = e.signature_id WHERE ",
            $condition
        )
    };
}

/// As many as one statement takes; a shorter list is filled up with its last member.
pub(crate) const MEMBERS: usize = 32;

/// [`MEMBERS`] places in a statement.
macro_rules! members {
    () => {
        "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
    $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)"
    };
}
pub(crate) use {members, select_bare_row};

/// By the index on the first bytes; the caller compares the rest.
pub(crate) const BY_SIGNATURES: &str =
    select_bare_row!("ledger_by_signatures", concat!("substr(s.signature, 1, 24) IN ", members!(), " ORDER BY s.id"));

pub(crate) const BY_DIGESTS: &str =
    select_bare_row!("ledger_by_digests", concat!("s.signed_digest IN ", members!(), " ORDER BY s.id"));

pub(crate) const ROWS_AFTER: &str = select_bare_row!("ledger_rows_after", "s.id > $1 ORDER BY s.id LIMIT $2");

pub(crate) const DIGESTS: &str = "-- ledger_view::ledger_digests
SELECT id, signed_digest, payload FROM signatures
WHERE id > $1 AND signature IS NOT NULL AND signed_digest IS NOT NULL AND payload IS NOT NULL ORDER BY id LIMIT $2";

pub(crate) const NEWEST: &str = "-- ledger_view::ledger_newest
SELECT id, intended_at FROM signatures ORDER BY id DESC LIMIT 1";

pub(crate) const ENTRIES_AFTER: &str = select_entry!(
    "ledger_entries_after",
    "(e.signature_id, e.log_origin, e.log_index) > ($1, $2, $3) AND s.id >= $1
ORDER BY e.signature_id, e.log_origin, e.log_index LIMIT $4"
);

pub(crate) const ENTRIES_OF_ROW: &str =
    select_entry!("ledger_entries", "e.signature_id = $1 ORDER BY e.recorded_at, e.log_index");
