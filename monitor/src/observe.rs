//! From what observing rules saw to rules that expect it: a draft for a person to read, change and approve.
use std::fmt::Write as _;

use bundle::certificate::extension_name;
use serde_json::{Map, Value};
use store::ObservedIdentity;

/// The extensions that are the same each time a workflow signs, and that nobody can take over with a name: the ids of
/// owner and repository, and where it ran.
const LASTING: [&str; 3] = ["1.3.6.1.4.1.57264.1.15", "1.3.6.1.4.1.57264.1.17", "1.3.6.1.4.1.57264.1.11"];

/// `[[watch]]` tables of mode `expect`, one for each identity in the order given, for a configuration file. Each
/// expects exactly what was seen, and nothing more: whoever wants a pattern writes it. Extensions are read from a JSON
/// object of texts by dotted object identifier; the same identity with other extensions is another table.
pub fn draft(observed: &[ObservedIdentity]) -> String {
    let mut toml = String::new();
    for (at, identity) in observed.iter().enumerate() {
        let separator = if at == 0 { "" } else { "\n" };
        // Writing to a String cannot fail.
        let _ = write!(
            toml,
            "{separator}# seen {} times by {}, last at {}\n[[watch]]\nname = {}\nmode = \"expect\"\n",
            identity.times,
            basic(&identity.watch),
            moment(identity.last_at),
            basic(&format!("{}-{}", identity.watch, at + 1)),
        );
        let _ = write!(toml, "{}{}", condition("subject", &identity.subject), condition("issuer", &identity.issuer));
        let extensions: Map<String, Value> = serde_json::from_str(&identity.extensions_json).unwrap_or_default();
        let lasting = LASTING.iter().filter_map(|oid| Some((extension_name(oid)?, extensions.get(*oid)?.as_str()?)));
        // With a star the value would be a pattern; there is no such id.
        let lasting = lasting.filter(|(_, value)| !value.is_empty() && !value.contains('*'));
        let lasting: Vec<String> = lasting.map(|(name, value)| format!("{name} = {}", basic(value))).collect();
        if !lasting.is_empty() {
            let _ = writeln!(toml, "extensions = {{ {} }}", lasting.join(", "));
        }
    }
    toml
}

/// A condition on exactly this text. One with a star in it would be read as a pattern, so it becomes an expression.
fn condition(field: &str, text: &str) -> String {
    match text {
        "" => String::new(),
        text if text.contains('*') => format!("{field}_regex = {}\n", basic(&format!("^{}$", regex::escape(text)))),
        text => format!("{field} = {}\n", basic(text)),
    }
}

/// A TOML string in which nothing looks like something else: all but printable ASCII is escaped.
fn basic(text: &str) -> String {
    let mut toml = String::with_capacity(text.len() + 2);
    toml.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => toml.extend(['\\', c]),
            ' '..='~' => toml.push(c),
            // Writing to a String cannot fail.
            _ => drop(write!(toml, "\\U{:08X}", u32::from(c))),
        }
    }
    toml.push('"');
    toml
}

/// A time as RFC 3339.
fn moment(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map_or_else(|_| at_ms.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests;
