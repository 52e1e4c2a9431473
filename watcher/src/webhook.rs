//! `/hooks/{source}`: checks the secret, bounds size and time, reads, keeps durably, answers.
//!
//! Some registries repeat any refusal for ever and deliver nothing else meanwhile, so after authentication the
//! answer is 2xx whatever the body holds, or 503 if it could not be kept. What cannot be read is kept as a dead letter;
//! where events may be missing because a body is too large, the source's repositories are looked at. Nothing is signed
//! here and no registry is asked. The store is only added to, never asked: the database role of this process needs no
//! more.

mod admit;
mod answer;
pub mod auth;
mod body;
mod budget;
pub mod distribution;
pub mod format;
pub mod generic;
mod json;
mod members;
mod parsed;
mod replay;
mod restraint;
mod sources;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bundle::ImageName;
use store::{NewDeadLetter, NewLook, Store};

pub use admit::{EVENTS_MAX, Foreign, alias_line};
pub use body::{DRAIN_MAX_BYTES, HEAD_MAX_BYTES, READ_MAX_BYTES};
pub use budget::{Budget, peer_group};
pub use parsed::{Ignored, Junk, PushEvent, Tally};
pub use replay::{Reread, read_again};
pub use restraint::LETTERS_PER_DAY;
pub use sources::Sources;

use crate::clock;
use crate::config::Source;
use crate::crash::crash_point;
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::progress::{Progress, PushStep};

use admit::{Admission, Admitted};
use answer::{Answer, Refusal, Summary};
use body::{Bounds, ReadBody, Unread};
use format::{Opening, WebhookFormat};
use restraint::{LetterQuota, Restraint};

/// A whole body must arrive within this time.
pub const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// What the webhooks need: no key and no registry credential.
#[derive(Clone)]
pub struct HookState {
    /// By the name in the path.
    pub sources: Sources,
    /// Where events go.
    pub intake: Arc<dyn Intake>,
    /// Where unreadable bodies go.
    pub dead_letters: Arc<dyn Store>,
    /// Counters.
    pub metrics: Metrics,
    /// For a person who watches.
    pub progress: Progress,
    /// How long a body may take; [`BODY_DEADLINE`] outside tests.
    pub body_deadline: Duration,
    /// What is held of bodies that are not proved yet.
    pub budget: Budget,
    letters: LetterQuota,
    restraint: Restraint,
}

impl HookState {
    /// The usual state.
    pub fn new(
        sources: impl Into<Sources>,
        intake: Arc<dyn Intake>,
        dead_letters: Arc<dyn Store>,
        metrics: Metrics,
        progress: Progress,
    ) -> Self {
        Self {
            sources: sources.into(),
            intake,
            dead_letters,
            metrics,
            progress,
            body_deadline: BODY_DEADLINE,
            budget: Budget::default(),
            letters: LetterQuota::default(),
            restraint: Restraint::default(),
        }
    }

    /// Warns of a refusal, once in a while: strangers choose how often it happens.
    fn warn_refused(&self, name: &str, reason: &str) {
        if let Some(unsaid) = self.restraint.may_say(reason, name, clock::now_ms()) {
            tracing::warn!(source.name = name, reason, unsaid, "a webhook of source {name} was refused: {reason}");
        }
    }
}

/// The routes of the webhook listener, and nothing else. The limits per peer need the listener to add
/// [`ConnectInfo`] to each request; without it all peers are one.
pub fn router(state: HookState) -> Router {
    Router::new().route("/hooks/{source}", any(receive)).with_state(state)
}

async fn receive(State(state): State<HookState>, Path(name): Path<String>, request: Request) -> Response {
    let sources = state.sources.current();
    let taken = match sources.get(&name) {
        Some(source) => Hook { state: &state, name: &name, source, format: source.kind.format() }.take(request).await,
        None => Err(Refusal::UnknownSource),
    };
    match taken {
        Ok(answer) => answer.into_response(),
        Err(refusal) => {
            if let Refusal::Unauthorized { .. } = refusal {
                state.metrics.auth_failed(&name);
            }
            // A name that is not in the configuration is not repeated into our logs.
            let known = if sources.contains_key(&name) { &name } else { "(unknown)" };
            state.warn_refused(known, refusal.reason());
            state.metrics.hook_refused(refusal.reason());
            refusal.into_response()
        }
    }
}

/// One source, for one request.
struct Hook<'h> {
    state: &'h HookState,
    name: &'h str,
    source: &'h Source,
    format: &'h dyn WebhookFormat,
}

impl Hook<'_> {
    /// The way of one request. The order is the promise: no body is read before the head was right, and nothing of it
    /// is kept before the credential was right.
    async fn take(&self, request: Request) -> Result<Answer, Refusal> {
        let (head, body) = request.into_parts();
        if !self.format.takes(&head.method) {
            return Err(Refusal::WrongMethod);
        }
        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
        let proof = match self.format.open(&head, &self.source.auth).map_err(Refusal::unauthorized)? {
            Opening::Reply(reply) => return Ok(Answer::Handshake(reply)),
            Opening::Body(_) if head.method != Method::POST => return Err(Refusal::WrongMethod),
            Opening::Body(proof) => proof,
        };
        let bounds = Bounds {
            deadline: self.state.body_deadline,
            budget: &self.state.budget,
            peer: peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        };
        let mut admission = Admission::new(self.source);
        let body = body::read(body, self.format, proof, bounds, &mut admission).await?;

        let now = clock::now_ms();
        self.state.metrics.heard(self.name, now);
        if let Some(reply) = body.handshake() {
            return Ok(Answer::Handshake(reply.clone()));
        }
        let admitted = admission.finish(self.name, now);
        self.warn_foreign(&admitted, now);
        let summary = self.keep(body, admitted, now).await?;
        for (reason, count) in summary.ignored.iter() {
            self.state.metrics.event(self.name, reason.as_str(), count);
        }
        Ok(Answer::Summary(summary))
    }

    /// Everything of one request becomes durable here, or nothing is acknowledged. A repetition costs less where it is
    /// of events than of dead letters, so those come first.
    async fn keep(&self, body: ReadBody, admitted: Admitted, now: i64) -> Result<Summary, Refusal> {
        let state = self.state;
        let Admitted { events, ignored, is_full, .. } = admitted;
        let not_kept = |error: &dyn std::fmt::Display| {
            tracing::error!(
                source.name = self.name, %error,
                "the events of a webhook of source {} could not be kept; the sender is told to try again", self.name
            );
            state.metrics.event(self.name, "not_persisted", events.len().max(1) as u64);
            Refusal::NotPersisted
        };
        let is_too_large = body.read == Err(Unread::TooLarge);
        let junk = match body.read {
            Err(Unread::TooLarge) => Some("too_large"),
            Err(Unread::Junk(junk)) => Some(junk.as_str()),
            Ok(_) => None,
        };
        let junk = junk.or_else(|| ignored.worth_keeping());
        let look = is_too_large || is_full;

        if !events.is_empty() {
            state.intake.publish(&events).await.map_err(|error| not_kept(&error))?;
            crash_point("accepted");
            state.metrics.event(self.name, "accepted", events.len() as u64);
        }
        if look {
            let look =
                NewLook { source: self.name.to_owned(), registry: self.source.registry.clone(), received_at: now };
            state.intake.publish_look(&look).await.map_err(|error| not_kept(&error))?;
            state.metrics.event(self.name, "look", 1);
            let size = body.size_bytes;
            tracing::warn!(
                source.name = self.name, registry.host = %self.source.registry, bytes = size, accepted = events.len(),
                "a webhook of source {} is larger than is read ({size} bytes): what was read of it counts, and the \
                 repositories of {} will be looked at for the rest", self.name, self.source.registry
            );
        }
        if is_too_large {
            state.metrics.event(self.name, "too_large", 1);
        }
        let mut dead_letter = None;
        if let Some(reason) = junk
            && self.keep_letter(reason, &body, now).await.map_err(|error| not_kept(&error))?
        {
            dead_letter = Some(reason);
        }
        for event in &events {
            let image = ImageName { registry: event.registry.clone(), repository: event.repository.clone() };
            let step = PushStep::Accepted { source: self.name.to_owned() };
            state.progress.tell(&image, event.tag.as_ref(), event.digest.as_ref(), step);
        }
        Ok(Summary { accepted: events.len(), ignored, dead_letter, look, is_cut: is_too_large })
    }

    /// Keeps the head of a body for a person; `false`: the source has had its share of today.
    async fn keep_letter(&self, reason: &'static str, body: &ReadBody, now: i64) -> Result<bool, store::StoreError> {
        let (state, name) = (self.state, self.name);
        if !state.letters.has_room(name, now) {
            state.metrics.dead_letter_dropped(name);
            if let Some(unsaid) = state.restraint.may_say("letters", name, now) {
                tracing::warn!(
                    source.name = name,
                    reason,
                    unsaid,
                    "source {name} has {LETTERS_PER_DAY} dead letters today: further ones are only counted"
                );
            }
            return Ok(false);
        }
        let letter = NewDeadLetter {
            source: name,
            reason,
            body: &body.head,
            body_size_bytes: body.size_bytes,
            received_at: now,
        };
        state.dead_letters.record_dead_letter(&letter).await?;
        state.letters.count(name, now);
        state.metrics.dead_letter();
        state.metrics.event(name, "dead_letter", 1);
        tracing::warn!(
            source.name = name,
            reason,
            bytes = body.size_bytes,
            "a webhook's body of source {name} was kept as a dead letter: {reason}"
        );
        Ok(true)
    }

    /// A push that waits for want of an alias must not be silent.
    fn warn_foreign(&self, admitted: &Admitted, now: i64) {
        let registry = &self.source.registry;
        for foreign in &admitted.foreign {
            let Some(unsaid) =
                self.state.restraint.may_say("foreign_host", &format!("{}\n{}", self.name, foreign.host), now)
            else {
                continue;
            };
            let host = foreign.host.escape_default().to_string();
            match alias_line(self.name, self.source, &foreign.host) {
                Some(line) => tracing::warn!(
                    source.name = self.name, registry.host = %registry, host, unsaid,
                    "a push of {} was announced by source {} under the host {host}, which is not {registry}: it is kept \
                     as a dead letter. If {host} is another name of {registry}, set {line} and replay it",
                    foreign.image.repository, self.name
                ),
                None => tracing::warn!(
                    source.name = self.name, registry.host = %registry, host, unsaid,
                    "a push was announced by source {} under a host that is no host name: it is kept as a dead letter",
                    self.name
                ),
            }
        }
    }
}
