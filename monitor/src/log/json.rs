//! JSON from a log's server, with bounds: a hostile answer of megabytes takes no more memory than an honest one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A list of `N` values at most; JSON's `null` is a list of none.
#[derive(Debug)]
pub(super) struct AtMost<T, const N: usize>(pub(super) Vec<T>);

impl<T, const N: usize> Default for AtMost<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for AtMost<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T, const N: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for List<T, N> {
            type Value = Vec<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {N} values")
            }
            fn visit_unit<E: Error>(self) -> Result<Vec<T>, E> {
                Ok(Vec::new())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
                let mut values = Vec::new();
                while values.len() < N {
                    match list.next_element()? {
                        Some(value) => values.push(value),
                        None => return Ok(values),
                    }
                }
                match list.next_element::<serde::de::IgnoredAny>()? {
                    None => Ok(values),
                    Some(_) => Err(A::Error::invalid_length(N + 1, &self)),
                }
            }
        }
        deserializer.deserialize_any(List::<T, N>(PhantomData)).map(Self)
    }
}

/// An object with exactly one member: its name, and its value.
#[derive(Debug)]
pub(super) struct OneMember<T> {
    pub(super) name: String,
    pub(super) value: T,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneMember<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = OneMember<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one member")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<OneMember<T>, A::Error> {
                let (name, value) = object.next_entry()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                match object.next_key::<serde::de::IgnoredAny>()? {
                    None => Ok(OneMember { name, value }),
                    Some(_) => Err(A::Error::invalid_length(2, &self)),
                }
            }
        }
        deserializer.deserialize_map(Object(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_at_its_bound() {
        let read = |text: &str| serde_json::from_str::<AtMost<u8, 3>>(text).map(|list| list.0);
        assert_eq!(read("[1,2,3]").expect("three"), [1, 2, 3]);
        assert_eq!(read("null").expect("none"), [0u8; 0]);
        let refused = read("[1,2,3,4]").expect_err("four");
        assert!(refused.to_string().contains("at most 3"), "{refused}");
        assert!(read("{}").is_err());
    }

    #[test]
    fn an_object_has_one_member() {
        let read = |text: &str| serde_json::from_str::<OneMember<u8>>(text);
        let one = read(r#"{"a":1}"#).expect("one");
        assert_eq!((one.name.as_str(), one.value), ("a", 1));
        for wrong in ["{}", r#"{"a":1,"b":2}"#, "[]", r#"{"a":"x"}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
