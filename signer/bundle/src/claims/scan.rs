//! The search through a leaf of another kind, for keys and certificates in whatever encoding.
use super::collect::{BLANK, Collector, Failure, named_by_der};
use super::scratch::NotDecoded;
use super::{Claim, ClaimedBy, ClaimsError, Unreadable, pem};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// How often its own length a body may fill when it is decoded: each encoding within another is shorter by a quarter,
/// and PEM is copied before it is decoded.
pub(super) const ROOM: usize = 8;
/// Base64 of JSON of base64 of PEM of base64, and one to spare.
const MAX_DEPTH: u32 = 6;
/// No key is shorter: Ed25519's, in base64.
const MIN_TEXT: usize = 56;

/// Collects every key and certificate in a body.
pub(super) fn body(body: &[u8], collector: &mut Collector<'_>) -> Result<(), ClaimsError> {
    let mut search = Search { collector, depth: 0 };
    let mut parser = serde_json::Deserializer::from_slice(body);
    Ok(search.value().deserialize(&mut parser).and_then(|()| parser.end())?)
}

struct Search<'s, 'a> {
    collector: &'s mut Collector<'a>,
    depth: u32,
}

/// A value to be searched.
struct Value<'v, 's, 'a>(&'v mut Search<'s, 'a>);

impl<'s, 'a> Search<'s, 'a> {
    fn value(&mut self) -> Value<'_, 's, 'a> {
        Value(self)
    }

    fn text(&mut self, text: &[u8]) -> Result<(), Failure> {
        if text.len() < MIN_TEXT {
            return Ok(());
        }
        // The blocks in whole JSON are in its strings, where they are written otherwise, beside whatever else is there.
        if matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) && self.json(text)? {
            return Ok(());
        }
        if self.pem(text)? {
            return Ok(());
        }
        match self.collector.arena.base64(text) {
            Ok(bytes) => self.bytes(bytes),
            Err(NotDecoded::NotBase64) => Ok(()),
            Err(NotDecoded::Full) => Err(Failure::TooDeep),
        }
    }

    /// Whether there is any.
    fn pem(&mut self, text: &[u8]) -> Result<bool, Failure> {
        let before = self.collector.claims.len();
        for block in pem::blocks(text) {
            let by = self.collector.by_block(block, &[])?;
            self.claim(by, before);
        }
        Ok(self.collector.claims.len() > before)
    }

    fn bytes(&mut self, bytes: &'a [u8]) -> Result<(), Failure> {
        let before = self.collector.claims.len();
        match named_by_der(bytes) {
            Some(ClaimedBy::Key(key)) => {
                let by = self.collector.key(key)?;
                self.claim(by, before);
                Ok(())
            }
            Some(by) => {
                self.claim(by, before);
                Ok(())
            }
            // Readers of PEM do not mind what is around it.
            None if std::str::from_utf8(bytes).is_err() => self.pem(bytes).map(drop),
            None if self.depth >= MAX_DEPTH => Err(Failure::TooDeep),
            None => {
                self.depth += 1;
                let read = self.text(bytes);
                self.depth -= 1;
                read
            }
        }
    }

    /// Whether it is JSON from its first byte to its last. Of text that only begins as JSON, what is in the beginning
    /// is collected too.
    fn json(&mut self, text: &[u8]) -> Result<bool, Failure> {
        if self.depth >= MAX_DEPTH {
            return Err(Failure::TooDeep);
        }
        self.depth += 1;
        let mut parser = serde_json::Deserializer::from_slice(text);
        let read = self.value().deserialize(&mut parser).and_then(|()| parser.end());
        self.depth -= 1;
        Ok(read.is_ok())
    }

    fn claim(&mut self, by: ClaimedBy<'a>, before: usize) {
        self.collector.push_chained(before, Claim { by, ..BLANK });
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any json value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if self.0.text(text.as_bytes()).is_err() {
            // The search goes on: what is next to it may be readable, and name somebody.
            self.0.collector.cannot_read(Unreadable::TooDeep);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.0.value())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while fields.next_key_seed(self.0.value())?.is_some() {
            fields.next_value_seed(self.0.value())?;
        }
        Ok(())
    }
}
