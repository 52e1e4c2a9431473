-- What the monitor keeps of its own, so that nobody who writes the ledger can make it forget. SQLite has the same
-- tables in ../sqlite, without the schema.

-- Every public key that the ledger ever named, as it was first seen. Rows are only added: a key that the ledger names no
-- more is watched all the same.
CREATE TABLE monitor.ledger_keys_seen (
    public_key_spki_hash BYTEA   PRIMARY KEY,  -- SHA-256: a key may be longer than an index takes
    public_key_spki      BYTEA   NOT NULL,
    identity             TEXT    NOT NULL,     -- a key's fingerprint, or a certificate's issuer and subject
    certified            BIGINT  NOT NULL,     -- 1: recorded for a certificate that was to be asked for
    seen_at              BIGINT  NOT NULL,
    backdated            BIGINT  NOT NULL      -- 1: it was there later than it says
);

-- A row's signature comes after its intent, and is never another one: as it was first seen.
ALTER TABLE monitor.intents_seen ADD COLUMN signature_hash BYTEA;        -- SHA-256 of signature, signed digest, payload, time
ALTER TABLE monitor.intents_seen ADD COLUMN signature_seen_at BIGINT;
ALTER TABLE monitor.intents_seen ADD COLUMN signature_backdated BIGINT NOT NULL DEFAULT 0;
-- A row that is gone, or is another one, since a restore that somebody has accepted.
ALTER TABLE monitor.intents_seen ADD COLUMN accepted_at BIGINT;

-- Signatures that a person has said are ours, though the ledger does not have them.
CREATE TABLE monitor.adopted_signatures (
    signature_hash BYTEA   PRIMARY KEY,        -- SHA-256 of the key and of the signature with low s
    log_origin     TEXT    NOT NULL,
    log_index      BIGINT  NOT NULL,
    because        TEXT    NOT NULL,
    adopted_by     TEXT    NOT NULL,
    adopted_at     BIGINT  NOT NULL
);

-- From which leaf on each watch rule was matched in each log. A rule that is added later has not seen the older leaves.
CREATE TABLE monitor.matcher_coverage (
    matcher_hash BYTEA   NOT NULL,             -- SHA-256 of the rule: another pattern is another matcher
    log_origin   TEXT    NOT NULL,
    from_size    BIGINT  NOT NULL,
    since        BIGINT  NOT NULL,
    PRIMARY KEY (matcher_hash, log_origin)
);

-- How often an acknowledged finding had been seen by then: what is seen after it is news.
ALTER TABLE monitor.findings ADD COLUMN acknowledged_occurrences BIGINT;
