//! The kind and version of a body, before anything else of it is read.
use super::ClaimsError;
use super::collect::Failure;
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Kinds and versions are shorter.
const MAX_WORD: usize = 64;

/// What a body calls itself.
pub(super) struct Head<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) version: Cow<'a, str>,
}

impl<'a> Head<'a> {
    /// Logs write both first and in this order; any other JSON is read to its end for them.
    pub(super) fn read(body: &'a [u8]) -> Result<Head<'a>, ClaimsError> {
        if let Some(head) = Head::first(body) {
            return Ok(head);
        }
        let mut parser = serde_json::Deserializer::from_slice(body);
        let (kind, version) = parser.deserialize_map(Words)?;
        parser.end()?;
        match (kind, version) {
            (Some(kind), Some(version)) if is_word(&kind) && is_word(&version) => Ok(Head { kind, version }),
            _ => Err(ClaimsError::NoKind),
        }
    }

    fn first(body: &'a [u8]) -> Option<Head<'a>> {
        let rest = body.strip_prefix(b"{\"apiVersion\":\"")?;
        let (version, rest) = word(rest)?;
        let rest = rest.strip_prefix(b"\",\"kind\":\"")?;
        let (kind, _) = word(rest)?;
        Some(Head { kind: Cow::Borrowed(kind), version: Cow::Borrowed(version) })
    }
}

/// The word before the next quote.
fn word(text: &[u8]) -> Option<(&str, &[u8])> {
    let at = text.iter().take(MAX_WORD).position(|byte| *byte == b'"')?;
    let (word, rest) = text.split_at_checked(at)?;
    let word = std::str::from_utf8(word).ok()?;
    (is_word(word) && !word.contains('\\')).then_some((word, rest))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_WORD && text.bytes().all(|byte| byte.is_ascii_graphic())
}

struct Words;

impl<'de> Visitor<'de> for Words {
    type Value = (Option<Cow<'de, str>>, Option<Cow<'de, str>>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a log entry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut kind, mut version) = (None, None);
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "kind" if kind.is_none() => kind = Some(map.next_value::<Text<'de>>()?.0),
                "apiVersion" if version.is_none() => version = Some(map.next_value::<Text<'de>>()?.0),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok((kind, version))
    }
}

/// A string, borrowed where the JSON escapes nothing in it.
#[derive(serde::Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// Reads a body of a known kind: these fields, once each, and no others.
pub(super) fn fields<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_| Failure::Field("set of fields"))
}
