//! Secrets, read from where the configuration says they are.

use std::path::Path;

use secrecy::SecretString;
use toml::Spanned;

use super::Problems;

/// Reads the secret of a `…_file` or `…_env` pair of keys; one trailing line end is not part of it.
pub(crate) fn read_secret(
    table: &str,
    keys: (&str, &str),
    file: Option<&Spanned<std::path::PathBuf>>,
    env: Option<&Spanned<String>>,
    problems: &mut Problems,
) -> Option<SecretString> {
    match (file, env) {
        (Some(path), None) => match read_file(path.get_ref()) {
            Ok(secret) => Some(secret),
            Err(why) => {
                problems.note(
                    path.span(),
                    format!("{table}: {} {why}", keys.0),
                    "write the secret into that file, readable by sealwatch alone",
                );
                None
            }
        },
        (None, Some(name)) => match std::env::var(name.get_ref()) {
            Ok(value) if !value.is_empty() => Some(SecretString::from(value)),
            _ => {
                problems.note(
                    name.span(),
                    format!("{table}: the environment variable {} is not set", name.get_ref()),
                    format!("set it, or name a file with {}", keys.0),
                );
                None
            }
        },
        (Some(_), Some(name)) => {
            problems.note(
                name.span(),
                format!("{table}: both {} and {} are given", keys.0, keys.1),
                "keep one of them",
            );
            None
        }
        (None, None) => None,
    }
}

/// The password of an encrypted key file: `password_file`, else the environment's `COSIGN_PASSWORD`.
pub(crate) fn password_of(
    table: &str,
    file: Option<&Spanned<std::path::PathBuf>>,
    problems: &mut Problems,
) -> Option<SecretString> {
    if file.is_some() {
        return read_secret(table, ("password_file", ""), file, None, problems);
    }
    std::env::var("COSIGN_PASSWORD").ok().map(SecretString::from)
}

fn read_file(path: &Path) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(SecretString::from(text.to_owned()))
}
