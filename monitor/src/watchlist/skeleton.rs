//! What a name looks like: two names with one skeleton are mistaken for each other by people, and by tools that cut at
//! NUL.
use std::borrow::Cow;

use unicode_security::confusable_detection::skeleton as confusables;

use super::punycode;

/// The skeleton of a whole name, from that of its text: without the dots and slashes at its end.
pub(super) fn whole(skeleton: &str) -> &str {
    skeleton.trim_end_matches(['.', '/'])
}

/// The skeleton of a text, which may be a part of a name.
pub(super) fn of(name: &str) -> String {
    let plain = decoded(name);
    let mut skeleton = String::with_capacity(plain.len());
    for c in plain.chars() {
        if c.is_ascii() {
            push(&mut skeleton, c);
        } else if !is_invisible(c) {
            let mut buffer = [0; 4];
            for c in confusables(c.encode_utf8(&mut buffer)) {
                if c.is_ascii() {
                    push(&mut skeleton, c);
                } else if !is_mark(c) {
                    skeleton.extend(c.to_lowercase());
                }
            }
        }
    }
    skeleton
}

/// Appends a character as it looks: `0` as `o`, `I`, `1` and `l` as one, `rn` as `m`, in lower case. Dots before a
/// slash or an at sign, and slashes after a slash, change nothing about where a URL leads.
fn push(skeleton: &mut String, c: char) {
    match c.to_ascii_lowercase() {
        c if c.is_ascii_control() || c == ' ' => {}
        '0' => skeleton.push('o'),
        '1' | 'i' | '|' | '!' => skeleton.push('l'),
        'n' if skeleton.ends_with('r') => replace_last(skeleton, 'm'),
        'v' if skeleton.ends_with('v') => replace_last(skeleton, 'w'),
        '/' | '\\' => {
            while skeleton.ends_with('.') {
                skeleton.pop();
            }
            if !skeleton.ends_with('/') {
                skeleton.push('/');
            }
        }
        '@' => {
            while skeleton.ends_with('.') {
                skeleton.pop();
            }
            skeleton.push('@');
        }
        c => skeleton.push(c),
    }
}

fn replace_last(skeleton: &mut String, by: char) {
    skeleton.pop();
    skeleton.push(by);
}

/// Without percent encoding and punycode, which browsers and mail programs show decoded.
fn decoded(name: &str) -> Cow<'_, str> {
    let name = if name.contains('%') { Cow::Owned(without_percent(name)) } else { Cow::Borrowed(name) };
    if !name.to_ascii_lowercase().contains("xn--") {
        return name;
    }
    let mut text = String::with_capacity(name.len());
    for part in name.split_inclusive(['.', '/', '@', ':']) {
        let label = part.trim_end_matches(['.', '/', '@', ':']);
        let decoded = match label.split_at_checked(4) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("xn--") => punycode::decode(rest),
            _ => None,
        };
        text.push_str(decoded.as_deref().unwrap_or(label));
        text.push_str(part.get(label.len()..).unwrap_or_default());
    }
    Cow::Owned(text)
}

fn without_percent(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.first_chunk::<2>().filter(|_| *first == b'%');
        let mut byte = [0];
        match digits {
            Some(digits) if hex::decode_to_slice(digits, &mut byte).is_ok() => {
                bytes.extend(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Shows nothing: joiners, direction marks, soft hyphens, variation selectors, tags; and what was no UTF-8.
fn is_invisible(c: char) -> bool {
    let marks = [
        '\u{ad}', '\u{34f}', '\u{61c}', '\u{115f}', '\u{1160}', '\u{17b4}', '\u{17b5}', '\u{3164}', '\u{feff}',
        '\u{ffa0}',
    ];
    c.is_whitespace()
        || c.is_control()
        || marks.contains(&c)
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{fff0}'..='\u{fffd}' | '\u{e0000}'..='\u{e0fff}')
}

/// Combining marks: the dots, strokes and accents of the letter before.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}')
        || matches!(c, '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}
