//! Both writers against a log that is asked to lie, forget, lag and refuse.

pub(crate) mod fake;
mod v1;
mod v2;

use std::time::Duration;

use bundle::{Digest, Format, ImageReference};
use outbound::{Client, ClientConfig};

use super::*;
use crate::key::KeyBackend;
use crate::key::file::{self, FileKey};
use crate::{Retry, Signed, Subject, sign};

const P256: &str = include_str!("../key/file/testdata/test-only-p256-sec1.pem");
const ED25519: &str = include_str!("../key/file/testdata/test-only-ed25519.pem");

/// Quick enough for a test, and as persistent as the default.
const RETRY: Retry = Retry { attempts: 3, first_delay: Duration::from_millis(4), max_delay: Duration::from_secs(2) };

fn client() -> Client {
    Client::new(ClientConfig::default()).unwrap()
}

fn key() -> FileKey {
    file::load(P256.as_bytes(), None).unwrap()
}

async fn signed(key: &FileKey, format: Format, content: &[u8]) -> Signed {
    let image = ImageReference {
        name: bundle::ImageName {
            registry: "registry.example.com".parse().unwrap(),
            repository: "team/app".parse().unwrap(),
        },
        digest: Digest::of(content),
    };
    let subject = Subject { image: &image, docker_reference: image.name.docker_reference() };
    sign(key, &subject, format).await.unwrap()
}

async fn entry(format: Format) -> NewEntry {
    let key = key();
    signed(&key, format, b"image").await.new_entry(key.public_key())
}

async fn other_entry(format: Format) -> NewEntry {
    let key = key();
    signed(&key, format, b"another image").await.new_entry(key.public_key())
}
