//! What fits together: keys, formats and logs; one name and one trust zone for a key. Each mistake would sign what
//! nobody can verify, or what verifies where it should not.

use std::collections::BTreeMap;
use std::sync::Arc;

use watcher::{Identity, Rule};

use super::sigstore_name;
use crate::config::{Config, Problems};
use crate::trust::Sigstore;

/// Key, format and log must fit together; what no verifier would accept is refused before anything is signed.
pub(super) fn supported(
    config: &Config,
    rules: &[Rule],
    identities: &BTreeMap<String, Arc<Identity>>,
    sigstores: &BTreeMap<String, Sigstore>,
    problems: &mut Problems,
) {
    for (n, (rule, table)) in rules.iter().zip(&config.file.rule).enumerate() {
        for name in &rule.sign_with {
            let Some(identity) = identities.get(name) else { continue };
            let version = sigstore_name(config, name)
                .and_then(|s| sigstores.get(s))
                .and_then(|s| s.log.as_ref())
                .map(|l| l.version);
            let legacy = rule.formats.contains(&bundle::Format::Legacy);
            if rule.legacy_timestamp && legacy && identity.services.timestamp_authorities.is_empty() {
                problems.note(
                    table.get_ref().formats.span(),
                    format!("rule {}, identity {name}: legacy_timestamp asks for a timestamp of no authority", n + 1),
                    "add a timestamp authority (tsaUrls) to the signing config, or remove legacy_timestamp",
                );
            }
            for format in &rule.formats {
                if let Err(error) = signer::check_supported(
                    identity.key.public_key().algorithm(),
                    *format,
                    version,
                    rule.legacy_without_proof,
                ) {
                    problems.note(
                        table.get_ref().formats.span(),
                        format!("rule {}, identity {name}: {error}", n + 1),
                        "change the rule's formats, the identity's key or its log",
                    );
                }
            }
        }
    }
}

/// One rule that names a key twice, under two identities, would attach the same signature twice.
pub(super) fn one_name_per_key(
    config: &Config,
    rules: &[Rule],
    identities: &BTreeMap<String, Arc<Identity>>,
    problems: &mut Problems,
) {
    for (n, (rule, table)) in rules.iter().zip(&config.file.rule).enumerate() {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (name, identity) in rule.sign_with.iter().filter_map(|name| Some((name, identities.get(name)?))) {
            if let Some(first) = seen.insert(identity.key.public_key().fingerprint(), name) {
                problems.note(
                    table.get_ref().sign_with.span(),
                    format!("rule {}: the identities {first} and {name} have the same key", n + 1),
                    "name one of them",
                );
            }
        }
    }
}

/// Two names for one key are one identity: it may not sign in two trust zones either.
pub(super) fn one_zone_per_key(
    config: &Config,
    rules: &[Rule],
    identities: &BTreeMap<String, Arc<Identity>>,
    problems: &mut Problems,
) {
    let mut zone_of: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    for (rule, table) in rules.iter().zip(&config.file.rule) {
        for name in &rule.sign_with {
            let Some(identity) = identities.get(name) else { continue };
            let first = zone_of.entry(identity.key.public_key().fingerprint()).or_insert((name, &rule.trust_zone));
            if first.1 != rule.trust_zone {
                problems.note(
                    table.get_ref().sign_with.span(),
                    format!(
                        "the identities {} and {name} have the same key, and sign in two trust zones: {:?} and {:?}",
                        first.0, first.1, rule.trust_zone
                    ),
                    "give each zone a key of its own",
                );
            }
        }
    }
}
