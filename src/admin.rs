//! `/livez`, `/readyz` and `/metrics`, on a listener of their own: nothing secret, nothing that acts.
//!
//! `/readyz` fails only for what this process cannot work without: the store, and for a process that does nothing else, the
//! reading of logs. Its body names what else does not answer, so that a look at it says where to look next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{IntGaugeVec, Opts, Registry, TextEncoder};
use store::Store;
use watcher::Pulses;

use crate::run::Unwatched;

/// How long `/readyz` waits for the store.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// What the listener answers from.
#[derive(Clone)]
pub(crate) struct Admin {
    registry: Registry,
    store: Arc<dyn Store>,
    stopping: Arc<AtomicBool>,
    unwatched: Unwatched,
    /// Nothing but logs is read here: without them this process is of no use.
    watches_only: bool,
    /// This process may read the conditions that are open.
    tells_conditions: bool,
    /// The loops that must go round.
    pulses: Pulses,
}

/// How many open conditions `/readyz` names.
const CONDITIONS: u32 = 20;

impl Admin {
    /// Serves these metrics; ready while the store answers and, where this process reads logs, they are read.
    pub(crate) fn new(
        registry: Registry,
        store: Arc<dyn Store>,
        unwatched: Unwatched,
        watches_only: bool,
        tells_conditions: bool,
        pulses: Pulses,
    ) -> anyhow::Result<Self> {
        let version = IntGaugeVec::new(
            Opts::new("sealwatch_build_info", "Always 1; the version is a label"),
            &["version", "commit"],
        )?;
        version.with_label_values(&[env!("CARGO_PKG_VERSION"), crate::version::COMMIT]).set(1);
        registry.register(Box::new(version))?;
        Ok(Self { registry, store, stopping: Arc::default(), unwatched, watches_only, tells_conditions, pulses })
    }

    /// From here on `/readyz` says no, so that no new work is sent while we drain.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// The routes.
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/livez", get(live))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

/// A loop that hangs is no reason to send work elsewhere, but to start again.
async fn live(State(admin): State<Admin>) -> Response {
    let late = admin.pulses.late();
    if late.is_empty() {
        return "ok\n".into_response();
    }
    let lines: String =
        late.iter().map(|(name, silent)| format!("loop {name} is silent for {} s\n", silent.as_secs())).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines).into_response()
}

async fn ready(State(admin): State<Admin>) -> Response {
    if admin.stopping.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    let unwatched = admin.unwatched.why().map(|why| format!("no log is read: {why}\n"));
    if let (Some(words), true) = (&unwatched, admin.watches_only) {
        return (StatusCode::SERVICE_UNAVAILABLE, words.clone()).into_response();
    }
    match tokio::time::timeout(STORE_PATIENCE, admin.store.ping()).await {
        // Webhooks are taken and images signed all the same.
        Ok(Ok(())) => format!("ok\n{}{}", unwatched.unwrap_or_default(), admin.conditions().await).into_response(),
        Ok(Err(error)) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("the store does not answer: {error}\n")).into_response()
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer in time\n").into_response(),
    }
}

impl Admin {
    /// What else is wrong, one line each. It changes nothing of being ready.
    async fn conditions(&self) -> String {
        if !self.tells_conditions {
            return String::new();
        }
        match tokio::time::timeout(STORE_PATIENCE, self.store.open_conditions(CONDITIONS)).await {
            Ok(Ok(open)) => open
                .iter()
                .map(|condition| {
                    let since = jiff::Timestamp::from_millisecond(condition.since)
                        .map_or_else(|_| condition.since.to_string(), |since| since.to_string());
                    format!("{} {}, since {since}\n", condition.cause, crate::say::plain(&condition.subject))
                })
                .collect(),
            Ok(Err(_)) | Err(_) => "what else is wrong could not be read from the store\n".to_owned(),
        }
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match TextEncoder::new().encode_to_string(&admin.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn said(unwatched: &Unwatched, watches_only: bool, stopping: bool) -> (u16, String) {
        let store = store::open("sqlite::memory:").await.expect("a store");
        answer(store, unwatched, watches_only, stopping).await
    }

    async fn answer(store: Arc<dyn Store>, unwatched: &Unwatched, watches_only: bool, stopping: bool) -> (u16, String) {
        let pulses = Pulses::default();
        let admin = Admin::new(Registry::new(), store, unwatched.clone(), watches_only, true, pulses).expect("metrics");
        if stopping {
            admin.stop();
        }
        let answer = ready(State(admin)).await;
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 4096).await.expect("a body");
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn where_no_log_is_read_a_monitor_is_not_ready_and_all_else_says_why() {
        let read = Unwatched::default();
        assert_eq!(said(&read, true, false).await, (200, "ok\n".to_owned()));
        assert_eq!(said(&read, false, true).await, (503, "stopping\n".to_owned()));
        let unread = Unwatched::because("the state was lost");
        assert_eq!(said(&unread, true, false).await, (503, "no log is read: the state was lost\n".to_owned()));
        assert_eq!(said(&unread, false, false).await, (200, "ok\nno log is read: the state was lost\n".to_owned()));
    }

    #[tokio::test]
    async fn what_does_not_answer_is_named_and_only_the_store_makes_unready() {
        let store = store::open("sqlite::memory:").await.expect("a store");
        let log = "rekor.example.com\u{1b}[2J";
        store.record_condition(store::ConditionCause::EndpointTrouble, log, "timed out").await.expect("recorded");
        let (status, body) = answer(store.clone(), &Unwatched::default(), false, false).await;
        assert_eq!(status, 200);
        assert!(body.starts_with("ok\nendpoint_trouble rekor.example.com\\u001b[2J, since 20"), "{body}");
        store.end_condition(store::ConditionCause::EndpointTrouble, log).await.expect("ended");
        assert_eq!(answer(store.clone(), &Unwatched::default(), false, false).await, (200, "ok\n".to_owned()));
        store.close().await;
        let (status, body) = answer(store, &Unwatched::default(), false, false).await;
        assert_eq!(status, 503);
        assert!(body.starts_with("the store does not answer"), "{body}");
    }

    #[tokio::test]
    async fn a_loop_that_hangs_is_seen_from_outside() {
        let store = store::open("sqlite::memory:").await.expect("a store");
        let pulses = Pulses::default();
        let admin = Admin::new(Registry::new(), store, Unwatched::default(), false, true, pulses.clone());
        let admin = admin.expect("metrics");
        assert_eq!(live(State(admin.clone())).await.status(), 200);
        pulses.beat("jobs", Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(2)).await;
        let answer = live(State(admin.clone())).await;
        assert_eq!(answer.status(), 503);
        let body = to_bytes(answer.into_body(), 4096).await.expect("a body");
        assert!(body.starts_with(b"loop jobs is silent"), "{body:?}");
        pulses.beat("jobs", Duration::from_secs(60));
        assert_eq!(live(State(admin)).await.status(), 200);
    }
}
