//! `key create` and `key public`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use signer::key::KeyBackend as _;

use super::CLEAN;
use crate::config::{guarded, read_password};
use crate::ended::{Ended, OrUsage as _};
use crate::say;

/// Makes a key pair in cosign's format, and overwrites nothing.
pub(crate) fn create(prefix: &Path, password_file: Option<&Path>) -> anyhow::Result<u8> {
    let Some(password) = password(password_file)? else {
        return Err(Ended::usage(
            "a password is needed to encrypt the key: give --password-file FILE or set COSIGN_PASSWORD (it may be empty)",
        ));
    };
    let pair = signer::key::file::generate(&password)?;
    let private = with_extension(prefix, "key");
    let public = with_extension(prefix, "pub");
    if public.exists() {
        return Err(Ended::usage(format!("{} is already there: choose another --output-key-prefix", public.display())));
    }
    write_new(&private, 0o600, &pair.private_pem)?;
    write_new(&public, 0o644, &pair.public_pem)?;
    say!("private key: {} (encrypted, readable by you alone)", private.display());
    say!("public key:  {}", public.display());
    Ok(CLEAN)
}

/// Prints the public half as PEM.
pub(crate) fn public(key: &Path, password_file: Option<&Path>) -> anyhow::Result<u8> {
    let file = guarded::read(key).map_err(|why| Ended::usage(format!("key file {why}")))?;
    warn(file.exposed);
    let key = signer::key::file::load(&file.bytes, password(password_file)?.as_ref())
        .or_usage(format!("key file {}", key.display()))?;
    say::block(&key.public_key().pem());
    Ok(CLEAN)
}

fn with_extension(prefix: &Path, extension: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

fn write_new(path: &Path, mode: u32, text: &str) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .or_usage(format!("{} cannot be made (an existing file is never overwritten)", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}

fn warn(exposed: Option<guarded::Exposed>) {
    if let Some(exposed) = exposed {
        say::complain(format_args!("warning: {}; {}", exposed.what, exposed.fix));
    }
}

fn password(file: Option<&Path>) -> anyhow::Result<Option<SecretString>> {
    match file {
        Some(path) => {
            let file = read_password(path).map_err(|why| Ended::usage(format!("password file {why}")))?;
            warn(file.exposed);
            let password = file.secret;
            if password.expose_secret().is_empty() {
                say::complain(format_args!("warning: {} is empty, so the password is the empty one", path.display()));
            }
            Ok(Some(password))
        }
        None => Ok(std::env::var("COSIGN_PASSWORD").ok().map(SecretString::from)),
    }
}
