-- The monitor: logs, notes, findings, alerts and what is expected of the ledger. PostgreSQL has the same tables in
-- ../postgres, in a schema of its own that the signer's role cannot write.

-- The ledger's side: what the monitor asks of it, and what it is told.

-- The public key of each identity: of a key pair its only one, of a keyless identity its first.
ALTER TABLE identities ADD COLUMN public_key_spki BLOB;
UPDATE identities SET public_key_spki =
    (SELECT s.public_key_spki FROM signatures s WHERE s.identity = identities.identity LIMIT 1);

CREATE INDEX signatures_signed_digest ON signatures (signed_digest);
CREATE INDEX signatures_signature ON signatures (substr(signature, 1, 24));
CREATE INDEX log_entries_recorded ON log_entries (recorded_at);

-- Public keys of keyless certificates, recorded before the certificate is asked for.
CREATE TABLE certificate_keys (
    public_key_spki_hash BLOB    PRIMARY KEY,  -- SHA-256: a key may be longer than an index takes
    public_key_spki      BLOB    NOT NULL,
    identity_name        TEXT    NOT NULL,
    issuer               TEXT    NOT NULL,
    subject              TEXT    NOT NULL,
    requested_at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Log entries that the worker and `verify` met in registries.
CREATE TABLE observations (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    entry_hash  BLOB    NOT NULL UNIQUE,     -- SHA-256 of the log's id and the entry
    source      TEXT    NOT NULL,            -- who met it
    log_id      BLOB    NOT NULL,
    entry_json  BLOB    NOT NULL,
    image       TEXT,
    observed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX observations_observed ON observations (observed_at);

-- Logs that we follow, and how far they are verified.
CREATE TABLE followed_logs (
    origin           TEXT    PRIMARY KEY,
    kind             TEXT    NOT NULL,
    key_id           BLOB    NOT NULL,
    public_key       BLOB    NOT NULL,
    coverage         TEXT    NOT NULL,
    first_size       INTEGER NOT NULL,       -- what is before is not covered
    trusted_at       INTEGER NOT NULL,
    because          TEXT    NOT NULL,
    head_size        INTEGER,                 -- the newest head that is known to be consistent
    head_root        BLOB,
    head_note        BLOB,
    head_seen_at     INTEGER,
    verified_size    INTEGER NOT NULL,
    verified_root    BLOB    NOT NULL,
    compact_range    BLOB    NOT NULL,       -- of the verified size
    verified_at      INTEGER,
    read_size        INTEGER NOT NULL,
    frozen_at        INTEGER,
    holder           TEXT,
    lease            TEXT,                   -- the token that fences the holder
    lease_expires_at INTEGER
) STRICT;

-- Every act by which a person, or verified trust material, gave a log its position.
CREATE TABLE log_trusts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    log_origin TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    root       BLOB    NOT NULL,
    because    TEXT    NOT NULL,
    trusted_by TEXT    NOT NULL,
    trusted_at INTEGER NOT NULL
) STRICT;
CREATE INDEX log_trusts_origin ON log_trusts (log_origin, id);

-- Signed notes as they came: one for each size and root of a log.
CREATE TABLE notes (
    log_origin TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    root       BLOB    NOT NULL,
    source     TEXT    NOT NULL,
    note       BLOB    NOT NULL,
    seen_at    INTEGER NOT NULL,
    PRIMARY KEY (log_origin, size, root)
) STRICT;
CREATE INDEX notes_seen ON notes (log_origin, seen_at);

-- What we saw. Never deleted.
CREATE TABLE findings (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint_hash     BLOB    NOT NULL UNIQUE,  -- SHA-256: a fingerprint may be longer than an index takes
    fingerprint          TEXT    NOT NULL,
    kind                 TEXT    NOT NULL,
    severity             TEXT    NOT NULL,   -- info, warning, critical
    log_origin           TEXT,
    title                TEXT    NOT NULL,
    detail               TEXT    NOT NULL,
    state                TEXT    NOT NULL,   -- open, acknowledged, cleared
    first_seen_at        INTEGER NOT NULL,
    last_seen_at         INTEGER NOT NULL,
    occurrences          INTEGER NOT NULL,
    alerts               INTEGER NOT NULL,   -- how often the sinks were told
    acknowledged_until   INTEGER,
    acknowledged_because TEXT,
    acknowledged_by      TEXT,
    acknowledged_at      INTEGER,
    cleared_at           INTEGER
) STRICT;
CREATE INDEX findings_state ON findings (state, kind, severity);
CREATE INDEX findings_acknowledged ON findings (acknowledged_until) WHERE state = 'acknowledged';

-- The bytes that prove a finding: the first 1,000 occurrences of each.
CREATE TABLE finding_evidence (
    finding_id  INTEGER NOT NULL REFERENCES findings (id),
    occurrence  TEXT    NOT NULL,
    occurred_at INTEGER NOT NULL,
    evidence    BLOB,
    PRIMARY KEY (finding_id, occurrence)
) STRICT;

-- The outbox: one row for each sink that is to be told.
CREATE TABLE alerts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    finding_id  INTEGER NOT NULL REFERENCES findings (id),
    sink        TEXT    NOT NULL,
    resolved    INTEGER NOT NULL,            -- 1: the finding is over
    enqueued_at INTEGER NOT NULL,
    due_at      INTEGER NOT NULL,            -- its turn, or the end of the lease
    lease       TEXT,
    attempts    INTEGER NOT NULL,
    last_error  TEXT,
    finished_at INTEGER
) STRICT;
CREATE INDEX alerts_due ON alerts (sink, due_at, id) WHERE finished_at IS NULL;
CREATE INDEX alerts_finding ON alerts (finding_id, sink, id);
CREATE INDEX alerts_finished ON alerts (finished_at) WHERE finished_at IS NOT NULL;

-- Leaves under our name that the ledger does not explain yet: it has a grace period.
CREATE TABLE suspects (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    log_origin TEXT    NOT NULL,
    log_index  INTEGER NOT NULL,
    why        TEXT    NOT NULL,
    leaf       BLOB    NOT NULL,             -- emptied when settled
    noted_at   INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    settled_at INTEGER,
    UNIQUE (log_origin, log_index, why)
) STRICT;
CREATE INDEX suspects_due ON suspects (due_at, id) WHERE settled_at IS NULL;
CREATE INDEX suspects_settled ON suspects (settled_at) WHERE settled_at IS NOT NULL;

-- The matchers of the watchlist, since when they are known, and what they matched last.
CREATE TABLE matchers (
    matcher     TEXT    PRIMARY KEY,
    known_since INTEGER NOT NULL,
    log_origin  TEXT,
    log_index   INTEGER,
    matched_at  INTEGER
) STRICT, WITHOUT ROWID;

-- Identities that an observing rule saw.
CREATE TABLE observed_identities (
    watch         TEXT    NOT NULL,
    identity_hash BLOB    NOT NULL,          -- SHA-256 of issuer, subject and extensions
    issuer        TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    extensions    TEXT    NOT NULL,          -- JSON
    first_at      INTEGER NOT NULL,
    last_at       INTEGER NOT NULL,
    times         INTEGER NOT NULL,
    PRIMARY KEY (watch, identity_hash)
) STRICT, WITHOUT ROWID;

-- Leaves that were counted and paged nobody, by reason.
CREATE TABLE counted_leaves (
    reason TEXT    PRIMARY KEY,
    leaves INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The ledger's log entries, and whether each was proved under a verified head.
CREATE TABLE own_entries (
    signature_id INTEGER NOT NULL,
    log_origin   TEXT    NOT NULL,
    log_index    INTEGER NOT NULL,
    leaf_hash    BLOB    NOT NULL,
    recorded_at  INTEGER NOT NULL,
    state        TEXT    NOT NULL,           -- waiting, proved, withheld
    proved_size  INTEGER,
    checked_at   INTEGER NOT NULL,
    PRIMARY KEY (signature_id, log_origin, log_index)
) STRICT;
CREATE INDEX own_entries_waiting ON own_entries (checked_at, signature_id) WHERE state = 'waiting';
CREATE INDEX own_entries_withheld ON own_entries (signature_id) WHERE state = 'withheld';
CREATE INDEX own_entries_recorded ON own_entries (recorded_at);

-- The ledger's intents as they were first seen, chained.
CREATE TABLE intents_seen (
    signature_id INTEGER PRIMARY KEY,
    position     INTEGER NOT NULL UNIQUE,    -- in the chain
    row_hash     BLOB    NOT NULL,
    chain_hash   BLOB    NOT NULL,
    intended_at  INTEGER NOT NULL,
    seen_at      INTEGER NOT NULL,
    backdated    INTEGER NOT NULL
) STRICT;

-- A recorded signature is never another one: whoever may write the ledger cannot explain a rogue signature with an old row.
CREATE TRIGGER signatures_are_recorded_once BEFORE UPDATE ON signatures
WHEN OLD.signature IS NOT NULL AND (NEW.signature IS NOT OLD.signature OR NEW.signed_digest IS NOT OLD.signed_digest
    OR NEW.payload IS NOT OLD.payload OR NEW.signed_at IS NOT OLD.signed_at)
BEGIN
    SELECT RAISE(ABORT, 'a recorded signature is never changed');
END;
