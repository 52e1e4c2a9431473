//! The subcommands and their flags. Exit codes: 0 clean, 1 a finding or a failed verification, 2 usage or
//! configuration, 3 could not look.

mod letters;
mod monitor;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use letters::{DeadLettersCommand, ReplayFlags};
pub(crate) use monitor::{EvidenceCommand, FindingsCommand, FindingsFilter, From, LogsCommand, WatchCommand};

/// Signs every image that is pushed to a registry, so that stock cosign and podman accept it, and watches the
/// transparency logs for signatures that are not ours.
#[derive(Debug, Parser)]
#[command(name = "sealwatch", version = crate::version::version(), max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// How logs are written; by default for a person on a terminal, as JSON otherwise
    #[arg(long, global = true, value_enum, env = "SEALWATCH_LOG_FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// Which logs are written, for example `info` or `watcher=debug,info`
    #[arg(long, global = true, env = "SEALWATCH_LOG", default_value = "info")]
    pub(crate) log: String,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For a person.
    Human,
    /// One JSON object a line.
    Json,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process: take webhooks, sign, attach
    Up(ConfigFile),
    /// Run one role of several processes that share a PostgreSQL store
    Serve {
        #[command(flatten)]
        config: ConfigFile,
        /// `intake` takes webhooks and holds no key and no registry credential; `worker` signs; `monitor` reads the
        /// logs, and holds no key and no registry credential either
        #[arg(long, value_enum)]
        role: Role,
    },
    /// Show the whole story in one process, with nothing installed: a registry, a log, a push, a signature
    Demo {
        /// End after the story; exit 0 only if every step was verified
        #[arg(long)]
        exit: bool,
        /// A registry without the referrers API, as most still are (signatures go to a fallback tag)
        #[arg(long)]
        no_referrers_api: bool,
        /// Where the sandbox keeps its key, trusted root and database; by default a new temporary folder
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Run a transparency log and a timestamp authority of your own, to try sealwatch with a registry that you have.
    /// NOT FOR PRODUCTION
    ///
    /// NOT FOR PRODUCTION: the keys are plain files and it listens on this machine only. Keys, certificates and entries
    /// are kept in the folder, so that the next run goes on with the same log. trusted_root.json and signing_config.json
    /// are written there, and the lines for a configuration are printed. It runs until Ctrl-C.
    Lab(LabFlags),
    /// Sign one image by hand, by the same rules and through the same ledger as a push
    Sign {
        #[command(flatten)]
        config: ConfigFile,
        /// HOST/REPOSITORY:TAG
        image: String,
    },
    /// Verify an image's signatures offline, as `cosign verify` would
    Verify(Verify),
    /// Say why an image was signed or not, and print the `cosign verify` lines that accept it
    Explain {
        #[command(flatten)]
        config: ConfigFile,
        /// HOST/REPOSITORY[:TAG][@DIGEST]
        image: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List what waits and what is parked, and count what is signed and skipped; exit 1 where something is parked
    Status {
        #[command(flatten)]
        config: ConfigFile,
        /// At most so many lines of each list
        #[arg(long, value_name = "N", default_value_t = crate::commands::status::LINES)]
        limit: u32,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Send parked work again, and hurry what waits; exit 1 where there is none
    Retry {
        #[command(flatten)]
        config: ConfigFile,
        /// This image's: HOST/REPOSITORY[:TAG][@DIGEST]; each part that is named must fit
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        image: Option<String>,
        /// All that waits or is parked
        #[arg(long)]
        all: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List the webhook bodies that were not understood, and take them in after all
    DeadLetters {
        #[command(subcommand)]
        command: DeadLettersCommand,
    },
    /// Look at a configuration without running it
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Make keys, and show their public half
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Say what an identity is, where that is a person's word
    Identity {
        #[command(subcommand)]
        command: IdentityCommand,
    },
    /// Write what a verifier needs: public keys, trusted root, policy files, the exact commands
    Kit {
        #[command(flatten)]
        config: ConfigFile,
        /// The folder to write into; made if it is not there
        #[arg(long, value_name = "DIR", default_value = "kit")]
        out: PathBuf,
    },
    /// (not built yet) Look for images that no webhook told us of
    #[command(hide = true)]
    Sweep(NotBuilt),
    /// (not built yet) Sign what was pushed before sealwatch ran
    #[command(hide = true)]
    Backfill(NotBuilt),
    /// Read the logs once, or until stopped, without signing anything
    Monitor {
        #[command(flatten)]
        config: ConfigFile,
        /// Read each log to the head that it shows now, then end: 0 clean, 1 a finding, 3 could not look
        #[arg(long)]
        once: bool,
        /// As JSON (with --once)
        #[arg(long, requires = "once")]
        json: bool,
    },
    /// Show the logs that are followed, and how far each is verified
    Logs {
        #[command(flatten)]
        config: ConfigFile,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(subcommand)]
        command: Option<LogsCommand>,
    },
    /// List what the monitor found
    Findings {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        filter: FindingsFilter,
        /// As JSON
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        command: Option<FindingsCommand>,
    },
    /// Export the evidence of a finding, or replay a file of it offline
    Evidence {
        #[command(subcommand)]
        command: EvidenceCommand,
    },
    /// What was seen of identities that are only observed
    Watch {
        #[command(subcommand)]
        command: WatchCommand,
    },
    /// Attack a sandbox in every way that is known, and prove that each alarm goes off
    Drill {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Only the attacks whose name contains this
        #[arg(long, value_name = "NAME")]
        only: Option<String>,
        /// Keep each attack's evidence in this folder
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// (not built yet) Stop all signing
    #[command(hide = true)]
    Freeze(NotBuilt),
    /// (not built yet) Sign again after a freeze
    #[command(hide = true)]
    Thaw(NotBuilt),
}

/// The arguments of a command that is not built yet.
#[derive(Debug, Args)]
pub(crate) struct NotBuilt {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub(crate) rest: Vec<String>,
}

/// The configuration file of a command.
#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", env = "SEALWATCH_CONFIG", default_value = "sealwatch.toml")]
    pub(crate) config: PathBuf,
}

/// One role of several processes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Role {
    /// Takes webhooks.
    Intake,
    /// Signs.
    Worker,
    /// Reads logs.
    Monitor,
}

/// `sealwatch verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// HOST/REPOSITORY[:TAG][@DIGEST]
    pub(crate) image: String,
    /// The public key (PEM) that must have signed it
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// A trusted_root.json with the logs and timestamp authorities to believe
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// Which signatures count
    #[arg(long, value_enum, default_value = "any")]
    pub(crate) format: FormatChoice,
    /// Accept a signature that no transparency log vouches for
    #[arg(long)]
    pub(crate) insecure_ignore_tlog: bool,
    /// Require a timestamp (RFC 3161) of a trusted authority
    #[arg(long)]
    pub(crate) use_signed_timestamps: bool,
    /// The registry speaks plain HTTP
    #[arg(long, visible_alias = "allow-http-registry")]
    pub(crate) plain_http: bool,
    /// A PEM file with the registry's private CA
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// A docker config.json with the registry's credentials; by default $DOCKER_CONFIG's or ~/.docker's
    #[arg(long, value_name = "FILE")]
    pub(crate) docker_config: Option<PathBuf>,
    /// HOST[:PORT] beside the registry that may ask for its credentials as token service; repeat for several
    #[arg(long, value_name = "HOST")]
    pub(crate) realm_host: Vec<String>,
    /// HOST[:PORT] on a private network that the registry may redirect downloads to; repeat for several
    #[arg(long, value_name = "HOST")]
    pub(crate) blob_host: Vec<String>,
    /// A configuration file: its [registry."HOST"] says how the registry is reached, and the log entries that are met are
    /// kept in its store, for its monitor to check; without it nothing is kept
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which signatures count.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum FormatChoice {
    /// Either.
    Any,
    /// The Sigstore bundle.
    Bundle,
    /// The `.sig` tag.
    Legacy,
}

/// `sealwatch config …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a file, all that it names, and say what it means
    Check(CheckFlags),
}

/// `sealwatch config check`.
#[derive(Debug, Args)]
pub(crate) struct CheckFlags {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Only the file itself, not the keys, secrets and trust material that it names
    #[arg(long)]
    pub(crate) file_only: bool,
    /// Also ask the store, the registries, the logs and the timestamp authorities, and try each key. Nothing is created,
    /// migrated, logged or signed for anybody to see
    #[arg(long, conflicts_with = "file_only")]
    pub(crate) online: bool,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `sealwatch lab`.
#[derive(Debug, Args)]
pub(crate) struct LabFlags {
    /// The folder that keeps it from run to run; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The port of the log on 127.0.0.1; by default that of the last run, at first 9191
    #[arg(long, value_name = "PORT")]
    pub(crate) log_port: Option<u16>,
    /// The port of the timestamp authority on 127.0.0.1; by default that of the last run, at first 9192
    #[arg(long, value_name = "PORT")]
    pub(crate) timestamp_port: Option<u16>,
}

/// `sealwatch identity …`.
#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// Record that an identity's trust zone was renamed: it goes on in the zone that the rules name
    Rezone {
        #[command(flatten)]
        config: ConfigFile,
        /// The identity's name: [identity.NAME]
        name: String,
        /// Why: recorded with the change
        #[arg(long)]
        because: String,
    },
}

/// `sealwatch key …`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a P-256 key pair in cosign's format: PREFIX.key (encrypted) and PREFIX.pub
    Create {
        /// What the two files are called
        #[arg(long, value_name = "PREFIX", default_value = "sealwatch")]
        output_key_prefix: PathBuf,
        /// A file with the password; else COSIGN_PASSWORD
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Print the public half of a key file as PEM
    Public {
        /// The key file
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// A file with the password; else COSIGN_PASSWORD
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}
