//! What a sender is answered.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::auth::Denied;
use super::format::Reply;
use super::parsed::Tally;

/// What `Retry-After` says when an event could not be kept.
const RETRY_AFTER_SECONDS: &str = "5";

/// The answer to an authenticated request.
pub(super) enum Answer {
    Summary(Summary),
    Handshake(Reply),
}

/// What became of the events of a body.
pub(super) struct Summary {
    pub(super) accepted: usize,
    pub(super) ignored: Tally,
    /// Why the body is looked at by a person.
    pub(super) dead_letter: Option<&'static str>,
    /// The repositories of the source will be looked at.
    pub(super) look: bool,
    /// The rest of the body was not waited for.
    pub(super) is_cut: bool,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Summary(summary) => summary.into_response(),
            Self::Handshake(Reply { status, content_type, body }) => {
                (status, [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
            }
        }
    }
}

impl IntoResponse for Summary {
    fn into_response(self) -> Response {
        let status = if self.accepted > 0 || self.look { StatusCode::ACCEPTED } else { StatusCode::OK };
        let body = serde_json::json!({
            "accepted": self.accepted,
            "ignored": self.ignored.iter().map(|(reason, count)| (reason.as_str(), count)).collect::<BTreeMap<_, _>>(),
            "dead_letter": self.dead_letter,
        });
        let mut response = (status, Json(body)).into_response();
        if self.is_cut {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Why a request was not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    UnknownSource,
    WrongMethod,
    Unauthorized {
        challenge: &'static str,
    },
    /// Of a sender that is not proved, so long that it cannot be.
    TooLarge,
    TooSlow,
    Broken,
    /// Too much is held of bodies that are not proved.
    Busy,
    NotPersisted,
}

impl Refusal {
    pub(super) fn unauthorized(denied: Denied) -> Self {
        Self::Unauthorized { challenge: denied.challenge }
    }

    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::UnknownSource => "unknown_source",
            Self::WrongMethod => "wrong_method",
            Self::Unauthorized { .. } => "unauthorized",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::Broken => "broken_off",
            Self::Busy => "busy",
            Self::NotPersisted => "not_persisted",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::UnknownSource => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Busy | Self::NotPersisted => StatusCode::SERVICE_UNAVAILABLE,
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
            Self::Busy | Self::NotPersisted => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            }
            Self::WrongMethod => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            _ => {}
        }
        // The rest of an unread body is not waited for.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}
