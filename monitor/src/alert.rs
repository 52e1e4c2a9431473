//! Tells people: one task per sink drains the outbox, so that a dead sink delays only its own alerts.
//!
//! Delivery is at least once. Every alert has an id that stays the same when it is sent again, so that a receiver can
//! drop repeats. Nothing about a sink but its name and host is ever printed: webhook URLs hold tokens.

mod alertmanager;
mod command;
mod dead;
mod drain;
mod http;
mod mail;
mod message;
mod pagerduty;
mod slack;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::{FindingRow, Sink, Store};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use drain::SinkCount;
pub use message::Alert;
pub use webhook::signature_header;

use crate::config::{SinkConfig, SinkKind};

/// Takes alerts. Implementations do not retry: the outbox does.
#[async_trait]
pub trait AlertSink: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &str;

    /// Tells it of one alert. May be called again with the same alert: the receiver knows it by [`Alert::id`].
    async fn send(&self, alert: &Alert) -> Result<(), SinkError>;

    /// Tells it, now and then, of every finding that is open, where the receiver forgets what it is not told again.
    async fn remind(&self, _open: &[FindingRow]) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Why a sink took no alert. Names its host at most.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// It was not reached, or gave no usable answer.
    #[error("{0}")]
    Unreachable(#[from] outbound::OutboundError),
    /// It answered something else than yes.
    #[error("{host} answered with status {status}")]
    Refused {
        /// Who answered.
        host: String,
        /// The HTTP status.
        status: u16,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The mail server did not take the message.
    #[error("the mail server {host} did not take the message: {why}")]
    Mail {
        /// The server.
        host: String,
        /// What it said, or why it was not reached.
        why: String,
    },
    /// The program could not be started, or did not end well.
    #[error("the program {program:?} {why}")]
    Command {
        /// Its file name.
        program: String,
        /// How it ended.
        why: String,
    },
    /// Not done in time.
    #[error("not done within {} s", .0.as_secs())]
    Timeout(Duration),
}

impl SinkError {
    /// How long the receiver asks us to wait.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// It is this alert that the receiver does not like: others may pass.
    fn is_about_the_alert(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if matches!(status, 400 | 413 | 415 | 422))
    }
}

/// A sink's configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlertsError {
    /// Two sinks of one name.
    #[error("two alert sinks are named {0:?}: give each its own name")]
    Twice(String),
    /// Not a URL that can be asked.
    #[error("the URL of the alert sink {sink:?} cannot be used: {why}")]
    Url {
        /// The sink.
        sink: String,
        /// What is wrong, without the URL.
        why: &'static str,
    },
    /// Its HTTP client could not be made.
    #[error("the alert sink {sink:?}: {cause}")]
    Client {
        /// The sink.
        sink: String,
        /// Why.
        #[source]
        cause: outbound::OutboundError,
    },
    /// Its mail settings do not fit.
    #[error("the alert sink {sink:?} cannot send mail: {why}")]
    Mail {
        /// The sink.
        sink: String,
        /// What is wrong.
        why: String,
    },
    /// A command without a program.
    #[error("the alert sink {0:?} has no program to run")]
    Command(String),
}

/// All sinks.
pub struct Alerts {
    sinks: Vec<drain::Drain>,
    told: Vec<Sink>,
    store: Arc<dyn Store>,
    dead_after: Duration,
}

impl Alerts {
    /// Makes the sinks of a configuration. `dead_after` is how long an alert may wait before that is itself a finding.
    pub fn new(configs: &[SinkConfig], store: Arc<dyn Store>, dead_after: Duration) -> Result<Self, AlertsError> {
        let mut sinks = Vec::new();
        let mut told: Vec<Sink> = Vec::new();
        for config in configs {
            if told.iter().any(|sink| sink.name == config.name) {
                return Err(AlertsError::Twice(config.name.clone()));
            }
            told.push(Sink { name: config.name.clone(), min_severity: config.min_severity });
            sinks.push(drain::Drain::new(sink(config)?, config.min_severity));
        }
        Ok(Self { sinks, told, store, dead_after })
    }

    /// Whom the store is to tell, for [`store::Findings::raise`] and its like.
    pub fn sinks(&self) -> &[Sink] {
        &self.told
    }

    /// How many alerts each sink took and did not take since this was made.
    pub fn counts(&self) -> Vec<SinkCount> {
        self.sinks.iter().map(drain::Drain::count).collect()
    }

    /// Delivers until told to stop: one task per sink, and one that looks for sinks that take nothing and ends
    /// acknowledgements that are over.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for index in 0..self.sinks.len() {
            let (alerts, stop) = (Arc::clone(&self), stop.clone());
            tasks.spawn(async move {
                if let Some(sink) = alerts.sinks.get(index) {
                    sink.run(alerts.store.as_ref(), stop).await;
                }
            });
        }
        let (alerts, watching) = (Arc::clone(&self), stop.clone());
        tasks.spawn(
            async move { dead::Watch::new(&alerts.told, alerts.dead_after).run(&*alerts.store, watching).await },
        );
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task that delivers alerts died");
            }
        }
    }

    /// Delivers what waits now, once each, and gives up after `limit`: for one-shot runs. Answers how many alerts were
    /// taken.
    pub async fn deliver(&self, limit: Duration) -> u64 {
        let before: u64 = self.counts().iter().map(|count| count.sent).sum();
        let each = self.sinks.iter().map(|sink| sink.deliver(self.store.as_ref()));
        // What is in flight when the time is over keeps its lease for a while, and is sent again by the next run.
        let _in_time = tokio::time::timeout(limit, futures_util::future::join_all(each)).await;
        let after: u64 = self.counts().iter().map(|count| count.sent).sum();
        after.saturating_sub(before)
    }
}

/// The sink of a configuration.
fn sink(config: &SinkConfig) -> Result<Box<dyn AlertSink>, AlertsError> {
    let name = config.name.clone();
    Ok(match &config.kind {
        SinkKind::Alertmanager { url, ca_pem } => {
            Box::new(alertmanager::Alertmanager::new(name, url, ca_pem.as_deref())?)
        }
        SinkKind::Webhook { url, secret, ca_pem } => {
            Box::new(webhook::Webhook::new(name, url, secret.clone(), ca_pem.as_deref())?)
        }
        SinkKind::Slack { url, ca_pem } => Box::new(slack::Slack::new(name, url, ca_pem.as_deref())?),
        SinkKind::PagerDuty { url, routing_key, ca_pem } => {
            Box::new(pagerduty::PagerDuty::new(name, url, routing_key.clone(), ca_pem.as_deref())?)
        }
        SinkKind::Mail { url, login, from, to, plain, ca_pem } => {
            let server = mail::Server { url, login: login.as_ref(), plain: *plain, ca_pem: ca_pem.as_deref() };
            Box::new(mail::Mail::new(name, &server, from, to)?)
        }
        SinkKind::Command { argv, env } => Box::new(command::Command::new(name, argv, env)?),
    })
}

#[cfg(test)]
mod tests;
