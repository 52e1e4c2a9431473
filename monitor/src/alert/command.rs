//! A program of the user's, with the alert as JSON on its standard input.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::AsyncWriteExt as _;

use super::{Alert, AlertSink, AlertsError, SinkError};

/// All the time for one alert.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a program gets of our environment: the rest may hold secrets of ours.
const PASSED_ON: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

/// A program.
pub(super) struct Command {
    name: String,
    program: String,
    arguments: Vec<String>,
    env: BTreeMap<String, String>,
}

/// Without arguments and environment, which may hold tokens.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Command {
    pub(super) fn new(name: String, argv: &[String], env: &BTreeMap<String, String>) -> Result<Self, AlertsError> {
        match argv.split_first() {
            Some((program, arguments)) if !program.is_empty() => {
                Ok(Self { name, program: program.clone(), arguments: arguments.to_vec(), env: env.clone() })
            }
            _ => Err(AlertsError::Command(name)),
        }
    }

    fn failed(&self, why: impl Into<String>) -> SinkError {
        let program = Path::new(&self.program).file_name().map(|name| name.to_string_lossy().into_owned());
        SinkError::Command { program: program.unwrap_or_default(), why: why.into() }
    }
}

#[async_trait]
impl AlertSink for Command {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, alert: &Alert) -> Result<(), SinkError> {
        let passed_on = PASSED_ON.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let mut child = tokio::process::Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(passed_on)
            .envs(&self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.failed(format!("could not be started: {error}")))?;
        let mut json = alert.to_json();
        json.push(b'\n');
        let input = child.stdin.take();
        let told = async {
            if let Some(mut input) = input {
                match input.write_all(&json).await {
                    // A program need not read.
                    Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error),
                    _ => {}
                }
                // Dropping it is the end of its input.
            }
            child.wait().await
        };
        let status = match tokio::time::timeout(TIMEOUT, told).await {
            Ok(ended) => ended.map_err(|error| self.failed(format!("could not be waited for: {error}")))?,
            Err(_) => return Err(self.failed(format!("did not end within {} s", TIMEOUT.as_secs()))),
        };
        if status.success() { Ok(()) } else { Err(self.failed(format!("ended with {status}"))) }
    }
}
