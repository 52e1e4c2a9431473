//! sealwatch signs every image that is pushed to a registry, and watches the logs for signatures that are not ours. This is the roof of the house: the
//! only crate that sees every room.

mod admin;
mod cli;
mod commands;
mod config;
mod demo;
mod drill;
mod ended;
mod listen;
mod logging;
mod rooms;
mod run;
mod say;
mod trust;
mod version;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{
    Cli, Command, ConfigCommand, DeadLettersCommand, EvidenceCommand, FindingsCommand, IdentityCommand, KeyCommand,
    LogsCommand, Role, WatchCommand,
};
use commands::{COULD_NOT_LOOK, USAGE};
use config::{Config, Problems};
use ended::Ended;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One TLS provider for the process; a second call would only find it installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(dispatch(cli)));
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let code = match error.downcast_ref::<Ended>() {
                Some(ended) => ended.code,
                None if error.downcast_ref::<Problems>().is_some() => USAGE,
                None => COULD_NOT_LOOK,
            };
            say::complain(format_args!("sealwatch: {}", whole(&error).trim_end()));
            ExitCode::from(code)
        }
    }
}

/// The error and its causes, each thing said once: some causes repeat what stands behind them.
fn whole(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

async fn dispatch(cli: Cli) -> anyhow::Result<u8> {
    // Commands that print an answer log only what is wrong, unless asked for more.
    let quiet = !matches!(cli.command, Command::Up(_) | Command::Serve { .. } | Command::Monitor { once: false, .. });
    // What is found in a sandbox is told by the story itself.
    let sandbox = matches!(cli.command, Command::Demo { .. } | Command::Drill { .. });
    let filter = match (quiet, sandbox) {
        _ if cli.log != "info" => cli.log.as_str(),
        (_, true) => "error",
        (true, false) => "warn",
        (false, false) => "info",
    };
    logging::start(cli.log_format, filter)?;
    match cli.command {
        Command::Up(file) => run::run(&Config::load(&file.config)?, run::Roles::ALL).await,
        Command::Serve { config, role: Role::Intake } => {
            run::run(&Config::load(&config.config)?, run::Roles::INTAKE).await
        }
        Command::Serve { config, role: Role::Worker } => {
            run::run(&Config::load(&config.config)?, run::Roles::WORKER).await
        }
        Command::Serve { config, role: Role::Monitor } | Command::Monitor { config, once: false, json: _ } => {
            run::run(&Config::load(&config.config)?, run::Roles::MONITOR).await
        }
        Command::Monitor { config, once: true, json } => {
            commands::monitor::once(&Config::load(&config.config)?, json).await
        }
        Command::Logs { config, json, command: None } => {
            commands::logs::list(&Config::load(&config.config)?, json).await
        }
        Command::Logs { command: Some(LogsCommand::Trust { config, origin, all: _, because, from }), .. } => {
            commands::logs::trust(&Config::load(&config.config)?, origin.as_deref(), &because, from).await
        }
        Command::Logs { command: Some(LogsCommand::Rescan { config, origin, because }), .. } => {
            commands::logs::rescan(&Config::load(&config.config)?, &origin, &because).await
        }
        Command::Findings { config, filter, json, command: None } => {
            commands::findings::list(&Config::load(&config.config)?, &filter, json).await
        }
        Command::Findings { json, command: Some(FindingsCommand::Show { config, id }), .. } => {
            commands::findings::show(&Config::load(&config.config)?, id, json).await
        }
        Command::Findings { command: Some(FindingsCommand::Ack { config, id, because, for_ }), .. } => {
            commands::findings::acknowledge(&Config::load(&config.config)?, id, &because, &for_).await
        }
        Command::Findings { command: Some(FindingsCommand::Adopt { config, id, because }), .. } => {
            commands::findings::adopt(&Config::load(&config.config)?, id, &because).await
        }
        Command::Findings { command: Some(FindingsCommand::Close { config, id, because }), .. } => {
            commands::findings::close(&Config::load(&config.config)?, id, &because).await
        }
        Command::Evidence { command: EvidenceCommand::Export { config, id, out } } => {
            commands::evidence::export(&Config::load(&config.config)?, id, &out).await
        }
        Command::Evidence { command: EvidenceCommand::Verify { file, json } } => {
            commands::evidence::verify(&file, json)
        }
        Command::Watch { command: WatchCommand::Draft { config, name } } => {
            commands::watch::draft(&Config::load(&config.config)?, &name).await
        }
        Command::Drill { json, only, out } => drill::drill(json, only.as_deref(), out.as_deref()).await,
        Command::Demo { exit, no_referrers_api, dir } => demo::demo(exit, !no_referrers_api, dir).await,
        Command::Lab(flags) => commands::lab::lab(&flags).await,
        Command::Sign { config, image } => commands::sign::sign(&Config::load(&config.config)?, &image).await,
        Command::Verify(verify) => commands::verify::verify(&verify).await,
        Command::Explain { config, image, json } => {
            commands::explain::explain(&Config::load(&config.config)?, &image, json).await
        }
        Command::Status { config, limit, json } => {
            commands::status::status(&Config::load(&config.config)?, limit, json).await
        }
        Command::Retry { config, image, all: _, json } => {
            commands::retry::retry(&Config::load(&config.config)?, image.as_deref(), json).await
        }
        Command::DeadLetters { command: DeadLettersCommand::List { config, source, limit, json } } => {
            commands::dead_letters::list(&Config::load(&config.config)?, source, limit, json).await
        }
        Command::DeadLetters { command: DeadLettersCommand::Show { config, id, json } } => {
            commands::dead_letters::show(&Config::load(&config.config)?, id, json).await
        }
        Command::DeadLetters { command: DeadLettersCommand::Replay(flags) } => {
            commands::dead_letters::replay(&Config::load(&flags.config.config)?, &flags).await
        }
        Command::Config { command: ConfigCommand::Check(flags) } => commands::config_check::check(&flags).await,
        Command::Key { command: KeyCommand::Create { output_key_prefix, password_file } } => {
            commands::key::create(&output_key_prefix, password_file.as_deref())
        }
        Command::Key { command: KeyCommand::Public { key, password_file } } => {
            commands::key::public(&key, password_file.as_deref())
        }
        Command::Identity { command: IdentityCommand::Rezone { config, name, because } } => {
            commands::identity::rezone(&Config::load(&config.config)?, &name, &because).await
        }
        Command::Kit { config, out } => commands::kit::kit(&Config::load(&config.config)?, &out),
        Command::Sweep(_) => Ok(not_built("sweep")),
        Command::Backfill(_) => Ok(not_built("backfill")),
        Command::Freeze(_) => Ok(not_built("freeze")),
        Command::Thaw(_) => Ok(not_built("thaw")),
    }
}

fn not_built(what: &str) -> u8 {
    say::complain(format_args!(
        "sealwatch: `{what}` is not built yet; this version signs pushes, verifies, explains and watches logs"
    ));
    USAGE
}
