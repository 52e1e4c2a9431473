//! `POST /hooks/{source}`: check the secret, bound size and time, read, keep durably, answer.
//!
//! Some registries repeat any refusal for ever and deliver nothing else meanwhile, so after authentication the
//! answer is 2xx whatever the body holds (what cannot be read is kept as a dead letter), or 503 if it could not be
//! kept. Nothing is signed here and no registry is asked.

pub mod auth;
mod body;
pub mod distribution;
pub mod generic;
mod parsed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bundle::{ImageName, RegistryHost};
use store::{NewEvent, Store};

pub use parsed::{Ignored, Junk, Parsed, PushEvent, Tally};

use crate::clock;
use crate::config::{Source, SourceKind};
use crate::crash::crash_point;
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::progress::{Progress, PushStep};

/// Largest body that is read.
pub const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;
/// A whole body must arrive within this time.
pub const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// What `Retry-After` says when an event could not be kept.
const RETRY_AFTER_SECONDS: &str = "5";

/// What the webhooks need: no key and no registry credential.
#[derive(Clone)]
pub struct HookState {
    /// By the name in the path.
    pub sources: Arc<BTreeMap<String, Source>>,
    /// Where events go.
    pub intake: Arc<dyn Intake>,
    /// Where unreadable bodies go.
    pub dead_letters: Arc<dyn Store>,
    /// Counters.
    pub metrics: Metrics,
    /// For whoever watches.
    pub progress: Progress,
    /// How long a body may take; [`BODY_DEADLINE`] outside tests.
    pub body_deadline: Duration,
}

impl HookState {
    /// The usual state.
    pub fn new(
        sources: BTreeMap<String, Source>,
        intake: Arc<dyn Intake>,
        dead_letters: Arc<dyn Store>,
        metrics: Metrics,
        progress: Progress,
    ) -> Self {
        let sources = Arc::new(sources);
        Self { sources, intake, dead_letters, metrics, progress, body_deadline: BODY_DEADLINE }
    }
}

/// The routes of the webhook listener, and nothing else.
pub fn router(state: HookState) -> Router {
    Router::new().route("/hooks/{source}", post(receive)).with_state(state)
}

async fn receive(State(state): State<HookState>, Path(name): Path<String>, request: Request) -> Response {
    match take(&state, &name, request).await {
        Ok(summary) => summary.into_response(),
        Err(refusal) => {
            if let Refusal::Unauthorized { .. } = refusal {
                state.metrics.auth_failed(&name);
                tracing::warn!(source.name = %name, "a webhook came with a wrong or missing credential");
            } else {
                tracing::warn!(source.name = known(&state, &name), reason = refusal.reason(), "a webhook was refused");
            }
            state.metrics.hook_refused(refusal.reason());
            refusal.into_response()
        }
    }
}

/// A name from the configuration as it is; any other is not repeated into our logs.
fn known<'n>(state: &HookState, name: &'n str) -> &'n str {
    if state.sources.contains_key(name) { name } else { "(unknown)" }
}

/// The way of one request. The order is the promise: nothing is parsed before the credential was right.
async fn take(state: &HookState, name: &str, request: Request) -> Result<Summary, Refusal> {
    let source = state.sources.get(name).ok_or(Refusal::UnknownSource)?;
    let (head, body) = request.into_parts();
    auth::check_headers(&source.auth, &head.headers).map_err(Refusal::unauthorized)?;
    let body = body::read(&head.headers, body, MAX_BODY_BYTES, state.body_deadline).await?;
    auth::check_body(&source.auth, &head.headers, &body).map_err(Refusal::unauthorized)?;

    let now = clock::now_ms();
    state.metrics.heard(name, now);
    let parsed = match source.kind {
        SourceKind::Distribution => distribution::parse(&body),
        SourceKind::Generic => generic::parse(&body),
    };
    let (events, ignored, junk) = match parsed {
        Ok(parsed) => {
            let (events, ignored) = admit(name, source, parsed, now);
            let junk = ignored.worth_keeping();
            (events, ignored, junk)
        }
        Err(junk) => (Vec::new(), Tally::default(), Some(junk.as_str())),
    };
    keep(state, name, &events, junk, &body, now).await?;
    for (reason, count) in ignored.iter() {
        state.metrics.event(name, reason.as_str(), count);
    }
    Ok(Summary { accepted: events.len(), ignored, dead_letter: junk })
}

/// Keeps only what the source may speak for, each event once.
fn admit(name: &str, source: &Source, parsed: Parsed, now: i64) -> (Vec<NewEvent>, Tally) {
    let Parsed { pushes, mut ignored } = parsed;
    let mut events: Vec<NewEvent> = Vec::with_capacity(pushes.len());
    let mut seen = std::collections::BTreeSet::new();
    for push in pushes {
        if push.unverified_hosts.iter().any(|host| !may_speak_for(source, host)) {
            // A push that is lost for want of an alias must not be silent.
            tracing::warn!(
                source.name = name, registry.host = %source.registry,
                "an event names another host than the source's registry and was dropped: is it one of its host_aliases?"
            );
            ignored.add(Ignored::ForeignHost);
        } else if !source.repositories.is_empty()
            && !source.repositories.iter().any(|glob| glob.matches(push.repository.as_str()))
        {
            ignored.add(Ignored::ForeignRepository);
        } else if !seen.insert((push.repository.clone(), push.tag.clone(), push.digest)) {
            ignored.add(Ignored::Duplicate);
        } else {
            events.push(NewEvent {
                source: name.to_owned(),
                registry: source.registry.clone(),
                repository: push.repository,
                tag: push.tag,
                digest: push.digest,
                received_at: now,
            });
        }
    }
    (events, ignored)
}

/// Whether `host`, as an event spelled it, is the source's registry or one of its other names.
fn may_speak_for(source: &Source, host: &str) -> bool {
    let plain = |host: &str| {
        let host = host.to_ascii_lowercase();
        let plain = host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(&host);
        plain.to_owned()
    };
    let host = plain(host);
    host == plain(source.registry.as_str()) || source.host_aliases.iter().any(|alias| plain(alias) == host)
}

/// Everything of one request becomes durable here, or nothing is acknowledged.
async fn keep(
    state: &HookState,
    name: &str,
    events: &[NewEvent],
    junk: Option<&'static str>,
    body: &[u8],
    now: i64,
) -> Result<(), Refusal> {
    let not_kept = |error: &dyn std::fmt::Display| {
        tracing::error!(source.name = %name, %error, "a webhook's events could not be kept; the sender is told to try again");
        state.metrics.event(name, "not_persisted", events.len().max(1) as u64);
        Refusal::NotPersisted
    };
    if let Some(reason) = junk {
        state.dead_letters.record_dead_letter(name, reason, body, now).await.map_err(|error| not_kept(&error))?;
        state.metrics.dead_letter();
        state.metrics.event(name, "dead_letter", 1);
        tracing::warn!(source.name = %name, reason, bytes = body.len(), "a webhook's body was kept as a dead letter");
    }
    if !events.is_empty() {
        state.intake.publish(events).await.map_err(|error| not_kept(&error))?;
        crash_point("accepted");
        state.metrics.event(name, "accepted", events.len() as u64);
    }
    for event in events {
        let image = image_name(&event.registry, event);
        let step = PushStep::Accepted { source: name.to_owned() };
        state.progress.tell(&image, event.tag.as_ref(), event.digest.as_ref(), step);
    }
    Ok(())
}

fn image_name(registry: &RegistryHost, event: &NewEvent) -> ImageName {
    ImageName { registry: registry.clone(), repository: event.repository.clone() }
}

/// The answer to an authenticated request.
struct Summary {
    accepted: usize,
    ignored: Tally,
    dead_letter: Option<&'static str>,
}

impl IntoResponse for Summary {
    fn into_response(self) -> Response {
        let status = if self.accepted > 0 { StatusCode::ACCEPTED } else { StatusCode::OK };
        let body = serde_json::json!({
            "accepted": self.accepted,
            "ignored": self.ignored.iter().map(|(reason, count)| (reason.as_str(), count)).collect::<BTreeMap<_, _>>(),
            "dead_letter": self.dead_letter,
        });
        (status, Json(body)).into_response()
    }
}

/// Why a request was not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    UnknownSource,
    Unauthorized { challenge: &'static str },
    TooLarge,
    TooSlow,
    Broken,
    NotPersisted,
}

impl Refusal {
    fn unauthorized(denied: auth::Denied) -> Self {
        Self::Unauthorized { challenge: denied.challenge }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::UnknownSource => "unknown_source",
            Self::Unauthorized { .. } => "unauthorized",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::Broken => "broken_off",
            Self::NotPersisted => "not_persisted",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::UnknownSource => StatusCode::NOT_FOUND,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::NotPersisted => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(serde_json::json!({ "error": self.reason() }))).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Unauthorized { challenge } => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            Self::NotPersisted => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            }
            _ => {}
        }
        // The rest of an unread body is not waited for.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SourceAuth;

    fn source(repositories: &[&str]) -> Source {
        Source {
            kind: SourceKind::Distribution,
            registry: "registry.example.com".parse().expect("a host"),
            host_aliases: vec!["registry:5000".to_owned()],
            repositories: repositories.iter().map(|glob| glob.parse().expect("a glob")).collect(),
            auth: SourceAuth::None,
        }
    }

    fn push(hosts: &[&str], repository: &str) -> PushEvent {
        PushEvent {
            unverified_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            repository: repository.parse().expect("a repository"),
            tag: Some("v1".parse().expect("a tag")),
            digest: None,
        }
    }

    #[test]
    fn a_source_speaks_only_for_its_registry_under_any_of_its_names() {
        let source = source(&[]);
        for (host, may) in [
            ("registry.example.com", true),
            ("REGISTRY.example.com", true),
            ("registry.example.com:443", true),
            ("registry:5000", true),
            ("registry.example.com:5000", false),
            ("evil.example.com", false),
            ("registry.example.com.evil.example", false),
            ("", false),
        ] {
            assert_eq!(may_speak_for(&source, host), may, "{host}");
        }
    }

    #[test]
    fn what_a_source_may_not_speak_for_is_dropped_and_counted() {
        let parsed = Parsed {
            pushes: vec![
                push(&["registry.example.com"], "team/app"),
                push(&["registry.example.com"], "team/app"),
                push(&["registry.example.com", "evil.example.com"], "team/app"),
                push(&[], "other/app"),
                push(&[], "team/app2"),
            ],
            ignored: Tally::default(),
        };
        let (events, ignored) = admit("prod", &source(&["team/*"]), parsed, 7);
        let names: Vec<_> = events.iter().map(|event| event.repository.as_str()).collect();
        assert_eq!(names, ["team/app", "team/app2"]);
        assert!(events.iter().all(|event| event.registry.as_str() == "registry.example.com" && event.received_at == 7));
        let counted: Vec<_> = ignored.iter().map(|(reason, count)| (reason.as_str(), count)).collect();
        assert_eq!(counted, [("foreign_host", 1), ("foreign_repository", 1), ("duplicate", 1)]);
    }
}
