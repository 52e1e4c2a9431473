//! The flags of the commands that look at logs and findings.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ConfigFile;

/// `sealwatch logs …`.
#[derive(Debug, Subcommand)]
pub(crate) enum LogsCommand {
    /// Begin to follow a log, or begin again after its state was lost: an act that is recorded with its reason
    Trust {
        #[command(flatten)]
        config: ConfigFile,
        /// The log's origin, as `sealwatch logs` names it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        origin: Option<String>,
        /// Every log that the configuration names and that was never trusted
        #[arg(long)]
        all: bool,
        /// Why, for whoever reads the record later
        #[arg(long, value_name = "TEXT")]
        because: String,
        /// Where to begin: at the first leaf, or at the log's head (what is before it is not covered)
        #[arg(long, value_enum, default_value = "zero")]
        from: From,
    },
    /// Read a followed log again from its first leaf, for watches that were added later; its head stays what it is
    Rescan {
        #[command(flatten)]
        config: ConfigFile,
        /// The log's origin, as `sealwatch logs` names it
        origin: String,
        /// Why, for whoever reads the record later
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
}

/// Where a log is followed from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum From {
    /// The first leaf.
    Zero,
    /// The head that the log shows now.
    Now,
}

/// Which findings.
#[derive(Debug, Args)]
pub(crate) struct FindingsFilter {
    /// Also those that are acknowledged or over
    #[arg(long)]
    pub(crate) all: bool,
    /// Only this kind, for example `key_used_outside`
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Only from this severity up: info, warning or critical
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) min_severity: Option<String>,
    /// Only of this log
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Option<String>,
    /// At most so many, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u32,
}

/// `sealwatch findings …`.
#[derive(Debug, Subcommand)]
pub(crate) enum FindingsCommand {
    /// Show one finding whole
    Show {
        #[command(flatten)]
        config: ConfigFile,
        /// Its number
        id: i64,
    },
    /// Take note of a finding: no more alerts for it until then, unless it worsens or goes on
    Ack {
        #[command(flatten)]
        config: ConfigFile,
        /// Its number
        id: i64,
        /// Why
        #[arg(long, value_name = "TEXT")]
        because: String,
        /// For how long, for example `7d`
        #[arg(long = "for", value_name = "TIME", default_value = "7d")]
        for_: String,
    },
    /// Say that a finding was dealt with: it is over, and comes back with the next event of its kind and cause
    Close {
        #[command(flatten)]
        config: ConfigFile,
        /// Its number
        id: i64,
        /// What came of it, for whoever reads it later
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
}

/// `sealwatch evidence …`.
#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// Write the evidence of a finding to files
    Export {
        #[command(flatten)]
        config: ConfigFile,
        /// The finding's number
        id: i64,
        /// The folder to write into; made if it is not there
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
    /// Replay a file of evidence: needs no network, no database and no configuration
    Verify {
        /// The file
        file: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// `sealwatch watch …`.
#[derive(Debug, Subcommand)]
pub(crate) enum WatchCommand {
    /// Draft `[[watch]] mode = "expect"` tables from what an observing watch saw, for a person to approve
    Draft {
        #[command(flatten)]
        config: ConfigFile,
        /// The name of the watch
        name: String,
    },
}
