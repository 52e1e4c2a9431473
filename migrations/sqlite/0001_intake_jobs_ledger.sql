-- The first schema: intake, jobs, the ledger. PostgreSQL has the same tables in ../postgres.
-- Times are unix milliseconds. Closed sets (state, class, format, stage) are checked by the types
-- that write them, so that a new member needs no rebuilt table.

-- Pushes that a webhook told us of and that no job stands for yet.
CREATE TABLE push_events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    source      TEXT    NOT NULL,
    registry    TEXT    NOT NULL,
    repository  TEXT    NOT NULL,
    tag         TEXT,
    digest      TEXT,
    received_at INTEGER NOT NULL,
    state       TEXT    NOT NULL,            -- ready, leased, parked
    due_at      INTEGER NOT NULL,            -- ready: its turn; leased: the end of the lease; parked: since when
    lease       TEXT,                        -- the token that fences the holder
    attempts    INTEGER NOT NULL,
    last_error  TEXT
) STRICT;
CREATE INDEX push_events_due ON push_events (due_at, id) WHERE state IN ('ready', 'leased');
CREATE INDEX push_events_state ON push_events (state, received_at);

-- Webhook bodies that were no push that we understand.
CREATE TABLE dead_letters (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    source          TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    body            BLOB    NOT NULL,        -- the first 64 KiB
    body_size_bytes INTEGER NOT NULL,        -- all of it
    received_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_letters_source ON dead_letters (source, id);
CREATE INDEX dead_letters_received ON dead_letters (received_at);

-- Pushes that we decided not to sign, and why.
CREATE TABLE skips (
    id         INTEGER PRIMARY KEY,
    registry   TEXT    NOT NULL,
    repository TEXT    NOT NULL,
    tag        TEXT,
    digest     TEXT,
    reason     TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    skipped_at INTEGER NOT NULL
) STRICT;
CREATE INDEX skips_repository ON skips (registry, repository, id);
CREATE INDEX skips_skipped ON skips (skipped_at);

-- What is to be done: one row per digest in a repository.
CREATE TABLE jobs (
    id            INTEGER PRIMARY KEY,
    registry      TEXT    NOT NULL,
    repository    TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    tag           TEXT,                      -- the newest of job_tags
    class         TEXT    NOT NULL,          -- push, hand
    state         TEXT    NOT NULL,          -- ready, leased, done, skipped, parked
    due_at        INTEGER NOT NULL,          -- as in push_events
    lease         TEXT,
    wakes         INTEGER NOT NULL,          -- how often it was asked for again
    attempts      INTEGER NOT NULL,          -- leases since it last became ready
    last_error    TEXT,
    reason        TEXT,                      -- why skipped
    detail        TEXT,
    first_seen_at INTEGER NOT NULL,
    enqueued_at   INTEGER NOT NULL,          -- when it last became ready
    finished_at   INTEGER,
    UNIQUE (registry, repository, digest)
) STRICT;
CREATE INDEX jobs_due ON jobs (due_at, id) WHERE state IN ('ready', 'leased');
CREATE INDEX jobs_state ON jobs (state, enqueued_at);
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE state IN ('done', 'skipped');

-- Every tag through which a job was asked for: rules match tags, and one digest may have many.
CREATE TABLE job_tags (
    job_id  INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    tag     TEXT    NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (job_id, tag)
) STRICT, WITHOUT ROWID;

-- The one trust zone of each identity.
CREATE TABLE identities (
    identity      TEXT    PRIMARY KEY,
    trust_zone    TEXT    NOT NULL,
    first_seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The ledger. Rows are never deleted, and a column once filled is never changed, but for
-- attached_manifest.
CREATE TABLE signatures (
    id                INTEGER PRIMARY KEY,
    registry          TEXT    NOT NULL,
    repository        TEXT    NOT NULL,
    digest            TEXT    NOT NULL,
    identity          TEXT    NOT NULL REFERENCES identities (identity),
    format            TEXT    NOT NULL,      -- bundle, legacy
    identity_name     TEXT    NOT NULL,
    public_key_spki   BLOB    NOT NULL,
    log_origin        TEXT    NOT NULL,
    trust_zone        TEXT    NOT NULL,
    class             TEXT    NOT NULL,
    stage             TEXT    NOT NULL,      -- intended, signed, material, attached
    intended_at       INTEGER NOT NULL,
    payload           BLOB,
    signed_digest     BLOB,
    signature         BLOB,
    signed_at         INTEGER,
    attached_at       INTEGER,
    attached_manifest TEXT,
    adopted           INTEGER NOT NULL,      -- 1: found in the registry, not made by this ledger
    UNIQUE (registry, repository, digest, identity, format)
) STRICT;
CREATE INDEX signatures_stage ON signatures (stage);

-- The log entries behind a signature: one, or several where a log forgot the first.
CREATE TABLE log_entries (
    signature_id INTEGER NOT NULL REFERENCES signatures (id),
    log_origin   TEXT    NOT NULL,
    log_index    INTEGER NOT NULL,
    leaf_hash    BLOB    NOT NULL,
    entry_json   BLOB    NOT NULL,
    recorded_at  INTEGER NOT NULL,
    PRIMARY KEY (signature_id, log_origin, log_index)
) STRICT;

-- What is attached to the image, byte for byte; apart, so that the ledger's rows stay narrow.
CREATE TABLE materials (
    signature_id INTEGER PRIMARY KEY REFERENCES signatures (id),
    artifact     BLOB    NOT NULL,
    manifest     BLOB,
    recorded_at  INTEGER NOT NULL
) STRICT;

-- Every manifest that we pushed, so that its own push is not signed in turn.
CREATE TABLE own_artifacts (
    registry    TEXT    NOT NULL,
    repository  TEXT    NOT NULL,
    digest      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (registry, repository, digest)
) STRICT, WITHOUT ROWID;

-- Leases on a name, across processes.
CREATE TABLE locks (
    name             TEXT    PRIMARY KEY,
    lease            TEXT    NOT NULL,
    lease_expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
