//! CNCF Distribution's notifications: `{"events": […]}`, the v1 and v2 envelopes (they differ in the content type
//! only). GitLab's registry sends the same.

use axum::http::request::Parts;

use super::auth::{self, Denied};
use super::format::{BodyReader, Opening, WebhookFormat};
use super::members::{Fields, Member, MemberReader, Shape};
use super::parsed::{self, Ignored, PushEvent};
use crate::config::SourceAuth;

/// The notifications of CNCF Distribution.
pub struct Distribution;

impl WebhookFormat for Distribution {
    fn open(&self, head: &Parts, auth: &SourceAuth) -> Result<Opening, Denied> {
        auth::check_head(auth, &head.headers).map(Opening::Body)
    }

    fn reader(&self) -> Box<dyn BodyReader> {
        Box::new(MemberReader::new(&SHAPE))
    }
}

const TARGET: Option<&str> = Some("target");
const REQUEST: Option<&str> = Some("request");

static SHAPE: Shape = Shape {
    list: "events",
    lone: None,
    members: &[
        Member { within: None, name: "action" },
        Member { within: TARGET, name: "mediaType" },
        Member { within: TARGET, name: "repository" },
        Member { within: TARGET, name: "tag" },
        Member { within: TARGET, name: "digest" },
        Member { within: TARGET, name: "url" },
        Member { within: REQUEST, name: "host" },
    ],
    read: push,
};

/// One event, if it is the push of a manifest. The order is by price: a registry tells of every pull that we make.
fn push(event: &Fields) -> Result<PushEvent, Ignored> {
    match event.text(None, "action")? {
        Some("push") => {}
        Some(_) => return Err(Ignored::NotAPush),
        None => return Err(Ignored::MalformedReference),
    }
    if event.text(TARGET, "mediaType")?.is_some_and(|media_type| !is_manifest(media_type)) {
        return Err(Ignored::NotAManifest);
    }
    let mut hosts = Vec::new();
    hosts.extend(event.text(REQUEST, "host")?.map(str::to_owned));
    // A relative URL names no host.
    if let Some(url) = event.text(TARGET, "url")?.filter(|url| url.contains("//")) {
        hosts.push(authority(url).ok_or(Ignored::MalformedReference)?);
    }
    parsed::reference(
        hosts,
        event.text(TARGET, "repository")?,
        event.text(TARGET, "tag")?,
        event.text(TARGET, "digest")?,
    )
}

fn is_manifest(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.manifest.")
        || media_type.starts_with("application/vnd.oci.image.index.")
        || media_type.starts_with("application/vnd.docker.distribution.manifest.")
        || media_type.starts_with("application/vnd.oci.artifact.manifest.")
}

/// `host[:port]` of a URL; what stands before an `@` is no host.
fn authority(url: &str) -> Option<String> {
    let url = if url.starts_with("//") { format!("http:{url}") } else { url.to_owned() };
    let url = url::Url::parse(&url).ok()?;
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

#[cfg(test)]
mod tests;
