//! Which build this is.

use std::sync::OnceLock;

/// The commit, where whoever built it said so in the environment: `SEALWATCH_COMMIT=$(git rev-parse --short HEAD) cargo
/// build --release`. No build script asks git, so that a build needs neither git nor a network.
pub(crate) const COMMIT: &str = match option_env!("SEALWATCH_COMMIT") {
    Some(commit) => commit,
    None => "",
};

/// What `--version` says after the name.
pub(crate) fn version() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let commit = if COMMIT.is_empty() { "commit unknown" } else { COMMIT };
        let features = if cfg!(feature = "crash-points") { ", with crash points" } else { "" };
        format!("{} ({commit}{features})", env!("CARGO_PKG_VERSION"))
    })
}
