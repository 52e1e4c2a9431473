//! Patterns, compiled; and the part of each that every match has, by which they are found.
use regex::bytes::{Regex, RegexBuilder};

use super::rule::{Pattern, WatchError};

/// A pattern that is ready to be compared.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    Exact(Box<str>),
    /// The pieces between the stars, in order; two at least, the first and the last maybe empty.
    Glob(Vec<Box<str>>),
    Regex(Regex),
}

/// What every text that a pattern matches is, begins with or ends with. The places, counted from that edge, are of dots
/// that stand for any byte: who writes an expression often means a dot by them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Literal {
    Exact(String),
    Prefix(String, Vec<usize>),
    Suffix(String, Vec<usize>),
}

impl Matcher {
    pub(super) fn compile(rule: &str, field: &str, pattern: &Pattern) -> Result<Matcher, WatchError> {
        match pattern {
            Pattern::Exact(text) => Ok(Matcher::Exact(text.as_str().into())),
            Pattern::Glob(text) if !text.contains('*') => Ok(Matcher::Exact(text.as_str().into())),
            Pattern::Glob(text) => Ok(Matcher::Glob(text.split('*').map(Box::from).collect())),
            Pattern::Regex(text) => {
                let owned = |text: &str| text.to_owned();
                if !is_anchored(text) {
                    let (rule, field, pattern) = (owned(rule), owned(field), owned(text));
                    return Err(WatchError::Unanchored { rule, field, pattern, fix: anchored(text) });
                }
                // Whatever the flags within it do to `^` and `$`: from the first byte to the last.
                let whole =
                    RegexBuilder::new(&format!(r"\A(?:{text})\z")).unicode(false).dot_matches_new_line(true).build();
                whole.map(Matcher::Regex).map_err(|error| WatchError::Regex {
                    rule: owned(rule),
                    field: owned(field),
                    pattern: owned(text),
                    reason: error.to_string(),
                })
            }
        }
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        match self {
            Matcher::Exact(exact) => **exact == *text,
            Matcher::Glob(pieces) => glob(pieces, text),
            Matcher::Regex(regex) => regex.is_match(text.as_bytes()),
        }
    }
}

/// Each piece where it comes first after the piece before it: for stars that take anything that finds a match if one
/// is.
fn glob(pieces: &[Box<str>], text: &str) -> bool {
    let [first, middle @ .., last] = pieces else { return false };
    let inner = text.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last));
    let Some(mut rest) = inner else { return false };
    for piece in middle {
        match rest.split_once(&**piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

impl Literal {
    /// The longest that can be told without understanding more of the pattern than its edges.
    pub(super) fn of(pattern: &Pattern) -> Literal {
        match pattern {
            Pattern::Exact(text) => Literal::Exact(text.clone()),
            Pattern::Glob(text) => match (text.split_once('*'), text.rsplit_once('*')) {
                (Some((prefix, _)), Some((_, suffix))) => {
                    Literal::longer((prefix.to_owned(), Vec::new()), (suffix.to_owned(), Vec::new()))
                }
                _ => Literal::Exact(text.clone()),
            },
            Pattern::Regex(text) => Literal::longer(regex_prefix(text), regex_suffix(text)),
        }
    }

    fn longer(prefix: (String, Vec<usize>), suffix: (String, Vec<usize>)) -> Literal {
        if suffix.0.len() > prefix.0.len() {
            Literal::Suffix(suffix.0, suffix.1)
        } else {
            Literal::Prefix(prefix.0, prefix.1)
        }
    }
}

/// Begins with `^`, ends with a `$` that is no literal, and has no alternative outside of parentheses: `^a|b$` is `a…`
/// or `…b`.
fn is_anchored(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('^').and_then(|rest| rest.strip_suffix('$')) else { return false };
    let escaped = inner.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
    !escaped && !has_open_alternative(inner)
}

fn has_open_alternative(text: &str) -> bool {
    let (mut group, mut class, mut class_begins, mut escaped) = (0_u32, 0_u32, false, false);
    for c in text.chars() {
        let first_in_class = std::mem::replace(&mut class_begins, false);
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => {
                class += 1;
                class_begins = true;
            }
            '^' if first_in_class => class_begins = true,
            ']' if !first_in_class => class = class.saturating_sub(1),
            _ if class > 0 => {}
            '(' => group += 1,
            ')' => group = group.saturating_sub(1),
            '|' if group == 0 => return true,
            _ => {}
        }
    }
    false
}

/// What to write instead: the same within anchors, and within parentheses where it has alternatives.
fn anchored(text: &str) -> String {
    let inner = text.strip_prefix('^').unwrap_or(text);
    let inner = match inner.strip_suffix('$') {
        Some(before) if !before.ends_with('\\') => before,
        _ => inner,
    };
    if has_open_alternative(inner) { format!("^(?:{inner})$") } else { format!("^{inner}$") }
}

/// Flags change what letters mean; expressions with any are taken as a whole.
fn has_flags(text: &str) -> bool {
    text.replace("(?:", "(").contains("(?")
}

/// The characters that an anchored expression begins with: letters and signs without a meaning of their own, bare or
/// escaped, and dots. The one before a repetition is not certain to be there.
fn regex_prefix(text: &str) -> (String, Vec<usize>) {
    let (mut literal, mut any) = (String::new(), Vec::new());
    if has_flags(text) {
        return (literal, any);
    }
    let mut rest = text.strip_prefix('^').unwrap_or_default().chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some(sign) if is_escaped_sign(sign) => literal.push(sign),
                _ => break,
            },
            '*' | '?' | '{' => {
                literal.pop();
                any.retain(|at| *at < literal.len());
                break;
            }
            '.' => {
                any.push(literal.len());
                literal.push('.');
            }
            _ if is_plain(c) => literal.push(c),
            _ => break,
        }
    }
    (literal, any)
}

/// The characters that an anchored expression ends with.
fn regex_suffix(text: &str) -> (String, Vec<usize>) {
    let (mut literal, mut any) = (Vec::new(), Vec::new());
    let nothing = || (String::new(), Vec::new());
    if has_flags(text) {
        return nothing();
    }
    let body: Vec<char> = text.strip_suffix('$').unwrap_or_default().chars().collect();
    let mut end = body.len();
    while let Some(at) = end.checked_sub(1) {
        let Some(c) = body.get(at).copied() else { break };
        let before = body.get(..at).unwrap_or_default();
        let escaped = before.iter().rev().take_while(|c| **c == '\\').count() % 2 == 1;
        match (escaped, c) {
            (true, sign) if is_escaped_sign(sign) => {
                literal.push(sign);
                end = at.saturating_sub(1);
            }
            (false, '.') => {
                any.push(literal.len());
                literal.push('.');
                end = at;
            }
            (false, c) if is_plain(c) => {
                literal.push(c);
                end = at;
            }
            // `\x41`: the digits are no text of their own.
            (true, c) if c.is_ascii_alphabetic() && c != 'b' => return nothing(),
            _ => break,
        }
    }
    (literal.iter().rev().collect(), any)
}

/// Stands for itself behind a backslash. `\<` and `\>` are edges of words.
fn is_escaped_sign(c: char) -> bool {
    c.is_ascii_punctuation() && !matches!(c, '<' | '>')
}

/// Stands for itself in every expression without flags, and cannot repeat what is before it.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | ':' | '@' | '-' | '_' | '%' | '=' | ',' | '~' | ';' | '"' | '\'')
}
