//! One TOML file. Secrets are named in it by path or environment variable and are read where they are used: none of them
//! ever sits in a [`Config`]. Paths are relative to the file's own folder.

pub(crate) mod check;
mod file;
pub(crate) mod guarded;
mod paths;
mod problem;
mod secret;
mod spelling;

use std::path::{Path, PathBuf};

pub(crate) use check::{DEFAULT_HOOKS, DEFAULT_METRICS, is_http};
pub(crate) use file::{
    AlertTable, AuthTable, File, IdentityTable, LogTable, MonitorTable, RegistryTable, SigstoreTable, SourceAuth,
    SourceTable, WatchTable,
};
pub(crate) use problem::{Problems, Warnings};
pub(crate) use secret::{password_of, read_password, read_secret, warn_of};
pub(crate) use spelling::{host_spelling, pattern_spelling};

/// A configuration file that parsed. What it says is checked against the world by the rooms' builders
/// ([`crate::rooms`]), which share its list of problems.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where it was read from.
    pub(crate) path: PathBuf,
    /// Its text, for line numbers.
    pub(crate) text: String,
    /// Its tables.
    pub(crate) file: File,
    /// What its checks and builders warned of so far.
    pub(crate) warnings: Warnings,
}

impl Config {
    /// Reads and parses a file, and runs the checks that need nothing but the file.
    pub(crate) fn load(path: &Path) -> Result<Self, Problems> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let mut problems = Problems::of(path, "");
            problems.note(
                0..0,
                format!("cannot be read: {error}"),
                "name the file with `--config FILE`; deploy/samples has some to start from",
            );
            problems
        })?;
        Self::parse(path, text)
    }

    /// The same for a text that is already here.
    pub(crate) fn parse(path: &Path, text: String) -> Result<Self, Problems> {
        let warnings = Warnings::default();
        let mut problems = Problems::of(path, &text).with_warnings(&warnings);
        match toml::from_str::<File>(&text) {
            Ok(mut file) => {
                paths::resolve(&mut file, path);
                check::check(&file, &mut problems);
                if problems.is_empty() {
                    return Ok(Self { path: path.to_owned(), text, file, warnings });
                }
            }
            Err(error) => {
                let message = error.message().to_owned();
                let fix = if message.contains("unknown field") {
                    "remove the key, or spell it as one of those expected; the README lists every key"
                } else if message.contains("missing field") {
                    "add the key to this table"
                } else {
                    "see the README's list of keys for the form of this value"
                };
                problems.note(error.span().unwrap_or(0..0), message.replace('\n', " "), fix);
            }
        }
        Err(problems)
    }

    /// An empty list of problems of this file, for the builders.
    pub(crate) fn problems(&self) -> Problems {
        Problems::of(&self.path, &self.text).with_warnings(&self.warnings)
    }
}

#[cfg(test)]
mod tests;
