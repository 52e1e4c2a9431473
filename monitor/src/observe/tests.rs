//! Tests of drafts.
use super::*;

fn seen(subject: &str, issuer: &str, extensions: &str) -> ObservedIdentity {
    ObservedIdentity {
        watch: "acme".to_owned(),
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        extensions_json: extensions.to_owned(),
        first_at: 0,
        last_at: 1_795_219_200_000,
        times: 3,
    }
}

#[test]
fn a_draft_expects_exactly_what_was_seen() {
    let extensions =
        r#"{"1.3.6.1.4.1.57264.1.17":"17","1.3.6.1.4.1.57264.1.13":"abc","1.3.6.1.4.1.57264.1.15":"4242"}"#;
    let toml = draft(&[
        seen("https://github.com/acme/app@refs/heads/main", "https://issuer.example", extensions),
        seen("a@example.com", "", "not json"),
    ]);
    let expected = r#"# seen 3 times by "acme", last at 2026-11-21T00:00:00Z
[[watch]]
name = "acme-1"
mode = "expect"
subject = "https://github.com/acme/app@refs/heads/main"
issuer = "https://issuer.example"
extensions = { SourceRepositoryIdentifier = "4242", SourceRepositoryOwnerIdentifier = "17" }

# seen 3 times by "acme", last at 2026-11-21T00:00:00Z
[[watch]]
name = "acme-2"
mode = "expect"
subject = "a@example.com"
"#;
    assert_eq!(toml, expected);
    assert_eq!(draft(&[]), "");
}

#[test]
fn what_was_seen_cannot_write_into_the_file_nor_look_like_something_else() {
    let toml = draft(&[seen("a\"\n[[watch]]\nmode = \\\"expect\u{202e}\u{430}", "*", "{}")]);
    assert_eq!(toml.lines().filter(|line| line.starts_with('[')).count(), 1);
    assert!(toml.is_ascii());
    assert!(
        toml.contains(r#"subject = "a\"\U0000000A[[watch]]\U0000000Amode = \\\"expect\U0000202E\U00000430""#),
        "{toml}"
    );
    assert!(toml.contains(r#"issuer_regex = "^\\*$""#), "{toml}");
}
