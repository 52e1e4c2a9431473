//! Mistakes in a configuration, each said by its line and with its fix, before anything listens.

use crate::peers::{Process, run, shared};
use crate::scene::{Rekor, Scene};
use std::time::Duration;

/// What is written instead of what, on whose line it is said, and with which words.
type Mistake = (&'static str, &'static str, &'static str, &'static str, &'static str);

const MISTAKES: [Mistake; 12] = [
    ("an unknown key", "tags = [", "tagz = [", "tagz", "unknown field `tagz`"),
    (
        "a missing key file",
        "\"release.key\"",
        "\"lost.key\"",
        "lost.key",
        "[identity.release] key: lost.key: No such file",
    ),
    (
        "a missing secret",
        "\"hook.secret\"",
        "\"lost.secret\"",
        "lost.secret",
        "[source.registry]: secret_file lost.secret",
    ),
    (
        "a missing password",
        "\"release.password\"",
        "\"lost.password\"",
        "lost.password",
        "[identity.release]: password_file",
    ),
    (
        "a missing trusted root",
        "\"trusted_root.json\"",
        "\"lost.json\"",
        "lost.json",
        "trusted_root: lost.json: No such",
    ),
    ("a wrong store URL", "\"sqlite:sealwatch.db\"", "\"mysql://db\"", "mysql", "[store] url is not one of a store"),
    ("a wrong log URL", "write_url = \"http://", "write_url = \"", "write_url", "is not an http or https URL"),
    (
        "a rule for a registry that is not there",
        "[\"127.0.0.1:PORT/nightly/**\"]",
        "[\"elsewhere.example.com/**\"]",
        "elsewhere",
        "rule 2 can never match: \"elsewhere.example.com\" is not a registry of this file",
    ),
    (
        "a rule behind a wider one",
        "[\"127.0.0.1:PORT/team/**\"]\ntags = [\"v*\", \"main\"]",
        "[\"127.0.0.1:PORT/**\"]",
        "nightly/**",
        "rule 2 can never match: rule 1 comes first and matches all that it would",
    ),
    (
        "an identity that is not there",
        "[\"nightly\"]",
        "[\"weekly\"]",
        "weekly",
        "rule 2: there is no [identity.weekly]",
    ),
    (
        "one identity in two trust zones",
        "sign_with = [\"nightly\"]",
        "sign_with = [\"release\"]",
        "trust_zone = \"nightly\"",
        "the identity release signs in two trust zones: \"prod\" (rule 1) and \"nightly\" (rule 2)",
    ),
    (
        "one key in two trust zones",
        "key = \"nightly.key\"",
        "key = \"release.key\"",
        "sign_with = [\"nightly\"]",
        "the identities release and nightly have the same key, and sign in two trust zones",
    ),
];

#[test]
fn each_mistake_in_a_configuration_is_said_with_its_line_and_its_fix() {
    let Some(shared) = shared("each_mistake_in_a_configuration_is_said_with_its_line_and_its_fix") else { return };
    let scene = Scene::new(shared, Rekor::V2);
    let good = std::fs::read_to_string(scene.distribution_config()).expect("a configuration");
    let (code, said) = check(&scene, &good);
    assert_eq!(code, Some(0), "without a mistake: {said}");
    for (name, right, wrong, on_the_line_of, words) in MISTAKES {
        let port = |text: &str| text.replace("PORT", &scene.registry_port.to_string());
        let text = good.replacen(&port(right), &port(wrong), 1);
        assert_ne!(text, good, "{name}: the mistake is made");
        let line = 1 + text.lines().position(|line| line.contains(on_the_line_of)).expect("its line");
        let (code, said) = check(&scene, &text);
        println!("{name}: exit {code:?}\n{said}");
        assert_eq!(code, Some(2), "{name}");
        let mut lines = said.lines().skip_while(|found| !found.contains(words));
        let first = lines.next().unwrap_or_else(|| panic!("{name}: {words:?} is not said"));
        assert!(first.contains(&format!("sealwatch.toml:{line}: ")), "{name} is on line {line}: {first}");
        assert!(lines.next().is_some_and(|fix| fix.trim_start().starts_with("fix: ")), "{name} has a fix");
        assert!(
            said.starts_with("1 problem in ") || said.starts_with("sealwatch: 1 problem in "),
            "{name} alone: {said}"
        );
    }
}

#[test]
fn a_wrong_password_is_said_in_one_line_that_names_the_identity() {
    let Some(shared) = shared("a_wrong_password_is_said_in_one_line_that_names_the_identity") else { return };
    let scene = Scene::new(shared, Rekor::V1);
    let good = std::fs::read_to_string(scene.distribution_config()).expect("a configuration");
    for name in ["release", "nightly"] {
        let file = scene.path().join(format!("{name}.password"));
        let right = std::fs::read_to_string(&file).expect("a password");
        std::fs::write(&file, "wrong-canary-20d4").expect("a password");
        let (code, said) = check(&scene, &good);
        println!("{said}");
        assert_eq!(code, Some(2));
        let about: Vec<&str> = said.lines().filter(|line| line.contains(&format!("[identity.{name}]"))).collect();
        let [one] = about[..] else { panic!("one line: {said}") };
        assert!(one.contains("password") && one.contains(&format!("{name}.key")), "{one}");
        let fix = said.lines().skip_while(|line| *line != one).nth(1).expect("a fix");
        assert!(fix.trim_start().starts_with("fix: ") && fix.contains("password_file"), "{fix}");
        assert!(!said.contains("wrong-canary-20d4"), "the password itself is not said");

        // `up` says the same, and ends before it listens.
        let mut up =
            Process::start(&mut scene.sealwatch(&["up", "-c", "sealwatch.toml"]), &scene.path().join("up.log"));
        assert_eq!(up.end_within(Duration::from_secs(30)).code(), Some(2), "it does not start with a wrong password");
        assert!(up.output().contains(one.trim()), "{}", up.output());
        std::fs::write(&file, right).expect("a password");
    }
    assert_eq!(check(&scene, &good).0, Some(0), "with the right ones it starts");
}

/// `sealwatch config check`: its exit code, and what it complains of.
fn check(scene: &Scene, text: &str) -> (Option<i32>, String) {
    std::fs::write(scene.path().join("sealwatch.toml"), text).expect("a configuration");
    let output = run(&mut scene.sealwatch(&["config", "check", "-c", "sealwatch.toml"]));
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}
