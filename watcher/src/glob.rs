//! Patterns over repository names and tags: `*` stays within a segment, `**` crosses `/`.

use std::fmt;
use std::str::FromStr;

/// A pattern that was checked when it was read. There are no other wildcards than `*` and `**`: `?`, `[` and
/// `{` can stand in no name, so a pattern that holds one could never match and is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Glob {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    /// This very character.
    Literal(char),
    /// `*`: any characters but `/`, also none.
    WithinSegment,
    /// `**`: any characters, also none.
    Across,
    /// `/**/`: one slash, or a slash, anything, and a slash.
    SlashAcrossSlash,
}

/// Why a pattern was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GlobError {
    /// Nothing in it.
    #[error("a pattern is empty; to match everything write \"**\"")]
    Empty,
    /// A character that no repository or tag holds.
    #[error(
        "pattern {pattern:?} holds {character:?}, which no repository or tag does: only `*` and `**` are wildcards"
    )]
    Character {
        /// The pattern.
        pattern: String,
        /// The character.
        character: char,
    },
    /// Three stars in a row.
    #[error("pattern {pattern:?} has more than two stars in a row: write `*` (within a segment) or `**` (across)")]
    Stars {
        /// The pattern.
        pattern: String,
    },
}

impl Glob {
    /// Whether the whole of `name` matches. Time is linear in pattern times name, whatever the pattern.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        // reach[i]: the tokens so far can consume exactly the first i characters.
        let mut reach = vec![false; name.len() + 1];
        reach[0] = true;
        for token in &self.tokens {
            reach = token.advance(&reach, &name);
        }
        reach[name.len()]
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Token {
    fn advance(&self, reach: &[bool], name: &[char]) -> Vec<bool> {
        let mut next = vec![false; reach.len()];
        match self {
            Self::Literal(c) => {
                for (i, have) in name.iter().enumerate() {
                    next[i + 1] = reach[i] && have == c;
                }
            }
            Self::WithinSegment => {
                next[0] = reach[0];
                for (i, have) in name.iter().enumerate() {
                    next[i + 1] = reach[i + 1] || (next[i] && *have != '/');
                }
            }
            Self::Across => {
                let mut any = false;
                for (i, reached) in reach.iter().enumerate() {
                    any |= *reached;
                    next[i] = any;
                }
            }
            Self::SlashAcrossSlash => {
                // `opened`: an earlier slash may begin the long form; any later slash may end it.
                let mut opened = false;
                for (i, have) in name.iter().enumerate() {
                    if *have == '/' {
                        next[i + 1] = reach[i] || opened;
                        opened |= reach[i];
                    }
                }
            }
        }
        next
    }
}

impl FromStr for Glob {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        if text.is_empty() {
            return Err(GlobError::Empty);
        }
        if text.contains("***") {
            return Err(GlobError::Stars { pattern: text.to_owned() });
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:[]*".contains(c);
        // Brackets only in an IPv6 registry host, which comes first.
        let host = text.starts_with('[').then(|| text.split_once('/').map_or(text, |(host, _)| host));
        let bracket_ok = |at: usize| host.is_some_and(|host| at < host.len());
        if let Some((_, character)) =
            text.char_indices().find(|(at, c)| !allowed(*c) || (matches!(c, '[' | ']') && !bracket_ok(*at)))
        {
            return Err(GlobError::Character { pattern: text.to_owned(), character });
        }
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let (token, used) = if rest.starts_with("/**/") {
                (Token::SlashAcrossSlash, 4)
            } else if rest.starts_with("**") {
                (Token::Across, 2)
            } else if c == '*' {
                (Token::WithinSegment, 1)
            } else {
                (Token::Literal(c), 1)
            };
            tokens.push(token);
            rest = &rest[used..];
        }
        Ok(Self { text: text.to_owned(), tokens })
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        pattern.parse::<Glob>().expect("a good pattern").matches(name)
    }

    #[test]
    fn one_star_stays_within_a_segment_and_two_cross_it() {
        for (pattern, name, expected) in [
            ("r.example.com/team/*", "r.example.com/team/app", true),
            ("r.example.com/team/*", "r.example.com/team/app/sub", false),
            ("r.example.com/team/*", "r.example.com/teams/app", false),
            ("r.example.com/team/**", "r.example.com/team/app/sub", true),
            ("r.example.com/team/**", "r.example.com/team", false),
            ("r.example.com/**/app", "r.example.com/app", true),
            ("r.example.com/**/app", "r.example.com/a/b/app", true),
            ("r.example.com/**/app", "r.example.com/a/b/xapp", false),
            ("**", "anything/at/all", true),
            ("**", "", true),
            ("v*", "v1.2.3", true),
            ("v*", "av1", false),
            ("v*-rc*", "v1-rc2", true),
            ("v*-rc*", "v1-r", false),
            ("main", "main", true),
            ("main", "main2", false),
            ("*", "a/b", false),
            ("[::1]:5000/**", "[::1]:5000/team/app", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} over {name}");
        }
    }

    #[test]
    fn a_dot_is_a_dot() {
        assert!(!matches("r.example.com/app", "rxexample.com/app"));
    }

    #[test]
    fn a_pattern_that_could_never_match_is_refused() {
        for pattern in ["", "v?", "team/[ab]", "{a,b}", "a b", "v***", "tag\u{7}", "ümlaut"] {
            assert!(pattern.parse::<Glob>().is_err(), "{pattern:?}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let pattern = "*a".repeat(60) + "b";
        assert!(!matches(&pattern, &"a".repeat(2000)));
    }
}
