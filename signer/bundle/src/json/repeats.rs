//! The pass over a whole document that finds a repeated key in any object, without a tree.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// Reads one document to its end; a repeated key anywhere in it is an error, and so is whatever the parser refuses.
pub(super) fn check(document: &str) -> Result<(), serde_json::Error> {
    let mut keys = OpenKeys { document, decoded: String::new(), keys: Vec::new() };
    let mut parser = serde_json::Deserializer::from_str(document);
    Value(&mut keys).deserialize(&mut parser)?;
    parser.end()
}

/// Where a key's text is.
#[derive(Clone, Copy)]
enum Key {
    /// In the document: offset and length.
    Written(u32, u32),
    /// Among the keys that had to be decoded, since they have escapes: offset and length.
    Decoded(u32, u32),
}

/// The keys of the objects that are open, those of the innermost last. A key takes 12 bytes here, and 5 at least in the
/// document.
struct OpenKeys<'de> {
    document: &'de str,
    decoded: String,
    keys: Vec<Key>,
}

impl<'de> OpenKeys<'de> {
    fn text(&self, key: Key) -> &str {
        let (text, at, length) = match key {
            Key::Written(at, length) => (self.document, at, length),
            Key::Decoded(at, length) => (self.decoded.as_str(), at, length),
        };
        text.get(at as usize..at as usize + length as usize).unwrap_or_default()
    }

    /// Keeps a key that stands in the document as it is.
    fn written<E: de::Error>(&mut self, key: &'de str) -> Result<(), E> {
        let at = key.as_ptr().addr().wrapping_sub(self.document.as_ptr().addr());
        let (at, length) = small(at, key.len())?;
        self.keys.push(Key::Written(at, length));
        Ok(())
    }

    /// Keeps a key that has escapes.
    fn decoded<E: de::Error>(&mut self, key: &str) -> Result<(), E> {
        let (at, length) = small(self.decoded.len(), key.len())?;
        self.decoded.push_str(key);
        self.keys.push(Key::Decoded(at, length));
        Ok(())
    }

    /// Compares the keys since the given number and forgets them: their object is closed.
    fn close<E: de::Error>(&mut self, keys: usize, decoded: usize) -> Result<(), E> {
        let mut own = self.keys.split_off(keys);
        own.sort_unstable_by(|a, b| self.text(*a).cmp(self.text(*b)));
        let repeated = own.windows(2).any(|pair| matches!(pair, [a, b] if self.text(*a) == self.text(*b)));
        self.decoded.truncate(decoded);
        // The key is an outsider's text and may be long, so it is not repeated.
        if repeated { Err(E::custom("a key is repeated")) } else { Ok(()) }
    }
}

fn small<E: de::Error>(at: usize, length: usize) -> Result<(u32, u32), E> {
    match (u32::try_from(at), u32::try_from(length)) {
        (Ok(at), Ok(length)) => Ok((at, length)),
        _ => Err(E::custom("a document of 4 GiB")),
    }
}

/// Any value: looked at, and not kept.
struct Value<'k, 'de>(&'k mut OpenKeys<'de>);

impl<'de> DeserializeSeed<'de> for Value<'_, 'de> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, 'de> {
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

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        if value.is_finite() { Ok(()) } else { Err(E::custom("a number out of range")) }
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Value(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (keys, decoded) = (self.0.keys.len(), self.0.decoded.len());
        while map.next_key_seed(KeyOf(self.0))?.is_some() {
            map.next_value_seed(Value(self.0))?;
        }
        self.0.close(keys, decoded)
    }
}

/// A key of an object, kept until the object is closed.
struct KeyOf<'k, 'de>(&'k mut OpenKeys<'de>);

impl<'de> DeserializeSeed<'de> for KeyOf<'_, 'de> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeyOf<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: de::Error>(self, key: &'de str) -> Result<(), E> {
        self.0.written(key)
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<(), E> {
        self.0.decoded(key)
    }
}
