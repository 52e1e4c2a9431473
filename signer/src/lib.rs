//! Keys, and the write side of the transparency log.
//!
//! # What's in scope
//! `sign` turns a digest into signature bytes, `publish` turns those bytes into logged, stamped and verified material.
//! Both sit behind ports to the outside world: a key ([`key::KeyBackend`]) and a log ([`rekor::LogWriter`]).
//!
//! # What's out of scope
//! What a signature *is*, and its verification (`bundle`); what a log is (`tlog`); remembering what was signed (the
//! worker records it in the store between the two steps); registries (`watcher`); reading logs for signatures that are
//! not ours (`monitor`).

pub mod error;
pub mod key;
pub mod publish;
pub mod rekor;
pub mod retry;
pub mod services;
pub mod sign;
pub mod supported;
pub mod timestamp;

pub use error::{PublishError, SignError};
pub use key::{KeyBackend, KeyError};
pub use publish::{Artifact, Published, assemble, publish, write_log};
pub use rekor::{LogError, LogWriter};
pub use retry::Retry;
pub use services::Services;
pub use sign::{Signed, Subject, sign};
pub use supported::{Unsupported, check_supported};
pub use timestamp::{TimestampAuthority, TimestampError};
