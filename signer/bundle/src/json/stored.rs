//! JSON that is kept as it came, for the next reader.

use serde_json::Value;

use super::Json;

/// A part of a document that is passed on: its text without the space between its parts.
#[derive(Clone, Debug, Eq)]
pub struct StoredJson(Box<str>);

impl PartialEq for StoredJson {
    /// The order of fields says nothing.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.to_value() == other.to_value()
    }
}

impl StoredJson {
    /// Keeps a value.
    pub fn of(json: Json<'_>) -> Self {
        let mut in_string = false;
        let mut escaped = false;
        let kept = json.as_str().chars().filter(|c| {
            let keep = in_string || !matches!(c, ' ' | '\t' | '\r' | '\n');
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = !in_string,
                _ => {}
            }
            keep
        });
        Self(kept.collect::<String>().into())
    }

    /// Keeps what we write ourselves.
    pub(crate) fn written(value: &impl serde::Serialize) -> Self {
        // Nothing that is written this way can fail to be.
        Self(serde_json::to_string(value).unwrap_or_default().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value, to be written into a file of ours.
    pub(crate) fn to_value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}
