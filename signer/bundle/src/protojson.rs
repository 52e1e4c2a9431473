//! The JSON form of protocol buffers, as Sigstore's files use it: 64-bit integers as strings, bytes as base64, zero left out.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A 64-bit integer: written as a string, read from a string or a number. Negative ones are for times only.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Int64(pub(crate) i64);

impl Int64 {
    /// The value, if it can be an index or a size.
    pub(crate) fn unsigned(self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }
}

impl Serialize for Int64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Int64;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a 64-bit integer, as a string or a number")
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Int64, E> {
                Ok(Int64(value))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Int64, E> {
                i64::try_from(value).map(Int64).map_err(|_| E::custom("integer out of range"))
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Int64, E> {
                let digits = value.strip_prefix('-').unwrap_or(value);
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(E::custom("not an integer"));
                }
                value.parse().map(Int64).map_err(|_| E::custom("integer out of range"))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Bytes as padded standard base64, the one spelling that Sigstore's own writers use.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Base64(pub(crate) Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode(&text).map(Base64).ok_or_else(|| D::Error::custom("not standard base64"))
    }
}

/// Standard base64 with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Strict: padding must be there and trailing bits zero, so that one value has one spelling.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_read_from_a_string_or_a_number_and_written_as_a_string() {
        for (text, value) in [("\"12\"", 12), ("12", 12), ("\"-3\"", -3), ("\"0\"", 0)] {
            assert_eq!(serde_json::from_str::<Int64>(text).unwrap(), Int64(value));
        }
        assert_eq!(serde_json::to_string(&Int64(12)).unwrap(), "\"12\"");
        for text in
            ["\"\"", "\"+1\"", "\" 1\"", "\"1e3\"", "1.5", "\"99999999999999999999\"", "null", "18446744073709551615"]
        {
            assert!(serde_json::from_str::<Int64>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(decode("+/8=").unwrap(), [0xfb, 0xff]);
        for text in ["-_8=", "+/8", "+/9=", " +/8=", "+/8=\n"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
