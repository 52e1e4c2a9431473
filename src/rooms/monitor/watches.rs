//! `[[watch]]`: from what a person writes to rules that compile.

use bundle::certificate::extension_oid;
use monitor::watchlist::{IdentityRule, Pattern, WatchKind, WatchMode, WatchRule, Watchlist};
use toml::Spanned;

use crate::config::{Config, Problems, WatchTable};
use crate::rooms;

/// Every rule of the file; each is compiled once on its own, so that what is wrong with it names its line.
pub(super) fn watches(config: &Config, problems: &mut Problems) -> Vec<WatchRule> {
    let mut all: Vec<WatchRule> = Vec::new();
    for (n, spanned) in config.file.watch.iter().enumerate() {
        let table = spanned.get_ref();
        let name = table.name.as_ref().map_or_else(|| format!("watch {}", n + 1), |name| name.get_ref().clone());
        if all.iter().any(|rule| rule.name == name) {
            problems.note(spanned.span(), format!("[[watch]] {name:?} is there twice"), "give each watch its own name");
            continue;
        }
        let Some(rule) = watch(&name, spanned, table, problems) else { continue };
        match Watchlist::compile(std::slice::from_ref(&rule)) {
            Ok(_) => all.push(rule),
            Err(error) => problems.note(
                spanned.span(),
                format!("[[watch]] {name:?}: {error}"),
                "write the whole value, `*` for anything within it, or a regular expression from ^ to $",
            ),
        }
    }
    all
}

fn watch(name: &str, spanned: &Spanned<WatchTable>, table: &WatchTable, problems: &mut Problems) -> Option<WatchRule> {
    let mode = match table.mode.as_ref().map_or("alert", |m| m.get_ref().as_str()) {
        "alert" => WatchMode::Alert,
        "expect" => WatchMode::Expect,
        "observe" => WatchMode::Observe,
        other => {
            problems.note(
                spanned.span(),
                format!("[[watch]] {name:?} mode = {other:?}"),
                "use \"alert\" (a finding), \"expect\" (authorised: no finding) or \"observe\" (collected only)",
            );
            return None;
        }
    };
    let names_identity = table.subject.is_some()
        || table.subject_regex.is_some()
        || table.issuer.is_some()
        || table.issuer_regex.is_some()
        || !table.extensions.is_empty();
    match (&table.key_file, names_identity) {
        (Some(path), false) => {
            for (key, not) in [("not_subject", &table.not_subject), ("not_issuer", &table.not_issuer)] {
                if let Some(not) = not {
                    problems.note(
                        not.span(),
                        format!(
                            "[[watch]] {name:?} has a key and {key}: whoever uses our key is not excused by a name"
                        ),
                        format!("remove {key}"),
                    );
                    return None;
                }
            }
            if mode != WatchMode::Alert {
                problems.note(
                    spanned.span(),
                    format!("[[watch]] {name:?} has a key and a mode"),
                    "remove mode: what our key signed is explained by the ledger alone",
                );
                return None;
            }
            match rooms::public_keys(path.get_ref()).and_then(only) {
                Ok(key) => Some(WatchRule {
                    name: name.to_owned(),
                    kind: WatchKind::Key {
                        spki: key.spki().to_vec(),
                        retired: table.retired.as_ref().is_some_and(|retired| *retired.get_ref()),
                        label: path.get_ref().display().to_string(),
                    },
                    mode,
                }),
                Err(error) => {
                    problems.note(
                        path.span(),
                        format!("[[watch]] {name:?}: {error:#}"),
                        "name a public key (PEM): `sealwatch key public --key FILE` prints it",
                    );
                    None
                }
            }
        }
        (None, true) => {
            if let Some(retired) = &table.retired {
                problems.note(
                    retired.span(),
                    format!("[[watch]] {name:?} has an identity and retired, which is of keys"),
                    "remove retired: every use of an identity that the ledger does not explain is a finding",
                );
                return None;
            }
            identity(name, table, mode, problems)
        }
        (Some(_), true) => {
            problems.note(
                spanned.span(),
                format!("[[watch]] {name:?} has both a key and an identity"),
                "make two [[watch]] tables of it",
            );
            None
        }
        (None, false) => {
            problems.note(
                spanned.span(),
                format!("[[watch]] {name:?} watches nothing"),
                "add subject and issuer, or key_file",
            );
            None
        }
    }
}

fn identity(name: &str, table: &WatchTable, mode: WatchMode, problems: &mut Problems) -> Option<WatchRule> {
    let mut one = |key: &str, plain: &Option<Spanned<String>>, regex: &Option<Spanned<String>>| match (plain, regex) {
        (Some(plain), None) => Some(pattern(plain.get_ref())),
        (None, Some(regex)) => Some(Pattern::Regex(regex.get_ref().clone())),
        (Some(_), Some(regex)) => {
            problems.note(
                regex.span(),
                format!("[[watch]] {name:?} has both {key} and {key}_regex"),
                "keep one of them",
            );
            None
        }
        (None, None) => None,
    };
    let subject = one("subject", &table.subject, &table.subject_regex);
    let issuer = one("issuer", &table.issuer, &table.issuer_regex);
    let mut extensions = Vec::new();
    for (written, value) in &table.extensions {
        let (negated, wanted) = written.strip_prefix('!').map_or((false, written.as_str()), |rest| (true, rest));
        let is_oid = wanted.contains('.') && wanted.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let oid = if is_oid { Some(wanted.to_owned()) } else { extension_oid(wanted).map(str::to_owned) };
        match oid {
            Some(oid) => extensions.push((oid, pattern(value.get_ref()), negated)),
            None => problems.note(
                value.span(),
                format!("[[watch]] {name:?} extensions: {wanted:?} is no extension that Fulcio writes"),
                "use a name such as SourceRepositoryURI or SourceRepositoryRef, or an OID",
            ),
        }
    }
    Some(WatchRule {
        name: name.to_owned(),
        kind: WatchKind::Identity(IdentityRule {
            subject,
            issuer,
            extensions,
            not_subject: table.not_subject.as_ref().map(|p| pattern(p.get_ref())),
            not_issuer: table.not_issuer.as_ref().map(|p| pattern(p.get_ref())),
        }),
        mode,
    })
}

/// `*` makes it a glob.
fn pattern(text: &str) -> Pattern {
    if text.contains('*') { Pattern::Glob(text.to_owned()) } else { Pattern::Exact(text.to_owned()) }
}

/// A file with several keys would have one of them watched and the others not.
fn only(keys: bundle::PemKeys) -> anyhow::Result<bundle::PublicKey> {
    match keys.several() {
        None => Ok(keys.first),
        Some(several) => anyhow::bail!("key_file {several}: keep one key in each file"),
    }
}
