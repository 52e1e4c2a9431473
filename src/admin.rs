//! `/livez`, `/readyz` and `/metrics`, on a listener of their own: nothing secret, nothing that acts.

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
}

impl Admin {
    /// Serves these metrics; ready while the store answers and, where this process reads logs, they are read.
    pub(crate) fn new(
        registry: Registry,
        store: Arc<dyn Store>,
        unwatched: Unwatched,
        watches_only: bool,
    ) -> anyhow::Result<Self> {
        let version =
            IntGaugeVec::new(Opts::new("sealwatch_build_info", "Always 1; the version is a label"), &["version"])?;
        version.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(version))?;
        Ok(Self { registry, store, stopping: Arc::default(), unwatched, watches_only })
    }

    /// From here on `/readyz` says no, so that no new work is sent while we drain.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// The routes.
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
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
        Ok(Ok(())) => format!("ok\n{}", unwatched.unwrap_or_default()).into_response(),
        Ok(Err(error)) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("the store does not answer: {error}\n")).into_response()
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer in time\n").into_response(),
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
        let admin = Admin::new(Registry::new(), store, unwatched.clone(), watches_only).expect("metrics");
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
}
