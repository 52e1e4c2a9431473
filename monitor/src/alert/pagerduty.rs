//! PagerDuty, events API v2.

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use store::Severity;

use super::http::Receiver;
use super::message::{cut, rfc3339, short_fingerprint};
use super::{Alert, AlertSink, AlertsError, SinkError};
use crate::finding::runbook;

/// SPEC: "A brief text summary of the event … max 1024 characters".
const MAX_SUMMARY_CHARS: usize = 1_024;

/// A service at PagerDuty.
#[derive(Debug)]
pub(super) struct PagerDuty {
    name: String,
    receiver: Receiver,
    routing_key: SecretString,
}

impl PagerDuty {
    pub(super) fn new(
        name: String,
        url: &SecretString,
        routing_key: SecretString,
        ca_pem: Option<&[u8]>,
    ) -> Result<Self, AlertsError> {
        let receiver = Receiver::new(&name, url, "", ca_pem)?;
        Ok(Self { name, receiver, routing_key })
    }
}

#[async_trait]
impl AlertSink for PagerDuty {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, alert: &Alert) -> Result<(), SinkError> {
        let finding = &alert.finding;
        let severity = match finding.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        let summary = alert.headline();
        let body = json!({
            "routing_key": self.routing_key.expose_secret(),
            "event_action": if alert.resolved { "resolve" } else { "trigger" },
            // One incident for one cause: what is sent twice is one event there, and a resolve finds its trigger.
            "dedup_key": short_fingerprint(finding),
            "payload": {
                "summary": cut(&summary, MAX_SUMMARY_CHARS),
                "source": finding.log_origin.as_deref().unwrap_or("sealwatch"),
                "severity": severity,
                "timestamp": rfc3339(finding.last_seen_at),
                "component": "sealwatch monitor",
                "class": finding.kind.as_str(),
                "custom_details": {
                    "alert": alert.id,
                    "finding": finding.id,
                    "detail": finding.detail,
                    "runbook": runbook(finding.kind),
                    "occurrences": finding.occurrences,
                },
            },
        });
        self.receiver.post(body.to_string(), Vec::new()).await
    }
}
