//! The flags of `dead-letters`.

use clap::{Args, Subcommand};

use super::ConfigFile;

/// `sealwatch dead-letters …`.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List them, newest first
    List {
        #[command(flatten)]
        config: ConfigFile,
        /// Only of this source: [source.NAME]
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = crate::commands::dead_letters::LINES)]
        limit: u32,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one: what it says by the configuration as it is now, and the start of its body
    Show {
        #[command(flatten)]
        config: ConfigFile,
        /// Its number
        id: i64,
        /// As JSON, with all of the body that is kept
        #[arg(long)]
        json: bool,
    },
    /// Read them again by the configuration as it is now, and take in their pushes; exit 1 where there are none
    Replay(ReplayFlags),
}

/// `sealwatch dead-letters replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayFlags {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// This one, by its number; also where it was replayed before
    #[arg(required_unless_present_any = ["source", "all"], conflicts_with_all = ["source", "all"])]
    pub(crate) id: Option<i64>,
    /// All of this source that were not replayed
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    pub(crate) source: Option<String>,
    /// All that were not replayed
    #[arg(long)]
    pub(crate) all: bool,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}
