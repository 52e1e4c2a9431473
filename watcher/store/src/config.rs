//! Where the store is and how it is reached.

use std::path::PathBuf;

use crate::StoreError;
use crate::postgres::connector;

/// Where the store is and how it is reached: `[store]` of the configuration.
#[derive(Clone, Debug, Default)]
pub struct StoreConfig {
    /// `sqlite:PATH`, `sqlite::memory:` or `postgres://USER@HOST:PORT/DATABASE`, the last with `?sslmode=` where the default
    /// does not fit. It holds no password.
    pub url: String,
    /// The file with PostgreSQL's password, read again at each new connection. Without it the file that `PGPASSFILE` names,
    /// or `~/.pgpass`, which is ignored where others may read it; before both, `PGPASSWORD` of the environment.
    pub password_file: Option<PathBuf>,
    /// The CAs in PEM that the server's certificate is checked by, and no others: the system's are not read.
    pub ca_file: Option<PathBuf>,
}

impl StoreConfig {
    /// Checks what can be checked without the database and without the files. Answers with what is allowed and should not
    /// be: one text for each.
    ///
    /// # Errors
    /// [`StoreError::UnknownEngine`], [`StoreError::Url`], [`StoreError::Password`] and [`StoreError::NoCa`].
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        match self.engine()? {
            Engine::Sqlite => match (&self.password_file, &self.ca_file) {
                (None, None) => Ok(Vec::new()),
                _ => Err(StoreError::Url {
                    reason: "SQLite is a file: password_file and ca_file are for postgres://".to_owned(),
                }),
            },
            Engine::Postgres => connector::check(self),
        }
    }

    /// Checks the files as well.
    ///
    /// # Errors
    /// As [`StoreConfig::check`], and [`StoreError::File`] or [`StoreError::PasswordFile`] where one cannot be used.
    pub fn check_files(&self) -> Result<(), StoreError> {
        match self.engine()? {
            Engine::Sqlite => self.check().map(|_| ()),
            Engine::Postgres => connector::check_files(self),
        }
    }

    pub(crate) fn engine(&self) -> Result<Engine, StoreError> {
        match self.url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Engine::Sqlite),
            Some("postgres" | "postgresql") => Ok(Engine::Postgres),
            _ => Err(StoreError::UnknownEngine),
        }
    }
}

/// Which database it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl From<&str> for StoreConfig {
    fn from(url: &str) -> Self {
        Self { url: url.to_owned(), ..Self::default() }
    }
}

impl From<&String> for StoreConfig {
    fn from(url: &String) -> Self {
        Self::from(url.as_str())
    }
}
