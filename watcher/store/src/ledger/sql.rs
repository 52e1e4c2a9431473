//! The statements of the ledger. None differs between the engines.

/// Every column of a row with its material; the caller adds the condition.
macro_rules! select_row {
    ($function:literal, $condition:literal) => {
        concat!(
            "-- ledger::",
            $function,
            "
SELECT s.id, s.registry, s.repository, s.digest, s.identity, s.format, s.identity_name,
    s.public_key_spki, s.log_origin, s.trust_zone, s.class, s.intended_at, s.payload,
    s.signed_digest, s.signature, s.signed_at, s.attached_at, s.attached_manifest, s.adopted,
    s.attempt, s.key_uses, s.key_version, s.abandoned_at, s.abandoned_because, m.artifact, m.manifest, m.recorded_at AS material_at
FROM signatures s LEFT JOIN materials m ON m.signature_id = s.id
WHERE ",
            $condition
        )
    };
}

pub(crate) const ROW: &str = select_row!("ledger_row", "s.id = $1");

pub(crate) const ROW_BY_KEY: &str = select_row!(
    "intend",
    "s.registry = $1 AND s.repository = $2 AND s.digest = $3 AND s.identity = $4 AND s.format = $5
ORDER BY s.attempt DESC LIMIT 1"
);

pub(crate) const ROWS_OF_IMAGE: &str =
    select_row!("ledger_for", "s.registry = $1 AND s.repository = $2 AND s.digest = $3 ORDER BY s.id");

pub(crate) const TRUST_ZONE: &str = "-- ledger::intend
SELECT trust_zone FROM identities WHERE identity = $1";

pub(crate) const INSERT_IDENTITY: &str = "-- ledger::intend
INSERT INTO identities (identity, trust_zone, first_seen_at, public_key_spki) VALUES ($1, $2, $3, $4)
ON CONFLICT (identity) DO NOTHING";

/// The first attempt, or the one after the last, unless an attempt stands that is not abandoned. Of two that insert the
/// same attempt at once, one inserts nothing.
pub(crate) const INSERT_INTENT: &str = "-- ledger::intend
INSERT INTO signatures (registry, repository, digest, identity, format, identity_name,
    public_key_spki, log_origin, trust_zone, class, stage, intended_at, adopted, key_uses, attempt)
SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT), $6, $7, $8, $9, $10,
    'intended', $11, 0, 0, 1 + COALESCE((SELECT MAX(l.attempt) FROM signatures l WHERE l.registry = $1
        AND l.repository = $2 AND l.digest = $3 AND l.identity = $4 AND l.format = $5), 0)
WHERE NOT EXISTS (SELECT 1 FROM signatures s WHERE s.registry = $1 AND s.repository = $2 AND s.digest = $3
    AND s.identity = $4 AND s.format = $5 AND s.abandoned_at IS NULL)
ON CONFLICT (registry, repository, digest, identity, format, attempt) DO NOTHING";

pub(crate) const COUNT_KEY_USE: &str = "-- ledger::count_key_use
UPDATE signatures SET key_uses = key_uses + 1 WHERE id = $1 AND abandoned_at IS NULL";

pub(crate) const ABANDON: &str = "-- ledger::abandon
UPDATE signatures SET abandoned_at = $2, abandoned_because = $3, stage = 'abandoned'
WHERE id = $1 AND abandoned_at IS NULL AND attached_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM log_entries e WHERE e.signature_id = signatures.id)
    AND NOT EXISTS (SELECT 1 FROM materials m WHERE m.signature_id = signatures.id)";

pub(crate) const SIGN: &str = "-- ledger::record_signature
UPDATE signatures SET payload = $2, signed_digest = $3, signature = $4, signed_at = $5,
    stage = CASE stage WHEN 'intended' THEN 'signed' ELSE stage END
WHERE id = $1 AND signature IS NULL AND abandoned_at IS NULL";

pub(crate) const INSERT_ENTRY: &str = "-- ledger::record_entry
INSERT INTO log_entries (signature_id, log_origin, log_index, leaf_hash, entry_json, recorded_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (signature_id, log_origin, log_index) DO NOTHING";

pub(crate) const LEAF_HASH: &str = "-- ledger::record_entry
SELECT leaf_hash FROM log_entries WHERE signature_id = $1 AND log_origin = $2 AND log_index = $3";

pub(crate) const ENTRIES: &str = "-- ledger::entries
SELECT log_origin, log_index, leaf_hash, entry_json, recorded_at FROM log_entries
WHERE signature_id = $1 ORDER BY recorded_at, log_index";

pub(crate) const INSERT_MATERIAL: &str = "-- ledger::record_material
INSERT INTO materials (signature_id, artifact, manifest, recorded_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (signature_id) DO NOTHING";

pub(crate) const MATERIAL_STAGE: &str = "-- ledger::record_material
UPDATE signatures SET stage = 'material' WHERE id = $1 AND stage = 'signed'";

pub(crate) const ATTACH: &str = "-- ledger::record_attached
UPDATE signatures SET
    attached_at = COALESCE(attached_at, $2),
    adopted = CASE WHEN attached_at IS NULL THEN $3 ELSE adopted END,
    attached_manifest = $4,
    stage = 'attached'
WHERE id = $1";
