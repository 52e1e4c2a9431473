-- What the monitor keeps of its own, so that nobody who writes the ledger can make it forget. PostgreSQL has the same
-- tables in ../postgres, in the monitor's schema.

-- Every public key that the ledger ever named, as it was first seen. Rows are only added: a key that the ledger names no
-- more is watched all the same.
CREATE TABLE ledger_keys_seen (
    public_key_spki_hash BLOB    PRIMARY KEY,  -- SHA-256: a key may be longer than an index takes
    public_key_spki      BLOB    NOT NULL,
    identity             TEXT    NOT NULL,     -- a key's fingerprint, or a certificate's issuer and subject
    certified            INTEGER NOT NULL,     -- 1: recorded for a certificate that was to be asked for
    seen_at              INTEGER NOT NULL,
    backdated            INTEGER NOT NULL      -- 1: it was there later than it says
) STRICT, WITHOUT ROWID;

-- A row's signature comes after its intent, and is never another one: as it was first seen.
ALTER TABLE intents_seen ADD COLUMN signature_hash BLOB;        -- SHA-256 of signature, signed digest, payload, time
ALTER TABLE intents_seen ADD COLUMN signature_seen_at INTEGER;
ALTER TABLE intents_seen ADD COLUMN signature_backdated INTEGER NOT NULL DEFAULT 0;
-- A row that is gone, or is another one, since a restore that somebody has accepted.
ALTER TABLE intents_seen ADD COLUMN accepted_at INTEGER;

-- Signatures that a person has said are ours, though the ledger does not have them.
CREATE TABLE adopted_signatures (
    signature_hash BLOB    PRIMARY KEY,        -- SHA-256 of the key and of the signature with low s
    log_origin     TEXT    NOT NULL,
    log_index      INTEGER NOT NULL,
    because        TEXT    NOT NULL,
    adopted_by     TEXT    NOT NULL,
    adopted_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- From which leaf on each watch rule was matched in each log. A rule that is added later has not seen the older leaves.
CREATE TABLE matcher_coverage (
    matcher_hash BLOB    NOT NULL,             -- SHA-256 of the rule: another pattern is another matcher
    log_origin   TEXT    NOT NULL,
    from_size    INTEGER NOT NULL,
    since        INTEGER NOT NULL,
    PRIMARY KEY (matcher_hash, log_origin)
) STRICT, WITHOUT ROWID;

-- How often an acknowledged finding had been seen by then: what is seen after it is news.
ALTER TABLE findings ADD COLUMN acknowledged_occurrences INTEGER;
