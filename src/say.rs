//! Standard output, for commands whose product is text. A closed pipe ends the program quietly.
//!
//! Tags, error texts of registries and subjects of certificates are the words of strangers. Every line that is written
//! here passes [`plain`], so none of them can move a cursor, reverse the reading order or begin a line of its own.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;

/// Writes one line to standard output. A line end within it is shown as `\n`; [`say::block`](crate::say::block) writes
/// several lines.
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => { $crate::say::line(format_args!($($arg)*)) };
}

/// Writes one line to standard output.
pub(crate) fn line(text: std::fmt::Arguments<'_>) {
    let text = text.to_string();
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{}", plain(&text)).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Writes a text of several lines, such as a PEM block, to standard output.
pub(crate) fn block(text: &str) {
    for each in text.lines() {
        line(format_args!("{each}"));
    }
}

/// Writes a text of one or more lines to standard error.
pub(crate) fn complain(text: std::fmt::Arguments<'_>) {
    let mut err = std::io::stderr().lock();
    for each in text.to_string().lines() {
        // Nowhere is left to say that standard error is closed.
        let _ = writeln!(err, "{}", plain(each));
    }
}

/// The text with every character that acts on a terminal, or that hides or reorders what stands beside it, written as
/// JSON writes it: `\n`, `\u001b`, `\u202e`. A line of JSON means the same afterwards.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if acts(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // A String takes everything.
                    let _ = write!(shown, "\\u{unit:04x}");
                }
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Whether a character does something else than stand where it is: control characters (C0 and C1), line and paragraph
/// separators, marks and overrides of the reading order, zero-width characters, and tags.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_shown_and_not_done() {
        for (text, shown) in [
            ("team/app:v1 ist grün — 日本語 ✓", "team/app:v1 ist grün — 日本語 ✓"),
            ("\u{1b}[2J\u{1b}]0;title\u{7}", "\\u001b[2J\\u001b]0;title\\u0007"),
            ("one\r\ntwo\tthree", "one\\r\\ntwo\\tthree"),
            ("\u{9b}31m csi of one byte", "\\u009b31m csi of one byte"),
            ("\u{7f}\u{0}", "\\u007f\\u0000"),
            ("gnp\u{202e}exe", "gnp\\u202eexe"),
            ("\u{2066}isolated\u{2069}\u{200f}", "\\u2066isolated\\u2069\\u200f"),
            ("a\u{200b}b\u{feff}c\u{ad}d", "a\\u200bb\\ufeffc\\u00add"),
            ("x\u{2028}y\u{2029}z\u{85}", "x\\u2028y\\u2029z\\u0085"),
            ("tag\u{e0041}", "tag\\udb40\\udc41"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn a_line_of_json_means_the_same_afterwards() {
        let value = serde_json::json!({ "said": "a\u{202e}b\u{85}c\n\u{1b}[0m\u{e0041}\u{7f}" });
        let line = value.to_string();
        let shown = plain(&line);
        assert!(shown.chars().all(|c| !acts(c)));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn nothing_that_acts_is_left_in_any_text() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let text = format!("a{c}b");
            assert!(!plain(&text).chars().any(acts), "{:x}", u32::from(c));
        }
    }
}
