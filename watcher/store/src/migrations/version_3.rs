//! A database of version 3 with a row in every table, and what must hold of it afterwards.

use crate::testing::{digest, signed_row};
use crate::{ParkedFilter, Stage, Store};

/// One statement for each table, in SQLite's words.
const ROWS: &[&str] = &[
    "INSERT INTO push_events (id, source, registry, repository, tag, received_at, state, due_at, attempts)
        VALUES (1, 'hook', 'registry.example.com', 'team/app', 'v1', 5, 'ready', 5, 0),
            (2, 'hook', 'registry.example.com', 'team/app', 'v2', 5, 'parked', 5, 300)",
    "INSERT INTO dead_letters (source, reason, body, body_size_bytes, received_at) VALUES ('hook', 'not json', x'7b', 1, 5)",
    "INSERT INTO skips (registry, repository, reason, detail, skipped_at)
        VALUES ('registry.example.com', 'team/app', 'no_rule', '', 5)",
    "INSERT INTO jobs (id, registry, repository, digest, tag, class, state, due_at, wakes, attempts, first_seen_at, enqueued_at)
        VALUES (1, 'registry.example.com', 'team/app', 'DIGEST', 'v1', 'push', 'ready', 5, 0, 0, 5, 5),
            (2, 'registry.example.com', 'team/other', 'DIGEST', 'v1', 'push', 'parked', 5, 0, 9, 5, 5)",
    "INSERT INTO job_tags (job_id, tag, seen_at) VALUES (1, 'v1', 5), (1, 'v2', 6), (2, 'v1', 5)",
    "INSERT INTO identities (identity, trust_zone, first_seen_at, public_key_spki) VALUES ('fingerprint', 'prod', 5, x'010203')",
    "INSERT INTO signatures (id, registry, repository, digest, identity, format, identity_name, public_key_spki, log_origin,
            trust_zone, class, stage, intended_at, payload, signed_digest, signature, signed_at, attached_at, attached_manifest,
            adopted)
        VALUES (3, 'registry.example.com', 'team/app', 'DIGEST', 'fingerprint', 'bundle', 'release', x'010203',
                'log.example.com', 'prod', 'push', 'intended', 5, NULL, NULL, NULL, NULL, NULL, NULL, 0),
            (5, 'registry.example.com', 'team/app', 'DIGEST', 'fingerprint', 'legacy', 'release', x'010203',
                'log.example.com', 'prod', 'push', 'signed', 5, x'01', x'02', x'03', 6, NULL, NULL, 0),
            (9, 'registry.example.com', 'team/other', 'DIGEST', 'fingerprint', 'bundle', 'release', x'010203',
                'log.example.com', 'prod', 'hand', 'attached', 5, x'01', x'02', x'04', 6, 7, 'DIGEST', 0)",
    "INSERT INTO log_entries (signature_id, log_origin, log_index, leaf_hash, entry_json, recorded_at)
        VALUES (5, 'log.example.com', 7, x'HASH', x'7b7d', 6), (9, 'log.example.com', 8, x'HASH', x'7b7d', 6),
            (9, 'other.example.com', 8, x'HASH', x'7b7d', 6)",
    "INSERT INTO materials (signature_id, artifact, manifest, recorded_at) VALUES (9, x'0a', x'0b', 6)",
    "INSERT INTO own_artifacts (registry, repository, digest, subject, recorded_at)
        VALUES ('registry.example.com', 'team/app', 'DIGEST', 'DIGEST', 5)",
    "INSERT INTO locks (name, lease, lease_expires_at) VALUES ('digest', 'token', 5)",
    "INSERT INTO certificate_keys (public_key_spki_hash, public_key_spki, identity_name, issuer, subject, requested_at)
        VALUES (x'01', x'02', 'ci', 'issuer', 'subject', 5)",
    "INSERT INTO observations (entry_hash, source, log_id, entry_json, observed_at) VALUES (x'01', 'worker', x'02', x'7b7d', 5)",
    "INSERT INTO followed_logs (origin, kind, key_id, public_key, coverage, first_size, trusted_at, because, verified_size,
            verified_root, compact_range, read_size)
        VALUES ('log.example.com', 'rekor_v2', x'HASH', x'02', 'exhaustive', 0, 5, 'first use', 9, x'HASH', x'03', 9)",
    "INSERT INTO log_trusts (log_origin, size, root, because, trusted_by, trusted_at)
        VALUES ('log.example.com', 9, x'HASH', 'first use', 'ann', 5)",
    "INSERT INTO notes (log_origin, size, root, source, note, seen_at) VALUES ('log.example.com', 9, x'HASH', 'log', x'01', 5)",
    "INSERT INTO findings (id, fingerprint_hash, fingerprint, kind, severity, title, detail, state, first_seen_at,
            last_seen_at, occurrences, alerts)
        VALUES (1, x'01', 'a', 'fork', 'critical', 'two roots', '', 'open', 5, 5, 1, 1)",
    "INSERT INTO finding_evidence (finding_id, occurrence, occurred_at, evidence) VALUES (1, '', 5, x'01')",
    "INSERT INTO alerts (finding_id, sink, resolved, enqueued_at, due_at, attempts) VALUES (1, 'pager', 0, 5, 5, 0)",
    "INSERT INTO suspects (log_origin, log_index, why, leaf, noted_at, due_at) VALUES ('log.example.com', 3, 'key', x'01', 5, 5)",
    "INSERT INTO matchers (matcher, known_since) VALUES ('m', 5)",
    "INSERT INTO observed_identities (watch, identity_hash, issuer, subject, extensions, first_at, last_at, times)
        VALUES ('w', x'01', 'issuer', 'subject', '{}', 5, 5, 1)",
    "INSERT INTO counted_leaves (reason, leaves) VALUES ('r', 5)",
    "INSERT INTO own_entries (signature_id, log_origin, log_index, leaf_hash, recorded_at, state, checked_at)
        VALUES (9, 'log.example.com', 8, x'HASH', 6, 'waiting', 6)",
    "INSERT INTO intents_seen (signature_id, position, row_hash, chain_hash, intended_at, seen_at, backdated)
        VALUES (3, 1, x'HASH', x'HASH', 5, 5, 0)",
    "INSERT INTO ledger_keys_seen (public_key_spki_hash, public_key_spki, identity, certified, seen_at, backdated)
        VALUES (x'01', x'010203', 'fingerprint', 0, 5, 0)",
    "INSERT INTO adopted_signatures (signature_hash, log_origin, log_index, because, adopted_by, adopted_at)
        VALUES (x'01', 'log.example.com', 3, 'a restore', 'ann', 5)",
    "INSERT INTO matcher_coverage (matcher_hash, log_origin, from_size, since) VALUES (x'01', 'log.example.com', 0, 5)",
];

/// What each database refuses of what came from version 3, once [`check`] has abandoned its intent; and a part of the reason.
pub(crate) const REFUSED: &[(&str, &str)] = &[
    ("UPDATE signatures SET signed_at = 9 WHERE id = 5", "a recorded signature is never changed"),
    ("UPDATE signatures SET signature = NULL WHERE id = 9", "a recorded signature is never changed"),
    ("UPDATE signatures SET abandoned_at = NULL WHERE id = 3", "an abandoned signature is never taken up again"),
    ("UPDATE signatures SET stage = 'intended' WHERE id = 3", "an abandoned signature is never taken up again"),
    ("DELETE FROM signatures WHERE id = 9", "foreign key"),
    ("DELETE FROM signatures WHERE id = 5", "foreign key"),
    ("DELETE FROM identities", "foreign key"),
    (
        "INSERT INTO log_entries (signature_id, log_origin, log_index, leaf_hash, entry_json, recorded_at)
            SELECT 4, log_origin, log_index, leaf_hash, entry_json, recorded_at FROM log_entries WHERE signature_id = 5",
        "foreign key",
    ),
    ("INSERT INTO job_tags (job_id, tag, seen_at) VALUES (99, 'v1', 5)", "foreign key"),
];

/// The rows for SQLite.
pub(crate) fn sqlite() -> Vec<String> {
    let hash = hex::encode(crate::testing::root(1));
    ROWS.iter().map(|row| row.replace("DIGEST", &digest(1).to_string()).replace("HASH", &hash)).collect()
}

/// The rows for PostgreSQL.
pub(crate) fn postgres() -> Vec<String> {
    sqlite().into_iter().map(|row| row.replace("x'", "'\\x")).collect()
}

/// Checks what the store reads of it, and that it goes on with it.
pub(crate) async fn check(store: &dyn Store) {
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.events_waiting, counts.events_parked), (1, 1));
    assert_eq!((counts.jobs_ready, counts.jobs_parked, counts.dead_letters), (1, 1, 1));
    assert_eq!((counts.ledger_intended, counts.ledger_signed), (1, 1));

    let row = store.ledger_row(9).await.unwrap();
    assert_eq!((row.stage(), row.attempt, row.log_origin.as_str()), (Stage::Attached, 1, "log.example.com"));
    assert_eq!(row.signature.as_ref().map(|recorded| recorded.signature.as_slice()), Some(&[4][..]));
    assert_eq!(store.entries(9).await.unwrap().len(), 2);
    let entries = store.entries(5).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.log_index).collect::<Vec<_>>(), [7]);
    assert_eq!(store.ledger_newest().await.unwrap().map(|(id, _)| id), Some(9));
    assert_eq!(store.findings(&crate::FindingFilter { limit: 9, ..Default::default() }).await.unwrap().len(), 1);
    assert_eq!(store.followed_logs().await.unwrap().len(), 1);
    assert_eq!(store.ledger_keys_seen_count().await.unwrap(), 1);

    // The ledger goes on: under new ids, and with a second attempt after one that was abandoned.
    let next = signed_row(store, 77).await;
    assert!(next > 9, "{next}");
    assert!(store.abandon(3, "a test", 8).await.unwrap());
    let again = signed_row(store, 1).await;
    assert!(again > next, "{again}");
    assert_eq!(store.ledger_row(again).await.unwrap().attempt, 2);
    assert_eq!(store.ledger_row(3).await.unwrap().stage(), Stage::Abandoned);
    assert_eq!(
        store.retry_parked(&ParkedFilter::default()).await.unwrap(),
        2,
        "what was parked waits for a person, and can be sent"
    );
}
