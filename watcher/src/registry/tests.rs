//! The client against a registry that misbehaves on demand.

mod absence;
mod attach;
mod auth;
mod fake;
mod forbidden;
mod legacy;
mod paging;
mod places;
mod read;
mod referrers;
mod uploads;

use std::time::Duration;

use bundle::oci::{Descriptor, media_type};
use bundle::{Digest, Repository, Tag};

use super::*;
use fake::Fake;

fn repository() -> Repository {
    "team/app".parse().expect("a repository")
}

fn tag(text: &str) -> Tag {
    text.parse().expect("a tag")
}

/// A client of the fake, without credentials and without patience.
fn registry(fake: &Fake) -> Registry {
    client(config(fake))
}

fn config(fake: &Fake) -> RegistryConfig {
    RegistryConfig { plain_http: true, ..RegistryConfig::new(fake.host().parse().expect("a host")) }
}

fn client(config: RegistryConfig) -> Registry {
    let mut registry = Registry::new(config).expect("a client");
    registry.patience = Duration::from_millis(4);
    registry
}

/// An image manifest that nobody refers to; different for each name.
fn image(name: &str) -> Vec<u8> {
    let config = Descriptor::of(media_type::IMAGE_CONFIG, name.as_bytes());
    let config = serde_json::to_string(&config).expect("JSON");
    let own_type = media_type::IMAGE_MANIFEST;
    format!(r#"{{"schemaVersion":2,"mediaType":"{own_type}","config":{config},"layers":[]}}"#).into_bytes()
}

/// The fake with one image, and the image's descriptor.
async fn with_image() -> (Fake, Descriptor) {
    let fake = Fake::start().await;
    let bytes = image("app");
    fake.store().put_tag("v1", media_type::IMAGE_MANIFEST, &bytes);
    (fake, Descriptor::of(media_type::IMAGE_MANIFEST, &bytes))
}

fn digest_of(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}
