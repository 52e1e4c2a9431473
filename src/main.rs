//! sealwatch signs every image that is pushed to a registry, and keeps the proof. This is the roof of the house: the
//! only crate that sees every room.

mod admin;
mod cli;
mod commands;
mod config;
mod demo;
mod ended;
mod listen;
mod logging;
mod rooms;
mod run;
mod say;
mod trust;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command, ConfigCommand, KeyCommand, Role};
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
    let quiet = !matches!(cli.command, Command::Up(_) | Command::Serve { .. });
    let filter = if quiet && cli.log == "info" { "warn" } else { cli.log.as_str() };
    logging::start(cli.log_format, filter)?;
    match cli.command {
        Command::Up(file) => run::run(&Config::load(&file.config)?, run::Roles::ALL).await,
        Command::Serve { config, role: Role::Intake } => {
            run::run(&Config::load(&config.config)?, run::Roles::INTAKE).await
        }
        Command::Serve { config, role: Role::Worker } => {
            run::run(&Config::load(&config.config)?, run::Roles::WORKER).await
        }
        Command::Serve { role: Role::Monitor, .. } => Ok(not_built("serve --role monitor")),
        Command::Demo { exit, no_referrers_api, dir } => demo::demo(exit, !no_referrers_api, dir).await,
        Command::Sign { config, image } => commands::sign::sign(&Config::load(&config.config)?, &image).await,
        Command::Verify(verify) => commands::verify::verify(&verify).await,
        Command::Explain { config, image, json } => {
            commands::explain::explain(&Config::load(&config.config)?, &image, json).await
        }
        Command::Status { config, json } => commands::status::status(&Config::load(&config.config)?, json).await,
        Command::Retry { config, image } => {
            commands::retry::retry(&Config::load(&config.config)?, image.as_deref()).await
        }
        Command::Config { command: ConfigCommand::Check { config, file_only } } => {
            commands::config_check::check(&config.config, file_only)
        }
        Command::Key { command: KeyCommand::Create { output_key_prefix, password_file } } => {
            commands::key::create(&output_key_prefix, password_file.as_deref())
        }
        Command::Key { command: KeyCommand::Public { key, password_file } } => {
            commands::key::public(&key, password_file.as_deref())
        }
        Command::Kit { config, out } => commands::kit::kit(&Config::load(&config.config)?, &out),
        Command::Sweep(_) => Ok(not_built("sweep")),
        Command::Backfill(_) => Ok(not_built("backfill")),
        Command::Findings(_) => Ok(not_built("findings")),
        Command::Evidence(_) => Ok(not_built("evidence")),
        Command::Logs(_) => Ok(not_built("logs")),
        Command::Freeze(_) => Ok(not_built("freeze")),
        Command::Thaw(_) => Ok(not_built("thaw")),
        Command::Drill(_) => Ok(not_built("drill")),
    }
}

fn not_built(what: &str) -> u8 {
    say::complain(format_args!(
        "sealwatch: `{what}` is not built yet; this version signs pushes, verifies and explains"
    ));
    USAGE
}
