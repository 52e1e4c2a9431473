//! Standard output, for commands whose product is text. A closed pipe ends the program quietly.

use std::io::Write as _;

/// Writes one line to standard output.
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => { $crate::say::line(format_args!($($arg)*)) };
}

/// Writes one line to standard output.
pub(crate) fn line(text: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Writes one line to standard error.
pub(crate) fn complain(text: std::fmt::Arguments<'_>) {
    // Nowhere is left to say that standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
