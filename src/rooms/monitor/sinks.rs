//! `[[alert]]`: from what a person writes to sinks. What may hold a token is read as a secret.

use std::collections::BTreeMap;

use monitor::SinkConfig;
use monitor::config::SinkKind;
use secrecy::SecretString;
use store::{Severity, Sink};
use toml::Spanned;

use crate::config::{AlertTable, Config, Problems, is_http, read_secret};

/// Every sink of the file.
pub(super) fn sinks(config: &Config, problems: &mut Problems) -> Vec<SinkConfig> {
    let mut all: Vec<SinkConfig> = Vec::new();
    for spanned in &config.file.alert {
        let table = spanned.get_ref();
        let name = name(table);
        if all.iter().any(|sink| sink.name == name) {
            problems.note(spanned.span(), format!("[[alert]] {name:?} is there twice"), "give each alert its own name");
            continue;
        }
        let label = format!("[[alert]] {name:?}");
        if refused(&label, table, problems) {
            continue;
        }
        let min_severity = match table.min_severity.as_ref().map_or("warning", |s| s.get_ref().as_str()) {
            "info" => Severity::Info,
            "warning" => Severity::Warning,
            "critical" => Severity::Critical,
            other => {
                problems.note(
                    table.min_severity.as_ref().map_or(spanned.span(), Spanned::span),
                    format!("{label} min_severity = {other:?}"),
                    "use \"info\", \"warning\" or \"critical\"",
                );
                continue;
            }
        };
        if let Some(kind) = kind(&label, spanned, problems) {
            all.push(SinkConfig { name, min_severity, kind });
        }
    }
    all
}

/// The sinks by name, without their secrets: for whoever takes note of a finding, and needs not be able to send an alert.
pub(crate) fn told(config: &Config, which: Told) -> Vec<Sink> {
    let tables = config.file.alert.iter().map(Spanned::get_ref);
    // These keep an alert until it is told that it is over, and repeat it meanwhile.
    let keeps = |table: &AlertTable| matches!(table.kind.get_ref().as_str(), "alertmanager" | "pagerduty");
    // Whether one was told of a finding is in the outbox; its own bound does not matter here.
    tables
        .filter(|table| which == Told::All || keeps(table))
        .map(|table| Sink { name: name(table), min_severity: Severity::Info })
        .collect()
}

/// Which sinks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    /// Each.
    All,
    /// Those that keep an alert until they are told that it is over.
    Keeping,
}

fn name(table: &AlertTable) -> String {
    table.name.as_ref().map_or_else(|| table.kind.get_ref().clone(), |name| name.get_ref().clone())
}

fn kind(label: &str, spanned: &Spanned<AlertTable>, problems: &mut Problems) -> Option<SinkKind> {
    let table = spanned.get_ref();
    match table.kind.get_ref().as_str() {
        "alertmanager" => {
            Some(SinkKind::Alertmanager { url: url(label, spanned, problems)?, ca_pem: ca(label, table, problems)? })
        }
        "webhook" => Some(SinkKind::Webhook {
            url: url(label, spanned, problems)?,
            secret: secret(label, spanned, "the receiver checks the HMAC with it", problems)?,
            ca_pem: ca(label, table, problems)?,
        }),
        "slack" => {
            if let Some(url) = &table.url {
                problems.note(
                    url.span(),
                    format!("{label} has its URL in this file, and whoever knows it may post there"),
                    "put it into a file that only sealwatch may read, and name that with url_file",
                );
                return None;
            }
            Some(SinkKind::Slack { url: url(label, spanned, problems)?, ca_pem: ca(label, table, problems)? })
        }
        "pagerduty" => {
            let named = table.url.is_some() || table.url_file.is_some() || table.url_env.is_some();
            let url = if named {
                url(label, spanned, problems)?
            } else {
                SecretString::from("https://events.pagerduty.com/v2/enqueue")
            };
            Some(SinkKind::PagerDuty {
                url,
                routing_key: secret(label, spanned, "it is the routing key of the service", problems)?,
                ca_pem: ca(label, table, problems)?,
            })
        }
        "mail" => mail(label, spanned, problems),
        "command" => match &table.command {
            Some(command) if !command.get_ref().is_empty() => {
                Some(SinkKind::Command { argv: command.get_ref().clone(), env: BTreeMap::new() })
            }
            _ => {
                problems.note(
                    spanned.span(),
                    format!("{label} has no command"),
                    "add command = [\"/path/to/program\", \"argument\"]; it reads the alert as JSON",
                );
                None
            }
        },
        other => {
            problems.note(
                table.kind.span(),
                format!("{label} kind {other:?} is not known"),
                "use alertmanager, webhook, slack, pagerduty, mail or command",
            );
            None
        }
    }
}

/// Keys that the kind does not have: whoever wrote one thinks that it does something.
fn refused(label: &str, table: &AlertTable, problems: &mut Problems) -> bool {
    let kind = table.kind.get_ref().as_str();
    let known: &[&str] = match kind {
        "alertmanager" | "slack" => &["url", "url_file", "url_env", "ca_file"],
        "webhook" | "pagerduty" => &["url", "url_file", "url_env", "ca_file", "secret_file", "secret_env"],
        "mail" => &[
            "url",
            "url_file",
            "url_env",
            "ca_file",
            "username",
            "password_file",
            "password_env",
            "from",
            "to",
            "plain",
        ],
        "command" => &["command"],
        // Said where the kind is read.
        _ => return false,
    };
    let given = [
        ("url", table.url.as_ref().map(Spanned::span)),
        ("url_file", table.url_file.as_ref().map(Spanned::span)),
        ("url_env", table.url_env.as_ref().map(Spanned::span)),
        ("secret_file", table.secret_file.as_ref().map(Spanned::span)),
        ("secret_env", table.secret_env.as_ref().map(Spanned::span)),
        ("ca_file", table.ca_file.as_ref().map(Spanned::span)),
        ("username", table.username.as_ref().map(Spanned::span)),
        ("password_file", table.password_file.as_ref().map(Spanned::span)),
        ("password_env", table.password_env.as_ref().map(Spanned::span)),
        ("from", table.from.as_ref().map(Spanned::span)),
        ("to", table.to.as_ref().map(Spanned::span)),
        ("plain", table.plain.as_ref().map(Spanned::span)),
        ("command", table.command.as_ref().map(Spanned::span)),
    ];
    let mut any = false;
    for (key, span) in given {
        if let Some(span) = span
            && !known.contains(&key)
        {
            problems.note(
                span,
                format!("{label} has {key}, which kind {kind:?} does not use"),
                format!("remove {key}"),
            );
            any = true;
        }
    }
    any
}

fn mail(label: &str, spanned: &Spanned<AlertTable>, problems: &mut Problems) -> Option<SinkKind> {
    let table = spanned.get_ref();
    let elsewhere = table.url_file.as_ref().map(Spanned::span).or(table.url_env.as_ref().map(Spanned::span));
    let server_span = table.url.as_ref().map(Spanned::span).or(elsewhere);
    let (Some(server_span), Some(from), Some(to)) = (server_span, &table.from, &table.to) else {
        problems.note(
            spanned.span(),
            format!("{label} needs url (or url_file, url_env), from and to"),
            "add url = \"smtps://mail.example.com\", from = \"…\", to = [\"…\"]",
        );
        return None;
    };
    let server = url_text(label, table, problems)?;
    let parsed = secrecy::ExposeSecret::expose_secret(&server).parse().ok().filter(|url: &url::Url| {
        matches!(url.scheme(), "smtp" | "smtps") && url.has_host() && url.password().is_none()
    });
    let Some(parsed) = parsed else {
        problems.note(
            server_span,
            format!("{label} url is not a mail server"),
            "write it like \"smtps://mail.example.com:465\" or \"smtp://mail.example.com:587\"; the password is password_file",
        );
        return None;
    };
    let login = match &table.username {
        Some(user) => {
            let password = read_secret(
                label,
                ("password_file", "password_env"),
                table.password_file.as_ref(),
                table.password_env.as_ref(),
                problems,
            );
            if password.is_none() && table.password_file.is_none() && table.password_env.is_none() {
                problems.note(
                    user.span(),
                    format!("{label} has a username and no password"),
                    "add password_file = \"…\"",
                );
            }
            Some((user.get_ref().clone(), password?))
        }
        None => None,
    };
    Some(SinkKind::Mail {
        url: parsed,
        login,
        from: from.get_ref().clone(),
        to: to.get_ref().clone(),
        plain: table.plain.as_ref().is_some_and(|plain| *plain.get_ref()),
        ca_pem: ca(label, table, problems)?,
    })
}

/// A URL in the file, or in a file or variable where it holds a token.
fn url(label: &str, spanned: &Spanned<AlertTable>, problems: &mut Problems) -> Option<SecretString> {
    let table = spanned.get_ref();
    let before = problems.is_empty();
    let good = url_text(label, table, problems).filter(|text| is_http(secrecy::ExposeSecret::expose_secret(text)));
    if good.is_none() && before && problems.is_empty() {
        problems.note(
            table.url.as_ref().map_or(spanned.span(), Spanned::span),
            format!("{label} has no http or https URL"),
            "add url = \"https://…\", or url_file where the URL is a secret",
        );
    }
    good
}

/// A URL as it is written, wherever that is.
fn url_text(label: &str, table: &AlertTable, problems: &mut Problems) -> Option<SecretString> {
    let elsewhere = table.url_file.as_ref().map(Spanned::span).or(table.url_env.as_ref().map(Spanned::span));
    match (&table.url, elsewhere) {
        (Some(_), Some(span)) => {
            problems.note(span, format!("{label} has its URL twice"), "keep one of url, url_file and url_env");
            None
        }
        (Some(url), None) => Some(SecretString::from(url.get_ref().clone())),
        (None, _) => {
            read_secret(label, ("url_file", "url_env"), table.url_file.as_ref(), table.url_env.as_ref(), problems)
        }
    }
}

fn secret(label: &str, spanned: &Spanned<AlertTable>, why: &str, problems: &mut Problems) -> Option<SecretString> {
    let table = spanned.get_ref();
    let named = table.secret_file.is_some() || table.secret_env.is_some();
    if !named {
        problems.note(spanned.span(), format!("{label} has no secret"), format!("add secret_file = \"…\": {why}"));
        return None;
    }
    read_secret(label, ("secret_file", "secret_env"), table.secret_file.as_ref(), table.secret_env.as_ref(), problems)
}

/// The private CA: `Some(None)` where none is named, `None` where it cannot be read.
fn ca(label: &str, table: &AlertTable, problems: &mut Problems) -> Option<Option<Vec<u8>>> {
    let Some(path) = &table.ca_file else { return Some(None) };
    match std::fs::read(path.get_ref()) {
        Ok(pem) => Some(Some(pem)),
        Err(error) => {
            problems.note(
                path.span(),
                format!("{label} ca_file: {}: {error}", path.get_ref().display()),
                "name a PEM file with the private CA",
            );
            None
        }
    }
}
