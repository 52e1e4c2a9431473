//! `config check`: the file, all that it names, and what it means.

use std::path::Path;

use super::{CLEAN, USAGE};
use crate::config::Config;
use crate::{rooms, run, say};

/// Checks a file and explains it; each mistake with its line and fix.
pub(crate) fn check(file: &Path, file_only: bool) -> anyhow::Result<u8> {
    let config = Config::load(file)?;
    if file_only {
        say!("{} is well formed; what it names was not looked at", file.display());
        return Ok(CLEAN);
    }
    // Both halves are checked, so that one run shows every mistake.
    let intake = rooms::intake(&config);
    let worker = rooms::worker(&config, run::now_ms());
    let (intake, worker) = match (intake, worker) {
        (Ok(intake), Ok(worker)) => (intake, worker),
        (intake, worker) => {
            let mut problems = config.problems();
            for list in [intake.err(), worker.err()].into_iter().flatten() {
                problems.merge(list);
            }
            say::complain(format_args!("{}", problems.to_string().trim_end()));
            return Ok(USAGE);
        }
    };
    let listeners = rooms::listeners(&config)?;
    say!("{} is good.", file.display());
    say!("store: {}", without_password(config.file.store.url.get_ref()));
    for (name, source) in &intake.sources {
        say!("source {name}: POST http://{}/hooks/{name} may speak for {}", listeners.hooks, source.registry);
    }
    for (n, (rule, table)) in worker.rules.iter().zip(&config.file.rule).enumerate() {
        let table = table.get_ref();
        let list =
            |globs: &[toml::Spanned<String>]| globs.iter().map(|g| g.get_ref().clone()).collect::<Vec<_>>().join(", ");
        let formats: Vec<&str> = rule.formats.iter().map(|f| f.as_str()).collect();
        say!(
            "rule {}: {} tagged {} signed with {} as {} (trust zone {})",
            n + 1,
            list(table.repositories.get_ref()),
            list(table.tags.get_ref()),
            rule.sign_with.join(", "),
            formats.join(" and "),
            rule.trust_zone
        );
    }
    for (name, identity) in &worker.identities {
        let key = identity.key.public_key();
        let log = identity
            .services
            .log
            .as_ref()
            .map_or_else(|| "no log".to_owned(), |l| format!("{} (Rekor v{})", l.origin(), l.version()));
        say!(
            "identity {name}: {} {}, logged in {log}, {} timestamp authorit{}",
            key.algorithm(),
            key.fingerprint(),
            identity.services.timestamp_authorities.len(),
            if identity.services.timestamp_authorities.len() == 1 { "y" } else { "ies" }
        );
        if identity.services.log.as_ref().is_some_and(|l| l.origin() != "rekor.sigstore.dev") {
            say!(
                "  its log is private: verifiers need its trusted root with cosign 2.6.3 and later; `sealwatch kit` writes it"
            );
        }
    }
    Ok(CLEAN)
}

fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            // A URL that has a password can carry one.
            let _ = parsed.set_password(Some("…"));
            parsed.to_string()
        }
        _ => url.to_owned(),
    }
}
