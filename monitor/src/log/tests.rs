//! The readers against logs on disk and a server that answers as it is told.

mod ct;
mod faults;
mod rekor_v1;
mod stub;
mod tiles;
mod vectors;

use std::sync::Arc;

use tlog::{Hash, LogKey};
use url::Url;

use super::{LogReader, Readers};
use crate::config::{Limits, LogKind, LogSpec};

/// A key that signs nothing here.
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAErPMePn3plpgpkO4USBveE8s7/hsP
1M3OoN1+R8PdafK1/o/1ncdSwjqfG8JzTs76PRZ8EbdA0cqRE/Z6qyGoNg==
-----END PUBLIC KEY-----
";

fn spec(kind: LogKind, origin: &str, read_url: Url) -> LogSpec {
    let key = LogKey::from_pem(KEY, None).expect("a log key");
    LogSpec { requests_per_second: Some(10_000), ..LogSpec::new(origin, kind, read_url, key) }
}

fn reader(kind: LogKind, origin: &str, read_url: Url) -> Arc<dyn LogReader> {
    Readers::new(Limits::default()).reader(&spec(kind, origin, read_url)).expect("a reader")
}

fn leaf(index: u64) -> Vec<u8> {
    format!(r#"{{"entry":{index}}}"#).into_bytes()
}

fn hashes(size: u64) -> Vec<Hash> {
    (0..size).map(|index| tlog::leaf_hash(&leaf(index))).collect()
}
