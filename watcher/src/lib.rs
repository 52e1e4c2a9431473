//! Registries in, registries out: webhooks, the decision, the work of a push, the registry client.
//!
//! # What's in scope
//! Taking a registry's webhook and keeping it durably ([`webhook`], [`intake`]), asking the registry what it
//! means ([`resolve`]), deciding ([`policy`]), and bringing one digest from "pushed" to "signed and attached"
//! ([`worker`]) through the OCI distribution client ([`registry`]).
//!
//! # What's out of scope
//! Making signatures and talking to logs (`signer`), what a signature is (`bundle`), remembering (`store`, the
//! only SQL), reading the configuration file and listening on sockets (the roof, `sealwatch`).

mod clock;
pub mod config;
mod crash;
pub mod endpoint;
pub mod error;
pub mod glob;
pub mod intake;
pub mod met;
pub mod metrics;
pub mod policy;
pub mod progress;
pub mod pulse;
pub mod registry;
pub mod resolve;
mod turns;
pub mod webhook;
pub mod worker;

pub use config::{Identity, Limits, Platforms, Rule, Secrets, Source, SourceAuth, SourceKind, WatcherConfig};
pub use endpoint::Endpoint;
pub use glob::Glob;
pub use intake::Intake;
pub use metrics::Metrics;
pub use progress::{Progress, PushStep, StepSeen};
pub use pulse::Pulses;
pub use webhook::{HookState, router};
pub use worker::{Step, Worker};
