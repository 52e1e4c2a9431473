//! JSON that means one thing: an object with a repeated key is refused.
//!
//! Parsers disagree about which of two equal keys counts, so a document with both can say one
//! thing to us and another to the next reader. Depth is limited by the parser itself.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

/// Why bytes are not JSON that means one thing.
#[derive(Debug, thiserror::Error)]
#[error("not unambiguous json: {0}")]
pub struct JsonError(#[from] serde_json::Error);

/// Parses one JSON document; a repeated key anywhere in it is an error.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let value = Unambiguous.deserialize(&mut parser)?;
    parser.end()?;
    Ok(value)
}

/// Builds a value and refuses the second of two equal keys.
struct Unambiguous;

impl<'de> DeserializeSeed<'de> for Unambiguous {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any json value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Unambiguous)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Unambiguous)?;
            if fields.insert(key, value).is_some() {
                // The key is an outsider's text and may be long, so it is not repeated.
                return Err(de::Error::custom("a key is repeated"));
            }
        }
        Ok(Value::Object(fields))
    }
}

/// The name of a field that is there under another spelling only, if there is one.
///
/// Go's `encoding/json` matches field names in either case, and folds two letters outside ASCII;
/// we do not. A document with such a key would say one thing to a registry and another to us.
pub(crate) fn misspelled<'a>(fields: &Map<String, Value>, known: &[&'a str]) -> Option<&'a str> {
    fields.keys().find_map(|key| {
        let folded = folded(key);
        let field = known.iter().find(|field| field.eq_ignore_ascii_case(&folded))?;
        (field != key).then_some(*field)
    })
}

fn folded(key: &str) -> String {
    key.chars()
        .map(|c| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        })
        .collect()
}

/// A string as Go's `encoding/json` writes it, quotes included: safe within HTML and JavaScript.
pub(crate) fn go_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Reads the fields of one object, in their order, without touching the values' bytes.
pub(crate) fn raw_fields(bytes: &[u8]) -> Result<Vec<(String, &RawValue)>, JsonError> {
    struct Fields;

    impl<'de> Visitor<'de> for Fields {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a json object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut fields = Vec::new();
            while let Some(field) = map.next_entry()? {
                fields.push(field);
            }
            Ok(fields)
        }
    }

    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let fields = serde::Deserializer::deserialize_map(&mut parser, Fields)?;
    parser.end()?;
    Ok(fields)
}

/// Writes an object from fields whose values are JSON already.
pub(crate) fn write_object<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let fields: Vec<_> = fields.into_iter().map(|(key, value)| format!("{}:{value}", go_string(key))).collect();
    format!("{{{}}}", fields.join(","))
}

/// Writes an array from items that are JSON already.
pub(crate) fn write_array<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_repeated_key_is_refused_at_any_depth_and_however_it_is_spelled() {
        for bad in [r#"{"a":1,"a":1}"#, r#"{"x":[{"y":{"a":1,"b":2,"a":3}}]}"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(br#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn nothing_may_follow_the_document_and_depth_is_limited() {
        assert!(parse(b"{}{}").is_err());
        assert!(parse(b"{} \n").is_ok());
        assert!(parse(b"").is_err());
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
        assert!(parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn keys_fold_as_go_folds_them() {
        assert_eq!(folded("Manife\u{17f}tS"), "manifests");
        assert_eq!(folded("\u{212a}ey"), "key");
        assert_eq!(folded("größe"), "größe");
    }

    #[test]
    fn a_field_under_another_spelling_is_noticed() {
        let fields = |text: &str| match parse(text.as_bytes()) {
            Ok(Value::Object(fields)) => fields,
            other => panic!("not an object: {other:?}"),
        };
        let known = ["layers", "mediaType"];
        assert_eq!(misspelled(&fields(r#"{"layers":1,"mediaType":2,"other":3}"#), &known), None);
        assert_eq!(misspelled(&fields(r#"{"Layers":1}"#), &known), Some("layers"));
        assert_eq!(misspelled(&fields("{\"layer\u{17f}\":1}"), &known), Some("layers"));
        assert_eq!(misspelled(&fields(r#"{"mediatype":1}"#), &known), Some("mediaType"));
    }

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        assert_eq!(go_string("a<b>&\u{2028}\u{2029}"), r#""a\u003cb\u003e\u0026\u2028\u2029""#);
        assert_eq!(go_string("\"\\/\n\r\t\u{8}\u{c}\u{1}\u{7f}é"), "\"\\\"\\\\/\\n\\r\\t\\b\\f\\u0001\u{7f}é\"");
    }

    #[test]
    fn raw_fields_keep_order_and_bytes() {
        let fields = raw_fields(br#"{"b": [1, 2] ,"a":{ "x":1}}"#).expect("an object");
        let text: Vec<_> = fields.iter().map(|(key, value)| (key.as_str(), value.get())).collect();
        assert_eq!(text, [("b", "[1, 2]"), ("a", r#"{ "x":1}"#)]);
        assert!(raw_fields(b"[]").is_err());
        assert!(raw_fields(b"{}x").is_err());
    }

    proptest! {
        #[test]
        fn a_string_as_go_writes_it_is_json(text: String) {
            let quoted = go_string(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).ok(), Some(text));
        }

        #[test]
        fn agrees_with_the_ordinary_parser_on_whatever_it_accepts(bytes: Vec<u8>) {
            if let Ok(value) = parse(&bytes) {
                prop_assert_eq!(Some(value), serde_json::from_slice::<Value>(&bytes).ok());
            }
        }
    }
}
