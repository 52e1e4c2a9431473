//! A view into a document that was checked: each reader takes out of the text what it knows.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{JsonError, folds_to, repeats};

/// One JSON value within a document without repeated keys: its text, unread. Copying it costs nothing.
///
/// Each call reads the text of this value once more, so fields of one object are best taken together by
/// [`Json::fields`].
#[derive(Clone, Copy, Debug)]
pub struct Json<'a>(&'a str);

/// Some fields of one object, by their names.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a, const N: usize> {
    names: [&'static str; N],
    values: [Option<Json<'a>>; N],
    misspelled: Option<&'static str>,
}

impl<'a> Json<'a> {
    /// Checks one JSON document. Takes a small multiple of its size in memory, whatever is in it.
    ///
    /// # Errors
    /// Anything that is not JSON, numbers out of range, more than 128 levels, and a repeated key anywhere.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes).map_err(|_| JsonError(de::Error::custom("not UTF-8")))?;
        repeats::check(text)?;
        Ok(Self(text.trim_matches([' ', '\t', '\r', '\n'])))
    }

    /// The value of a field that was read out of a checked document.
    pub(crate) fn of(value: &'a RawValue) -> Self {
        Self(value.get())
    }

    /// The text of the value, as in the document.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// Whether it is an array.
    pub fn is_array(self) -> bool {
        self.0.starts_with('[')
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    /// A string's content; borrowed if it has no escapes. `None` if it is no string.
    pub fn text(self) -> Option<Cow<'a, str>> {
        if !self.0.starts_with('"') {
            return None;
        }
        self.read::<Text<'a>>().ok().map(|text| text.0)
    }

    /// A number without sign and fraction.
    pub fn as_u64(self) -> Option<u64> {
        self.read().ok()
    }

    /// A number without fraction.
    pub fn as_i64(self) -> Option<i64> {
        self.read().ok()
    }

    /// The value as a type of its own. Fields that the type does not know are passed over.
    ///
    /// # Errors
    /// What the type refuses.
    pub fn read<T: Deserialize<'a>>(self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0)
    }

    /// One field of an object; `None` if it is no object or has no such field.
    pub fn get(self, name: &'static str) -> Option<Json<'a>> {
        self.fields([name])?.get(name)
    }

    /// The named fields of an object, and whether one is there under another spelling; `None` if it is no object.
    pub fn fields<const N: usize>(self, names: [&'static str; N]) -> Option<Fields<'a, N>> {
        if !self.is_object() {
            return None;
        }
        let visitor = Known(Fields { names, values: [None; N], misspelled: None });
        serde_json::Deserializer::from_str(self.0).deserialize_map(visitor).ok()
    }

    /// Hands over the fields of an object in their order, one at a time.
    ///
    /// # Errors
    /// The first error of `visit`; that of the parser if it is no object.
    pub fn for_each_field<E: From<JsonError>>(
        self,
        visit: impl FnMut(Cow<'a, str>, Json<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut stopped = None;
        let walked =
            serde_json::Deserializer::from_str(self.0).deserialize_map(EachField { visit, stopped: &mut stopped });
        ended(walked, stopped)
    }

    /// Hands over the items of an array in their order, one at a time.
    ///
    /// # Errors
    /// The first error of `visit`; that of the parser if it is no array.
    pub fn for_each_item<E: From<JsonError>>(self, visit: impl FnMut(Json<'a>) -> Result<(), E>) -> Result<(), E> {
        let mut stopped = None;
        let walked =
            serde_json::Deserializer::from_str(self.0).deserialize_seq(EachItem { visit, stopped: &mut stopped });
        ended(walked, stopped)
    }
}

fn ended<E: From<JsonError>>(walked: Result<(), serde_json::Error>, stopped: Option<E>) -> Result<(), E> {
    match stopped {
        Some(error) => Err(error),
        None => walked.map_err(|error| E::from(JsonError(error))),
    }
}

impl<'a, const N: usize> Fields<'a, N> {
    /// The field of that name, which must be one of those that were asked for.
    pub fn get(&self, name: &str) -> Option<Json<'a>> {
        let at = self.names.iter().position(|known| *known == name)?;
        self.values.get(at).copied().flatten()
    }

    /// The same, without `null`: Go writes what is empty as null.
    pub fn filled(&self, name: &str) -> Option<Json<'a>> {
        self.get(name).filter(|value| !value.is_null())
    }

    /// The name of a field that is there under another spelling, if there is one.
    ///
    /// Go's `encoding/json` matches field names in either case; we do not. A document with such a key would say one
    /// thing to a registry and another to us.
    pub fn misspelled(&self) -> Option<&'static str> {
        self.misspelled
    }
}

/// A string that is borrowed where it can be.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Either)
    }
}

/// Collects the fields that are known.
struct Known<'a, const N: usize>(Fields<'a, N>);

impl<'de, const N: usize> Visitor<'de> for Known<'de, N> {
    type Value = Fields<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a json object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = self.0;
        while let Some(Text(key)) = map.next_key()? {
            match fields.names.iter().position(|name| *name == key) {
                Some(at) => {
                    let value = Json::of(map.next_value()?);
                    if let Some(place) = fields.values.get_mut(at) {
                        *place = Some(value);
                    }
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                    let other = fields.names.iter().find(|name| folds_to(&key, name));
                    fields.misspelled = fields.misspelled.or(other.copied());
                }
            }
        }
        Ok(fields)
    }
}

/// Hands over the fields of an object.
struct EachField<'s, F, E> {
    visit: F,
    stopped: &'s mut Option<E>,
}

impl<'de, F, E> Visitor<'de> for EachField<'_, F, E>
where
    F: FnMut(Cow<'de, str>, Json<'de>) -> Result<(), E>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a json object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            let value = Json::of(map.next_value()?);
            (self.visit)(key, value).map_err(|error| stop(self.stopped, error))?;
        }
        Ok(())
    }
}

/// Hands over the items of an array.
struct EachItem<'s, F, E> {
    visit: F,
    stopped: &'s mut Option<E>,
}

impl<'de, F, E> Visitor<'de> for EachItem<'_, F, E>
where
    F: FnMut(Json<'de>) -> Result<(), E>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a json array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element::<&RawValue>()? {
            (self.visit)(Json::of(value)).map_err(|error| stop(self.stopped, error))?;
        }
        Ok(())
    }
}

/// Keeps the visitor's own error, and ends the walk with one that the parser understands.
fn stop<E, A: de::Error>(stopped: &mut Option<E>, error: E) -> A {
    *stopped = Some(error);
    A::custom("stopped")
}
