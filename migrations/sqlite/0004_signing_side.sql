-- The signing side under real conditions. PostgreSQL has the same tables in ../postgres.
--
-- It stops older programs. From 0005 on each migration names the oldest program that may go on with the database, in
-- `schema_support`, so that a rolling update does not end in a crash loop.

-- The schema version that a program must know at least, to work with a database of each version from here on.
CREATE TABLE schema_support (
    version        INTEGER PRIMARY KEY,
    oldest_program INTEGER NOT NULL          -- by the newest schema version that the program knows
) STRICT;
INSERT INTO schema_support (version, oldest_program) VALUES (4, 4);

-- The queue: an order among classes, what is counted while work fails, and why it waits.
ALTER TABLE push_events ADD COLUMN kind TEXT NOT NULL DEFAULT 'push';  -- push; look: at the repositories of a source
ALTER TABLE push_events ADD COLUMN absences INTEGER NOT NULL DEFAULT 0;  -- how often the registry said "not there"
ALTER TABLE push_events ADD COLUMN absent_since INTEGER;
ALTER TABLE push_events ADD COLUMN unreported INTEGER NOT NULL DEFAULT 0;  -- leases in a row that ended without a word
ALTER TABLE push_events ADD COLUMN parked_because TEXT;  -- unseen, failed, refused, poison, unreadable
ALTER TABLE push_events ADD COLUMN waits_for TEXT;       -- the endpoint whose trouble it waits out
CREATE INDEX push_events_turn ON push_events (registry, repository, due_at, id) WHERE state IN ('ready', 'leased');

ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;  -- 0: live; larger numbers wait for smaller ones
ALTER TABLE jobs ADD COLUMN absences INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN absent_since INTEGER;
ALTER TABLE jobs ADD COLUMN unreported INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN parked_because TEXT;
ALTER TABLE jobs ADD COLUMN waits_for TEXT;
ALTER TABLE jobs ADD COLUMN pushed_at INTEGER;           -- when the event came that it was last made ready by
ALTER TABLE push_events ADD COLUMN parked_by TEXT;       -- the version of the program that parked it
ALTER TABLE jobs ADD COLUMN parked_by TEXT;
ALTER TABLE jobs ADD COLUMN children_of_wake INTEGER;    -- the wake for which the children of an index were queued
UPDATE push_events SET parked_because = 'failed' WHERE state = 'parked';
UPDATE jobs SET parked_because = 'failed' WHERE state = 'parked';
CREATE INDEX jobs_turn ON jobs (registry, repository, priority, due_at, id) WHERE state IN ('ready', 'leased');
DROP INDEX jobs_state;
CREATE INDEX jobs_unfinished ON jobs (state, enqueued_at) WHERE state IN ('ready', 'leased', 'parked');

ALTER TABLE dead_letters ADD COLUMN replayed_at INTEGER;

-- What is wrong outside or with us, for as long as it lasts. The monitor makes findings of it.
CREATE TABLE conditions (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    cause   TEXT    NOT NULL,                -- a closed set
    subject TEXT    NOT NULL,                -- the endpoint, source or identity that it is about
    since   INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,                -- the last time
    until   INTEGER,                         -- when it ended
    count   INTEGER NOT NULL,
    sample  TEXT    NOT NULL                 -- what was said the last time
) STRICT;
CREATE UNIQUE INDEX conditions_open ON conditions (cause, subject) WHERE until IS NULL;
CREATE INDEX conditions_ended ON conditions (until) WHERE until IS NOT NULL;

-- Each time that an identity was given another trust zone, and why.
CREATE TABLE identity_rezones (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    identity   TEXT    NOT NULL REFERENCES identities (identity),
    from_zone  TEXT    NOT NULL,
    to_zone    TEXT    NOT NULL,
    because    TEXT    NOT NULL,
    rezoned_by TEXT    NOT NULL,
    rezoned_at INTEGER NOT NULL
) STRICT;

-- The ledger with `attempt` in its key: a signature may be abandoned, and made again under the next attempt. The rows go
-- out and in again under their ids, so that what refers to them never counts as dangling when the transaction ends.
PRAGMA defer_foreign_keys = ON;
CREATE TEMP TABLE signatures_before AS SELECT * FROM signatures;
CREATE TEMP TABLE signatures_ids AS SELECT seq FROM sqlite_sequence WHERE name = 'signatures';
DROP INDEX signatures_stage;
DROP TABLE signatures;
CREATE TABLE signatures (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    registry          TEXT    NOT NULL,
    repository        TEXT    NOT NULL,
    digest            TEXT    NOT NULL,
    identity          TEXT    NOT NULL REFERENCES identities (identity),
    format            TEXT    NOT NULL,      -- bundle, legacy
    attempt           INTEGER NOT NULL,      -- from 1 on; the ones before it were abandoned
    identity_name     TEXT    NOT NULL,
    public_key_spki   BLOB    NOT NULL,
    log_origin        TEXT    NOT NULL,      -- one a line; empty: no log
    trust_zone        TEXT    NOT NULL,
    class             TEXT    NOT NULL,
    stage             TEXT    NOT NULL,      -- intended, signed, material, attached, abandoned
    intended_at       INTEGER NOT NULL,
    key_uses          INTEGER NOT NULL,      -- how often the key was asked, counted before it is
    key_version       TEXT,                  -- which version of the key signed, where keys have versions
    payload           BLOB,
    signed_digest     BLOB,
    signature         BLOB,
    signed_at         INTEGER,
    attached_at       INTEGER,
    attached_manifest TEXT,
    adopted           INTEGER NOT NULL,      -- 1: found in the registry, not made by this ledger
    abandoned_at      INTEGER,
    abandoned_because TEXT,
    UNIQUE (registry, repository, digest, identity, format, attempt)
) STRICT;
INSERT INTO signatures (id, registry, repository, digest, identity, format, attempt, identity_name, public_key_spki,
    log_origin, trust_zone, class, stage, intended_at, key_uses, payload, signed_digest, signature, signed_at, attached_at,
    attached_manifest, adopted)
SELECT id, registry, repository, digest, identity, format, 1, identity_name, public_key_spki,
    log_origin, trust_zone, class, stage, intended_at, CASE WHEN signature IS NULL THEN 0 ELSE 1 END, payload, signed_digest,
    signature, signed_at, attached_at, attached_manifest, adopted FROM signatures_before ORDER BY id;
-- No id is given twice, also where the newest rows were lost.
UPDATE sqlite_sequence SET seq = MAX(seq, COALESCE((SELECT MAX(seq) FROM signatures_ids), 0)) WHERE name = 'signatures';
DROP TABLE temp.signatures_before;
DROP TABLE temp.signatures_ids;
CREATE INDEX signatures_unfinished ON signatures (stage) WHERE stage IN ('intended', 'signed', 'material');
CREATE INDEX signatures_signed_digest ON signatures (signed_digest);
CREATE INDEX signatures_signature ON signatures (substr(signature, 1, 24));

-- A recorded signature is never another one: whatever may write the ledger cannot explain a rogue signature with an old row.
CREATE TRIGGER signatures_are_recorded_once BEFORE UPDATE ON signatures
WHEN OLD.signature IS NOT NULL AND (NEW.signature IS NOT OLD.signature OR NEW.signed_digest IS NOT OLD.signed_digest
    OR NEW.payload IS NOT OLD.payload OR NEW.signed_at IS NOT OLD.signed_at)
BEGIN
    SELECT RAISE(ABORT, 'a recorded signature is never changed');
END;
-- What was abandoned stays so: nothing is signed, logged or attached under that row again.
CREATE TRIGGER signatures_are_abandoned_once BEFORE UPDATE ON signatures
WHEN OLD.abandoned_at IS NOT NULL AND (NEW.abandoned_at IS NOT OLD.abandoned_at OR NEW.stage IS NOT OLD.stage
    OR NEW.signature IS NOT OLD.signature OR NEW.key_uses IS NOT OLD.key_uses OR NEW.attached_at IS NOT OLD.attached_at)
BEGIN
    SELECT RAISE(ABORT, 'an abandoned signature is never taken up again');
END;
