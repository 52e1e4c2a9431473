//! Our own format, for anything that can send JSON:
//!
//! ```json
//! {"repository": "team/app", "tag": "v1", "digest": "sha256:…"}
//! ```
//!
//! `repository` and one of `tag` and `digest` are needed; `registry` may name the registry, and must then name the
//! source's own. Several at once: `{"events": [{…}, {…}]}`. Other members are ignored.

use axum::http::request::Parts;

use super::auth;
use super::format::{BodyReader, Opening, WebhookFormat};
use super::members::{Fields, Member, MemberReader, Shape};
use super::parsed::{self, Ignored, PushEvent};
use crate::config::SourceAuth;
use crate::webhook::auth::Denied;

/// Our own JSON.
pub struct Generic;

impl WebhookFormat for Generic {
    fn open(&self, head: &Parts, auth: &SourceAuth) -> Result<Opening, Denied> {
        auth::check_head(auth, &head.headers).map(Opening::Body)
    }

    fn reader(&self) -> Box<dyn BodyReader> {
        Box::new(MemberReader::new(&SHAPE))
    }
}

static SHAPE: Shape = Shape {
    list: "events",
    lone: Some("repository"),
    members: &[
        Member { within: None, name: "registry" },
        Member { within: None, name: "repository" },
        Member { within: None, name: "tag" },
        Member { within: None, name: "digest" },
    ],
    read: push,
};

fn push(event: &Fields) -> Result<PushEvent, Ignored> {
    let hosts = event.text(None, "registry")?.map(str::to_owned).into_iter().collect();
    parsed::reference(hosts, event.text(None, "repository")?, event.text(None, "tag")?, event.text(None, "digest")?)
}

#[cfg(test)]
mod tests;
