//! JSON that means one thing: an object with a repeated key is refused.
//!
//! Parsers disagree about which of two equal keys counts, so a document with both can say one
//! thing to us and another to the next reader. Depth is limited by the parser itself.
//!
//! Documents come from outside, and a tree of values takes a hundred times the memory of a text like
//! `[{"":0},…]`. So no tree is built: [`Json::parse`] checks the whole text in one pass and keeps the
//! keys of the objects that are open at the moment, then each reader takes out of the text what it knows.

mod capped;
mod repeats;
mod stored;
mod view;

pub(crate) use capped::Capped;
pub use stored::StoredJson;
pub use view::{Fields, Json};

/// Why bytes are not JSON that means one thing.
#[derive(Debug, thiserror::Error)]
#[error("not unambiguous json: {0}")]
pub struct JsonError(#[from] serde_json::Error);

/// Whether Go's `encoding/json` takes a key for a field: it matches in either case, and folds two letters outside ASCII.
pub fn folds_to(key: &str, field: &str) -> bool {
    let folded = key.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    });
    folded.eq(field.chars().map(|c| c.to_ascii_lowercase()))
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

/// Writes an object from fields whose values are JSON already.
pub(crate) fn write_object<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let fields: Vec<_> = fields.into_iter().map(|(key, value)| format!("{}:{value}", go_string(key))).collect();
    format!("{{{}}}", fields.join(","))
}

/// Writes an object field by field.
pub(crate) struct ObjectWriter(String);

impl ObjectWriter {
    /// Begins an object.
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    /// Adds a field whose value is JSON already.
    pub(crate) fn field(&mut self, key: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&go_string(key));
        self.0.push(':');
        self.0.push_str(value);
    }

    /// The whole object.
    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A list with one item more, which is JSON already; Go's null is an empty list.
pub(crate) fn append_to_array(list: Json<'_>, item: &str) -> Result<String, JsonError> {
    let mut written = "[".to_owned();
    if !list.is_null() {
        list.for_each_item(|other| {
            written.push_str(other.as_str());
            written.push(',');
            Ok::<_, JsonError>(())
        })?;
    }
    written.push_str(item);
    written.push(']');
    Ok(written)
}

/// Writes an array from items that are JSON already.
pub(crate) fn write_array<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests;
