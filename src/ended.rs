//! An end that is not the world's fault: what was typed cannot be (exit code 2), or the answer is a plain no (1).

use std::fmt;

use crate::commands::{FAILED, USAGE};

/// An error that knows its exit code; any other means that we could not look.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code.
    pub(crate) code: u8,
    text: String,
}

impl Ended {
    /// The command line or what it names is wrong.
    pub(crate) fn usage(text: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self { code: USAGE, text: text.into() })
    }

    /// We looked, and the answer is no.
    pub(crate) fn no(text: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self { code: FAILED, text: text.into() })
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Ended {}

/// Marks a failure as the command line's.
pub(crate) trait OrUsage<T> {
    /// The value, or an error that says what was named wrongly and why.
    fn or_usage(self, what: impl fmt::Display) -> anyhow::Result<T>;
}

impl<T, E: fmt::Display> OrUsage<T> for Result<T, E> {
    fn or_usage(self, what: impl fmt::Display) -> anyhow::Result<T> {
        self.map_err(|error| Ended::usage(format!("{what}: {error}")))
    }
}
