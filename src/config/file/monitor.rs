//! The monitor's tables: how patient it is, what is ours, whom to tell.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

/// `[monitor]`: how the logs are read. Durations are written like "10s", "15m", "30d".
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MonitorTable {
    pub(crate) interval: Option<Spanned<String>>,
    pub(crate) confirm_for: Option<Spanned<String>>,
    pub(crate) rollback_after: Option<Spanned<String>>,
    pub(crate) grace: Option<Spanned<String>>,
    pub(crate) inclusion_deadline: Option<Spanned<String>>,
    pub(crate) stale_after: Option<Spanned<String>>,
    pub(crate) blind_after: Option<Spanned<String>>,
    pub(crate) lag_after: Option<Spanned<String>>,
    pub(crate) never_matched_after: Option<Spanned<String>>,
    pub(crate) clock_skew: Option<Spanned<String>>,
    pub(crate) refresh_every: Option<Spanned<String>>,
    pub(crate) reproof_every: Option<Spanned<String>>,
    pub(crate) sink_dead_after: Option<Spanned<String>>,
    pub(crate) heartbeat_every: Option<Spanned<String>>,
    pub(crate) heartbeat_url_file: Option<Spanned<PathBuf>>,
    pub(crate) heartbeat_url_env: Option<Spanned<String>>,
    /// The record of what was trusted, outside of the database.
    pub(crate) trust_record: Option<Spanned<PathBuf>>,
    pub(crate) segment_leaves: Option<Spanned<u64>>,
    pub(crate) in_flight: Option<Spanned<u32>>,
}

/// `[[watch]]`: an identity or a key that is ours.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchTable {
    pub(crate) name: Option<Spanned<String>>,
    /// "alert" (by default), "expect" or "observe".
    pub(crate) mode: Option<Spanned<String>>,
    /// Exact, or with `*` for anything.
    pub(crate) subject: Option<Spanned<String>>,
    pub(crate) subject_regex: Option<Spanned<String>>,
    pub(crate) not_subject: Option<Spanned<String>>,
    pub(crate) issuer: Option<Spanned<String>>,
    pub(crate) issuer_regex: Option<Spanned<String>>,
    pub(crate) not_issuer: Option<Spanned<String>>,
    /// By name or OID; `!NAME` for what it must not be.
    #[serde(default)]
    pub(crate) extensions: BTreeMap<String, Spanned<String>>,
    pub(crate) key_file: Option<Spanned<PathBuf>>,
    /// Of a key: nobody uses it any more, not we either.
    pub(crate) retired: Option<Spanned<bool>>,
}

/// `[[alert]]`: somebody to tell.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertTable {
    pub(crate) kind: Spanned<String>,
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) min_severity: Option<Spanned<String>>,
    pub(crate) url: Option<Spanned<String>>,
    pub(crate) url_file: Option<Spanned<PathBuf>>,
    pub(crate) url_env: Option<Spanned<String>>,
    /// The HMAC key of a webhook, the routing key of PagerDuty.
    pub(crate) secret_file: Option<Spanned<PathBuf>>,
    pub(crate) secret_env: Option<Spanned<String>>,
    pub(crate) ca_file: Option<Spanned<PathBuf>>,
    pub(crate) username: Option<Spanned<String>>,
    pub(crate) password_file: Option<Spanned<PathBuf>>,
    pub(crate) password_env: Option<Spanned<String>>,
    pub(crate) from: Option<Spanned<String>>,
    pub(crate) to: Option<Spanned<Vec<String>>>,
    /// Mail without TLS to a host that is not this one.
    pub(crate) plain: Option<Spanned<bool>>,
    pub(crate) command: Option<Spanned<Vec<String>>>,
}
