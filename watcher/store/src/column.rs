//! Between columns and checked types: what is stored is read back by the parser that first let it
//! in, and what outsiders wrote is cut to what a column takes.

use std::borrow::Cow;
use std::str::FromStr;

use crate::StoreError;

/// The most of an error, reason or detail that we keep.
const TEXT_MAX_CHARS: usize = 2_000;

/// Implements `FromRow` for a type on both engines; the closure reads columns by name.
macro_rules! from_row {
    ($Type:ty, |$row:ident| $body:expr) => {
        impl<'r, R> sqlx::FromRow<'r, R> for $Type
        where
            R: sqlx::Row,
            for<'c> &'c str: sqlx::ColumnIndex<R>,
            i64: sqlx::Type<R::Database> + sqlx::Decode<'r, R::Database>,
            String: sqlx::Type<R::Database> + sqlx::Decode<'r, R::Database>,
            Vec<u8>: sqlx::Type<R::Database> + sqlx::Decode<'r, R::Database>,
        {
            fn from_row($row: &'r R) -> Result<Self, sqlx::Error> {
                $body
            }
        }
    };
}
pub(crate) use from_row;

/// A column did not hold what we wrote into it.
pub(crate) fn corrupt(column: &str, source: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(source) }
}

/// Reads a checked type back from its text.
pub(crate) fn parsed<T>(column: &str, text: String) -> Result<T, sqlx::Error>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error| corrupt(column, error))
}

/// [`parsed`], for a column that may be empty.
pub(crate) fn parsed_option<T>(column: &str, text: Option<String>) -> Result<Option<T>, sqlx::Error>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.map(|text| parsed(column, text)).transpose()
}

/// Reads a count, an index or a hash back.
pub(crate) fn converted<T, U>(column: &str, value: U) -> Result<T, sqlx::Error>
where
    T: TryFrom<U>,
    T::Error: std::error::Error + Send + Sync + 'static,
{
    T::try_from(value).map_err(|error| corrupt(column, error))
}

/// An unsigned number as the signed one that databases have.
pub(crate) fn signed(column: &'static str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::OutOfRange { column, value })
}

/// Text from outside as a column takes it: bounded, and without NUL, which PostgreSQL refuses.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    let end = text.char_indices().nth(TEXT_MAX_CHARS).map_or(text.len(), |(end, _)| end);
    whole_text(&text[..end])
}

/// [`text`] that means nothing when it is cut.
pub(crate) fn whole_text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// A key for text or bytes of any length, where an index takes only so much: the SHA-256 of the parts, each with its
/// length before it.
pub(crate) fn key_of(parts: &[&[u8]]) -> Vec<u8> {
    let mut whole = Vec::new();
    for part in parts {
        whole.extend_from_slice(&(part.len() as u64).to_be_bytes());
        whole.extend_from_slice(part);
    }
    bundle::Digest::of(&whole).as_bytes().to_vec()
}

/// Reads a 32-byte hash back.
pub(crate) fn hash(column: &str, value: &[u8]) -> Result<[u8; 32], sqlx::Error> {
    converted(column, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_loses_its_nuls() {
        assert_eq!(text("a\0b"), "a\u{fffd}b");
        let long = "é".repeat(TEXT_MAX_CHARS + 1);
        assert_eq!(text(&long).chars().count(), TEXT_MAX_CHARS);
    }

    #[test]
    fn the_parts_of_a_key_do_not_run_into_each_other() {
        assert_ne!(key_of(&[b"ab", b"c"]), key_of(&[b"a", b"bc"]));
        assert_eq!(key_of(&[b"ab", b"c"]), key_of(&[b"ab", b"c"]));
    }

    #[test]
    fn a_number_beyond_the_databases_integers_is_refused() {
        assert!(signed("log_index", u64::MAX).is_err());
        assert_eq!(signed("log_index", 7).ok(), Some(7));
    }
}
