//! Logs by tracing: for a person on a terminal, as JSON otherwise; always on standard error.

use std::io::{self, IsTerminal as _, Write};

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;
use crate::say::plain;

/// Starts the process's log.
pub(crate) fn start(format: Option<LogFormat>, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("--log {filter:?}: use for example `info` or `watcher=debug,info`"))?;
    let terminal = io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Human } else { LogFormat::Json });
    let base = tracing_subscriber::fmt().with_env_filter(filter);
    let started = match format {
        LogFormat::Human => base
            .with_writer(|| OneLine(io::stderr()))
            .with_ansi(terminal && wants_colour(std::env::var_os("NO_COLOR").as_deref()))
            .with_target(false)
            .try_init(),
        LogFormat::Json => base.with_writer(io::stderr).json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}

/// SPEC: "when present and not an empty string (regardless of its value), prevents the addition of ANSI color"
/// (no-color.org).
fn wants_colour(no_color: Option<&std::ffi::OsStr>) -> bool {
    no_color.is_none_or(|value| value.is_empty())
}

/// Writes each event as one line, with nothing of a stranger's text that acts on a terminal: of escape sequences only
/// colours pass. An event comes in one write, whose last line end is the formatter's own.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (mut rest, end) = match text.strip_suffix('\n') {
            Some(body) => (body, "\n"),
            None => (text.as_ref(), ""),
        };
        let mut line = String::with_capacity(text.len());
        while let Some(at) = rest.find(ESCAPE) {
            line.push_str(&plain(&rest[..at]));
            let length = colour(&rest[at..]);
            if length == 0 {
                line.push_str(&plain(&rest[at..at + 1]));
            }
            line.push_str(&rest[at..at + length]);
            rest = &rest[at + length.max(1)..];
        }
        line.push_str(&plain(rest));
        line.push_str(end);
        self.0.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

const ESCAPE: char = '\u{1b}';

/// How many bytes at the start of a text set a colour (`ESC [ … m`).
fn colour(text: &str) -> usize {
    let Some(rest) = text.strip_prefix("\u{1b}[") else { return 0 };
    match rest.find(|c: char| !c.is_ascii_digit() && c != ';') {
        Some(end) if rest[end..].starts_with('m') => end + 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_a_stranger_wrote() {
        let mut out = OneLine(Vec::new());
        out.write_all("\u{1b}[33m WARN\u{1b}[0;1m a\nfake\r\u{202e}x\u{1b}[2Jy\u{1b}]0;z\u{7}\u{1b}\n".as_bytes())
            .unwrap();
        out.flush().unwrap();
        let text = String::from_utf8(out.0).unwrap();
        assert_eq!(text, "\u{1b}[33m WARN\u{1b}[0;1m a\\nfake\\r\\u202ex\\u001b[2Jy\\u001b]0;z\\u0007\\u001b\n");
    }

    #[test]
    fn no_colour_where_none_is_wanted() {
        use std::ffi::OsStr;
        assert!(wants_colour(None));
        assert!(wants_colour(Some(OsStr::new(""))));
        assert!(!wants_colour(Some(OsStr::new("1"))));
    }
}
