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
fn a_store_that_is_not_safe_to_reach_is_named() {
    for (table, what_it_says) in [
        ("url = \"postgres://s:hunter2@127.0.0.1/d\"", "holds a password"),
        ("url = \"postgres://s@127.0.0.1/d?password=hunter2\"", "holds a password"),
        ("url = \"postgres://db.example.com/d\"", "there is no CA"),
        ("url = \"postgres://db.example.com/d?sslmode=verify-ca\"", "there is no CA"),
        ("url = \"postgres://127.0.0.1/d?options[search_path]=x\"", "search_path"),
        ("url = \"sqlite:a.db\"\nca_file = \"ca.pem\"", "for postgres://"),
        ("url = \"sqlite:a.db\"\npassword_file = \"password\"", "for postgres://"),
    ] {
        let (line, what) = problem(&format!("[store]\n{table}\n{GOOD}"));
        assert_eq!(line, Some(2), "{table}");
        assert!(what.contains(what_it_says) && !what.contains("hunter2"), "{what}");
    }
    for table in [
        "url = \"postgres://db.example.com/d\"\nca_file = \"ca.pem\"\npassword_file = \"password\"",
        "url = \"postgres://db.example.com/d?sslmode=require\"",
        "url = \"postgres://127.0.0.1/d\"",
    ] {
        let text = format!("[store]\n{table}\n{GOOD}");
        assert!(Config::parse(Path::new("t.toml"), text).is_ok(), "{table}");
    }
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

#[test]
fn docker_hub_is_one_registry_by_each_of_its_names() {
    for (table, source, rule) in [
        ("index.docker.io", "docker.io", "registry-1.docker.io"),
        ("docker.io", "index.docker.io", "docker.io"),
        ("registry-1.docker.io", "registry-1.docker.io", "index.docker.io"),
    ] {
        let text = GOOD
            .replace("[registry.\"registry.example.com\"]", &format!("[registry.\"{table}\"]"))
            .replace("registry = \"registry.example.com\"", &format!("registry = \"{source}\""))
            .replace("registry.example.com/team/**", &format!("{rule}/acme/**"));
        if let Err(problems) = Config::parse(Path::new("t.toml"), text) {
            panic!("{table} {source} {rule}: {problems}");
        }
    }
    let twice = "[registry.\"docker.io\"]\n[registry.\"index.docker.io\"]\n";
    let (_, what) = problem(&format!("{GOOD}{twice}"));
    assert!(what.contains("are one registry"), "{what}");
}

#[test]
fn a_proxy_is_written_as_one_and_asked_for_what_it_may_be_asked_for() {
    let with = |host: &str, more: &str| {
        let table = format!("[registry.\"{host}\"]\n{more}\n");
        GOOD.replace("registry.example.com", host).replace(&format!("[registry.\"{host}\"]\n"), &table)
    };
    let good = "proxy = \"http://proxy.example.com:3128\"";
    for host in ["registry.example.com", "10.0.0.7:5000", "index.docker.io"] {
        if let Err(problems) = Config::parse(Path::new("t.toml"), with(host, good)) {
            panic!("{host}: {problems}");
        }
    }
    for (host, more, said) in [
        ("registry.example.com", "proxy = \"proxy.example.com:3128\"", "http://HOST:PORT"),
        ("registry.example.com", "proxy = \"https://proxy.example.com:3128\"", "http://HOST:PORT"),
        ("registry.example.com", "proxy = \"http://u:s3cret@proxy.example.com:3128\"", "no user name and no password"),
        ("registry.example.com", &format!("plain_http = true\n{good}"), "plain_http"),
        ("localhost:5000", good, "loopback"),
        ("127.0.0.1:5000", good, "loopback"),
        ("169.254.169.254", good, "link-local"),
        ("metadata.google.internal", good, "metadata"),
    ] {
        let (line, what) = problem(&with(host, more));
        assert!(what.contains(said), "{host} {more}: {what}");
        assert!(line.is_some() && !what.contains("s3cret"), "{what}");
    }
    let log = GOOD.replace("[sigstore.own]\n", "[sigstore.own]\nproxy = \"socks5://proxy.example.com:1080\"\n");
    assert!(problem(&log).1.contains("[sigstore.own] proxy"));
    for (read_url, said) in [
        ("http://log.example.com", "tunnels to https"),
        ("file:///srv/log", "tunnels to https"),
        ("https://localhost", "loopback"),
    ] {
        let table = format!("[log.\"log.example.com\"]\nread_url = \"{read_url}\"\n{good}\n");
        let (_, what) = problem(&format!("{GOOD}{table}"));
        assert!(what.contains("[log.\"log.example.com\"] proxy") && what.contains(said), "{read_url}: {what}");
    }
}
