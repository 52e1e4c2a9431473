//! Each mistake in a configuration gets its line, its name and its fix.

use std::path::Path;

use super::Config;

const GOOD: &str = r#"
[registry."registry.example.com"]
[source.ci]
kind = "distribution"
registry = "registry.example.com"
auth = "bearer"
secret_env = "HOOK_SECRET"
[identity.release]
key = "cosign.key"
[[rule]]
repositories = ["registry.example.com/team/**"]
tags = ["v*"]
sign_with = ["release"]
trust_zone = "prod"
[sigstore.own]
trusted_root = "trusted_root.json"
"#;

fn problem(text: &str) -> (Option<usize>, String) {
    let problems = Config::parse(Path::new("t.toml"), text.to_owned()).expect_err("the text has a mistake");
    let first = &problems.list()[0];
    assert!(!first.fix.is_empty(), "every problem has a fix");
    (first.line, first.what.clone())
}

#[test]
fn a_good_file_is_accepted() {
    if let Err(problems) = Config::parse(Path::new("t.toml"), GOOD.to_owned()) {
        panic!("{problems}");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let (line, what) = problem(&GOOD.replace("tags = [\"v*\"]", "tagz = [\"v*\"]"));
    assert_eq!(line, Some(12));
    assert!(what.contains("tagz"), "{what}");
}

#[test]
fn a_rule_for_a_registry_that_is_not_there_can_never_match() {
    let (line, what) =
        problem(&GOOD.replace("[\"registry.example.com/team/**\"]", "[\"elsewhere.example.com/team/**\"]"));
    assert_eq!(line, Some(11));
    assert!(what.contains("can never match"), "{what}");
}

#[test]
fn a_rule_behind_a_wider_one_can_never_match() {
    let more = "[[rule]]\nrepositories = [\"registry.example.com/team/app\"]\ntags = [\"v1\"]\nsign_with = [\"release\"]\ntrust_zone = \"prod\"\n";
    let (line, what) = problem(&format!("{GOOD}{more}"));
    assert_eq!(line, Some(18));
    assert!(what.contains("rule 2 can never match: rule 1"), "{what}");
}

#[test]
fn a_wider_rule_behind_a_narrow_one_is_fine() {
    let more =
        "[[rule]]\nrepositories = [\"registry.example.com/**\"]\nsign_with = [\"release\"]\ntrust_zone = \"prod\"\n";
    assert!(Config::parse(Path::new("t.toml"), format!("{GOOD}{more}")).is_ok());
}

#[test]
fn an_identity_that_does_not_exist_is_named() {
    let (line, what) = problem(&GOOD.replace("sign_with = [\"release\"]", "sign_with = [\"nightly\"]"));
    assert_eq!(line, Some(13));
    assert!(what.contains("[identity.nightly]"), "{what}");
}

#[test]
fn one_identity_in_two_trust_zones_is_refused() {
    let more =
        "[[rule]]\nrepositories = [\"registry.example.com/dev/**\"]\nsign_with = [\"release\"]\ntrust_zone = \"dev\"\n";
    let (line, what) = problem(&format!("{GOOD}{more}"));
    assert_eq!(line, Some(20));
    assert!(what.contains("two trust zones"), "{what}");
}

#[test]
fn a_wrong_url_is_named() {
    let (line, what) = problem(&format!("{GOOD}[log.\"rekor.example.com\"]\nwrite_url = \"rekor.example.com\"\n"));
    assert_eq!(line, Some(18));
    assert!(what.contains("write_url"), "{what}");
    let (line, what) = problem(&format!("[store]\nurl = \"mysql://x\"\n{GOOD}"));
    assert_eq!(line, Some(2));
    assert!(what.contains("[store] url"), "{what}");
}

#[test]
fn a_kind_of_log_that_is_not_known_is_named() {
    let (line, what) = problem(&format!("{GOOD}[log.\"ct.example.com\"]\nkind = \"cf\"\n"));
    assert_eq!(line, Some(18));
    assert!(what.contains("kind \"cf\""), "{what}");
}

#[test]
fn a_source_without_a_secret_is_for_loopback_only() {
    let open = GOOD.replace("auth = \"bearer\"\nsecret_env = \"HOOK_SECRET\"", "auth = \"none\"");
    assert!(Config::parse(Path::new("t.toml"), open.clone()).is_ok());
    let (line, what) = problem(&format!("[server]\nhooks = \"0.0.0.0:8080\"\n{open}"));
    assert_eq!(line, Some(8));
    assert!(what.contains("not loopback"), "{what}");
}

#[test]
fn several_secrets_are_given_by_files_and_by_nothing_beside_them() {
    let with = |line: &str| GOOD.replace("secret_env = \"HOOK_SECRET\"", line);
    assert!(Config::parse(Path::new("t.toml"), with("secret_files = [\"new\", \"old\"]")).is_ok());
    let nine = (0..9).map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ");
    for (line, word) in [
        ("secret_files = []".to_owned(), "names 0 files"),
        (format!("secret_files = [{nine}]"), "names 9 files"),
        ("secret_files = [\"a\"]\nsecret_file = \"b\"".to_owned(), "beside"),
        ("secret_files = [\"a\"]\nsecret_env = \"B\"".to_owned(), "beside"),
    ] {
        let (at, what) = problem(&with(&line));
        assert_eq!(at, Some(7), "{what}");
        assert!(what.contains("[source.ci]") && what.contains(word), "{what}");
    }
}

#[test]
fn an_alias_that_no_event_could_name_is_refused() {
    let with =
        |alias: &str| GOOD.replace("auth = \"bearer\"", &format!("auth = \"bearer\"\nhost_aliases = [{alias:?}]"));
    for alias in ["127.0.0.1:5000", "localhost:5000", "[::1]:5000", "registry_1"] {
        assert!(Config::parse(Path::new("t.toml"), with(alias)).is_ok(), "{alias}");
    }
    for alias in ["https://registry.example.com", "registry.example.com/", "", "a b", "*.example.com"] {
        let (line, what) = problem(&with(alias));
        assert_eq!(line, Some(7), "{what}");
        assert!(what.contains("host_aliases"), "{what}");
    }
}

#[test]
fn what_is_not_built_says_so() {
    for (text, word) in [
        ("[queue]\nurl = \"amqp://localhost\"\n", "RabbitMQ"),
        ("[identity.ci]\nkeyless = { token_file = \"t\" }\n", "keyless"),
        ("[identity.kms]\nkey = \"awskms:///alias/release\"\n", "awskms"),
    ] {
        let (line, what) = problem(&format!("{GOOD}{text}"));
        assert!(line.is_some_and(|l| l >= 17), "{line:?} {what}");
        assert!(what.contains("not built yet") && what.contains(word), "{what}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let problems = Config::load(Path::new("/nonexistent/sealwatch.toml")).expect_err("there is no such file");
    let text = problems.to_string();
    assert!(text.contains("/nonexistent/sealwatch.toml") && text.contains("fix:"), "{text}");
}
