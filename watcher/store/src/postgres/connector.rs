//! How one connection to PostgreSQL is made: its certificate checked, its password read at that moment.
//!
//! Nothing of ours is in the start-up parameters but the application's name: a pooler refuses others.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use url::Url;

use crate::deadline::Deadline;
use crate::{StoreConfig, StoreError};

/// How long a connection may take to be made.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes connections to one database.
pub(super) enum Connector {
    /// As the configuration says. Read again for each connection, so that a new password needs no restart.
    Configured(StoreConfig),
    /// As a test says.
    #[cfg(test)]
    Given(Box<PgConnectOptions>),
}

impl Connector {
    /// Makes a connection. Behind a pooler that gives each transaction another session, nothing is kept in the session;
    /// elsewhere it is given a name, by which a transaction knows it again.
    pub(super) async fn connect(
        &self,
        is_pooled: bool,
        deadline: Deadline,
    ) -> Result<(PgConnection, Option<String>), StoreError> {
        let options = self.options()?.application_name("sealwatch");
        // A float is nowhere in the schema, and pgbouncer refuses this parameter.
        let options = options.extra_float_digits(None);
        let options = if is_pooled { options.statement_cache_capacity(0) } else { options };
        let target = target(&options);
        let deadline = deadline.or_after(CONNECT_TIMEOUT);
        let connecting = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            if is_pooled {
                return Ok::<_, StoreError>((connection, None));
            }
            let session = crate::dialect::lease_token()?;
            let name = format!("SET sealwatch.session = '{session}'");
            connection.execute(AssertSqlSafe(name)).await?;
            Ok((connection, Some(session)))
        };
        match deadline.limit(connecting).await {
            Ok(Ok(made)) => Ok(made),
            Ok(Err(StoreError::Database(cause))) => Err(explained(cause, target, &options)),
            Ok(Err(other)) => Err(other),
            Err(_) => Err(StoreError::ConnectTimeout { target, seconds: CONNECT_TIMEOUT.as_secs() }),
        }
    }

    fn options(&self) -> Result<PgConnectOptions, StoreError> {
        match self {
            Self::Configured(config) => options(config, Files::Read).map(|(options, _)| options),
            #[cfg(test)]
            Self::Given(options) => Ok(PgConnectOptions::clone(options)),
        }
    }
}

/// What a configuration says that is allowed and should not be.
pub(crate) fn check(config: &StoreConfig) -> Result<Vec<String>, StoreError> {
    let (options, way) = options(config, Files::Leave)?;
    Ok(match way {
        Way::Local | Way::Checked => Vec::new(),
        Way::Unchecked => vec![format!(
            "[store] sslmode={}: who answers for the database {} is not checked. An attacker on the way to it can read and \
             write all that is in it. Use sslmode=verify-full and ca_file",
            word(options.get_ssl_mode()),
            options.get_host()
        )],
    })
}

/// Whether the files that a configuration names can be read, and hold what they should.
pub(crate) fn check_files(config: &StoreConfig) -> Result<(), StoreError> {
    options(config, Files::Read).map(|_| ())
}

/// What is done with the files that a configuration names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Files {
    Read,
    Leave,
}

/// What lies between us and the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// A socket of this machine.
    Local,
    /// TLS, and the certificate is checked.
    Checked,
    /// Neither.
    Unchecked,
}

/// The driver's options for a configuration, as its files are now.
fn options(config: &StoreConfig, files: Files) -> Result<(PgConnectOptions, Way), StoreError> {
    let url = Url::parse(&config.url).map_err(|error| StoreError::Url { reason: error.to_string() })?;
    if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") {
        return Err(StoreError::Password);
    }
    // The parser's words are about a part of the URL, never the URL; still, only those of its errors that are about the form
    // go out.
    let mut options = PgConnectOptions::from_str(&config.url).map_err(|error| StoreError::Url {
        reason: match error {
            sqlx::Error::Configuration(cause) => cause.to_string(),
            _ => "it is not of the form postgres://USER@HOST:PORT/DATABASE".to_owned(),
        },
    })?;
    if options.get_options().is_some_and(|options| options.contains("search_path")) {
        let reason = "it sets search_path; sealwatch keeps its tables in the schemas public and monitor".to_owned();
        return Err(StoreError::Url { reason });
    }
    if let Some(inner) = options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let inner = inner.to_owned();
        options = options.host(&inner);
    }
    let says = |keys: &[&str], variable: &str| {
        url.query_pairs().any(|(key, _)| keys.contains(&&*key)) || std::env::var_os(variable).is_some()
    };
    let names_mode = says(&["sslmode", "ssl-mode"], "PGSSLMODE");
    let names_ca = says(&["sslrootcert", "ssl-root-cert", "ssl-ca"], "PGSSLROOTCERT");
    let is_local = is_local(&options);
    if !names_mode && !is_local {
        options = options.ssl_mode(PgSslMode::VerifyFull);
    }
    if files == Files::Read {
        if let Some(path) = &config.ca_file {
            options = options.ssl_root_cert_from_pem(ca(path)?);
        }
        if let Some(path) = &config.password_file {
            options = options.password(&password(path)?);
        }
    }
    let is_checked = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull | PgSslMode::VerifyCa);
    if is_checked && config.ca_file.is_none() && !names_ca {
        return Err(StoreError::NoCa { target: target(&options) });
    }
    let way = match (is_local, is_checked) {
        (true, _) => Way::Local,
        (false, true) => Way::Checked,
        (false, false) => Way::Unchecked,
    };
    Ok((options, way))
}

/// Whether the server is reached without a network: by a unix socket or on loopback.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn ca(path: &Path) -> Result<Vec<u8>, StoreError> {
    let failed = |cause| StoreError::File { path: path.to_owned(), cause };
    let pem = std::fs::read(path).map_err(failed)?;
    if !pem.windows(27).any(|part| part == b"-----BEGIN CERTIFICATE-----") {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "there is no certificate in PEM in it")));
    }
    Ok(pem)
}

/// One line end at the end is not part of it.
fn password(path: &Path) -> Result<String, StoreError> {
    let failed = |cause| StoreError::PasswordFile { path: path.to_owned(), cause };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is empty")));
    }
    Ok(text.to_owned())
}

/// The database as errors name it: who, where and which, without a password.
fn target(options: &PgConnectOptions) -> String {
    format!(
        "postgres://{}@{}:{}/{}",
        options.get_username(),
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap_or_default()
    )
}

/// An error at the start of a connection; one of TLS with what mends it.
fn explained(cause: sqlx::Error, target: String, options: &PgConnectOptions) -> StoreError {
    let said = match &cause {
        sqlx::Error::Tls(error) => error.to_string(),
        // The driver reports what rustls refuses as broken input.
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => error.to_string(),
        _ => return StoreError::Connect { target, cause },
    };
    let fix = if said.contains("does not support TLS") {
        "turn TLS on in the server (ssl = on); or, where no attacker can be on the way, set ?sslmode=disable in [store] url"
            .to_owned()
    } else if said.contains("UnknownIssuer") {
        "set [store] ca_file to the CA of the server's certificate, in PEM; the system's CAs are not read".to_owned()
    } else if said.contains("NotValidForName") || said.contains("not valid for name") {
        format!(
            "use a name of the certificate in place of {:?} in [store] url; or set ?sslmode=verify-ca, which accepts every \
             certificate of the CA in ca_file",
            options.get_host()
        )
    } else {
        format!("see to the server's certificate and [store] ca_file (sslmode={})", word(options.get_ssl_mode()))
    };
    StoreError::Tls { target, said, fix }
}

fn word(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}
