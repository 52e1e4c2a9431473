//! Alertmanager, API v2.

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Value, json};
use store::{FindingRow, FindingState, Severity};

use super::http::Receiver;
use super::message::{now_ms, rfc3339, short_fingerprint};
use super::{Alert, AlertSink, AlertsError, SinkError};
use crate::finding::runbook;

/// How long Alertmanager holds an alert that it is not told of again, in milliseconds. It forgets all of them when it
/// starts, so it is reminded; and should this process die, its alerts must not count as resolved before somebody looks.
const HELD_MS: i64 = 7 * 86_400_000;

/// The most alerts in one reminder.
const BATCH: usize = 200;

/// An Alertmanager.
#[derive(Debug)]
pub(super) struct Alertmanager {
    name: String,
    receiver: Receiver,
}

impl Alertmanager {
    pub(super) fn new(name: String, url: &SecretString, ca_pem: Option<&[u8]>) -> Result<Self, AlertsError> {
        let receiver = Receiver::new(&name, url, "/api/v2/alerts", ca_pem)?;
        Ok(Self { name, receiver })
    }

    async fn post(&self, alerts: Vec<Value>) -> Result<(), SinkError> {
        self.receiver.post(Value::Array(alerts).to_string(), Vec::new()).await
    }
}

#[async_trait]
impl AlertSink for Alertmanager {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, alert: &Alert) -> Result<(), SinkError> {
        let finding = &alert.finding;
        let now = now_ms();
        let mut alerts = vec![posted(finding, finding.severity, alert.resolved, now)];
        if finding.alerts > 1 {
            // The severity is a label, so with another one it was another alert: that one is over.
            let others = [Severity::Info, Severity::Warning, Severity::Critical];
            alerts.extend(others.into_iter().filter(|s| *s != finding.severity).map(|s| posted(finding, s, true, now)));
        }
        self.post(alerts).await
    }

    async fn remind(&self, open: &[FindingRow]) -> Result<(), SinkError> {
        let now = now_ms();
        let standing: Vec<&FindingRow> = open.iter().filter(|finding| finding.state == FindingState::Open).collect();
        for batch in standing.chunks(BATCH) {
            self.post(batch.iter().map(|finding| posted(finding, finding.severity, false, now)).collect()).await?;
        }
        Ok(())
    }
}

fn posted(finding: &FindingRow, severity: Severity, over: bool, now: i64) -> Value {
    let ends_at = if over { finding.cleared_at.unwrap_or(now).min(now) } else { now.saturating_add(HELD_MS) };
    let mut labels = json!({
        "alertname": format!("Sealwatch{}", pascal(finding.kind.as_str())),
        "severity": severity.as_str(),
        "fingerprint": short_fingerprint(finding),
    });
    if let (Some(labels), Some(log)) = (labels.as_object_mut(), &finding.log_origin) {
        labels.insert("log".to_owned(), Value::from(log.as_str()));
    }
    json!({
        "labels": labels,
        "annotations": {
            "summary": finding.title,
            "description": finding.detail,
            "runbook": runbook(finding.kind),
            "finding": finding.id.to_string(),
        },
        // SPEC: an alert does not end before it starts.
        "startsAt": rfc3339(finding.first_seen_at.min(ends_at)),
        "endsAt": rfc3339(ends_at),
    })
}

/// `key_used_outside` as `KeyUsedOutside`.
fn pascal(words: &str) -> String {
    let mut name = String::with_capacity(words.len());
    for word in words.split('_') {
        let mut chars = word.chars();
        name.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(chars.as_str());
    }
    name
}
