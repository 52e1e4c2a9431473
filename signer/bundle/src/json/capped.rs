//! A list of which no more is kept than is ever used, and the rest is counted.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

/// At most `N` items of a list, and how many it has.
#[derive(Clone, Debug)]
pub(crate) struct Capped<T, const N: usize> {
    /// The first items.
    pub(crate) items: Vec<T>,
    /// How many items the list has.
    pub(crate) count: usize,
}

impl<T, const N: usize> Capped<T, N> {
    /// Every item; `None` if there are more than were kept.
    pub(crate) fn all(self) -> Option<Vec<T>> {
        (self.count <= self.items.len()).then_some(self.items)
    }
}

impl<T, const N: usize> Default for Capped<T, N> {
    fn default() -> Self {
        Self { items: Vec::new(), count: 0 }
    }
}

impl<T, const N: usize> From<Vec<T>> for Capped<T, N> {
    fn from(items: Vec<T>) -> Self {
        Self { count: items.len(), items }
    }
}

impl<T: Serialize, const N: usize> Serialize for Capped<T, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.items.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Capped<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, const N: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Items<T, N> {
            type Value = Capped<T, N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Capped::default();
                while list.items.len() < N {
                    let Some(item) = seq.next_element()? else { break };
                    list.items.push(item);
                }
                list.count = list.items.len();
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    list.count += 1;
                }
                Ok(list)
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}
