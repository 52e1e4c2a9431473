//! Where the credentials of a registry come from: given, or a docker `config.json` and its credential helpers.

mod docker_config;
mod helper;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use bundle::{RegistryHost, Repository};
use secrecy::SecretString;

use super::Auth;
use docker_config::{DockerConfig, Source};

/// The largest `config.json` that is read.
const CONFIG_MAX_BYTES: u64 = 1 << 20;
/// A helper's answer is used for so long without running it again; a 401 ends it at once.
const HELPER_ANSWER_AGE: Duration = Duration::from_secs(300);

/// What is presented to a registry or its token service.
#[derive(Clone, Debug)]
pub(super) enum Credential {
    /// A user name and password.
    Basic { username: String, password: SecretString },
    /// A refresh token for the OAuth2 endpoint of the token service.
    Identity { username: String, token: SecretString },
    /// A finished bearer token.
    Bearer(SecretString),
}

/// Why the credentials of a registry could not be found out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is no docker configuration. Without serde's words: they may quote a secret.
    #[error("{} is no docker config.json (line {line}, column {column})", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where it stops to be one.
        line: usize,
        /// Where it stops to be one.
        column: usize,
    },
    /// An `auth` that is not base64 of `username:password`.
    #[error("the auth of {key:?} in {} is not base64 of username:password", path.display())]
    Auth {
        /// The file.
        path: PathBuf,
        /// The entry.
        key: String,
    },
    /// A helper's name that could be a path.
    #[error("{name:?} is no name of a credential helper")]
    HelperName {
        /// The name.
        name: String,
    },
    /// The helper cannot be run.
    #[error("cannot run docker-credential-{name}: {source}; install it on the PATH of this process")]
    HelperStart {
        /// The helper.
        name: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The helper failed. Its output is not repeated, since it may hold a secret.
    #[error("docker-credential-{name} get failed with exit status {status}; run it by hand to see why")]
    HelperFailed {
        /// The helper.
        name: String,
        /// Its exit status; -1 for a signal.
        status: i32,
    },
    /// The helper did not come to an end.
    #[error("docker-credential-{name} get did not answer within {seconds} s")]
    HelperTimeout {
        /// The helper.
        name: String,
        /// How long it had.
        seconds: u64,
    },
    /// The helper answered something else.
    #[error("docker-credential-{name} get did not answer with Username and Secret")]
    HelperAnswer {
        /// The helper.
        name: String,
    },
}

impl CredentialsError {
    /// A file that is being replaced and a helper that cannot reach its service may be well a moment later.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::HelperName { .. } | Self::Auth { .. })
    }
}

/// Finds the credential of a repository.
pub(super) struct Credentials {
    auth: Auth,
    host: RegistryHost,
    file: Mutex<Option<(Stamp, std::sync::Arc<DockerConfig>)>>,
    answers: Mutex<Vec<(Source, Instant, Option<Credential>)>>,
    /// Where helpers are looked for instead of the PATH of this process.
    helper_path: Option<PathBuf>,
}

/// Tells one state of a file from another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    size: u64,
}

impl Credentials {
    pub(super) fn new(auth: Auth, host: RegistryHost) -> Self {
        Self { auth, host, file: Mutex::new(None), answers: Mutex::new(Vec::new()), helper_path: None }
    }

    #[cfg(test)]
    pub(super) fn with_helpers_in(mut self, directory: &Path) -> Self {
        self.helper_path = Some(directory.to_owned());
        self
    }

    /// Whether there can be any.
    pub(super) fn is_anonymous(&self) -> bool {
        matches!(self.auth, Auth::Anonymous)
    }

    /// What to present for a repository; `None` = nothing.
    pub(super) async fn find(&self, repository: &Repository) -> Result<Option<Credential>, CredentialsError> {
        let path = match &self.auth {
            Auth::Anonymous => return Ok(None),
            Auth::Basic { username, password } => {
                return Ok(Some(Credential::Basic { username: username.clone(), password: password.clone() }));
            }
            Auth::DockerConfig(path) => path,
        };
        let config = self.read(path).await?;
        match config.find(&self.host, repository) {
            None => Ok(None),
            Some(Source::Stored(key)) => config.stored(key, path),
            Some(source @ Source::Helper { .. }) => self.ask(source).await,
        }
    }

    /// Something was refused: what is remembered of files and helpers is not used again.
    pub(super) fn forget(&self) {
        *lock(&self.file) = None;
        lock(&self.answers).clear();
    }

    /// The file, read again when it has changed: rotated credentials need no restart.
    async fn read(&self, path: &Path) -> Result<std::sync::Arc<DockerConfig>, CredentialsError> {
        let unreadable = |source| CredentialsError::Unreadable { path: path.to_owned(), source };
        let metadata = tokio::fs::metadata(path).await.map_err(unreadable)?;
        let stamp = Stamp { modified: metadata.modified().ok(), size: metadata.len() };
        if let Some((known, config)) = &*lock(&self.file)
            && *known == stamp
        {
            return Ok(config.clone());
        }
        if stamp.size > CONFIG_MAX_BYTES {
            return Err(unreadable(std::io::Error::other("larger than 1 MiB")));
        }
        let bytes = tokio::fs::read(path).await.map_err(unreadable)?;
        let config = DockerConfig::parse(&bytes).map_err(|error| CredentialsError::Malformed {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
        })?;
        let config = std::sync::Arc::new(config);
        *lock(&self.file) = Some((stamp, config.clone()));
        Ok(config)
    }

    async fn ask(&self, source: Source) -> Result<Option<Credential>, CredentialsError> {
        let remembered = lock(&self.answers)
            .iter()
            .find(|(asked, at, _)| *asked == source && at.elapsed() < HELPER_ANSWER_AGE)
            .map(|(_, _, answer)| answer.clone());
        if let Some(answer) = remembered {
            return Ok(answer);
        }
        let Source::Helper { name, server } = &source else { return Ok(None) };
        let answer = helper::get(name, server, self.helper_path.as_deref()).await?;
        let mut answers = lock(&self.answers);
        answers.retain(|(asked, ..)| *asked != source);
        answers.push((source, Instant::now(), answer.clone()));
        Ok(answer)
    }
}

/// A lock poisoned by a panic elsewhere still guards a value that is whole: each is replaced in one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
