//! A thousand rules of all sorts, none of which any generated leaf matches.

use monitor::watchlist::{IdentityRule, Pattern, WatchKind, WatchMode, WatchRule};
use sandbox::SandboxKey;

const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// The rules.
pub(crate) fn rules() -> Vec<WatchRule> {
    (0..1_000).map(rule).collect()
}

fn rule(number: u64) -> WatchRule {
    let identity = |issuer: &str, subject| {
        let issuer = Some(Pattern::Exact(issuer.to_owned()));
        WatchKind::Identity(IdentityRule { subject: Some(subject), issuer, ..IdentityRule::default() })
    };
    let kind = match number % 5 {
        0 => identity(
            ISSUER,
            Pattern::Exact(format!("https://github.com/acme{number}/app/.github/workflows/r.yml@refs/heads/main")),
        ),
        1 => identity(ISSUER, Pattern::Glob(format!("https://github.com/acme{number}/*"))),
        2 => identity(ISSUER, Pattern::Regex(format!("^https://github\\.com/acme{number}/[a-z]+/.*$"))),
        3 => identity("https://accounts.google.com", Pattern::Exact(format!("person{number}@example.com"))),
        _ => WatchKind::Key {
            spki: SandboxKey::numbered(number).spki().to_vec(),
            retired: false,
            label: format!("key {number}"),
        },
    };
    WatchRule { name: format!("rule {number}"), kind, mode: WatchMode::Alert }
}
