//! Secrets, read from where the configuration says they are.

use std::ops::Range;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use toml::Spanned;

use super::Problems;
use super::guarded::{self, Exposed};

/// Reads the secret of a `…_file` or `…_env` pair of keys; one trailing line end is not part of it.
pub(crate) fn read_secret(
    table: &str,
    keys: (&str, &str),
    file: Option<&Spanned<std::path::PathBuf>>,
    env: Option<&Spanned<String>>,
    problems: &mut Problems,
) -> Option<SecretString> {
    match (file, env) {
        (Some(path), None) => match read_password(path.get_ref()).and_then(|file| not_empty(path.get_ref(), file)) {
            Ok(file) => {
                warn_of(table, path.span(), file.exposed, problems);
                Some(file.secret)
            }
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
    let Some(path) = file else {
        return std::env::var("COSIGN_PASSWORD").ok().map(SecretString::from);
    };
    match read_password(path.get_ref()) {
        Ok(SecretFile { secret: password, exposed }) => {
            warn_of(table, path.span(), exposed, problems);
            if password.expose_secret().is_empty() {
                problems.warn(
                    path.span(),
                    format!(
                        "{table}: password_file {} is empty, so the password is the empty one",
                        path.get_ref().display()
                    ),
                    "encrypt the key with a password, as `sealwatch key create --password-file FILE` does",
                );
            }
            Some(password)
        }
        Err(why) => {
            problems.note(
                path.span(),
                format!("{table}: password_file {why}"),
                "write the password into that file, readable by sealwatch alone",
            );
            None
        }
    }
}

/// One secret out of a file.
pub(crate) struct SecretFile {
    /// The secret.
    pub(crate) secret: SecretString,
    /// That others may read it.
    pub(crate) exposed: Option<Exposed>,
}

/// Reads a file that holds one secret, by the one rule for all of them: exactly one line end at its end, `\n` or `\r\n`, is
/// not part of it. An empty file is an empty password.
///
/// # Errors
/// A file that is not there, is no text, or can be written by others.
pub(crate) fn read_password(path: &Path) -> Result<SecretFile, String> {
    let file = guarded::read(path)?;
    // The error would show the bytes.
    let text = String::from_utf8(file.bytes).map_err(|_| format!("{} is not UTF-8", path.display()))?;
    Ok(SecretFile { secret: SecretString::from(without_line_end(&text)), exposed: file.exposed })
}

/// Warns of a secret that others may read.
pub(crate) fn warn_of(table: &str, span: Range<usize>, exposed: Option<Exposed>, problems: &Problems) {
    if let Some(exposed) = exposed {
        problems.warn(span, format!("{table}: {}", exposed.what), exposed.fix);
    }
}

fn without_line_end(text: &str) -> &str {
    match text.strip_suffix('\n') {
        Some(line) => line.strip_suffix('\r').unwrap_or(line),
        None => text,
    }
}

fn not_empty(path: &Path, file: SecretFile) -> Result<SecretFile, String> {
    if file.secret.expose_secret().is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_line_end_is_removed() {
        for (text, secret) in [
            ("", ""),
            ("\n", ""),
            ("\r\n", ""),
            ("pw", "pw"),
            ("pw\n", "pw"),
            ("pw\r\n", "pw"),
            ("pw\n\n", "pw\n"),
            ("pw\r\n\r\n", "pw\r\n"),
            ("pw\r", "pw\r"),
            (" pw \n", " pw "),
            ("\npw\n", "\npw"),
        ] {
            assert_eq!(without_line_end(text), secret, "{text:?}");
        }
    }

    #[test]
    fn an_empty_password_is_one_that_is_warned_of_and_an_empty_secret_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("empty");
        std::fs::write(&file, "\n").expect("a file");
        let mut problems = Problems::of(Path::new("t.toml"), "");
        let path = Spanned::new(0..0, file.clone());
        let password = password_of("[identity.x]", Some(&path), &mut problems).expect("a password");
        assert!(password.expose_secret().is_empty() && problems.is_empty());
        let warnings = problems.warnings().lines(Path::new("t.toml"));
        assert!(
            warnings.iter().any(|line| line.contains("is empty, so the password is the empty one")),
            "{warnings:?}"
        );

        let secret = read_secret("[source.x]", ("secret_file", "secret_env"), Some(&path), None, &mut problems);
        assert!(secret.is_none());
        assert!(problems.list()[0].what.contains("is empty"), "{problems}");
    }
}
