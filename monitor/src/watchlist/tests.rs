//! Tests of the watchlist.
use bundle::claims::{Scratch, claims, ct_claims};

use super::*;

mod certificates;
mod looks;
mod matching;
mod near;
mod patterns;

use certificates::{GITHUB, Names, leaf, leaf_of_key, spki};

const MAIN: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
const REPOSITORY_URI: &str = "1.3.6.1.4.1.57264.1.12";
const REPOSITORY_REF: &str = "1.3.6.1.4.1.57264.1.14";
const REPOSITORY_ID: &str = "1.3.6.1.4.1.57264.1.15";
const OWNER_ID: &str = "1.3.6.1.4.1.57264.1.17";
const TRIGGER: &str = "1.3.6.1.4.1.57264.1.20";

fn exact(text: &str) -> Option<Pattern> {
    Some(Pattern::Exact(text.to_owned()))
}

fn glob(text: &str) -> Option<Pattern> {
    Some(Pattern::Glob(text.to_owned()))
}

fn regex(text: &str) -> Option<Pattern> {
    Some(Pattern::Regex(text.to_owned()))
}

fn subject(subject: Option<Pattern>) -> IdentityRule {
    IdentityRule { subject, ..IdentityRule::default() }
}

fn is(oid: &str, value: &str) -> (String, Pattern, bool) {
    (oid.to_owned(), Pattern::exact_or_glob(value), false)
}

fn is_not(oid: &str, value: &str) -> (String, Pattern, bool) {
    (oid.to_owned(), Pattern::exact_or_glob(value), true)
}

fn rule(name: &str, mode: WatchMode, identity: IdentityRule) -> WatchRule {
    WatchRule { name: name.to_owned(), kind: WatchKind::Identity(identity), mode }
}

fn key_rule(name: &str, spki: &[u8], retired: bool) -> WatchRule {
    let kind = WatchKind::Key { spki: spki.to_vec(), retired, label: format!("the key {name}") };
    WatchRule { name: name.to_owned(), kind, mode: WatchMode::Alert }
}

fn alert(identity: IdentityRule) -> Watchlist {
    Watchlist::compile(&[rule("ours", WatchMode::Alert, identity)]).unwrap()
}

/// What a watchlist says of a leaf, in a few words.
fn told(watchlist: &Watchlist, body: &[u8]) -> Vec<String> {
    told_with(watchlist, body, &DigestFilter::new())
}

fn told_with(watchlist: &Watchlist, body: &[u8], digests: &DigestFilter) -> Vec<String> {
    let mut scratch = Scratch::new();
    let mut out = Vec::new();
    watchlist.matches(&claims(body, &mut scratch).unwrap(), digests, &mut out);
    out.iter().map(|found| words(watchlist, found)).collect()
}

fn words(watchlist: &Watchlist, found: &Match) -> String {
    let by = found.matcher.map(|matcher| watchlist.rule(matcher).unwrap().name.as_str()).unwrap_or("ledger");
    match &found.what {
        Matched::Identity { .. } => format!("{by}: identity"),
        Matched::Expected { .. } => format!("{by}: expected"),
        Matched::Observed { .. } => format!("{by}: observed"),
        Matched::Key { retired: false, .. } => format!("{by}: key"),
        Matched::Key { retired: true, .. } => format!("{by}: retired key"),
        Matched::Digest => format!("{by}: digest"),
        Matched::NearMiss { of, how, .. } => {
            assert_eq!(of, by);
            format!("{by}: near ({how:?})")
        }
    }
}

#[test]
fn the_edge_of_a_word_is_no_letter_of_a_name() {
    use super::pattern::{Literal, Matcher};
    for (text, name, literal) in [
        (r"^\<acme$", "acme", Literal::Suffix("acme".to_owned(), Vec::new())),
        (r"^acme\>$", "acme", Literal::Prefix("acme".to_owned(), Vec::new())),
    ] {
        let pattern = Pattern::Regex(text.to_owned());
        assert!(Matcher::compile("rule", "subject", &pattern).unwrap().is_match(name), "{text}");
        assert_eq!(Literal::of(&pattern), literal, "{text}");
    }
}
