//! A key that does nothing is refused with its line and its fix; what has a meaning is used.

use std::path::Path;

use monitor::SinkConfig;
use monitor::config::SinkKind;

use super::{Told, sinks, told, watches};
use crate::config::Config;

fn config(text: &str) -> Config {
    Config::parse(Path::new("t.toml"), text.to_owned()).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The first problem with the alerts and watches of a file, with its line.
fn problem(text: &str) -> (Option<usize>, String) {
    let config = config(text);
    let mut problems = config.problems();
    sinks::sinks(&config, &mut problems);
    watches::watches(&config, &mut problems);
    let first = problems.list().first().unwrap_or_else(|| panic!("nothing is wrong with {text}"));
    assert!(!first.fix.is_empty(), "every problem has a fix");
    (first.line, first.what.clone())
}

fn sink(text: &str) -> SinkConfig {
    let config = config(text);
    let mut problems = config.problems();
    let mut all = sinks::sinks(&config, &mut problems);
    assert!(problems.is_empty(), "{problems}");
    all.remove(0)
}

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

#[test]
fn slack_and_pagerduty_take_a_private_ca() {
    let folder = tempfile::tempdir().expect("a folder");
    let (url, ca) = (file(&folder, "url", "https://chat.internal/hook"), file(&folder, "ca.pem", "a CA"));
    let slack = sink(&format!("[[alert]]\nkind = \"slack\"\nurl_file = {url:?}\nca_file = {ca:?}\n"));
    assert!(matches!(slack.kind, SinkKind::Slack { ca_pem: Some(pem), .. } if pem == b"a CA"));
    let pager = format!("[[alert]]\nkind = \"pagerduty\"\nsecret_file = {url:?}\nca_file = {ca:?}\n");
    assert!(matches!(sink(&pager).kind, SinkKind::PagerDuty { ca_pem: Some(pem), .. } if pem == b"a CA"));
}

#[test]
fn the_mail_server_may_be_named_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = file(&folder, "url", "smtps://mail.example.com\n");
    let mail = sink(&format!(
        "[[alert]]\nkind = \"mail\"\nurl_file = {url:?}\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]\n"
    ));
    assert!(matches!(mail.kind, SinkKind::Mail { url, .. } if url.as_str() == "smtps://mail.example.com"));
}

#[test]
fn what_an_alert_does_not_use_is_refused() {
    for (text, word) in [
        ("kind = \"alertmanager\"\nurl = \"http://am\"\nsecret_env = \"S\"\n", "secret_env"),
        ("kind = \"command\"\ncommand = [\"true\"]\nca_file = \"ca.pem\"\n", "ca_file"),
        ("kind = \"webhook\"\nurl = \"http://hook\"\nto = [\"a@b.example\"]\n", "to"),
        ("kind = \"alertmanager\"\nurl = \"http://am\"\nurl_env = \"U\"\n", "URL twice"),
    ] {
        let (line, what) = problem(&format!("[[alert]]\n{text}"));
        assert!(line == Some(4) && what.contains(word), "{line:?} {what}");
    }
}

#[test]
fn what_a_watch_does_not_use_is_refused() {
    let (line, what) = problem("[[watch]]\nsubject = \"a@b.example\"\nretired = true\n");
    assert!(line == Some(3) && what.contains("retired"), "{line:?} {what}");
    let (line, what) = problem("[[watch]]\nkey_file = \"k.pub\"\nnot_issuer = \"https://i.example\"\n");
    assert!(line == Some(3) && what.contains("not_issuer"), "{line:?} {what}");
}

#[test]
fn who_keeps_an_alert_is_known_without_its_secrets() {
    let config = config(
        "[[alert]]\nkind = \"pagerduty\"\nsecret_file = \"/nonexistent\"\n[[alert]]\nkind = \"slack\"\nname = \"chat\"\nurl_env = \"NONE\"\n",
    );
    let names = |which| told(&config, which).into_iter().map(|sink| sink.name).collect::<Vec<_>>();
    assert_eq!(names(Told::All), ["pagerduty", "chat"]);
    assert_eq!(names(Told::Keeping), ["pagerduty"]);
}
