//! The statements of the findings. None differs between the engines.

/// Every column of a finding; the caller adds the condition.
macro_rules! select_finding {
    ($function:literal, $condition:literal) => {
        concat!(
            "-- findings::",
            $function,
            "
SELECT id, kind, severity, fingerprint, log_origin, title, detail, first_seen_at, last_seen_at, occurrences,
    state, acknowledged_until, acknowledged_because, acknowledged_by, acknowledged_occurrences, cleared_at, alerts
FROM findings WHERE ",
            $condition
        )
    };
}

/// A finding that was closed has the word of an acknowledgement, and no end of one. Inserted without occurrences: they are counted next, in the same transaction. The row is locked from here on.
pub(crate) const TOUCH: &str = "-- findings::raise
INSERT INTO findings (fingerprint_hash, fingerprint, kind, severity, log_origin, title, detail, state,
    first_seen_at, last_seen_at, occurrences, alerts)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', $8, $8, 0, 0)
ON CONFLICT (fingerprint_hash) DO UPDATE SET last_seen_at =
    CASE WHEN findings.last_seen_at < excluded.last_seen_at THEN excluded.last_seen_at
    ELSE findings.last_seen_at END
RETURNING id, severity, state, occurrences,
    CAST(CASE WHEN state = 'cleared' AND acknowledged_at IS NOT NULL AND acknowledged_until IS NULL THEN 1 ELSE 0 END
        AS BIGINT) AS closed";

pub(crate) const KNOWN_OCCURRENCES: &str = "-- findings::raise
SELECT occurrence, CAST(COALESCE(LENGTH(evidence), 0) AS BIGINT) FROM finding_evidence WHERE finding_id = $1";

pub(crate) const KEEP_EVIDENCE: &str = "-- findings::raise
INSERT INTO finding_evidence (finding_id, occurrence, occurred_at, evidence) VALUES ($1, $2, $3, $4)
ON CONFLICT (finding_id, occurrence) DO UPDATE SET
    occurred_at = excluded.occurred_at,
    evidence = COALESCE(excluded.evidence, finding_evidence.evidence)";

pub(crate) const REOPEN_NOW: &str = "-- findings::raise
UPDATE findings SET state = 'open' WHERE id = $1";

pub(crate) const RESTATE: &str = "-- findings::raise
UPDATE findings SET severity = $2, title = $3, detail = $4, state = 'open', cleared_at = NULL WHERE id = $1";

pub(crate) const COUNT: &str = "-- findings::raise
UPDATE findings SET occurrences = $2, alerts = alerts + $3, last_seen_at =
    CASE WHEN last_seen_at < $4 THEN $4 ELSE last_seen_at END
WHERE id = $1";

pub(crate) const CLEAR: &str = "-- findings::clear_finding
UPDATE findings SET state = 'cleared', cleared_at = $2 WHERE fingerprint_hash = $1 AND state <> 'cleared'
RETURNING id";

pub(crate) const TOLD: &str = "-- findings::clear_finding
SELECT a.sink FROM alerts a WHERE a.finding_id = $1 AND a.resolved = 0 AND NOT EXISTS (
    SELECT 1 FROM alerts n WHERE n.finding_id = a.finding_id AND n.sink = a.sink AND n.id > a.id)
ORDER BY a.sink";

pub(crate) const FINDING: &str = select_finding!("finding", "id = $1");

pub(crate) const FINDINGS: &str = select_finding!(
    "findings",
    "((state = 'open' AND $1 = 1) OR (state = 'acknowledged' AND $2 = 1) OR (state = 'cleared' AND $3 = 1))
    AND (CAST($4 AS TEXT) IS NULL OR kind = $4)
    AND CASE severity WHEN 'critical' THEN 2 WHEN 'warning' THEN 1 ELSE 0 END >= $5
    AND (CAST($6 AS TEXT) IS NULL OR log_origin = $6)
ORDER BY id DESC LIMIT $7"
);

pub(crate) const EVIDENCE: &str = "-- findings::evidence
SELECT occurrence, occurred_at, evidence FROM finding_evidence WHERE finding_id = $1
ORDER BY occurred_at, occurrence";

pub(crate) const ACKNOWLEDGE: &str = "-- findings::acknowledge
UPDATE findings SET state = 'acknowledged', acknowledged_until = $2, acknowledged_because = $3,
    acknowledged_by = $4, acknowledged_at = $5, acknowledged_occurrences = occurrences
WHERE id = $1 AND state <> 'cleared'";

pub(crate) const CLOSE: &str = "-- findings::close_finding
UPDATE findings SET state = 'cleared', cleared_at = $4, acknowledged_until = NULL, acknowledged_because = $2,
    acknowledged_by = $3, acknowledged_at = $4, acknowledged_occurrences = occurrences
WHERE id = $1 AND state <> 'cleared'";

pub(crate) const ENDED_ACKNOWLEDGEMENTS: &str = "-- findings::expire_acknowledgements
SELECT id, severity, state, occurrences, CAST(0 AS BIGINT) AS closed FROM findings
WHERE state = 'acknowledged' AND acknowledged_until <= $1 ORDER BY fingerprint_hash LIMIT 1000";

pub(crate) const REOPEN: &str = "-- findings::expire_acknowledgements
UPDATE findings SET state = 'open', alerts = alerts + 1
WHERE id = $1 AND state = 'acknowledged' AND acknowledged_until <= $2";

pub(crate) const OPEN_COUNTS: &str = "-- findings::open_counts
SELECT kind, severity, COUNT(*) FROM findings WHERE state = 'open' GROUP BY kind, severity ORDER BY kind, severity";
