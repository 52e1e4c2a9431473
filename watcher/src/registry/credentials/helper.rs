//! Credential helpers: `docker-credential-NAME get`, the server on its input, a JSON object on its output.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::{Credential, CredentialsError};

/// Helpers ask cloud services; one that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest answer that is read.
const ANSWER_MAX_BYTES: u64 = 64 << 10;

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username", alias = "username")]
    username: String,
    #[serde(rename = "Secret", alias = "secret")]
    secret: SecretString,
}

/// Asks a helper. `None` = it knows no credential for the server.
pub(super) async fn get(
    name: &str,
    server: &str,
    directory: Option<&Path>,
) -> Result<Option<Credential>, CredentialsError> {
    get_within(name, server, directory, PATIENCE).await
}

pub(super) async fn get_within(
    name: &str,
    server: &str,
    directory: Option<&Path>,
    patience: Duration,
) -> Result<Option<Credential>, CredentialsError> {
    // The name comes from a file that others may write; it must not lead out of the PATH.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(CredentialsError::HelperName { name: name.to_owned() });
    }
    tokio::time::timeout(patience, run(name, server, directory))
        .await
        .unwrap_or_else(|_| Err(CredentialsError::HelperTimeout { name: name.to_owned(), seconds: patience.as_secs() }))
}

async fn run(name: &str, server: &str, directory: Option<&Path>) -> Result<Option<Credential>, CredentialsError> {
    let start = |source| CredentialsError::HelperStart { name: name.to_owned(), source };
    let program = format!("docker-credential-{name}");
    let mut command = match directory {
        Some(directory) => Command::new(directory.join(program)),
        None => Command::new(program),
    };
    let mut child = command
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(start)?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read its input has closed it; what it answers decides.
        let _closed = input.write_all(server.as_bytes()).await;
    }
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(ANSWER_MAX_BYTES).read_to_end(&mut output).await.map_err(start)?;
    }
    let status = child.wait().await.map_err(start)?;
    if !status.success() {
        // SPEC: the helper protocol has no code for "none"; this text is what clients look for.
        if String::from_utf8_lossy(&output).contains("credentials not found") {
            return Ok(None);
        }
        let status = status.code().unwrap_or(-1);
        return Err(CredentialsError::HelperFailed { name: name.to_owned(), status });
    }
    let answer: Answer =
        serde_json::from_slice(&output).map_err(|_| CredentialsError::HelperAnswer { name: name.to_owned() })?;
    Ok(Some(if answer.username == "<token>" {
        Credential::Identity { username: answer.username, token: answer.secret }
    } else {
        Credential::Basic { username: answer.username, password: answer.secret }
    }))
}
