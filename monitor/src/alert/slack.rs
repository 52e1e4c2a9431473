//! A Slack-compatible incoming webhook.

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::json;

use super::http::Receiver;
use super::message::cut;
use super::{Alert, AlertSink, AlertsError, SinkError};
use crate::finding::runbook;

/// Slack shows no more of a text.
const MAX_CHARS: usize = 3_000;

/// An incoming webhook. Its URL is a secret.
#[derive(Debug)]
pub(super) struct Slack {
    name: String,
    receiver: Receiver,
}

impl Slack {
    pub(super) fn new(name: String, url: &SecretString, ca_pem: Option<&[u8]>) -> Result<Self, AlertsError> {
        let receiver = Receiver::new(&name, url, "", ca_pem)?;
        Ok(Self { name, receiver })
    }
}

#[async_trait]
impl AlertSink for Slack {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, alert: &Alert) -> Result<(), SinkError> {
        let body = json!({ "text": text(alert), "unfurl_links": false });
        self.receiver.post(body.to_string(), Vec::new()).await
    }
}

fn text(alert: &Alert) -> String {
    let finding = &alert.finding;
    let headline = format!("*{}*", escaped(&alert.headline()));
    let detail = escaped(&finding.detail);
    let seen = format!("finding {}, seen {} times, {}", finding.id, finding.occurrences, runbook(finding.kind));
    cut(&[headline, detail, seen].join("\n"), MAX_CHARS).to_owned()
}

/// What Slack takes for links, mentions and marks stays text: titles hold what strangers wrote.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('*', "\u{2217}").replace('`', "'")
}
