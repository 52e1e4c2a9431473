//! One alert, as every sink tells it.

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use store::{FindingRow, LeasedAlert, Severity};

use crate::finding::runbook;

/// Telling somebody of a finding, or that it is over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alert {
    /// Stays the same when the alert is sent again: 32 hex digits.
    pub id: String,
    /// The finding is over.
    pub resolved: bool,
    /// The finding as it stands now.
    pub finding: FindingRow,
    /// When the sink was to be told, in unix milliseconds.
    pub enqueued_at: i64,
}

impl From<&LeasedAlert> for Alert {
    fn from(leased: &LeasedAlert) -> Self {
        // With the time, because ids begin anew in a new database.
        let name = format!("{}\n{}\n{}", leased.id, leased.enqueued_at, leased.finding.fingerprint);
        let id = hex::encode(Sha256::digest(name)).get(..32).unwrap_or_default().to_owned();
        Self { id, resolved: leased.resolved, finding: leased.finding.clone(), enqueued_at: leased.enqueued_at }
    }
}

/// The alert as JSON, for webhooks and commands.
#[derive(Serialize)]
struct AlertJson<'a> {
    #[serde(rename = "type")]
    media_type: &'static str,
    id: &'a str,
    status: &'static str,
    finding: FindingJson<'a>,
    enqueued_at: String,
}

#[derive(Serialize)]
struct FindingJson<'a> {
    id: i64,
    kind: &'static str,
    severity: &'static str,
    fingerprint: &'a str,
    log: Option<&'a str>,
    title: &'a str,
    detail: &'a str,
    runbook: &'static str,
    first_seen_at: String,
    last_seen_at: String,
    occurrences: u64,
    state: &'static str,
}

impl Alert {
    /// `firing` or `resolved`.
    pub fn status(&self) -> &'static str {
        if self.resolved { "resolved" } else { "firing" }
    }

    /// The alert as JSON; the same bytes as long as the finding stays as it is.
    pub fn to_json(&self) -> Vec<u8> {
        let finding = &self.finding;
        let json = AlertJson {
            media_type: "application/vnd.sealwatch.alert.v1+json",
            id: &self.id,
            status: self.status(),
            finding: FindingJson {
                id: finding.id,
                kind: finding.kind.as_str(),
                severity: finding.severity.as_str(),
                fingerprint: &finding.fingerprint,
                log: finding.log_origin.as_deref(),
                title: &finding.title,
                detail: &finding.detail,
                runbook: runbook(finding.kind),
                first_seen_at: rfc3339(finding.first_seen_at),
                last_seen_at: rfc3339(finding.last_seen_at),
                occurrences: finding.occurrences,
                state: finding.state.as_str(),
            },
            enqueued_at: rfc3339(self.enqueued_at),
        };
        // Strings and numbers always have a JSON form.
        serde_json::to_vec(&json).unwrap_or_default()
    }

    /// One line: `CRITICAL fork: title`, or `RESOLVED …`.
    pub(crate) fn headline(&self) -> String {
        let word = if self.resolved {
            "RESOLVED"
        } else {
            match self.finding.severity {
                Severity::Info => "INFO",
                Severity::Warning => "WARNING",
                Severity::Critical => "CRITICAL",
            }
        };
        format!("{word} {}: {}", self.finding.kind, self.finding.title)
    }
}

/// A short name of a finding's cause, for receivers that bound what they take.
pub(crate) fn short_fingerprint(finding: &FindingRow) -> String {
    hex::encode(Sha256::digest(&finding.fingerprint)).get(..32).unwrap_or_default().to_owned()
}

/// A time as receivers read it.
pub(crate) fn rfc3339(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// At most so many characters.
pub(crate) fn cut(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// Now, in unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
