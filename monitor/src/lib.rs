//! Reads transparency logs: every leaf hashed into a signed root, every signature that is not ours found, people told.
//!
//! It needs no key and no registry credential, and names neither the signer nor the watcher: the check is independent
//! of what it checks. An *error* here says that we could not look; a *finding* says what we saw.

pub mod alert;
pub mod config;
pub mod evidence;
pub mod finding;
pub mod follow;
pub mod health;
pub mod inclusion;
pub mod intents;
pub mod log;
pub mod metrics;
mod monitor;
pub mod observe;
pub mod reconcile;
pub mod shadow;
pub mod shards;
mod task;
pub mod trust_record;
pub mod watchlist;

pub use config::{Coverage, LogKind, LogSpec, MonitorConfig, SinkConfig, Timing};
pub use monitor::{Adopted, Compared, From, LogReport, Monitor, MonitorError, OnceReport, Progress};
